/* rpc_add: `add`: a multipart upload becomes files and directories. Reference: ipfs/kubo
 * core/commands/add.go, core/coreunix/add.go. */
#include "api/add_options.h"
#include "api/rpc_util.h"
#include "api/upload.h"
#include "base/log.h"
#include "dag/tree.h"
#include "repo/filestore.h"
#include "repo/mfs.h"
#include "web/url.h"
#include <inttypes.h>
#include <stdlib.h>

enum {
    PROGRESS_STEP = 256 << 10,
    PROGRESS_SHOWN = 8 << 20,
    HELD_BYTES = 512 << 10,
    HELD_MAX_BYTES = 1 << 20,
    ROOT_NAMES_MAX_BYTES = 64 << 20,
};

typedef struct add {
    task_t *t;
    rpc_t *r;
    add_options_t options;
    upload_t upload;
    importer_t *importer;
    tree_t *tree;
    repo_import_t *import; /* NULL: only-hash */
    bool has_dirs, has_unnamed;
    buf_t
        top; /* the first name of the last path: what is in the tree stands below it, unless all is wrapped */
    uint32_t top_mode; /* of the part without a folder above it that came last, as it was sent */
    unixfs_t top_meta;
    uint64_t reported;
    cid_t *roots;
    buf_t root_names; /* one name after the other, each closed by NUL */
    size_t n_roots;
    dag_ref_t root;   /* the last one */
    buf_t line, held; /* held: what is acknowledged once it is durable */
    err_t emit_error; /* of lines that callbacks wrote */
} add_t;

/* ── what the client hears ───────────────────────────────────────────────────────────────────── */
static err_t emit_held(add_t *a)
{
    if (!a->held.len)
        return OK;
    TRY(rpc_emit_text(a->t, a->r, buf_bytes(&a->held)));
    buf_clear(&a->held);
    return OK;
}

static err_t hold_line(add_t *a)
{
    if (a->held.len + a->line.len > HELD_BYTES) {
        TRY(importer_flush(a->t, a->importer));
        TRY(emit_held(a));
    }
    return buf_append(&a->held, buf_bytes(&a->line));
}

/* Mode and time are those of the uploaded thing that the entry belongs to. */
static err_t put_top_meta(const add_t *a, buf_t *out)
{
    const unixfs_time_t *mtime = &a->top_meta.mtime;
    if (a->options.wraps)
        return OK;
    if (a->top_mode)
        TRY(buf_printf(out, ",\"Mode\":\"0%" PRIo32 "\"", a->top_mode));
    if (a->top_meta.has_mtime && mtime->seconds)
        TRY(buf_printf(out, ",\"Mtime\":%" PRId64, mtime->seconds));
    if (a->top_meta.has_mtime && mtime->nanoseconds)
        TRY(buf_printf(out, ",\"MtimeNsecs\":%" PRIu32, mtime->nanoseconds));
    return OK;
}

static err_t emit_added(add_t *a, bytes_t path, const dag_ref_t *ref)
{
    char cid[CID_TEXT_MAX];
    buf_clear(&a->line);
    rpc_cid(a->r, &ref->cid, cid);
    TRY(buf_printf(&a->line, "{\"Name\":"));
    TRY(json_quote(path, &a->line));
    TRY(buf_printf(&a->line, ",\"Hash\":\"%s\",\"Size\":\"%" PRIu64 "\"", cid, ref->tsize));
    TRY(put_top_meta(a, &a->line));
    TRY(buf_printf(&a->line, "}\n"));
    return hold_line(a);
}

/* Behind what is held of the files before, unless this one is large: then they are made durable. */
static err_t emit_progress(add_t *a, uint64_t total)
{
    a->reported = total;
    buf_clear(&a->line);
    TRY(buf_printf(&a->line, "{\"Name\":"));
    TRY(json_quote(buf_bytes(&a->upload.path), &a->line));
    if (total)
        TRY(buf_printf(&a->line, ",\"Bytes\":%" PRIu64, total));
    TRY(buf_printf(&a->line, "}\n"));
    if (a->held.len && total >= PROGRESS_SHOWN) {
        TRY(importer_flush(a->t, a->importer));
        TRY(emit_held(a));
    }
    return a->held.len ? hold_line(a) : rpc_emit_text(a->t, a->r, buf_bytes(&a->line));
}

static void on_progress(void *arg, uint64_t total)
{
    add_t *a = arg;
    while (a->options.shows_progress && !a->emit_error && total - a->reported >= PROGRESS_STEP)
        a->emit_error = emit_progress(a, a->reported + PROGRESS_STEP);
}

static err_t add_root(add_t *a, bytes_t name, const dag_ref_t *ref)
{
    TRY(buf_append(&a->root_names, name));
    TRY(buf_append_u8(&a->root_names, 0));
    a->roots = xrealloc(a->roots, (a->n_roots + 1) * sizeof *a->roots);
    a->roots[a->n_roots++] = ref->cid;
    a->root = *ref;
    return OK;
}

static void on_directory(void *arg, bytes_t path, const dag_ref_t *ref)
{
    add_t *a = arg;
    bool is_top = a->options.wraps ? !path.len : path.len && !memchr(path.data, '/', path.len);
    if (is_top && !a->emit_error)
        a->emit_error = add_root(a, path, ref);
    if (!a->emit_error)
        a->emit_error = emit_added(a, path, ref);
}

/* ── entries ─────────────────────────────────────────────────────────────────────────────────── */
static unixfs_t entry_meta(const add_t *a)
{
    unixfs_t meta = a->options.meta;
    const unixfs_t *sent = &a->upload.meta;
    if (a->options.keeps_mode && sent->has_mode) {
        meta.has_mode = true;
        meta.mode = sent->mode;
    }
    if (a->options.keeps_mtime && sent->has_mtime) {
        meta.has_mtime = true;
        meta.mtime = sent->mtime;
    }
    return meta;
}

/* A leaf stays in the client's file, or is there already and still the same. */
static err_t take_leaf(task_t *t, void *arg, const block_t *leaf, uint64_t offset, bool *ret_taken)
{
    add_t *a = arg;
    filestore_t *files = repo_filestore(node_repo(a->r->node));
    *ret_taken = true;
    if (a->options.no_copy)
        return repo_import_put_ref(t, a->import, &leaf->cid, a->upload.abs_path, offset, leaf->len);
    *ret_taken = files && filestore_holds(t, files, &leaf->cid);
    return OK;
}

static err_t choose_leaves(add_t *a)
{
    const char *path = a->upload.abs_path;
    if (!a->import || !(a->options.no_copy || a->options.use_file_cache))
        return OK;
    if (a->options.no_copy && !path)
        return fail(ERR_INVALID, "missing file path or URL, can't create filestore reference");
    if (a->options.no_copy)
        TRY(filestore_allows(repo_filestore(node_repo(a->r->node)), url_is_named(path)));
    importer_set_leaves(a->importer, take_leaf, a);
    return OK;
}

static err_t import_entry(add_t *a, const unixfs_t *meta, dag_ref_t *ret)
{
    if (a->upload.kind == UPLOAD_FILE)
        TRY(choose_leaves(a));
    if (a->upload.kind == UPLOAD_FILE)
        return importer_add_file(a->t, a->importer, upload_source(&a->upload), meta, ret);
    AUTO(buf_t) target = {0};
    buf_init(&target, TREE_MAX_PATH);
    TRY(upload_read_all(a->t, &a->upload, &target));
    return importer_add_symlink(a->t, a->importer, buf_bytes(&target), meta, ret);
}

static err_t write_tree(add_t *a)
{
    dag_ref_t root;
    TRY(tree_write(a->t, a->tree, a->importer, a->options.wraps, on_directory, a, &root));
    return a->emit_error;
}

static void begin_tree(add_t *a)
{
    tree_free(a->tree);
    a->tree = tree_new(repo_path(node_repo(a->r->node)));
    if (a->options.omits_empty_dirs)
        tree_omit_empty_dirs(a->tree);
    a->has_dirs = false;
}

/* Without a folder around all, each part is finished, and told, before the next one. */
static err_t begin_part(add_t *a, bytes_t path)
{
    const uint8_t *slash = path.len ? memchr(path.data, '/', path.len) : NULL;
    bytes_t top = bytes_slice(path, 0, slash ? (size_t)(slash - path.data) : path.len);
    if (a->options.wraps || bytes_equal(top, buf_bytes(&a->top)))
        return OK;
    if (a->has_dirs) {
        TRY(write_tree(a));
        begin_tree(a);
    }
    buf_clear(&a->top);
    return buf_append(&a->top, top);
}

static err_t add_entry(add_t *a)
{
    bytes_t path = buf_bytes(&a->upload.path);
    unixfs_t meta = entry_meta(a);
    bool is_below = path.len && memchr(path.data, '/', path.len);
    TRY(begin_part(a, path));
    if (!is_below) {
        a->top_mode = a->upload.sent_mode;
        a->top_meta = a->upload.meta;
    }
    if (a->upload.kind == UPLOAD_DIR) {
        a->has_dirs = true;
        a->options.wraps |= !path.len && !a->n_roots; /* a folder without a name holds all that follows */
        return tree_put_dir(a->t, a->tree, path, &meta);
    }
    dag_ref_t ref;
    char cid[CID_TEXT_MAX];
    a->reported = 0;
    TRY(import_entry(a, &meta, &ref));
    TRY(a->emit_error);
    if (a->options.shows_progress && a->upload.kind == UPLOAD_FILE)
        TRY(emit_progress(a, ref.size));
    a->has_unnamed |= !path.len;
    if (!path.len)
        path = bytes_str(rpc_cid(a->r, &ref.cid, cid));
    a->has_dirs |= is_below;
    if (a->options.wraps || is_below)
        TRY(tree_put(a->t, a->tree, path, &ref));
    else
        TRY(add_root(a, path, &ref));
    return a->options.is_silent ? OK
                                : emit_added(a, path, &ref); /* folders are told all the same, as by Kubo */
}

/* ── the mutable tree ────────────────────────────────────────────────────────────────────────── */

/* What failed and why, as the reference words it. */
#define FILES_FAILED(e, ...) (error_wrap(__FILE__, __LINE__, (e), "to-files: " __VA_ARGS__), (e))

/* Into a directory under its own name, or to the place itself. */
static err_t files_place(add_t *a, mfs_t *files, const char *name, size_t put_before, buf_t *place)
{
    mfs_entry_t entry;
    const char *dst, *slash = strrchr(name, '/');
    err_t e = mfs_clean_path(*a->options.to_files ? a->options.to_files : "/", place);
    if (e)
        return fail(e, "to-files: %s", error_text(e));
    TRY(buf_cstr(place, &dst));
    if (place->data[place->len - 1] != '/')
        return !put_before
                   ? OK
                   : fail(ERR_INVALID,
                          "to-files: MFS destination is a file: only one entry can be copied to \"%s\"", dst);
    e = mfs_lookup(a->t, files, node_local_blocks(a->r->node), dst, &entry);
    if (e)
        return FILES_FAILED(e, "MFS destination directory \"%s\" does not exist", dst);
    if (!entry.is_dir)
        return fail(ERR_INVALID, "to-files: MFS destination \"%s\" is not a directory", dst);
    return buf_append(place, bytes_str(slash ? slash + 1 : name));
}

static err_t check_files_parent(add_t *a, mfs_t *files, const char *place)
{
    mfs_entry_t entry;
    AUTO(buf_t) above = {0};
    const char *parent;
    const char *slash = strrchr(place, '/');
    buf_init(&above, MFS_PATH_MAX_BYTES);
    TRY(buf_append(&above, bytes_of(place, slash > place ? (size_t)(slash - place) : 1)));
    TRY(buf_cstr(&above, &parent));
    err_t e = mfs_lookup(a->t, files, node_local_blocks(a->r->node), parent, &entry);
    return e ? FILES_FAILED(e, "MFS destination parent \"%s\" \"%s\" does not exist", place, parent) : OK;
}

/* The tree names the place too, without quotes. */
static err_t fail_put(err_t e, const char *place)
{
    char why[ERROR_TEXT_MAX], named[ERROR_TEXT_MAX];
    snprintf(why, sizeof why, "%s", error_text(e));
    int n = snprintf(named, sizeof named, "cannot put node in path %s: ", place);
    bool is_named = n > 0 && n < (int)sizeof named && !strncmp(why, named, (size_t)n);
    return fail(e, "to-files: cannot put node in path \"%s\": %s", place, why + (is_named ? n : 0));
}

static err_t put_into_files(add_t *a)
{
    mfs_t *files = repo_mfs(node_repo(a->r->node));
    const char *name = (const char *)a->root_names.data;
    if (a->options.to_files && a->has_unnamed)
        return fail(ERR_INVALID, "to-files: cannot add unnamed files to MFS");
    for (size_t i = 0; i < a->n_roots && a->options.to_files; i++) {
        AUTO(buf_t) place = {0};
        const char *text;
        buf_init(&place, MFS_PATH_MAX_BYTES);
        TRY(files_place(a, files, name, i, &place));
        TRY(buf_cstr(&place, &text));
        TRY(check_files_parent(a, files, text));
        err_t e = mfs_put(a->t, files, node_local_blocks(a->r->node), text, &a->roots[i],
                          (mfs_put_options_t){.flush = true, .takes_symlinks = true});
        if (e)
            return fail_put(e, text);
        name += strlen(name) + 1;
    }
    return OK;
}

/* Durable first, then pinned, then acknowledged, then announced. */
static err_t finish(add_t *a)
{
    char text[CID_TEXT_MAX];
    if (a->options.wraps || a->has_dirs)
        TRY(write_tree(a));
    TRY(a->emit_error);
    TRY(importer_flush(a->t, a->importer));
    if (a->import)
        TRY(repo_import_sync(a->t, a->import));
    for (size_t i = 0; i < a->n_roots && a->options.pins; i++)
        TRY(pins_add_present(a->t, repo_pins(node_repo(a->r->node)), &a->roots[i], PIN_RECURSIVE,
                             a->options.pin_name));
    for (size_t i = 0; i < a->n_roots && a->import; i++)
        log_info("content added", LOG_STR("cid", cid_print(&a->roots[i], text)));
    TRY(emit_held(a));
    TRY(put_into_files(a));
    for (size_t i = 0; i < a->n_roots && a->import; i++)
        TRY(announce(a->t, a->r, &a->options.announce, &a->roots[i], a->options.pins));
    return OK;
}

static err_t run_add(add_t *a)
{
    const add_options_t *o = &a->options;
    bool has;
    if (upload_init(&a->upload, a->r->x))
        return fail(ERR_USAGE, "file argument 'path' is required");
    TRY(add_options_read(a->r, &a->options));
    TRY(o->replicas ? rpc_check_replicas(a->r, o->replicas) : OK); /* before anything is stored */
    if (!o->only_hash)
        a->import = repo_import_begin(node_repo(a->r->node));
    begin_tree(a);
    TRY(importer_new(a->t, o->only_hash ? blocks_null() : repo_import_blocks(a->import), &o->import,
                     &a->importer));
    importer_set_progress(a->importer, on_progress, a);
    for (;;) {
        TRY(upload_next(a->t, &a->upload, &has));
        if (!has)
            break;
        TRY(add_entry(a));
    }
    if (!a->n_roots && !tree_count(a->tree) && !o->wraps)
        return fail(ERR_USAGE, "file argument 'path' is required");
    TRY(finish(a));
    for (size_t i = 0; i < a->n_roots && o->replicas; i++)
        TRY(rpc_replicate(a->t, a->r, &a->roots[i], o->replicas, false));
    return OK;
}

err_t rpc_add(task_t *t, rpc_t *r)
{
    add_t *a = xcalloc(1, sizeof *a);
    a->t = t;
    a->r = r;
    buf_init(&a->line, 64 << 10);
    buf_init(&a->held, HELD_MAX_BYTES);
    buf_init(&a->root_names, ROOT_NAMES_MAX_BYTES);
    buf_init(&a->top, TREE_MAX_PATH);
    err_t e = run_add(a);
    error_slot_t slot = *error_slot(); /* cleaning up must not overwrite why it failed */
    importer_free(t, a->importer);
    *error_slot() = slot;
    repo_import_end(a->import);
    tree_free(a->tree);
    upload_deinit(&a->upload);
    buf_deinit(&a->line);
    buf_deinit(&a->held);
    buf_deinit(&a->root_names);
    buf_deinit(&a->top);
    free(a->roots);
    free(a);
    return e;
}

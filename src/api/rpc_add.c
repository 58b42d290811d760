/* rpc_add: `add`: a multipart upload becomes files and directories. Reference: ipfs/kubo
 * core/commands/add.go, core/coreunix/add.go. */
#include "api/rpc_util.h"
#include "api/upload.h"
#include "base/log.h"
#include "dag/tree.h"
#include "multi/multihash.h"
#include <inttypes.h>
#include <stdlib.h>

enum { PROGRESS_STEP = 8 << 20, HELD_BYTES = 512 << 10, HELD_MAX_BYTES = 1 << 20 };

typedef struct add {
    task_t *t;
    rpc_t *r;
    upload_t upload;
    importer_t *importer;
    tree_t *tree;
    repo_import_t *import; /* NULL: only-hash */
    import_options_t options;
    unixfs_t meta; /* of --mode and --mtime, for every entry */
    bool wraps, pins, is_silent, shows_progress, keeps_mode, keeps_mtime, has_dirs;
    const char *pin_name;
    uint64_t reported;
    cid_t *roots;
    size_t n_roots;
    dag_ref_t root;   /* the last one */
    buf_t line, held; /* held: what is acknowledged once it is durable */
    err_t emit_error; /* of lines that callbacks wrote */
} add_t;

/* ── options ─────────────────────────────────────────────────────────────────────────────────── */
static err_t size_option(rpc_t *r, const char *name, const char *config_key, size_t otherwise, size_t *ret)
{
    uint64_t value;
    int64_t configured = config_int(repo_config(node_repo(r->node)), config_key, 0);
    TRY(rpc_u64(r, name, configured > 0 ? (uint64_t)configured : otherwise, &value));
    if (value > UINT32_MAX)
        return fail(ERR_USAGE, "option %s: %" PRIu64 " is too large", name, value);
    *ret = (size_t)value;
    return OK;
}

static err_t hash_option(rpc_t *r, import_options_t *o)
{
    const char *name = rpc_option(r, "hash");
    if (!name || !*name)
        name = config_str(repo_config(node_repo(r->node)), "Import.HashFunction", "sha2-256");
    return multihash_from_name(name, &o->hash_code);
}

static err_t shard_options(rpc_t *r, import_options_t *o)
{
    const config_t *c = repo_config(node_repo(r->node));
    const char *rule = config_str(c, "Import.UnixFSHAMTDirectorySizeEstimation", "links");
    o->shard_rule = !strcmp(rule, "block")      ? SHARD_BY_BLOCK
                    : !strcmp(rule, "disabled") ? SHARD_BY_COUNT
                                                : SHARD_BY_LINKS;
    o->shard_threshold = config_size(c, "Import.UnixFSHAMTDirectorySizeThreshold", IMPORT_SHARD_THRESHOLD);
    TRY(size_option(r, "max-directory-links", "Import.UnixFSDirectoryMaxLinks", 0, &o->max_directory_links));
    return size_option(r, "max-hamt-fanout", "Import.UnixFSHAMTDirectoryMaxFanout", 256, &o->shard_fanout);
}

static err_t meta_options(add_t *a)
{
    rpc_t *r = a->r;
    const char *mode = rpc_option(r, "mode"), *mtime = rpc_option(r, "mtime"),
               *ns = rpc_option(r, "mtime-nsecs");
    if (mode && *mode) {
        a->meta.has_mode = true;
        a->meta.mode = (uint32_t)strtoul(mode, NULL, 8) & 0777;
    }
    if (mtime && *mtime) {
        a->meta.has_mtime = true;
        a->meta.mtime.seconds = strtoll(mtime, NULL, 10);
        unsigned long long n = ns ? strtoull(ns, NULL, 10) : 0;
        if (n > 999999999)
            return fail(ERR_USAGE, "option mtime-nsecs: at most 999999999");
        a->meta.mtime.nanoseconds = (uint32_t)n;
    }
    a->keeps_mode = rpc_bool(r, "preserve-mode", false);
    a->keeps_mtime = rpc_bool(r, "preserve-mtime", false);
    a->options.has_metadata = a->meta.has_mode || a->meta.has_mtime || a->keeps_mode || a->keeps_mtime;
    return OK;
}

static err_t refuse_unsupported(rpc_t *r)
{
    if (rpc_bool(r, "nocopy", false) || rpc_bool(r, "fscache", false))
        return fail(ERR_UNSUPPORTED, "nocopy and fscache are not supported: leave them out");
    const char *to = rpc_option(r, "to-files");
    if (to && *to)
        return fail(ERR_UNSUPPORTED, "to-files is not supported yet");
    return OK;
}

static err_t read_options(add_t *a)
{
    rpc_t *r = a->r;
    const config_t *c = repo_config(node_repo(r->node));
    import_options_t *o = &a->options;
    import_options_init(o);
    TRY(refuse_unsupported(r));
    uint64_t version, limit;
    const char *text = rpc_option(r, "cid-version");
    int64_t configured = config_int(c, "Import.CidVersion", -1);
    TRY(rpc_u64(r, "cid-version", configured >= 0 ? (uint64_t)configured : 0, &version));
    if (text || configured >= 0)
        o->cid_version = version > 1 ? 2 : (int)version;
    if (rpc_option(r, "raw-leaves"))
        o->raw_leaves = rpc_bool(r, "raw-leaves", false);
    else if (config_has(c, "Import.UnixFSRawLeaves"))
        o->raw_leaves = config_bool(c, "Import.UnixFSRawLeaves", false);
    const char *chunker = rpc_option(r, "chunker");
    TRY(chunker_parse(chunker && *chunker ? chunker : config_str(c, "Import.UnixFSChunker", ""),
                      &o->chunker));
    TRY(size_option(r, "max-file-links", "Import.UnixFSFileMaxLinks", IMPORT_MAX_LINKS_DEFAULT,
                    &o->max_links));
    TRY(rpc_u64(r, "inline-limit", IMPORT_INLINE_DEFAULT, &limit));
    if (rpc_bool(r, "inline", false))
        o->inline_limit = limit > IMPORT_INLINE_MAX ? IMPORT_INLINE_MAX + 1 : (size_t)limit;
    o->is_trickle = rpc_bool(r, "trickle", !strcmp(config_str(c, "Import.UnixFSDAGLayout", ""), "trickle"));
    TRY(hash_option(r, o));
    TRY(shard_options(r, o));
    TRY(meta_options(a));
    a->wraps = rpc_bool(r, "wrap-with-directory", false);
    a->is_silent = rpc_bool(r, "silent", false);
    a->shows_progress = rpc_bool(r, "progress", false);
    a->pins = rpc_bool(r, "pin", true) && !rpc_bool(r, "only-hash", false);
    a->pin_name = rpc_option(r, "pin-name");
    return OK;
}

/* ── what the client hears ───────────────────────────────────────────────────────────────────── */
static err_t emit_held(add_t *a)
{
    if (!a->held.len)
        return OK;
    TRY(rpc_emit_text(a->t, a->r, buf_bytes(&a->held)));
    buf_clear(&a->held);
    return OK;
}

static err_t emit_added(add_t *a, bytes_t path, const dag_ref_t *ref)
{
    char cid[CID_TEXT_MAX];
    if (a->is_silent)
        return OK;
    buf_clear(&a->line);
    rpc_cid(a->r, &ref->cid, cid);
    TRY(buf_printf(&a->line, "{\"Name\":"));
    TRY(json_quote(path, &a->line));
    TRY(buf_printf(&a->line, ",\"Hash\":\"%s\",\"Size\":\"%" PRIu64 "\"}\n", cid, ref->tsize));
    if (a->held.len + a->line.len > HELD_BYTES) {
        TRY(importer_flush(a->t, a->importer));
        TRY(emit_held(a));
    }
    return buf_append(&a->held, buf_bytes(&a->line));
}

static void emit_progress(add_t *a, uint64_t total)
{
    a->reported = total;
    buf_clear(&a->line);
    err_t e = buf_printf(&a->line, "{\"Name\":");
    if (!e)
        e = json_quote(buf_bytes(&a->upload.path), &a->line);
    if (!e)
        e = buf_printf(&a->line, ",\"Bytes\":%" PRIu64 "}\n", total);
    a->emit_error = e ? e : rpc_emit_text(a->t, a->r, buf_bytes(&a->line));
}

static void on_progress(void *arg, uint64_t total)
{
    add_t *a = arg;
    if (a->shows_progress && !a->emit_error && total - a->reported >= PROGRESS_STEP)
        emit_progress(a, total);
}

static void add_root(add_t *a, const dag_ref_t *ref)
{
    a->roots = xrealloc(a->roots, (a->n_roots + 1) * sizeof *a->roots);
    a->roots[a->n_roots++] = ref->cid;
    a->root = *ref;
}

static void on_directory(void *arg, bytes_t path, const dag_ref_t *ref)
{
    add_t *a = arg;
    bool is_top = a->wraps ? !path.len : path.len && !memchr(path.data, '/', path.len);
    if (is_top)
        add_root(a, ref);
    if (!a->emit_error)
        a->emit_error = emit_added(a, path, ref);
}

/* ── entries ─────────────────────────────────────────────────────────────────────────────────── */
static unixfs_t entry_meta(const add_t *a)
{
    unixfs_t meta = a->meta;
    const unixfs_t *sent = &a->upload.meta;
    if (a->keeps_mode && sent->has_mode) {
        meta.has_mode = true;
        meta.mode = sent->mode;
    }
    if (a->keeps_mtime && sent->has_mtime) {
        meta.has_mtime = true;
        meta.mtime = sent->mtime;
    }
    return meta;
}

static err_t import_entry(add_t *a, const unixfs_t *meta, dag_ref_t *ret)
{
    if (a->upload.kind == UPLOAD_FILE)
        return importer_add_file(a->t, a->importer, upload_source(&a->upload), meta, ret);
    AUTO(buf_t) target = {0};
    buf_init(&target, TREE_MAX_NAME);
    TRY(upload_read_all(a->t, &a->upload, &target));
    return importer_add_symlink(a->t, a->importer, buf_bytes(&target), meta, ret);
}

static err_t add_entry(add_t *a)
{
    bytes_t path = buf_bytes(&a->upload.path);
    unixfs_t meta = entry_meta(a);
    if (a->upload.kind == UPLOAD_DIR) {
        a->has_dirs = true;
        return tree_put_dir(a->tree, path, &meta);
    }
    dag_ref_t ref;
    char cid[CID_TEXT_MAX];
    a->reported = 0;
    TRY(import_entry(a, &meta, &ref));
    if (a->shows_progress && !a->emit_error && ref.size > a->reported)
        emit_progress(a, ref.size);
    TRY(a->emit_error);
    if (!path.len)
        path = bytes_str(rpc_cid(a->r, &ref.cid, cid));
    bool is_below = memchr(path.data, '/', path.len) != NULL;
    a->has_dirs |= is_below;
    if (a->wraps || is_below)
        TRY(tree_put(a->tree, path, &ref));
    else
        add_root(a, &ref);
    return emit_added(a, path, &ref);
}

static void announce(add_t *a, const cid_t *root)
{
    char text[CID_TEXT_MAX];
    node_announce(a->r->node, root);
    log_info("content added", LOG_STR("cid", cid_print(root, text)));
}

/* Durable first, then pinned, then acknowledged. */
static err_t finish(add_t *a)
{
    dag_ref_t root;
    if (a->wraps || a->has_dirs)
        TRY(tree_write(a->t, a->tree, a->importer, a->wraps, on_directory, a, &root));
    TRY(a->emit_error);
    TRY(importer_flush(a->t, a->importer));
    if (a->import)
        TRY(repo_import_sync(a->t, a->import));
    for (size_t i = 0; i < a->n_roots && a->pins; i++)
        TRY(pins_add_present(a->t, repo_pins(node_repo(a->r->node)), &a->roots[i], PIN_RECURSIVE,
                             a->pin_name));
    for (size_t i = 0; i < a->n_roots && !rpc_bool(a->r, "only-hash", false); i++)
        announce(a, &a->roots[i]);
    return emit_held(a);
}

static err_t run_add(add_t *a)
{
    bool only_hash = rpc_bool(a->r, "only-hash", false), has;
    uint64_t replicas;
    if (upload_init(&a->upload, a->r->x))
        return fail(ERR_USAGE, "file argument 'path' is required");
    TRY(read_options(a));
    TRY(rpc_u64(a->r, "replicas", 0, &replicas));
    TRY(replicas ? rpc_check_replicas(a->r, replicas) : OK); /* before anything is stored */
    if (!only_hash)
        a->import = repo_import_begin(node_repo(a->r->node));
    TRY(importer_new(a->t, only_hash ? blocks_null() : repo_import_blocks(a->import), &a->options,
                     &a->importer));
    importer_set_progress(a->importer, on_progress, a);
    for (;;) {
        TRY(upload_next(a->t, &a->upload, &has));
        if (!has)
            break;
        TRY(add_entry(a));
    }
    if (!a->n_roots && !tree_count(a->tree) && !a->wraps)
        return fail(ERR_USAGE, "file argument 'path' is required");
    TRY(finish(a));
    for (size_t i = 0; i < a->n_roots && replicas; i++)
        TRY(rpc_replicate(a->t, a->r, &a->roots[i], replicas, false));
    return OK;
}

err_t rpc_add(task_t *t, rpc_t *r)
{
    add_t *a = xcalloc(1, sizeof *a);
    a->t = t;
    a->r = r;
    a->tree = tree_new();
    buf_init(&a->line, 64 << 10);
    buf_init(&a->held, HELD_MAX_BYTES);
    err_t e = run_add(a);
    error_slot_t slot = *error_slot(); /* cleaning up must not overwrite why it failed */
    importer_free(t, a->importer);
    *error_slot() = slot;
    repo_import_end(a->import);
    tree_free(a->tree);
    upload_deinit(&a->upload);
    buf_deinit(&a->line);
    buf_deinit(&a->held);
    free(a->roots);
    free(a);
    return e;
}

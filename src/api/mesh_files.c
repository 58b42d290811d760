#include "api/mesh_files.h"
#include "api/gateway.h"
#include "api/tar_writer.h"
#include "api/upload.h"
#include "base/log.h"
#include "codec/manifest.h"
#include "codec/tombstone.h"
#include <stdlib.h>
#include <strings.h>

enum {
    STEP_BYTES = 4 << 20,
    TAR_NAME_MAX = 64 << 10,
    STALL_MS = 30000,      /* a block that nobody has given for so long is not waited for */
    ALONE_STALL_MS = 2000, /* where there is nobody to give it */
};

err_t mesh_files_member(node_t *n, mesh_t **ret)
{
    *ret = node_mesh(n);
    return *ret
               ? OK
               : fail(ERR_OFFLINE, node_is_online(n)
                                       ? "this node is not a member of a mesh: start it with 'dfs node start'"
                                       : "this needs a running node: start one with 'dfs node start'");
}

/* ── one call that goes on while its progress is told ────────────────────────────────────────── */
/* Callbacks of the mesh must not wait, and who is told may be slow: the call runs in a task of its own, and
 * the task of the request tells what stands then. */
typedef struct watched {
    task_fn run;
    void *arg;
    event_t changed;
    bool has_news, is_done;
    err_t result;
    error_slot_t why;
} watched_t;

static void watched_news(watched_t *w)
{
    w->has_news = true;
    event_fire(&w->changed);
}

static err_t run_watched(task_t *t, void *arg)
{
    watched_t *w = arg;
    w->result = w->run(t, w->arg);
    w->why = *error_slot();
    w->is_done = true;
    event_fire(&w->changed);
    return OK;
}

static err_t tell_until_done(task_t *t, watched_t *w, task_fn tell)
{
    while (!w->is_done) {
        if (!w->has_news)
            TRY(event_wait(t, &w->changed));
        w->has_news = false;
        TRY(tell(t, w->arg));
    }
    return OK;
}

/* arg: of run and of tell. */
static err_t watch_call(task_t *t, watched_t *w, task_fn run, task_fn tell, void *arg)
{
    group_t g;
    *w = (watched_t){.run = run, .arg = arg};
    event_init(&w->changed);
    group_init(&g, task_sched(t));
    err_t e = group_spawn(&g, "mesh call", run_watched, w, NULL);
    if (!e) {
        e = tell_until_done(t, w, tell);
        if (e)
            group_cancel(&g);
        err_t joined = group_join(t, &g);
        e = e ? e : joined;
    }
    group_deinit(&g);
    if (!e && w->result) {
        *error_slot() = w->why;
        e = w->result;
    }
    return e;
}

/* ── storing ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct storing {
    watched_t watched;
    node_t *node;
    mesh_t *mesh;
    const mesh_store_options_t *options;
    mesh_store_sink_t sink;
    repo_import_t *import;
    vault_store_t *store; /* NULL: no file is open */
    char top[VAULT_NAME_MAX + 1];
    bool is_key_new;
    uint64_t read_bytes, told_bytes;
    mesh_stored_t result;
} storing_t;

static void on_read(void *arg, uint64_t total)
{
    ((storing_t *)arg)->read_bytes = total;
}

static err_t tell(task_t *t, storing_t *s)
{
    s->told_bytes = s->read_bytes;
    return s->sink.progress
               ? s->sink.progress(t, s->sink.arg, s->read_bytes, s->result.copies, s->result.target)
               : OK;
}

static void on_keep(void *arg, const replica_progress_t *p)
{
    storing_t *s = arg;
    s->result.copies = p->have;
    watched_news(&s->watched);
}

static err_t keep_task(task_t *t, void *arg)
{
    storing_t *s = arg;
    uint32_t have = s->result.copies;
    err_t e = mesh_keep(t, s->mesh, &s->result.file.manifest, (uint32_t)s->options->factor, MESH_KEEP_MS,
                        on_keep, s, &have);
    s->result.copies = have;
    if (have < s->result.target)
        replica_why(node_replica(s->node), &s->result.file.manifest, s->result.why);
    bool goes_on = replica_holds(node_replica(s->node), &s->result.file.manifest); /* by itself */
    return e == ERR_TIMEOUT && goes_on && !task_check(t) ? OK : e;
}

static err_t tell_kept(task_t *t, void *arg)
{
    return tell(t, arg);
}

static uint32_t wanted_copies(const storing_t *s)
{
    mesh_stat_t stat;
    mesh_stat(s->mesh, &stat);
    return s->options->factor ? (uint32_t)s->options->factor : stat.factor;
}

/* Durable, pinned and recorded, in this order; then others are asked to keep it. */
static err_t finish_file(task_t *t, storing_t *s)
{
    if (!s->store)
        return OK;
    mesh_stored_t *m = &s->result;
    *m = (mesh_stored_t){.copies = 1, .target = wanted_copies(s), .is_key_new = s->is_key_new};
    TRY(vault_store_finish(t, s->store, &m->file));
    vault_store_free(t, s->store);
    s->store = NULL;
    TRY(repo_import_sync(t, s->import));
    TRY(pins_add_present(t, repo_pins(node_repo(s->node)), &m->file.manifest, PIN_RECURSIVE, NULL));
    TRY(vault_record(t, node_vault(s->node), &m->file));
    node_offer(s->node, &m->file.manifest);
    char text[CID_TEXT_MAX];
    log_info("file stored", LOG_STR("cid", cid_print(&m->file.manifest, text)),
             LOG_UINT("sealed_bytes", m->file.sealed_bytes), LOG_UINT("chunks", m->file.chunks));
    TRY(watch_call(t, &s->watched, keep_task, tell_kept, s));
    s->is_key_new = false;
    return s->sink.stored(t, s->sink.arg, m);
}

static err_t begin_file(task_t *t, storing_t *s, const char *path)
{
    size_t len = strcspn(path, "/");
    if (s->store && strlen(s->top) == len && !strncmp(s->top, path, len) && path[len])
        return OK; /* more of the folder that is open */
    TRY(finish_file(t, s));
    if (!len || len >= sizeof s->top)
        return fail(ERR_INVALID, "a file's name has 1 to %d bytes", VAULT_NAME_MAX);
    memcpy(s->top, path, len);
    s->top[len] = 0;
    s->read_bytes = s->told_bytes = 0;
    s->result.copies = s->result.target = 0;
    return vault_store_begin(t, node_vault(s->node), repo_import_blocks(s->import), on_read, s, &s->store);
}

/* Gives the sink a word now and then while content is read. */
typedef struct told_source {
    storing_t *s;
    source_t from;
} told_source_t;

static err_t read_told(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    told_source_t *ts = arg;
    if (ts->s->read_bytes >= ts->s->told_bytes + STEP_BYTES)
        TRY(tell(t, ts->s));
    return ts->from.read(t, ts->from.arg, out, cap, ret_n);
}

static err_t store_content(task_t *t, storing_t *s, const char *path, const char *type, vault_meta_t meta,
                           source_t source)
{
    told_source_t told = {s, source};
    TRY(begin_file(t, s, path));
    if (!type || !*type)
        type = content_type_of(path, bytes_of("", 1)); /* by the name's end alone */
    meta.type = bytes_str(type);
    return vault_store_file(t, s->store, path, &meta, (source_t){read_told, &told});
}

static err_t store_part(task_t *t, storing_t *s, upload_t *u)
{
    const char *path;
    if (!u->path.len)
        TRY(buf_append(&u->path,
                       bytes_str(s->options->name && *s->options->name ? s->options->name : "unnamed")));
    TRY(buf_cstr(&u->path, &path));
    vault_meta_t meta = {.has_mode = u->meta.has_mode,
                         .mode = u->meta.mode,
                         .has_mtime = u->meta.has_mtime,
                         .mtime_s = u->meta.mtime.seconds};
    if (u->kind == UPLOAD_SYMLINK)
        return fail(ERR_UNSUPPORTED, "%.200s is a symbolic link: store what it points to", path);
    if (u->kind == UPLOAD_FILE)
        return store_content(t, s, path, s->options->type, meta, upload_source(u));
    TRY(begin_file(t, s, path));
    return vault_store_folder(t, s->store, path, &meta);
}

static err_t store_form(task_t *t, storing_t *s, exchange_t *x)
{
    AUTO(upload_t) u = {0};
    bool has = true;
    TRY(upload_init(&u, x));
    for (;;) {
        TRY(upload_next(t, &u, &has));
        if (!has)
            return s->store ? finish_file(t, s) : fail(ERR_USAGE, "no file came with the request");
        TRY(store_part(t, s, &u));
    }
}

static err_t read_body(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    return exchange_read(t, arg, out, cap, ret_n);
}

static err_t store_body(task_t *t, storing_t *s, exchange_t *x)
{
    const char *name = s->options->name && *s->options->name ? s->options->name : "unnamed";
    if (strchr(name, '/'))
        return fail(ERR_USAGE, "a file's name has no '/'");
    TRY(store_content(t, s, name, s->options->type, (vault_meta_t){0}, (source_t){read_body, x}));
    return finish_file(t, s);
}

err_t mesh_files_store(task_t *t, node_t *n, exchange_t *x, const mesh_store_options_t *o,
                       mesh_store_sink_t sink)
{
    storing_t *s = xcalloc(1, sizeof *s);
    *s = (storing_t){.node = n, .options = o, .sink = sink};
    const char *type = exchange_header(x, "Content-Type");
    err_t e = mesh_files_member(n, &s->mesh);
    if (!e && o->factor > REPLICA_TARGET_MAX)
        e = fail(ERR_USAGE, "a file is kept 1 to %d times", REPLICA_TARGET_MAX);
    if (!e)
        e = vault_key_ensure(t, node_vault(n), &s->is_key_new);
    if (!e) {
        s->import = repo_import_begin(node_repo(n));
        e = type && !strncasecmp(type, "multipart/", 10) ? store_form(t, s, x) : store_body(t, s, x);
    }
    error_slot_t why = *error_slot();
    vault_store_free(t, s->store);
    repo_import_end(s->import);
    *error_slot() = why;
    free(s);
    return e;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */

static err_t was_deleted(const char *name)
{
    size_t len = strcspn(name, "#/");
    return fail(ERR_NOT_FOUND, "%.*s was deleted by its owner", (int)(len < 100 ? len : 100), name);
}

/* ERR_NOT_FOUND: what the name stands for was deleted, although it may still lie here. */
static err_t check_deleted(task_t *t, node_t *n, const char *name)
{
    cid_t manifest;
    size_t len = strcspn(name, "#/");
    if (manifest_parse_name(bytes_of(name, len), &manifest))
        return OK; /* vault_open says what is wrong with it */
    vault_listed_t *l = xcalloc(1, sizeof *l);
    bool is_deleted = (!vault_lookup(t, node_vault(n), &manifest, l) && l->deleted_at_ms) ||
                      (node_mesh(n) && mesh_is_deleted(node_mesh(n), &manifest));
    free(l);
    return is_deleted ? was_deleted(name) : OK;
}

/* The same of what has just been read: it may have come from somebody who has not heard of the deletion. */
static err_t check_deleted_now(task_t *t, node_t *n, const char *name)
{
    cid_t manifest;
    if (!node_mesh(n) || manifest_parse_name(bytes_of(name, strcspn(name, "#/")), &manifest))
        return OK;
    return mesh_check(t, node_mesh(n), &manifest) == ERR_DENIED ? was_deleted(name) : task_check(t);
}

static deadline_t begin_wait(task_t *t, node_t *n)
{
    bool is_alone = !node_host(n) || !host_conn_count(node_host(n));
    return deadline_push(t, is_alone ? ALONE_STALL_MS : STALL_MS);
}

/* Ends a wait for blocks. Nobody has come up with one of them: that is said, and not waited on in silence. */
static err_t end_wait(task_t *t, deadline_t *d, err_t e)
{
    deadline_pop(t, d);
    return e == ERR_TIMEOUT && !task_check(t)
               ? fail(ERR_NOT_FOUND,
                      "no whole copy is within reach: a block of it is missing or damaged here, and "
                      "nobody who is connected gave it in time; see its status for who holds it")
               : e;
}

static err_t read_piece(task_t *t, const mesh_open_t *o, vault_file_t *f, bytes_t *ret)
{
    deadline_t d = begin_wait(t, o->node);
    return end_wait(t, &d, vault_read(t, f, ret));
}

err_t mesh_files_open(task_t *t, node_t *n, const char *name, bool offline, mesh_open_t *ret)
{
    mesh_open_t o = {.t = t, .node = n};
    TRY(check_deleted(t, n, name));
    TRY(node_session_open(n, offline, &o.session));
    deadline_t d = begin_wait(t, n);
    err_t e = vault_open(t, node_vault(n), o.session.blocks, name, &o.file);
    e = end_wait(t, &d, e);
    if (!e)
        e = check_deleted_now(t, n, name);
    if (e) {
        mesh_open_deinit(&o);
        return e;
    }
    *ret = o;
    return OK;
}

void mesh_open_deinit(mesh_open_t *o)
{
    vault_close(o->t, o->file);
    o->file = NULL;
    node_session_close(&o->session);
}

err_t mesh_files_write(task_t *t, mesh_open_t *o, exchange_t *x)
{
    for (;;) {
        bytes_t piece;
        TRY(read_piece(t, o, o->file, &piece));
        if (!piece.len)
            return OK;
        TRY(exchange_write(t, x, piece));
    }
}

typedef struct archive {
    const mesh_open_t *open;
    exchange_t *x;
    buf_t path, header;
    size_t depth;
} archive_t;

static err_t put_zeros(task_t *t, archive_t *a, size_t n)
{
    static const uint8_t zeros[TAR_END_BYTES];
    return n ? exchange_write(t, a->x, bytes_of(zeros, n)) : OK;
}

static err_t put_header(task_t *t, archive_t *a, const vault_info_t *i)
{
    tar_item_t item = {.name = buf_bytes(&a->path),
                       .kind = i->is_folder ? TAR_ITEM_DIR : TAR_ITEM_FILE,
                       .size = i->is_folder ? 0 : i->size_bytes,
                       .mode = i->has_mode ? i->mode & 0777 : 0,
                       .mtime_s =
                           i->has_mtime ? i->mtime_s : (int64_t)(driver_wall_ms(task_driver(t)) / 1000)};
    buf_clear(&a->header);
    TRY(tar_put_header(&item, &a->header));
    return exchange_write(t, a->x, buf_bytes(&a->header));
}

static err_t put_content(task_t *t, archive_t *a, vault_file_t *f)
{
    for (;;) {
        bytes_t piece;
        TRY(read_piece(t, a->open, f, &piece));
        if (!piece.len)
            return put_zeros(t, a, tar_padding(vault_file_info(f)->size_bytes));
        TRY(exchange_write(t, a->x, piece));
    }
}

typedef struct folder_visit {
    archive_t *archive;
    vault_file_t *folder;
} folder_visit_t;
static err_t put_entry(task_t *t, void *arg, const vault_entry_t *entry);

/* Recurses: the depth is bounded by what fits a task's stack. */
static err_t put_file(task_t *t, archive_t *a, vault_file_t *f)
{
    const vault_info_t *i = vault_file_info(f);
    TRY(put_header(t, a, i));
    if (!i->is_folder)
        return put_content(t, a, f);
    if (++a->depth > VAULT_DEPTH_MAX)
        return fail(ERR_LIMIT, "folders are nested deeper than %d", VAULT_DEPTH_MAX);
    folder_visit_t v = {a, f};
    err_t e = vault_each_entry(t, f, put_entry, &v);
    a->depth--;
    return e;
}

static err_t put_entry(task_t *t, void *arg, const vault_entry_t *entry)
{
    folder_visit_t *v = arg;
    archive_t *a = v->archive;
    size_t above = a->path.len;
    vault_file_t *f;
    deadline_t d = begin_wait(t, a->open->node);
    TRY(end_wait(t, &d, vault_open_entry(t, v->folder, entry->name, &f)));
    err_t e = buf_printf(&a->path, "/%s", entry->name);
    if (!e)
        e = put_file(t, a, f);
    vault_close(t, f);
    a->path.len = above;
    return e;
}

err_t mesh_files_tar(task_t *t, mesh_open_t *o, exchange_t *x)
{
    archive_t a = {.open = o, .x = x};
    const char *name = vault_file_info(o->file)->name;
    buf_init(&a.path, TAR_NAME_MAX);
    buf_init(&a.header, 128 << 10);
    err_t e = buf_append(&a.path, bytes_str(*name ? name : "unnamed"));
    if (!e)
        e = put_file(t, &a, o->file);
    if (!e)
        e = put_zeros(t, &a, TAR_END_BYTES);
    buf_deinit(&a.path);
    buf_deinit(&a.header);
    return e;
}

/* ── deleting ────────────────────────────────────────────────────────────────────────────────── */
typedef struct deleting {
    watched_t watched;
    mesh_t *mesh;
    bytes_t tombstone;
    uint64_t timeout_ms;
    mesh_receipts_fn progress;
    void *arg;
    mesh_deletion_t so_far, *result;
} deleting_t;

static void on_receipt(void *arg, const mesh_deletion_t *so_far)
{
    deleting_t *d = arg;
    d->so_far = *so_far;
    watched_news(&d->watched);
}

static err_t delete_task(task_t *t, void *arg)
{
    deleting_t *d = arg;
    deadline_t limit = deadline_push(t, d->timeout_ms);
    err_t e = mesh_delete(t, d->mesh, d->tombstone, on_receipt, d, d->result);
    deadline_pop(t, &limit);
    return e;
}

static err_t tell_receipts(task_t *t, void *arg)
{
    deleting_t *d = arg;
    return d->progress && d->so_far.n_holders ? d->progress(t, d->arg, &d->so_far) : OK;
}

static err_t sign_tombstone(task_t *t, node_t *n, const cid_t *manifest, buf_t *tombstone)
{
    AUTO(node_session_t) session = {0};
    TRY(node_session_open(n, false, &session));
    return vault_delete(t, node_vault(n), session.blocks, manifest, tombstone);
}

err_t mesh_files_delete(task_t *t, node_t *n, const cid_t *manifest, uint64_t timeout_ms,
                        mesh_receipts_fn progress, void *arg, mesh_deletion_t *ret)
{
    AUTO(buf_t) tombstone = {0};
    mesh_t *mesh;
    char text[CID_TEXT_MAX];
    buf_init(&tombstone, TOMBSTONE_MAX_BYTES);
    TRY(mesh_files_member(n, &mesh));
    deadline_t limit = begin_wait(t, n); /* the manifest may have to be fetched */
    TRY(end_wait(t, &limit, sign_tombstone(t, n, manifest, &tombstone)));
    deleting_t *d = xcalloc(1, sizeof *d);
    *d = (deleting_t){.mesh = mesh,
                      .tombstone = buf_bytes(&tombstone),
                      .timeout_ms = timeout_ms ? timeout_ms : MESH_RECEIPTS_MS,
                      .progress = progress,
                      .arg = arg,
                      .result = ret};
    err_t e = watch_call(t, &d->watched, delete_task, tell_receipts, d);
    /* However it ended, and whoever has stopped waiting for it: once the tombstone is durable, it is deleted.
     */
    if (mesh_is_deleted(mesh, manifest)) {
        task_shield(t);
        err_t listed = vault_deleted(t, node_vault(n), manifest);
        task_unshield(t);
        e = e ? e : listed;
    }
    if (!e)
        log_info("file deleted", LOG_STR("cid", cid_print(manifest, text)),
                 LOG_UINT("holders", ret->n_holders), LOG_UINT("receipts", ret->n_deleted));
    free(d);
    return e;
}

/* rpc_car: dag/import and dag/export. Reference: ipfs/kubo core/commands/dag. */
#include "api/announce.h"
#include "api/car_stream.h"
#include "api/rpc_util.h"
#include "api/upload.h"
#include "base/log.h"
#include "dag/car_import.h"
#include "dag/cid_set.h"
#include <stdlib.h>

enum { ROOTS_MAX_BYTES = 64 << 20 };

/* ── import ──────────────────────────────────────────────────────────────────────────────────── */
typedef struct dag_import {
    rpc_t *r;
    repo_import_t *import;
    car_import_t *blocks;
    upload_t upload;
    cid_set_t known; /* which of the roots below */
    buf_t roots;     /* each behind its length, in the order in which they came first */
    bool pins;
    announce_t announce;
} dag_import_t;

static err_t add_root(void *arg, const cid_t *root)
{
    dag_import_t *d = arg;
    uint8_t raw[CID_BINARY_MAX];
    bool is_new;
    TRY(cid_set_add(&d->known, root, &is_new));
    writer_t w = writer_to(&d->roots);
    if (is_new)
        write_length_prefixed(&w, bytes_of(raw, cid_encode(root, raw)));
    return w.err;
}

static err_t read_options(dag_import_t *d)
{
    rpc_t *r = d->r;
    bool is_local = rpc_bool(r, "local-only", false);
    d->pins = rpc_bool(r, "pin-roots", !is_local);
    if (is_local && d->pins)
        return fail(ERR_INVALID, "--local-only implies --pin-roots=false and cannot be combined with "
                                 "--pin-roots=true; please drop one of them");
    d->announce = announce_options(r);
    return OK;
}

/* What is there already may complete what was imported; nothing is fetched. */
static err_t pin_root(task_t *t, dag_import_t *d, const cid_t *root)
{
    node_t *n = d->r->node;
    char text[CID_TEXT_MAX];
    if (!blocks_has(t, node_local_blocks(n), root))
        return fail(ERR_NOT_FOUND, "ipld: could not find %s", cid_print(root, text));
    return pins_add_known(t, repo_pins(node_repo(n)), node_local_blocks(n), root,
                          car_import_leaves(d->blocks));
}

static err_t emit_root(task_t *t, dag_import_t *d, const cid_t *root, const char *why)
{
    char text[CID_TEXT_MAX];
    return rpc_emit(t, d->r,
                    json_pack("{s:{s:{s:s}, s:o}}", "Root", "Cid", "/", rpc_cid(d->r, root, text),
                              "PinErrorMsg", rpc_bytes_json(bytes_str(why))));
}

static err_t finish_root(task_t *t, dag_import_t *d, const cid_t *root)
{
    char why[ERROR_TEXT_MAX] = "";
    err_t e = pin_root(t, d, root);
    if (e == ERR_CANCELED || e == ERR_TIMEOUT)
        return e;
    if (e)
        snprintf(why, sizeof why, "%s", error_text(e));
    return emit_root(t, d, root, why);
}

static err_t announce_root(task_t *t, dag_import_t *d, const cid_t *root)
{
    if (!blocks_has(t, node_local_blocks(d->r->node), root))
        return OK;
    return announce(t, d->r, &d->announce, root, d->pins);
}

static err_t each_root(task_t *t, dag_import_t *d, err_t (*fn)(task_t *, dag_import_t *, const cid_t *))
{
    reader_t roots = reader_of(buf_bytes(&d->roots));
    while (reader_left(&roots)) {
        cid_t root;
        TRY(cid_decode(read_length_prefixed(&roots, CID_BINARY_MAX), &root));
        TRY(fn(t, d, &root));
    }
    return OK;
}

static err_t finish_stats(task_t *t, dag_import_t *d)
{
    car_import_stat_t stat = car_import_stat(d->blocks);
    log_info("archives imported", LOG_UINT("blocks", stat.blocks), LOG_UINT("bytes", stat.bytes));
    if (!rpc_bool(d->r, "stats", false))
        return OK;
    return rpc_emit(t, d->r,
                    json_pack("{s:{s:I, s:I}}", "Stats", "BlockCount", (json_int_t)stat.blocks,
                              "BlockBytesCount", (json_int_t)stat.bytes));
}

/* Durable first, then pinned, then acknowledged, then announced. */
static err_t finish(task_t *t, dag_import_t *d)
{
    TRY(car_import_flush(t, d->blocks));
    TRY(repo_import_sync(t, d->import));
    if (d->pins)
        TRY(each_root(t, d, finish_root));
    TRY(finish_stats(t, d));
    return each_root(t, d, announce_root);
}

static err_t run_import(task_t *t, dag_import_t *d)
{
    size_t count = 0;
    TRY(read_options(d));
    if (upload_init(&d->upload, d->r->x))
        return fail(ERR_USAGE, "file argument 'path' is required");
    d->import = repo_import_begin(node_repo(d->r->node));
    d->blocks = car_import_new(t, repo_import_blocks(d->import), rpc_bool(d->r, "allow-big-block", false));
    for (;; count++) {
        bool has;
        TRY(upload_next(t, &d->upload, &has));
        if (!has)
            break;
        if (d->upload.kind != UPLOAD_FILE)
            return fail(ERR_INVALID, "expected a file handle");
        TRY(car_import_read(t, d->blocks, upload_source(&d->upload), add_root, d));
    }
    return count ? finish(t, d) : fail(ERR_USAGE, "file argument 'path' is required");
}

static err_t rpc_dag_import(task_t *t, rpc_t *r)
{
    dag_import_t *d = xcalloc(1, sizeof *d);
    d->r = r;
    cid_set_init(&d->known);
    buf_init(&d->roots, ROOTS_MAX_BYTES);
    err_t e = run_import(t, d);
    error_slot_t slot = *error_slot(); /* cleaning up must not overwrite why it failed */
    car_import_free(t, d->blocks);
    *error_slot() = slot;
    repo_import_end(d->import);
    upload_deinit(&d->upload);
    cid_set_deinit(&d->known);
    buf_deinit(&d->roots);
    free(d);
    return e;
}

/* ── export ──────────────────────────────────────────────────────────────────────────────────── */
/* The root's block is looked for before the answer begins: then the client hears of its absence by a status.
 */
static err_t resolve_root(task_t *t, rpc_t *r, bool is_local, node_session_t *ret_session, cid_t *ret_root)
{
    AUTO_PTR(block_t) block = NULL;
    TRY(rpc_resolve_cid(t, r, r->args[0], ret_root));
    TRY(node_session_open(r->node, is_local || rpc_bool(r, "offline", false), ret_session));
    return blocks_get(t, ret_session->blocks, ret_root, &block);
}

static err_t explain_missing(rpc_t *r, err_t e)
{
    char why[ERROR_TEXT_MAX];
    if (e != ERR_NOT_FOUND || (node_is_online(r->node) && !rpc_bool(r, "offline", false)))
        return e;
    snprintf(why, sizeof why, "%s", error_text(e));
    return fail(e, "%s (currently offline, perhaps retry %s)", why,
                rpc_bool(r, "offline", false) ? "without the offline flag"
                                              : "after attaching to the network");
}

typedef struct dag_export {
    rpc_t *r;
    node_session_t session;
    dag_path_t path; /* a root alone */
    uint64_t version;
    car_export_options_t options;
} dag_export_t;

static err_t read_export_options(dag_export_t *d)
{
    rpc_t *r = d->r;
    bool is_local = rpc_bool(r, "local-only", false);
    if (is_local && rpc_option(r, "offline") && !rpc_bool(r, "offline", true))
        return fail(ERR_INVALID,
                    "--local-only implies --offline and cannot be combined with --offline=false; "
                    "please drop one of them");
    d->options = (car_export_options_t){.with_identities = !is_local, .skips_missing = is_local};
    TRY(rpc_u64(r, "car-version", 1, &d->version));
    return d->version == 1 || d->version == 2 ? OK : fail(ERR_USAGE, "option car-version: 1 or 2");
}

static err_t export_blocks(task_t *t, dag_export_t *d, car_export_fn visit, void *arg)
{
    return explain_missing(d->r, car_export(t, d->session.blocks, &d->path, &d->options, visit, arg));
}

static err_t run_export(task_t *t, dag_export_t *d)
{
    AUTO(car_stream_t) stream = {0};
    car_plan_t plan = {0};
    TRY(read_export_options(d));
    TRY(resolve_root(t, d->r, d->options.skips_missing, &d->session, &d->path.root));
    if (d->version == 2)
        TRY(export_blocks(t, d, car_plan_block, &plan));
    TRY(rpc_begin_bytes(t, d->r, "application/vnd.ipld.car", -1));
    TRY(car_stream_begin(&stream, d->r->x, &d->path.root, 1, d->version == 2 ? &plan : NULL));
    return car_stream_end(t, &stream, export_blocks(t, d, car_stream_put, &stream));
}

static err_t rpc_dag_export(task_t *t, rpc_t *r)
{
    dag_export_t *d = xcalloc(1, sizeof *d);
    d->r = r;
    err_t e = run_export(t, d);
    error_slot_t slot = *error_slot();
    node_session_close(&d->session);
    *error_slot() = slot;
    free(d);
    return e;
}

const rpc_command_t rpc_car_commands[] = {
    {"dag/import", rpc_dag_import, 0, 0, NULL},
    {"dag/export", rpc_dag_export, 1, 1, "root"},
    {NULL, NULL, 0, 0, NULL},
};

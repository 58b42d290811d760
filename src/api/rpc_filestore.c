/* rpc_filestore: `filestore ls/verify/dups`: blocks whose bytes stay in files. Reference: ipfs/kubo
 * core/commands/filestore.go, ipfs/boxo filestore/util.go. */
#include "api/rpc_util.h"
#include "multi/multibase.h"
#include "repo/filestore.h"
#include <stdlib.h>

enum { FILE_ORDER_MAX_BYTES = 256 << 20 };

typedef struct listing {
    rpc_t *r;
    filestore_t *files;
    bool verifies, removes;
} listing_t;

static err_t open_listing(rpc_t *r, bool verifies, listing_t *ret)
{
    *ret = (listing_t){.r = r, .files = repo_filestore(node_repo(r->node)), .verifies = verifies};
    ret->removes = verifies && rpc_bool(r, "remove-bad-blocks", false);
    if (!ret->files)
        return fail(ERR_INVALID, "filestore is not enabled, see https://git.io/vNItf");
    return OK;
}

static err_t emit(task_t *t, listing_t *l, const filestore_ref_t *ref, filestore_status_t status,
                  const char *why)
{
    char text[CID_TEXT_MAX];
    if (l->removes && status != FILESTORE_OK && status != FILESTORE_BROKEN)
        TRY(filestore_forget(t, l->files, &ref->cid));
    json_t *key = json_pack("{s:s}", "/", cid_print(&ref->cid, text));
    return rpc_emit(t, l->r,
                    json_pack("{s:i, s:o, s:o, s:o, s:I, s:I}", "Status", (int)status, "ErrorMsg",
                              rpc_text_json(why), "Key", key, "FilePath", rpc_bytes_json(ref->path), "Offset",
                              (json_int_t)ref->offset, "Size", (json_int_t)ref->size));
}

static err_t list_one(task_t *t, void *arg, const filestore_ref_t *ref)
{
    listing_t *l = arg;
    char why[ERROR_TEXT_MAX] = "";
    filestore_status_t status = l->verifies ? filestore_check(t, l->files, ref, why) : FILESTORE_OK;
    return emit(t, l, ref, status, why);
}

/* ── those that are named ────────────────────────────────────────────────────────────────────── */

/* These are always verified, as the reference does. */
static err_t list_arg(task_t *t, listing_t *l, const char *text)
{
    AUTO(buf_t) room = {0};
    char why[ERROR_TEXT_MAX];
    filestore_ref_t ref = {0};
    cid_t cid;
    if (cid_parse_str(text, &cid)) {
        json_t *line = json_pack("{s:i, s:o, s:n, s:s, s:i, s:i}", "Status", FILESTORE_BROKEN, "ErrorMsg",
                                 json_sprintf("%.100s: %s", text, error_text(ERR_INVALID)), "Key", "FilePath",
                                 "", "Offset", 0, "Size", 0);
        return rpc_emit(t, l->r, line);
    }
    buf_init(&room, FILESTORE_PATH_MAX_BYTES + 64);
    err_t e = filestore_find(t, l->files, &cid, &room, &ref);
    if (!e) {
        filestore_status_t status = filestore_check(t, l->files, &ref, why);
        return emit(t, l, &ref, status, why);
    }
    char cid_text[CID_TEXT_MAX];
    ref.cid = cid;
    ref.cid.version = 1;
    ref.cid.codec = CODEC_RAW;
    snprintf(why, sizeof why, "ipld: could not find %s", cid_print(&ref.cid, cid_text));
    return emit(t, l, &ref, e == ERR_NOT_FOUND ? FILESTORE_MISSING : FILESTORE_BROKEN, why);
}

/* ── by file ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct kept_ref {
    filestore_ref_t ref;
    char path[];
} kept_ref_t;
typedef struct kept_refs {
    kept_ref_t **refs;
    size_t count, cap, bytes;
} kept_refs_t;

static err_t keep_ref(task_t *t, void *arg, const filestore_ref_t *ref)
{
    kept_refs_t *k = arg;
    k->bytes += sizeof(kept_ref_t) + sizeof(kept_ref_t *) + ref->path.len;
    if (k->bytes > FILE_ORDER_MAX_BYTES)
        return fail(ERR_LIMIT,
                    "too many references to put them into the order of files: leave --file-order out");
    if (k->count == k->cap) {
        k->cap = k->cap ? 2 * k->cap : 64;
        k->refs = xrealloc(k->refs, k->cap * sizeof *k->refs);
    }
    kept_ref_t *kept = xcalloc(1, sizeof *kept + ref->path.len);
    kept->ref = *ref;
    if (ref->path.len)
        memcpy(kept->path, ref->path.data, ref->path.len);
    kept->ref.path = bytes_of(kept->path, ref->path.len);
    k->refs[k->count++] = kept;
    return OK;
}

/* As the reference's datastore orders its keys, which are texts. */
static int compare_keys(const cid_t *a, const cid_t *b)
{
    uint8_t room[2][CID_BINARY_MAX];
    AUTO(buf_t) x = {0}, y = {0};
    buf_init(&x, 2 * CID_BINARY_MAX);
    buf_init(&y, 2 * CID_BINARY_MAX);
    bool fits =
        !multibase_encode_raw(MB_BASE32UPPER, bytes_of(room[0], cid_encode_multihash(a, room[0])), &x) &&
        !multibase_encode_raw(MB_BASE32UPPER, bytes_of(room[1], cid_encode_multihash(b, room[1])), &y);
    return fits ? bytes_compare(buf_bytes(&x), buf_bytes(&y)) : cid_compare(a, b);
}

static int compare_places(const void *a, const void *b)
{
    const filestore_ref_t *x = &(*(kept_ref_t *const *)a)->ref, *y = &(*(kept_ref_t *const *)b)->ref;
    int order = bytes_compare(x->path, y->path);
    if (!order)
        order = (x->offset > y->offset) - (x->offset < y->offset);
    return order ? order : compare_keys(&x->cid, &y->cid);
}

static err_t list_by_file(task_t *t, listing_t *l)
{
    kept_refs_t k = {0};
    err_t e = filestore_each(t, l->files, keep_ref, &k);
    if (!e && k.count > 1)
        qsort(k.refs, k.count, sizeof *k.refs, compare_places);
    for (size_t i = 0; i < k.count && !e; i++)
        e = list_one(t, l, &k.refs[i]->ref);
    for (size_t i = 0; i < k.count; i++)
        free(k.refs[i]);
    free(k.refs);
    return e;
}

static err_t list(task_t *t, listing_t *l)
{
    for (size_t i = 0; i < l->r->n_args; i++)
        TRY(list_arg(t, l, l->r->args[i]));
    if (l->r->n_args)
        return OK;
    return rpc_bool(l->r, "file-order", false) ? list_by_file(t, l)
                                               : filestore_each(t, l->files, list_one, l);
}

static err_t rpc_filestore_ls(task_t *t, rpc_t *r)
{
    listing_t l;
    TRY(open_listing(r, false, &l));
    return list(t, &l);
}

static err_t rpc_filestore_verify(task_t *t, rpc_t *r)
{
    listing_t l;
    TRY(open_listing(r, true, &l));
    return list(t, &l);
}

static err_t emit_dup(task_t *t, void *arg, const filestore_ref_t *ref)
{
    listing_t *l = arg;
    char text[CID_TEXT_MAX];
    if (!filestore_has_copy(t, l->files, &ref->cid))
        return OK;
    return rpc_emit(t, l->r, json_pack("{s:s, s:s}", "Ref", rpc_cid(l->r, &ref->cid, text), "Err", ""));
}

static err_t rpc_filestore_dups(task_t *t, rpc_t *r)
{
    listing_t l;
    TRY(open_listing(r, false, &l));
    return filestore_each(t, l.files, emit_dup, &l);
}

const rpc_command_t rpc_filestore_commands[] = {
    {"filestore/ls", rpc_filestore_ls, 0, RPC_MAX_ARGS, NULL},
    {"filestore/verify", rpc_filestore_verify, 0, RPC_MAX_ARGS, NULL},
    {"filestore/dups", rpc_filestore_dups, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};

/* rpc_dfs: dfs/…, the mesh for the command line. Commands of our own. */
#include "api/mesh_files.h"
#include "api/rpc_util.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { PEERS_MAX = 1024, PROGRESS_MS = 200 };

/* ── store ───────────────────────────────────────────────────────────────────────────────────── */
typedef struct store_call {
    rpc_t *r;
    uint64_t told_ms;
    uint32_t told_copies;
} store_call_t;

static err_t on_progress(task_t *t, void *arg, uint64_t read_bytes, uint32_t copies, uint32_t target)
{
    store_call_t *c = arg;
    if (copies == c->told_copies && task_now_ms(t) - c->told_ms < PROGRESS_MS)
        return OK;
    c->told_ms = task_now_ms(t);
    c->told_copies = copies;
    return rpc_emit(t, c->r,
                    json_pack("{s:I, s:I, s:I}", "read", (json_int_t)read_bytes, "have", (json_int_t)copies,
                              "want", (json_int_t)target));
}

static err_t on_stored(task_t *t, void *arg, const mesh_stored_t *s)
{
    return rpc_emit(t, ((store_call_t *)arg)->r, mesh_stored_json(s));
}

static err_t rpc_store(task_t *t, rpc_t *r)
{
    mesh_store_options_t o = {.name = rpc_option(r, "name"), .type = rpc_option(r, "type")};
    store_call_t c = {.r = r, .told_ms = task_now_ms(t)};
    TRY(rpc_u64(r, "replicas", 0, &o.factor));
    bool tells = rpc_bool(r, "progress", true);
    return mesh_files_store(t, r->node, r->x, &o,
                            (mesh_store_sink_t){tells ? on_progress : NULL, on_stored, &c});
}

/* ── get, cat ────────────────────────────────────────────────────────────────────────────────── */

static err_t put_name(rpc_t *r, const vault_info_t *i)
{
    AUTO(buf_t) name;
    const char *text;
    char size[32];
    buf_init(&name, 4 * VAULT_NAME_MAX);
    TRY(percent_encode(bytes_str(i->name), "-_.~", &name));
    TRY(buf_cstr(&name, &text));
    TRY(exchange_set_header(r->x, "X-Distribute-Name", text));
    snprintf(size, sizeof size, "%" PRIu64, i->size_bytes);
    return exchange_set_header(r->x, "X-Content-Length", size);
}

static err_t rpc_fetch(task_t *t, rpc_t *r)
{
    AUTO(mesh_open_t) o = {0};
    TRY(mesh_files_open(t, r->node, r->args[0], rpc_bool(r, "offline", false), &o));
    TRY(put_name(r, vault_file_info(o.file)));
    TRY(rpc_begin_bytes(t, r, "application/x-tar", -1));
    return mesh_files_tar(t, &o, r->x);
}

static err_t rpc_show(task_t *t, rpc_t *r)
{
    AUTO(mesh_open_t) o = {0};
    uint64_t offset, length;
    TRY(rpc_u64(r, "offset", 0, &offset));
    TRY(rpc_u64(r, "length", UINT64_MAX, &length));
    TRY(mesh_files_open(t, r->node, r->args[0], rpc_bool(r, "offline", false), &o));
    if (vault_file_info(o.file)->is_folder)
        return fail(ERR_INVALID, "%.100s is a folder: 'dfs get' writes it to disk", r->args[0]);
    TRY(vault_seek(t, o.file, offset, length));
    TRY(rpc_begin_bytes(t, r, NULL, -1));
    return mesh_files_write(t, &o, r->x);
}

/* ── ls ──────────────────────────────────────────────────────────────────────────────────────── */
typedef struct list_call {
    rpc_t *r;
    uint64_t left;
} list_call_t;

static err_t on_listed(task_t *t, void *arg, const vault_listed_t *l)
{
    list_call_t *c = arg;
    if (!c->left)
        return ERR_CLOSED; /* enough */
    c->left--;
    return rpc_emit(t, c->r, mesh_listed_json(l));
}

static err_t on_entry(task_t *t, void *arg, const vault_entry_t *e)
{
    list_call_t *c = arg;
    char text[CID_TEXT_MAX], hex[65];
    manifest_print_hex(&e->manifest, hex);
    return rpc_emit(t, c->r,
                    json_pack("{s:s, s:s, s:o, s:I, s:b}", "cid", cid_print(&e->manifest, text), "hash", hex,
                              "name", rpc_bytes_json(bytes_str(e->name)), "size", (json_int_t)e->size_bytes,
                              "is_folder", e->is_folder));
}

static err_t list_folder(task_t *t, rpc_t *r, list_call_t *c)
{
    AUTO(mesh_open_t) o = {0};
    TRY(mesh_files_open(t, r->node, r->args[0], rpc_bool(r, "offline", false), &o));
    if (!vault_file_info(o.file)->is_folder)
        return rpc_emit(t, r, mesh_info_json(vault_file_info(o.file)));
    return vault_each_entry(t, o.file, on_entry, c);
}

static err_t rpc_list(task_t *t, rpc_t *r)
{
    list_call_t c = {.r = r};
    vault_key_info_t key;
    TRY(rpc_u64(r, "limit", UINT64_MAX, &c.left));
    if (r->n_args)
        return list_folder(t, r, &c);
    TRY(vault_key_info(t, node_vault(r->node), &key));
    if (!key.exists)
        return OK; /* nothing was ever stored */
    err_t e = vault_each(t, node_vault(r->node), rpc_bool(r, "deleted", false), on_listed, &c);
    return e == ERR_CLOSED && !c.left ? OK : e;
}

/* ── status, peers ───────────────────────────────────────────────────────────────────────────── */

static err_t on_file(task_t *t, void *arg, const mesh_file_t *f)
{
    rpc_t *r = arg;
    return rpc_emit(t, r, mesh_file_json(t, r->node, f));
}

static err_t one_status(task_t *t, rpc_t *r, mesh_t *m)
{
    cid_t manifest;
    TRY(manifest_parse_name(bytes_str(r->args[0]), &manifest));
    mesh_file_t *f = xcalloc(1, sizeof *f);
    err_t e = mesh_status(t, m, &manifest, MESH_ASK_MS, f);
    if (!e && f->state == MESH_FILE_UNKNOWN && !f->n_holders)
        e = fail(ERR_NOT_FOUND, "no member knows %.100s", r->args[0]);
    if (!e)
        e = on_file(t, r, f);
    free(f);
    return e;
}

static err_t rpc_state(task_t *t, rpc_t *r)
{
    mesh_t *m;
    mesh_stat_t s;
    TRY(mesh_files_member(r->node, &m));
    if (r->n_args)
        return one_status(t, r, m);
    if (rpc_bool(r, "all", false))
        return mesh_each_file(t, m, on_file, r);
    mesh_stat(m, &s);
    return rpc_emit(t, r, mesh_stat_json(r->node, &s));
}

static err_t rpc_members(task_t *t, rpc_t *r)
{
    mesh_t *m;
    TRY(mesh_files_member(r->node, &m));
    mesh_peer_t *peers = xcalloc(PEERS_MAX, sizeof *peers);
    size_t n = mesh_peers(m, peers, PEERS_MAX);
    err_t e = OK;
    for (size_t i = 0; !e && i < n; i++)
        e = rpc_emit(t, r, mesh_peer_json(&peers[i]));
    free(peers);
    return e;
}

/* ── delete, share ───────────────────────────────────────────────────────────────────────────── */
typedef struct delete_call {
    rpc_t *r;
    const cid_t *manifest;
} delete_call_t;

static err_t on_receipts(task_t *t, void *arg, const mesh_deletion_t *so_far)
{
    delete_call_t *c = arg;
    return rpc_emit(t, c->r,
                    json_pack("{s:I, s:I}", "have", (json_int_t)so_far->n_deleted, "want",
                              (json_int_t)so_far->n_holders));
}

static err_t rpc_delete(task_t *t, rpc_t *r)
{
    cid_t manifest;
    uint64_t wait_ms;
    TRY(manifest_parse_name(bytes_str(r->args[0]), &manifest));
    TRY(rpc_duration_ms(r, "wait", &wait_ms));
    mesh_deletion_t *d = xcalloc(1, sizeof *d);
    delete_call_t c = {r, &manifest};
    err_t e = mesh_files_delete(t, r->node, &manifest, wait_ms,
                                rpc_bool(r, "progress", true) ? on_receipts : NULL, &c, d);
    if (!e)
        e = rpc_emit(t, r, mesh_deletion_json(&manifest, d));
    free(d);
    return e;
}

static err_t rpc_share(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    char link[VAULT_LINK_MAX];
    cid_t manifest;
    TRY(manifest_parse_name(bytes_str(r->args[0]), &manifest));
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    TRY(vault_share(t, node_vault(r->node), session.blocks, &manifest, link));
    err_t e = rpc_emit(t, r, json_pack("{s:s}", "link", link));
    secret_wipe(link, sizeof link);
    return e;
}

const rpc_command_t rpc_dfs_commands[] = {
    {"dfs/store", rpc_store, 0, 0, NULL},
    {"dfs/get", rpc_fetch, 1, 1, "cid"},
    {"dfs/cat", rpc_show, 1, 1, "cid"},
    {"dfs/ls", rpc_list, 0, 1, NULL},
    {"dfs/status", rpc_state, 0, 1, NULL},
    {"dfs/peers", rpc_members, 0, 0, NULL},
    {"dfs/delete", rpc_delete, 1, 1, "cid"},
    {"dfs/share", rpc_share, 1, 1, "cid"},
    {NULL, NULL, 0, 0, NULL},
};

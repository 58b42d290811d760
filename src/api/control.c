/* control: the control API of a node of the mesh: JSON over HTTP, described in docs/openapi/mesh.json, which
 * it serves at /openapi.json. The RPC stands beside it, under /api/v0. */
#include "api/api_internal.h"
#include "api/gateway.h"
#include "api/mesh_files.h"
#include "api/rpc_access.h"
#include "base/net_addr.h"
#include "base/version.h"
#include "codec/manifest.h"
#include "wire/http_auth.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { PEERS_MAX = 1024, PAGE_BYTES = 32 << 10, NAME_BYTES = 4 << 10, FIND_WAIT_MS = 30000 };
#define JSON_TYPE "application/json"
extern const uint8_t openapi_mesh[];
extern const size_t openapi_mesh_len;

typedef struct control {
    api_t *api;
    node_t *node;
    exchange_t *x;
    const char *name; /* what stands behind the route, decoded; "" when none does */
} control_t;

/* ── answers ─────────────────────────────────────────────────────────────────────────────────── */

/* Takes `object`. */
static err_t reply(task_t *t, control_t *c, int status, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (!text)
        return fail(ERR_NO_MEMORY, "cannot make the answer");
    err_t e = exchange_reply(t, c->x, status, JSON_TYPE, bytes_str(text));
    free(text);
    return e;
}

static err_t reply_error(task_t *t, control_t *c, err_t e)
{
    if (c->x->has_begun || exchange_is_gone(c->x))
        return e; /* the answer is cut, so that it is not taken for whole */
    int status = error_http_status(e);
    return reply(
        t, c, status,
        json_pack("{s:s, s:s, s:i}", "error", error_text(e), "code", error_name(e), "status", status));
}

static bool wants_json(exchange_t *x)
{
    const char *accept = exchange_header(x, "Accept");
    return accept && strstr(accept, JSON_TYPE);
}

/* A list as it comes: {"KEY":[…]}, in flat memory. */
typedef struct json_list {
    control_t *control;
    buf_t page;
    size_t count;
} json_list_t;

static err_t list_begin(json_list_t *l, control_t *c, const char *key)
{
    *l = (json_list_t){.control = c};
    buf_init(&l->page, PAGE_BYTES * 4);
    return buf_printf(&l->page, "{\"%s\":[", key);
}

static err_t list_send(task_t *t, json_list_t *l)
{
    exchange_t *x = l->control->x;
    if (!x->has_begun) {
        TRY(exchange_set_header(x, "Content-Type", JSON_TYPE));
        TRY(exchange_begin(x, 200, -1));
    }
    TRY(exchange_write(t, x, buf_bytes(&l->page)));
    buf_clear(&l->page);
    return OK;
}

/* Takes `object`. */
static err_t list_add(task_t *t, json_list_t *l, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (!text)
        return fail(ERR_NO_MEMORY, "cannot make the answer");
    err_t e = buf_printf(&l->page, "%s%s", l->count++ ? "," : "", text);
    free(text);
    TRY(e);
    return l->page.len >= PAGE_BYTES ? list_send(t, l) : OK;
}

static err_t list_end(task_t *t, json_list_t *l, err_t e)
{
    if (!e)
        e = buf_printf(&l->page, "]}\n");
    if (!e)
        e = list_send(t, l);
    buf_deinit(&l->page);
    return e;
}

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */
typedef struct stored_list {
    json_t *list;
} stored_list_t;

static err_t on_stored(task_t *t, void *arg, const mesh_stored_t *s)
{
    json_array_append_new(((stored_list_t *)arg)->list, mesh_stored_json(s));
    return OK;
}

static err_t query(exchange_t *x, const char *name, buf_t *room, const char **ret)
{
    buf_init(room, NAME_BYTES);
    err_t e = exchange_query(x, name, 0, room);
    *ret = NULL;
    return e == ERR_NOT_FOUND ? OK : e ? e : buf_cstr(room, ret);
}

/* One file answers with its object, several with a list of them. */
static err_t store(task_t *t, control_t *c)
{
    AUTO(buf_t) name = {0};
    AUTO(buf_t) type = {0};
    mesh_store_options_t o = {0};
    stored_list_t stored = {json_array()};
    err_t e = query(c->x, "name", &name, &o.name);
    if (!e)
        e = query(c->x, "type", &type, &o.type);
    if (!e)
        e = exchange_query_u64(c->x, "replicas", 0, &o.factor);
    if (!e)
        e = mesh_files_store(t, c->node, c->x, &o, (mesh_store_sink_t){NULL, on_stored, &stored});
    if (!e && json_array_size(stored.list) == 1)
        e = reply(t, c, 201, json_incref(json_array_get(stored.list, 0)));
    else if (!e)
        e = reply(t, c, 201, json_pack("{s:O}", "files", stored.list));
    json_decref(stored.list);
    return e;
}

typedef struct files_call {
    json_list_t list;
    uint64_t left;
} files_call_t;

static err_t on_listed(task_t *t, void *arg, const vault_listed_t *l)
{
    files_call_t *f = arg;
    if (!f->left)
        return ERR_CLOSED; /* enough */
    f->left--;
    return list_add(t, &f->list, mesh_listed_json(l));
}

static err_t list_files(task_t *t, control_t *c)
{
    files_call_t f;
    vault_key_info_t key;
    TRY(exchange_query_u64(c->x, "limit", UINT64_MAX, &f.left));
    bool with_deleted = exchange_query_bool(c->x, "deleted", false);
    TRY(vault_key_info(t, node_vault(c->node), &key));
    err_t e = list_begin(&f.list, c, "files");
    if (!e && key.exists)
        e = vault_each(t, node_vault(c->node), with_deleted, on_listed, &f);
    if (e == ERR_CLOSED && !f.left)
        e = OK;
    return list_end(t, &f.list, e);
}

static err_t show_file(task_t *t, control_t *c)
{
    mesh_t *m;
    cid_t manifest;
    TRY(mesh_files_member(c->node, &m));
    TRY(manifest_parse_name(bytes_str(c->name), &manifest));
    mesh_file_t *f = xcalloc(1, sizeof *f);
    err_t e = mesh_status(t, m, &manifest, MESH_ASK_MS, f);
    if (!e && f->state == MESH_FILE_UNKNOWN && !f->n_holders)
        e = fail(ERR_NOT_FOUND, "no member knows this file");
    if (!e)
        e = reply(t, c, 200, mesh_file_json(t, c->node, f));
    free(f);
    return e;
}

static err_t set_disposition(exchange_t *x, const char *name)
{
    AUTO(buf_t) value = {0};
    const char *text;
    buf_init(&value, NAME_BYTES);
    TRY(buf_printf(&value, "attachment; filename*=UTF-8''"));
    TRY(percent_encode(bytes_str(name), "-_.~", &value));
    TRY(buf_cstr(&value, &text));
    return exchange_set_header(x, "Content-Disposition", text);
}

/* One range at most: more of them are as none. */
static err_t begin_content(task_t *t, control_t *c, const vault_info_t *i, vault_file_t *f)
{
    ranges_t ranges;
    char text[96];
    ranges_parse(exchange_header(c->x, "Range"), i->size_bytes, &ranges);
    TRY(exchange_set_header(c->x, "Accept-Ranges", "bytes"));
    if (ranges.is_unsatisfiable) {
        snprintf(text, sizeof text, "bytes */%" PRIu64, i->size_bytes);
        TRY(exchange_set_header(c->x, "Content-Range", text));
        return exchange_begin(c->x, 416, 0);
    }
    TRY(exchange_set_header(c->x, "Content-Type", *i->type ? i->type : "application/octet-stream"));
    TRY(exchange_set_header(c->x, "X-Content-Type-Options", "nosniff"));
    TRY(set_disposition(c->x, i->name));
    if (ranges.count != 1)
        return exchange_begin(c->x, 200, (int64_t)i->size_bytes);
    range_t r = ranges.list[0];
    snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, r.from, r.from + r.len - 1,
             i->size_bytes);
    TRY(exchange_set_header(c->x, "Content-Range", text));
    TRY(vault_seek(t, f, r.from, r.len));
    return exchange_begin(c->x, 206, (int64_t)r.len);
}

static err_t get_file(task_t *t, control_t *c)
{
    AUTO(mesh_open_t) o = {0};
    if (wants_json(c->x))
        return show_file(t, c);
    deadline_t d = deadline_push(t, FIND_WAIT_MS);
    err_t e = mesh_files_open(t, c->node, c->name, false, &o);
    deadline_pop(t, &d);
    TRY(e);
    const vault_info_t *i = vault_file_info(o.file);
    bool is_head = !strcmp(c->x->method, "HEAD");
    if (i->is_folder) {
        TRY(exchange_set_header(c->x, "Content-Type", "application/x-tar"));
        TRY(set_disposition(c->x, i->name));
        TRY(exchange_begin(c->x, 200, -1));
        return is_head ? OK : mesh_files_tar(t, &o, c->x);
    }
    TRY(begin_content(t, c, i, o.file));
    return is_head || c->x->status == 416 ? OK : mesh_files_write(t, &o, c->x);
}

static err_t delete_file(task_t *t, control_t *c)
{
    cid_t manifest;
    uint64_t wait_ms;
    TRY(exchange_query_u64(c->x, "wait_ms", MESH_RECEIPTS_MS, &wait_ms));
    TRY(manifest_parse_name(bytes_str(c->name), &manifest));
    mesh_deletion_t *d = xcalloc(1, sizeof *d);
    err_t e = mesh_files_delete(t, c->node, &manifest, wait_ms, NULL, NULL, d);
    if (!e)
        e = reply(t, c, 200, mesh_deletion_json(&manifest, d));
    free(d);
    return e;
}

/* ── the mesh ────────────────────────────────────────────────────────────────────────────────── */

static err_t list_peers(task_t *t, control_t *c)
{
    mesh_t *m;
    json_list_t list;
    TRY(mesh_files_member(c->node, &m));
    mesh_peer_t *peers = xcalloc(PEERS_MAX, sizeof *peers);
    size_t n = mesh_peers(m, peers, PEERS_MAX);
    err_t e = list_begin(&list, c, "peers");
    for (size_t i = 0; !e && i < n; i++)
        e = list_add(t, &list, mesh_peer_json(&peers[i]));
    free(peers);
    return list_end(t, &list, e);
}

static err_t show_status(task_t *t, control_t *c)
{
    mesh_t *m;
    mesh_stat_t s;
    TRY(mesh_files_member(c->node, &m));
    mesh_stat(m, &s);
    return reply(t, c, 200, mesh_stat_json(c->node, &s));
}

static err_t reply_chunk(task_t *t, control_t *c, const cid_t *cid, bool is_local, const block_t *block)
{
    char text[CID_TEXT_MAX];
    if (wants_json(c->x))
        return reply(t, c, 200,
                     json_pack("{s:s, s:I, s:b}", "cid", cid_print(cid, text), "size", (json_int_t)block->len,
                               "is_local", is_local));
    TRY(exchange_set_header(c->x, "X-Content-Type-Options", "nosniff"));
    return exchange_reply(t, c->x, 200, "application/octet-stream", block_bytes(block));
}

static err_t get_chunk(task_t *t, control_t *c)
{
    AUTO(node_session_t) session = {0};
    cid_t cid;
    block_t *block;
    if (cid_parse_str(c->name, &cid))
        TRY(manifest_parse_name(bytes_str(c->name), &cid));
    bool is_local = blocks_has(t, node_local_blocks(c->node), &cid);
    TRY(node_session_open(c->node, is_local, &session));
    deadline_t d = deadline_push(t, FIND_WAIT_MS);
    err_t e = blocks_get(t, session.blocks, &cid, &block);
    deadline_pop(t, &d);
    TRY(e);
    e = reply_chunk(t, c, &cid, is_local, block);
    block_release(block);
    return e;
}

static err_t show_description(task_t *t, control_t *c)
{
    return exchange_reply(t, c->x, 200, JSON_TYPE, bytes_of(openapi_mesh, openapi_mesh_len));
}

/* ── routes ──────────────────────────────────────────────────────────────────────────────────── */
typedef struct route {
    const char *method, *path;
    bool takes_name; /* a part of the path behind it */
    err_t (*run)(task_t *t, control_t *c);
} route_t;
static const route_t routes[] = {
    {"POST", "/store", false, store},     {"GET", "/files", false, list_files},
    {"GET", "/files", true, get_file},    {"DELETE", "/files", true, delete_file},
    {"GET", "/peers", false, list_peers}, {"GET", "/status", false, show_status},
    {"GET", "/chunks", true, get_chunk},  {"GET", "/openapi.json", false, show_description},
};

/* Does the path lead here? *ret_name: what stands behind it, not decoded. */
static bool leads_to(const route_t *r, const char *path, const char **ret_name)
{
    size_t n = strlen(r->path);
    if (strncmp(path, r->path, n) != 0)
        return false;
    *ret_name = path[n] == '/' ? path + n + 1 : "";
    return r->takes_name ? **ret_name : !path[n];
}

static bool has_method(const route_t *r, const char *method)
{
    return !strcmp(r->method, method) || (!strcmp(r->method, "GET") && !strcmp(method, "HEAD"));
}

static err_t run_route(task_t *t, control_t *c, const route_t *r, const char *name)
{
    AUTO(buf_t) decoded = {0};
    buf_init(&decoded, GATEWAY_PATH_MAX_BYTES);
    err_t e = percent_decode(bytes_str(name), false, &decoded);
    if (!e)
        e = buf_cstr(&decoded, &c->name);
    if (!e)
        e = r->run(t, c);
    secret_wipe(decoded.data, decoded.len); /* a link's key may be in it */
    return e ? reply_error(t, c, e) : OK;
}

static err_t dispatch(task_t *t, control_t *c)
{
    const char *name = "";
    char allowed[64] = "";
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (!leads_to(&routes[i], c->x->path, &name))
            continue;
        if (has_method(&routes[i], c->x->method))
            return run_route(t, c, &routes[i], name);
        size_t len = strlen(allowed);
        snprintf(allowed + len, sizeof allowed - len, "%s%s", len ? ", " : "", routes[i].method);
    }
    if (!*allowed)
        return reply_error(
            t, c, fail(ERR_NOT_FOUND, "there is nothing at this path: /openapi.json tells what is here"));
    TRY(exchange_set_header(c->x, "Allow", allowed));
    return reply(t, c, 405,
                 json_pack("{s:s, s:s, s:i}", "error", "this path has another method", "code", "ERR_USAGE",
                           "status", 405));
}

/* ── who may ask ─────────────────────────────────────────────────────────────────────────────── */

/* With API.Authorizations these decide, else the token of this face, else whoever reaches loopback. */
static bool is_authorized(api_t *api, exchange_t *x)
{
    AUTO(buf_t) wanted = {0};
    const char *sent = exchange_header(x, "Authorization");
    if (x->is_local)
        return true;
    if (api_has_authorizations(api))
        return rpc_is_authorized(api, x, x->path);
    if (!api->control_token[0])
        return true;
    buf_init(&wanted, HTTP_AUTH_MAX_BYTES);
    bool is_it = sent && !http_auth_header(api->control_token, &wanted) &&
                 bytes_equal_secret(buf_bytes(&wanted), bytes_str(sent));
    secret_wipe(wanted.data, wanted.len);
    return is_it;
}

/* Without a token whoever reaches loopback is let in: a page whose name was made to lead here (DNS rebinding)
 * must not be. Its requests carry that name. */
static bool is_asked_as_local(const api_t *api, exchange_t *x)
{
    const char *host = exchange_header(x, "Host");
    net_addr_t address;
    char name[NET_ADDR_TEXT_MAX];
    if (x->is_local || api->control_token[0] || !host || !*host)
        return true;
    size_t n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    if (n == strlen("localhost") && !strncasecmp(host, "localhost", n))
        return true;
    if (n > strlen(host) || n + 3 > sizeof name)
        return false;
    snprintf(name, sizeof name, "%.*s:1", (int)n, host);
    return net_addr_parse(name, &address) == OK;
}

err_t api_control(task_t *t, exchange_t *x, void *arg)
{
    api_t *api = arg;
    control_t c = {.api = api, .node = api->node, .x = x};
    api_begin_trace(t, api, x);
    if (!is_authorized(api, x)) {
        TRY(exchange_set_header(x, "WWW-Authenticate", "Bearer"));
        return reply_error(t, &c,
                           fail(ERR_UNAUTHORIZED,
                                "a token is required: the file api-token in the node's repository holds it"));
    }
    if (!is_asked_as_local(api, x))
        return reply_error(t, &c,
                           fail(ERR_DENIED, "this address is not asked by name: use 127.0.0.1 or localhost"));
    if (!strncmp(x->path, "/api/v0", 7))
        return api_rpc(t, x, api);
    if (!rpc_is_from_allowed_site(api, x))
        return reply_error(t, &c, fail(ERR_DENIED, "requests of other sites are refused"));
    TRY(exchange_set_header(x, "Server", DISTRIBUTE_AGENT));
    return dispatch(t, &c);
}

void api_set_control_token(api_t *a, const char *token)
{
    snprintf(a->control_token, sizeof a->control_token, "%s", token);
}

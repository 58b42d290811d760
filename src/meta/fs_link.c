/* fs_link: connections to storage nodes, and chunks over them. */
#include "base/log.h"
#include "meta/fs_internal.h"
#include "wire/storage.pb-c.h"
#include <stdlib.h>

enum { CONNECT_TIMEOUT_MS = 5000, CALL_TIMEOUT_MS = 60000, REST_AFTER_FAILURE_MS = 10000 };

err_t fs_read_nodes(task_t *t, fs_client_t *c)
{
    AUTO_PTR(json_t) answer = NULL;
    if (c->n_nodes)
        return OK;
    TRY(rest_do(t, &c->rest, "GET", "/nodes", NULL, &answer));
    const json_t *list = json_object_get(answer, "nodes");
    size_t n = json_array_size(list) < FS_NODES_MAX ? json_array_size(list) : FS_NODES_MAX;
    c->nodes = xcalloc(n ? n : 1, sizeof *c->nodes);
    for (size_t i = 0; i < n; i++)
        storage_peer_read(json_array_get(list, i), &c->nodes[i].peer);
    c->n_nodes = n;
    return OK;
}

void fs_close_nodes(task_t *t, fs_client_t *c)
{
    for (size_t i = 0; i < c->n_nodes; i++)
        grpc_conn_close(t, c->nodes[i].conn);
    free(c->nodes);
    c->nodes = NULL;
    c->n_nodes = 0;
}

static fs_node_t *find_node(fs_client_t *c, const char *id)
{
    for (size_t i = 0; i < c->n_nodes; i++)
        if (!strcmp(c->nodes[i].peer.id, id))
            return &c->nodes[i];
    return NULL;
}

static err_t connect_node(task_t *t, fs_client_t *c, fs_node_t *n)
{
    if (n->conn && !n->users) {
        grpc_conn_close(t, n->conn);
        n->conn = NULL;
    }
    if (n->conn)
        return fail(ERR_UNREACHABLE, "the connection to %s was lost", n->peer.address);
    n->is_connecting = true;
    deadline_t d = deadline_push(t, CONNECT_TIMEOUT_MS);
    err_t e = grpc_connect(
        t, &(grpc_target_t){n->peer.address, c->tls, n->peer.has_fingerprint ? n->peer.fingerprint : NULL},
        &n->conn);
    deadline_pop(t, &d);
    n->is_connecting = false;
    event_fire(&c->connected);
    return e;
}

/* The node with a connection to it; node_leave afterwards. */
static err_t node_enter(task_t *t, fs_client_t *c, const char *id, fs_node_t **ret)
{
    TRY(fs_read_nodes(t, c));
    fs_node_t *n = find_node(c, id);
    if (!n)
        return fail(ERR_UNREACHABLE, "storage node %s is not known", id);
    while (n->is_connecting)
        TRY(event_wait(t, &c->connected));
    if (n->failed_at_ms && task_now_ms(t) - n->failed_at_ms < REST_AFTER_FAILURE_MS)
        return fail(ERR_UNREACHABLE, "storage node %s did not answer a moment ago", n->peer.address);
    if (!n->conn || !grpc_conn_is_open(n->conn)) {
        err_t e = connect_node(t, c, n);
        if (e && e != ERR_CANCELED)
            n->failed_at_ms = task_now_ms(t);
        TRY(e);
    }
    n->users++;
    *ret = n;
    return OK;
}

void fs_node_leave(task_t *t, fs_node_t *n, err_t e)
{
    n->users--;
    bool is_its_fault =
        e == ERR_UNREACHABLE || e == ERR_RESET || e == ERR_TIMEOUT || e == ERR_CLOSED || e == ERR_EOF;
    n->failed_at_ms = is_its_fault ? task_now_ms(t) : e ? n->failed_at_ms : 0;
}

err_t fs_node_get(task_t *t, fs_client_t *c, const char *node, const chunk_id_t *id, const char *ticket,
                  uint64_t offset, uint64_t length, buf_t *out)
{
    fs_node_t *n;
    TRY(node_enter(t, c, node, &n));
    buf_clear(out);
    deadline_t d = deadline_push(t, CALL_TIMEOUT_MS);
    err_t e = chunk_link_get(t, n->conn, id, ticket, offset, length, out);
    deadline_pop(t, &d);
    fs_node_leave(t, n, e);
    return e;
}

err_t fs_node_put(task_t *t, fs_client_t *c, const char *node, const chunk_id_t *id, const char *ticket,
                  bytes_t data, char ret_receipt[TICKET_TEXT_MAX])
{
    fs_node_t *n;
    TRY(node_enter(t, c, node, &n));
    deadline_t d = deadline_push(t, CALL_TIMEOUT_MS);
    err_t e = chunk_link_put(t, n->conn, id, ticket, data, ret_receipt);
    deadline_pop(t, &d);
    fs_node_leave(t, n, e);
    return e;
}

static bool says_ipfs(task_t *t, fs_node_t *n)
{
    AUTO(buf_t) out = {0};
    buf_init(&out, 4096);
    deadline_t d = deadline_push(t, CONNECT_TIMEOUT_MS);
    err_t e = grpc_unary(t, n->conn, "/distribute.storage.v1.ChunkStore/Health", BYTES_NONE, &out);
    deadline_pop(t, &d);
    if (e)
        return false;
    Distribute__Storage__V1__HealthResponse *r =
        distribute__storage__v1__health_response__unpack(NULL, out.len, out.data);
    bool is_so = r && r->ipfs;
    if (r)
        distribute__storage__v1__health_response__free_unpacked(r, NULL);
    return is_so;
}

err_t fs_node_on_ipfs(task_t *t, fs_client_t *c, fs_node_t **ret)
{
    TRY(fs_read_nodes(t, c));
    for (size_t i = 0; i < c->n_nodes; i++) {
        fs_node_t *n;
        err_t e = *c->nodes[i].peer.address ? node_enter(t, c, c->nodes[i].peer.id, &n) : ERR_UNREACHABLE;
        if (e == ERR_CANCELED)
            return e;
        if (e)
            continue;
        if (says_ipfs(t, n)) {
            *ret = n;
            return OK;
        }
        fs_node_leave(t, n, OK);
    }
    return fail(ERR_UNSUPPORTED, "no storage node that answers is a node of IPFS: start one with --ipfs");
}

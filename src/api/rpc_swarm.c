/* rpc_swarm: whom this node is connected to, and whom it keeps away from or stays with: swarm/…. Reference:
 * ipfs/kubo core/commands swarm.go, swarm_addrs_autonat.go. */
#include "api/rpc_util.h"
#include "net/nat.h"
#include <stdio.h>
#include <stdlib.h>

enum { MAX_SHOWN_CONNS = 4096, MAX_SHOWN_PROTOCOLS = 256, MAX_SHOWN_ADDRS = 64, OTHER_WAY_TIMEOUT_MS = 5000 };

static json_t *conn_json(rpc_t *r, conn_t *c, bool verbose)
{
    char addr[MULTIADDR_TEXT_MAX], id[PEER_ID_TEXT_MAX], latency[32];
    multiaddr_t bare;
    multiaddr_without_peer(conn_remote_addr(c), &bare);
    json_t *o = json_pack("{s:s, s:s}", "Addr", multiaddr_print(&bare, addr), "Peer",
                          peer_id_print(conn_peer(c), id));
    if (verbose || rpc_bool(r, "direction", false))
        json_object_set_new(o, "Direction", json_integer(conn_is_inbound(c) ? 1 : 2));
    if (verbose || rpc_bool(r, "latency", false)) {
        uint32_t ms = conn_rtt_ms(c);
        snprintf(latency, sizeof latency, ms ? "%ums" : "n/a", ms);
        json_object_set_new(o, "Latency", json_string(latency));
    }
    if (verbose || rpc_bool(r, "streams", false)) {
        json_t *streams = json_array();
        const char *names[MAX_SHOWN_PROTOCOLS];
        size_t n = conn_stream_protocols(c, names, MAX_SHOWN_PROTOCOLS);
        for (size_t i = 0; i < n; i++)
            json_array_append_new(streams, json_pack("{s:s}", "Protocol", names[i]));
        json_object_set_new(o, "Streams", streams);
        json_object_set_new(o, "Muxer", json_string(conn_muxer(c)));
    }
    if (verbose || rpc_bool(r, "identify", false))
        json_object_set_new(o, "Identify", rpc_peer_json(r, conn_peer(c)));
    return o;
}

static err_t rpc_swarm_peers(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    conn_t **conns = xcalloc(MAX_SHOWN_CONNS, sizeof(conn_t *));
    size_t n = host_conns(node_host(r->node), conns, MAX_SHOWN_CONNS);
    json_t *list = json_array();
    bool verbose = rpc_bool(r, "verbose", false);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, conn_json(r, conns[i], verbose));
    free(conns);
    return rpc_emit(t, r, json_pack("{s:o}", "Peers", n ? list : (json_decref(list), json_null())));
}

static err_t emit_strings(task_t *t, rpc_t *r, json_t *list)
{
    return rpc_emit(t, r, json_pack("{s:o}", "Strings", list));
}

/* Over this address; where that leads nowhere, over another one, as Kubo takes the first that works. */
static err_t connect_addr(task_t *t, host_t *h, const peer_id_t *peer, const multiaddr_t *addr,
                          conn_t **ret_conn)
{
    bool is_connected = host_is_connected(h, peer);
    deadline_t d = deadline_push(t, is_connected ? OTHER_WAY_TIMEOUT_MS : TIME_NEVER);
    err_t e = host_connect_addr(t, h, addr, ret_conn);
    deadline_pop(t, &d);
    TRY(task_check(t));
    error_slot_t why = *error_slot();
    if (!e || host_connect(t, h, peer, NULL, 0, ret_conn) == OK)
        return OK;
    TRY(task_check(t));
    *error_slot() = why; /* of the address that was asked for */
    return e;
}

static err_t connect_one(task_t *t, rpc_t *r, const char *text, json_t *lines)
{
    multiaddr_t addr;
    peer_id_t peer;
    conn_t *conn;
    char id[PEER_ID_TEXT_MAX];
    TRY(multiaddr_parse(text, &addr));
    TRY(multiaddr_peer(&addr, &peer));
    multiaddr_part_t only;
    size_t iter = 0;
    bool is_bare_peer = multiaddr_next(&addr, &iter, &only) && only.code == MA_P2P;
    host_forget_failures(node_host(r->node), &peer);
    err_t e = is_bare_peer ? rpc_connect_peer(t, r, &peer, &conn)
                           : connect_addr(t, node_host(r->node), &peer, &addr, &conn);
    peer_id_print(&peer, id);
    if (e)
        return fail_also(e, "connect %s failure", id);
    conn_release(conn);
    host_protect(node_host(r->node), &peer, "user");
    json_array_append_new(lines, json_sprintf("connect %s success", id));
    return OK;
}

static err_t for_each_arg(task_t *t, rpc_t *r, err_t (*fn)(task_t *, rpc_t *, const char *, json_t *))
{
    TRY(rpc_need_online(r));
    json_t *lines = json_array();
    for (size_t i = 0; i < r->n_args; i++) {
        err_t e = fn(t, r, r->args[i], lines);
        if (e) {
            json_decref(lines);
            return e;
        }
    }
    return emit_strings(t, r, lines);
}

static err_t rpc_swarm_connect(task_t *t, rpc_t *r)
{
    return for_each_arg(t, r, connect_one);
}

static err_t disconnect_one(task_t *t, rpc_t *r, const char *text, json_t *lines)
{
    multiaddr_t addr;
    peer_id_t peer;
    char id[PEER_ID_TEXT_MAX];
    if (text[0] == '/') {
        TRY(multiaddr_parse(text, &addr));
        TRY(multiaddr_peer(&addr, &peer));
    } else {
        TRY(peer_id_parse(text, &peer));
    }
    peer_id_print(&peer, id);
    host_unprotect(node_host(r->node), &peer, "user");
    host_stop_keeping(node_host(r->node), &peer);
    if (host_disconnect(node_host(r->node), &peer))
        json_array_append_new(lines, json_sprintf("disconnect %s failure: not connected", id));
    else
        json_array_append_new(lines, json_sprintf("disconnect %s success", id));
    return OK;
}

static err_t rpc_swarm_disconnect(task_t *t, rpc_t *r)
{
    return for_each_arg(t, r, disconnect_one);
}

static err_t rpc_swarm_addrs(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    host_t *host = node_host(r->node);
    conn_t **conns = xcalloc(MAX_SHOWN_CONNS, sizeof(conn_t *));
    multiaddr_t *addrs = xcalloc(MAX_SHOWN_ADDRS, sizeof *addrs);
    size_t n = host_conns(host, conns, MAX_SHOWN_CONNS);
    json_t *all = json_object();
    char id[PEER_ID_TEXT_MAX];
    size_t n_own = host_addrs(host, addrs, MAX_SHOWN_ADDRS);
    json_object_set_new(all, peer_id_print(node_id(r->node), id), rpc_addrs_json(addrs, n_own, NULL));
    for (size_t i = 0; i < n; i++) {
        size_t n_addrs = peerstore_addrs(host_peerstore(host), conn_peer(conns[i]), addrs, MAX_SHOWN_ADDRS);
        json_object_set_new(all, peer_id_print(conn_peer(conns[i]), id),
                            rpc_addrs_json(addrs, n_addrs, NULL));
    }
    free(addrs);
    free(conns);
    return rpc_emit(t, r, json_pack("{s:o}", "Addrs", all));
}

static err_t emit_own_addrs(task_t *t, rpc_t *r, size_t (*get)(const host_t *, multiaddr_t *, size_t),
                            bool with_id)
{
    TRY(rpc_need_online(r));
    multiaddr_t *addrs = xcalloc(MAX_SHOWN_ADDRS, sizeof *addrs);
    size_t n = get(node_host(r->node), addrs, MAX_SHOWN_ADDRS);
    json_t *list = rpc_addrs_json(addrs, n, with_id ? node_id(r->node) : NULL);
    free(addrs);
    return emit_strings(t, r, list);
}

static err_t rpc_swarm_addrs_local(task_t *t, rpc_t *r)
{
    return emit_own_addrs(t, r, host_addrs, rpc_bool(r, "id", false));
}

static err_t rpc_swarm_addrs_listen(task_t *t, rpc_t *r)
{
    return emit_own_addrs(t, r, host_listen_addrs, false);
}

/* ── peering ─────────────────────────────────────────────────────────────────────────────────── */

static err_t emit_peering(task_t *t, rpc_t *r, const peer_id_t *peer)
{
    char id[PEER_ID_TEXT_MAX];
    return rpc_emit(t, r, json_pack("{s:s, s:s}", "ID", peer_id_print(peer, id), "Status", "success"));
}

static err_t rpc_swarm_peering_add(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    for (size_t i = 0; i < r->n_args; i++) {
        multiaddr_t addr;
        peer_id_t peer;
        TRY(multiaddr_parse(r->args[i], &addr));
        TRY(multiaddr_peer(&addr, &peer));
        TRY(host_add_peering(node_host(r->node), &addr));
        TRY(emit_peering(t, r, &peer));
    }
    return OK;
}

static err_t rpc_swarm_peering_rm(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    for (size_t i = 0; i < r->n_args; i++) {
        peer_id_t peer;
        TRY(peer_id_parse(r->args[i], &peer));
        host_stop_keeping(node_host(r->node), &peer);
        TRY(emit_peering(t, r, &peer));
    }
    return OK;
}

typedef struct peerings {
    host_t *host;
    json_t *list;
    multiaddr_t *addrs; /* scratch */
} peerings_t;

static void list_peering(void *arg, const peer_id_t *peer)
{
    peerings_t *p = arg;
    char id[PEER_ID_TEXT_MAX];
    size_t n = peerstore_addrs(host_peerstore(p->host), peer, p->addrs, MAX_SHOWN_ADDRS);
    json_array_append_new(p->list, json_pack("{s:s, s:o}", "ID", peer_id_print(peer, id), "Addrs",
                                             rpc_addrs_json(p->addrs, n, NULL)));
}

static err_t rpc_swarm_peering_ls(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    peerings_t p = {node_host(r->node), json_array(), xcalloc(MAX_SHOWN_ADDRS, sizeof *p.addrs)};
    host_each_peering(p.host, list_peering, &p);
    free(p.addrs);
    return rpc_emit(t, r, json_pack("{s:o}", "Peers", p.list));
}

/* What AutoNAT found out about each public address, in Kubo's three lists: empty ones are left out. */
static err_t rpc_swarm_autonat(task_t *t, rpc_t *r)
{
    static const struct {
        reachability_t state;
        const char *member;
    } lists[] = {{REACHABILITY_PUBLIC, "reachable"},
                 {REACHABILITY_PRIVATE, "unreachable"},
                 {REACHABILITY_UNKNOWN, "unknown"}};
    TRY(rpc_need_online(r));
    host_t *h = node_host(r->node);
    multiaddr_t *addrs = xcalloc(MAX_SHOWN_ADDRS, sizeof *addrs);
    reachability_t states[MAX_SHOWN_ADDRS];
    size_t n = host_probed_addrs(h, addrs, states, MAX_SHOWN_ADDRS);
    json_t *answer = json_pack("{s:s}", "reachability", reachability_name(host_reachability(h)));
    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        for (size_t i = 0; i < n; i++) {
            char text[MULTIADDR_TEXT_MAX];
            if (states[i] != lists[l].state)
                continue;
            json_t *list = json_object_get(answer, lists[l].member);
            if (!list)
                json_object_set_new(answer, lists[l].member, list = json_array());
            json_array_append_new(list, json_string(multiaddr_print(&addrs[i], text)));
        }
    free(addrs);
    return rpc_emit(t, r, answer);
}

const rpc_command_t rpc_swarm_commands[] = {
    {"swarm/peers", rpc_swarm_peers, 0, 0, NULL},
    {"swarm/connect", rpc_swarm_connect, 1, 64, "address"},
    {"swarm/disconnect", rpc_swarm_disconnect, 1, 64, "address"},
    {"swarm/addrs", rpc_swarm_addrs, 0, 0, NULL},
    {"swarm/addrs/local", rpc_swarm_addrs_local, 0, 0, NULL},
    {"swarm/addrs/listen", rpc_swarm_addrs_listen, 0, 0, NULL},
    {"swarm/addrs/autonat", rpc_swarm_autonat, 0, 0, NULL},
    {"swarm/peering/add", rpc_swarm_peering_add, 1, 64, NULL},
    {"swarm/peering/rm", rpc_swarm_peering_rm, 1, 64, NULL},
    {"swarm/peering/ls", rpc_swarm_peering_ls, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};

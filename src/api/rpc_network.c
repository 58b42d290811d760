/* rpc_network: who this node is and what it exchanges: id, ping, bitswap. */
#include "api/rpc.h"
#include "api/rpc_util.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_SHOWN_CONNS = 4096, MAX_SHOWN_PROTOCOLS = 256, MAX_SHOWN_ADDRS = 64 };

/* ── id ──────────────────────────────────────────────────────────────────────────────────────── */

json_t *rpc_addrs_json(const multiaddr_t *addrs, size_t n, const peer_id_t *peer)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        char text[MULTIADDR_TEXT_MAX];
        multiaddr_t full = addrs[i];
        if (peer && multiaddr_with_peer(&addrs[i], peer, &full))
            continue;
        json_array_append_new(list, json_string(multiaddr_print(&full, text)));
    }
    return list;
}

json_t *rpc_text_json(const char *text)
{
    json_t *value = json_string(text); /* NULL when a peer sent what is not UTF-8 */
    return value ? value : json_string("");
}

static json_t *public_key_json(const public_key_t *key)
{
    AUTO(buf_t) pb = {0};
    AUTO(buf_t) text = {0};
    buf_init(&pb, 4 << 10);
    buf_init(&text, 8 << 10);
    if (public_key_encode(key, &pb) || multibase_encode_raw(MB_BASE64PAD, buf_bytes(&pb), &text))
        return json_string("");
    return json_stringn((const char *)text.data, text.len);
}

err_t rpc_peer_base(rpc_t *r, const char *option, const char *otherwise, peer_base_t *ret)
{
    const char *name = rpc_option(r, option);
    if (!name)
        name = otherwise;
    *ret = (peer_base_t){.is_cid = strcmp(name, "b58mh") && strcmp(name, "v0")};
    if (!ret->is_cid || !multibase_from_name(name, &ret->base))
        return OK;
    return fail(ERR_INVALID, "unsupported multibase encoding: %.40s", name);
}

const char *rpc_peer_text(const peer_base_t *b, const peer_id_t *peer, char out[PEER_ID_TEXT_MAX])
{
    if (!b->is_cid || peer_id_print_cid(peer, b->base, out))
        peer_id_print(peer, out);
    return out;
}

static err_t emit_own_id(task_t *t, rpc_t *r)
{
    peer_base_t base;
    TRY(rpc_peer_base(r, "peerid-base", "b58mh", &base));
    char id[PEER_ID_TEXT_MAX];
    host_t *host = node_host(r->node);
    multiaddr_t *addrs = xcalloc(MAX_SHOWN_ADDRS, sizeof *addrs);
    size_t n = host ? host_addrs(host, addrs, MAX_SHOWN_ADDRS) : 0;
    json_t *protocols = json_array();
    const char *names[MAX_SHOWN_PROTOCOLS];
    size_t n_names = host ? host_protocols(host, names, MAX_SHOWN_PROTOCOLS) : 0;
    for (size_t i = 0; i < n_names; i++)
        json_array_append_new(protocols, json_string(names[i]));
    json_t *answer = json_pack("{s:s, s:o, s:o, s:s, s:o}", "ID", rpc_peer_text(&base, node_id(r->node), id),
                               "PublicKey", public_key_json(node_public_key(r->node)), "Addresses",
                               rpc_sorted_json(rpc_addrs_json(addrs, n, node_id(r->node))), "AgentVersion",
                               node_agent(r->node), "Protocols", rpc_sorted_json(protocols));
    free(addrs);
    return rpc_emit(t, r, answer);
}

json_t *rpc_peer_json(rpc_t *r, const peer_id_t *peer)
{
    char id[PEER_ID_TEXT_MAX];
    peerstore_t *ps = host_peerstore(node_host(r->node));
    multiaddr_t *addrs = xcalloc(MAX_SHOWN_ADDRS, sizeof *addrs);
    size_t n = peerstore_addrs(ps, peer, addrs, MAX_SHOWN_ADDRS);
    json_t *protocols = json_array();
    const char *names[MAX_SHOWN_PROTOCOLS];
    size_t n_names = peerstore_protocols(ps, peer, names, MAX_SHOWN_PROTOCOLS);
    for (size_t i = 0; i < n_names; i++)
        json_array_append_new(protocols, rpc_text_json(names[i]));
    public_key_t key;
    json_t *key_json = peerstore_public_key(ps, peer, &key) ? json_string("") : public_key_json(&key);
    json_t *answer =
        json_pack("{s:s, s:o, s:o, s:o, s:o}", "ID", peer_id_print(peer, id), "PublicKey", key_json,
                  "Addresses", rpc_sorted_json(rpc_addrs_json(addrs, n, peer)), "AgentVersion",
                  rpc_text_json(peerstore_agent(ps, peer)), "Protocols", rpc_sorted_json(protocols));
    free(addrs);
    return answer;
}

static err_t identify_peer(task_t *t, rpc_t *r, const peer_id_t *peer)
{
    conn_t *conn;
    TRY(rpc_connect_peer(t, r, peer, &conn));
    err_t e = conn_wait_identified(t, conn);
    conn_release(conn);
    return e;
}

static err_t rpc_id(task_t *t, rpc_t *r)
{
    peer_id_t peer;
    peer_base_t base;
    char id[PEER_ID_TEXT_MAX];
    if (!r->n_args || !*r->args[0])
        return emit_own_id(t, r);
    if (peer_id_parse(r->args[0], &peer))
        return fail(ERR_INVALID, "invalid peer id");
    if (peer_id_equal(&peer, node_id(r->node)))
        return emit_own_id(t, r);
    bool offline = rpc_bool(r, "offline", false);
    TRY(rpc_peer_base(r, "peerid-base", "b58mh", &base));
    if (!offline && !node_is_online(r->node))
        return fail(ERR_OFFLINE,
                    "'id' cannot query information on remote peers without a running node; if you only "
                    "want to convert --peerid-base, pass --offline option");
    if (!offline)
        TRY(identify_peer(t, r, &peer));
    json_t *answer = node_host(r->node) ? rpc_peer_json(r, &peer)
                                        : json_pack("{s:s, s:n, s:s, s:n}", "PublicKey", "", "Addresses",
                                                    "AgentVersion", "", "Protocols");
    json_object_set_new(answer, "ID", json_string(rpc_peer_text(&base, &peer, id)));
    return rpc_emit(t, r, answer);
}

err_t rpc_connect_peer(task_t *t, rpc_t *r, const peer_id_t *peer, conn_t **ret_conn)
{
    host_t *host = node_host(r->node);
    conn_t *open = host_conn(host, peer);
    if (open) {
        *ret_conn = conn_ref(open);
        return OK;
    }
    multiaddr_t known[1];
    routed_peer_t *found = NULL;
    if (!peerstore_addrs(host_peerstore(host), peer, known, 1)) {
        found = xcalloc(1, sizeof *found);
        if (routing_find_peer(t, node_routing(r->node), peer, found))
            found->n_addrs = 0;
    }
    err_t e = host_connect(t, host, peer, found ? found->addrs : NULL, found ? found->n_addrs : 0, ret_conn);
    free(found);
    return e;
}

/* ── ping ────────────────────────────────────────────────────────────────────────────────────── */

static err_t emit_ping(task_t *t, rpc_t *r, bool ok, double ms, const char *text)
{
    return rpc_emit(
        t, r, json_pack("{s:b, s:I, s:s}", "Success", ok, "Time", (json_int_t)(ms * 1e6), "Text", text));
}

static err_t rpc_ping(task_t *t, rpc_t *r)
{
    peer_id_t peer;
    uint64_t count;
    char text[PEER_ID_TEXT_MAX + 32], id[PEER_ID_TEXT_MAX];
    TRY(rpc_need_online(r));
    const char *arg = r->args[0];
    multiaddr_t addr;
    if (arg[0] == '/') {
        TRY(multiaddr_parse(arg, &addr));
        TRY(multiaddr_peer(&addr, &peer));
    } else {
        TRY(peer_id_parse(arg, &peer));
    }
    if (peer_id_equal(&peer, node_id(r->node)))
        return fail(ERR_INVALID, "error: can't ping self");
    TRY(rpc_u64(r, "count", 10, &count));
    if (!count)
        return fail(ERR_USAGE, "ping count must be greater than 0, was 0");
    conn_t *conn;
    TRY(arg[0] == '/' ? host_connect(t, node_host(r->node), &peer, &addr, 1, &conn)
                      : rpc_connect_peer(t, r, &peer, &conn));
    conn_release(conn);
    snprintf(text, sizeof text, "PING %s.", peer_id_print(&peer, id));
    TRY(emit_ping(t, r, true, 0, text));
    double total = 0;
    uint64_t answered = 0;
    for (uint64_t i = 0; i < count; i++) {
        double ms = 0;
        if (i)
            TRY(task_sleep(t, 1000));
        deadline_t d = deadline_push(t, 10000);
        err_t e = host_ping(t, node_host(r->node), &peer, &ms);
        deadline_pop(t, &d);
        TRY(task_check(t));
        if (e) {
            TRY(emit_ping(t, r, false, 0, error_text(e)));
            continue;
        }
        total += ms;
        answered++;
        TRY(emit_ping(t, r, true, ms, ""));
    }
    if (!answered)
        return fail(ERR_UNREACHABLE, "ping failed");
    snprintf(text, sizeof text, "Average latency: %.2fms", total / (double)answered);
    return emit_ping(t, r, true, 0, text);
}

/* ── bitswap ─────────────────────────────────────────────────────────────────────────────────── */

static bool add_want(void *arg, const cid_t *cid)
{
    char text[CID_TEXT_MAX];
    json_array_append_new(arg, json_pack("{s:s}", "/", cid_print(cid, text)));
    return json_array_size(arg) < 10000;
}

static bool add_peer(void *arg, const peer_id_t *peer)
{
    char text[PEER_ID_TEXT_MAX];
    json_array_append_new(arg, json_string(peer_id_print(peer, text)));
    return true;
}

err_t rpc_bitswap_stat(task_t *t, rpc_t *r)
{
    TRY(rpc_refuse_offline(r));
    bitswap_stat_t s;
    bitswap_t *b = node_bitswap(r->node);
    bitswap_stat(b, &s);
    json_t *wants = json_array(), *peers = json_array();
    bitswap_each_want(b, add_want, wants);
    bitswap_each_peer(b, add_peer, peers);
    return rpc_emit(t, r,
                    json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "Wantlist", wants, "Peers",
                              peers, "BlocksReceived", (json_int_t)s.blocks_received, "DataReceived",
                              (json_int_t)s.data_received, "DupBlksReceived",
                              (json_int_t)s.dup_blocks_received, "DupDataReceived",
                              (json_int_t)s.dup_data_received, "MessagesReceived",
                              (json_int_t)s.messages_received, "BlocksSent", (json_int_t)s.blocks_sent,
                              "DataSent", (json_int_t)s.data_sent));
}

static err_t rpc_bitswap_wantlist(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    const char *whose = rpc_option(r, "peer");
    peer_id_t peer = *node_id(r->node);
    if (whose)
        TRY(peer_id_parse(whose, &peer));
    json_t *wants = json_array();
    if (peer_id_equal(&peer, node_id(r->node)))
        bitswap_each_want(node_bitswap(r->node), add_want, wants);
    else
        bitswap_each_peer_want(node_bitswap(r->node), &peer, add_want, wants);
    return rpc_emit(t, r, json_pack("{s:o}", "Keys", wants));
}

static err_t rpc_bitswap_ledger(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    peer_id_t peer;
    bitswap_ledger_t l = {0};
    char id[PEER_ID_TEXT_MAX];
    TRY(peer_id_parse(r->args[0], &peer));
    err_t e = bitswap_ledger(node_bitswap(r->node), &peer, &l);
    if (e && e != ERR_NOT_FOUND)
        return e;
    double ratio = (double)l.sent_bytes / (double)(l.received_bytes + 1);
    return rpc_emit(t, r,
                    json_pack("{s:s, s:o, s:I, s:I, s:I}", "Peer", peer_id_print(&peer, id), "Value",
                              rpc_number_json(ratio), "Sent", (json_int_t)l.sent_bytes, "Recv",
                              (json_int_t)l.received_bytes, "Exchanged", (json_int_t)l.exchanged));
}

const rpc_command_t rpc_network_commands[] = {
    {"id", rpc_id, 0, 1, "peerid"},
    {"ping", rpc_ping, 1, 1, "peer ID"},
    {"bitswap/stat", rpc_bitswap_stat, 0, 0, NULL},
    {"bitswap/wantlist", rpc_bitswap_wantlist, 0, 0, NULL},
    {"bitswap/ledger", rpc_bitswap_ledger, 1, 1, "peer"},
    {NULL, NULL, 0, 0, NULL},
};

/* rpc_routing: routing/… and dht/…: events of a lookup as Kubo streams them, and the routing table. */
#include "api/rpc.h"
#include "api/rpc_util.h"
#include "dag/walk.h"
#include "naming/naming.h"

/* Types of query events, as go-libp2p's routing package numbers them. */
enum {
    EVENT_SENDING_QUERY,
    EVENT_PEER_RESPONSE,
    EVENT_FINAL_PEER,
    EVENT_QUERY_ERROR,
    EVENT_PROVIDER,
    EVENT_VALUE
};
enum { MAX_QUEUED_EVENTS = 256, CLOSEST_PEERS = 20 };

/* A lookup calls back without waiting; its events pass through a bounded queue to the task that writes them.
 */
typedef struct lookup_stream {
    rpc_t *r;
    chan_t events; /* of json_t * */
    cid_t cid;
    uint64_t max;
    bool is_verbose;
} lookup_stream_t;

static json_t *event_json(int type, const peer_id_t *about, json_t *responses, const char *extra)
{
    char id[PEER_ID_TEXT_MAX] = "";
    return json_pack("{s:s, s:i, s:o, s:s}", "ID", about ? peer_id_print(about, id) : "", "Type", type,
                     "Responses", responses ? responses : json_null(), "Extra", extra);
}

static json_t *response_json(const routed_peer_t *p)
{
    char id[PEER_ID_TEXT_MAX];
    return json_pack("[{s:s, s:o}]", "ID", peer_id_print(&p->id, id), "Addrs",
                     rpc_addrs_json(p->addrs, p->n_addrs, NULL));
}

static void push_event(lookup_stream_t *s, json_t *event)
{
    if (chan_try_send(&s->events, event))
        json_decref(event); /* a reader too slow for the trace misses a line of it */
}

static bool on_provider(void *arg, const routed_peer_t *p)
{
    push_event(arg, event_json(EVENT_PROVIDER, NULL, response_json(p), ""));
    return true;
}

static void on_hop(void *arg, const lookup_hop_t *hop)
{
    lookup_stream_t *s = arg;
    if (!s->is_verbose)
        return;
    char extra[128];
    switch (hop->kind) {
    case HOP_ASK:
        push_event(s, event_json(EVENT_SENDING_QUERY, &hop->peer, NULL, hop->dht));
        break;
    case HOP_ANSWER:
        snprintf(extra, sizeof extra, "%s: %u closer peers, %u providers, %llu ms", hop->dht, hop->n_closer,
                 hop->n_providers, (unsigned long long)hop->took_ms);
        push_event(s, event_json(EVENT_PEER_RESPONSE, &hop->peer, NULL, extra));
        break;
    case HOP_FAIL:
        snprintf(extra, sizeof extra, "%s: no answer after %llu ms", hop->dht,
                 (unsigned long long)hop->took_ms);
        push_event(s, event_json(EVENT_QUERY_ERROR, &hop->peer, NULL, extra));
        break;
    default:
        break;
    }
}

static err_t find_providers_task(task_t *t, void *arg)
{
    lookup_stream_t *s = arg;
    err_t e = routing_find_providers(t, node_routing(s->r->node), &s->cid, s->max, on_provider, on_hop, s);
    chan_close(&s->events);
    return e;
}

static err_t write_events(task_t *t, lookup_stream_t *s)
{
    void *event;
    err_t e = OK;
    while (!e && !chan_recv(t, &s->events, &event))
        e = rpc_emit(t, s->r, event);
    return e ? e : task_check(t);
}

static err_t rpc_findprovs(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    lookup_stream_t s = {.r = r, .is_verbose = rpc_bool(r, "verbose", false)};
    TRY(rpc_u64(r, "num-providers", 20, &s.max));
    if (!s.max)
        return fail(ERR_USAGE, "number of providers must be greater than 0");
    TRY(rpc_resolve_cid(t, r, r->args[0], &s.cid));
    chan_init(&s.events, MAX_QUEUED_EVENTS);
    group_t g;
    group_init(&g, node_sched(r->node));
    err_t e = group_spawn(&g, "findprovs", find_providers_task, &s, NULL);
    if (!e) {
        e = write_events(t, &s);
        if (e)
            group_cancel(&g);
        err_t joined = group_join(t, &g);
        e = e ? e : joined;
    }
    group_deinit(&g);
    void *left;
    while (!chan_try_recv(&s.events, &left))
        json_decref(left);
    chan_deinit(&s.events);
    if (!e && !r->is_streaming) /* nobody: an empty stream, not an error */
        return rpc_emit_text(t, r, BYTES_NONE);
    return e;
}

static err_t rpc_findpeer(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    peer_id_t peer;
    TRY(peer_id_parse(r->args[0], &peer));
    routed_peer_t *found = xcalloc(1, sizeof *found);
    err_t e = routing_find_peer(t, node_routing(r->node), &peer, found);
    if (!e)
        e = rpc_emit(t, r, event_json(EVENT_FINAL_PEER, NULL, response_json(found), ""));
    free(found);
    if (e != ERR_NOT_FOUND)
        return e;
    TRY(rpc_emit(t, r, event_json(EVENT_QUERY_ERROR, NULL, NULL, "routing: not found")));
    return fail(e, "routing: not found");
}

static err_t provide_block(task_t *t, rpc_t *r, const cid_t *cid)
{
    char text[CID_TEXT_MAX];
    TRY(routing_provide(t, node_routing(r->node), cid));
    return rpc_emit(t, r, event_json(EVENT_FINAL_PEER, NULL, NULL, cid_print(cid, text)));
}

static err_t provide_dag(task_t *t, rpc_t *r, const cid_t *root)
{
    enum { MAX_BLOCKS = 1 << 22 };
    AUTO(walk_t) w = {0};
    walk_init(&w, node_local_blocks(r->node), root, (walk_options_t){SIZE_MAX, true, true, MAX_BLOCKS});
    for (bool has = true; has;) {
        walk_step_t step;
        TRY(walk_next(t, &w, &step, &has));
        if (has && step.block)
            TRY(provide_block(t, r, &step.cid));
    }
    return OK;
}

static err_t rpc_provide(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    if (!host_conn_count(node_host(r->node)))
        return fail(ERR_UNREACHABLE, "cannot provide, no connected peers");
    bool recursive = rpc_bool(r, "recursive", false);
    for (size_t i = 0; i < r->n_args; i++) {
        cid_t cid;
        char text[CID_TEXT_MAX];
        TRY(rpc_resolve_cid(t, r, r->args[i], &cid));
        if (!blocks_has(t, node_local_blocks(r->node), &cid))
            return fail(ERR_NOT_FOUND, "block %s not found locally, cannot provide", cid_print(&cid, text));
        TRY(recursive ? provide_dag(t, r, &cid) : provide_block(t, r, &cid));
    }
    return OK;
}

static err_t rpc_query(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    peer_id_t peer;
    TRY(peer_id_parse(r->args[0], &peer));
    routed_peer_t *closest = xcalloc(CLOSEST_PEERS, sizeof *closest);
    size_t n = 0;
    err_t e =
        routing_closest_peers(t, node_routing(r->node), peer_id_bytes(&peer), closest, CLOSEST_PEERS, &n);
    for (size_t i = 0; !e && i < n; i++)
        e = rpc_emit(t, r, event_json(EVENT_FINAL_PEER, &closest[i].id, NULL, ""));
    free(closest);
    return e;
}

/* A routing key: "/ipns/NAME" or "/pk/PEER" with the name as text becomes the binary key of the record. */
static err_t record_key(const char *text, buf_t *out)
{
    const char *slash = text[0] == '/' ? strchr(text + 1, '/') : NULL;
    peer_id_t id;
    if (!slash)
        return fail(ERR_USAGE, "key \"%s\" is not of the form /ipns/NAME or /pk/PEER", text);
    TRY(peer_id_parse(slash + 1, &id));
    TRY(buf_append(out, bytes_of(text, (size_t)(slash + 1 - text))));
    return buf_append(out, peer_id_bytes(&id));
}

static err_t rpc_get_value(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    AUTO(buf_t) key = {0};
    AUTO(buf_t) value = {0};
    AUTO(buf_t) text = {0};
    buf_init(&key, 512);
    buf_init(&value, 64 << 10);
    buf_init(&text, 128 << 10);
    TRY(record_key(r->args[0], &key));
    TRY(routing_get_value(t, node_routing(r->node), buf_bytes(&key), NULL, &value));
    TRY(multibase_encode_raw(MB_BASE64PAD, buf_bytes(&value), &text));
    const char *base64;
    TRY(buf_cstr(&text, &base64));
    return rpc_emit(t, r, event_json(EVENT_VALUE, NULL, NULL, base64));
}

static err_t rpc_put_value(task_t *t, rpc_t *r)
{
    AUTO(buf_t) key = {0};
    AUTO(buf_t) value = {0};
    peer_id_t name;
    buf_init(&key, 512);
    buf_init(&value, 64 << 10);
    if (!node_is_online(r->node) && !rpc_bool(r, "allow-offline", false))
        return fail(ERR_OFFLINE, "can't put while offline: pass `--allow-offline` to override");
    TRY(record_key(r->args[0], &key));
    TRY(rpc_read_upload(t, r, &value));
    bool is_name = !name_of_key(buf_bytes(&key), &name);
    if (!is_name)
        TRY(rpc_need_online(r));
    TRY(is_name ? naming_put_record(t, node_naming(r->node), &name, buf_bytes(&value))
                : routing_put_value(t, node_routing(r->node), buf_bytes(&key), buf_bytes(&value)));
    return rpc_emit(t, r, event_json(EVENT_VALUE, is_name ? &name : node_id(r->node), NULL, ""));
}

static bool add_entry(void *arg, const bucket_entry_t *e)
{
    char id[PEER_ID_TEXT_MAX];
    json_array_append_new(arg, json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:b}", "DHT", e->dht, "Bucket",
                                         (json_int_t)e->bucket, "Peer", peer_id_print(&e->peer, id),
                                         "LastUsefulMs", (json_int_t)e->last_useful_ms_ago, "AddedMs",
                                         (json_int_t)e->added_ms_ago, "LatencyMs", (json_int_t)e->latency_ms,
                                         "Connected", e->is_connected));
    return true;
}

static err_t rpc_dht_inspect(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    json_t *entries = json_array();
    routing_each_entry(node_routing(r->node), add_entry, entries);
    routing_stats_t s;
    routing_stats(node_routing(r->node), &s);
    return rpc_emit(t, r,
                    json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:b}", "Peers", entries, "Provided",
                              (json_int_t)s.provided, "ProvideQueue", (json_int_t)s.provide_queue, "Records",
                              (json_int_t)s.records_stored, "Lookups", (json_int_t)s.lookups, "ProvideFailed",
                              (json_int_t)s.provide_failed, "Bootstrapped",
                              routing_is_bootstrapped(node_routing(r->node))));
}

const rpc_command_t rpc_routing_commands[] = {
    {"routing/findprovs", rpc_findprovs, 1, 1, "key"}, {"routing/findpeer", rpc_findpeer, 1, 1, "peerID"},
    {"routing/provide", rpc_provide, 1, 64, "key"},    {"routing/get", rpc_get_value, 1, 1, "key"},
    {"routing/put", rpc_put_value, 1, 1, "key"},       {"dht/query", rpc_query, 1, 1, "peerID"},
    {"dht/inspect", rpc_dht_inspect, 0, 0, NULL},      {NULL, NULL, 0, 0, NULL},
};

#include "api/routing_v1.h"
#include "api/api_internal.h"
#include "api/routing_filter.h"
#include "api/rpc_util.h"
#include "base/map.h"
#include "codec/ipns_record.h"
#include "wire/http_date.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LOOKUP_TIMEOUT_MS = 30000,
    JSON_RECORDS_MAX = 20, /* an answer in one piece; a stream has no such limit */
    QUEUED_MAX = 256,
    CLOSEST_PEERS = 20,
    AGE_WITH_RESULTS_S = 300,
    AGE_WITHOUT_RESULTS_S = 15,
    STALE_S = 48 * 3600,
};
static const char PREFIX[] = "/routing/v1/", RECORD_TYPE[] = "application/vnd.ipfs.ipns-record";

bool routing_v1_is_path(const char *path)
{
    return !strncmp(path, PREFIX, sizeof PREFIX - 1);
}

/* ── answers ─────────────────────────────────────────────────────────────────────────────────── */

static err_t reply_text(task_t *t, exchange_t *x, int status, const char *text)
{
    return exchange_reply(t, x, status, "text/plain; charset=utf-8", bytes_str(text));
}

/* What a delegate (the DHT) said; its words are cut as the reference cuts them. */
static err_t reply_failure(task_t *t, exchange_t *x, int status, const char *what, err_t e)
{
    char line[ERROR_TEXT_MAX + 64];
    snprintf(line, sizeof line, "%s: %s", what, error_text(e));
    return reply_text(t, x, status, line);
}

static err_t set_cache(exchange_t *x, uint64_t age_s, uint64_t stale_s)
{
    char value[128];
    snprintf(value, sizeof value,
             "public, max-age=%" PRIu64 ", stale-while-revalidate=%" PRIu64 ", stale-if-error=%" PRIu64,
             age_s, stale_s, stale_s);
    return exchange_set_header(x, "Cache-Control", value);
}

static err_t set_now(task_t *t, exchange_t *x)
{
    char date[HTTP_DATE_MAX];
    TRY(exchange_set_header(x, "Vary", "Accept"));
    return exchange_set_header(x, "Last-Modified",
                               http_date_print((int64_t)(driver_wall_ms(task_driver(t)) / 1000), date));
}

/* ── records of peers ────────────────────────────────────────────────────────────────────────── */

typedef struct v1_request {
    api_t *api;
    exchange_t *x;
    const char *member; /* "Providers" or "Peers" */
    bool is_stream;     /* NDJSON */
    routing_filter_t addrs, protocols;
    cid_t cid;
    chan_t found; /* of json_t * */
    json_t *list; /* of an answer in one piece */
    size_t n;
} v1_request_t;

/* Which of the two forms is asked for. ERR_USAGE: neither. */
static err_t read_accept(exchange_t *x, bool *ret_stream)
{
    const char *accept = exchange_header(x, "Accept");
    *ret_stream = accept && strstr(accept, "application/x-ndjson");
    if (!accept || *ret_stream || strstr(accept, "application/json") || strstr(accept, "*/*"))
        return OK;
    return fail(ERR_USAGE, "no supported content types");
}

static err_t read_filter(exchange_t *x, const char *name, routing_filter_t *ret)
{
    AUTO(buf_t) value = {0};
    const char *text;
    buf_init(&value, 4 * ROUTING_FILTER_MAX_BYTES);
    err_t e = exchange_query(x, name, 0, &value);
    if (e)
        return e == ERR_NOT_FOUND ? routing_filter_parse(NULL, ret) : e;
    TRY(buf_cstr(&value, &text));
    return routing_filter_parse(text, ret);
}

static err_t read_request(v1_request_t *r)
{
    TRY(read_accept(r->x, &r->is_stream));
    TRY(read_filter(r->x, "filter-addrs", &r->addrs));
    return read_filter(r->x, "filter-protocols", &r->protocols);
}

/* NULL: the filters leave nothing of it. What peers speak does not stand in the DHT's records. */
static json_t *record_json(const v1_request_t *r, const routed_peer_t *p)
{
    char id[PEER_ID_TEXT_MAX], text[MULTIADDR_TEXT_MAX];
    if (!routing_filter_unknown(&r->protocols))
        return NULL;
    json_t *addrs = json_array();
    for (size_t i = 0; i < p->n_addrs; i++)
        if (routing_filter_addr(&r->addrs, &p->addrs[i]))
            json_array_append_new(addrs, json_string(multiaddr_print(&p->addrs[i], text)));
    bool is_unknown = !p->n_addrs && routing_filter_unknown(&r->addrs);
    if (r->addrs.n && !json_array_size(addrs) && !is_unknown) {
        json_decref(addrs);
        return NULL;
    }
    return json_pack("{s:o, s:s, s:s}", "Addrs", addrs, "ID", peer_id_print(&p->id, id), "Schema", "peer");
}

static err_t begin_stream(task_t *t, v1_request_t *r, bool has_results)
{
    if (r->x->has_begun)
        return OK;
    TRY(exchange_set_header(r->x, "Content-Type", "application/x-ndjson"));
    TRY(set_now(t, r->x));
    TRY(set_cache(r->x, has_results ? AGE_WITH_RESULTS_S : AGE_WITHOUT_RESULTS_S, STALE_S));
    return exchange_begin(r->x, 200, has_results ? -1 : 0);
}

/* Takes the record. */
static err_t put_record(task_t *t, v1_request_t *r, json_t *record)
{
    r->n++;
    if (!r->is_stream) {
        json_array_append_new(r->list, record);
        return OK;
    }
    char *text = json_dumps(record, JSON_COMPACT);
    json_decref(record);
    if (!text)
        return fail(ERR_NO_MEMORY, "no memory for a record");
    size_t len = strlen(text);
    text[len] = '\n'; /* in the place of the NUL: the length is known */
    err_t e = begin_stream(t, r, true);
    if (!e)
        e = exchange_write(t, r->x, bytes_of(text, len + 1));
    free(text);
    return e;
}

static err_t end_records(task_t *t, v1_request_t *r)
{
    if (r->is_stream)
        return begin_stream(t, r, false);
    TRY(set_now(t, r->x));
    TRY(set_cache(r->x, r->n ? AGE_WITH_RESULTS_S : AGE_WITHOUT_RESULTS_S, STALE_S));
    json_t *answer = json_pack("{s:O}", r->member, r->list);
    char *text = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    if (!text)
        return fail(ERR_NO_MEMORY, "no memory for the answer");
    err_t e = exchange_reply(t, r->x, 200, "application/json", bytes_str(text));
    free(text);
    return e;
}

/* ── providers ───────────────────────────────────────────────────────────────────────────────── */

static bool on_provider(void *arg, const routed_peer_t *p)
{
    v1_request_t *r = arg;
    json_t *record = record_json(r, p);
    if (record && chan_try_send(&r->found, record))
        json_decref(record); /* the client is slower than the lookup: it hears of the others */
    return true;
}

static err_t lookup_task(task_t *t, void *arg)
{
    v1_request_t *r = arg;
    deadline_t d = deadline_push(t, LOOKUP_TIMEOUT_MS);
    err_t e = routing_find_providers(t, node_routing(r->api->node), &r->cid, 0, on_provider, NULL, r);
    deadline_pop(t, &d);
    chan_close(&r->found);
    return e == ERR_TIMEOUT ? OK : e;
}

static err_t take_records(task_t *t, v1_request_t *r)
{
    void *record;
    err_t e = OK;
    while (!e && (r->is_stream || r->n < JSON_RECORDS_MAX) && !chan_recv(t, &r->found, &record))
        e = put_record(t, r, record);
    return e ? e : task_check(t);
}

static err_t find_providers(task_t *t, v1_request_t *r)
{
    chan_init(&r->found, QUEUED_MAX);
    group_t g;
    group_init(&g, node_sched(r->api->node));
    err_t e = group_spawn(&g, "providers", lookup_task, r, NULL);
    if (!e)
        e = take_records(t, r);
    group_stop(t, &g);
    group_deinit(&g);
    void *left;
    while (!chan_try_recv(&r->found, &left))
        json_decref(left);
    chan_deinit(&r->found);
    return e;
}

static err_t serve_providers(task_t *t, v1_request_t *r, const char *text)
{
    if (cid_parse_str(text, &r->cid))
        return reply_failure(t, r->x, 400, "unable to parse CID", ERR_INVALID);
    if (read_request(r))
        return reply_text(t, r->x, 400, error_slot()->text);
    r->member = "Providers";
    if (node_is_online(r->api->node))
        TRY(find_providers(t, r));
    return end_records(t, r);
}

/* ── peers ───────────────────────────────────────────────────────────────────────────────────── */

/* A peer ID, or any CID with the multihash of one. */
static err_t parse_peer(const char *text, peer_id_t *ret)
{
    cid_t cid;
    if (!peer_id_parse(text, ret))
        return OK;
    uint8_t hash[CID_BINARY_MAX];
    TRY(cid_parse_str(text, &cid));
    return peer_id_decode(bytes_of(hash, cid_encode_multihash(&cid, hash)), ret);
}

static err_t put_peers(task_t *t, v1_request_t *r, const routed_peer_t *peers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        json_t *record = record_json(r, &peers[i]);
        if (record)
            TRY(put_record(t, r, record));
    }
    return end_records(t, r);
}

static err_t serve_peer(task_t *t, v1_request_t *r, const char *text)
{
    peer_id_t peer;
    char what[256];
    snprintf(what, sizeof what, "unable to parse PeerID \"%.150s\"", text);
    if (parse_peer(text, &peer))
        return reply_failure(t, r->x, 400, what, ERR_INVALID);
    if (read_request(r))
        return reply_text(t, r->x, 400, error_slot()->text);
    r->member = "Peers";
    routed_peer_t *found = xcalloc(1, sizeof *found);
    deadline_t d = deadline_push(t, LOOKUP_TIMEOUT_MS);
    err_t e = node_is_online(r->api->node) ? routing_find_peer(t, node_routing(r->api->node), &peer, found)
                                           : ERR_NOT_FOUND;
    deadline_pop(t, &d);
    if (!e || e == ERR_NOT_FOUND || e == ERR_TIMEOUT)
        e = put_peers(t, r, found, !e);
    else
        e = reply_failure(t, r->x, 500, "delegate error", e);
    free(found);
    return e;
}

static err_t serve_closest(task_t *t, v1_request_t *r, const char *text)
{
    peer_id_t peer;
    cid_t cid;
    char what[256];
    snprintf(what, sizeof what, "unable to parse key \"%.150s\"", text);
    bool is_peer = !peer_id_parse(text, &peer);
    if (!is_peer && cid_parse_str(text, &cid))
        return reply_failure(t, r->x, 400, what, ERR_INVALID);
    if (read_accept(r->x, &r->is_stream))
        return reply_text(t, r->x, 400, error_slot()->text);
    if (!node_is_online(r->api->node) || !node_routing(r->api->node))
        return reply_text(t, r->x, 500, "GetClosestPeers not supported: DHT is not available");
    r->member = "Peers";
    routed_peer_t *closest = xcalloc(CLOSEST_PEERS, sizeof *closest);
    size_t n = 0;
    uint8_t hash[CID_BINARY_MAX];
    bytes_t key = is_peer ? peer_id_bytes(&peer) : bytes_of(hash, cid_encode_multihash(&cid, hash));
    deadline_t d = deadline_push(t, LOOKUP_TIMEOUT_MS);
    err_t e = routing_closest_peers(t, node_routing(r->api->node), key, closest, CLOSEST_PEERS, &n);
    deadline_pop(t, &d);
    e = e ? reply_failure(t, r->x, 500, "delegate error", e) : put_peers(t, r, closest, n);
    free(closest);
    return e;
}

/* ── IPNS records ────────────────────────────────────────────────────────────────────────────── */

static err_t set_record_headers(task_t *t, exchange_t *x, const peer_id_t *name, bytes_t bytes)
{
    static const uint8_t etag_key[16] = {0};
    ipns_record_t record;
    char text[PEER_ID_TEXT_MAX], date[HTTP_DATE_MAX], value[PEER_ID_TEXT_MAX + 64];
    uint64_t now_ms = driver_wall_ms(task_driver(t)), left_s = NAMING_LIFETIME_MS / 1000;
    TRY(ipns_record_decode(bytes, &record));
    if (record.has_end) {
        int64_t now_s = (int64_t)(now_ms / 1000);
        left_s = record.end_s > now_s ? (uint64_t)(record.end_s - now_s) : 0;
        TRY(exchange_set_header(x, "Expires", http_date_print(record.end_s, date)));
    }
    const ipns_fields_t *f = &record.signed_fields;
    TRY(set_cache(x, f->has_ttl ? f->ttl_ns / 1000000000 : NAMING_TTL_MS / 1000, left_s));
    TRY(set_now(t, x));
    snprintf(value, sizeof value, "\"%016" PRIx64 "\"", siphash24(etag_key, bytes));
    TRY(exchange_set_header(x, "Etag", value));
    snprintf(value, sizeof value, "attachment; filename=\"%s.ipns-record\"", name_print(name, text));
    return exchange_set_header(x, "Content-Disposition", value);
}

static err_t get_record(task_t *t, v1_request_t *r, const peer_id_t *name)
{
    const char *accept = exchange_header(r->x, "Accept");
    if (accept && *accept && !strstr(accept, "*/*") && !strstr(accept, RECORD_TYPE))
        return reply_text(t, r->x, 406,
                          "content type in 'Accept' header is not supported, retry with "
                          "'application/vnd.ipfs.ipns-record'");
    AUTO(buf_t) record = {0};
    buf_init(&record, NAMING_RECORD_MAX_BYTES);
    deadline_t d = deadline_push(t, LOOKUP_TIMEOUT_MS);
    err_t e = naming_get_record(t, node_naming(r->api->node), name, NULL, &record);
    deadline_pop(t, &d);
    if (e == ERR_NOT_FOUND || e == ERR_TIMEOUT) {
        TRY(set_cache(r->x, AGE_WITHOUT_RESULTS_S, STALE_S));
        return reply_text(t, r->x, 200, "delegate error: routing: not found\n");
    }
    if (e)
        return reply_failure(t, r->x, 500, "delegate error", e);
    TRY(set_record_headers(t, r->x, name, buf_bytes(&record)));
    return exchange_reply(t, r->x, 200, RECORD_TYPE, buf_bytes(&record));
}

static err_t put_ipns_record(task_t *t, v1_request_t *r, const peer_id_t *name)
{
    const char *type = exchange_header(r->x, "Content-Type");
    ipns_record_t parsed;
    if (!type || !strstr(type, RECORD_TYPE))
        return reply_text(t, r->x, 406, "content type in 'Content-Type' header is missing or not supported");
    AUTO(buf_t) record = {0};
    buf_init(&record, NAMING_RECORD_MAX_BYTES);
    if (exchange_read_all(t, r->x, NAMING_RECORD_MAX_BYTES, &record))
        return reply_text(t, r->x, 400, "provided record is too long");
    err_t e = ipns_record_validate(buf_bytes(&record), name, driver_wall_ms(task_driver(t)), &parsed);
    if (e)
        return reply_failure(t, r->x, 400, "provided record is invalid", e);
    e = naming_put_record(t, node_naming(r->api->node), name, buf_bytes(&record));
    return e ? reply_failure(t, r->x, 500, "delegate error", e)
             : exchange_reply(t, r->x, 200, "text/plain; charset=utf-8", BYTES_NONE);
}

static err_t serve_name(task_t *t, v1_request_t *r, const char *text)
{
    peer_id_t name;
    if (name_parse(text, &name) || strstr(text, "/"))
        return reply_failure(t, r->x, 400, "unable to parse CID", ERR_INVALID);
    return !strcmp(r->x->method, "PUT") ? put_ipns_record(t, r, &name) : get_record(t, r, &name);
}

/* ── routes ──────────────────────────────────────────────────────────────────────────────────── */

static const struct route {
    const char *prefix;
    err_t (*serve)(task_t *t, v1_request_t *r, const char *rest);
    bool may_put;
} routes[] = {
    {"providers/", serve_providers, false},
    {"peers/", serve_peer, false},
    {"ipns/", serve_name, true},
    {"dht/closest/peers/", serve_closest, false},
};

static err_t serve_route(task_t *t, v1_request_t *r, const struct route *route, const char *encoded)
{
    AUTO(buf_t) decoded = {0};
    const char *text;
    buf_init(&decoded, 1024);
    bool is_get = !strcmp(r->x->method, "GET") || !strcmp(r->x->method, "HEAD");
    if (!is_get && !(route->may_put && !strcmp(r->x->method, "PUT")))
        return reply_text(t, r->x, 405, "405 - Method Not Allowed\n");
    if (percent_decode(bytes_str(encoded), false, &decoded) || buf_cstr(&decoded, &text))
        return reply_text(t, r->x, 400, "the path cannot be read\n");
    r->list = json_array();
    err_t e = route->serve(t, r, text);
    json_decref(r->list);
    return e;
}

err_t routing_v1_serve(task_t *t, api_t *api, exchange_t *x)
{
    const char *rest = x->path + sizeof PREFIX - 1;
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        size_t n = strlen(routes[i].prefix);
        if (strncmp(rest, routes[i].prefix, n) || !rest[n])
            continue;
        v1_request_t *r = xcalloc(1, sizeof *r);
        r->api = api;
        r->x = x;
        err_t e = serve_route(t, r, &routes[i], rest + n);
        free(r);
        return e;
    }
    return reply_text(t, x, 404, "404 page not found\n");
}

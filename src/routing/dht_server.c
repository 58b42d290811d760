/* The requests of others. A malformed request, or one that is not taken, ends the stream with a reset. */
#include "base/log.h"
#include "routing/routing_internal.h"
#include <stdlib.h>

enum {
    /* Requests of a peer at once, and a second after that; more are slowed down. Announcements are counted
     * apart, since nodes with much content send thousands in a row and still want to ask. */
    ASK_BURST = 500,
    ASKS_PER_SECOND = 100,
    TELL_BURST = 2000,
    TELLS_PER_SECOND = 500,
    MAX_RATES = 4096,
    STREAMS_PER_PEER = 16,
    KEEP_BUFFER_BYTES = 4096,
    PROVIDERS_MAX_BYTES = 1 << 20 /* of providers in one answer */
};

/* ── rate ────────────────────────────────────────────────────────────────────────────────────── */
typedef struct bucket {
    uint64_t since_ms;
    uint32_t tokens;
} bucket_t;
typedef struct rate {
    bucket_t asks, tells;
} rate_t;

static void forget_rates(dht_t *d)
{
    void *rate;
    for (size_t i = 0; map_next(&d->rates, &i, NULL, &rate);)
        free(rate);
    map_deinit(&d->rates);
    map_init(&d->rates, MAX_RATES);
}

static rate_t *rate_of(dht_t *d, const peer_id_t *peer, uint64_t now_ms)
{
    rate_t *r = map_get(&d->rates, peer_id_bytes(peer));
    if (r)
        return r;
    if (map_count(&d->rates) >= MAX_RATES)
        forget_rates(d);
    r = xcalloc(1, sizeof *r);
    *r = (rate_t){{now_ms, ASK_BURST}, {now_ms, TELL_BURST}};
    if (map_put(&d->rates, peer_id_bytes(peer), r, NULL))
        assert(!"there is room");
    return r;
}

static bool take_from(bucket_t *b, uint32_t burst, uint32_t per_second, uint64_t now_ms)
{
    uint64_t earned = (now_ms - b->since_ms) * per_second / 1000;
    if (earned) {
        b->tokens = (uint32_t)(b->tokens + earned > burst ? burst : b->tokens + earned);
        b->since_ms = now_ms;
    }
    if (!b->tokens)
        return false;
    b->tokens--;
    return true;
}

/* Waits until the peer may be served again. */
static err_t take_token(task_t *t, dht_t *d, const peer_id_t *peer, kad_type_t type)
{
    for (;;) {
        uint64_t now_ms = task_now_ms(t);
        rate_t *r = rate_of(d, peer, now_ms);
        if (type == KAD_ADD_PROVIDER ? take_from(&r->tells, TELL_BURST, TELLS_PER_SECOND, now_ms)
                                     : take_from(&r->asks, ASK_BURST, ASKS_PER_SECOND, now_ms))
            return OK;
        TRY(task_sleep(t, 1000 / ASKS_PER_SECOND + 1));
    }
}

/* ── answers ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct serving {
    dht_t *dht;
    const peer_id_t *from;
    writer_t out;
    multiaddr_t *addrs; /* scratch, DHT_ADDRS_PER_PEER of them */
} serving_t;

static void put_peer(serving_t *s, kad_list_t list, const peer_id_t *id, size_t n_addrs)
{
    bool is_connected = host_is_connected(s->dht->host, id);
    kad_put_peer(&s->out, list, id, s->addrs, n_addrs, is_connected ? KAD_CONNECTED : KAD_NOT_CONNECTED);
}

/* Names a peer when an address of it is known. */
static void put_known_peer(serving_t *s, kad_list_t list, const peer_id_t *id)
{
    size_t n = dht_addrs_of(s->dht, id, s->addrs, DHT_ADDRS_PER_PEER);
    if (n)
        put_peer(s, list, id, n);
}

/* The closest of the table, without who asks; `target` (may be NULL) has been named already. */
static void put_closer(serving_t *s, bytes_t key, const peer_id_t *target)
{
    kad_key_t at = kad_key_of(key);
    peer_id_t closest[DHT_K];
    size_t n = kbucket_closest(&s->dht->table, &at, s->from, closest, DHT_K);
    for (size_t i = 0; i < n; i++)
        if (!target || !peer_id_equal(target, &closest[i]))
            put_known_peer(s, KAD_CLOSER, &closest[i]);
}

static err_t answer_find_node(serving_t *s, const kad_message_t *m)
{
    if (!m->key.len)
        return fail(ERR_PROTOCOL, "FIND_NODE without a key");
    peer_id_t target = {0};
    bool is_peer = peer_id_decode(m->key, &target) == OK;
    kad_put_head(&s->out, KAD_FIND_NODE, m->key);
    if (is_peer) /* named when known, whether or not it serves the DHT */
        put_known_peer(s, KAD_CLOSER, &target);
    put_closer(s, m->key, is_peer ? &target : NULL);
    return OK;
}

static err_t check_provider_key(const kad_message_t *m)
{
    if (m->key.len && m->key.len <= KAD_PROVIDER_KEY_MAX_BYTES)
        return OK;
    return fail(ERR_PROTOCOL, "%s with a key of %zu bytes", kad_type_name(m->type), m->key.len);
}

static bool put_provider(void *arg, const provider_t *p)
{
    serving_t *s = arg;
    size_t n = 0;
    for (size_t i = 0; i < p->n_addrs && n < DHT_ADDRS_PER_PEER; i++)
        if (dht_shows_addr(s->dht, &p->addrs[i]))
            s->addrs[n++] = p->addrs[i];
    if (!n)
        n = dht_addrs_of(s->dht, &p->id, s->addrs, DHT_ADDRS_PER_PEER);
    if (n || !peer_id_equal(&p->id, &s->dht->self))
        put_peer(s, KAD_PROVIDERS, &p->id, n);
    return !s->out.err && s->out.out->len < PROVIDERS_MAX_BYTES;
}

/* Ourselves were named already when we have it. */
static bool put_stored(void *arg, const provider_t *p)
{
    serving_t *s = arg;
    bool is_named = peer_id_equal(&p->id, &s->dht->self) && s->dht->routing->has_ourselves;
    return is_named || put_provider(arg, p);
}

static err_t answer_get_providers(task_t *t, serving_t *s, const kad_message_t *m)
{
    TRY(check_provider_key(m));
    kad_put_head(&s->out, KAD_GET_PROVIDERS, m->key);
    put_closer(s, m->key, NULL);
    if (routing_has_ourselves(t, s->dht->routing, m->key)) {
        provider_t *ours = xcalloc(1, sizeof *ours);
        ours->id = s->dht->self;
        put_provider(s, ours);
        free(ours);
    }
    return provider_store_get(t, s->dht->providers, m->key, put_stored, s);
}

static err_t take_provider(task_t *t, serving_t *s, const kad_message_t *m)
{
    TRY(check_provider_key(m));
    kad_peer_t p;
    size_t seen = 0;
    for (size_t i = 0; seen++ < DHT_K && kad_next_peer(m, KAD_PROVIDERS, &i, &p);) {
        if (!peer_id_equal(&p.id, s->from))
            continue; /* nobody announces for others */
        size_t n = 0, given = 0;
        for (size_t j = 0;
             given < KAD_MAX_ADDRS && n < DHT_ADDRS_PER_PEER && kad_next_addr(&p, &j, &s->addrs[n]); given++)
            n += dht_shows_addr(s->dht, &s->addrs[n]);
        if (!given)
            continue;
        err_t e = provider_store_add(t, s->dht->providers, m->key, s->from, s->addrs, n);
        if (e == ERR_LIMIT)
            log_debug("provider record refused", LOG_ERR(e));
        else if (!e)
            s->dht->stats->records_stored++;
        return e == ERR_LIMIT ? OK : e;
    }
    return fail(ERR_PROTOCOL, "ADD_PROVIDER without an entry of its sender that has addresses");
}

static err_t answer_put_value(task_t *t, serving_t *s, const kad_message_t *m)
{
    if (!m->key.len || !m->has_record || !bytes_equal(m->key, m->rec_key))
        return fail(ERR_PROTOCOL, "PUT_VALUE without a record of its key");
    TRY(value_store_put(t, s->dht->values, s->from, m->rec_key, m->rec_value));
    s->dht->stats->records_stored++;
    kad_put_head(&s->out, KAD_PUT_VALUE, m->key);
    kad_put_record(&s->out, m->rec_key, m->rec_value, m->rec_received);
    return OK;
}

static err_t answer_get_value(task_t *t, serving_t *s, const kad_message_t *m)
{
    if (!m->key.len)
        return fail(ERR_PROTOCOL, "GET_VALUE without a key");
    AUTO(buf_t) value;
    buf_init(&value, VALUE_MAX_BYTES);
    uint64_t wall_ms;
    err_t e = value_store_get(t, s->dht->values, m->key, &value, &wall_ms);
    if (e && e != ERR_NOT_FOUND)
        return e;
    kad_put_head(&s->out, KAD_GET_VALUE, m->key);
    if (!e)
        kad_put_record(&s->out, m->key, buf_bytes(&value), BYTES_NONE);
    put_closer(s, m->key, NULL);
    return OK;
}

/* Fills out with the answer; stays empty when there is none. */
static err_t answer(task_t *t, serving_t *s, const kad_message_t *m)
{
    err_t e = OK;
    switch (m->type) {
    case KAD_FIND_NODE:
        e = answer_find_node(s, m);
        break;
    case KAD_GET_PROVIDERS:
        e = answer_get_providers(t, s, m);
        break;
    case KAD_ADD_PROVIDER:
        e = take_provider(t, s, m);
        break;
    case KAD_PUT_VALUE:
        e = answer_put_value(t, s, m);
        break;
    case KAD_GET_VALUE:
        e = answer_get_value(t, s, m);
        break;
    case KAD_PING:
        kad_put_head(&s->out, KAD_PING, m->key);
        break;
    }
    return e ? e : s->out.err;
}

/* What the peer does not read is charged to it. */
static err_t write_answer(task_t *t, conn_t *conn, stream_t *stream, bytes_t out)
{
    TRY(limit_charge(conn_limit(conn), out.len));
    err_t e = stream_write_message(t, stream, out);
    limit_release(conn_limit(conn), out.len);
    return e;
}

static err_t serve_one(task_t *t, dht_t *d, conn_t *conn, bytes_t request, stream_t *stream)
{
    const peer_id_t *from = conn_peer(conn);
    kad_message_t m;
    TRY(kad_decode(request, &m));
    d->stats->messages_in++;
    TRY(take_token(t, d, from, m.type));
    AUTO(buf_t) out;
    buf_init(&out, KAD_MESSAGE_MAX_BYTES);
    serving_t s = {d, from, writer_to(&out), xmalloc(DHT_ADDRS_PER_PEER * sizeof(multiaddr_t))};
    err_t e = answer(t, &s, &m);
    free(s.addrs);
    TRY(e);
    return m.type == KAD_ADD_PROVIDER ? OK : write_answer(t, conn, stream, buf_bytes(&out));
}

static err_t serve_stream(task_t *t, dht_t *d, conn_t *conn, stream_t *stream)
{
    AUTO(buf_t) in;
    buf_init(&in, KAD_REQUEST_MAX_BYTES);
    for (;;) {
        deadline_t limit = deadline_push(t, DHT_IDLE_STREAM_MS);
        err_t e = stream_read_charged(t, stream, KAD_REQUEST_MAX_BYTES, conn_limit(conn), &in);
        bool is_end = e == ERR_EOF && !in.len;
        if (!e) {
            e = serve_one(t, d, conn, buf_bytes(&in), stream);
            limit_release(conn_limit(conn), in.len);
        }
        deadline_pop(t, &limit);
        if (is_end)
            return OK;
        TRY(e);
        if (in.cap > KEEP_BUFFER_BYTES)
            buf_deinit(&in); /* an idle stream keeps little */
    }
}

/* One stream under way: so that closing can end it (the connection may live longer than the DHT). */
typedef struct server {
    list_t node;
    task_t *task;
} server_t;

static err_t handle_stream(task_t *t, stream_t *stream, conn_t *conn, const char *protocol, void *arg)
{
    dht_t *d = arg;
    server_t server = {.task = t};
    list_push_back(&d->serving, &server.node);
    err_t e = serve_stream(t, d, conn, stream);
    list_remove(&server.node);
    event_fire(&d->served);
    if (e)
        stream_reset(stream);
    stream_close(stream);
    return e == ERR_TIMEOUT ? OK : e; /* an idle stream */
}

void dht_end_serving(task_t *t, dht_t *d)
{
    LIST_EACH (s, &d->serving, server_t, node)
        task_cancel(s->task);
    task_shield(t);
    while (!list_is_empty(&d->serving))
        if (event_wait(t, &d->served))
            break;
    task_unshield(t);
}

err_t dht_serve(dht_t *d)
{
    if (d->is_server)
        return OK;
    protocol_options_t options = {.max_inbound_per_peer = STREAMS_PER_PEER};
    TRY(host_handle(d->host, d->protocol, &options, handle_stream, d));
    d->is_server = true;
    return OK;
}

void dht_stop_serving(dht_t *d)
{
    if (!d->is_server)
        return;
    host_unhandle(d->host, d->protocol);
    d->is_server = false;
}

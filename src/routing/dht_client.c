#include "routing/dht_client.h"
#include <stdlib.h>

typedef struct idle_stream {
    list_t node;
    peer_id_t peer;
    stream_t *stream;
    uint64_t since_ms;
    uint32_t unanswered; /* ADD_PROVIDERs sent on it, whose echoes may come */
} idle_stream_t;

static void close_expired(void *arg);

void dht_client_init(dht_client_t *c, host_t *h, const char *protocol)
{
    *c = (dht_client_t){.host = h, .protocol = protocol};
    map_init(&c->idle, DHT_MAX_IDLE_STREAMS);
    list_init(&c->by_age);
    alarm_init(&c->expiry, host_sched(h), close_expired, c);
}

static void drop_idle(dht_client_t *c, idle_stream_t *s)
{
    map_remove(&c->idle, peer_id_bytes(&s->peer));
    list_remove(&s->node);
    stream_close(s->stream);
    free(s);
}

void dht_client_close(dht_client_t *c)
{
    if (c->is_closed || !c->host)
        return;
    c->is_closed = true;
    LIST_EACH (s, &c->by_age, idle_stream_t, node)
        drop_idle(c, s);
    alarm_clear(&c->expiry);
    map_deinit(&c->idle);
}

static void close_expired(void *arg)
{
    dht_client_t *c = arg;
    uint64_t now_ms = sched_now_ms(host_sched(c->host));
    LIST_EACH (s, &c->by_age, idle_stream_t, node) {
        if (now_ms < s->since_ms + DHT_IDLE_STREAM_MS) {
            alarm_set(&c->expiry, s->since_ms + DHT_IDLE_STREAM_MS);
            return;
        }
        drop_idle(c, s);
    }
}

/* A kept stream to the peer, or NULL. */
static stream_t *take_idle(dht_client_t *c, const peer_id_t *peer, uint32_t *ret_unanswered)
{
    idle_stream_t *s = map_remove(&c->idle, peer_id_bytes(peer));
    if (!s)
        return NULL;
    stream_t *stream = s->stream;
    *ret_unanswered = s->unanswered;
    list_remove(&s->node);
    free(s);
    return stream;
}

static void keep_idle(dht_client_t *c, const peer_id_t *peer, stream_t *stream, uint32_t unanswered)
{
    if (c->is_closed || map_has(&c->idle, peer_id_bytes(peer))) {
        stream_close(stream);
        return;
    }
    idle_stream_t *oldest = LIST_FIRST(&c->by_age, idle_stream_t, node);
    if (oldest && map_count(&c->idle) >= DHT_MAX_IDLE_STREAMS)
        drop_idle(c, oldest);
    idle_stream_t *s = xcalloc(1, sizeof *s);
    *s = (idle_stream_t){.peer = *peer,
                         .stream = stream,
                         .since_ms = sched_now_ms(host_sched(c->host)),
                         .unanswered = unanswered};
    if (map_put(&c->idle, peer_id_bytes(peer), s, NULL))
        assert(!"there is room");
    list_push_back(&c->by_age, &s->node);
    if (c->by_age.next == &s->node)
        alarm_set(&c->expiry, s->since_ms + DHT_IDLE_STREAM_MS);
}

static bool is_answer(const kad_message_t *m, kad_type_t type, bytes_t key)
{
    return m->type == type && (!m->key.len || bytes_equal(m->key, key)); /* some leave the key out */
}

/* One request and its answer on a stream. What comes slowly is charged to the host until it is there. */
static err_t exchange(task_t *t, limit_t *limit, stream_t *s, bytes_t request, kad_type_t type, bytes_t key,
                      uint32_t *unanswered, buf_t *answer, kad_message_t *ret)
{
    TRY(stream_write_message(t, s, request));
    for (;;) {
        TRY(stream_read_charged(t, s, KAD_MESSAGE_MAX_BYTES, limit, answer));
        limit_release(limit, answer->len);
        TRY(kad_decode(buf_bytes(answer), ret));
        if (is_answer(ret, type, key))
            return OK;
        if (ret->type != KAD_ADD_PROVIDER || !*unanswered)
            return fail(ERR_PROTOCOL, "%s was answered with %s", kad_type_name(type),
                        kad_type_name(ret->type));
        --*unanswered;
    }
}

static err_t open_stream(task_t *t, dht_client_t *c, const peer_id_t *to, stream_t **ret)
{
    const char *protocol;
    return host_open_stream(t, c->host, to, &c->protocol, 1, ret, &protocol);
}

/* Did the peer just close the stream that we kept? Then a new one may do. */
static bool is_stale(err_t e)
{
    return e == ERR_EOF || e == ERR_RESET || e == ERR_CLOSED || e == ERR_IO;
}

static err_t ask_within(task_t *t, dht_client_t *c, const peer_id_t *to, bytes_t request, kad_type_t type,
                        bytes_t key, buf_t *answer, kad_message_t *ret)
{
    uint32_t unanswered = 0;
    stream_t *s = take_idle(c, to, &unanswered);
    bool is_reused = s != NULL;
    for (;;) {
        if (!s)
            TRY(open_stream(t, c, to, &s));
        err_t e = exchange(t, host_limit(c->host), s, request, type, key, &unanswered, answer, ret);
        if (!e) {
            keep_idle(c, to, s, unanswered);
            return OK;
        }
        stream_reset(s);
        stream_close(s);
        if (!is_reused || !is_stale(e))
            return e;
        is_reused = false;
        unanswered = 0;
        s = NULL;
    }
}

err_t dht_client_ask(task_t *t, dht_client_t *c, const peer_id_t *to, bytes_t request, kad_type_t type,
                     bytes_t key, buf_t *answer, kad_message_t *ret)
{
    deadline_t d = deadline_push(t, DHT_REQUEST_TIMEOUT_MS);
    c->sent++;
    err_t e = ask_within(t, c, to, request, type, key, answer, ret);
    deadline_pop(t, &d);
    return e;
}

static err_t tell_within(task_t *t, dht_client_t *c, const peer_id_t *to, bytes_t message)
{
    uint32_t unanswered = 0;
    stream_t *s = take_idle(c, to, &unanswered);
    if (s) {
        /* Nothing comes back, so a stream that the peer has closed must be seen before: */
        uint8_t byte;
        size_t n = 0;
        if (stream_try_read(s, &byte, 1, &n) != ERR_AGAIN) {
            stream_reset(s);
            stream_close(s);
            s = NULL;
            unanswered = 0;
        }
    }
    if (!s)
        TRY(open_stream(t, c, to, &s));
    err_t e = stream_write_message(t, s, message);
    if (e) {
        stream_reset(s);
        stream_close(s);
        return e;
    }
    keep_idle(c, to, s, unanswered + 1);
    return OK;
}

err_t dht_client_tell(task_t *t, dht_client_t *c, const peer_id_t *to, bytes_t message)
{
    deadline_t d = deadline_push(t, DHT_REQUEST_TIMEOUT_MS);
    c->sent++;
    err_t e = tell_within(t, c, to, message);
    deadline_pop(t, &d);
    return e;
}

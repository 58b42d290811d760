/* throttle: bandwidth limits of the host, of each peer and of protocols, by direction, on what streams carry.
 * Streams that have to wait stand in one line and are woken together when the first limit has room; each
 * moves a little at a time, so that they take turns. */
#include "net/host_internal.h"
#include <stdio.h>
#include <stdlib.h>

enum { PROTOCOLS_MAX = 32, TURN_BYTES = 16 << 10, WAKE_BYTES = 4096, WAYS = 2 };

typedef struct protocol_rate {
    char protocol[PROTOCOL_MAX_BYTES + 1];
    rate_t rates[WAYS];
} protocol_rate_t;

struct throttle {
    host_t *host;
    host_rates_t each_peer;
    rate_t rates[WAYS];
    protocol_rate_t protocols[PROTOCOLS_MAX];
    size_t n_protocols;
    list_t waiting; /* conn_stream_t */
    sched_alarm_t alarm;
};
typedef struct throttle throttle_t;

static uint64_t now_ms(const host_t *h)
{
    return sched_now_ms(h->sched);
}

/* ── limits ──────────────────────────────────────────────────────────────────────────────────── */
static void wake(void *arg)
{
    throttle_t *th = arg;
    list_t now; /* those who have to wait again go into the line anew */
    list_init(&now);
    for (conn_stream_t *s; (s = LIST_FIRST(&th->waiting, conn_stream_t, throttled));) {
        list_remove(&s->throttled);
        list_push_back(&now, &s->throttled);
    }
    for (conn_stream_t *s; (s = LIST_FIRST(&now, conn_stream_t, throttled));) {
        list_remove(&s->throttled);
        s->has_moved = false;
        event_fire(&s->base.readable);
        event_fire(&s->base.writable);
    }
}

static throttle_t *get_throttle(host_t *h)
{
    if (!h->throttle) {
        h->throttle = xcalloc(1, sizeof *h->throttle);
        h->throttle->host = h;
        list_init(&h->throttle->waiting);
        alarm_init(&h->throttle->alarm, h->sched, wake, h->throttle);
    }
    return h->throttle;
}

static void set_rates(rate_t rates[WAYS], const host_rates_t *to, uint64_t at_ms)
{
    rate_init(&rates[THROTTLE_IN], to->in, at_ms);
    rate_init(&rates[THROTTLE_OUT], to->out, at_ms);
}

void throttle_peer(peer_t *p)
{
    if (p->host->throttle)
        set_rates(p->rates, &p->host->throttle->each_peer, now_ms(p->host));
}

void host_limit_bandwidth(host_t *h, const host_rates_t *all, const host_rates_t *each_peer)
{
    throttle_t *th = get_throttle(h);
    void *peer;
    set_rates(th->rates, all, now_ms(h));
    th->each_peer = *each_peer;
    for (size_t i = 0; map_next(&h->peers, &i, NULL, &peer);)
        throttle_peer(peer);
    wake(th);
}

static protocol_rate_t *find_protocol(throttle_t *th, const char *protocol)
{
    for (size_t i = 0; i < th->n_protocols; i++)
        if (!strcmp(th->protocols[i].protocol, protocol))
            return &th->protocols[i];
    return NULL;
}

err_t host_limit_protocol(host_t *h, const char *protocol, const host_rates_t *rates)
{
    throttle_t *th = get_throttle(h);
    protocol_rate_t *p = find_protocol(th, protocol);
    if (!p && th->n_protocols == PROTOCOLS_MAX)
        return fail(ERR_LIMIT, "the bandwidth of %d protocols can be limited", PROTOCOLS_MAX);
    if (!p) {
        p = &th->protocols[th->n_protocols++];
        snprintf(p->protocol, sizeof p->protocol, "%s", protocol);
    }
    set_rates(p->rates, rates, now_ms(h));
    wake(th);
    return OK;
}

void throttle_free(host_t *h)
{
    if (!h->throttle)
        return;
    alarm_clear(&h->throttle->alarm);
    free(h->throttle);
    h->throttle = NULL;
}

/* ── streams ─────────────────────────────────────────────────────────────────────────────────── */
/* All limits that hold for it in this direction. */
static size_t rates_of(conn_stream_t *s, throttle_way_t way, rate_t *out[3])
{
    throttle_t *th = s->conn->host->throttle;
    protocol_rate_t *p = find_protocol(th, s->protocol);
    size_t n = 0;
    out[n++] = &th->rates[way];
    out[n++] = &s->conn->peer->rates[way];
    if (p)
        out[n++] = &p->rates[way];
    return n;
}

static void wait_for(conn_stream_t *s, uint64_t at_ms)
{
    throttle_t *th = s->conn->host->throttle;
    if (list_is_empty(&th->waiting) || at_ms < th->alarm.at_ms)
        alarm_set(&th->alarm, at_ms);
    if (list_is_linked(&s->throttled))
        return;
    list_t *at = &th->waiting; /* who got nothing the last time stands before those who did */
    while (!s->has_moved && at->prev != &th->waiting &&
           LIST_ENTRY(at->prev, conn_stream_t, throttled)->has_moved)
        at = at->prev;
    list_insert_before(at, &s->throttled);
}

size_t throttle_room(conn_stream_t *s, throttle_way_t way)
{
    rate_t *rates[3];
    if (!s->conn->host->throttle)
        return SIZE_MAX;
    size_t n = rates_of(s, way, rates), room = SIZE_MAX;
    uint64_t ready_ms = 0;
    for (size_t i = 0; i < n; i++) {
        size_t here = rate_room(rates[i], now_ms(s->conn->host));
        room = here < room ? here : room;
        uint64_t at_ms = rate_ready_ms(rates[i], WAKE_BYTES);
        ready_ms = !here && at_ms > ready_ms ? at_ms : ready_ms;
    }
    if (room == SIZE_MAX)
        return room;
    if (!room)
        wait_for(s, ready_ms);
    return room < TURN_BYTES ? room : TURN_BYTES;
}

void throttle_took(conn_stream_t *s, throttle_way_t way, size_t n)
{
    rate_t *rates[3];
    if (!s->conn->host->throttle)
        return;
    size_t count = rates_of(s, way, rates);
    for (size_t i = 0; i < count; i++)
        rate_take(rates[i], n);
    s->has_moved |= n > 0;
}

/* quic_world: two QUIC endpoints and the link between them, on a virtual clock: datagrams take latency_ms,
 * some are lost or come twice, from one seed. Node 0 dials. */
#ifndef SUPPORT_QUIC_WORLD_H
#define SUPPORT_QUIC_WORLD_H
#include "base/list.h"
#include "base/prng.h"
#include "wire/quic.h"
#include <stdlib.h>

enum { WORLD_WALL_S = 1700000000 };

typedef struct world_node {
    quic_endpoint_t *endpoint;
    private_key_t *key;
    peer_id_t id;
    net_addr_t addr;
    limit_t limit;
    quic_t *conn;
    err_t error; /* that ended it */
    bool must_prove;
    size_t n_opened, n_sent, n_replies;
    void (*on_stream)(struct world_node *n, const quic_event_t *ev);
    void *arg;
} world_node_t;

typedef struct world {
    world_node_t nodes[2];
    uint64_t now_ms, latency_ms;
    prng_t rng;
    uint32_t loss_percent, twice_percent;
    list_t wire;
    /* Somebody on the way, who sees each datagram of a connection; NULL: nobody. */
    void (*on_way)(void *arg, const world_node_t *from, const net_addr_t *to, bytes_t datagram);
    void *on_way_arg;
    uint8_t out[65536];
} world_t;

typedef struct world_datagram {
    list_t node;
    uint64_t at_ms;
    world_node_t *to;
    net_addr_t from;
    size_t len;
    uint8_t data[];
} world_datagram_t;

/* The world's nodes have their keys and endpoints already. */
static inline void world_start(world_t *w, uint64_t seed)
{
    prng_seed(&w->rng, seed);
    list_init(&w->wire);
    w->now_ms = 1000;
    w->latency_ms = 5;
    for (int i = 0; i < 2; i++) {
        world_node_t *n = &w->nodes[i];
        n->addr = (net_addr_t){.family = 4, .ip = {192, 0, 2, (uint8_t)(i + 1)}, .port = 4001};
        limit_init(&n->limit, "node", NULL, 64 << 20);
    }
}

static inline void world_init(world_t *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    for (int i = 0; i < 2; i++) {
        world_node_t *n = &w->nodes[i];
        uint8_t key_seed[32];
        memset(key_seed, i + 1, sizeof key_seed);
        err_t e = private_key_generate(KEY_ED25519, key_seed, 0, &n->key);
        if (!e)
            e = peer_id_of(private_key_public(n->key), &n->id);
        quic_config_t c;
        quic_config_default(&c);
        c.identity = n->key;
        if (!e)
            e = quic_endpoint_new(&c, &n->endpoint);
        assert(!e);
    }
    world_start(w, seed);
}

static inline void world_forget(world_node_t *n)
{
    quic_free(n->conn);
    n->conn = NULL;
}

/* All but keys and endpoints. */
static inline void world_stop(world_t *w)
{
    LIST_EACH (d, &w->wire, world_datagram_t, node) {
        list_remove(&d->node);
        free(d);
    }
    for (int i = 0; i < 2; i++) {
        world_forget(&w->nodes[i]);
        limit_deinit(&w->nodes[i].limit); /* asserts that all was given back */
    }
}

static inline void world_deinit(world_t *w)
{
    world_stop(w);
    for (int i = 0; i < 2; i++) {
        quic_endpoint_free(w->nodes[i].endpoint);
        private_key_free(w->nodes[i].key);
    }
}

static inline void world_put(world_t *w, world_node_t *from, bytes_t data)
{
    world_node_t *to = &w->nodes[from == &w->nodes[0]];
    int copies = prng_below(&w->rng, 100) < w->loss_percent    ? 0
                 : prng_below(&w->rng, 100) < w->twice_percent ? 2
                                                               : 1;
    from->n_sent++;
    while (copies--) {
        world_datagram_t *d = malloc(sizeof *d + data.len);
        *d = (world_datagram_t){
            .at_ms = w->now_ms + w->latency_ms, .to = to, .from = from->addr, .len = data.len};
        if (w->twice_percent)
            d->at_ms += prng_below(&w->rng, w->latency_ms + 1); /* and they overtake each other */
        memcpy(d->data, data.data, data.len);
        list_push_back(&w->wire, &d->node);
    }
}

static inline void world_dial(world_t *w, const peer_id_t *expected)
{
    world_node_t *n = &w->nodes[0];
    quic_start_t s = {.peer = &w->nodes[1].addr, .now_ms = w->now_ms, .wall_s = WORLD_WALL_S, .user = n};
    err_t e = quic_dial(n->endpoint, &s, expected, &n->conn);
    assert(!e);
}

static inline void world_news(world_node_t *n)
{
    for (quic_event_t ev; n->conn && quic_next_event(n->conn, &ev);) {
        if (ev.kind == QUIC_EVENT_OPEN) {
            n->n_opened++;
            err_t e = quic_set_limit(n->conn, &n->limit);
            assert(!e);
        } else if (n->on_stream) {
            n->on_stream(n, &ev);
        } else if (ev.news & QUIC_NEWS_OPENED) {
            quic_stream_accept(ev.stream, n);
        }
    }
}

static inline void world_output(world_t *w, world_node_t *n)
{
    quic_burst_t b;
    while (n->conn && quic_output(n->conn, w->out, sizeof w->out, w->now_ms, &b))
        for (size_t i = 0; i < b.len; i += b.segment_bytes) {
            bytes_t datagram = bytes_slice(bytes_of(w->out, b.len), i, b.segment_bytes);
            if (w->on_way)
                w->on_way(w->on_way_arg, n, &b.to, datagram);
            world_put(w, n, datagram);
        }
}

static inline void world_deliver(world_t *w, world_node_t *n, const net_addr_t *from, bytes_t data)
{
    quic_t *q = NULL;
    uint8_t reply[QUIC_REPLY_MAX];
    size_t len = 0;
    err_t e = OK;
    switch (quic_endpoint_route(n->endpoint, from, data, w->now_ms, n->must_prove, &q, reply, &len)) {
    case QUIC_TO_CONN:
        e = quic_feed(q, from, data, w->now_ms);
        break;
    case QUIC_TO_NEW:
        if (!n->conn) {
            quic_start_t s = {.peer = from, .now_ms = w->now_ms, .wall_s = WORLD_WALL_S, .user = n};
            e = quic_accept(n->endpoint, &s, data, &n->conn);
        }
        break;
    case QUIC_TO_REPLY:
        n->n_replies++;
        world_put(w, n, bytes_of(reply, len));
        break;
    case QUIC_TO_NOBODY:
        break;
    }
    if (e)
        n->error = e;
}

/* What comes next: a datagram arrives, or a deadline. False: nothing will ever happen. */
static inline bool world_step(world_t *w)
{
    for (int i = 0; i < 2; i++) {
        world_news(&w->nodes[i]);
        world_output(w, &w->nodes[i]);
    }
    uint64_t next_ms = UINT64_MAX;
    LIST_EACH (d, &w->wire, world_datagram_t, node)
        next_ms = d->at_ms < next_ms ? d->at_ms : next_ms;
    for (int i = 0; i < 2; i++)
        if (w->nodes[i].conn && quic_deadline_ms(w->nodes[i].conn) < next_ms)
            next_ms = quic_deadline_ms(w->nodes[i].conn);
    if (next_ms == UINT64_MAX)
        return false;
    w->now_ms = next_ms > w->now_ms ? next_ms : w->now_ms;
    LIST_EACH (d, &w->wire, world_datagram_t, node)
        if (d->at_ms <= w->now_ms) {
            list_remove(&d->node);
            world_deliver(w, d->to, &d->from, bytes_of(d->data, d->len));
            free(d);
        }
    for (int i = 0; i < 2; i++)
        if (w->nodes[i].conn && quic_deadline_ms(w->nodes[i].conn) <= w->now_ms) {
            err_t e = quic_tick(w->nodes[i].conn, w->now_ms);
            if (e)
                w->nodes[i].error = e;
        }
    for (int i = 0; i < 2; i++)
        world_news(&w->nodes[i]);
    return true;
}

static inline void world_run(world_t *w, uint64_t for_ms)
{
    uint64_t end_ms = w->now_ms + for_ms;
    while (w->now_ms < end_ms && world_step(w))
        ;
}
#endif

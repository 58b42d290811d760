/* dcutr: from a connection through a relay to a direct one. Who was dialed through the relay asks: first it
 * dials the addresses that the other told it (a connection reversed); then both tell each other what they
 * know of themselves, measure how long a word takes, and dial at the same moment, three times at most. Spec:
 * libp2p/specs relay/DCUtR.md; the roles as in go-libp2p: the one who dialed the relay is the dialer of what
 * comes of it, the last time both are. */
#include "wire/dcutr.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/nat_internal.h"
#include "net/quic.h"
#include <stdlib.h>

enum {
    TRIES = 3,
    ADDRS_MAX = 16,
    PUNCHES_MAX = 64,
    EXCHANGE_TIMEOUT_MS = 20000,
    DIRECT_TIMEOUT_MS = 5000,
    PUNCH_TIMEOUT_MS = 4500,
    AGAIN_MS = 100,       /* a refused dial is tried again, with jitter, after twice as long each time */
    AGAIN_MAX_MS = 800,   /* at most: the peer may have named machines that have nothing to do with it */
    NOISE_EVERY_MS = 100, /* datagrams that open our NAT for QUIC, with jitter */
    STREAMS_MAX = 2,
    SETTLE_MS = 5, /* see serve_dcutr */
};

typedef struct punch {
    host_t *host;
    peer_id_t peer;
    bool is_dialer;
    multiaddr_t addrs[ADDRS_MAX]; /* of the peer */
    size_t n_addrs;
} punch_t;
typedef struct shot {
    punch_t *punch;
    const multiaddr_t *addr;
} shot_t;

static bool is_direct(const host_t *h, const peer_id_t *peer)
{
    const peer_t *p = peer_find(h, peer);
    if (!p)
        return false;
    LIST_EACH (c, &p->conns, const conn_t, peer_node)
        if (!multiaddr_is_circuit(&c->remote))
            return true;
    return false;
}

static bool is_worth_telling(const host_t *h, const multiaddr_t *addr)
{
    endpoint_t e;
    return !multiaddr_is_circuit(addr) && !endpoint_of_multiaddr(addr, &e) &&
           (e.transport == TRANSPORT_TCP || e.transport == TRANSPORT_QUIC) &&
           (h->nat->config.dials_private || !multiaddr_is_private(addr));
}

/* Ours, for the other side: what peers have seen first. */
static size_t own_addrs(const host_t *h, multiaddr_t *out)
{
    multiaddr_t *all = xmalloc(2 * NAT_ADDRS_MAX * sizeof *all);
    size_t n_all = addrs_seen(h, all, NAT_ADDRS_MAX), n = 0;
    n_all += addrs_direct(h, all + n_all, NAT_ADDRS_MAX);
    for (size_t i = 0; i < n_all && n < ADDRS_MAX; i++) {
        bool is_known = !is_worth_telling(h, &all[i]);
        for (size_t k = 0; k < n; k++)
            is_known |= multiaddr_equal(&out[k], &all[i]);
        if (!is_known)
            out[n++] = all[i];
    }
    free(all);
    return n;
}

/* ── the exchange ────────────────────────────────────────────────────────────────────────────── */
static err_t send_connect(task_t *t, host_t *h, stream_t *s)
{
    multiaddr_t *own = xmalloc(ADDRS_MAX * sizeof *own);
    size_t n = own_addrs(h, own);
    AUTO(buf_t) message;
    buf_init(&message, DCUTR_MESSAGE_MAX_BYTES);
    writer_t w = writer_to(&message);
    dcutr_encode(DCUTR_CONNECT, own, n, &w);
    free(own);
    if (!n)
        return fail(ERR_UNREACHABLE, "no address of this node is known that others could dial");
    TRY(w.err);
    return stream_write_message(t, s, buf_bytes(&message));
}

static err_t read_message(task_t *t, stream_t *s, dcutr_type_t wanted, punch_t *p)
{
    AUTO(buf_t) message;
    dcutr_t m;
    buf_init(&message, DCUTR_MESSAGE_MAX_BYTES);
    TRY(stream_read_message(t, s, DCUTR_MESSAGE_MAX_BYTES, &message));
    TRY(dcutr_decode(buf_bytes(&message), &m));
    if (m.type != wanted)
        return fail(ERR_PROTOCOL, "DCUtR: a message out of order");
    if (wanted == DCUTR_SYNC)
        return OK;
    p->n_addrs = 0;
    for (size_t i = 0; p->n_addrs < ADDRS_MAX && dcutr_next_addr(&m, &i, &p->addrs[p->n_addrs]);) {
        multiaddr_t *a = &p->addrs[p->n_addrs];
        multiaddr_without_peer(a, a);
        p->n_addrs += is_worth_telling(p->host, a) && transport_can_dial(p->host, a);
    }
    return p->n_addrs ? OK : fail(ERR_UNREACHABLE, "the peer told no address that can be dialed");
}

static err_t send_sync(task_t *t, stream_t *s)
{
    AUTO(buf_t) message;
    buf_init(&message, DCUTR_MESSAGE_MAX_BYTES);
    writer_t w = writer_to(&message);
    dcutr_encode(DCUTR_SYNC, NULL, 0, &w);
    TRY(w.err);
    return stream_write_message(t, s, buf_bytes(&message));
}

/* ── dialing at the same moment ──────────────────────────────────────────────────────────────── */
/* Over QUIC one side alone dials; the other opens its NAT with datagrams that mean nothing. */
static err_t make_noise(task_t *t, const shot_t *s, const endpoint_t *to)
{
    for (;;) {
        quic_punch(s->punch->host, &to->at);
        TRY(task_sleep(t, NOISE_EVERY_MS / 2 + host_random(s->punch->host) % NOISE_EVERY_MS));
    }
}

static err_t shoot(task_t *t, void *arg)
{
    shot_t s = *(shot_t *)arg;
    punch_t *p = s.punch;
    endpoint_t to;
    conn_t *c;
    free(arg);
    TRY(endpoint_of_multiaddr(s.addr, &to));
    if (to.transport == TRANSPORT_QUIC && !p->is_dialer)
        return make_noise(t, &s, &to);
    upgrade_how_t how = {
        .expected = &p->peer, .remote = s.addr, .is_inbound = !p->is_dialer, .is_punch = true};
    /* a NAT that does not know us yet may refuse; a moment later its owner has sent something */
    for (uint64_t ms = AGAIN_MS; transport_dial(t, p->host, s.addr, &how, &c);) {
        TRY(task_sleep(t, ms / 2 + host_random(p->host) % ms));
        ms = ms < AGAIN_MAX_MS ? 2 * ms : ms;
    }
    conn_release(c); /* conn_opened has told of it */
    return OK;
}

static err_t punch(task_t *t, punch_t *p)
{
    group_t shots;
    group_init(&shots, p->host->sched);
    err_t e = OK;
    for (size_t i = 0; i < p->n_addrs && !e; i++) {
        shot_t *s = xmalloc(sizeof *s);
        *s = (shot_t){p, &p->addrs[i]};
        e = group_spawn(&shots, "hole punch", shoot, s, NULL);
        if (e)
            free(s);
    }
    deadline_t d = deadline_push(t, PUNCH_TIMEOUT_MS);
    while (!e && !is_direct(p->host, &p->peer))
        e = event_wait(t, &p->host->conn_opened);
    deadline_pop(t, &d);
    group_stop(t, &shots);
    group_deinit(&shots);
    return e;
}

/* ── who asks ────────────────────────────────────────────────────────────────────────────────── */
static err_t exchange(task_t *t, conn_t *c, stream_t *s, punch_t *p)
{
    uint64_t began_ms = task_now_ms(t);
    TRY(send_connect(t, c->host, s));
    TRY(read_message(t, s, DCUTR_CONNECT, p));
    uint64_t rtt_ms = task_now_ms(t) - began_ms;
    TRY(send_sync(t, s));
    return task_sleep(t, rtt_ms / 2);
}

static err_t try_once(task_t *t, conn_t *c, punch_t *p)
{
    static const char *const protocols[] = {DCUTR_PROTOCOL};
    stream_t *s;
    TRY(conn_open_stream(t, c, protocols, 1, &s, NULL));
    deadline_t d = deadline_push(t, EXCHANGE_TIMEOUT_MS);
    err_t e = exchange(t, c, s, p);
    deadline_pop(t, &d);
    if (e)
        stream_reset(s);
    stream_close(s);
    TRY(e);
    return punch(t, p);
}

/* What identify told may be enough: the peer can be dialed, only not we. */
static bool has_public_addr(host_t *h, const peer_id_t *peer)
{
    multiaddr_t *addrs = xmalloc(ADDRS_MAX * sizeof *addrs);
    size_t n = peerstore_addrs(h->peerstore, peer, addrs, ADDRS_MAX);
    bool has = false;
    for (size_t i = 0; i < n; i++)
        has |= is_worth_telling(h, &addrs[i]) && transport_can_dial(h, &addrs[i]);
    free(addrs);
    return has;
}

static err_t reverse(task_t *t, host_t *h, const peer_id_t *peer)
{
    conn_t *c;
    deadline_t d = deadline_push(t, DIRECT_TIMEOUT_MS);
    err_t e = dial_direct(t, h, peer, NULL, 0, &c);
    deadline_pop(t, &d);
    if (!e)
        conn_release(c);
    return e;
}

static err_t get_direct(task_t *t, conn_t *c, punch_t *p)
{
    host_t *h = c->host;
    if (has_public_addr(h, &p->peer) && !reverse(t, h, &p->peer))
        return OK;
    err_t e = ERR_UNREACHABLE;
    for (int i = 1; i <= TRIES && e && !is_direct(h, &p->peer); i++) {
        p->is_dialer = i == TRIES;
        TRY(task_check(t));
        e = try_once(t, c, p);
        if (!c->is_open)
            return e;
    }
    return e;
}

static err_t punch_task(task_t *t, void *arg)
{
    conn_t *c = arg;
    host_t *h = c->host;
    punch_t *p = xcalloc(1, sizeof *p);
    p->host = h;
    p->peer = c->peer->id;
    err_t e = is_direct(h, &p->peer) ? OK : get_direct(t, c, p);
    if (e)
        log_debug("no direct connection beside the relay's", LOG_ERR(e));
    metric_add(e ? nat_metrics()->punches_failed : nat_metrics()->punches_ok, 1);
    c->is_punching = false;
    free(p);
    h->nat->n_punches--;
    conn_release(c);
    return OK;
}

void dcutr_conn_identified(conn_t *c)
{
    host_t *h = c->host;
    if (!nat_punches_holes(h) || !c->is_inbound || !multiaddr_is_circuit(&c->remote) || c->is_punching ||
        h->nat->n_punches >= PUNCHES_MAX || h->is_closing)
        return;
    c->is_punching = true;
    h->nat->n_punches++;
    if (group_spawn(&h->tasks, "hole punching", punch_task, conn_ref(c), NULL)) {
        c->is_punching = false;
        h->nat->n_punches--;
        conn_release(c);
    }
}

/* go-libp2p speaks DCUtR only once it knows an address of its own, which may be after the circuit stands. */
void dcutr_peer_changed(host_t *h, const peer_id_t *id)
{
    const peer_t *p = peer_find(h, id);
    if (p)
        LIST_EACH (c, &p->conns, conn_t, peer_node)
            if (c->is_open && c->is_identified)
                dcutr_conn_identified(c);
}

/* ── who is asked ────────────────────────────────────────────────────────────────────────────── */
static err_t serve_dcutr(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    host_t *h = arg;
    if (from->is_inbound || !multiaddr_is_circuit(&from->remote))
        return fail(ERR_DENIED, "DCUtR on a connection that is not ours through a relay");
    if (h->nat->n_punches >= PUNCHES_MAX)
        return fail(ERR_LIMIT, "%d holes are being punched, the limit", PUNCHES_MAX);
    punch_t *p = xcalloc(1, sizeof *p);
    p->host = h;
    p->peer = from->peer->id;
    p->is_dialer = true;
    h->nat->n_punches++;
    deadline_t d = deadline_push(t, EXCHANGE_TIMEOUT_MS);
    err_t e = read_message(t, s, DCUTR_CONNECT, p);
    if (!e)
        e = send_connect(t, h, s);
    if (!e)
        e = read_message(t, s, DCUTR_SYNC, p);
    deadline_pop(t, &d);
    if (!e) {
        stream_close(s);
        /* The peer dials after half a round trip, by a clock that may be late. What comes before it through a
         * hole that it made by dialing us earlier meets its listener instead, and no try succeeds after that.
         */
        e = task_sleep(t, SETTLE_MS);
        if (!e)
            e = is_direct(h, &p->peer) ? OK : punch(t, p);
        if (e != ERR_CANCELED)
            e = OK; /* the asking side tries again */
    }
    h->nat->n_punches--;
    free(p);
    return e;
}

err_t dcutr_start(host_t *h)
{
    protocol_options_t opt = {.max_inbound_per_peer = STREAMS_MAX};
    return nat_punches_holes(h) ? host_handle(h, DCUTR_PROTOCOL, &opt, serve_dcutr, h) : OK;
}

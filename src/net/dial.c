/* dial: one dial per peer at a time, whoever asks: addresses best first, a new one every STAGGER_MS or as
 * soon as one fails, a few at once; the first that proves to be the peer wins and ends the others. */
#include "base/metrics.h"
#include "net/host_internal.h"
#include "net/nat_internal.h"
#include "net/quic.h"
#include "net/websocket.h"
#include <stdio.h>
#include <stdlib.h>

enum { STAGGER_MS = 250, PARALLEL_MAX = 8, ADDRS_MAX = 32, REASONS_MAX = 220 };

struct dial {
    host_t *host;
    peer_t *peer;
    task_t *task; /* NULL when it has ended */
    size_t waiters;
    bool is_done, is_direct; /* direct: not through a relay */
    event_t done;
    err_t result; /* of the dial, with `reasons` */
    char reasons[REASONS_MAX];
    conn_t *winner; /* a reference */
    bool saw_other_peer;
    group_t attempts;
    event_t attempt_ended;
    size_t n_addrs, next, n_failed;
    multiaddr_t addrs[ADDRS_MAX];
};

static void dial_free(dial_t *d)
{
    conn_release(d->winner);
    d->peer->refs--;
    if (d->peer->dials[d->is_direct] == d)
        d->peer->dials[d->is_direct] = NULL;
    peer_free_if_unused(d->peer);
    free(d);
}

/* ── attempts ────────────────────────────────────────────────────────────────────────────────── */
typedef struct attempt {
    dial_t *dial;
    const multiaddr_t *addr;
} attempt_t;

static void add_reason(dial_t *d, const multiaddr_t *addr, err_t e)
{
    char text[MULTIADDR_TEXT_MAX];
    size_t len = strlen(d->reasons);
    snprintf(d->reasons + len, sizeof d->reasons - len, "%s%.60s: %.90s", len ? "; " : "",
             multiaddr_print(addr, text), error_text(e));
}

bool transport_can_dial(const host_t *h, const multiaddr_t *addr)
{
    endpoint_t to;
    return !endpoint_of_multiaddr(addr, &to) && host_speaks(h, to.transport) && to.at.port &&
           !addr_is_filtered(h, &to.at);
}

/* Where a dial to this address should come from, so that NATs map it to the port that others dial. */
static bool shared_source(const host_t *h, const net_addr_t *to, net_addr_t *ret)
{
    LIST_EACH (l, &h->listens, const listen_t, node)
        if (l->listener && l->takes[TRANSPORT_TCP] && l->bound.family == to->family &&
            !net_addr_is_loopback(&l->bound)) {
            *ret = l->bound;
            return true;
        }
    return false;
}

/* From the port that is listened on where somebody outside could see it, else from any. */
static err_t dial_tcp(task_t *t, host_t *h, const net_addr_t *to, upgrade_how_t *how, stream_t **ret_raw)
{
    net_addr_t from;
    how->is_shared =
        !how->is_apart && (how->is_punch || !net_addr_is_private(to)) && shared_source(h, to, &from);
    err_t e = how->is_shared ? net_dial_from(t, &from, to, ret_raw) : ERR_IN_USE;
    if (e != ERR_IN_USE || (how->is_shared && how->is_punch))
        return e; /* a hole is in the NAT of that port alone: in use, the two have met, or soon will */
    how->is_shared = false;
    return net_dial(t, to, ret_raw);
}

err_t transport_dial(task_t *t, host_t *h, const multiaddr_t *addr, const upgrade_how_t *how,
                     conn_t **ret_conn)
{
    endpoint_t to;
    stream_t *raw;
    TRY(endpoint_of_multiaddr(addr, &to));
    if (to.transport == TRANSPORT_QUIC)
        return quic_connect(t, h, &to.at, how, ret_conn);
    upgrade_how_t told = *how;
    TRY(dial_tcp(t, h, &to.at, &told, &raw));
    if (to.transport != TRANSPORT_TCP)
        TRY(websocket_dial(t, h, &to, raw, &raw));
    return upgrade(t, h, raw, &told, ret_conn);
}

/* A hole may be punched for this peer. Our NAT remembers for minutes what was dialed in vain, and would let
 * the peer's packets in to a port that only listens: what that answers has another number than what was
 * dialed, a NAT drops it, and the port is taken for this peer until the kernel has forgotten. */
static bool is_met_through_relay(const peer_t *p)
{
    LIST_EACH (c, &p->conns, const conn_t, peer_node)
        if (multiaddr_is_circuit(&c->remote))
            return true;
    return false;
}

static err_t try_addr(task_t *t, dial_t *d, const multiaddr_t *addr, conn_t **ret_conn)
{
    stream_t *raw;
    upgrade_how_t how = {.expected = &d->peer->id, .remote = addr, .is_apart = is_met_through_relay(d->peer)};
    if (!multiaddr_is_circuit(addr))
        return transport_dial(t, d->host, addr, &how, ret_conn);
    TRY(relay_dial(t, d->host, addr, &d->peer->id, &raw, &how.is_limited));
    return upgrade(t, d->host, raw, &how, ret_conn);
}

static err_t attempt(task_t *t, void *arg)
{
    attempt_t a = *(attempt_t *)arg;
    free(arg);
    dial_t *d = a.dial;
    conn_t *c = NULL;
    deadline_t deadline = deadline_push(t, d->host->config.limits.dial_timeout_ms);
    err_t e = try_addr(t, d, a.addr, &c);
    deadline_pop(t, &deadline);
    if (e) {
        d->n_failed++;
        d->saw_other_peer |= e == ERR_CRYPTO;
        if (e != ERR_CANCELED)
            add_reason(d, a.addr, e);
    } else if (!d->winner) {
        d->winner = c;
    } else { /* two were through at the same time: one is enough */
        conn_close(c);
        conn_release(c);
    }
    event_fire(&d->attempt_ended);
    return OK;
}

static err_t start_attempt(dial_t *d)
{
    attempt_t *a = xmalloc(sizeof *a);
    *a = (attempt_t){d, &d->addrs[d->next++]};
    err_t e = group_spawn(&d->attempts, "dial address", attempt, a, NULL);
    if (e)
        free(a);
    return e;
}

/* Waits for an attempt to end, or until the next address's turn. */
static err_t wait_turn(task_t *t, dial_t *d, bool has_more)
{
    if (!has_more || d->attempts.count >= PARALLEL_MAX)
        return event_wait(t, &d->attempt_ended);
    deadline_t deadline = deadline_push(t, STAGGER_MS);
    err_t e = event_wait(t, &d->attempt_ended);
    deadline_pop(t, &deadline);
    return e == ERR_TIMEOUT ? task_check(t) : e;
}

static err_t race(task_t *t, dial_t *d)
{
    while (!d->winner) {
        size_t failed = d->n_failed;
        bool has_more = d->next < d->n_addrs;
        if (has_more && d->attempts.count < PARALLEL_MAX)
            TRY(start_attempt(d));
        else if (!d->attempts.count)
            return OK;
        has_more = d->next < d->n_addrs;
        while (!d->winner && d->n_failed == failed && d->attempts.count) {
            size_t count = d->attempts.count;
            TRY(wait_turn(t, d, has_more));
            if (has_more && d->n_failed == failed && d->attempts.count == count && count < PARALLEL_MAX)
                break; /* the stagger has passed */
        }
    }
    return OK;
}

/* ── addresses ───────────────────────────────────────────────────────────────────────────────── */
enum { RANKS = 10 };
/* Nearby, TCP comes first: it takes the processor half as long. Far away QUIC does: it stands after one round
 * trip, and gets through more NATs. WebSocket comes behind what has less around it, relays last. */
static int rank(const multiaddr_t *m)
{
    endpoint_t to;
    if (multiaddr_is_circuit(m) || endpoint_of_multiaddr(m, &to))
        return RANKS - 1;
    int place = multiaddr_is_loopback(m) ? 0 : multiaddr_is_private(m) ? 1 : 2;
    static const int near_ranks[TRANSPORT_COUNT] = {
        [TRANSPORT_QUIC] = 1, [TRANSPORT_WS] = 2, [TRANSPORT_WSS] = 2};
    static const int far_ranks[TRANSPORT_COUNT] = {
        [TRANSPORT_TCP] = 1, [TRANSPORT_WS] = 2, [TRANSPORT_WSS] = 2};
    return 3 * place + (place == 2 ? far_ranks : near_ranks)[to.transport];
}

static bool may_dial(const dial_t *d, const multiaddr_t *addr)
{
    return multiaddr_is_circuit(addr) ? !d->is_direct && d->host->nat : transport_can_dial(d->host, addr);
}

/* Nearest first, relays last, as they came within a rank; those that cannot or must not be dialed and doubles
 * are dropped. */
static void rank_addrs(dial_t *d, const multiaddr_t *in, size_t n_in)
{
    for (int wanted = 0; wanted < RANKS; wanted++)
        for (size_t i = 0; i < n_in && d->n_addrs < ADDRS_MAX; i++) {
            multiaddr_t bare;
            multiaddr_without_peer(&in[i], &bare);
            if (rank(&bare) != wanted || !may_dial(d, &bare))
                continue;
            bool is_known = false;
            for (size_t k = 0; k < d->n_addrs; k++)
                is_known |= multiaddr_equal(&d->addrs[k], &bare);
            if (!is_known)
                d->addrs[d->n_addrs++] = bare;
        }
}

/* Is it the build that lacks what these need? */
static bool wants_missing_quic(const multiaddr_t *addrs, size_t n)
{
    endpoint_t to;
    for (size_t i = 0; quic_missing && i < n; i++)
        if (!endpoint_of_multiaddr(&addrs[i], &to) && to.transport == TRANSPORT_QUIC)
            return true;
    return false;
}

static err_t find_addrs(task_t *t, dial_t *d)
{
    multiaddr_t *known = xmalloc(2 * ADDRS_MAX * sizeof *known), *resolved = known + ADDRS_MAX;
    size_t n = peerstore_addrs(d->host->peerstore, &d->peer->id, known, ADDRS_MAX);
    size_t n_resolved = resolve_addrs(t, &d->peer->id, known, n, resolved, ADDRS_MAX);
    rank_addrs(d, resolved, n_resolved);
    bool lacks_quic = wants_missing_quic(resolved, n_resolved);
    free(known);
    TRY(task_check(t));
    if (!d->n_addrs)
        return fail(ERR_UNREACHABLE, "%zu addresses of the peer are known, and none can be dialed%s%s", n,
                    lacks_quic ? ": " : "", lacks_quic ? quic_missing : "");
    return OK;
}

static err_t run_dial(task_t *t, dial_t *d)
{
    TRY(find_addrs(t, d));
    group_init(&d->attempts, d->host->sched);
    err_t e = race(t, d);
    group_stop(t, &d->attempts);
    group_deinit(&d->attempts);
    if (d->winner)
        return OK;
    TRY(e);
    return fail(d->saw_other_peer ? ERR_CRYPTO : ERR_UNREACHABLE, "%s", d->reasons);
}

static err_t dial_task(task_t *t, void *arg)
{
    dial_t *d = arg;
    d->result = run_dial(t, d);
    if (d->result) {
        snprintf(d->reasons, sizeof d->reasons, "%.*s", REASONS_MAX - 1, error_text(d->result));
        if (d->result != ERR_CANCELED)
            metric_add(net_metrics()->dial_errors, 1);
        if (d->result != ERR_CANCELED)
            peerstore_dial_failed(d->host->peerstore, &d->peer->id);
    }
    d->is_done = true;
    d->task = NULL;
    if (d->peer->dials[d->is_direct] == d)
        d->peer->dials[d->is_direct] = NULL; /* the next one who asks starts anew */
    event_fire(&d->done);
    if (!d->waiters)
        dial_free(d);
    return OK;
}

/* ── the face ────────────────────────────────────────────────────────────────────────────────── */
static err_t start_dial(host_t *h, const peer_id_t *id, bool is_direct, dial_t **ret)
{
    peer_t *p;
    TRY(peer_get(h, id, &p));
    if (p->dials[is_direct]) {
        *ret = p->dials[is_direct];
        return OK;
    }
    dial_t *d = xcalloc(1, sizeof *d);
    d->host = h;
    d->peer = p;
    p->refs++;
    p->dials[is_direct] = d;
    d->is_direct = is_direct;
    event_init(&d->done);
    event_init(&d->attempt_ended);
    err_t e = group_spawn(&h->tasks, "dial", dial_task, d, &d->task);
    if (e) {
        dial_free(d);
        return e;
    }
    *ret = d;
    return OK;
}

static err_t join_dial(task_t *t, dial_t *d, conn_t **ret_conn)
{
    d->waiters++;
    err_t e = OK;
    while (!e && !d->is_done)
        e = event_wait(t, &d->done);
    if (!e && d->result == ERR_CANCELED)
        e = fail(ERR_CLOSED, "the dial was given up");
    else if (!e && d->result)
        e = fail(d->result, "%s", d->reasons);
    if (!e)
        *ret_conn = conn_ref(d->winner);
    if (!--d->waiters) {
        if (d->is_done)
            dial_free(d);
        else { /* nobody waits for it any more; it frees itself, who asks now starts anew */
            d->peer->dials[d->is_direct] = NULL;
            task_cancel(d->task);
        }
    }
    return e;
}

/* Is a dial to this peer worth starting? */
static err_t check_dial(host_t *h, const peer_id_t *peer, bool has_new_addrs)
{
    if (h->is_closing)
        return fail(ERR_CLOSED, "the host is closing");
    if (h->n_conns >= h->config.limits.max_conns)
        return fail(ERR_LIMIT, "%zu connections are open (limits.max_conns)", h->n_conns);
    multiaddr_t any;
    char text[PEER_ID_TEXT_MAX];
    if (!peerstore_addrs(h->peerstore, peer, &any, 1))
        return fail(ERR_NOT_FOUND, "no address of %s is known", peer_id_print(peer, text));
    uint64_t now_ms = sched_now_ms(h->sched), retry_ms = peerstore_retry_ms(h->peerstore, peer);
    if (!has_new_addrs && now_ms < retry_ms)
        return fail(ERR_UNREACHABLE, "dialing %s failed lately, the next try is in %llu s",
                    peer_id_print(peer, text), (unsigned long long)(retry_ms - now_ms + 999) / 1000);
    return OK;
}

static err_t dial_peer(task_t *t, host_t *h, const peer_id_t *peer, const multiaddr_t *extra, size_t n_extra,
                       bool is_direct, conn_t **ret_conn)
{
    if (peer_id_equal(peer, &h->id))
        return fail(ERR_INVALID, "the peer is this node itself");
    if (n_extra)
        peerstore_add_addrs(h->peerstore, peer, extra, n_extra, ADDR_TTL_TEMP_MS);
    TRY(check_dial(h, peer, n_extra > 0));
    dial_t *d;
    TRY(start_dial(h, peer, is_direct, &d));
    return join_dial(t, d, ret_conn);
}

static bool has_direct(const multiaddr_t *addrs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!multiaddr_is_circuit(&addrs[i]))
            return true;
    return false;
}

err_t host_connect(task_t *t, host_t *h, const peer_id_t *peer, const multiaddr_t *extra, size_t n_extra,
                   conn_t **ret_conn)
{
    conn_t *open = host_conn(h, peer);
    if (!open)
        return dial_peer(t, h, peer, extra, n_extra, false, ret_conn);
    if (open->is_limited && has_direct(extra, n_extra))
        return dial_peer(t, h, peer, extra, n_extra, true, ret_conn);
    *ret_conn = conn_ref(open);
    return OK;
}

err_t dial_direct(task_t *t, host_t *h, const peer_id_t *peer, const multiaddr_t *extra, size_t n_extra,
                  conn_t **ret_conn)
{
    conn_t *open = host_conn(h, peer);
    if (!open || multiaddr_is_circuit(&open->remote))
        return dial_peer(t, h, peer, extra, n_extra, true, ret_conn);
    *ret_conn = conn_ref(open);
    return OK;
}

err_t host_connect_addr(task_t *t, host_t *h, const multiaddr_t *addr, conn_t **ret_conn)
{
    peer_id_t peer;
    TRY(multiaddr_peer(addr, &peer));
    return host_connect(t, h, &peer, addr, 1, ret_conn);
}

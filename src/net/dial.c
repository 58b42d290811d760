/* dial: one dial per peer at a time, whoever asks: addresses in the order and at the pace of
 * logic/dial_race.h; the first that proves to be the peer wins and ends the others. */
#include "net/dial.h"
#include "base/metrics.h"
#include "net/nat_internal.h"
#include "net/quic.h"
#include "net/websocket.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    REASONS_MAX = 220,
    NEARBY_TIMEOUT_MS = 5000, /* of one address of this machine or a private network */
};

struct dial {
    list_t node; /* in the peer's; alone: whoever asks now starts anew */
    host_t *host;
    peer_t *peer;
    task_t *task; /* NULL when it has ended */
    size_t waiters;
    bool is_done, is_direct; /* direct: not through a relay */
    multiaddr_t *only;       /* owned; NULL: whatever is known */
    event_t done;
    err_t result; /* of the dial, with `reasons` */
    char reasons[REASONS_MAX];
    conn_t *winner; /* a reference */
    bool saw_other_peer;
    group_t attempts;
    event_t attempt_ended;
    dial_race_t race;
    dial_addrs_t addrs;
};

static void dial_free(dial_t *d)
{
    conn_release(d->winner);
    d->peer->refs--;
    list_remove(&d->node);
    peer_free_if_unused(d->peer);
    free(d->only);
    free(d);
}

/* ── attempts ────────────────────────────────────────────────────────────────────────────────── */
typedef struct attempt {
    dial_t *dial;
    dial_choice_t choice;
} attempt_t;

static void add_reason(dial_t *d, const multiaddr_t *addr, err_t e)
{
    char text[MULTIADDR_TEXT_MAX];
    size_t len = strlen(d->reasons);
    snprintf(d->reasons + len, sizeof d->reasons - len, "%s%.60s: %.90s", len ? "; " : "",
             multiaddr_print(addr, text), error_text(e));
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

static err_t dial_stream(task_t *t, host_t *h, const endpoint_t *to, upgrade_how_t *how, conn_t **ret_conn)
{
    stream_t *raw;
    TRY(dial_tcp(t, h, &to->at, how, &raw));
    if (to->transport != TRANSPORT_TCP)
        TRY(websocket_dial(t, h, to, raw, &raw));
    return upgrade(t, h, raw, how, ret_conn);
}

err_t transport_dial(task_t *t, host_t *h, const multiaddr_t *addr, const upgrade_how_t *how,
                     conn_t **ret_conn)
{
    endpoint_t to;
    conn_use_t use = {.host = NULL};
    upgrade_how_t told = *how;
    TRY(endpoint_of_multiaddr(addr, &to));
    TRY(conn_use_begin(h, how->is_inbound, to.transport != TRANSPORT_QUIC, &to.at, &use));
    told.use = &use;
    err_t e = to.transport == TRANSPORT_QUIC ? quic_connect(t, h, &to.at, &told, ret_conn)
                                             : dial_stream(t, h, &to, &told, ret_conn);
    conn_use_end(&use);
    return e;
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
    conn_use_t use = {.host = NULL};
    TRY(conn_use_begin(d->host, false, false, NULL, &use));
    how.use = &use;
    err_t e = relay_dial(t, d->host, addr, &d->peer->id, &raw, &how.is_limited);
    if (!e)
        e = upgrade(t, d->host, raw, &how, ret_conn);
    conn_use_end(&use);
    return e;
}

static err_t attempt(task_t *t, void *arg)
{
    attempt_t a = *(attempt_t *)arg;
    free(arg);
    dial_t *d = a.dial;
    host_t *h = d->host;
    const multiaddr_t *addr = &d->addrs.addrs[a.choice.index];
    conn_t *c = NULL;
    bool is_near = a.choice.place == DIAL_LOOPBACK || a.choice.place == DIAL_PRIVATE;
    uint32_t timeout_ms = h->config.limits.dial_timeout_ms;
    deadline_t deadline =
        deadline_push(t, is_near && timeout_ms > NEARBY_TIMEOUT_MS ? NEARBY_TIMEOUT_MS : timeout_ms);
    err_t e = try_addr(t, d, addr, &c);
    deadline_pop(t, &deadline);
    if (e != ERR_CANCELED || d->winner) /* else the dial as a whole was given up, which says nothing */
        dial_addr_ended(h, &d->peer->id, addr, e);
    if (e) {
        dial_race_failed(&d->race, a.choice.place, task_now_ms(t));
        d->saw_other_peer |= e == ERR_CRYPTO;
        if (e != ERR_CANCELED)
            add_reason(d, addr, e);
    } else if (!d->winner) {
        d->winner = c;
    } else { /* two were through at the same time: one is enough */
        conn_close(c);
        conn_release(c);
    }
    event_fire(&d->attempt_ended);
    return OK;
}

static err_t start_attempt(dial_t *d, const dial_choice_t *choice)
{
    attempt_t *a = xmalloc(sizeof *a);
    *a = (attempt_t){d, *choice};
    err_t e = group_spawn(&d->attempts, "dial address", attempt, a, NULL);
    if (e)
        free(a);
    return e;
}

/* Waits for an attempt to end, or until the next address's turn. */
static err_t wait_turn(task_t *t, dial_t *d)
{
    uint64_t at_ms = dial_race_deadline_ms(&d->race), now_ms = task_now_ms(t);
    if (at_ms == UINT64_MAX)
        return event_wait(t, &d->attempt_ended);
    deadline_t deadline = deadline_push(t, at_ms > now_ms ? at_ms - now_ms : 0);
    err_t e = event_wait(t, &d->attempt_ended);
    deadline_pop(t, &deadline);
    return e == ERR_TIMEOUT ? task_check(t) : e;
}

static err_t race(task_t *t, dial_t *d)
{
    dial_choice_t choice;
    dial_race_init(&d->race, d->addrs.choices, d->addrs.n, task_now_ms(t));
    while (!d->winner && !dial_race_is_over(&d->race)) {
        while (dial_race_next(&d->race, task_now_ms(t), &choice))
            TRY(start_attempt(d, &choice));
        TRY(wait_turn(t, d));
    }
    return OK;
}

static err_t run_dial(task_t *t, dial_t *d)
{
    dial_want_t want = {.peer = &d->peer->id, .is_direct = d->is_direct, .only = d->only};
    TRY(dial_addrs_find(t, d->host, &want, &d->addrs));
    group_init(&d->attempts, d->host->sched);
    err_t e = race(t, d);
    group_stop(t, &d->attempts);
    group_deinit(&d->attempts);
    if (d->winner)
        return OK;
    TRY(e);
    if (!d->only)
        dial_names_ended(d->host, &d->peer->id);
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
    }
    d->is_done = true;
    d->task = NULL;
    list_remove(&d->node); /* the next one who asks starts anew */
    event_fire(&d->done);
    if (!d->waiters)
        dial_free(d);
    return OK;
}

/* ── the face ────────────────────────────────────────────────────────────────────────────────── */
static bool is_same(const dial_t *d, const dial_want_t *want)
{
    return d->is_direct == want->is_direct && !d->only == !want->only &&
           (!d->only || multiaddr_equal(d->only, want->only));
}

static err_t start_dial(host_t *h, const dial_want_t *want, dial_t **ret)
{
    peer_t *p;
    TRY(peer_get(h, want->peer, &p));
    LIST_EACH (under_way, &p->dials, dial_t, node)
        if (is_same(under_way, want)) {
            *ret = under_way;
            return OK;
        }
    err_t e = conn_use_check(h, false, p);
    if (e) {
        peer_free_if_unused(p);
        return e;
    }
    dial_t *d = xcalloc(1, sizeof *d);
    d->host = h;
    d->peer = p;
    p->refs++;
    list_push_back(&p->dials, &d->node);
    d->is_direct = want->is_direct;
    if (want->only) {
        d->only = xmalloc(sizeof *d->only);
        *d->only = *want->only;
    }
    event_init(&d->done);
    event_init(&d->attempt_ended);
    e = group_spawn(&h->tasks, "dial", dial_task, d, &d->task);
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
            list_remove(&d->node);
            task_cancel(d->task);
        }
    }
    return e;
}

/* Is a dial to this peer worth starting? */
static err_t check_dial(host_t *h, const dial_want_t *want)
{
    if (h->is_closing)
        return fail(ERR_CLOSED, "the host is closing");
    if (peer_id_equal(want->peer, &h->id))
        return fail(ERR_INVALID, "the peer is this node itself");
    TRY(gate_check(h, want->peer, NULL));
    multiaddr_t any;
    char text[PEER_ID_TEXT_MAX];
    if (!want->only && !peerstore_addrs(h->peerstore, want->peer, &any, 1))
        return fail(ERR_NOT_FOUND, "no address of %s is known", peer_id_print(want->peer, text));
    return OK;
}

static err_t dial_wanted(task_t *t, host_t *h, const dial_want_t *want, conn_t **ret_conn)
{
    dial_t *d;
    TRY(check_dial(h, want));
    TRY(start_dial(h, want, &d));
    return join_dial(t, d, ret_conn);
}

static err_t dial_peer(task_t *t, host_t *h, const peer_id_t *peer, const multiaddr_t *extra, size_t n_extra,
                       bool is_direct, conn_t **ret_conn)
{
    dial_want_t want = {.peer = peer, .is_direct = is_direct};
    if (n_extra)
        peerstore_add_addrs(h->peerstore, peer, extra, n_extra, ADDR_TTL_TEMP_MS);
    return dial_wanted(t, h, &want, ret_conn);
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

/* An open connection that was dialed there; NULL: none. */
static conn_t *conn_over(host_t *h, const peer_id_t *peer, const multiaddr_t *bare)
{
    const peer_t *p = peer_find(h, peer);
    if (!p)
        return NULL;
    LIST_EACH (c, &p->conns, conn_t, peer_node)
        if (!c->is_inbound && multiaddr_equal(&c->remote, bare) && c->mux->may_open(c))
            return c;
    return NULL;
}

err_t host_connect_addr(task_t *t, host_t *h, const multiaddr_t *addr, conn_t **ret_conn)
{
    peer_id_t peer;
    multiaddr_t bare;
    TRY(multiaddr_peer(addr, &peer));
    multiaddr_without_peer(addr, &bare);
    bool any_will_do = dial_is_name(&bare) && host_is_connected(h, &peer);
    conn_t *open = any_will_do ? host_conn(h, &peer) : conn_over(h, &peer, &bare);
    if (open) {
        *ret_conn = conn_ref(open);
        return OK;
    }
    dial_want_t want = {.peer = &peer, .only = &bare};
    peerstore_add_addrs(h->peerstore, &peer, &bare, 1, ADDR_TTL_TEMP_MS);
    return dial_wanted(t, h, &want, ret_conn);
}

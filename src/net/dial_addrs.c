/* dial_addrs: which addresses of a peer are worth dialing now: names looked up, those dropped that no
 * transport or filter lets through, that failed lately, or that lead into a black hole of this machine's
 * network. */
#include "base/metrics.h"
#include "net/dial.h"
#include "net/quic.h"
#include <stdio.h>
#include <stdlib.h>

bool transport_can_dial(const host_t *h, const multiaddr_t *addr)
{
    endpoint_t to;
    return !endpoint_of_multiaddr(addr, &to) && host_speaks(h, to.transport) && to.at.port &&
           !addr_is_filtered(h, &to.at);
}

/* ── black holes ─────────────────────────────────────────────────────────────────────────────── */
static bool is_public(const multiaddr_t *addr, endpoint_t *ret)
{
    return !multiaddr_is_circuit(addr) && !multiaddr_is_private(addr) && !endpoint_of_multiaddr(addr, ret);
}

static bool goes_into(const endpoint_t *e, size_t hole)
{
    return hole == HOLE_UDP ? e->transport == TRANSPORT_QUIC : e->at.family == 6;
}

static void show_hole(const host_t *h, size_t hole)
{
    static const char *const labels[HOLES] = {[HOLE_UDP] = "name=\"UDP\"", [HOLE_IP6] = "name=\"IPv6\""};
    const black_hole_t *b = &h->holes[hole];
    metric_set(metric_gauge("libp2p_swarm_black_hole_filter_state", labels[hole],
                            "State of the black hole filter: 0 probing, 1 allowed, 2 blocked."),
               b->state);
    metric_set(metric_gauge("libp2p_swarm_black_hole_filter_success_fraction", labels[hole],
                            "Fraction of successful dials among the last 100."),
               black_hole_ok_share(b));
    metric_set(metric_gauge("libp2p_swarm_black_hole_filter_next_request_allowed_after", labels[hole],
                            "Number of requests after which the next one is allowed."),
               (double)black_hole_next_after(b));
}

/* One call for each peer that is dialed. */
static void ask_holes(host_t *h, const multiaddr_t *addrs, size_t n, black_hole_state_t ret[HOLES])
{
    for (size_t hole = 0; hole < HOLES; hole++) {
        bool concerns = false;
        for (size_t i = 0; i < n; i++) {
            endpoint_t e;
            concerns |= is_public(&addrs[i], &e) && goes_into(&e, hole);
        }
        ret[hole] = concerns ? black_hole_ask(&h->holes[hole]) : BLACK_HOLE_ALLOWED;
        if (concerns)
            show_hole(h, hole);
    }
}

/* One hole that is probed is probed whatever the other one is. */
static bool is_swallowed(const multiaddr_t *addr, const black_hole_state_t states[HOLES])
{
    endpoint_t e;
    bool is_blocked = false;
    if (!is_public(addr, &e))
        return false;
    for (size_t hole = 0; hole < HOLES; hole++)
        if (goes_into(&e, hole)) {
            if (states[hole] == BLACK_HOLE_PROBING)
                return false;
            is_blocked |= states[hole] == BLACK_HOLE_BLOCKED;
        }
    return is_blocked;
}

void dial_addr_ended(host_t *h, const peer_id_t *peer, const multiaddr_t *addr, err_t how)
{
    endpoint_t e;
    for (size_t hole = 0; hole < HOLES && is_public(addr, &e); hole++)
        if (goes_into(&e, hole)) {
            black_hole_record(&h->holes[hole], !how || how == ERR_CRYPTO); /* somebody answered */
            show_hole(h, hole);
        }
    if (how && how != ERR_CANCELED)
        peerstore_addr_failed(h->peerstore, peer, addr);
}

/* ── what is dialed ──────────────────────────────────────────────────────────────────────────── */
static dial_choice_t classify(const multiaddr_t *addr, size_t index)
{
    endpoint_t to;
    if (multiaddr_is_circuit(addr) || endpoint_of_multiaddr(addr, &to))
        return (dial_choice_t){index, DIAL_RELAY, DIAL_OTHER, false};
    return (dial_choice_t){
        .index = index,
        .place = multiaddr_is_loopback(addr)  ? DIAL_LOOPBACK
                 : multiaddr_is_private(addr) ? DIAL_PRIVATE
                                              : DIAL_PUBLIC,
        .by = to.transport == TRANSPORT_TCP    ? DIAL_TCP
              : to.transport == TRANSPORT_QUIC ? DIAL_QUIC
                                               : DIAL_OTHER,
        .is_ip6 = to.at.family == 6,
    };
}

static bool may_dial(host_t *h, bool is_direct, const multiaddr_t *addr)
{
    return multiaddr_is_circuit(addr) ? !is_direct && h->nat : transport_can_dial(h, addr);
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

/* Why addresses were left out. */
typedef struct left_out {
    size_t n_swallowed;
    uint64_t retry_ms; /* when the first of those that failed lately may be tried again; 0: none did */
} left_out_t;

static bool is_resting(host_t *h, const peer_id_t *peer, const multiaddr_t *addr, left_out_t *left)
{
    uint64_t ms = peerstore_addr_retry_ms(h->peerstore, peer, addr);
    if (ms <= sched_now_ms(h->sched))
        return false;
    if (!left->retry_ms || ms < left->retry_ms)
        left->retry_ms = ms;
    return true;
}

static size_t drop_resting(host_t *h, const peer_id_t *peer, multiaddr_t *addrs, size_t n, left_out_t *left)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!is_resting(h, peer, &addrs[i], left))
            addrs[kept++] = addrs[i];
    return kept;
}

static void choose(host_t *h, const dial_want_t *want, const multiaddr_t *in, size_t n_in, dial_addrs_t *ret,
                   left_out_t *left)
{
    black_hole_state_t holes[HOLES];
    ask_holes(h, in, n_in, holes);
    for (size_t i = 0; i < n_in && ret->n < DIAL_ADDRS_MAX; i++) {
        multiaddr_t bare;
        multiaddr_without_peer(&in[i], &bare);
        bool is_known = false;
        for (size_t k = 0; k < ret->n; k++)
            is_known |= multiaddr_equal(&ret->addrs[k], &bare);
        if (is_known || !may_dial(h, want->is_direct, &bare) ||
            (!want->only && is_resting(h, want->peer, &bare, left)))
            continue;
        if (!want->only && is_swallowed(&bare, holes)) {
            left->n_swallowed++;
            continue;
        }
        ret->choices[ret->n] = classify(&bare, ret->n);
        ret->addrs[ret->n++] = bare;
    }
}

static err_t explain(host_t *h, const dial_want_t *want, size_t n_known, bool lacks_quic,
                     const left_out_t *left)
{
    char text[PEER_ID_TEXT_MAX];
    if (left->retry_ms)
        return fail(ERR_UNREACHABLE, "dialing %s failed lately, the next try is in %llu s",
                    peer_id_print(want->peer, text),
                    (unsigned long long)(left->retry_ms - sched_now_ms(h->sched) + 999) / 1000);
    if (left->n_swallowed)
        return fail(ERR_UNREACHABLE,
                    "%zu addresses of the peer are known, and this machine's network carries no UDP or IPv6",
                    n_known);
    return fail(ERR_UNREACHABLE, "%zu addresses of the peer are known, and none can be dialed%s%s", n_known,
                lacks_quic ? ": " : "", lacks_quic ? quic_missing : "");
}

err_t dial_addrs_find(task_t *t, host_t *h, const dial_want_t *want, dial_addrs_t *ret)
{
    multiaddr_t *known = xmalloc(2 * DIAL_ADDRS_MAX * sizeof *known), *resolved = known + DIAL_ADDRS_MAX;
    left_out_t left = {0};
    size_t n_known = 1, n = 1;
    ret->n = 0;
    if (want->only) {
        known[0] = *want->only;
    } else {
        n_known = peerstore_addrs(h->peerstore, want->peer, known, DIAL_ADDRS_MAX);
        n = drop_resting(h, want->peer, known, n_known, &left);
    }
    size_t n_resolved = resolve_addrs(t, want->peer, known, n, resolved, DIAL_ADDRS_MAX);
    choose(h, want, resolved, n_resolved, ret, &left);
    bool lacks_quic = wants_missing_quic(resolved, n_resolved);
    free(known);
    TRY(task_check(t));
    return ret->n ? OK : explain(h, want, n_known, lacks_quic, &left);
}

bool dial_is_name(const multiaddr_t *addr)
{
    multiaddr_part_t first;
    size_t i = 0;
    return multiaddr_next(addr, &i, &first) && first.code != MA_IP4 && first.code != MA_IP6 &&
           first.code != MA_P2P;
}

void dial_names_ended(host_t *h, const peer_id_t *peer)
{
    multiaddr_t *known = xmalloc(DIAL_ADDRS_MAX * sizeof *known);
    size_t n = peerstore_addrs(h->peerstore, peer, known, DIAL_ADDRS_MAX);
    for (size_t i = 0; i < n; i++)
        if (dial_is_name(&known[i]))
            peerstore_addr_failed(h->peerstore, peer, &known[i]);
    free(known);
}

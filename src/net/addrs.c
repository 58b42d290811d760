/* addrs: our own addresses: those we listen on, those that were announced, those that peers see. */
#include "net/nat_internal.h"
#include <stdlib.h>

enum {
    OBSERVED_VOICES_MIN = 4,
    OBSERVED_TTL_MS = 1800000,
    VOICE_ADDRS_MAX = 4, /* that one network sees us at: each transport, and some to spare */
    INTERFACES_MAX = 32
};

err_t net_addr_of_multiaddr(const multiaddr_t *m, net_addr_t *ret)
{
    endpoint_t e;
    TRY(endpoint_of_multiaddr(m, &e));
    *ret = e.at;
    return OK;
}

/* Loopback addresses mean the reader itself: they are of use to peers on this machine alone. */
bool addr_is_usable(const host_t *h, const multiaddr_t *addr, const multiaddr_t *seen_from)
{
    return h->config.may_use_loopback || !multiaddr_is_loopback(addr) || multiaddr_is_loopback(seen_from);
}

static void put(multiaddr_t *out, size_t cap, size_t *n, const multiaddr_t *m)
{
    for (size_t i = 0; i < *n; i++)
        if (multiaddr_equal(&out[i], m))
            return;
    if (*n < cap)
        out[(*n)++] = *m;
}

static void put_transports(const listen_t *l, const net_addr_t *at, multiaddr_t *out, size_t cap, size_t *n)
{
    multiaddr_t m;
    for (transport_t i = 0; i < TRANSPORT_COUNT; i++)
        if (l->takes[i] && !multiaddr_of_endpoint(i, at, &m))
            put(out, cap, n, &m);
}

static void put_expanded(const host_t *h, const listen_t *l, multiaddr_t *out, size_t cap, size_t *n)
{
    driver_t *d = sched_driver(h->sched);
    net_addr_t at = l->bound, ips[INTERFACES_MAX];
    if (!net_addr_is_any(&at)) {
        put_transports(l, &at, out, cap, n);
        return;
    }
    size_t n_ips = driver_interfaces(d, ips, INTERFACES_MAX);
    for (size_t i = 0; i < n_ips; i++) {
        bool fits = ips[i].family == at.family && !ips[i].scope; /* a zone means nothing to others */
        ips[i].port = at.port;
        if (fits)
            put_transports(l, &ips[i], out, cap, n);
    }
}

size_t host_listen_addrs(const host_t *h, multiaddr_t *out, size_t cap)
{
    size_t n = 0;
    LIST_EACH (l, &h->listens, const listen_t, node)
        put_expanded(h, l, out, cap, &n);
    return n;
}

static size_t drop_hidden(const host_t *h, multiaddr_t *addrs, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!addr_is_hidden(h, &addrs[i]))
            addrs[kept++] = addrs[i];
    return kept;
}

size_t addrs_direct(const host_t *h, multiaddr_t *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < h->n_announce; i++)
        put(out, cap, &n, &h->announce[i]);
    if (h->n_announce && h->announce_replaces)
        return drop_hidden(h, out, n);
    LIST_EACH (l, &h->listens, const listen_t, node)
        put_expanded(h, l, out, cap, &n);
    for (size_t i = 0; i < h->n_mapped; i++)
        put(out, cap, &n, &h->mapped[i]);
    uint64_t now_ms = sched_now_ms(h->sched);
    for (size_t i = 0; i < h->n_observed; i++)
        if (h->observed[i].n_voices >= OBSERVED_VOICES_MIN &&
            now_ms - h->observed[i].seen_ms < OBSERVED_TTL_MS)
            put(out, cap, &n, &h->observed[i].addr);
    return drop_hidden(h, out, n);
}

/* Is it one that the user told us to announce? */
static bool is_announced(const host_t *h, const multiaddr_t *addr)
{
    for (size_t i = 0; i < h->n_announce; i++)
        if (multiaddr_equal(&h->announce[i], addr))
            return true;
    return false;
}

size_t host_addrs(const host_t *h, multiaddr_t *out, size_t cap)
{
    if (h->n_announce && h->announce_replaces)
        return addrs_direct(h, out, cap);
    size_t kept = nat_put_addrs(h, out, cap);
    size_t n = kept + addrs_direct(h, out + kept, cap - kept);
    for (size_t i = kept; i < n; i++)
        if (!nat_is_unreachable(h, &out[i]) || is_announced(h, &out[i]))
            out[kept++] = out[i];
    return kept;
}

void host_set_mapped(host_t *h, const multiaddr_t *addrs, size_t n)
{
    if (n > MAPPED_MAX)
        n = MAPPED_MAX;
    bool is_same = n == h->n_mapped;
    for (size_t i = 0; is_same && i < n; i++)
        is_same = multiaddr_equal(&addrs[i], &h->mapped[i]);
    if (is_same)
        return;
    free(h->mapped);
    h->mapped = n ? xmalloc(n * sizeof *addrs) : NULL;
    if (n)
        memcpy(h->mapped, addrs, n * sizeof *addrs);
    h->n_mapped = n;
    host_tell_addrs_changed(h);
}

void host_set_announce(host_t *h, const multiaddr_t *addrs, size_t n, bool replace)
{
    if (n > ANNOUNCE_MAX)
        n = ANNOUNCE_MAX;
    free(h->announce);
    h->announce = NULL;
    if (n) {
        h->announce = xmalloc(n * sizeof *addrs);
        memcpy(h->announce, addrs, n * sizeof *addrs);
    }
    h->n_announce = n;
    h->announce_replaces = replace;
    host_tell_addrs_changed(h);
}

/* ── what peers see ──────────────────────────────────────────────────────────────────────────── */
static bool has_voice(const observed_t *o, uint64_t voice)
{
    for (size_t i = 0; i < o->n_voices; i++)
        if (o->voices[i] == voice)
            return true;
    return false;
}

/* Is `a` rather forgotten than `b`? What is old anyway, then what the fewest said. */
static bool is_lesser(const observed_t *a, const observed_t *b, uint64_t now_ms)
{
    bool is_old = now_ms - a->seen_ms >= OBSERVED_TTL_MS, was_old = now_ms - b->seen_ms >= OBSERVED_TTL_MS;
    if (is_old != was_old)
        return is_old;
    return a->n_voices != b->n_voices ? a->n_voices < b->n_voices : a->seen_ms < b->seen_ms;
}

static observed_t *observation_of(host_t *h, const multiaddr_t *addr)
{
    if (!h->observed)
        h->observed = xcalloc(OBSERVED_MAX, sizeof *h->observed);
    size_t least = 0;
    for (size_t i = 0; i < h->n_observed; i++) {
        if (multiaddr_equal(&h->observed[i].addr, addr))
            return &h->observed[i];
        if (is_lesser(&h->observed[i], &h->observed[least], sched_now_ms(h->sched)))
            least = i;
    }
    observed_t *o = &h->observed[h->n_observed < OBSERVED_MAX ? h->n_observed++ : least];
    *o = (observed_t){.addr = *addr};
    return o;
}

/* One that has said many other addresses takes back the oldest of them: else it could fill the table with
 * what it invents, and nobody else would be heard. */
static void take_back(host_t *h, uint64_t voice, const multiaddr_t *now)
{
    observed_t *oldest = NULL;
    size_t n = 0;
    for (size_t i = 0; i < h->n_observed; i++) {
        observed_t *o = &h->observed[i];
        if (!has_voice(o, voice) || multiaddr_equal(&o->addr, now))
            continue;
        n++;
        if (!oldest || o->seen_ms < oldest->seen_ms)
            oldest = o;
    }
    if (n < VOICE_ADDRS_MAX)
        return;
    for (size_t i = oldest->n_voices; i--;)
        if (oldest->voices[i] == voice)
            oldest->voices[i] = oldest->voices[--oldest->n_voices];
    if (!oldest->n_voices)
        *oldest = h->observed[--h->n_observed];
}

/* Is it the NAT's word for a port that we listen on? What a peer sees of a connection that came in there, or
 * left from there; over QUIC all do. */
static bool shows_listener(const host_t *h, const conn_t *c, const endpoint_t *seen)
{
    bool is_listened = false;
    LIST_EACH (l, &h->listens, const listen_t, node)
        is_listened |= l->takes[seen->transport] && l->bound.family == seen->at.family;
    return is_listened && (c->is_inbound || c->is_shared || seen->transport == TRANSPORT_QUIC);
}

/* Several must agree on it, so that one liar cannot invent it: by address, of IPv6 by /56, as the reference
 * counts them. */
void addrs_observed(host_t *h, conn_t *c, bytes_t binary)
{
    multiaddr_t addr;
    endpoint_t seen, from;
    if (multiaddr_decode(binary, &addr) || endpoint_of_multiaddr(&addr, &seen) || !seen.at.port ||
        multiaddr_is_private(&addr) || multiaddr_is_circuit(&c->remote) ||
        endpoint_of_multiaddr(&c->remote, &from) || seen.transport != from.transport ||
        !shows_listener(h, c, &seen))
        return;
    static const uint8_t key[16] = "observed address";
    multiaddr_without_peer(&addr, &addr);
    uint64_t voice = siphash24(key, bytes_of(from.at.ip, from.at.family == 4 ? 4 : 7));
    take_back(h, voice, &addr);
    observed_t *o = observation_of(h, &addr);
    bool was_known = o->n_voices >= OBSERVED_VOICES_MIN;
    o->seen_ms = sched_now_ms(h->sched);
    if (!has_voice(o, voice) && o->n_voices < ARRAY_LEN(o->voices))
        o->voices[o->n_voices++] = voice;
    if (!was_known && o->n_voices >= OBSERVED_VOICES_MIN)
        host_tell_addrs_changed(h);
}

/* What even one peer has seen of us: good enough to try. */
size_t addrs_seen(const host_t *h, multiaddr_t *out, size_t cap)
{
    size_t n = 0;
    uint64_t now_ms = sched_now_ms(h->sched);
    for (size_t i = 0; i < h->n_observed && n < cap; i++)
        if (now_ms - h->observed[i].seen_ms < OBSERVED_TTL_MS)
            out[n++] = h->observed[i].addr;
    return n;
}

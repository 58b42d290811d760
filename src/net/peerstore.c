/* peerstore: addresses, protocols, agent, key and latency of peers. Bounded in peers, in addresses and
 * protocols per peer, and in bytes; the peer that was unused for longest and is neither connected nor
 * protected makes room. */
#include "net/host_internal.h"
#include "wire/identify.h"
#include <stdlib.h>

enum {
    PEERS_MAX = 8192,
    ADDRS_PER_PEER_MAX = 16,
    PROTOCOLS_PER_PEER_MAX = 96,
    PROTOCOL_BYTES_PER_PEER_MAX = 4096,
    STORE_BYTES_MAX = 16 << 20,
    ENTRY_BYTES = 256, /* what an entry costs before its contents */
    FAILURES_MAX = 16, /* addresses of a peer that are remembered to have failed */
    BACKOFF_FIRST_MS = 5000,
    BACKOFF_MAX_MS = 300000,
};

typedef struct stored_addr {
    uint64_t expires_ms;
    uint16_t len;
    uint8_t *data;
} stored_addr_t;

/* An address that was dialed in vain; it need not be among those of the peer: names are looked up. */
typedef struct failure {
    uint64_t addr_hash, retry_ms;
    uint32_t times;
} failure_t;

typedef struct entry {
    list_t node; /* most recently used first */
    peer_id_t id;
    size_t bytes; /* charged */
    stored_addr_t addrs[ADDRS_PER_PEER_MAX];
    size_t n_addrs;
    char **protocols; /* one allocation with its strings */
    size_t n_protocols, protocol_bytes;
    bool knows_protocols;
    char *agent;
    public_key_t *key; /* only when the peer id does not hold it */
    uint32_t latency_ms;
    failure_t *failures; /* n_failures of FAILURES_MAX; made when first used */
    size_t n_failures;
} entry_t;

struct peerstore {
    host_t *host;
    map_t entries;
    list_t recent;
    limit_t limit;
};

err_t peerstore_new(host_t *h, peerstore_t **ret)
{
    peerstore_t *ps = xcalloc(1, sizeof *ps);
    ps->host = h;
    map_init(&ps->entries, PEERS_MAX);
    list_init(&ps->recent);
    limit_init(&ps->limit, "memory of the peerstore", NULL, STORE_BYTES_MAX);
    *ret = ps;
    return OK;
}

static void drop_protocols(peerstore_t *ps, entry_t *e)
{
    free(e->protocols);
    limit_release(&ps->limit, e->protocol_bytes);
    e->bytes -= e->protocol_bytes;
    e->protocols = NULL;
    e->n_protocols = e->protocol_bytes = 0;
}

static void drop_addr(peerstore_t *ps, entry_t *e, size_t i)
{
    limit_release(&ps->limit, e->addrs[i].len);
    e->bytes -= e->addrs[i].len;
    free(e->addrs[i].data);
    e->addrs[i] = e->addrs[--e->n_addrs];
}

static void drop_entry(peerstore_t *ps, entry_t *e)
{
    while (e->n_addrs)
        drop_addr(ps, e, e->n_addrs - 1);
    drop_protocols(ps, e);
    free(e->agent);
    free(e->key);
    free(e->failures);
    limit_release(&ps->limit, e->bytes);
    map_remove(&ps->entries, peer_id_bytes(&e->id));
    list_remove(&e->node);
    free(e);
}

void peerstore_free(peerstore_t *ps)
{
    if (!ps)
        return;
    LIST_EACH (e, &ps->recent, entry_t, node)
        drop_entry(ps, e);
    map_deinit(&ps->entries);
    limit_deinit(&ps->limit);
    free(ps);
}

/* Whom the node is connected with, or stays connected with as soon as it can: else others could make it
 * forget where those are, by telling of many. */
static bool is_needed(const peerstore_t *ps, const entry_t *e)
{
    const peer_t *p = peer_find(ps->host, &e->id);
    return p && (p->n_conns > p->n_limited || peer_is_protected(p));
}

/* Room for one more entry or `bytes`: drops the peers unused for longest that are not needed. */
static bool make_room(peerstore_t *ps, size_t bytes, const entry_t *keep)
{
    for (list_t *at = ps->recent.prev, *prev; at != &ps->recent; at = prev) {
        if (map_count(&ps->entries) < PEERS_MAX && limit_room(&ps->limit) >= bytes)
            return true;
        prev = at->prev;
        entry_t *e = LIST_ENTRY(at, entry_t, node);
        if (e != keep && !is_needed(ps, e))
            drop_entry(ps, e);
    }
    return map_count(&ps->entries) < PEERS_MAX && limit_room(&ps->limit) >= bytes;
}

static bool charge(peerstore_t *ps, entry_t *e, size_t bytes)
{
    if (limit_room(&ps->limit) < bytes && !make_room(ps, bytes, e))
        return false;
    if (limit_charge(&ps->limit, bytes))
        return false;
    e->bytes += bytes;
    return true;
}

static entry_t *find(const peerstore_t *ps, const peer_id_t *peer)
{
    return map_get(&ps->entries, peer_id_bytes(peer));
}

/* NULL: there is no room. */
static entry_t *get(peerstore_t *ps, const peer_id_t *peer)
{
    entry_t *e = find(ps, peer);
    if (e) {
        list_remove(&e->node);
        list_push_front(&ps->recent, &e->node);
        return e;
    }
    if (!make_room(ps, ENTRY_BYTES, NULL))
        return NULL;
    e = xcalloc(1, sizeof *e);
    e->id = *peer;
    if (map_put(&ps->entries, peer_id_bytes(peer), e, NULL)) {
        free(e);
        return NULL;
    }
    list_push_front(&ps->recent, &e->node);
    if (!charge(ps, e, ENTRY_BYTES)) {
        drop_entry(ps, e);
        return NULL;
    }
    return e;
}

/* ── addresses ───────────────────────────────────────────────────────────────────────────────── */
static uint64_t now_ms(const peerstore_t *ps)
{
    return sched_now_ms(ps->host->sched);
}

static void drop_expired(peerstore_t *ps, entry_t *e)
{
    uint64_t now = now_ms(ps);
    for (size_t i = e->n_addrs; i--;)
        if (e->addrs[i].expires_ms <= now)
            drop_addr(ps, e, i);
}

static size_t soonest_to_expire(const entry_t *e)
{
    size_t soonest = 0;
    for (size_t i = 1; i < e->n_addrs; i++)
        if (e->addrs[i].expires_ms < e->addrs[soonest].expires_ms)
            soonest = i;
    return soonest;
}

static void add_addr(peerstore_t *ps, entry_t *e, bytes_t addr, uint64_t expires_ms)
{
    for (size_t i = 0; i < e->n_addrs; i++)
        if (bytes_equal(bytes_of(e->addrs[i].data, e->addrs[i].len), addr)) {
            if (e->addrs[i].expires_ms < expires_ms)
                e->addrs[i].expires_ms = expires_ms;
            return;
        }
    if (e->n_addrs == ADDRS_PER_PEER_MAX) {
        size_t i = soonest_to_expire(e);
        if (e->addrs[i].expires_ms > expires_ms)
            return;
        drop_addr(ps, e, i);
    }
    if (!charge(ps, e, addr.len))
        return;
    stored_addr_t *a = &e->addrs[e->n_addrs++];
    *a = (stored_addr_t){expires_ms, (uint16_t)addr.len, xmalloc(addr.len ? addr.len : 1)};
    memcpy(a->data, addr.data, addr.len);
}

void peerstore_add_addrs(peerstore_t *ps, const peer_id_t *peer, const multiaddr_t *addrs, size_t n,
                         uint64_t ttl_ms)
{
    if (!n || !ttl_ms || peer_id_equal(peer, &ps->host->id))
        return;
    entry_t *e = get(ps, peer);
    if (!e)
        return;
    drop_expired(ps, e);
    uint64_t now = now_ms(ps), expires_ms = ttl_ms > TIME_NEVER - now ? TIME_NEVER : now + ttl_ms;
    for (size_t i = 0; i < n; i++) {
        multiaddr_t bare;
        peer_id_t owner;
        if (!multiaddr_peer(&addrs[i], &owner) && !peer_id_equal(&owner, peer))
            continue; /* an address of somebody else */
        multiaddr_without_peer(&addrs[i], &bare);
        add_addr(ps, e, multiaddr_bytes(&bare), expires_ms);
    }
}

size_t peerstore_addrs(peerstore_t *ps, const peer_id_t *peer, multiaddr_t *out, size_t cap)
{
    entry_t *e = find(ps, peer);
    if (!e)
        return 0;
    drop_expired(ps, e);
    size_t n = e->n_addrs < cap ? e->n_addrs : cap;
    for (size_t i = 0; i < n; i++) {
        out[i].len = e->addrs[i].len;
        memcpy(out[i].data, e->addrs[i].data, e->addrs[i].len);
    }
    return n;
}

/* ── what identify tells ─────────────────────────────────────────────────────────────────────── */
/* As text for printers and comparisons: a name with a zero byte inside is not one. */
static bool is_text(bytes_t b)
{
    return b.len && !memchr(b.data, 0, b.len);
}

static void set_protocols(peerstore_t *ps, entry_t *e, const identify_t *m)
{
    size_t n = 0, bytes = 0;
    for (; n < m->n_protocols && n < PROTOCOLS_PER_PEER_MAX; n++) {
        size_t more = m->protocols[n].len + 1 + sizeof(char *);
        if (bytes + more > PROTOCOL_BYTES_PER_PEER_MAX)
            break;
        bytes += more;
    }
    drop_protocols(ps, e);
    e->knows_protocols = true;
    if (!n || !charge(ps, e, bytes))
        return;
    e->protocol_bytes = bytes;
    e->protocols = xmalloc(bytes);
    char *at = (char *)(e->protocols + n);
    for (size_t i = 0; i < n; i++) {
        if (!is_text(m->protocols[i]))
            continue;
        e->protocols[e->n_protocols++] = at;
        memcpy(at, m->protocols[i].data, m->protocols[i].len);
        at += m->protocols[i].len;
        *at++ = 0;
    }
}

void peerstore_set_identity(peerstore_t *ps, const peer_id_t *peer, const identify_t *m)
{
    entry_t *e = get(ps, peer);
    if (!e)
        return;
    if (m->has_protocols || !e->knows_protocols)
        set_protocols(ps, e, m);
    if (is_text(m->agent_version)) {
        free(e->agent);
        e->agent = xmalloc(m->agent_version.len + 1);
        memcpy(e->agent, m->agent_version.data, m->agent_version.len);
        e->agent[m->agent_version.len] = 0;
    }
}

void peerstore_set_key(peerstore_t *ps, const peer_id_t *peer, const public_key_t *key)
{
    public_key_t inside;
    if (!peer_id_public_key(peer, &inside) || !peer_id_matches(peer, key))
        return;
    entry_t *e = get(ps, peer);
    if (!e || e->key || !charge(ps, e, sizeof *key))
        return;
    e->key = xmalloc(sizeof *key);
    *e->key = *key;
}

bool peerstore_speaks(peerstore_t *ps, const peer_id_t *peer, const char *protocol)
{
    const entry_t *e = find(ps, peer);
    for (size_t i = 0; e && i < e->n_protocols; i++)
        if (!strcmp(e->protocols[i], protocol))
            return true;
    return false;
}

bool peerstore_knows_protocols(peerstore_t *ps, const peer_id_t *peer)
{
    const entry_t *e = find(ps, peer);
    return e && e->knows_protocols;
}

size_t peerstore_protocols(peerstore_t *ps, const peer_id_t *peer, const char **out, size_t cap)
{
    const entry_t *e = find(ps, peer);
    size_t n = e ? e->n_protocols : 0;
    n = n < cap ? n : cap;
    for (size_t i = 0; i < n; i++)
        out[i] = e->protocols[i];
    return n;
}

const char *peerstore_agent(peerstore_t *ps, const peer_id_t *peer)
{
    const entry_t *e = find(ps, peer);
    return e && e->agent ? e->agent : "";
}

err_t peerstore_public_key(peerstore_t *ps, const peer_id_t *peer, public_key_t *ret)
{
    if (!peer_id_public_key(peer, ret))
        return OK;
    const entry_t *e = find(ps, peer);
    if (!e || !e->key)
        return fail(ERR_NOT_FOUND, "the public key of this peer is not known");
    *ret = *e->key;
    return OK;
}

uint32_t peerstore_latency_ms(peerstore_t *ps, const peer_id_t *peer)
{
    const entry_t *e = find(ps, peer);
    return e ? e->latency_ms : 0;
}

void peerstore_add_latency(peerstore_t *ps, const peer_id_t *peer, uint32_t ms)
{
    entry_t *e = get(ps, peer);
    if (e)
        e->latency_ms = e->latency_ms ? (uint32_t)((e->latency_ms * 9ull + ms) / 10) : ms;
}

/* ── back-off ────────────────────────────────────────────────────────────────────────────────── */
static uint64_t hash_addr(const multiaddr_t *addr)
{
    static const uint8_t key[16] = "failed addresses"; /* who makes two alike harms himself */
    return siphash24(key, multiaddr_bytes(addr));
}

static failure_t *find_failure(const entry_t *e, const multiaddr_t *addr)
{
    uint64_t hash = hash_addr(addr);
    for (size_t i = 0; e && i < e->n_failures; i++)
        if (e->failures[i].addr_hash == hash)
            return &e->failures[i];
    return NULL;
}

/* A new one; the one that may be tried the soonest makes room. NULL: no memory is left for it. */
static failure_t *add_failure(peerstore_t *ps, entry_t *e)
{
    if (!e->failures) {
        if (!charge(ps, e, FAILURES_MAX * sizeof *e->failures))
            return NULL;
        e->failures = xcalloc(FAILURES_MAX, sizeof *e->failures);
    }
    failure_t *f = &e->failures[0];
    for (size_t i = 1; i < e->n_failures; i++)
        if (e->failures[i].retry_ms < f->retry_ms)
            f = &e->failures[i];
    return e->n_failures < FAILURES_MAX ? &e->failures[e->n_failures++] : f;
}

void peerstore_addr_failed(peerstore_t *ps, const peer_id_t *peer, const multiaddr_t *addr)
{
    entry_t *e = get(ps, peer);
    failure_t *f = find_failure(e, addr);
    if (!e || (!f && !(f = add_failure(ps, e))))
        return;
    uint64_t hash = hash_addr(addr);
    uint32_t times = f->addr_hash == hash ? f->times : 0;
    uint64_t wait_ms = (uint64_t)BACKOFF_FIRST_MS << (times < 6 ? times : 6);
    *f = (failure_t){hash, now_ms(ps) + (wait_ms < BACKOFF_MAX_MS ? wait_ms : BACKOFF_MAX_MS), times + 1};
}

void peerstore_addr_succeeded(peerstore_t *ps, const peer_id_t *peer, const multiaddr_t *addr)
{
    entry_t *e = find(ps, peer);
    failure_t *f = find_failure(e, addr);
    if (f)
        *f = e->failures[--e->n_failures];
}

uint64_t peerstore_addr_retry_ms(peerstore_t *ps, const peer_id_t *peer, const multiaddr_t *addr)
{
    const failure_t *f = find_failure(find(ps, peer), addr);
    return f ? f->retry_ms : 0;
}

void host_forget_failures(host_t *h, const peer_id_t *peer)
{
    entry_t *e = find(h->peerstore, peer);
    if (e)
        e->n_failures = 0;
}

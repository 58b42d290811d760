#include "routing/dht.h"
#include "base/log.h"
#include "routing/routing_internal.h"
#include <stdlib.h>

enum { TABLE_TAG_SCORE = 5, KNOWN_ADDRS = 32, MAX_RATES = 4096, MAX_CANDIDATES = 256 };
static const char TABLE_TAG[] = "dht";

void dht_init(dht_t *d, routing_t *r, host_t *h, dht_kind_t kind, bool takes_loopback)
{
    static const char *const names[] = {"wan", "lan", "mesh"};
    static const char *const protocols[] = {KAD_PROTOCOL_WAN, KAD_PROTOCOL_LAN, KAD_PROTOCOL_MESH};
    *d = (dht_t){.routing = r,
                 .host = h,
                 .sched = host_sched(h),
                 .name = names[kind],
                 .protocol = protocols[kind],
                 .is_lan = kind != DHT_WAN,
                 .is_mesh = kind == DHT_MESH,
                 .takes_loopback = takes_loopback,
                 .self = *host_id(h),
                 .providers = &r->providers,
                 .values = &r->values,
                 .stats = &r->stats};
    kbucket_config_t config;
    kbucket_config_default(&config);
    if (d->is_lan) /* its peers are near each other by nature */
        config.group_max = config.group_bucket_max = 0;
    kbucket_init(&d->table, &config, &d->self);
    netsize_init(&d->size, DHT_K);
    dht_client_init(&d->client, h, d->protocol);
    map_init(&d->candidates, MAX_CANDIDATES);
    event_init(&d->wake);
    list_init(&d->serving);
    event_init(&d->served);
    map_init(&d->rates, MAX_RATES);
}

void dht_deinit(dht_t *d)
{
    dht_client_close(&d->client);
    kbucket_deinit(&d->table);
    map_deinit(&d->candidates);
    void *rate;
    for (size_t i = 0; map_next(&d->rates, &i, NULL, &rate);)
        free(rate);
    map_deinit(&d->rates);
}

/* ── addresses ───────────────────────────────────────────────────────────────────────────────── */
bool dht_takes_addr(const dht_t *d, const multiaddr_t *addr)
{
    multiaddr_part_t part;
    if (!addr->len || multiaddr_find(addr, MA_P2P_CIRCUIT, &part))
        return false;
    if (d->is_mesh)
        return true;
    if (!d->is_lan)
        return !multiaddr_is_private(addr);
    return multiaddr_is_private(addr) && (d->takes_loopback || !multiaddr_is_loopback(addr));
}

bool dht_shows_addr(const dht_t *d, const multiaddr_t *addr)
{
    multiaddr_part_t part;
    bool is_relayed = addr->len && multiaddr_find(addr, MA_P2P_CIRCUIT, &part);
    if (is_relayed && d->is_mesh)
        return true;
    return is_relayed ? !d->is_lan && !multiaddr_is_private(addr) : dht_takes_addr(d, addr);
}

/* Appends those that are shown, direct ones or relayed ones; what there is then. */
static size_t append_addrs(const dht_t *d, const multiaddr_t *all, size_t n_all, bool direct,
                           multiaddr_t *out, size_t n, size_t cap)
{
    for (size_t i = 0; i < n_all && n < cap; i++)
        if (dht_shows_addr(d, &all[i]) && dht_takes_addr(d, &all[i]) == direct)
            multiaddr_without_peer(&all[i], &out[n++]);
    return n;
}

size_t dht_addrs_of(dht_t *d, const peer_id_t *peer, multiaddr_t *out, size_t cap)
{
    multiaddr_t *all = xmalloc(KNOWN_ADDRS * sizeof *all);
    size_t n_all = peer_id_equal(peer, &d->self)
                       ? host_addrs(d->host, all, KNOWN_ADDRS)
                       : peerstore_addrs(host_peerstore(d->host), peer, all, KNOWN_ADDRS);
    size_t n = append_addrs(d, all, n_all, true, out, 0, cap);
    n = append_addrs(d, all, n_all, false, out, n, cap);
    free(all);
    return n;
}

/* ── the table ───────────────────────────────────────────────────────────────────────────────── */
/* Is the peer where this DHT is? WAN: it has a public address; LAN: we are connected over a private one. */
static bool is_in_reach(dht_t *d, const peer_id_t *peer, conn_t *conn)
{
    if (conn && (d->is_mesh || dht_takes_addr(d, conn_remote_addr(conn))))
        return true;
    if (d->is_lan)
        return false;
    multiaddr_t *one = xmalloc(sizeof *one);
    bool has_public =
        dht_addrs_of(d, peer, one, 1) > 0 && dht_takes_addr(d, one); /* direct ones come first */
    free(one);
    return has_public;
}

/* A peer that says it speaks the protocol is only believed when it has answered: else it could come back into
 * the table with each identify push. */
void dht_meet(dht_t *d, const peer_id_t *peer, conn_t *conn)
{
    peerstore_t *ps = host_peerstore(d->host);
    if (!peerstore_speaks(ps, peer, d->protocol)) {
        if (peerstore_knows_protocols(ps, peer))
            dht_lose(d, peer);
        return;
    }
    bytes_t key = peer_id_bytes(peer);
    if (kbucket_get(&d->table, peer) || !is_in_reach(d, peer, conn) || map_has(&d->candidates, key))
        return;
    if (!map_put(&d->candidates, key, d, NULL)) /* when full: it will be met again */
        event_fire(&d->wake);
}

bool dht_next_candidate(dht_t *d, peer_id_t *ret_peer)
{
    bytes_t key;
    size_t i = 0;
    if (!map_next(&d->candidates, &i, &key, NULL))
        return false;
    *ret_peer = (peer_id_t){.len = (uint8_t)key.len};
    memcpy(ret_peer->data, key.data, key.len);
    map_remove(&d->candidates, peer_id_bytes(ret_peer));
    return true;
}

void dht_admit(dht_t *d, const peer_id_t *peer)
{
    conn_t *conn = host_conn(d->host, peer);
    if (kbucket_get(&d->table, peer) || !peerstore_speaks(host_peerstore(d->host), peer, d->protocol) ||
        !is_in_reach(d, peer, conn))
        return;
    map_remove(&d->candidates, peer_id_bytes(peer));
    uint64_t group = !d->is_lan && conn ? kbucket_group(conn_remote_addr(conn)) : 0;
    kbucket_result_t result = kbucket_add(&d->table, peer, group, !d->is_filled, sched_now_ms(d->sched));
    if (result == KBUCKET_ADDED && kbucket_count(&d->table) == 1)
        d->online_at = sched_now_ms(d->sched);
    if (result == KBUCKET_ADDED) {
        host_tag(d->host, peer, TABLE_TAG, TABLE_TAG_SCORE);
        event_fire(&d->routing->changed);
    }
    if (result == KBUCKET_ADDED || result == KBUCKET_PENDING)
        event_fire(&d->wake);
}

void dht_lose(dht_t *d, const peer_id_t *peer)
{
    if (!kbucket_remove(&d->table, peer))
        return;
    host_tag(d->host, peer, TABLE_TAG, 0);
    event_fire(&d->wake);
}

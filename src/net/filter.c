/* filter: networks that the host keeps away from, and addresses that it keeps to itself. */
#include "net/host_internal.h"
#include <stdlib.h>

/* /ip4|ip6/IP, /ip4|ip6/IP/ipcidr/BITS: the network that it names; nothing else behind it. */
static err_t parse_network(const multiaddr_t *m, network_t *ret)
{
    multiaddr_part_t part;
    size_t iter = 0;
    network_t n = {0};
    if (!multiaddr_next(m, &iter, &part) || (part.code != MA_IP4 && part.code != MA_IP6))
        return fail(ERR_INVALID, "a filter has the form /ip4/10.0.0.0/ipcidr/8");
    n.family = part.code == MA_IP4 ? 4 : 6;
    memcpy(n.ip, part.value.data, part.value.len);
    n.bits = (uint8_t)(part.value.len * 8);
    if (multiaddr_next(m, &iter, &part)) {
        if (part.code != MA_IPCIDR || part.value.data[0] > n.bits || multiaddr_next(m, &iter, &part))
            return fail(ERR_INVALID, "a filter has the form /ip4/10.0.0.0/ipcidr/8");
        n.bits = part.value.data[0];
    }
    n.text = *m;
    *ret = n;
    return OK;
}

/* An IPv4 address inside an IPv6 one leads where the IPv4 address does, and is taken for it. */
static bool is_in(const network_t *n, uint8_t family, const uint8_t *ip)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (family == 6 && n->family == 4 && !memcmp(ip, mapped, sizeof mapped)) {
        family = 4;
        ip += sizeof mapped;
    }
    size_t whole = n->bits / 8, rest = n->bits % 8;
    if (n->family != family || memcmp(n->ip, ip, whole) != 0)
        return false;
    return !rest || (n->ip[whole] ^ ip[whole]) >> (8 - rest) == 0;
}

/* The IP that the address begins with. */
static bool is_addr_in(const network_t *n, const multiaddr_t *addr)
{
    multiaddr_part_t first;
    size_t iter = 0;
    if (!multiaddr_next(addr, &iter, &first) || (first.code != MA_IP4 && first.code != MA_IP6))
        return false;
    return is_in(n, first.code == MA_IP4 ? 4 : 6, first.value.data);
}

static err_t add(networks_t *list, const multiaddr_t *network)
{
    network_t n;
    TRY(parse_network(network, &n));
    for (size_t i = 0; i < list->n; i++)
        if (multiaddr_equal(&list->items[i].text, network))
            return OK;
    if (list->n == NETWORKS_MAX)
        return fail(ERR_LIMIT, "%d filters, the limit", NETWORKS_MAX);
    list->items = xrealloc(list->items, (list->n + 1) * sizeof *list->items);
    list->items[list->n++] = n;
    return OK;
}

err_t host_filter(host_t *h, const multiaddr_t *network)
{
    return add(&h->filters, network);
}

err_t host_unfilter(host_t *h, const multiaddr_t *network)
{
    for (size_t i = 0; i < h->filters.n; i++)
        if (multiaddr_equal(&h->filters.items[i].text, network)) {
            h->filters.items[i] = h->filters.items[--h->filters.n];
            return OK;
        }
    return fail(ERR_NOT_FOUND, "there is no such filter");
}

err_t host_hide(host_t *h, const multiaddr_t *addr)
{
    network_t network;
    if (!parse_network(addr, &network))
        return add(&h->hidden_networks, addr);
    if (h->n_hidden == ANNOUNCE_MAX)
        return fail(ERR_LIMIT, "%d addresses are kept back, the limit", ANNOUNCE_MAX);
    h->hidden = xrealloc(h->hidden, (h->n_hidden + 1) * sizeof *h->hidden);
    h->hidden[h->n_hidden++] = *addr;
    return OK;
}

/* /ip4|ip6/IP[/ipcidr/BITS][/p2p/ID] */
err_t filters_allow_past_limits(host_t *h, const multiaddr_t *addr)
{
    multiaddr_t network;
    peer_id_t peer = {.len = 0};
    if (multiaddr_peer(addr, &peer))
        peer = (peer_id_t){.len = 0};
    multiaddr_without_peer(addr, &network);
    size_t n = h->past_limits.n;
    TRY(add(&h->past_limits, &network));
    if (h->past_limits.n > n)
        h->past_limits.items[n].peer = peer;
    return OK;
}

bool addr_is_past_limits(const host_t *h, const net_addr_t *at, const peer_id_t *peer)
{
    for (size_t i = 0; i < h->past_limits.n; i++) {
        const network_t *n = &h->past_limits.items[i];
        if (is_in(n, at->family, at->ip) && (!peer || !n->peer.len || peer_id_equal(peer, &n->peer)))
            return true;
    }
    return false;
}

bool addr_is_filtered(const host_t *h, const net_addr_t *addr)
{
    for (size_t i = 0; i < h->filters.n; i++)
        if (is_in(&h->filters.items[i], addr->family, addr->ip))
            return true;
    return false;
}

bool addr_is_hidden(const host_t *h, const multiaddr_t *addr)
{
    for (size_t i = 0; i < h->hidden_networks.n; i++)
        if (is_addr_in(&h->hidden_networks.items[i], addr))
            return true;
    for (size_t i = 0; i < h->n_hidden; i++)
        if (multiaddr_equal(&h->hidden[i], addr))
            return true;
    return false;
}

void filters_free(host_t *h)
{
    free(h->filters.items);
    free(h->hidden_networks.items);
    free(h->past_limits.items);
    free(h->hidden);
}

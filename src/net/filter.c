/* filter: networks and peers that the host keeps away from or stays with, and addresses that it keeps to
 * itself. */
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

static err_t add(networks_t *list, const network_t *n)
{
    for (size_t i = 0; i < list->n; i++)
        if (multiaddr_equal(&list->items[i].text, &n->text))
            return OK;
    if (list->n == NETWORKS_MAX)
        return fail(ERR_LIMIT, "%d filters, the limit", NETWORKS_MAX);
    list->items = xrealloc(list->items, (list->n + 1) * sizeof *list->items);
    list->items[list->n++] = *n;
    return OK;
}

static err_t add_network(networks_t *list, const multiaddr_t *network)
{
    network_t n;
    TRY(parse_network(network, &n));
    return add(list, &n);
}

/* A network, or /p2p/ID: family 0. */
static err_t parse_gate(const multiaddr_t *m, network_t *ret)
{
    multiaddr_part_t part;
    size_t iter = 0;
    network_t n = {.text = *m};
    if (!multiaddr_next(m, &iter, &part) || part.code != MA_P2P)
        return parse_network(m, ret);
    if (multiaddr_next(m, &iter, &part))
        return fail(ERR_INVALID, "a filter has the form /ip4/10.0.0.0/ipcidr/8 or /p2p/12D3…");
    TRY(multiaddr_peer(m, &n.peer));
    *ret = n;
    return OK;
}

err_t host_gate_check(const multiaddr_t *entry)
{
    network_t ignored;
    return parse_gate(entry, &ignored);
}

/* ── whom this node keeps away from, or stays with ───────────────────────────────────────────── */
static bool has_addr(const networks_t *list, uint8_t family, const uint8_t *ip)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].family && is_in(&list->items[i], family, ip))
            return true;
    return false;
}

static bool has_peer(const networks_t *list, const peer_id_t *peer)
{
    for (size_t i = 0; i < list->n; i++)
        if (!list->items[i].family && peer_id_equal(&list->items[i].peer, peer))
            return true;
    return false;
}

/* Is there a network (else: a peer) among them? */
static bool names_some(const networks_t *list, bool network)
{
    for (size_t i = 0; i < list->n; i++)
        if ((list->items[i].family != 0) == network)
            return true;
    return false;
}

bool addr_is_filtered(const host_t *h, const net_addr_t *addr)
{
    if (has_addr(&h->filters, addr->family, addr->ip))
        return true;
    return h->allowed.n && !names_some(&h->allowed, false) && !has_addr(&h->allowed, addr->family, addr->ip);
}

err_t gate_check(const host_t *h, const peer_id_t *peer, const multiaddr_t *remote)
{
    char text[PEER_ID_TEXT_MAX];
    net_addr_t at;
    bool has_at = remote && !net_addr_of_multiaddr(remote, &at);
    if (has_peer(&h->filters, peer))
        return fail(ERR_DENIED, "%s is filtered (Swarm.Gating.Deny)", peer_id_print(peer, text));
    if (has_at && has_addr(&h->filters, at.family, at.ip))
        return fail(ERR_DENIED, "its address is filtered (Swarm.AddrFilters)");
    if (!h->allowed.n || has_peer(&h->allowed, peer))
        return OK;
    if (remote ? has_at && has_addr(&h->allowed, at.family, at.ip) : names_some(&h->allowed, true))
        return OK; /* somewhere: the addresses are looked at one by one */
    return fail(ERR_DENIED, "%s is not among those that are allowed (Swarm.Gating.Allow)",
                peer_id_print(peer, text));
}

/* Connections that the gates would not let in any more. */
static void close_denied(host_t *h)
{
    for (conn_t *c = LIST_FIRST(&h->conns, conn_t, node); c;) {
        conn_t *next = c->node.next == &h->conns ? NULL : LIST_ENTRY(c->node.next, conn_t, node);
        if (gate_check(h, &c->peer->id, &c->remote)) {
            conn_close(c);
            next = LIST_FIRST(&h->conns, conn_t, node); /* the list may have changed anywhere */
        }
        c = next;
    }
}

static networks_t *gate_list(host_t *h, host_gate_t gate)
{
    return gate == GATE_DENY ? &h->filters : &h->allowed;
}

err_t host_gate_add(host_t *h, host_gate_t gate, const multiaddr_t *entry)
{
    network_t n;
    TRY(parse_gate(entry, &n));
    TRY(add(gate_list(h, gate), &n));
    close_denied(h);
    return OK;
}

err_t host_gate_remove(host_t *h, host_gate_t gate, const multiaddr_t *entry)
{
    networks_t *list = gate_list(h, gate);
    for (size_t i = 0; i < list->n; i++)
        if (multiaddr_equal(&list->items[i].text, entry)) {
            list->items[i] = list->items[--list->n];
            close_denied(h); /* the list of those allowed has become shorter */
            return OK;
        }
    return fail(ERR_NOT_FOUND, "there is no such filter");
}

err_t host_gate_set(host_t *h, host_gate_t gate, const multiaddr_t *entries, size_t n)
{
    networks_t list = {.items = NULL};
    for (size_t i = 0; i < n; i++) {
        network_t entry;
        err_t e = parse_gate(&entries[i], &entry);
        if (!e)
            e = add(&list, &entry);
        if (e) {
            free(list.items);
            return e;
        }
    }
    free(gate_list(h, gate)->items);
    *gate_list(h, gate) = list;
    close_denied(h);
    return OK;
}

err_t host_hide(host_t *h, const multiaddr_t *addr)
{
    network_t network;
    if (!parse_network(addr, &network))
        return add_network(&h->hidden_networks, addr);
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
    TRY(add_network(&h->past_limits, &network));
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
    free(h->allowed.items);
    free(h->hidden_networks.items);
    free(h->past_limits.items);
    free(h->hidden);
}

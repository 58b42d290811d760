#include "sim/sim_impl.h"
#include <stdlib.h>

enum { DATAGRAM_MAX = 65507, QUEUE_MAX = 512, GROUPS_MAX = 8 };

typedef struct datagram {
    list_t node;
    sched_alarm_t alarm;
    sim_host_t *from_host, *to_host;
    net_addr_t from, to;
    size_t len;
    uint8_t data[];
} datagram_t;

typedef struct sim_udp {
    udp_t base;
    list_t node, in;
    size_t in_count, group_count;
    net_addr_t groups[GROUPS_MAX];
    sim_machine_t *machine;
} sim_udp_t;

static bool is_multicast(const net_addr_t *a)
{
    return a->family == 6 ? a->ip[0] == 0xff : (a->ip[0] & 0xf0) == 0xe0;
}

static bool is_for(const sim_udp_t *u, const net_addr_t *to)
{
    if (u->base.at.port != to->port || u->base.at.family != to->family)
        return false;
    for (size_t i = 0; i < u->group_count; i++)
        if (net_addr_same_ip(&u->groups[i], to))
            return true;
    return !is_multicast(to) && (net_addr_is_any(&u->base.at) || net_addr_same_ip(&u->base.at, to));
}

static void on_datagram(void *arg)
{
    datagram_t *g = arg;
    sim_host_t *h = g->to_host;
    sim_note(h->sim, "datagram", (uint64_t)g->from_host->index << 32 | h->index, g->len);
    bool is_here = is_multicast(&g->to) || net_addr_is_any(&g->to) || sim_owns_ip(h, &g->to);
    if (is_here && sim_host_is_up(h) && !sim_is_blocked(g->from_host, h))
        LIST_EACH (u, &h->machine->udps, sim_udp_t, node)
            if (is_for(u, &g->to) && u->in_count < QUEUE_MAX) {
                datagram_t *copy = xmalloc(sizeof *copy + g->len);
                memcpy(copy, g, sizeof *copy + g->len);
                list_push_back(&u->in, &copy->node);
                u->in_count++;
                event_fire(&u->base.readable);
            }
    list_remove(&g->node);
    free(g);
}

void sim_udp_free(sim_t *s)
{
    LIST_EACH (g, &s->datagrams, datagram_t, node) {
        alarm_clear(&g->alarm);
        free(g);
    }
}

static void send_to(sim_udp_t *u, sim_host_t *to_host, const net_addr_t *to, bytes_t data)
{
    sim_host_t *own = u->machine->host;
    sim_t *s = own->sim;
    const sim_link_t *link = sim_link_of(own, to_host);
    int copies = sim_chance(s, link->loss) ? 0 : sim_chance(s, link->duplicate) ? 2 : 1;
    while (copies--) {
        datagram_t *g = xmalloc(sizeof *g + data.len);
        *g = (datagram_t){.from_host = own, .to_host = to_host, .to = *to, .len = data.len};
        memcpy(g->data, data.data, data.len);
        bool has_source = !net_addr_is_any(&u->base.at) && !is_multicast(&u->base.at);
        g->from = has_source ? u->base.at : sim_source_addr(own, to);
        g->from.port = u->base.at.port;
        uint64_t at_ms = sim_arrival_ms(own, to_host, data.len + 28);
        if (sim_chance(s, link->reorder))
            at_ms += 1 + prng_below(&s->rng, 2 * (link->latency_ms + link->jitter_ms) + 1);
        alarm_init(&g->alarm, s->world, on_datagram, g);
        alarm_set(&g->alarm, at_ms);
        list_push_back(&s->datagrams, &g->node);
    }
}

static err_t udp_op_send(udp_t *base, const net_addr_t *to, bytes_t datagram)
{
    sim_udp_t *u = (sim_udp_t *)base;
    sim_host_t *own = u->machine->host;
    TRY(machine_check(u->machine));
    if (datagram.len > DATAGRAM_MAX)
        return fail(ERR_LIMIT, "a datagram of %zu bytes is over %d", datagram.len, DATAGRAM_MAX);
    if (is_multicast(to)) {
        LIST_EACH (h, &own->sim->hosts, sim_host_t, node)
            send_to(u, h, to, datagram);
        return OK;
    }
    sim_host_t *host = sim_find_host(own, to);
    if (host)
        send_to(u, host, to, datagram);
    return OK; /* to nobody: lost, as on a real network */
}

static err_t take(udp_t *base, udp_burst_t *ret, uint8_t *out, size_t cap, size_t *ret_n)
{
    sim_udp_t *u = (sim_udp_t *)base;
    TRY(machine_check(u->machine));
    datagram_t *g = LIST_FIRST(&u->in, datagram_t, node);
    if (!g)
        return ERR_AGAIN;
    list_remove(&g->node);
    u->in_count--;
    size_t n = g->len < cap ? g->len : cap; /* the rest of a datagram is lost */
    memcpy(out, g->data, n);
    *ret_n = n;
    *ret = (udp_burst_t){.peer = g->from, .local = g->to, .segment_bytes = n};
    free(g);
    return OK;
}

static err_t udp_op_recv(udp_t *base, net_addr_t *ret_from, uint8_t *out, size_t cap, size_t *ret_n)
{
    udp_burst_t b;
    TRY(take(base, &b, out, cap, ret_n));
    if (ret_from)
        *ret_from = b.peer;
    return OK;
}

static err_t udp_op_send_burst(udp_t *base, const udp_burst_t *b, bytes_t datagrams, size_t *ret_n)
{
    *ret_n = 0;
    if (b->local.family && !sim_owns_ip(((sim_udp_t *)base)->machine->host, &b->local))
        return fail(ERR_UNREACHABLE, "this machine has no such address");
    while (*ret_n < datagrams.len) {
        bytes_t one = bytes_slice(datagrams, *ret_n, b->segment_bytes);
        TRY(udp_op_send(base, &b->peer, one));
        *ret_n += one.len;
    }
    return OK;
}

static err_t udp_op_join(udp_t *base, const net_addr_t *group)
{
    sim_udp_t *u = (sim_udp_t *)base;
    TRY(machine_check(u->machine));
    if (!is_multicast(group))
        return fail(ERR_INVALID, "not a multicast group");
    for (size_t i = 0; i < u->group_count; i++)
        if (net_addr_same_ip(&u->groups[i], group))
            return OK;
    if (u->group_count == GROUPS_MAX)
        return fail(ERR_LIMIT, "over %d multicast groups", GROUPS_MAX);
    u->groups[u->group_count++] = *group;
    return OK;
}

static void udp_op_close(udp_t *base)
{
    sim_udp_t *u = (sim_udp_t *)base;
    LIST_EACH (g, &u->in, datagram_t, node)
        free(g);
    list_remove(&u->node);
    free(u);
}

void sim_udps_die(sim_machine_t *m)
{
    LIST_EACH (u, &m->udps, sim_udp_t, node)
        event_fire(&u->base.readable);
}

static bool is_port_used(const sim_machine_t *m, const net_addr_t *at)
{
    LIST_EACH (u, &m->udps, sim_udp_t, node)
        if (u->base.at.port == at->port && u->base.at.family == at->family &&
            (net_addr_is_any(at) || net_addr_is_any(&u->base.at) || net_addr_same_ip(at, &u->base.at)))
            return true;
    return false;
}

err_t sim_op_udp_open(driver_t *d, const net_addr_t *at, udp_t **ret_udp)
{
    static const udp_ops_t ops = {.send = udp_op_send,
                                  .recv = udp_op_recv,
                                  .join = udp_op_join,
                                  .send_burst = udp_op_send_burst,
                                  .recv_burst = take,
                                  .close = udp_op_close};
    sim_machine_t *m = machine_of(d);
    char text[NET_ADDR_TEXT_MAX];
    TRY(machine_check(m));
    if (!net_addr_is_any(at) && !is_multicast(at) && !sim_owns_ip(m->host, at))
        return fail(ERR_UNREACHABLE, "cannot bind %s: no such address here", net_addr_print(at, text));
    net_addr_t own = *at;
    if (!own.port)
        do
            own.port = sim_next_port(m->host);
        while (is_port_used(m, &own));
    else if (is_port_used(m, &own))
        return fail(ERR_IN_USE, "cannot bind %s: the port is in use", net_addr_print(at, text));
    sim_udp_t *u = xcalloc(1, sizeof *u);
    u->base = (udp_t){.ops = &ops, .at = own};
    event_init(&u->base.readable);
    event_init(&u->base.writable);
    u->machine = m;
    list_init(&u->in);
    list_push_back(&m->udps, &u->node);
    *ret_udp = &u->base;
    return OK;
}

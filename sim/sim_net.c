#include "sim/sim_impl.h"
#include <stdlib.h>

/* ── links ───────────────────────────────────────────────────────────────────────────────────── */
sim_pair_t *sim_pair(sim_host_t *from, sim_host_t *to)
{
    uint32_t key[2] = {from->index, to->index};
    sim_pair_t *p = map_get(&from->sim->pairs, bytes_of(key, sizeof key));
    if (p)
        return p;
    p = xcalloc(1, sizeof *p);
    if (map_put(&from->sim->pairs, bytes_of(key, sizeof key), p, NULL))
        abort(); /* more pairs than the simulator is made for */
    return p;
}

bool sim_is_blocked(sim_host_t *from, sim_host_t *to)
{
    return from != to && (from->is_isolated || to->is_isolated || sim_pair(from, to)->is_blocked);
}

const sim_link_t *sim_link_of(sim_host_t *from, sim_host_t *to)
{
    static const sim_link_t loopback = {0};
    if (from == to)
        return &loopback;
    sim_pair_t *p = sim_pair(from, to);
    return p->has_link ? &p->link : &from->sim->default_link;
}

uint64_t sim_latency_ms(sim_host_t *from, sim_host_t *to)
{
    const sim_link_t *l = sim_link_of(from, to);
    return l->latency_ms + (l->jitter_ms ? prng_below(&from->sim->rng, l->jitter_ms + 1u) : 0);
}

uint64_t sim_arrival_ms(sim_host_t *from, sim_host_t *to, size_t bytes)
{
    const sim_link_t *l = sim_link_of(from, to);
    uint64_t sent_us = from->sim->clock_ms * 1000;
    if (l->bytes_per_s) {
        sim_pair_t *p = sim_pair(from, to);
        if (p->free_at_us < sent_us)
            p->free_at_us = sent_us;
        p->free_at_us += (uint64_t)bytes * 1000000 / l->bytes_per_s;
        sent_us = p->free_at_us;
    }
    return (sent_us + 999) / 1000 + sim_latency_ms(from, to);
}

void sim_set_default_link(sim_t *s, sim_link_t link)
{
    s->default_link = link;
}

void sim_set_link_one_way(sim_host_t *from, sim_host_t *to, sim_link_t link)
{
    sim_pair_t *p = sim_pair(from, to);
    p->link = link;
    p->has_link = true;
}

void sim_set_link(sim_host_t *a, sim_host_t *b, sim_link_t link)
{
    sim_set_link_one_way(a, b, link);
    sim_set_link_one_way(b, a, link);
}

void sim_block_one_way(sim_host_t *from, sim_host_t *to, bool is_blocked)
{
    sim_pair(from, to)->is_blocked = is_blocked;
}

void sim_partition(sim_host_t *a, sim_host_t *b, bool is_blocked)
{
    sim_block_one_way(a, b, is_blocked);
    sim_block_one_way(b, a, is_blocked);
}

void sim_isolate(sim_host_t *h, bool is_isolated)
{
    h->is_isolated = is_isolated;
}

void sim_refuse_dials(sim_host_t *h, bool is_refusing)
{
    h->is_refusing = is_refusing;
}

/* ── addresses ───────────────────────────────────────────────────────────────────────────────── */
bool sim_owns_ip(const sim_host_t *h, const net_addr_t *a)
{
    for (size_t i = 0; i < h->ip_count; i++)
        if (net_addr_same_ip(&h->ips[i], a))
            return true;
    return net_addr_is_loopback(a);
}

sim_host_t *sim_find_host(sim_host_t *from, const net_addr_t *to)
{
    if (net_addr_is_any(to) || sim_owns_ip(from, to))
        return from;
    LIST_EACH (h, &from->sim->hosts, sim_host_t, node)
        if (sim_owns_ip(h, to))
            return h;
    return NULL;
}

/* What the other side sees: loopback for loopback, else the host's first address of the family. */
net_addr_t sim_source_addr(sim_host_t *from, const net_addr_t *to)
{
    net_addr_t a = {.family = to->family};
    if (net_addr_is_loopback(to) || net_addr_is_any(to)) {
        a.ip[to->family == 6 ? 15 : 3] = 1;
        if (to->family == 4)
            a.ip[0] = 127;
        return a;
    }
    for (size_t i = 0; i < from->ip_count; i++)
        if (from->ips[i].family == to->family)
            return from->ips[i];
    return a;
}

uint16_t sim_next_port(sim_host_t *h)
{
    if (h->next_port < 32768)
        h->next_port = 32768;
    return h->next_port++;
}

/* ── listeners ───────────────────────────────────────────────────────────────────────────────── */
enum { BACKLOG_MAX = 128, SYN_TRIES_MAX = 7 };

typedef struct waiting_stream {
    list_t node;
    sim_end_t *end;
    net_addr_t from;
} waiting_stream_t;

typedef struct sim_listener {
    listener_t base;
    list_t node;
    sim_machine_t *machine;
    list_t backlog;
    size_t backlog_count, accepting; /* accepting: tasks inside accept */
    bool is_closed;
    event_t changed;
} sim_listener_t;

static void drop_backlog(sim_listener_t *l)
{
    LIST_EACH (w, &l->backlog, waiting_stream_t, node) {
        list_remove(&w->node);
        stream_reset(sim_end_stream(w->end));
        stream_close(sim_end_stream(w->end));
        free(w);
    }
    l->backlog_count = 0;
}

static err_t listener_op_accept(task_t *t, listener_t *base, stream_t **ret_stream, net_addr_t *ret_from)
{
    sim_listener_t *l = (sim_listener_t *)base;
    err_t e = OK;
    l->accepting++;
    while (!e && !l->is_closed && !l->machine->is_dead && !l->backlog_count)
        e = event_wait(t, &l->changed);
    l->accepting--;
    if (l->is_closed || l->machine->is_dead) {
        bool is_last = l->is_closed && !l->accepting;
        if (is_last)
            free(l);
        return e ? e : fail(ERR_CLOSED, "the listener was closed");
    }
    TRY(e);
    waiting_stream_t *w = LIST_FIRST(&l->backlog, waiting_stream_t, node);
    list_remove(&w->node);
    l->backlog_count--;
    *ret_stream = sim_end_stream(w->end);
    if (ret_from)
        *ret_from = w->from;
    free(w);
    return OK;
}

static void listener_op_close(listener_t *base)
{
    sim_listener_t *l = (sim_listener_t *)base;
    list_remove(&l->node);
    drop_backlog(l);
    l->is_closed = true;
    event_fire(&l->changed);
    if (!l->accepting)
        free(l);
}

void sim_listeners_die(sim_machine_t *m)
{
    LIST_EACH (l, &m->listeners, sim_listener_t, node) {
        drop_backlog(l);
        event_fire(&l->changed);
    }
}

static sim_listener_t *find_listener(sim_machine_t *m, const net_addr_t *to)
{
    LIST_EACH (l, &m->listeners, sim_listener_t, node)
        if (l->base.at.port == to->port &&
            (net_addr_same_ip(&l->base.at, to) ||
             (net_addr_is_any(&l->base.at) && l->base.at.family == to->family)))
            return l;
    return NULL;
}

err_t sim_op_listen(driver_t *d, const net_addr_t *at, listener_t **ret_listener)
{
    static const listener_ops_t ops = {.accept = listener_op_accept, .close = listener_op_close};
    sim_machine_t *m = machine_of(d);
    char text[NET_ADDR_TEXT_MAX];
    TRY(machine_check(m));
    if (!net_addr_is_any(at) && !sim_owns_ip(m->host, at))
        return fail(ERR_UNREACHABLE, "cannot listen on %s: no such address here", net_addr_print(at, text));
    net_addr_t own = *at;
    if (!own.port)
        do
            own.port = sim_next_port(m->host);
        while (find_listener(m, &own));
    else
        LIST_EACH (l, &m->listeners, sim_listener_t, node)
            if (l->base.at.port == own.port && l->base.at.family == own.family &&
                (net_addr_same_ip(&l->base.at, &own) || net_addr_is_any(&own) ||
                 net_addr_is_any(&l->base.at)))
                return fail(ERR_IN_USE, "cannot listen on %s: the port is in use", net_addr_print(at, text));
    sim_listener_t *l = xcalloc(1, sizeof *l);
    l->base = (listener_t){.ops = &ops, .at = own};
    l->machine = m;
    list_init(&l->backlog);
    event_init(&l->changed);
    list_push_back(&m->listeners, &l->node);
    *ret_listener = &l->base;
    return OK;
}

/* ── dialling ────────────────────────────────────────────────────────────────────────────────── */
/* On the stack of the task that dials: whoever leaves takes the alarm with it. */
typedef struct dial {
    park_t park;
    sched_alarm_t alarm;
    sim_machine_t *machine;
    net_addr_t to;
    uint16_t from_port; /* 0: a new one */
    sim_end_t *end;     /* once the other side has it */
    unsigned tries;
    bool is_answered;
    err_t answer;
} dial_t;

static void answer(dial_t *d, sim_host_t *from, err_t e)
{
    d->is_answered = true;
    d->answer = e;
    alarm_set(&d->alarm, d->machine->host->sim->clock_ms + sim_latency_ms(from, d->machine->host));
}

static void hand_over(dial_t *d, sim_listener_t *l)
{
    sim_end_t *server;
    sim_stream_new(d->machine, l->machine, &d->end, &server);
    waiting_stream_t *w = xcalloc(1, sizeof *w);
    w->end = server;
    w->from = sim_source_addr(d->machine->host, &d->to);
    w->from.port = d->from_port ? d->from_port : sim_next_port(d->machine->host);
    list_push_back(&l->backlog, &w->node);
    l->backlog_count++;
    event_fire(&l->changed);
}

/* The first packet has reached the other side, or was lost; then the answer has come back. */
static void on_dial(void *arg)
{
    dial_t *d = arg;
    sim_host_t *own = d->machine->host, *host = sim_find_host(own, &d->to);
    sim_note(own->sim, "dial", own->index, d->is_answered);
    if (d->is_answered || d->machine->is_dead) {
        park_done(&d->park, d->machine->is_dead ? ERR_CLOSED : d->answer);
        return;
    }
    if (!host) {
        answer(d, own, ERR_UNREACHABLE);
        return;
    }
    bool is_lost = !sim_host_is_up(host) || sim_is_blocked(own, host) || sim_is_blocked(host, own);
    sim_listener_t *l = is_lost ? NULL : find_listener(host->machine, &d->to);
    if (is_lost || (l && l->backlog_count == BACKLOG_MAX)) { /* a SYN is sent again after 1, 2, 4 … s */
        if (++d->tries == SYN_TRIES_MAX)
            park_done(&d->park, ERR_UNREACHABLE);
        else
            alarm_set(&d->alarm, own->sim->clock_ms + (1000u << (d->tries - 1)));
        return;
    }
    if (!l || host->is_refusing) {
        answer(d, host, ERR_REFUSED);
        return;
    }
    hand_over(d, l);
    answer(d, host, OK);
}

err_t sim_op_dial(task_t *t, driver_t *drv, const net_addr_t *from, const net_addr_t *to,
                  stream_t **ret_stream)
{
    sim_machine_t *m = machine_of(drv);
    TRY(machine_check(m));
    dial_t d = {.machine = m, .to = *to, .from_port = from ? from->port : 0};
    sim_host_t *host = sim_find_host(m->host, to);
    park_init(t, &d.park);
    alarm_init(&d.alarm, m->host->sim->world, on_dial, &d);
    alarm_set(&d.alarm, m->host->sim->clock_ms + (host ? sim_latency_ms(m->host, host) : 1));
    err_t e = park_wait(t, &d.park);
    alarm_clear(&d.alarm);
    if (!e) {
        *ret_stream = sim_end_stream(d.end);
        return OK;
    }
    if (d.end) {
        stream_reset(sim_end_stream(d.end));
        stream_close(sim_end_stream(d.end));
    }
    char text[NET_ADDR_TEXT_MAX];
    return d.park.is_done ? fail(e, "cannot dial %s: %s", net_addr_print(to, text), error_text(e)) : e;
}

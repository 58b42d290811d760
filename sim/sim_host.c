#include "sim/sim_impl.h"
#include <stdio.h>
#include <stdlib.h>

static void boot(sim_host_t *h);

static void add_ip(sim_host_t *h, const char *text, size_t len)
{
    char full[NET_ADDR_TEXT_MAX];
    bool is_ip6 = memchr(text, ':', len);
    snprintf(full, sizeof full, is_ip6 ? "[%.*s]:0" : "%.*s:0", (int)len, text);
    if (h->ip_count == HOST_IPS_MAX || net_addr_parse(full, &h->ips[h->ip_count])) {
        fprintf(stderr, "host %.*s: no IP address, or too many\n", (int)len, text);
        abort();
    }
    h->ip_count++;
}

static void set_ips(sim_host_t *h, const char *ips)
{
    h->ip_count = 0;
    for (const char *p = ips; *p;) {
        size_t len = strcspn(p, " ");
        if (len)
            add_ip(h, p, len);
        p += len + strspn(p + len, " ");
    }
    assert(h->ip_count);
    snprintf(h->ip_text, sizeof h->ip_text, "%.*s", (int)strcspn(ips, " "), ips);
}

void sim_host_move(sim_host_t *h, const char *ips)
{
    set_ips(h, ips);
}

sim_host_t *sim_add_host(sim_t *s, const char *ips)
{
    sim_host_t *h = xcalloc(1, sizeof *h);
    h->sim = s;
    h->index = (uint32_t)s->host_count++;
    h->next_port = 32768;
    set_ips(h, ips);
    list_push_back(&s->hosts, &h->node);
    h->disk = sim_disk_new(h);
    boot(h);
    return h;
}

static void on_ready(void *arg)
{
    sim_machine_t *m = arg;
    if (!list_is_linked(&m->ready_node))
        list_push_back(&m->host->sim->ready, &m->ready_node);
}

static void boot(sim_host_t *h)
{
    sim_machine_t *m = xcalloc(1, sizeof *m);
    m->base = (driver_t){.ops = &sim_driver_ops, .is_simulated = true};
    m->host = h;
    prng_seed(&m->rng, h->sim->seed ^ ((uint64_t)h->index << 32 | h->incarnations++) * 0x9e3779b97f4a7c15u);
    list_init(&m->listeners);
    list_init(&m->udps);
    list_init(&m->ends);
    list_init(&m->files);
    list_init(&m->ready_node);
    m->sched = sched_new(&m->base);
    sched_on_ready(m->sched, on_ready, m);
    list_push_back(&h->sim->machines, &m->node);
    h->machine = m;
    sim_note(h->sim, "boot", h->index, h->incarnations);
}

size_t sim_host_count(const sim_t *s)
{
    return s->host_count;
}

sim_host_t *sim_host(sim_t *s, size_t index)
{
    assert(index < s->host_count);
    list_t *n = s->hosts.next;
    while (index--)
        n = n->next;
    return LIST_ENTRY(n, sim_host_t, node);
}

sim_host_t *sim_host_of(task_t *t)
{
    return machine_of(task_driver(t))->host;
}

driver_t *sim_host_driver(sim_host_t *h)
{
    return &h->machine->base;
}

sched_t *sim_host_sched(sim_host_t *h)
{
    return h->machine->sched;
}

const char *sim_host_ip(const sim_host_t *h)
{
    return h->ip_text;
}

net_addr_t sim_host_addr(const sim_host_t *h, uint16_t port)
{
    net_addr_t a = h->ips[0];
    a.port = port;
    return a;
}

err_t sim_host_start(sim_host_t *h, const char *name, task_fn fn, void *arg)
{
    TRY(machine_check(h->machine));
    return sched_start(h->machine->sched, name, fn, arg);
}

void sim_host_jump_wall(sim_host_t *h, int64_t by_ms)
{
    h->wall_offset_ms += by_ms;
}

void sim_host_pause(sim_host_t *h, uint64_t for_ms)
{
    h->paused_until_ms = h->sim->clock_ms + for_ms;
}

void sim_crash(sim_host_t *h, sim_crash_t how)
{
    sim_machine_t *m = h->machine;
    if (m->is_dead)
        return;
    sim_note(h->sim, "crash", h->index, how);
    m->is_dead = true;
    h->paused_until_ms = 0;
    sim_listeners_die(m);
    sim_streams_die(m, how);
    sim_udps_die(m);
    sim_files_die(m);
    if (how == SIM_POWER_LOSS)
        sim_disk_crash(h->disk, &h->sim->rng);
    sched_cancel_all(m->sched);
}

void sim_restart(sim_host_t *h)
{
    assert(h->machine->is_dead);
    boot(h);
}

bool sim_host_is_up(const sim_host_t *h)
{
    return !h->machine->is_dead;
}

static bool has_dead_tasks(const sim_host_t *h)
{
    LIST_EACH (m, &h->sim->machines, sim_machine_t, node)
        if (m->host == h && m->is_dead && sched_task_count(m->sched))
            return true;
    return false;
}

err_t sim_host_join_dead(task_t *t, sim_host_t *h)
{
    while (has_dead_tasks(h))
        TRY(task_sleep(t, 1));
    return OK;
}

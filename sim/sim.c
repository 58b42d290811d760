#include "base/log.h"
#include "sim/sim_impl.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t START_MS = 1000000, START_WALL_MS = 1767225600000; /* 2026-01-01 */
static const uint64_t HOUR_MS = 3600000, DAY_MS = 86400000;
enum { ROUNDS_WITHOUT_TIME_MAX = 50000 };

/* ── the hash of the run ─────────────────────────────────────────────────────────────────────── */
static void mix(sim_t *s, uint64_t v)
{
    s->hash = (s->hash ^ v) * 0x9e3779b97f4a7c15u;
    s->hash ^= s->hash >> 29;
}

void sim_note(sim_t *s, const char *what, uint64_t a, uint64_t b)
{
    for (; *what; what++)
        mix(s, (uint8_t)*what);
    mix(s, s->clock_ms);
    mix(s, a);
    mix(s, b);
}

/* Four lanes, because each step waits for the one before. */
void sim_note_bytes(sim_t *s, const char *what, bytes_t data)
{
    uint64_t lanes[4] = {1, 2, 3, 4}, words[4];
    for (; data.len >= sizeof words; data = bytes_slice(data, sizeof words, data.len)) {
        memcpy(words, data.data, sizeof words);
        for (int i = 0; i < 4; i++)
            lanes[i] = (lanes[i] ^ words[i]) * 0x9e3779b97f4a7c15u + (lanes[i] >> 31);
    }
    for (size_t i = 0; i < data.len; i++)
        mix(s, data.data[i]);
    sim_note(s, what, lanes[0], lanes[1]);
    sim_note(s, what, lanes[2], lanes[3]);
}

uint64_t sim_hash(const sim_t *s)
{
    return s->hash;
}

bool sim_chance(sim_t *s, double probability)
{
    return probability > 0 && prng_unit(&s->rng) < probability;
}

/* ── what the driver of a host gives ─────────────────────────────────────────────────────────── */
err_t machine_check(const sim_machine_t *m)
{
    return m->is_dead ? fail(ERR_CLOSED, "host %s is down", m->host->ip_text) : OK;
}

void sim_delay(task_t *t, uint64_t ms)
{
    task_shield(t);
    if (task_sleep(t, ms))
        abort(); /* nothing wakes a shielded task without a deadline */
    task_unshield(t);
}

static uint64_t op_now_ms(driver_t *d)
{
    return machine_of(d)->host->sim->clock_ms;
}

static uint64_t op_wall_ms(driver_t *d)
{
    sim_host_t *h = machine_of(d)->host;
    return START_WALL_MS + (h->sim->clock_ms - START_MS) + (uint64_t)h->wall_offset_ms;
}

typedef struct posted {
    sched_alarm_t alarm;
    void (*fn)(void *);
    void *arg;
} posted_t;

static void on_posted(void *arg)
{
    posted_t *p = arg;
    p->fn(p->arg);
    free(p);
}

static void op_post(driver_t *d, void (*fn)(void *), void *arg)
{
    sim_t *s = machine_of(d)->host->sim;
    posted_t *p = xcalloc(1, sizeof *p);
    p->fn = fn;
    p->arg = arg;
    alarm_init(&p->alarm, s->world, on_posted, p);
    alarm_set(&p->alarm, s->clock_ms);
}

static void op_random(driver_t *d, uint8_t *out, size_t len)
{
    prng_fill(&machine_of(d)->rng, out, len);
}

static err_t op_work(task_t *t, driver_t *d, work_fn fn, void *arg)
{
    sim_t *s = machine_of(d)->host->sim;
    fn(arg);
    error_slot_t text = *error_slot();
    sim_delay(t, s->work_ms ? prng_below(&s->rng, s->work_ms + 1u) : 0);
    *error_slot() = text;
    return OK;
}

static size_t op_work_threads(driver_t *d)
{
    return 1;
}

static size_t op_interfaces(driver_t *d, net_addr_t *out, size_t cap)
{
    const sim_host_t *h = machine_of(d)->host;
    size_t n = 0;
    if (n < cap)
        out[n++] = (net_addr_t){.family = 4, .ip = {127, 0, 0, 1}};
    for (size_t i = 0; i < h->ip_count && n < cap; i++)
        out[n++] = h->ips[i];
    return n;
}

static bool op_gateway(driver_t *d, net_addr_t *ret_gateway)
{
    const sim_host_t *h = machine_of(d)->host;
    *ret_gateway = h->gateway;
    return h->gateway.family != 0;
}

void sim_host_set_gateway(sim_host_t *h, const char *ip)
{
    err_t e = net_addr_parse(ip, &h->gateway);
    assert(!e);
}

/* All hosts are on one link. */
static size_t op_multicast_interfaces(driver_t *d, uint32_t *out, size_t cap)
{
    if (cap)
        out[0] = 1;
    return cap ? 1 : 0;
}

static bool op_turn(driver_t *d, uint64_t until_ms);

const driver_ops_t sim_driver_ops = {
    .now_ms = op_now_ms,
    .wall_ms = op_wall_ms,
    .turn = op_turn,
    .post = op_post,
    .random = op_random,
    .work = op_work,
    .work_threads = op_work_threads,
    .interfaces = op_interfaces,
    .gateway = op_gateway,
    .multicast_interfaces = op_multicast_interfaces,
    .resolve = sim_op_resolve,
    .dial = sim_op_dial,
    .listen = sim_op_listen,
    .udp_open = sim_op_udp_open,
    .file_open = sim_op_file_open,
    .fs_stat = sim_op_stat,
    .fs_rename = sim_op_rename,
    .fs_unlink = sim_op_unlink,
    .fs_rmdir = sim_op_rmdir,
    .fs_mkdir = sim_op_mkdir,
    .fs_list = sim_op_list,
    .fs_symlink = sim_op_symlink,
    .fs_readlink = sim_op_readlink,
    .fs_sync_dir = sim_op_sync_dir,
    .fs_room = sim_op_room,
};

/* ── running ─────────────────────────────────────────────────────────────────────────────────── */
static bool is_paused(const sim_machine_t *m)
{
    return !m->is_dead && m->host->paused_until_ms > m->host->sim->clock_ms;
}

static void on_machine_ready(void *arg)
{
    sim_machine_t *m = arg;
    if (!list_is_linked(&m->ready_node))
        list_push_back(&m->host->sim->ready, &m->ready_node);
}

static _Noreturn void give_up(sim_t *s, const char *why)
{
    fprintf(stderr, "simulation with seed %" PRIu64 " at %" PRIu64 " ms: %s\n", s->seed, s->clock_ms, why);
    sim_dump(s);
    abort();
}

static void run_ready(sim_t *s)
{
    list_t paused;
    list_init(&paused);
    for (;;) {
        bool is_world_busy = sched_run_ready(s->world);
        sim_machine_t *m = LIST_FIRST(&s->ready, sim_machine_t, ready_node);
        if (!m && !is_world_busy)
            break;
        if (++s->rounds > ROUNDS_WITHOUT_TIME_MAX)
            give_up(s, "time stands still, some task or runnable never rests");
        if (!m)
            continue;
        list_remove(&m->ready_node);
        if (is_paused(m))
            list_push_back(&paused, &m->ready_node);
        else if (sched_run_ready(m->sched))
            on_machine_ready(m);
    }
    while (!list_is_empty(&paused)) {
        list_t *n = paused.next;
        list_remove(n);
        list_push_back(&s->ready, n);
    }
}

static uint64_t next_ms(const sim_t *s)
{
    uint64_t next = sched_next_ms(s->world);
    LIST_EACH (m, &s->machines, sim_machine_t, node) {
        uint64_t own = sched_next_ms(m->sched);
        if (is_paused(m) && list_is_linked(&m->ready_node))
            own = m->host->paused_until_ms;
        else if (is_paused(m) && own < m->host->paused_until_ms)
            own = m->host->paused_until_ms;
        next = own < next ? own : next;
    }
    return next;
}

/* Runs what is ready, then jumps to the next event. False when there is none. */
static bool step(sim_t *s, uint64_t until_ms)
{
    run_ready(s);
    uint64_t next = next_ms(s);
    if (until_ms < next)
        next = until_ms;
    if (next == TIME_NEVER)
        return false;
    if (next > s->clock_ms) {
        s->clock_ms = next;
        s->rounds = 0;
    }
    if (s->clock_ms > s->time_limit_ms)
        give_up(s, "virtual time is over its limit");
    sched_fire_due(s->world);
    LIST_EACH (m, &s->machines, sim_machine_t, node)
        if (!is_paused(m))
            sched_fire_due(m->sched);
    return true;
}

static bool op_turn(driver_t *d, uint64_t until_ms)
{
    return step(machine_of(d)->host->sim, until_ms);
}

static bool world_turn(driver_t *d, uint64_t until_ms)
{
    return false;
}

static uint64_t world_now_ms(driver_t *d)
{
    return CONTAINER_OF(d, sim_t, world_driver)->clock_ms;
}

static const driver_ops_t world_ops = {.now_ms = world_now_ms, .turn = world_turn};

static size_t task_count(const sim_t *s)
{
    size_t count = 0;
    LIST_EACH (m, &s->machines, sim_machine_t, node)
        count += sched_task_count(m->sched);
    return count;
}

typedef struct main_call {
    task_fn fn;
    void *arg;
    bool is_done;
    err_t result;
    error_slot_t error;
} main_call_t;

static err_t run_main(task_t *t, void *arg)
{
    main_call_t *call = arg;
    call->result = call->fn(t, call->arg);
    call->error = *error_slot();
    call->is_done = true;
    return OK;
}

err_t sim_run(sim_t *s, task_fn fn, void *arg)
{
    if (!s->host_count)
        sim_add_host(s, "10.0.0.1");
    main_call_t call = {.fn = fn, .arg = arg};
    TRY(sim_host_start(sim_host(s, 0), "main", run_main, &call));
    uint64_t give_up_ms = TIME_NEVER;
    for (;;) {
        run_ready(s);
        if (!task_count(s))
            break;
        if (call.is_done && give_up_ms == TIME_NEVER)
            give_up_ms = s->clock_ms + HOUR_MS;
        if (s->clock_ms >= give_up_ms)
            give_up(s, "the scenario has ended, but these tasks have not");
        if (!step(s, TIME_NEVER))
            give_up(s, "deadlock: these tasks wait, and nothing can happen any more");
    }
    sim_note(s, "end", call.result, 0);
    if (call.result)
        *error_slot() = call.error;
    return call.result;
}

void sim_dump(sim_t *s)
{
    LIST_EACH (m, &s->machines, sim_machine_t, node) {
        if (!sched_task_count(m->sched))
            continue;
        fprintf(stderr, "host %s%s%s\n", m->host->ip_text, m->is_dead ? " (crashed)" : "",
                is_paused(m) ? " (paused)" : "");
        sched_dump(m->sched);
    }
}

/* ── the world ───────────────────────────────────────────────────────────────────────────────── */
static uint64_t log_clock(void *arg)
{
    sim_t *s = arg;
    return START_WALL_MS + (s->clock_ms - START_MS);
}

sim_t *sim_new(uint64_t seed)
{
    sim_t *s = xcalloc(1, sizeof *s);
    s->seed = s->hash = seed;
    s->clock_ms = START_MS;
    s->time_limit_ms = START_MS + 30 * DAY_MS;
    s->work_ms = 1;
    prng_seed(&s->rng, seed);
    s->world_driver = (driver_t){.ops = &world_ops, .is_simulated = true};
    s->world = sched_new(&s->world_driver);
    s->default_link = (sim_link_t){.latency_ms = 5, .jitter_ms = 5};
    list_init(&s->hosts);
    list_init(&s->machines);
    list_init(&s->ready);
    list_init(&s->dns);
    list_init(&s->datagrams);
    map_init(&s->pairs, 1 << 24);
    log_set_clock(log_clock, s);
    return s;
}

void sim_free(sim_t *s)
{
    if (task_count(s))
        give_up(s, "freed while these tasks are alive");
    run_ready(s);
    LIST_EACH (m, &s->machines, sim_machine_t, node) {
        list_remove(&m->ready_node);
        sched_free(m->sched);
        free(m);
    }
    LIST_EACH (h, &s->hosts, sim_host_t, node) {
        sim_disk_free(h->disk);
        free(h);
    }
    void *pair;
    for (size_t i = 0; map_next(&s->pairs, &i, NULL, &pair);)
        free(pair);
    map_deinit(&s->pairs);
    sim_dns_free(s);
    sim_udp_free(s);
    sched_free(s->world);
    log_set_clock(NULL, NULL);
    free(s);
}

uint64_t sim_now_ms(const sim_t *s)
{
    return s->clock_ms;
}

prng_t *sim_prng(sim_t *s)
{
    return &s->rng;
}

void sim_set_time_limit(sim_t *s, uint64_t until_ms)
{
    s->time_limit_ms = until_ms;
}

void sim_set_work_ms(sim_t *s, uint32_t max_ms)
{
    s->work_ms = max_ms;
}

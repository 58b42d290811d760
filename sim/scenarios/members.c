#include "sim/scenarios/members.h"
#include "base/log.h"
#include "base/map.h"
#include "crypto/key.h"
#include "node/setup.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void member_init(member_t *m, const member_config_t *c, sim_t *sim, size_t index, const char *ip)
{
    *m = (member_t){.config = c, .index = index};
    event_init(&m->changed);
    m->host = sim_add_host(sim, ip);
}

static err_t set_up_repo(task_t *t, member_t *m)
{
    char id[128];
    TRY(node_init_repo(t, "/repo", "test", id));
    TRY(peer_id_parse(id, &m->id));
    m->has_repo = true;
    return OK;
}

static err_t run_member(task_t *t, void *arg)
{
    member_t *m = arg;
    char listen[64];
    const char *listens[1] = {listen};
    snprintf(listen, sizeof listen, "/ip4/%s/tcp/%d", sim_host_ip(m->host), MEMBER_PORT);
    node_options_t o = {.repo_path = "/repo", .listen = listens, .n_listen = 1};
    m->config->options(m->config->arg, m, &o);
    node_t *node = NULL;
    err_t e = m->has_repo ? OK : set_up_repo(t, m);
    if (!e)
        e = node_open(t, &o, &node);
    m->node = node;
    if (!e)
        e = m->config->configure(t, m);
    if (!e)
        e = node_go_online(t, node, &o);
    if (e && sim_host_is_up(m->host)) {
        fprintf(stderr, "member %zu: %s\n", m->index, error_text(e));
        abort();
    }
    event_fire(&m->changed);
    while (!e && !m->wants_stop)
        e = event_wait(t, &m->changed);
    if (m->node == node)
        m->node = NULL;
    node_close(t, node);
    m->has_ended = true;
    event_fire(&m->changed);
    return OK;
}

err_t member_start(task_t *t, member_t *m)
{
    m->has_ended = m->wants_stop = m->is_gone = false;
    TRY(sim_host_start(m->host, "member", run_member, m));
    while (!m->node || !node_is_online(m->node))
        TRY(event_wait(t, &m->changed));
    return OK;
}

err_t member_stop(task_t *t, member_t *m)
{
    if (m->is_gone)
        return sim_host_join_dead(t, m->host);
    m->wants_stop = true;
    event_fire(&m->changed);
    while (!m->has_ended)
        TRY(event_wait(t, &m->changed));
    return OK;
}

/* ── work on a member's own host ─────────────────────────────────────────────────────────────── */

typedef struct errand {
    err_t (*fn)(task_t *t, member_t *m, void *arg);
    member_t *member;
    void *arg;
    err_t result;
    char text[ERROR_TEXT_MAX];
    bool is_done;
    event_t done;
} errand_t;

static err_t run_errand(task_t *t, void *arg)
{
    errand_t *e = arg;
    e->result = e->fn(t, e->member, e->arg);
    if (e->result)
        snprintf(e->text, sizeof e->text, "%s", error_text(e->result));
    e->is_done = true;
    event_fire(&e->done);
    return OK;
}

err_t on_member(task_t *t, member_t *m, err_t (*fn)(task_t *, member_t *, void *), void *arg)
{
    errand_t e = {.fn = fn, .member = m, .arg = arg};
    event_init(&e.done);
    TRY(sim_host_start(m->host, "errand", run_errand, &e));
    while (!e.is_done)
        TRY(event_wait(t, &e.done));
    return e.result ? fail(e.result, "member %zu: %s", m->index, e.text) : OK;
}

static uint8_t content_byte(uint64_t seed, uint64_t at)
{
    uint64_t z = seed + (at / 8 + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint8_t)((z ^ (z >> 31)) >> (at % 8 * 8));
}

err_t content_read(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    content_t *c = arg;
    size_t n = 0;
    while (n < cap && c->at < c->size)
        out[n++] = content_byte(c->seed, c->at++);
    *ret_n = n;
    return OK;
}

err_t content_compare(content_t *c, bytes_t piece)
{
    for (size_t i = 0; i < piece.len; i++)
        if (piece.data[i] != content_byte(c->seed, c->at++))
            return fail(ERR_CORRUPT, "the file came back with other bytes");
    return OK;
}

err_t content_compared(const content_t *c)
{
    return c->at == c->size ? OK
                            : fail(ERR_CORRUPT, "the file came back with %llu bytes of %llu",
                                   (unsigned long long)c->at, (unsigned long long)c->size);
}

/* ── the run ─────────────────────────────────────────────────────────────────────────────────── */
static void seeded_random(void *arg, uint8_t *out, size_t len)
{
    prng_fill(arg, out, len);
}

double scenario_cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

void scenario_begin(int argc, char **argv, uint64_t *seed, size_t *nodes)
{
    static prng_t rng;
    uint8_t hash_key[16];
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--seed"))
            *seed = strtoull(argv[i + 1], NULL, 10);
        if (!strcmp(argv[i], "--nodes"))
            *nodes = strtoull(argv[i + 1], NULL, 10);
    }
    prng_seed(&rng, *seed);
    prng_fill(&rng, hash_key, sizeof hash_key);
    map_set_hash_key(hash_key);
    crypto_set_random(seeded_random, &rng);
    log_threshold = getenv("SIM_LOG") ? LOG_DEBUG : LOG_ERROR;
}

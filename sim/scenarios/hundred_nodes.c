/* hundred_nodes: a whole network of nodes in one process, from one seed: they join, publish files, fetch them
 * from far peers, lose a third of themselves, and heal. Every checker that fails names the seed; the same
 * seed replays the run.
 *
 *   scenarios --seed N [--nodes N]     prints the hash of the run and what it cost
 */
#include "dag/file_reader.h"
#include "dag/importer.h"
#include "sim/scenarios/members.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    DEFAULT_NODES = 100,
    FILES = 12,
    REPLICAS = 3,
    MAX_FILE_BYTES = 900000,
};

typedef struct published {
    cid_t cid;
    size_t publisher;
    uint64_t seed, size;
} published_t;

typedef struct world {
    sim_t *sim;
    member_t *members;
    size_t count;
    published_t files[FILES];
    char bootstrap[MULTIADDR_TEXT_MAX];
    const char *bootstraps[1];
    member_config_t config;
    uint64_t fetched;
} world_t;

/* ── members ─────────────────────────────────────────────────────────────────────────────────── */

static err_t configure(task_t *t, member_t *m)
{
    repo_t *repo = node_repo(m->node);
    TRY(repo_config_set(t, repo, "Routing.Type", "\"dhtserver\""));
    /* the randomness of TLS is OpenSSL's own, not the seed's */
    TRY(repo_config_set(t, repo, "Swarm.Transports.Security.TLS", "false"));
    TRY(repo_config_set(t, repo, "Replication.AllowFrom", "[\"*\"]"));
    TRY(repo_config_set(t, repo, "Replication.MaxBytes", "\"100MB\""));
    return repo_config_set(t, repo, "Bootstrap", "[]");
}

static void set_options(void *arg, const member_t *m, node_options_t *o)
{
    world_t *w = arg;
    o->bootstrap = w->bootstraps;
    o->n_bootstrap = m->index != 0;
    o->no_bootstrap = m->index == 0;
}

static member_t *any_live(world_t *w)
{
    member_t *m;
    do
        m = &w->members[prng_below(sim_prng(w->sim), w->count)];
    while (m->is_gone);
    return m;
}

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */
static err_t publish(task_t *t, member_t *m, void *arg)
{
    published_t *f = arg;
    content_t content = {.seed = f->seed, .size = f->size};
    import_options_t options;
    importer_t *im;
    dag_ref_t ref;

    import_options_init(&options);
    TRY(importer_new(t, node_local_blocks(m->node), &options, &im));
    err_t e = importer_add_file(t, im, (source_t){content_read, &content}, NULL, &ref);
    if (!e)
        e = importer_flush(t, im);
    importer_free(t, im);
    TRY(e);
    f->cid = ref.cid;
    node_announce(m->node, &f->cid);
    uint32_t have = 0;
    deadline_t d = deadline_push(t, 10 * MINUTE_MS);
    e = replica_pin(t, node_replica(m->node), &f->cid, REPLICAS, NULL, NULL, &have);
    deadline_pop(t, &d);
    return e;
}

static err_t compare(task_t *t, file_reader_t *r, const published_t *f)
{
    content_t content = {.seed = f->seed, .size = f->size};
    for (;;) {
        bytes_t piece;
        TRY(file_reader_next(t, r, &piece));
        if (!piece.len)
            return content_compared(&content);
        TRY(content_compare(&content, piece));
    }
}

static err_t fetch(task_t *t, member_t *m, void *arg)
{
    const published_t *f = arg;
    AUTO(node_session_t) session = {0};
    AUTO(file_reader_t) reader = {0};
    TRY(node_session_open(m->node, false, &session));
    deadline_t d = deadline_push(t, 10 * MINUTE_MS);
    err_t e = file_reader_open(t, &reader, session.blocks, &f->cid);
    if (!e)
        e = compare(t, &reader, f);
    deadline_pop(t, &d);
    return e;
}

/* ── checks ──────────────────────────────────────────────────────────────────────────────────── */

/* What a live holder says about a file. */
static err_t ask_status(task_t *t, member_t *m, void *arg)
{
    replica_status_t *s = arg;
    cid_t root = s->root;
    return replica_status(t, node_replica(m->node), &root, 10000, s);
}

/* The holders that live, counted by looking into them rather than by asking. */
static size_t live_copies(world_t *w, const published_t *f, member_t **ret_one)
{
    size_t copies = 0;
    *ret_one = NULL;
    for (size_t i = 0; i < w->count; i++) {
        member_t *m = &w->members[i];
        if (!m->is_gone && m->node && replica_holds(node_replica(m->node), &f->cid)) {
            copies++;
            *ret_one = m;
        }
    }
    return copies;
}

static err_t wait_for_copies(task_t *t, world_t *w, const published_t *f)
{
    member_t *holder;
    for (int minutes = 0; minutes < 60; minutes++) {
        size_t copies = live_copies(w, f, &holder);
        if (copies >= REPLICAS) {
            replica_status_t *s = calloc(1, sizeof *s);
            s->root = f->cid;
            err_t e = on_member(t, holder, ask_status, s);
            bool tells_truth = !e && s->n_holders >= REPLICAS && s->target == REPLICAS;
            free(s);
            TRY(e);
            if (tells_truth)
                return OK;
        }
        TRY(task_sleep(t, MINUTE_MS));
    }
    return fail(ERR_TIMEOUT, "after an hour %zu of %d copies live", live_copies(w, f, &holder), REPLICAS);
}

/* ── the scenario ────────────────────────────────────────────────────────────────────────────── */

static err_t join_all(task_t *t, world_t *w)
{
    for (size_t i = 0; i < w->count; i++) {
        member_t *m = &w->members[i];
        char ip[32];
        snprintf(ip, sizeof ip, "%zu.%zu.0.1", 20 + i % 80, 1 + i / 80); /* a network of its own for each */
        member_init(m, &w->config, w->sim, i, ip);
        TRY(member_start(t, m));
        if (i == 0) {
            char id[PEER_ID_TEXT_MAX];
            snprintf(w->bootstrap, sizeof w->bootstrap, "/ip4/%s/tcp/%d/p2p/%s", ip, MEMBER_PORT,
                     peer_id_print(&m->id, id));
        }
        TRY(task_sleep(t, 1000));
    }
    TRY(task_sleep(t, 5 * MINUTE_MS));
    for (size_t i = 0; i < w->count; i++)
        if (routing_table_size(node_routing(w->members[i].node)) < (w->count < 10 ? 1 : 5))
            return fail(ERR_NOT_FOUND, "member %zu has %zu peers in its tables", i,
                        routing_table_size(node_routing(w->members[i].node)));
    return OK;
}

static err_t publish_all(task_t *t, world_t *w)
{
    for (size_t i = 0; i < FILES; i++) {
        published_t *f = &w->files[i];
        member_t *m = any_live(w);
        f->publisher = m->index;
        f->seed = prng_next(sim_prng(w->sim));
        f->size = 1 + prng_below(sim_prng(w->sim), MAX_FILE_BYTES);
        err_t e = on_member(t, m, publish, f);
        if (e)
            return fail_also(e, "publishing file %zu", i);
    }
    return task_sleep(t, 5 * MINUTE_MS);
}

static err_t fetch_all(task_t *t, world_t *w, const char *when)
{
    for (size_t i = 0; i < FILES; i++) {
        err_t e = on_member(t, any_live(w), fetch, &w->files[i]);
        if (e)
            return fail_also(e, "fetching file %zu %s", i, when);
        w->fetched++;
    }
    return OK;
}

/* A third of the nodes goes at once, but never all holders of a file: that no replication survives. */
static err_t lose_a_third(task_t *t, world_t *w)
{
    size_t lost = 0, wanted = w->count / 3;
    while (lost < wanted) {
        member_t *m = any_live(w), *ignored;
        if (m->index == 0)
            continue;
        m->is_gone = true;
        bool is_last = false;
        for (size_t i = 0; i < FILES; i++)
            is_last = is_last || !live_copies(w, &w->files[i], &ignored);
        if (is_last) {
            m->is_gone = false;
            wanted--;
            continue;
        }
        m->node = NULL;
        sim_crash(m->host, prng_below(sim_prng(w->sim), 2) ? SIM_KILL : SIM_POWER_LOSS);
        lost++;
    }
    return OK;
}

static err_t heal_all(task_t *t, world_t *w)
{
    for (size_t i = 0; i < FILES; i++) {
        err_t e = wait_for_copies(t, w, &w->files[i]);
        if (e)
            return fail_also(e, "healing file %zu", i);
    }
    return OK;
}

/* Some come back, with the disk that the crash left, and must take part again. */
static err_t return_some(task_t *t, world_t *w)
{
    size_t returned = 0;
    for (size_t i = 0; i < w->count && returned < w->count / 10; i++) {
        member_t *m = &w->members[i];
        if (!m->is_gone)
            continue;
        TRY(sim_host_join_dead(t, m->host));
        sim_restart(m->host);
        TRY(member_start(t, m));
        returned++;
    }
    return task_sleep(t, 5 * MINUTE_MS);
}

static err_t stop_all(task_t *t, world_t *w)
{
    for (size_t i = 0; i < w->count; i++)
        TRY(member_stop(t, &w->members[i]));
    return OK;
}

static err_t scenario(task_t *t, void *arg)
{
    world_t *w = arg;
    err_t e = join_all(t, w);
    if (!e)
        e = publish_all(t, w);
    if (!e)
        e = fetch_all(t, w, "from far peers");
    if (!e)
        e = lose_a_third(t, w);
    if (!e)
        e = heal_all(t, w);
    if (!e)
        e = fetch_all(t, w, "after the loss");
    if (!e)
        e = return_some(t, w);
    if (!e)
        e = fetch_all(t, w, "after some came back");
    err_t stopped = stop_all(t, w);
    return e ? e : stopped;
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    size_t nodes = DEFAULT_NODES;
    scenario_begin(argc, argv, &seed, &nodes);
    world_t w = {.sim = sim_new(seed), .members = xcalloc(nodes, sizeof(member_t)), .count = nodes};
    w.config = (member_config_t){set_options, configure, &w};
    w.bootstraps[0] = w.bootstrap;
    err_t e = sim_run(w.sim, scenario, &w);
    if (e)
        printf("seed %llu: FAILED: %s\n", (unsigned long long)seed, error_text(e));
    else
        printf("seed %llu: ok, hash %016llx, %llu files fetched, %.1f min of virtual time, %.1f s of CPU\n",
               (unsigned long long)seed, (unsigned long long)sim_hash(w.sim), (unsigned long long)w.fetched,
               (double)(sim_now_ms(w.sim) - 1000000) / MINUTE_MS, scenario_cpu_seconds());
    sim_free(w.sim);
    free(w.members);
    return e != OK;
}

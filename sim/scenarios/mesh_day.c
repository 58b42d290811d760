/* mesh_day: fifty whole nodes as an encrypted mesh for a day of virtual time, from one seed: they join by
 * IP:PORT alone, store encrypted files, come and go, are killed, delete, and are away while others delete. At
 * the end every file that was acknowledged and not deleted is read back with its owner's key and compared; no
 * deleted one is held by anybody.
 *
 *   mesh_day --seed N [--nodes N]     prints the hash of the run and what it cost
 */
#include "sim/scenarios/members.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    DEFAULT_NODES = 50,
    OWNERS = 6, /* members that store, and never go for good */
    FILES = 24,
    MAX_FILE_BYTES = 700000,
    HOURS = 24,
    FACTOR = 3,
    HEARTBEAT_MS = 5 * MINUTE_MS,
};

typedef struct stored {
    cid_t manifest;
    size_t owner;
    uint64_t seed, size;
    bool is_stored, is_deleted;
} stored_t;

typedef struct world {
    sim_t *sim;
    member_t *members;
    size_t count;
    stored_t files[FILES];
    size_t n_files, n_deleted, n_lost, n_returned;
    char first[64]; /* IP:PORT, without an ID */
    const char *contacts[1];
    member_config_t config;
} world_t;

/* ── members ─────────────────────────────────────────────────────────────────────────────────── */
static err_t configure(task_t *t, member_t *m)
{
    repo_t *repo = node_repo(m->node);
    char heartbeat[32];
    snprintf(heartbeat, sizeof heartbeat, "\"%ds\"", HEARTBEAT_MS / 1000);
    /* the randomness of TLS is OpenSSL's own, not the seed's */
    TRY(repo_config_set(t, repo, "Swarm.Transports.Security.TLS", "false"));
    TRY(repo_config_set(t, repo, "Replication.Heartbeat", heartbeat));
    TRY(repo_config_set(t, repo, "Replication.LostGrace", "\"5m\""));
    return repo_config_set(t, repo, "Mesh.SyncHorizon", "\"2h\"");
}

static void set_options(void *arg, const member_t *m, node_options_t *o)
{
    world_t *w = arg;
    o->mesh = NODE_ON;
    o->mesh_relay = m->index == 0 ? NODE_ON : NODE_OFF;
    o->bootstrap = w->contacts;
    o->n_bootstrap = m->index != 0;
    o->no_bootstrap = m->index == 0;
}

static member_t *any_live(world_t *w, size_t below)
{
    member_t *m;
    do
        m = &w->members[prng_below(sim_prng(w->sim), below)];
    while (m->is_gone);
    return m;
}

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */
static err_t seal(task_t *t, member_t *m, stored_t *f, repo_import_t *import, vault_stored_t *ret)
{
    vault_meta_t meta = {0};
    vault_store_t *s;
    content_t content = {.seed = f->seed, .size = f->size};
    TRY(vault_store_begin(t, node_vault(m->node), repo_import_blocks(import), NULL, NULL, &s));
    err_t e = vault_store_file(t, s, "file", &meta, (source_t){content_read, &content});
    if (!e)
        e = vault_store_finish(t, s, ret);
    vault_store_free(t, s);
    return e ? e : repo_import_sync(t, import);
}

static err_t store(task_t *t, member_t *m, void *arg)
{
    stored_t *f = arg;
    vault_stored_t stored;
    uint32_t have = 0;
    AUTO_PTR(repo_import_t) import = repo_import_begin(node_repo(m->node));
    TRY(seal(t, m, f, import, &stored));
    f->manifest = stored.manifest;
    deadline_t d = deadline_push(t, 30 * MINUTE_MS);
    err_t e = mesh_keep(t, node_mesh(m->node), &f->manifest, FACTOR, TIME_NEVER, NULL, NULL, &have);
    deadline_pop(t, &d);
    TRY(e);
    TRY(vault_record(t, node_vault(m->node), &stored));
    return have >= FACTOR ? OK : fail(ERR_UNREACHABLE, "%u of %d copies", have, FACTOR);
}

static err_t compare(task_t *t, vault_file_t *file, const stored_t *f)
{
    content_t content = {.seed = f->seed, .size = f->size};
    for (;;) {
        bytes_t piece;
        TRY(vault_read(t, file, &piece));
        if (!piece.len)
            return content_compared(&content);
        TRY(content_compare(&content, piece));
    }
}

static err_t read_back(task_t *t, member_t *m, void *arg)
{
    const stored_t *f = arg;
    char name[CID_TEXT_MAX];
    vault_file_t *file;
    AUTO(node_session_t) session = {0};
    TRY(node_session_open(m->node, false, &session));
    deadline_t d = deadline_push(t, 10 * MINUTE_MS);
    err_t e = vault_open(t, node_vault(m->node), session.blocks, cid_print(&f->manifest, name), &file);
    if (!e) {
        e = compare(t, file, f);
        vault_close(t, file);
    }
    deadline_pop(t, &d);
    return e;
}

static err_t delete_file(task_t *t, member_t *m, void *arg)
{
    stored_t *f = arg;
    AUTO(buf_t) tombstone;
    buf_init(&tombstone, 4096);
    TRY(vault_delete(t, node_vault(m->node), node_local_blocks(m->node), &f->manifest, &tombstone));
    mesh_deletion_t *d = xcalloc(1, sizeof *d);
    deadline_t limit = deadline_push(t, 5 * MINUTE_MS);
    err_t e = mesh_delete(t, node_mesh(m->node), buf_bytes(&tombstone), NULL, NULL, d);
    deadline_pop(t, &limit);
    free(d);
    return e;
}

static size_t live_copies(world_t *w, const stored_t *f)
{
    size_t copies = 0;
    for (size_t i = 0; i < w->count; i++)
        copies += !w->members[i].is_gone && w->members[i].node &&
                  replica_holds(node_replica(w->members[i].node), &f->manifest);
    return copies;
}

/* ── the day ─────────────────────────────────────────────────────────────────────────────────── */
static err_t join_all(task_t *t, world_t *w)
{
    snprintf(w->first, sizeof w->first, "20.1.0.1:%d", MEMBER_PORT);
    w->contacts[0] = w->first;
    for (size_t i = 0; i < w->count; i++) {
        char ip[32];
        snprintf(ip, sizeof ip, "%zu.%zu.0.1", 20 + i % 80, 1 + i / 80);
        member_init(&w->members[i], &w->config, w->sim, i, ip);
        TRY(member_start(t, &w->members[i]));
    }
    TRY(task_sleep(t, 20 * MINUTE_MS));
    for (size_t i = 0; i < w->count; i++) {
        mesh_stat_t s;
        mesh_stat(node_mesh(w->members[i].node), &s);
        if (s.connected < (w->count < 10 ? w->count - 1 : 8))
            return fail(ERR_NOT_FOUND, "member %zu is connected to %zu members", i, s.connected);
    }
    return OK;
}

static err_t store_some(task_t *t, world_t *w, size_t n)
{
    for (; n && w->n_files < FILES; n--) {
        stored_t *f = &w->files[w->n_files];
        member_t *m = any_live(w, w->count < OWNERS ? w->count : OWNERS);
        f->owner = m->index;
        f->seed = prng_next(sim_prng(w->sim));
        f->size = 1 + prng_below(sim_prng(w->sim), MAX_FILE_BYTES);
        err_t e = on_member(t, m, store, f);
        if (e)
            return fail_also(e, "storing file %zu", w->n_files);
        f->is_stored = true;
        w->n_files++;
    }
    return OK;
}

static err_t delete_one(task_t *t, world_t *w)
{
    stored_t *f = &w->files[prng_below(sim_prng(w->sim), w->n_files)];
    if (f->is_deleted)
        return OK;
    err_t e = on_member(t, &w->members[f->owner], delete_file, f);
    if (e)
        return fail_also(e, "deleting a file of member %zu", f->owner);
    f->is_deleted = true;
    w->n_deleted++;
    return OK;
}

/* Nobody goes as long as a file would have no copy left: no replication survives that. */
static void lose_one(world_t *w)
{
    member_t *m = any_live(w, w->count);
    if (m->index < OWNERS)
        return;
    m->is_gone = true;
    for (size_t i = 0; i < w->n_files; i++)
        if (!w->files[i].is_deleted && !live_copies(w, &w->files[i])) {
            m->is_gone = false;
            return;
        }
    m->node = NULL;
    sim_crash(m->host, prng_below(sim_prng(w->sim), 2) ? SIM_KILL : SIM_POWER_LOSS);
    w->n_lost++;
}

/* With the disk that the crash left. */
static err_t return_one(task_t *t, world_t *w, bool all)
{
    size_t from = prng_below(sim_prng(w->sim), w->count);
    for (size_t i = 0; i < w->count; i++) {
        member_t *m = &w->members[(from + i) % w->count];
        if (!m->is_gone)
            continue;
        TRY(sim_host_join_dead(t, m->host));
        sim_restart(m->host);
        TRY(member_start(t, m));
        w->n_returned++;
        if (!all)
            return OK;
    }
    return OK;
}

static err_t live_through(task_t *t, world_t *w)
{
    for (size_t hour = 0; hour < HOURS; hour++) {
        TRY(store_some(t, w, hour < HOURS / 2 ? 2 : 0));
        if (hour % 3 == 2)
            TRY(delete_one(t, w));
        for (size_t i = 0; i < 1 + w->count / 25; i++)
            lose_one(w);
        TRY(task_sleep(t, 30 * MINUTE_MS));
        if (hour % 2)
            TRY(return_one(t, w, false));
        if (hour % 4 == 3 && w->n_files) {
            stored_t *f = &w->files[prng_below(sim_prng(w->sim), w->n_files)];
            err_t e = f->is_deleted ? OK : on_member(t, &w->members[f->owner], read_back, f);
            if (e)
                return fail_also(e, "reading a file in hour %zu", hour);
        }
        TRY(task_sleep(t, 30 * MINUTE_MS));
    }
    return OK;
}

/* All come back, those too that were away while files were deleted. */
static err_t check_end(task_t *t, world_t *w)
{
    TRY(return_one(t, w, true));
    TRY(task_sleep(t, 120 * MINUTE_MS));
    for (size_t i = 0; i < w->n_files; i++) {
        stored_t *f = &w->files[i];
        size_t copies = live_copies(w, f);
        if (f->is_deleted && copies)
            return fail(ERR_CORRUPT, "file %zu was deleted, and %zu members hold it", i, copies);
        if (!f->is_deleted && copies < FACTOR)
            return fail(ERR_NOT_FOUND, "file %zu has %zu copies", i, copies);
        err_t e = f->is_deleted ? OK : on_member(t, &w->members[f->owner], read_back, f);
        if (e)
            return fail_also(e, "reading file %zu at the end", i);
    }
    for (size_t i = 0; i < w->count; i++) {
        mesh_stat_t s;
        mesh_stat(node_mesh(w->members[i].node), &s);
        if (s.tombstones != w->n_deleted || s.is_catching_up)
            return fail(ERR_CORRUPT, "member %zu knows %llu of %zu deletions", i,
                        (unsigned long long)s.tombstones, w->n_deleted);
    }
    return OK;
}

static err_t scenario(task_t *t, void *arg)
{
    world_t *w = arg;
    err_t e = join_all(t, w);
    if (!e)
        e = live_through(t, w);
    if (!e)
        e = check_end(t, w);
    for (size_t i = 0; i < w->count && w->members[i].host; i++) {
        err_t stopped = member_stop(t, &w->members[i]);
        e = e ? e : stopped;
    }
    return e;
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    size_t nodes = DEFAULT_NODES;
    scenario_begin(argc, argv, &seed, &nodes);
    world_t w = {.sim = sim_new(seed), .members = xcalloc(nodes, sizeof(member_t)), .count = nodes};
    w.config = (member_config_t){set_options, configure, &w};
    err_t e = sim_run(w.sim, scenario, &w);
    if (e)
        printf("seed %llu: FAILED: %s\n", (unsigned long long)seed, error_text(e));
    else
        printf("seed %llu: ok, hash %016llx, %zu files stored, %zu deleted, %zu nodes lost, %zu returned, "
               "%.1f h of virtual time, %.1f s of CPU\n",
               (unsigned long long)seed, (unsigned long long)sim_hash(w.sim), w.n_files, w.n_deleted,
               w.n_lost, w.n_returned, (double)(sim_now_ms(w.sim) - 1000000) / MINUTE_MS / 60,
               scenario_cpu_seconds());
    sim_free(w.sim);
    free(w.members);
    return e != OK;
}

/* The mesh's clock, network and disks. */
#include "mesh_world.h"
#include <math.h>

/* ── time ────────────────────────────────────────────────────────────────────────────────────── */
uint64_t world_span(mesh_world_t *w, uint64_t mean_ms)
{
    return (uint64_t)(-log(1 - prng_unit(&w->rng)) * (double)mean_ms) + 1;
}

static bool is_before(const sim_event_t *a, const sim_event_t *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->serial < b->serial;
}

static void push(mesh_world_t *w, sim_event_t e)
{
    if (w->n_events == w->cap_events) {
        w->cap_events = w->cap_events ? 2 * w->cap_events : 4096;
        w->events = xrealloc(w->events, w->cap_events * sizeof *w->events);
    }
    e.serial = w->serial++;
    size_t at = w->n_events++;
    for (; at && is_before(&e, &w->events[(at - 1) / 2]); at = (at - 1) / 2)
        w->events[at] = w->events[(at - 1) / 2];
    w->events[at] = e;
}

void world_push_event(mesh_world_t *w, uint64_t in_ms, sim_event_t e)
{
    e.at_ms = w->now_ms + in_ms;
    push(w, e);
}

void world_push(mesh_world_t *w, uint64_t in_ms, event_kind_t kind, uint32_t a, uint32_t b, uint32_t file)
{
    world_push_event(w, in_ms, (sim_event_t){.kind = kind, .a = a, .b = b, .file = file});
}

static sim_event_t pop(mesh_world_t *w)
{
    sim_event_t first = w->events[0], last = w->events[--w->n_events];
    size_t at = 0;
    for (size_t child = 1; child < w->n_events; child = 2 * at + 1) {
        child += child + 1 < w->n_events && is_before(&w->events[child + 1], &w->events[child]);
        if (is_before(&last, &w->events[child]))
            break;
        w->events[at] = w->events[child];
        at = child;
    }
    w->events[at] = last;
    return first;
}

/* ── ticks of the nodes that are up ──────────────────────────────────────────────────────────── */
static void place(mesh_world_t *w, size_t at, mesh_node_t *n)
{
    w->ticks[at - 1] = n;
    n->tick_at = at;
}

static void sift(mesh_world_t *w, mesh_node_t *n)
{
    size_t at = n->tick_at;
    for (; at > 1 && w->ticks[at / 2 - 1]->tick_ms > n->tick_ms; at /= 2)
        place(w, at, w->ticks[at / 2 - 1]);
    for (size_t child = 2 * at; child <= w->n_ticks; child = 2 * at) {
        child += child < w->n_ticks && w->ticks[child]->tick_ms < w->ticks[child - 1]->tick_ms;
        if (w->ticks[child - 1]->tick_ms >= n->tick_ms)
            break;
        place(w, at, w->ticks[child - 1]);
        at = child;
    }
    place(w, at, n);
}

void world_tick_changed(mesh_world_t *w, mesh_node_t *n, uint64_t at_ms)
{
    if (!n->is_up) {
        if (!n->tick_at)
            return;
        mesh_node_t *last = w->ticks[--w->n_ticks];
        if (last != n) {
            last->tick_at = n->tick_at;
            place(w, last->tick_at, last);
            sift(w, last);
        }
        n->tick_at = 0;
        return;
    }
    n->tick_ms = at_ms;
    if (!n->tick_at)
        place(w, ++w->n_ticks, n);
    sift(w, n);
}

static void tick(mesh_world_t *w, mesh_node_t *n)
{
    if (replica_planner_deadline_ms(n->planner) <= w->now_ms)
        replica_planner_tick(n->planner, w->now_ms);
    engines_settle(w, n);
}

/* Every event goes into the hash of the run. */
static void remember(mesh_world_t *w, const sim_event_t *e)
{
    uint64_t words[] = {e->at_ms, (uint64_t)e->kind << 32 | e->file, (uint64_t)e->a << 32 | e->b};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        w->hash = (w->hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15) + (w->hash >> 29);
}

bool world_next(mesh_world_t *w, uint64_t until_ms, sim_event_t *ret)
{
    for (;;) {
        uint64_t event_ms = w->n_events ? w->events[0].at_ms : UINT64_MAX;
        uint64_t tick_ms = w->n_ticks ? w->ticks[0]->tick_ms : UINT64_MAX;
        uint64_t at_ms = event_ms < tick_ms ? event_ms : tick_ms;
        if (at_ms >= until_ms) {
            w->now_ms = until_ms;
            return false;
        }
        w->now_ms = at_ms > w->now_ms ? at_ms : w->now_ms;
        if (tick_ms < event_ms) {
            tick(w, w->ticks[0]);
            continue;
        }
        sim_event_t e = pop(w);
        remember(w, &e);
        if (e.kind >= EVENT_DETECTED && e.kind <= EVENT_SYNC) {
            engines_event(w, &e);
            free(e.stayers);
            continue;
        }
        *ret = e;
        return true;
    }
}

/* ── the world ───────────────────────────────────────────────────────────────────────────────── */
/* How long a node is silent before the detector gives it up, with heartbeats that come up to a second late:
 * from the real one. */
static uint64_t measure_detection(mesh_world_t *w)
{
    failure_detector_t d;
    uint64_t now_ms = 1000;
    failure_detector_init(&d, HEARTBEAT_MS, now_ms);
    for (int i = 0; i < 1000; i++) {
        now_ms += HEARTBEAT_MS + prng_below(&w->rng, 1000);
        failure_detector_heard(&d, now_ms);
    }
    return failure_detector_due_ms(&d, 8) - now_ms;
}

mesh_world_t *world_new(uint64_t seed)
{
    static const uint8_t fixed[16] = {1};
    map_set_hash_key(fixed);
    mesh_world_t *w = xcalloc(1, sizeof *w);
    prng_seed(&w->rng, seed);
    w->now_ms = 1000 * DAY_MS;
    w->files = xcalloc(FILES_MAX, sizeof *w->files);
    map_init(&w->by_key, FILES_MAX);
    w->detect_ms = measure_detection(w);
    return w;
}

static void free_engines(mesh_node_t *n)
{
    replica_planner_free(n->planner);
    tombstones_free(n->dead);
    catch_up_free(n->catch_up);
    chunk_refs_free(n->refs);
    deletion_free(n->deletion);
    free(n->chunks);
    n->planner = NULL;
    n->dead = NULL;
    n->catch_up = NULL;
    n->refs = NULL;
    n->deletion = NULL;
    n->chunks = NULL;
}

void world_free(mesh_world_t *w)
{
    for (size_t i = 0; i < w->n_nodes; i++) {
        free_engines(w->nodes[i]);
        free(w->nodes[i]);
    }
    for (size_t i = 0; i < w->n_events; i++)
        free(w->events[i].stayers);
    free(w->nodes);
    free(w->ticks);
    free(w->events);
    for (size_t i = 0; i < w->n_files; i++)
        free(w->files[i].trackers);
    map_deinit(&w->by_key);
    free(w->files);
    free(w);
}

bool world_has(const mesh_node_t *n, size_t file)
{
    return n->has[file / 8] >> file % 8 & 1;
}

bool world_reaches(const mesh_world_t *w, const mesh_node_t *a, const mesh_node_t *b)
{
    return a->is_up && b->is_up && (!w->is_split || a->side == b->side);
}

mesh_node_t *world_add_node(mesh_world_t *w, uint32_t zone, bool is_server, bool is_up)
{
    if (w->n_nodes == w->cap_nodes) {
        w->cap_nodes = w->cap_nodes ? 2 * w->cap_nodes : 1024;
        w->nodes = xrealloc(w->nodes, w->cap_nodes * sizeof *w->nodes);
        w->ticks = xrealloc(w->ticks, w->cap_nodes * sizeof *w->ticks);
    }
    mesh_node_t *n = xcalloc(1, sizeof *n);
    n->index = (uint32_t)w->n_nodes;
    n->zone = zone;
    n->side = prng_below(&w->rng, 10) < 3;
    n->is_server = is_server;
    n->id = (peer_id_t){.len = 34, .data = {0x12, 0x20}};
    memcpy(n->id.data + 2, &n->index, sizeof n->index);
    prng_fill(&w->rng, n->id.data + 6, 28);
    n->key = kad_key_of_peer(&n->id);
    n->capacity_bytes = (UINT64_C(1) << 30) << prng_below(&w->rng, 6); /* 1 to 32 GiB */
    n->chunks = xcalloc(1, CHUNKS_MAX / 8 + 1);
    n->dead = tombstones_new(FILES_MAX);
    chunk_refs_config_t refs;
    chunk_refs_config_default(&refs);
    n->refs = chunk_refs_new(&refs);
    w->nodes[w->n_nodes++] = n;
    w->n_live++;
    engines_start(w, n, UINT64_MAX);
    n->down_ms = w->now_ms;
    if (is_up)
        world_up(w, n, false);
    return n;
}

void world_up(mesh_world_t *w, mesh_node_t *n, bool restarts)
{
    CHECK(!n->is_up && !n->is_gone);
    n->is_up = true;
    n->session++;
    w->f.sessions++;
    if (restarts) {
        engines_start(w, n, w->now_ms - n->down_ms);
        w->f.restarts++;
    } else {
        replica_planner_resumed(n->planner, w->now_ms);
        catch_up_was_away(n->catch_up, w->now_ms - n->down_ms, w->now_ms);
    }
    w->f.behind += !catch_up_is_current(n->catch_up);
    world_push(w, 1 + prng_below(&w->rng, HEARTBEAT_MS), EVENT_RETURNED, n->index, n->session, 0);
    engines_settle(w, n);
}

void world_down(mesh_world_t *w, mesh_node_t *n)
{
    CHECK(n->is_up);
    n->is_up = false;
    n->down_ms = w->now_ms;
    n->busy_until_ms = 0;
    world_tick_changed(w, n, 0);
    world_push(w, w->detect_ms - prng_below(&w->rng, HEARTBEAT_MS), EVENT_DETECTED, n->index, n->session, 0);
}

void world_leave(mesh_world_t *w, mesh_node_t *n)
{
    if (n->is_up)
        world_down(w, n);
    n->is_gone = true;
    w->n_live--;
    w->f.departures++;
    for (size_t i = 0; i < w->n_files; i++) {
        if (!world_has(n, i))
            continue;
        file_t *f = &w->files[i];
        f->copies--;
        w->f.departed_bytes += f->size_bytes;
        if (!f->copies && !f->is_deleted) {
            fprintf(stderr, "day %.1f: the last copy of file %zu is lost\n",
                    (double)(w->now_ms - 1000 * DAY_MS) / (double)DAY_MS, i);
            exit(1);
        }
    }
    memset(n->has, 0, sizeof n->has);
    free(n->chunks);
    n->chunks = NULL;
}

void world_split(mesh_world_t *w, bool is_split)
{
    w->is_split = is_split;
    if (!is_split)
        w->split_ended_ms = w->now_ms;
    for (size_t i = 0; i < w->n_nodes; i++) {
        const mesh_node_t *n = w->nodes[i];
        if (n->is_up)
            world_push(w, w->detect_ms - prng_below(&w->rng, HEARTBEAT_MS), EVENT_RETURNED, n->index,
                       n->session, 0);
    }
}

void world_lose_disk(mesh_world_t *w, mesh_node_t *n, uint32_t file)
{
    file_t *f = &w->files[file];
    n->has[file / 8] &= (uint8_t) ~(1u << file % 8);
    f->copies--;
    CHECK(f->copies);
    w->f.lost_disks++;
}

/* The nodes of the modelled mesh: what each engine decides is carried out, what comes is told to it. */
#include "mesh_world.h"

enum {
    FETCH_BYTES_PER_S = 2 << 20,
    REPAIR_BYTES_PER_S = 512 << 10,
    SYNC_MAX_QUESTIONS = 10000,
    TRACKERS_MANY = 4 * FACTOR,
};

static uint64_t delay_ms(mesh_world_t *w)
{
    return 20 + prng_below(&w->rng, 300);
}

static uint32_t index_of(const peer_id_t *id)
{
    uint32_t i;
    memcpy(&i, id->data + 2, sizeof i);
    return i;
}

static mesh_node_t *node_of(mesh_world_t *w, const peer_id_t *id)
{
    return w->nodes[index_of(id)];
}

static uint32_t file_of(const cid_t *root)
{
    uint32_t i;
    memcpy(&i, root->digest, sizeof i);
    return i;
}

static cid_t chunk_cid(uint32_t chunk)
{
    uint8_t digest[32] = {0};
    memcpy(digest, &chunk, sizeof chunk);
    return cid_of_sha256(1, CODEC_RAW, digest);
}

static bool is_serving(const mesh_node_t *n)
{
    return n->is_up && catch_up_is_current(n->catch_up);
}

/* ── records ─────────────────────────────────────────────────────────────────────────────────── */
static void track(file_t *f, const mesh_node_t *n)
{
    for (size_t i = 0; i < f->n_trackers; i++)
        if (f->trackers[i] == n->index)
            return;
    if (f->n_trackers == f->cap_trackers) {
        f->cap_trackers = f->cap_trackers ? 2 * f->cap_trackers : 8;
        f->trackers = xrealloc(f->trackers, f->cap_trackers * sizeof *f->trackers);
    }
    f->trackers[f->n_trackers++] = n->index;
}

/* The node's peers in this record: it cannot have followed those that it did not know. */
static void judge_entries(mesh_world_t *w, mesh_node_t *n, plan_root_t *r)
{
    for (size_t i = 0; i < plan_root_entries(r); i++) {
        plan_entry_t e = plan_root_entry(r, i);
        mesh_node_t *peer = node_of(w, &e.peer);
        placement_peer_t status = {.free_bytes = PLACEMENT_FREE_UNKNOWN, .zone = peer->zone + 1};
        replica_planner_status(n->planner, &e.peer, &status);
        replica_planner_judged(n->planner, &e.peer, world_reaches(w, n, peer), w->now_ms);
    }
}

static void merge(mesh_world_t *w, mesh_node_t *from, mesh_node_t *to, const cid_t *root, bool may_add)
{
    plan_root_t *r = replica_planner_root(from->planner, root);
    if (!r)
        return;
    plan_entry_t entries[64];
    size_t n = plan_root_entries(r);
    for (size_t i = 0; i < n; i++)
        entries[i] = plan_root_entry(r, i);
    const plan_head_t *head = plan_root_head(r);
    bool is_owner = peer_id_equal(&head->owner, &from->id);
    if (!replica_planner_merge(to->planner, head, entries, n, may_add, is_owner, w->now_ms))
        return;
    r = replica_planner_root(to->planner, root);
    track(&w->files[file_of(root)], to);
    judge_entries(w, to, r);
}

/* The record, to all that it names. One that has left forgets it then. */
static void tell(mesh_world_t *w, mesh_node_t *n, uint32_t file)
{
    file_t *f = &w->files[file];
    plan_root_t *r = replica_planner_root(n->planner, &f->cid);
    f->changed_ms = w->now_ms;
    for (size_t i = 0; r && i < plan_root_entries(r); i++) {
        plan_entry_t e = plan_root_entry(r, i);
        mesh_node_t *to = node_of(w, &e.peer);
        if (to != n && world_reaches(w, n, to))
            world_push(w, delay_ms(w), EVENT_UPDATE, n->index, to->index, file);
    }
}

static void on_update(mesh_world_t *w, mesh_node_t *from, mesh_node_t *to, uint32_t file)
{
    file_t *f = &w->files[file];
    if (tombstones_has(to->dead, &f->key)) {
        world_push(w, delay_ms(w), EVENT_TOMBSTONE, to->index, from->index, file);
        return;
    }
    plan_root_t *theirs = replica_planner_root(from->planner, &f->cid);
    if (!theirs || !replica_planner_root(to->planner, &f->cid))
        return;
    merge(w, from, to, &f->cid, false);
    engines_settle(w, to);
    plan_root_t *ours = replica_planner_root(to->planner, &f->cid);
    theirs = replica_planner_root(from->planner, &f->cid);
    if (ours && theirs && plan_root_digest(ours) != plan_root_digest(theirs)) { /* the answer */
        merge(w, to, from, &f->cid, false);
        engines_settle(w, from);
    }
    ours = replica_planner_root(from->planner, &f->cid);
    if (ours && plan_root_self(from->planner, ours) == PLAN_LEFT && !world_has(from, file))
        replica_planner_forget(from->planner, &f->cid);
}

/* ── fetching, letting go ────────────────────────────────────────────────────────────────────── */
static void start_fetch(mesh_world_t *w, mesh_node_t *n, uint32_t file)
{
    uint64_t begin_ms = n->busy_until_ms > w->now_ms ? n->busy_until_ms : w->now_ms;
    n->busy_until_ms = begin_ms + 200 + w->files[file].size_bytes * 1000 / FETCH_BYTES_PER_S;
    world_push(w, n->busy_until_ms - w->now_ms, EVENT_FETCHED, n->index, n->session, file);
}

static bool has_source(mesh_world_t *w, const mesh_node_t *n, const plan_root_t *r, uint32_t file)
{
    for (size_t i = 0; i < plan_root_entries(r); i++) {
        plan_entry_t e = plan_root_entry(r, i);
        const mesh_node_t *from = node_of(w, &e.peer);
        if (from != n && world_reaches(w, n, from) && is_serving(from) && world_has(from, file))
            return true;
    }
    return false;
}

static bool is_counted(const mesh_node_t *n, uint32_t file)
{
    return n->counted[file / 8] >> file % 8 & 1;
}

static void keep(mesh_world_t *w, mesh_node_t *n, uint32_t file)
{
    file_t *f = &w->files[file];
    n->has[file / 8] |= (uint8_t)(1u << file % 8);
    f->copies++;
    f->wins++;
    for (uint32_t i = f->first_chunk; i < f->first_chunk + f->n_chunks; i++) {
        cid_t chunk = chunk_cid(i);
        CHECK(is_counted(n, file) || !chunk_refs_add(n->refs, &chunk));
        n->chunks[i / 8] |= (uint8_t)(1u << i % 8);
    }
    n->used_bytes += is_counted(n, file) ? 0 : f->size_bytes;
    n->counted[file / 8] |= (uint8_t)(1u << file % 8);
    if (f->wins <= FACTOR) {
        w->f.stored_bytes += f->size_bytes;
        return;
    }
    w->f.repairs++;
    w->f.repair_bytes += f->size_bytes;
    if (w->f.hour != w->now_ms / HOUR_MS)
        w->f.hour_bytes = 0;
    w->f.hour = w->now_ms / HOUR_MS;
    w->f.hour_bytes += f->size_bytes;
    if (w->f.hour_bytes > w->f.peak_hour_bytes)
        w->f.peak_hour_bytes = w->f.hour_bytes;
}

static void on_fetched(mesh_world_t *w, mesh_node_t *n, uint32_t file)
{
    file_t *f = &w->files[file];
    plan_root_t *r = replica_planner_root(n->planner, &f->cid);
    if (!r || plan_root_self(n->planner, r) != PLAN_FETCHING)
        return;
    if (!has_source(w, n, r, file)) { /* whoever had it is away */
        start_fetch(w, n, file);
        return;
    }
    /* nobody brings back what was deleted a day ago, unless it was cut off */
    CHECK(!f->is_deleted || w->now_ms < f->deleted_ms + DAY_MS || w->is_split ||
          w->now_ms < w->split_ended_ms + DAY_MS);
    if (!world_has(n, file))
        keep(w, n, file);
    replica_planner_self(n->planner, &f->cid, PLAN_HOLDS, w->now_ms, w->now_ms);
}

static void drop(mesh_world_t *w, mesh_node_t *n, uint32_t file)
{
    file_t *f = &w->files[file];
    if (world_has(n, file)) {
        n->has[file / 8] &= (uint8_t) ~(1u << file % 8);
        f->copies--;
        CHECK(f->is_deleted || f->copies >= FACTOR); /* pruned: never below the factor */
        w->f.prunes += !f->is_deleted;
    }
    if (!is_counted(n, file))
        return;
    n->counted[file / 8] &= (uint8_t) ~(1u << file % 8);
    n->used_bytes -= f->size_bytes;
    for (uint32_t i = f->first_chunk; i < f->first_chunk + f->n_chunks; i++) {
        cid_t chunk = chunk_cid(i);
        CHECK(!chunk_refs_drop(n->refs, &chunk, w->now_ms));
    }
}

/* ── offers ──────────────────────────────────────────────────────────────────────────────────── */
static bool takes(mesh_world_t *w, mesh_node_t *from, mesh_node_t *to, uint32_t file)
{
    file_t *f = &w->files[file];
    if (tombstones_has(to->dead, &f->key)) {
        world_push(w, delay_ms(w), EVENT_TOMBSTONE, to->index, from->index, file);
        return false;
    }
    plan_root_t *r = replica_planner_root(to->planner, &f->cid);
    plan_state_t state = r ? plan_root_self(to->planner, r) : 0;
    if (state != PLAN_HOLDS && state != PLAN_FETCHING &&
        (!is_serving(to) || to->capacity_bytes < to->used_bytes + f->size_bytes ||
         !replica_planner_may_take(to->planner, f->size_bytes, w->now_ms)))
        return false;
    merge(w, from, to, &f->cid, true);
    if (!replica_planner_root(to->planner, &f->cid))
        return false;
    if (state != PLAN_HOLDS && state != PLAN_FETCHING) {
        replica_planner_self(to->planner, &f->cid, PLAN_FETCHING, w->now_ms, w->now_ms);
        start_fetch(w, to, file);
    }
    return true;
}

static void on_offer(mesh_world_t *w, mesh_node_t *from, mesh_node_t *to, uint32_t file)
{
    bool has_taken = takes(w, from, to, file);
    w->f.refused += !has_taken;
    world_push(w, delay_ms(w), has_taken ? EVENT_ACCEPTED : EVENT_REFUSED, to->index, from->index, file);
    engines_settle(w, to);
}

/* The n nearest members that can be reached: what a lookup in the mesh's DHT gives. */
static void find_candidates(mesh_world_t *w, mesh_node_t *n, uint32_t file, size_t wanted)
{
    enum { MOST = 1024 };
    mesh_node_t *best[MOST];
    size_t count = 0;
    const kad_key_t *key = &w->files[file].key;
    wanted = wanted < MOST ? wanted : MOST;
    CHECK(wanted > 0);
    for (size_t i = 0; i < w->n_nodes; i++) {
        mesh_node_t *m = w->nodes[i];
        if (m == n || !world_reaches(w, n, m) ||
            (count == wanted && kad_compare_distance(key, &m->key, &best[count - 1]->key) >= 0))
            continue;
        size_t at = count < wanted ? count++ : count - 1;
        for (; at && kad_compare_distance(key, &m->key, &best[at - 1]->key) < 0; at--)
            best[at] = best[at - 1];
        best[at] = m;
    }
    for (size_t i = 0; i < count; i++) {
        placement_peer_t status = {.free_bytes = best[i]->capacity_bytes > best[i]->used_bytes
                                                     ? best[i]->capacity_bytes - best[i]->used_bytes
                                                     : 0,
                                   .zone = best[i]->zone + 1,
                                   .latency_ms = best[i]->zone == n->zone ? 10 : 80};
        replica_planner_judged(n->planner, &best[i]->id, true, w->now_ms);
        replica_planner_candidate(n->planner, &best[i]->id, true, w->now_ms);
        replica_planner_status(n->planner, &best[i]->id, &status);
    }
}

/* ── what the planner wants ──────────────────────────────────────────────────────────────────── */
static void ask_to_stay(mesh_world_t *w, mesh_node_t *n, const plan_action_t *a, uint32_t file)
{
    sim_event_t e = {.kind = EVENT_STAY, .a = n->index, .b = n->session, .file = file};
    e.stayers = xcalloc(1, sizeof *e.stayers);
    for (size_t i = 0; i < a->n_stayers; i++)
        e.stayers->nodes[e.stayers->n++] = index_of(&a->stayers[i]);
    world_push_event(w, delay_ms(w), e);
}

static void on_stay(mesh_world_t *w, mesh_node_t *n, const sim_event_t *e)
{
    const cid_t *root = &w->files[e->file].cid;
    bool all = e->stayers->n > 0;
    for (size_t i = 0; all && i < e->stayers->n; i++) {
        mesh_node_t *m = w->nodes[e->stayers->nodes[i]];
        all = world_reaches(w, n, m) && is_serving(m) && world_has(m, e->file) &&
              replica_planner_promise(m->planner, root, w->now_ms);
    }
    replica_planner_leave(n->planner, root, all, w->now_ms, w->now_ms);
}

static void on_audit(mesh_world_t *w, mesh_node_t *n, mesh_node_t *holder, uint32_t file)
{
    const cid_t *root = &w->files[file].cid;
    plan_audit_t how = PLAN_AUDIT_NO_ANSWER;
    if (world_reaches(w, n, holder) && is_serving(holder))
        how = world_has(holder, file) ? PLAN_AUDIT_PASSED : PLAN_AUDIT_FAILED;
    replica_planner_audited(n->planner, root, &holder->id, how, w->now_ms);
    w->f.audits += how != PLAN_AUDIT_NO_ANSWER;
    if (how != PLAN_AUDIT_FAILED)
        return;
    plan_root_t *r = replica_planner_root(holder->planner, root);
    if (!r || plan_root_self(holder->planner, r) != PLAN_HOLDS)
        return;
    w->f.audits_failed++;
    replica_planner_self(holder->planner, root, PLAN_FETCHING, w->now_ms, w->now_ms);
    start_fetch(w, holder, file);
    engines_settle(w, holder);
}

/* A node that has to catch up says nothing of what it holds. */
static void act_behind(mesh_world_t *w, mesh_node_t *n, const plan_action_t *a, uint32_t file)
{
    if (a->kind == PLAN_OFFER)
        replica_planner_offered(n->planner, &a->root, &a->peer, PLAN_FAILED, w->now_ms);
    else if (a->kind == PLAN_LEAVE_ASK)
        replica_planner_leave(n->planner, &a->root, false, w->now_ms, w->now_ms);
    else if (a->kind == PLAN_AUDIT)
        replica_planner_audited(n->planner, &a->root, &a->peer, PLAN_AUDIT_NO_ANSWER, w->now_ms);
    else if (a->kind == PLAN_DROP)
        drop(w, n, file);
}

static void act(mesh_world_t *w, mesh_node_t *n, const plan_action_t *a)
{
    uint32_t file = file_of(&a->root);
    if (!is_serving(n)) {
        act_behind(w, n, a, file);
        return;
    }
    switch (a->kind) {
    case PLAN_SAVE:
        tell(w, n, file);
        break;
    case PLAN_OFFER:
        w->f.offers++;
        world_push(w, delay_ms(w), EVENT_OFFER, n->index, index_of(&a->peer), file);
        break;
    case PLAN_LEAVE_ASK:
        ask_to_stay(w, n, a, file);
        break;
    case PLAN_DROP:
        drop(w, n, file);
        break;
    case PLAN_FIND:
        find_candidates(w, n, file, a->n_wanted);
        break;
    case PLAN_AUDIT:
        world_push(w, delay_ms(w), EVENT_AUDIT, n->index, index_of(&a->peer), file);
        break;
    case PLAN_HEARTBEAT: /* judged outside */
        break;
    }
}

static void collect(mesh_world_t *w, mesh_node_t *n)
{
    for (cid_t chunk; chunk_refs_next(n->refs, w->now_ms, &chunk);) {
        uint32_t i = file_of(&chunk);
        n->chunks[i / 8] &= (uint8_t) ~(1u << i % 8);
    }
}

void engines_settle(mesh_world_t *w, mesh_node_t *n)
{
    if (!n->is_up)
        return;
    plan_action_t a;
    while (replica_planner_next(n->planner, &a))
        act(w, n, &a);
    peer_id_t peer;
    while (catch_up_next(n->catch_up, w->now_ms, &peer))
        world_push(w, delay_ms(w), EVENT_SYNC, n->index, index_of(&peer), 0);
    cid_t root;
    while (n->deletion && deletion_next(n->deletion, w->now_ms, &root, &peer))
        world_push_event(w, delay_ms(w),
                         (sim_event_t){.kind = EVENT_TOMBSTONE,
                                       .a = n->index,
                                       .b = index_of(&peer),
                                       .file = file_of(&root),
                                       .is_direct = true});
    collect(w, n);
    uint64_t at_ms[] = {replica_planner_deadline_ms(n->planner), catch_up_deadline_ms(n->catch_up),
                        chunk_refs_deadline_ms(n->refs),
                        n->deletion ? deletion_deadline_ms(n->deletion) : UINT64_MAX};
    uint64_t first_ms = UINT64_MAX;
    for (size_t i = 0; i < ARRAY_LEN(at_ms); i++)
        first_ms = at_ms[i] < first_ms ? at_ms[i] : first_ms;
    world_tick_changed(w, n, first_ms > w->now_ms ? first_ms : w->now_ms);
}

/* ── coming and going ────────────────────────────────────────────────────────────────────────── */
/* Several records name the same node: true for its first one in this round. */
static bool meets(const mesh_world_t *w, mesh_node_t *n)
{
    bool is_first = n->met != w->rounds;
    n->met = w->rounds;
    return is_first;
}

static void on_detected(mesh_world_t *w, mesh_node_t *gone)
{
    size_t i = 0;
    w->rounds++;
    for (plan_root_t *r; (r = replica_planner_next_root(gone->planner, &i));) {
        file_t *f = &w->files[file_of(&plan_root_head(r)->root)];
        for (size_t k = 0; k < f->n_trackers; k++) {
            mesh_node_t *n = w->nodes[f->trackers[k]];
            if (n == gone || !n->is_up || !meets(w, n))
                continue;
            replica_planner_judged(n->planner, &gone->id, false, w->now_ms);
            engines_settle(w, n);
        }
    }
    if (!gone->is_gone)
        return;
    replica_planner_free(gone->planner);
    gone->planner = NULL;
}

/* Those that forgot the file long ago are many only when it has moved often. */
static void forget_trackers(mesh_world_t *w, file_t *f)
{
    for (size_t k = f->n_trackers; k--;) {
        const mesh_node_t *m = w->nodes[f->trackers[k]];
        if (m->is_gone || (f->n_trackers > TRACKERS_MANY && !replica_planner_root(m->planner, &f->cid)))
            f->trackers[k] = f->trackers[--f->n_trackers];
    }
}

static void meet_contacts(mesh_world_t *w, mesh_node_t *n)
{
    for (size_t i = 0; i < ARRAY_LEN(n->contacts); i++) {
        catch_up_peer(n->catch_up, &w->nodes[n->contacts[i]]->id, false, w->now_ms);
        for (int tries = 0; tries < 50; tries++) {
            mesh_node_t *m = w->nodes[prng_below(&w->rng, w->n_nodes)];
            if (m == n || !world_reaches(w, n, m))
                continue;
            n->contacts[i] = m->index;
            replica_planner_usual_away(n->planner, replica_planner_stat(m->planner).usual_away_ms);
            catch_up_peer(n->catch_up, &m->id, true, w->now_ms);
            break;
        }
    }
}

/* Both sides have the record: they compare what changed meanwhile. */
static void compare_records(mesh_world_t *w, mesh_node_t *n, mesh_node_t *m, plan_root_t *ours, uint32_t file)
{
    plan_root_t *theirs = replica_planner_root(m->planner, &w->files[file].cid);
    if (!theirs || plan_root_digest(theirs) == plan_root_digest(ours))
        return;
    world_push(w, delay_ms(w), EVENT_UPDATE, n->index, m->index, file);
    world_push(w, delay_ms(w), EVENT_UPDATE, m->index, n->index, file);
}

/* Its first heartbeats after an absence or when the network changed: both sides see who is there. */
static void on_returned(mesh_world_t *w, mesh_node_t *n)
{
    size_t i = 0;
    bool has_split = n->down_ms < w->split_ended_ms || w->now_ms < w->split_ended_ms + DAY_MS;
    w->rounds++;
    for (plan_root_t *r; (r = replica_planner_next_root(n->planner, &i));) {
        uint32_t file = file_of(&plan_root_head(r)->root);
        file_t *f = &w->files[file];
        if (plan_root_self(n->planner, r) == PLAN_FETCHING)
            start_fetch(w, n, file);
        forget_trackers(w, f);
        for (size_t k = f->n_trackers; k--;) {
            mesh_node_t *m = w->nodes[f->trackers[k]];
            bool reaches = world_reaches(w, n, m), is_first = m != n && meets(w, m);
            if (is_first)
                replica_planner_judged(n->planner, &m->id, reaches, w->now_ms);
            if (is_first && m->is_up)
                replica_planner_judged(m->planner, &n->id, reaches, w->now_ms);
            if (m != n && reaches && (f->changed_ms + MINUTE_MS > n->down_ms || has_split))
                compare_records(w, n, m, r, file);
            if (is_first && m->is_up)
                engines_settle(w, m);
        }
        judge_entries(w, n, r); /* those too that left for good meanwhile, of whom nobody keeps track */
    }
    meet_contacts(w, n);
    engines_settle(w, n);
}

static replica_planner_t *make_planner(mesh_world_t *w, mesh_node_t *n, uint64_t usual_away_ms)
{
    replica_plan_config_t c;
    replica_plan_config_mesh(&c);
    c.self = n->id;
    c.is_judged_outside = true;
    c.deleted = n->dead;
    c.seed = prng_next(&w->rng);
    c.repair_bytes_per_s = REPAIR_BYTES_PER_S;
    c.max_roots = FILES_MAX;
    c.usual_away_ms = usual_away_ms;
    c.audit_period_ms = 7 * DAY_MS;
    return replica_planner_new(&c);
}

/* The process starts: what is on disk is read again, it keeps what is usual, not who is who. */
void engines_start(mesh_world_t *w, mesh_node_t *n, uint64_t away_ms)
{
    replica_planner_t *old = n->planner;
    n->planner = make_planner(w, n, old ? replica_planner_stat(old).usual_away_ms : 0);
    placement_peer_t status = {.free_bytes = PLACEMENT_FREE_UNKNOWN, .zone = n->zone + 1};
    replica_planner_status(n->planner, &n->id, &status);
    size_t i = 0;
    for (plan_root_t *r; old && (r = replica_planner_next_root(old, &i));) {
        plan_entry_t entries[64];
        size_t count = plan_root_entries(r);
        for (size_t k = 0; k < count; k++)
            entries[k] = plan_root_entry(r, k);
        replica_planner_merge(n->planner, plan_root_head(r), entries, count, true, true, w->now_ms);
        r = replica_planner_root(n->planner, &plan_root_head(r)->root);
        CHECK(r);
        judge_entries(w, n, r);
    }
    replica_planner_free(old);
    catch_up_free(n->catch_up);
    catch_up_config_t c;
    catch_up_config_default(&c);
    c.interval_ms = DAY_MS;
    c.max_peers = 12;
    c.seed = prng_next(&w->rng);
    n->catch_up = catch_up_new(&c, away_ms, away_ms == UINT64_MAX ? 0 : 100, w->now_ms);
}

/* ── deletion ────────────────────────────────────────────────────────────────────────────────── */
void engines_learn(mesh_world_t *w, mesh_node_t *n, uint32_t file)
{
    bool is_new;
    CHECK(!tombstones_add(n->dead, &w->files[file].key, &is_new));
    if (!is_new)
        return;
    w->f.tombstones_told++;
    replica_planner_deleted(n->planner, &w->files[file].cid, w->now_ms);
    engines_settle(w, n);
}

static void on_tombstone(mesh_world_t *w, mesh_node_t *from, mesh_node_t *to, const sim_event_t *e)
{
    bool reaches = world_reaches(w, from, to);
    if (reaches)
        engines_learn(w, to, e->file);
    if (!e->is_direct || !from->is_up)
        return;
    deletion_told(from->deletion, &w->files[e->file].cid, &to->id,
                  reaches ? DELETION_PENDING : DELETION_NO_ANSWER, w->now_ms);
    if (reaches)
        world_push(w, delay_ms(w), EVENT_RECEIPT, to->index, from->index, e->file);
    engines_settle(w, from);
}

static void on_receipt(mesh_world_t *w, mesh_node_t *holder, mesh_node_t *issuer, uint32_t file)
{
    file_t *f = &w->files[file];
    if (world_has(holder, file) || !world_reaches(w, holder, issuer))
        return;
    deletion_receipt(issuer->deletion, &f->cid, &holder->id, w->now_ms, w->now_ms);
    size_t gone, all;
    if (!f->receipts_ms && deletion_figures(issuer->deletion, &f->cid, &gone, &all) && gone == all)
        f->receipts_ms = w->now_ms;
    engines_settle(w, issuer);
}

static void learn_key(mesh_world_t *w, mesh_node_t *n, const kad_key_t *key)
{
    size_t file = (size_t)(uintptr_t)map_get(&w->by_key, bytes_of(key->data, sizeof key->data));
    CHECK(file);
    engines_learn(w, n, (uint32_t)file - 1);
}

static void on_sync(mesh_world_t *w, mesh_node_t *n, mesh_node_t *with)
{
    if (!n->is_up) {
        catch_up_done(n->catch_up, &with->id, CATCH_UP_FAILED, w->now_ms);
        return;
    }
    reconcile_t *r = reconcile_new(n->dead, SYNC_MAX_QUESTIONS);
    reconcile_question_t q;
    reconcile_reply_t reply;
    kad_key_t key;
    bool reaches = world_reaches(w, n, with);
    while (reaches && reconcile_next_question(r, &q)) {
        CHECK(!reconcile_answer(with->dead, &q, &reply));
        CHECK(!reconcile_answered(r, &q, &reply));
        w->f.sync_questions++;
    }
    CHECK(!reaches || reconcile_state(r) == RECONCILE_DONE);
    while (reconcile_next_lacking(r, &key))
        learn_key(w, n, &key);
    while (reconcile_next_extra(r, &key))
        learn_key(w, with, &key);
    w->f.syncs += reaches;
    reconcile_free(r);
    catch_up_done(n->catch_up, &with->id,
                  !reaches                              ? CATCH_UP_FAILED
                  : catch_up_is_current(with->catch_up) ? CATCH_UP_WITH_CURRENT
                                                        : CATCH_UP_WITH_BEHIND,
                  w->now_ms);
    engines_settle(w, n);
}

void world_store(mesh_world_t *w, mesh_node_t *owner, uint32_t file)
{
    file_t *f = &w->files[file];
    f->is_stored = true;
    keep(w, owner, file);
    track(f, owner);
    CHECK(!replica_planner_pin(owner->planner, &f->cid, FACTOR, f->size_bytes, w->now_ms, w->now_ms));
    engines_settle(w, owner);
}

void world_delete(mesh_world_t *w, mesh_node_t *issuer, uint32_t file)
{
    file_t *f = &w->files[file];
    f->is_deleted = true;
    f->deleted_ms = w->now_ms;
    f->issuer = issuer->index;
    w->f.deletions++;
    peer_id_t holders[64];
    size_t n = 0;
    plan_root_t *r = replica_planner_root(issuer->planner, &f->cid);
    for (size_t i = 0; r && i < plan_root_entries(r); i++) {
        plan_entry_t e = plan_root_entry(r, i);
        if (e.state != PLAN_LEFT && !peer_id_equal(&e.peer, &issuer->id) && !node_of(w, &e.peer)->is_gone)
            holders[n++] = e.peer;
    }
    if (!issuer->deletion) {
        deletion_config_t c;
        deletion_config_default(&c);
        issuer->deletion = deletion_new(&c);
    }
    deletion_start(issuer->deletion, &f->cid, holders, n, w->now_ms);
    engines_learn(w, issuer, file);
    for (size_t i = 0; i < w->n_nodes; i++) /* gossip, of which some gets lost */
        if (world_reaches(w, issuer, w->nodes[i]) && prng_below(&w->rng, 50))
            world_push(w, 50 + prng_below(&w->rng, 2000), EVENT_TOMBSTONE, issuer->index, (uint32_t)i, file);
}

/* ── events of the network ───────────────────────────────────────────────────────────────────── */
void engines_event(mesh_world_t *w, const sim_event_t *e)
{
    mesh_node_t *a = w->nodes[e->a];
    bool is_same_session = a->is_up && a->session == e->b;
    if (e->kind == EVENT_DETECTED) {
        if (!a->is_up && a->session == e->b)
            on_detected(w, a);
        return;
    }
    if (e->kind == EVENT_RETURNED || e->kind == EVENT_FETCHED || e->kind == EVENT_STAY) {
        if (!is_same_session)
            return;
        if (e->kind == EVENT_RETURNED)
            on_returned(w, a);
        else if (e->kind == EVENT_FETCHED)
            on_fetched(w, a, e->file);
        else
            on_stay(w, a, e);
        engines_settle(w, a);
        return;
    }
    mesh_node_t *b = w->nodes[e->b];
    bool reaches = world_reaches(w, a, b);
    if (e->kind == EVENT_TOMBSTONE) {
        on_tombstone(w, a, b, e);
    } else if (e->kind == EVENT_SYNC) {
        on_sync(w, a, b);
    } else if (e->kind == EVENT_AUDIT) {
        if (a->is_up)
            on_audit(w, a, b, e->file);
        engines_settle(w, a);
    } else if (e->kind == EVENT_OFFER && !reaches) {
        replica_planner_offered(a->planner, &w->files[e->file].cid, &b->id, PLAN_FAILED, w->now_ms);
        engines_settle(w, a);
    } else if (reaches && e->kind == EVENT_OFFER) {
        on_offer(w, a, b, e->file);
    } else if (reaches && e->kind == EVENT_UPDATE) {
        on_update(w, a, b, e->file);
    } else if (reaches && e->kind == EVENT_RECEIPT) {
        on_receipt(w, a, b, e->file);
    } else if (reaches) {
        replica_planner_offered(b->planner, &w->files[e->file].cid, &a->id,
                                e->kind == EVENT_ACCEPTED ? PLAN_ACCEPTED : PLAN_REFUSED, w->now_ms);
        engines_settle(w, b);
    }
}

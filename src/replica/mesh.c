#include "replica/mesh.h"
#include "base/log.h"
#include "replica/mesh_internal.h"
#include <stdio.h>
#include <stdlib.h>

_Static_assert(MESH_ZONE_MAX == MESH_ZONE_TEXT_MAX, "a zone fits into a message");

void mesh_config_default(mesh_config_t *ret)
{
    *ret = (mesh_config_t){.factor = MESH_FACTOR,
                           .max_bytes = 10ull << 30,
                           .heartbeat_ms = 5000,
                           .gc_window_ms = 600000,
                           .max_files_per_peer = 16384,
                           .max_tombstones = MESH_KNOWN_MAX,
                           .sync_horizon_ms = 7ull * 86400000};
}

/* ── life ────────────────────────────────────────────────────────────────────────────────────── */
static err_t open_catch_up(task_t *t, mesh_t *m)
{
    catch_up_config_t c;
    catch_up_config_default(&c);
    c.horizon_ms = m->config.sync_horizon_ms;
    c.seed = driver_random_u64(task_driver(t));
    uint64_t state[3] = {0}, away_ms = UINT64_MAX;
    AUTO(buf_t) value;
    buf_init(&value, sizeof state);
    err_t e = kv_get(t, m->config.state, MESH_STATE_SPACE, BYTES_LIT("current"), &value);
    if (!e && value.len == sizeof state) {
        uint64_t wall_ms = driver_wall_ms(task_driver(t));
        memcpy(state, value.data, sizeof state);
        away_ms = wall_ms > state[0] ? wall_ms - state[0] : 0;
        replica_usual_away(m->config.replica, state[2]);
    }
    if (e && e != ERR_NOT_FOUND)
        return e;
    m->catch_up = catch_up_new(&c, away_ms, (size_t)state[1], task_now_ms(t));
    if (!catch_up_is_current(m->catch_up) && away_ms != UINT64_MAX)
        log_warn("mesh: this node was away for longer than Mesh.SyncHorizon: it serves nothing before it has "
                 "compared with other members what was deleted");
    return OK;
}

static mesh_t *make(task_t *t, const mesh_config_t *c)
{
    mesh_t *m = xcalloc(1, sizeof *m);
    m->config = *c;
    m->sched = task_sched(t);
    m->free_bytes = UINT64_MAX;
    m->collect_at_ms = TIME_NEVER;
    group_init(&m->group, m->sched);
    list_init(&m->members);
    list_init(&m->inbound);
    map_init(&m->by_peer, MESH_MEMBERS_KNOWN_MAX);
    event_init(&m->inbound_gone);
    event_init(&m->receipt_came);
    event_init(&m->wake);
    event_init(&m->collect_wake);
    list_init(&m->uncollected);
    map_init(&m->by_uncollected, MESH_UNCOLLECTED_MAX);
    gate_init(&m->dials, MESH_DIALS_AT_ONCE);
    m->known = tombstones_new(c->max_tombstones);
    m->deleted = tombstones_new(c->max_tombstones);
    m->by_owner = xcalloc(MESH_OWNER_SLOTS, sizeof *m->by_owner);
    driver_random(sched_driver(m->sched), m->owner_key, sizeof m->owner_key);
    deletion_config_t d;
    deletion_config_default(&d);
    m->deletion = deletion_new(&d);
    return m;
}

static void on_held(void *mesh, const cid_t *root)
{
    mesh_t *m = mesh;
    if (m->config.routing)
        routing_provide_later(m->config.routing, root);
}

static void join_replica(mesh_t *m)
{
    replica_mesh_t hooks = {.is_member = mesh_is_member,
                            .is_deleted = mesh_has_deleted,
                            .admit = mesh_admit,
                            .held = on_held,
                            .is_behind = mesh_is_behind,
                            .max_bytes_per_owner = m->config.max_bytes_per_peer,
                            .max_roots_per_owner = m->config.max_files_per_peer,
                            .arg = m};
    placement_peer_t own = {.free_bytes = PLACEMENT_FREE_UNKNOWN,
                            .zone = placement_zone(bytes_str(m->config.zone))};
    replica_set_mesh(m->config.replica, &hooks);
    replica_member(m->config.replica, host_id(m->config.host), &own);
}

static err_t start(task_t *t, mesh_t *m)
{
    TRY(open_catch_up(t, m));
    TRY(mesh_uncollected_load(t, m));
    TRY(mesh_tombs_open(t, m));
    TRY(mesh_deletions_load(t, m));
    host_add_listener(m->config.host, &m->listener); /* before, there was nothing to tell the news to */
    join_replica(m);
    protocol_options_t options = {.max_inbound_per_peer = MESH_INBOUND_PER_PEER};
    TRY(host_handle(m->config.host, MESH_PROTOCOL, &options, mesh_on_stream, m));
    TRY(group_spawn(&m->group, "mesh-beats", mesh_beat_task, m, NULL));
    TRY(group_spawn(&m->group, "mesh-compare", mesh_compare_task, m, NULL));
    TRY(group_spawn(&m->group, "mesh-delete", mesh_delete_task, m, NULL));
    TRY(group_spawn(&m->group, "mesh-collect", mesh_collect_task, m, NULL));
    mesh_judge_all(m);
    return OK;
}

err_t mesh_start(task_t *t, const mesh_config_t *c, mesh_t **ret)
{
    mesh_t *m = make(t, c);
    m->listener = (host_listener_t){.identified = mesh_on_identified,
                                    .protocols_changed = mesh_on_peer,
                                    .disconnected = mesh_on_peer,
                                    .arg = m};
    err_t e = start(t, m);
    if (e) {
        mesh_close(t, m);
        return e;
    }
    *ret = m;
    return OK;
}

void mesh_close(task_t *t, mesh_t *m)
{
    if (!m)
        return;
    m->is_closing = true;
    replica_set_mesh(m->config.replica, NULL);
    host_unhandle(m->config.host, MESH_PROTOCOL);
    host_remove_listener(m->config.host, &m->listener);
    mesh_tombs_close(m);
    LIST_EACH (in, &m->inbound, mesh_inbound_t, node)
        stream_reset(in->stream);
    event_fire(&m->receipt_came);
    task_shield(t);
    while (!list_is_empty(&m->inbound) && !event_wait(t, &m->inbound_gone))
        ;
    task_unshield(t);
    group_stop(t, &m->group);
    group_deinit(&m->group);
    mesh_members_free(m);
    mesh_uncollected_free(m);
    deletion_free(m->deletion);
    catch_up_free(m->catch_up);
    tombstones_free(m->known);
    tombstones_free(m->deleted);
    free(m->by_owner);
    free(m);
}

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */
err_t mesh_keep(task_t *t, mesh_t *m, const cid_t *manifest, uint32_t factor, uint64_t wait_ms,
                replica_progress_fn progress, void *arg, uint32_t *ret_have)
{
    char text[CID_TEXT_MAX];
    if (mesh_is_deleted(m, manifest))
        return fail(ERR_DENIED, "%s was deleted by its owner: store it again, which makes a new manifest",
                    cid_print(manifest, text));
    err_t e = replica_keep(t, m->config.replica, manifest, factor ? factor : m->config.factor, wait_ms,
                           progress, arg, ret_have);
    if (replica_holds(m->config.replica, manifest))
        on_held(m, manifest);
    return e;
}

const char *mesh_file_state_name(mesh_file_state_t s)
{
    static const char *const names[] = {"healthy", "healing", "over-replicated", "deleted", "unknown"};
    return names[s];
}

static void describe_holder(mesh_t *m, const replica_holder_t *in, mesh_holder_t *out)
{
    host_t *h = m->config.host;
    const member_t *x = map_get(&m->by_peer, peer_id_bytes(&in->peer));
    *out = (mesh_holder_t){.peer = in->peer,
                           .verified_ms_ago = in->verified_ms_ago,
                           .is_connected = in->is_connected,
                           .is_self = peer_id_equal(&in->peer, host_id(h)),
                           .latency_ms = peerstore_latency_ms(host_peerstore(h), &in->peer)};
    snprintf(out->zone, sizeof out->zone, "%s", out->is_self ? m->config.zone : x ? x->status.zone : "");
}

static void describe(mesh_t *m, const replica_status_t *in, mesh_file_t *out)
{
    size_t gone = 0, holders = 0;
    *out = (mesh_file_t){.manifest = in->root,
                         .factor = in->target,
                         .size_bytes = in->size_bytes,
                         .is_owner = in->target && peer_id_equal(&in->owner, host_id(m->config.host)),
                         .is_local = in->is_local,
                         .since_ms = in->since_ms,
                         .n_holders = in->n_holders};
    snprintf(out->why, sizeof out->why, "%s", in->why);
    for (size_t i = 0; i < in->n_holders; i++)
        describe_holder(m, &in->holders[i], &out->holders[i]);
    if (deletion_figures(m->deletion, &in->root, &gone, &holders)) {
        out->receipts = (uint32_t)gone;
        out->expected_receipts = (uint32_t)holders;
    }
    out->state = mesh_is_deleted(m, &in->root) ? MESH_FILE_DELETED
                 : !in->target                 ? MESH_FILE_UNKNOWN
                 : in->n_holders < in->target  ? MESH_FILE_HEALING
                 : in->n_holders > in->target  ? MESH_FILE_OVER
                                               : MESH_FILE_HEALTHY;
}

err_t mesh_status(task_t *t, mesh_t *m, const cid_t *manifest, uint32_t timeout_ms, mesh_file_t *ret)
{
    replica_status_t *s = xcalloc(1, sizeof *s);
    s->root = *manifest;
    err_t e =
        mesh_is_deleted(m, manifest) ? OK : replica_status(t, m->config.replica, manifest, timeout_ms, s);
    if (!e)
        describe(m, s, ret);
    free(s);
    return e;
}

typedef struct visit {
    mesh_t *m;
    mesh_file_fn fn;
    void *arg;
    mesh_file_t *file;
} visit_t;

static err_t visit_one(task_t *t, void *arg, const replica_status_t *s)
{
    visit_t *v = arg;
    describe(v->m, s, v->file);
    return v->fn(t, v->arg, v->file);
}

err_t mesh_each_file(task_t *t, mesh_t *m, mesh_file_fn fn, void *arg)
{
    visit_t v = {m, fn, arg, xcalloc(1, sizeof *v.file)};
    err_t e = replica_each(t, m->config.replica, visit_one, &v);
    free(v.file);
    return e;
}

void mesh_stat(const mesh_t *m, mesh_stat_t *ret)
{
    replica_stat_t r;
    replica_stat(m->config.replica, &r);
    *ret = (mesh_stat_t){.members = map_count(&m->by_peer),
                         .files = r.roots,
                         .files_owned = r.roots_owned,
                         .files_below = r.roots_below_target,
                         .files_above = r.roots_above_target,
                         .held_bytes = r.held_bytes,
                         .max_bytes = m->config.max_bytes,
                         .free_bytes = m->free_bytes,
                         .tombstones = tombstones_count(m->known),
                         .tombstones_forged = m->counts.forged,
                         .tombstones_foreign = m->counts.foreign,
                         .receipts_signed = m->counts.receipts_signed,
                         .receipts_taken = m->counts.receipts_taken,
                         .collections = m->counts.collections,
                         .uncollected = map_count(&m->by_uncollected),
                         .audits = r.audits,
                         .audits_failed = r.audits_failed,
                         .heals = r.heals,
                         .prunes = r.prunes,
                         .refused_quota = r.refused_quota,
                         .is_catching_up = !catch_up_is_current(m->catch_up),
                         .factor = m->config.factor};
    LIST_EACH (x, &m->members, const member_t, node)
        ret->connected += host_is_connected(m->config.host, &x->link.peer);
    snprintf(ret->zone, sizeof ret->zone, "%s", m->config.zone);
}

/* Start, close, who may be asked, and the pump that carries out what the planner decides. */
#include "replica/replica.h"
#include "base/log.h"
#include "replica/internal.h"
#include "wire/replica_seal.h"
#include <stdlib.h>

enum { FIND_MAX = 20 };

void replica_config_default(replica_config_t *ret)
{
    *ret = (replica_config_t){.max_bytes = 10ull << 30,
                              .heartbeat_ms = 5000,
                              .phi_lost = 8,
                              .lost_grace_ms = 15000,
                              .prune_grace_ms = 60000,
                              .fetch_timeout_ms = 60000,
                              .max_parallel_fetches = 2};
}

uint64_t rep_wall_ms(const replica_t *r)
{
    return driver_wall_ms(sched_driver(r->sched));
}

bool rep_is_allowed(const replica_t *r, const peer_id_t *peer)
{
    for (size_t i = 0; i < r->n_allowed; i++)
        if (peer_id_equal(&r->allowed[i], peer))
            return true;
    return r->allow_any || (r->mesh.is_member && r->mesh.is_member(r->mesh.arg, peer));
}

/* Sizes are what owners say. */
static uint64_t saturating_add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

uint64_t rep_held_bytes(const replica_t *r)
{
    uint64_t bytes = 0;
    size_t i = 0;
    for (plan_root_t *p; (p = replica_planner_next_root(r->planner, &i));) {
        plan_state_t own = plan_root_self(r->planner, p);
        if ((own == PLAN_HOLDS || own == PLAN_FETCHING) && !plan_root_is_owner(p, host_id(r->config.host)))
            bytes = saturating_add(bytes, plan_root_head(p)->size_bytes);
    }
    return bytes;
}

void rep_step(replica_t *r, const cid_t *root, replica_step_t step, const peer_id_t *peer, const char *reason)
{
    plan_root_t *p = replica_planner_root(r->planner, root);
    replica_progress_t progress = {.step = step, .reason = reason ? reason : ""};
    if (peer)
        progress.peer = *peer;
    if (p) {
        progress.have = (uint32_t)plan_root_live(r->planner, p);
        progress.target = plan_root_head(p)->target;
    }
    LIST_EACH (w, &r->watches, replica_watch_t, node)
        if (w->fn && cid_same_multihash(&w->root, root))
            w->fn(w->arg, &progress);
    event_fire(&r->changed);
}

/* ── who may be asked ────────────────────────────────────────────────────────────────────────── */
static void judge_candidate(replica_t *r, const peer_id_t *peer)
{
    bool may = rep_is_allowed(r, peer) && replica_can_seal(peer) && host_is_connected(r->config.host, peer) &&
               peerstore_speaks(host_peerstore(r->config.host), peer, REPLICA_PROTOCOL);
    replica_planner_candidate(r->planner, peer, may, sched_now_ms(r->sched));
    event_fire(&r->changed);
    rep_pump(r);
}

static void on_identified(void *arg, conn_t *c)
{
    replica_planner_heard(((replica_t *)arg)->planner, conn_peer(c), sched_now_ms(((replica_t *)arg)->sched));
    judge_candidate(arg, conn_peer(c));
}

static void on_peer(void *arg, const peer_id_t *peer)
{
    judge_candidate(arg, peer);
}

static void judge_connected(replica_t *r)
{
    size_t n = host_conn_count(r->config.host);
    conn_t **conns = xcalloc(n + 1, sizeof *conns);
    n = host_conns(r->config.host, conns, n);
    for (size_t i = 0; i < n; i++)
        judge_candidate(r, conn_peer(conns[i]));
    free(conns);
}

typedef struct peer_job {
    replica_t *r;
    peer_id_t peer;
    cid_t root;
} peer_job_t;

static err_t connect_one(task_t *t, void *arg)
{
    peer_job_t j = *(peer_job_t *)arg;
    free(arg);
    host_t *h = j.r->config.host;
    conn_t *c = NULL;
    deadline_t d = deadline_push(t, REPLICA_CONNECT_TIMEOUT_MS);
    err_t e = host_connect(t, h, &j.peer, NULL, 0, &c);
    if (e == ERR_NOT_FOUND && j.r->config.routing) {
        routed_peer_t *found = xcalloc(1, sizeof *found);
        e = routing_find_peer(t, j.r->config.routing, &j.peer, found);
        if (!e)
            e = host_connect(t, h, &j.peer, found->addrs, found->n_addrs, &c);
        free(found);
    }
    if (!e) {
        e = conn_wait_identified(t, c);
        conn_release(c);
    }
    deadline_pop(t, &d);
    if (!e)
        judge_candidate(j.r, &j.peer);
    return OK;
}

/* Tries those that are not connected, at once; OK however many were reached. */
static err_t connect_all(task_t *t, replica_t *r, const peer_id_t *peers, size_t n)
{
    group_t g;
    group_init(&g, r->sched);
    for (size_t i = 0; i < n; i++) {
        if (host_is_connected(r->config.host, &peers[i]) || peer_id_equal(&peers[i], host_id(r->config.host)))
            continue;
        peer_job_t *j = xcalloc(1, sizeof *j);
        *j = (peer_job_t){.r = r, .peer = peers[i]};
        if (group_spawn(&g, "replica-connect", connect_one, j, NULL))
            free(j);
    }
    err_t e = group_join(t, &g);
    group_deinit(&g);
    return e;
}

/* All allowed peers. */
err_t rep_connect_allowed(task_t *t, replica_t *r)
{
    return connect_all(t, r, r->allowed, r->n_allowed);
}

/* Nobody is left to be asked among those that are connected. In a mesh, whose members are not in a list, the
 * DHT names those that are near the root. */
static err_t find_candidates(task_t *t, replica_t *r, const cid_t *root)
{
    uint8_t key[CID_BINARY_MAX];
    size_t n = 0;
    if (!r->config.is_in_mesh || !r->config.routing)
        return rep_connect_allowed(t, r);
    routed_peer_t *near = xcalloc(FIND_MAX, sizeof *near);
    peer_id_t *peers = xcalloc(FIND_MAX, sizeof *peers);
    deadline_t d = deadline_push(t, REPLICA_REQUEST_TIMEOUT_MS);
    err_t e = routing_closest_peers(t, r->config.routing, bytes_of(key, cid_encode_multihash(root, key)),
                                    near, FIND_MAX, &n);
    deadline_pop(t, &d);
    for (size_t i = 0; i < n && !e; i++) {
        peers[i] = near[i].id;
        peerstore_add_addrs(host_peerstore(r->config.host), &near[i].id, near[i].addrs, near[i].n_addrs,
                            ADDR_TTL_TEMP_MS);
    }
    if (!e)
        e = connect_all(t, r, peers, n);
    free(near);
    free(peers);
    return e;
}

static err_t keep_connected_task(task_t *t, void *arg)
{
    replica_t *r = arg;
    for (;;) {
        TRY(rep_connect_allowed(t, r));
        TRY(task_sleep(t, 2 * (uint64_t)r->config.heartbeat_ms));
    }
}

/* ── actions ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct action_job {
    replica_t *r;
    plan_action_t action;
} action_job_t;

/* Durable first, then told. When this node has left, the last news are told before the record goes. */
static void do_save(task_t *t, replica_t *r, const cid_t *root)
{
    err_t e = rep_save(t, r, root);
    if (e) {
        log_error("replica: a record cannot be stored", LOG_ERR(e));
        return;
    }
    event_fire(&r->changed);
    if (rep_tell(t, r, root))
        return;
    plan_root_t *p = replica_planner_root(r->planner, root);
    if (p && plan_root_self(r->planner, p) == PLAN_LEFT && !plan_root_head(p)->is_released) {
        replica_planner_forget(r->planner, root);
        rep_not_refused(r, root);
        if (rep_save(t, r, root))
            log_error("replica: a record cannot be removed", LOG_ERR(e));
    }
}

/* What the planner decided, and on what: who has it, who is expected back. */
static void tell_decision(replica_t *r, const char *what, const cid_t *root, const peer_id_t *peer,
                          const char *reason)
{
    char id[PEER_ID_TEXT_MAX], text[CID_TEXT_MAX];
    plan_root_t *p = replica_planner_root(r->planner, root);
    if (p)
        log_info(
            what, LOG_STR("cid", cid_print(root, text)), LOG_STR("peer", peer ? peer_id_print(peer, id) : ""),
            LOG_STR("reason", reason), LOG_UINT("live", plan_root_live(r->planner, p)),
            LOG_UINT("away", plan_root_away(r->planner, p)), LOG_UINT("target", plan_root_head(p)->target));
}

static void do_offer(task_t *t, replica_t *r, const cid_t *root, const peer_id_t *peer)
{
    plan_root_t *p = replica_planner_root(r->planner, root);
    if (!p)
        return;
    rep_step(r, root, REPLICA_ASKED, peer, NULL);
    tell_decision(r, "replica: a peer is asked for a copy", root, peer, "");
    replica_message_t *m = xcalloc(1, sizeof *m), *answer = xcalloc(1, sizeof *answer);
    m->kind = REPLICA_OFFER;
    m->has_record = true;
    err_t e = rep_to_wire(r, p, &m->record);
    if (!e)
        e = rep_ask(t, r, peer, m, answer);
    if (e) {
        replica_planner_offered(r->planner, root, peer, PLAN_FAILED, task_now_ms(t));
        rep_step(r, root, REPLICA_FAILED, peer, error_text(e));
        tell_decision(r, "replica: a peer that was asked for a copy does not answer", root, peer,
                      error_text(e));
    } else if (answer->kind == REPLICA_ACCEPT) {
        replica_planner_offered(r->planner, root, peer, PLAN_ACCEPTED, task_now_ms(t));
        rep_not_refused(r, root);
        rep_step(r, root, REPLICA_ACCEPTED, peer, NULL);
        tell_decision(r, "replica: a peer makes a copy", root, peer, "");
    } else {
        replica_planner_offered(r->planner, root, peer, PLAN_REFUSED, task_now_ms(t));
        rep_refused(r, root, peer, answer->reason);
        rep_step(r, root, REPLICA_REFUSED, peer, answer->reason);
        tell_decision(r, "replica: a peer refuses a copy", root, peer, answer->reason);
    }
    free(m);
    free(answer);
}

static void do_leave(task_t *t, replica_t *r, const plan_action_t *a)
{
    bool all = a->n_stayers > 0;
    for (size_t i = 0; all && i < a->n_stayers; i++) {
        bool holds = false;
        all = rep_challenge(t, r, &a->root, &a->stayers[i], true, &holds) == OK && holds;
    }
    tell_decision(r, all ? "replica: one copy too many, this node's goes" : "replica: this node's copy stays",
                  &a->root, NULL,
                  all ? "the others prove that they hold it" : "not all others proved theirs");
    replica_planner_leave(r->planner, &a->root, all, rep_wall_ms(r), task_now_ms(t));
}

static void do_drop(task_t *t, replica_t *r, const cid_t *root)
{
    char text[CID_TEXT_MAX];
    err_t e = r->config.unpin(t, r->config.arg, root);
    if (e && e != ERR_NOT_FOUND)
        log_error("replica: a DAG cannot be let go", LOG_STR("cid", cid_print(root, text)), LOG_ERR(e));
    else
        log_info("replica: let go of a DAG", LOG_STR("cid", cid_print(root, text)));
    if (!replica_planner_root(r->planner, root) && rep_save(t, r, root))
        log_error("replica: a record cannot be removed", LOG_ERR(e));
}

static void do_audit(task_t *t, replica_t *r, const cid_t *root, const peer_id_t *peer)
{
    bool holds = false;
    err_t e = rep_challenge(t, r, root, peer, false, &holds);
    replica_planner_audited(r->planner, root, peer,
                            e       ? PLAN_AUDIT_NO_ANSWER
                            : holds ? PLAN_AUDIT_PASSED
                                    : PLAN_AUDIT_FAILED,
                            task_now_ms(t));
    char id[PEER_ID_TEXT_MAX], text[CID_TEXT_MAX];
    if (!e && !holds)
        log_warn("replica: a holder does not have what it says; its copy is made anew",
                 LOG_STR("peer", peer_id_print(peer, id)), LOG_STR("cid", cid_print(root, text)));
}

static err_t action_task(task_t *t, void *arg)
{
    action_job_t *j = arg;
    replica_t *r = j->r;
    const plan_action_t *a = &j->action;
    bool is_gated = a->kind != PLAN_HEARTBEAT;
    if (is_gated && gate_enter(t, &r->request_gate)) {
        free(j);
        return OK;
    }
    switch (a->kind) {
    case PLAN_SAVE:
        do_save(t, r, &a->root);
        break;
    case PLAN_OFFER:
        do_offer(t, r, &a->root, &a->peer);
        break;
    case PLAN_LEAVE_ASK:
        do_leave(t, r, a);
        break;
    case PLAN_DROP:
        do_drop(t, r, &a->root);
        break;
    case PLAN_FIND:
        if (find_candidates(t, r, &a->root))
            log_debug("replica: looking for peers to hold a DAG found nobody");
        break;
    case PLAN_AUDIT:
        do_audit(t, r, &a->root, &a->peer);
        break;
    case PLAN_HEARTBEAT: {
        err_t e = rep_heartbeat(t, r, &a->peer);
        if (e)
            log_debug("replica: a heartbeat was not answered", LOG_ERR(e));
    }
    }
    if (is_gated)
        gate_leave(&r->request_gate);
    free(j);
    rep_pump(r);
    return OK;
}

static void pump(void *arg)
{
    replica_t *r = arg;
    if (r->is_closing)
        return;
    if (replica_planner_deadline_ms(r->planner) <= sched_now_ms(r->sched))
        replica_planner_tick(r->planner, sched_now_ms(r->sched));
    plan_action_t a;
    while (replica_planner_next(r->planner, &a)) {
        action_job_t *j = xcalloc(1, sizeof *j);
        *j = (action_job_t){r, a};
        if (group_spawn(&r->group, "replica-action", action_task, j, NULL)) {
            free(j);
            if (a.kind == PLAN_OFFER)
                replica_planner_offered(r->planner, &a.root, &a.peer, PLAN_FAILED, sched_now_ms(r->sched));
            else if (a.kind == PLAN_LEAVE_ASK)
                replica_planner_leave(r->planner, &a.root, false, 0, sched_now_ms(r->sched));
        }
    }
    alarm_set(&r->alarm, replica_planner_deadline_ms(r->planner));
}

void rep_pump(replica_t *r)
{
    if (!r->is_closing)
        sched_post(r->sched, &r->pump);
}

/* ── start and close ─────────────────────────────────────────────────────────────────────────── */
static void set_allowed(replica_t *r, const peer_id_t *peers, size_t n, bool any, uint64_t max_bytes)
{
    free(r->allowed);
    r->allowed = xcalloc(n ? n : 1, sizeof *peers);
    if (n)
        memcpy(r->allowed, peers, n * sizeof *peers);
    r->n_allowed = n;
    r->allow_any = any;
    r->config.max_bytes = max_bytes;
    r->config.allow_from = r->allowed;
    if (any)
        log_warn("replica: this node holds copies for anybody (Replication.AllowFrom is \"*\")");
}

static replica_t *make(task_t *t, const replica_config_t *c)
{
    replica_t *r = xcalloc(1, sizeof *r);
    r->config = *c;
    r->sched = task_sched(t);
    group_init(&r->group, r->sched);
    list_init(&r->links);
    list_init(&r->inbound);
    list_init(&r->watches);
    event_init(&r->inbound_gone);
    event_init(&r->changed);
    gate_init(&r->fetch_gate, c->max_parallel_fetches ? c->max_parallel_fetches : 1);
    gate_init(&r->request_gate, REPLICA_MAX_REQUESTS);
    map_init(&r->fetching, 65536);
    rep_refusals_init(r);
    runnable_init(&r->pump, pump, r);
    alarm_init(&r->alarm, r->sched, pump, r);
    rep_local_init(r);
    set_allowed(r, c->allow_from, c->n_allow_from, c->allow_any, c->max_bytes);
    replica_plan_config_t plan;
    if (c->is_in_mesh)
        replica_plan_config_mesh(&plan);
    else
        replica_plan_config_default(&plan);
    plan.seed = driver_random_u64(task_driver(t));
    plan.self = *host_id(c->host);
    plan.heartbeat_ms = c->heartbeat_ms;
    plan.phi_lost = c->phi_lost;
    plan.lost_grace_ms = c->lost_grace_ms;
    plan.fallback_ms = 2 * c->heartbeat_ms;
    plan.prune_grace_ms = c->prune_grace_ms;
    r->planner = replica_planner_new(&plan);
    return r;
}

static void stop(task_t *t, replica_t *r)
{
    r->is_closing = true;
    host_unhandle(r->config.host, REPLICA_PROTOCOL);
    host_remove_listener(r->config.host, &r->listener);
    runnable_cancel(&r->pump);
    alarm_clear(&r->alarm);
    LIST_EACH (in, &r->inbound, replica_inbound_t, node)
        stream_reset(in->stream);
    event_fire(&r->changed);
    task_shield(t);
    while (!list_is_empty(&r->inbound) && !event_wait(t, &r->inbound_gone))
        ;
    task_unshield(t);
    group_stop(t, &r->group);
    rep_links_deinit(r);
    replica_planner_free(r->planner);
    map_deinit(&r->fetching);
    rep_refusals_deinit(r);
    group_deinit(&r->group);
    free(r->allowed);
    free(r);
}

static void resume_fetches(replica_t *r)
{
    size_t i = 0;
    for (plan_root_t *p; (p = replica_planner_next_root(r->planner, &i));)
        if (plan_root_self(r->planner, p) == PLAN_FETCHING)
            rep_start_fetch(r, &plan_root_head(p)->root);
}

err_t replica_start(task_t *t, const replica_config_t *c, replica_t **ret)
{
    replica_t *r = make(t, c);
    err_t e = rep_load(t, r);
    protocol_options_t options = {.max_inbound_per_peer = REPLICA_MAX_INBOUND};
    if (!e)
        e = host_handle(c->host, REPLICA_PROTOCOL, &options, rep_on_stream, r);
    r->listener = (host_listener_t){
        .identified = on_identified, .protocols_changed = on_peer, .disconnected = on_peer, .arg = r};
    host_add_listener(c->host, &r->listener);
    if (!e)
        e = group_spawn(&r->group, "replica-connect", keep_connected_task, r, NULL);
    if (e) {
        stop(t, r);
        return e;
    }
    resume_fetches(r);
    judge_connected(r);
    *ret = r;
    return OK;
}

void replica_close(task_t *t, replica_t *r)
{
    if (r)
        stop(t, r);
}

err_t replica_allow(replica_t *r, const peer_id_t *peers, size_t n, bool any, uint64_t max_bytes)
{
    set_allowed(r, peers, n, any, max_bytes);
    judge_connected(r);
    return OK;
}

void replica_stat(const replica_t *r, replica_stat_t *ret)
{
    replica_plan_stat_t s = replica_planner_stat(r->planner);
    *ret = (replica_stat_t){.roots = s.roots,
                            .roots_owned = s.owned,
                            .roots_below_target = s.below,
                            .roots_above_target = s.above,
                            .held_bytes = rep_held_bytes(r),
                            .max_bytes = r->config.max_bytes,
                            .heals = s.heals,
                            .prunes = s.prunes,
                            .offers_in = r->offers_in,
                            .offers_refused = r->offers_refused,
                            .fetches_failed = r->fetches_failed,
                            .audits = r->audits,
                            .audits_failed = r->audits_failed,
                            .refused_quota = r->refused_quota,
                            .forged = r->forged,
                            .healed_bytes = s.healed_bytes,
                            .returns = s.returns,
                            .heals_waiting = s.heals_waiting,
                            .usual_away_ms = s.usual_away_ms};
}

bool replica_holds(const replica_t *r, const cid_t *root)
{
    const plan_root_t *found = replica_planner_root(r->planner, root);
    return found && plan_root_self(r->planner, found) == PLAN_HOLDS;
}

void replica_lost_blocks(replica_t *r, const cid_t *root)
{
    if (!replica_holds(r, root))
        return;
    replica_planner_self(r->planner, root, PLAN_FETCHING, rep_wall_ms(r), sched_now_ms(r->sched));
    rep_start_fetch(r, root);
    rep_pump(r);
}

bool replica_keeps(const replica_t *r, const cid_t *root)
{
    const plan_root_t *found = replica_planner_root(r->planner, root);
    plan_state_t own = found ? plan_root_self(r->planner, found) : 0;
    return own == PLAN_HOLDS || own == PLAN_FETCHING;
}

void replica_set_mesh(replica_t *r, const replica_mesh_t *m)
{
    r->mesh = m ? *m : (replica_mesh_t){0};
    judge_connected(r);
}

err_t replica_delete(task_t *t, replica_t *r, const cid_t *root)
{
    if (!replica_planner_root(r->planner, root))
        return fail(ERR_NOT_FOUND, "there is no record of it here");
    err_t e = r->config.unpin(t, r->config.arg, root); /* before the record goes: a crash does it again */
    if (e && e != ERR_NOT_FOUND)
        return e;
    replica_planner_forget(r->planner, root);
    rep_not_refused(r, root);
    TRY(rep_save(t, r, root));
    event_fire(&r->changed);
    rep_pump(r);
    return OK;
}

size_t replica_holders(const replica_t *r, const cid_t *root, peer_id_t *out, size_t cap)
{
    const plan_root_t *p = replica_planner_root(r->planner, root);
    size_t n = 0;
    for (size_t i = 0; p && i < plan_root_entries(p) && n < cap; i++) {
        plan_entry_t e = plan_root_entry(p, i);
        if (e.state != PLAN_LEFT)
            out[n++] = e.peer;
    }
    return n;
}

void replica_member(replica_t *r, const peer_id_t *peer, const placement_peer_t *told)
{
    replica_planner_status(r->planner, peer, told);
    if (!peer_id_equal(peer, host_id(r->config.host)))
        judge_candidate(r, peer);
}

void replica_usual_away(replica_t *r, uint64_t usual_away_ms)
{
    replica_planner_usual_away(r->planner, usual_away_ms);
}

/* What the user asks for: hold it so many times, let go, tell the truth about it. */
#include "base/log.h"
#include "replica/internal.h"
#include "wire/replica_seal.h"
#include <stdlib.h>

/* ── pin ─────────────────────────────────────────────────────────────────────────────────────── */
static err_t fetch_all(task_t *t, replica_t *r, const cid_t *root, uint64_t *ret_bytes)
{
    bitswap_session_t *s;
    TRY(bitswap_session_open(r->config.bitswap, &s));
    err_t e = rep_walk(t, bitswap_session_blocks(s), root, r->config.fetch_timeout_ms, UINT64_MAX, ret_bytes);
    bitswap_session_close(s);
    return e;
}

/* The DAG is completed here first, under a pin of our own. */
static err_t complete(task_t *t, replica_t *r, const cid_t *root, uint64_t *ret_bytes)
{
    bool is_local = false;
    uint64_t losses = blockstore_losses(r->config.blocks);
    TRY(r->config.pin(t, r->config.arg, root));
    err_t e =
        rep_local_size(t, r, root, &is_local, ret_bytes); /* what was stored a moment ago is not read again */
    if (!e && !is_local)
        e = fetch_all(t, r, root, ret_bytes);
    if (!e) /* durable before it is said */
        e = blockstore_sync_since(t, r->config.blocks, losses);
    if (e && !replica_planner_root(r->planner, root)) {
        task_shield(t);
        err_t ignored = r->config.unpin(t, r->config.arg, root);
        (void)ignored;
        task_unshield(t);
    }
    return e;
}

/* New holders since the last look are reported once. */
static void report_holders(replica_t *r, const cid_t *root, peer_id_t *seen, size_t *n_seen)
{
    plan_root_t *p = replica_planner_root(r->planner, root);
    for (size_t i = 0; p && i < plan_root_entries(p); i++) {
        plan_entry_t e = plan_root_entry(p, i);
        bool is_new =
            plan_root_is_live(r->planner, p, &e.peer) && !peer_id_equal(&e.peer, host_id(r->config.host));
        for (size_t k = 0; is_new && k < *n_seen; k++)
            is_new = !peer_id_equal(&seen[k], &e.peer);
        if (is_new && *n_seen < REPLICA_HOLDERS_MAX) {
            seen[(*n_seen)++] = e.peer;
            rep_step(r, root, REPLICA_HOLDS, &e.peer, NULL);
        }
    }
}

/* Until enough hold it, or nobody is left who could. */
static err_t wait_for_holders(task_t *t, replica_t *r, const cid_t *root, uint32_t n, uint32_t *ret_have)
{
    peer_id_t *seen = xcalloc(REPLICA_HOLDERS_MAX, sizeof *seen);
    size_t n_seen = 0;
    err_t e = OK;
    for (;;) {
        report_holders(r, root, seen, &n_seen);
        plan_root_t *p = replica_planner_root(r->planner, root);
        if (!p || r->is_closing) {
            e = fail(ERR_CLOSED, "replication ended while it was waited for");
            break;
        }
        *ret_have = (uint32_t)plan_root_live(r->planner, p);
        if (*ret_have >= n || (!replica_planner_askable(r->planner, p, task_now_ms(t)) &&
                               !replica_planner_is_asking(r->planner, p)))
            break;
        e = event_wait(t, &r->changed);
        if (e)
            break;
    }
    free(seen);
    if (e == ERR_TIMEOUT)
        return fail(e, "%u of %u copies exist so far; healing goes on", *ret_have, n);
    return e;
}

/* The DAG is here, and that this node wants n copies of it is durable. */
static err_t own(task_t *t, replica_t *r, const cid_t *root, uint32_t n)
{
    uint64_t bytes = 0;
    TRY(complete(t, r, root, &bytes));
    if (n > 1)
        TRY(rep_connect_allowed(t, r));
    TRY(replica_planner_pin(r->planner, root, n, bytes, rep_wall_ms(r), task_now_ms(t)));
    return rep_save(t, r, root);
}

err_t replica_keep(task_t *t, replica_t *r, const cid_t *root, uint32_t n, uint64_t wait_ms,
                   replica_progress_fn progress, void *arg, uint32_t *ret_have)
{
    if (!n || n > REPLICA_TARGET_MAX)
        return fail(ERR_INVALID, "%u replicas: 1 to %d are possible", n, REPLICA_TARGET_MAX);
    if (!replica_can_seal(host_id(r->config.host)))
        return fail(ERR_UNSUPPORTED,
                    "this node's identity cannot sign records of copies: use an Ed25519 one");
    if (cid_is_identity(root))
        return fail(ERR_INVALID, "an identity CID carries its content; there is nothing to hold");
    replica_watch_t watch = {.root = *root, .fn = progress, .arg = arg};
    list_push_back(&r->watches, &watch.node);
    rep_step(r, root, REPLICA_FETCHING_LOCALLY, NULL, NULL);
    uint32_t have = 1;
    err_t e = own(t, r, root, n);
    rep_pump(r);
    deadline_t d = deadline_push(t, wait_ms);
    if (!e)
        e = wait_for_holders(t, r, root, n, &have);
    deadline_pop(t, &d);
    list_remove(&watch.node);
    if (ret_have && (!e || e == ERR_TIMEOUT))
        *ret_have = have;
    return e;
}

err_t replica_pin(task_t *t, replica_t *r, const cid_t *root, uint32_t n, replica_progress_fn progress,
                  void *arg, uint32_t *ret_have)
{
    return replica_keep(t, r, root, n, TIME_NEVER, progress, arg, ret_have);
}

err_t replica_unpin(task_t *t, replica_t *r, const cid_t *root)
{
    char text[CID_TEXT_MAX];
    plan_root_t *p = replica_planner_root(r->planner, root);
    if (!p || plan_root_head(p)->is_released)
        return fail(ERR_NOT_FOUND, "%s is not replicated by this node", cid_print(root, text));
    if (!plan_root_is_owner(p, host_id(r->config.host)))
        return fail(ERR_DENIED, "%s is held for another node, which alone can release it",
                    cid_print(root, text));
    replica_planner_release(r->planner, root, rep_wall_ms(r), task_now_ms(t));
    TRY(rep_save(t, r, root));
    rep_pump(r);
    return OK;
}

/* ── status ──────────────────────────────────────────────────────────────────────────────────── */
typedef struct check {
    replica_t *r;
    const cid_t *root;
    peer_id_t peer;
    bool holds;
} check_t;

static err_t check_task(task_t *t, void *arg)
{
    check_t *c = arg;
    bool holds;
    if (rep_challenge(t, c->r, c->root, &c->peer, false, &holds))
        return OK; /* no answer: not verified */
    c->holds = holds;
    replica_planner_verified(c->r->planner, c->root, &c->peer, holds, task_now_ms(t));
    return OK;
}

static void add_holder(replica_t *r, replica_status_t *s, const peer_id_t *peer, uint64_t ago_ms)
{
    if (s->n_holders == REPLICA_HOLDERS_MAX)
        return;
    bool is_self = peer_id_equal(peer, host_id(r->config.host));
    s->holders[s->n_holders++] =
        (replica_holder_t){*peer, ago_ms, is_self || host_is_connected(r->config.host, peer)};
}

/* Challenges those that were not verified of late, all at once, for at most timeout_ms. */
static err_t check_holders(task_t *t, replica_t *r, const cid_t *root, check_t *checks, size_t n,
                           uint32_t timeout_ms)
{
    group_t g;
    group_init(&g, r->sched);
    deadline_t d = deadline_push(t, timeout_ms);
    err_t e = OK;
    for (size_t i = 0; i < n && !e; i++)
        e = group_spawn(&g, "replica-check", check_task, &checks[i], NULL);
    err_t joined = group_join(t, &g);
    deadline_pop(t, &d);
    group_deinit(&g);
    (void)root;
    return e ? e : joined == ERR_CANCELED ? joined : OK;
}

static err_t list_holders(task_t *t, replica_t *r, plan_root_t *p, uint32_t timeout_ms, replica_status_t *s)
{
    cid_t root = plan_root_head(p)->root;
    uint64_t now_ms = task_now_ms(t), recent_ms = 2 * (uint64_t)r->config.heartbeat_ms;
    check_t *checks = xcalloc(REPLICA_HOLDERS_MAX, sizeof *checks);
    size_t n = 0;
    for (size_t i = 0; i < plan_root_entries(p) && n < REPLICA_HOLDERS_MAX; i++) {
        plan_entry_t e = plan_root_entry(p, i);
        if (e.state != PLAN_HOLDS)
            continue;
        uint64_t verified_ms = plan_root_verified_ms(p, &e.peer);
        if (peer_id_equal(&e.peer, host_id(r->config.host))) {
            if (s->is_local)
                add_holder(r, s, &e.peer, 0);
        } else if (verified_ms && now_ms - verified_ms <= recent_ms &&
                   plan_root_is_live(r->planner, p, &e.peer)) {
            add_holder(r, s, &e.peer, now_ms - verified_ms);
        } else {
            checks[n++] = (check_t){r, &root, e.peer, false};
        }
    }
    err_t e = check_holders(t, r, &root, checks, n, timeout_ms);
    for (size_t i = 0; i < n; i++)
        if (checks[i].holds)
            add_holder(r, s, &checks[i].peer, 0);
    free(checks);
    rep_pump(r);
    return e;
}

static peer_id_t *connected_allowed(replica_t *r, size_t *ret_n)
{
    size_t n = host_conn_count(r->config.host), count = 0;
    conn_t **conns = xcalloc(n + 1, sizeof *conns);
    peer_id_t *peers = xcalloc(n + 1, sizeof *peers);
    n = host_conns(r->config.host, conns, n);
    for (size_t i = 0; i < n; i++) {
        bool is_new = rep_is_allowed(r, conn_peer(conns[i]));
        for (size_t k = 0; is_new && k < count; k++)
            is_new = !peer_id_equal(&peers[k], conn_peer(conns[i]));
        if (is_new)
            peers[count++] = *conn_peer(conns[i]);
    }
    free(conns);
    *ret_n = count;
    return peers;
}

/* Without a record here: those that may know are asked, and the holders that they name, themselves. */
static err_t ask_around(task_t *t, replica_t *r, const cid_t *root, uint32_t timeout_ms, replica_status_t *s)
{
    replica_message_t *m = xcalloc(1, sizeof *m), *answer = xcalloc(1, sizeof *answer);
    m->kind = REPLICA_STATUS;
    m->has_root = true;
    m->root = *root;
    deadline_t d = deadline_push(t, timeout_ms);
    err_t e = OK;
    size_t n_peers;
    peer_id_t *peers = connected_allowed(r, &n_peers);
    for (size_t i = 0; i < n_peers && !e && !s->target; i++) {
        if (rep_ask(t, r, &peers[i], m, answer) || answer->kind != REPLICA_STATE || !answer->has_record ||
            replica_record_is_released(&answer->record) || !cid_same_multihash(&answer->record.root, root)) {
            e = task_is_canceled(t) ? ERR_CANCELED : OK;
            continue;
        }
        s->target = replica_record_target(&answer->record);
        s->owner = answer->record.heads[0].owner;
        if (!s->size_bytes)
            s->size_bytes = answer->record.size_bytes;
    }
    deadline_pop(t, &d);
    free(peers);
    check_t *checks = xcalloc(REPLICA_HOLDERS_MAX, sizeof *checks);
    size_t n = 0;
    for (size_t i = 0; s->target && i < answer->record.n_entries && n < REPLICA_HOLDERS_MAX; i++)
        if (answer->record.entries[i].state == REPLICA_ENTRY_HOLDS)
            checks[n++] = (check_t){r, root, answer->record.entries[i].peer, false};
    if (!e && n)
        e = check_holders(t, r, root, checks, n, timeout_ms);
    for (size_t i = 0; i < n; i++)
        if (checks[i].holds)
            add_holder(r, s, &checks[i].peer, 0);
    free(checks);
    free(m);
    free(answer);
    return e;
}

static void fill_head(replica_t *r, plan_root_t *p, replica_status_t *s)
{
    const plan_head_t *h = plan_root_head(p);
    s->target = h->is_released ? 0 : h->target;
    s->owner = plan_root_is_owner(p, host_id(r->config.host)) ? *host_id(r->config.host) : h->owner;
    s->is_pinned = plan_root_self(r->planner, p) == PLAN_HOLDS;
    if (!s->size_bytes)
        s->size_bytes = h->size_bytes;
    for (size_t i = 0; i < plan_root_entries(p); i++) {
        plan_entry_t e = plan_root_entry(p, i);
        if (peer_id_equal(&e.peer, host_id(r->config.host)))
            s->since_ms = e.since_ms;
    }
}

err_t replica_status(task_t *t, replica_t *r, const cid_t *root, uint32_t timeout_ms, replica_status_t *ret)
{
    replica_status_t *s = xcalloc(1, sizeof *s);
    s->root = *root;
    err_t e = rep_local_size(t, r, root, &s->is_local, &s->size_bytes);
    if (e == ERR_UNSUPPORTED) /* a codec without links that we know: the block alone */
        e = OK;
    plan_root_t *p = replica_planner_root(r->planner, root);
    if (!e && p) {
        fill_head(r, p, s);
        if (s->target)
            e = list_holders(t, r, p, timeout_ms, s);
        p = replica_planner_root(r->planner, root); /* it may be gone */
        if (!e && p && s->target)
            rep_say_why(r, p, s->n_holders, s->why);
    } else if (!e) {
        e = ask_around(t, r, root, timeout_ms, s);
    }
    if (!e)
        *ret = *s;
    free(s);
    return e;
}

err_t replica_each(task_t *t, replica_t *r, replica_visit_fn visit, void *arg)
{
    size_t n = replica_planner_count(r->planner), count = 0, i = 0;
    cid_t *roots = xcalloc(n ? n : 1, sizeof *roots); /* the visitor may wait: records may come and go */
    for (plan_root_t *p; count < n && (p = replica_planner_next_root(r->planner, &i));)
        roots[count++] = plan_root_head(p)->root;
    replica_status_t *s = xcalloc(1, sizeof *s);
    err_t e = OK;
    for (i = 0; i < count && !e; i++) {
        plan_root_t *p = replica_planner_root(r->planner, &roots[i]);
        if (!p || plan_root_head(p)->is_released)
            continue;
        *s = (replica_status_t){.root = roots[i], .is_local = plan_root_self(r->planner, p) == PLAN_HOLDS};
        fill_head(r, p, s);
        for (size_t k = 0; k < plan_root_entries(p); k++) {
            plan_entry_t entry = plan_root_entry(p, k);
            uint64_t verified_ms = plan_root_verified_ms(p, &entry.peer);
            if (plan_root_is_live(r->planner, p, &entry.peer))
                add_holder(r, s, &entry.peer, verified_ms ? task_now_ms(t) - verified_ms : 0);
        }
        rep_say_why(r, p, s->n_holders, s->why);
        e = visit(t, arg, s);
    }
    free(s);
    free(roots);
    return e;
}

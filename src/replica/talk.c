/* Requests to peers, and the answers to theirs. */
#include "base/log.h"
#include "replica/internal.h"
#include <stdio.h>
#include <stdlib.h>

enum { DAY_MS = 86400000 };

static replica_message_t *new_message(replica_message_kind_t kind)
{
    replica_message_t *m = xcalloc(1, sizeof *m);
    m->kind = kind;
    return m;
}

/* ── asking ──────────────────────────────────────────────────────────────────────────────────── */
static void free_link(replica_t *r, replica_link_t *l)
{
    link_deinit(&l->link);
    list_remove(&l->node);
    free(l);
    r->n_links--;
}

/* The one that is known longest of those that are not connected and not in use. Those that are in use are as
 * many as there are requests and connections, which have limits of their own. */
static void drop_idle_link(replica_t *r)
{
    LIST_EACH (l, &r->links, replica_link_t, node)
        if (!l->link.refs && !l->is_beating && !host_is_connected(r->config.host, &l->link.peer)) {
            free_link(r, l);
            return;
        }
}

replica_link_t *rep_link(replica_t *r, const peer_id_t *peer)
{
    LIST_EACH (l, &r->links, replica_link_t, node)
        if (peer_id_equal(&l->link.peer, peer))
            return l;
    if (r->n_links >= REPLICA_LINKS_MAX)
        drop_idle_link(r);
    replica_link_t *l = xcalloc(1, sizeof *l);
    link_init(&l->link, peer);
    list_push_back(&r->links, &l->node);
    r->n_links++;
    return l;
}

void rep_links_deinit(replica_t *r)
{
    LIST_EACH (l, &r->links, replica_link_t, node)
        free_link(r, l);
}

err_t rep_ask(task_t *t, replica_t *r, const peer_id_t *peer, const replica_message_t *request,
              replica_message_t *ret_answer)
{
    AUTO(buf_t) out, in;
    buf_init(&out, REPLICA_MESSAGE_MAX_BYTES);
    buf_init(&in, REPLICA_MESSAGE_MAX_BYTES);
    TRY(replica_message_encode(request, &out));
    TRY(link_ask(t, r->config.host, &rep_link(r, peer)->link, REPLICA_PROTOCOL, buf_bytes(&out),
                 REPLICA_REQUEST_TIMEOUT_MS, &in));
    TRY(replica_message_decode(buf_bytes(&in), ret_answer));
    replica_planner_heard(r->planner, peer, task_now_ms(t));
    rep_pump(r);
    return OK;
}

/* ── heartbeats ──────────────────────────────────────────────────────────────────────────────── */
static bool is_shared_with(const replica_t *r, const plan_root_t *root, const peer_id_t *peer)
{
    plan_state_t own = plan_root_self(r->planner, root);
    if (own != PLAN_HOLDS && own != PLAN_FETCHING)
        return false;
    for (size_t i = 0; i < plan_root_entries(root); i++) {
        plan_entry_t e = plan_root_entry(root, i);
        if (e.state != PLAN_LEFT && peer_id_equal(&e.peer, peer))
            return true;
    }
    return false;
}

static void put_digests(replica_t *r, replica_link_t *l, replica_message_t *m)
{
    size_t i = l->beat_at;
    for (plan_root_t *root;
         m->n_digests < REPLICA_DIGESTS_MAX && (root = replica_planner_next_root(r->planner, &i));)
        if (is_shared_with(r, root, &l->link.peer))
            m->digests[m->n_digests++] =
                (replica_digest_t){plan_root_head(root)->root, plan_root_digest(root)};
    l->beat_at = m->n_digests == REPLICA_DIGESTS_MAX ? i : 0; /* the rest with the next ones */
}

/* Sends our record; what comes back is merged. */
static err_t update_one(task_t *t, replica_t *r, const cid_t *root, const peer_id_t *peer)
{
    plan_root_t *p = replica_planner_root(r->planner, root);
    if (!p)
        return OK;
    plan_head_t own;
    bool is_release = plan_root_head_of(p, host_id(r->config.host), &own) && own.is_released;
    replica_message_t *m = new_message(is_release ? REPLICA_RELEASE : REPLICA_UPDATE),
                      *answer = new_message(0);
    m->has_record = true;
    err_t e = rep_to_wire(r, p, &m->record);
    if (!e)
        e = rep_ask(t, r, peer, m, answer);
    if (!e && answer->kind == REPLICA_ACCEPT && answer->has_record &&
        cid_same_multihash(&answer->record.root, root))
        e = rep_take(t, r, &answer->record, false, rep_is_allowed(r, peer));
    free(m);
    free(answer);
    return e;
}

static void take_differences(task_t *t, replica_t *r, const peer_id_t *peer, const replica_message_t *answer)
{
    for (size_t i = 0; i < answer->n_digests; i++) {
        const replica_digest_t *d = &answer->digests[i];
        if (!d->digest) {
            replica_planner_verified(r->planner, &d->root, peer, false, task_now_ms(t));
        } else if (update_one(t, r, &d->root, peer)) {
            return;
        }
    }
}

/* One of the shared roots in turn is audited: does it really have it? */
static void audit(task_t *t, replica_t *r, replica_link_t *l)
{
    for (int rounds = 0; rounds < 2; rounds++) {
        for (plan_root_t *root; (root = replica_planner_next_root(r->planner, &l->audit_at));) {
            if (!is_shared_with(r, root, &l->link.peer) || plan_root_self(r->planner, root) != PLAN_HOLDS ||
                !plan_root_is_live(r->planner, root, &l->link.peer))
                continue;
            cid_t cid = plan_root_head(root)->root;
            bool holds;
            if (!rep_challenge(t, r, &cid, &l->link.peer, false, &holds))
                replica_planner_verified(r->planner, &cid, &l->link.peer, holds, task_now_ms(t));
            return;
        }
        l->audit_at = 0;
    }
}

err_t rep_heartbeat(task_t *t, replica_t *r, const peer_id_t *peer)
{
    replica_link_t *l = rep_link(r, peer);
    if (l->is_beating)
        return OK;
    l->is_beating = true;
    replica_message_t *m = new_message(REPLICA_HEARTBEAT), *answer = new_message(0);
    put_digests(r, l, m);
    err_t e = rep_ask(t, r, peer, m, answer);
    if (!e) {
        take_differences(t, r, peer, answer);
        if (!r->config.is_in_mesh) /* there the planner says when */
            audit(t, r, l);
    }
    free(m);
    free(answer);
    l->is_beating = false;
    rep_pump(r);
    return e;
}

err_t rep_tell(task_t *t, replica_t *r, const cid_t *root)
{
    plan_root_t *p = replica_planner_root(r->planner, root);
    if (!p)
        return OK;
    peer_id_t *peers = xcalloc(REPLICA_ENTRIES_MAX + 1, sizeof *peers);
    size_t n = 0;
    for (size_t i = 0; i < plan_root_entries(p) && n < REPLICA_ENTRIES_MAX; i++) {
        plan_entry_t e = plan_root_entry(p, i);
        if (e.state != PLAN_LEFT && !peer_id_equal(&e.peer, host_id(r->config.host)))
            peers[n++] = e.peer;
    }
    for (size_t i = 0; i < n && task_check(t) == OK; i++)
        if (host_is_connected(r->config.host, &peers[i])) { /* others learn it by heartbeats */
            err_t e = update_one(t, r, root, &peers[i]);
            if (e)
                log_debug("replica: news were not told", LOG_ERR(e));
        }
    free(peers);
    return OK;
}

/* ── answering ───────────────────────────────────────────────────────────────────────────────── */
static bool is_member(replica_t *r, const cid_t *root, const peer_id_t *peer)
{
    plan_root_t *p = replica_planner_root(r->planner, root);
    if (!p)
        return false;
    plan_head_t head;
    if (plan_root_head_of(p, peer, &head))
        return true;
    for (size_t i = 0; i < plan_root_entries(p); i++) {
        plan_entry_t e = plan_root_entry(p, i);
        if (peer_id_equal(&e.peer, peer))
            return true;
    }
    return false;
}

static void refuse(replica_message_t *answer, const char *why)
{
    answer->kind = REPLICA_REFUSE;
    snprintf(answer->reason, sizeof answer->reason, "%s", why);
}

/* By day: who heals for others for weeks is not refused for that. */
static void begin_day(replica_link_t *l, uint64_t now_ms)
{
    if (now_ms - l->taken_since_ms < DAY_MS)
        return;
    l->taken_since_ms = now_ms;
    l->taken_bytes = l->taken_roots = 0;
}

/* Of one owner, and of one peer that asks for others (whose names it could make up). */
static const char *why_over_quota(replica_t *r, const peer_id_t *from, const replica_record_t *record)
{
    uint64_t max = r->mesh.max_bytes_per_owner, size = record->size_bytes, held = 0;
    uint32_t max_roots = r->mesh.max_roots_per_owner, roots = 0;
    bool is_own = replica_record_is_owner(record, from);
    replica_link_t *l = rep_link(r, from);
    begin_day(l, sched_now_ms(r->sched));
    if (!is_own) {
        held = l->taken_bytes;
        roots = l->taken_roots;
    }
    size_t i = 0;
    for (plan_root_t *p; is_own && (p = replica_planner_next_root(r->planner, &i));)
        if (plan_root_is_owner(p, from) &&
            (plan_root_self(r->planner, p) == PLAN_HOLDS || plan_root_self(r->planner, p) == PLAN_FETCHING)) {
            held += plan_root_head(p)->size_bytes;
            roots++;
        }
    bool has_bytes = !max || (held <= max && size && size <= max - held);
    bool has_roots = !max_roots || roots < max_roots;
    if (has_bytes && has_roots)
        return NULL;
    r->refused_quota++;
    if (!has_roots)
        return "this node holds as many files for you as it holds for one member (Mesh.MaxFilesPerPeer)";
    return size ? "your share of this node is used up (Mesh.MaxBytesPerPeer)" : "its size is not said";
}

/* NULL: it is taken. */
static const char *why_not(replica_t *r, const peer_id_t *from, const replica_record_t *record)
{
    if (!rep_is_allowed(r, from))
        return "this node holds nothing for you (Replication.AllowFrom)";
    if (!r->config.max_bytes)
        return "this node holds nothing for others (Replication.MaxBytes)";
    uint64_t held = rep_held_bytes(r);
    if (held > r->config.max_bytes || record->size_bytes > r->config.max_bytes - held)
        return "no room left (Replication.MaxBytes)";
    if (replica_record_is_released(record))
        return "released by its owner";
    const char *why = why_over_quota(r, from, record);
    /* What is healed waits for this node's share of repairs; what an owner stores now does not. */
    if (!why && !replica_record_is_owner(record, from) &&
        !replica_planner_may_take(r->planner, record->size_bytes, sched_now_ms(r->sched)))
        why = "busy with other repairs; later";
    return why;
}

static bool is_deleted(replica_t *r, const peer_id_t *from, const cid_t *root)
{
    if (!r->mesh.is_deleted || !r->mesh.is_deleted(r->mesh.arg, root))
        return false;
    if (r->mesh.is_behind)
        r->mesh.is_behind(r->mesh.arg, from, root);
    return true;
}

static void answer_offer(task_t *t, replica_t *r, const peer_id_t *from, const replica_message_t *m,
                         replica_message_t *answer)
{
    const cid_t *root = &m->record.root;
    plan_root_t *p = replica_planner_root(r->planner, root);
    bool was_holding = p && plan_root_self(r->planner, p) == PLAN_HOLDS;
    bool was_fetching = p && plan_root_self(r->planner, p) == PLAN_FETCHING;
    r->offers_in++;
    const char *why = is_deleted(r, from, root)     ? "deleted by its owner"
                      : was_holding || was_fetching ? NULL
                                                    : why_not(r, from, &m->record);
    if (!why && !rep_is_allowed(r, from) && !is_member(r, root, from))
        why = "not allowed";
    if (!why && rep_take(t, r, &m->record, true, rep_is_allowed(r, from)))
        why = "a signature of the record is none";
    if (!why) {
        p = replica_planner_root(r->planner, root);
        why = !p ? "too many roots" : plan_root_head(p)->is_released ? "released by its owner" : NULL;
    }
    if (!why && !was_holding && !was_fetching) {
        if (!replica_record_is_owner(&m->record, from)) {
            rep_link(r, from)->taken_bytes += m->record.size_bytes;
            rep_link(r, from)->taken_roots++;
        }
        uint64_t now_ms = task_now_ms(t);
        replica_planner_self(r->planner, root, PLAN_FETCHING, rep_wall_ms(r), now_ms);
        replica_planner_heard(r->planner, from, now_ms);
        if (rep_save(t, r, root)) {
            replica_planner_self(r->planner, root, PLAN_LEFT, rep_wall_ms(r), now_ms);
            why = "the record cannot be stored";
        } else {
            rep_start_fetch(r, root);
        }
    }
    if (why) {
        r->offers_refused++;
        refuse(answer, why);
        return;
    }
    answer->kind = REPLICA_ACCEPT;
}

/* The record as it is here now. */
static void put_record(replica_t *r, plan_root_t *p, replica_message_t *answer)
{
    answer->has_record = p && !rep_to_wire(r, p, &answer->record);
}

static void answer_news(task_t *t, replica_t *r, const peer_id_t *from, const replica_message_t *m,
                        replica_message_t *answer)
{
    const cid_t *root = &m->record.root;
    plan_root_t *p = replica_planner_root(r->planner, root);
    if (is_deleted(r, from, root)) {
        refuse(answer, "deleted by its owner");
        return;
    }
    if (!p) {
        answer->kind = REPLICA_ACCEPT; /* nothing here that it could change */
        return;
    }
    if (!rep_is_allowed(r, from) && !is_member(r, root, from)) {
        refuse(answer, "not a holder of this root");
        return;
    }
    /* Another owner is taken from those that may use this node. */
    if (rep_take(t, r, &m->record, false, rep_is_allowed(r, from))) {
        refuse(answer, "a signature of the record is none");
        return;
    }
    answer->kind = REPLICA_ACCEPT;
    put_record(r, replica_planner_root(r->planner, root), answer);
}

static void answer_status(task_t *t, replica_t *r, const peer_id_t *from, const replica_message_t *m,
                          replica_message_t *answer)
{
    if (!rep_is_allowed(r, from) && !is_member(r, &m->root, from)) {
        refuse(answer, "not a holder of this root");
        return;
    }
    plan_root_t *p = replica_planner_root(r->planner, &m->root);
    answer->kind = REPLICA_STATE;
    if (!p)
        return;
    put_record(r, p, answer);
    if (plan_root_self(r->planner, p) != PLAN_HOLDS)
        return;
    if (m->n_points)
        answer->has_proof = rep_proof(t, r, m, answer->proof) == OK;
    if (m->n_points && !answer->has_proof) { /* blocks were lost here: they are fetched again */
        replica_lost_blocks(r, &m->root);
        return;
    }
    answer->stay = m->stay && (answer->has_proof || !m->n_points) &&
                   replica_planner_promise(r->planner, &m->root, task_now_ms(t));
}

static void answer_heartbeat(replica_t *r, const peer_id_t *from, const replica_message_t *m,
                             replica_message_t *answer)
{
    answer->kind = REPLICA_STATE;
    for (size_t i = 0; i < m->n_digests; i++) {
        const replica_digest_t *d = &m->digests[i];
        plan_root_t *p = replica_planner_root(r->planner, &d->root);
        if (p && !is_member(r, &d->root, from))
            continue;
        plan_state_t own = p ? plan_root_self(r->planner, p) : 0;
        uint64_t digest = p && (own != PLAN_LEFT || plan_root_head(p)->is_released) ? plan_root_digest(p) : 0;
        if (digest != d->digest)
            answer->digests[answer->n_digests++] = (replica_digest_t){d->root, digest};
    }
}

static void answer_message(task_t *t, replica_t *r, const peer_id_t *from, const replica_message_t *m,
                           replica_message_t *answer)
{
    replica_planner_heard(r->planner, from, task_now_ms(t));
    switch (m->kind) {
    case REPLICA_OFFER:
        answer_offer(t, r, from, m, answer);
        break;
    case REPLICA_UPDATE:
    case REPLICA_RELEASE:
        answer_news(t, r, from, m, answer);
        break;
    case REPLICA_STATUS:
        answer_status(t, r, from, m, answer);
        break;
    case REPLICA_HEARTBEAT:
        answer_heartbeat(r, from, m, answer);
        break;
    default:
        refuse(answer, "not a request");
    }
    rep_pump(r);
}

typedef struct serving {
    replica_t *r;
    peer_id_t from;
} serving_t;

static err_t answer_one(task_t *t, void *arg, bytes_t request, buf_t *out)
{
    serving_t *s = arg;
    if (s->r->is_closing)
        return ERR_CLOSED;
    replica_message_t *m = new_message(0), *answer = new_message(0);
    err_t e = replica_message_decode(request, m);
    if (!e) {
        answer_message(t, s->r, &s->from, m, answer);
        e = replica_message_encode(answer, out);
    }
    free(m);
    free(answer);
    return e;
}

err_t rep_on_stream(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    (void)protocol;
    replica_t *r = arg;
    if (r->is_closing)
        return ERR_CLOSED;
    serving_t serving = {r, *conn_peer(from)};
    replica_inbound_t in = {.stream = s};
    list_push_back(&r->inbound, &in.node);
    err_t e = link_serve(t, s, REPLICA_MESSAGE_MAX_BYTES, answer_one, &serving);
    list_remove(&in.node);
    event_fire(&r->inbound_gone);
    if (!e)
        stream_close(s);
    return e;
}

/* Who is in the mesh: heartbeats that say how a node is and whom it knows, and the requests of others. */
#include "base/log.h"
#include "logic/placement.h"
#include "net/nat.h"
#include "replica/mesh_internal.h"
#include <stdio.h>
#include <stdlib.h>

enum { ROUND_ADDRS = MESH_MEMBERS_MAX * MESH_MEMBER_ADDRS_MAX };

mesh_message_t *mesh_new_message(mesh_message_kind_t kind)
{
    mesh_message_t *m = xcalloc(1, sizeof *m);
    m->kind = kind;
    return m;
}

/* ── the table ───────────────────────────────────────────────────────────────────────────────── */
bool mesh_is_member(void *mesh, const peer_id_t *peer)
{
    mesh_t *m = mesh;
    return peerstore_speaks(host_peerstore(m->config.host), peer, MESH_PROTOCOL);
}

static void free_member(mesh_t *m, member_t *x)
{
    map_remove(&m->by_peer, peer_id_bytes(&x->link.peer));
    list_remove(&x->node);
    link_deinit(&x->link);
    free(x);
}

/* The one that was silent longest, is not connected and not in use makes room. */
static bool make_room(mesh_t *m)
{
    member_t *oldest = NULL;
    LIST_EACH (x, &m->members, member_t, node)
        if (!x->link.refs && !x->is_beating && !x->is_telling &&
            (!oldest || x->heard_ms < oldest->heard_ms) && !host_is_connected(m->config.host, &x->link.peer))
            oldest = x;
    if (oldest)
        free_member(m, oldest);
    return oldest;
}

member_t *mesh_member(mesh_t *m, const peer_id_t *peer)
{
    member_t *x = map_get(&m->by_peer, peer_id_bytes(peer));
    if (x)
        return x;
    if (map_count(&m->by_peer) >= MESH_MEMBERS_KNOWN_MAX && !make_room(m))
        return NULL;
    x = xcalloc(1, sizeof *x);
    link_init(&x->link, peer);
    failure_detector_init(&x->detector, m->config.heartbeat_ms, sched_now_ms(m->sched));
    rate_init(&x->brings, MESH_NEW_TOMBSTONES_PER_S, sched_now_ms(m->sched));
    if (map_put(&m->by_peer, peer_id_bytes(peer), x, NULL))
        assert(!"there is room");
    list_push_back(&m->members, &x->node);
    return x;
}

void mesh_members_free(mesh_t *m)
{
    LIST_EACH (x, &m->members, member_t, node)
        free_member(m, x);
    map_deinit(&m->by_peer);
}

/* ── news of connections ─────────────────────────────────────────────────────────────────────── */
static void judge(mesh_t *m, const peer_id_t *peer)
{
    bool is_up = host_is_connected(m->config.host, peer);
    if (is_up && !mesh_is_member(m, peer))
        return;
    if (is_up && !mesh_member(m, peer))
        return;
    if (!is_up && !map_has(&m->by_peer, peer_id_bytes(peer)))
        return;
    uint64_t now_ms = sched_now_ms(m->sched);
    catch_up_peer(m->catch_up, peer, is_up, now_ms);
    deletion_peer(m->deletion, peer, is_up, now_ms);
    event_fire(&m->wake);
}

void mesh_on_identified(void *mesh, conn_t *c)
{
    judge(mesh, conn_peer(c));
}

void mesh_on_peer(void *mesh, const peer_id_t *peer)
{
    judge(mesh, peer);
}

void mesh_judge_all(mesh_t *m)
{
    size_t n = host_conn_count(m->config.host);
    conn_t **conns = xcalloc(n + 1, sizeof *conns);
    n = host_conns(m->config.host, conns, n);
    for (size_t i = 0; i < n; i++)
        judge(m, conn_peer(conns[i]));
    free(conns);
}

/* ── what is told ────────────────────────────────────────────────────────────────────────────── */
static void put_status(mesh_t *m, mesh_message_t *out)
{
    replica_stat_t r;
    relay_stats_t relay;
    kad_prefix_t all = {.len = 0};
    mesh_status_info_t *s = &out->status;
    replica_stat(m->config.replica, &r);
    host_relay_stats(m->config.host, &relay);
    out->has_status = true;
    *s = (mesh_status_info_t){.held_bytes = r.held_bytes,
                              .capacity_bytes = m->config.max_bytes,
                              .free_bytes =
                                  r.held_bytes < m->config.max_bytes ? m->config.max_bytes - r.held_bytes : 0,
                              .usual_away_ms = r.usual_away_ms,
                              .is_relay = relay.is_serving,
                              .is_catching_up = !catch_up_is_current(m->catch_up)};
    if (s->free_bytes > m->free_bytes)
        s->free_bytes = m->free_bytes;
    tombstones_digest(m->known, &all, &s->tombstones, &s->digest);
    snprintf(s->zone, sizeof s->zone, "%s", m->config.zone);
}

/* Connected members in turn, with where they are; not the one who is told. */
static void put_members(mesh_t *m, const peer_id_t *to, multiaddr_t addrs[ROUND_ADDRS], mesh_message_t *out)
{
    size_t i = 0, seen = 0, count = map_count(&m->by_peer);
    LIST_EACH (x, &m->members, member_t, node) {
        bool is_turn = i++ >= m->told_at;
        if (!is_turn || out->n_members == MESH_MEMBERS_MAX || peer_id_equal(&x->link.peer, to) ||
            !host_is_connected(m->config.host, &x->link.peer))
            continue;
        seen = i;
        multiaddr_t *at = &addrs[out->n_members * MESH_MEMBER_ADDRS_MAX];
        size_t n = peerstore_addrs(host_peerstore(m->config.host), &x->link.peer, at, MESH_MEMBER_ADDRS_MAX);
        if (!n)
            continue;
        out->named[out->n_members].peer = x->link.peer;
        out->named[out->n_members].addrs = at;
        out->named[out->n_members++].n_addrs = n;
    }
    m->told_at = out->n_members == MESH_MEMBERS_MAX && seen < count ? seen : 0;
}

/* ── what is heard ───────────────────────────────────────────────────────────────────────────── */
typedef struct meeting {
    mesh_t *m;
    peer_id_t peer;
} meeting_t;

static err_t meet_task(task_t *t, void *arg)
{
    meeting_t x = *(meeting_t *)arg;
    free(arg);
    conn_t *c;
    err_t e = host_connect(t, x.m->config.host, &x.peer, NULL, 0, &c);
    gate_leave(&x.m->dials);
    if (!e)
        conn_release(c);
    else
        log_debug("mesh: a member that another told of is not reached", LOG_ERR(e));
    return OK;
}

static size_t connected_count(const mesh_t *m)
{
    size_t n = 0;
    LIST_EACH (x, &m->members, const member_t, node)
        n += host_is_connected(m->config.host, &x->link.peer);
    return n;
}

static bool goes_over_a_member(mesh_t *m, const conn_t *c)
{
    multiaddr_part_t part;
    peer_id_t relay;
    return multiaddr_find(conn_remote_addr(c), MA_P2P, &part) && !peer_id_decode(part.value, &relay) &&
           mesh_is_member(m, &relay);
}

/* A relay limits circuits of peers that it does not know as members yet, such as of one that has just
 * started. It is asked anew instead of waiting until the limit has run out; one circuit a heartbeat, for it
 * may still not know. */
static void give_up_limited(mesh_t *m, const peer_id_t *peer)
{
    conn_t *c = host_conn(m->config.host, peer);
    uint64_t now_ms = sched_now_ms(m->sched);
    if (!c || !conn_is_limited(c) || now_ms < m->unlimited_at_ms || !goes_over_a_member(m, c))
        return;
    m->unlimited_at_ms = now_ms + m->config.heartbeat_ms;
    conn_close(c);
}

/* Peer exchange: addresses are hints; who answers there proves that it is the peer. */
static void hear_of(mesh_t *m, const peer_id_t *peer, const multiaddr_t *addrs, size_t n)
{
    host_t *h = m->config.host;
    if (!n || peer_id_equal(peer, host_id(h)) || host_is_connected(h, peer))
        return;
    peerstore_add_addrs(host_peerstore(h), peer, addrs, n, ADDR_TTL_SEEN_MS);
    give_up_limited(m, peer);
    if (connected_count(m) >= MESH_WANTED_CONNS || !gate_try_enter(&m->dials))
        return;
    meeting_t *x = xcalloc(1, sizeof *x);
    *x = (meeting_t){m, *peer};
    if (group_spawn(&m->group, "mesh-meet", meet_task, x, NULL)) {
        gate_leave(&m->dials);
        free(x);
    }
}

static void hear_status(mesh_t *m, const peer_id_t *from, const mesh_message_t *in)
{
    member_t *x = mesh_member(m, from);
    uint64_t now_ms = sched_now_ms(m->sched);
    if (!x)
        return;
    x->status = in->status;
    x->has_status = true;
    x->heard_ms = now_ms ? now_ms : 1;
    failure_detector_heard(&x->detector, now_ms);
    placement_peer_t p = {.free_bytes = in->status.free_bytes,
                          .zone = placement_zone(bytes_str(in->status.zone)),
                          .latency_ms = peerstore_latency_ms(host_peerstore(m->config.host), from)};
    replica_member(m->config.replica, from, &p);
    replica_usual_away(m->config.replica, in->status.usual_away_ms);
    multiaddr_t *addrs = xcalloc(MESH_MEMBER_ADDRS_MAX, sizeof *addrs);
    peer_id_t peer;
    size_t at = 0, n, count = 0;
    while (count++ < MESH_MEMBERS_MAX && mesh_next_member(in, &at, &peer, addrs, &n))
        hear_of(m, &peer, addrs, n);
    free(addrs);
}

/* ── asking ──────────────────────────────────────────────────────────────────────────────────── */
err_t mesh_ask(task_t *t, mesh_t *m, const peer_id_t *peer, const mesh_message_t *request, buf_t *room,
               mesh_message_t *ret_answer)
{
    member_t *x = mesh_member(m, peer);
    if (!x)
        return fail(ERR_LIMIT, "%d members are known, the limit", MESH_MEMBERS_KNOWN_MAX);
    AUTO(buf_t) out;
    buf_init(&out, MESH_MESSAGE_MAX_BYTES);
    TRY(mesh_message_encode(request, &out));
    TRY(link_ask(t, m->config.host, &x->link, MESH_PROTOCOL, buf_bytes(&out), MESH_REQUEST_TIMEOUT_MS, room));
    return mesh_message_decode(buf_bytes(room), ret_answer);
}

static err_t beat(task_t *t, mesh_t *m, const peer_id_t *peer)
{
    mesh_message_t *request = mesh_new_message(MESH_STATUS), *answer = mesh_new_message(0);
    multiaddr_t *addrs = xcalloc(ROUND_ADDRS, sizeof *addrs);
    AUTO(buf_t) room;
    buf_init(&room, MESH_MESSAGE_MAX_BYTES);
    put_status(m, request);
    put_members(m, peer, addrs, request);
    err_t e = mesh_ask(t, m, peer, request, &room, answer);
    if (!e && answer->kind == MESH_STATUS)
        hear_status(m, peer, answer);
    free(addrs);
    free(request);
    free(answer);
    return e;
}

static err_t beat_one(task_t *t, void *arg)
{
    meeting_t x = *(meeting_t *)arg;
    free(arg);
    err_t e = beat(t, x.m, &x.peer);
    if (e && e != ERR_CANCELED)
        log_debug("mesh: a heartbeat was not answered", LOG_ERR(e));
    member_t *member = map_get(&x.m->by_peer, peer_id_bytes(&x.peer));
    if (member)
        member->is_beating = false;
    return OK;
}

/* An exchange tells both sides. Who has heard of the other within half a heartbeat has therefore told it as
 * well, so that of two members the one whose turn comes first asks, and the other is spared. */
static bool is_due(const mesh_t *m, const member_t *x)
{
    return !x->is_beating && host_is_connected(m->config.host, &x->link.peer) &&
           (!x->heard_ms || sched_now_ms(m->sched) - x->heard_ms >= m->config.heartbeat_ms / 2);
}

err_t mesh_beat_task(task_t *t, void *mesh)
{
    mesh_t *m = mesh;
    for (;;) {
        if (m->config.free_bytes && m->config.free_bytes(t, m->config.arg, &m->free_bytes))
            log_debug("mesh: how much room is left is not known");
        TRY(task_check(t));
        LIST_EACH (x, &m->members, member_t, node) {
            if (!is_due(m, x))
                continue;
            meeting_t *one = xcalloc(1, sizeof *one);
            *one = (meeting_t){m, x->link.peer};
            x->is_beating = true;
            if (group_spawn(&m->group, "mesh-beat", beat_one, one, NULL)) {
                x->is_beating = false;
                free(one);
            }
        }
        TRY(task_sleep(t, m->config.heartbeat_ms));
    }
}

/* ── answering ───────────────────────────────────────────────────────────────────────────────── */
typedef struct serving {
    mesh_t *m;
    peer_id_t from;
} serving_t;

static void refuse(mesh_message_t *answer, const char *why)
{
    answer->kind = MESH_REFUSE;
    snprintf(answer->reason, sizeof answer->reason, "%s", why);
}

/* Why there is no receipt yet. NULL: nothing of it is here. */
static const char *why_pending(task_t *t, mesh_t *m, const cid_t *root)
{
    if (mesh_is_uncollected(m, root))
        return "its chunks are not collected yet";
    bool has_block = blockstore_has(t, m->config.blocks, root);
    if (mesh_is_deleted(m, root) || (!has_block && !replica_keeps(m->config.replica, root)))
        return NULL;
    replica_lost_blocks(m->config.replica, root);
    return "its manifest cannot be read here, so whose it is is not known";
}

/* A member that wants a file gone gets a receipt when it is gone here: whoever it is, the tombstone counts.
 */
static void answer_delete(task_t *t, mesh_t *m, const peer_id_t *from, const mesh_message_t *in, buf_t *room,
                          mesh_message_t *answer)
{
    tombstone_t ts;
    err_t e = mesh_take(t, m, from, in->tombstones[0], &ts, NULL);
    const char *pending = e ? NULL : why_pending(t, m, &ts.manifest);
    if (pending) {
        refuse(answer, pending);
        answer->kind = MESH_PENDING;
        return;
    }
    if (e)
        refuse(answer, e == ERR_CRYPTO   ? "the tombstone is forged"
                       : e == ERR_DENIED ? "the manifest is another owner's"
                       : e == ERR_LIMIT  ? "too many tombstones; later"
                                         : "the tombstone is not taken");
    else if (mesh_sign_receipt(m, &ts, room))
        refuse(answer, "no receipt can be signed");
    else
        *answer = (mesh_message_t){.kind = MESH_RECEIPT, .receipt = buf_bytes(room)};
}

static err_t answer_one(task_t *t, void *arg, bytes_t request, buf_t *out)
{
    serving_t *s = arg;
    mesh_t *m = s->m;
    if (m->is_closing)
        return ERR_CLOSED;
    mesh_message_t *in = mesh_new_message(0), *answer = mesh_new_message(MESH_STATUS);
    multiaddr_t *addrs = NULL;
    AUTO(buf_t) room;
    buf_init(&room, MESH_MESSAGE_MAX_BYTES);
    err_t e = mesh_message_decode(request, in);
    if (e) {
        free(in);
        free(answer);
        return e;
    }
    if (in->kind == MESH_STATUS) {
        hear_status(m, &s->from, in);
        addrs = xcalloc(ROUND_ADDRS, sizeof *addrs);
        put_status(m, answer);
        put_members(m, &s->from, addrs, answer);
    } else if (in->kind == MESH_DELETE) {
        answer_delete(t, m, &s->from, in, &room, answer);
    } else if (in->kind == MESH_COMPARE) {
        mesh_answer_compare(t, m, &s->from, in, &room, answer);
    } else {
        refuse(answer, "not a request");
    }
    e = mesh_message_encode(answer, out);
    free(addrs);
    free(in);
    free(answer);
    return e;
}

err_t mesh_on_stream(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *mesh)
{
    (void)protocol;
    mesh_t *m = mesh;
    if (m->is_closing)
        return ERR_CLOSED;
    serving_t serving = {m, *conn_peer(from)};
    mesh_inbound_t in = {.stream = s};
    list_push_back(&m->inbound, &in.node);
    err_t e = link_serve(t, s, MESH_MESSAGE_MAX_BYTES, answer_one, &serving);
    list_remove(&in.node);
    event_fire(&m->inbound_gone);
    if (!e)
        stream_close(s);
    return e;
}

/* ── for people ──────────────────────────────────────────────────────────────────────────────── */
static void describe(mesh_t *m, const member_t *x, mesh_peer_t *ret)
{
    host_t *h = m->config.host;
    uint64_t now_ms = sched_now_ms(m->sched);
    conn_t *c = host_conn(h, &x->link.peer);
    *ret = (mesh_peer_t){.peer = x->link.peer,
                         .free_bytes = x->status.free_bytes,
                         .held_bytes = x->status.held_bytes,
                         .latency_ms = peerstore_latency_ms(host_peerstore(h), &x->link.peer),
                         .phi = failure_detector_phi(&x->detector, now_ms),
                         .heard_ms_ago = x->heard_ms ? now_ms - x->heard_ms : UINT64_MAX,
                         .is_connected = c != NULL,
                         .is_relay = x->status.is_relay};
    snprintf(ret->zone, sizeof ret->zone, "%s", x->status.zone);
    if (c) {
        ret->addr = *conn_remote_addr(c);
        ret->is_relayed = multiaddr_is_circuit(&ret->addr);
    }
}

size_t mesh_peers(mesh_t *m, mesh_peer_t *out, size_t cap)
{
    size_t n = 0;
    for (int wants_connected = 1; wants_connected >= 0; wants_connected--)
        LIST_EACH (x, &m->members, member_t, node)
            if (n < cap && host_is_connected(m->config.host, &x->link.peer) == (bool)wants_connected)
                describe(m, x, &out[n++]);
    return n;
}

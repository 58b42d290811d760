/* Anti-entropy: with one member after another, and with those that come back, which tombstones one of the two
 * lacks. logic/catch_up says with whom and when, logic/reconcile what to ask. */
#include "base/log.h"
#include "replica/mesh_internal.h"
#include <stdlib.h>

enum {
    QUESTIONS_MAX = 4096,
    SEND_MAX = 200,
    SAVE_MS = 60000,
    LEAST_WAIT_MS = 50,
    TAKE_AGAIN_MS = 100,
    TAKE_TRIES = 20
};

/* ── the answering side ──────────────────────────────────────────────────────────────────────── */
static void to_reply(const reconcile_reply_t *in, mesh_reply_t *out)
{
    *out = (mesh_reply_t){.kind = in->kind == RECONCILE_SAME      ? MESH_REPLY_SAME
                                  : in->kind == RECONCILE_IS_KEYS ? MESH_REPLY_KEYS
                                                                  : MESH_REPLY_CHILDREN_OF};
    if (out->kind == MESH_REPLY_KEYS) {
        out->n_keys = in->n_keys;
        memcpy(out->keys, in->keys, in->n_keys * sizeof in->keys[0]);
    }
    for (size_t i = 0; out->kind == MESH_REPLY_CHILDREN_OF && i < MESH_REPLY_CHILDREN; i++)
        out->children[i] = (mesh_summary_t){in->children[i].count, in->children[i].digest};
}

static void from_question(const mesh_question_t *in, reconcile_question_t *out)
{
    *out = (reconcile_question_t){.has = {in->has.count, in->has.digest}};
    memcpy(out->prefix.key.data, in->prefix, sizeof in->prefix);
    out->prefix.len = in->bits;
}

static void answer_questions(mesh_t *m, const mesh_message_t *in, mesh_message_t *answer)
{
    reconcile_reply_t *reply = xcalloc(1, sizeof *reply);
    for (size_t i = 0; i < in->n_questions; i++) {
        reconcile_question_t q;
        from_question(&in->questions[i], &q);
        if (reconcile_answer(m->known, &q, reply))
            break;
        to_reply(reply, &answer->replies[answer->n_replies++]);
    }
    free(reply);
}

/* One record behind the other in `room`, which does not move while its maximum is reserved. */
static void put_record(task_t *t, mesh_t *m, const uint8_t key[TOMBSTONE_KEY_BYTES], buf_t *room,
                       mesh_message_t *out)
{
    AUTO(buf_t) record;
    buf_init(&record, TOMBSTONE_MAX_BYTES);
    if (out->n_tombstones == SEND_MAX || mesh_tombstone_record(t, m, key, &record))
        return;
    size_t at = room->len;
    if (room->cap - at < record.len || buf_append(room, buf_bytes(&record)))
        return;
    out->tombstones[out->n_tombstones++] = bytes_of(room->data + at, record.len);
}

static err_t reserve(buf_t *room)
{
    return buf_reserve(room, SEND_MAX * TOMBSTONE_MAX_BYTES);
}

void mesh_answer_compare(task_t *t, mesh_t *m, const peer_id_t *from, const mesh_message_t *in, buf_t *room,
                         mesh_message_t *answer)
{
    answer->kind = MESH_COMPARE;
    answer->has_status = true; /* whether this node has caught up itself, no more */
    answer->status.is_catching_up = !catch_up_is_current(m->catch_up);
    for (size_t i = 0; i < in->n_tombstones; i++) {
        tombstone_t ts;
        err_t e = mesh_take(t, m, from, in->tombstones[i], &ts, NULL);
        if (e == ERR_LIMIT || e == ERR_CANCELED)
            break;
    }
    answer_questions(m, in, answer);
    if (in->n_wants && !reserve(room))
        for (size_t i = 0; i < in->n_wants; i++)
            put_record(t, m, in->wants[i], room, answer);
}

/* ── the asking side ─────────────────────────────────────────────────────────────────────────── */
typedef struct session {
    mesh_t *m;
    peer_id_t peer;
    reconcile_t *reconcile;
    mesh_message_t *request, *answer;
    buf_t sent, got;
    reconcile_question_t asked[MESH_QUESTIONS_MAX];
    uint64_t lacking; /* that were asked for and did not come */
    bool is_with_current;
} session_t;

static void to_question(const reconcile_question_t *in, mesh_question_t *out)
{
    *out = (mesh_question_t){.bits = (uint16_t)in->prefix.len, .has = {in->has.count, in->has.digest}};
    size_t whole = in->prefix.len / 8;
    memcpy(out->prefix, in->prefix.key.data, whole);
    if (in->prefix.len % 8)
        out->prefix[whole] = in->prefix.key.data[whole] & 0xf0;
}

/* Questions, what we want, and what the other lacks, in one message. False: there is nothing to say. */
static bool fill(task_t *t, session_t *s)
{
    kad_key_t key;
    mesh_message_t *r = s->request;
    memset(r, 0, sizeof *r);
    r->kind = MESH_COMPARE;
    buf_clear(&s->sent);
    while (r->n_wants < MESH_WANTS_MAX && reconcile_next_lacking(s->reconcile, &key))
        if (!tombstones_has(s->m->known, &key))
            memcpy(r->wants[r->n_wants++], key.data, sizeof key.data);
    while (r->n_tombstones < SEND_MAX && reconcile_next_extra(s->reconcile, &key))
        put_record(t, s->m, key.data, &s->sent, r);
    while (r->n_questions < MESH_QUESTIONS_MAX &&
           reconcile_next_question(s->reconcile, &s->asked[r->n_questions])) {
        to_question(&s->asked[r->n_questions], &r->questions[r->n_questions]);
        r->n_questions++;
    }
    return r->n_wants || r->n_tombstones || r->n_questions;
}

static err_t take_replies(session_t *s)
{
    reconcile_reply_t *reply = xcalloc(1, sizeof *reply);
    err_t e = s->answer->n_replies == s->request->n_questions
                  ? OK
                  : fail(ERR_PROTOCOL, "%zu replies to %zu questions", s->answer->n_replies,
                         s->request->n_questions);
    for (size_t i = 0; i < s->request->n_questions && !e; i++) {
        const mesh_reply_t *in = &s->answer->replies[i];
        *reply = (reconcile_reply_t){.kind = in->kind == MESH_REPLY_SAME   ? RECONCILE_SAME
                                             : in->kind == MESH_REPLY_KEYS ? RECONCILE_IS_KEYS
                                                                           : RECONCILE_IS_CHILDREN,
                                     .n_keys = in->n_keys};
        memcpy(reply->keys, in->keys, in->n_keys * sizeof in->keys[0]);
        for (size_t k = 0; k < MESH_REPLY_CHILDREN; k++)
            reply->children[k] = (reconcile_summary_t){in->children[k].count, in->children[k].digest};
        e = reconcile_answered(s->reconcile, &s->asked[i], reply);
    }
    free(reply);
    return e;
}

static err_t take_records(task_t *t, session_t *s)
{
    s->lacking += s->request->n_wants;
    for (size_t i = 0; i < s->answer->n_tombstones; i++) {
        tombstone_t ts;
        err_t e = mesh_take(t, s->m, &s->peer, s->answer->tombstones[i], &ts, NULL);
        for (int tries = 0; e == ERR_LIMIT && tries < TAKE_TRIES; tries++) { /* as fast as is allowed */
            TRY(task_sleep(t, TAKE_AGAIN_MS));
            e = mesh_take(t, s->m, &s->peer, s->answer->tombstones[i], &ts, NULL);
        }
        if (e && e != ERR_DENIED)
            return e;
        if (s->lacking)
            s->lacking--;
    }
    return OK;
}

static err_t compare(task_t *t, session_t *s)
{
    TRY(reserve(&s->sent));
    while (fill(t, s)) {
        TRY(mesh_ask(t, s->m, &s->peer, s->request, &s->got, s->answer));
        if (s->answer->kind != MESH_COMPARE)
            return fail(ERR_PROTOCOL, "a comparison was answered with something else");
        s->is_with_current = s->answer->has_status && !s->answer->status.is_catching_up;
        TRY(take_replies(s));
        TRY(take_records(t, s));
    }
    if (reconcile_state(s->reconcile) != RECONCILE_DONE || s->lacking)
        return fail(ERR_PROTOCOL, "a comparison of tombstones came to no end");
    return OK;
}

static err_t session_task(task_t *t, void *arg)
{
    session_t *s = arg;
    mesh_t *m = s->m;
    s->reconcile = reconcile_new(m->known, QUESTIONS_MAX);
    s->request = mesh_new_message(MESH_COMPARE);
    s->answer = mesh_new_message(0);
    buf_init(&s->sent, SEND_MAX * TOMBSTONE_MAX_BYTES);
    buf_init(&s->got, MESH_MESSAGE_MAX_BYTES);
    err_t e = compare(t, s);
    bool was_current = catch_up_is_current(m->catch_up);
    catch_up_done(m->catch_up, &s->peer,
                  e                    ? CATCH_UP_FAILED
                  : s->is_with_current ? CATCH_UP_WITH_CURRENT
                                       : CATCH_UP_WITH_BEHIND,
                  task_now_ms(t));
    if (e && e != ERR_CANCELED)
        log_debug("mesh: tombstones were not compared", LOG_ERR(e));
    if (!was_current && catch_up_is_current(m->catch_up))
        log_info("mesh: caught up with what was deleted; this node serves again");
    event_fire(&m->wake);
    reconcile_free(s->reconcile);
    buf_deinit(&s->sent);
    buf_deinit(&s->got);
    free(s->request);
    free(s->answer);
    free(s);
    return OK;
}

/* ── for the life of the mesh ────────────────────────────────────────────────────────────────── */
/* So that the next start knows for how long this node was away. */
static void save_current(task_t *t, mesh_t *m, uint64_t *at_ms)
{
    uint64_t now_ms = task_now_ms(t);
    if (!catch_up_is_current(m->catch_up) || now_ms < *at_ms)
        return;
    *at_ms = now_ms + SAVE_MS;
    replica_stat_t s;
    replica_stat(m->config.replica, &s);
    uint64_t state[3] = {driver_wall_ms(task_driver(t)), map_count(&m->by_peer), s.usual_away_ms};
    if (kv_put(t, m->config.state, MESH_STATE_SPACE, BYTES_LIT("current"),
               bytes_of((uint8_t *)state, sizeof state)))
        log_warn("mesh: that this node is up to date was not written down");
}

static void start_sessions(mesh_t *m)
{
    peer_id_t peer;
    while (catch_up_next(m->catch_up, sched_now_ms(m->sched), &peer)) {
        session_t *s = xcalloc(1, sizeof *s);
        s->m = m;
        s->peer = peer;
        if (group_spawn(&m->group, "mesh-compare", session_task, s, NULL)) {
            free(s);
            catch_up_done(m->catch_up, &peer, CATCH_UP_FAILED, sched_now_ms(m->sched));
            return;
        }
    }
}

err_t mesh_compare_task(task_t *t, void *mesh)
{
    mesh_t *m = mesh;
    for (uint64_t save_at_ms = 0;;) {
        start_sessions(m);
        save_current(t, m, &save_at_ms);
        TRY(task_check(t));
        uint64_t now_ms = task_now_ms(t), due_ms = catch_up_deadline_ms(m->catch_up);
        due_ms = due_ms < now_ms + SAVE_MS ? due_ms : now_ms + SAVE_MS;
        deadline_t d = deadline_push(t, due_ms > now_ms ? due_ms - now_ms : LEAST_WAIT_MS);
        err_t e = event_wait(t, &m->wake);
        deadline_pop(t, &d);
        if (e && e != ERR_TIMEOUT)
            return e;
        TRY(task_check(t));
    }
}

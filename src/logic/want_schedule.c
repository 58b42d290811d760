/* The want manager's decisions: who is asked, when a peer has stalled, when to broadcast and to search. */
#include "logic/want_internal.h"
#include <stdlib.h>

enum { QUEUE_LOOKAHEAD = 64 };

/* ── states of a want ────────────────────────────────────────────────────────────────────────── */
void want_leave_lists(want_t *w)
{
    list_remove(&w->node);
    want_session_t *s = w->owner;
    if (w->state == WANT_SEEKING) {
        s->n_seeking--;
    } else if (w->state == WANT_ASKED) {
        want_peer_t *p = w->asked->peer;
        p->n_asked--;
        p->asked_bytes -= w->asked_bytes;
        s->n_asked--;
        s->asked_bytes -= w->asked_bytes;
        w->asked = NULL;
    }
    w->state = WANT_QUEUED;
}

void want_enqueue(want_t *w, bool at_front)
{
    want_leave_lists(w);
    if (at_front)
        list_push_front(&w->owner->queue, &w->node);
    else
        list_push_back(&w->owner->queue, &w->node);
}

static uint64_t stall_timeout(const want_peer_t *p)
{
    if (!p->answer_ms)
        return WANT_STALL_FIRST_MS + 4 * (uint64_t)p->latency_ms;
    uint64_t ms = 4 * (uint64_t)p->answer_ms + p->latency_ms;
    return ms < WANT_STALL_MIN_MS ? WANT_STALL_MIN_MS : ms > WANT_STALL_MAX_MS ? WANT_STALL_MAX_MS : ms;
}

static void ask(want_manager_t *m, want_t *w, want_peer_t *p, uint64_t now_ms)
{
    want_session_t *s = w->owner;
    want_leave_lists(w);
    want_fact_t *f = want_fact_make(w, p);
    LIST_EACH (other, &w->facts, want_fact_t, in_want) {
        if (other != f && other->state == FACT_SLOW)
            want_fact_unsend(m, other);
    }
    f->state = FACT_ASKED_BLOCK;
    w->state = WANT_ASKED;
    w->asked = f;
    w->asked_ms = now_ms;
    w->asked_bytes = s->block_bytes;
    if (!p->n_asked)
        p->progress_ms = now_ms;
    list_push_back(&p->asked, &w->node);
    p->n_asked++;
    p->asked_bytes += w->asked_bytes;
    s->n_asked++;
    s->asked_bytes += w->asked_bytes;
    want_fact_send(m, f, true);
    want_due(m, p->progress_ms + stall_timeout(p));
    want_due(m, now_ms + WANT_STEAL_EACH_MS);
}

/* ── choosing a peer ─────────────────────────────────────────────────────────────────────────── */
typedef struct choice {
    want_peer_t *best, *best_slow;
    uint64_t best_fill;
    bool may_wait; /* a peer that may have it is just full */
} choice_t;

static bool has_room(const want_manager_t *m, const want_peer_t *p, size_t block_bytes)
{
    return p->n_asked < m->limits.max_peer_wants &&
           (p->n_asked < 2 || p->asked_bytes + block_bytes <= p->window_bytes);
}

static void consider(want_manager_t *m, want_t *w, want_session_t *s, choice_t *c)
{
    LIST_EACH (sp, &s->peers, session_peer_t, node) {
        want_peer_t *p = sp->peer;
        want_fact_t *f = want_fact_get(w, p);
        if (p->is_stalled || (f && f->state == FACT_HAS_NOT))
            continue;
        if (!has_room(m, p, w->owner->block_bytes)) {
            c->may_wait = true;
            continue;
        }
        if (f && f->state == FACT_SLOW) {
            c->best_slow = p;
            continue;
        }
        uint64_t fill = (uint64_t)p->asked_bytes * 1000 / p->window_bytes;
        if (!c->best || fill < c->best_fill) {
            c->best = p;
            c->best_fill = fill;
        }
    }
}

static choice_t choose(want_manager_t *m, want_t *w)
{
    choice_t c = {0};
    consider(m, w, w->owner, &c);
    for (size_t i = 0; i < w->n_others; i++)
        consider(m, w, w->others[i], &c);
    if (!c.best && !c.may_wait)
        c.best = c.best_slow;
    return c;
}

/* ── looking for more sources ────────────────────────────────────────────────────────────────── */
void want_plan_search(want_manager_t *m, want_session_t *s, uint64_t at_ms)
{
    if (s->is_searching)
        return;
    if (at_ms < s->search_hold_ms)
        at_ms = s->search_hold_ms;
    if (at_ms < s->search_at_ms)
        s->search_at_ms = at_ms;
    want_due(m, s->search_at_ms);
}

bool want_all_said_no(const want_t *w)
{
    LIST_EACH (f, &w->facts, want_fact_t, in_want) {
        if (f->state == FACT_ASKED_HAVE)
            return false;
    }
    return true;
}

static void broadcast_one(want_manager_t *m, want_t *w, want_peer_t *p)
{
    if (p->is_blocked || want_fact_get(w, p))
        return;
    want_fact_t *f = want_fact_make(w, p);
    f->state = FACT_ASKED_HAVE;
    want_fact_send(m, f, !p->speaks_have);
}

static void broadcast(want_manager_t *m, want_t *w, uint64_t now_ms)
{
    size_t n = 0;
    LIST_EACH (p, &m->peers, want_peer_t, node) {
        if (n++ == m->limits.max_broadcast_peers)
            break;
        broadcast_one(m, w, p);
    }
    w->broadcast_ms = now_ms;
    want_due(m, now_ms + m->limits.rebroadcast_ms);
}

static void seek(want_manager_t *m, want_t *w, uint64_t now_ms)
{
    want_session_t *s = w->owner;
    want_leave_lists(w);
    w->state = WANT_SEEKING;
    w->seeking_ms = now_ms;
    list_push_back(&s->seeking, &w->node);
    s->n_seeking++;
    broadcast(m, w, now_ms);
    want_plan_search(m, s, want_all_said_no(w) ? now_ms : now_ms + m->limits.search_delay_ms);
}

void want_broadcast_to(want_manager_t *m, want_peer_t *p, uint64_t now_ms)
{
    (void)now_ms;
    LIST_EACH (s, &m->sessions, want_session_t, node) {
        LIST_EACH (w, &s->seeking, want_t, node) {
            broadcast_one(m, w, p);
        }
    }
}

/* Once a minute: peers may have got it meanwhile. */
static void rebroadcast(want_manager_t *m, want_t *w, uint64_t now_ms)
{
    LIST_EACH (f, &w->facts, want_fact_t, in_want) {
        if (f->state != FACT_HAS_NOT && f->state != FACT_ASKED_HAVE)
            continue;
        list_remove(&f->in_outbox);
        f->is_have_sent = f->is_block_sent = false;
        f->state = FACT_ASKED_HAVE;
        want_fact_send(m, f, !f->peer->speaks_have);
    }
    broadcast(m, w, now_ms);
}

/* A stalled peer keeps resting; a want-block that it holds is sent again when the rest is over. */
void want_manager_ask_again(want_manager_t *m, want_peer_t *p, uint64_t now_ms)
{
    LIST_EACH (f, &p->facts, want_fact_t, in_peer) {
        bool is_asked = f->state == FACT_ASKED_BLOCK;
        bool is_sought =
            f->want->state == WANT_SEEKING && (f->state == FACT_ASKED_HAVE || f->state == FACT_HAS_NOT);
        if (f->state == FACT_SLOW)
            f->is_block_sent = false;
        if (!is_asked && !is_sought)
            continue;
        f->is_have_sent = f->is_block_sent = false;
        f->state = is_asked ? FACT_ASKED_BLOCK : FACT_ASKED_HAVE;
        want_fact_send(m, f, is_asked || !p->speaks_have);
    }
    want_schedule_all(m, now_ms);
}

/* ── scheduling ──────────────────────────────────────────────────────────────────────────────── */
void want_schedule(want_manager_t *m, want_session_t *s, uint64_t now_ms)
{
    size_t waiting = 0;
    LIST_EACH (w, &s->queue, want_t, node) {
        if (s->n_asked && s->asked_bytes + s->block_bytes > m->limits.max_session_bytes)
            return;
        choice_t c = choose(m, w);
        if (c.best)
            ask(m, w, c.best, now_ms);
        else if (!c.may_wait && s->n_seeking < m->limits.max_seeking)
            seek(m, w, now_ms);
        else if (++waiting == QUEUE_LOOKAHEAD)
            return;
    }
}

void want_schedule_all(want_manager_t *m, uint64_t now_ms)
{
    LIST_EACH (s, &m->sessions, want_session_t, node) {
        want_schedule(m, s, now_ms);
    }
}

/* ── stalls ──────────────────────────────────────────────────────────────────────────────────── */
void want_peer_alive(want_manager_t *m, want_peer_t *p, uint64_t now_ms)
{
    p->progress_ms = now_ms;
    if (!p->is_stalled)
        return;
    p->is_stalled = false;
    LIST_EACH (f, &p->facts, want_fact_t, in_peer) {
        if (f->state == FACT_SLOW && f->is_block_sent && f->want->state != WANT_ASKED)
            ask(m, f->want, p, now_ms); /* it still has our request */
    }
}

static void stall(want_manager_t *m, want_peer_t *p, uint64_t now_ms)
{
    p->is_stalled = true;
    p->stalled_ms = now_ms;
    p->window_bytes = WANT_WINDOW_MIN;
    for (list_t *n = p->asked.prev; n != &p->asked;) { /* backwards: the queue keeps their order */
        want_t *w = LIST_ENTRY(n, want_t, node);
        n = n->prev;
        w->asked->state = FACT_SLOW;
        want_enqueue(w, true);
    }
    if (++p->strikes >= WANT_STRIKES_MAX)
        want_block_peer(m, p, now_ms);
}

/* A stalled peer rests, then its requests are made anew. */
static void end_rest(want_peer_t *p)
{
    p->is_stalled = false;
    LIST_EACH (f, &p->facts, want_fact_t, in_peer) {
        if (f->state != FACT_SLOW)
            continue;
        f->is_block_sent = false;
        if (f->want->state == WANT_SEEKING)
            want_enqueue(f->want, false);
    }
}

static void take_back_forgotten(want_peer_t *p, uint64_t now_ms)
{
    LIST_EACH (w, &p->asked, want_t, node) {
        if (now_ms - w->asked_ms < WANT_FORGOTTEN_MS || p->progress_ms <= w->asked_ms)
            return;
        w->asked->state = FACT_SLOW;
        w->asked->is_block_sent = false;
        want_enqueue(w, true);
    }
}

static void tick_peer(want_manager_t *m, want_peer_t *p, uint64_t now_ms)
{
    if (p->is_blocked)
        return;
    if (p->is_stalled) {
        uint64_t rest_until = p->stalled_ms + (uint64_t)WANT_STALL_REST_MS * p->strikes;
        if (now_ms >= rest_until)
            end_rest(p);
        else
            want_due(m, rest_until);
    }
    take_back_forgotten(p, now_ms);
    if (!p->n_asked)
        return;
    uint64_t stall_at = p->progress_ms + stall_timeout(p);
    if (now_ms >= stall_at)
        stall(m, p, now_ms);
    else
        want_due(m, stall_at);
}

/* ── the end of a fetch: idle peers take over what waits at slow ones ────────────────────────── */
static want_t *find_to_steal(want_session_t *s, want_peer_t *idle, uint64_t now_ms)
{
    uint64_t patience = 4 * (uint64_t)idle->answer_ms;
    if (patience < WANT_STEAL_MIN_MS)
        patience = WANT_STEAL_MIN_MS;
    LIST_EACH (sp, &s->peers, session_peer_t, node) {
        if (sp->peer == idle)
            continue;
        LIST_EACH (w, &sp->peer->asked, want_t, node) {
            if (now_ms - w->asked_ms < patience)
                break; /* in the order of asking */
            want_fact_t *f = want_fact_get(w, idle);
            if (w->owner == s && (!f || (f->state != FACT_HAS_NOT && f->state != FACT_SLOW)))
                return w;
        }
    }
    return NULL;
}

static void steal(want_manager_t *m, want_session_t *s, uint64_t now_ms)
{
    if (!list_is_empty(&s->queue) || !s->n_asked)
        return;
    want_due(m, now_ms + WANT_STEAL_EACH_MS);
    LIST_EACH (sp, &s->peers, session_peer_t, node) {
        want_peer_t *idle = sp->peer;
        if (idle->is_stalled || idle->n_asked)
            continue;
        for (want_t *w; has_room(m, idle, s->block_bytes) && (w = find_to_steal(s, idle, now_ms));) {
            w->asked->state = FACT_SLOW;
            ask(m, w, idle, now_ms);
        }
    }
}

static void tick_session(want_manager_t *m, want_session_t *s, uint64_t now_ms)
{
    if (!s->is_searching && s->search_at_ms <= now_ms) {
        s->search_at_ms = UINT64_MAX;
        s->is_search_due = !list_is_empty(&s->seeking);
    }
    if (!s->is_searching)
        want_due(m, s->search_at_ms);
    LIST_EACH (w, &s->seeking, want_t, node) {
        if (now_ms - w->broadcast_ms >= m->limits.rebroadcast_ms)
            rebroadcast(m, w, now_ms);
        want_due(m, w->broadcast_ms + m->limits.rebroadcast_ms);
    }
    steal(m, s, now_ms);
}

void want_manager_tick(want_manager_t *m, uint64_t now_ms)
{
    m->deadline_ms = UINT64_MAX;
    LIST_EACH (p, &m->peers, want_peer_t, node) {
        tick_peer(m, p, now_ms);
    }
    LIST_EACH (s, &m->sessions, want_session_t, node) {
        tick_session(m, s, now_ms);
    }
    want_schedule_all(m, now_ms);
}

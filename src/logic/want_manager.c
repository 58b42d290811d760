#include "logic/want_internal.h"
#include <stdlib.h>

void want_limits_default(want_limits_t *ret)
{
    *ret = (want_limits_t){
        .max_wants = 16384,
        .max_session_bytes = 16u << 20,
        .max_peer_wants = 512,
        .max_seeking = 32,
        .max_broadcast_peers = 128,
        .search_delay_ms = 1000,
        .search_again_ms = 10000,
        .rebroadcast_ms = 60000,
        .block_peer_ms = 600000,
    };
}

want_manager_t *want_manager_new(const want_limits_t *limits)
{
    want_manager_t *m = xcalloc(1, sizeof *m);
    m->limits = *limits;
    map_init(&m->wants, limits->max_wants);
    list_init(&m->sessions);
    list_init(&m->peers);
    list_init(&m->ready);
    m->deadline_ms = UINT64_MAX;
    return m;
}

void want_due(want_manager_t *m, uint64_t at_ms)
{
    if (at_ms < m->deadline_ms)
        m->deadline_ms = at_ms;
}

uint64_t want_manager_deadline_ms(const want_manager_t *m)
{
    return m->deadline_ms;
}

/* ── finding wants; remembering finished ones ────────────────────────────────────────────────── */
typedef struct want_key {
    uint8_t bytes[CID_BINARY_MAX];
    size_t len;
} want_key_t;

static bytes_t key_of(const cid_t *cid, want_key_t *k)
{
    k->len = cid_encode_multihash(cid, k->bytes);
    return bytes_of(k->bytes, k->len);
}

static want_t *find_want(const want_manager_t *m, const cid_t *cid)
{
    want_key_t k;
    return map_get(&m->wants, key_of(cid, &k));
}

static uint64_t recent_hash(bytes_t key)
{
    static const uint8_t fixed[16] = "want-manager-mh";
    uint64_t h = siphash24(fixed, key);
    return h ? h : 1;
}

static bool is_recent(const want_manager_t *m, const cid_t *cid)
{
    want_key_t k;
    uint64_t h = recent_hash(key_of(cid, &k));
    for (size_t i = 0; i < WANT_RECENT; i++)
        if (m->recent[i] == h)
            return true;
    return false;
}

bool want_manager_wants(const want_manager_t *m, const cid_t *cid)
{
    return find_want(m, cid);
}

size_t want_manager_sessions(const want_manager_t *m, const cid_t *cid, want_session_t **out, size_t cap)
{
    const want_t *w = find_want(m, cid);
    if (!w || !cap)
        return 0;
    out[0] = w->owner;
    size_t n = 1;
    for (size_t i = 0; i < w->n_others && n < cap; i++)
        out[n++] = w->others[i];
    return n;
}

size_t want_manager_count(const want_manager_t *m)
{
    return map_count(&m->wants);
}

void want_manager_each(const want_manager_t *m, bool (*fn)(void *arg, const cid_t *cid), void *arg)
{
    void *value;
    for (size_t i = 0; map_next(&m->wants, &i, NULL, &value);)
        if (!fn(arg, &((want_t *)value)->cid))
            return;
}

/* ── facts ───────────────────────────────────────────────────────────────────────────────────── */
want_fact_t *want_fact_get(want_t *w, want_peer_t *p)
{
    LIST_EACH (f, &w->facts, want_fact_t, in_want) {
        if (f->peer == p)
            return f;
    }
    return NULL;
}

want_fact_t *want_fact_make(want_t *w, want_peer_t *p)
{
    want_fact_t *f = want_fact_get(w, p);
    if (f)
        return f;
    f = xcalloc(1, sizeof *f);
    f->want = w;
    f->peer = p;
    list_push_back(&w->facts, &f->in_want);
    list_push_back(&p->facts, &f->in_peer);
    return f;
}

static void make_ready(want_manager_t *m, want_peer_t *p)
{
    if (!list_is_linked(&p->ready))
        list_push_back(&m->ready, &p->ready);
}

void want_fact_send(want_manager_t *m, want_fact_t *f, bool block)
{
    if (block ? f->is_block_sent : f->is_have_sent)
        return;
    f->is_block_due = block;
    if (!list_is_linked(&f->in_outbox))
        list_push_back(&f->peer->outbox, &f->in_outbox);
    make_ready(m, f->peer);
}

/* The peer forgets our want: by never hearing of it, or by a cancel. */
void want_fact_unsend(want_manager_t *m, want_fact_t *f)
{
    list_remove(&f->in_outbox);
    want_peer_t *p = f->peer;
    if (!(f->is_have_sent || f->is_block_sent) || p->n_cancels >= WANT_CANCELS_MAX)
        return;
    f->is_have_sent = f->is_block_sent = false;
    want_cancel_t *c = xcalloc(1, sizeof *c);
    c->cid = f->want->cid;
    list_push_back(&p->cancels, &c->node);
    p->n_cancels++;
    make_ready(m, p);
}

void want_fact_drop(want_manager_t *m, want_fact_t *f, bool with_cancel)
{
    if (with_cancel)
        want_fact_unsend(m, f);
    assert(f->want->asked != f);
    list_remove(&f->in_outbox);
    list_remove(&f->in_want);
    list_remove(&f->in_peer);
    free(f);
}

/* ── sessions ────────────────────────────────────────────────────────────────────────────────── */
want_session_t *want_session_open(want_manager_t *m, uint64_t now_ms)
{
    (void)now_ms;
    want_session_t *s = xcalloc(1, sizeof *s);
    list_init(&s->peers);
    list_init(&s->queue);
    list_init(&s->seeking);
    s->block_bytes = WANT_FIRST_BLOCK_BYTES;
    s->search_at_ms = UINT64_MAX;
    s->search_again_ms = m->limits.search_again_ms;
    list_push_back(&m->sessions, &s->node);
    return s;
}

session_peer_t *want_session_peer(want_session_t *s, want_peer_t *p)
{
    LIST_EACH (sp, &s->peers, session_peer_t, node) {
        if (sp->peer == p)
            return sp;
    }
    return NULL;
}

session_peer_t *want_session_join(want_session_t *s, want_peer_t *p)
{
    session_peer_t *sp = want_session_peer(s, p);
    if (sp || p->is_blocked)
        return sp;
    sp = xcalloc(1, sizeof *sp);
    sp->peer = p;
    list_push_back(&s->peers, &sp->node);
    return sp;
}

void want_session_set_user(want_session_t *s, void *user)
{
    s->user = user;
}

void *want_session_user(const want_session_t *s)
{
    return s->user;
}

size_t want_session_count(const want_session_t *s)
{
    return s->n_wants;
}

size_t want_session_in_flight(const want_session_t *s)
{
    return s->n_asked;
}

bool want_session_best_peer(const want_session_t *s, peer_id_t *ret)
{
    const session_score_t *best = NULL;
    for (size_t i = 0; i < ARRAY_LEN(s->scores); i++)
        if (s->scores[i].blocks && (!best || s->scores[i].blocks > best->blocks))
            best = &s->scores[i];
    if (best)
        *ret = best->id;
    return best;
}

static void count_block(want_session_t *s, want_peer_t *p, size_t size_bytes)
{
    s->block_bytes = (s->block_bytes * 7 + size_bytes) / 8;
    session_peer_t *sp = want_session_join(s, p);
    if (sp)
        sp->refusals = 0;
    session_score_t *least = &s->scores[0];
    for (size_t i = 0; i < ARRAY_LEN(s->scores); i++) {
        session_score_t *score = &s->scores[i];
        if (score->blocks && peer_id_equal(&score->id, &p->id)) {
            score->blocks++;
            return;
        }
        if (score->blocks < least->blocks)
            least = score;
    }
    *least = (session_score_t){p->id, 1};
}

static bool has_session(const want_t *w, const want_session_t *s)
{
    if (w->owner == s)
        return true;
    for (size_t i = 0; i < w->n_others; i++)
        if (w->others[i] == s)
            return true;
    return false;
}

/* Takes a want out of the engine: finished or cancelled. except: a peer that needs no cancel; may be NULL. */
static void end_want(want_manager_t *m, want_t *w, want_peer_t *except)
{
    want_leave_lists(w);
    LIST_EACH (f, &w->facts, want_fact_t, in_want) {
        want_fact_drop(m, f, f->peer != except);
    }
    want_key_t k;
    bytes_t key = key_of(&w->cid, &k);
    m->recent[m->recent_at++ % WANT_RECENT] = recent_hash(key);
    map_remove(&m->wants, key);
    w->owner->n_wants--;
    for (size_t i = 0; i < w->n_others; i++)
        w->others[i]->n_wants--;
    free(w->others);
    free(w);
}

/* One session less. The want ends with its last one. */
static void leave_want(want_manager_t *m, want_t *w, want_session_t *s)
{
    if (!w->n_others) {
        end_want(m, w, NULL);
        return;
    }
    s->n_wants--;
    if (w->owner == s) {
        if (w->state == WANT_ASKED) { /* it stays asked, in the name of the next session */
            s->n_asked--;
            s->asked_bytes -= w->asked_bytes;
            w->owner = w->others[--w->n_others];
            w->owner->n_asked++;
            w->owner->asked_bytes += w->asked_bytes;
        } else {
            want_leave_lists(w);
            w->owner = w->others[--w->n_others];
            want_enqueue(w, false);
        }
        return;
    }
    for (size_t i = 0; i < w->n_others; i++)
        if (w->others[i] == s)
            w->others[i] = w->others[--w->n_others];
}

void want_session_close(want_manager_t *m, want_session_t *s, uint64_t now_ms)
{
    void *value;
    assert(s);
    for (size_t i = 0; s->n_wants && map_next(&m->wants, &i, NULL, &value);)
        if (has_session(value, s))
            leave_want(m, value, s);
    assert(!s->n_wants && !s->n_asked && !s->asked_bytes);
    LIST_EACH (sp, &s->peers, session_peer_t, node) {
        list_remove(&sp->node);
        free(sp);
    }
    list_remove(&s->node);
    free(s);
    want_schedule_all(m, now_ms);
}

err_t want_session_want(want_manager_t *m, want_session_t *s, const cid_t *cid, bool is_urgent,
                        uint64_t now_ms)
{
    want_key_t k;
    bytes_t key = key_of(cid, &k);
    want_t *w = map_get(&m->wants, key);
    if (!w) {
        w = xcalloc(1, sizeof *w);
        w->cid = *cid;
        w->owner = s;
        w->is_urgent = is_urgent;
        list_init(&w->facts);
        err_t e = map_put(&m->wants, key, w, NULL);
        if (e) {
            free(w);
            return fail(e, "the want-list is full (%zu blocks)", m->limits.max_wants);
        }
        s->n_wants++;
        want_enqueue(w, is_urgent);
    } else {
        if (!has_session(w, s)) {
            w->others = xrealloc(w->others, (w->n_others + 1) * sizeof *w->others);
            w->others[w->n_others++] = s;
            s->n_wants++;
            if (w->state == WANT_SEEKING)
                want_enqueue(w, is_urgent); /* this session may know a peer */
        }
        if (is_urgent && !w->is_urgent && w->state == WANT_QUEUED)
            want_enqueue(w, true);
        w->is_urgent = w->is_urgent || is_urgent;
    }
    want_schedule(m, w->owner, now_ms);
    return OK;
}

void want_session_cancel(want_manager_t *m, want_session_t *s, const cid_t *cid, uint64_t now_ms)
{
    want_t *w = find_want(m, cid);
    if (!w || !has_session(w, s))
        return;
    leave_want(m, w, s);
    want_schedule_all(m, now_ms);
}

void want_session_add_peer(want_manager_t *m, want_session_t *s, const peer_id_t *id, uint64_t now_ms)
{
    want_peer_t *p = want_manager_peer(m, id);
    if (!p || p->is_blocked)
        return;
    session_peer_t *sp = want_session_join(s, p);
    if (sp)
        sp->refusals = 0;
    LIST_EACH (w, &s->seeking, want_t, node) {
        want_fact_t *f = want_fact_get(w, p);
        if (f && f->state == FACT_HAS_NOT)
            want_fact_drop(m, f, true); /* it may have got it meanwhile */
        want_enqueue(w, false);
    }
    want_schedule(m, s, now_ms);
}

/* ── peers ───────────────────────────────────────────────────────────────────────────────────── */
static bool is_id_blocked(want_manager_t *m, const peer_id_t *id, uint64_t now_ms)
{
    for (size_t i = 0; i < WANT_BLOCKED_MAX; i++)
        if (m->blocked[i].until_ms > now_ms && peer_id_equal(&m->blocked[i].id, id))
            return true;
    return false;
}

want_peer_t *want_manager_peer(want_manager_t *m, const peer_id_t *id)
{
    LIST_EACH (p, &m->peers, want_peer_t, node) {
        if (peer_id_equal(&p->id, id))
            return p;
    }
    return NULL;
}

want_peer_t *want_manager_connected(want_manager_t *m, const peer_id_t *id, bool speaks_have,
                                    uint32_t latency_ms, uint64_t now_ms)
{
    want_peer_t *p = want_manager_peer(m, id);
    if (p)
        return p->is_blocked ? NULL : p;
    if (is_id_blocked(m, id, now_ms))
        return NULL;
    p = xcalloc(1, sizeof *p);
    p->id = *id;
    p->speaks_have = speaks_have;
    p->latency_ms = latency_ms;
    p->window_bytes = WANT_WINDOW_FIRST;
    p->progress_ms = now_ms;
    list_init(&p->asked);
    list_init(&p->facts);
    list_init(&p->outbox);
    list_init(&p->cancels);
    list_push_back(&m->peers, &p->node);
    want_broadcast_to(m, p, now_ms);
    return p;
}

/* Forgets all that is known between the peer and any want; what was asked of it is queued again. */
static void forget_facts(want_manager_t *m, want_peer_t *p, bool with_cancel)
{
    LIST_EACH (f, &p->facts, want_fact_t, in_peer) {
        want_t *w = f->want;
        if (w->asked == f)
            want_enqueue(w, true);
        want_fact_drop(m, f, with_cancel);
        if (w->state == WANT_SEEKING && want_all_said_no(w))
            want_plan_search(m, w->owner, 0);
    }
    LIST_EACH (s, &m->sessions, want_session_t, node) {
        session_peer_t *sp = want_session_peer(s, p);
        if (sp) {
            list_remove(&sp->node);
            free(sp);
        }
    }
}

static void free_peer(want_peer_t *p)
{
    LIST_EACH (c, &p->cancels, want_cancel_t, node) {
        list_remove(&c->node);
        free(c);
    }
    list_remove(&p->ready);
    list_remove(&p->node);
    free(p);
}

void want_manager_disconnected(want_manager_t *m, want_peer_t *p, uint64_t now_ms)
{
    forget_facts(m, p, false);
    free_peer(p);
    want_schedule_all(m, now_ms);
}

void want_block_peer(want_manager_t *m, want_peer_t *p, uint64_t now_ms)
{
    if (p->is_blocked)
        return;
    p->is_blocked = true;
    m->blocked[m->blocked_at++ % WANT_BLOCKED_MAX] =
        (blocked_peer_t){p->id, now_ms + m->limits.block_peer_ms};
    forget_facts(m, p, true);
    want_schedule_all(m, now_ms);
}

bool want_manager_next_blocked(want_manager_t *m, want_peer_t **ret_peer)
{
    LIST_EACH (p, &m->peers, want_peer_t, node) {
        if (p->is_blocked && !p->is_blocked_told) {
            p->is_blocked_told = true;
            *ret_peer = p;
            return true;
        }
    }
    return false;
}

const peer_id_t *want_peer_id(const want_peer_t *p)
{
    return &p->id;
}

void want_peer_set_user(want_peer_t *p, void *user)
{
    p->user = user;
}

void *want_peer_user(const want_peer_t *p)
{
    return p->user;
}

bool want_peer_is_blocked(const want_peer_t *p)
{
    return p->is_blocked;
}

size_t want_peer_asked(const want_peer_t *p)
{
    return p->n_asked;
}

size_t want_peer_window_bytes(const want_peer_t *p)
{
    return p->window_bytes;
}

void want_manager_free(want_manager_t *m)
{
    if (!m)
        return;
    while (!list_is_empty(&m->sessions))
        want_session_close(m, LIST_FIRST(&m->sessions, want_session_t, node), 0);
    LIST_EACH (p, &m->peers, want_peer_t, node) {
        free_peer(p);
    }
    map_deinit(&m->wants);
    free(m);
}

/* ── what comes in ───────────────────────────────────────────────────────────────────────────── */
static void refused(want_manager_t *m, want_t *w, want_peer_t *p)
{
    session_peer_t *sp = want_session_peer(w->owner, p);
    if (sp && ++sp->refusals >= WANT_REFUSALS_MAX) {
        list_remove(&sp->node);
        free(sp);
    }
    (void)m;
}

void want_manager_presence(want_manager_t *m, want_peer_t *p, const cid_t *cid, bool has, uint64_t now_ms)
{
    want_t *w = find_want(m, cid);
    want_fact_t *f = w ? want_fact_get(w, p) : NULL;
    if (!f || p->is_blocked || !(f->is_have_sent || f->is_block_sent))
        return; /* not asked: nothing is learnt from gossip */
    want_session_t *s = w->owner;
    if (has) {
        want_session_join(s, p);
        for (size_t i = 0; i < w->n_others; i++)
            want_session_join(w->others[i], p);
        if (f->state == FACT_ASKED_HAVE || f->state == FACT_HAS_NOT)
            f->state = FACT_HAS;
        if (w->state == WANT_SEEKING)
            want_enqueue(w, true);
    } else {
        if (w->asked == f) /* what was sent stays with the peer, which answers when it gets the block */
            want_enqueue(w, true);
        f->state = FACT_HAS_NOT;
        refused(m, w, p);
        if (w->state == WANT_SEEKING && want_all_said_no(w))
            want_plan_search(m, s, now_ms);
    }
    want_schedule(m, s, now_ms);
}

void want_manager_progress(want_manager_t *m, want_peer_t *p, uint64_t now_ms)
{
    want_peer_alive(m, p, now_ms);
}

/* The window follows how long answers take: it doubles each round trip while they are fast. */
static void adapt_window(want_peer_t *p, const want_t *w, size_t size_bytes, uint64_t now_ms)
{
    uint64_t took = now_ms - w->asked_ms;
    p->answer_ms = p->answer_ms ? (uint32_t)((p->answer_ms * 7 + took) / 8) : (uint32_t)(took ? took : 1);
    if (!p->answer_ms)
        p->answer_ms = 1;
    if (took <= WANT_FAST_MS + p->latency_ms && p->asked_bytes * 2 >= p->window_bytes) {
        p->window_bytes += size_bytes;
        if (p->window_bytes > WANT_WINDOW_MAX)
            p->window_bytes = WANT_WINDOW_MAX;
    } else if (took > WANT_SLOW_MS + p->latency_ms && now_ms - p->shrunk_ms > took) {
        p->window_bytes = p->window_bytes / 2 > WANT_WINDOW_MIN ? p->window_bytes / 2 : WANT_WINDOW_MIN;
        p->shrunk_ms = now_ms;
    }
}

want_verdict_t want_manager_block(want_manager_t *m, want_peer_t *p, const cid_t *cid, size_t size_bytes,
                                  uint64_t now_ms)
{
    want_t *w = find_want(m, cid);
    if (!w) {
        if (is_recent(m, cid)) {
            if (p && !p->is_blocked)
                want_peer_alive(m, p, now_ms);
            return WANT_DUPLICATE;
        }
        if (p)
            want_block_peer(m, p, now_ms);
        return WANT_UNASKED;
    }
    if (p && !p->is_blocked) {
        want_peer_alive(m, p, now_ms);
        p->strikes = 0;
        if (w->asked && w->asked->peer == p)
            adapt_window(p, w, size_bytes, now_ms);
        count_block(w->owner, p, size_bytes);
        for (size_t i = 0; i < w->n_others; i++)
            count_block(w->others[i], p, size_bytes);
    }
    w->owner->search_again_ms = m->limits.search_again_ms;
    w->owner->search_hold_ms = 0;
    end_want(m, w, p);
    want_schedule_all(m, now_ms);
    return WANT_WANTED;
}

void want_manager_bad_block(want_manager_t *m, want_peer_t *p, uint64_t now_ms)
{
    want_block_peer(m, p, now_ms);
}

/* ── what goes out ───────────────────────────────────────────────────────────────────────────── */
want_peer_t *want_manager_next_send(want_manager_t *m)
{
    want_peer_t *p = LIST_FIRST(&m->ready, want_peer_t, ready);
    if (p)
        list_remove(&p->ready);
    return p;
}

size_t want_peer_take_entries(want_manager_t *m, want_peer_t *p, want_entry_t *out, size_t cap)
{
    size_t n = 0;
    LIST_EACH (c, &p->cancels, want_cancel_t, node) {
        if (n == cap)
            break;
        out[n++] = (want_entry_t){.cid = c->cid, .kind = WANT_ENTRY_CANCEL};
        list_remove(&c->node);
        p->n_cancels--;
        free(c);
    }
    LIST_EACH (f, &p->outbox, want_fact_t, in_outbox) {
        if (n == cap)
            break;
        out[n++] = (want_entry_t){.cid = f->want->cid,
                                  .kind = f->is_block_due ? WANT_ENTRY_BLOCK : WANT_ENTRY_HAVE,
                                  .send_dont_have = p->speaks_have,
                                  .is_urgent = f->want->is_urgent};
        f->is_block_sent = f->is_block_sent || f->is_block_due;
        f->is_have_sent = true;
        list_remove(&f->in_outbox);
    }
    if (!list_is_empty(&p->cancels) || !list_is_empty(&p->outbox))
        make_ready(m, p);
    return n;
}

bool want_manager_next_search(want_manager_t *m, want_session_t **ret_session, cid_t *ret_cid)
{
    LIST_EACH (s, &m->sessions, want_session_t, node) {
        if (!s->is_search_due || s->is_searching)
            continue;
        s->is_search_due = false;
        want_t *w = LIST_FIRST(&s->seeking, want_t, node);
        if (!w)
            continue;
        s->is_searching = true;
        *ret_session = s;
        *ret_cid = w->cid;
        return true;
    }
    return false;
}

void want_session_search_done(want_manager_t *m, want_session_t *s, uint64_t now_ms)
{
    s->is_searching = false;
    s->search_at_ms = UINT64_MAX;
    s->search_hold_ms = now_ms + s->search_again_ms;
    if (!list_is_empty(&s->seeking))
        want_plan_search(m, s, s->search_hold_ms);
    s->search_again_ms =
        s->search_again_ms * 2 < m->limits.rebroadcast_ms ? s->search_again_ms * 2 : m->limits.rebroadcast_ms;
}

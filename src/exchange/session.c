/* Who waits for which block; prefetching; the dag/blocks.h view. */
#include "base/log.h"
#include "exchange/internal.h"
#include <stdlib.h>

enum { CACHE_MAX_BLOCKS = 8192, WANTS_PER_SESSION = 2048 };

/* ── waiters ─────────────────────────────────────────────────────────────────────────────────── */
static list_t *waiters_of(bitswap_t *b, const cid_t *cid)
{
    bs_key_t k;
    return map_get(&b->waiters, bs_key(cid, &k));
}

static err_t add_waiter(bitswap_t *b, const cid_t *cid, waiter_t *w)
{
    list_t *all = waiters_of(b, cid);
    if (!all) {
        bs_key_t k;
        all = xmalloc(sizeof *all);
        list_init(all);
        err_t e = map_put(&b->waiters, bs_key(cid, &k), all, NULL);
        if (e) {
            free(all);
            return fail(e, "too many blocks are waited for");
        }
    }
    list_push_back(all, &w->node);
    return OK;
}

static void remove_waiter(bitswap_t *b, const cid_t *cid, waiter_t *w)
{
    list_t *all = waiters_of(b, cid);
    list_remove(&w->node);
    block_release(w->block);
    if (all && list_is_empty(all)) {
        bs_key_t k;
        map_remove(&b->waiters, bs_key(cid, &k));
        free(all);
    }
}

static void wake(waiter_t *w, block_t *block, err_t err)
{
    if (w->is_done)
        return;
    w->is_done = true;
    w->err = err;
    w->block = err ? NULL : block_ref(block);
    event_fire(&w->done);
}

void bs_look_again(bitswap_t *b, const cid_t *cid)
{
    list_t *all = waiters_of(b, cid);
    if (!all)
        return;
    LIST_EACH (w, all, waiter_t, node) {
        wake(w, NULL, ERR_AGAIN);
    }
}

bitswap_session_t *bs_session_find(bitswap_t *b, uint64_t serial)
{
    LIST_EACH (s, &b->sessions, bitswap_session_t, node) {
        if (s->serial == serial)
            return s;
    }
    return NULL;
}

/* A full cache keeps what it has: that was wanted earlier and will be taken first. */
static void keep(bitswap_session_t *s, block_t *block)
{
    bs_key_t k;
    bytes_t key = bs_key(&block->cid, &k);
    if (s->cache_bytes + block->len > BITSWAP_CACHE_MAX_BYTES || map_has(&s->cache, key) ||
        map_put(&s->cache, key, block, NULL))
        return;
    block_ref(block);
    s->cache_bytes += block->len;
    if (s->block_bytes < block->len)
        s->block_bytes = block->len;
}

static bool has_waiter(const list_t *all, const bitswap_session_t *s)
{
    if (all)
        LIST_EACH (w, all, waiter_t, node) {
            if (w->session == s)
                return true;
        }
    return false;
}

/* To the sessions that only read, or to the others. */
static void deliver_to(bitswap_t *b, const arrival_t *a, err_t err, bool readers)
{
    list_t *all = waiters_of(b, &a->cid);
    if (all)
        LIST_EACH (w, all, waiter_t, node) {
            if (w->session->is_reading == readers)
                wake(w, a->block, err);
        }
    for (size_t i = 0; i < a->n_sessions; i++) {
        bitswap_session_t *s = bs_session_find(b, a->sessions[i]);
        if (!s)
            continue;
        if (!err && s->is_reading == readers && !has_waiter(all, s))
            keep(s, a->block);
        event_fire(&s->has_moved);
    }
}

void bs_deliver_early(bitswap_t *b, const arrival_t *a)
{
    deliver_to(b, a, OK, true);
}

void bs_deliver(bitswap_t *b, const arrival_t *a, err_t err)
{
    deliver_to(b, a, err, false);
}

/* ── sessions ────────────────────────────────────────────────────────────────────────────────── */
static err_t view_get(task_t *t, blocks_t *v, const cid_t *cid, block_t **ret_block)
{
    return bitswap_get(t, CONTAINER_OF(v, bitswap_session_t, view), cid, ret_block);
}

static void view_prefetch(task_t *t, blocks_t *v, const cid_t *cids, size_t n)
{
    (void)t;
    bitswap_prefetch(CONTAINER_OF(v, bitswap_session_t, view), cids, n);
}

static err_t view_put_many(task_t *t, blocks_t *v, block_t *const *list, size_t n)
{
    bitswap_t *b = CONTAINER_OF(v, bitswap_session_t, view)->b;
    TRY(blockstore_put_many(t, b->config.blocks, list, n));
    for (size_t i = 0; i < n; i++)
        bitswap_have(b, &list[i]->cid, 1);
    return OK;
}

static bool view_has(task_t *t, blocks_t *v, const cid_t *cid)
{
    bitswap_session_t *s = CONTAINER_OF(v, bitswap_session_t, view);
    bs_key_t k;
    bytes_t key = bs_key(cid, &k);
    return map_has(&s->cache, key) || (s->is_reading && map_has(&s->b->storing, key)) ||
           blockstore_has(t, s->b->config.blocks, cid);
}

static const blocks_ops_t view_ops = {
    .get = view_get, .prefetch = view_prefetch, .put_many = view_put_many, .has = view_has};

err_t bitswap_session_open(bitswap_t *b, bitswap_session_t **ret)
{
    if (b->is_closing)
        return fail(ERR_CLOSED, "bitswap is stopping");
    bitswap_session_t *s = xcalloc(1, sizeof *s);
    s->view.ops = &view_ops;
    s->b = b;
    s->serial = ++b->serial;
    s->refs = 1;
    s->wants = want_session_open(b->wants, sched_now_ms(b->sched));
    want_session_set_user(s->wants, s);
    map_init(&s->cache, CACHE_MAX_BLOCKS);
    event_init(&s->has_moved);
    list_push_back(&b->sessions, &s->node);
    *ret = s;
    return OK;
}

static void release_session(bitswap_session_t *s)
{
    if (--s->refs)
        return;
    void *value;
    for (size_t i = 0; map_next(&s->cache, &i, NULL, &value);)
        block_release(value);
    map_deinit(&s->cache);
    free(s->hints);
    free(s);
}

void bitswap_session_reads(bitswap_session_t *s)
{
    s->is_reading = true;
}

err_t bitswap_session_settle(task_t *t, bitswap_session_t *s)
{
    bitswap_t *b = s->b;
    for (uint64_t given = b->n_verified; b->n_written < given && !b->is_closing;)
        TRY(event_wait(t, &b->has_written));
    return OK;
}

void bitswap_session_close(bitswap_session_t *s)
{
    if (!s)
        return;
    bitswap_t *b = s->b;
    s->is_closed = true;
    list_remove(&s->node);
    want_session_close(b->wants, s->wants, sched_now_ms(b->sched));
    s->wants = NULL;
    if (s->hinter)
        task_cancel(s->hinter);
    void *all;
    for (size_t i = 0; map_next(&b->waiters, &i, NULL, &all);)
        LIST_EACH (w, (list_t *)all, waiter_t, node) {
            if (w->session == s)
                wake(w, NULL, ERR_CLOSED);
        }
    bs_pump(b);
    release_session(s);
}

blocks_t *bitswap_session_blocks(bitswap_session_t *s)
{
    return &s->view;
}

void bitswap_add_peer(bitswap_session_t *s, const peer_id_t *peer)
{
    want_session_add_peer(s->b->wants, s->wants, peer, sched_now_ms(s->b->sched));
    bs_pump(s->b);
}

bool bitswap_session_best_peer(bitswap_session_t *s, peer_id_t *ret)
{
    return want_session_best_peer(s->wants, ret);
}

/* ── getting ─────────────────────────────────────────────────────────────────────────────────── */
/* Blocks carry the CID that was asked for: the same bytes may have come under another codec. */
static err_t give(block_t *block, const cid_t *cid, block_t **ret_block)
{
    if (!cid_equal(&block->cid, cid))
        return block_copy(cid, block_bytes(block), ret_block);
    *ret_block = block_ref(block);
    return OK;
}

static block_t *take_cached(bitswap_session_t *s, const cid_t *cid)
{
    bs_key_t k;
    block_t *block = map_remove(&s->cache, bs_key(cid, &k));
    if (block) {
        s->cache_bytes -= block->len;
        event_fire(&s->has_moved);
    }
    return block;
}

/* Nobody else of this session waits for it: the want goes. */
static void give_up(bitswap_session_t *s, const cid_t *cid, const waiter_t *self)
{
    list_t *all = waiters_of(s->b, cid);
    if (s->is_closed)
        return;
    LIST_EACH (w, all, waiter_t, node) {
        if (w != self && w->session == s)
            return;
    }
    want_session_cancel(s->b->wants, s->wants, cid, sched_now_ms(s->b->sched));
    bs_pump(s->b);
}

static err_t wait_for_delivery(task_t *t, bitswap_session_t *s, const cid_t *cid, waiter_t *w)
{
    bitswap_t *b = s->b;
    bs_key_t k;
    if (s->is_closed || b->is_closing)
        return fail(ERR_CLOSED, "the bitswap session is closed");
    if (!map_has(&b->storing, bs_key(cid, &k)))
        TRY(want_session_want(b->wants, s->wants, cid, true, task_now_ms(t)));
    bs_pump(b);
    while (!w->is_done) {
        err_t e = event_wait(t, &w->done);
        if (!e || w->is_done)
            continue;
        give_up(s, cid, w);
        char text[CID_TEXT_MAX];
        return e == ERR_TIMEOUT ? fail(e, "block %s was not found in time", cid_print(cid, text)) : e;
    }
    return w->err;
}

static err_t wait_for(task_t *t, bitswap_session_t *s, const cid_t *cid, waiter_t *w)
{
    s->waiting++;
    event_fire(&s->has_moved);
    err_t e = wait_for_delivery(t, s, cid, w);
    s->waiting--;
    return e;
}

static err_t find_or_wait(task_t *t, bitswap_session_t *s, const cid_t *cid, waiter_t *w, block_t **ret_block)
{
    bs_key_t k;
    for (;;) {
        /* What is being stored is delivered when it is written. The store may have it already, but to take it
         * there would cost a read and leave the delivered one in the cache for nobody. */
        arrival_t *storing = map_get(&s->b->storing, bs_key(cid, &k));
        if (storing && s->is_reading)
            return give(storing->block, cid, ret_block);
        err_t e = ERR_NOT_FOUND;
        if (!storing)
            e = blockstore_get(t, s->b->config.blocks, cid, ret_block);
        if (e == ERR_CORRUPT) { /* what is here is damaged: fetched anew */
            log_warn("a stored block is damaged and fetched again", LOG_ERR(e));
            TRY(blockstore_discard(t, s->b->config.blocks, cid));
        } else if (e != ERR_NOT_FOUND) {
            return e;
        }
        e = wait_for(t, s, cid, w);
        if (!e)
            return give(w->block, cid, ret_block);
        if (e != ERR_AGAIN)
            return e;
        w->is_done = false;
    }
}

err_t bitswap_get(task_t *t, bitswap_session_t *s, const cid_t *cid, block_t **ret_block)
{
    if (cid_is_identity(cid))
        return block_copy(cid, cid_digest(cid), ret_block);
    AUTO_PTR(block_t) cached = take_cached(s, cid);
    if (cached)
        return give(cached, cid, ret_block);
    bitswap_t *b = s->b;
    waiter_t w = {.session = s};
    event_init(&w.done);
    TRY(add_waiter(b, cid, &w)); /* before the store is asked: it may come meanwhile */
    s->refs++;
    err_t e = find_or_wait(t, s, cid, &w, ret_block);
    remove_waiter(b, cid, &w);
    release_session(s);
    return e;
}

/* ── prefetching ─────────────────────────────────────────────────────────────────────────────── */
static bool is_under_way(bitswap_session_t *s, const cid_t *cid)
{
    bs_key_t k;
    bytes_t key = bs_key(cid, &k);
    return map_has(&s->cache, key) || map_has(&s->b->storing, key);
}

/* What lies in the cache and what was asked for fill it: more would find no place, and be read back from the
 * disk. When nothing is coming and the reader waits, the cache holds what nobody takes. */
static bool is_cache_spoken_for(const bitswap_session_t *s)
{
    size_t coming = want_session_count(s->wants);
    if (s->cache_bytes + s->b->ingest_bytes + (coming + 1) * s->block_bytes <= BITSWAP_CACHE_MAX_BYTES)
        return false;
    return coming || s->b->ingest_bytes || !s->waiting;
}

static err_t hint_task(task_t *t, void *arg)
{
    bitswap_session_t *s = arg;
    bitswap_t *b = s->b;
    while (!s->is_closed && s->n_hints) {
        if (is_cache_spoken_for(s)) {
            if (event_wait(t, &s->has_moved))
                break;
            continue;
        }
        cid_t cid = s->hints[s->hints_at];
        s->hints_at = (s->hints_at + 1) % BITSWAP_HINTS_MAX;
        s->n_hints--;
        if (is_under_way(s, &cid) || want_session_count(s->wants) >= WANTS_PER_SESSION)
            continue;
        if (blockstore_has(t, b->config.blocks, &cid) || s->is_closed)
            continue;
        if (!is_under_way(s, &cid) && want_session_want(b->wants, s->wants, &cid, false, task_now_ms(t)))
            break; /* the want-list is full: hints may be dropped */
        bs_pump(b);
    }
    s->hinter = NULL;
    s->n_hints = s->is_closed ? s->n_hints : 0;
    release_session(s);
    return OK;
}

void bitswap_prefetch(bitswap_session_t *s, const cid_t *cids, size_t n)
{
    if (!s->hints)
        s->hints = xcalloc(BITSWAP_HINTS_MAX, sizeof *s->hints);
    for (size_t i = 0; i < n && s->n_hints < BITSWAP_HINTS_MAX; i++) {
        if (cid_is_identity(&cids[i]) || is_under_way(s, &cids[i]))
            continue;
        s->hints[(s->hints_at + s->n_hints++) % BITSWAP_HINTS_MAX] = cids[i];
    }
    if (!s->n_hints || s->hinter)
        return;
    s->refs++;
    if (group_spawn(&s->b->group, "bitswap-prefetch", hint_task, s, &s->hinter)) {
        s->hinter = NULL;
        s->refs--;
    }
}

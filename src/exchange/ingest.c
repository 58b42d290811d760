/* Blocks in: stream -> arrived -> [hashed on a worker] -> verified -> [written] -> delivered. One task hashes
 * and one writes, for the whole node; batches are as large as what has come meanwhile. The store syncs by
 * itself behind each 64 MiB; what is left is synced a moment after the last block, and at the end. Sessions
 * that only read are given a block when it is verified: they do not wait for the disk. */
#include "base/log.h"
#include "exchange/internal.h"
#include <stdlib.h>

enum {
    HASH_BATCH_BYTES = 2 << 20,
    HASH_BATCH_MAX = 64,
    STORE_BATCH_MAX = 512,
    STORE_BATCH_BYTES = 4 << 20,
    STORING_MAX = 65536,
    SYNC_AFTER_MS = 1000
};

static void free_arrival(bitswap_t *b, arrival_t *a)
{
    assert(a);
    list_remove(&a->node);
    b->ingest_bytes -= a->block->len;
    event_fire(&b->has_room);
    block_release(a->block);
    bs_peer_release(a->from);
    free(a);
}

err_t bs_ingest(task_t *t, bs_peer_t *from, block_t *block)
{
    bitswap_t *b = from->b;
    err_t e = b->is_closing ? ERR_CLOSED : OK;
    if (!e && from->wants && want_peer_is_blocked(from->wants))
        e = fail(ERR_PROTOCOL, "blocks from a peer that sent wrong ones before");
    if (!e && !want_manager_count(b->wants)) { /* late: not worth hashing */
        b->stat.dup_blocks_received++;
        b->stat.dup_data_received += block->len;
        block_release(block);
        return OK;
    }
    while (!e && b->ingest_bytes && b->ingest_bytes + block->len > BITSWAP_INGEST_MAX_BYTES) {
        e = event_wait(t, &b->has_room);
        if (!e && b->is_closing)
            e = ERR_CLOSED;
    }
    if (e) {
        block_release(block);
        return e;
    }
    arrival_t *a = xcalloc(1, sizeof *a);
    a->block = block;
    a->from = bs_peer_ref(from);
    b->ingest_bytes += block->len;
    list_push_back(&b->arrived, &a->node);
    event_fire(&b->has_arrived);
    return OK;
}

/* ── hashing ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct hash_batch {
    arrival_t *items[HASH_BATCH_MAX];
    size_t n;
} hash_batch_t;

static void hash_work(void *arg)
{
    hash_batch_t *batch = arg;
    for (size_t i = 0; i < batch->n; i++) {
        arrival_t *a = batch->items[i];
        a->err = bitswap_block_cid(a->block, &a->cid);
        if (!a->err)
            block_make_sum(a->block); /* for the store, while the bytes are in the processor's cache */
    }
}

static void count_duplicate(bitswap_t *b, const arrival_t *a)
{
    b->stat.dup_blocks_received++;
    b->stat.dup_data_received += a->block->len;
}

/* Its hash is known: is it one of ours? True: it goes on to the store. */
static bool judge(bitswap_t *b, arrival_t *a, uint64_t now_ms)
{
    want_peer_t *from = a->from->wants;
    want_session_t *sessions[ARRAY_LEN(a->sessions)];
    if (a->err) {
        b->stat.bad_blocks++;
        if (from)
            want_manager_bad_block(b->wants, from, now_ms);
        return false;
    }
    size_t n = want_manager_sessions(b->wants, &a->cid, sessions, ARRAY_LEN(sessions));
    for (size_t i = 0; i < n; i++)
        a->sessions[i] = ((bitswap_session_t *)want_session_user(sessions[i]))->serial;
    a->n_sessions = n;
    switch (want_manager_block(b->wants, from, &a->cid, a->block->len, now_ms)) {
    case WANT_DUPLICATE:
        count_duplicate(b, a);
        return false;
    case WANT_UNASKED:
        b->stat.bad_blocks++;
        return false;
    default:
        break;
    }
    a->from->again_ms = BITSWAP_AGAIN_MIN_MS;
    b->stat.blocks_received++;
    b->stat.data_received += a->block->len;
    metric_add(b->metric_received, 1);
    if (a->from->ledger)
        ledger_received(a->from->ledger, a->block->len);
    return true;
}

static err_t hash_task(task_t *t, void *arg)
{
    bitswap_t *b = arg;
    for (;;) {
        while (list_is_empty(&b->arrived))
            TRY(event_wait(t, &b->has_arrived));
        hash_batch_t batch = {.n = 0};
        size_t bytes = 0;
        LIST_EACH (a, &b->arrived, arrival_t, node) {
            if (batch.n == HASH_BATCH_MAX || bytes >= HASH_BATCH_BYTES)
                break;
            batch.items[batch.n++] = a;
            bytes += a->block->len;
        }
        work(t, hash_work, &batch);
        for (size_t i = 0; i < batch.n; i++) {
            arrival_t *a = batch.items[i];
            bs_key_t k;
            if (!judge(b, a, task_now_ms(t)) || map_put(&b->storing, bs_key(&a->cid, &k), a, NULL)) {
                free_arrival(b, a);
                continue;
            }
            a->block->cid = a->cid;
            list_remove(&a->node);
            list_push_back(&b->verified, &a->node);
            b->n_verified++;
            bs_deliver_early(b, a);
        }
        event_fire(&b->has_verified);
        bs_pump(b);
    }
}

/* ── storing ─────────────────────────────────────────────────────────────────────────────────── */
static void finish(bitswap_t *b, arrival_t *a, err_t err)
{
    bs_key_t k;
    map_remove(&b->storing, bs_key(&a->cid, &k));
    bs_deliver(b, a, err);
    if (!err) {
        if (b->config.received)
            b->config.received(b->config.arg, &a->cid);
        ledger_have(b->ledger, &a->cid);
    }
    free_arrival(b, a);
}

typedef struct store_batch {
    arrival_t *items[STORE_BATCH_MAX];
    block_t *blocks[STORE_BATCH_MAX];
    size_t n;
} store_batch_t;

static void take_batch(bitswap_t *b, store_batch_t *batch)
{
    size_t bytes = 0;
    batch->n = 0;
    LIST_EACH (a, &b->verified, arrival_t, node) {
        if (batch->n == STORE_BATCH_MAX || bytes >= STORE_BATCH_BYTES)
            break;
        bytes += a->block->len;
        batch->blocks[batch->n] = a->block;
        batch->items[batch->n++] = a;
        list_remove(&a->node);
        list_push_back(&b->in_store, &a->node);
    }
}

static err_t store_batch(task_t *t, bitswap_t *b, store_batch_t *batch)
{
    take_batch(b, batch);
    AUTO(blockstore_writer_t) w; /* never flushed: who acknowledges blocks syncs the store */
    blockstore_writer_init(&w, b->config.blocks);
    err_t e = blockstore_write(t, &w, batch->blocks, batch->n);
    b->is_unsynced = true;
    event_fire(&b->has_written);
    if (e == ERR_CANCELED)
        return e;
    if (e)
        log_error("bitswap: received blocks cannot be stored", LOG_ERR(e));
    b->n_written += batch->n;
    for (size_t i = 0; i < batch->n; i++)
        finish(b, batch->items[i], e);
    bs_serve(b);
    return OK;
}

static err_t store_task(task_t *t, void *arg)
{
    bitswap_t *b = arg;
    store_batch_t *batch = xcalloc(1, sizeof *batch);
    err_t e = OK;
    while (!e) {
        if (list_is_empty(&b->verified))
            e = event_wait(t, &b->has_verified);
        else
            e = store_batch(t, b, batch);
    }
    free(batch);
    return e;
}

static err_t sync_task(task_t *t, void *arg)
{
    bitswap_t *b = arg;
    for (;;) {
        while (!b->is_unsynced)
            TRY(event_wait(t, &b->has_written));
        TRY(task_sleep(t, SYNC_AFTER_MS));
        b->is_unsynced = false;
        err_t e = blockstore_sync(t, b->config.blocks);
        if (e == ERR_CANCELED)
            return e;
        if (e)
            log_error("bitswap: received blocks cannot be made durable", LOG_ERR(e));
    }
}

err_t bs_ingest_start(bitswap_t *b)
{
    list_init(&b->arrived);
    list_init(&b->verified);
    list_init(&b->in_store);
    event_init(&b->has_arrived);
    event_init(&b->has_verified);
    event_init(&b->has_room);
    event_init(&b->has_written);
    map_init(&b->storing, STORING_MAX);
    map_init(&b->waiters, STORING_MAX);
    TRY(group_spawn(&b->group, "bitswap-hash", hash_task, b, NULL));
    TRY(group_spawn(&b->group, "bitswap-store", store_task, b, NULL));
    return group_spawn(&b->group, "bitswap-sync", sync_task, b, NULL);
}

void bs_ingest_stop(bitswap_t *b)
{
    LIST_EACH (a, &b->arrived, arrival_t, node) {
        free_arrival(b, a);
    }
    LIST_EACH (v, &b->verified, arrival_t, node) {
        free_arrival(b, v);
    }
    LIST_EACH (s, &b->in_store, arrival_t, node) {
        free_arrival(b, s);
    }
    assert(!b->ingest_bytes && !map_count(&b->waiters));
    map_deinit(&b->storing);
    map_deinit(&b->waiters);
}

/* Removing blocks from a pack store, and giving their room back. The index goes first, in one transaction;
 * whatever is done to the segments after it may be interrupted anywhere. */
#include "base/log.h"
#include "store/pack_impl.h"
#include <stdlib.h>

#define REMOVE_BATCH 1024
#define COPY_MAX_BYTES (4u << 20) /* of one turn at the pen */
#define COPY_MAX_RECORDS 512
#define GARBAGE_PART 4 /* a segment is compacted when a quarter of it is garbage */

/* ── removal ─────────────────────────────────────────────────────────────────────────────────── */
/* The multihashes without repetition, as removals. */
static err_t list_removals(const cid_t *cids, size_t n, pack_change_t *changes,
                           uint8_t (*keys)[CID_BINARY_MAX], size_t *ret_n)
{
    map_t seen;
    map_init(&seen, REMOVE_BATCH);
    err_t e = OK;
    for (size_t i = 0; i < n && !e; i++) {
        bytes_t key = bytes_of(keys[i], cid_encode_multihash(&cids[i], keys[i]));
        if (cid_is_identity(&cids[i]) || map_has(&seen, key))
            continue;
        e = map_put(&seen, key, changes, NULL);
        changes[(*ret_n)++] = (pack_change_t){.kind = PACK_REMOVE, .key = key};
    }
    map_deinit(&seen);
    return e;
}

/* With the pen, and nothing pending: a put that comes later finds the block gone and writes it. */
static err_t remove_from_index(task_t *t, pack_store_t *s, pack_change_t *changes, size_t n)
{
    TRY(gate_enter(t, &s->pen));
    AUTO(pack_commit_t) c = {.changes = changes, .n_changes = n};
    pack_row_change_t *disowned = NULL;
    err_t e = pack_drain(t, s);
    if (!e)
        e = pack_confirm(t, s);
    if (!e) {
        c.n_row_changes = pack_disown(s, &disowned);
        c.row_changes = disowned;
        e = pack_commit_to_index(t, s, &c);
    }
    gate_leave(&s->pen);
    free(disowned);
    return e;
}

static err_t remove_batch(task_t *t, pack_store_t *s, const cid_t *cids, size_t n)
{
    uint8_t(*keys)[CID_BINARY_MAX] = malloc(n * sizeof *keys);
    pack_change_t *changes = calloc(n, sizeof *changes);
    size_t count = 0;
    err_t e = keys && changes ? OK : fail(ERR_NO_MEMORY, "no memory to remove %zu blocks", n);
    if (!e)
        e = list_removals(cids, n, changes, keys, &count);
    if (!e && count)
        e = remove_from_index(t, s, changes, count);
    if (!e && count)
        pack_free_room(t, s, changes, count);
    free(keys);
    free(changes);
    return e;
}

err_t pack_remove(task_t *t, blockstore_t *bs, const cid_t *cids, size_t n)
{
    pack_store_t *s = pack_self(bs);
    while (n) {
        size_t count = n < REMOVE_BATCH ? n : REMOVE_BATCH;
        recent_drop(&s->recent, cids, count);
        err_t e = remove_batch(t, s, cids, count);
        recent_drop(&s->recent, cids, count); /* read meanwhile */
        TRY(e);
        cids += count;
        n -= count;
    }
    return OK;
}

/* ── compaction ──────────────────────────────────────────────────────────────────────────────── */
/* Records of one turn, copied out of the scan's window. */
typedef struct turn {
    pack_item_t items[COPY_MAX_RECORDS];
    uint8_t *copies[COPY_MAX_RECORDS];
    size_t n, bytes;
    bool is_end;
} turn_t;

static void turn_clear(turn_t *turn)
{
    for (size_t i = 0; i < turn->n; i++)
        free(turn->copies[i]);
    turn->n = turn->bytes = 0;
}

static err_t turn_add(turn_t *turn, const pack_record_t *record, bytes_t data, pack_loc_t loc)
{
    uint8_t *copy = malloc(data.len ? data.len : 1);
    if (!copy)
        return fail(ERR_NO_MEMORY, "no memory to move a block of %zu bytes", data.len);
    memcpy(copy, data.data, data.len);
    pack_pending_t *pending = pack_pending_new(PACK_MOVE, bytes_of(record->multihash, record->multihash_len));
    pending->old = loc;
    turn->copies[turn->n] = copy;
    turn->items[turn->n++] = (pack_item_t){.data = bytes_of(copy, data.len),
                                           .checksum = record->data_checksum,
                                           .has_checksum = true,
                                           .pending = pending};
    turn->bytes += data.len;
    return OK;
}

/* Collects records that the index still points at. */
static err_t collect(task_t *t, pack_store_t *s, pack_scan_t *scan, turn_t *turn)
{
    while (turn->n < COPY_MAX_RECORDS && turn->bytes < COPY_MAX_BYTES) {
        pack_record_t record;
        bytes_t data;
        pack_loc_t loc, now;
        err_t e = pack_scan_next(t, scan, &record, &data, &loc);
        if (e == ERR_EOF) {
            turn->is_end = true;
            return OK;
        }
        TRY(e);
        bytes_t key = bytes_of(record.multihash, record.multihash_len);
        e = pack_index_find(t, s->index, key, &now);
        if (e == ERR_NOT_FOUND || (!e && !pack_loc_equal(loc, now)))
            continue;
        TRY(e);
        TRY(turn_add(turn, &record, data, loc));
    }
    return OK;
}

static void drop_turn(turn_t *turn)
{
    for (size_t i = 0; i < turn->n; i++)
        free(turn->items[i].pending);
    turn_clear(turn);
}

static err_t move_turn(task_t *t, pack_store_t *s, turn_t *turn)
{
    err_t e = gate_enter(t, &s->pen);
    if (e) {
        drop_turn(turn);
        return e;
    }
    task_shield(t);
    e = pack_append(t, s, turn->items, turn->n);
    task_unshield(t);
    pack_epoch_t *epoch = e ? NULL : s->open;
    if (epoch)
        pack_epoch_ref(epoch);
    gate_leave(&s->pen);
    turn_clear(turn);
    if (epoch)
        e = pack_epoch_wait(t, s, epoch);
    pack_epoch_release(epoch);
    return e;
}

static err_t move_records(task_t *t, pack_store_t *s, pack_segment_t *segment)
{
    AUTO(pack_scan_t) scan;
    pack_scan_init(&scan, segment, 0, segment->row.indexed_bytes);
    turn_t *turn = xcalloc(1, sizeof *turn);
    err_t e = OK;
    while (!e && !turn->is_end) {
        e = collect(t, s, &scan, turn);
        if (e)
            drop_turn(turn);
        else if (turn->n)
            e = move_turn(t, s, turn);
        if (!e)
            e = task_check(t);
    }
    free(turn);
    return e;
}

/* Entries whose record is damaged would keep the segment for ever: they leave the index, so that the blocks
 * can be fetched again. */
static err_t drop_damaged(task_t *t, pack_store_t *s, uint32_t number)
{
    pack_entry_t *entries = xcalloc(REMOVE_BATCH, sizeof *entries);
    pack_change_t *changes = xcalloc(REMOVE_BATCH, sizeof *changes);
    uint8_t after[PACK_MULTIHASH_MAX];
    bytes_t from = BYTES_NONE;
    size_t n = REMOVE_BATCH;
    err_t e = OK;
    while (!e && n == REMOVE_BATCH) {
        e = pack_index_page(t, s->index, from, entries, REMOVE_BATCH, &n);
        size_t count = 0;
        for (size_t i = 0; i < n && !e; i++)
            if (entries[i].loc.segment == number)
                changes[count++] =
                    (pack_change_t){.kind = PACK_REMOVE, .key = bytes_of(entries[i].key, entries[i].key_len)};
        if (!e && count) {
            log_error("damaged blocks are dropped", LOG_UINT("segment", number), LOG_UINT("blocks", count));
            AUTO(pack_commit_t) c = {.changes = changes, .n_changes = count};
            e = pack_commit_to_index(t, s, &c);
        }
        if (n && !e) {
            from = bytes_of(after, entries[n - 1].key_len);
            memcpy(after, entries[n - 1].key, entries[n - 1].key_len);
        }
    }
    free(entries);
    free(changes);
    return e;
}

static bool is_worth_it(const pack_store_t *s, const pack_segment_t *segment)
{
    if (segment->is_dropping || segment->row.is_dead || segment->row.indexed_bytes == 0)
        return false;
    uint64_t used = segment->row.live_record_bytes, all = segment->row.indexed_bytes;
    return all - (used < all ? used : all) >= all / GARBAGE_PART;
}

/* From here on nothing is added to the segment, and all that was is in the index. */
static err_t seal(task_t *t, pack_store_t *s, pack_segment_t *segment)
{
    TRY(gate_enter(t, &s->pen));
    err_t e = pack_drain(t, s);
    if (!e) {
        segment->is_sealed = true;
        if (s->current == segment) {
            pack_segment_release(s, segment);
            s->current = NULL;
        }
    }
    gate_leave(&s->pen);
    return e;
}

static err_t compact_segment(task_t *t, pack_store_t *s, uint32_t number)
{
    pack_segment_t *segment;
    TRY(pack_segment_use(t, s, number, &segment));
    err_t e = pack_segment_load_key(t, segment);
    if (!e)
        e = seal(t, s, segment);
    if (!e && segment->row.live_blocks)
        e = move_records(t, s, segment);
    if (!e && segment->row.live_blocks)
        e = drop_damaged(t, s, number);
    pack_segment_release(s, segment);
    return e ? e : pack_segment_drop(t, s, number);
}

static err_t compact_all(task_t *t, pack_store_t *s)
{
    uint32_t next = 0, newest = s->next_number;
    for (;;) {
        pack_segment_t *found = NULL;
        for (size_t i = 0; i < s->n_segments && !found; i++)
            if (s->segments[i]->number >= next && is_worth_it(s, s->segments[i]))
                found = s->segments[i];
        if (!found || found->number >= newest)
            return OK;
        next = found->number + 1;
        err_t e = compact_segment(t, s, found->number);
        if (e == ERR_CORRUPT) {
            log_error("a segment cannot be compacted", LOG_UINT("segment", next - 1), LOG_ERR(e));
            e = OK;
        }
        TRY(e);
    }
}

err_t pack_compact(task_t *t, blockstore_t *bs)
{
    pack_store_t *s = pack_self(bs);
    TRY(gate_enter(t, &s->compact_gate));
    err_t e = compact_all(t, s);
    pack_punch(t, s);
    gate_leave(&s->compact_gate);
    return e;
}

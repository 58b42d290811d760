/* Writing in a pack store. One task at a time, who has the pen, looks up what is there already and appends
 * the rest to the current segment. What is appended belongs to the open epoch; a committer that runs while
 * there is something to commit closes the epoch, syncs, and makes one index transaction, beside the
 * writing of the next. Tasks wait for their epochs, so that all who wrote meanwhile share one sync. */
#include "base/checksum.h"
#include "store/pack_impl.h"
#include <stdio.h>
#include <stdlib.h>

#define SUM_INLINE_MAX_BYTES (64 * 1024) /* a trip to a worker takes longer */
#define HEADER_ROOM (PACK_RECORD_HEADER_BYTES + PACK_MULTIHASH_MAX + PACK_ALIGN)

/* ── epochs ──────────────────────────────────────────────────────────────────────────────────── */
pack_pending_t *pack_pending_new(pack_change_kind_t kind, bytes_t key)
{
    assert(key.len <= PACK_MULTIHASH_MAX);
    pack_pending_t *p = xcalloc(1, sizeof *p + key.len);
    p->kind = kind;
    p->key_len = (uint8_t)key.len;
    memcpy(p->key, key.data, key.len);
    return p;
}

static bytes_t pending_key(const pack_pending_t *p)
{
    return bytes_of(p->key, p->key_len);
}

static void pending_free(pack_store_t *s, pack_pending_t *p)
{
    if (map_get(&s->overlay, pending_key(p)) == p)
        map_remove(&s->overlay, pending_key(p));
    free(p);
}

void pack_epoch_ref(pack_epoch_t *e)
{
    e->refs++;
}

void pack_epoch_release(pack_epoch_t *e)
{
    if (!e || --e->refs)
        return;
    assert(e->n == 0 && e->n_touched == 0);
    free(e->pending);
    free(e->touched);
    free(e);
}

static pack_epoch_t *open_epoch(pack_store_t *s)
{
    if (!s->open) {
        s->open = xcalloc(1, sizeof *s->open);
        s->open->refs = 1;
    }
    return s->open;
}

static bool is_full(const pack_store_t *s, const pack_epoch_t *e)
{
    return e && (e->bytes >= s->options.commit_bytes || e->n >= s->index->commit_max_blocks);
}

static void epoch_touch(pack_epoch_t *e, pack_segment_t *segment)
{
    if (e->n_touched == 0 || e->touched[e->n_touched - 1].segment != segment) {
        e->touched = xrealloc(e->touched, (e->n_touched + 1) * sizeof *e->touched);
        segment->users++;
        e->touched[e->n_touched++].segment = segment;
    }
    e->touched[e->n_touched - 1].end_bytes = segment->size_bytes;
}

static void epoch_add(pack_epoch_t *e, pack_pending_t *p)
{
    if (e->n == e->cap) {
        e->cap = e->cap ? 2 * e->cap : 64;
        e->pending = xrealloc(e->pending, e->cap * sizeof(pack_pending_t *));
    }
    p->epoch = e;
    e->pending[e->n++] = p;
}

/* Publishes the result and frees what the epoch held. */
static void epoch_end(pack_store_t *s, pack_epoch_t *e, err_t result)
{
    e->result = result;
    if (result) {
        snprintf(e->text, sizeof e->text, "%s", error_text(result));
        s->losses++;
        recent_clear(&s->recent); /* some may have been read */
    }
    for (size_t i = 0; i < e->n; i++)
        pending_free(s, e->pending[i]);
    for (size_t i = 0; i < e->n_touched; i++)
        pack_segment_release(s, e->touched[i].segment);
    e->n = e->n_touched = 0;
    e->is_done = true;
    pack_epoch_release(e);
    event_fire(&s->changed);
}

/* ── the committer ───────────────────────────────────────────────────────────────────────────── */
static err_t sync_touched(task_t *t, pack_store_t *s, pack_epoch_t *e)
{
    for (size_t i = 0; i < e->n_touched; i++) {
        err_t result = file_sync(t, e->touched[i].segment->file);
        if (result) {
            e->touched[i].segment->is_failed = true;
            return result;
        }
    }
    if (!s->folder_is_dirty)
        return OK;
    char folder[PACK_PATH_MAX];
    snprintf(folder, sizeof folder, "%s/pack", s->folder);
    s->folder_is_dirty = false;
    err_t result = fs_sync_dir(t, folder);
    s->folder_is_dirty |= result != OK;
    return result;
}

static void update_rows(pack_store_t *s, const pack_commit_t *c)
{
    for (size_t i = 0; i < c->n_rows; i++) {
        pack_segment_t *segment = pack_segment_find(s, c->rows[i].segment);
        if (segment)
            segment->row = c->rows[i];
    }
}

err_t pack_commit_to_index(task_t *t, pack_store_t *s, pack_commit_t *c)
{
    task_shield(t);
    (void)!gate_enter(t, &s->index_gate);
    err_t e = pack_index_commit(t, s->index, c);
    if (!e)
        update_rows(s, c);
    s->is_in_doubt = e != OK;
    gate_leave(&s->index_gate);
    task_unshield(t);
    return e;
}

err_t pack_confirm(task_t *t, pack_store_t *s)
{
    if (!s->is_in_doubt || !s->n_segments)
        return OK;
    /* A row as it is, written again. */
    pack_segment_t *any = s->segments[0];
    pack_row_change_t change = {.segment = any->number, .kind = PACK_ROW_INDEXED, .tag = any->row.tag};
    AUTO(pack_commit_t) c = {.row_changes = &change, .n_row_changes = 1};
    return pack_commit_to_index(t, s, &c);
}

static err_t index_epoch(task_t *t, pack_store_t *s, pack_epoch_t *e)
{
    pack_change_t *changes = xcalloc(e->n, sizeof *changes);
    pack_row_change_t *rows = xcalloc(e->n_touched, sizeof *rows);
    for (size_t i = 0; i < e->n; i++) {
        const pack_pending_t *p = e->pending[i];
        changes[i] = (pack_change_t){.kind = p->kind, .key = pending_key(p), .loc = p->loc, .old = p->old};
    }
    for (size_t i = 0; i < e->n_touched; i++)
        rows[i] = (pack_row_change_t){.segment = e->touched[i].segment->number,
                                      .kind = PACK_ROW_INDEXED,
                                      .indexed_bytes = e->touched[i].end_bytes,
                                      .tag = pack_segment_tag(e->touched[i].segment)};
    AUTO(pack_commit_t)
    c = {.changes = changes, .n_changes = e->n, .row_changes = rows, .n_row_changes = e->n_touched};
    err_t result = pack_commit_to_index(t, s, &c);
    free(changes);
    free(rows);
    return result;
}

/* After a failed sync nobody knows what the segment's pages hold: what was written meanwhile fails too. */
static void fail_open_epoch(pack_store_t *s, err_t result)
{
    pack_epoch_t *e = s->open;
    if (!e)
        return;
    s->open = NULL;
    epoch_end(s, e, result);
}

void pack_abandon(pack_store_t *s)
{
    fail_open_epoch(s, ERR_CLOSED);
}

static err_t run_committer(task_t *t, void *arg)
{
    pack_store_t *s = arg;
    task_shield(t);
    while (s->open && (s->open->is_wanted || is_full(s, s->open))) {
        pack_epoch_t *e = s->open;
        s->committing = e;
        s->open = NULL;
        event_fire(&s->changed); /* there is room to write again */
        err_t result = sync_touched(t, s, e);
        bool is_unsynced = result != OK;
        if (!result)
            result = index_epoch(t, s, e);
        s->committing = NULL;
        if (is_unsynced)
            fail_open_epoch(s, result);
        epoch_end(s, e, result);
    }
    s->is_committer_running = false;
    event_fire(&s->changed);
    task_unshield(t);
    return OK;
}

static err_t start_committer(pack_store_t *s)
{
    if (s->is_committer_running || !s->open || !(s->open->is_wanted || is_full(s, s->open)))
        return OK;
    TRY(group_spawn(&s->group, "pack-commit", run_committer, s, NULL));
    s->is_committer_running = true;
    return OK;
}

err_t pack_epoch_wait(task_t *t, pack_store_t *s, pack_epoch_t *e)
{
    while (!e->is_done) {
        e->is_wanted = true;
        TRY(start_committer(s));
        TRY(event_wait(t, &s->changed));
    }
    return e->result ? fail(e->result, "%s", e->text) : OK;
}

err_t pack_drain(task_t *t, pack_store_t *s)
{
    TRY(pack_behind_flush(t, s));
    while (s->committing || (s->open && s->open->n)) {
        pack_epoch_t *e = s->open && s->open->n ? s->open : s->committing;
        pack_epoch_ref(e);
        err_t result = pack_epoch_wait(t, s, e);
        pack_epoch_release(e);
        TRY(result);
    }
    return OK;
}

/* ── checksums ───────────────────────────────────────────────────────────────────────────────── */
typedef struct sum_job {
    pack_item_t *items;
    size_t n;
} sum_job_t;

static void sum(void *arg)
{
    sum_job_t *job = arg;
    for (size_t i = 0; i < job->n; i++) {
        pack_item_t *item = &job->items[i];
        if (!item->has_checksum)
            item->checksum = checksum_of(item->data, 0);
        item->has_checksum = true;
    }
}

void pack_sum(task_t *t, pack_item_t *items, size_t n)
{
    sum_job_t job = {items, n};
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += items[i].has_checksum ? 0 : items[i].data.len;
    if (bytes > SUM_INLINE_MAX_BYTES)
        work(t, sum, &job);
    else
        sum(&job);
}

/* ── records ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct append_job {
    pack_item_t *items;
    size_t n;
    uint8_t *headers; /* HEADER_ROOM for each: the padding of the former record, the header, the multihash */
    bytes_t *pieces;  /* 2 n + 1 */
    uint8_t key[16];
    uint32_t segment;
    uint64_t start, end;
} append_job_t;

/* Headers and places. */
static void prepare(append_job_t *job)
{
    uint64_t at = job->start;
    size_t padding = 0;
    for (size_t i = 0; i < job->n; i++) {
        pack_item_t *item = &job->items[i];
        pack_pending_t *p = item->pending;
        uint8_t *out = job->headers + i * HEADER_ROOM;
        memset(out, 0, padding);
        pack_record_t record = {.data_len = (uint32_t)item->data.len,
                                .multihash_len = p->key_len,
                                .data_checksum = item->checksum};
        memcpy(record.multihash, p->key, p->key_len);
        size_t header_len = pack_record_encode(&record, job->key, at, out + padding);
        item->header_at = at;
        p->loc = (pack_loc_t){job->segment, (uint32_t)(at + header_len), record.data_len};
        job->pieces[2 * i] = bytes_of(out, padding + header_len);
        job->pieces[2 * i + 1] = item->data;
        uint64_t behind = at + header_len + item->data.len;
        at += pack_record_bytes(p->key_len, item->data.len);
        padding = at - behind;
    }
    static const uint8_t zeros[PACK_ALIGN];
    job->pieces[2 * job->n] = bytes_of(zeros, padding);
    job->end = at;
}

static err_t write_records(task_t *t, pack_store_t *s, append_job_t *job)
{
    pack_segment_t *segment = s->current;
    job->headers = malloc(job->n * HEADER_ROOM);
    job->pieces = malloc((2 * job->n + 1) * sizeof *job->pieces);
    err_t e = OK;
    if (!job->headers || !job->pieces)
        e = fail(ERR_NO_MEMORY, "no memory to write %zu blocks", job->n);
    if (!e) {
        memcpy(job->key, segment->key, sizeof job->key);
        job->segment = segment->number;
        job->start = segment->size_bytes;
        prepare(job);
        e = file_write_at(t, segment->file, job->pieces, 2 * job->n + 1, job->start);
    }
    if (!e && segment->is_failed)
        e = fail(ERR_IO, "segment %u could not be synced", segment->number);
    free(job->headers);
    free(job->pieces);
    return e;
}

/* Gives back what a failed write took. Where that fails too, the segment counts it in and is left alone, so
 * that pack_disown can tell the index to pass over it. */
static void cut_failed_write(task_t *t, pack_segment_t *segment, const append_job_t *job)
{
    error_slot_t saved = *error_slot();
    if (file_truncate(t, segment->file, segment->size_bytes)) {
        segment->is_sealed = true;
        if (job->end > segment->size_bytes)
            segment->size_bytes = job->end;
    }
    *error_slot() = saved;
}

size_t pack_disown(pack_store_t *s, pack_row_change_t **ret_changes)
{
    pack_row_change_t *changes = NULL;
    size_t n = 0;
    for (size_t i = 0; i < s->n_segments; i++) {
        pack_segment_t *segment = s->segments[i];
        if (!segment->has_key || segment->row.is_dead || segment->size_bytes <= segment->row.indexed_bytes)
            continue;
        changes = xrealloc(changes, (n + 1) * sizeof *changes);
        changes[n++] = (pack_row_change_t){.segment = segment->number,
                                           .kind = PACK_ROW_INDEXED,
                                           .indexed_bytes = segment->size_bytes,
                                           .tag = pack_segment_tag(segment)};
    }
    *ret_changes = changes;
    return n;
}

err_t pack_append(task_t *t, pack_store_t *s, pack_item_t *items, size_t n)
{
    append_job_t job = {.items = items, .n = n};
    err_t e = pack_segment_for_write(t, s);
    if (!e) {
        e = write_records(t, s, &job);
        if (e)
            cut_failed_write(t, s->current, &job);
    }
    if (e) {
        for (size_t i = 0; i < n; i++)
            pending_free(s, items[i].pending);
        return e;
    }
    s->current->size_bytes = job.end;
    pack_epoch_t *epoch = open_epoch(s);
    epoch_touch(epoch, s->current);
    epoch->bytes += job.end - job.start;
    for (size_t i = 0; i < n; i++)
        epoch_add(epoch, items[i].pending);
    return start_committer(s);
}

/* ── puts ────────────────────────────────────────────────────────────────────────────────────── */
/* The epochs that a caller has to wait for. */
typedef struct wait_list {
    pack_epoch_t **epochs;
    size_t n;
    err_t failed; /* of one that was dropped from the list already */
    char text[ERROR_TEXT_MAX];
} wait_list_t;

static void wait_list_add(wait_list_t *w, pack_epoch_t *e)
{
    size_t kept = 0;
    bool is_listed = false;
    for (size_t i = 0; i < w->n; i++) {
        pack_epoch_t *it = w->epochs[i];
        is_listed |= it == e;
        if (!it->is_done) {
            w->epochs[kept++] = it;
            continue;
        }
        if (it->result && !w->failed) {
            w->failed = it->result;
            memcpy(w->text, it->text, sizeof w->text);
        }
        pack_epoch_release(it);
    }
    w->n = kept;
    if (is_listed)
        return;
    w->epochs = xrealloc(w->epochs, (w->n + 1) * sizeof(pack_epoch_t *));
    pack_epoch_ref(e);
    w->epochs[w->n++] = e;
}

static void wait_list_free(wait_list_t *w)
{
    for (size_t i = 0; i < w->n; i++)
        pack_epoch_release(w->epochs[i]);
    free(w->epochs);
    *w = (wait_list_t){0};
}

static err_t wait_list_wait(task_t *t, pack_store_t *s, wait_list_t *w)
{
    for (size_t i = 0; i < w->n; i++)
        TRY(pack_epoch_wait(t, s, w->epochs[i]));
    return w->failed ? fail(w->failed, "%s", w->text) : OK;
}

/* Keeps the items of blocks that are not there; those that are on their way are waited for. */
static err_t pick_new(task_t *t, pack_store_t *s, block_t *const *blocks, size_t n, pack_item_t *items,
                      size_t *ret_n, wait_list_t *w)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t raw[CID_BINARY_MAX];
        bytes_t key = bytes_of(raw, cid_encode_multihash(&blocks[i]->cid, raw));
        pack_pending_t *pending = map_get(&s->overlay, key);
        if (pending && pending->epoch)
            wait_list_add(w, pending->epoch);
        if (pending)
            continue;
        pack_loc_t loc;
        err_t e = pack_index_find(t, s->index, key, &loc);
        if (!e)
            continue;
        if (e != ERR_NOT_FOUND)
            return e;
        pending = pack_pending_new(PACK_PUT, key);
        e = map_put(&s->overlay, key, pending, NULL);
        if (e) {
            free(pending);
            return e;
        }
        items[*ret_n] = items[i];
        items[(*ret_n)++].pending = pending;
    }
    return OK;
}

/* With the pen. */
static err_t put_chunk(task_t *t, pack_store_t *s, block_t *const *blocks, size_t n, pack_item_t *items,
                       wait_list_t *w)
{
    while (is_full(s, s->open) && s->committing) { /* the disk is behind */
        TRY(start_committer(s));
        TRY(event_wait(t, &s->changed));
    }
    TRY(pack_confirm(t, s));
    size_t n_items = 0;
    task_shield(t);
    err_t e = pick_new(t, s, blocks, n, items, &n_items, w);
    if (e)
        for (size_t i = 0; i < n_items; i++)
            pending_free(s, items[i].pending);
    else if (n_items) {
        e = pack_append(t, s, items, n_items);
        if (!e && s->open)
            wait_list_add(w, s->open);
    }
    task_unshield(t);
    return e;
}

static size_t chunk_of(block_t *const *blocks, size_t n)
{
    size_t count = 0, bytes = 0;
    while (count < n && count < PACK_CHUNK_MAX_BLOCKS && (count == 0 || bytes < PACK_CHUNK_MAX_BYTES))
        bytes += blocks[count++]->len;
    return count;
}

static pack_item_t *items_of(task_t *t, block_t *const *blocks, size_t n)
{
    pack_item_t *items = xcalloc(n, sizeof *items);
    for (size_t i = 0; i < n; i++)
        items[i] = (pack_item_t){
            .data = block_bytes(blocks[i]), .checksum = blocks[i]->sum, .has_checksum = blocks[i]->has_sum};
    pack_sum(t, items, n);
    return items;
}

/* What needs no pen is done before: the disk has another chunk to write meanwhile. */
static err_t write_chunk(task_t *t, pack_store_t *s, block_t *const *blocks, size_t n, wait_list_t *w)
{
    pack_item_t *items = items_of(t, blocks, n);
    err_t e = gate_enter(t, &s->pen);
    if (!e) {
        e = put_chunk(t, s, blocks, n, items, w);
        gate_leave(&s->pen);
    }
    free(items);
    return e;
}

err_t pack_write_with_pen(task_t *t, pack_store_t *s, block_t *const *blocks, size_t n)
{
    wait_list_t w = {0};
    pack_item_t *items = items_of(t, blocks, n);
    err_t e = put_chunk(t, s, blocks, n, items, &w);
    wait_list_free(&w);
    free(items);
    return e;
}

static err_t write_all(task_t *t, pack_store_t *s, block_t *const *blocks, size_t n, wait_list_t *w)
{
    while (n) {
        size_t count = chunk_of(blocks, n);
        TRY(write_chunk(t, s, blocks, count, w));
        blocks += count;
        n -= count;
    }
    return OK;
}

err_t pack_put_many(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n)
{
    pack_store_t *s = pack_self(bs);
    wait_list_t w = {0};
    err_t e = write_all(t, s, blocks, n, &w);
    if (!e)
        e = wait_list_wait(t, s, &w);
    wait_list_free(&w);
    return e;
}

err_t pack_sync(task_t *t, blockstore_t *bs)
{
    pack_store_t *s = pack_self(bs);
    wait_list_t w = {0};
    if (map_count(&s->behind)) {
        TRY(gate_enter(t, &s->pen));
        err_t flushed = pack_behind_flush(t, s);
        gate_leave(&s->pen);
        TRY(flushed);
    }
    if (s->committing)
        wait_list_add(&w, s->committing);
    if (s->open)
        wait_list_add(&w, s->open);
    err_t e = wait_list_wait(t, s, &w);
    wait_list_free(&w);
    return e;
}

uint64_t pack_losses(const blockstore_t *bs)
{
    return CONTAINER_OF(bs, const pack_store_t, base)->losses;
}

err_t pack_write_many(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n, void **state)
{
    if (!*state)
        *state = xcalloc(1, sizeof(wait_list_t));
    return write_all(t, pack_self(bs), blocks, n, *state);
}

err_t pack_settle(task_t *t, blockstore_t *bs, void **state)
{
    wait_list_t *w = *state;
    if (!w)
        return OK;
    err_t e = t ? wait_list_wait(t, pack_self(bs), w) : OK;
    wait_list_free(w);
    free(w);
    *state = NULL;
    return e;
}

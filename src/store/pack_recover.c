/* Opening a pack store after anything may have happened: the index is brought up to what stands in the
 * segments, torn tails are cut, half-dropped segments are dropped, and entries whose bytes are gone leave
 * the index, so that those blocks can be fetched again. */
#include "base/log.h"
#include "store/pack_impl.h"
#include <stdio.h>
#include <stdlib.h>

#define BATCH_ENTRIES 2048

/* ── a segment's unindexed part ──────────────────────────────────────────────────────────────── */
typedef struct found {
    pack_change_t changes[BATCH_ENTRIES];
    uint8_t keys[BATCH_ENTRIES][PACK_MULTIHASH_MAX];
    size_t n;
} found_t;

/* The records' bytes are synced before the index speaks of them: after the kill of the process alone they
 * may stand in the page cache only. */
static err_t index_found(task_t *t, pack_store_t *s, pack_segment_t *segment, found_t *found, uint64_t end)
{
    TRY(file_sync(t, segment->file));
    pack_row_change_t row = {.segment = segment->number,
                             .kind = PACK_ROW_INDEXED,
                             .indexed_bytes = end,
                             .tag = pack_segment_tag(segment)};
    AUTO(pack_commit_t)
    c = {.changes = found->changes, .n_changes = found->n, .row_changes = &row, .n_row_changes = 1};
    TRY(pack_commit_to_index(t, s, &c));
    found->n = 0;
    return OK;
}

/* seen: a key may stand twice in one segment after a compaction was interrupted. */
static err_t index_records(task_t *t, pack_store_t *s, pack_scan_t *scan, found_t *found, map_t *seen)
{
    pack_record_t record;
    bytes_t data;
    pack_loc_t loc;
    err_t e;
    while (!(e = pack_scan_next(t, scan, &record, &data, &loc))) {
        bytes_t key = bytes_of(record.multihash, record.multihash_len);
        if (map_has(seen, key))
            continue;
        TRY(map_put(seen, key, found, NULL));
        uint8_t *copy = found->keys[found->n];
        memcpy(copy, key.data, key.len);
        found->changes[found->n++] =
            (pack_change_t){.kind = PACK_PUT, .key = bytes_of(copy, key.len), .loc = loc};
        if (found->n == BATCH_ENTRIES) {
            TRY(index_found(t, s, scan->segment, found, scan->good_end));
            map_deinit(seen);
            map_init(seen, BATCH_ENTRIES);
        }
    }
    return e == ERR_EOF ? OK : e;
}

static err_t catch_up(task_t *t, pack_store_t *s, pack_segment_t *segment, uint64_t file_bytes)
{
    AUTO(pack_scan_t) scan;
    pack_scan_init(&scan, segment, segment->row.indexed_bytes, file_bytes);
    found_t *found = xcalloc(1, sizeof *found);
    map_t seen;
    map_init(&seen, BATCH_ENTRIES);
    err_t e = index_records(t, s, &scan, found, &seen);
    map_deinit(&seen);
    segment->size_bytes = scan.good_end;
    if (!e && scan.good_end < file_bytes) {
        log_info("cut the torn tail of a segment", LOG_UINT("segment", segment->number),
                 LOG_UINT("bytes", file_bytes - scan.good_end));
        e = file_truncate(t, segment->file, scan.good_end);
    }
    if (!e)
        e = index_found(t, s, segment, found, scan.good_end);
    free(found);
    return e;
}

/* Without its header a segment's records cannot be told from chance. What the index knows can still be
 * read; a file that it does not know was either never written to or is put aside. */
static err_t set_aside(task_t *t, pack_store_t *s, pack_segment_t *segment, uint64_t file_bytes)
{
    char path[PACK_PATH_MAX], aside[PACK_PATH_MAX + 8];
    pack_segment_path(s, segment->number, path);
    segment->is_sealed = true;
    if (segment->row.indexed_bytes) {
        log_error("the header of a segment is damaged: nothing is added to it", LOG_STR("path", path));
        return OK;
    }
    bool is_unborn = s->newest_row && segment->number > s->newest_row; /* never committed to */
    if (is_unborn || file_bytes <= PACK_SEGMENT_HEADER_BYTES)
        return fs_unlink(t, path);
    snprintf(aside, sizeof aside, "%s.bad", path);
    log_error("a segment without a header is put aside", LOG_STR("path", aside));
    return fs_rename(t, path, aside);
}

static err_t open_segment(task_t *t, pack_store_t *s, uint32_t number, uint64_t file_bytes,
                          bool *ret_is_aside)
{
    pack_segment_t *segment;
    TRY(pack_segment_use(t, s, number, &segment));
    err_t e = pack_segment_load_key(t, segment);
    if (e == ERR_CORRUPT) {
        *ret_is_aside = segment->row.indexed_bytes == 0;
        e = set_aside(t, s, segment, file_bytes);
    } else if (!e) {
        e = catch_up(t, s, segment, file_bytes);
    }
    pack_segment_release(s, segment);
    return e;
}

/* ── entries without bytes ───────────────────────────────────────────────────────────────────── */
static bool is_lost(pack_store_t *s, const pack_entry_t *entry)
{
    pack_segment_t *segment = pack_segment_find(s, entry->loc.segment);
    return !segment || (uint64_t)entry->loc.offset + entry->loc.len > segment->size_bytes;
}

static err_t drop_lost_page(task_t *t, pack_store_t *s, const pack_entry_t *entries, size_t n,
                            uint64_t *dropped)
{
    pack_change_t *changes = xcalloc(n + 1, sizeof *changes);
    AUTO(pack_commit_t) c = {.changes = changes};
    for (size_t i = 0; i < n; i++)
        if (is_lost(s, &entries[i]))
            changes[c.n_changes++] =
                (pack_change_t){.kind = PACK_REMOVE, .key = bytes_of(entries[i].key, entries[i].key_len)};
    *dropped += c.n_changes;
    err_t e = c.n_changes ? pack_commit_to_index(t, s, &c) : OK;
    free(changes);
    return e;
}

static err_t drop_lost(task_t *t, pack_store_t *s)
{
    uint64_t dropped = 0;
    size_t n = BATCH_ENTRIES;
    uint8_t after[PACK_MULTIHASH_MAX];
    bytes_t from = BYTES_NONE;
    pack_entry_t *entries = xcalloc(BATCH_ENTRIES, sizeof *entries);
    err_t e = OK;
    while (!e && n == BATCH_ENTRIES) {
        e = pack_index_page(t, s->index, from, entries, BATCH_ENTRIES, &n);
        if (!e)
            e = drop_lost_page(t, s, entries, n, &dropped);
        if (!e && n) {
            from = bytes_of(after, entries[n - 1].key_len);
            memcpy(after, entries[n - 1].key, entries[n - 1].key_len);
        }
    }
    free(entries);
    if (dropped)
        log_error("blocks were lost with their segment", LOG_UINT("blocks", dropped));
    return e;
}

/* ── the whole ───────────────────────────────────────────────────────────────────────────────── */
static err_t list_files(task_t *t, pack_store_t *s)
{
    char folder[PACK_PATH_MAX];
    snprintf(folder, sizeof folder, "%s/pack", s->folder);
    AUTO(dir_list_t) list = {0};
    TRY(fs_list(t, folder, &list));
    for (size_t i = 0; i < list.count; i++) {
        unsigned number;
        int len = 0;
        if (sscanf(list.names[i], "%8u.seg%n", &number, &len) != 1 || len != 12 || list.names[i][len])
            continue;
        char path[PACK_PATH_MAX];
        file_info_t info;
        pack_segment_path(s, number, path);
        TRY(fs_stat(t, path, false, &info));
        pack_segment_add(s, number)->size_bytes = info.size_bytes;
    }
    return OK;
}

/* Is this index one of these segments? */
static err_t check_tag(task_t *t, pack_store_t *s)
{
    for (size_t i = s->n_segments; i-- > 0;) {
        pack_segment_t *segment = s->segments[i];
        if (!segment->row.indexed_bytes)
            continue;
        TRY(pack_segment_use(t, s, segment->number, &segment));
        bool is_foreign =
            pack_segment_load_key(t, segment) == OK && pack_segment_tag(segment) != segment->row.tag;
        pack_segment_release(s, segment);
        return is_foreign ? fail(ERR_CORRUPT, "the index belongs to other segments") : OK;
    }
    return OK;
}

static err_t match_row(task_t *t, pack_store_t *s, const pack_row_t *row, bool *has_lost)
{
    if (row->segment >= s->next_number)
        s->next_number = row->segment + 1;
    if (row->segment > s->newest_row)
        s->newest_row = row->segment;
    if (row->is_dead)
        return pack_segment_drop(t, s, row->segment);
    pack_segment_t *segment = pack_segment_find(s, row->segment);
    if (segment)
        segment->row = *row;
    if (!segment || segment->size_bytes < row->indexed_bytes)
        *has_lost = true;
    return OK;
}

/* Rows of files that are not there, once nothing points to them. */
static err_t forget_rows(task_t *t, pack_store_t *s, const pack_row_t *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (rows[i].is_dead || pack_segment_find(s, rows[i].segment))
            continue;
        log_error("a segment is missing", LOG_UINT("segment", rows[i].segment));
        pack_row_change_t change = {.segment = rows[i].segment, .kind = PACK_ROW_FORGET};
        AUTO(pack_commit_t) c = {.row_changes = &change, .n_row_changes = 1};
        TRY(pack_commit_to_index(t, s, &c));
    }
    return OK;
}

static err_t catch_up_all(task_t *t, pack_store_t *s)
{
    for (size_t i = 0; i < s->n_segments; i++) {
        pack_segment_t *segment = s->segments[i];
        if (segment->size_bytes < segment->row.indexed_bytes)
            segment->is_sealed = true; /* shortened by something else: leave it as it is */
        if (segment->size_bytes <= segment->row.indexed_bytes)
            continue;
        bool is_aside = false;
        TRY(open_segment(t, s, segment->number, segment->size_bytes, &is_aside));
        if (is_aside)
            pack_segment_forget(s, s->segments[i--]->number);
    }
    return OK;
}

err_t pack_recover(task_t *t, pack_store_t *s)
{
    pack_row_t *rows = NULL;
    size_t n = 0;
    bool has_lost = false;
    s->newest_row = 0;
    TRY(list_files(t, s));
    TRY(pack_index_rows(t, s->index, &rows, &n));
    err_t e = OK;
    for (size_t i = 0; i < n && !e; i++)
        e = match_row(t, s, &rows[i], &has_lost);
    if (!e)
        e = check_tag(t, s);
    if (!e)
        e = catch_up_all(t, s);
    if (!e && has_lost)
        e = drop_lost(t, s);
    if (!e && has_lost)
        e = forget_rows(t, s, rows, n);
    free(rows);
    return e;
}

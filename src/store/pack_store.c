#include "store/pack_store.h"
#include "base/log.h"
#include "store/pack_impl.h"
#include <stdio.h>
#include <stdlib.h>

#define SEGMENT_BYTES ((uint64_t)256 << 20)
#define COMMIT_BYTES ((uint64_t)64 << 20)
#define PAGE_ENTRIES 256

static err_t visit_entries(task_t *t, const pack_entry_t *entries, size_t n, blockstore_visit_fn visit,
                           void *arg)
{
    for (size_t i = 0; i < n; i++) {
        cid_t cid;
        TRY(cid_from_multihash(bytes_of(entries[i].key, entries[i].key_len), CODEC_RAW, &cid));
        TRY(visit(t, arg, &cid, entries[i].loc.len));
    }
    return OK;
}

static err_t each(task_t *t, blockstore_t *bs, blockstore_visit_fn visit, void *arg)
{
    pack_store_t *s = pack_self(bs);
    TRY(gate_enter(t, &s->pen)); /* what was put before is in the index then */
    err_t e = pack_drain(t, s);
    gate_leave(&s->pen);
    TRY(e);
    pack_entry_t *entries = xcalloc(PAGE_ENTRIES, sizeof *entries);
    uint8_t after[PACK_MULTIHASH_MAX];
    bytes_t from = BYTES_NONE;
    size_t n = PAGE_ENTRIES;
    while (!e && n == PAGE_ENTRIES) {
        e = pack_index_page(t, s->index, from, entries, PAGE_ENTRIES, &n);
        if (!e && n) {
            from = bytes_of(after, entries[n - 1].key_len);
            memcpy(after, entries[n - 1].key, entries[n - 1].key_len);
            e = visit_entries(t, entries, n, visit, arg);
        }
    }
    free(entries);
    return e;
}

static err_t stat_store(task_t *t, blockstore_t *bs, blockstore_stat_t *ret)
{
    pack_store_t *s = pack_self(bs);
    blockstore_stat_t stat = {0};
    TRY(pack_index_disk_bytes(t, s->index, &stat.disk_bytes));
    uint32_t *numbers = xcalloc(s->n_segments + 1, sizeof *numbers);
    size_t n = s->n_segments;
    for (size_t i = 0; i < n; i++) {
        numbers[i] = s->segments[i]->number;
        stat.blocks += s->segments[i]->row.live_blocks;
        stat.bytes += s->segments[i]->row.live_bytes;
    }
    err_t e = OK;
    for (size_t i = 0; i < n && !e; i++) {
        char path[PACK_PATH_MAX];
        file_info_t info;
        pack_segment_path(s, numbers[i], path);
        e = fs_stat(t, path, false, &info);
        if (!e)
            stat.disk_bytes += info.disk_bytes;
        else if (e == ERR_NOT_FOUND)
            e = OK; /* dropped meanwhile */
    }
    free(numbers);
    TRY(e);
    *ret = stat;
    return OK;
}

/* ── opening and closing ─────────────────────────────────────────────────────────────────────── */
static void free_store(task_t *t, pack_store_t *s)
{
    pack_segments_free(s);
    pack_index_close(t, s->index);
    map_deinit(&s->overlay);
    pack_behind_abandon(s);
    recent_deinit(&s->recent);
    free(s->holes);
    free(s->folder);
    free(s);
}

static void close_store(task_t *t, blockstore_t *bs)
{
    pack_store_t *s = pack_self(bs);
    task_shield(t);
    (void)!gate_enter(t, &s->pen);
    if (pack_drain(t, s))
        log_error("the last blocks could not be written", LOG_STR("path", s->folder));
    gate_leave(&s->pen); /* a task that would write blocks takes it, and finds none */
    group_stop(t, &s->group);
    pack_punch(t, s);
    pack_abandon(s);
    task_unshield(t);
    group_deinit(&s->group);
    free_store(t, s);
}

static const blockstore_ops_t pack_ops = {
    .put_many = pack_put_many,
    .write_many = pack_write_many,
    .settle = pack_settle,
    .write_behind = pack_write_behind,
    .sync = pack_sync,
    .losses = pack_losses,
    .get = pack_get,
    .get_many = pack_get_many,
    .size = pack_size,
    .remove = pack_remove,
    .each = each,
    .stat = stat_store,
    .compact = pack_compact,
    .close = close_store,
};

static pack_store_t *new_store(task_t *t, const char *folder, const pack_options_t *o)
{
    pack_store_t *s = xcalloc(1, sizeof *s);
    s->base.ops = &pack_ops;
    s->folder = xstrdup(folder);
    s->options = o ? *o : (pack_options_t){0};
    if (!s->options.segment_bytes)
        s->options.segment_bytes = SEGMENT_BYTES;
    if (s->options.segment_bytes > PACK_SEGMENT_MAX_BYTES)
        s->options.segment_bytes = PACK_SEGMENT_MAX_BYTES;
    if (!s->options.commit_bytes)
        s->options.commit_bytes = COMMIT_BYTES;
    s->next_number = 1;
    gate_init(&s->pen, 1);
    gate_init(&s->index_gate, 1);
    gate_init(&s->compact_gate, 1);
    map_init(&s->overlay, PACK_OVERLAY_MAX_BLOCKS);
    map_init(&s->behind, PACK_BEHIND_MAX_BLOCKS);
    event_init(&s->behind_grew);
    event_init(&s->changed);
    group_init(&s->group, task_sched(t));
    return s;
}

static err_t open_index(task_t *t, pack_store_t *s, bool anew)
{
    char path[PACK_PATH_MAX];
    snprintf(path, sizeof path, "%s/index", s->folder);
    if (anew) {
        pack_segments_free(s);
        pack_index_close(t, s->index);
        s->index = NULL;
        log_warn("the index of blocks is built anew from the segments", LOG_STR("path", path));
        TRY(fs_remove_tree(t, path));
    }
    TRY(pack_index_open(t, path, &s->index));
    return pack_recover(t, s);
}

err_t pack_store_open(task_t *t, const char *folder, const pack_options_t *o, blockstore_t **ret_store)
{
    char path[PACK_PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/pack", folder) + 32 > sizeof path)
        return fail(ERR_INVALID, "the path of the block store is too long");
    TRY(fs_mkdirs(t, path, 0700));
    TRY(fs_sync_dir(t, folder));
    pack_store_t *s = new_store(t, folder, o);
    err_t e = open_index(t, s, false);
    if (e == ERR_CORRUPT)
        e = open_index(t, s, true);
    if (e) {
        error_slot_t saved = *error_slot();
        group_deinit(&s->group);
        free_store(t, s);
        *error_slot() = saved;
        return e;
    }
    *ret_store = &s->base;
    return OK;
}

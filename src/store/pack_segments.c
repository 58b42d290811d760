/* The segments of a pack store: the table of them, a bounded number of open files, making and dropping. */
#include "base/checksum.h"
#include "store/pack_impl.h"
#include <stdio.h>
#include <stdlib.h>

void pack_segment_path(const pack_store_t *s, uint32_t number, char out[PACK_PATH_MAX])
{
    snprintf(out, PACK_PATH_MAX, "%s/pack/%08u.seg", s->folder, number);
}

/* The first segment whose number is not below. */
static size_t place_of(const pack_store_t *s, uint32_t number)
{
    size_t low = 0, high = s->n_segments;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->segments[mid]->number < number)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

pack_segment_t *pack_segment_find(pack_store_t *s, uint32_t number)
{
    size_t at = place_of(s, number);
    return at < s->n_segments && s->segments[at]->number == number ? s->segments[at] : NULL;
}

pack_segment_t *pack_segment_add(pack_store_t *s, uint32_t number)
{
    if (s->n_segments == s->segments_cap) {
        s->segments_cap = s->segments_cap ? 2 * s->segments_cap : 8;
        s->segments = xrealloc(s->segments, s->segments_cap * sizeof(pack_segment_t *));
    }
    size_t at = place_of(s, number);
    memmove(s->segments + at + 1, s->segments + at, (s->n_segments - at) * sizeof(pack_segment_t *));
    pack_segment_t *segment = xcalloc(1, sizeof *segment);
    segment->number = number;
    segment->row.segment = number;
    s->segments[at] = segment;
    s->n_segments++;
    if (number >= s->next_number)
        s->next_number = number + 1;
    return segment;
}

static void close_file(pack_store_t *s, pack_segment_t *segment)
{
    if (!segment->file)
        return;
    file_close(segment->file);
    segment->file = NULL;
    s->open_files--;
}

static void close_least_used(pack_store_t *s)
{
    pack_segment_t *oldest = NULL;
    for (size_t i = 0; i < s->n_segments; i++) {
        pack_segment_t *it = s->segments[i];
        if (it->file && it->users == 0 && (!oldest || it->last_use < oldest->last_use))
            oldest = it;
    }
    if (oldest)
        close_file(s, oldest);
}

/* Keeps a freshly opened file, unless another task was faster. */
static void keep_file(pack_store_t *s, pack_segment_t *segment, file_t *file)
{
    if (segment->file) {
        file_close(file);
        return;
    }
    segment->file = file;
    s->open_files++;
}

err_t pack_segment_use(task_t *t, pack_store_t *s, uint32_t number, pack_segment_t **ret)
{
    pack_segment_t *segment = pack_segment_find(s, number);
    if (!segment)
        return fail(ERR_NOT_FOUND, "segment %u is not there", number);
    segment->users++;
    segment->last_use = ++s->use_clock;
    if (!segment->file) {
        char path[PACK_PATH_MAX];
        pack_segment_path(s, number, path);
        if (s->open_files >= PACK_OPEN_FILES_MAX)
            close_least_used(s);
        file_t *file;
        err_t e = file_open(t, path, FILE_READ | FILE_WRITE | FILE_NO_FOLLOW | FILE_DIRECT_HINT, 0, &file);
        if (e) {
            pack_segment_release(s, segment);
            return e;
        }
        keep_file(s, segment, file);
    }
    *ret = segment;
    return OK;
}

void pack_segment_release(pack_store_t *s, pack_segment_t *segment)
{
    assert(segment->users > 0);
    if (--segment->users)
        return;
    if (segment->is_gone) {
        close_file(s, segment);
        free(segment);
    } else if (s->open_files > PACK_OPEN_FILES_MAX) {
        close_file(s, segment);
    }
}

err_t pack_segment_load_key(task_t *t, pack_segment_t *segment)
{
    if (segment->has_key)
        return OK;
    uint8_t raw[PACK_SEGMENT_HEADER_BYTES];
    pack_segment_header_t header;
    err_t e = file_read_exact(t, segment->file, raw, sizeof raw, 0);
    if (e)
        return e == ERR_EOF ? fail(ERR_CORRUPT, "segment %u has no header", segment->number) : e;
    TRY(pack_segment_decode(bytes_of(raw, sizeof raw), &header));
    if (header.number != segment->number)
        return fail(ERR_CORRUPT, "segment %u calls itself %llu", segment->number,
                    (unsigned long long)header.number);
    memcpy(segment->key, header.key, sizeof segment->key);
    segment->has_key = true;
    return OK;
}

uint64_t pack_segment_tag(const pack_segment_t *segment)
{
    return checksum_of(bytes_of(segment->key, sizeof segment->key), 1);
}

/* ── for writing ─────────────────────────────────────────────────────────────────────────────── */
static err_t make_segment(task_t *t, pack_store_t *s)
{
    char path[PACK_PATH_MAX];
    pack_segment_header_t header = {.number = s->next_number};
    uint8_t raw[PACK_SEGMENT_HEADER_BYTES];
    driver_random(task_driver(t), header.key, sizeof header.key);
    pack_segment_encode(&header, raw);
    pack_segment_path(s, s->next_number, path);
    file_t *file;
    TRY(file_open(t, path,
                  FILE_READ | FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE | FILE_NO_FOLLOW | FILE_DIRECT_HINT,
                  0600, &file));
    bytes_t piece = bytes_of(raw, sizeof raw);
    err_t e = file_write_at(t, file, &piece, 1, 0);
    if (e) {
        error_slot_t saved = *error_slot();
        file_close(file);
        (void)!fs_unlink(t, path);
        *error_slot() = saved;
        return e;
    }
    if (s->open_files >= PACK_OPEN_FILES_MAX)
        close_least_used(s);
    pack_segment_t *segment = pack_segment_add(s, s->next_number);
    memcpy(segment->key, header.key, sizeof segment->key);
    segment->has_key = true;
    segment->size_bytes = PACK_SEGMENT_HEADER_BYTES;
    segment->users = 1;
    keep_file(s, segment, file);
    s->folder_is_dirty = true;
    s->current = segment;
    return OK;
}

static bool has_room(const pack_store_t *s, const pack_segment_t *segment)
{
    return !segment->is_failed && !segment->is_sealed && !segment->row.is_dead &&
           segment->size_bytes < s->options.segment_bytes;
}

err_t pack_segment_for_write(task_t *t, pack_store_t *s)
{
    if (s->current && has_room(s, s->current))
        return OK;
    if (s->current) {
        pack_segment_release(s, s->current);
        s->current = NULL;
    } else if (s->n_segments && has_room(s, s->segments[s->n_segments - 1])) {
        pack_segment_t *newest;
        TRY(pack_segment_use(t, s, s->segments[s->n_segments - 1]->number, &newest));
        if (pack_segment_load_key(t, newest) == OK) {
            s->current = newest;
            return OK;
        }
        newest->is_sealed = true; /* readable, but nothing can be added without its key */
        pack_segment_release(s, newest);
    }
    return make_segment(t, s);
}

/* ── dropping ────────────────────────────────────────────────────────────────────────────────── */
static err_t change_row(task_t *t, pack_store_t *s, uint32_t number, int kind)
{
    pack_row_change_t change = {.segment = number, .kind = kind};
    AUTO(pack_commit_t) c = {.row_changes = &change, .n_row_changes = 1};
    return pack_commit_to_index(t, s, &c);
}

void pack_segment_forget(pack_store_t *s, uint32_t number)
{
    size_t at = place_of(s, number);
    if (at == s->n_segments || s->segments[at]->number != number)
        return;
    pack_segment_t *segment = s->segments[at];
    memmove(s->segments + at, s->segments + at + 1, (s->n_segments - at - 1) * sizeof(pack_segment_t *));
    s->n_segments--;
    segment->is_gone = true;
    segment->users++;
    pack_segment_release(s, segment);
}

static err_t drop_file(task_t *t, pack_store_t *s, uint32_t number)
{
    char path[PACK_PATH_MAX];
    TRY(change_row(t, s, number, PACK_ROW_DEAD));
    pack_segment_path(s, number, path);
    err_t e = fs_unlink(t, path);
    return e == ERR_NOT_FOUND ? OK : e;
}

err_t pack_segment_drop(task_t *t, pack_store_t *s, uint32_t number)
{
    char folder[PACK_PATH_MAX];
    pack_segment_t *segment = pack_segment_find(s, number);
    if (segment && segment->is_dropping)
        return OK;
    if (segment)
        segment->is_dropping = true;
    err_t e = drop_file(t, s, number);
    if (segment && e)
        segment->is_dropping = false;
    TRY(e);
    pack_segment_forget(s, number);
    snprintf(folder, sizeof folder, "%s/pack", s->folder);
    TRY(fs_sync_dir(t, folder));
    return change_row(t, s, number, PACK_ROW_FORGET);
}

void pack_segments_free(pack_store_t *s)
{
    if (s->current)
        pack_segment_release(s, s->current);
    s->current = NULL;
    for (size_t i = 0; i < s->n_segments; i++) {
        assert(s->segments[i]->users == 0);
        close_file(s, s->segments[i]);
        free(s->segments[i]);
    }
    free(s->segments);
    s->segments = NULL;
    s->n_segments = s->segments_cap = 0;
}

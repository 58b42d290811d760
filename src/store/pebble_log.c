#include "store/pebble_log.h"
#include "base/reader.h"
#include "store/crc32c.h"
#include <stdlib.h>

enum { BLOCK_BYTES = 32 << 10, HEADER_BYTES = 7, SYNC_OFFSET_BYTES = 8 };
/* Chunk types come in three groups of four. */
enum { PLAIN = 0, NUMBERED, SYNCED };
enum { FULL = 0, FIRST, MIDDLE, LAST };

typedef struct chunk {
    uint8_t group, place; /* FULL … */
    bytes_t data;
    bool is_cut; /* the file ends within it */
} chunk_t;

static bool is_zero(bytes_t data)
{
    for (size_t i = 0; i < data.len; i++)
        if (data.data[i])
            return false;
    return true;
}

/* ERR_EOF: there is none, or one that was cut off; ERR_CORRUPT: a damaged one. *ret_used is what stands
 * before the next one. is_cut: the file ends with the block. */
static err_t read_chunk(bytes_t block, bool is_cut, const pebble_log_t *log, chunk_t *ret, size_t *ret_used)
{
    reader_t r = reader_of(block);
    uint32_t checksum = read_u32le(&r);
    size_t len = read_u8(&r);
    len |= (size_t)read_u8(&r) << 8;
    bytes_t sealed = bytes_slice(block, HEADER_BYTES - 1, block.len);
    uint8_t type = read_u8(&r);
    *ret = (chunk_t){0};
    if (r.err || is_zero(bytes_slice(block, 0, HEADER_BYTES)))
        return ERR_EOF;
    if (!type || type > 12)
        return log->is_reused ? ERR_EOF : ERR_CORRUPT;
    uint8_t group = (uint8_t)((type - 1) / 4);
    if (group != PLAIN && read_u32le(&r) != (uint32_t)log->number && !r.err)
        return ERR_EOF;
    if (group == SYNCED)
        read_bytes(&r, SYNC_OFFSET_BYTES);
    *ret = (chunk_t){.group = group, .place = (uint8_t)((type - 1) % 4), .data = read_bytes(&r, len)};
    ret->is_cut = r.err && is_cut;
    if (r.err)
        return is_cut || log->is_reused ? ERR_EOF : ERR_CORRUPT; /* chunks end within their blocks */
    *ret_used = block.len - reader_left(&r);
    sealed.len = *ret_used - (HEADER_BYTES - 1);
    if (crc32c_masked(crc32c(0, sealed)) == checksum)
        return OK;
    return group == PLAIN && log->is_reused ? ERR_EOF : ERR_CORRUPT; /* what stood there tells no number */
}

typedef struct log_run {
    const pebble_log_t *log;
    pebble_log_end_t end;
    pebble_record_fn visit;
    void *arg;
    buf_t record;
    bool has_begun;
} log_run_t;

static err_t take_chunk(task_t *t, log_run_t *run, const chunk_t *c)
{
    if (c->place == FULL || c->place == FIRST) {
        buf_clear(&run->record);
        run->has_begun = true;
    }
    if (!run->has_begun)
        return OK;
    TRY(buf_append(&run->record, c->data));
    if (c->place != FULL && c->place != LAST)
        return OK;
    run->has_begun = false;
    return run->visit(t, run->arg, buf_bytes(&run->record));
}

/* *ret_ends: something else than a chunk stands in it before its end. */
static err_t take_block(task_t *t, log_run_t *run, bytes_t block, uint64_t at, bool *ret_ends)
{
    size_t whole = block.len;
    while (block.len >= HEADER_BYTES) {
        chunk_t c;
        size_t used;
        err_t e = read_chunk(block, whole < BLOCK_BYTES, run->log, &c, &used);
        *ret_ends = e != OK;
        if (e == ERR_CORRUPT)
            run->end.damage = at + (whole - block.len);
        run->end.is_cut = e && (run->has_begun || c.is_cut);
        if (e)
            return OK;
        TRY(take_chunk(t, run, &c));
        block = bytes_slice(block, used, block.len);
    }
    run->end.is_cut = whole < BLOCK_BYTES && (run->has_begun || !is_zero(block));
    return OK;
}

/* Up to BLOCK_BYTES at `at`. */
static err_t read_file_block(task_t *t, file_t *file, uint64_t at, uint8_t *room, size_t *ret_len)
{
    size_t n = 0;
    for (size_t more = 1; n < BLOCK_BYTES && more; n += more)
        TRY(file_read_at(t, file, room + n, BLOCK_BYTES - n, at + n, &more));
    *ret_len = n;
    return OK;
}

/* What looks like the end is damage when a block behind it begins with a chunk of this log. */
static err_t look_behind(task_t *t, log_run_t *run, file_t *file, uint64_t at, uint8_t *room)
{
    uint64_t end = at;
    size_t n = BLOCK_BYTES, used;
    while (n == BLOCK_BYTES) {
        chunk_t c;
        TRY(read_file_block(t, file, at += BLOCK_BYTES, room, &n));
        if (!read_chunk(bytes_of(room, n), n < BLOCK_BYTES, run->log, &c, &used) && c.group != PLAIN) {
            run->end.damage = end;
            return OK;
        }
    }
    return OK;
}

static err_t run_log(task_t *t, log_run_t *run, file_t *file, uint8_t *room)
{
    bool ends = false;
    size_t n = BLOCK_BYTES;
    for (uint64_t at = 0; n == BLOCK_BYTES; at += n) {
        TRY(read_file_block(t, file, at, room, &n));
        TRY(take_block(t, run, bytes_of(room, n), at, &ends));
        if (ends)
            return run->end.damage == PEBBLE_LOG_WHOLE ? look_behind(t, run, file, at, room) : OK;
    }
    return OK;
}

err_t pebble_log_each(task_t *t, const pebble_log_t *log, pebble_record_fn visit, void *arg,
                      pebble_log_end_t *ret_end)
{
    AUTO_PTR(file_t) file = NULL;
    log_run_t run = {.log = log, .end = {.damage = PEBBLE_LOG_WHOLE}, .visit = visit, .arg = arg};
    TRY(file_open(t, log->path, FILE_READ, 0, &file));
    buf_init(&run.record, PEBBLE_RECORD_MAX_BYTES);
    uint8_t *room = xmalloc(BLOCK_BYTES);
    err_t e = run_log(t, &run, file, room);
    free(room);
    buf_deinit(&run.record);
    *ret_end = run.end;
    return e;
}

#include "store/badger_table.h"
#include "base/reader.h"
#include "crypto/hash.h"
#include "store/file_window.h"
#include <stdlib.h>

enum { BLOCKS_MAX = 1 << 18, NUMBER_BYTES = 4, PROBE_BYTES = 1024 };

struct badger_table {
    char *path;
    file_window_t file;
    buf_t ends; /* of blocks: numbers of NUMBER_BYTES */
    size_t blocks;
    size_t block; /* the one behind that which is read */
    uint64_t at, block_end;
    buf_t first, key; /* of the block; of the entry */
    buf_t from;       /* rows below are passed over */
};

static err_t corrupt(const badger_table_t *p, const char *what)
{
    return fail(ERR_CORRUPT, "%s is damaged: %s", p->path, what);
}

/* ── the end of the file ─────────────────────────────────────────────────────────────────────── */
static err_t read_number(task_t *t, badger_table_t *p, uint64_t offset, uint32_t *ret)
{
    bytes_t raw;
    if (file_window_get(t, &p->file, offset, NUMBER_BYTES, PROBE_BYTES, &raw))
        return corrupt(p, "it is too short");
    reader_t r = reader_of(raw);
    *ret = read_u32be(&r);
    return OK;
}

static uint64_t end_of_block(const badger_table_t *p, size_t i)
{
    reader_t r = reader_of(bytes_slice(buf_bytes(&p->ends), i * NUMBER_BYTES, NUMBER_BYTES));
    return read_u32be(&r);
}

/* The file ends with: data, the ends of its blocks, how many they are, the filter, its length. */
static err_t read_ends(task_t *t, badger_table_t *p)
{
    uint64_t at = p->file.size, last = 0;
    uint32_t filter, blocks;
    if (at < 3 * NUMBER_BYTES)
        return corrupt(p, "it is too short");
    at -= NUMBER_BYTES;
    TRY(read_number(t, p, at, &filter));
    if (filter > at - NUMBER_BYTES)
        return corrupt(p, "its filter is longer than the file");
    at -= filter + NUMBER_BYTES;
    TRY(read_number(t, p, at, &blocks));
    if (!blocks || blocks > BLOCKS_MAX || (uint64_t)blocks * NUMBER_BYTES > at)
        return corrupt(p, "its index cannot be");
    size_t len = (size_t)blocks * NUMBER_BYTES;
    at -= len;
    TRY(buf_reserve(&p->ends, len));
    TRY(file_read_exact(t, p->file.file, p->ends.data, len, at));
    p->ends.len = len;
    p->blocks = blocks;
    for (size_t i = 0; i < blocks; last = end_of_block(p, i++))
        if (end_of_block(p, i) < last)
            return corrupt(p, "its index is not in order");
    return last == at ? OK : corrupt(p, "its index does not end at its data's end");
}

static err_t check_all(task_t *t, badger_table_t *p, const uint8_t *checksum)
{
    AUTO_PTR(hash_ctx_t) hash = NULL;
    uint8_t found[BADGER_CHECKSUM_BYTES];
    TRY(hash_new(HASH_SHA256, &hash));
    for (uint64_t at = 0; at < p->file.size;) {
        bytes_t piece;
        uint64_t left = p->file.size - at;
        size_t n = left < FILE_WINDOW_BYTES ? (size_t)left : FILE_WINDOW_BYTES;
        TRY(file_window_get(t, &p->file, at, n, n, &piece));
        hash_update(hash, piece);
        at += n;
    }
    TRY(hash_finish(hash, found, sizeof found));
    return memcmp(found, checksum, sizeof found) ? corrupt(p, "its checksum is not the one in MANIFEST") : OK;
}

/* ── opening ─────────────────────────────────────────────────────────────────────────────────── */
static err_t open_table(task_t *t, badger_table_t *p, const uint8_t *checksum)
{
    TRY(file_window_open(t, p->path, &p->file));
    if (p->file.size > UINT32_MAX)
        return corrupt(p, "it is too long");
    if (checksum)
        TRY(check_all(t, p, checksum));
    TRY(read_ends(t, p));
    return badger_table_seek(t, p, BYTES_NONE);
}

err_t badger_table_open(task_t *t, const char *path, const uint8_t *checksum, badger_table_t **ret)
{
    badger_table_t *p = xcalloc(1, sizeof *p);
    p->path = xstrdup(path);
    buf_init(&p->ends, BLOCKS_MAX * NUMBER_BYTES);
    buf_init(&p->first, BADGER_KEY_MAX_BYTES);
    buf_init(&p->key, BADGER_KEY_MAX_BYTES);
    buf_init(&p->from, BADGER_KEY_MAX_BYTES);
    err_t e = open_table(t, p, checksum);
    if (e) {
        error_slot_t why = *error_slot();
        badger_table_close(p);
        *error_slot() = why;
        return e;
    }
    *ret = p;
    return OK;
}

void badger_table_close(badger_table_t *p)
{
    if (!p)
        return;
    file_window_close(&p->file);
    buf_deinit(&p->ends);
    buf_deinit(&p->first);
    buf_deinit(&p->key);
    buf_deinit(&p->from);
    free(p->path);
    free(p);
}

/* ── seeking ─────────────────────────────────────────────────────────────────────────────────── */
static void enter_block(badger_table_t *p, size_t i)
{
    p->at = i ? end_of_block(p, i - 1) : 0;
    p->block_end = end_of_block(p, i);
    p->block = i + 1;
    buf_clear(&p->first);
}

/* The key that a block begins with, its version included. */
static err_t first_key(task_t *t, badger_table_t *p, size_t i, bytes_t *ret)
{
    bytes_t raw;
    uint64_t at = i ? end_of_block(p, i - 1) : 0, end = end_of_block(p, i);
    if (end - at < BADGER_ENTRY_HEAD_BYTES)
        return corrupt(p, "a block has no entry");
    TRY(file_window_get(t, &p->file, at, BADGER_ENTRY_HEAD_BYTES, PROBE_BYTES, &raw));
    badger_entry_head_t h = badger_entry_head(raw.data);
    at += BADGER_ENTRY_HEAD_BYTES;
    if (h.shared || h.own <= BADGER_VERSION_BYTES || h.own > end - at)
        return corrupt(p, "a block does not begin with a key");
    return file_window_get(t, &p->file, at, h.own, PROBE_BYTES, ret);
}

/* Of the blocks that begin below the key the last one, since the key's first rows may stand there. */
err_t badger_table_seek(task_t *t, badger_table_t *p, bytes_t key)
{
    size_t low = 0, high = p->blocks;
    buf_clear(&p->from);
    TRY(buf_append(&p->from, key));
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        bytes_t whole;
        TRY(first_key(t, p, middle, &whole));
        if (bytes_compare(bytes_slice(whole, 0, whole.len - BADGER_VERSION_BYTES), key) < 0)
            low = middle;
        else
            high = middle;
    }
    enter_block(p, low);
    return OK;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static err_t take_key(badger_table_t *p, const badger_entry_head_t *h, bytes_t own)
{
    bool is_first = !p->first.len;
    if (h->shared > p->first.len || h->shared + h->own > BADGER_KEY_MAX_BYTES)
        return corrupt(p, "a key is not whole");
    buf_clear(&p->key);
    TRY(buf_append(&p->key, bytes_slice(buf_bytes(&p->first), 0, h->shared)));
    TRY(buf_append(&p->key, own));
    return is_first ? buf_append(&p->first, own) : OK;
}

/* The next entry of the block; an empty key stands at its end. */
static err_t next_in_block(task_t *t, badger_table_t *p, badger_row_t *ret, bool *ret_has)
{
    bytes_t raw;
    uint64_t left = p->block_end - p->at;
    *ret_has = false;
    if (!left)
        return OK;
    if (left < BADGER_ENTRY_HEAD_BYTES)
        return corrupt(p, "an entry is cut off");
    TRY(file_window_get(t, &p->file, p->at, BADGER_ENTRY_HEAD_BYTES, FILE_WINDOW_BYTES, &raw));
    badger_entry_head_t h = badger_entry_head(raw.data);
    if (!h.shared && !h.own)
        return OK;
    size_t len = BADGER_ENTRY_HEAD_BYTES + h.own + h.value_len;
    if (len > left)
        return corrupt(p, "an entry is cut off");
    TRY(file_window_get(t, &p->file, p->at, len, FILE_WINDOW_BYTES, &raw));
    TRY(take_key(p, &h, bytes_slice(raw, BADGER_ENTRY_HEAD_BYTES, h.own)));
    p->at += len;
    *ret = (badger_row_t){0};
    *ret_has = true;
    if (badger_key_split(buf_bytes(&p->key), ret) ||
        badger_value_decode(bytes_slice(raw, len - h.value_len, h.value_len), ret))
        return corrupt(p, "an entry cannot be read");
    return OK;
}

err_t badger_table_next(task_t *t, badger_table_t *p, badger_row_t *ret, bool *ret_has)
{
    for (;;) {
        TRY(next_in_block(t, p, ret, ret_has));
        if (*ret_has && bytes_compare(ret->key, buf_bytes(&p->from)) >= 0)
            return OK;
        if (*ret_has)
            continue;
        if (p->block == p->blocks)
            return OK;
        enter_block(p, p->block);
    }
}

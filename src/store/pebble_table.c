#include "store/pebble_table.h"
#include "base/checksum.h"
#include "base/reader.h"
#include "store/crc32c.h"
#include "store/snappy.h"
#include "store/zstd_block.h"
#include <stdlib.h>

enum { BLOCK_MAX_BYTES = 64 << 20, BLOCK_TRAILER_BYTES = 5 };
enum { FOOTER_BYTES = 53, CHECKED_FOOTER_BYTES = 57, MARKED_FOOTER_BYTES = 61, MAGIC_BYTES = 8 };
enum { CHECKSUM_CRC32C = 1, CHECKSUM_XXHASH64 = 3 };
enum { COMPRESSED_NOT = 0, COMPRESSED_SNAPPY = 1, COMPRESSED_ZSTD = 7, COMPRESSED_MINLZ = 8 };
enum { MARKS_VALUES = 3, COLUMNS_FROM = 5, CHECKED_FROM = 6, ATTRIBUTES_FROM = 7, VERSION_MAX = 7 };
enum { HAS_RANGES = 0x1e, HAS_TWO_LEVELS = 0x20, HAS_BLOBS = 0x40 };
#define TWO_LEVELS 2
static const uint8_t magic[MAGIC_BYTES + 1] = "\xf0\x9f\xaa\xb3\xf0\x9f\xaa\xb3";
static const uint8_t leveldb_magic[MAGIC_BYTES + 1] = "\x57\xfb\x80\x8b\x24\x75\x47\xdb";
static const uint8_t rocksdb_magic[MAGIC_BYTES + 1] = "\xf7\xcf\xf4\x85\xb7\x41\xe2\x88";

typedef struct part {
    buf_t bytes;
    pebble_block_t rows;
} part_t;
struct pebble_table {
    file_t *file;
    char *path;
    uint64_t size;
    uint32_t version;
    uint8_t checksum;
    bool has_two_levels;
    uint64_t meta_offset, meta_len, index_offset, index_len;
    part_t top, index, data;
    buf_t raw;
    buf_t from; /* rows below are passed over */
};

static err_t corrupt(const pebble_table_t *p, const char *what)
{
    return fail(ERR_CORRUPT, "%s is damaged: %s", p->path, what);
}

static err_t unsupported(const pebble_table_t *p, const char *what)
{
    return fail(ERR_UNSUPPORTED, "%s has %s, which is not read here", p->path, what);
}

/* ── blocks ──────────────────────────────────────────────────────────────────────────────────── */
static err_t check_block(const pebble_table_t *p, bytes_t sealed, uint32_t checksum)
{
    uint32_t found =
        p->checksum == CHECKSUM_CRC32C ? crc32c_masked(crc32c(0, sealed)) : (uint32_t)checksum_of(sealed, 0);
    return found == checksum ? OK : corrupt(p, "a checksum is wrong");
}

static err_t read_block(task_t *t, pebble_table_t *p, uint64_t offset, uint64_t len, buf_t *out)
{
    if (len > BLOCK_MAX_BYTES || offset > p->size || len + BLOCK_TRAILER_BYTES > p->size - offset)
        return corrupt(p, "a block is outside of the file");
    size_t whole = (size_t)len + BLOCK_TRAILER_BYTES;
    buf_clear(&p->raw);
    TRY(buf_reserve(&p->raw, whole));
    TRY(file_read_exact(t, p->file, p->raw.data, whole, offset));
    reader_t r = reader_of(bytes_of(p->raw.data + len + 1, 4));
    TRY(check_block(p, bytes_of(p->raw.data, (size_t)len + 1), read_u32le(&r)));
    buf_clear(out);
    bytes_t content = bytes_of(p->raw.data, (size_t)len);
    switch (p->raw.data[len]) {
    case COMPRESSED_NOT:
        return buf_append(out, content);
    case COMPRESSED_SNAPPY:
        return snappy_decode(content, out);
    case COMPRESSED_ZSTD:
        return zstd_block_decode(content, out);
    default:
        return unsupported(p, p->raw.data[len] == COMPRESSED_MINLZ
                                  ? "blocks that are compressed with MinLZ, by another program than Kubo,"
                                  : "blocks of an unknown compression");
    }
}

static err_t open_part(task_t *t, pebble_table_t *p, part_t *part, uint64_t offset, uint64_t len,
                       pebble_content_t content)
{
    bool is_columns = p->version >= (content == PEBBLE_META ? CHECKED_FROM : COLUMNS_FROM);
    pebble_block_close(&part->rows);
    TRY(read_block(t, p, offset, len, &part->bytes));
    return pebble_block_open(&part->rows, buf_bytes(&part->bytes), is_columns ? PEBBLE_COLUMNS : PEBBLE_ROWS,
                             content);
}

static void part_init(part_t *part)
{
    buf_init(&part->bytes, BLOCK_MAX_BYTES);
}

static void part_deinit(part_t *part)
{
    pebble_block_close(&part->rows);
    buf_deinit(&part->bytes);
}

/* ── the end of the file ─────────────────────────────────────────────────────────────────────── */
/* Its magic, version and length, then from its beginning: checksum type, place of the names, of the index. */
static err_t read_footer(task_t *t, pebble_table_t *p)
{
    uint8_t end[MARKED_FOOTER_BYTES];
    if (p->size < sizeof end)
        return corrupt(p, "it is too short");
    TRY(file_read_exact(t, p->file, end, sizeof end, p->size - sizeof end));
    reader_t r = reader_of(bytes_of(end + sizeof end - MAGIC_BYTES - 4, 4));
    p->version = read_u32le(&r);
    const uint8_t *mark = end + sizeof end - MAGIC_BYTES;
    if (!memcmp(mark, leveldb_magic, MAGIC_BYTES) || !memcmp(mark, rocksdb_magic, MAGIC_BYTES))
        return unsupported(p, "a format of other programs");
    if (memcmp(mark, magic, MAGIC_BYTES) || !p->version)
        return corrupt(p, "it does not end as a table does");
    if (p->version > VERSION_MAX)
        return unsupported(p, "a newer format");
    size_t len = p->version >= ATTRIBUTES_FROM ? MARKED_FOOTER_BYTES
                 : p->version >= CHECKED_FROM  ? CHECKED_FOOTER_BYTES
                                               : FOOTER_BYTES;
    r = reader_of(bytes_of(end + sizeof end - len, len));
    p->checksum = read_u8(&r);
    p->meta_offset = read_pb_varint(&r);
    p->meta_len = read_pb_varint(&r);
    p->index_offset = read_pb_varint(&r);
    p->index_len = read_pb_varint(&r);
    if (r.err)
        return corrupt(p, "its end");
    if (p->checksum != CHECKSUM_CRC32C && p->checksum != CHECKSUM_XXHASH64)
        return unsupported(p, "another checksum");
    if (p->version < ATTRIBUTES_FROM)
        return OK;
    r = reader_of(bytes_of(end + sizeof end - MAGIC_BYTES - 12, 4));
    uint32_t attributes = read_u32le(&r);
    if (attributes & (HAS_RANGES | HAS_BLOBS))
        return unsupported(p, attributes & HAS_BLOBS ? "values in other files" : "ranges of keys");
    p->has_two_levels = attributes & HAS_TWO_LEVELS;
    return OK;
}

/* Of older tables: the properties are rows, and tell what kind of an index there is. */
static err_t read_properties(task_t *t, pebble_table_t *p, uint64_t offset, uint64_t len)
{
    pebble_row_t row;
    bool has = true;
    pebble_block_close(&p->data.rows);
    TRY(read_block(t, p, offset, len, &p->data.bytes));
    TRY(pebble_block_open(&p->data.rows, buf_bytes(&p->data.bytes), PEBBLE_ROWS, PEBBLE_META));
    while (has) {
        TRY(pebble_block_next(&p->data.rows, &row, &has));
        if (has && bytes_equal(row.key, BYTES_LIT("rocksdb.block.based.table.index.type")))
            p->has_two_levels = row.value.len && row.value.data[0] == TWO_LEVELS;
    }
    return OK;
}

static err_t read_names(task_t *t, pebble_table_t *p)
{
    pebble_row_t row;
    uint64_t offset = 0, len = 0;
    bool has = true;
    TRY(open_part(t, p, &p->top, p->meta_offset, p->meta_len, PEBBLE_META));
    while (has) {
        TRY(pebble_block_next(&p->top.rows, &row, &has));
        if (!has)
            break;
        if (bytes_starts_with(row.key, BYTES_LIT("rocksdb.range_del")) ||
            bytes_equal(row.key, BYTES_LIT("pebble.range_key")))
            return unsupported(p, "ranges of keys");
        reader_t r = reader_of(row.value);
        if (!bytes_equal(row.key, BYTES_LIT("rocksdb.properties")))
            continue;
        offset = read_pb_varint(&r);
        len = read_pb_varint(&r);
    }
    return len ? read_properties(t, p, offset, len) : corrupt(p, "it has no properties");
}

/* ── opening ─────────────────────────────────────────────────────────────────────────────────── */
static err_t open_table(task_t *t, pebble_table_t *p, uint64_t size_bytes)
{
    TRY(file_open(t, p->path, FILE_READ, 0, &p->file));
    TRY(file_size(t, p->file, &p->size));
    if (p->size != size_bytes)
        return corrupt(p, "its size is not the one in the manifest");
    TRY(read_footer(t, p));
    if (p->version < ATTRIBUTES_FROM)
        TRY(read_names(t, p));
    return pebble_table_seek(t, p, BYTES_NONE);
}

err_t pebble_table_open(task_t *t, const char *path, uint64_t size_bytes, pebble_table_t **ret)
{
    pebble_table_t *p = xcalloc(1, sizeof *p);
    p->path = xstrdup(path);
    part_init(&p->top);
    part_init(&p->index);
    part_init(&p->data);
    buf_init(&p->raw, BLOCK_MAX_BYTES + BLOCK_TRAILER_BYTES);
    buf_init(&p->from, PEBBLE_KEY_MAX_BYTES);
    err_t e = open_table(t, p, size_bytes);
    if (e) {
        error_slot_t why = *error_slot();
        pebble_table_close(p);
        *error_slot() = why;
        return e;
    }
    *ret = p;
    return OK;
}

void pebble_table_close(pebble_table_t *p)
{
    if (!p)
        return;
    part_deinit(&p->top);
    part_deinit(&p->index);
    part_deinit(&p->data);
    buf_deinit(&p->raw);
    buf_deinit(&p->from);
    file_close(p->file);
    free(p->path);
    free(p);
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
err_t pebble_table_seek(task_t *t, pebble_table_t *p, bytes_t key)
{
    buf_clear(&p->from);
    TRY(buf_append(&p->from, key));
    pebble_block_close(&p->data.rows);
    pebble_block_close(&p->index.rows);
    return open_part(t, p, p->has_two_levels ? &p->top : &p->index, p->index_offset, p->index_len,
                     PEBBLE_INDEX);
}

/* A damaged block has no more rows. */
static err_t next_of(part_t *part, pebble_row_t *ret, bool *ret_has)
{
    err_t e = pebble_block_next(&part->rows, ret, ret_has);
    if (e)
        pebble_block_close(&part->rows);
    return e;
}

/* The next block of an index that may have keys from `from` on. */
static err_t next_place(pebble_table_t *p, part_t *index, pebble_row_t *ret, bool *ret_has)
{
    do {
        TRY(next_of(index, ret, ret_has));
    } while (*ret_has && bytes_compare(ret->key, buf_bytes(&p->from)) < 0);
    return OK;
}

/* To the next block of data. */
static err_t next_block(task_t *t, pebble_table_t *p, bool *ret_has)
{
    pebble_row_t row;
    for (;;) {
        TRY(next_place(p, &p->index, &row, ret_has));
        if (*ret_has)
            break;
        if (!p->has_two_levels)
            return OK;
        TRY(next_place(p, &p->top, &row, ret_has));
        if (!*ret_has)
            return OK;
        TRY(open_part(t, p, &p->index, row.offset, row.len, PEBBLE_INDEX));
    }
    bool is_marked = p->version >= MARKS_VALUES && p->version < COLUMNS_FROM;
    return open_part(t, p, &p->data, row.offset, row.len, is_marked ? PEBBLE_DATA_MARKED : PEBBLE_DATA);
}

err_t pebble_table_next(task_t *t, pebble_table_t *p, pebble_row_t *ret, bool *ret_has)
{
    bool has_block = true;
    for (;;) {
        if (p->data.rows.bytes.data)
            TRY(next_of(&p->data, ret, ret_has));
        else
            *ret_has = false;
        if (*ret_has && bytes_compare(ret->key, buf_bytes(&p->from)) >= 0)
            return OK;
        if (*ret_has)
            continue;
        TRY(next_block(t, p, &has_block));
        if (!has_block)
            return OK;
    }
}

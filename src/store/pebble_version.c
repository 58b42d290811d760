#include "store/pebble_version.h"
#include "base/reader.h"
#include "store/pebble_block.h"
#include <stdlib.h>

enum {
    TAG_COMPARER = 1,
    TAG_LOG_NUMBER = 2,
    TAG_NEXT_NUMBER = 3,
    TAG_LAST_SEQUENCE = 4,
    TAG_COMPACT_POINTER = 5,
    TAG_REMOVED = 6,
    TAG_NEW = 7,
    TAG_PREVIOUS_LOG = 9,
    TAG_NEW_2 = 100,
    TAG_NEW_3 = 102,
    TAG_NEW_4 = 103,
    TAG_NEW_5 = 104,
    TAG_BACKING = 105,
    TAG_BACKING_REMOVED = 106,
    TAG_BLOB_FILE = 107,
    TAG_BLOB_FILE_REMOVED = 108,
};
enum { DETAIL_END = 1, DETAIL_MUST_KNOW = 64, KEY_TRAILER_BYTES = 8 };
enum { HAS_POINTS = 1, PLACE_BYTES = 12 };
#define KEYS_MAX_BYTES (256u << 20) /* of all tables */

void pebble_version_init(pebble_version_t *v)
{
    *v = (pebble_version_t){0};
    map_init(&v->places, PEBBLE_TABLES_MAX);
}

static void free_file(pebble_file_t *f)
{
    buf_deinit(&f->smallest);
    buf_deinit(&f->largest);
}

void pebble_version_deinit(pebble_version_t *v)
{
    while (v->count)
        free_file(&v->files[--v->count]);
    free(v->files);
    map_deinit(&v->places);
    *v = (pebble_version_t){0};
}

/* Where a table is among the files: its index and one. */
static bytes_t place_key(uint64_t level, uint64_t number, uint8_t out[PLACE_BYTES])
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(level >> (8 * i));
    for (int i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(number >> (8 * i));
    return bytes_of(out, PLACE_BYTES);
}

static err_t keep_place(pebble_version_t *v, size_t i)
{
    uint8_t key[PLACE_BYTES];
    return map_put(&v->places, place_key(v->files[i].level, v->files[i].number, key),
                   (void *)(uintptr_t)(i + 1), NULL);
}

static bytes_t read_key(reader_t *r)
{
    return read_length_prefixed(r, PEBBLE_KEY_MAX_BYTES + KEY_TRAILER_BYTES);
}

static err_t keep_key(bytes_t key, buf_t *ret)
{
    buf_init(ret, PEBBLE_KEY_MAX_BYTES);
    size_t len = key.len > KEY_TRAILER_BYTES ? key.len - KEY_TRAILER_BYTES : 0;
    return buf_append(ret, bytes_slice(key, 0, len));
}

/* Behind the bounds: what older programs may pass over, and what nobody may. */
static err_t read_details(reader_t *r)
{
    for (;;) {
        uint64_t detail = read_pb_varint(r);
        if (r->err || detail == DETAIL_END)
            return OK;
        if (detail & DETAIL_MUST_KNOW)
            return fail(ERR_UNSUPPORTED, "the datastore has a table of a kind that is not read here (%llu)",
                        (unsigned long long)detail);
        read_key(r);
    }
}

static err_t add_file(pebble_version_t *v, const pebble_file_t *file, bytes_t smallest, bytes_t largest)
{
    if (file->level >= PEBBLE_LEVELS)
        return fail(ERR_CORRUPT, "the datastore's manifest names level %u", file->level);
    if (v->count == PEBBLE_TABLES_MAX)
        return fail(ERR_LIMIT, "the datastore has more than %d tables", PEBBLE_TABLES_MAX);
    uint8_t key[PLACE_BYTES];
    if (map_has(&v->places, place_key(file->level, file->number, key)))
        return fail(ERR_CORRUPT, "the datastore's manifest names table %llu twice",
                    (unsigned long long)file->number);
    if (smallest.len + largest.len > KEYS_MAX_BYTES - v->keys_bytes)
        return fail(ERR_LIMIT, "the datastore has too many tables, or keys that are too long");
    if (v->count == v->room) {
        v->room = v->room ? 2 * v->room : 64;
        v->files = xrealloc(v->files, v->room * sizeof *v->files);
    }
    pebble_file_t *f = &v->files[v->count++];
    *f = *file;
    TRY(keep_key(smallest, &f->smallest));
    TRY(keep_key(largest, &f->largest));
    v->keys_bytes += f->smallest.len + f->largest.len;
    return keep_place(v, v->count - 1);
}

static err_t read_new(pebble_version_t *v, uint64_t tag, reader_t *r)
{
    uint64_t level = read_pb_varint(r), number = read_pb_varint(r);
    if (tag == TAG_NEW_3)
        read_pb_varint(r);
    uint64_t size_bytes = read_pb_varint(r);
    bool has_points = tag != TAG_NEW_5 || read_u8(r) & HAS_POINTS;
    bytes_t smallest = has_points ? read_key(r) : BYTES_NONE, largest = has_points ? read_key(r) : BYTES_NONE;
    if (tag == TAG_NEW_5)
        return r->err ? OK
                      : fail(ERR_UNSUPPORTED, "the datastore has ranges of keys, which are not read here");
    if (tag != TAG_NEW) {
        read_pb_varint(r);
        read_pb_varint(r);
    }
    if (tag == TAG_NEW_4)
        TRY(read_details(r));
    pebble_file_t file = {.level = level < UINT32_MAX ? (uint32_t)level : UINT32_MAX,
                          .number = number,
                          .size_bytes = size_bytes};
    return r->err ? OK : add_file(v, &file, smallest, largest);
}

static err_t read_removed(pebble_version_t *v, reader_t *r)
{
    uint8_t key[PLACE_BYTES];
    uint64_t level = read_pb_varint(r), number = read_pb_varint(r);
    if (r->err || level >= PEBBLE_LEVELS)
        return OK;
    size_t place = (uintptr_t)map_remove(&v->places, place_key(level, number, key));
    if (!place)
        return OK;
    pebble_file_t *f = &v->files[place - 1];
    v->keys_bytes -= f->smallest.len + f->largest.len;
    free_file(f);
    *f = v->files[--v->count];
    return place - 1 < v->count ? keep_place(v, place - 1) : OK;
}

static err_t read_comparer(reader_t *r)
{
    bytes_t name = read_key(r);
    return r->err || bytes_equal(name, BYTES_LIT("leveldb.BytewiseComparator"))
               ? OK
               : fail(ERR_UNSUPPORTED, "the datastore was written with another order of keys");
}

static err_t read_field(pebble_version_t *v, uint64_t tag, reader_t *r)
{
    switch (tag) {
    case TAG_COMPARER:
        return read_comparer(r);
    case TAG_LOG_NUMBER:
        v->log_number = read_pb_varint(r);
        return OK;
    case TAG_REMOVED:
        return read_removed(v, r);
    case TAG_COMPACT_POINTER:
        read_pb_varint(r);
        read_key(r);
        return OK;
    case TAG_NEXT_NUMBER:
    case TAG_LAST_SEQUENCE:
    case TAG_PREVIOUS_LOG:
        read_pb_varint(r);
        return OK;
    case TAG_NEW:
    case TAG_NEW_2:
    case TAG_NEW_3:
    case TAG_NEW_4:
    case TAG_NEW_5:
        return read_new(v, tag, r);
    case TAG_BACKING:
    case TAG_BACKING_REMOVED:
    case TAG_BLOB_FILE:
    case TAG_BLOB_FILE_REMOVED:
        return fail(ERR_UNSUPPORTED, "the datastore has files of a kind that is not read here");
    default:
        return fail(ERR_CORRUPT, "the datastore's manifest has an unknown field %llu",
                    (unsigned long long)tag);
    }
}

err_t pebble_version_apply(pebble_version_t *v, bytes_t edit)
{
    reader_t r = reader_of(edit);
    v->has_edits = true;
    while (reader_left(&r)) {
        uint64_t tag = read_pb_varint(&r);
        if (!r.err)
            TRY(read_field(v, tag, &r));
        if (r.err)
            return fail(ERR_CORRUPT, "the datastore's manifest is damaged");
    }
    return OK;
}

static int compare_files(const void *a, const void *b)
{
    const pebble_file_t *x = a, *y = b;
    return x->level != y->level ? (x->level < y->level ? -1 : 1)
                                : bytes_compare(buf_bytes(&x->smallest), buf_bytes(&y->smallest));
}

void pebble_version_sort(pebble_version_t *v)
{
    if (v->count)
        qsort(v->files, v->count, sizeof *v->files, compare_files);
}

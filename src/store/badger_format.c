#include "store/badger_format.h"
#include "base/pb.h"
#include "base/reader.h"
#include <stdlib.h>

enum { FIELD_CHANGE = 1, FIELD_NUMBER = 1, FIELD_KIND = 2, FIELD_LEVEL = 3, FIELD_CHECKSUM = 4 };
enum { KIND_ADDED = 0, KIND_REMOVED = 1 };
enum { CHANGE_MAX_BYTES = 1024, POINTER_BYTES = 12, VALUE_HEAD_MIN_BYTES = 3 };

static err_t corrupt(const char *what)
{
    return fail(ERR_CORRUPT, "the datastore is damaged: %s", what);
}

/* ── keys ────────────────────────────────────────────────────────────────────────────────────── */
int badger_row_compare(const badger_row_t *a, const badger_row_t *b)
{
    int c = bytes_compare(a->key, b->key);
    return c ? c : a->version > b->version ? -1 : a->version < b->version;
}

err_t badger_key_split(bytes_t whole, badger_row_t *ret)
{
    if (whole.len <= BADGER_VERSION_BYTES || whole.len > BADGER_KEY_MAX_BYTES)
        return corrupt("a key is too short or too long");
    ret->key = bytes_slice(whole, 0, whole.len - BADGER_VERSION_BYTES);
    reader_t r = reader_of(bytes_slice(whole, ret->key.len, BADGER_VERSION_BYTES));
    ret->version = UINT64_MAX - read_u64be(&r); /* so that the newest comes first */
    return OK;
}

err_t badger_pointer_decode(bytes_t in, badger_pointer_t *ret)
{
    reader_t r = reader_of(in);
    if (in.len != POINTER_BYTES)
        return corrupt("a pointer to a value has another length");
    ret->file = read_u32be(&r);
    ret->len = read_u32be(&r);
    ret->offset = read_u32be(&r);
    return r.err;
}

/* ── entries ─────────────────────────────────────────────────────────────────────────────────── */
badger_entry_head_t badger_entry_head(const uint8_t in[BADGER_ENTRY_HEAD_BYTES])
{
    reader_t r = reader_of(bytes_of(in, BADGER_ENTRY_HEAD_BYTES));
    badger_entry_head_t h;
    h.shared = read_u16be(&r);
    h.own = read_u16be(&r);
    h.value_len = read_u16be(&r);
    return h;
}

err_t badger_value_decode(bytes_t in, badger_row_t *ret)
{
    reader_t r = reader_of(in);
    if (in.len < VALUE_HEAD_MIN_BYTES)
        return corrupt("an entry is cut off");
    ret->meta = read_u8(&r);
    read_u8(&r); /* of the program above */
    ret->expires_s = read_pb_varint(&r);
    if (r.err)
        return corrupt("an entry is cut off");
    ret->value = read_rest(&r);
    return ret->meta & BADGER_POINTS && !(ret->meta & BADGER_DELETED)
               ? badger_pointer_decode(ret->value, &ret->pointer)
               : OK;
}

badger_log_head_t badger_log_head(const uint8_t in[BADGER_LOG_HEAD_BYTES])
{
    reader_t r = reader_of(bytes_of(in, BADGER_LOG_HEAD_BYTES));
    badger_log_head_t h;
    h.key_len = read_u32be(&r);
    h.value_len = read_u32be(&r);
    h.expires_s = read_u64be(&r);
    h.meta = read_u8(&r);
    return h;
}

/* ── the manifest ────────────────────────────────────────────────────────────────────────────── */
void badger_manifest_init(badger_manifest_t *m)
{
    *m = (badger_manifest_t){0};
}

void badger_manifest_deinit(badger_manifest_t *m)
{
    while (m->count)
        buf_deinit(&m->files[--m->count].smallest);
    free(m->files);
    *m = (badger_manifest_t){0};
}

static err_t read_change(bytes_t change, badger_file_t *ret)
{
    reader_t r = reader_of(change);
    pb_field_t f;
    uint64_t level = 0, kind = KIND_ADDED;
    bytes_t checksum = BYTES_NONE;
    while (pb_next(&r, &f)) {
        if (f.number == FIELD_NUMBER)
            ret->number = pb_uint(&r, &f);
        else if (f.number == FIELD_KIND)
            kind = pb_uint(&r, &f);
        else if (f.number == FIELD_LEVEL)
            level = pb_uint(&r, &f);
        else if (f.number == FIELD_CHECKSUM)
            checksum = pb_bytes(&r, &f, CHANGE_MAX_BYTES);
    }
    if (r.err || kind > KIND_REMOVED || level >= BADGER_LEVELS ||
        (checksum.len && checksum.len != BADGER_CHECKSUM_BYTES))
        return corrupt("its manifest has a change that cannot be read");
    ret->level = (uint8_t)level;
    ret->is_removed = kind == KIND_REMOVED;
    ret->has_checksum = checksum.len;
    if (checksum.len)
        memcpy(ret->checksum, checksum.data, checksum.len);
    return OK;
}

static err_t add_change(badger_manifest_t *m, bytes_t change)
{
    badger_file_t file = {.order = (uint32_t)m->count};
    TRY(read_change(change, &file));
    if (m->count == BADGER_CHANGES_MAX)
        return fail(ERR_LIMIT, "the datastore's manifest has more than %d changes", BADGER_CHANGES_MAX);
    if (m->count == m->room) {
        m->room = m->room ? 2 * m->room : 64;
        m->files = xrealloc(m->files, m->room * sizeof *m->files);
    }
    m->files[m->count++] = file;
    return OK;
}

err_t badger_manifest_apply(badger_manifest_t *m, bytes_t set)
{
    reader_t r = reader_of(set);
    pb_field_t f;
    while (pb_next(&r, &f))
        if (f.number == FIELD_CHANGE)
            TRY(add_change(m, pb_bytes(&r, &f, CHANGE_MAX_BYTES)));
    return r.err ? corrupt("its manifest cannot be read") : OK;
}

static int compare_changes(const void *a, const void *b)
{
    const badger_file_t *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

err_t badger_manifest_end(badger_manifest_t *m)
{
    size_t kept = 0;
    if (m->count)
        qsort(m->files, m->count, sizeof *m->files, compare_changes);
    for (size_t i = 0; i < m->count; i++) {
        bool is_there = i && m->files[i - 1].number == m->files[i].number && !m->files[i - 1].is_removed;
        if (is_there != m->files[i].is_removed)
            return corrupt("its manifest contradicts itself");
    }
    for (size_t i = 0; i < m->count; i++)
        if (!m->files[i].is_removed && (i + 1 == m->count || m->files[i + 1].number != m->files[i].number))
            m->files[kept++] = m->files[i];
    m->count = kept;
    return kept > BADGER_TABLES_MAX
               ? fail(ERR_LIMIT, "the datastore has more than %d tables", BADGER_TABLES_MAX)
               : OK;
}

static int compare_files(const void *a, const void *b)
{
    const badger_file_t *x = a, *y = b;
    if (x->level != y->level)
        return x->level < y->level ? -1 : 1;
    return x->level ? bytes_compare(buf_bytes(&x->smallest), buf_bytes(&y->smallest))
                    : (x->number > y->number ? -1 : 1);
}

void badger_manifest_sort(badger_manifest_t *m)
{
    if (m->count)
        qsort(m->files, m->count, sizeof *m->files, compare_files);
}

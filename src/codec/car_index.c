#include "codec/car_index.h"
#include <stdlib.h>

enum { MULTIHASH_INDEX_SORTED = 0x0401, OFFSET_BYTES = 8, HEAD_MAX_BYTES = 64 };

void car_index_init(car_index_t *i)
{
    *i = (car_index_t){0};
    buf_init(&i->head, HEAD_MAX_BYTES);
}

void car_index_deinit(car_index_t *i)
{
    for (size_t k = 0; k < i->n_groups; k++)
        buf_deinit(&i->groups[k].entries);
    free(i->groups);
    buf_deinit(&i->head);
    car_index_init(i);
}

/* ── gathering ───────────────────────────────────────────────────────────────────────────────── */
size_t car_index_entry_bytes(const cid_t *cid)
{
    return cid->digest_len + OFFSET_BYTES;
}

/* Few: the functions that blocks may be addressed with, and the lengths of their digests. */
static car_index_group_t *group_of(car_index_t *i, const cid_t *cid)
{
    for (size_t k = 0; k < i->n_groups; k++)
        if (i->groups[k].hash_code == cid->hash_code && i->groups[k].digest_len == cid->digest_len)
            return &i->groups[k];
    i->groups = xrealloc(i->groups, (i->n_groups + 1) * sizeof *i->groups);
    car_index_group_t *g = &i->groups[i->n_groups++];
    *g = (car_index_group_t){.hash_code = cid->hash_code, .digest_len = cid->digest_len};
    buf_init(&g->entries, CAR_INDEX_MAX_BYTES);
    return g;
}

err_t car_index_add(car_index_t *i, const cid_t *cid, uint64_t offset)
{
    size_t bytes = car_index_entry_bytes(cid);
    if (bytes > CAR_INDEX_MAX_BYTES - i->bytes)
        return fail(ERR_LIMIT, "too many blocks for an index: it is over %u bytes", CAR_INDEX_MAX_BYTES);
    writer_t w = writer_to(&group_of(i, cid)->entries);
    write_bytes(&w, cid_digest(cid));
    write_u64le(&w, offset);
    i->bytes += bytes;
    return w.err;
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static int compare_groups(const void *a, const void *b)
{
    const car_index_group_t *x = a, *y = b;
    if (x->hash_code != y->hash_code)
        return x->hash_code < y->hash_code ? -1 : 1;
    return x->digest_len < y->digest_len ? -1 : x->digest_len > y->digest_len;
}

static int compare_entries(const void *a, const void *b, void *len)
{
    return memcmp(a, b, *(size_t *)len);
}

void car_index_sort(car_index_t *i)
{
    if (i->n_groups)
        qsort(i->groups, i->n_groups, sizeof *i->groups, compare_groups);
    for (size_t k = 0; k < i->n_groups; k++) {
        car_index_group_t *g = &i->groups[k];
        size_t len = g->digest_len + OFFSET_BYTES;
        qsort_r(g->entries.data, g->entries.len / len, len, compare_entries, &len);
    }
}

/* How many of the groups are of the function of the one at `from`, which is the first of them. */
static uint32_t count_widths(const car_index_t *i, size_t from)
{
    uint32_t n = 0;
    while (from + n < i->n_groups && i->groups[from + n].hash_code == i->groups[from].hash_code)
        n++;
    return n;
}

static uint32_t count_functions(const car_index_t *i)
{
    uint32_t n = 0;
    for (size_t k = 0; k < i->n_groups; k += count_widths(i, k))
        n++;
    return n;
}

/* What comes before the entries of a group. */
static bytes_t put_head(car_index_t *i, size_t k)
{
    const car_index_group_t *g = &i->groups[k];
    buf_clear(&i->head);
    writer_t w = writer_to(&i->head);
    if (!k) {
        write_uvarint(&w, MULTIHASH_INDEX_SORTED);
        write_u32le(&w, count_functions(i));
    }
    if (!k || g->hash_code != g[-1].hash_code) {
        write_u64le(&w, g->hash_code);
        write_u32le(&w, count_widths(i, k));
    }
    write_u32le(&w, (uint32_t)(g->digest_len + OFFSET_BYTES));
    write_u64le(&w, g->entries.len);
    return buf_bytes(&i->head);
}

bool car_index_next(car_index_t *i, bytes_t *ret_part)
{
    size_t k = i->n_given / 2;
    if (k >= i->n_groups)
        return false;
    *ret_part = i->n_given++ % 2 ? buf_bytes(&i->groups[k].entries) : put_head(i, k);
    return true;
}

#include "dag/dir_pages.h"
#include <stdlib.h>

void dir_pages_init(dir_pages_t *p, blocks_t *blocks, const dag_node_t *dir, size_t max_bytes)
{
    *p = (dir_pages_t){.blocks = blocks, .dir = dir, .max_bytes = max_bytes, .has_more = true};
    buf_init(&p->room, max_bytes + BLOCK_MAX_BYTES);
    buf_init(&p->last, BLOCK_MAX_BYTES);
}

void dir_pages_deinit(dir_pages_t *p)
{
    free(p->entries);
    p->entries = NULL;
    p->count = p->cap = 0;
    p->has_more = false;
    buf_deinit(&p->room);
    buf_deinit(&p->last);
}

static bytes_t name_of(const dir_pages_t *p, const dir_page_entry_t *e)
{
    return bytes_of(p->room.data + e->at, e->name_len);
}

static int compare(const void *a, const void *b, void *arg)
{
    const dir_page_entry_t *x = a, *y = b;
    int order = bytes_compare(name_of(arg, x), name_of(arg, y));
    return order ? order : (x->at > y->at) - (x->at < y->at); /* stable */
}

static void sort(dir_pages_t *p)
{
    if (p->count > 1)
        qsort_r(p->entries, p->count, sizeof *p->entries, compare, p);
}

static size_t page_bytes(const dir_pages_t *p)
{
    return p->room.len + p->count * sizeof *p->entries;
}

/* Keeps the smaller half of the names, which are then in order. */
static err_t halve(dir_pages_t *p)
{
    buf_t kept;
    err_t e = OK;
    sort(p);
    p->count = (p->count + 1) / 2;
    buf_init(&kept, p->room.max);
    for (size_t i = 0; i < p->count && !e; i++) {
        dir_page_entry_t *entry = &p->entries[i];
        bytes_t both = bytes_of(p->room.data + entry->at, (size_t)entry->name_len + entry->cid_len);
        entry->at = (uint32_t)kept.len;
        e = buf_append(&kept, both);
    }
    buf_deinit(&p->room);
    p->room = kept;
    p->has_more = true;
    p->bound = p->count - 1;
    return e;
}

static err_t keep(dir_pages_t *p, const dir_entry_t *entry)
{
    uint8_t cid[CID_BINARY_MAX];
    size_t cid_len = cid_encode(&entry->cid, cid);
    if (p->count == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 64;
        p->entries = xrealloc(p->entries, p->cap * sizeof *p->entries);
    }
    p->entries[p->count++] =
        (dir_page_entry_t){entry->tsize, (uint32_t)p->room.len, (uint32_t)entry->name.len, (uint32_t)cid_len};
    TRY(buf_append(&p->room, entry->name));
    return buf_append(&p->room, bytes_of(cid, cid_len));
}

/* Of all names behind `last` the smallest that fit. */
static err_t read_page(task_t *t, dir_pages_t *p)
{
    AUTO(dir_reader_t) reader = {0};
    TRY(dir_reader_init(t, &reader, p->blocks, p->dir));
    for (;;) {
        dir_entry_t entry;
        bool has;
        TRY(dir_reader_next(t, &reader, &entry, &has));
        if (!has)
            return OK;
        bool is_given = p->has_last && bytes_compare(entry.name, buf_bytes(&p->last)) <= 0;
        bool is_later = p->has_more && bytes_compare(entry.name, name_of(p, &p->entries[p->bound])) > 0;
        if (is_given || is_later)
            continue;
        TRY(keep(p, &entry));
        if (page_bytes(p) > p->max_bytes && p->count > 1)
            TRY(halve(p));
    }
}

err_t dir_pages_next(task_t *t, dir_pages_t *p, size_t *ret_count)
{
    if (p->count) {
        bytes_t last = name_of(p, &p->entries[p->count - 1]);
        buf_clear(&p->last);
        TRY(buf_append(&p->last, last));
        p->has_last = true;
    }
    p->count = 0;
    buf_clear(&p->room);
    bool was_last = !p->has_more;
    p->has_more = false;
    if (!was_last)
        TRY(read_page(t, p));
    sort(p);
    *ret_count = p->count;
    return OK;
}

dir_entry_t dir_pages_get(const dir_pages_t *p, size_t i)
{
    assert(i < p->count);
    const dir_page_entry_t *e = &p->entries[i];
    dir_entry_t entry = {.name = name_of(p, e), .tsize = e->tsize};
    err_t bad = cid_decode(bytes_of(p->room.data + e->at + e->name_len, e->cid_len), &entry.cid);
    assert(!bad); /* it was encoded by keep() */
    return entry;
}

void dir_pages_prefetch(task_t *t, const dir_pages_t *p, size_t i, size_t n)
{
    enum { AT_ONCE = 32 };
    cid_t cids[AT_ONCE];
    size_t count = 0;
    for (; i < p->count && count < n && count < AT_ONCE; i++)
        cids[count++] = dir_pages_get(p, i).cid;
    blocks_prefetch(t, p->blocks, cids, count);
}

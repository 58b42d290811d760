#include "dag/dir_pages.h"
#include <stdlib.h>

void dir_pages_init(dir_pages_t *p, blocks_t *blocks, const dag_node_t *dir, const char *folder,
                    size_t max_bytes)
{
    *p = (dir_pages_t){.blocks = blocks, .dir = dir, .folder = folder, .max_bytes = max_bytes};
    buf_init(&p->room, max_bytes + BLOCK_MAX_BYTES);
}

static void free_page(dir_pages_t *p)
{
    free(p->entries);
    p->entries = NULL;
    p->count = p->cap = 0;
    buf_deinit(&p->room);
}

void dir_pages_deinit(dir_pages_t *p)
{
    free_page(p);
    entry_runs_free(p->runs);
    p->runs = NULL;
    p->merged = NULL;
    p->has_read = true;
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

static bool is_full(const dir_pages_t *p)
{
    return p->count && p->room.len + p->count * sizeof *p->entries > p->max_bytes;
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

static void clear_page(dir_pages_t *p)
{
    p->count = 0;
    buf_clear(&p->room);
}

static int by_name(const run_entry_t *a, const run_entry_t *b)
{
    return bytes_compare(a->key, b->key);
}

static err_t spill_entry(task_t *t, dir_pages_t *p, const dir_entry_t *e, buf_t *value)
{
    dag_ref_t ref = {.cid = e->cid, .tsize = e->tsize};
    if (e->name.len > RUNS_KEY_MAX)
        return fail(ERR_LIMIT, "an entry of a large folder has a name of %zu bytes: at most %d", e->name.len,
                    RUNS_KEY_MAX);
    buf_clear(value);
    TRY(run_value_put_ref(&ref, value));
    return entry_runs_add(t, p->runs, &(run_entry_t){.key = e->name, .value = buf_bytes(value)});
}

/* What is in memory becomes a run. */
static err_t spill(task_t *t, dir_pages_t *p)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, RUNS_VALUE_MAX);
    if (!p->runs)
        p->runs = entry_runs_new(p->folder, by_name);
    sort(p);
    for (size_t i = 0; i < p->count; i++) {
        dir_entry_t e = dir_pages_get(p, i);
        TRY(spill_entry(t, p, &e, &value));
    }
    clear_page(p);
    return entry_runs_end(t, p->runs);
}

static err_t merge(task_t *t, dir_pages_t *p)
{
    TRY(spill(t, p));
    free_page(p);
    return entry_runs_next(t, p->runs, &p->merged);
}

static err_t read_all(task_t *t, dir_pages_t *p)
{
    AUTO(dir_reader_t) reader = {0};
    TRY(dir_reader_init(t, &reader, p->blocks, p->dir));
    for (;;) {
        dir_entry_t entry;
        bool has;
        TRY(dir_reader_next(t, &reader, &entry, &has));
        if (!has)
            break;
        /* A directory of one block is a page whatever its size: its names need not differ. */
        if (is_full(p) && reader.fanout)
            TRY(spill(t, p));
        TRY(keep(p, &entry));
    }
    if (p->runs)
        return merge(t, p);
    sort(p);
    return OK;
}

static err_t read_page(task_t *t, dir_pages_t *p)
{
    while (p->merged && !is_full(p)) {
        dag_ref_t ref;
        TRY(run_value_get_ref(p->merged->value, &ref));
        dir_entry_t entry = {.name = p->merged->key, .cid = ref.cid, .tsize = ref.tsize};
        TRY(keep(p, &entry));
        TRY(entry_runs_next(t, p->runs, &p->merged));
    }
    return OK;
}

err_t dir_pages_next(task_t *t, dir_pages_t *p, size_t *ret_count)
{
    clear_page(p);
    if (!p->has_read) {
        p->has_read = true;
        TRY(read_all(t, p));
    }
    if (p->runs)
        TRY(read_page(t, p));
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

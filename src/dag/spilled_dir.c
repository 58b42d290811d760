#include "dag/spilled_dir.h"
#include <stdlib.h>

void spilled_dir_note(spilled_dir_t *d, shard_rule_t rule, const run_entry_t *e, uint64_t offset,
                      uint64_t end)
{
    if (!d->count)
        d->at = offset;
    d->end = end;
    d->count++;
    d->rule_bytes += directory_link_bytes(rule, e->name, &e->ref);
    d->block_bytes += directory_link_bytes(SHARD_BY_BLOCK, e->name, &e->ref);
}

/* ── basic ───────────────────────────────────────────────────────────────────────────────────── */

/* A name and a reference, in one piece of memory. */
typedef struct held_file {
    dag_ref_t ref;
    size_t name_len;
    uint8_t name[];
} held_file_t;

static dir_item_t hold(const run_entry_t *e)
{
    held_file_t *f = xcalloc(1, sizeof *f + e->name.len);
    f->ref = e->ref;
    f->name_len = e->name.len;
    memcpy(f->name, e->name.data, e->name.len);
    return (dir_item_t){.name = bytes_of(f->name, f->name_len), .ref = &f->ref};
}

static void release(const dir_item_t *item)
{
    free(CONTAINER_OF(item->ref, held_file_t, ref));
}

/* Few enough for one block: they are put into the order of their names in memory. */
static err_t write_basic(task_t *t, node_writer_t *w, run_reader_t *files, const spilled_dir_t *d,
                         const dir_item_t *folders, size_t n, const unixfs_t *meta, dag_ref_t *ret_ref)
{
    if (d->block_bytes > BLOCK_MAX_BYTES)
        return fail(ERR_LIMIT, "a directory or file node over %d bytes", BLOCK_MAX_BYTES);
    dir_item_t *items = xcalloc(d->count + n, sizeof *items), *held = xcalloc(d->count, sizeof *held);
    size_t n_held = 0;
    err_t e = run_reader_next(t, files);
    while (!e && files->has && n_held < d->count) {
        held[n_held++] = hold(&files->entry);
        e = run_reader_next(t, files);
    }
    memcpy(items, held, n_held * sizeof *held);
    if (n)
        memcpy(items + n_held, folders, n * sizeof *items);
    if (!e)
        e = directory_write(t, w, items, n_held + n, meta, ret_ref);
    for (size_t i = 0; i < n_held; i++)
        release(&held[i]);
    free(held);
    free(items);
    return e;
}

/* ── sharded ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct both {
    run_reader_t *files;
    const dir_item_t *folders;
    size_t n_folders;
    bool has_given_file;
} both_t;

/* The one of the lower hash; a file is given from the reader's memory, which moves on with the next call. */
static err_t next_of_both(task_t *t, void *arg, dir_item_t *ret_item, bool *ret_has)
{
    both_t *b = arg;
    if (b->has_given_file)
        TRY(run_reader_next(t, b->files));
    const run_entry_t *file = b->files->has ? &b->files->entry : NULL;
    b->has_given_file = file && (!b->n_folders || file->hash <= b->folders->hash);
    *ret_has = file || b->n_folders;
    if (b->has_given_file) {
        *ret_item = (dir_item_t){.name = file->name, .ref = &file->ref, .hash = file->hash};
    } else if (b->n_folders) {
        *ret_item = *b->folders++;
        b->n_folders--;
    }
    return OK;
}

err_t spilled_dir_write(task_t *t, node_writer_t *w, entry_runs_t *runs, const spilled_dir_t *d,
                        dir_item_t *folders, size_t n, const unixfs_t *meta, dag_ref_t *ret_ref)
{
    shard_rule_t rule = w->options->shard_rule;
    uint64_t size = directory_data_bytes(rule, meta) + d->rule_bytes;
    AUTO(run_reader_t) files = {0};
    run_reader_init(&files, runs, d->at, d->end);
    for (size_t i = 0; i < n; i++)
        size += directory_link_bytes(rule, folders[i].name, folders[i].ref);
    if (!directory_is_over(w->options, d->count + n, size))
        return write_basic(t, w, &files, d, folders, n, meta, ret_ref);
    directory_sort_by_hash(folders, n);
    both_t both = {.files = &files, .folders = folders, .n_folders = n};
    TRY(run_reader_next(t, &files));
    return directory_write_sharded(t, w, (dir_source_t){next_of_both, &both}, meta, ret_ref);
}

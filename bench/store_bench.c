/* store_bench [FOLDER [MIB [BLOCK_BYTES]]]: how fast the pack store takes blocks in, durably, and gives them
 * back, beside plain writes with an fdatasync every 64 MiB to the same disk. */
#include "base/prng.h"
#include "bench_clock.h"
#include "loop/uv_driver.h"
#include "store/flat_store.h"
#include "store/pack_store.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SYNC_BYTES ((size_t)64 << 20)

typedef struct bench {
    const char *folder;
    size_t total_bytes, block_bytes, n;
    block_t **blocks;
    blockstore_t *bs;
    size_t next; /* of the writing tasks */
} bench_t;

static void report(const char *what, const bench_t *b, double wall, double cpu)
{
    double mb = (double)(b->n * b->block_bytes) / 1e6;
    printf("%-34s %7.0f MB/s  %5.2f CPU-s/GB\n", what, mb / wall, cpu / (mb / 1000));
    fflush(stdout);
}

static void make_blocks(bench_t *b)
{
    prng_t p;
    prng_seed(&p, (uint64_t)time(NULL));
    b->n = b->total_bytes / b->block_bytes;
    b->blocks = xcalloc(b->n, sizeof(block_t *));
    for (size_t i = 0; i < b->n; i++) {
        if (block_new(b->block_bytes, &b->blocks[i]))
            abort();
        prng_fill(&p, b->blocks[i]->data, b->block_bytes);
        if (cid_of(1, CODEC_RAW, MH_SHA2_256, block_bytes(b->blocks[i]), &b->blocks[i]->cid))
            abort();
    }
}

static void raw_writes(const bench_t *b)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/raw", b->folder);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    double wall = wall_s(), cpu = cpu_s();
    size_t unsynced = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (write(fd, b->blocks[i]->data, b->block_bytes) != (ssize_t)b->block_bytes)
            abort();
        unsynced += b->block_bytes;
        if (unsynced >= SYNC_BYTES || i + 1 == b->n) {
            if (fdatasync(fd))
                abort();
            unsynced = 0;
        }
    }
    report("write + fdatasync each 64 MiB", b, wall_s() - wall, cpu_s() - cpu);
    close(fd);
    unlink(path);
}

/* Puts batches until none is left. */
static err_t put_batches(task_t *t, bench_t *b, size_t batch)
{
    while (b->next < b->n) {
        size_t from = b->next, n = b->n - from < batch ? b->n - from : batch;
        b->next += n;
        TRY(blockstore_put_many(t, b->bs, b->blocks + from, n));
    }
    return OK;
}

static err_t put_64(task_t *t, void *arg)
{
    bench_t *b = arg;
    return put_batches(t, b, SYNC_BYTES / b->block_bytes);
}

static err_t put_4(task_t *t, void *arg)
{
    bench_t *b = arg;
    return put_batches(t, b, ((size_t)4 << 20) / b->block_bytes);
}

static err_t run_tasks(task_t *t, bench_t *b, const char *what, task_fn fn, size_t n)
{
    double wall = wall_s(), cpu = cpu_s();
    group_t g;
    b->next = 0;
    group_init(&g, task_sched(t));
    for (size_t i = 0; i < n; i++)
        TRY(group_spawn(&g, "put", fn, b, NULL));
    TRY(group_join(t, &g));
    group_deinit(&g);
    report(what, b, wall_s() - wall, cpu_s() - cpu);
    return OK;
}

static err_t run_writer(task_t *t, bench_t *b)
{
    double wall = wall_s(), cpu = cpu_s();
    AUTO(blockstore_writer_t) w;
    blockstore_writer_init(&w, b->bs);
    size_t batch = ((size_t)4 << 20) / b->block_bytes;
    for (size_t i = 0; i < b->n; i += batch)
        TRY(blockstore_write(t, &w, b->blocks + i, b->n - i < batch ? b->n - i : batch));
    TRY(blockstore_flush(t, &w));
    report("writer, 4 MiB at a time", b, wall_s() - wall, cpu_s() - cpu);
    return OK;
}

static err_t read_back(task_t *t, bench_t *b)
{
    double wall = wall_s(), cpu = cpu_s();
    for (size_t i = 0; i < b->n; i++) {
        block_t *got;
        TRY(blockstore_get(t, b->bs, &b->blocks[i]->cid, &got));
        block_release(got);
    }
    report("get, from the page cache, verified", b, wall_s() - wall, cpu_s() - cpu);
    wall = wall_s(), cpu = cpu_s();
    for (size_t i = 0; i < b->n; i++)
        if (!blockstore_has(t, b->bs, &b->blocks[i]->cid))
            abort();
    printf("%-34s %7.2f us\n", "has", (wall_s() - wall) * 1e6 / (double)b->n);
    return OK;
}

static err_t fresh(task_t *t, bench_t *b, bool is_flat)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/blocks", b->folder);
    blockstore_close(t, b->bs);
    b->bs = NULL;
    err_t e = fs_remove_tree(t, path);
    if (e && e != ERR_NOT_FOUND)
        return e;
    sync();
    return is_flat ? flat_store_open(t, path, &b->bs) : pack_store_open(t, path, NULL, &b->bs);
}

static err_t run_all(task_t *t, void *arg)
{
    bench_t *b = arg;
    TRY(fresh(t, b, false));
    TRY(run_tasks(t, b, "put_many, 64 MiB, one task", put_64, 1));
    TRY(fresh(t, b, false));
    TRY(run_tasks(t, b, "put_many, 64 MiB, two tasks", put_64, 2));
    TRY(fresh(t, b, false));
    TRY(run_tasks(t, b, "put_many, 4 MiB, four tasks", put_4, 4));
    TRY(fresh(t, b, false));
    TRY(run_writer(t, b));
    TRY(read_back(t, b));
    TRY(run_tasks(t, b, "put_many of what is there", put_64, 1));
    if (getenv("FLAT")) {
        TRY(fresh(t, b, true));
        TRY(run_tasks(t, b, "file per block, 64 MiB, one task", put_64, 1));
    }
    TRY(fresh(t, b, false));
    blockstore_close(t, b->bs);
    char path[4096];
    snprintf(path, sizeof path, "%s/blocks", b->folder);
    return fs_remove_tree(t, path);
}

int main(int argc, char **argv)
{
    bench_t b = {.folder = argc > 1 ? argv[1] : "/tmp"};
    b.total_bytes = (size_t)(argc > 2 ? atoi(argv[2]) : 1024) << 20;
    b.block_bytes = argc > 3 ? (size_t)atoi(argv[3]) : 262144;
    make_blocks(&b);
    raw_writes(&b);
    driver_t *d = uv_driver_new(0);
    sched_t *s = sched_new(d);
    err_t e = sched_run(s, "bench", run_all, &b);
    if (e)
        fprintf(stderr, "%s: %s\n", error_name(e), error_text(e));
    sched_free(s);
    uv_driver_free(d);
    for (size_t i = 0; i < b.n; i++)
        block_release(b.blocks[i]);
    free(b.blocks);
    return e != OK;
}

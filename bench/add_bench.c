/* add_bench [FOLDER [MIB]]: how fast a file becomes durable blocks, and is read back, without HTTP, in the
 * clear and encrypted; beside the parts that it cannot be faster than. */
#include "base/prng.h"
#include "bench_clock.h"
#include "dag/file_reader.h"
#include "dag/importer.h"
#include "loop/uv_driver.h"
#include "store/pack_store.h"
#include "vault/vault.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct bench {
    char folder[2048], file[4096], store[4096];
    size_t mib;
} bench_t;

/* A view of a block store as dag code wants it. */
typedef struct store_blocks {
    blocks_t base;
    blockstore_t *bs;
} store_blocks_t;
static err_t store_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret)
{
    return blockstore_get(t, ((store_blocks_t *)b)->bs, cid, ret);
}
static err_t store_put(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    return blockstore_put_many(t, ((store_blocks_t *)b)->bs, list, n);
}
static err_t store_write(task_t *t, blocks_t *b, block_t *const *list, size_t n, void **state)
{
    blockstore_writer_t w = {((store_blocks_t *)b)->bs, *state};
    err_t e = blockstore_write(t, &w, list, n);
    *state = w.state;
    return e;
}
static err_t store_settle(task_t *t, blocks_t *b, void **state)
{
    blockstore_t *bs = ((store_blocks_t *)b)->bs;
    return bs->ops->settle(t, bs, state);
}
static bool store_has(task_t *t, blocks_t *b, const cid_t *cid)
{
    return blockstore_has(t, ((store_blocks_t *)b)->bs, cid);
}
static const blocks_ops_t store_ops = {.get = store_get,
                                       .put_many = store_put,
                                       .has = store_has,
                                       .write_many = store_write,
                                       .settle = store_settle};

static void report(const bench_t *b, const char *what, double wall, double cpu)
{
    double mb = (double)b->mib * 1048576 / 1e6;
    printf("%-40s %7.0f MB/s  %5.2f CPU-s/GB\n", what, mb / wall, cpu / (mb / 1000));
    fflush(stdout);
}

typedef struct file_source {
    file_t *file;
    uint64_t offset;
} file_source_t;
static err_t read_file(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    file_source_t *f = arg;
    TRY(file_read_at(t, f->file, out, cap, f->offset, ret_n));
    f->offset += *ret_n;
    return OK;
}

static err_t add(task_t *t, bench_t *b, const char *what, blocks_t *blocks, const import_options_t *o,
                 dag_ref_t *ret)
{
    file_source_t f = {0};
    importer_t *im;
    TRY(file_open(t, b->file, FILE_READ, 0, &f.file));
    double wall = wall_s(), cpu = cpu_s();
    TRY(importer_new(t, blocks, o, &im));
    TRY(importer_add_file(t, im, (source_t){read_file, &f}, NULL, ret));
    TRY(importer_flush(t, im));
    report(b, what, wall_s() - wall, cpu_s() - cpu);
    printf("%-40s %7.1f MiB\n", "  most bytes in flight", (double)importer_stat(im).peak_bytes / 1048576);
    importer_free(t, im);
    file_close(f.file);
    return OK;
}

static err_t read_back(task_t *t, bench_t *b, blocks_t *blocks, const cid_t *cid)
{
    AUTO(file_reader_t) r = {0};
    double wall = wall_s(), cpu = cpu_s();
    uint64_t total = 0;
    TRY(file_reader_open(t, &r, blocks, cid));
    for (;;) {
        bytes_t piece;
        TRY(file_reader_next(t, &r, &piece));
        if (!piece.len)
            break;
        total += piece.len;
    }
    assert(total == (uint64_t)b->mib << 20);
    report(b, "read back, verified", wall_s() - wall, cpu_s() - cpu);
    return OK;
}

static err_t with_store(task_t *t, bench_t *b, const char *what, const import_options_t *o)
{
    store_blocks_t blocks = {.base = {&store_ops}};
    dag_ref_t ref;
    TRY(pack_store_open(t, b->store, NULL, &blocks.bs));
    err_t e = add(t, b, what, &blocks.base, o, &ref);
    if (!e)
        e = read_back(t, b, &blocks.base, &ref.cid);
    blockstore_close(t, blocks.bs);
    err_t removed = fs_remove_tree(t, b->store);
    sync();
    return e ? e : removed;
}

/* The same encrypted. The key file is made first. */
static err_t store(task_t *t, bench_t *b, vault_t *v, blocks_t *blocks, vault_stored_t *ret)
{
    file_source_t f = {0};
    vault_store_t *s;
    TRY(file_open(t, b->file, FILE_READ, 0, &f.file));
    double wall = wall_s(), cpu = cpu_s();
    TRY(vault_store_begin(t, v, blocks, NULL, NULL, &s));
    TRY(vault_store_file(t, s, "file", NULL, (source_t){read_file, &f}));
    TRY(vault_store_finish(t, s, ret));
    report(b, "vault store", wall_s() - wall, cpu_s() - cpu);
    vault_store_free(t, s);
    file_close(f.file);
    return OK;
}

static err_t get(task_t *t, bench_t *b, vault_t *v, blocks_t *blocks, const cid_t *manifest)
{
    char name[CID_TEXT_MAX];
    vault_file_t *f;
    double wall = wall_s(), cpu = cpu_s();
    uint64_t total = 0;
    TRY(vault_open(t, v, blocks, cid_print(manifest, name), &f));
    for (;;) {
        bytes_t piece;
        TRY(vault_read(t, f, &piece));
        if (!piece.len)
            break;
        total += piece.len;
    }
    assert(total == (uint64_t)b->mib << 20);
    report(b, "vault get", wall_s() - wall, cpu_s() - cpu);
    vault_close(t, f);
    return OK;
}

static err_t with_vault(task_t *t, bench_t *b)
{
    store_blocks_t blocks = {.base = {&store_ops}};
    kv_t *state = kv_memory_new();
    char key[4096 + 8];
    vault_stored_t stored;
    snprintf(key, sizeof key, "%s.key", b->file);
    vault_t *v = vault_new(key, state);
    TRY(pack_store_open(t, b->store, NULL, &blocks.bs));
    err_t e = vault_key_ensure(t, v, NULL);
    if (!e)
        e = store(t, b, v, &blocks.base, &stored);
    if (!e)
        e = get(t, b, v, &blocks.base, &stored.manifest);
    vault_free(v);
    kv_close(t, state);
    blockstore_close(t, blocks.bs);
    unlink(key);
    err_t removed = fs_remove_tree(t, b->store);
    sync();
    return e ? e : removed;
}

static err_t run(task_t *t, void *arg)
{
    bench_t *b = arg;
    import_options_t o;
    dag_ref_t ref;
    import_options_init(&o);
    TRY(add(t, b, "read and hash, nothing stored", blocks_null(), &o, &ref));
    TRY(with_store(t, b, "add, CIDv0, 256 KiB", &o));
    TRY(with_vault(t, b));
    o.cid_version = 1;
    o.chunker.max_bytes = 1 << 20;
    o.max_links = 1024;
    return with_store(t, b, "add, CIDv1, raw leaves of 1 MiB", &o);
}

static void make_file(const bench_t *b)
{
    FILE *f = fopen(b->file, "wb");
    prng_t p;
    uint8_t *mib = malloc(1 << 20);
    prng_seed(&p, 1);
    for (size_t i = 0; f && i < b->mib; i++) {
        prng_fill(&p, mib, 1 << 20);
        if (fwrite(mib, 1, 1 << 20, f) != 1 << 20)
            abort();
    }
    free(mib);
    if (!f || fclose(f))
        abort();
    sync();
}

int main(int argc, char **argv)
{
    bench_t b = {.mib = argc > 2 ? (size_t)atoi(argv[2]) : 1024};
    snprintf(b.folder, sizeof b.folder, "%s", argc > 1 ? argv[1] : "/tmp");
    snprintf(b.file, sizeof b.file, "%s/add_bench.%d", b.folder, (int)getpid());
    snprintf(b.store, sizeof b.store, "%s/add_bench.%d.blocks", b.folder, (int)getpid());
    make_file(&b);
    driver_t *d = uv_driver_new(0);
    sched_t *s = sched_new(d);
    err_t e = sched_run(s, "bench", run, &b);
    if (e)
        fprintf(stderr, "%s: %s\n", error_name(e), error_text(e));
    sched_free(s);
    uv_driver_free(d);
    unlink(b.file);
    return e != OK;
}

/* blockstore_suite: what every block store must do, as functions that run in a task; for
 * blockstore_test.c (simulator) and tests/crash/store_real_test.c (real disk). Test code only. */
#ifndef STORE_BLOCKSTORE_SUITE_H
#define STORE_BLOCKSTORE_SUITE_H
#include "base/map.h"
#include "base/prng.h"
#include "store/blockstore.h"
#include <stdio.h>
#include <stdlib.h>

/* A failed check inside a task must not jump off its stack: it ends the task with an error instead. */
#define SUITE_CHECK(condition)                                                                               \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return fail(ERR_INVALID, "%s:%d: %s", __FILE__, __LINE__, #condition);                           \
    } while (0)
#define SUITE_ERR(expected, expr)                                                                            \
    do {                                                                                                     \
        err_t got_ = (expr);                                                                                 \
        if (got_ != (expected))                                                                              \
            return fail(ERR_INVALID, "%s:%d: %s gave %s, not %s: %s", __FILE__, __LINE__, #expr,             \
                        error_name(got_), error_name(expected), error_text(got_));                           \
    } while (0)

typedef struct suite {
    err_t (*open)(task_t *t, struct suite *s, blockstore_t **ret); /* the same store each time */
    const char *folder;
    bool is_durable; /* opening again finds what was put */
    int option;
} suite_t;

/* A block of the bytes that seed and len give. */
static inline block_t *suite_block(uint64_t seed, size_t len)
{
    block_t *b;
    prng_t p;
    prng_seed(&p, seed);
    err_t e = block_new(len, &b);
    assert(!e);
    prng_fill(&p, b->data, len);
    e = cid_of(1, CODEC_RAW, MH_SHA2_256, block_bytes(b), &b->cid);
    assert(!e);
    return b;
}

static inline cid_t suite_cid(uint64_t seed, size_t len)
{
    AUTO_PTR(block_t) b = suite_block(seed, len);
    return b->cid;
}

static inline err_t suite_put(task_t *t, blockstore_t *bs, uint64_t seed, size_t len)
{
    AUTO_PTR(block_t) b = suite_block(seed, len);
    return blockstore_put(t, bs, b);
}

/* Blocks seed .. seed + n - 1, in one call. */
static inline err_t suite_put_range(task_t *t, blockstore_t *bs, uint64_t seed, size_t n, size_t len)
{
    block_t **list = xcalloc(n, sizeof(block_t *));
    for (size_t i = 0; i < n; i++)
        list[i] = suite_block(seed + i, len);
    err_t e = blockstore_put_many(t, bs, list, n);
    for (size_t i = 0; i < n; i++)
        block_release(list[i]);
    free(list);
    return e;
}

static inline err_t suite_expect(task_t *t, blockstore_t *bs, uint64_t seed, size_t len)
{
    AUTO_PTR(block_t) want = suite_block(seed, len);
    AUTO_PTR(block_t) got = NULL;
    uint64_t size = 0;
    SUITE_ERR(OK, blockstore_get(t, bs, &want->cid, &got));
    SUITE_CHECK(bytes_equal(block_bytes(got), block_bytes(want)));
    SUITE_CHECK(cid_equal(&got->cid, &want->cid));
    SUITE_ERR(OK, blockstore_size(t, bs, &want->cid, &size));
    SUITE_CHECK(size == len);
    return OK;
}

static inline err_t suite_expect_absent(task_t *t, blockstore_t *bs, uint64_t seed, size_t len)
{
    cid_t cid = suite_cid(seed, len);
    AUTO_PTR(block_t) got = NULL;
    SUITE_ERR(ERR_NOT_FOUND, blockstore_get(t, bs, &cid, &got));
    SUITE_CHECK(!blockstore_has(t, bs, &cid));
    return OK;
}

static inline err_t suite_remove_range(task_t *t, blockstore_t *bs, uint64_t seed, size_t n, size_t len)
{
    cid_t *cids = xcalloc(n, sizeof *cids);
    for (size_t i = 0; i < n; i++)
        cids[i] = suite_cid(seed + i, len);
    err_t e = blockstore_remove(t, bs, cids, n);
    free(cids);
    return e;
}

/* ── the cases ───────────────────────────────────────────────────────────────────────────────── */
static inline err_t suite_sizes(task_t *t, suite_t *s, blockstore_t *bs)
{
    static const size_t sizes[] = {
        0, 1, 7, 8, 9, 4096, 65537, 262144, BLOCK_MAX_BYTES, BLOCK_STORED_MAX_BYTES};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        SUITE_ERR(OK, suite_expect_absent(t, bs, i, sizes[i]));
        SUITE_ERR(OK, suite_put(t, bs, i, sizes[i]));
        SUITE_ERR(OK, suite_expect(t, bs, i, sizes[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        SUITE_ERR(OK, suite_expect(t, bs, i, sizes[i]));
    return OK;
}

/* The key is the multihash: neither codec nor version matter. */
static inline err_t suite_codecs(task_t *t, suite_t *s, blockstore_t *bs)
{
    AUTO_PTR(block_t) b = suite_block(1, 100);
    AUTO_PTR(block_t) got = NULL;
    cid_t other = cid_of_sha256(0, CODEC_DAG_PB, b->cid.digest);
    SUITE_ERR(OK, blockstore_put(t, bs, b));
    SUITE_ERR(OK, blockstore_get(t, bs, &other, &got));
    SUITE_CHECK(cid_equal(&got->cid, &other));
    SUITE_CHECK(bytes_equal(block_bytes(got), block_bytes(b)));
    AUTO_PTR(block_t) sha512 = suite_block(2, 100);
    SUITE_ERR(OK, cid_of(1, CODEC_DAG_CBOR, MH_SHA2_512, block_bytes(sha512), &sha512->cid));
    SUITE_ERR(OK, blockstore_put(t, bs, sha512));
    SUITE_CHECK(blockstore_has(t, bs, &sha512->cid));
    return OK;
}

static inline err_t suite_identity(task_t *t, suite_t *s, blockstore_t *bs)
{
    block_t *b;
    AUTO_PTR(block_t) got = NULL;
    uint64_t size = 0;
    cid_t cid;
    blockstore_stat_t stat;
    SUITE_ERR(OK, cid_of(1, CODEC_RAW, MH_IDENTITY, BYTES_LIT("inline"), &cid));
    SUITE_ERR(OK, block_copy(&cid, BYTES_LIT("inline"), &b));
    err_t e = blockstore_put(t, bs, b);
    block_release(b);
    SUITE_ERR(OK, e);
    SUITE_ERR(OK, blockstore_get(t, bs, &cid, &got));
    SUITE_CHECK(bytes_equal(block_bytes(got), BYTES_LIT("inline")));
    SUITE_ERR(OK, blockstore_size(t, bs, &cid, &size));
    SUITE_CHECK(size == 6);
    SUITE_ERR(OK, blockstore_remove(t, bs, &cid, 1));
    SUITE_ERR(OK, blockstore_stat(t, bs, &stat));
    SUITE_CHECK(stat.blocks == 0);
    block_t *mixed[2] = {got, suite_block(5, 10)};
    e = blockstore_put_many(t, bs, mixed, 2);
    block_release(mixed[1]);
    SUITE_ERR(OK, e);
    return suite_expect(t, bs, 5, 10);
}

static inline err_t suite_duplicates(task_t *t, suite_t *s, blockstore_t *bs)
{
    blockstore_stat_t stat;
    block_t *list[4] = {suite_block(1, 1000), suite_block(2, 1000), suite_block(1, 1000),
                        suite_block(2, 1000)};
    err_t e = blockstore_put_many(t, bs, list, 4);
    if (!e)
        e = blockstore_put_many(t, bs, list, 4);
    for (size_t i = 0; i < 4; i++)
        block_release(list[i]);
    SUITE_ERR(OK, e);
    SUITE_ERR(OK, blockstore_stat(t, bs, &stat));
    SUITE_CHECK(stat.blocks == 2 && stat.bytes == 2000);
    cid_t twice[3] = {suite_cid(1, 1000), suite_cid(1, 1000), suite_cid(9, 1000)};
    SUITE_ERR(OK, blockstore_remove(t, bs, twice, 3));
    SUITE_ERR(OK, blockstore_stat(t, bs, &stat));
    SUITE_CHECK(stat.blocks == 1 && stat.bytes == 1000);
    SUITE_ERR(OK, suite_expect_absent(t, bs, 1, 1000));
    SUITE_ERR(OK, suite_put(t, bs, 1, 1000));
    return suite_expect(t, bs, 1, 1000);
}

typedef struct suite_seen {
    map_t keys;
    uint64_t bytes;
    size_t stop_after;
} suite_seen_t;

static inline err_t suite_visit(task_t *t, void *arg, const cid_t *cid, uint64_t size)
{
    suite_seen_t *seen = arg;
    uint8_t key[CID_BINARY_MAX];
    bytes_t k = bytes_of(key, cid_encode_multihash(cid, key));
    SUITE_CHECK(!map_has(&seen->keys, k));
    SUITE_CHECK(cid->version == 1 && cid->codec == CODEC_RAW);
    TRY(map_put(&seen->keys, k, seen, NULL));
    seen->bytes += size;
    return map_count(&seen->keys) == seen->stop_after ? ERR_REFUSED : OK;
}

static inline err_t suite_each(task_t *t, suite_t *s, blockstore_t *bs)
{
    enum { COUNT = 1300 };
    SUITE_ERR(OK, suite_put_range(t, bs, 0, COUNT, 50));
    suite_seen_t seen = {0};
    map_init(&seen.keys, COUNT + 1);
    err_t e = blockstore_each(t, bs, suite_visit, &seen);
    size_t n = map_count(&seen.keys);
    map_deinit(&seen.keys);
    SUITE_ERR(OK, e);
    SUITE_CHECK(n == COUNT && seen.bytes == 50 * COUNT);
    seen = (suite_seen_t){.stop_after = 10};
    map_init(&seen.keys, COUNT + 1);
    e = blockstore_each(t, bs, suite_visit, &seen);
    map_deinit(&seen.keys);
    SUITE_ERR(ERR_REFUSED, e);
    return OK;
}

static inline err_t suite_stat(task_t *t, suite_t *s, blockstore_t *bs)
{
    blockstore_stat_t stat;
    SUITE_ERR(OK, blockstore_stat(t, bs, &stat));
    SUITE_CHECK(stat.blocks == 0 && stat.bytes == 0);
    SUITE_ERR(OK, suite_put_range(t, bs, 0, 20, 10000));
    SUITE_ERR(OK, blockstore_stat(t, bs, &stat));
    SUITE_CHECK(stat.blocks == 20 && stat.bytes == 200000);
    SUITE_CHECK(!s->is_durable || stat.disk_bytes >= 200000);
    SUITE_ERR(OK, suite_remove_range(t, bs, 5, 10, 10000));
    SUITE_ERR(OK, blockstore_stat(t, bs, &stat));
    SUITE_CHECK(stat.blocks == 10 && stat.bytes == 100000);
    return OK;
}

/* Several tasks put, read and remove overlapping ranges at the same time. */
typedef struct suite_worker {
    blockstore_t *bs;
    uint64_t id;
} suite_worker_t;

static inline err_t suite_work(task_t *t, void *arg)
{
    suite_worker_t *w = arg;
    for (uint64_t i = 0; i < 20; i++) {
        uint64_t own = 10000 * (w->id + 1) + 10 * i;
        TRY(suite_put_range(t, w->bs, own, 10, 3000));
        TRY(suite_put_range(t, w->bs, 7 * i, 10, 3000)); /* all workers put these */
        TRY(suite_expect(t, w->bs, own + 3, 3000));
        TRY(suite_expect(t, w->bs, 7 * i + 9, 3000));
        TRY(suite_remove_range(t, w->bs, own, 5, 3000));
        TRY(suite_expect_absent(t, w->bs, own + 3, 3000));
    }
    return OK;
}

static inline err_t suite_concurrent(task_t *t, suite_t *s, blockstore_t *bs)
{
    enum { WORKERS = 4 };
    suite_worker_t workers[WORKERS];
    blockstore_stat_t stat;
    group_t g;
    group_init(&g, task_sched(t));
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = (suite_worker_t){bs, i};
        TRY(group_spawn(&g, "worker", suite_work, &workers[i], NULL));
    }
    err_t e = group_join(t, &g);
    group_deinit(&g);
    TRY(e);
    SUITE_ERR(OK, blockstore_stat(t, bs, &stat));
    SUITE_CHECK(stat.blocks == 7 * 19 + 10 + WORKERS * 100);
    for (uint64_t i = 0; i < 7 * 19 + 10; i++)
        TRY(suite_expect(t, bs, i, 3000));
    return OK;
}

static inline err_t suite_writer(task_t *t, suite_t *s, blockstore_t *bs)
{
    AUTO(blockstore_writer_t) w;
    blockstore_writer_init(&w, bs);
    for (uint64_t i = 0; i < 300; i++) {
        block_t *b = suite_block(i, 9000);
        err_t e = blockstore_write(t, &w, &b, 1);
        block_release(b);
        SUITE_ERR(OK, e);
        if (i % 50 == 0)
            TRY(suite_expect(t, bs, i, 9000)); /* before it is durable */
    }
    SUITE_ERR(OK, blockstore_sync(t, bs));
    SUITE_ERR(OK, blockstore_flush(t, &w));
    SUITE_ERR(OK, blockstore_flush(t, &w));
    SUITE_ERR(OK, blockstore_sync(t, bs));
    for (uint64_t i = 0; i < 300; i++)
        TRY(suite_expect(t, bs, i, 9000));
    return OK;
}

/* Removes most, compacts, and finds the rest; and again after more of both. */
static inline err_t suite_compact(task_t *t, suite_t *s, blockstore_t *bs)
{
    blockstore_stat_t before, after;
    for (uint64_t round = 0; round < 3; round++) {
        uint64_t base = 1000 * round;
        SUITE_ERR(OK, suite_put_range(t, bs, base, 200, 5000));
        SUITE_ERR(OK, suite_put_range(t, bs, base + 500, 4, 200000));
        SUITE_ERR(OK, suite_remove_range(t, bs, base + 10, 180, 5000));
        SUITE_ERR(OK, suite_remove_range(t, bs, base + 501, 2, 200000));
        SUITE_ERR(OK, blockstore_stat(t, bs, &before));
        SUITE_ERR(OK, blockstore_compact(t, bs));
        SUITE_ERR(OK, blockstore_stat(t, bs, &after));
        SUITE_CHECK(after.blocks == before.blocks && after.bytes == before.bytes);
        SUITE_CHECK(after.disk_bytes <= before.disk_bytes + 65536);
        for (uint64_t i = 0; i < 200; i++)
            TRY(i < 10 || i >= 190 ? suite_expect(t, bs, base + i, 5000)
                                   : suite_expect_absent(t, bs, base + i, 5000));
        TRY(suite_expect(t, bs, base + 503, 200000));
    }
    return OK;
}

/* blockstore_get_many gives what blockstore_get gives, absent, damaged and identity ones included. */
static inline err_t suite_many_agrees(task_t *t, blockstore_t *bs, const cid_t *cids, size_t n,
                                      size_t *ret_found)
{
    block_t *blocks[200];
    SUITE_CHECK(n <= ARRAY_LEN(blocks));
    SUITE_ERR(OK, blockstore_get_many(t, bs, cids, n, blocks));
    size_t wrong = 0;
    *ret_found = 0;
    for (size_t i = 0; i < n; i++) {
        AUTO_PTR(block_t) many = blocks[i];
        AUTO_PTR(block_t) one = NULL;
        err_t e = blockstore_get(t, bs, &cids[i], &one);
        *ret_found += !e;
        wrong += e ? many != NULL
                   : !many || !cid_equal(&many->cid, &cids[i]) ||
                         !bytes_equal(block_bytes(many), block_bytes(one));
    }
    SUITE_CHECK(!wrong);
    return OK;
}

static inline err_t suite_many(task_t *t, suite_t *s, blockstore_t *bs)
{
    static const size_t lengths[] = {0, 10, 2000, 262144, 5000, 1 << 20};
    cid_t cids[130];
    size_t n = 0, found = 0;
    SUITE_ERR(OK, suite_put_range(t, bs, 0, 100, 3000)); /* neighbours, more than one trip takes */
    for (uint64_t i = 0; i < 100; i++)
        cids[n++] = suite_cid(i, 3000);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        SUITE_ERR(OK, suite_put(t, bs, 500 + i, lengths[i]));
        cids[n++] = suite_cid(500 + i, lengths[i]);
    }
    cids[n++] = suite_cid(7, 3000); /* again, and out of order */
    cids[n++] = suite_cid(3, 3000);
    SUITE_ERR(OK, cid_of(1, CODEC_RAW, MH_IDENTITY, BYTES_LIT("here"), &cids[n++]));
    TRY(suite_remove_range(t, bs, 40, 5, 3000));
    TRY(suite_many_agrees(t, bs, cids, n, &found));
    SUITE_CHECK(found == n - 5);
    TRY(suite_many_agrees(t, bs, cids + 41, 3, &found));
    SUITE_CHECK(found == 0);
    return suite_many_agrees(t, bs, cids, 0, &found);
}

static inline err_t suite_reopen(task_t *t, suite_t *s, blockstore_t **bs)
{
    blockstore_close(t, *bs);
    *bs = NULL;
    return s->open(t, s, bs);
}

static inline err_t suite_persists(task_t *t, suite_t *s, blockstore_t **bs)
{
    blockstore_stat_t stat;
    if (!s->is_durable)
        return OK;
    SUITE_ERR(OK, suite_put_range(t, *bs, 0, 100, 2000));
    SUITE_ERR(OK, suite_remove_range(t, *bs, 20, 30, 2000));
    for (int i = 0; i < 3; i++) {
        SUITE_ERR(OK, suite_reopen(t, s, bs));
        SUITE_ERR(OK, blockstore_stat(t, *bs, &stat));
        SUITE_CHECK(stat.blocks == 70u + (unsigned)i && stat.bytes == 2000u * (70 + (unsigned)i));
        TRY(suite_expect(t, *bs, 0, 2000));
        TRY(suite_expect_absent(t, *bs, 25, 2000));
        TRY(suite_expect(t, *bs, 99, 2000));
        SUITE_ERR(OK, suite_put(t, *bs, 1000 + (uint64_t)i, 2000));
    }
    return OK;
}

typedef err_t (*suite_case_fn)(task_t *t, suite_t *s, blockstore_t *bs);
static const struct {
    const char *name;
    suite_case_fn run;
} suite_cases[] = {
    {"sizes", suite_sizes},       {"codecs", suite_codecs},
    {"identity", suite_identity}, {"duplicates", suite_duplicates},
    {"each", suite_each},         {"many", suite_many},
    {"stat", suite_stat},         {"concurrent", suite_concurrent},
    {"writer", suite_writer},     {"compact", suite_compact},
};

/* Runs all cases, each on an empty store; `clear` makes it empty again. */
static inline err_t suite_run(task_t *t, suite_t *s, err_t (*clear)(task_t *t, suite_t *s))
{
    for (size_t i = 0; i <= ARRAY_LEN(suite_cases); i++) {
        blockstore_t *bs = NULL;
        TRY(clear(t, s));
        TRY(s->open(t, s, &bs));
        bool is_last = i == ARRAY_LEN(suite_cases);
        err_t e = is_last ? suite_persists(t, s, &bs) : suite_cases[i].run(t, s, bs);
        blockstore_close(t, bs);
        if (e)
            return fail_also(e, "case %s", is_last ? "persists" : suite_cases[i].name);
    }
    return OK;
}
#endif

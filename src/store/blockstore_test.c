/* The suite of all stores in the simulator, and what single stores add to it. */
#include "sim/sim.h"
#include "store/blockstore_suite.h"
#include "store/flat_store.h"
#include "store/pack_impl.h"
#include "tests/support/test.h"

#define FOLDER "/tmp/blocks"
static const pack_options_t small = {.segment_bytes = 100000, .commit_bytes = 30000};

static void run_in_sim(uint64_t seed, task_fn fn, void *arg)
{
    sim_t *s = sim_new(seed);
    err_t e = sim_run(s, fn, arg);
    sim_free(s);
    assert_ok(e);
}

/* ── the suite ───────────────────────────────────────────────────────────────────────────────── */
static err_t open_memory(task_t *t, suite_t *s, blockstore_t **ret)
{
    return memory_store_new(64 << 20, ret);
}

static err_t open_flat(task_t *t, suite_t *s, blockstore_t **ret)
{
    return flat_store_open(t, s->folder, ret);
}

static err_t open_pack(task_t *t, suite_t *s, blockstore_t **ret)
{
    return pack_store_open(t, s->folder, s->option ? &small : NULL, ret);
}

static err_t clear(task_t *t, suite_t *s)
{
    err_t e = fs_remove_tree(t, s->folder);
    return e == ERR_NOT_FOUND ? OK : e;
}

static err_t run_suite(task_t *t, void *arg)
{
    return suite_run(t, arg, clear);
}

static void test_suite_memory(void **state)
{
    run_in_sim(1, run_suite, &(suite_t){.open = open_memory, .folder = FOLDER});
}

static void test_suite_flat(void **state)
{
    run_in_sim(2, run_suite, &(suite_t){.open = open_flat, .folder = FOLDER, .is_durable = true});
}

static void test_suite_pack(void **state)
{
    run_in_sim(3, run_suite, &(suite_t){.open = open_pack, .folder = FOLDER, .is_durable = true});
    run_in_sim(4, run_suite,
               &(suite_t){.open = open_pack, .folder = FOLDER, .is_durable = true, .option = 1});
}

/* ── memory ──────────────────────────────────────────────────────────────────────────────────── */
static err_t memory_is_full(task_t *t, void *arg)
{
    blockstore_t *bs;
    TRY(memory_store_new(2500, &bs));
    SUITE_ERR(OK, suite_put_range(t, bs, 0, 2, 1000));
    SUITE_ERR(ERR_NO_SPACE, suite_put(t, bs, 2, 1000));
    SUITE_ERR(OK, suite_remove_range(t, bs, 0, 1, 1000));
    SUITE_ERR(OK, suite_put(t, bs, 2, 1000));
    blockstore_close(t, bs);
    blockstore_close(t, NULL);
    return OK;
}

static void test_memory_is_full(void **state)
{
    run_in_sim(5, memory_is_full, NULL);
}

/* ── flat ────────────────────────────────────────────────────────────────────────────────────── */
/* The place of a block is the one that Kubo's flatfs gives it: CIQ… for sha2-256. */
static err_t flat_layout(task_t *t, void *arg)
{
    blockstore_t *bs;
    block_t *b;
    AUTO(buf_t) text;
    buf_init(&text, 100);
    TRY(flat_store_open(t, FOLDER, &bs));
    SUITE_ERR(OK, fs_read_file(t, FOLDER "/SHARDING", 100, &text));
    SUITE_CHECK(bytes_equal(buf_bytes(&text), BYTES_LIT("/repo/flatfs/shard/v1/next-to-last/2\n")));
    cid_t cid;
    TRY(cid_of(1, CODEC_RAW, MH_SHA2_256, BYTES_LIT("hello world\n"), &cid));
    TRY(block_copy(&cid, BYTES_LIT("hello world\n"), &b));
    err_t e = blockstore_put(t, bs, b);
    block_release(b);
    TRY(e);
    AUTO(dir_list_t) shards = {0};
    SUITE_ERR(OK, fs_list(t, FOLDER, &shards));
    size_t found = 0;
    for (size_t i = 0; i < shards.count; i++) {
        if (strlen(shards.names[i]) != 2)
            continue;
        char path[200];
        AUTO(dir_list_t) files = {0};
        snprintf(path, sizeof path, FOLDER "/%s", shards.names[i]);
        SUITE_ERR(OK, fs_list(t, path, &files));
        SUITE_CHECK(files.count == 1);
        const char *name = files.names[0];
        size_t key = strlen(name) - 5;
        SUITE_CHECK(strncmp(name, "CIQ", 3) == 0 && strcmp(name + key, ".data") == 0);
        SUITE_CHECK(strncmp(name + key - 3, shards.names[i], 2) == 0);
        found++;
    }
    SUITE_CHECK(found == 1);
    blockstore_close(t, bs);
    return OK;
}

static void test_flat_layout(void **state)
{
    run_in_sim(6, flat_layout, NULL);
}

/* Finds the one file of a block that a visitor saw last. */
static err_t path_of_only_block(task_t *t, char out[300])
{
    AUTO(dir_list_t) shards = {0};
    TRY(fs_list(t, FOLDER, &shards));
    for (size_t i = 0; i < shards.count; i++) {
        if (strlen(shards.names[i]) != 2)
            continue;
        char folder[200];
        AUTO(dir_list_t) files = {0};
        snprintf(folder, sizeof folder, FOLDER "/%s", shards.names[i]);
        TRY(fs_list(t, folder, &files));
        if (files.count)
            snprintf(out, 300, "%s/%s", folder, files.names[0]);
    }
    return OK;
}

static err_t flat_damage(task_t *t, void *arg)
{
    blockstore_t *bs;
    char path[300];
    file_t *f;
    TRY(flat_store_open(t, FOLDER, &bs));
    TRY(suite_put(t, bs, 1, 1000));
    TRY(path_of_only_block(t, path));
    /* Wrong bytes, a short file, an empty file: absent, and mended by the next put. */
    sim_disk_corrupt(sim_host_of(t), path, 10, 5);
    TRY(file_open(t, path, FILE_READ, 0, &f));
    file_close(f);
    cid_t cid = suite_cid(1, 1000);
    for (int i = 0; i < 3; i++) {
        AUTO_PTR(block_t) got = NULL;
        SUITE_ERR(ERR_NOT_FOUND, blockstore_get(t, bs, &cid, &got));
        SUITE_ERR(OK, suite_put(t, bs, 1, 1000));
        TRY(suite_expect(t, bs, 1, 1000));
        TRY(file_open(t, path, FILE_READ | FILE_WRITE, 0, &f));
        err_t e = file_truncate(t, f, i ? 0 : 500);
        file_close(f);
        TRY(e);
    }
    blockstore_close(t, bs);
    return OK;
}

static void test_flat_damage(void **state)
{
    run_in_sim(7, flat_damage, NULL);
}

static err_t flat_sharding(task_t *t, void *arg)
{
    static const char *const good[] = {"/repo/flatfs/shard/v1/prefix/3", "/repo/flatfs/shard/v1/suffix/2\n"};
    static const char *const bad[] = {"", "/repo/flatfs/shard/v1/next-to-last/0",
                                      "/repo/flatfs/shard/v2/prefix/2", "/repo/flatfs/shard/v1/suffix/99",
                                      "/repo/flatfs/shard/v1/suffix/2x"};
    blockstore_t *bs;
    TRY(fs_mkdirs(t, FOLDER, 0700));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        TRY(fs_write_file(t, FOLDER "/SHARDING", 0600, bytes_str(bad[i])));
        SUITE_ERR(ERR_UNSUPPORTED, flat_store_open(t, FOLDER, &bs));
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        TRY(fs_write_file(t, FOLDER "/SHARDING", 0600, bytes_str(good[i])));
        SUITE_ERR(OK, flat_store_open(t, FOLDER, &bs));
        TRY(suite_put(t, bs, i, 100));
        TRY(suite_expect(t, bs, i, 100));
        blockstore_close(t, bs);
    }
    return OK;
}

static void test_flat_sharding(void **state)
{
    run_in_sim(8, flat_sharding, NULL);
}

/* ── pack: damage ────────────────────────────────────────────────────────────────────────────── */
static err_t fill_pack(task_t *t, blockstore_t **ret)
{
    TRY(pack_store_open(t, FOLDER, &small, ret));
    for (uint64_t i = 0; i < 100; i += 5)
        TRY(suite_put_range(t, *ret, i, 5, 5000));
    return OK;
}

static err_t expect_range(task_t *t, blockstore_t *bs, uint64_t from, uint64_t to, size_t len)
{
    for (uint64_t i = from; i < to; i++)
        TRY(suite_expect(t, bs, i, len));
    return OK;
}

static err_t reopen_pack(task_t *t, blockstore_t **bs)
{
    blockstore_close(t, *bs);
    *bs = NULL;
    return pack_store_open(t, FOLDER, &small, bs);
}

/* The index is lost, foreign, or rubbish: it is built anew, and what was removed before is the only thing
 * that may come back. */
static err_t pack_index_lost(task_t *t, void *arg)
{
    blockstore_t *bs;
    TRY(fill_pack(t, &bs));
    TRY(suite_remove_range(t, bs, 90, 10, 5000));
    for (int i = 0; i < 3; i++) {
        blockstore_close(t, bs);
        if (i == 0)
            TRY(fs_remove_tree(t, FOLDER "/index"));
        else if (i == 1)
            TRY(fs_write_file(t, FOLDER "/index/index.db", 0600,
                              BYTES_LIT("rubbish that is no journal at all")));
        else
            sim_disk_corrupt(sim_host_of(t), FOLDER "/index/index.db", 0, 64);
        SUITE_ERR(OK, pack_store_open(t, FOLDER, &small, &bs));
        TRY(expect_range(t, bs, 0, 90, 5000));
        TRY(suite_put(t, bs, 1000 + (uint64_t)i, 5000));
        TRY(suite_expect(t, bs, 1000 + (uint64_t)i, 5000));
    }
    blockstore_close(t, bs);
    return OK;
}

static void test_pack_index_lost(void **state)
{
    run_in_sim(9, pack_index_lost, NULL);
}

/* The index of another store in the place of ours. */
static err_t pack_index_foreign(task_t *t, void *arg)
{
    blockstore_t *bs;
    TRY(fill_pack(t, &bs));
    blockstore_close(t, bs);
    TRY(pack_store_open(t, "/tmp/other", &small, &bs));
    TRY(suite_put_range(t, bs, 500, 100, 5000));
    blockstore_close(t, bs);
    TRY(fs_remove_tree(t, FOLDER "/index"));
    TRY(fs_rename(t, "/tmp/other/index", FOLDER "/index"));
    SUITE_ERR(OK, pack_store_open(t, FOLDER, &small, &bs));
    TRY(expect_range(t, bs, 0, 100, 5000));
    TRY(suite_expect_absent(t, bs, 500, 5000));
    blockstore_close(t, bs);
    return OK;
}

static void test_pack_index_foreign(void **state)
{
    run_in_sim(10, pack_index_foreign, NULL);
}

/* A damaged block is told as such, others are not touched by it; dropping it lets it be put again. */
static err_t pack_damaged_block(task_t *t, void *arg)
{
    blockstore_t *bs;
    pack_loc_t loc;
    uint8_t key[CID_BINARY_MAX];
    AUTO_PTR(block_t) got = NULL;
    cid_t cid = suite_cid(7, 5000);
    char path[PACK_PATH_MAX];
    TRY(fill_pack(t, &bs));
    TRY(pack_find(t, pack_self(bs), bytes_of(key, cid_encode_multihash(&cid, key)), &loc));
    pack_segment_path(pack_self(bs), loc.segment, path);
    sim_disk_corrupt(sim_host_of(t), path, loc.offset + 100, 3);
    SUITE_ERR(ERR_CORRUPT, blockstore_get(t, bs, &cid, &got));
    cid_t around[] = {suite_cid(6, 5000), cid, suite_cid(8, 5000)};
    size_t found;
    TRY(suite_many_agrees(t, bs, around, ARRAY_LEN(around), &found));
    SUITE_CHECK(found == 2);
    TRY(suite_expect(t, bs, 6, 5000));
    TRY(suite_expect(t, bs, 8, 5000));
    SUITE_ERR(OK, blockstore_remove(t, bs, &cid, 1));
    TRY(suite_put(t, bs, 7, 5000));
    TRY(suite_expect(t, bs, 7, 5000));
    /* An index built anew passes over a damaged record and finds what stands behind it. */
    sim_disk_corrupt(sim_host_of(t), path, loc.offset - 40, 4);
    blockstore_close(t, bs);
    TRY(fs_remove_tree(t, FOLDER "/index"));
    SUITE_ERR(OK, pack_store_open(t, FOLDER, &small, &bs));
    TRY(expect_range(t, bs, 0, 100, 5000));
    /* Compaction takes what can be read and drops the rest from the index. */
    pack_segment_path(pack_self(bs), 2, path);
    sim_disk_corrupt(sim_host_of(t), path, PACK_SEGMENT_HEADER_BYTES + 200, 1);
    TRY(suite_remove_range(t, bs, 0, 60, 5000));
    SUITE_ERR(OK, blockstore_compact(t, bs));
    TRY(expect_range(t, bs, 61, 100, 5000));
    blockstore_close(t, bs);
    return OK;
}

static void test_pack_damaged_block(void **state)
{
    run_in_sim(11, pack_damaged_block, NULL);
}

/* A segment that is gone or cut: its blocks are gone, and can be put again. */
static err_t pack_lost_segment(task_t *t, void *arg)
{
    blockstore_t *bs;
    char path[PACK_PATH_MAX];
    blockstore_stat_t stat;
    file_t *f;
    TRY(fill_pack(t, &bs));
    pack_segment_path(pack_self(bs), 2, path);
    blockstore_close(t, bs);
    TRY(fs_unlink(t, path));
    SUITE_ERR(OK, pack_store_open(t, FOLDER, &small, &bs));
    SUITE_ERR(OK, blockstore_stat(t, bs, &stat));
    SUITE_CHECK(stat.blocks > 50 && stat.blocks < 100 && stat.bytes == 5000 * stat.blocks);
    TRY(suite_put_range(t, bs, 0, 100, 5000));
    TRY(expect_range(t, bs, 0, 100, 5000));
    pack_segment_path(pack_self(bs), 1, path);
    blockstore_close(t, bs);
    TRY(file_open(t, path, FILE_READ | FILE_WRITE, 0, &f));
    err_t e = file_truncate(t, f, 20001);
    file_close(f);
    TRY(e);
    SUITE_ERR(OK, pack_store_open(t, FOLDER, &small, &bs));
    SUITE_ERR(OK, blockstore_stat(t, bs, &stat));
    SUITE_CHECK(stat.blocks < 100);
    TRY(suite_put_range(t, bs, 0, 100, 5000));
    TRY(expect_range(t, bs, 0, 100, 5000));
    blockstore_close(t, bs);
    return OK;
}

static void test_pack_lost_segment(void **state)
{
    run_in_sim(12, pack_lost_segment, NULL);
}

/* Segments whose header is damaged: what the index knows is still read; an unknown one is put aside. */
static err_t pack_damaged_header(task_t *t, void *arg)
{
    blockstore_t *bs;
    char path[PACK_PATH_MAX];
    file_info_t info;
    TRY(fill_pack(t, &bs));
    TRY(suite_put(t, bs, 200, 100)); /* the newest segment has room */
    uint32_t newest = pack_self(bs)->current->number;
    pack_segment_path(pack_self(bs), newest, path);
    blockstore_close(t, bs);
    sim_disk_corrupt(sim_host_of(t), path, 9, 1);
    SUITE_ERR(OK, pack_store_open(t, FOLDER, &small, &bs));
    TRY(expect_range(t, bs, 0, 100, 5000));
    TRY(suite_put(t, bs, 201, 100));
    SUITE_CHECK(pack_self(bs)->current->number == newest + 1);
    TRY(reopen_pack(t, &bs));
    TRY(suite_expect(t, bs, 201, 100));
    TRY(suite_remove_range(t, bs, 0, 100, 5000));
    SUITE_ERR(OK, blockstore_compact(t, bs));
    TRY(suite_expect(t, bs, 200, 100));
    blockstore_close(t, bs);
    TRY(fs_remove_tree(t, FOLDER "/index"));
    TRY(fs_write_file(t, FOLDER "/pack/00000900.seg", 0600, BYTES_LIT("short")));
    TRY(fs_write_file(t, FOLDER "/pack/notes.txt", 0600, BYTES_LIT("not ours")));
    SUITE_ERR(OK, pack_store_open(t, FOLDER, &small, &bs));
    TRY(suite_expect(t, bs, 201, 100));
    TRY(suite_expect_absent(t, bs, 200, 100));
    strcat(path, ".bad");
    SUITE_ERR(OK, fs_stat(t, path, true, &info));
    SUITE_ERR(ERR_NOT_FOUND, fs_stat(t, FOLDER "/pack/00000900.seg", true, &info));
    blockstore_close(t, bs);
    return OK;
}

static void test_pack_damaged_header(void **state)
{
    run_in_sim(13, pack_damaged_header, NULL);
}

/* ── pack: a full disk ───────────────────────────────────────────────────────────────────────── */
static err_t pack_full_disk(task_t *t, void *arg)
{
    blockstore_t *bs;
    sim_host_t *h = sim_host_of(t);
    TRY(fill_pack(t, &bs));
    sim_disk_set_capacity(h, sim_disk_used_bytes(h) + 100000);
    err_t e = OK;
    uint64_t n = 0;
    while (!e && n < 1000)
        e = suite_put(t, bs, 10000 + n++, 5000);
    SUITE_CHECK(e == ERR_NO_SPACE && n > 1 && n < 30);
    TRY(expect_range(t, bs, 0, 100, 5000));
    TRY(expect_range(t, bs, 10000, 10000 + n - 1, 5000));
    TRY(suite_expect_absent(t, bs, 10000 + n - 1, 5000));
    sim_disk_set_capacity(h, 0);
    SUITE_ERR(OK, suite_put(t, bs, 10000 + n, 5000));
    TRY(reopen_pack(t, &bs));
    TRY(expect_range(t, bs, 0, 100, 5000));
    TRY(expect_range(t, bs, 10000, 10000 + n - 1, 5000));
    TRY(suite_expect(t, bs, 10000 + n, 5000));
    blockstore_close(t, bs);
    return OK;
}

static void test_pack_full_disk(void **state)
{
    run_in_sim(14, pack_full_disk, NULL);
}

/* Holes of a large removal, here and there, wait until no more come, and are not forgotten at the end. */
static err_t remove_each_second(task_t *t, blockstore_t *bs, uint64_t from, size_t n)
{
    cid_t *cids = xcalloc(n, sizeof *cids);
    for (size_t i = 0; i < n; i++)
        cids[i] = suite_cid(from + 2 * i, 40000);
    err_t e = blockstore_remove(t, bs, cids, n);
    free(cids);
    return e;
}

static err_t pack_punches_later(task_t *t, void *arg)
{
    blockstore_t *bs;
    blockstore_stat_t full, kept, holes;
    TRY(pack_store_open(t, FOLDER, NULL, &bs));
    TRY(suite_put_range(t, bs, 0, 600, 40000));
    TRY(blockstore_stat(t, bs, &full));
    TRY(remove_each_second(t, bs, 0, 100));
    TRY(task_sleep(t, 300));
    TRY(remove_each_second(t, bs, 200, 100));
    TRY(task_sleep(t, 300));
    TRY(blockstore_stat(t, bs, &kept));
    SUITE_CHECK(kept.disk_bytes + 36000 > full.disk_bytes);
    TRY(task_sleep(t, 1000));
    TRY(blockstore_stat(t, bs, &holes));
    SUITE_CHECK(holes.disk_bytes + 200 * 32768 < full.disk_bytes);
    TRY(remove_each_second(t, bs, 400, 100));
    blockstore_close(t, bs);
    TRY(pack_store_open(t, FOLDER, NULL, &bs));
    TRY(blockstore_stat(t, bs, &holes));
    SUITE_CHECK(holes.disk_bytes + 300 * 32768 < full.disk_bytes);
    TRY(suite_expect(t, bs, 399, 40000));
    blockstore_close(t, bs);
    return OK;
}

static void test_pack_punches_later(void **state)
{
    run_in_sim(15, pack_punches_later, NULL);
}

/* Room comes back: by holes at once, by compaction for small blocks. */
static err_t pack_gives_room_back(task_t *t, void *arg)
{
    blockstore_t *bs;
    blockstore_stat_t full, holes, compact;
    TRY(pack_store_open(t, FOLDER, NULL, &bs));
    TRY(suite_put_range(t, bs, 0, 50, 100000));
    TRY(suite_put_range(t, bs, 100, 500, 3000));
    TRY(blockstore_stat(t, bs, &full));
    TRY(suite_remove_range(t, bs, 0, 49, 100000));
    TRY(blockstore_stat(t, bs, &holes));
    SUITE_CHECK(holes.disk_bytes + 48 * 90000 < full.disk_bytes);
    TRY(suite_remove_range(t, bs, 100, 499, 3000));
    SUITE_ERR(OK, blockstore_compact(t, bs));
    TRY(blockstore_stat(t, bs, &compact));
    SUITE_CHECK(compact.blocks == 2 && compact.disk_bytes < 103000 + 30000);
    TRY(suite_expect(t, bs, 49, 100000));
    TRY(suite_expect(t, bs, 599, 3000));
    SUITE_ERR(OK, blockstore_compact(t, bs));
    blockstore_close(t, bs);
    return OK;
}

static void test_pack_gives_room_back(void **state)
{
    run_in_sim(15, pack_gives_room_back, NULL);
}

/* Readers that run while segments move away under them. */
typedef struct reading {
    blockstore_t *bs;
    bool is_over;
} reading_t;

static err_t keep_reading(task_t *t, void *arg)
{
    reading_t *r = arg;
    for (uint64_t i = 0; !r->is_over; i++) {
        TRY(suite_expect(t, r->bs, 90 + i % 10, 5000));
        TRY(task_sleep(t, 1));
    }
    return OK;
}

static err_t pack_reads_during_compaction(task_t *t, void *arg)
{
    reading_t r = {0};
    group_t g;
    TRY(fill_pack(t, &r.bs));
    group_init(&g, task_sched(t));
    for (int i = 0; i < 3; i++)
        TRY(group_spawn(&g, "reader", keep_reading, &r, NULL));
    err_t e = OK;
    for (uint64_t round = 0; round < 5 && !e; round++) {
        e = suite_put_range(t, r.bs, 1000 * (round + 1), 40, 5000);
        e = e ? e : suite_remove_range(t, r.bs, 10 * round, 10, 5000);
        e = e ? e : suite_remove_range(t, r.bs, 1000 * (round + 1), 40, 5000);
        e = e ? e : blockstore_compact(t, r.bs);
    }
    r.is_over = true;
    err_t joined = group_join(t, &g);
    group_deinit(&g);
    TRY(e);
    TRY(joined);
    blockstore_close(t, r.bs);
    return OK;
}

static void test_pack_reads_during_compaction(void **state)
{
    for (uint64_t seed = 20; seed < 30; seed++)
        run_in_sim(seed, pack_reads_during_compaction, NULL);
}

/* More segments than open files. */
static err_t pack_many_segments(task_t *t, void *arg)
{
    static const pack_options_t tiny = {.segment_bytes = 3000, .commit_bytes = 1 << 20};
    blockstore_t *bs;
    TRY(pack_store_open(t, FOLDER, &tiny, &bs));
    for (uint64_t i = 0; i < 120; i++)
        TRY(suite_put(t, bs, i, 3000));
    SUITE_CHECK(pack_self(bs)->n_segments == 120);
    for (uint64_t i = 0; i < 300; i++)
        TRY(suite_expect(t, bs, i * 7 % 120, 3000));
    SUITE_CHECK(pack_self(bs)->open_files <= PACK_OPEN_FILES_MAX + 1);
    blockstore_close(t, bs);
    return OK;
}

static void test_pack_many_segments(void **state)
{
    run_in_sim(31, pack_many_segments, NULL);
}

static err_t refuses_paths(task_t *t, void *arg)
{
    char path[5000];
    blockstore_t *bs;
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[4500] = 0;
    SUITE_ERR(ERR_INVALID, pack_store_open(t, path, NULL, &bs));
    SUITE_ERR(ERR_INVALID, flat_store_open(t, path, &bs));
    TRY(fs_write_file(t, "/tmp/file", 0600, BYTES_LIT("x")));
    SUITE_CHECK(pack_store_open(t, "/tmp/file/blocks", NULL, &bs) != OK);
    SUITE_CHECK(flat_store_open(t, "/tmp/file/blocks", &bs) != OK);
    return OK;
}

static void test_refuses_paths(void **state)
{
    run_in_sim(32, refuses_paths, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suite_memory),         cmocka_unit_test(test_suite_flat),
        cmocka_unit_test(test_suite_pack),           cmocka_unit_test(test_memory_is_full),
        cmocka_unit_test(test_flat_layout),          cmocka_unit_test(test_flat_damage),
        cmocka_unit_test(test_flat_sharding),        cmocka_unit_test(test_pack_index_lost),
        cmocka_unit_test(test_pack_index_foreign),   cmocka_unit_test(test_pack_damaged_block),
        cmocka_unit_test(test_pack_lost_segment),    cmocka_unit_test(test_pack_damaged_header),
        cmocka_unit_test(test_pack_full_disk),       cmocka_unit_test(test_pack_punches_later),
        cmocka_unit_test(test_pack_gives_room_back), cmocka_unit_test(test_pack_reads_during_compaction),
        cmocka_unit_test(test_pack_many_segments),   cmocka_unit_test(test_refuses_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

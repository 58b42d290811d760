/* Commits of the mutable tree, in the simulator: its journal, crashes, full and failing disks. */
#include "repo/mfs_file.h"
#include "tests/support/mfs.h"

enum { CRASHES = 14, DISK_FAULTS = 40 };

/* fn gets the host that it may crash, and the simulator. */
static void run_beside_victim(task_fn fn, uint64_t seeds)
{
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        sim_t *sim = sim_new(seed);
        sim_add_host(sim, "10.0.0.1");
        void *arg[2] = {sim_add_host(sim, "10.0.0.2"), sim};
        assert_ok(sim_run(sim, fn, arg));
        sim_free(sim);
    }
}

/* ── crashes ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct life {
    size_t acknowledged; /* files, by all lives */
    bool has_begun, is_over;
    event_t changed;
} life_t;

static const char *crash_path(size_t i, char out[64])
{
    snprintf(out, 64, "/d%zu/e/f%zu", i % 5, i);
    return out;
}

static void check_acknowledged(task_t *t, repo_t *r, size_t n)
{
    char path[64];
    for (size_t i = 0; i < n; i++)
        check_file(t, r, crash_path(i, path), i, i * 37 % 3000);
    check_whole(t, r);
}

static err_t live(task_t *t, void *arg)
{
    life_t *l = arg;
    char path[64];
    repo_t *r = open_repo(t);
    check_acknowledged(t, r, l->acknowledged);
    l->has_begun = true;
    event_fire(&l->changed);
    for (err_t e = OK; !e && l->acknowledged < 400;) {
        e = write_file(t, repo_mfs(r), "/unflushed/x", 7, 5000, false);
        if (!e)
            e = write_file(t, repo_mfs(r), crash_path(l->acknowledged, path), l->acknowledged,
                           l->acknowledged * 37 % 3000, true);
        l->acknowledged += !e;
    }
    repo_close(t, r);
    l->is_over = true;
    event_fire(&l->changed);
    return OK;
}

static err_t crashes(task_t *t, void *arg)
{
    life_t l = {0};
    sim_host_t *h = ((sim_host_t **)arg)[0];
    prng_t *r = sim_prng(((sim_t **)arg)[1]);
    event_init(&l.changed);
    for (size_t i = 0; i <= CRASHES; i++) {
        l.has_begun = l.is_over = false;
        assert_ok(sim_host_start(h, "life", live, &l));
        while (!l.has_begun)
            assert_ok(event_wait(t, &l.changed));
        if (i == CRASHES)
            break;
        assert_ok(task_sleep(t, prng_below(r, 90)));
        sim_crash(h, i % 3 ? SIM_POWER_LOSS : SIM_KILL);
        assert_ok(sim_host_join_dead(t, h));
        sim_restart(h);
    }
    while (!l.is_over)
        assert_ok(event_wait(t, &l.changed));
    assert_int_equal(l.acknowledged, 400);
    return OK;
}

static void test_crashes(void **state)
{
    run_beside_victim(crashes, 3);
}

/* Whoever is asked for a block never answers. */
static err_t get_never(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret)
{
    event_t never;
    event_init(&never);
    return event_wait(t, &never);
}

static void remove_while_full(task_t *t, mfs_t *m, const char *path)
{
    static const blocks_ops_t ops = {.get = get_never};
    blocks_t nobody = {&ops};
    deadline_t d = deadline_push(t, 60000);
    err_t e = mfs_remove(t, m, &nobody, path, false, false);
    assert_true(e && e != ERR_TIMEOUT);
    deadline_pop(t, &d);
}

/* The disk fills, and the store loses what the journal has acknowledged: nothing is collected before it is
 * back, and it comes back by itself when there is room. */
static err_t full_disk(task_t *t, void *arg)
{
    char path[64];
    gc_result_t result;
    repo_t *r = open_repo(t);
    assert_ok(write_file(t, repo_mfs(r), "/a/b/first", 1, 1000, true));
    repo_close(t, r);
    r = open_repo(t); /* it is durable in the store */
    for (uint64_t i = 0; i < 20; i++)
        assert_ok(write_file(t, repo_mfs(r), crash_path(i, path), i, 2000 + i, true));
    uint64_t before = blockstore_losses(repo_blockstore(r));
    sim_disk_set_capacity(sim_host_of(t),
                          sim_disk_used_bytes(sim_host_of(t))); /* what is there may be written over */
    assert_true(blockstore_sync(t, repo_blockstore(r)) != OK);
    assert_true(blockstore_losses(repo_blockstore(r)) != before);
    for (uint64_t i = 0; i < 5; i++) /* the journal has room, which is that of what was acknowledged */
        assert_true(write_file(t, repo_mfs(r), "/late", i, 10 + i, true) != OK);
    assert_err(gc_run(t, repo_gc(r), NULL, NULL, &result), ERR_IO);
    check_file(t, r, "/a/b/first", 1, 1000);
    for (uint64_t i = 0; i < 20; i++)
        remove_while_full(t, repo_mfs(r), crash_path(i, path));
    sim_disk_set_capacity(sim_host_of(t), 0);
    assert_ok(task_sleep(t, 5000));
    for (int round = 0; round < 2; round++) {
        check_file(t, r, "/a/b/first", 1, 1000);
        for (uint64_t i = 0; i < 20; i++)
            check_file(t, r, crash_path(i, path), i, 2000 + i);
        assert_ok(gc_run(t, repo_gc(r), NULL, NULL, &result));
        check_whole(t, r);
    }
    repo_close(t, r);
    return OK;
}

static void test_full_disk(void **state)
{
    (void)state;
    assert_ok(test_run(full_disk, NULL));
}

/* The n-th change of the disk fails: the call fails or not, and whatever was acknowledged is there, now and
 * after. */
static err_t disk_fault(task_t *t, void *arg)
{
    size_t n = *(size_t *)arg;
    bool done[6];
    char path[64];
    repo_t *r = open_repo(t);
    assert_ok(write_file(t, repo_mfs(r), "/first", 1, 1000, true));
    sim_disk_fail_nth(sim_host_of(t), n, n % 2 ? ERR_NO_SPACE : ERR_IO, false);
    for (size_t i = 0; i < ARRAY_LEN(done); i++)
        done[i] = !write_file(t, repo_mfs(r), crash_path(i, path), i, 2000 + i, true);
    sim_disk_fail_nth(sim_host_of(t), 0, OK, false);
    for (int round = 0; round < 2; round++) {
        check_file(t, r, "/first", 1, 1000);
        for (size_t i = 0; i < ARRAY_LEN(done); i++)
            if (done[i])
                check_file(t, r, crash_path(i, path), i, 2000 + i);
        check_whole(t, r);
        if (!round)
            assert_ok(write_file(t, repo_mfs(r), "/last", 2, 1000, true));
        repo_close(t, r);
        r = open_repo(t);
    }
    check_file(t, r, "/last", 2, 1000);
    repo_close(t, r);
    return OK;
}

static void test_disk_faults(void **state)
{
    for (size_t n = 1; n <= DISK_FAULTS; n++)
        assert_ok(test_run(disk_fault, &n));
}

/* Several write while the disk is full for a while, again and again: the tree begins anew under their hands.
 */
enum { SHARERS = 5, SHARED_FILES = 40 };

typedef struct sharer {
    repo_t *repo;
    size_t number;
    bool done[SHARED_FILES];
} sharer_t;

static size_t shared_length(size_t sharer, size_t i)
{
    return i % 9 == 8 ? 600000 : 100 + (i * 37 + sharer) % 3000;
}

static const char *shared_path(size_t sharer, size_t i, char out[64])
{
    snprintf(out, 64, "/d%zu/e/w%zu-%zu", i % 3, sharer, i);
    return out;
}

static err_t share_disk(task_t *t, void *arg)
{
    sharer_t *s = arg;
    char path[64];
    for (size_t i = 0; i < SHARED_FILES; i++) {
        s->done[i] = !write_file(t, repo_mfs(s->repo), shared_path(s->number, i, path), i * 10 + s->number,
                                 shared_length(s->number, i), true);
        assert_ok(task_sleep(t, 30));
    }
    return OK;
}

static void check_shared(task_t *t, repo_t *r, const sharer_t sharers[SHARERS], size_t *ret_done)
{
    char path[64];
    *ret_done = 0;
    for (size_t w = 0; w < SHARERS; w++)
        for (size_t i = 0; i < SHARED_FILES; i++)
            if (sharers[w].done[i]) {
                check_file(t, r, shared_path(w, i, path), i * 10 + w, shared_length(w, i));
                ++*ret_done;
            }
    check_whole(t, r);
}

static err_t full_now_and_then(task_t *t, void *arg)
{
    uint64_t n = *(uint64_t *)arg;
    sharer_t sharers[SHARERS];
    group_t g;
    size_t done, again;
    repo_t *r = open_repo(t);
    assert_ok(write_file(t, repo_mfs(r), "/first", 1, 1000, true));
    group_init(&g, task_sched(t));
    for (size_t w = 0; w < SHARERS; w++) {
        sharers[w] = (sharer_t){.repo = r, .number = w};
        assert_ok(group_spawn(&g, "sharer", share_disk, &sharers[w], NULL));
    }
    for (size_t i = 0; i < 10; i++) {
        assert_ok(task_sleep(t, 60 + n * 17));
        sim_disk_set_capacity(sim_host_of(t), sim_disk_used_bytes(sim_host_of(t)) + i * n % 7 * 30000);
        assert_ok(task_sleep(t, 30 + n * 7));
        (void)!blockstore_sync(t, repo_blockstore(r));
        sim_disk_set_capacity(sim_host_of(t), 0);
    }
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    assert_ok(task_sleep(t, 5000));
    check_shared(t, r, sharers, &done);
    assert_true(blockstore_losses(repo_blockstore(r)) > 0);
    assert_true(done > SHARED_FILES && done < SHARERS * SHARED_FILES);
    repo_close(t, r);
    r = open_repo(t);
    check_shared(t, r, sharers, &again);
    assert_int_equal(done, again);
    repo_close(t, r);
    return OK;
}

static void test_full_now_and_then(void **state)
{
    for (uint64_t n = 1; n <= 6; n++)
        assert_ok(test_run(full_now_and_then, &n));
}

/* ── any changes ─────────────────────────────────────────────────────────────────────────────── */
enum { DIRS = 3, FILES = 5, STATES_MAX = 4096, LIVES = 25 };

/* The number of each file's content; 0: it is not there. */
typedef struct tree_state {
    uint16_t files[DIRS][FILES];
} tree_state_t;

typedef struct changing {
    tree_state_t states[STATES_MAX]; /* after each change, that which is under way included */
    size_t n, durable;               /* what was acknowledged last */
    uint64_t random;
    bool has_begun;
    event_t begun;
} changing_t;

static size_t next_random(changing_t *c, size_t below)
{
    c->random = c->random * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(c->random >> 33) % below;
}

static const char *slot_path(size_t dir, size_t file, char out[64])
{
    snprintf(out, 64, "/d%zu/f%zu", dir, file);
    return out;
}

static size_t length_of(uint16_t number)
{
    return number % 11 ? number % 3000 : number % 7 ? 300000 : 700000; /* more than a record takes */
}

static bool is_state(task_t *t, repo_t *r, const tree_state_t *s)
{
    char path[64];
    mfs_entry_t entry;
    for (size_t d = 0; d < DIRS; d++)
        for (size_t f = 0; f < FILES; f++) {
            err_t e = mfs_lookup(t, repo_mfs(r), NULL, slot_path(d, f, path), &entry);
            assert_true(!e || e == ERR_NOT_FOUND);
            uint8_t first = 0;
            AUTO(file_reader_t) reader = {0};
            bytes_t piece = BYTES_NONE;
            if (!e) {
                assert_ok(file_reader_open(t, &reader, repo_blocks(r), &entry.ref.cid));
                assert_ok(file_reader_next(t, &reader, &piece));
                first = piece.len ? piece.data[0] : 0;
            }
            uint16_t number = s->files[d][f];
            if (!e != (number != 0) || (number && (reader.size != length_of(number) ||
                                                   (reader.size && first != byte_of(number, 0)))))
                return false;
            if (number)
                check_file(t, r, path, number, length_of(number));
        }
    return true;
}

/* Where a crash has left it: at what was acknowledged, or at something later. */
static void find_state(task_t *t, repo_t *r, changing_t *c)
{
    size_t i = c->n;
    while (i-- > c->durable)
        if (is_state(t, r, &c->states[i])) {
            c->states[0] = c->states[i];
            c->n = 1;
            c->durable = 0;
            return;
        }
    fail_msg("the tree is none that it was since the last acknowledged change");
}

static err_t write_one(task_t *t, repo_t *r, changing_t *c, bool flush)
{
    char path[64];
    size_t d = next_random(c, DIRS), f = next_random(c, FILES);
    uint16_t number = (uint16_t)(1 + next_random(c, 60000));
    c->states[c->n++].files[d][f] = number;
    return write_file(t, repo_mfs(r), slot_path(d, f, path), number, length_of(number), flush);
}

static err_t remove_one(task_t *t, repo_t *r, changing_t *c)
{
    char path[64];
    size_t d = next_random(c, DIRS), f = next_random(c, FILES);
    c->states[c->n++].files[d][f] = 0;
    return mfs_remove(t, repo_mfs(r), NULL, slot_path(d, f, path), false, true);
}

/* A directory goes, or takes the place of one that is not there. */
static err_t change_dir(task_t *t, repo_t *r, changing_t *c)
{
    size_t d = next_random(c, DIRS), other = (d + 1) % DIRS;
    tree_state_t *s = &c->states[c->n];
    char from[64], to[64];
    snprintf(from, sizeof from, "/d%zu", d);
    snprintf(to, sizeof to, "/d%zu", other);
    bool moves = is_there(t, r, from) && !is_there(t, r, to);
    if (moves)
        memcpy(s->files[other], s->files[d], sizeof s->files[d]);
    memset(s->files[d], 0, sizeof s->files[d]);
    c->n++;
    return moves ? mfs_move(t, repo_mfs(r), NULL, from, to, true)
                 : mfs_remove(t, repo_mfs(r), NULL, from, true, true);
}

/* The state that it leads to stands in the list before it begins. */
static err_t change_once(task_t *t, repo_t *r, changing_t *c)
{
    gc_result_t result;
    mfs_entry_t entry;
    cid_t root;
    bool has, is_acknowledged = true;
    err_t e;
    size_t what = next_random(c, 24);
    c->states[c->n] = c->states[c->n - 1];
    if (what == 0)
        return gc_run(t, repo_gc(r), NULL, NULL, &result);
    if (what == 1)
        return mfs_lookup(t, repo_mfs(r), NULL, "/", &entry);
    if (what == 2) {
        e = mfs_durable_root(t, repo_mfs(r), &root, &has);
        is_acknowledged = false;
    } else if (what < 5) {
        e = write_one(t, r, c, false);
        is_acknowledged = false;
    } else {
        e = what < 6 ? change_dir(t, r, c) : what < 8 ? remove_one(t, r, c) : write_one(t, r, c, true);
    }
    if (!e && is_acknowledged)
        c->durable = c->n - 1;
    return e;
}

static err_t change(task_t *t, void *arg)
{
    changing_t *c = arg;
    repo_t *r = open_repo(t);
    find_state(t, r, c);
    check_whole(t, r);
    c->has_begun = true;
    event_fire(&c->begun);
    err_t e = OK;
    while (!e)
        e = change_once(t, r, c);
    assert_true(task_is_canceled(t)); /* by the crash, and by nothing else */
    repo_close(t, r);
    return OK;
}

static err_t any_changes(task_t *t, void *arg)
{
    sim_host_t *h = ((sim_host_t **)arg)[0];
    prng_t *r = sim_prng(((sim_t **)arg)[1]);
    changing_t *c = xcalloc(1, sizeof *c);
    size_t changes = 0;
    event_init(&c->begun);
    c->n = 1;
    c->random = prng_below(r, UINT32_MAX);
    for (size_t i = 0; i < LIVES; i++) {
        c->has_begun = false;
        assert_ok(sim_host_start(h, "life", change, c));
        while (!c->has_begun)
            assert_ok(event_wait(t, &c->begun));
        assert_ok(task_sleep(t, 5 + prng_below(r, 700)));
        assert_true(c->n < STATES_MAX);
        changes += c->n;
        sim_crash(h, i % 3 ? SIM_POWER_LOSS : SIM_KILL);
        assert_ok(sim_host_join_dead(t, h));
        sim_restart(h);
    }
    assert_true(changes > 5 * LIVES);
    free(c);
    return OK;
}

static void test_any_changes(void **state)
{
    run_beside_victim(any_changes, 4);
}

/* ── what is ahead of the root ───────────────────────────────────────────────────────────────── */
enum { MANY = 2300 };

/* Files alone change: no directory is written for it, until somebody asks, or the journal has many of them.
 */
static err_t ahead_of_root(task_t *t, void *arg)
{
    char path[64];
    cid_t first, root, now;
    bool has;
    gc_result_t result;
    repo_t *r = open_repo(t);
    mfs_t *m = repo_mfs(r);
    assert_ok(write_file(t, m, "/d/first", 1, 100, true));
    assert_ok(mfs_durable_root(t, m, &first, &has));
    assert_true(has);
    for (size_t i = 0; i < 20; i++)
        assert_ok(write_file(t, m, slot_path(3, i, path), i, 50 + i, i > 0));
    assert_ok(gc_run(t, repo_gc(r), NULL, NULL, &result)); /* a directory was made: the root is written */
    uint64_t before = m->journal.at;
    for (size_t i = 0; i < 20; i++)
        assert_ok(write_file(t, m, slot_path(3, i, path), i + 100, 50 + i, true));
    assert_true(m->is_ahead);
    assert_true(m->journal.at - before < 20 * 600); /* the directory has more than 800 bytes */
    assert_ok(mfs_root(t, m, &now));
    assert_ok(mfs_durable_root(t, m, &root, &has));
    assert_true(cid_equal(&root, &now) && !cid_equal(&root, &first));
    assert_false(m->is_ahead);
    for (size_t i = 0; i < MANY; i++)
        assert_ok(write_file(t, m, slot_path(3, i, path), i + 7, i % 40, true));
    assert_true(m->n_ahead <= 1024);
    repo_close(t, r);
    r = open_repo(t);
    for (size_t i = 0; i < MANY; i++)
        check_file(t, r, slot_path(3, i, path), i + 7, i % 40);
    repo_close(t, r);
    return OK;
}

static void test_ahead_of_root(void **state)
{
    assert_ok(test_run(ahead_of_root, NULL));
}

/* What a crash would bring back is not garbage: a file whose leaves are in the store, and in no record. */
static err_t keep_what_is_ahead(task_t *t, void *arg)
{
    enum { LARGE = 700000 };
    uint8_t *content = xmalloc(LARGE + 1);
    mfs_entry_t entry;
    gc_result_t result;
    mfs_file_t *f;
    size_t n;
    for (size_t i = 0; i <= LARGE; i++)
        content[i] = byte_of(4, i);
    repo_t *r = open_repo(t);
    mfs_t *m = repo_mfs(r);
    assert_ok(write_file(t, m, "/d/other", 2, 10, true));
    assert_ok(mfs_file_open(t, m, NULL, "/large", (mfs_open_options_t){.create = true}, &f));
    assert_ok(mfs_file_write(t, f, 0, false, bytes_of(content, LARGE)));
    assert_ok(mfs_file_read(t, f, 0, content, LARGE + 1, &n)); /* the leaves are written for it */
    assert_ok(write_file(t, m, "/d/other", 3, 10, true));
    assert_false(m->is_ahead); /* they were too large for a record: the store was synced */
    assert_ok(mfs_file_flush(t, f, true));
    assert_true(m->is_ahead);
    mfs_file_close(t, f);
    assert_ok(mfs_lookup(t, m, NULL, "/large", &entry));
    assert_ok(write_file(t, m, "/large", 6, 10, false));
    assert_ok(gc_run(t, repo_gc(r), NULL, NULL, &result));
    check_all_here(t, r, &entry.ref.cid);
    assert_ok(write_file(t, m, "/large", 6, 10, true));
    assert_ok(mfs_durable_root(t, m, &entry.ref.cid, &(bool){false}));
    assert_ok(gc_run(t, repo_gc(r), NULL, NULL, &result));
    assert_false(m->is_ahead);
    check_whole(t, r);
    repo_close(t, r);
    free(content);
    return OK;
}

static void test_keep_what_is_ahead(void **state)
{
    assert_ok(test_run(keep_what_is_ahead, NULL));
}

/* ── the journal ─────────────────────────────────────────────────────────────────────────────── */
static err_t count_blocks(task_t *t, void *arg, block_t *const *blocks, size_t n)
{
    *(size_t *)arg += n;
    return OK;
}

static void append_record(task_t *t, mfs_journal_t *j, uint64_t number, size_t n)
{
    AUTO_PTR(block_t) block = NULL;
    cid_t cid;
    block_t *list[100];
    uint8_t bytes[300] = {(uint8_t)number};
    assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, bytes_of(bytes, sizeof bytes), &cid));
    assert_ok(block_copy(&cid, bytes_of(bytes, sizeof bytes), &block));
    for (size_t i = 0; i < n; i++)
        list[i] = block;
    mfs_record_t record = {.root = &cid, .blocks = list, .n = n};
    assert_ok(mfs_journal_append(t, j, &record));
    assert_int_equal(j->number, number);
}

/* Records from `first` on, behind number `after`; then what a new reader finds. */
static size_t replay(task_t *t, uint64_t after, size_t *ret_blocks)
{
    mfs_journal_t j;
    AUTO(mfs_replayed_t) found = {0};
    *ret_blocks = 0;
    mfs_journal_init(&j, "/tmp/journal");
    assert_ok(mfs_journal_replay(t, &j, after, count_blocks, ret_blocks, &found));
    size_t records = j.number - after;
    assert_int_equal(found.has_root, records > 0);
    mfs_journal_deinit(&j);
    return records;
}

static err_t journal(task_t *t, void *arg)
{
    mfs_journal_t j;
    size_t blocks;
    assert_int_equal(replay(t, 0, &blocks), 0); /* there is none */
    mfs_journal_init(&j, "/tmp/journal");
    for (uint64_t i = 1; i <= 5; i++)
        append_record(t, &j, i, (size_t)i * 20);
    assert_int_equal(replay(t, 0, &blocks), 5);
    assert_int_equal(blocks, 300);
    assert_int_equal(replay(t, 3, &blocks), 0); /* the first one is older */
    mfs_journal_rewind(&j);
    append_record(t, &j, 6, 1);
    assert_int_equal(replay(t, 5, &blocks), 1); /* what follows it is older */
    append_record(t, &j, 7, 90);
    sim_disk_corrupt(sim_host_of(t), "/tmp/journal", j.at - 10, 1);
    assert_int_equal(replay(t, 5, &blocks), 1);
    assert_int_equal(blocks, 1);
    sim_disk_corrupt(sim_host_of(t), "/tmp/journal", 4, 1); /* the length of the first */
    assert_int_equal(replay(t, 5, &blocks), 0);
    mfs_journal_deinit(&j);
    return OK;
}

static void append_files(task_t *t, mfs_journal_t *j, const char *path, uint64_t size)
{
    AUTO(buf_t) files = {0};
    dag_ref_t ref = {.tsize = size + 10, .size = size};
    buf_init(&files, MFS_RECORD_FILES_MAX_BYTES);
    assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, bytes_str(path), &ref.cid));
    for (int i = 0; i < 2; i++) {
        assert_ok(mfs_files_add(&files, bytes_str(path), &ref));
        ref.size++;
    }
    mfs_record_t record = {.files = buf_bytes(&files)};
    assert_ok(mfs_journal_append(t, j, &record));
}

static void check_files(bytes_t files, const char *expected)
{
    AUTO(buf_t) text = {0};
    const char *got;
    reader_t r = reader_of(files);
    bytes_t path;
    dag_ref_t ref;
    cid_t cid;
    buf_init(&text, 4096);
    while (mfs_files_next(&r, &path, &ref)) {
        assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, path, &cid));
        assert_true(cid_equal(&cid, &ref.cid));
        assert_ok(buf_printf(&text, "%.*s %d %d, ", (int)path.len, (const char *)path.data, (int)ref.tsize,
                             (int)ref.size));
    }
    assert_ok(r.err);
    assert_ok(buf_cstr(&text, &got));
    assert_string_equal(got, expected);
}

/* Files count until a root comes. */
static err_t journal_of_files(task_t *t, void *arg)
{
    mfs_journal_t j;
    size_t blocks = 0;
    mfs_journal_init(&j, "/tmp/files-journal");
    append_files(t, &j, "/a", 100);
    append_files(t, &j, "/b/c", 200);
    AUTO(mfs_replayed_t) found = {0}, later = {0};
    assert_ok(mfs_journal_replay(t, &j, 0, count_blocks, &blocks, &found));
    assert_false(found.has_root);
    check_files(buf_bytes(&found.files), "/a 110 100, /a 110 101, /b/c 210 200, /b/c 210 201, ");
    append_record(t, &j, 3, 1);
    append_files(t, &j, "/d", 300);
    assert_ok(mfs_journal_replay(t, &j, 0, count_blocks, &blocks, &later));
    assert_true(later.has_root);
    assert_int_equal(blocks, 1);
    check_files(buf_bytes(&later.files), "/d 310 300, /d 310 301, ");
    later.files.data[3] ^= 0xff; /* in its CID */
    reader_t r = reader_of(buf_bytes(&later.files));
    bytes_t path;
    dag_ref_t ref;
    assert_false(mfs_files_next(&r, &path, &ref));
    assert_true(r.err != OK);
    mfs_journal_deinit(&j);
    return OK;
}

static void test_journal_of_files(void **state)
{
    assert_ok(test_run(journal_of_files, NULL));
}

static void test_journal(void **state)
{
    assert_ok(test_run(journal, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_disk_faults),
        cmocka_unit_test(test_full_now_and_then),
        cmocka_unit_test(test_any_changes),
        cmocka_unit_test(test_ahead_of_root),
        cmocka_unit_test(test_keep_what_is_ahead),
        cmocka_unit_test(test_journal_of_files),
        cmocka_unit_test(test_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

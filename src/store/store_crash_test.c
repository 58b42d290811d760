/* Crashes at every single change of the disk, and every change failing once: whatever was acknowledged is
 * there after, whatever was not is there whole or not at all. For the pack store, the flat store and kv. */
#include "base/log.h"
#include "sim/sim.h"
#include "store/blockstore_suite.h"
#include "store/flat_store.h"
#include "store/kv_impl.h"
#include "store/pack_store.h"
#include "tests/support/test.h"

#define FOLDER "/tmp/store"
#define MAX_KEYS 140
#define BLOCK_LEN 700

/* What the caller knows of each block (or key). */
typedef enum { ABSENT, PRESENT, IN_DOUBT } knowledge_t;

typedef struct crash_run {
    const struct crash_subject *subject;
    sim_host_t *host;
    knowledge_t known[MAX_KEYS];
    blockstore_t *bs;
    kv_t *kv;
    bool had_error;
    uint64_t changes; /* of the disk, that the workload made */
    char text[ERROR_TEXT_MAX];
} crash_run_t;
typedef struct crash_subject {
    const char *name;
    err_t (*open)(task_t *t, crash_run_t *r);
    void (*close)(task_t *t, crash_run_t *r);
    void (*work)(task_t *t, crash_run_t *r); /* goes on after errors */
    err_t (*check)(task_t *t, crash_run_t *r);
} crash_subject_t;

/* ── block stores ────────────────────────────────────────────────────────────────────────────── */
static void put(task_t *t, crash_run_t *r, uint64_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (r->known[from + i] != PRESENT)
            r->known[from + i] = IN_DOUBT;
    err_t e = suite_put_range(t, r->bs, from, n, BLOCK_LEN);
    r->had_error |= e != OK;
    for (size_t i = 0; i < n && !e; i++)
        r->known[from + i] = PRESENT;
}

static void take(task_t *t, crash_run_t *r, uint64_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (r->known[from + i] != ABSENT)
            r->known[from + i] = IN_DOUBT;
    err_t e = suite_remove_range(t, r->bs, from, n, BLOCK_LEN);
    r->had_error |= e != OK;
    for (size_t i = 0; i < n && !e; i++)
        r->known[from + i] = ABSENT;
}

typedef struct putter {
    crash_run_t *run;
    uint64_t from;
} putter_t;

static err_t run_putter(task_t *t, void *arg)
{
    putter_t *p = arg;
    for (uint64_t i = 0; i < 3; i++)
        put(t, p->run, p->from + 4 * i, 4);
    return OK;
}

static void put_concurrently(task_t *t, crash_run_t *r, uint64_t from)
{
    putter_t putters[3];
    group_t g;
    group_init(&g, task_sched(t));
    for (uint64_t i = 0; i < ARRAY_LEN(putters); i++) {
        putters[i] = (putter_t){r, from + 12 * i};
        assert_ok(group_spawn(&g, "putter", run_putter, &putters[i], NULL));
    }
    assert_ok(group_join(t, &g));
    group_deinit(&g);
}

static void write_deferred(task_t *t, crash_run_t *r, uint64_t from, size_t n)
{
    AUTO(blockstore_writer_t) w;
    blockstore_writer_init(&w, r->bs);
    err_t e = OK;
    for (size_t i = 0; i < n && !e; i++) {
        block_t *b = suite_block(from + i, BLOCK_LEN);
        r->known[from + i] = IN_DOUBT;
        e = blockstore_write(t, &w, &b, 1);
        block_release(b);
    }
    err_t flushed = blockstore_flush(t, &w);
    r->had_error |= e || flushed;
    for (size_t i = 0; i < n && !e && !flushed; i++)
        r->known[from + i] = PRESENT;
}

static void work_store(task_t *t, crash_run_t *r)
{
    put(t, r, 0, 12);
    put_concurrently(t, r, 20);
    take(t, r, 3, 6);
    write_deferred(t, r, 100, 25);
    take(t, r, 20, 30);
    r->had_error |= blockstore_compact(t, r->bs) != OK;
    put(t, r, 0, 12);
    put(t, r, 60, 20);
    take(t, r, 100, 24);
    take(t, r, 62, 15);
    r->had_error |= blockstore_compact(t, r->bs) != OK;
    put(t, r, 130, 5);
}

static err_t count_block(task_t *t, void *arg, const cid_t *cid, uint64_t size)
{
    ++*(uint64_t *)arg;
    return OK;
}

static err_t check_store(task_t *t, crash_run_t *r)
{
    uint64_t found = 0, listed = 0;
    blockstore_stat_t stat;
    for (uint64_t i = 0; i < MAX_KEYS; i++) {
        cid_t cid = suite_cid(i, BLOCK_LEN);
        AUTO_PTR(block_t) got = NULL;
        err_t e = blockstore_get(t, r->bs, &cid, &got);
        if (e && e != ERR_NOT_FOUND)
            return fail_also(e, "block %d", (int)i);
        if (r->known[i] != IN_DOUBT && (e == OK) != (r->known[i] == PRESENT))
            return fail(ERR_INVALID, "block %d is %s", (int)i, e ? "lost" : "there although it was removed");
        SUITE_CHECK((e == OK) == blockstore_has(t, r->bs, &cid));
        found += e == OK;
        r->known[i] = e == OK ? PRESENT : ABSENT;
    }
    SUITE_ERR(OK, blockstore_each(t, r->bs, count_block, &listed));
    SUITE_ERR(OK, blockstore_stat(t, r->bs, &stat));
    SUITE_CHECK(listed == found && stat.blocks == found && stat.bytes == found * BLOCK_LEN);
    return OK;
}

static err_t open_pack(task_t *t, crash_run_t *r)
{
    static const pack_options_t options = {.segment_bytes = 9000, .commit_bytes = 4000};
    return pack_store_open(t, FOLDER, &options, &r->bs);
}

static err_t open_flat(task_t *t, crash_run_t *r)
{
    return flat_store_open(t, FOLDER, &r->bs);
}

static void close_store(task_t *t, crash_run_t *r)
{
    blockstore_close(t, r->bs);
    r->bs = NULL;
}

/* ── kv ──────────────────────────────────────────────────────────────────────────────────────── */
/* Keys come in pairs that are committed together. */
static bytes_t key_of(size_t i, uint8_t out[4])
{
    out[0] = 'k';
    out[1] = (uint8_t)(i / 100);
    out[2] = (uint8_t)(i % 100);
    return bytes_of(out, 3);
}

static void commit_pair(task_t *t, crash_run_t *r, size_t i, bool is_put, size_t value_len)
{
    static uint8_t value[KV_VALUE_MAX_BYTES];
    uint8_t a[4], b[4];
    AUTO(kv_batch_t) batch;
    kv_batch_init(&batch);
    r->known[i] = r->known[i + 1] = IN_DOUBT;
    if (is_put) {
        assert_ok(kv_batch_put(&batch, "pairs", key_of(i, a), bytes_of(value, value_len)));
        assert_ok(kv_batch_put(&batch, "pairs", key_of(i + 1, b), bytes_of(value, value_len)));
    } else {
        assert_ok(kv_batch_delete(&batch, "pairs", key_of(i, a)));
        assert_ok(kv_batch_delete(&batch, "pairs", key_of(i + 1, b)));
    }
    err_t e = kv_commit(t, r->kv, &batch);
    r->had_error |= e != OK;
    if (!e)
        r->known[i] = r->known[i + 1] = is_put ? PRESENT : ABSENT;
}

static err_t run_committer(task_t *t, void *arg)
{
    putter_t *p = arg;
    for (uint64_t i = 0; i < 6; i += 2)
        commit_pair(t, p->run, p->from + i, true, 100 * i);
    return OK;
}

static void work_kv(task_t *t, crash_run_t *r)
{
    for (size_t i = 0; i < 10; i += 2)
        commit_pair(t, r, i, true, 1000);
    commit_pair(t, r, 4, false, 0);
    putter_t committers[3];
    group_t g;
    group_init(&g, task_sched(t));
    for (uint64_t i = 0; i < ARRAY_LEN(committers); i++) {
        committers[i] = (putter_t){r, 20 + 6 * i};
        assert_ok(group_spawn(&g, "committer", run_committer, &committers[i], NULL));
    }
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    for (size_t i = 0; i < 12; i++) /* so much that the journal is written anew */
        commit_pair(t, r, 50, true, KV_VALUE_MAX_BYTES - i);
    commit_pair(t, r, 50, false, 0);
    commit_pair(t, r, 60, true, 10);
}

static err_t check_kv(task_t *t, crash_run_t *r)
{
    bool found[MAX_KEYS];
    uint64_t count = 0, sum = 0;
    for (size_t i = 0; i < MAX_KEYS; i++) {
        uint8_t key[4];
        found[i] = kv_has(t, r->kv, "pairs", key_of(i, key));
        sum += found[i];
        if (r->known[i] != IN_DOUBT)
            SUITE_CHECK(found[i] == (r->known[i] == PRESENT));
        r->known[i] = found[i] ? PRESENT : ABSENT;
        if (i % 2)
            SUITE_CHECK(found[i] == found[i - 1]);
    }
    TRY(kv_count(t, r->kv, "pairs", BYTES_LIT("k"), &count));
    SUITE_CHECK(count == sum);
    return OK;
}

static err_t open_kv(task_t *t, crash_run_t *r)
{
    TRY(fs_mkdirs(t, FOLDER, 0700));
    return kv_open(t, FOLDER "/state.db", &r->kv);
}

static void close_kv(task_t *t, crash_run_t *r)
{
    kv_close(t, r->kv);
    r->kv = NULL;
}

static const crash_subject_t pack = {"pack", open_pack, close_store, work_store, check_store};
static const crash_subject_t flat = {"flat", open_flat, close_store, work_store, check_store};
static const crash_subject_t kv = {"kv", open_kv, close_kv, work_kv, check_kv};

/* ── scenarios ───────────────────────────────────────────────────────────────────────────────── */
typedef struct scenario {
    const crash_subject_t *subject;
    sim_host_t *host;
    uint64_t crash_at;    /* the n-th change of the disk and all after it fail; then the crash */
    uint64_t crash_again; /* the same while opening; 0: no second crash */
    bool is_power_loss, is_lasting;
    err_t error;
    bool did_crash, did_crash_again;
} scenario_t;

typedef struct incarnation {
    crash_run_t *run;
    task_fn fn;
    err_t result;
    bool is_over;
    event_t over;
} incarnation_t;

static err_t run_incarnation(task_t *t, void *arg)
{
    incarnation_t *i = arg;
    i->result = i->fn(t, i->run);
    snprintf(i->run->text, sizeof i->run->text, "%s", error_text(i->result));
    i->is_over = true;
    event_fire(&i->over);
    return OK;
}

/* Runs fn on the host and waits for its end. */
static err_t on_host(task_t *t, crash_run_t *r, task_fn fn)
{
    incarnation_t i = {.run = r, .fn = fn};
    event_init(&i.over);
    TRY(sim_host_start(r->host, "incarnation", run_incarnation, &i));
    while (!i.is_over)
        TRY(event_wait(t, &i.over));
    return i.result ? fail(i.result, "%s", r->text) : OK;
}

static err_t do_work(task_t *t, void *arg)
{
    crash_run_t *r = arg;
    uint64_t before = sim_disk_changes(r->host);
    err_t e = r->subject->open(t, r);
    r->had_error |= e != OK;
    if (!e) {
        r->subject->work(t, r);
        r->subject->close(t, r);
    }
    r->changes = sim_disk_changes(r->host) - before;
    return OK;
}

static err_t only_open(task_t *t, void *arg)
{
    crash_run_t *r = arg;
    err_t e = r->subject->open(t, r);
    r->had_error |= e != OK;
    if (!e)
        r->subject->close(t, r);
    return OK;
}

/* What was there must be there, it must all be usable, and the same after one more opening. */
static err_t check_all(task_t *t, void *arg)
{
    crash_run_t *r = arg;
    for (int i = 0; i < 2; i++) {
        TRY(r->subject->open(t, r));
        err_t e = r->subject->check(t, r);
        r->had_error = false;
        if (!e && i == 0) {
            r->subject->work(t, r);
            if (r->had_error)
                e = fail(ERR_INVALID, "the store cannot be used after the crash");
        }
        r->subject->close(t, r);
        TRY(e);
    }
    return OK;
}

static void crash(crash_run_t *r, bool is_power_loss)
{
    sim_disk_fail_nth(r->host, 0, OK, false);
    sim_crash(r->host, is_power_loss ? SIM_POWER_LOSS : SIM_KILL);
    sim_restart(r->host);
    r->had_error = false;
}

static err_t run_scenario(task_t *t, void *arg)
{
    scenario_t *s = arg;
    crash_run_t run = {.subject = s->subject, .host = s->host};
    sim_disk_fail_nth(run.host, s->crash_at, s->error, s->is_lasting);
    TRY(on_host(t, &run, do_work));
    s->did_crash = run.changes >= s->crash_at;
    if (!s->is_lasting)
        sim_disk_fail_nth(run.host, 0, OK, false);
    if (s->is_lasting)
        crash(&run, s->is_power_loss);
    if (s->crash_again) {
        uint64_t before = sim_disk_changes(run.host);
        sim_disk_fail_nth(run.host, s->crash_again, s->error, true);
        TRY(on_host(t, &run, only_open));
        s->did_crash_again = sim_disk_changes(run.host) - before >= s->crash_again;
        crash(&run, s->is_power_loss);
    }
    return on_host(t, &run, check_all);
}

static scenario_t play(scenario_t s, uint64_t seed)
{
    sim_t *sim = sim_new(seed);
    sim_add_host(sim, "10.0.0.1");
    s.host = sim_add_host(sim, "10.0.0.2");
    err_t e = sim_run(sim, run_scenario, &s);
    sim_free(sim);
    if (e)
        fail_msg("%s, change %d then %d, %s%s: %s: %s", s.subject->name, (int)s.crash_at, (int)s.crash_again,
                 s.is_power_loss ? "power loss" : "kill", s.is_lasting ? "" : " (single failure)",
                 error_name(e), error_text(e));
    return s;
}

/* At every change (or with a stride, at those from `first` on), until the workload ends before it. */
static void crash_everywhere(const crash_subject_t *subject, bool is_power_loss, uint64_t first,
                             uint64_t stride)
{
    scenario_t s = {.subject = subject, .is_power_loss = is_power_loss, .is_lasting = true, .error = ERR_IO};
    for (s.crash_at = first;; s.crash_at += stride) {
        for (uint64_t seed = 1; seed <= (is_power_loss && stride == 1 ? 2 : 1); seed++)
            s.did_crash = play(s, seed).did_crash;
        if (!s.did_crash)
            break;
    }
    assert_true(s.crash_at > 50);
}

static void test_pack_kill(void **state)
{
    crash_everywhere(&pack, false, 1, 1);
}

static void test_pack_power_loss(void **state)
{
    crash_everywhere(&pack, true, 1, 1);
}

static void test_flat_kill(void **state)
{
    crash_everywhere(&flat, false, 1, 5);
}

static void test_flat_power_loss(void **state)
{
    crash_everywhere(&flat, true, 2, 3);
}

static void test_kv_kill(void **state)
{
    crash_everywhere(&kv, false, 1, 1);
}

static void test_kv_power_loss(void **state)
{
    crash_everywhere(&kv, true, 1, 1);
}

/* A crash while the store recovers from a crash, at every change of the recovery. */
static void test_pack_crash_twice(void **state)
{
    scenario_t s = {.subject = &pack, .is_lasting = true, .error = ERR_IO};
    bool did_crash = true, did_second = false;
    for (s.crash_at = 5; did_crash; s.crash_at += 11) {
        scenario_t played = {.did_crash_again = true};
        for (s.crash_again = 1; played.did_crash_again; s.crash_again++) {
            s.is_power_loss = (s.crash_at + s.crash_again) % 2;
            played = play(s, s.crash_at);
            did_second |= played.did_crash_again;
        }
        did_crash = played.did_crash;
    }
    assert_true(did_second);
}

/* Each change fails once, the rest goes on: with a full disk, and with an error of the device. */
static void fail_everywhere(const crash_subject_t *subject, err_t error, uint64_t stride)
{
    scenario_t s = {.subject = subject, .error = error};
    bool did_fail = true;
    for (s.crash_at = 1; did_fail; s.crash_at += stride)
        did_fail = play(s, s.crash_at).did_crash;
}

static void test_single_failures(void **state)
{
    static const crash_subject_t *const subjects[] = {&pack, &flat, &kv};
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
        fail_everywhere(subjects[i], ERR_NO_SPACE, subjects[i] == &flat ? 11 : 1);
        fail_everywhere(subjects[i], ERR_IO, subjects[i] == &flat ? 13 : 1);
    }
}

int main(void)
{
    log_threshold = LOG_ERROR;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kv_kill),          cmocka_unit_test(test_kv_power_loss),
        cmocka_unit_test(test_flat_kill),        cmocka_unit_test(test_flat_power_loss),
        cmocka_unit_test(test_pack_kill),        cmocka_unit_test(test_pack_power_loss),
        cmocka_unit_test(test_pack_crash_twice), cmocka_unit_test(test_single_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

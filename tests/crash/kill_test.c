/* kill -9 at moments that nobody chose: a child puts blocks, removes, compacts and commits state over the
 * real driver, with LMDB and SQLite, and tells through a pipe what was acknowledged; the parent kills it,
 * opens what is left, and finds all of it. */
#include "base/log.h"
#include "loop/uv_driver.h"
#include "store/blockstore_suite.h"
#include "store/flat_store.h"
#include "store/kv.h"
#include "store/pack_store.h"
#include "tests/crash/folder.h"
#include "tests/support/test.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK_LEN 5000
#define BATCH 8
#define ROUNDS 8

typedef struct kill_run {
    char blocks[FOLDER_MAX + 16], state[FOLDER_MAX + 16];
    bool is_flat;
    int pipe_end;
    uint64_t first;  /* of the child's blocks */
    uint64_t *acked; /* of batches: the last word about each, see tell */
    size_t n_acked;
} kill_run_t;

/* A message: the batch, and what has begun or ended with it. */
typedef struct word {
    uint64_t batch;
    enum { PUT_BEGUN, PUT_DONE, REMOVE_BEGUN, REMOVE_DONE } what;
} word_t;

static err_t open_store(task_t *t, const kill_run_t *r, blockstore_t **ret)
{
    static const pack_options_t small = {.segment_bytes = 100000, .commit_bytes = 30000};
    return r->is_flat ? flat_store_open(t, r->blocks, ret) : pack_store_open(t, r->blocks, &small, ret);
}

static void tell(const kill_run_t *r, uint64_t batch, int what)
{
    word_t w = {batch, what};
    if (write(r->pipe_end, &w, sizeof w) != sizeof w)
        _exit(9);
}

/* ── the child ───────────────────────────────────────────────────────────────────────────────── */
static err_t child_main(task_t *t, void *arg)
{
    kill_run_t *r = arg;
    blockstore_t *bs;
    kv_t *kv;
    TRY(open_store(t, r, &bs));
    TRY(kv_open(t, r->state, &kv));
    for (uint64_t i = r->first;; i++) { /* until it is killed */
        uint64_t old = i - 5;
        tell(r, i, PUT_BEGUN);
        TRY(suite_put_range(t, bs, BATCH * i, BATCH, BLOCK_LEN));
        TRY(kv_put(t, kv, "batches", bytes_of(&i, sizeof i), BYTES_LIT("x")));
        tell(r, i, PUT_DONE);
        if (i < r->first + 5 || i % 3 == 0)
            continue;
        tell(r, old, REMOVE_BEGUN);
        TRY(kv_delete(t, kv, "batches", bytes_of(&old, sizeof old)));
        TRY(suite_remove_range(t, bs, BATCH * old, BATCH, BLOCK_LEN));
        tell(r, old, REMOVE_DONE);
        if (i % 8 == 0)
            TRY(blockstore_compact(t, bs));
    }
}

static err_t run_driver(task_fn fn, void *arg)
{
    driver_t *d = uv_driver_new(2);
    sched_t *s = sched_new(d);
    err_t e = sched_run(s, "kill", fn, arg);
    if (e)
        fprintf(stderr, "%s: %s\n", error_name(e), error_text(e));
    sched_free(s);
    uv_driver_free(d);
    return e;
}

/* ── the parent ──────────────────────────────────────────────────────────────────────────────── */
/* Listens until `words` have come, kills, and takes in the rest. */
static void run_child(kill_run_t *r, size_t words)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        r->pipe_end = ends[1];
        (void)!run_driver(child_main, r);
        _exit(8); /* it never ends by itself */
    }
    close(ends[1]);
    word_t w;
    size_t got = 0;
    while (read(ends[0], &w, sizeof w) == sizeof w) {
        if (++got == words)
            kill(pid, SIGKILL);
        if (w.batch >= r->n_acked) {
            r->acked = xrealloc(r->acked, (w.batch + 1) * sizeof *r->acked);
            for (; r->n_acked <= w.batch; r->n_acked++)
                r->acked[r->n_acked] = REMOVE_DONE; /* not there */
        }
        r->acked[w.batch] = w.what;
    }
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static err_t check_batch(task_t *t, kill_run_t *r, blockstore_t *bs, kv_t *kv, uint64_t batch)
{
    uint64_t word = r->acked[batch];
    for (uint64_t k = 0; k < BATCH; k++) {
        cid_t cid = suite_cid(BATCH * batch + k, BLOCK_LEN);
        AUTO_PTR(block_t) got = NULL;
        err_t e = blockstore_get(t, bs, &cid, &got);
        if (e && e != ERR_NOT_FOUND)
            return e;
        if (word == PUT_DONE && e)
            return fail(ERR_INVALID, "block %d of batch %d was acknowledged and is lost", (int)k, (int)batch);
        if (word == REMOVE_DONE && !e)
            return fail(ERR_INVALID, "block %d of batch %d was removed and is back", (int)k, (int)batch);
    }
    bool has = kv_has(t, kv, "batches", bytes_of(&batch, sizeof batch));
    if ((word == PUT_DONE && !has) || (word == REMOVE_DONE && has))
        return fail(ERR_INVALID, "the state of batch %d is not what was acknowledged", (int)batch);
    return OK;
}

static err_t check_main(task_t *t, void *arg)
{
    kill_run_t *r = arg;
    blockstore_t *bs;
    kv_t *kv;
    TRY(open_store(t, r, &bs));
    TRY(kv_open(t, r->state, &kv));
    err_t e = OK;
    for (uint64_t i = 0; i < r->n_acked && !e; i++)
        e = check_batch(t, r, bs, kv, i);
    kv_close(t, kv);
    blockstore_close(t, bs);
    return e;
}

static void kill_again_and_again(bool is_flat)
{
    char folder[FOLDER_MAX];
    prng_t p;
    prng_seed(&p, (uint64_t)getpid());
    test_folder_make(folder);
    kill_run_t r = {.is_flat = is_flat};
    snprintf(r.blocks, sizeof r.blocks, "%s/blocks", folder);
    snprintf(r.state, sizeof r.state, "%s/state.db", folder);
    for (int round = 0; round < ROUNDS; round++) {
        r.first = 100u * (unsigned)round;
        run_child(&r, 5 + prng_below(&p, 60));
        err_t e = run_driver(check_main, &r);
        assert_int_equal(e, OK);
    }
    free(r.acked);
    test_folder_remove(folder);
}

static void test_pack(void **state)
{
    kill_again_and_again(false);
}

static void test_flat(void **state)
{
    kill_again_and_again(true);
}

int main(void)
{
    log_threshold = LOG_ERROR;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pack), cmocka_unit_test(test_flat)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What is acknowledged after blockstore_sync_since is on disk, whatever fails while others write: the disk
 * refuses its n-th change once, for every n, and then the power goes. Later syncs succeed, which must not
 * hide that blocks which could be read before are gone. */
#include "base/log.h"
#include "store/blockstore_suite.h"
#include "store/pack_store.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include <stdlib.h>

#define FOLDER "/blocks"
enum { WRITERS = 3, BEHIND = 2, BLOCKS = 12, BLOCK_BYTES = 9000 };

typedef struct run {
    blockstore_t *store;
    sim_host_t *host;
    uint64_t fail_at;
    size_t acknowledged[WRITERS]; /* the first so many blocks of each are promised */
    size_t refused, over;         /* acknowledgements that were refused; writers that have ended */
    bool is_over;
    event_t ended;
} run_t;
typedef struct writer_arg {
    run_t *run;
    size_t number;
} writer_arg_t;

static uint64_t seed_of(size_t writer, size_t i)
{
    return 1000 * (writer + 1) + i;
}

/* Writes block by block and flushes now and then; what fails is written again, as a client does. */
static err_t write_all(task_t *t, writer_arg_t *w)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        AUTO(blockstore_writer_t) writer = {0};
        AUTO_PTR(block_t) b = suite_block(seed_of(w->number, i), BLOCK_BYTES);
        blockstore_writer_init(&writer, w->run->store);
        if (w->number == BEHIND)
            TRY(blockstore_write_behind(t, w->run->store, &b, 1));
        else
            TRY(blockstore_write(t, &writer, &b, 1));
        assert_true(blockstore_has(t, w->run->store, &b->cid));
        TRY(task_sleep(t, 1 + (i + w->number) % 3));
        if (i % 4 == w->number)
            TRY(w->number == BEHIND ? blockstore_sync(t, w->run->store) : blockstore_flush(t, &writer));
    }
    return OK;
}

static err_t writer(task_t *t, void *arg)
{
    writer_arg_t *w = arg;
    err_t e = write_all(t, w);
    if (e)
        e = write_all(t, w); /* the fault was one of a moment */
    w->run->over++;
    return e == ERR_IO ? OK : e;
}

/* As a pin does: reads from the first on, then asks that all of it be durable, then promises. */
static err_t acknowledge(task_t *t, run_t *r, size_t writer)
{
    size_t n = 0;
    uint64_t losses = blockstore_losses(r->store);
    for (; n < BLOCKS; n++) {
        AUTO_PTR(block_t) b = NULL;
        cid_t cid = suite_cid(seed_of(writer, n), BLOCK_BYTES);
        if (blockstore_get(t, r->store, &cid, &b))
            break;
    }
    if (n <= r->acknowledged[writer])
        return OK;
    TRY(task_sleep(t, 4)); /* while others sync, and fail */
    err_t e = blockstore_sync_since(t, r->store, losses);
    if (!e)
        r->acknowledged[writer] = n;
    r->refused += e == ERR_IO;
    return OK;
}

static err_t reader(task_t *t, void *arg)
{
    run_t *r = arg;
    while (r->over < WRITERS) {
        for (size_t k = 0; k < WRITERS; k++)
            TRY(acknowledge(t, r, k));
        TRY(task_sleep(t, 1));
    }
    return OK;
}

static err_t work_and_lose_power(task_t *t, void *arg)
{
    run_t *r = arg;
    pack_options_t options = {.segment_bytes = 60000, .commit_bytes = 20000};
    writer_arg_t writers[WRITERS];
    group_t g;
    assert_ok(pack_store_open(t, FOLDER, &options, &r->store));
    sim_disk_fail_nth(r->host, r->fail_at, ERR_IO, false);
    group_init(&g, task_sched(t));
    for (size_t i = 0; i < WRITERS; i++) {
        writers[i] = (writer_arg_t){r, i};
        assert_ok(group_spawn(&g, "writer", writer, &writers[i], NULL));
    }
    assert_ok(group_spawn(&g, "reader", reader, r, NULL));
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    sim_disk_fail_nth(r->host, 0, OK, false);
    sim_crash(r->host, SIM_POWER_LOSS);
    blockstore_close(t, r->store);
    r->is_over = true;
    event_fire(&r->ended);
    return OK;
}

static err_t check_promises(task_t *t, void *arg)
{
    run_t *r = arg;
    blockstore_t *store;
    assert_ok(pack_store_open(t, FOLDER, NULL, &store));
    for (size_t k = 0; k < WRITERS; k++)
        for (size_t i = 0; i < r->acknowledged[k]; i++)
            assert_ok(suite_expect(t, store, seed_of(k, i), BLOCK_BYTES));
    blockstore_close(t, store);
    r->is_over = true;
    event_fire(&r->ended);
    return OK;
}

static void live(task_t *t, run_t *r, task_fn fn)
{
    r->is_over = false;
    event_init(&r->ended);
    assert_ok(sim_host_start(r->host, "life", fn, r));
    while (!r->is_over)
        assert_ok(event_wait(t, &r->ended));
    if (!sim_host_is_up(r->host)) {
        assert_ok(sim_host_join_dead(t, r->host));
        sim_restart(r->host);
    }
}

static size_t promised, refused;

static err_t play(task_t *t, void *arg)
{
    run_t *r = arg;
    live(t, r, work_and_lose_power);
    live(t, r, check_promises);
    for (size_t k = 0; k < WRITERS; k++)
        promised += r->acknowledged[k];
    refused += r->refused;
    return OK;
}

static void test_promises(void **state)
{
    for (uint64_t fail_at = 1; fail_at <= 150; fail_at++) {
        sim_t *sim = sim_new(fail_at);
        run_t r = {.fail_at = fail_at};
        (void)sim_add_host(sim, "10.0.0.1"); /* where the test itself runs */
        r.host = sim_add_host(sim, "10.0.0.2");
        assert_ok(sim_run(sim, play, &r));
        sim_free(sim);
    }
    assert_true(promised > 150 * WRITERS * BLOCKS / 2); /* the fault of a moment does not stop the store */
    assert_true(refused > 10); /* and it was met while somebody was about to promise */
}

int main(void)
{
    log_threshold = LOG_ERROR;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_promises)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

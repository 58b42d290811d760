#include "base/prng.h"
#include "dag/file_reader.h"
#include "dag/importer.h"
#include "dag/walk.h"
#include "tests/support/inputs.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

/* A source that gives pieces of random lengths, or fails at a place. */
typedef struct piecemeal {
    bytes_t left;
    prng_t rng;
    size_t most, fail_after;
} piecemeal_t;

static err_t read_piecemeal(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    piecemeal_t *p = arg;
    if (p->fail_after && !--p->fail_after)
        return fail(ERR_IO, "the source broke");
    size_t n = 1 + prng_below(&p->rng, p->most);
    n = n < cap ? n : cap;
    n = n < p->left.len ? n : p->left.len;
    if (n)
        memcpy(out, p->left.data, n);
    p->left = bytes_slice(p->left, n, p->left.len);
    *ret_n = n;
    return task_yield(t);
}

static err_t import_split(task_t *t, const import_options_t *o, bytes_t content, size_t most, cid_t *ret)
{
    blocks_map_t *map = blocks_map_new(true);
    importer_t *im;
    piecemeal_t p = {.left = content, .most = most};
    dag_ref_t ref;
    prng_seed(&p.rng, most);
    assert_ok(importer_new(t, blocks_map_blocks(map), o, &im));
    assert_ok(importer_add_file(t, im, (source_t){read_piecemeal, &p}, NULL, &ref));
    assert_ok(importer_flush(t, im));
    *ret = ref.cid;
    importer_free(t, im);
    blocks_map_free(map);
    return OK;
}

static err_t any_split(task_t *t, void *arg)
{
    AUTO(buf_t) content = {0};
    buf_init(&content, 1 << 20);
    inputs_append("ctr:split:100000", &content);
    for (int raw = 0; raw < 3; raw++) {
        import_options_t o;
        import_options_init(&o);
        o.chunker.max_bytes = 1000;
        o.max_links = 5;
        o.raw_leaves = raw & 1;
        if (raw == 2)
            assert_ok(chunker_parse("rabin-100-500-1000", &o.chunker));
        cid_t whole, split;
        TRY(import_split(t, &o, buf_bytes(&content), 1 << 20, &whole));
        static const size_t most[] = {1, 2, 999, 1000, 1001, 7777};
        for (size_t i = 0; i < ARRAY_LEN(most); i++) {
            TRY(import_split(t, &o, buf_bytes(&content), most[i], &split));
            assert_true(cid_equal(&whole, &split));
        }
    }
    return OK;
}

static void test_any_split(void **state)
{
    assert_ok(test_run(any_split, NULL));
}

/* A store that takes time, counts what waits in it, and may fail. */
typedef struct slow_blocks {
    blocks_t base;
    uint64_t now_bytes, peak_bytes, total_bytes;
    size_t puts, fail_at;
} slow_blocks_t;

static err_t slow_put(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    slow_blocks_t *s = (slow_blocks_t *)b;
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += list[i]->len;
    if (++s->puts == s->fail_at)
        return fail(ERR_NO_SPACE, "the disk is full");
    s->now_bytes += bytes;
    if (s->now_bytes > s->peak_bytes)
        s->peak_bytes = s->now_bytes;
    err_t e = task_sleep(t, 20);
    s->now_bytes -= bytes;
    s->total_bytes += bytes;
    return e;
}
static err_t slow_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret)
{
    return fail(ERR_NOT_FOUND, "nothing is kept");
}
static bool slow_has(task_t *t, blocks_t *b, const cid_t *cid)
{
    return false;
}
static const blocks_ops_t slow_ops = {.get = slow_get, .put_many = slow_put, .has = slow_has};

typedef struct generated {
    inputs_t *in;
} generated_t;
static err_t read_generated(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    *ret_n = inputs_read(((generated_t *)arg)->in, out, cap);
    return OK;
}

static err_t flat_memory(task_t *t, void *arg)
{
    slow_blocks_t store = {.base = {&slow_ops}};
    import_options_t o;
    import_options_init(&o);
    importer_t *im;
    generated_t g = {inputs_open("mod251:314572800")};
    dag_ref_t ref;
    assert_ok(importer_new(t, &store.base, &o, &im));
    assert_ok(importer_add_file(t, im, (source_t){read_generated, &g}, NULL, &ref));
    assert_ok(importer_flush(t, im));
    import_stat_t stat = importer_stat(im);
    assert_int_equal(stat.read_bytes, 314572800);
    assert_int_equal(store.total_bytes, stat.put_bytes);
    assert_int_equal(ref.tsize, stat.put_bytes);
    assert_true(stat.peak_bytes < 24 << 20); /* the same for any size */
    assert_true(store.peak_bytes > 5 << 20); /* several batches are written at once */
    importer_free(t, im);
    inputs_close(g.in);
    return OK;
}

static void test_300_mib_keep_memory_flat(void **state)
{
    assert_ok(test_run(flat_memory, NULL));
}

/* Many small files share few writes. */
static err_t small_files(task_t *t, void *arg)
{
    slow_blocks_t store = {.base = {&slow_ops}};
    import_options_t o;
    import_options_init(&o);
    importer_t *im;
    assert_ok(importer_new(t, &store.base, &o, &im));
    for (int i = 0; i < 10000; i++) {
        char text[32];
        dag_ref_t ref;
        bytes_t content = bytes_of(text, (size_t)snprintf(text, sizeof text, "file %d", i));
        assert_ok(importer_add_file(t, im, source_of_bytes(&content), NULL, &ref));
        assert_int_equal(ref.size, strlen(text));
    }
    assert_ok(importer_flush(t, im));
    assert_in_range(store.puts, 1, 4);
    importer_free(t, im);
    return OK;
}

static void test_small_files_share_writes(void **state)
{
    assert_ok(test_run(small_files, NULL));
}

static err_t failing_store(task_t *t, void *arg)
{
    for (size_t fail_at = 1; fail_at < 4; fail_at++) {
        slow_blocks_t store = {.base = {&slow_ops}, .fail_at = fail_at};
        import_options_t o;
        import_options_init(&o);
        importer_t *im;
        generated_t g = {inputs_open("zero:41943040")};
        dag_ref_t ref;
        assert_ok(importer_new(t, &store.base, &o, &im));
        err_t e = importer_add_file(t, im, (source_t){read_generated, &g}, NULL, &ref);
        if (!e)
            e = importer_flush(t, im);
        assert_err(e, ERR_NO_SPACE);
        assert_string_equal(error_text(e), "the disk is full"); /* of the task that wrote */
        assert_err(importer_flush(t, im), ERR_NO_SPACE);        /* it stays so */
        importer_free(t, im);
        inputs_close(g.in);
    }
    return OK;
}

static void test_a_full_disk_is_reported(void **state)
{
    assert_ok(test_run(failing_store, NULL));
}

static err_t failing_source(task_t *t, void *arg)
{
    AUTO(buf_t) content = {0};
    buf_init(&content, 32 << 20);
    inputs_append("zero:16777216", &content);
    slow_blocks_t store = {.base = {&slow_ops}};
    import_options_t o;
    import_options_init(&o);
    importer_t *im;
    dag_ref_t broken, good, again;
    assert_ok(importer_new(t, &store.base, &o, &im));
    bytes_t small = BYTES_LIT("hello");
    for (size_t at = 1; at < 100; at += 33) {
        piecemeal_t p = {.left = buf_bytes(&content), .most = 300000, .fail_after = at};
        prng_seed(&p.rng, 1);
        assert_err(importer_add_file(t, im, (source_t){read_piecemeal, &p}, NULL, &broken), ERR_IO);
        /* the importer goes on with the next file as if nothing had been */
        bytes_t left = small;
        assert_ok(importer_add_file(t, im, source_of_bytes(&left), NULL, &good));
        left = small;
        assert_ok(importer_add_file(t, im, source_of_bytes(&left), NULL, &again));
        assert_true(cid_equal(&good.cid, &again.cid));
    }
    assert_ok(importer_flush(t, im));
    importer_free(t, im);
    return OK;
}

static void test_a_broken_source_is_reported(void **state)
{
    assert_ok(test_run(failing_source, NULL));
}

static err_t cancel_child(task_t *t, void *arg)
{
    slow_blocks_t *store = arg;
    import_options_t o;
    import_options_init(&o);
    importer_t *im;
    generated_t g = {inputs_open("zero:104857600")};
    dag_ref_t ref;
    assert_ok(importer_new(t, &store->base, &o, &im));
    err_t e = importer_add_file(t, im, (source_t){read_generated, &g}, NULL, &ref);
    if (!e)
        e = importer_flush(t, im);
    importer_free(t, im); /* waits for what is under way */
    inputs_close(g.in);
    return e;
}

static err_t canceled(task_t *t, void *arg)
{
    for (uint64_t after_ms = 1; after_ms < 70; after_ms += 23) {
        slow_blocks_t store = {.base = {&slow_ops}};
        group_t g;
        group_init(&g, task_sched(t));
        task_t *child;
        assert_ok(group_spawn(&g, "import", cancel_child, &store, &child));
        assert_ok(task_sleep(t, after_ms));
        group_cancel(&g);
        assert_ok(group_join(t, &g));
        group_deinit(&g);
        assert_int_equal(store.now_bytes, 0);
    }
    return OK;
}

static void test_cancellation_leaves_nothing_behind(void **state)
{
    assert_ok(test_run(canceled, NULL));
}

static void test_options(void **state)
{
    import_options_t o;
    import_options_init(&o);
    o.cid_version = 2;
    assert_err(import_options_resolve(&o), ERR_USAGE);
    import_options_init(&o);
    o.shard_fanout = 100;
    assert_err(import_options_resolve(&o), ERR_USAGE);
    import_options_init(&o);
    o.max_links = 1;
    assert_err(import_options_resolve(&o), ERR_USAGE);
    import_options_init(&o);
    o.chunker.max_bytes = 3 << 20;
    assert_err(import_options_resolve(&o), ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_any_split),
        cmocka_unit_test(test_300_mib_keep_memory_flat),
        cmocka_unit_test(test_small_files_share_writes),
        cmocka_unit_test(test_a_full_disk_is_reported),
        cmocka_unit_test(test_a_broken_source_is_reported),
        cmocka_unit_test(test_cancellation_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

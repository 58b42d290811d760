/* Pins: adding, listing, finding, moving, verifying. */
#include "tests/support/repo.h"
#include <stdlib.h>

typedef struct seen_pins {
    size_t n, recursive, direct, indirect;
    pin_t last;
} seen_pins_t;

static err_t see_pin(task_t *t, void *arg, const pin_t *pin)
{
    seen_pins_t *s = arg;
    s->n++;
    s->recursive += pin->mode == PIN_RECURSIVE;
    s->direct += pin->mode == PIN_DIRECT;
    s->indirect += pin->mode == PIN_INDIRECT;
    s->last = *pin;
    return OK;
}

static seen_pins_t list_pins(task_t *t, repo_t *r, unsigned modes, const char *name)
{
    seen_pins_t s = {0};
    assert_ok(pins_each(t, repo_pins(r), repo_blocks(r), modes, name, see_pin, &s));
    return s;
}

static void count_progress(void *arg, const cid_t *cid, uint64_t size)
{
    ++*(size_t *)arg;
}

/* Recursive, indirect, direct, absent, and the indirect one again. */
static void check_modes(task_t *t, repo_t *r, const cid_t cids[5])
{
    static const struct {
        unsigned asked;
        unsigned expected[5];
    } rows[] = {
        {PIN_ANY, {PIN_RECURSIVE, PIN_INDIRECT, PIN_DIRECT, 0, PIN_INDIRECT}},
        {PIN_RECURSIVE, {PIN_RECURSIVE, 0, 0, 0, 0}},
        {PIN_DIRECT, {0, 0, PIN_DIRECT, 0, 0}},
        {PIN_INDIRECT, {0, PIN_INDIRECT, 0, 0, PIN_INDIRECT}},
        {PIN_DIRECT | PIN_INDIRECT, {0, PIN_INDIRECT, PIN_DIRECT, 0, PIN_INDIRECT}},
    };
    pin_check_t *checks = xcalloc(5, sizeof *checks);
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        for (size_t i = 0; i < 5; i++)
            checks[i].pin.cid = cids[i];
        assert_ok(pins_check(t, repo_pins(r), repo_blocks(r), rows[k].asked, checks, 5));
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(checks[i].pin.mode, rows[k].expected[i]);
            assert_true(cid_equal(&checks[i].pin.cid, &cids[i]));
            if (checks[i].pin.mode == PIN_INDIRECT)
                assert_true(cid_equal(&checks[i].through, &cids[0]));
        }
        assert_string_equal(checks[0].pin.name, rows[k].expected[0] ? "renamed" : "");
    }
    assert_ok(pins_check(t, repo_pins(r), repo_blocks(r), PIN_ANY, checks, 0));
    free(checks);
}

static err_t pinning(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    pins_t *p = repo_pins(r);
    blocks_t *b = repo_blocks(r);
    pin_t pin;
    size_t visited = 0;
    uint64_t count;
    cid_t root = put_tree(t, b, 1000, 5);
    cid_t leaf = put_leaf(t, b, 1000), other = put_leaf(t, b, 5), absent = suite_cid(77, 77);
    assert_ok(pins_add(t, p, b, &root, PIN_RECURSIVE, "first", count_progress, &visited));
    assert_int_equal(visited, 13);
    assert_ok(pins_find(t, p, &root, &pin));
    assert_true(pin.mode == PIN_RECURSIVE && cid_equal(&pin.cid, &root));
    assert_string_equal(pin.name, "first");
    assert_ok(pins_add(t, p, b, &root, PIN_RECURSIVE, "renamed", NULL, NULL));
    assert_ok(pins_find(t, p, &root, &pin));
    assert_string_equal(pin.name, "renamed");
    assert_err(pins_add(t, p, b, &root, PIN_DIRECT, NULL, NULL, NULL), ERR_EXISTS);
    assert_ok(pins_add(t, p, b, &other, PIN_DIRECT, "", NULL, NULL));
    assert_err(pins_add(t, p, b, &other, PIN_INDIRECT, "", NULL, NULL), ERR_USAGE);
    assert_err(pins_add(t, p, b, &absent, PIN_RECURSIVE, "", NULL, NULL), ERR_NOT_FOUND);
    assert_err(pins_add(t, p, b, &absent, PIN_DIRECT, "", NULL, NULL), ERR_NOT_FOUND);
    assert_err(pins_find(t, p, &leaf, &pin), ERR_NOT_FOUND);
    check_modes(t, r, (cid_t[]){root, leaf, other, absent, leaf});
    assert_ok(pins_count(t, p, &count));
    assert_int_equal(count, 2);

    seen_pins_t s = list_pins(t, r, PIN_ANY, NULL);
    assert_true(s.recursive == 1 && s.direct == 1 && s.indirect == 12);
    assert_int_equal(list_pins(t, r, PIN_DIRECT, NULL).n, 1);
    assert_int_equal(list_pins(t, r, PIN_RECURSIVE | PIN_DIRECT, "name").n, 1);
    assert_int_equal(list_pins(t, r, PIN_ANY, "nobody").n, 0);

    assert_err(pins_remove(t, p, &root, PIN_DIRECT), ERR_INVALID);
    assert_err(pins_remove(t, p, &other, PIN_RECURSIVE), ERR_NOT_FOUND);
    assert_err(pins_remove(t, p, &leaf, PIN_ANY), ERR_NOT_FOUND);
    assert_ok(pins_remove(t, p, &root, PIN_RECURSIVE));
    assert_err(pins_remove(t, p, &root, PIN_RECURSIVE), ERR_NOT_FOUND);
    /* A recursive pin takes the place of a direct one. */
    assert_ok(pins_add(t, p, b, &other, PIN_RECURSIVE, NULL, NULL, NULL));
    assert_ok(pins_find(t, p, &other, &pin));
    assert_true(pin.mode == PIN_RECURSIVE);
    repo_close(t, r);
    assert_ok(repo_open(t, REPO, &r));
    assert_ok(pins_find(t, repo_pins(r), &other, &pin));
    repo_close(t, r);
    return OK;
}

static void test_pinning(void **state)
{
    assert_ok(test_run(pinning, NULL));
}

/* Nothing is pinned before the commit; what could not be pinned is not in it. */
static err_t batch(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    pins_t *p = repo_pins(r);
    blocks_t *b = repo_blocks(r);
    pin_t pin;
    cid_t root = put_tree(t, b, 1000, 5), other = put_leaf(t, b, 5), absent = suite_cid(77, 77);
    AUTO(pins_batch_t) batch;
    pins_batch_init(&batch, p);
    assert_ok(pins_batch_add(t, &batch, b, &root, PIN_RECURSIVE, "both", NULL, NULL));
    assert_err(pins_batch_add(t, &batch, b, &absent, PIN_RECURSIVE, "both", NULL, NULL), ERR_NOT_FOUND);
    assert_ok(pins_batch_add(t, &batch, b, &other, PIN_RECURSIVE, "both", NULL, NULL));
    assert_err(pins_find(t, p, &root, &pin), ERR_NOT_FOUND);
    assert_ok(pins_batch_commit(t, &batch));
    assert_ok(pins_find(t, p, &root, &pin));
    assert_ok(pins_find(t, p, &other, &pin));
    assert_string_equal(pin.name, "both");
    assert_err(pins_find(t, p, &absent, &pin), ERR_NOT_FOUND);
    /* Committed again, it is empty. */
    assert_ok(pins_remove(t, p, &root, PIN_ANY));
    assert_ok(pins_batch_commit(t, &batch));
    assert_err(pins_find(t, p, &root, &pin), ERR_NOT_FOUND);
    pins_batch_deinit(&batch);
    repo_close(t, r);
    return OK;
}

static void test_batch(void **state)
{
    assert_ok(test_run(batch, NULL));
}

static err_t pin_names(task_t *t, void *arg)
{
    static const char *const good[] = {
        "", "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x9a\x80", "\xed\x9f\xbf"};
    static const char *const bad[] = {"\xff",
                                      "\xc0\x80",
                                      "\xc3",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xe2\x82",
                                      "a\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xf5\x80\x80\x80"};
    repo_t *r = fresh_repo(t);
    cid_t leaf = put_leaf(t, repo_blocks(r), 1);
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_ok(pins_add_present(t, repo_pins(r), &leaf, PIN_RECURSIVE, good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(pins_add_present(t, repo_pins(r), &leaf, PIN_RECURSIVE, bad[i]), ERR_USAGE);
    char longest[PIN_NAME_MAX_BYTES + 2];
    memset(longest, 'n', sizeof longest);
    longest[PIN_NAME_MAX_BYTES + 1] = 0;
    assert_err(pins_add_present(t, repo_pins(r), &leaf, PIN_RECURSIVE, longest), ERR_USAGE);
    longest[PIN_NAME_MAX_BYTES] = 0;
    assert_ok(pins_add_present(t, repo_pins(r), &leaf, PIN_RECURSIVE, longest));
    pin_t pin;
    pin_mode_t mode;
    assert_ok(pins_find(t, repo_pins(r), &leaf, &pin));
    assert_string_equal(pin.name, longest);
    assert_ok(pin_mode_parse("all", &mode));
    assert_int_equal(mode, PIN_ANY);
    assert_ok(pin_mode_parse("indirect", &mode));
    assert_int_equal(mode, PIN_INDIRECT);
    assert_err(pin_mode_parse("some", &mode), ERR_USAGE);
    uint8_t key[CID_BINARY_MAX];
    assert_ok(kv_put(t, repo_state(r), "pins", bytes_of(key, cid_encode(&leaf, key)), BYTES_LIT("\x09")));
    assert_err(pins_find(t, repo_pins(r), &leaf, &pin), ERR_CORRUPT);
    repo_close(t, r);
    return OK;
}

static void test_pin_names(void **state)
{
    assert_ok(test_run(pin_names, NULL));
}

/* What has a pin of its own is not listed as indirect as well; what two pins reach is listed once. */
static err_t indirect(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    pins_t *p = repo_pins(r);
    blocks_t *b = repo_blocks(r);
    cid_t a = put_tree(t, b, 1, 3), leaf = suite_cid(1, 500), other = suite_cid(2, 500);
    cid_t top = put_node(t, b, &a, 1, "top"), absent = suite_cid(77, 77);
    cid_t broken = put_node(t, b, (cid_t[]){leaf, absent}, 2, "broken");
    assert_ok(pins_add(t, p, b, &a, PIN_RECURSIVE, "", NULL, NULL));
    assert_ok(pins_add(t, p, b, &top, PIN_RECURSIVE, "", NULL, NULL));
    assert_ok(pins_add(t, p, b, &leaf, PIN_DIRECT, "", NULL, NULL));
    assert_ok(pins_add(t, p, b, &other, PIN_RECURSIVE, "", NULL, NULL));
    assert_ok(pins_add_present(t, p, &broken, PIN_RECURSIVE, ""));
    seen_pins_t s = list_pins(t, r, PIN_ANY, NULL), only = list_pins(t, r, PIN_INDIRECT, NULL);
    assert_true(s.recursive == 4 && s.direct == 1 && s.indirect == 2 + 6 - 2 + 1);
    assert_true(only.n == s.indirect && only.indirect == s.indirect);
    assert_int_equal(list_pins(t, r, PIN_DIRECT | PIN_INDIRECT, NULL).n, 1 + s.indirect);
    repo_close(t, r);
    return OK;
}

static void test_indirect(void **state)
{
    assert_ok(test_run(indirect, NULL));
}

static err_t pin_update(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    pins_t *p = repo_pins(r);
    pin_t pin;
    cid_t a = put_tree(t, repo_blocks(r), 1, 3), b = put_tree(t, repo_blocks(r), 1000, 3);
    assert_err(pins_update(t, p, repo_blocks(r), &a, &b, false), ERR_NOT_FOUND);
    assert_ok(pins_add(t, p, repo_blocks(r), &a, PIN_RECURSIVE, "keep", NULL, NULL));
    assert_ok(pins_update(t, p, repo_blocks(r), &a, &a, false));
    assert_ok(pins_update(t, p, repo_blocks(r), &a, &b, true));
    assert_int_equal(list_pins(t, r, PIN_RECURSIVE, "keep").n, 2);
    assert_ok(pins_remove(t, p, &b, PIN_ANY));
    assert_ok(pins_update(t, p, repo_blocks(r), &a, &b, false));
    assert_ok(pins_find(t, p, &b, &pin));
    assert_string_equal(pin.name, "keep");
    assert_err(pins_find(t, p, &a, &pin), ERR_NOT_FOUND);
    repo_close(t, r);
    return OK;
}

/* What the old pin has is not read again; what it should have and has not is missed. */
static err_t pin_update_difference(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    pins_t *p = repo_pins(r);
    blocks_t *blocks = repo_blocks(r);
    cid_t a = put_tree(t, blocks, 1, 3), extra = put_leaf(t, blocks, 5000);
    cid_t b = put_node(t, blocks, (cid_t[]){a, extra}, 2, "both"), lost = suite_cid(2, 500);
    cid_t c = put_node(t, blocks, (cid_t[]){a}, 1, "old alone"), missing = suite_cid(77, 77);
    cid_t d = put_node(t, blocks, (cid_t[]){a, missing}, 2, "not all is here");
    assert_ok(pins_add(t, p, blocks, &a, PIN_RECURSIVE, "", NULL, NULL));
    assert_err(pins_update(t, p, blocks, &a, &d, false), ERR_NOT_FOUND);
    assert_ok(pins_update(t, p, blocks, &a, &b, true));
    assert_err(pins_update(t, p, blocks, &a, &b, true), ERR_EXISTS);
    assert_ok(blockstore_remove(t, repo_blockstore(r), &lost, 1));
    assert_err(pins_update(t, p, blocks, &a, &c, true), ERR_NOT_FOUND);
    assert_int_equal(list_pins(t, r, PIN_RECURSIVE, NULL).n, 2);
    repo_close(t, r);
    return OK;
}

static void test_pin_update_difference(void **state)
{
    assert_ok(test_run(pin_update_difference, NULL));
}

static void test_pin_update(void **state)
{
    assert_ok(test_run(pin_update, NULL));
}

static err_t pin_verify(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    verified_t v = {0};
    cid_t a = put_tree(t, repo_blocks(r), 1, 3), b = put_tree(t, repo_blocks(r), 1000, 3);
    assert_ok(pins_add(t, repo_pins(r), repo_blocks(r), &a, PIN_RECURSIVE, "", NULL, NULL));
    assert_ok(pins_add(t, repo_pins(r), repo_blocks(r), &b, PIN_RECURSIVE, "", NULL, NULL));
    assert_ok(pins_verify(t, repo_pins(r), repo_blocks(r), see_verified, &v));
    assert_true(v.good == 2 && v.bad == 0);
    cid_t gone = suite_cid(1001, 500);
    assert_ok(blockstore_remove(t, repo_blockstore(r), &gone, 1));
    v = (verified_t){0};
    assert_ok(pins_verify(t, repo_pins(r), repo_blocks(r), see_verified, &v));
    assert_true(v.good == 1 && v.bad == 1 && v.bad_blocks == 1 && cid_equal(&v.last_bad, &gone));
    /* Every pin above it is broken, however much of it sound pins reach, and all that is missing is told. */
    cid_t above = put_node(t, repo_blocks(r), (cid_t[]){a, b}, 2, "above"), second = suite_cid(1100, 500);
    assert_ok(pins_add_present(t, repo_pins(r), &above, PIN_RECURSIVE, ""));
    assert_ok(blockstore_remove(t, repo_blockstore(r), &second, 1));
    v = (verified_t){0};
    assert_ok(pins_verify(t, repo_pins(r), repo_blocks(r), see_verified, &v));
    assert_true(v.good == 1 && v.bad == 2 && v.bad_blocks == 4);
    repo_close(t, r);
    return OK;
}

static void test_pin_verify(void **state)
{
    assert_ok(test_run(pin_verify, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_indirect),   cmocka_unit_test(test_pinning),
        cmocka_unit_test(test_batch),      cmocka_unit_test(test_pin_names),
        cmocka_unit_test(test_pin_update), cmocka_unit_test(test_pin_update_difference),
        cmocka_unit_test(test_pin_verify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

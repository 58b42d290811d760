#include "meta/published.h"
#include "repo/pins.h"
#include "tests/support/repo.h"

static const char file_a[] = "0123456789abcdef0123456789abcdef",
                  file_b[] = "fedcba9876543210fedcba9876543210";

static bool is_pinned(task_t *t, repo_t *r, const cid_t *root)
{
    pin_t pin;
    return pins_find(t, repo_pins(r), root, &pin) == OK;
}

static size_t count(task_t *t, repo_t *r)
{
    published_t page[8];
    size_t n;
    assert_ok(published_page(t, r, NULL, page, ARRAY_LEN(page), &n));
    return n;
}

/* A pin for each content, as long as some file has it. */
static err_t publishes(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    published_t page[2];
    size_t n;
    cid_t first = put_tree(t, repo_blocks(r), 1, 3), second = put_tree(t, repo_blocks(r), 1000, 3);
    assert_ok(published_put(t, r, file_a, &first));
    assert_ok(published_put(t, r, file_b, &first));
    assert_ok(published_put(t, r, file_b, &first)); /* again */
    assert_int_equal(count(t, r), 2);
    assert_ok(published_page(t, r, file_a, page, 2, &n));
    assert_true(n == 1 && !strcmp(page[0].file, file_b) && cid_equal(&page[0].root, &first) && page[0].at_s);
    assert_ok(published_put(t, r, file_a, &second)); /* another version */
    assert_true(is_pinned(t, r, &first) && is_pinned(t, r, &second));
    assert_ok(published_remove(t, r, file_b));
    assert_false(is_pinned(t, r, &first));
    assert_ok(published_remove(t, r, file_b));
    assert_ok(published_remove(t, r, file_a));
    assert_false(is_pinned(t, r, &second));
    assert_int_equal(count(t, r), 0);
    repo_close(t, r);
    return OK;
}

/* What somebody has pinned by hand stays; what is not whole is not published. */
static err_t leaves_pins(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    pin_t pin;
    cid_t root = put_tree(t, repo_blocks(r), 1, 3), leaf = put_leaf(t, repo_blocks(r), 5000);
    cid_t broken = put_node(t, repo_blocks(r), &leaf, 1, "broken");
    assert_ok(pins_add(t, repo_pins(r), repo_blocks(r), &root, PIN_RECURSIVE, "mine", NULL, NULL));
    assert_ok(published_put(t, r, file_a, &root));
    assert_ok(published_remove(t, r, file_a));
    assert_ok(pins_find(t, repo_pins(r), &root, &pin));
    assert_string_equal(pin.name, "mine");
    assert_ok(blockstore_remove(t, repo_blockstore(r), &leaf, 1));
    assert_err(published_put(t, r, file_a, &broken), ERR_NOT_FOUND);
    assert_int_equal(count(t, r), 0);
    repo_close(t, r);
    return OK;
}

static void publishing(void **state)
{
    assert_ok(test_run(publishes, NULL));
}

static void leaving_pins(void **state)
{
    assert_ok(test_run(leaves_pins, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(publishing), cmocka_unit_test(leaving_pins)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

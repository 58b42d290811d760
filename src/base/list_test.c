#include "base/list.h"
#include "tests/support/test.h"

typedef struct item {
    int value;
    list_t node;
} item_t;

static void test_list(void **state)
{
    list_t l;
    list_init(&l);
    assert_true(list_is_empty(&l));
    assert_null(LIST_FIRST(&l, item_t, node));
    item_t items[4] = {{.value = 0}, {.value = 1}, {.value = 2}, {.value = 3}};
    assert_false(list_is_linked(&items[0].node));
    list_remove(&items[0].node); /* zeroed: left alone */
    list_push_back(&l, &items[1].node);
    list_push_back(&l, &items[2].node);
    list_push_front(&l, &items[0].node);
    list_insert_before(&items[2].node, &items[3].node);
    assert_true(list_is_linked(&items[3].node));
    static const int want[] = {0, 1, 3, 2};
    int n = 0;
    LIST_EACH (it, &l, item_t, node) {
        assert_int_equal(it->value, want[n]);
        n++;
        if (it->value % 2) {
            list_remove(&it->node);
            list_remove(&it->node);
        }
    }
    assert_int_equal(n, 4);
    assert_int_equal(LIST_FIRST(&l, item_t, node)->value, 0);
    assert_ptr_equal(l.prev, &items[2].node);
    assert_false(list_is_linked(&items[1].node));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

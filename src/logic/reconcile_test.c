/* Two sets of tombstones that find out what one of them lacks; and the sets themselves. */
#include "base/prng.h"
#include "logic/reconcile.h"
#include "tests/support/test.h"

static kad_key_t random_key(prng_t *rng)
{
    kad_key_t key;
    prng_fill(rng, key.data, sizeof key.data);
    return key;
}

static void add(tombstones_t *s, const kad_key_t *key)
{
    bool is_new;
    assert_ok(tombstones_add(s, key, &is_new));
}

static void test_set(void **state)
{
    (void)state;
    prng_t rng;
    prng_seed(&rng, 3);
    tombstones_t *a = tombstones_new(3000), *b = tombstones_new(3000);
    static kad_key_t keys[3000], listed[3000], rest[3000];
    bool is_new;
    for (size_t i = 0; i < 3000; i++) {
        keys[i] = random_key(&rng);
        assert_false(tombstones_has(a, &keys[i]));
        assert_ok(tombstones_add(a, &keys[i], &is_new));
        assert_true(is_new);
    }
    for (size_t i = 3000; i--;)
        add(b, &keys[i]);
    assert_ok(tombstones_add(a, &keys[7], &is_new));
    assert_false(is_new);
    kad_key_t more = random_key(&rng);
    assert_err(tombstones_add(a, &more, &is_new), ERR_LIMIT);
    assert_int_equal(tombstones_count(a), 3000);
    for (size_t len = 0; len <= 40; len++) {
        kad_prefix_t p = {keys[len], len};
        uint64_t n_a, n_b, digest_a, digest_b, n = 0;
        tombstones_digest(a, &p, &n_a, &digest_a);
        tombstones_digest(b, &p, &n_b, &digest_b);
        for (size_t i = 0; i < 3000; i++)
            n += kad_prefix_has(&p, &keys[i]);
        assert_true(n == n_a && n == n_b && digest_a == digest_b);
        assert_int_equal(tombstones_list(a, &p, NULL, listed, 3000), n);
        for (size_t i = 0; i < n; i++)
            assert_true(kad_prefix_has(&p, &listed[i]) &&
                        (!i || memcmp(&listed[i - 1], &listed[i], sizeof listed[i]) < 0));
        if (n > 10) { /* in two parts */
            assert_int_equal(tombstones_list(a, &p, &listed[9], rest, 3000), n - 10);
            assert_memory_equal(rest, listed + 10, (n - 10) * sizeof *rest);
        }
    }
    tombstones_free(a);
    tombstones_free(b);
}

static void test_roots(void **state)
{
    (void)state;
    tombstones_t *s = tombstones_new(10);
    uint8_t digest[32] = {5};
    cid_t raw = cid_of_sha256(1, CODEC_RAW, digest), cbor = cid_of_sha256(1, CODEC_DAG_CBOR, digest);
    kad_key_t key = tombstone_key(&raw);
    add(s, &key);
    assert_true(tombstones_has_root(s, &raw));
    assert_true(tombstones_has_root(s, &cbor)); /* the same block under another name */
    digest[0]++;
    raw = cid_of_sha256(1, CODEC_RAW, digest);
    assert_false(tombstones_has_root(s, &raw));
    tombstones_free(s);
}

static void test_limit(void **state)
{
    (void)state;
    tombstones_t *s = tombstones_new(1);
    kad_key_t keys[3] = {{{1}}, {{2}}, {{3}}};
    bool is_new;
    assert_int_equal(tombstones_room(s), 1);
    add(s, &keys[0]);
    assert_int_equal(tombstones_room(s), 0);
    assert_err(tombstones_add(s, &keys[1], &is_new), ERR_LIMIT);
    assert_false(is_new);
    tombstones_restore(s, &keys[1]); /* the limit was another one when it was taken */
    tombstones_restore(s, &keys[1]);
    assert_true(tombstones_has(s, &keys[1]));
    assert_int_equal(tombstones_count(s), 2);
    assert_int_equal(tombstones_room(s), 0);
    assert_ok(tombstones_add(s, &keys[1], &is_new));
    assert_false(is_new);
    assert_err(tombstones_add(s, &keys[2], &is_new), ERR_LIMIT);
    tombstones_free(s);
}

/* Runs a session of a with b to its end; both then have all. Returns the questions. */
static size_t reconcile(tombstones_t *a, tombstones_t *b, prng_t *rng)
{
    reconcile_t *r = reconcile_new(a, 100000);
    reconcile_question_t q[3];
    reconcile_reply_t reply;
    size_t n_open = 0;
    for (;;) { /* up to three questions under way, answered in any order */
        if (n_open < 3 && reconcile_next_question(r, &q[n_open])) {
            n_open++;
            continue;
        }
        if (!n_open)
            break;
        size_t i = (size_t)prng_below(rng, n_open);
        reconcile_question_t one = q[i];
        q[i] = q[--n_open];
        assert_ok(reconcile_answer(b, &one, &reply));
        assert_ok(reconcile_answered(r, &one, &reply));
        kad_key_t key;
        for (bool is_new; reconcile_next_extra(r, &key);) {
            assert_true(tombstones_has(a, &key));
            assert_ok(tombstones_add(b, &key, &is_new));
            assert_true(is_new);
        }
    }
    kad_key_t key;
    for (bool is_new; reconcile_next_lacking(r, &key);) {
        assert_ok(tombstones_add(a, &key, &is_new));
        assert_true(is_new);
    }
    assert_int_equal(reconcile_state(r), RECONCILE_DONE);
    size_t n = reconcile_questions(r);
    reconcile_free(r);
    return n;
}

static void test_reconcile(void **state)
{
    (void)state;
    static const struct {
        size_t common, only_a, only_b, most_questions;
    } rows[] = {{0, 0, 0, 1},        {1000, 0, 0, 1},       {0, 1, 0, 1},     {0, 0, 50, 1},
                {0, 500, 0, 1},      {0, 0, 5000, 300},     {20000, 1, 0, 4}, {20000, 0, 1, 4},
                {20000, 20, 20, 90}, {500, 3000, 3000, 300}};
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        prng_t rng;
        prng_seed(&rng, k + 1);
        tombstones_t *a = tombstones_new(100000), *b = tombstones_new(100000);
        for (size_t i = 0; i < rows[k].common + rows[k].only_a + rows[k].only_b; i++) {
            kad_key_t key = random_key(&rng);
            if (i < rows[k].common + rows[k].only_a)
                add(a, &key);
            if (i < rows[k].common || i >= rows[k].common + rows[k].only_a)
                add(b, &key);
        }
        size_t n = reconcile(a, b, &rng);
        if (n > rows[k].most_questions)
            fail_msg("row %zu: %zu questions", k, n);
        uint64_t n_a, n_b, digest_a, digest_b;
        tombstones_digest(a, &(kad_prefix_t){.len = 0}, &n_a, &digest_a);
        tombstones_digest(b, &(kad_prefix_t){.len = 0}, &n_b, &digest_b);
        assert_true(n_a == n_b && digest_a == digest_b);
        assert_int_equal(n_a, rows[k].common + rows[k].only_a + rows[k].only_b);
        assert_int_equal(reconcile(a, b, &rng), 1);
        tombstones_free(a);
        tombstones_free(b);
    }
}

/* Answers that are none; one that goes on for ever; a prefix that is none. */
static void test_hostile(void **state)
{
    (void)state;
    tombstones_t *s = tombstones_new(100);
    prng_t rng;
    prng_seed(&rng, 9);
    kad_key_t key = random_key(&rng);
    add(s, &key);
    reconcile_question_t q;
    reconcile_reply_t bad[] = {
        {.kind = 0},
        {.kind = 4},
        {.kind = RECONCILE_IS_KEYS, .n_keys = RECONCILE_KEYS + 1},
        {.kind = RECONCILE_IS_KEYS, .n_keys = 2, .keys = {{{2}}, {{1}}}},
        {.kind = RECONCILE_IS_KEYS, .n_keys = 2, .keys = {{{2}}, {{2}}}},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        reconcile_t *r = reconcile_new(s, 10);
        assert_true(reconcile_next_question(r, &q));
        assert_err(reconcile_answered(r, &q, &bad[i]), ERR_PROTOCOL);
        assert_int_equal(reconcile_state(r), RECONCILE_CUT);
        assert_false(reconcile_next_question(r, &q));
        reconcile_free(r);
    }
    for (size_t most = 10; most <= 100000; most *= 100) { /* everything differs everywhere */
        reconcile_t *r = reconcile_new(s, most);
        reconcile_reply_t deep = {.kind = RECONCILE_IS_CHILDREN};
        for (size_t i = 0; i < RECONCILE_CHILDREN; i++)
            deep.children[i] = (reconcile_summary_t){1000, i + 1};
        size_t n = 0;
        while (reconcile_next_question(r, &q))
            if (reconcile_answered(r, &q, &deep) || ++n > most)
                break;
        assert_int_equal(reconcile_state(r), RECONCILE_CUT);
        assert_true(n <= most);
        reconcile_free(r);
    }
    reconcile_reply_t reply;
    q.prefix.len = 3;
    assert_err(reconcile_answer(s, &q, &reply), ERR_INVALID);
    q.prefix.len = 256;
    assert_err(reconcile_answer(s, &q, &reply), ERR_INVALID);
    tombstones_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_set), cmocka_unit_test(test_roots),
                                       cmocka_unit_test(test_limit), cmocka_unit_test(test_reconcile),
                                       cmocka_unit_test(test_hostile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

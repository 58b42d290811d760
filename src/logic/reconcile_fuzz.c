/* Two sets from the input, and an answerer that is honest or not. With an honest one the session ends DONE,
 * within the questions that it may take, and both have the same afterwards; with a hostile one it ends, asks
 * no more than it may, and gives out no key twice. */
#include "logic/reconcile.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_QUESTIONS = 300, MAX_KEYS = 4096 };

/* Keys that crowd under few prefixes, so that the ways down are long. */
static kad_key_t key_of(const uint8_t *in)
{
    kad_key_t key = {{0}};
    size_t depth = in[0] % 31;
    key.data[depth] = in[1];
    key.data[depth + 1] = in[2];
    return key;
}

static void add(tombstones_t *s, const kad_key_t *key)
{
    bool is_new;
    if (tombstones_add(s, key, &is_new) && tombstones_count(s) < MAX_KEYS)
        abort();
}

static void forge(const uint8_t *in, const reconcile_question_t *q, reconcile_reply_t *reply)
{
    reply->kind = in[0] % 5;
    reply->n_keys = in[1] % (RECONCILE_KEYS + 2);
    for (size_t i = 0; i < reply->n_keys && i < RECONCILE_KEYS; i++) {
        reply->keys[i] = q->prefix.key;
        reply->keys[i].data[31] = (uint8_t)(in[2] & 1 ? i + 1 : in[i % 3]);
    }
    for (size_t i = 0; i < RECONCILE_CHILDREN; i++)
        reply->children[i] = (reconcile_summary_t){in[2] >> (i % 8), in[1]};
}

static void take_all(reconcile_t *r, tombstones_t *a, tombstones_t *b, bool is_honest)
{
    for (kad_key_t key; reconcile_next_lacking(r, &key);) {
        if (is_honest && (tombstones_has(a, &key) || !tombstones_has(b, &key)))
            abort();
        add(a, &key);
    }
    for (kad_key_t key; reconcile_next_extra(r, &key);) {
        if (!tombstones_has(a, &key) || (is_honest && tombstones_has(b, &key)))
            abort();
        add(b, &key);
    }
}

static void check_equal(const tombstones_t *a, const tombstones_t *b)
{
    uint64_t n_a, n_b, digest_a, digest_b;
    tombstones_digest(a, &(kad_prefix_t){.len = 0}, &n_a, &digest_a);
    tombstones_digest(b, &(kad_prefix_t){.len = 0}, &n_b, &digest_b);
    if (n_a != n_b || digest_a != digest_b)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 4096)
        return 0;
    bool is_honest = data[0] & 1;
    tombstones_t *a = tombstones_new(MAX_KEYS), *b = tombstones_new(MAX_KEYS);
    for (size_t i = 1; i + 4 <= size; i += 4) {
        kad_key_t key = key_of(data + i + 1);
        if (data[i] % 4 != 1)
            add(a, &key);
        if (data[i] % 4 != 2)
            add(b, &key);
    }
    reconcile_t *r = reconcile_new(a, is_honest ? 100000 : MAX_QUESTIONS);
    reconcile_question_t q;
    reconcile_reply_t *reply = calloc(1, sizeof *reply);
    size_t n = 0;
    for (; reply && reconcile_next_question(r, &q); n++) {
        if (reconcile_answer(b, &q, reply))
            abort();
        if (!is_honest && size >= 4)
            forge(data + (n * 7) % (size - 3), &q, reply);
        if (reconcile_answered(r, &q, reply) && is_honest)
            abort();
        if (data[0] & 2)
            take_all(r, a, b, is_honest);
    }
    take_all(r, a, b, is_honest);
    if (reconcile_state(r) == RECONCILE_ASKING || (!is_honest && n > MAX_QUESTIONS))
        abort();
    if (is_honest) {
        if (reconcile_state(r) != RECONCILE_DONE)
            abort();
        check_equal(a, b);
    }
    free(reply);
    reconcile_free(r);
    tombstones_free(a);
    tombstones_free(b);
    return 0;
}

#include "logic/audit.h"
#include "tests/support/test.h"

enum { BLOCKS = 4 };
static const size_t lengths[BLOCKS] = {300, 10000, 0, 4096};
static uint8_t data[BLOCKS][10000];

static void fill(void)
{
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t j = 0; j < lengths[i]; j++)
            data[i][j] = (uint8_t)(7 * i + 3 * j);
}

static audit_challenge_t challenge(void)
{
    audit_challenge_t c = {
        .n = 4, .points = {{1, 9000}, {0, UINT64_C(12345678901234567890)}, {2, 77}, {3, 4096 * 5}}};
    for (size_t i = 0; i < sizeof c.nonce; i++)
        c.nonce[i] = (uint8_t)i;
    return c;
}

static void prove(const audit_challenge_t *c, uint8_t ret[AUDIT_PROOF_BYTES])
{
    audit_proof_t p;
    audit_proof_init(&p, c);
    for (size_t i = 0; i < c->n; i++)
        audit_proof_add(&p, bytes_of(data[c->points[i].block], lengths[c->points[i].block]));
    audit_proof_finish(&p, ret);
}

/* Computed by Python's hashlib and hmac from the formula in the header. */
static void test_vector(void **state)
{
    (void)state;
    fill();
    audit_challenge_t c = challenge();
    uint8_t proof[AUDIT_PROOF_BYTES];
    AUTO(buf_t) want;
    buf_init(&want, 64);
    assert_ok(
        hex_decode(BYTES_LIT("d20e0a53d14e9af8444fb8b2bfc4f08733347b1f7875af9c2d997fc351a8b968"), &want));
    prove(&c, proof);
    assert_memory_equal(proof, want.data, sizeof proof);
}

static void test_ranges(void **state)
{
    (void)state;
    uint64_t offset, len;
    audit_range(&(audit_point_t){0, 5}, 0, &offset, &len);
    assert_true(offset == 0 && len == 0);
    audit_range(&(audit_point_t){0, UINT64_MAX}, 1, &offset, &len);
    assert_true(offset == 0 && len == 1);
    audit_range(&(audit_point_t){0, 100000}, 262144, &offset, &len);
    assert_true(offset == 100000 && len == AUDIT_RANGE_BYTES);
    audit_range(&(audit_point_t){0, 262143}, 262144, &offset, &len);
    assert_true(offset == 262143 && len == 1);
}

static void test_draw(void **state)
{
    (void)state;
    uint8_t random[AUDIT_RANDOM_BYTES];
    for (size_t i = 0; i < sizeof random; i++)
        random[i] = (uint8_t)(i * 37 + 11);
    audit_challenge_t c;
    for (uint64_t n = 1; n < 50; n++) {
        audit_draw(random, n, &c);
        assert_true(audit_is_valid(&c, n));
        assert_int_equal(c.n, AUDIT_POINTS);
        assert_memory_equal(c.nonce, random, sizeof c.nonce);
    }
    assert_false(audit_is_valid(&c, 1)); /* points behind the end */
    c.n = 0;
    assert_false(audit_is_valid(&c, 1000));
    c.n = AUDIT_POINTS_MAX + 1;
    assert_false(audit_is_valid(&c, 1000));
}

/* Every byte of every range counts, the nonce, and the places. */
static void test_every_byte(void **state)
{
    (void)state;
    fill();
    audit_challenge_t c = challenge();
    uint8_t proof[AUDIT_PROOF_BYTES], other[AUDIT_PROOF_BYTES];
    prove(&c, proof);
    for (size_t i = 0; i < c.n; i++) {
        size_t block = c.points[i].block;
        uint64_t offset, len;
        audit_range(&c.points[i], lengths[block], &offset, &len);
        for (uint64_t at = offset; at < offset + len;
             at += at + 97 < offset + len || at + 1 == offset + len ? 97 : 1) {
            data[block][at] ^= 1;
            prove(&c, other);
            data[block][at] ^= 1;
            assert_memory_not_equal(proof, other, sizeof proof);
        }
    }
    c.nonce[31] ^= 1;
    prove(&c, other);
    assert_memory_not_equal(proof, other, sizeof proof);
    c.nonce[31] ^= 1;
    c.points[0].offset++;
    prove(&c, other);
    assert_memory_not_equal(proof, other, sizeof proof);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vector), cmocka_unit_test(test_ranges),
                                       cmocka_unit_test(test_draw), cmocka_unit_test(test_every_byte)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

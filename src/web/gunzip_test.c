#include "tests/support/test.h"
#include "web/gunzip.h"
#include <stdlib.h>
#include <zlib.h>

enum { SIZE = 300000, ROOM = 400000 };

static size_t compress_member(const uint8_t *data, size_t len, uint8_t *out)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)data;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = ROOM;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

/* Feeds in pieces; gives what came out. */
static err_t decode(bytes_t in, size_t piece, size_t cap, uint8_t *out, size_t *ret_len, bool *ret_whole)
{
    AUTO_PTR(gunzip_t) g = NULL;
    size_t len = 0;
    assert_ok(gunzip_new(&g));
    while (in.len) {
        bytes_t part = bytes_slice(in, 0, piece);
        in = bytes_slice(in, part.len, in.len);
        for (size_t n = 1; n;) {
            TRY(gunzip_feed(g, &part, out + len, cap, &n));
            len += n;
            assert_true(len <= SIZE);
        }
        assert_int_equal(part.len, 0);
    }
    *ret_len = len;
    *ret_whole = gunzip_is_whole(g);
    return OK;
}

static void any_split_gives_the_same(void **state)
{
    uint8_t *data = xmalloc(SIZE), *packed = xmalloc(2 * ROOM), *out = xmalloc(SIZE + ROOM);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (uint8_t)(i * i >> 7);
    size_t first = compress_member(data, 1000, packed);
    size_t all =
        first + compress_member(data + 1000, SIZE - 1000, packed + first); /* two members are one content */
    static const size_t pieces[] = {1, 7, 4096, 1 << 20}, caps[] = {1, 100, 1 << 16};
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        for (size_t k = 0; k < ARRAY_LEN(caps); k++) {
            size_t len;
            bool whole;
            assert_ok(decode(bytes_of(packed, all), pieces[i], caps[k], out, &len, &whole));
            assert_true(whole && len == SIZE && !memcmp(out, data, SIZE));
        }
    free(data);
    free(packed);
    free(out);
}

static void cut_and_damaged(void **state)
{
    uint8_t data[1000] = {1, 2, 3}, packed[ROOM / 100], out[SIZE / 100];
    size_t n = compress_member(data, sizeof data, packed), len;
    bool whole;
    for (size_t cut = 1; cut < n; cut++) {
        assert_ok(decode(bytes_of(packed, cut), 1 << 20, sizeof out, out, &len, &whole));
        assert_false(whole);
    }
    packed[n - 6] ^= 1; /* the checksum */
    assert_err(decode(bytes_of(packed, n), 1 << 20, sizeof out, out, &len, &whole), ERR_PROTOCOL);
    packed[n - 6] ^= 1;
    memcpy(packed + n, "more", 4);
    assert_err(decode(bytes_of(packed, n + 4), 1 << 20, sizeof out, out, &len, &whole), ERR_PROTOCOL);
    assert_err(decode(BYTES_LIT("plain text"), 1 << 20, sizeof out, out, &len, &whole), ERR_PROTOCOL);
    assert_ok(decode(BYTES_NONE, 1 << 20, sizeof out, out, &len, &whole));
    assert_true(whole && !len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_split_gives_the_same),
                                       cmocka_unit_test(cut_and_damaged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

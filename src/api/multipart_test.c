#include "api/multipart.h"
#include "base/prng.h"
#include "tests/support/test.h"

typedef struct heard {
    buf_t text; /* "[name|filename|type]content;" for each part, "." at the end, "!" for an error */
} heard_t;

static void drain(multipart_t *m, heard_t *h, bool *in_error)
{
    bytes_t data;
    for (;;) {
        switch (multipart_next(m, &data)) {
        case MULTIPART_MORE:
            return;
        case MULTIPART_PART:
            assert_ok(
                buf_printf(&h->text, "[%s|%s|%s]", m->part.name, m->part.filename, m->part.content_type));
            break;
        case MULTIPART_DATA:
            assert_ok(buf_append(&h->text, data));
            break;
        case MULTIPART_PART_END:
            assert_ok(buf_printf(&h->text, ";"));
            break;
        case MULTIPART_END:
            assert_ok(buf_printf(&h->text, "."));
            break;
        case MULTIPART_ERROR:
            assert_ok(buf_printf(&h->text, "!"));
            *in_error = true;
            return;
        }
    }
}

/* step 0: pieces of random lengths. */
static void parse(bytes_t in, size_t step, uint64_t seed, heard_t *h)
{
    AUTO(multipart_t) m;
    prng_t rng;
    bool in_error = false;
    prng_seed(&rng, seed);
    buf_init(&h->text, 1 << 20);
    assert_ok(multipart_init(&m, "multipart/form-data; boundary=\"X-y\""));
    while (in.len && !in_error) {
        uint8_t *area;
        size_t cap, n = step ? step : 1 + prng_below(&rng, 9);
        multipart_room(&m, &area, &cap);
        n = n < in.len ? n : in.len;
        n = n < cap ? n : cap;
        memcpy(area, in.data, n);
        multipart_filled(&m, n);
        in = bytes_slice(in, n, in.len);
        drain(&m, h, &in_error);
    }
}

static const char body[] =
    "preamble\r\n--X-y\r\n"
    "Content-Disposition: form-data; name=\"file?mode=0644\"; filename=\"a%2Fb.txt\"\r\n"
    "Content-Type: Application/Octet-Stream; charset=x\r\n\r\n"
    "hello\r\n--X-\r\n--X-z\r\r\n\r\n--X-y  \r\n"
    "content-disposition: form-data; filename=\"q\\\"uo\\\\te\"; name=plain \r\n\r\n"
    "\r\n--X-y\r\n\r\nno headers\r\n--X-y--\r\nepilogue";
static const char want[] = "[file?mode=0644|a%2Fb.txt|application/octet-stream]hello\r\n--X-\r\n--X-z\r\r\n;"
                           "[plain|q\"uo\\te|];[||]no headers;.";

static void test_any_split(void **state)
{
    for (size_t step = 0; step < 200; step++) {
        heard_t h;
        parse(BYTES_LIT(body), step % 60, step, &h);
        assert_bytes(buf_bytes(&h.text), BYTES_LIT(want));
        buf_deinit(&h.text);
    }
}

static void test_extended_names(void **state)
{
    static const struct {
        const char *parameters, *name;
    } cases[] = {
        {"filename*=utf-8''%C3%A9%20x", "\xc3\xa9 x"},
        {"filename=\"plain\"; filename*=UTF-8'en'%e2%82%ac", "\xe2\x82\xac"},
        {"filename*=us-ascii''a%2520b; filename=plain", "a%20b"}, /* what is left is decoded as any name */
        {"filename*=utf-8''; filename=plain", ""},
        {"filename*=iso-8859-1''%E9; filename=plain", "plain"},
        {"filename*=utf-8''%zz; filename=plain", "plain"},
        {"filename*=utf-8''a%; filename=plain", "plain"},
        {"filename*=utf-8''a%00b; filename=plain", "plain"},
        {"filename*=utf-8; filename=plain", "plain"},
        {"filename*=utf-8'%41", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        heard_t h;
        AUTO(buf_t) in = {0};
        AUTO(buf_t) wanted = {0};
        buf_init(&in, 1000);
        buf_init(&wanted, 1000);
        assert_ok(buf_printf(&in, "--X-y\r\nContent-Disposition: form-data; %s\r\n\r\nx\r\n--X-y--\r\n",
                             cases[i].parameters));
        assert_ok(buf_printf(&wanted, "[|%s|]x;.", cases[i].name));
        parse(buf_bytes(&in), 7, 0, &h);
        assert_bytes(buf_bytes(&h.text), buf_bytes(&wanted));
        buf_deinit(&h.text);
    }
}

static void test_first_boundary_at_once_and_no_parts(void **state)
{
    heard_t h;
    parse(BYTES_LIT("--X-y--\r\n"), 1, 0, &h);
    assert_bytes(buf_bytes(&h.text), BYTES_LIT("."));
    buf_deinit(&h.text);
    parse(BYTES_LIT("--X-y\r\n\r\nx"), 1, 0, &h); /* cut off: no end */
    assert_bytes(buf_bytes(&h.text), BYTES_LIT("[||]x"));
    buf_deinit(&h.text);
}

static void test_refused(void **state)
{
    heard_t h;
    multipart_t m;
    parse(BYTES_LIT("--X-ygarbage\r\n\r\nx"), 3, 0, &h);
    assert_bytes(buf_bytes(&h.text), BYTES_LIT("!"));
    buf_deinit(&h.text);
    AUTO(buf_t) long_header = {0};
    buf_init(&long_header, 1 << 20);
    assert_ok(buf_printf(&long_header, "--X-y\r\nX: "));
    for (int i = 0; i < 40000; i++)
        assert_ok(buf_append_u8(&long_header, 'x'));
    parse(buf_bytes(&long_header), 1000, 0, &h);
    assert_bytes(buf_bytes(&h.text), BYTES_LIT("!"));
    buf_deinit(&h.text);
    static const char *const bad[] = {"text/plain", "multipart/form-data",
                                      "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\"",
                                      "multipart/form-data; xboundary=a; y"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(multipart_init(&m, bad[i]), ERR_USAGE);
    assert_err(multipart_init(&m, NULL), ERR_USAGE);
    char text[256] = "multipart/form-data; boundary=";
    memset(text + strlen(text), 'b', 71);
    assert_err(multipart_init(&m, text), ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_split),
        cmocka_unit_test(test_extended_names),
        cmocka_unit_test(test_first_boundary_at_once_and_no_parts),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

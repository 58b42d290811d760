#include "crypto/hash.h"
#include "tests/support/inputs.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

/* The rows of 300 MiB and more take most of a minute under sanitizers, and are checked without them. */
#ifdef __SANITIZE_ADDRESS__
static const uint64_t bytes_max = 64 << 20;
#else
static const uint64_t bytes_max = UINT64_MAX;
#endif

static void test_every_input(void **state)
{
    tsv_t *v = tsv_open("unixfs-inputs.tsv");
    uint8_t *chunk = xmalloc(1 << 20), digest[32];
    AUTO(buf_t) want = {0}, head = {0};
    buf_init(&want, 64);
    buf_init(&head, 64);
    size_t rows = 0;
    for (; tsv_next(v); rows++) {
        inputs_t *in = inputs_open(tsv_get(v, "input"));
        if (inputs_size(in) > bytes_max) {
            inputs_close(in);
            continue;
        }
        hash_ctx_t *h = NULL;
        assert_ok(hash_new(HASH_SHA256, &h));
        assert_int_equal(inputs_size(in), strtoull(tsv_get(v, "bytes"), NULL, 10));
        uint64_t total = 0;
        buf_clear(&head);
        for (size_t n; (n = inputs_read(in, chunk, rows % 2 ? 1 << 20 : 99991)); total += n) {
            if (!total)
                assert_ok(buf_append(&head, bytes_of(chunk, n < 16 ? n : 16)));
            hash_update(h, bytes_of(chunk, n));
        }
        assert_ok(hash_finish(h, digest, sizeof digest));
        hash_free(h);
        assert_int_equal(total, inputs_size(in));
        inputs_close(in);
        tsv_hex(v, "sha256", &want);
        assert_bytes(bytes_of(digest, sizeof digest), buf_bytes(&want));
        tsv_hex(v, "first_16_bytes_hex", &want);
        assert_bytes(buf_bytes(&head), buf_bytes(&want));
    }
    assert_true(rows >= 83);
    free(chunk);
    tsv_close(v);
}

static size_t walk(const char *spec, char *ret_last)
{
    inputs_dir_t *d = inputs_dir_open(spec);
    inputs_entry_t e;
    size_t n = 0;
    for (; inputs_dir_next(d, &e); n++)
        snprintf(ret_last, 256, "%.*s", (int)e.path.len, (const char *)e.path.data);
    inputs_dir_close(d);
    return n;
}

static void test_directories(void **state)
{
    char last[256] = "";
    assert_int_equal(walk("dir:empty", last), 0);
    assert_int_equal(walk("dir:nested", last), 7);
    assert_string_equal(last, "zero-length");
    assert_int_equal(walk("dir:hamt-5957+36", last), 5957);
    assert_string_equal(last, "file-05956xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    assert_int_equal(walk("ipip499-v1-basic", last), 4766);
    assert_int_equal(strlen(last), 21);
    inputs_dir_t *d = inputs_dir_open("dir:modes");
    inputs_entry_t e;
    inputs_dir_root(d, &e);
    assert_int_equal(e.mode, 0755);
    assert_int_equal(e.mtime_ns, 123456789);
    while (inputs_dir_next(d, &e) && e.kind != INPUTS_SYMLINK)
        ;
    assert_string_equal(e.target, "m0644");
    inputs_dir_close(d);
}

static void test_names(void **state)
{
    char name[64];
    AUTO(buf_t) text;
    buf_init(&text, 64);
    assert_string_equal(inputs_name("named:sp ace.txt=hex:78", name, sizeof name), "sp ace.txt");
    assert_null(inputs_name("stdin=hex:78", name, sizeof name));
    inputs_append("named:a=hex:78", &text);
    inputs_append("stdin=mod251:2", &text);
    assert_bytes(buf_bytes(&text), BYTES_LIT("x\0\1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_input), cmocka_unit_test(test_directories),
                                       cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

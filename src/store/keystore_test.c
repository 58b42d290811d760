#include "store/keystore.h"
#include "task/driver.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

#define FOLDER "/tmp/keystore"

static private_key_t *key_of(uint8_t byte)
{
    uint8_t seed[32] = {byte};
    private_key_t *key;
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
    return key;
}

static err_t join_name(task_t *t, void *arg, const char *name)
{
    TRY(buf_append(arg, bytes_str(name)));
    return buf_append_u8(arg, ' ');
}

static void expect_names(task_t *t, keystore_t *k, const char *want)
{
    AUTO(buf_t) out;
    buf_init(&out, 2000);
    assert_ok(keystore_each(t, k, join_name, &out));
    assert_bytes(buf_bytes(&out), bytes_str(want));
}

static err_t keys(task_t *t, void *arg)
{
    AUTO_PTR(private_key_t) a = key_of(1);
    AUTO_PTR(private_key_t) b = key_of(2);
    AUTO_PTR(private_key_t) got = NULL;
    private_key_t *none = NULL;
    keystore_t *k;
    file_info_t info;
    assert_ok(keystore_open(t, FOLDER, &k));
    expect_names(t, k, "");
    assert_ok(keystore_put(t, k, "mykey", a));
    assert_err(keystore_put(t, k, "mykey", b), ERR_EXISTS);
    assert_ok(keystore_put(t, k, "2", b));
    assert_ok(keystore_put(t, k, "Z", b));
    expect_names(t, k, "2 Z mykey ");
    /* Kubo's name for it: base32 of "mykey". */
    assert_ok(fs_stat(t, FOLDER "/key_nv4wwzlz", false, &info));
    assert_int_equal(info.mode & 0777, 0600);
    assert_ok(keystore_get(t, k, "mykey", &got));
    assert_true(public_key_equal(private_key_public(got), private_key_public(a)));
    assert_err(keystore_get(t, k, "none", &none), ERR_NOT_FOUND);
    assert_err(keystore_rename(t, k, "mykey", "2", false), ERR_EXISTS);
    assert_err(keystore_rename(t, k, "none", "x", false), ERR_NOT_FOUND);
    assert_ok(keystore_rename(t, k, "mykey", "2", true));
    assert_ok(keystore_rename(t, k, "2", "three", false));
    expect_names(t, k, "Z three ");
    assert_true(keystore_has(t, k, "three") && !keystore_has(t, k, "mykey"));
    assert_ok(keystore_remove(t, k, "Z"));
    assert_err(keystore_remove(t, k, "Z"), ERR_NOT_FOUND);
    /* Files that are none of ours. */
    assert_ok(fs_write_file(t, FOLDER "/notes", 0600, BYTES_LIT("x")));
    assert_ok(fs_write_file(t, FOLDER "/key_!!", 0600, BYTES_LIT("x")));
    assert_ok(fs_write_file(t, FOLDER "/key_onswyzq", 0600, BYTES_LIT("rubbish"))); /* "self"-like text */
    assert_ok(fs_write_file(t, FOLDER "/key_mfrgg", 0600, BYTES_LIT("rubbish")));   /* "abc" */
    assert_err(keystore_get(t, k, "abc", &none), ERR_CORRUPT);
    keystore_close(k);
    keystore_close(NULL);
    return OK;
}

static void test_keys(void **state)
{
    assert_ok(test_run(keys, NULL));
}

static void test_names(void **state)
{
    char longest[KEYSTORE_NAME_MAX_CHARS + 2];
    memset(longest, 'n', sizeof longest);
    longest[KEYSTORE_NAME_MAX_CHARS + 1] = 0;
    assert_err(keystore_check_name(longest), ERR_USAGE);
    longest[KEYSTORE_NAME_MAX_CHARS] = 0;
    assert_ok(keystore_check_name(longest));
    assert_err(keystore_check_name(""), ERR_USAGE);
    assert_err(keystore_check_name("self"), ERR_USAGE);
    assert_ok(keystore_check_name("../a/b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys), cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "task/driver.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

static void test_addresses(void **state)
{
    static const struct {
        const char *in, *out; /* out NULL: refused */
        bool is_loopback, is_private;
    } cases[] = {
        {"127.0.0.1:4001", "127.0.0.1:4001", true, true},
        {":80", "0.0.0.0:80", false, false},
        {"[::1]:65535", "[::1]:65535", true, true},
        {"[fe80::1%3]:0", "[fe80::1%3]:0", false, true},
        {"[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", true, true},
        {"[::ffff:10.1.2.3]:1", "[::ffff:10.1.2.3]:1", false, true},
        {"[2001:DB8::1]:1", "[2001:db8::1]:1", false, false},
        {"[fd00::1]:1", "[fd00::1]:1", false, true},
        {"10.1.2.3:1", "10.1.2.3:1", false, true},
        {"172.16.0.1:1", "172.16.0.1:1", false, true},
        {"172.31.255.1:1", "172.31.255.1:1", false, true},
        {"172.32.0.1:1", "172.32.0.1:1", false, false},
        {"192.168.1.1:1", "192.168.1.1:1", false, true},
        {"169.254.1.1:1", "169.254.1.1:1", false, true},
        {"8.8.8.8:53", "8.8.8.8:53", false, false},
        {"", NULL, false, false},
        {"127.0.0.1", NULL, false, false},
        {"127.0.0.1:", NULL, false, false},
        {"127.0.0.1:65536", NULL, false, false},
        {"127.0.0.1:+1", NULL, false, false},
        {"127.0.0.1:99999999999999999999999", NULL, false, false},
        {"127.0.0.256:1", NULL, false, false},
        {"localhost:1", NULL, false, false},
        {"::1:80", NULL, false, false},
        {"[::1]", NULL, false, false},
        {"[::1]80", NULL, false, false},
        {"[127.0.0.1]:1", NULL, false, false},
        {"[fe80::1%eth0]:1", NULL, false, false},
        {"[]:1", NULL, false, false},
        {"1111111111111111111111111111111111111111111111111111111111111111111111:1", NULL, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        net_addr_t a = {.family = 77};
        char text[NET_ADDR_TEXT_MAX];
        err_t e = net_addr_parse(cases[i].in, &a);
        if (!cases[i].out) {
            assert_err(e, ERR_INVALID);
            assert_int_equal(a.family, 77);
            continue;
        }
        assert_ok(e);
        assert_string_equal(net_addr_print(&a, text), cases[i].out);
        assert_int_equal(net_addr_is_loopback(&a), cases[i].is_loopback);
        assert_int_equal(net_addr_is_private(&a), cases[i].is_private);
        net_addr_t again;
        assert_ok(net_addr_parse(text, &again));
        assert_true(net_addr_equal(&a, &again));
        again.port++;
        assert_false(net_addr_equal(&a, &again));
    }
    net_addr_t a, b;
    assert_ok(net_addr_parse("1.2.3.4:5", &a));
    assert_ok(net_addr_parse("1.2.3.5:5", &b));
    assert_false(net_addr_equal(&a, &b));
}

static err_t folders(task_t *t, void *arg)
{
    char deep[5000];
    memset(deep, 'x', sizeof deep);
    deep[0] = '/';
    deep[sizeof deep - 1] = 0;
    assert_err(fs_mkdirs(t, deep, 0700), ERR_INVALID);
    assert_err(fs_mkdirs(t, "", 0700), ERR_INVALID);
    assert_err(fs_write_file(t, deep, 0600, BYTES_LIT("x")), ERR_INVALID);
    assert_ok(fs_mkdirs(t, "relative/a", 0700)); /* from the root */
    assert_ok(fs_write_file(t, "relative/a/f", 0600, BYTES_LIT("content")));
    assert_ok(fs_write_file(t, "name", 0600, BYTES_LIT("x")));
    AUTO(buf_t) b;
    buf_init(&b, 100);
    assert_ok(fs_read_file(t, "/relative/a/f", 7, &b));
    assert_bytes(buf_bytes(&b), BYTES_LIT("content"));
    assert_err(fs_read_file(t, "/relative/a/g", 7, &b), ERR_NOT_FOUND);
    assert_err(fs_write_file(t, "/missing/f", 0600, BYTES_LIT("x")), ERR_NOT_FOUND);
    /* Deep and wide, and cancelled in the middle: what is left is still a tree. */
    char path[200] = "/tree";
    for (int i = 0; i < 20; i++) {
        strcat(path, "/d");
        assert_ok(fs_mkdirs(t, path, 0700));
        strcat(path, "/f");
        assert_ok(fs_write_file(t, path, 0600, BYTES_LIT("x")));
        path[strlen(path) - 2] = 0;
    }
    sim_disk_fail_nth(sim_host_of(t), 10, ERR_IO, false);
    assert_err(fs_remove_tree(t, "/tree"), ERR_IO);
    assert_ok(fs_remove_tree(t, "/tree"));
    file_info_t info;
    assert_err(fs_stat(t, "/tree", false, &info), ERR_NOT_FOUND);
    listener_close(NULL);
    udp_close(NULL);
    file_close(NULL);
    return OK;
}

static void test_folders(void **state)
{
    assert_ok(test_run(folders, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

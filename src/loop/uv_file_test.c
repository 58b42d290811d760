#include "loop/loop_testing.h"
#include "loop/uv_direct.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define MIB (1024 * 1024)

/* ── a folder for each test ──────────────────────────────────────────────────────────────────── */

typedef struct scene {
    err_t (*play)(task_t *t, const char *folder);
} scene_t;

static err_t run_scene(task_t *t, void *arg)
{
    char folder[] = "/tmp/loop-test-XXXXXX";
    CHECK(mkdtemp(folder));
    err_t e = ((scene_t *)arg)->play(t, folder);
    err_t removed = fs_remove_tree(t, folder);
    if (e)
        print_error("%s\n", error_text(e));
    return e ? e : removed;
}

#define SCENE(name)                                                                                          \
    static void name(void **state)                                                                           \
    {                                                                                                        \
        scene_t scene = {play_##name};                                                                       \
        run_on_driver(run_scene, &scene);                                                                    \
    }

static const char *in(const char *folder, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */

static err_t play_read_and_write(task_t *t, const char *folder)
{
    AUTO_PTR(file_t) f = NULL;
    TRY(file_open(t, in(folder, "a"), FILE_READ | FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, 0640, &f));
    /* more pieces than one system call takes, with empty ones between */
    static uint8_t data[200][1000];
    bytes_t pieces[400];
    for (size_t i = 0; i < 200; i++) {
        memset(data[i], (int)i, sizeof data[i]);
        pieces[2 * i] = BYTES_NONE;
        pieces[2 * i + 1] = bytes_of(data[i], sizeof data[i]);
    }
    TRY(file_write_at(t, f, pieces, 400, 5));
    TRY(file_write_at(t, f, pieces, 0, 5));
    TRY(file_sync(t, f));
    uint64_t size;
    TRY(file_size(t, f, &size));
    CHECK(size == 200005);
    uint8_t got[1000];
    size_t n;
    for (size_t i = 0; i < 200; i++) {
        TRY(file_read_exact(t, f, got, sizeof got, 5 + 1000 * i));
        CHECK(!memcmp(got, data[i], sizeof got));
    }
    TRY(file_read_at(t, f, got, sizeof got, size - 10, &n));
    CHECK(n == 10);
    TRY(file_read_at(t, f, got, sizeof got, size + 10, &n));
    CHECK(n == 0);
    CHECK_ERR(ERR_EOF, file_read_exact(t, f, got, sizeof got, size - 10));
    err_t e = file_try_read_at(f, got, 100, 5, &n); /* ERR_AGAIN where the file system cannot tell */
    CHECK(e == ERR_AGAIN || (!e && n == 100));
    TRY(file_truncate(t, f, 100));
    TRY(file_size(t, f, &size));
    CHECK(size == 100);
    file_t *again;
    CHECK_ERR(ERR_EXISTS,
              file_open(t, in(folder, "a"), FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, 0600, &again));
    CHECK_ERR(ERR_NOT_FOUND, file_open(t, in(folder, "b"), FILE_READ, 0, &again));
    CHECK(strstr(error_text(ERR_NOT_FOUND), "/b"));
    return OK;
}
SCENE(read_and_write)

static err_t play_large_reads(task_t *t, const char *folder)
{
    AUTO_PTR(file_t) f = NULL;
    TRY(file_open(t, in(folder, "large"), FILE_READ | FILE_WRITE | FILE_CREATE | FILE_DIRECT_HINT, 0600, &f));
    uint8_t *data = xmalloc(MIB);
    err_t e = OK;
    for (size_t i = 0; i < 20 && !e; i++) {
        memset(data, (int)i, MIB);
        bytes_t piece = bytes_of(data, MIB);
        e = file_write_at(t, f, &piece, 1, i * MIB);
    }
    for (size_t i = 0; i < 20 && !e; i++) {
        e = file_read_exact(t, f, data, MIB, i * MIB);
        if (!e && (data[0] != i || data[MIB - 1] != i))
            e = ERR_CORRUPT;
    }
    free(data);
    return e;
}
SCENE(large_reads)

/* Large and small pieces, an empty one, and more of them than one system call takes. */
static err_t read_in_pieces(task_t *t, file_t *f, const uint8_t *data, uint8_t *got, size_t from)
{
    span_t pieces[102];
    size_t n = 0, len = 0;
    static const size_t large[] = {290 * 1024, 1, 0, 300 * 1024 + 11, 4096};
    for (size_t i = 0; i < ARRAY_LEN(large); len += large[i++])
        pieces[n++] = (span_t){got + len, large[i]};
    TRY(file_read_pieces(t, f, pieces, n, from));
    CHECK(!memcmp(got, data + from, len));
    for (n = len = 0; n < ARRAY_LEN(pieces); len += 1001)
        pieces[n++] = (span_t){got + len, 1001};
    TRY(file_read_pieces(t, f, pieces, n, from));
    CHECK(!memcmp(got, data + from, len));
    return OK;
}

/* Odd offsets and lengths around pages, small writes between large ones, reads of every kind: the bytes are
 * those that were written, whichever way they went. */
static err_t play_odd_places(task_t *t, const char *folder)
{
    AUTO_PTR(file_t) f = NULL;
    TRY(file_open(t, in(folder, "odd"), FILE_READ | FILE_WRITE | FILE_CREATE | FILE_DIRECT_HINT, 0600, &f));
    static const size_t lengths[] = {1,       4095,           300 * 1024 + 7, 4096, 17,         MIB + 4097,
                                     2 * MIB, 128 * 1024 - 1, 128 * 1024,     5,    600 * 1024, 4091};
    static uint8_t data[8 * MIB], got[8 * MIB];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    size_t at = 0, n;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        size_t third = lengths[i] / 3;
        bytes_t pieces[] = {bytes_of(data + at, third), BYTES_NONE,
                            bytes_of(data + at + third, lengths[i] - third)};
        TRY(file_write_at(t, f, pieces, ARRAY_LEN(pieces), at));
        at += lengths[i];
    }
    TRY(file_sync(t, f));
    uint64_t size;
    TRY(file_size(t, f, &size));
    CHECK(size == at);
    for (int round = 0; round < 3; round++) /* past the cache, into the cache, from the cache */
        for (size_t from = 0; from < at; from += 700 * 1024 + 13) {
            size_t len = at - from < 500 * 1024 ? at - from : 500 * 1024;
            TRY(file_read_exact(t, f, got, len, from));
            CHECK(!memcmp(got, data + from, len));
        }
    for (size_t from = 0; from + 4 * 300 * 1024 < at; from += 431 * 1024 + 5)
        TRY(read_in_pieces(t, f, data, got, from));
    span_t over_end[] = {{got, 1000}, {got + 1000, 1000}};
    CHECK_ERR(ERR_EOF, file_read_pieces(t, f, over_end, 2, at - 1500));
    TRY(file_read_at(t, f, got, 300 * 1024, at - 1000, &n));
    CHECK(n == 1000 && !memcmp(got, data + at - 1000, n));
    TRY(file_read_at(t, f, got, 300 * 1024, at + 5000, &n));
    CHECK(n == 0);
    bytes_t over = bytes_of(data + 99, MIB); /* over what is there */
    TRY(file_write_at(t, f, &over, 1, 12345));
    TRY(file_read_exact(t, f, got, MIB, 12345));
    CHECK(!memcmp(got, data + 99, MIB));
    return OK;
}
SCENE(odd_places)

static void misses_are_noted(void **state)
{
    misses_t *m = xcalloc(1, sizeof *m);
    assert_false(misses_note(m, 1, 4096));
    assert_true(misses_note(m, 1, 4096));
    assert_true(misses_has(m, 1, 4096));
    assert_false(misses_has(m, 2, 4096));
    assert_false(misses_note(m, 2, 4096));
    assert_false(misses_note(m, 1, 8192));
    assert_true(misses_note(m, 1, 8192));
    free(m);
}

static err_t play_punch(task_t *t, const char *folder)
{
    AUTO_PTR(file_t) f = NULL;
    TRY(file_open(t, in(folder, "p"), FILE_READ | FILE_WRITE | FILE_CREATE, 0600, &f));
    static uint8_t data[256 * 1024];
    memset(data, 1, sizeof data);
    bytes_t piece = bytes_of(data, sizeof data);
    TRY(file_write_at(t, f, &piece, 1, 0));
    TRY(file_sync(t, f));
    TRY(file_punch(t, f, 0, 0));
    err_t e = file_punch(t, f, 65536, 65536);
    if (e == ERR_UNSUPPORTED)
        return OK;
    TRY(e);
    TRY(file_read_exact(t, f, data, sizeof data, 0));
    CHECK(data[65535] == 1 && data[65536] == 0 && data[131071] == 0 && data[131072] == 1);
    file_info_t info;
    TRY(fs_stat(t, in(folder, "p"), true, &info));
    CHECK(info.size_bytes == sizeof data && info.disk_bytes < sizeof data);
    return OK;
}
SCENE(punch)

static err_t play_lock(task_t *t, const char *folder)
{
    file_t *a, *b;
    TRY(file_open(t, in(folder, "lock"), FILE_READ | FILE_WRITE | FILE_CREATE, 0600, &a));
    TRY(file_open(t, in(folder, "lock"), FILE_READ | FILE_WRITE, 0600, &b));
    TRY(file_try_lock(a));
    CHECK_ERR(ERR_IN_USE, file_try_lock(b));
    CHECK(strstr(error_text(ERR_IN_USE), "/lock"));
    file_close(a);
    TRY(file_try_lock(b));
    file_close(b);
    return OK;
}
SCENE(lock)

/* A disk that is full, and a file over the limit of the process: one error. */
static err_t play_no_space(task_t *t, const char *folder)
{
    AUTO_PTR(file_t) full = NULL;
    AUTO_PTR(file_t) f = NULL;
    bytes_t piece = BYTES_LIT("does not fit");
    TRY(file_open(t, "/dev/full", FILE_WRITE, 0, &full));
    CHECK_ERR(ERR_NO_SPACE, file_write_at(t, full, &piece, 1, 0));
    CHECK(strstr(error_text(ERR_NO_SPACE), "/dev/full"));
    TRY(file_open(t, in(folder, "limited"), FILE_WRITE | FILE_CREATE, 0600, &f));
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, now;
    getrlimit(RLIMIT_FSIZE, &before);
    now = (struct rlimit){8, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &now);
    err_t e = file_write_at(t, f, &piece, 1, 0);
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK(e == ERR_NO_SPACE);
    return OK;
}
SCENE(no_space)

/* ── folders ─────────────────────────────────────────────────────────────────────────────────── */

static err_t play_names(task_t *t, const char *folder)
{
    TRY(fs_mkdirs(t, in(folder, "x/y/z"), 0700));
    CHECK_ERR(ERR_EXISTS, fs_mkdir(t, in(folder, "x"), 0700));
    CHECK_ERR(ERR_NOT_FOUND, fs_mkdir(t, in(folder, "q/r"), 0700));
    static const char *const names[] = {"b", "B", "a", "\xc3\xa9"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        TRY(fs_write_file(t, in(folder, names[i]), 0604, bytes_str(names[i])));
    AUTO(dir_list_t) list = {0};
    TRY(fs_list(t, folder, &list));
    static const char *const sorted[] = {"B", "a", "b", "x", "\xc3\xa9"};
    CHECK(list.count == ARRAY_LEN(sorted));
    for (size_t i = 0; i < list.count; i++)
        CHECK(!strcmp(list.names[i], sorted[i]));
    for (size_t max = 1; max <= ARRAY_LEN(sorted) + 1; max++) { /* the same, page by page */
        char after[32] = "";
        for (size_t i = 0; i <= ARRAY_LEN(sorted);) {
            AUTO(dir_list_t) page = {0};
            TRY(fs_list_page(t, folder, (fs_page_t){i ? after : NULL, max}, &page));
            size_t left = ARRAY_LEN(sorted) - i;
            CHECK(page.count == (left < max ? left : max));
            for (size_t k = 0; k < page.count; k++)
                CHECK(!strcmp(page.names[k], sorted[i++]));
            if (!page.count)
                break;
            snprintf(after, sizeof after, "%s", page.names[page.count - 1]);
        }
    }
    dir_list_t none;
    CHECK_ERR(ERR_NOT_FOUND, fs_list(t, in(folder, "nowhere"), &none));
    file_info_t info;
    TRY(fs_stat(t, in(folder, "a"), true, &info));
    CHECK(info.kind == FILE_KIND_REGULAR && info.size_bytes == 1 && info.mode == 0604 &&
          info.mtime_s > 1000000000);
    CHECK_ERR(ERR_NOT_FOUND, fs_stat(t, in(folder, "c"), true, &info));
    char to[256];
    snprintf(to, sizeof to, "%s/x/y/moved", folder);
    TRY(fs_rename(t, in(folder, "a"), to));
    CHECK_ERR(ERR_NOT_FOUND, fs_unlink(t, in(folder, "a")));
    TRY(fs_sync_dir(t, in(folder, "x/y")));
    TRY(fs_rmdir(t, in(folder, "x/y/z")));
    CHECK_ERR(ERR_EXISTS, fs_rmdir(t, in(folder, "x/y")));
    TRY(fs_unlink(t, to));
    uint64_t free_bytes = 0;
    TRY(fs_free_bytes(t, folder, &free_bytes));
    CHECK(free_bytes > 0);
    CHECK_ERR(ERR_NOT_FOUND, fs_free_bytes(t, in(folder, "nowhere"), &free_bytes));
    return OK;
}
SCENE(names)

static err_t play_links(task_t *t, const char *folder)
{
    TRY(fs_symlink(t, "the target", in(folder, "link")));
    CHECK_ERR(ERR_EXISTS, fs_symlink(t, "other", in(folder, "link")));
    AUTO(buf_t) target;
    buf_init(&target, 4096);
    TRY(fs_readlink(t, in(folder, "link"), &target));
    CHECK(bytes_equal(buf_bytes(&target), BYTES_LIT("the target")));
    file_info_t info;
    TRY(fs_stat(t, in(folder, "link"), false, &info));
    CHECK(info.kind == FILE_KIND_SYMLINK);
    CHECK_ERR(ERR_NOT_FOUND, fs_stat(t, in(folder, "link"), true, &info));
    TRY(fs_write_file(t, in(folder, "the target"), 0600, BYTES_LIT("x")));
    file_t *f;
    CHECK_ERR(ERR_INVALID, file_open(t, in(folder, "link"), FILE_READ | FILE_NO_FOLLOW, 0, &f));
    TRY(file_open(t, in(folder, "link"), FILE_READ, 0, &f));
    file_close(f);
    return OK;
}
SCENE(links)

/* As long as a name may be: that of the file which is written first has room for no more. */
static err_t play_longest_name(task_t *t, const char *folder)
{
    char name[257];
    AUTO(buf_t) content;
    buf_init(&content, 16);
    memset(name, 'n', sizeof name);
    name[256] = 0;
    CHECK_ERR(ERR_INVALID, fs_write_file(t, in(folder, name), 0600, BYTES_LIT("x")));
    name[255] = 0;
    TRY(fs_write_file(t, in(folder, name), 0600, BYTES_LIT("x")));
    TRY(fs_read_file(t, in(folder, name), 16, &content));
    CHECK(bytes_equal(buf_bytes(&content), BYTES_LIT("x")));
    AUTO(dir_list_t) list = {0};
    TRY(fs_list(t, folder, &list));
    CHECK(list.count == 1); /* nothing else was left */
    return OK;
}
SCENE(longest_name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_and_write), cmocka_unit_test(large_reads), cmocka_unit_test(punch),
        cmocka_unit_test(lock),           cmocka_unit_test(no_space),    cmocka_unit_test(names),
        cmocka_unit_test(links),          cmocka_unit_test(odd_places),  cmocka_unit_test(misses_are_noted),
        cmocka_unit_test(longest_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

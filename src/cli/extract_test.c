#include "cli/extract.h"
#include "tests/support/test.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each test works in a folder of its own. */
static int enter_folder(void **state)
{
    static char path[] = "/tmp/extract-test-XXXXXX";
    memcpy(path, "/tmp/extract-test-XXXXXX", sizeof path);
    *state = path;
    return !mkdtemp(path) || chdir(path);
}

static int leave_folder(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
    return chdir("/") || system(command);
}

static tar_entry_t *entry(int kind, const char *name, const char *link, uint32_t mode, int64_t mtime_s)
{
    static tar_entry_t e;
    memset(&e, 0, sizeof e);
    e.kind = kind;
    e.mode = mode;
    e.mtime_s = mtime_s;
    snprintf(e.name, sizeof e.name, "%s", name);
    snprintf(e.link, sizeof e.link, "%s", link);
    return &e;
}

static err_t put(extract_t *x, int kind, const char *name, const char *content)
{
    TRY(extract_begin(x, entry(kind, name, kind == TAR_SYMLINK ? content : "", 0, 0)));
    TRY(kind == TAR_FILE ? extract_data(x, bytes_str(content)) : OK);
    return extract_end(x);
}

static bool is_file(const char *path, const char *content)
{
    char text[64] = "";
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    return f && n == strlen(content) && !strcmp(text, content);
}

static void test_tree(void **state)
{
    extract_t x;
    struct stat st;
    extract_init(&x, "made/on the way/out");
    assert_ok(extract_begin(&x, entry(TAR_DIR, "root", "", 0750, 1000)));
    assert_ok(extract_end(&x));
    assert_ok(extract_begin(&x, entry(TAR_DIR, "root/locked", "", 0500, 2000)));
    assert_ok(put(&x, TAR_FILE, "root/locked/f", "in a folder that nobody may write"));
    assert_ok(put(&x, TAR_SYMLINK, "root/link", "/etc/passwd"));
    assert_ok(put(&x, TAR_FILE, "root/locked/g", "back in it")); /* not in the order of a walk */
    assert_ok(put(&x, TAR_DIR, "root/a", ""));
    assert_ok(put(&x, TAR_DIR, "root/a/b", ""));
    assert_ok(put(&x, TAR_FILE, "root/a/b/c", "deep"));
    assert_ok(extract_begin(&x, entry(TAR_FILE, "root/z", "", 04755, 3000)));
    assert_ok(extract_end(&x));
    assert_ok(extract_finish(&x));
    extract_deinit(&x);
    assert_true(is_file("made/on the way/out/locked/g", "back in it"));
    assert_true(is_file("made/on the way/out/a/b/c", "deep"));
    assert_int_equal(stat("made/on the way/out", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    assert_int_equal(st.st_mtime, 1000);
    assert_int_equal(lstat("made/on the way/out/z", &st), 0);
    assert_int_equal(st.st_mode & 07777, 04755);
    assert_int_equal(st.st_mtime, 3000);
    assert_int_equal(lstat("made/on the way/out/link", &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(chmod("made/on the way/out/locked", 0700), 0);
}

static void test_names_that_lead_out(void **state)
{
    static const char *const first[] = {"", ".", "..", "/etc", "a/b"};
    static const char *const later[] = {"root/..",  "root/../x", "root/a/../../x", "root//x",
                                        "root/./x", "other/x",   "rootx",          "root",
                                        "/root/x",  "root/a/",   "root/a/../b",    ".."};
    for (size_t i = 0; i < ARRAY_LEN(first); i++) {
        extract_t x;
        extract_init(&x, "out");
        assert_err(put(&x, TAR_DIR, first[i], ""), ERR_INVALID);
        extract_deinit(&x);
    }
    for (size_t i = 0; i < ARRAY_LEN(later); i++) {
        extract_t x;
        extract_init(&x, "out");
        assert_ok(put(&x, TAR_DIR, "root", ""));
        assert_err(put(&x, TAR_FILE, later[i], "x"), ERR_INVALID);
        extract_deinit(&x);
    }
    assert_int_equal(access("x", F_OK), -1);
}

static void test_links_on_the_way(void **state)
{
    extract_t x;
    assert_int_equal(mkdir("elsewhere", 0700), 0);
    assert_int_equal(mkdir("out", 0700), 0);
    assert_int_equal(symlink("../elsewhere", "out/theirs"), 0);
    assert_int_equal(symlink("elsewhere", "link"), 0);
    extract_init(&x, "out");
    assert_ok(put(&x, TAR_DIR, "root", ""));
    assert_ok(put(&x, TAR_SYMLINK, "root/ours", "../elsewhere"));
    assert_err(put(&x, TAR_FILE, "root/ours/f", "x"), ERR_DENIED);
    assert_err(put(&x, TAR_DIR, "root/ours", ""), ERR_DENIED);
    assert_err(put(&x, TAR_FILE, "root/theirs/f", "x"), ERR_DENIED);
    assert_err(put(&x, TAR_FILE, "root/nothing/f", "x"), ERR_NOT_FOUND);
    assert_ok(put(&x, TAR_FILE, "root/theirs", "takes the place of the link"));
    extract_deinit(&x);
    assert_int_equal(access("elsewhere/f", F_OK), -1);
    assert_true(is_file("out/theirs", "takes the place of the link"));
    extract_init(&x, "link"); /* the target itself is not followed either */
    assert_err(put(&x, TAR_DIR, "root", ""), ERR_DENIED);
    extract_deinit(&x);
}

static void test_roots(void **state)
{
    extract_t x;
    struct stat st;
    assert_int_equal(mkdir("there", 0700), 0);
    extract_init(&x, "there");
    assert_ok(put(&x, TAR_FILE, "name", "into the folder"));
    assert_err(put(&x, TAR_FILE, "name/x", "x"), ERR_INVALID);
    extract_deinit(&x);
    assert_true(is_file("there/name", "into the folder"));
    extract_init(&x, "there/name");
    assert_ok(put(&x, TAR_SYMLINK, "other", "in place of the file"));
    extract_deinit(&x);
    assert_int_equal(lstat("there/name", &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    extract_init(&x, "whole");
    assert_ok(put(&x, TAR_FILE, "name", "whole"));
    extract_deinit(&x);
    extract_init(&x, "whole");
    assert_ok(extract_begin(&x, entry(TAR_FILE, "name", "", 0, 0)));
    assert_ok(extract_data(&x, BYTES_LIT("half")));
    extract_deinit(&x); /* nothing of it is left, and the old one stays */
    assert_true(is_file("whole", "whole"));
    assert_int_equal(mkdir("there/empty", 0700), 0);
    assert_int_equal(mkdir("there/full", 0700), 0);
    assert_int_equal(mkdir("there/full/x", 0700), 0);
    extract_init(&x, "there");
    assert_ok(put(&x, TAR_DIR, "root", ""));
    assert_ok(put(&x, TAR_FILE, "root/empty", "in place of the folder"));
    assert_err(put(&x, TAR_SYMLINK, "root/full", "x"), ERR_EXISTS);
    extract_deinit(&x);
    assert_true(is_file("there/empty", "in place of the folder"));
}

static void test_pipe(void **state)
{
    extract_t x;
    struct stat st;
    char text[16] = "";
    assert_int_equal(mkfifo("pipe", 0600), 0);
    int reader = open("pipe", O_RDONLY | O_NONBLOCK);
    extract_init(&x, "pipe");
    assert_ok(put(&x, TAR_FILE, "root", "through it"));
    assert_ok(extract_finish(&x));
    extract_deinit(&x);
    assert_int_equal(read(reader, text, sizeof text), 10);
    assert_string_equal(text, "through it");
    close(reader);
    assert_int_equal(lstat("pipe", &st), 0);
    assert_true(S_ISFIFO(st.st_mode)); /* and not a file in its place */
}

static size_t count_names(const char *folder)
{
    size_t n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
    closedir(d);
    return n;
}

/* While a large file is on its way nothing is to be seen of it, and the old one stays. */
static void test_large(void **state)
{
    extract_t x;
    static char data[1 << 20];
    struct stat st;
    bool can = open(".", O_TMPFILE | O_WRONLY, 0600) >= 0; /* closed at the end of the process */
    for (int turn = 0; turn < 3; turn++) {
        extract_init(&x, "out");
        assert_ok(put(&x, TAR_DIR, "r", ""));
        tar_entry_t *e = entry(TAR_FILE, "r/f", "", 0640, 0);
        e->size = 2 * sizeof data;
        assert_ok(extract_begin(&x, e));
        assert_ok(extract_data(&x, bytes_of(data, sizeof data)));
        assert_int_equal(count_names("out"), (turn > 1) + !can);
        if (turn) {
            assert_ok(extract_data(&x, bytes_of(data, sizeof data)));
            assert_ok(extract_end(&x));
            assert_ok(extract_finish(&x));
        }
        extract_deinit(&x);
        assert_int_equal(count_names("out"), turn > 0);
    }
    assert_int_equal(stat("out/f", &st), 0);
    assert_int_equal(st.st_size, 2 * sizeof data);
    assert_int_equal(st.st_mode & 07777, 0640);
}

static void test_depth(void **state)
{
    extract_t x;
    char name[4096] = "r";
    err_t e;
    extract_init(&x, "out");
    for (size_t depth = 0;; depth++) {
        e = put(&x, TAR_DIR, name, "");
        if (e || depth > EXTRACT_MAX_DEPTH)
            break;
        memcpy(name + 1 + 2 * depth, "/d", 3);
    }
    assert_int_equal(e, ERR_LIMIT);
    extract_deinit(&x);
}

int main(void)
{
#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, enter_folder, leave_folder)
    const struct CMUnitTest tests[] = {IN_FOLDER(test_tree),
                                       IN_FOLDER(test_names_that_lead_out),
                                       IN_FOLDER(test_links_on_the_way),
                                       IN_FOLDER(test_roots),
                                       IN_FOLDER(test_pipe),
                                       IN_FOLDER(test_large),
                                       IN_FOLDER(test_depth)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

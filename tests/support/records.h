/* records: databases that another program has written (tests/fixtures), and what it reads from them
 * (records.tsv): copied into the simulated disk, whole or damaged, and compared with what is read here. */
#ifndef TESTS_SUPPORT_RECORDS_H
#define TESTS_SUPPORT_RECORDS_H
#include "tests/support/run.h"
#include "tests/support/test.h"
#include <dirent.h>
#include <stdio.h>

#define FOLDER "/tmp/database"
enum { FILE_MAX_BYTES = 1 << 20, ROWS_MAX = 400 };

static inline const char *fixture(const char *name, char out[1024])
{
    const char *root = getenv("TEST_ROOT");
    snprintf(out, 1024, "%s/tests/fixtures/%s", root ? root : ".", name);
    return out;
}

static inline void read_real(const char *path, buf_t *out)
{
    uint8_t room[4096];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (size_t n; (n = fread(room, 1, sizeof room, f));)
        assert_ok(buf_append(out, bytes_of(room, n)));
    fclose(f);
}

/* Into the simulated disk; damage: a byte of one of its files is changed. */
static inline void copy_database(task_t *t, const char *database, uint64_t damage)
{
    char path[1024], name[2048], to[512];
    struct dirent *entry;
    size_t i = 0;
    DIR *dir = opendir(fixture(database, path));
    assert_non_null(dir);
    (void)!fs_remove_tree(t, FOLDER);
    assert_ok(fs_mkdirs(t, FOLDER, 0700));
    while ((entry = readdir(dir))) {
        AUTO(buf_t) content = {0};
        buf_init(&content, FILE_MAX_BYTES);
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        read_real(name, &content);
        if (damage && content.len && i++ == damage % 6)
            content.data[damage * 2654435761u % content.len] ^= (uint8_t)(1 + damage % 255);
        snprintf(to, sizeof to, FOLDER "/%.200s", entry->d_name);
        assert_ok(fs_write_file(t, to, 0600, buf_bytes(&content)));
    }
    closedir(dir);
}

typedef struct expected {
    buf_t text; /* lines of key, tab, value in hexadecimal */
    bytes_t keys[ROWS_MAX], values[ROWS_MAX];
    size_t count, at;
    bytes_t prefix;
} expected_t;

static inline void load_expected(expected_t *x, const char *name)
{
    char path[1024];
    buf_init(&x->text, FILE_MAX_BYTES);
    read_real(fixture(name, path), &x->text);
    bytes_t rest = buf_bytes(&x->text);
    while (rest.len) {
        size_t line = (size_t)((const uint8_t *)memchr(rest.data, '\n', rest.len) - rest.data);
        size_t tab = (size_t)((const uint8_t *)memchr(rest.data, '\t', rest.len) - rest.data);
        x->keys[x->count] = bytes_slice(rest, 0, tab);
        x->values[x->count++] = bytes_slice(rest, tab + 1, line - tab - 1);
        rest = bytes_slice(rest, line + 1, rest.len);
    }
    assert_true(x->count > 100);
}

static inline bool is_value(const expected_t *x, size_t i, bytes_t value)
{
    AUTO(buf_t) hex;
    buf_init(&hex, FILE_MAX_BYTES);
    assert_ok(hex_encode(value, &hex));
    return bytes_equal(buf_bytes(&hex), x->values[i]);
}

static inline err_t compare_row(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    expected_t *x = arg;
    while (x->at < x->count && !bytes_starts_with(x->keys[x->at], x->prefix))
        x->at++;
    assert_true(x->at < x->count);
    assert_bytes(key, x->keys[x->at]);
    assert_true(is_value(x, x->at++, value));
    return OK;
}

/* How many of the expected records that start with the prefix were not seen. */
static inline size_t missing_rows(const expected_t *x)
{
    size_t left = 0;
    for (size_t i = x->at; i < x->count; i++)
        left += bytes_starts_with(x->keys[i], x->prefix);
    return left;
}

static inline err_t count_row(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    ++*(size_t *)arg;
    return OK;
}
#endif

/* The metadata service's door in virtual time: requests that never end. */
#include "api/meta_face.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MAX = 1 << 20, NEVER_MS = 1 << 30 };

typedef struct answer {
    int status;
    buf_t body;
} answer_t;

static err_t on_begin(task_t *t, void *arg, int status)
{
    ((answer_t *)arg)->status = status;
    return OK;
}

static err_t on_header(void *arg, const char *name, const char *value)
{
    return OK;
}

static err_t on_write(task_t *t, void *arg, bytes_t data)
{
    return buf_append(&((answer_t *)arg)->body, data);
}

static err_t no_body(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    *ret_n = 0;
    return OK;
}

static err_t endless_body(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    return task_sleep(t, NEVER_MS);
}

typedef err_t (*body_fn)(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n);

/* The answer's status; its body in *ret when that is not NULL. */
static int ask(task_t *t, meta_face_t *f, const char *method, const char *target, const char *token,
               body_fn body, buf_t *ret)
{
    answer_t a = {0};
    char bearer[4096];
    snprintf(bearer, sizeof bearer, "Bearer %s", token ? token : "");
    header_pair_t headers[] = {{"Content-Length", "10"}, {"Authorization", bearer}};
    memory_exchange_sink_t sink = {
        .begin = on_begin, .header = on_header, .write = on_write, .read_body = body, .arg = &a};
    buf_init(&a.body, ANSWER_MAX);
    assert_ok(exchange_run_in_memory(t, method, target, headers, token ? 2 : 1, sink, meta_face_serve, f));
    if (ret)
        *ret = a.body;
    else
        buf_deinit(&a.body);
    return a.status;
}

static size_t count(const buf_t *text, const char *what)
{
    size_t n = 0, len = strlen(what);
    for (size_t i = 0; i + len <= text->len; i++)
        n += !memcmp(text->data + i, what, len);
    return n;
}

static err_t login_body(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    static const char text[] = "{\"username\":\"admin\",\"password\":\"a password\"}";
    static bool is_read;
    *ret_n = is_read ? 0 : sizeof text - 1;
    memcpy(out, text, *ret_n);
    is_read = true;
    return OK;
}

static err_t run(task_t *t, void *arg)
{
    char *database = arg, token[2048];
    meta_options_t o = {.database = database,
                        .master_source = "env:DISTRIBUTE_TEST_MASTER",
                        .admin_password = "a password",
                        .node_key = "dsk_of_all"};
    meta_face_t *f;
    buf_t body;
    setenv("DISTRIBUTE_TEST_MASTER", "0101010101010101010101010101010101010101010101010101010101010101", 1);
    assert_ok(meta_face_open(t, &o, &f));
    assert_int_equal(ask(t, f, "POST", "/login", NULL, login_body, &body), 200);
    const char *at = memmem(body.data, body.len, "\"token\":\"", 9);
    assert_non_null(at);
    snprintf(token, sizeof token, "%.*s", (int)strcspn(at + 9, "\""), at + 9);
    buf_deinit(&body);
    uint64_t began_ms = task_now_ms(t);
    assert_int_equal(ask(t, f, "POST", "/login", NULL, endless_body, NULL), 408);
    assert_int_equal(ask(t, f, "POST", "/init_upload", token, endless_body, NULL), 408);
    assert_true(task_now_ms(t) - began_ms <= 2 * 60000);
    assert_int_equal(ask(t, f, "GET", "/audit", token, no_body, &body), 200);
    assert_int_equal(count(&body, "\"ERR_TIMEOUT\""), 2);
    buf_deinit(&body);
    meta_face_close(t, f);
    return OK;
}

static void slow_requests_are_refused_and_logged(void **state)
{
    char folder[] = "/tmp/distribute-face-XXXXXX", database[64], path[80];
    static const char *const ends[] = {"", "-wal", "-shm"};
    assert_non_null(mkdtemp(folder));
    snprintf(database, sizeof database, "%s/m.db", folder);
    err_t e = test_run(run, database);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        snprintf(path, sizeof path, "%s%s", database, ends[i]);
        unlink(path);
    }
    rmdir(folder);
    assert_ok(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(slow_requests_are_refused_and_logged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

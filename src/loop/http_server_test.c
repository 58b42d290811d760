#include "base/log.h"
#include "loop/http_server.h"
#include "loop/http_testing.h"
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define MIB (1024 * 1024)
#define BIG_BYTES (64 * MIB)

/* ── a server whose handlers are named by the path ───────────────────────────────────────────── */

typedef struct world {
    http_server_t *server;
    net_addr_t at;
    event_t changed;
    size_t calls, canceled, closed;
    char seen[256]; /* what a handler noted */
} world_t;

static err_t hello(task_t *t, exchange_t *x, world_t *w)
{
    return exchange_reply(t, x, 200, "text/plain", BYTES_LIT("hello\n"));
}

static err_t later(task_t *t, exchange_t *x, world_t *w)
{
    TRY(task_sleep(t, 2));
    return hello(t, x, w);
}

static err_t describe(task_t *t, exchange_t *x, world_t *w)
{
    const char *agent = exchange_header(x, "user-AGENT");
    snprintf(w->seen, sizeof w->seen, "%s %s|%s|%s|%s", x->method, x->target, x->path, x->query,
             agent ? agent : "-");
    CHECK(exchange_header(x, "User-Agent") == agent);
    CHECK(!strncmp(x->remote, "127.0.0.1:", 10));
    return hello(t, x, w);
}

static err_t count_body(task_t *t, exchange_t *x, world_t *w)
{
    uint8_t piece[8192];
    size_t n, total = 0, sum = 0;
    do {
        TRY(exchange_read(t, x, piece, total % 3 ? 1000 : sizeof piece, &n));
        for (size_t i = 0; i < n; i++)
            sum += piece[i];
        total += n;
        if (total % 5 == 0)
            TRY(task_yield(t));
    } while (n);
    char line[64];
    int len = snprintf(line, sizeof line, "%zu %zu\n", total, sum);
    return exchange_reply(t, x, 200, "text/plain", bytes_of(line, (size_t)len));
}

static err_t refuse(task_t *t, exchange_t *x, world_t *w)
{
    return exchange_reply(t, x, 403, "text/plain", BYTES_LIT("no\n"));
}

static err_t refuse_later(task_t *t, exchange_t *x, world_t *w)
{
    TRY(task_sleep(t, 2));
    return refuse(t, x, w);
}

/* Reads a little, then answers without the rest. */
static err_t lose_interest(task_t *t, exchange_t *x, world_t *w)
{
    uint8_t piece[100];
    size_t n;
    TRY(exchange_read(t, x, piece, sizeof piece, &n));
    return exchange_reply(t, x, 400, "text/plain", BYTES_LIT("enough\n"));
}

static err_t stream_big(task_t *t, exchange_t *x, world_t *w, int64_t length)
{
    static uint8_t piece[100000];
    memset(piece, 'x', sizeof piece);
    TRY(exchange_set_header(x, "Trailer", "X-End"));
    TRY(exchange_begin(x, 200, length));
    for (size_t left = BIG_BYTES; left > 0;) {
        size_t n = left < sizeof piece ? left : sizeof piece;
        err_t e = exchange_write(t, x, bytes_of(piece, n));
        if (e) {
            w->closed++;
            event_fire(&w->changed);
            return e;
        }
        left -= n;
    }
    return length < 0 ? exchange_trailer(x, "X-End", "yes") : OK;
}

/* An answer made while the body comes in: two bytes for each. */
static err_t echo_twice(task_t *t, exchange_t *x, world_t *w)
{
    TRY(exchange_begin(x, 200, -1));
    uint8_t piece[16384];
    size_t n;
    do {
        TRY(exchange_read(t, x, piece, sizeof piece, &n));
        TRY(exchange_write(t, x, bytes_of(piece, n)));
        TRY(exchange_write(t, x, bytes_of(piece, n)));
    } while (n);
    return exchange_write(t, x, BYTES_LIT("end"));
}

/* Waits for ever, and notes how that ended. */
static err_t hang(task_t *t, exchange_t *x, world_t *w)
{
    err_t e;
    while (!(e = event_wait(t, &w->changed)))
        ;
    w->canceled++;
    CHECK(e == ERR_CANCELED);
    return e;
}

static err_t fail_after_begin(task_t *t, exchange_t *x, world_t *w)
{
    TRY(exchange_begin(x, 200, -1));
    TRY(exchange_write(t, x, BYTES_LIT("some")));
    return fail(ERR_IO, "the disk broke");
}

static err_t too_short(task_t *t, exchange_t *x, world_t *w)
{
    TRY(exchange_begin(x, 200, 10));
    return exchange_write(t, x, BYTES_LIT("short"));
}

static err_t too_long(task_t *t, exchange_t *x, world_t *w)
{
    TRY(exchange_begin(x, 200, 4));
    CHECK_ERR(ERR_INVALID, exchange_write(t, x, BYTES_LIT("longer")));
    return exchange_write(t, x, BYTES_LIT("good"));
}

static err_t handle(task_t *t, exchange_t *x, void *arg)
{
    static const struct {
        const char *path;
        err_t (*fn)(task_t *, exchange_t *, world_t *);
    } routes[] = {{"/hello", hello},
                  {"/later", later},
                  {"/describe", describe},
                  {"/count", count_body},
                  {"/refuse", refuse},
                  {"/refuse-later", refuse_later},
                  {"/enough", lose_interest},
                  {"/twice", echo_twice},
                  {"/hang", hang},
                  {"/fails", fail_after_begin},
                  {"/short", too_short},
                  {"/long", too_long}};
    world_t *w = arg;
    w->calls++;
    if (!strcmp(x->path, "/big"))
        return stream_big(t, x, w, -1);
    if (!strcmp(x->path, "/big-length"))
        return stream_big(t, x, w, BIG_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        if (!strcmp(x->path, routes[i].path))
            return routes[i].fn(t, x, w);
    return !strcmp(x->path, "/nothing") ? OK : fail(ERR_NOT_FOUND, "nothing is at %s", x->path);
}

static err_t start(task_t *t, world_t *w, const http_limits_t *limits)
{
    *w = (world_t){0};
    event_init(&w->changed);
    net_addr_t at = loopback(0);
    TRY(http_server_start(task_driver(t), task_sched(t), &at, limits, handle, w, &w->server));
    w->at = http_server_address(w->server);
    return OK;
}

static err_t talk(task_t *t, world_t *w, bytes_t request, buf_t *out)
{
    return talk_at(t, &w->at, request, out);
}

static err_t talk_text(task_t *t, world_t *w, const char *request, buf_t *out)
{
    return talk(t, w, bytes_str(request), out);
}

typedef struct scene {
    err_t (*play)(task_t *t, world_t *w, buf_t *out);
    http_limits_t limits;
} scene_t;

static err_t run_scene(task_t *t, void *arg)
{
    scene_t *scene = arg;
    world_t w;
    TRY(start(t, &w, &scene->limits));
    buf_t out;
    buf_init(&out, 256 * MIB);
    err_t e = scene->play(t, &w, &out);
    if (e)
        print_error("%s\nlast answer: %.*s\n", error_text(e), (int)(out.len < 500 ? out.len : 500),
                    out.data ? (char *)out.data : "");
    buf_deinit(&out);
    http_server_stop(t, w.server, 1000);
    return e;
}

#define SCENE(name)                                                                                          \
    static void name(void **state)                                                                           \
    {                                                                                                        \
        scene_t scene = {.play = play_##name};                                                               \
        run_on_driver(run_scene, &scene);                                                                    \
    }

/* ── scenes ──────────────────────────────────────────────────────────────────────────────────── */

static err_t play_simple(task_t *t, world_t *w, buf_t *out)
{
    TRY(talk_text(t, w, "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", out));
    CHECK(has(out, "HTTP/1.1 200 OK\r\n") && has(out, "Content-Type: text/plain\r\n"));
    CHECK(has(out, "Content-Length: 6\r\n") && ends_with(out, "\r\n\r\nhello\n"));
    TRY(talk_text(t, w, "GET /later HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", out));
    CHECK(ends_with(out, "\r\n\r\nhello\n"));
    TRY(talk_text(t, w, "GET /hello HTTP/1.0\r\n\r\n", out));
    CHECK(ends_with(out, "\r\n\r\nhello\n"));
    TRY(talk_text(t, w, "OPTIONS /describe%2Fa?x=%31&y HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
                  out));
    CHECK(has(out, "HTTP/1.1 404 ") && ends_with(out, "nothing is at /describe%2Fa\n"));
    TRY(talk_text(
        t, w,
        "PATCH /describe?x=%31&y HTTP/1.1\r\nHost: h\r\nUser-Agent: test 1\r\nConnection: close\r\n\r\n",
        out));
    CHECK(!strcmp(w->seen, "PATCH /describe?x=%31&y|/describe|x=%31&y|test 1"));
    CHECK(w->calls == 5);
    return OK;
}
SCENE(simple)

static err_t play_head(task_t *t, world_t *w, buf_t *out)
{
    TRY(talk_text(t, w, "HEAD /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", out));
    CHECK(has(out, "Content-Length: 6\r\n") && ends_with(out, "\r\n\r\n"));
    /* of unknown length, on a connection that would stay: no byte of a body behind the head */
    TRY(talk_text(t, w, "HEAD /big HTTP/1.1\r\nHost: h\r\n\r\n", out));
    CHECK(has(out, "HTTP/1.1 200 OK\r\n") && ends_with(out, "\r\n\r\n") && !ends_with(out, "0\r\n\r\n"));
    TRY(talk_text(t, w, "HEAD /big-length HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", out));
    CHECK(has(out, "Content-Length: 67108864\r\n") && ends_with(out, "\r\n\r\n"));
    TRY(talk_text(t, w, "HEAD /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", out));
    CHECK(has(out, "HTTP/1.1 404 ") && ends_with(out, "\r\n\r\n"));
    return OK;
}
SCENE(head)

static err_t play_keep_alive(task_t *t, world_t *w, buf_t *out)
{
    AUTO_PTR(stream_t) s = NULL;
    TRY(net_dial(t, &w->at, &s));
    for (int i = 0; i < 20; i++) {
        const char *path = i % 3 == 0 ? "/hello" : i % 3 == 1 ? "/later" : "/none";
        AUTO(buf_t) request;
        buf_init(&request, 1000);
        TRY(buf_printf(&request, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", path));
        TRY(stream_write(t, s, buf_bytes(&request)));
        TRY(read_one(t, s, out));
        CHECK(ends_with(out, i % 3 == 2 ? "/none\n" : "hello\n"));
    }
    /* five at once: the answers come in order */
    TRY(stream_write(
        t, s,
        BYTES_LIT("GET /hello HTTP/1.1\r\nHost: h\r\n\r\nGET /later HTTP/1.1\r\nHost: h\r\n\r\n"
                  "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n\1\2\3"
                  "GET /none HTTP/1.1\r\nHost: h\r\n\r\nGET /hello HTTP/1.1\r\nHost: h\r\n\r\n")));
    static const char *const expected[] = {"hello\n", "hello\n", "3 6\n", "/none\n", "hello\n"};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        TRY(read_one(t, s, out));
        CHECK(ends_with(out, expected[i]));
    }
    return OK;
}
SCENE(keep_alive)

/* ── uploads ─────────────────────────────────────────────────────────────────────────────────── */

static err_t play_upload(task_t *t, world_t *w, buf_t *out)
{
    TRY(talk_text(t, w,
                  "POST /count HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "3\r\nabc\r\n1\r\nd\r\n0\r\nA: b\r\n\r\n",
                  out));
    CHECK(ends_with(out, "\r\n\r\n4 394\n"));
    TRY(talk_text(t, w,
                  "POST /count HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "4;x=y\r\nabcd\r\n0\r\n\r\n",
                  out));
    CHECK(ends_with(out, "\r\n\r\n4 394\n") || has(out, " 400 ")); /* libmicrohttpd 1.0 takes no extensions */
    TRY(talk_text(
        t, w,
        "POST /count HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        out));
    CHECK(ends_with(out, "\r\n\r\n0 0\n"));
    AUTO(buf_t) request;
    buf_init(&request, 8 * MIB);
    TRY(buf_printf(&request,
                   "POST /count HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n",
                   5 * MIB));
    TRY(buf_reserve(&request, 5 * MIB));
    memset(request.data + request.len, 1, 5 * MIB);
    request.len += 5 * MIB;
    TRY(talk(t, w, buf_bytes(&request), out));
    CHECK(ends_with(out, "\r\n\r\n5242880 5242880\n"));
    return OK;
}
SCENE(upload)

static err_t play_expect_continue(task_t *t, world_t *w, buf_t *out)
{
    AUTO_PTR(stream_t) s = NULL;
    TRY(net_dial(t, &w->at, &s));
    TRY(stream_write(t, s,
                     BYTES_LIT("POST /count HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                               "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")));
    char got[25];
    TRY(stream_read_full(t, s, (uint8_t *)got, 25));
    CHECK(!memcmp(got, "HTTP/1.1 100 Continue\r\n\r\n", 25));
    TRY(stream_write(t, s, BYTES_LIT("\1\1")));
    TRY(read_to_end(t, s, out));
    CHECK(ends_with(out, "2 2\n"));
    static const char *const refusing[] = {"/refuse", "/refuse-later", "/none"};
    for (size_t i = 0; i < ARRAY_LEN(refusing); i++) {
        AUTO(buf_t) request;
        buf_init(&request, 1000);
        TRY(buf_printf(
            &request,
            "POST %s HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n",
            refusing[i]));
        TRY(talk(t, w, buf_bytes(&request),
                 out)); /* the server closes: the rest of the stream has no meaning */
        CHECK(!has(out, "100 Continue"));
        CHECK(has(out, i < 2 ? "HTTP/1.1 403 " : "HTTP/1.1 404 "));
    }
    return OK;
}
SCENE(expect_continue)

static err_t play_rest_of_a_body(task_t *t, world_t *w, buf_t *out)
{
    AUTO(buf_t) request;
    buf_init(&request, 8 * MIB);
    TRY(buf_printf(&request,
                   "POST /enough HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n",
                   3 * MIB));
    TRY(buf_reserve(&request, 3 * MIB));
    memset(request.data + request.len, 1, 3 * MIB);
    request.len += 3 * MIB;
    TRY(talk(t, w, buf_bytes(&request), out));
    CHECK(has(out, "HTTP/1.1 400 ") && ends_with(out, "enough\n"));
    return OK;
}
SCENE(rest_of_a_body)

static err_t send_forever(task_t *t, void *arg)
{
    static const uint8_t piece[65536];
    for (;;)
        TRY(stream_write(t, arg, bytes_of(piece, sizeof piece)));
}

static err_t play_endless_rest(task_t *t, world_t *w, buf_t *out)
{
    AUTO_PTR(stream_t) s = NULL;
    TRY(net_dial(t, &w->at, &s));
    TRY(stream_write(t, s,
                     BYTES_LIT("POST /enough HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000000\r\n\r\n")));
    CHECK_ERR(ERR_RESET, send_forever(t, s));
    return OK;
}
SCENE(endless_rest)

/* The error comes while the body has not ended. */
static err_t play_early_error(task_t *t, world_t *w, buf_t *out)
{
    AUTO_PTR(stream_t) s = NULL;
    uint8_t *piece = xcalloc(1, 2 * MIB);
    TRY(net_dial(t, &w->at, &s));
    err_t e = stream_write(
        t, s, BYTES_LIT("POST /enough HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000000\r\n\r\n"));
    if (!e)
        e = stream_write(t, s, bytes_of(piece, 2 * MIB));
    free(piece);
    TRY(e);
    TRY(read_one(t, s, out));
    CHECK(has(out, "HTTP/1.1 400 ") && has(out, "Connection: close\r\n") && ends_with(out, "enough\n"));
    CHECK_ERR(ERR_RESET, send_forever(t, s)); /* once more than is dropped has come */
    return OK;
}
SCENE(early_error)

/* A handler that never reads, and whose answer is too large to wait for the end of the body. */
static err_t play_ignored_body(task_t *t, world_t *w, buf_t *out)
{
    TRY(talk_text(t, w, "POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nhello", out));
    CHECK(out->len > BIG_BYTES && ends_with(out, "\r\n0\r\nX-End: yes\r\n\r\n"));
    TRY(talk_text(t, w, "POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nhello", out));
    CHECK(has(out, "Connection: close\r\n") && ends_with(out, "\r\n\r\nhello\n"));
    return OK;
}
SCENE(ignored_body)

/* The handler answers while it reads; the answer is over the memory of the spool. */
static err_t play_spool(task_t *t, world_t *w, buf_t *out)
{
    size_t sizes[] = {10, 3 * MIB};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        AUTO(buf_t) request;
        buf_init(&request, 8 * MIB);
        TRY(buf_printf(&request, "POST /twice HTTP/1.0\r\nContent-Length: %zu\r\n\r\n", sizes[i]));
        TRY(buf_reserve(&request, sizes[i]));
        memset(request.data + request.len, 'y', sizes[i]);
        request.len += sizes[i];
        TRY(talk(t, w, buf_bytes(&request), out));
        char *body = memmem(out->data, out->len, "\r\n\r\n", 4);
        CHECK(body);
        size_t head = (size_t)(body + 4 - (char *)out->data);
        CHECK(out->len - head == 2 * sizes[i] + 3);
        CHECK(ends_with(out, "yyend"));
        for (size_t k = head; k < out->len - 3; k++)
            CHECK(out->data[k] == 'y');
    }
    return OK;
}
SCENE(spool)

/* ── streamed answers ────────────────────────────────────────────────────────────────────────── */

static long resident_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static err_t play_slow_client(task_t *t, world_t *w, buf_t *out)
{
    AUTO_PTR(stream_t) s = NULL;
    TRY(net_dial(t, &w->at, &s));
    TRY(stream_write(t, s, BYTES_LIT("GET /big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")));
    uint8_t *piece = xmalloc(MIB);
    long before_kib = resident_kib();
    size_t total = 0, n = 1;
    uint8_t tail[64] = {0};
    err_t e = OK;
    while (!e && n) {
        if (total < 8 * MIB) /* slow at first: everything in between fills up */
            e = task_sleep(t, 1);
        if (!e)
            e = stream_read(t, s, piece, total < 8 * MIB ? 65536 : MIB, &n);
        total += e ? 0 : n;
        if (!e && n >= sizeof tail)
            memcpy(tail, piece + n - sizeof tail, sizeof tail);
    }
    free(piece);
    TRY(e);
    CHECK(total > BIG_BYTES);
    CHECK(resident_kib() - before_kib < 16 * 1024);
    CHECK(memmem(tail, sizeof tail, "\r\n0\r\nX-End: yes\r\n\r\n", 19));
    return OK;
}
SCENE(slow_client)

static err_t play_with_length(task_t *t, world_t *w, buf_t *out)
{
    TRY(talk_text(t, w, "GET /big-length HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", out));
    CHECK(has(out, "Content-Length: 67108864\r\n"));
    char *body = memmem(out->data, out->len, "\r\n\r\n", 4);
    CHECK(out->len == (size_t)(body + 4 - (char *)out->data) + BIG_BYTES);
    TRY(talk_text(t, w, "GET /long HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", out));
    CHECK(ends_with(out, "\r\n\r\ngood"));
    return OK;
}
SCENE(with_length)

static err_t play_cut_answers(task_t *t, world_t *w, buf_t *out)
{
    log_level_t before = log_threshold;
    log_threshold = LOG_ERROR;
    TRY(talk_text(t, w, "GET /fails HTTP/1.1\r\nHost: h\r\n\r\n", out));
    CHECK(has(out, "4\r\nsome\r\n") && !has(out, "0\r\n\r\n"));
    TRY(talk_text(t, w, "GET /short HTTP/1.1\r\nHost: h\r\n\r\n", out));
    CHECK(has(out, "Content-Length: 10\r\n") && ends_with(out, "short"));
    TRY(talk_text(t, w, "GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", out));
    CHECK(has(out, "HTTP/1.1 501 ") && has(out, "has no answer\n"));
    log_threshold = before;
    return OK;
}
SCENE(cut_answers)

/* ── clients that leave ──────────────────────────────────────────────────────────────────────── */

static err_t leave(task_t *t, world_t *w, const char *request, const size_t *counter)
{
    stream_t *s;
    TRY(net_dial(t, &w->at, &s));
    TRY(stream_write(t, s, bytes_str(request)));
    TRY(task_sleep(t, 5));
    stream_reset(s);
    stream_close(s);
    deadline_t d = deadline_push(t, 5000);
    err_t e = OK;
    while (!e && (counter ? *counter == 0 : http_server_running(w->server) > 0))
        e = task_sleep(t, 1);
    deadline_pop(t, &d);
    return e;
}

static err_t play_client_leaves(task_t *t, world_t *w, buf_t *out)
{
    TRY(leave(t, w, "GET /big HTTP/1.1\r\nHost: h\r\n\r\n", &w->closed));
    CHECK(w->closed == 1);
    TRY(leave(t, w, "GET /hang HTTP/1.1\r\nHost: h\r\n\r\n", &w->canceled)); /* seen by the sweep */
    CHECK(w->canceled == 1);
    TRY(leave(t, w, "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc", NULL));
    TRY(leave(t, w, "POST /twice HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc", NULL));
    TRY(leave(t, w, "GET /hel", NULL));
    TRY(leave(t, w, "GET /hello HTTP/1.1\r\nHos", NULL));
    TRY(talk_text(t, w, "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", out));
    CHECK(ends_with(out, "hello\n"));
    return OK;
}
SCENE(client_leaves)

/* The client's end comes in one event with its bytes: libmicrohttpd would wait for the idle time-out. */
static err_t play_half_closed(task_t *t, world_t *w, buf_t *out)
{
    static char posts[20000] = "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n";
    memset(posts + strlen(posts), 'x', sizeof posts - 1 - strlen(posts));
    const char *const lines[] = {"GET /hello HTTP/1.1\r\nHost: h\r\n\r\n", "GET /hel", "\x01\x02\x03", posts};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        AUTO_PTR(stream_t) s = NULL;
        buf_clear(out);
        TRY(net_dial(t, &w->at, &s));
        TRY(stream_write(t, s, bytes_str(lines[i])));
        TRY(stream_close_write(s));
        deadline_t d = deadline_push(t, 10000);
        err_t e = read_to_end(t, s, out);
        deadline_pop(t, &d);
        CHECK(!e || e == ERR_RESET);
        CHECK(ends_with(out, i ? "" : "hello\n"));
    }
    return OK;
}
SCENE(half_closed)

/* ── limits and nonsense ─────────────────────────────────────────────────────────────────────── */

static err_t play_nonsense(task_t *t, world_t *w, buf_t *out)
{
    static const char *const lines[] = {
        "\r\n\r\n\r\n",
        "\x16\x03\x01\x02\x01\x01\xfc\x03\x03 a TLS hello\r\n\r\n",
        "GET\r\n\r\n",
        "/multistream/1.0.0\n\n",
        "GET /hello HTTP/9.9\r\nHost: h\r\n\r\n",
        "POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n\r\n",
        "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: minus one\r\n\r\n",
        "GET /hello HTTP/1.1\r\n\r\n",
        "ABCDEFGHIJKLMNOPQRST /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        AUTO_PTR(stream_t) s = NULL;
        buf_clear(out);
        TRY(net_dial(t, &w->at, &s));
        TRY(stream_write(t, s, bytes_str(lines[i])));
        err_t e = read_to_end(t, s, out);
        CHECK(!e || e == ERR_RESET);
        CHECK(!has(out, " 200 "));
    }
    TRY(talk_text(t, w, "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", out));
    CHECK(ends_with(out, "hello\n"));
    return OK;
}

static void nonsense(void **state)
{
    scene_t scene = {.play = play_nonsense, .limits = {.idle_timeout_s = 1}};
    run_on_driver(run_scene, &scene);
}

static err_t play_big_head(task_t *t, world_t *w, buf_t *out)
{
    AUTO(buf_t) request;
    buf_init(&request, MIB);
    TRY(buf_printf(&request, "GET /hello HTTP/1.1\r\nHost: h\r\n"));
    for (int i = 0; i < 4000; i++)
        TRY(buf_printf(&request, "X-Header-%d: some value that takes space\r\n", i));
    TRY(buf_printf(&request, "\r\n"));
    TRY(talk(t, w, buf_bytes(&request), out));
    CHECK(has(out, "HTTP/1.1 431 ") && w->calls == 0);
    buf_clear(&request);
    TRY(buf_printf(&request, "GET /"));
    for (int i = 0; i < 17000; i++)
        TRY(buf_append_u8(&request, 'a'));
    TRY(buf_printf(&request, " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    TRY(talk(t, w, buf_bytes(&request), out));
    CHECK(has(out, "HTTP/1.1 414 ") && w->calls == 0);
    return OK;
}
SCENE(big_head)

/* libmicrohttpd leaves these without an answer and without an end. */
static err_t play_many_query_parts(task_t *t, world_t *w, buf_t *out)
{
    for (int parts = 150; parts <= 5000; parts += 485) {
        AUTO(buf_t) request;
        buf_init(&request, MIB);
        TRY(buf_printf(&request, "GET /hello?"));
        for (int i = 0; i < parts; i++)
            TRY(buf_printf(&request, "x=y&"));
        TRY(buf_printf(&request, " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
        TRY(talk(t, w, buf_bytes(&request), out));
        CHECK(has(out, parts == 150 ? "HTTP/1.1 200 " : "HTTP/1.1 414 "));
    }
    CHECK(w->calls == 1);
    return OK;
}
SCENE(many_query_parts)

/* More clients than places, which send a part of a head each: others are served all the same. */
static err_t play_slow_heads(task_t *t, world_t *w, buf_t *out)
{
    stream_t *s[60];
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        TRY(net_dial(t, &w->at, &s[i]));
        err_t e = stream_write(t, s[i], BYTES_LIT("GET /hello HTTP/1.1\r\nX-Slow: "));
        CHECK(!e || e == ERR_RESET || e == ERR_CLOSED);
    }
    deadline_t d = deadline_push(t, 10000);
    err_t e = talk_text(t, w, "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", out);
    deadline_pop(t, &d);
    CHECK(!e && ends_with(out, "hello\n"));
    for (size_t i = 0; i < ARRAY_LEN(s); i++)
        stream_close(s[i]);
    return OK;
}

static void slow_heads(void **state)
{
    scene_t scene = {.play = play_slow_heads, .limits = {.max_connections = 8}};
    run_on_driver(run_scene, &scene);
}

static err_t play_per_ip(task_t *t, world_t *w, buf_t *out)
{
    stream_t *s[4];
    size_t served = 0;
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        TRY(net_dial(t, &w->at, &s[i]));
        err_t e = stream_write(t, s[i], BYTES_LIT("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"));
        if (!e)
            e = read_one(t, s[i], out);
        CHECK(!e || e == ERR_EOF || e == ERR_RESET);
        served += !e;
    }
    for (size_t i = 0; i < ARRAY_LEN(s); i++)
        stream_close(s[i]);
    CHECK(served == 2);
    return OK;
}

static void per_ip(void **state)
{
    scene_t scene = {.play = play_per_ip, .limits = {.max_per_ip = 2}};
    run_on_driver(run_scene, &scene);
}

static err_t idle(task_t *t, void *arg)
{
    uint8_t byte;
    size_t n;
    return stream_read(t, arg, &byte, 1, &n);
}

static err_t play_idle_timeout(task_t *t, world_t *w, buf_t *out)
{
    AUTO_PTR(stream_t) s = NULL;
    TRY(net_dial(t, &w->at, &s));
    TRY(stream_write(t, s, BYTES_LIT("GET /hel"))); /* and no more */
    uint64_t before_ms = task_now_ms(t);
    err_t e = idle(t, s);
    CHECK(!e || e == ERR_RESET);
    CHECK(task_now_ms(t) - before_ms < 4000);
    return OK;
}

static void idle_timeout(void **state)
{
    scene_t scene = {.play = play_idle_timeout, .limits = {.idle_timeout_s = 1}};
    run_on_driver(run_scene, &scene);
}

/* ── start and stop ──────────────────────────────────────────────────────────────────────────── */

typedef struct visit {
    world_t *w;
    const char *request;
    buf_t out;
    err_t e;
} visit_t;

static err_t pay_visit(task_t *t, void *arg)
{
    visit_t *v = arg;
    buf_init(&v->out, 256 * MIB);
    v->e = talk_text(t, v->w, v->request, &v->out);
    return OK;
}

/* Starts the visits, stops the server when their handlers run, and waits for what the visitors got. */
static err_t stop_during(task_t *t, world_t *w, visit_t *visits, size_t n, uint64_t grace_ms)
{
    group_t g;
    group_init(&g, task_sched(t));
    for (size_t i = 0; i < n; i++)
        TRY(group_spawn(&g, "visit", pay_visit, &visits[i], NULL));
    while (w->calls < n)
        TRY(task_sleep(t, 1));
    http_server_stop(t, w->server, grace_ms);
    return group_join(t, &g);
}

static err_t stop_body(task_t *t, void *arg)
{
    world_t w;
    TRY(start(t, &w, NULL));
    http_server_t *again;
    CHECK_ERR(ERR_IN_USE, http_server_start(task_driver(t), task_sched(t), &w.at, NULL, handle, &w, &again));
    visit_t visits[] = {{&w, "GET /big HTTP/1.1\r\nHost: h\r\n\r\n"},
                        {&w, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n"},
                        {&w, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"}};
    TRY(stop_during(t, &w, visits, ARRAY_LEN(visits), 60000)); /* as long as the answers take */
    CHECK(visits[0].e == OK && visits[0].out.len > BIG_BYTES && has(&visits[0].out, "X-End: yes"));
    for (size_t i = 0; i < ARRAY_LEN(visits); i++) {
        CHECK(i == 0 || (visits[i].e == OK && ends_with(&visits[i].out, "hello\n")));
        buf_deinit(&visits[i].out);
    }
    stream_t *s;
    CHECK_ERR(ERR_REFUSED, net_dial(t, &w.at, &s));

    TRY(start(t, &w, NULL));
    visit_t hanging = {&w, "GET /hang HTTP/1.1\r\nHost: h\r\n\r\n"};
    TRY(stop_during(t, &w, &hanging, 1, 30));
    CHECK(w.canceled == 1);
    buf_deinit(&hanging.out);
    http_server_stop(t, NULL, 0);
    return OK;
}

static void stop(void **state)
{
    run_on_driver(stop_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple),
        cmocka_unit_test(head),
        cmocka_unit_test(keep_alive),
        cmocka_unit_test(upload),
        cmocka_unit_test(expect_continue),
        cmocka_unit_test(rest_of_a_body),
        cmocka_unit_test(endless_rest),
        cmocka_unit_test(early_error),
        cmocka_unit_test(spool),
        cmocka_unit_test(ignored_body),
        cmocka_unit_test(slow_client),
        cmocka_unit_test(with_length),
        cmocka_unit_test(cut_answers),
        cmocka_unit_test(client_leaves),
        cmocka_unit_test(half_closed),
        cmocka_unit_test(nonsense),

        cmocka_unit_test(big_head),
        cmocka_unit_test(per_ip),
        cmocka_unit_test(slow_heads),

        cmocka_unit_test(many_query_parts),
        cmocka_unit_test(idle_timeout),
        cmocka_unit_test(stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

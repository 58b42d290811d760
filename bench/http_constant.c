/* http_constant: the HTTP server of loop/ with a handler that answers every request with the same bytes: what
 * the server itself can do, to read the gateway's rate against. Paths below /ipfs/ get the headers of a
 * gateway's answer, in their usual lengths; all others get the body alone.
 *
 *   http_constant [BYTES [SECONDS]]    prints "listening on IP:PORT"; ends by itself (1024 bytes, 60 s) */
#include "loop/http_server.h"
#include "loop/uv_driver.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct constant {
    buf_t body;
    uint64_t seconds;
} constant_t;

#define CID "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
static const char *const headers[][2] = {
    {"Access-Control-Allow-Origin", "*"},
    {"Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"},
    {"Access-Control-Allow-Headers", "Content-Type, Range, User-Agent, X-Requested-With"},
    {"Access-Control-Expose-Headers",
     "Content-Length, Content-Range, X-Chunked-Output, X-Ipfs-Path, X-Ipfs-Roots, X-Stream-Output"},
    {"Etag", "\"" CID "\""},
    {"Cache-Control", "public, max-age=29030400, immutable"},
    {"X-Ipfs-Path", "/ipfs/" CID},
    {"X-Ipfs-Roots", CID},
    {"Accept-Ranges", "bytes"},
};

static err_t answer(task_t *t, exchange_t *x, void *arg)
{
    constant_t *c = arg;
    for (size_t i = 0; i < ARRAY_LEN(headers) && !strncmp(x->path, "/ipfs/", 6); i++)
        TRY(exchange_set_header(x, headers[i][0], headers[i][1]));
    return exchange_reply(t, x, 200, "text/plain; charset=utf-8", buf_bytes(&c->body));
}

static err_t run(task_t *t, void *arg)
{
    constant_t *c = arg;
    net_addr_t at;
    char text[NET_ADDR_TEXT_MAX];
    http_server_t *server;
    TRY(net_addr_parse("127.0.0.1:0", &at));
    TRY(http_server_start(task_driver(t), task_sched(t), &at, NULL, answer, c, &server));
    at = http_server_address(server);
    printf("listening on %s\n", net_addr_print(&at, text));
    fflush(stdout);
    err_t e = task_sleep(t, c->seconds * 1000);
    http_server_stop(t, server, 100);
    return e;
}

int main(int argc, char **argv)
{
    constant_t c = {.seconds = argc > 2 ? strtoull(argv[2], NULL, 10) : 60};
    size_t len = argc > 1 ? strtoull(argv[1], NULL, 10) : 1024;
    buf_init(&c.body, 64 << 20);
    for (size_t i = 0; i < len; i++)
        if (buf_append_u8(&c.body, (uint8_t)('a' + i % 26)))
            return 1;
    driver_t *driver = uv_driver_new(0);
    sched_t *sched = sched_new(driver);
    err_t e = sched_run(sched, "http_constant", run, &c);
    sched_free(sched);
    uv_driver_free(driver);
    buf_deinit(&c.body);
    return e ? 1 : 0;
}

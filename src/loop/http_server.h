/* http_server: HTTP/1.1 for handlers of task/exchange.h, carried by libmicrohttpd on the loop thread.
 *
 * Each request runs `handler` as a task of its own. A handler that answers without waiting is run inside
 * the callback that brought the request and costs no turn of the loop.
 *
 * Request bodies reach the handler as it reads them: while it does not, the connection is suspended
 * (at most 64 KiB wait in between) and TCP holds the client back. A client that sent
 * `Expect: 100-continue` gets its 100 when the handler first reads; a handler that answers before
 * reading refuses the upload.
 *
 * Answers stream likewise: 256 KiB may wait, then exchange_write() suspends. libmicrohttpd sends nothing
 * while a body still comes in. What a handler writes during an upload is therefore spooled, the first
 * 1 MiB in memory, the rest in an unlinked temporary file ($TMPDIR or /tmp, at most 1 GiB), and follows
 * when the body has ended. What the handler leaves unread is read and dropped up to 64 MiB, then the
 * connection is closed. When more than 1 MiB of it has come, an answer that is an error goes out before the
 * end of the body, so that who uploads a lot hears why it is not wanted.
 *
 * A client that leaves: exchange_is_gone() turns true, reads and writes give ERR_CLOSED, and the
 * handler's task is cancelled. While the handler waits for something else it is noticed within a second.
 * A handler that fails before exchange_begin() answers with one line of plain text and the status of the
 * error; one that fails later, or writes fewer bytes than it promised, cuts the connection, so that the
 * client sees that the answer is not whole. */
#ifndef LOOP_HTTP_SERVER_H
#define LOOP_HTTP_SERVER_H
#include "task/driver.h"
#include "task/exchange.h"

typedef struct http_limits {
    size_t max_connections;  /* when taken, those without a request make place; 0: 1024 */
    size_t max_per_ip;       /* more are closed; 0: no limit */
    size_t max_header_bytes; /* request line and headers; over it 431; 0: 24 KiB, at least 4 KiB */
    uint64_t max_held_bytes; /* of answers that wait for their clients to read, in sum: see http_slow.c; 0:
                                512 MiB */
    unsigned slow_after_s;   /* above it, who has waited this long for its client is cut; 0: 10 */
    unsigned idle_timeout_s; /* neither side moves a byte; handlers may take longer; 0: 120 */
    /* HTTPS, TLS 1.3 alone: PEM texts of the chain and its key, borrowed until the start returns; NULL: HTTP.
     */
    const char *tls_certificate, *tls_key;
} http_limits_t;
typedef struct http_server http_server_t;

/* `driver` is a uv_driver, `sched` the scheduler that runs on it. handler and arg are kept until
 * http_server_stop. ERR_IN_USE when the port is taken. limits may be NULL. */
MUST_CHECK err_t http_server_start(driver_t *driver, sched_t *sched, const net_addr_t *at,
                                   const http_limits_t *limits, exchange_fn handler, void *arg,
                                   http_server_t **ret_server);
/* The same where a face is served; a socket in the file system is of mode 0600 and goes with the server. */
MUST_CHECK err_t http_server_start_at(driver_t *driver, sched_t *sched, const face_addr_t *at,
                                      const http_limits_t *limits, exchange_fn handler, void *arg,
                                      http_server_t **ret_server);
/* Where it listens, with the port that was taken. */
net_addr_t http_server_address(const http_server_t *s);
const face_addr_t *http_server_face(const http_server_t *s);
size_t http_server_running(const http_server_t *s); /* requests whose handler has not ended */
/* Takes no new connections, lets running requests end within grace_ms, cancels the rest, closes and
 * frees. Shielded: it waits whatever happens to `t`. Not to be called by a handler of this server.
 * NULL is fine. */
void http_server_stop(task_t *t, http_server_t *s, uint64_t grace_ms);
#endif

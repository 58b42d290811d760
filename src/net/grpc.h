/* grpc: calls of gRPC between services, as tasks over wire/http2 and wire/grpc: unary and streaming either
 * way, deadlines, cancellation, back-pressure by HTTP/2's windows. A connection carries many calls.
 *
 * Bounds: GRPC_MESSAGE_MAX bytes a message, GRPC_CALLS_MAX calls that a server answers at once on a
 * connection, and the windows of http2.h. A server's call without a deadline gets GRPC_DEADLINE_MS; a
 * connection without calls is closed after GRPC_IDLE_MS, one that does not say hello after GRPC_HELLO_MS. */
#ifndef NET_GRPC_H
#define NET_GRPC_H
#include "crypto/tls_mutual.h"
#include "task/driver.h"
#include "wire/grpc.h"
#include "wire/http2.h"

#define GRPC_MESSAGE_MAX (4u << 20)
#define GRPC_CALLS_MAX 64
#define GRPC_DEADLINE_MS 600000
#define GRPC_IDLE_MS 600000
#define GRPC_HELLO_MS 10000

typedef struct grpc_conn grpc_conn_t;
typedef struct grpc_call grpc_call_t;

/* ── clients ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct grpc_target {
    const char *address;        /* "HOST:PORT" */
    tls_mutual_t *tls;          /* borrowed for the call; NULL: no TLS */
    const uint8_t *fingerprint; /* of the certificate that it must show; NULL: any that tls takes */
} grpc_target_t;
/* Until the task's deadline. ERR_CRYPTO: another certificate; ERR_USAGE, ERR_UNREACHABLE, errors of net_dial.
 */
MUST_CHECK err_t grpc_connect(task_t *t, const grpc_target_t *to, grpc_conn_t **ret);
bool grpc_conn_is_open(const grpc_conn_t *c);
void grpc_conn_close(task_t *t, grpc_conn_t *c); /* its calls are closed before; NULL is fine */
/* path: "/package.Service/Method". The task's deadline goes with it. Waits while the other side takes no more
 * calls. ERR_CLOSED: the connection has ended. */
MUST_CHECK err_t grpc_call_open(task_t *t, grpc_conn_t *c, const char *path, const http_field_t *fields,
                                size_t n_fields, grpc_call_t **ret);
MUST_CHECK err_t grpc_send_end(grpc_call_t *c); /* no more messages follow */
/* One message and the end, then one answer and its status. */
MUST_CHECK err_t grpc_unary(task_t *t, grpc_conn_t *c, const char *path, bytes_t request, buf_t *out);
void grpc_call_close(grpc_call_t *c); /* cancels what has not ended; NULL is fine */
AUTO_PTR_DEFINE(grpc_call_t, grpc_call_close)

/* ── both sides ──────────────────────────────────────────────────────────────────────────────── */
MUST_CHECK err_t grpc_send(task_t *t, grpc_call_t *c, bytes_t message);
/* The next message into out (cleared; its maximum holds beside GRPC_MESSAGE_MAX). ERR_EOF: there is none, and
 * a client knows now that the call went well. Else the error that the status stands for, with its text. */
MUST_CHECK err_t grpc_recv(task_t *t, grpc_call_t *c, buf_t *out);
const char *grpc_call_field(const grpc_call_t *c,
                            const char *name); /* of the other side's head; NULL: none */
/* The fingerprint of the other side's certificate; NULL: no TLS. */
const uint8_t *grpc_call_peer(const grpc_call_t *c);
const char *grpc_call_remote(const grpc_call_t *c); /* "IP:PORT"; a server's calls */

/* ── servers ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct grpc_method {
    const char *path;
    /* Its error becomes the status, error_text its message. */
    err_t (*run)(task_t *t, grpc_call_t *call, void *arg);
    uint64_t max_ms; /* of a call; 0: GRPC_DEADLINE_MS */
} grpc_method_t;
typedef struct grpc_server_config {
    const grpc_method_t *methods; /* closed by a row with path NULL; borrowed as long as the server */
    void *arg;
    tls_mutual_t *tls; /* borrowed as long; NULL: no TLS */
    size_t max_connections;
    void (*ended)(void *arg, const char *path, grpc_status_t status, uint64_t took_ms); /* may be NULL */
} grpc_server_config_t;
typedef struct grpc_server grpc_server_t;
/* ERR_IN_USE: the port is taken. */
MUST_CHECK err_t grpc_server_start(task_t *t, const net_addr_t *at, const grpc_server_config_t *c,
                                   grpc_server_t **ret);
net_addr_t grpc_server_address(const grpc_server_t *s);
void grpc_server_stop(task_t *t, grpc_server_t *s); /* ends its calls; NULL is fine */
#endif

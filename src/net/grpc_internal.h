/* grpc_internal: what the files of gRPC share. Not for others. */
#ifndef NET_GRPC_INTERNAL_H
#define NET_GRPC_INTERNAL_H
#include "base/list.h"
#include "net/grpc.h"

/* One HTTP/2 connection: a task reads, one writes, a server's calls have one each. */
struct grpc_conn {
    stream_t *stream;
    http2_t *h; /* NULL: the connection has ended */
    group_t tasks;
    list_t calls;
    event_t output;                     /* there may be something to send */
    event_t changed;                    /* calls came or went */
    buf_t out;                          /* what is being sent */
    const grpc_server_config_t *server; /* NULL: a client's */
    size_t n_handlers;
    char remote[NET_ADDR_TEXT_MAX];
    uint8_t peer[TLS_FINGERPRINT_BYTES];
    bool has_peer, is_used;
};

struct grpc_call {
    list_t node;
    grpc_conn_t *conn;
    http2_stream_t *stream;
    event_t changed;
    task_t *handler; /* of a server's call, while it runs */
    uint8_t prefix[GRPC_PREFIX_BYTES];
    size_t prefix_len, left; /* of the message that is being read */
    bool is_in_message, has_head_out;
};

void grpc_conn_init(grpc_conn_t *c, sched_t *s);
/* Puts HTTP/2 on a stream, which it takes. */
MUST_CHECK err_t grpc_conn_start(task_t *t, grpc_conn_t *c, stream_t *stream);
/* TLS on a raw stream, which it takes; tls NULL: none. The peer's fingerprint is c's then. */
MUST_CHECK err_t grpc_conn_secure(task_t *t, grpc_conn_t *c, tls_mutual_t *tls, bool is_client, stream_t *raw,
                                  stream_t **ret);
err_t grpc_conn_read(task_t *t, void *conn); /* until the connection ends */
void grpc_conn_end(grpc_conn_t *c);          /* fails all calls; the tasks end by themselves */
void grpc_conn_deinit(task_t *t, grpc_conn_t *c);
grpc_call_t *grpc_call_new(grpc_conn_t *c, http2_stream_t *s);
void grpc_call_free(grpc_call_t *c);
void grpc_take_call(grpc_conn_t *c, http2_stream_t *s); /* a server's: in grpc_server.c */
MUST_CHECK err_t grpc_call_wait(task_t *t, grpc_call_t *c);
#endif

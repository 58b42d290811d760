/* mux: what carries the streams of a connection. yamux over a secured byte stream (mux_yamux.c, moved by
 * conn_pump.c) is one, QUIC (quic.c) the other. Not for other folders.
 *
 * A multiplexer is told of streams that their users open, use and release; it tells of news by the calls at
 * the end of this header. A stream lives until it is released, also when its connection has ended: reading
 * gives what is left, then the reason. No function waits. */
#ifndef NET_MUX_H
#define NET_MUX_H
#include "net/host.h"

struct conn_stream;
typedef struct mux_stream mux_stream_t; /* of the multiplexer: a yamux_stream_t, a quic_stream_t */

typedef struct mux_ops {
    const char *protocol; /* as a peer and a user name it; "" when it is part of the transport */
    /* ERR_AGAIN: as many as the peer allows now, conn->may_open fires; ERR_LIMIT; ERR_CLOSED. */
    err_t (*open)(conn_t *c, struct conn_stream *user, mux_stream_t **ret_stream);
    void (*accept)(mux_stream_t *s, struct conn_stream *user); /* a stream of the peer gets its user */
    err_t (*read)(conn_t *c, mux_stream_t *s, uint8_t *out, size_t cap, size_t *ret_n);
    err_t (*write)(mux_stream_t *s, const bytes_t *pieces, size_t n, size_t *ret_n);
    err_t (*close_write)(mux_stream_t *s);
    void (*reset)(mux_stream_t *s);
    void (*release)(conn_t *c, mux_stream_t *s); /* what was written is still sent; s is invalid after */
    /* What it holds counts for `limit`, a child of the connection's, too; NULL: no longer, which does not
     * fail. ERR_LIMIT. */
    err_t (*set_limit)(mux_stream_t *s, limit_t *limit);
    void (*wake)(conn_t *c);           /* after use of streams: what they have to say is sent soon */
    bool (*may_open)(const conn_t *c); /* false: it is going away */
    uint32_t (*rtt_ms)(const conn_t *c);
    /* Says good-bye as far as that goes at once, resets the streams, gives back all but the conn_t. */
    void (*end)(conn_t *c, err_t reason);
} mux_ops_t;
extern const mux_ops_t mux_yamux;

/* ── what a multiplexer calls ────────────────────────────────────────────────────────────────── */
/* The peer opened a stream: starts its task, or refuses it. Calls accept, perhaps reset and release. */
void conn_stream_inbound(conn_t *c, mux_stream_t *mux);
/* News of a stream that has a user. */
void conn_stream_tell(struct conn_stream *s, bool is_readable, bool is_writable);
void conn_end(conn_t *c, err_t reason); /* at once; idempotent; calls mux_ops_t.end */

/* ── how a connection comes to be ────────────────────────────────────────────────────────────── */
/* A connection with a peer that has proved its key, with two references (the host's and the caller's), not
 * open yet: its multiplexer is made ready, then conn_join follows. use: what was reserved while it was set
 * up, taken with OK; bytes: about what it keeps in memory. ERR_LIMIT, ERR_CLOSED, ERR_DENIED: it is not
 * wanted. */
struct conn_use;
MUST_CHECK err_t conn_make(host_t *h, const peer_id_t *peer, const mux_ops_t *mux, struct conn_use *use,
                           uint64_t bytes, const multiaddr_t *remote, conn_t **ret_conn);
void conn_join(conn_t *c); /* it is open: the host's lists, listeners and identify learn of it */
#endif

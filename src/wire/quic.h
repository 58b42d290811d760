/* quic: QUIC version 1, connections of many streams over datagrams, as libp2p uses it. Spec: RFC 9000, 9001,
 * 9002; libp2p/specs quic and tls; checked against quic-go 0.59 (go-libp2p 0.48). Engines over datagrams and
 * a clock, with ngtcp2 and GnuTLS inside: no I/O. Randomness of connection ids comes from crypto_random, that
 * of the TLS handshake from GnuTLS.
 *
 * An endpoint (quic_endpoint_t) knows which connection a datagram belongs to, and answers those that belong
 * to none. A connection (quic_t) begins with quic_dial or quic_accept:
 *
 *   HANDSHAKE --both certificates proven--> OPEN --quic_end, an error--> ENDING --its last packet is out-->
 *   ENDED <--the peer closed it, or is gone-- HANDSHAKE, OPEN
 *
 * After each quic_feed, quic_tick or use of a stream: take the news (quic_next_event), then the output.
 * Bounds. The peer may have max_inbound_streams open, and send what the windows allow; windows begin at
 * QUIC_STREAM_WINDOW and grow with the reader's pace up to max_stream_window. What waits for its reader, and
 * what is sent and not acknowledged, is charged to the limit; a stream whose data is refused is reset. What
 * is to be sent waits in its stream, at most max_send_queue that was not sent yet. */
#ifndef WIRE_QUIC_H
#define WIRE_QUIC_H
#include "base/limit.h"
#include "base/net_addr.h"
#include "multi/peer_id.h"

#define QUIC_REPLY_MAX 1200 /* bytes of an answer that belongs to no connection */
#define QUIC_STREAM_WINDOW (512u << 10)
#define QUIC_LINGER_MS 30000
#define QUIC_BURST_DATAGRAMS 44 /* that one output has at most; a burst stays below 64 KiB */
#define QUIC_DATAGRAM_MAX 1452  /* that we send */

typedef struct quic_config {
    const private_key_t *identity; /* borrowed for quic_endpoint_new */
    size_t max_streams, max_inbound_streams;
    uint64_t max_window, max_stream_window; /* of a connection, of a stream */
    size_t max_send_queue;
    uint32_t idle_timeout_ms, keepalive_ms, handshake_timeout_ms;
} quic_config_t;
void quic_config_default(quic_config_t *ret); /* all but the identity */

/* ── endpoint ────────────────────────────────────────────────────────────────────────────────── */
typedef struct quic_endpoint quic_endpoint_t;
typedef struct quic quic_t;
MUST_CHECK err_t quic_endpoint_new(const quic_config_t *c, quic_endpoint_t **ret);
void quic_endpoint_free(quic_endpoint_t *e); /* its connections are freed before; NULL is fine */

typedef enum {
    QUIC_TO_NOBODY,
    QUIC_TO_CONN,  /* *ret_conn: feed it */
    QUIC_TO_NEW,   /* quic_accept takes it, when one more is welcome */
    QUIC_TO_REPLY, /* `reply` goes back to `from` */
} quic_route_t;
/* Whom a datagram is for. must_prove: a new peer must first show that it is where it says (a stateless
 * retry, one more round trip): for times when many begin. */
quic_route_t quic_endpoint_route(quic_endpoint_t *e, const net_addr_t *from, bytes_t datagram,
                                 uint64_t now_ms, bool must_prove, quic_t **ret_conn,
                                 uint8_t reply[QUIC_REPLY_MAX], size_t *ret_reply_len);

/* ── connections ─────────────────────────────────────────────────────────────────────────────── */
typedef enum { QUIC_HANDSHAKE, QUIC_OPEN, QUIC_ENDING, QUIC_ENDED } quic_state_t;
typedef struct quic_start {
    const net_addr_t *peer;
    uint64_t now_ms; /* monotonic */
    uint64_t wall_s; /* since 1970: for certificates */
    void *user;
} quic_start_t;
/* expected: whom the other side must prove to be. The first packet is in the output. */
MUST_CHECK err_t quic_dial(quic_endpoint_t *e, const quic_start_t *s, const peer_id_t *expected,
                           quic_t **ret);
/* The datagram that quic_endpoint_route gave QUIC_TO_NEW for; it is fed. An error: nothing was made. */
MUST_CHECK err_t quic_accept(quic_endpoint_t *e, const quic_start_t *s, bytes_t datagram, quic_t **ret);
void quic_free(quic_t *q); /* without a word to the peer; streams that have a user stay until released */
void *quic_user(const quic_t *q);
/* Whose budget the streams take from, from now on; NULL: nobody's. ERR_LIMIT: they hold more already. */
MUST_CHECK err_t quic_set_limit(quic_t *q, limit_t *limit);

/* An error ends the connection, what it has to say to the peer is in the output. ERR_PROTOCOL, ERR_CRYPTO
 * (certificates, another peer than expected), ERR_RESET (the peer closed it), ERR_UNSUPPORTED (no version in
 * common). A datagram that only looks as if it belonged here changes nothing. */
MUST_CHECK err_t quic_feed(quic_t *q, const net_addr_t *from, bytes_t datagram, uint64_t now_ms);
uint64_t quic_deadline_ms(const quic_t *q);             /* UINT64_MAX: none */
MUST_CHECK err_t quic_tick(quic_t *q, uint64_t now_ms); /* ERR_TIMEOUT: the peer is gone; as quic_feed */
/* Says good-bye, resets the streams with `reason`. Idempotent. */
void quic_end(quic_t *q, err_t reason);

/* Our own address is another one now. What is sent from here on has connection ids that nobody on the way has
 * seen, and the path is validated (RFC 9000, 9.5); for one that the peer began nothing can be done. */
void quic_moved(quic_t *q, uint64_t now_ms);

typedef struct quic_burst {
    net_addr_t to;
    size_t len, segment_bytes; /* datagrams of segment_bytes, the last perhaps less */
} quic_burst_t;
/* Datagrams for one place, at most QUIC_BURST_DATAGRAMS. False: nothing to send now. An error of the
 * connection comes from the next quic_feed or quic_tick. cap: QUIC_DATAGRAM_MAX at least. */
bool quic_output(quic_t *q, uint8_t *out, size_t cap, uint64_t now_ms, quic_burst_t *ret);
bool quic_has_output(const quic_t *q); /* perhaps: worth a call of quic_output */

quic_state_t quic_state(const quic_t *q);
bool quic_may_open(const quic_t *q);
const peer_id_t *quic_peer(const quic_t *q); /* when OPEN, borrowed */
const net_addr_t *quic_peer_addr(const quic_t *q);
uint32_t quic_rtt_ms(const quic_t *q);    /* 0: not known */
bool quic_is_unanswered(const quic_t *q); /* something was sent that the peer has not acknowledged */
size_t quic_stream_count(const quic_t *q);

/* ── news ────────────────────────────────────────────────────────────────────────────────────── */
typedef struct quic_stream quic_stream_t;
enum { QUIC_NEWS_OPENED = 1, QUIC_NEWS_READABLE = 2, QUIC_NEWS_WRITABLE = 4 };
typedef struct quic_event {
    enum {
        QUIC_EVENT_OPEN,     /* the state is OPEN, the peer proved who it is */
        QUIC_EVENT_STREAM,   /* stream and its news; OPENED: it gets a user by quic_stream_accept */
        QUIC_EVENT_MAY_OPEN, /* the peer allows more streams */
        QUIC_EVENT_MOVED,    /* the peer has another address now, which it proved */
    } kind;
    quic_stream_t *stream;
    void *user; /* of the stream */
    uint8_t news;
} quic_event_t;
bool quic_next_event(quic_t *q, quic_event_t *ret_event);

/* ── streams: the rules of yamux.h; one belongs to its connection and to its user until released ───── */
/* ERR_AGAIN: the peer allows no more now (EVENT_MAY_OPEN follows); ERR_LIMIT: max_streams; ERR_CLOSED. */
MUST_CHECK err_t quic_stream_open(quic_t *q, void *user, quic_stream_t **ret);
void quic_stream_accept(quic_stream_t *s, void *user);
/* OK and *ret_n > 0; OK and 0 at the end; ERR_AGAIN; the reason of a reset. */
MUST_CHECK err_t quic_stream_read(quic_stream_t *s, uint8_t *out, size_t cap, size_t *ret_n);
/* Takes 1..sum bytes; ERR_AGAIN (news WRITABLE follows); ERR_CLOSED after close_write; ERR_LIMIT: no memory
 * budget; the reason of a reset. */
MUST_CHECK err_t quic_stream_write(quic_stream_t *s, const bytes_t *pieces, size_t n, size_t *ret_n);
MUST_CHECK err_t quic_stream_close_write(quic_stream_t *s);
void quic_stream_reset(quic_stream_t *s);
/* What the stream holds counts for `limit`, too, a child of the connection's, which outlives that or the
 * stream; NULL: no longer, which cannot fail. ERR_LIMIT. */
MUST_CHECK err_t quic_stream_set_limit(quic_stream_t *s, limit_t *limit);
void quic_stream_release(quic_stream_t *s, uint64_t now_ms);
#endif

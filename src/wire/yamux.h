/* yamux: many streams over one connection. Spec: hashicorp/yamux spec.md, libp2p/specs yamux; checked
 * against go-yamux 5. An engine: received bytes in by yamux_feed, news out of yamux_next_event, frames out of
 * yamux_output; no I/O, no clock, no randomness.
 *
 * Session: OPEN --go-away taken--> GOING (no new streams of ours) ; any --error, yamux_go_away--> CLOSED
 * Stream:  each direction OPEN -> CLOSED (FIN); RST ends both at once. A stream that its user released goes
 *          on until both directions have ended or YAMUX_LINGER_MS have passed (then it is reset).
 *
 * Flow control. A peer may send what our receive window allows, not a byte more; windows begin at 256 KiB
 * and double up to max_window while the reader empties half of one within a few round trips. Arithmetic on
 * windows is checked: an update over 2^32 - 1 ends the session.
 * Memory. Received bytes wait in their stream's queue, at most a window; bytes to send at most
 * max_send_queue for each stream. Both are charged to the limit: a stream holds the larger of what it has
 * buffered and the growth of its window. A growth that is refused does not take place; data that is
 * refused resets its stream. Frames of the control queue (pings, resets) are bounded; a peer that makes us
 * exceed it without reading loses the session. */
#ifndef WIRE_YAMUX_H
#define WIRE_YAMUX_H
#include "base/limit.h"
#include "base/list.h"
#include "base/map.h"
#include "base/queue.h"

#define YAMUX_HEADER_BYTES 12
#define YAMUX_INITIAL_WINDOW (256u << 10)
#define YAMUX_FRAME_MAX (64u << 10) /* header and payload of a data frame that we send */
#define YAMUX_BACKLOG_MAX 256       /* streams of ours that the peer has not acknowledged */
#define YAMUX_LINGER_MS 30000
#define YAMUX_CONTROL_MAX (16u << 10)

typedef enum { YAMUX_OPEN, YAMUX_GOING, YAMUX_CLOSED } yamux_state_t;
typedef enum { YAMUX_NORMAL = 0, YAMUX_PROTOCOL_ERROR = 1, YAMUX_INTERNAL_ERROR = 2 } yamux_reason_t;

typedef struct yamux_config {
    bool is_client;             /* opens odd ids */
    size_t max_streams;         /* both directions together */
    size_t max_inbound_streams; /* of the peer, within max_streams; more are reset */
    uint32_t max_window;        /* of one stream, at least YAMUX_INITIAL_WINDOW */
    size_t max_send_queue;      /* of one stream */
    uint32_t keepalive_ms;      /* a ping so often; 0: the first alone */
    uint32_t pong_timeout_ms;   /* nothing heard so long after a ping ends the session */
    limit_t *limit;             /* borrowed */
} yamux_config_t;
void yamux_config_default(yamux_config_t *ret);

typedef struct yamux yamux_t;
/* A stream belongs to the session and to its user until yamux_release; then it may be gone. */
typedef struct yamux_stream {
    yamux_t *session; /* NULL: the session is over */
    uint32_t id;
    void *user;                          /* the caller's */
    list_t output_node;                  /* in session->output while it has something to send */
    list_t event_node;                   /* in session->events while it has news */
    list_t linger_node;                  /* in session->lingering when released */
    uint32_t receive_window, window_max; /* what the peer may send now; the size to refill to */
    uint32_t send_window;
    queue_t received, to_send;
    limit_t *limit, *own_limit; /* what is charged; own: the child of the session's, NULL: none */
    uint64_t charged_receive, charged_send;
    uint64_t refilled_ms, linger_until_ms;
    bool is_inbound, is_acked, has_user;
    bool must_syn, must_ack, must_fin, must_reset; /* to be sent */
    bool has_sent_fin, has_received_fin, is_reset;
    err_t reset_reason;    /* when is_reset: ERR_RESET by the peer, ERR_LIMIT, ERR_CLOSED … */
    bool must_update;      /* a window update pays */
    bool is_write_blocked; /* a write found no room */
    uint8_t news;
} yamux_stream_t;

struct yamux {
    yamux_state_t state;
    yamux_config_t config;
    map_t streams; /* by id (4 bytes) */
    list_t output, events, lingering;
    size_t n_inbound;
    size_t unacked;   /* streams of ours without ACK */
    uint64_t next_id; /* beyond 2^32: used up */
    uint32_t last_peer_id;
    uint8_t header[YAMUX_HEADER_BYTES];
    uint8_t header_len;
    uint32_t body_left;          /* of the data frame being received */
    yamux_stream_t *body_stream; /* NULL: the body is skipped */
    bool body_has_fin;
    buf_t control; /* frames without stream state, ready to be sent */
    uint32_t ping_id;
    bool is_ping_out, has_rtt;
    uint64_t ping_sent_ms, heard_ms, next_ping_ms;
    uint32_t rtt_ms;
    bool may_open_news, rtt_news, going_news;
    uint32_t going_reason; /* that the peer gave */
};

/* News of a stream accumulate: one event tells them all. */
enum { YAMUX_NEWS_OPENED = 1, YAMUX_NEWS_READABLE = 2, YAMUX_NEWS_WRITABLE = 4 };
typedef struct yamux_event {
    enum {
        YAMUX_EVENT_STREAM,   /* stream and news; OPENED: take it with yamux_accept or yamux_reset +
                                 yamux_release */
        YAMUX_EVENT_MAY_OPEN, /* the backlog has room again */
        YAMUX_EVENT_RTT,      /* rtt_ms was measured */
        YAMUX_EVENT_GO_AWAY,  /* the peer opens and takes no more streams */
    } kind;
    yamux_stream_t *stream;
    uint8_t news;
} yamux_event_t;

void yamux_init(yamux_t *y, const yamux_config_t *c, uint64_t now_ms); /* a ping waits in the output */
/* Ends the session: streams that still have a user are reset with `reason` and stay until released. */
void yamux_deinit(yamux_t *y, err_t reason);

/* Takes all of `in`. An error ends the session (a go-away waits in the output): ERR_PROTOCOL, ERR_LIMIT. */
MUST_CHECK err_t yamux_feed(yamux_t *y, bytes_t in, uint64_t now_ms);
bool yamux_next_event(yamux_t *y, yamux_event_t *ret_event);
/* Frames gathered for sending: pieces to be written in order. Room of the caller, for one call at a time. */
#define YAMUX_GATHER_FRAMES 16
typedef struct yamux_gather {
    bytes_t pieces[2 * YAMUX_GATHER_FRAMES + 1];
    size_t n_pieces, len; /* len: sum of the pieces */
    size_t control_len, n_streams;
    struct yamux_turn {
        yamux_stream_t *stream;
        uint32_t data_len;
        uint8_t headers[3 * YAMUX_HEADER_BYTES];
    } turns[YAMUX_GATHER_FRAMES];
} yamux_gather_t;
/* Gathers whole frames, in turn from each stream that has something to send, at most max_bytes of them (not
 * below YAMUX_FRAME_MAX). False: nothing to send. The pieces are borrowed until yamux_output_done, which must
 * follow before anything else is done with the session and takes them as sent. */
bool yamux_output(yamux_t *y, size_t max_bytes, yamux_gather_t *ret);
void yamux_output_done(yamux_t *y, yamux_gather_t *g);
bool yamux_has_output(const yamux_t *y);
uint64_t yamux_deadline_ms(const yamux_t *y);             /* UINT64_MAX: none */
MUST_CHECK err_t yamux_tick(yamux_t *y, uint64_t now_ms); /* ERR_TIMEOUT: the peer is gone; final */
void yamux_go_away(yamux_t *y, yamux_reason_t reason);

/* A stream of ours. ERR_AGAIN: the backlog is full (EVENT_MAY_OPEN follows); ERR_LIMIT: max_streams;
 * ERR_CLOSED: the session ends or the ids are used up. */
MUST_CHECK err_t yamux_open(yamux_t *y, void *user, yamux_stream_t **ret_stream);
void yamux_accept(yamux_stream_t *s, void *user); /* acknowledges a stream of the peer */
/* OK and *ret_n > 0; OK and 0 at the end; ERR_AGAIN; the reason of a reset. */
MUST_CHECK err_t yamux_read(yamux_stream_t *s, uint8_t *out, size_t cap, uint64_t now_ms, size_t *ret_n);
/* Takes 1..sum bytes; ERR_AGAIN while the send queue is full (news WRITABLE follows); ERR_CLOSED after
 * close_write; ERR_LIMIT: no memory budget; the reason of a reset. */
MUST_CHECK err_t yamux_write(yamux_stream_t *s, const bytes_t *pieces, size_t n, size_t *ret_n);
MUST_CHECK err_t yamux_close_write(yamux_stream_t *s); /* FIN behind what was written */
void yamux_reset(yamux_stream_t *s);                   /* RST; the struct stays until released */
/* What the stream holds counts for `limit`, too, a child of the session's, which outlives that or the stream;
 * NULL: no longer, which cannot fail. ERR_LIMIT. */
MUST_CHECK err_t yamux_stream_set_limit(yamux_stream_t *s, limit_t *limit);
/* The user forgets the stream: what was written is flushed, then FIN; s is invalid after. */
void yamux_release(yamux_stream_t *s, uint64_t now_ms);
static inline size_t yamux_stream_count(const yamux_t *y)
{
    return map_count(&y->streams);
}
static inline uint32_t yamux_rtt_ms(const yamux_t *y)
{
    return y->rtt_ms;
}
#endif

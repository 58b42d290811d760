/* http2: one connection of HTTP/2, client's or server's side, with nghttp2 inside: an engine without I/O.
 * Spec: RFC 9113, HPACK RFC 7541.
 *
 *   http2_feed(h, in); while (http2_next_event(h, &ev)) …; while (http2_output(h, &piece), piece.len) send
 *
 * A stream has head, content and trailers each way; it belongs to the session and to its user until both let
 * go (http2_release):
 *
 *   OPEN --http2_end--> HALF --the other side's end--> closed;  any reset, the session's end --> failed
 *
 * Bounds. The other side may have max_streams open and send what the windows allow: unread bytes of a stream
 * are at most stream_window, of the connection `window`; they are given back as the user reads. A head or its
 * trailers have at most HTTP2_FIELDS_MAX bytes, else the stream is reset. What is to be sent waits in its
 * stream, at most send_queue bytes. Answers that a peer provokes are bounded by nghttp2 (1,000 frames). */
#ifndef WIRE_HTTP2_H
#define WIRE_HTTP2_H
#include "base/bytes.h"
#include "wire/http_client.h"

#define HTTP2_FIELDS_MAX (16u << 10)

typedef struct http2 http2_t;
typedef struct http2_stream http2_stream_t;
typedef struct http2_config {
    bool is_client;
    uint32_t max_streams;           /* that the other side may have open; a client's are 0 */
    uint32_t stream_window, window; /* at least 65535 */
    size_t send_queue;              /* of each stream */
} http2_config_t;
void http2_config_default(bool is_client, http2_config_t *ret);

/* The preface and the settings are in the output. */
MUST_CHECK err_t http2_new(const http2_config_t *c, http2_t **ret);
void http2_free(http2_t *h); /* streams that have a user stay, failed, until released; NULL is fine */
/* Takes all of it. An error ends the session; what it has to say is in the output. ERR_PROTOCOL, ERR_LIMIT.
 */
MUST_CHECK err_t http2_feed(http2_t *h, bytes_t in);
/* The next piece to be sent, borrowed until the next call for this session; empty: nothing now. */
MUST_CHECK err_t http2_output(http2_t *h, bytes_t *ret_piece);
bool http2_is_over(const http2_t *h); /* neither side has more to say */
void http2_end_session(http2_t *h);   /* takes no new streams, says so; those that are open go on */
size_t http2_stream_count(const http2_t *h);

enum { HTTP2_NEWS_OPENED = 1, HTTP2_NEWS_READABLE = 2, HTTP2_NEWS_WRITABLE = 4, HTTP2_NEWS_CLOSED = 8 };
typedef struct http2_event {
    http2_stream_t *stream; /* OPENED: it is the taker's now, who releases it */
    void *user;
    uint8_t news;
} http2_event_t;
bool http2_next_event(http2_t *h, http2_event_t *ret_event);

/* Fields begin with the pseudo-fields (":method", …). ERR_AGAIN: the other side takes no more streams now;
 * ERR_CLOSED: it takes none at all. */
MUST_CHECK err_t http2_request(http2_t *h, const http_field_t *fields, size_t n, void *user,
                               http2_stream_t **ret);
void http2_set_user(http2_stream_t *s, void *user);
/* The head of an answer; once. has_content false: it is all of the answer. */
MUST_CHECK err_t http2_respond(http2_stream_t *s, const http_field_t *fields, size_t n, bool has_content);
size_t http2_room(const http2_stream_t *s); /* for http2_write; WRITABLE when there is more */
/* All of it, or ERR_AGAIN: no room; ERR_RESET: the stream has failed. */
MUST_CHECK err_t http2_write(http2_stream_t *s, bytes_t data);
/* Nothing more follows but these trailers (n 0: none). */
MUST_CHECK err_t http2_end(http2_stream_t *s, const http_field_t *trailers, size_t n);
/* OK and *ret_n > 0; OK and 0 at the end, when the trailers are there; ERR_AGAIN; ERR_RESET. */
MUST_CHECK err_t http2_read(http2_stream_t *s, uint8_t *out, size_t cap, size_t *ret_n);
bool http2_has_head(const http2_stream_t *s);
/* Values of the first such field, name in lower case; NULL when absent. */
const char *http2_field(const http2_stream_t *s, const char *name);
const char *http2_trailer(const http2_stream_t *s, const char *name);
bool http2_has_failed(const http2_stream_t *s);
void http2_reset(http2_stream_t *s);   /* the other side is told: CANCEL */
void http2_release(http2_stream_t *s); /* resets it unless it has ended; NULL is fine */
#endif

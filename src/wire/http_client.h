/* http_client: the client's side of HTTP/1.1 on one connection (RFC 9112), an engine without I/O.
 *
 *   http_client_init(&c, NULL);
 *   http_client_request(&c, &(http_request_t){.method = "POST", …});      → output
 *   http_client_write_body(&c, …); http_client_end_body(&c);              → output
 *   http_client_feed(&c, in, &used); while (http_client_next_event(&c, &ev)) …
 *
 *   IDLE ─request→ HEAD ─status line, headers→ BODY (length | chunks | until close) ─→ TRAILERS ─→ IDLE
 *     HEAD: 1xx answers are skipped; HEAD, 204 and 304 have no body
 *     any error → FAILED, where the engine stays
 *
 * One request at a time; after HTTP_EVENT_END the next one may follow when ev.keep_alive is true.
 * Whatever the split of the input, the events are the same but for where BODY events are cut.
 * Bounds: status line, headers and trailers 64 KiB each and 256 fields; chunk lines 4 KiB. The answer's
 * body is never held: BODY events borrow the caller's input. */
#ifndef WIRE_HTTP_CLIENT_H
#define WIRE_HTTP_CLIENT_H
#include "base/bytes.h"

#define HTTP_CLIENT_HEAD_MAX 65536
#define HTTP_CLIENT_FIELDS_MAX 256
#define HTTP_CLIENT_LINE_MAX 4096

typedef struct http_field {
    const char *name, *value; /* as sent, value without surrounding blanks */
} http_field_t;
typedef struct http_request {
    const char *method; /* "POST" */
    const char *target; /* "/api/v0/id?x=y", already percent-encoded */
    const char *host;   /* for the Host header */
    const http_field_t *fields;
    size_t n_fields;
    enum { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED } body;
    uint64_t body_bytes; /* with HTTP_BODY_LENGTH */
} http_request_t;

typedef struct http_event {
    enum {
        HTTP_EVENT_HEAD,    /* status and fields are there */
        HTTP_EVENT_BODY,    /* data: a piece of the body, borrowed from the input of the last feed */
        HTTP_EVENT_TRAILER, /* fields: the trailers; only when there are some */
        HTTP_EVENT_END,     /* the answer is whole */
    } kind;
    int status;
    bytes_t data;
    const http_field_t *fields; /* valid until the next http_client_request */
    size_t n_fields;
    bool keep_alive;
} http_event_t;

typedef struct http_client {
    enum {
        HTTP_IDLE,
        HTTP_HEAD,
        HTTP_LENGTH,
        HTTP_CHUNK_SIZE,
        HTTP_CHUNK_DATA,
        HTTP_CHUNK_END,
        HTTP_UNTIL_CLOSE,
        HTTP_TRAILERS,
        HTTP_ENDED,
        HTTP_FAILED
    } state;
    enum { HTTP_SEND_NONE, HTTP_SEND_LENGTH, HTTP_SEND_CHUNKED } sending;
    uint64_t send_left; /* body bytes that are still to be written, with HTTP_SEND_LENGTH */
    uint64_t left;      /* bytes of the body or chunk that are still to come */
    buf_t out;
    size_t out_sent;
    buf_t line; /* a head, trailer part or chunk line that is not whole yet */
    size_t scanned;
    buf_t text, trailer_text; /* names and values of the fields, NUL-terminated */
    http_field_t fields[HTTP_CLIENT_FIELDS_MAX];
    size_t n_fields, n_head_fields;
    int status;
    bool is_head_request, keep_alive, has_head_event, has_trailer_event, has_end_event;
    bytes_t data;
    err_t failure;
} http_client_t;

void http_client_init(http_client_t *c, size_t max_output_bytes); /* 0: 1 MiB */
void http_client_deinit(http_client_t *c);                        /* idempotent */
/* Writes a request head to the output. ERR_INVALID when a part holds control bytes or blanks where the
 * syntax has none, or an answer is still being read; ERR_LIMIT. */
MUST_CHECK err_t http_client_request(http_client_t *c, const http_request_t *r);
/* A piece of the request's body. ERR_LIMIT when the output is full: send, then write again; ERR_INVALID when
 * it is more than was announced or no body is being sent. */
MUST_CHECK err_t http_client_write_body(http_client_t *c, bytes_t data);
MUST_CHECK err_t http_client_end_body(http_client_t *c); /* ERR_INVALID: shorter than announced */
bool http_client_is_sending(const http_client_t *c);     /* a body that is not ended yet */
size_t http_client_output_room(const http_client_t *c);
/* Takes bytes of the answer. Stops at a BODY event, so feed what is left again after taking the events;
 * ret_used 0 with no event means that the answer has ended and the rest is not ours. ERR_PROTOCOL, ERR_LIMIT.
 */
MUST_CHECK err_t http_client_feed(http_client_t *c, bytes_t in, size_t *ret_used);
/* The connection has ended. ERR_EOF when the answer is not whole. */
MUST_CHECK err_t http_client_feed_end(http_client_t *c);
bool http_client_next_event(http_client_t *c, http_event_t *ret_event);
bytes_t http_client_output(const http_client_t *c);
void http_client_output_sent(http_client_t *c, size_t n);
/* The value of the first field with this name (any case) of the answer's head, NULL when absent. */
const char *http_client_field(const http_client_t *c, const char *name);
#endif

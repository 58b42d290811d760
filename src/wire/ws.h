/* ws: WebSocket (RFC 6455) as a byte stream, both roles, as libp2p uses it (libp2p/specs websockets): an
 * HTTP/1.1 handshake, then binary messages whose borders mean nothing. An engine without buffers for bulk
 * data: received content is unmasked in the caller's memory.
 *
 *   HANDSHAKE --answer or request taken--> OPEN --the peer's close--> ENDED;  any --error--> FAILED
 *
 * A handshake is at most WS_HEAD_MAX bytes. No extensions. Frames of content may have any length, since they
 * are handed on as they come. Pings are answered while the answers fit into WS_OUTPUT_MAX. */
#ifndef WIRE_WS_H
#define WIRE_WS_H
#include "base/bytes.h"
#include "base/prng.h"

#define WS_HEAD_MAX 8192
#define WS_OUTPUT_MAX 8192
#define WS_HEADER_MAX 14 /* of a frame */
#define WS_CONTROL_MAX 125
#define WS_ACCEPT_CHARS 28

typedef enum { WS_HANDSHAKE, WS_OPEN, WS_ENDED, WS_FAILED } ws_state_t;
typedef struct ws {
    ws_state_t state;
    bool is_client, has_sent_close;
    bool in_message; /* between the frames of a fragmented message */
    prng_t rng;      /* for masks: they need not be secret, only unlike what was sent before */
    buf_t out;       /* the handshake, answers to pings and close */
    buf_t head;      /* of the handshake, as far as it came */
    char accept[WS_ACCEPT_CHARS + 1];
    uint8_t header[WS_HEADER_MAX], header_len;
    uint64_t body_left; /* of the frame */
    uint8_t opcode, mask[4], mask_at;
    uint8_t control[WS_CONTROL_MAX], control_len;
} ws_t;

/* host: for the Host field; target: "/" mostly. The request is in the output. seed: fresh randomness, of
 * which the key and masks are made. ERR_INVALID: host or target cannot stand in a request. */
MUST_CHECK err_t ws_init_client(ws_t *w, const char *host, const char *target, uint64_t seed);
void ws_init_server(ws_t *w);
void ws_deinit(ws_t *w); /* idempotent */
static inline bytes_t ws_output(const ws_t *w)
{
    return buf_bytes(&w->out);
}
void ws_output_sent(ws_t *w, size_t len);

/* Takes the beginning of `in`, at least a byte unless the state is ENDED or len is 0. *ret_plain lies in
 * `in`, and may be empty. Errors are final: ERR_PROTOCOL, ERR_LIMIT; a server's refusal is then in the
 * output. */
MUST_CHECK err_t ws_feed(ws_t *w, uint8_t *in, size_t len, size_t *ret_used, bytes_t *ret_plain);
/* Appends a frame of content. Not before the handshake has ended. ERR_CLOSED: the stream has failed. */
MUST_CHECK err_t ws_seal(ws_t *w, bytes_t plain, buf_t *out);
/* Appends the frame that ends the stream, once; nothing before the handshake has ended. */
MUST_CHECK err_t ws_seal_end(ws_t *w, buf_t *out);

/* ── ws_handshake.c ──────────────────────────────────────────────────────────────────────────── */
/* The answer to this Sec-WebSocket-Key. */
MUST_CHECK err_t ws_accept_of(bytes_t key, char out[WS_ACCEPT_CHARS + 1]);
/* Makes the client's request; takes a whole head (up to its empty line) and answers it as a server, or judges
 * it as a client. */
MUST_CHECK err_t ws_handshake_request(ws_t *w, const char *host, const char *target);
MUST_CHECK err_t ws_handshake_take(ws_t *w, bytes_t head);
#endif

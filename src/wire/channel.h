/* channel: the secured channel of a connection, whichever protocol made it. One shape for all of them: frames
 * of the peer are opened where they lie in the caller's memory, pieces to send are sealed into it, and the
 * handshake is a channel that has output and takes frames without giving plaintext. What the calls do, and
 * their errors, is said in the header of the protocol. */
#ifndef WIRE_CHANNEL_H
#define WIRE_CHANNEL_H
#include "wire/noise.h"
#include "wire/tls.h"

/* Of a frame with its header; what sealing a small message adds. */
#define CHANNEL_FRAME_MAX (NOISE_PREFIX_BYTES + NOISE_FRAME_MAX)
#define CHANNEL_OVERHEAD_MAX (TLS_OVERHEAD + TLS_KEY_UPDATE_BYTES)
#define CHANNEL_END_MAX (TLS_OVERHEAD + 2)

typedef enum { CHANNEL_NONE, CHANNEL_NOISE, CHANNEL_TLS } channel_kind_t;
typedef struct channel {
    channel_kind_t kind; /* NONE: nothing to free, nothing else may be called */
    union {
        noise_t noise;
        tls_t tls;
    };
} channel_t;

void channel_deinit(channel_t *c); /* wipes keys; idempotent */
bool channel_is_open(const channel_t *c);
/* The protocol, as multistream-select names it; "" of NONE. */
const char *channel_protocol(const channel_t *c);
/* Of the handshake. */
bytes_t channel_output(const channel_t *c);
void channel_output_sent(channel_t *c, size_t len);
/* Bytes of a frame's header, and of the whole frame that begins with it; 0: none begins so. */
size_t channel_header_bytes(const channel_t *c);
size_t channel_frame_size(const channel_t *c, const uint8_t *header);
/* The largest frame that the peer may send now. */
size_t channel_frame_max(const channel_t *c);
MUST_CHECK err_t channel_feed(channel_t *c, uint8_t *in, size_t len, size_t *ret_used, bytes_t *ret_plain);
size_t channel_sealed_size(const channel_t *c, size_t plain_len);
MUST_CHECK err_t channel_seal(channel_t *c, const bytes_t *pieces, size_t n_pieces, uint8_t *out,
                              size_t *ret_len);
/* What tells the peer that the channel ends, and why; 0: nothing. Nothing is sealed after it. */
size_t channel_seal_end(channel_t *c, err_t why, uint8_t out[CHANNEL_END_MAX]);
/* When open: who the peer is, borrowed; the muxer agreed on in the handshake, NULL: none. */
const peer_id_t *channel_peer(const channel_t *c);
const char *channel_muxer(const channel_t *c);
#endif

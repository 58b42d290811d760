/* tls: libp2p's other secure channel, TLS 1.3. Spec: libp2p/specs tls, RFC 8446; checked against go-libp2p
 * 0.48. The handshake is crypto/tls13's, whom the peer's certificate proves is certificate's to say, and the
 * muxer is agreed on by ALPN. The records behind the handshake are made here, in the caller's memory and
 * without buffers, so that an idle channel is two keys.
 *
 *   HANDSHAKE --last record, identity proven--> OPEN --the peer's close_notify--> ENDED;  any --error-->
 * FAILED
 *
 * A record is a type, two bytes of version, two of length, and that many bytes of ciphertext and tag.
 * Sequence numbers move only after a tag was found right. Keys are renewed after TLS_RECORDS_PER_KEY records
 * and when the peer asks for it. A peer may send TLS_USELESS_MAX records without content in a row. */
#ifndef WIRE_TLS_H
#define WIRE_TLS_H
#include "crypto/tls13.h"
#include "multi/peer_id.h"

#define TLS_PROTOCOL "/tls/1.0.0"
#define TLS_HEADER_BYTES 5
#define TLS_PLAIN_MAX 16384
#define TLS_FRAME_MAX (TLS_HEADER_BYTES + TLS_PLAIN_MAX + 256)
#define TLS_OVERHEAD (TLS_HEADER_BYTES + 1 + AEAD_TAG_BYTES) /* of a record: header, type, tag */
#define TLS_KEY_UPDATE_BYTES (TLS_OVERHEAD + 5)
#define TLS_PIECES_MAX 64
#define TLS_RECORDS_PER_KEY (1ull << 24)
#define TLS_USELESS_MAX 32
#define TLS_OUTPUT_MAX 32768 /* of the handshake */

typedef enum { TLS_HANDSHAKE, TLS_OPEN, TLS_ENDED, TLS_FAILED } tls_state_t;

typedef struct tls_config {
    bool is_client;
    const tls13_identity_t *identity; /* borrowed until the handshake has ended */
    const peer_id_t *expected;        /* whom the peer must prove to be; NULL: anybody. Copied */
    uint64_t now_s;                   /* since 1970, for the peer's certificate */
    /* Early muxer negotiation, as in noise_config_t; at most 15. */
    const char *const *muxers;
    size_t n_muxers;
} tls_config_t;

typedef struct tls_direction {
    aead_t *aead;
    uint64_t sequence;
    uint8_t iv[12], secret[TLS13_SECRET_MAX_BYTES];
} tls_direction_t;

typedef struct tls_handshake tls_handshake_t;
typedef struct tls {
    tls_state_t state;
    tls_handshake_t *handshake; /* NULL when it has ended */
    aead_kind_t aead;
    hash_kind_t hash;
    tls_direction_t send, receive;
    bool must_update;      /* the peer asks for new keys of ours */
    uint8_t message[5];    /* of a handshake message behind the handshake: the beginning */
    uint8_t message_len;   /* of `message` */
    uint32_t message_left; /* to be skipped */
    uint32_t n_useless;    /* records in a row */
    buf_t out;             /* of the handshake, alerts too */
    const char *muxer;
    peer_id_t peer;
} tls_t;

/* A client's first record is in the output. ERR_CRYPTO. */
MUST_CHECK err_t tls_init(tls_t *t, const tls_config_t *c);
/* Opens a channel with the secrets of a handshake that took place elsewhere. */
MUST_CHECK err_t tls_init_open(tls_t *t, bool is_client, const tls13_secrets_t *secrets);
void tls_deinit(tls_t *t); /* wipes keys; idempotent */
static inline bytes_t tls_output(const tls_t *t)
{
    return buf_bytes(&t->out);
}
void tls_output_sent(tls_t *t, size_t len);

/* Takes one record at the start of `in`, as noise_feed; when open, *ret_plain may be empty. Errors are final:
 * ERR_CRYPTO (tag, certificate, another peer than expected, an alert), ERR_PROTOCOL, ERR_LIMIT, ERR_RESET:
 * the channel has ended. An alert may wait in the output after an error of the handshake. */
MUST_CHECK err_t tls_feed(tls_t *t, uint8_t *in, size_t len, size_t *ret_used, bytes_t *ret_plain);
/* Bytes of the record that begins with this header; 0: no record does. */
size_t tls_frame_size(const uint8_t header[TLS_HEADER_BYTES]);
/* Bytes that sealing plain_len bytes takes at most. */
static inline size_t tls_sealed_size(size_t plain_len)
{
    return plain_len + (plain_len + TLS_PLAIN_MAX - 1) / TLS_PLAIN_MAX * TLS_OVERHEAD + TLS_KEY_UPDATE_BYTES;
}
/* As noise_seal, with at most TLS_PIECES_MAX pieces. */
MUST_CHECK err_t tls_seal(tls_t *t, const bytes_t *pieces, size_t n_pieces, uint8_t *out, size_t *ret_len);
/* Seals the alert that ends the channel: close_notify after OK, else one for the error that ended it. out:
 * TLS_OVERHEAD + 2 bytes. The channel seals nothing after it. */
MUST_CHECK err_t tls_seal_end(tls_t *t, err_t why, uint8_t *out, size_t *ret_len);
#endif

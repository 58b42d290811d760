/* tls13: the handshake of TLS 1.3 between two sides that show a certificate each, as an engine without I/O,
 * with OpenSSL inside. It ends with the secrets of both directions: the records behind it are the caller's,
 * and so is the judgement about the other side's certificate. No resumption, no early data, no older version.
 * Spec: RFC 8446.
 *
 *   BUSY --tls13_feed: the last record of the handshake--> done;  any --error--> failed (an alert waits) */
#ifndef CRYPTO_TLS13_H
#define CRYPTO_TLS13_H
#include "crypto/aead.h"
#include "crypto/hash.h"

#define TLS13_SECRET_MAX_BYTES 48

/* A certificate with its key and OpenSSL's settings; shared by handshakes, which end before it is freed. */
typedef struct tls13_identity tls13_identity_t;
/* Both DER. ERR_CRYPTO. */
MUST_CHECK err_t tls13_identity_new(bytes_t certificate, bytes_t pkcs8, tls13_identity_t **ret);
void tls13_identity_free(tls13_identity_t *i); /* NULL is fine */

typedef struct tls13_config {
    const tls13_identity_t *identity; /* borrowed until the handshake is freed */
    bool is_client;
    /* ALPN: what we speak, best first, at most 16; the client's order decides. Borrowed as long. */
    const char *const *protocols;
    size_t n_protocols;
    /* Says whether the other side's only certificate, DER, is the right one. */
    err_t (*check)(void *arg, bytes_t certificate);
    void *arg;
} tls13_config_t;

/* What a direction is sealed with, and where its keys come from. */
typedef struct tls13_secrets {
    aead_kind_t aead;
    hash_kind_t hash;
    uint8_t len; /* of each */
    uint8_t client[TLS13_SECRET_MAX_BYTES], server[TLS13_SECRET_MAX_BYTES];
} tls13_secrets_t;

typedef struct tls13 tls13_t;
/* A client's first message is in the output. */
MUST_CHECK err_t tls13_new(const tls13_config_t *c, tls13_t **ret);
void tls13_free(tls13_t *t); /* NULL is fine */
/* Takes one whole record. ERR_CRYPTO and what `check` gave. */
MUST_CHECK err_t tls13_feed(tls13_t *t, bytes_t record);
/* Moves what is to be sent to the end of out: also after an error. ERR_LIMIT. */
MUST_CHECK err_t tls13_output(tls13_t *t, buf_t *out);
bool tls13_is_done(const tls13_t *t);
/* When done; borrowed. The protocol is empty when none was agreed on. */
const tls13_secrets_t *tls13_secrets(const tls13_t *t);
bytes_t tls13_protocol(const tls13_t *t);

/* HKDF-Expand-Label (RFC 8446, 7.1) with an empty context; out_len: at most the hash's. */
MUST_CHECK err_t tls13_expand_label(hash_kind_t hash, bytes_t secret, const char *label, uint8_t *out,
                                    size_t out_len);
#endif

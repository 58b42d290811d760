/* certificate: how a peer proves who it is in TLS 1.3, over TCP and inside QUIC: a self-signed certificate
 * with a key of its own, and in an extension the peer's public key with its signature over that. Spec:
 * libp2p/specs tls. The certificate's own signature is checked too, which go-libp2p 0.48 leaves out. */
#ifndef WIRE_CERTIFICATE_H
#define WIRE_CERTIFICATE_H
#include "crypto/x509.h"
#include "multi/peer_id.h"

typedef struct certificate {
    buf_t der;   /* X.509 */
    buf_t pkcs8; /* its private key, DER; secret */
} certificate_t;
/* A fresh one for the peer with this key. */
MUST_CHECK err_t certificate_new(const private_key_t *identity, certificate_t *ret);
void certificate_deinit(certificate_t *c); /* wipes the key; idempotent */
/* Whom the certificate proves the other side to be, given that it proves to have its key. now_s: seconds
 * since 1970. ERR_INVALID, ERR_LIMIT, ERR_CRYPTO: a signature is wrong. */
MUST_CHECK err_t certificate_verify(bytes_t der, uint64_t now_s, peer_id_t *ret_peer);
#endif

/* quic_tls: TLS 1.3 for QUIC with libp2p's certificates, by GnuTLS. Spec: RFC 9001; libp2p/specs tls. */
#ifndef WIRE_QUIC_TLS_H
#define WIRE_QUIC_TLS_H
#include "multi/peer_id.h"
#include <gnutls/gnutls.h>

typedef struct quic_tls quic_tls_t; /* our certificate, and what is spoken */
MUST_CHECK err_t quic_tls_new(const private_key_t *identity, quic_tls_t **ret);
void quic_tls_free(quic_tls_t *t); /* NULL is fine */
/* A session whose pointer (gnutls_session_set_ptr) is `ptr`; the certificate of the other side goes to
 * `verify`, which returns 0 or a failure. ERR_NO_MEMORY, ERR_CRYPTO. */
MUST_CHECK err_t quic_tls_session(const quic_tls_t *t, bool is_server, void *ptr,
                                  int (*verify)(gnutls_session_t), gnutls_session_t *ret);
/* The only certificate of the other side, borrowed. ERR_CRYPTO: there is none, or a chain. */
MUST_CHECK err_t quic_tls_certificate(gnutls_session_t session, bytes_t *ret_der);
#endif

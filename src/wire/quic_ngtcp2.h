/* quic_ngtcp2: ngtcp2 by the names that it has from 1.0 on. For 0.12 (Debian 12, Ubuntu 24.04) they are given
 * here; what a name cannot bridge is a function. */
#ifndef WIRE_QUIC_NGTCP2_H
#define WIRE_QUIC_NGTCP2_H
#include "base/bytes.h"
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#if NGTCP2_VERSION_NUM >= 0x010000

typedef ngtcp2_connection_id_status_type quic_cid_status_t;
#define QUIC_CC_BBR2 NGTCP2_CC_ALGO_BBR /* which is version 2 here */
/* A parameter of the callback path_validation that only these versions have. */
#define QUIC_PATH_BEFORE const ngtcp2_path *before,
/* The parameters of the callback recv_new_token, and what they mean. */
#define QUIC_NEW_TOKEN const uint8_t *token, size_t len
#define QUIC_NEW_TOKEN_BYTES bytes_of(token, len)

static inline bytes_t quic_token_of(const ngtcp2_pkt_hd *hd)
{
    return bytes_of(hd->token, hd->tokenlen);
}

/* The token of a client's first packet: of a retry, or of an earlier connection. Copied by ngtcp2. */
static inline void quic_put_token(ngtcp2_settings *s, bytes_t token, bool is_retry)
{
    s->token = token.len ? token.data : NULL;
    s->tokenlen = token.len;
    if (token.len)
        s->token_type = is_retry ? NGTCP2_TOKEN_TYPE_RETRY : NGTCP2_TOKEN_TYPE_NEW_TOKEN;
}

static inline void quic_put_odcid(ngtcp2_transport_params *p, const ngtcp2_cid *cid)
{
    p->original_dcid = *cid;
    p->original_dcid_present = 1;
}

static inline void quic_get_ccerr(ngtcp2_conn *conn, ngtcp2_ccerr *ret)
{
    *ret = *ngtcp2_conn_get_ccerr(conn);
}

#else

typedef int quic_cid_status_t;
#define QUIC_CC_BBR2 NGTCP2_CC_ALGO_BBR2
typedef ngtcp2_crypto_level ngtcp2_encryption_level;
typedef ngtcp2_conn_stat ngtcp2_conn_info;
typedef ngtcp2_connection_close_error ngtcp2_ccerr;
#define QUIC_PATH_BEFORE
#define QUIC_NEW_TOKEN const ngtcp2_vec *token
#define QUIC_NEW_TOKEN_BYTES bytes_of(token->base, token->len)
#define NGTCP2_CCERR_TYPE_APPLICATION NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION
#define ngtcp2_ccerr_default ngtcp2_connection_close_error_default
#define ngtcp2_ccerr_set_application_error ngtcp2_connection_close_error_set_application_error
#define ngtcp2_ccerr_set_liberr ngtcp2_connection_close_error_set_transport_error_liberr
#define ngtcp2_ccerr_set_tls_alert ngtcp2_connection_close_error_set_transport_error_tls_alert
#define ngtcp2_conn_get_conn_info(conn, info) ngtcp2_conn_get_conn_stat(conn, info)
#define ngtcp2_conn_shutdown_stream_write(conn, flags, id, code)                                             \
    ngtcp2_conn_shutdown_stream_write(conn, id, code)
#define ngtcp2_conn_shutdown_stream_read(conn, flags, id, code)                                              \
    ngtcp2_conn_shutdown_stream_read(conn, id, code)

static inline bytes_t quic_token_of(const ngtcp2_pkt_hd *hd)
{
    return bytes_of(hd->token.base, hd->token.len);
}

static inline void quic_put_token(ngtcp2_settings *s, bytes_t token, bool is_retry)
{
    s->token = (ngtcp2_vec){(uint8_t *)(uintptr_t)token.data, token.len};
}

static inline void quic_put_odcid(ngtcp2_transport_params *p, const ngtcp2_cid *cid)
{
    p->original_dcid = *cid;
}

static inline void quic_get_ccerr(ngtcp2_conn *conn, ngtcp2_ccerr *ret)
{
    ngtcp2_conn_get_connection_close_error(conn, ret);
}

#endif
#endif

/* tls_stream: TLS as a stream, over crypto's engine. */
#ifndef NET_TLS_STREAM_H
#define NET_TLS_STREAM_H
#include "crypto/tls_client.h"
#include "task/driver.h"

/* Shakes hands, then *ret carries plain bytes; it owns both. head: what was read of raw already. Takes raw
 * and tls in any case. ERR_CRYPTO, ERR_RESET, errors of the stream. */
MUST_CHECK err_t tls_stream_start(task_t *t, tls_client_t *tls, stream_t *raw, bytes_t head, stream_t **ret);
#endif

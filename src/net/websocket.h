/* websocket: streams that are WebSocket connections, perhaps over TLS of the web. Not for other folders. */
#ifndef NET_WEBSOCKET_H
#define NET_WEBSOCKET_H
#include "crypto/tls_server.h"
#include "net/host_internal.h"
#include "net/transport.h"

/* Both take `raw` in any case, and give a stream that is ready for bytes. head: what was read of it already.
 * Errors: ERR_PROTOCOL, ERR_CRYPTO (TLS), and those of the stream. */
MUST_CHECK err_t websocket_dial(task_t *t, host_t *h, const endpoint_t *to, stream_t *raw, stream_t **ret);
MUST_CHECK err_t websocket_accept(task_t *t, host_t *h, transport_t transport, stream_t *raw, bytes_t head,
                                  stream_t **ret);
/* web_tls.c: the client's side of TLS of the web, for the host of this name or address. Takes raw in any
 * case. */
MUST_CHECK err_t web_tls_dial(task_t *t, const char *host, stream_t *raw, stream_t **ret);
/* The server's side; head: what was read already. Takes raw in any case. */
MUST_CHECK err_t web_tls_accept(task_t *t, tls_server_t *server, stream_t *raw, bytes_t head, stream_t **ret);
#endif

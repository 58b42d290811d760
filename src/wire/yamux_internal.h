/* yamux_internal: what yamux.c (session), yamux_stream.c (streams) and yamux_output.c (frames) share. */
#ifndef WIRE_YAMUX_INTERNAL_H
#define WIRE_YAMUX_INTERNAL_H
#include "wire/yamux.h"

enum { YAMUX_DATA = 0, YAMUX_WINDOW = 1, YAMUX_PING = 2, YAMUX_GO_AWAY = 3 };
enum { YAMUX_SYN = 1, YAMUX_ACK = 2, YAMUX_FIN = 4, YAMUX_RST = 8 };

void yamux_put_header(uint8_t out[YAMUX_HEADER_BYTES], uint8_t type, uint16_t flags, uint32_t id,
                      uint32_t len);
/* Queues a frame that belongs to no stream state. ERR_LIMIT: the peer does not read. */
MUST_CHECK err_t yamux_put_control(yamux_t *y, uint8_t type, uint16_t flags, uint32_t id, uint32_t len);

yamux_stream_t *yamux_find(const yamux_t *y, uint32_t id);
MUST_CHECK err_t yamux_stream_new(yamux_t *y, uint32_t id, bool is_inbound, yamux_stream_t **ret);
/* Out of the session and freed, unless a user holds it. */
void yamux_stream_detach(yamux_stream_t *s, err_t reason);
void yamux_stream_free_if_over(yamux_stream_t *s);
void yamux_stream_schedule(yamux_stream_t *s); /* it has something to send */
void yamux_stream_tell(yamux_stream_t *s, uint8_t news);
void yamux_stream_acked(yamux_stream_t *s);
/* Ends both directions; drops what is queued. */
void yamux_stream_end(yamux_stream_t *s, err_t reason);
/* Received data of a frame that was checked against the window; the rest of a refused body is skipped. */
void yamux_stream_take(yamux_stream_t *s, bytes_t data);
void yamux_stream_take_fin(yamux_stream_t *s);
MUST_CHECK err_t yamux_stream_widen(yamux_stream_t *s,
                                    uint32_t by); /* the peer's window update; ERR_PROTOCOL */
/* Bytes that the peer may be allowed to send besides those that it was. */
uint32_t yamux_stream_free_window(const yamux_stream_t *s);
#endif

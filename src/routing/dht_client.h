/* dht_client: requests of one DHT to other nodes. A stream is kept for a minute after its request, one per
 * peer, and used again. One request at a time has a stream, so that answers cannot be mixed up; those who ask
 * a peer meanwhile get streams of their own.
 *
 * The trap: the specification lets a peer echo ADD_PROVIDER, the reference sends nothing. So nothing is
 * awaited after ADD_PROVIDER; when the stream is used again, as many ADD_PROVIDER messages as were sent on it
 * are passed over in front of the answer. Anything else that is not the answer to the request ends the
 * stream. */
#ifndef ROUTING_DHT_CLIENT_H
#define ROUTING_DHT_CLIENT_H
#include "base/map.h"
#include "net/host.h"
#include "wire/kad.h"

typedef struct dht_client {
    host_t *host;
    const char *protocol;
    map_t idle;    /* peer id -> idle_stream_t */
    list_t by_age; /* of idle_stream_t, the oldest first */
    sched_alarm_t expiry;
    uint64_t sent;
    bool is_closed;
} dht_client_t;
void dht_client_init(dht_client_t *c, host_t *h, const char *protocol);
void dht_client_close(dht_client_t *c); /* closes the idle streams; idempotent */

enum { DHT_REQUEST_TIMEOUT_MS = 10000, DHT_IDLE_STREAM_MS = 60000, DHT_MAX_IDLE_STREAMS = 256 };

/* Sends the request (its type and key are `type`, `key`) and waits for its answer, which borrows from
 * `answer`. Dials when needed. Errors: those of host_open_stream; ERR_TIMEOUT; ERR_PROTOCOL: an answer to
 * something else; ERR_EOF, ERR_RESET: the peer refused; those of kad_decode. */
MUST_CHECK err_t dht_client_ask(task_t *t, dht_client_t *c, const peer_id_t *to, bytes_t request,
                                kad_type_t type, bytes_t key, buf_t *answer, kad_message_t *ret);
/* Sends a message that has no answer: ADD_PROVIDER. OK: it was handed over. */
MUST_CHECK err_t dht_client_tell(task_t *t, dht_client_t *c, const peer_id_t *to, bytes_t message);
#endif

/* fetch: one value by its key from one peer, /libp2p/fetch/0.0.1: how a node that follows a name asks those
 * who followed it before. A codec. Spec: libp2p/specs fetch/README.md; request {identifier 1}, answer {status
 * 1, data 2}, each behind a uvarint length, one of each per stream. */
#ifndef WIRE_FETCH_H
#define WIRE_FETCH_H
#include "base/pb.h"

#define FETCH_PROTOCOL "/libp2p/fetch/0.0.1"
#define FETCH_KEY_MAX_BYTES 256
#define FETCH_REQUEST_MAX_BYTES 512
#define FETCH_VALUE_MAX_BYTES (64u << 10)
#define FETCH_ANSWER_MAX_BYTES (FETCH_VALUE_MAX_BYTES + 64)

typedef enum { FETCH_OK = 0, FETCH_NOT_FOUND = 1, FETCH_ERROR = 2 } fetch_status_t;

void fetch_put_request(writer_t *w, bytes_t key);
void fetch_put_answer(writer_t *w, fetch_status_t status, bytes_t value);
/* Both borrow from the input. ERR_INVALID, ERR_EOF, ERR_LIMIT. */
MUST_CHECK err_t fetch_decode_request(bytes_t in, bytes_t *ret_key);
/* ERR_NOT_FOUND, also for a status that is neither of the above. */
MUST_CHECK err_t fetch_decode_answer(bytes_t in, bytes_t *ret_value);
#endif

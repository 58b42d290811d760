/* grpc: what gRPC adds to HTTP/2: messages with a prefix, a status, a time limit. Codecs, and the reader of
 * messages. Spec: grpc/grpc doc/PROTOCOL-HTTP2.md, doc/statuscodes.md. No compression is spoken. */
#ifndef WIRE_GRPC_H
#define WIRE_GRPC_H
#include "base/bytes.h"

#define GRPC_PREFIX_BYTES 5
#define GRPC_TIMEOUT_TEXT_MAX 16
#define GRPC_MESSAGE_TEXT_MAX 1024 /* of a status, percent-encoded */

typedef enum grpc_status {
    GRPC_OK,
    GRPC_CANCELLED,
    GRPC_UNKNOWN,
    GRPC_INVALID_ARGUMENT,
    GRPC_DEADLINE_EXCEEDED,
    GRPC_NOT_FOUND,
    GRPC_ALREADY_EXISTS,
    GRPC_PERMISSION_DENIED,
    GRPC_RESOURCE_EXHAUSTED,
    GRPC_FAILED_PRECONDITION,
    GRPC_ABORTED,
    GRPC_OUT_OF_RANGE,
    GRPC_UNIMPLEMENTED,
    GRPC_INTERNAL,
    GRPC_UNAVAILABLE,
    GRPC_DATA_LOSS,
    GRPC_UNAUTHENTICATED,
    GRPC_STATUS_COUNT
} grpc_status_t;
grpc_status_t grpc_status_of(err_t e);
err_t grpc_error_of(grpc_status_t s);
/* The text of a "grpc-status" field; what is none of them is GRPC_UNKNOWN, NULL too. */
grpc_status_t grpc_status_parse(const char *text);
/* What the status of an HTTP answer that is not gRPC's means. */
grpc_status_t grpc_status_of_http(int status);

void grpc_prefix_encode(size_t len, uint8_t out[GRPC_PREFIX_BYTES]);
/* ERR_UNSUPPORTED: a compressed message; ERR_LIMIT: over max_bytes. */
MUST_CHECK err_t grpc_prefix_decode(const uint8_t in[GRPC_PREFIX_BYTES], size_t max_bytes, size_t *ret_len);

/* "grpc-timeout": at most 8 digits and a unit; printed rounded up. ERR_INVALID. */
const char *grpc_timeout_print(uint64_t ms, char out[GRPC_TIMEOUT_TEXT_MAX]);
MUST_CHECK err_t grpc_timeout_parse(const char *text, uint64_t *ret_ms);

/* "grpc-message": cut to GRPC_MESSAGE_TEXT_MAX. Decoding leaves what is no escape as it is. */
void grpc_message_encode(const char *text, char out[GRPC_MESSAGE_TEXT_MAX]);
void grpc_message_decode(const char *text, char out[GRPC_MESSAGE_TEXT_MAX]);
#endif

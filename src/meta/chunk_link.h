/* chunk_link: chunks over gRPC: what clients and nodes ask storage nodes for. One call each; the task's
 * deadline counts. */
#ifndef META_CHUNK_LINK_H
#define META_CHUNK_LINK_H
#include "meta/chunk_store.h"
#include "net/grpc.h"
#include <protobuf-c/protobuf-c.h>

/* Appends length bytes (0: to the end) from offset on. ERR_NOT_FOUND, ERR_DENIED. Not verified. */
MUST_CHECK err_t chunk_link_get(task_t *t, grpc_conn_t *c, const chunk_id_t *id, const char *ticket,
                                uint64_t offset, uint64_t length, buf_t *out);
/* Durable there when it returns OK. */
MUST_CHECK err_t chunk_link_put(task_t *t, grpc_conn_t *c, const chunk_id_t *id, const char *ticket,
                                bytes_t data, char ret_receipt[TICKET_TEXT_MAX]);
/* Packs a message of the proto files and sends it. */
MUST_CHECK err_t chunk_link_send(task_t *t, grpc_call_t *c, const ProtobufCMessage *m);
#endif

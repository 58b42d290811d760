#include "meta/chunk_link.h"
#include "wire/storage.pb-c.h"
#include <stdlib.h>

enum { PIECE_BYTES = 256 << 10 };

typedef Distribute__Storage__V1__GetRequest get_request_t;
typedef Distribute__Storage__V1__GetResponse get_response_t;
typedef Distribute__Storage__V1__PutHead put_head_t;
typedef Distribute__Storage__V1__PutRequest put_request_t;
typedef Distribute__Storage__V1__PutResponse put_response_t;

err_t chunk_link_send(task_t *t, grpc_call_t *c, const ProtobufCMessage *m)
{
    size_t len = protobuf_c_message_get_packed_size(m);
    uint8_t *packed = xmalloc(len ? len : 1);
    protobuf_c_message_pack(m, packed);
    err_t e = grpc_send(t, c, bytes_of(packed, len));
    free(packed);
    return e;
}

/* ── get ─────────────────────────────────────────────────────────────────────────────────────── */

static err_t ask(task_t *t, grpc_call_t *call, const chunk_id_t *id, const char *ticket, uint64_t offset,
                 uint64_t length)
{
    get_request_t r = DISTRIBUTE__STORAGE__V1__GET_REQUEST__INIT;
    r.id = (ProtobufCBinaryData){sizeof *id, (uint8_t *)id->sha256};
    r.ticket = (char *)ticket;
    r.offset = offset;
    r.length = length;
    TRY(chunk_link_send(t, call, &r.base));
    return grpc_send_end(call);
}

static err_t read_pieces(task_t *t, grpc_call_t *call, buf_t *out)
{
    AUTO(buf_t) message = {0};
    buf_init(&message, GRPC_MESSAGE_MAX);
    err_t e;
    while (!(e = grpc_recv(t, call, &message))) {
        get_response_t *r = distribute__storage__v1__get_response__unpack(NULL, message.len, message.data);
        if (!r)
            return fail(ERR_PROTOCOL, "a storage node's answer cannot be read");
        e = buf_append(out, bytes_of(r->data.data, r->data.len));
        distribute__storage__v1__get_response__free_unpacked(r, NULL);
        TRY(e);
    }
    return e == ERR_EOF ? OK : e;
}

err_t chunk_link_get(task_t *t, grpc_conn_t *c, const chunk_id_t *id, const char *ticket, uint64_t offset,
                     uint64_t length, buf_t *out)
{
    AUTO_PTR(grpc_call_t) call = NULL;
    TRY(grpc_call_open(t, c, "/distribute.storage.v1.ChunkStore/Get", NULL, 0, &call));
    err_t e = ask(t, call, id, ticket, offset, length);
    return e && e != ERR_RESET ? e : read_pieces(t, call, out); /* a refusal says more than the reset */
}

/* ── put ─────────────────────────────────────────────────────────────────────────────────────── */

static err_t send_chunk(task_t *t, grpc_call_t *call, const chunk_id_t *id, const char *ticket, bytes_t data)
{
    put_head_t head = DISTRIBUTE__STORAGE__V1__PUT_HEAD__INIT;
    head.id = (ProtobufCBinaryData){sizeof *id, (uint8_t *)id->sha256};
    head.size = data.len;
    head.ticket = (char *)ticket;
    bool is_first = true;
    do {
        put_request_t r = DISTRIBUTE__STORAGE__V1__PUT_REQUEST__INIT;
        bytes_t piece = bytes_slice(data, 0, PIECE_BYTES);
        r.head = is_first ? &head : NULL;
        r.data = (ProtobufCBinaryData){piece.len, (uint8_t *)piece.data};
        is_first = false;
        TRY(chunk_link_send(t, call, &r.base));
        data = bytes_slice(data, piece.len, data.len);
    } while (data.len);
    return grpc_send_end(call);
}

static err_t read_receipt(task_t *t, grpc_call_t *call, char ret_receipt[TICKET_TEXT_MAX])
{
    AUTO(buf_t) message = {0};
    buf_init(&message, 4096);
    err_t e = grpc_recv(t, call, &message);
    TRY(e == ERR_EOF ? fail(ERR_PROTOCOL, "a storage node gives no receipt") : e);
    put_response_t *r = distribute__storage__v1__put_response__unpack(NULL, message.len, message.data);
    bool is_fit = r && strlen(r->receipt) < TICKET_TEXT_MAX;
    if (is_fit)
        snprintf(ret_receipt, TICKET_TEXT_MAX, "%s", r->receipt);
    distribute__storage__v1__put_response__free_unpacked(r, NULL);
    TRY(is_fit ? OK : fail(ERR_PROTOCOL, "a storage node's receipt cannot be read"));
    e = grpc_recv(t, call, &message);
    return e == ERR_EOF ? OK : e ? e : fail(ERR_PROTOCOL, "a storage node answers twice");
}

err_t chunk_link_put(task_t *t, grpc_conn_t *c, const chunk_id_t *id, const char *ticket, bytes_t data,
                     char ret_receipt[TICKET_TEXT_MAX])
{
    AUTO_PTR(grpc_call_t) call = NULL;
    TRY(grpc_call_open(t, c, "/distribute.storage.v1.ChunkStore/Put", NULL, 0, &call));
    err_t e = send_chunk(t, call, id, ticket, data);
    return e && e != ERR_RESET ? e : read_receipt(t, call, ret_receipt);
}

/* fileserver_calls: the calls of proto/storage.proto and proto/health.proto. */
#include "api/fileserver_internal.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/version.h"
#include "meta/chunk_link.h"
#include "wire/health.pb-c.h"
#include "wire/storage.pb-c.h"
#include <stdlib.h>

#define CALL(name) "/distribute.storage.v1.ChunkStore/" name
enum { REQUEST_MAX = 1u << 20, PIECE_BYTES = 256 << 10, LONG_CALL_MS = 24 * 3600000 };

/* Messages of protobuf-c by their names in the proto file. */
#define MESSAGE(name) Distribute__Storage__V1__##name
#define UNPACK(small, b) distribute__storage__v1__##small##__unpack(NULL, (b)->len, (b)->data)
#define FREE(small, m) distribute__storage__v1__##small##__free_unpacked((m), NULL)

/* ── messages ────────────────────────────────────────────────────────────────────────────────── */

static err_t malformed(void)
{
    return fail(ERR_INVALID, "the request is not the message that this call takes");
}

/* The only message of a request. */
static err_t read_request(task_t *t, grpc_call_t *c, buf_t *out)
{
    buf_init(out, REQUEST_MAX);
    err_t e = grpc_recv(t, c, out);
    return e == ERR_EOF ? fail(ERR_INVALID, "the request has no message") : e;
}

static err_t take_id(const ProtobufCBinaryData *in, chunk_id_t *ret)
{
    if (in->len != CHUNK_ID_BYTES)
        return fail(ERR_INVALID, "the id of a chunk has %d bytes, not %zu", CHUNK_ID_BYTES, in->len);
    memcpy(ret->sha256, in->data, CHUNK_ID_BYTES);
    return OK;
}

static node_service_t *service_of(void *arg)
{
    return ((fileserver_t *)arg)->service;
}

static err_t ready(void *arg)
{
    return service_of(arg) ? OK : fail(ERR_OFFLINE, "this storage node is still starting");
}

static bool is_from_node(task_t *t, grpc_call_t *c, node_service_t *s)
{
    const uint8_t *peer = grpc_call_peer(c);
    return peer && node_service_knows(t, s, peer);
}

static err_t need_node(task_t *t, grpc_call_t *c, node_service_t *s)
{
    return is_from_node(t, c, s) ? OK
                                 : fail(ERR_DENIED, "this call is for storage nodes of the same service");
}

/* ── put ─────────────────────────────────────────────────────────────────────────────────────── */

typedef struct putting {
    chunk_id_t id;
    uint64_t size;
    char ticket[TICKET_TEXT_MAX];
    buf_t data;
    bool has_head;
} putting_t;

static err_t take_head(task_t *t, node_service_t *s, const MESSAGE(PutHead) * head, putting_t *p)
{
    if (p->has_head)
        return fail(ERR_INVALID, "a chunk has one head");
    if (head->size > CHUNK_MAX_BYTES)
        return fail(ERR_LIMIT, "a chunk has at most %u bytes", CHUNK_MAX_BYTES);
    if (strlen(head->ticket) >= sizeof p->ticket)
        return fail(ERR_DENIED, "that is no ticket");
    TRY(take_id(&head->id, &p->id));
    snprintf(p->ticket, sizeof p->ticket, "%s", head->ticket);
    TRY(node_service_check_put(t, s, p->ticket, &p->id, head->size));
    p->size = head->size;
    p->has_head = true;
    return OK;
}

static err_t take_piece(task_t *t, node_service_t *s, const buf_t *message, putting_t *p)
{
    MESSAGE(PutRequest) *r = UNPACK(put_request, message);
    if (!r)
        return malformed();
    err_t e = r->head ? take_head(t, s, r->head, p) : p->has_head ? OK : malformed();
    if (!e && p->data.len + r->data.len > p->size)
        e = fail(ERR_INVALID, "more bytes came than the head announced");
    if (!e)
        e = buf_append(&p->data, bytes_of(r->data.data, r->data.len));
    FREE(put_request, r);
    return e;
}

static err_t put(task_t *t, grpc_call_t *c, void *arg)
{
    putting_t p = {0};
    AUTO(buf_t) message = {0};
    char receipt[TICKET_TEXT_MAX];
    MESSAGE(PutResponse) answer = DISTRIBUTE__STORAGE__V1__PUT_RESPONSE__INIT;
    bool was_present;
    err_t e;
    TRY(ready(arg));
    buf_init(&message, REQUEST_MAX);
    buf_init(&p.data, CHUNK_MAX_BYTES);
    while (!(e = grpc_recv(t, c, &message)) && !(e = take_piece(t, service_of(arg), &message, &p)))
        ;
    if (e == ERR_EOF)
        e = !p.has_head || p.data.len != p.size ? fail(ERR_INVALID, "the chunk is not whole") : OK;
    if (!e)
        e = node_service_put(t, service_of(arg), p.ticket, &p.id, &p.data, &was_present, receipt);
    buf_deinit(&p.data);
    TRY(e);
    answer.was_present = was_present;
    answer.node = (char *)node_service_id(service_of(arg));
    answer.receipt = receipt;
    return chunk_link_send(t, c, &answer.base);
}

/* ── get ─────────────────────────────────────────────────────────────────────────────────────── */

static err_t send_range(task_t *t, grpc_call_t *c, const block_t *b, uint64_t offset, uint64_t length)
{
    if (offset > b->len)
        return fail(ERR_INVALID, "the chunk has %zu bytes: nothing begins at %llu", b->len,
                    (unsigned long long)offset);
    bytes_t left = bytes_slice(block_bytes(b), offset, length ? length : b->len);
    bool is_first = true;
    do {
        MESSAGE(GetResponse) answer = DISTRIBUTE__STORAGE__V1__GET_RESPONSE__INIT;
        bytes_t piece = bytes_slice(left, 0, PIECE_BYTES);
        answer.data = (ProtobufCBinaryData){piece.len, (uint8_t *)piece.data};
        answer.size = is_first ? b->len : 0;
        is_first = false;
        TRY(chunk_link_send(t, c, &answer.base));
        left = bytes_slice(left, piece.len, left.len);
    } while (left.len);
    return OK;
}

static err_t get(task_t *t, grpc_call_t *c, void *arg)
{
    AUTO(buf_t) message = {0};
    AUTO_PTR(block_t) block = NULL;
    chunk_id_t id;
    TRY(ready(arg));
    TRY(read_request(t, c, &message));
    MESSAGE(GetRequest) *r = UNPACK(get_request, &message);
    if (!r)
        return malformed();
    err_t e = take_id(&r->id, &id);
    bool is_node = !e && !*r->ticket && is_from_node(t, c, service_of(arg));
    if (!e)
        e = node_service_get(t, service_of(arg), r->ticket, is_node, &id, &block);
    if (!e)
        e = send_range(t, c, block, r->offset, r->length);
    FREE(get_request, r);
    return e;
}

/* ── has, delete ─────────────────────────────────────────────────────────────────────────────── */

static err_t take_ids(const ProtobufCBinaryData *in, size_t n, chunk_id_t **ret)
{
    if (n > CHUNKS_PER_CALL)
        return fail(ERR_LIMIT, "a call names at most %d chunks", CHUNKS_PER_CALL);
    chunk_id_t *ids = xcalloc(n ? n : 1, sizeof *ids);
    for (size_t i = 0; i < n; i++) {
        err_t e = take_id(&in[i], &ids[i]);
        if (e) {
            free(ids);
            return e;
        }
    }
    *ret = ids;
    return OK;
}

static err_t has(task_t *t, grpc_call_t *c, void *arg)
{
    AUTO(buf_t) message = {0};
    MESSAGE(HasResponse) answer = DISTRIBUTE__STORAGE__V1__HAS_RESPONSE__INIT;
    chunk_id_t *ids = NULL;
    TRY(ready(arg));
    TRY(read_request(t, c, &message));
    MESSAGE(HasRequest) *r = UNPACK(has_request, &message);
    if (!r)
        return malformed();
    err_t e = take_ids(r->ids, r->n_ids, &ids);
    if (!e) {
        protobuf_c_boolean *present = xcalloc(r->n_ids ? r->n_ids : 1, sizeof *present);
        for (size_t i = 0; i < r->n_ids; i++)
            present[i] = chunk_store_has(t, node_service_chunks(service_of(arg)), &ids[i], NULL);
        answer.n_present = r->n_ids;
        answer.present = present;
        e = chunk_link_send(t, c, &answer.base);
        free(present);
    }
    free(ids);
    FREE(has_request, r);
    return e;
}

static err_t delete (task_t *t, grpc_call_t *c, void *arg)
{
    AUTO(buf_t) message = {0};
    MESSAGE(DeleteResponse) answer = DISTRIBUTE__STORAGE__V1__DELETE_RESPONSE__INIT;
    chunk_id_t *ids = NULL;
    size_t deleted = 0;
    TRY(ready(arg));
    TRY(need_node(t, c, service_of(arg)));
    TRY(read_request(t, c, &message));
    MESSAGE(DeleteRequest) *r = UNPACK(delete_request, &message);
    if (!r)
        return malformed();
    err_t e = take_ids(r->ids, r->n_ids, &ids);
    if (!e)
        e = node_service_delete(t, service_of(arg), ids, r->n_ids, &deleted);
    free(ids);
    FREE(delete_request, r);
    TRY(e);
    answer.deleted = (uint32_t)deleted;
    return chunk_link_send(t, c, &answer.base);
}

/* ── replicate, stat, health ─────────────────────────────────────────────────────────────────── */

static err_t take_copy(const MESSAGE(ReplicateRequest) * r, node_copy_t *ret)
{
    *ret = (node_copy_t){.size_bytes = r->size};
    if (r->n_from > NODE_FROM_MAX || strlen(r->ticket) >= sizeof ret->ticket)
        return fail(ERR_LIMIT, "at most %d places, and a ticket", NODE_FROM_MAX);
    TRY(take_id(&r->id, &ret->id));
    snprintf(ret->ticket, sizeof ret->ticket, "%s", r->ticket);
    for (size_t i = 0; i < r->n_from; i++) {
        if (strlen(r->from[i]) >= sizeof ret->from[0])
            return fail(ERR_INVALID, "an address is too long");
        snprintf(ret->from[ret->n_from++], sizeof ret->from[0], "%s", r->from[i]);
    }
    return OK;
}

static err_t replicate(task_t *t, grpc_call_t *c, void *arg)
{
    AUTO(buf_t) message = {0};
    MESSAGE(ReplicateResponse) answer = DISTRIBUTE__STORAGE__V1__REPLICATE_RESPONSE__INIT;
    bool was_present = false;
    TRY(ready(arg));
    TRY(need_node(t, c, service_of(arg)));
    TRY(read_request(t, c, &message));
    MESSAGE(ReplicateRequest) *r = UNPACK(replicate_request, &message);
    if (!r)
        return malformed();
    node_copy_t *copy = xmalloc(sizeof *copy);
    err_t e = take_copy(r, copy);
    FREE(replicate_request, r);
    if (!e)
        e = node_service_replicate(t, service_of(arg), copy, &was_present);
    free(copy);
    TRY(e);
    answer.was_present = was_present;
    return chunk_link_send(t, c, &answer.base);
}

static err_t stat_node(task_t *t, grpc_call_t *c, void *arg)
{
    MESSAGE(StatResponse) answer = DISTRIBUTE__STORAGE__V1__STAT_RESPONSE__INIT;
    chunk_stat_t stat;
    TRY(ready(arg));
    TRY(need_node(t, c, service_of(arg)));
    TRY(chunk_store_stat(t, node_service_chunks(service_of(arg)), &stat));
    answer.node = (char *)node_service_id(service_of(arg));
    answer.zone = (char *)node_service_zone(service_of(arg));
    answer.chunks = stat.chunks;
    answer.used_bytes = stat.used_bytes;
    answer.capacity_bytes = stat.capacity_bytes;
    return chunk_link_send(t, c, &answer.base);
}

static err_t health(task_t *t, grpc_call_t *c, void *arg)
{
    static const int states[] = {
        [NODE_STARTING] = DISTRIBUTE__STORAGE__V1__HEALTH_RESPONSE__STATE__UNKNOWN,
        [NODE_SERVING] = DISTRIBUTE__STORAGE__V1__HEALTH_RESPONSE__STATE__SERVING,
        [NODE_DRAINING] = DISTRIBUTE__STORAGE__V1__HEALTH_RESPONSE__STATE__DRAINING,
        [NODE_FULL] = DISTRIBUTE__STORAGE__V1__HEALTH_RESPONSE__STATE__NO_SPACE,
    };
    MESSAGE(HealthResponse) answer = DISTRIBUTE__STORAGE__V1__HEALTH_RESPONSE__INIT;
    TRY(ready(arg));
    answer.state =
        (Distribute__Storage__V1__HealthResponse__State)states[node_service_state(t, service_of(arg))];
    answer.node = (char *)node_service_id(service_of(arg));
    answer.version = (char *)DISTRIBUTE_VERSION;
    answer.metadata = (char *)node_service_metadata(service_of(arg));
    answer.ipfs = fileserver_is_on_ipfs(arg);
    return chunk_link_send(t, c, &answer.base);
}

static err_t check(task_t *t, grpc_call_t *c, void *arg)
{
    Grpc__Health__V1__HealthCheckResponse answer = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    AUTO(buf_t) message = {0};
    TRY(read_request(t, c, &message));
    Grpc__Health__V1__HealthCheckRequest *r =
        grpc__health__v1__health_check_request__unpack(NULL, message.len, message.data);
    if (!r)
        return malformed();
    bool is_known = !*r->service || !strcmp(r->service, "distribute.storage.v1.ChunkStore");
    grpc__health__v1__health_check_request__free_unpacked(r, NULL);
    if (!is_known)
        return fail(ERR_NOT_FOUND, "no such service");
    answer.status = service_of(arg) && node_service_state(t, service_of(arg)) != NODE_STARTING
                        ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                        : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
    return chunk_link_send(t, c, &answer.base);
}

const grpc_method_t fileserver_methods[] = {
    {CALL("Put"), put},
    {CALL("Get"), get},
    {CALL("Has"), has},
    {CALL("Delete"), delete},
    {CALL("Replicate"), replicate},
    {CALL("Stat"), stat_node},
    {CALL("Health"), health},
    {"/distribute.storage.v1.Publisher/Publish", fileserver_publish, LONG_CALL_MS},
    {"/distribute.storage.v1.Publisher/Blocks", fileserver_blocks, LONG_CALL_MS},
    {"/grpc.health.v1.Health/Check", check},
    {NULL, NULL}};

void fileserver_call_ended(void *arg, const char *path, grpc_status_t status, uint64_t took_ms)
{
    static const double bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
    double seconds = (double)took_ms / 1000;
    if (!strcmp(path, CALL("Put")))
        metric_observe(metric_histogram("fs_upload_duration_seconds", NULL, "How long storing a chunk took",
                                        bounds, ARRAY_LEN(bounds)),
                       seconds);
    else if (!strcmp(path, CALL("Get")))
        metric_observe(metric_histogram("fs_download_duration_seconds", NULL, "How long giving a chunk took",
                                        bounds, ARRAY_LEN(bounds)),
                       seconds);
    if (status == GRPC_PERMISSION_DENIED || status == GRPC_UNAUTHENTICATED) {
        const fileserver_t *f = arg;
        const char *name = strrchr(path, '/');
        metric_add(
            metric_counter("fs_refused_calls_total", NULL, "Calls of a storage node that were refused"), 1);
        if (f->service)
            node_service_note_refusal(f->service, name ? name + 1 : path);
    }
    if (status != GRPC_OK)
        log_info("a gRPC call failed", LOG_STR("call", path), LOG_INT("status", status));
}

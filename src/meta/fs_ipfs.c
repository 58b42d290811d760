#include "meta/fs_ipfs.h"
#include "base/log.h"
#include "dag/file_reader.h"
#include "dag/importer.h"
#include "dag/path.h"
#include "meta/fs_internal.h"
#include "wire/storage.pb-c.h"
#include <stdlib.h>

enum { MESSAGE_BYTES = 768 << 10, MESSAGE_BLOCKS = 1024, ANSWER_MAX = 3 << 20, ASKED_MAX = 128 };

typedef Distribute__Storage__V1__PublicBlock public_block_t;
typedef Distribute__Storage__V1__PublishRequest publish_request_t;
typedef Distribute__Storage__V1__PublishResponse publish_response_t;
typedef Distribute__Storage__V1__BlocksRequest blocks_request_t;
typedef Distribute__Storage__V1__BlocksResponse blocks_response_t;

/* ── what both directions begin with ─────────────────────────────────────────────────────────── */

/* A call of Publisher at a node that is on IPFS; the ticket goes with its first message. */
typedef struct ipfs_link {
    fs_client_t *client;
    fs_node_t *node;
    grpc_call_t *call;
    char ticket[TICKET_TEXT_MAX];
    bool has_shown; /* the ticket */
} ipfs_link_t;

static err_t get_ticket(task_t *t, ipfs_link_t *l, const char *file_id)
{
    AUTO_PTR(json_t) answer = NULL;
    const char *text;
    json_t *body = file_id ? json_pack("{s:s}", "file", file_id) : json_object();
    TRY(rest_do(t, &l->client->rest, "POST", "/ipfs_tickets", body, &answer));
    TRY(rest_text(answer, "ticket", &text));
    if (strlen(text) >= sizeof l->ticket)
        return fail(ERR_PROTOCOL, "the metadata service's ticket is too long");
    snprintf(l->ticket, sizeof l->ticket, "%s", text);
    return OK;
}

static err_t open_link(task_t *t, fs_client_t *c, const char *file_id, const char *method, ipfs_link_t *ret)
{
    *ret = (ipfs_link_t){.client = c};
    TRY(get_ticket(t, ret, file_id));
    TRY(fs_node_on_ipfs(t, c, &ret->node));
    return grpc_call_open(t, ret->node->conn, method, NULL, 0, &ret->call);
}

static void close_link(task_t *t, ipfs_link_t *l, err_t e)
{
    error_slot_t why = *error_slot();
    grpc_call_close(l->call);
    if (l->node)
        fs_node_leave(t, l->node, e);
    *error_slot() = why;
}

static char *show_ticket(ipfs_link_t *l)
{
    char *text = l->has_shown ? (char *)"" : l->ticket;
    l->has_shown = true;
    return text;
}

/* ── publishing: the importer's blocks go out as they are made ───────────────────────────────── */

typedef struct outgoing {
    blocks_t base;
    ipfs_link_t link;
    gate_t gate; /* one message at a time */
} outgoing_t;

static err_t send_some(task_t *t, outgoing_t *o, block_t *const *list, size_t n)
{
    publish_request_t r = DISTRIBUTE__STORAGE__V1__PUBLISH_REQUEST__INIT;
    public_block_t *blocks = xcalloc(n, sizeof *blocks), **refs = xcalloc(n, sizeof(void *));
    uint8_t(*cids)[CID_BINARY_MAX] = xcalloc(n, sizeof *cids);
    for (size_t i = 0; i < n; i++) {
        distribute__storage__v1__public_block__init(&blocks[i]);
        blocks[i].cid = (ProtobufCBinaryData){cid_encode(&list[i]->cid, cids[i]), cids[i]};
        blocks[i].data = (ProtobufCBinaryData){list[i]->len, list[i]->data};
        refs[i] = &blocks[i];
    }
    r.ticket = show_ticket(&o->link);
    r.blocks = refs;
    r.n_blocks = n;
    err_t e = chunk_link_send(t, o->link.call, &r.base);
    free(cids);
    free(refs);
    free(blocks);
    return e;
}

static err_t send_all(task_t *t, outgoing_t *o, block_t *const *list, size_t n)
{
    for (size_t at = 0, end; at < n; at = end) {
        size_t bytes = list[at]->len;
        for (end = at + 1; end < n && end - at < MESSAGE_BLOCKS && bytes + list[end]->len <= MESSAGE_BYTES;
             end++)
            bytes += list[end]->len;
        TRY(send_some(t, o, list + at, end - at));
    }
    return OK;
}

static err_t out_put_many(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    outgoing_t *o = CONTAINER_OF(b, outgoing_t, base);
    TRY(gate_enter(t, &o->gate));
    err_t e = send_all(t, o, list, n);
    gate_leave(&o->gate);
    return e;
}

static err_t out_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block)
{
    return fail(ERR_NOT_FOUND, "blocks that are published are not read again");
}

static void no_prefetch(task_t *t, blocks_t *b, const cid_t *cids, size_t n) {}

static bool has_none(task_t *t, blocks_t *b, const cid_t *cid)
{
    return false;
}

static const blocks_ops_t out_ops = {out_get, no_prefetch, out_put_many, has_none, NULL, NULL};

typedef struct reading {
    file_t *file;
    uint64_t at, size;
    const fs_progress_t *progress;
} reading_t;

static err_t read_file(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    reading_t *r = arg;
    TRY(file_read_at(t, r->file, out, cap, r->at, ret_n));
    r->at += *ret_n;
    if (r->progress->done)
        r->progress->done(r->progress->arg, r->at, r->size);
    return OK;
}

static err_t import_file(task_t *t, outgoing_t *o, reading_t *r, cid_t *ret_cid)
{
    import_options_t options;
    importer_t *importer;
    dag_ref_t root;
    import_options_init(&options);
    options.cid_version = 1;
    TRY(importer_new(t, &o->base, &options, &importer));
    err_t e = importer_add_file(t, importer, (source_t){read_file, r}, NULL, &root);
    if (!e)
        e = importer_flush(t, importer);
    importer_free(t, importer);
    if (!e)
        *ret_cid = root.cid;
    return e;
}

/* The root, and the node's word that it has all of it. */
static err_t finish_publish(task_t *t, outgoing_t *o, const cid_t *root)
{
    publish_request_t r = DISTRIBUTE__STORAGE__V1__PUBLISH_REQUEST__INIT;
    AUTO(buf_t) message = {0};
    uint8_t cid[CID_BINARY_MAX];
    char text[CID_TEXT_MAX];
    r.ticket = show_ticket(&o->link);
    r.root = (ProtobufCBinaryData){cid_encode(root, cid), cid};
    TRY(chunk_link_send(t, o->link.call, &r.base));
    TRY(grpc_send_end(o->link.call));
    buf_init(&message, 4096);
    err_t e = grpc_recv(t, o->link.call, &message);
    TRY(e == ERR_EOF ? fail(ERR_PROTOCOL, "the storage node does not say that it has published") : e);
    publish_response_t *answer =
        distribute__storage__v1__publish_response__unpack(NULL, message.len, message.data);
    bool is_right = answer && !strcmp(answer->cid, cid_print(root, text));
    if (answer)
        distribute__storage__v1__publish_response__free_unpacked(answer, NULL);
    return is_right ? OK : fail(ERR_PROTOCOL, "the storage node has published something else");
}

/* What the node says to a call that it ends early is why sending failed. */
static err_t why_refused(task_t *t, grpc_call_t *call, err_t e)
{
    AUTO(buf_t) message = {0};
    if (e != ERR_RESET && e != ERR_CLOSED)
        return e;
    buf_init(&message, 4096);
    err_t said = grpc_recv(t, call, &message);
    return said && said != ERR_EOF ? said : e;
}

static err_t publish_open(task_t *t, fs_client_t *c, const char *file_id, reading_t *r, cid_t *ret_cid)
{
    outgoing_t o = {.base = {&out_ops}};
    gate_init(&o.gate, 1);
    err_t e = open_link(t, c, file_id, "/distribute.storage.v1.Publisher/Publish", &o.link);
    if (!e) {
        e = import_file(t, &o, r, ret_cid);
        if (!e)
            e = finish_publish(t, &o, ret_cid);
        if (e)
            e = why_refused(t, o.link.call, e);
    }
    close_link(t, &o.link, e);
    return e;
}

err_t fs_publish(task_t *t, fs_client_t *c, const char *file_id, const char *path,
                 const fs_progress_t *progress, cid_t *ret_cid)
{
    reading_t r = {.progress = progress};
    char at[META_ID_CHARS + 16], text[CID_TEXT_MAX];
    cid_t cid;
    TRY(file_open(t, path, FILE_READ, 0, &r.file));
    err_t e = file_size(t, r.file, &r.size);
    if (!e)
        e = publish_open(t, c, file_id, &r, &cid);
    file_close(r.file);
    TRY(e);
    snprintf(at, sizeof at, "/files/%.32s", file_id);
    TRY(rest_do(t, &c->rest, "PATCH", at, json_pack("{s:s}", "cid", cid_print(&cid, text)), NULL));
    *ret_cid = cid;
    return OK;
}

/* ── fetching: blocks come in the order in which they were asked for ─────────────────────────── */

typedef struct incoming {
    blocks_t base;
    ipfs_link_t link;
    cid_t asked[ASKED_MAX]; /* a ring: asked for, and not taken from the call yet */
    size_t first, n_asked;
    block_t *early[ASKED_MAX]; /* taken, and not wanted yet */
    size_t n_early;
} incoming_t;

static err_t ask(task_t *t, incoming_t *in, const cid_t *cids, size_t n)
{
    blocks_request_t r = DISTRIBUTE__STORAGE__V1__BLOCKS_REQUEST__INIT;
    uint8_t(*raw)[CID_BINARY_MAX] = xcalloc(n, sizeof *raw);
    ProtobufCBinaryData *list = xcalloc(n, sizeof *list);
    for (size_t i = 0; i < n; i++) {
        list[i] = (ProtobufCBinaryData){cid_encode(&cids[i], raw[i]), raw[i]};
        in->asked[(in->first + in->n_asked++) % ASKED_MAX] = cids[i];
    }
    r.ticket = show_ticket(&in->link);
    r.n_cids = n;
    r.cids = list;
    err_t e = chunk_link_send(t, in->link.call, &r.base);
    free(list);
    free(raw);
    return e;
}

/* The next block of the call, verified. */
static err_t take_next(task_t *t, incoming_t *in, block_t **ret)
{
    AUTO(buf_t) message = {0};
    buf_init(&message, ANSWER_MAX);
    err_t e = grpc_recv(t, in->link.call, &message);
    TRY(e == ERR_EOF ? fail(ERR_PROTOCOL, "the storage node gives fewer blocks than were asked for") : e);
    const cid_t *cid = &in->asked[in->first];
    blocks_response_t *r = distribute__storage__v1__blocks_response__unpack(NULL, message.len, message.data);
    bytes_t data = r ? bytes_of(r->data.data, r->data.len) : BYTES_NONE;
    e = r ? cid_verify(cid, data) : fail(ERR_PROTOCOL, "the storage node's answer is no block");
    if (!e)
        e = block_copy(cid, data, ret);
    if (r)
        distribute__storage__v1__blocks_response__free_unpacked(r, NULL);
    in->first = (in->first + 1) % ASKED_MAX;
    in->n_asked--;
    return e;
}

static bool is_asked(const incoming_t *in, const cid_t *cid)
{
    for (size_t i = 0; i < in->n_asked; i++)
        if (cid_equal(&in->asked[(in->first + i) % ASKED_MAX], cid))
            return true;
    return false;
}

static size_t find_early(const incoming_t *in, const cid_t *cid)
{
    size_t i = 0;
    while (i < in->n_early && !cid_equal(&in->early[i]->cid, cid))
        i++;
    return i;
}

static err_t in_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block)
{
    incoming_t *in = CONTAINER_OF(b, incoming_t, base);
    size_t i = find_early(in, cid);
    if (i < in->n_early) {
        *ret_block = in->early[i];
        in->early[i] = in->early[--in->n_early];
        return OK;
    }
    if (cid_is_identity(cid))
        return block_copy(cid, bytes_of(cid->digest, cid->digest_len), ret_block);
    if (!is_asked(in, cid))
        TRY(ask(t, in, cid, 1));
    for (;;) {
        block_t *next;
        TRY(take_next(t, in, &next));
        if (cid_equal(&next->cid, cid)) {
            *ret_block = next;
            return OK;
        }
        in->early[in->n_early++] = next; /* n_early + n_asked never grows over what was asked for */
    }
}

static void in_prefetch(task_t *t, blocks_t *b, const cid_t *cids, size_t n)
{
    incoming_t *in = CONTAINER_OF(b, incoming_t, base);
    cid_t *wanted = xcalloc(n ? n : 1, sizeof *wanted);
    size_t count = 0;
    for (size_t i = 0; i < n && count + in->n_asked + in->n_early < ASKED_MAX - 1; i++)
        if (!cid_is_identity(&cids[i]) && !is_asked(in, &cids[i]) && find_early(in, &cids[i]) == in->n_early)
            wanted[count++] = cids[i];
    err_t e = count ? ask(t, in, wanted, count) : OK; /* its failure shows when the answers are read */
    if (e)
        log_debug("blocks could not be asked for ahead", LOG_ERR(e));
    free(wanted);
}

static err_t in_put(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    return fail(ERR_UNSUPPORTED, "blocks are fetched here, and not kept");
}

static const blocks_ops_t in_ops = {in_get, in_prefetch, in_put, has_none, NULL, NULL};

static err_t write_all(task_t *t, file_reader_t *r, file_t *out, const fs_progress_t *progress)
{
    for (uint64_t at = 0;;) {
        bytes_t piece;
        TRY(file_reader_next(t, r, &piece));
        if (!piece.len)
            return OK;
        TRY(file_write_at(t, out, &piece, 1, at));
        at += piece.len;
        if (progress->done)
            progress->done(progress->arg, at, r->size);
    }
}

static err_t fetch_open(task_t *t, incoming_t *in, const char *what, file_t *out,
                        const fs_progress_t *progress, cid_t *ret_cid)
{
    AUTO(file_reader_t) reader = {0};
    dag_path_t *path = xcalloc(1, sizeof *path);
    cid_t cid;
    err_t e = dag_path_parse(bytes_str(what), path);
    if (!e)
        e = dag_path_resolve_cid(t, &in->base, path, &cid);
    free(path);
    TRY(e);
    TRY(file_reader_open(t, &reader, &in->base, &cid));
    TRY(write_all(t, &reader, out, progress));
    *ret_cid = cid;
    return OK;
}

err_t fs_fetch_ipfs(task_t *t, fs_client_t *c, const char *what, const char *path,
                    const fs_progress_t *progress, cid_t *ret_cid)
{
    file_t *out;
    TRY(file_open(t, path, FILE_READ | FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, 0600, &out));
    incoming_t *in = xcalloc(1, sizeof *in);
    in->base.ops = &in_ops;
    err_t e = open_link(t, c, NULL, "/distribute.storage.v1.Publisher/Blocks", &in->link);
    if (!e)
        e = fetch_open(t, in, what, out, progress, ret_cid);
    close_link(t, &in->link, e);
    while (in->n_early)
        block_release(in->early[--in->n_early]);
    free(in);
    file_close(out);
    return e;
}

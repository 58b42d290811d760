/* fileserver_publish: the calls of Publisher in proto/storage.proto: what a storage node does as a node of
 * IPFS. Blocks that come are verified before they are kept; nothing is announced before all of a file is
 * durable. */
#include "api/fileserver_internal.h"
#include "meta/chunk_link.h"
#include "meta/published.h"
#include "wire/storage.pb-c.h"
#include <stdlib.h>

enum {
    REQUEST_MAX = 2u << 20,
    CIDS_MAX = 256,
    BLOCKS_MAX = 1024,     /* of a message */
    EXTRA_BYTES = 1 << 20, /* beside the content: what a DAG's inner nodes may take, and a 32nd */
    FETCH_TIMEOUT_MS = 120000,
    SILENCE_MAX_MS = 60000, /* of a client; the call as a whole may take long */
};

#define MESSAGE(name) Distribute__Storage__V1__##name
#define UNPACK(small, b) distribute__storage__v1__##small##__unpack(NULL, (b)->len, (b)->data)
#define FREE(small, m) distribute__storage__v1__##small##__free_unpacked((m), NULL)

static err_t ready(const fileserver_t *f)
{
    if (!f->service)
        return fail(ERR_OFFLINE, "this storage node is still starting");
    return fileserver_is_on_ipfs(f)
               ? OK
               : fail(ERR_UNSUPPORTED,
                      "this storage node is no node of IPFS (it was started without --ipfs)");
}

static err_t receive_next(task_t *t, grpc_call_t *c, buf_t *out)
{
    deadline_t d = deadline_push(t, SILENCE_MAX_MS);
    err_t e = grpc_recv(t, c, out);
    deadline_pop(t, &d);
    return e;
}

/* ── publish ─────────────────────────────────────────────────────────────────────────────────── */

typedef struct publishing {
    fileserver_t *f;
    blockstore_writer_t writer;
    gc_hold_t hold; /* until the root is pinned */
    char file[META_ID_CHARS + 1];
    uint64_t max_bytes, bytes;
    bool has_ticket, has_root;
    cid_t root;
} publishing_t;

typedef struct verify_job {
    block_t *const *list;
    size_t n;
    err_t result;
} verify_job_t;

static void verify_work(void *arg)
{
    verify_job_t *j = arg;
    for (size_t i = 0; i < j->n && !j->result; i++)
        j->result = cid_verify(&j->list[i]->cid, block_bytes(j->list[i]));
}

static err_t keep_blocks(task_t *t, publishing_t *p, block_t *const *list, size_t n)
{
    verify_job_t job = {.list = list, .n = n};
    for (size_t i = 0; i < n; i++) {
        TRY(cid_check_hash_allowed(&list[i]->cid));
        p->bytes += list[i]->len;
    }
    if (p->bytes > p->max_bytes)
        return fail(ERR_LIMIT, "more comes than the file of this ticket has");
    work(t, verify_work, &job);
    if (job.result)
        return fail(ERR_CORRUPT, "a block is not what its CID says");
    TRY(blockstore_write(t, &p->writer, list, n));
    for (size_t i = 0; i < n; i++)
        TRY(chunk_store_publish(t, node_repo(p->f->node), &list[i]->cid));
    return OK;
}

static err_t take_blocks(task_t *t, publishing_t *p, const MESSAGE(PublishRequest) * r)
{
    if (r->n_blocks > BLOCKS_MAX)
        return fail(ERR_LIMIT, "a message has at most %d blocks", BLOCKS_MAX);
    block_t **list = xcalloc(r->n_blocks ? r->n_blocks : 1, sizeof *list);
    size_t n = 0;
    err_t e = OK;
    while (n < r->n_blocks && !e) {
        const MESSAGE(PublicBlock) *b = r->blocks[n];
        cid_t cid;
        e = cid_decode(bytes_of(b->cid.data, b->cid.len), &cid);
        if (!e)
            e = block_copy(&cid, bytes_of(b->data.data, b->data.len), &list[n]);
        n += !e;
    }
    if (!e && n)
        e = keep_blocks(t, p, list, n);
    for (size_t i = 0; i < n; i++)
        block_release(list[i]);
    free(list);
    return e;
}

static err_t take_publish(task_t *t, const buf_t *message, publishing_t *p)
{
    MESSAGE(PublishRequest) *r = UNPACK(publish_request, message);
    if (!r)
        return fail(ERR_INVALID, "the request is not the message that this call takes");
    err_t e = OK;
    if (!p->has_ticket)
        e = node_service_check_ipfs(t, p->f->service, r->ticket, p->file, &p->max_bytes);
    if (!e && !p->has_ticket) {
        p->has_ticket = true;
        if (!strcmp(p->file, META_NO_ID))
            e = fail(ERR_DENIED, "the ticket is for reading alone");
        p->max_bytes += p->max_bytes / 32 + EXTRA_BYTES;
    }
    if (!e && p->has_root)
        e = fail(ERR_INVALID, "the root comes last");
    if (!e)
        e = take_blocks(t, p, r);
    if (!e && r->root.len) {
        e = cid_decode(bytes_of(r->root.data, r->root.len), &p->root);
        p->has_root = true;
    }
    FREE(publish_request, r);
    return e;
}

static err_t receive(task_t *t, grpc_call_t *c, publishing_t *p)
{
    AUTO(buf_t) message = {0};
    err_t e;
    buf_init(&message, REQUEST_MAX);
    while (!(e = receive_next(t, c, &message)) && !(e = take_publish(t, &message, p)))
        ;
    if (e != ERR_EOF)
        return e;
    if (!p->has_root)
        return fail(ERR_INVALID, "the request ends without a root");
    TRY(blockstore_flush(t, &p->writer));
    TRY(published_put(t, node_repo(p->f->node), p->file, &p->root));
    node_announce(p->f->node, &p->root);
    return OK;
}

err_t fileserver_publish(task_t *t, grpc_call_t *c, void *arg)
{
    publishing_t *p = xcalloc(1, sizeof *p);
    MESSAGE(PublishResponse) answer = DISTRIBUTE__STORAGE__V1__PUBLISH_RESPONSE__INIT;
    char cid[CID_TEXT_MAX];
    p->f = arg;
    err_t e = ready(p->f);
    if (!e) {
        repo_t *repo = node_repo(p->f->node);
        p->hold = gc_hold(repo_gc(repo));
        blockstore_writer_init(&p->writer, repo_blockstore(repo));
        e = receive(t, c, p);
        blockstore_writer_deinit(&p->writer);
        gc_release(&p->hold);
    }
    if (!e) {
        answer.cid = (char *)cid_print(&p->root, cid);
        e = chunk_link_send(t, c, &answer.base);
    }
    free(p);
    return e;
}

/* ── blocks ──────────────────────────────────────────────────────────────────────────────────── */

static err_t give_block(task_t *t, grpc_call_t *c, fileserver_t *f, blocks_t *from, const cid_t *cid)
{
    AUTO_PTR(block_t) block = NULL;
    MESSAGE(BlocksResponse) answer = DISTRIBUTE__STORAGE__V1__BLOCKS_RESPONSE__INIT;
    if (chunk_store_is_private(t, node_repo(f->node), cid))
        return fail(ERR_NOT_FOUND, "that is nothing of IPFS");
    deadline_t d = deadline_push(t, FETCH_TIMEOUT_MS);
    err_t e = blocks_get(t, from, cid, &block);
    deadline_pop(t, &d);
    TRY(e == ERR_TIMEOUT
            ? fail(ERR_NOT_FOUND, "nobody on IPFS gave a block within %d s", FETCH_TIMEOUT_MS / 1000)
            : e);
    if (block->len > BLOCK_MAX_BYTES)
        return fail(ERR_LIMIT, "a block of IPFS has at most %u bytes", BLOCK_MAX_BYTES);
    answer.data = (ProtobufCBinaryData){block->len, block->data};
    return chunk_link_send(t, c, &answer.base);
}

static err_t give_blocks(task_t *t, grpc_call_t *c, fileserver_t *f, blocks_t *from,
                         const MESSAGE(BlocksRequest) * r)
{
    if (r->n_cids > CIDS_MAX)
        return fail(ERR_LIMIT, "a message names at most %d blocks", CIDS_MAX);
    cid_t *cids = xcalloc(r->n_cids ? r->n_cids : 1, sizeof *cids);
    err_t e = OK;
    for (size_t i = 0; i < r->n_cids && !e; i++) {
        e = cid_decode(bytes_of(r->cids[i].data, r->cids[i].len), &cids[i]);
        if (!e)
            e = cid_check_hash_allowed(&cids[i]);
    }
    if (!e)
        blocks_prefetch(t, from, cids, r->n_cids);
    for (size_t i = 0; i < r->n_cids && !e; i++)
        e = give_block(t, c, f, from, &cids[i]);
    free(cids);
    return e;
}

err_t fileserver_blocks(task_t *t, grpc_call_t *c, void *arg)
{
    fileserver_t *f = arg;
    AUTO(buf_t) message = {0};
    AUTO(node_session_t) session = {0};
    char file[META_ID_CHARS + 1];
    uint64_t max_bytes;
    bool has_ticket = false;
    err_t e;
    TRY(ready(f));
    buf_init(&message, REQUEST_MAX);
    while (!(e = receive_next(t, c, &message))) {
        MESSAGE(BlocksRequest) *r = UNPACK(blocks_request, &message);
        if (!r)
            return fail(ERR_INVALID, "the request is not the message that this call takes");
        if (!has_ticket) {
            e = node_service_check_ipfs(t, f->service, r->ticket, file, &max_bytes);
            if (!e)
                e = node_session_open(f->node, false, &session);
            if (!e)
                node_session_reads(&session);
        }
        has_ticket = true;
        if (!e)
            e = give_blocks(t, c, f, session.blocks, r);
        FREE(blocks_request, r);
        TRY(e);
    }
    TRY(e == ERR_EOF ? OK : e);
    return has_ticket ? node_session_settle(t, &session) : OK;
}

/* gateway_tar: a tree as a tar archive. Spec: IPIP-0288. */
#include "api/gateway.h"
#include "api/tar_tree.h"
#include <stdio.h>

enum { HELD_BYTES = 64 << 10 };

/* The first bytes are held back: what goes wrong among them is told with a status, not by a cut answer. */
typedef struct tar_answer {
    gateway_request_t *r;
    buf_t held;
} tar_answer_t;

static err_t set_headers(gateway_request_t *r)
{
    char etag[GATEWAY_ETAG_MAX], otherwise[CID_TEXT_MAX + 8], name[GATEWAY_NAME_MAX_BYTES];
    snprintf(otherwise, sizeof otherwise, "%s.tar", gateway_cid_text(r));
    gateway_filename(r, otherwise, name, sizeof name);
    TRY(gateway_set_headers(r, gateway_etag(r, etag), NULL));
    TRY(gateway_set_disposition(r, "attachment", bytes_str(name)));
    TRY(exchange_set_header(r->x, "Content-Type", gateway_format_type(GATEWAY_FORMAT_TAR)));
    return exchange_set_header(r->x, "X-Content-Type-Options", "nosniff");
}

static err_t release(task_t *t, tar_answer_t *a)
{
    exchange_t *x = a->r->x;
    if (x->has_begun)
        return OK;
    TRY(set_headers(a->r));
    TRY(exchange_begin(x, 200, -1));
    TRY(exchange_write(t, x, buf_bytes(&a->held)));
    buf_deinit(&a->held);
    return OK;
}

static err_t take_piece(task_t *t, void *arg, bytes_t piece)
{
    tar_answer_t *a = arg;
    if (!a->r->x->has_begun && a->held.len + piece.len <= HELD_BYTES)
        return buf_append(&a->held, piece);
    TRY(release(t, a));
    return exchange_write(t, a->r->x, piece);
}

err_t gateway_serve_tar(task_t *t, gateway_request_t *r)
{
    tar_answer_t a = {.r = r};
    if (r->cid.codec != CODEC_DAG_PB && r->cid.codec != CODEC_RAW)
        return gateway_fail(t, r, 406, "only files and folders (UnixFS) can be a tar archive");
    TRY(gateway_read_node(t, r));
    TRY(gateway_widen(r));
    if (gateway_is_head(r)) {
        TRY(set_headers(r));
        return exchange_begin(r->x, 200, -1);
    }
    buf_init(&a.held, HELD_BYTES);
    err_t e =
        tar_tree_write(t, r->blocks, &r->node, bytes_str(gateway_cid_text(r)),
                       (tar_tree_options_t){.timeout_ms = r->settings->retrieval_timeout_ms}, take_piece, &a);
    if (!e)
        e = release(t, &a);
    buf_deinit(&a.held);
    return e;
}

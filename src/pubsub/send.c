/* What goes out: one task per peer while there is something to send. */
#include "base/log.h"
#include "pubsub/internal.h"
#include <stdlib.h>

enum {
    RPC_FILL_BYTES = 32 << 10, /* parts are put together until here */
    ALONE_BYTES = 16 << 10,    /* a message from this size on goes out from where it lies */
    IDS_MAX = 5000,
};

/* An RPC that is being filled. */
typedef struct rpc {
    buf_t body, control;
    bytes_t *ids; /* IDS_MAX; allocated when used */
} rpc_t;

static void rpc_init(rpc_t *r)
{
    *r = (rpc_t){0};
    buf_init(&r->body, PUBSUB_RPC_MAX_BYTES);
    buf_init(&r->control, PUBSUB_RPC_MAX_BYTES);
}

static void rpc_deinit(rpc_t *r)
{
    buf_deinit(&r->body);
    buf_deinit(&r->control);
    free(r->ids);
}
AUTO_DEFINE(rpc_t, rpc_deinit)

static err_t write_rpc(task_t *t, ps_peer_t *p, bytes_t body)
{
    deadline_t d = deadline_push(t, PUBSUB_SEND_TIMEOUT_MS);
    err_t e = p->out ? stream_write_message(t, p->out, body) : ERR_CLOSED;
    deadline_pop(t, &d);
    return e;
}

static err_t flush(task_t *t, ps_peer_t *p, rpc_t *r)
{
    writer_t w = writer_to(&r->body);
    pubsub_put_control(&w, buf_bytes(&r->control));
    buf_clear(&r->control);
    TRY(w.err);
    err_t e = r->body.len ? write_rpc(t, p, buf_bytes(&r->body)) : OK;
    buf_clear(&r->body);
    return e;
}

static size_t unpack(rpc_t *r, const gossip_out_t *out)
{
    size_t n = 0;
    if (!r->ids)
        r->ids = xcalloc(IDS_MAX, sizeof *r->ids);
    for (size_t i = 0; n < IDS_MAX && gossip_next_id(out->ids, &i, &r->ids[n]);)
        n++;
    return n;
}

static err_t put_part(rpc_t *r, const gossip_out_t *out)
{
    writer_t w = writer_to(&r->body), c = writer_to(&r->control);
    switch (out->kind) {
    case GOSSIP_SUBSCRIBE:
    case GOSSIP_UNSUBSCRIBE:
        pubsub_put_subscription(&w, out->topic, out->kind == GOSSIP_SUBSCRIBE);
        break;
    case GOSSIP_GRAFT:
        pubsub_put_graft(&c, out->topic);
        break;
    case GOSSIP_PRUNE:
        pubsub_put_prune(&c, out->topic, out->peers, out->n_peers, out->backoff_s);
        break;
    case GOSSIP_IHAVE:
        pubsub_put_ihave(&c, out->topic, r->ids, unpack(r, out));
        break;
    case GOSSIP_IWANT:
        pubsub_put_iwant(&c, r->ids, unpack(r, out));
        break;
    case GOSSIP_IDONTWANT:
        pubsub_put_idontwant(&c, r->ids, unpack(r, out));
        break;
    case GOSSIP_MESSAGE:
        write_bytes(&w, gossip_message_content(out->message));
    }
    return w.err ? w.err : c.err;
}

/* Sends one part, or puts it to others. It is encoded before the first wait: what it borrows may go
 * meanwhile. */
static err_t send_part(task_t *t, ps_peer_t *p, rpc_t *r, const gossip_out_t *out)
{
    if (out->kind == GOSSIP_MESSAGE && gossip_message_content(out->message).len >= ALONE_BYTES) {
        gossip_message_t *m = gossip_message_ref(out->message);
        err_t e = flush(t, p, r);
        e = e ? e : write_rpc(t, p, gossip_message_content(m));
        gossip_message_release(m);
        return e;
    }
    TRY(put_part(r, out));
    /* Each RPC names but one list of unwanted ids: receivers read only the first few. */
    bool is_full = r->body.len + r->control.len >= RPC_FILL_BYTES || out->kind == GOSSIP_IDONTWANT;
    return is_full ? flush(t, p, r) : OK;
}

static err_t send_parts(task_t *t, ps_peer_t *p, rpc_t *r, gossip_out_t *out)
{
    while (p->gossip) {
        if (gossip_next_out(p->ps->gossip, p->gossip, out))
            TRY(send_part(t, p, r, out));
        else if (r->body.len + r->control.len)
            TRY(flush(t, p, r)); /* and see what came up meanwhile */
        else
            break;
    }
    return OK;
}

static err_t send_all(task_t *t, ps_peer_t *p)
{
    AUTO(rpc_t) r;
    rpc_init(&r);
    gossip_out_t *out = xcalloc(1, sizeof *out);
    err_t e = send_parts(t, p, &r, out);
    free(out);
    return e;
}

/* ── the stream ──────────────────────────────────────────────────────────────────────────────── */
static void drop_stream(ps_peer_t *p)
{
    if (p->out)
        stream_reset(p->out);
    stream_close(p->out);
    p->out = NULL;
}

static err_t open_stream(task_t *t, ps_peer_t *p)
{
    conn_t *c = p->is_gone ? NULL : host_conn(p->ps->config.host, &p->id);
    if (!c)
        return fail(ERR_CLOSED, "the peer has disconnected");
    conn_ref(c);
    size_t first = p->ps->config.is_floodsub ? PUBSUB_PROTOCOL_COUNT - 1 : 0;
    deadline_t d = deadline_push(t, PUBSUB_OPEN_TIMEOUT_MS);
    stream_t *s = NULL;
    err_t e = conn_open_stream(t, c, pubsub_protocols + first, PUBSUB_PROTOCOL_COUNT - first, &s, NULL);
    deadline_pop(t, &d);
    conn_release(c);
    TRY(e);
    p->out = s;
    if (p->had_stream && p->gossip)
        gossip_restart(p->ps->gossip, p->gossip); /* what was told on the one before is told again */
    p->had_stream = true;
    return OK;
}

/* Nothing ever comes on this stream: when something does, it is its end. */
static bool is_broken(ps_peer_t *p)
{
    uint8_t byte;
    size_t n;
    return stream_try_read(p->out, &byte, 1, &n) != ERR_AGAIN;
}

static err_t send_now(task_t *t, ps_peer_t *p)
{
    if (p->out && is_broken(p))
        drop_stream(p);
    if (!p->out)
        TRY(open_stream(t, p));
    return send_all(t, p);
}

/* After a few tries it is left alone until it connects anew. */
static bool may_retry(task_t *t, ps_peer_t *p, err_t e)
{
    log_debug("pubsub: nothing could be sent", LOG_ERR(e));
    drop_stream(p);
    if (p->is_gone || p->ps->is_closing)
        return false;
    if (e == ERR_UNSUPPORTED || ++p->failures > PUBSUB_RETRIES_MAX) {
        ps_peer_drop(p);
        return false;
    }
    if (task_sleep(t, (uint64_t)PUBSUB_RETRY_MS * p->failures))
        return false;
    return p->gossip;
}

static err_t send_task(task_t *t, void *arg)
{
    ps_peer_t *p = arg;
    for (;;) {
        err_t e = send_now(t, p);
        if (!e)
            p->failures = 0;
        if (!e || !may_retry(t, p, e))
            break;
    }
    if (p->is_gone)
        drop_stream(p);
    p->is_sending = false;
    ps_peer_release(p);
    return OK;
}

void ps_kick_sender(ps_peer_t *p)
{
    if (p->is_sending)
        return; /* it goes on until nothing is left */
    p->is_sending = true;
    ps_peer_ref(p);
    if (group_spawn(&p->ps->group, "pubsub-send", send_task, p, NULL)) {
        p->is_sending = false;
        ps_peer_release(p);
    }
}

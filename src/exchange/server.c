/* Blocks out: the ledger gives turns; a turn is a task that reads some blocks and sends one message. Two
 * turns of one peer overlap, reading and sending; the bytes of all turns are bounded. */
#include "base/log.h"
#include "exchange/internal.h"
#include <stdlib.h>

enum { TURN_READ_MAX = 32 };

typedef struct turn {
    bs_peer_t *peer;
    size_t granted, may_take, reserved;
    size_t sent_bytes, sent_blocks;
} turn_t;

static bool may_serve(task_t *t, const bs_peer_t *p, const cid_t *cid)
{
    const bitswap_config_t *c = &p->b->config;
    return !c->may_serve || c->may_serve(t, c->arg, &p->id, cid);
}

static err_t answer_missing(bs_peer_t *p, bitswap_message_t *m, const ledger_want_t *w)
{
    ledger_missing(p->b->ledger, p->ledger, w);
    if (w->send_dont_have && m->version == BITSWAP_V1_2)
        return bitswap_message_add_presence(m, &w->cid, false);
    return OK;
}

/* Wants for whole blocks, which are read together. */
typedef struct batch {
    ledger_want_t wants[TURN_READ_MAX];
    cid_t cids[TURN_READ_MAX];
    block_t *blocks[TURN_READ_MAX];
    size_t n, bytes;
} batch_t;

/* Answers the want at once, or puts it into the batch. */
static err_t answer(task_t *t, bs_peer_t *p, bitswap_message_t *m, const ledger_want_t *w, batch_t *batch)
{
    bitswap_t *b = p->b;
    uint64_t size;
    if (cid_is_identity(&w->cid) || !may_serve(t, p, &w->cid))
        return answer_missing(p, m, w);
    err_t e = blockstore_size(t, b->config.blocks, &w->cid, &size);
    if (e || size > BITSWAP_BLOCK_MAX_BYTES) /* no message holds it */
        return e == ERR_CANCELED ? e : answer_missing(p, m, w);
    if (w->is_have && m->version == BITSWAP_V1_2 && size > BITSWAP_SMALL_BLOCK_BYTES) {
        ledger_served(b->ledger, p->ledger, w);
        return bitswap_message_add_presence(m, &w->cid, true);
    }
    batch->cids[batch->n] = w->cid;
    batch->wants[batch->n++] = *w;
    batch->bytes += size;
    return OK;
}

/* block NULL: it was removed meanwhile. ERR_LIMIT: the message has no room, another one may have. */
static err_t add_block(bs_peer_t *p, bitswap_message_t *m, const ledger_want_t *w, block_t *block)
{
    bool is_first = bitswap_message_is_empty(m);
    err_t e = block ? bitswap_message_add_block(m, block) : ERR_NOT_FOUND;
    if (e == ERR_NOT_FOUND || (e == ERR_LIMIT && is_first))
        return answer_missing(p, m, w);
    if (!e)
        ledger_served(p->b->ledger, p->ledger, w);
    return e;
}

/* ERR_LIMIT: the message is full, the rest is queued again. */
static err_t add_blocks(bs_peer_t *p, bitswap_message_t *m, batch_t *batch)
{
    bitswap_t *b = p->b;
    err_t e = OK;
    for (size_t i = 0; i < batch->n; i++) {
        const ledger_want_t *w = &batch->wants[i];
        if (!e)
            e = add_block(p, m, w, batch->blocks[i]);
        if (e == ERR_LIMIT) {
            ledger_missing(b->ledger, p->ledger, w);
            ledger_have(b->ledger, &w->cid);
        }
        block_release(batch->blocks[i]);
    }
    return e;
}

static err_t fill_from(task_t *t, turn_t *turn, bitswap_message_t *m, batch_t *batch)
{
    bs_peer_t *p = turn->peer;
    ledger_want_t w;
    for (;;) {
        err_t e = OK;
        batch->n = batch->bytes = 0;
        while (!e && m->size_bytes + batch->bytes < turn->may_take && batch->n < TURN_READ_MAX &&
               !p->is_gone && ledger_next_want(p->b->ledger, p->ledger, &w))
            e = answer(t, p, m, &w, batch);
        if (e && e != ERR_LIMIT)
            return e;
        if (!batch->n)
            return e;
        /* Also when the message is full: then add_blocks gives the wants back to the queue. */
        TRY(blockstore_get_many(t, p->b->config.blocks, batch->cids, batch->n, batch->blocks));
        TRY(add_blocks(p, m, batch));
        TRY(e);
    }
}

static err_t fill(task_t *t, turn_t *turn, bitswap_message_t *m)
{
    batch_t *batch = xmalloc(sizeof *batch);
    err_t e = fill_from(t, turn, m, batch);
    free(batch);
    return e == ERR_LIMIT ? OK : e;
}

static void drop_block_stream(bs_peer_t *p)
{
    if (p->block_stream)
        stream_reset(p->block_stream);
    stream_close(p->block_stream);
    p->block_stream = NULL;
}

static err_t write_message(task_t *t, turn_t *turn, bitswap_message_t *m)
{
    bs_peer_t *p = turn->peer;
    if (p->is_gone)
        return ERR_CLOSED;
    if (!p->block_stream)
        TRY(bs_open_stream(t, p, &p->block_stream, &p->block_version));
    if (p->block_version != m->version)
        return fail(ERR_PROTOCOL, "the peer changed its bitswap version");
    size_t cap = 3 + 2 * m->n_blocks;
    bytes_t *pieces = xcalloc(cap, sizeof *pieces);
    size_t n = bitswap_message_pieces(m, pieces, cap);
    uint64_t began = task_now_ms(t);
    deadline_t d = deadline_push(t, BITSWAP_SEND_TIMEOUT_MS);
    err_t e = stream_write_pieces(t, p->block_stream, pieces, n);
    deadline_pop(t, &d);
    p->is_slow = task_now_ms(t) - began > BITSWAP_SLOW_TURN_MS;
    free(pieces);
    return e;
}

/* In the peer's gate: the stream is ours alone. */
static err_t send_message(task_t *t, turn_t *turn, bitswap_message_t *m)
{
    err_t e = write_message(t, turn, m);
    if (e)
        drop_block_stream(turn->peer);
    return e;
}

/* The stream is opened first, since its version says what may be answered. */
static err_t open_block_stream(task_t *t, bs_peer_t *p)
{
    TRY(gate_enter(t, &p->block_gate));
    err_t e = p->block_stream ? OK : bs_open_stream(t, p, &p->block_stream, &p->block_version);
    gate_leave(&p->block_gate);
    return e;
}

static err_t run_turn(task_t *t, turn_t *turn)
{
    bs_peer_t *p = turn->peer;
    TRY(open_block_stream(t, p));
    AUTO(bitswap_message_t) m;
    bitswap_message_init(&m, p->block_version);
    TRY(fill(t, turn, &m));
    if (bitswap_message_is_empty(&m))
        return OK;
    TRY(bitswap_message_finish(&m, 0));
    TRY(gate_enter(t, &p->block_gate));
    bool is_new = !p->block_stream; /* another turn has lost it */
    err_t e = send_message(t, turn, &m);
    if (!is_new && (e == ERR_RESET || e == ERR_CLOSED))
        e = send_message(t, turn, &m);
    gate_leave(&p->block_gate);
    turn->sent_bytes = m.size_bytes; /* also when it failed: it took our time */
    turn->sent_blocks = e ? 0 : m.n_blocks;
    for (size_t i = 0; !e && i < m.n_blocks; i++)
        p->b->stat.data_sent += m.blocks[i].block->len;
    return e;
}

static err_t turn_task(task_t *t, void *arg)
{
    turn_t turn = *(turn_t *)arg;
    free(arg);
    bs_peer_t *p = turn.peer;
    bitswap_t *b = p->b;
    err_t e = run_turn(t, &turn);
    if (e) {
        log_debug("bitswap: blocks were not sent", LOG_ERR(e));
        ledger_clear(b->ledger, p->ledger); /* what was lost is unknown; the peer asks again */
    }
    b->stat.blocks_sent += turn.sent_blocks;
    metric_add(b->metric_sent, (double)turn.sent_blocks);
    ledger_turn_end(b->ledger, p->ledger, turn.granted, turn.sent_bytes);
    b->serving_bytes -= turn.reserved;
    b->turns--;
    bs_peer_release(p);
    bs_serve(b);
    return OK;
}

static void start_turn(bitswap_t *b, ledger_peer_t *ledger, size_t granted)
{
    bs_peer_t *p = ledger_peer_user(ledger);
    turn_t *turn = xcalloc(1, sizeof *turn);
    turn->peer = bs_peer_ref(p);
    turn->granted = granted;
    turn->may_take = p->is_slow && granted > BITSWAP_SLOW_TURN_BYTES ? BITSWAP_SLOW_TURN_BYTES : granted;
    turn->reserved = turn->may_take;
    b->serving_bytes += turn->reserved;
    b->turns++;
    if (group_spawn(&b->group, "bitswap-serve", turn_task, turn, NULL)) {
        b->serving_bytes -= turn->reserved;
        b->turns--;
        ledger_turn_end(b->ledger, ledger, granted, granted);
        bs_peer_release(p);
        free(turn);
    }
}

static void serve(void *arg)
{
    bitswap_t *b = arg;
    while (!b->is_closing && ledger_has_work(b->ledger) && b->turns < BITSWAP_SERVING_MAX_TURNS &&
           b->serving_bytes < BITSWAP_SERVING_MAX_BYTES) {
        size_t granted;
        ledger_peer_t *p = ledger_turn_begin(b->ledger, &granted);
        if (!p)
            return;
        size_t before = b->turns;
        start_turn(b, p, granted);
        if (b->turns == before)
            return; /* no more tasks: the next event tries again */
    }
}

void bs_server_init(bitswap_t *b)
{
    runnable_init(&b->serve, serve, b);
}

void bs_server_deinit(bitswap_t *b)
{
    runnable_cancel(&b->serve);
}

void bs_serve(bitswap_t *b)
{
    if (!b->is_closing && ledger_has_work(b->ledger))
        sched_post(b->sched, &b->serve);
}

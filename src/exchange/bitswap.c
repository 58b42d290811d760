/* Start and close, the peers, and the streams that they open. */
#include "base/log.h"
#include "exchange/internal.h"
#include <stdlib.h>

enum { MAX_PEERS = 4096 };

void bitswap_config_default(bitswap_config_t *ret)
{
    *ret = (bitswap_config_t){.max_outstanding_bytes = 16u << 20,
                              .provider_search_delay_ms = 1000,
                              .is_server = true,
                              .is_on = true};
}

/* ── peers ───────────────────────────────────────────────────────────────────────────────────── */
static bs_peer_t *find_peer(bitswap_t *b, const peer_id_t *id)
{
    return map_get(&b->by_id, peer_id_bytes(id));
}

/* Streams that a task is writing to are reset, which wakes it and lets it clean up; idle ones are closed. */
static void discard_streams(bs_peer_t *p)
{
    if (p->is_sending) {
        if (p->want_stream)
            stream_reset(p->want_stream);
    } else {
        bs_close_want_stream(p);
    }
    if (!p->block_gate.free_count) {
        if (p->block_stream)
            stream_reset(p->block_stream);
    } else {
        stream_close(p->block_stream);
        p->block_stream = NULL;
    }
}

/* The peer, made when it is new, brought back when it had left. NULL: too many. */
static bs_peer_t *get_peer(bitswap_t *b, const peer_id_t *id)
{
    if (!b->config.is_on)
        return NULL;
    bs_peer_t *p = find_peer(b, id);
    if (p) {
        p->is_gone = false;
        return p;
    }
    p = xcalloc(1, sizeof *p);
    p->b = b;
    p->id = *id;
    gate_init(&p->block_gate, 1);
    bs_client_peer_init(p);
    if (map_put(&b->by_id, peer_id_bytes(id), p, NULL)) {
        bs_client_peer_deinit(p);
        free(p);
        return NULL;
    }
    list_push_back(&b->peers, &p->node);
    return p;
}

static void free_peer(bs_peer_t *p)
{
    if (p->wants)
        want_manager_disconnected(p->b->wants, p->wants, sched_now_ms(p->b->sched));
    if (p->ledger)
        ledger_disconnected(p->b->ledger, p->ledger);
    bs_client_peer_deinit(p);
    stream_close(p->block_stream);
    map_remove(&p->b->by_id, peer_id_bytes(&p->id));
    list_remove(&p->node);
    free(p);
}

bs_peer_t *bs_peer_ref(bs_peer_t *p)
{
    p->refs++;
    return p;
}

void bs_peer_release(bs_peer_t *p)
{
    assert(p->refs > 0);
    if (!--p->refs && p->is_gone)
        free_peer(p);
}

/* The last connection to it is gone. Its wants and ours at it are forgotten at once. */
static void leave(bs_peer_t *p)
{
    p->is_gone = true;
    if (p->wants)
        want_manager_disconnected(p->b->wants, p->wants, sched_now_ms(p->b->sched));
    p->wants = NULL;
    if (p->ledger)
        ledger_clear(p->b->ledger, p->ledger);
    discard_streams(p);
    bs_pump(p->b);
    bs_peer_release(bs_peer_ref(p)); /* frees it when nobody uses it */
}

bool bs_peer_ask(bs_peer_t *p)
{
    conn_t *c = host_conn(p->b->config.host, &p->id);
    if (!c || p->is_gone || p->b->is_closing)
        return false;
    if (p->wants)
        return true;
    int best = -1;
    for (int i = BITSWAP_PROTOCOL_COUNT - 1; i >= 0; i--)
        if (peerstore_speaks(host_peerstore(p->b->config.host), &p->id, bitswap_protocols[i]))
            best = i;
    if (best < 0)
        return false;
    bool speaks_have = bitswap_version_of(bitswap_protocols[best]) == BITSWAP_V1_2;
    p->wants =
        want_manager_connected(p->b->wants, &p->id, speaks_have, conn_rtt_ms(c), sched_now_ms(p->b->sched));
    if (p->wants)
        want_peer_set_user(p->wants, p);
    bs_pump(p->b);
    return p->wants;
}

static void on_identified(void *arg, conn_t *c)
{
    bs_peer_t *p = get_peer(arg, conn_peer(c));
    if (p)
        bs_peer_ask(p);
}

static void on_protocols_changed(void *arg, const peer_id_t *id)
{
    bs_peer_t *p = get_peer(arg, id);
    if (p)
        bs_peer_ask(p);
}

static void on_disconnected(void *arg, const peer_id_t *id)
{
    bs_peer_t *p = find_peer(arg, id);
    if (p)
        leave(p);
}

err_t bs_open_stream(task_t *t, bs_peer_t *p, stream_t **ret_stream, bitswap_version_t *ret_version)
{
    conn_t *c = p->is_gone ? NULL : host_conn(p->b->config.host, &p->id);
    if (!c)
        return fail(ERR_CLOSED, "the peer has disconnected");
    conn_ref(c);
    deadline_t d = deadline_push(t, BITSWAP_OPEN_TIMEOUT_MS);
    const char *protocol = NULL;
    /* To a peer that is known to speak the newest version, it alone is proposed: no round trip. */
    bool knows = peerstore_speaks(host_peerstore(p->b->config.host), &p->id, bitswap_protocols[0]);
    err_t e =
        conn_open_stream(t, c, bitswap_protocols, knows ? 1 : BITSWAP_PROTOCOL_COUNT, ret_stream, &protocol);
    deadline_pop(t, &d);
    conn_release(c);
    if (!e)
        *ret_version = bitswap_version_of(protocol);
    return e;
}

/* ── inbound streams ─────────────────────────────────────────────────────────────────────────── */
static void take_want(bs_peer_t *p, const bitswap_want_t *w, bool *is_first)
{
    bitswap_t *b = p->b;
    if (!b->config.is_server)
        return;
    if (!p->ledger) {
        p->ledger = ledger_connected(b->ledger, &p->id);
        if (!p->ledger)
            return;
        ledger_peer_set_user(p->ledger, p);
    }
    if (*is_first)
        ledger_message_begin(b->ledger, p->ledger);
    *is_first = false;
    if (w->is_cancel)
        ledger_cancel(b->ledger, p->ledger, &w->cid);
    else
        ledger_want(b->ledger, p->ledger, &w->cid, w->priority, w->is_have, w->send_dont_have);
}

static err_t take_item(task_t *t, bs_peer_t *p, const bitswap_item_t *item, bool *has_wants)
{
    bitswap_t *b = p->b;
    switch (item->kind) {
    case BITSWAP_ITEM_WANT: {
        bool is_first = !*has_wants;
        take_want(p, &item->want, &is_first);
        *has_wants = true;
        return OK;
    }
    case BITSWAP_ITEM_PRESENCE:
        if (p->wants)
            want_manager_presence(b->wants, p->wants, &item->presence.cid, item->presence.has,
                                  task_now_ms(t));
        bs_pump(b);
        return OK;
    case BITSWAP_ITEM_BLOCK:
        return bs_ingest(t, p, item->block);
    case BITSWAP_ITEM_END:
        b->stat.messages_received++;
        if (p->ledger && (*has_wants || item->end.is_full)) {
            if (!*has_wants)
                ledger_message_begin(b->ledger, p->ledger);
            ledger_message_end(b->ledger, p->ledger, item->end.is_full && !p->is_gone);
        }
        *has_wants = false;
        bs_serve(b);
    }
    return OK;
}

static err_t read_messages(task_t *t, bs_peer_t *p, stream_t *s)
{
    AUTO(bitswap_decoder_t) d;
    bitswap_decoder_init(&d);
    bool has_wants = false;
    for (;;) {
        bitswap_item_t item;
        while (bitswap_decoder_next(&d, &item))
            TRY(take_item(t, p, &item, &has_wants));
        TRY(d.err);
        if (bitswap_decoder_is_idle(&d)) { /* no buffer while nothing comes */
            size_t n;
            uint8_t first[64];
            TRY(stream_read(t, s, first, sizeof first, &n));
            if (!n)
                return OK;
            size_t room;
            memcpy(bitswap_decoder_area(&d, &room), first, n);
            TRY(bitswap_decoder_fed(&d, n));
            continue;
        }
        size_t room, n;
        uint8_t *area = bitswap_decoder_area(&d, &room);
        TRY(stream_read(t, s, area, room, &n));
        if (!n)
            return fail(ERR_EOF, "a bitswap stream ended within a message");
        TRY(bitswap_decoder_fed(&d, n));
        if (p->wants && d.block)
            want_manager_progress(p->b->wants, p->wants, task_now_ms(t));
    }
}

static err_t on_stream(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    (void)protocol;
    bitswap_t *b = arg;
    bs_peer_t *p = b->is_closing ? NULL : get_peer(b, conn_peer(from));
    if (!p) {
        stream_reset(s);
        stream_close(s);
        return ERR_CLOSED;
    }
    bs_peer_ref(p);
    inbound_t in = {.stream = s};
    list_push_back(&b->inbound, &in.node);
    err_t e = read_messages(t, p, s);
    list_remove(&in.node);
    if (e)
        stream_reset(s);
    stream_close(s);
    if (!host_is_connected(b->config.host, &p->id))
        p->is_gone = true; /* it was brought back by a stream that outlived the news */
    else if (e && e != ERR_CANCELED && e != ERR_PROTOCOL)
        bs_stream_lost(p);
    bs_peer_release(p);
    if (b->is_closing)
        event_fire(&b->inbound_gone);
    return e;
}

/* ── start and close ─────────────────────────────────────────────────────────────────────────── */
static void learn_connected(bitswap_t *b)
{
    size_t n = host_conn_count(b->config.host);
    conn_t **conns = xcalloc(n + 1, sizeof *conns);
    n = host_conns(b->config.host, conns, n);
    for (size_t i = 0; i < n; i++)
        on_identified(b, conns[i]);
    free(conns);
}

static bitswap_t *make(task_t *t, const bitswap_config_t *c)
{
    bitswap_t *b = xcalloc(1, sizeof *b);
    b->config = *c;
    b->sched = task_sched(t);
    group_init(&b->group, b->sched);
    want_limits_t limits;
    want_limits_default(&limits);
    if (c->max_outstanding_bytes)
        limits.max_session_bytes = c->max_outstanding_bytes;
    if (c->provider_search_delay_ms)
        limits.search_delay_ms = c->provider_search_delay_ms;
    b->wants = want_manager_new(&limits);
    ledger_limits_t ledger_limits;
    ledger_limits_default(&ledger_limits);
    b->ledger = ledger_new(&ledger_limits);
    map_init(&b->by_id, MAX_PEERS);
    list_init(&b->peers);
    list_init(&b->sessions);
    list_init(&b->inbound);
    event_init(&b->inbound_gone);
    b->metric_sent = metric_counter("bitswap_blocks_sent", NULL, "Blocks sent to peers.");
    b->metric_received =
        metric_counter("bitswap_blocks_received", NULL, "Blocks received from peers, verified.");
    b->metric_wants = metric_gauge("distribute_wantlist_size", NULL, "Blocks wanted from peers.");
    bs_client_init(b);
    bs_server_init(b);
    return b;
}

static void stop(task_t *t, bitswap_t *b)
{
    b->is_closing = true;
    for (size_t i = 0; i < BITSWAP_PROTOCOL_COUNT; i++)
        host_unhandle(b->config.host, bitswap_protocols[i]);
    host_remove_listener(b->config.host, &b->listener);
    LIST_EACH (in, &b->inbound, inbound_t, node) {
        stream_reset(in->stream);
    }
    event_fire(&b->has_room);
    task_shield(t);
    while (!list_is_empty(&b->inbound) && !event_wait(t, &b->inbound_gone))
        ;
    task_unshield(t);
    group_stop(t, &b->group);
    task_shield(t);
    if (blockstore_sync(t, b->config.blocks))
        log_error("bitswap: the last blocks could not be made durable", LOG_STR("at", "close"));
    task_unshield(t);
    assert(list_is_empty(&b->sessions)); /* their owners close them first */
    bs_client_deinit(b);
    bs_server_deinit(b);
    bs_ingest_stop(b);
    LIST_EACH (p, &b->peers, bs_peer_t, node) {
        assert(!p->refs);
        free_peer(p);
    }
    want_manager_free(b->wants);
    ledger_free(b->ledger);
    map_deinit(&b->by_id);
    group_deinit(&b->group);
    free(b);
}

err_t bitswap_start(task_t *t, const bitswap_config_t *c, bitswap_t **ret)
{
    bitswap_t *b = make(t, c);
    err_t e = bs_ingest_start(b);
    protocol_options_t options = {.max_inbound_per_peer = BITSWAP_MAX_INBOUND_PER_PEER};
    for (size_t i = 0; c->is_on && !e && i < BITSWAP_PROTOCOL_COUNT; i++)
        e = host_handle(c->host, bitswap_protocols[i], &options, on_stream, b);
    b->listener = (host_listener_t){.identified = on_identified,
                                    .protocols_changed = on_protocols_changed,
                                    .disconnected = on_disconnected,
                                    .arg = b};
    host_add_listener(c->host, &b->listener);
    if (e) {
        stop(t, b);
        return e;
    }
    if (c->is_on)
        learn_connected(b);
    *ret = b;
    return OK;
}

void bitswap_close(task_t *t, bitswap_t *b)
{
    if (b)
        stop(t, b);
}

/* ── what it is doing ────────────────────────────────────────────────────────────────────────── */
void bitswap_stat(const bitswap_t *b, bitswap_stat_t *ret)
{
    *ret = b->stat;
    ret->wantlist_size = want_manager_count(b->wants);
    ret->peers = map_count(&b->by_id);
}

void bitswap_each_want(bitswap_t *b, bool (*fn)(void *arg, const cid_t *cid), void *arg)
{
    want_manager_each(b->wants, fn, arg);
}

void bitswap_each_peer(bitswap_t *b, bool (*fn)(void *arg, const peer_id_t *peer), void *arg)
{
    LIST_EACH (p, &b->peers, bs_peer_t, node) {
        if (!p->is_gone && (p->wants || p->ledger) && !fn(arg, &p->id))
            return;
    }
}

err_t bitswap_ledger(bitswap_t *b, const peer_id_t *peer, bitswap_ledger_t *ret)
{
    ledger_peer_t *p = ledger_peer(b->ledger, peer);
    if (!p) {
        char text[PEER_ID_TEXT_MAX];
        return fail(ERR_NOT_FOUND, "no exchange with peer %s", peer_id_print(peer, text));
    }
    ledger_account_t a = ledger_peer_account(p);
    *ret = (bitswap_ledger_t){a.sent_bytes, a.received_bytes, a.exchanged, a.wants};
    return OK;
}

void bitswap_each_peer_want(bitswap_t *b, const peer_id_t *peer, bool (*fn)(void *arg, const cid_t *cid),
                            void *arg)
{
    ledger_peer_t *p = ledger_peer(b->ledger, peer);
    if (p)
        ledger_each_want(p, fn, arg);
}

void bitswap_have(bitswap_t *b, const cid_t *cids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ledger_have(b->ledger, &cids[i]);
        if (want_manager_wants(b->wants, &cids[i])) {
            want_manager_block(b->wants, NULL, &cids[i], 0, sched_now_ms(b->sched));
            bs_look_again(b, &cids[i]);
        }
    }
    bs_serve(b);
    bs_pump(b);
}

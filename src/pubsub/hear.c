/* What comes in: RPCs, their control, their messages. */
#include "base/log.h"
#include "pubsub/internal.h"

/* ── messages ────────────────────────────────────────────────────────────────────────────────── */
/* Signed, or not signed, as we want it. */
static err_t check_signature(const pubsub_t *ps, const pubsub_message_t *m)
{
    if (ps->config.signs)
        return pubsub_verify(m);
    return m->signature.data || m->key.data ? fail(ERR_CRYPTO, "a pubsub message with a signature") : OK;
}

static void finish(pubsub_t *ps, const pubsub_message_t *m, const peer_id_t *author, bytes_t id,
                   gossip_verdict_t verdict, uint64_t now_ms)
{
    gossip_message_t *sent = verdict == GOSSIP_ACCEPT ? ps_message(ps, m, id) : NULL;
    gossip_checked(ps->gossip, id, sent || verdict != GOSSIP_ACCEPT ? verdict : GOSSIP_IGNORE, sent, now_ms);
    gossip_message_release(sent);
    if (verdict == GOSSIP_ACCEPT) {
        ps->stat.received++;
        metric_add(ps->metric_received, 1);
        ps_deliver(ps, m, author);
    } else if (verdict == GOSSIP_REJECT) {
        ps->stat.invalid++;
    } else {
        ps->stat.ignored++;
    }
    ps_pump(ps);
}

static err_t hear_message(task_t *t, ps_peer_t *p, const pubsub_message_t *m)
{
    pubsub_t *ps = p->ps;
    uint8_t id_bytes[PUBSUB_ID_MAX_BYTES];
    size_t id_len;
    peer_id_t author;
    if (!gossip_is_subscribed(ps->gossip, m->topic))
        return OK;
    if (pubsub_message_id(m, id_bytes, &id_len) || peer_id_decode(m->from, &author)) {
        gossip_forged(ps->gossip, p->gossip, m->topic);
        ps->stat.invalid++;
        return OK;
    }
    bytes_t id = bytes_of(id_bytes, id_len);
    if (peer_id_equal(&author, host_id(ps->config.host)) ||
        !gossip_arrived(ps->gossip, p->gossip, m->topic, id, m->data.len, task_now_ms(t)))
        return OK;
    if (check_signature(ps, m)) {
        gossip_forged(ps->gossip, p->gossip, m->topic);
        ps->stat.invalid++;
        return OK;
    }
    if (!gossip_checking(ps->gossip, p->gossip, m->topic, id, m->data.len, task_now_ms(t)))
        return OK;
    ps_pump(ps);
    gossip_verdict_t verdict = ps_validate(t, ps, &p->id, m);
    finish(ps, m, &author, id, verdict, task_now_ms(t));
    return task_check(t);
}

/* ── control ─────────────────────────────────────────────────────────────────────────────────── */
static void hear_subscription(ps_peer_t *p, const pubsub_item_t *item, uint64_t now_ms)
{
    pubsub_t *ps = p->ps;
    bool is_on = item->kind == PUBSUB_SUBSCRIBE;
    if (!item->topic.len)
        return;
    bool is_new = gossip_hear_subscription(ps->gossip, p->gossip, item->topic, is_on, now_ms);
    if (is_new && ps->joined && gossip_is_subscribed(ps->gossip, item->topic))
        ps->joined(ps->joined_arg, item->topic, &p->id);
}

static void hear_ids(ps_peer_t *p, const pubsub_item_t *item, uint64_t now_ms)
{
    gossip_t *g = p->ps->gossip;
    bytes_t id;
    if (item->kind == PUBSUB_IHAVE && !gossip_hear_ihave(g, p->gossip, item->topic, now_ms))
        return;
    for (size_t i = 0; pubsub_next_id(item, &i, &id);) {
        if (item->kind == PUBSUB_IHAVE)
            gossip_hear_ihave_id(g, p->gossip, id);
        else if (item->kind == PUBSUB_IWANT)
            gossip_hear_iwant(g, p->gossip, id, now_ms);
        else
            gossip_hear_idontwant(g, p->gossip, id);
    }
}

static void hear_prune(ps_peer_t *p, const pubsub_item_t *item, uint64_t now_ms)
{
    if (gossip_hear_prune(p->ps->gossip, p->gossip, item->topic, item->backoff_s, now_ms))
        ps_try_offers(p->ps, item);
}

/* Everything but messages, without waiting. From who is not listened to: what it follows, nothing else. */
static void hear_control(ps_peer_t *p, bytes_t rpc, bool is_accepted, uint64_t now_ms)
{
    gossip_t *g = p->ps->gossip;
    pubsub_reader_t r = pubsub_reader_of(rpc);
    pubsub_item_t item;
    gossip_rpc_begin(g, p->gossip, now_ms);
    while (pubsub_next(&r, &item)) {
        if (item.kind == PUBSUB_SUBSCRIBE || item.kind == PUBSUB_UNSUBSCRIBE)
            hear_subscription(p, &item, now_ms);
        else if (!is_accepted || item.kind == PUBSUB_MESSAGE)
            continue;
        else if (item.kind == PUBSUB_GRAFT)
            gossip_hear_graft(g, p->gossip, item.topic, now_ms);
        else if (item.kind == PUBSUB_PRUNE)
            hear_prune(p, &item, now_ms);
        else
            hear_ids(p, &item, now_ms);
    }
    gossip_rpc_end(g, p->gossip, now_ms);
    ps_pump(p->ps);
}

/* ── RPCs ────────────────────────────────────────────────────────────────────────────────────── */
/* Whose first messages are forged is not listened to for the others. */
static bool is_listened_to(task_t *t, const ps_peer_t *p)
{
    return p->gossip && gossip_accepts(p->ps->gossip, p->gossip, task_now_ms(t));
}

/* Others run between its messages: a signature takes a tenth of a millisecond to check, and thousands of them
 * find room in an RPC. */
static err_t hear_messages(task_t *t, ps_peer_t *p, bytes_t rpc)
{
    pubsub_reader_t r = pubsub_reader_of(rpc);
    pubsub_item_t item;
    while (is_listened_to(t, p) && pubsub_next(&r, &item)) {
        if (item.kind != PUBSUB_MESSAGE)
            continue;
        TRY(hear_message(t, p, &item.message));
        TRY(task_yield(t));
    }
    return OK;
}

static err_t hear_rpc(task_t *t, ps_peer_t *p, bytes_t rpc)
{
    if (!p->gossip)
        return fail(ERR_CLOSED, "not a peer of the mesh any more");
    err_t e = pubsub_check(rpc);
    if (e) {
        gossip_penalize(p->gossip, 10);
        return e;
    }
    hear_control(p, rpc, is_listened_to(t, p), task_now_ms(t));
    TRY(hear_messages(t, p, rpc));
    return task_yield(t); /* a peer that never pauses does not keep others waiting */
}

/* The body is charged to the peer before it comes, and has its time. */
static err_t read_body(task_t *t, conn_t *from, stream_t *s, uint64_t len, buf_t *out)
{
    TRY(limit_charge(conn_limit(from), len));
    deadline_t d = deadline_push(t, PUBSUB_BODY_TIMEOUT_MS);
    err_t e = stream_read_body(t, s, len, out);
    deadline_pop(t, &d);
    if (e)
        limit_release(conn_limit(from), len);
    return e;
}

err_t ps_hear_stream(task_t *t, ps_peer_t *p, conn_t *from, stream_t *s)
{
    for (;;) {
        uint64_t len;
        bool is_cut = false;
        err_t e = stream_read_length(t, s, &len, &is_cut);
        if (e == ERR_EOF && !is_cut)
            return OK;
        TRY(e);
        if (len > PUBSUB_RPC_MAX_BYTES) {
            if (p->gossip)
                gossip_penalize(p->gossip, 10);
            return fail(ERR_LIMIT, "a pubsub RPC of %llu bytes", (unsigned long long)len);
        }
        AUTO(buf_t) rpc = {0}; /* nothing is held while nothing comes */
        buf_init(&rpc, PUBSUB_RPC_MAX_BYTES);
        TRY(read_body(t, from, s, len, &rpc));
        e = hear_rpc(t, p, buf_bytes(&rpc));
        limit_release(conn_limit(from), len);
        TRY(e);
    }
}

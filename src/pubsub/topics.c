/* Subscriptions, validators, publishing. */
#include "pubsub/internal.h"
#include <stdlib.h>

typedef struct queued {
    list_t node;
    pubsub_received_t *message;
} queued_t;

/* ── topics ──────────────────────────────────────────────────────────────────────────────────── */
static err_t check_name(bytes_t topic)
{
    if (!topic.len || topic.len > PUBSUB_TOPIC_MAX_BYTES)
        return fail(ERR_INVALID, "a topic has 1 to %d bytes, not %zu", PUBSUB_TOPIC_MAX_BYTES, topic.len);
    return OK;
}

ps_topic_t *ps_topic_find(pubsub_t *ps, bytes_t name)
{
    return map_get(&ps->topics, name);
}

static err_t get_topic(pubsub_t *ps, bytes_t name, ps_topic_t **ret)
{
    TRY(check_name(name));
    ps_topic_t *topic = ps_topic_find(ps, name);
    if (!topic) {
        topic = xcalloc(1, sizeof *topic + name.len);
        list_init(&topic->subscriptions);
        topic->name_len = name.len;
        memcpy(topic->name, name.data, name.len);
        err_t e = map_put(&ps->topics, name, topic, NULL);
        if (e) {
            free(topic);
            return fail(e, "too many pubsub topics: unsubscribe from some");
        }
    }
    *ret = topic;
    return OK;
}

static bytes_t name_of(const ps_topic_t *topic)
{
    return bytes_of(topic->name, topic->name_len);
}

static void settle_topic(pubsub_t *ps, ps_topic_t *topic)
{
    if (!list_is_empty(&topic->subscriptions) || topic->validator)
        return;
    map_remove(&ps->topics, name_of(topic));
    free(topic);
}

err_t pubsub_set_validator(pubsub_t *ps, bytes_t topic, pubsub_validator_fn fn, void *arg)
{
    ps_topic_t *at;
    TRY(get_topic(ps, topic, &at));
    at->validator = fn;
    at->validator_arg = arg;
    settle_topic(ps, at);
    return OK;
}

static uint64_t seqno_of(const pubsub_message_t *m)
{
    reader_t r = reader_of(m->seqno);
    return read_u64be(&r);
}

gossip_verdict_t ps_validate(task_t *t, pubsub_t *ps, const peer_id_t *via, const pubsub_message_t *m)
{
    ps_topic_t *topic = ps_topic_find(ps, m->topic);
    peer_id_t author;
    if (topic && topic->validator) {
        gossip_verdict_t v = topic->validator(t, topic->validator_arg, via, m->data);
        if (v != GOSSIP_ACCEPT)
            return v;
    }
    if (peer_id_decode(m->from, &author))
        return GOSSIP_REJECT;
    return ps_seqno_take(t, ps, &author, seqno_of(m)) ? GOSSIP_ACCEPT : GOSSIP_IGNORE;
}

/* ── subscriptions ───────────────────────────────────────────────────────────────────────────── */
typedef struct joined {
    pubsub_t *ps;
    bytes_t topic;
} joined_t;

static bool tell_joined(void *arg, const peer_id_t *peer)
{
    const joined_t *j = arg;
    j->ps->joined(j->ps->joined_arg, j->topic, peer);
    return true;
}

static err_t subscribe(pubsub_t *ps, bytes_t topic, bool is_quiet, pubsub_subscription_t **ret)
{
    ps_topic_t *at;
    if (ps->is_closing)
        return fail(ERR_CLOSED, "pubsub is stopping");
    if (ps->n_subscriptions >= PUBSUB_SUBSCRIPTIONS_MAX)
        return fail(ERR_LIMIT, "%zu subscriptions are open: close some", ps->n_subscriptions);
    TRY(get_topic(ps, topic, &at));
    bool is_new = !gossip_is_subscribed(ps->gossip, topic);
    err_t e = gossip_subscribe(ps->gossip, topic, sched_now_ms(ps->sched));
    if (e) {
        settle_topic(ps, at);
        return e;
    }
    pubsub_subscription_t *s = xcalloc(1, sizeof *s);
    s->ps = ps;
    s->topic = at;
    s->is_quiet = is_quiet;
    list_init(&s->queue);
    event_init(&s->changed);
    list_push_back(&at->subscriptions, &s->node);
    ps->n_subscriptions++;
    ps_pump(ps);
    event_fire(&ps->new_topic);
    *ret = s;
    if (is_new && ps->joined)
        pubsub_each_peer(ps, topic, tell_joined, &(joined_t){ps, topic});
    return OK;
}

err_t pubsub_subscribe(pubsub_t *ps, bytes_t topic, pubsub_subscription_t **ret)
{
    return subscribe(ps, topic, false, ret);
}

err_t pubsub_join(pubsub_t *ps, bytes_t topic, pubsub_subscription_t **ret)
{
    return subscribe(ps, topic, true, ret);
}

static void drop_queued(pubsub_subscription_t *s, queued_t *q)
{
    list_remove(&q->node);
    s->n_queued--;
    s->queued_bytes -= q->message->data.len;
    free(q);
}

static void leave_topic(pubsub_subscription_t *s)
{
    pubsub_t *ps = s->ps;
    ps_topic_t *topic = s->topic;
    s->ps = NULL;
    list_remove(&s->node);
    ps->n_subscriptions--;
    if (list_is_empty(&topic->subscriptions))
        gossip_unsubscribe(ps->gossip, name_of(topic), sched_now_ms(ps->sched));
    ps_pump(ps);
}

void pubsub_unsubscribe(pubsub_subscription_t *s)
{
    if (!s)
        return;
    pubsub_t *ps = s->ps;
    if (ps) {
        leave_topic(s);
        settle_topic(ps, s->topic);
    }
    LIST_EACH (q, &s->queue, queued_t, node) {
        pubsub_received_t *m = q->message;
        drop_queued(s, q);
        pubsub_received_release(m);
    }
    free(s);
}

void ps_topics_close(pubsub_t *ps)
{
    void *value;
    for (size_t i = 0; map_next(&ps->topics, &i, NULL, &value);) {
        ps_topic_t *topic = value;
        topic->validator = NULL;
        LIST_EACH (s, &topic->subscriptions, pubsub_subscription_t, node) {
            event_fire(&s->changed);
            leave_topic(s);
        }
        settle_topic(ps, topic);
    }
}

err_t pubsub_receive(task_t *t, pubsub_subscription_t *s, pubsub_received_t **ret)
{
    queued_t *q;
    while (!(q = LIST_FIRST(&s->queue, queued_t, node))) {
        if (!s->ps)
            return fail(ERR_CLOSED, "pubsub has stopped");
        TRY(event_wait(t, &s->changed));
    }
    *ret = q->message;
    drop_queued(s, q);
    return OK;
}

/* ── messages ────────────────────────────────────────────────────────────────────────────────── */
void pubsub_received_release(pubsub_received_t *r)
{
    if (r && !--r->refs)
        free(r);
}

static bytes_t copy_to(uint8_t **at, bytes_t from)
{
    bytes_t copy = bytes_of(*at, from.len);
    if (from.len)
        memcpy(*at, from.data, from.len);
    *at += from.len;
    return copy;
}

static pubsub_received_t *received_new(const pubsub_message_t *m, const peer_id_t *author)
{
    pubsub_received_t *r = xcalloc(1, sizeof *r + m->topic.len + m->data.len + m->seqno.len);
    uint8_t *at = (uint8_t *)(r + 1);
    r->refs = 1;
    r->author = *author;
    r->topic = copy_to(&at, m->topic);
    r->data = copy_to(&at, m->data);
    r->seqno = copy_to(&at, m->seqno);
    return r;
}

void ps_deliver(pubsub_t *ps, const pubsub_message_t *m, const peer_id_t *author)
{
    ps_topic_t *topic = ps_topic_find(ps, m->topic);
    if (!topic || list_is_empty(&topic->subscriptions))
        return;
    pubsub_received_t *r = received_new(m, author);
    LIST_EACH (s, &topic->subscriptions, pubsub_subscription_t, node) {
        if (s->is_quiet)
            continue;
        if (s->n_queued >= PUBSUB_QUEUE_MAX ||
            (s->n_queued && s->queued_bytes + m->data.len > PUBSUB_QUEUE_MAX_BYTES)) {
            ps->stat.lost++;
            continue;
        }
        queued_t *q = xcalloc(1, sizeof *q);
        q->message = r;
        r->refs++;
        list_push_back(&s->queue, &q->node);
        s->n_queued++;
        s->queued_bytes += m->data.len;
        event_fire(&s->changed);
    }
    pubsub_received_release(r);
}

gossip_message_t *ps_message(pubsub_t *ps, const pubsub_message_t *m, bytes_t id)
{
    AUTO(buf_t) content = {0};
    buf_init(&content, m->data.len + PUBSUB_MESSAGE_OVERHEAD);
    writer_t w = writer_to(&content);
    pubsub_put_message(&w, m);
    return w.err ? NULL : gossip_message_new(ps->gossip, m->topic, id, m->from, buf_bytes(&content));
}

/* Our own: signed, when messages are. */
static err_t send_own(pubsub_t *ps, pubsub_message_t *m)
{
    AUTO(buf_t) signature = {0}, key = {0};
    const peer_id_t *self = host_id(ps->config.host);
    public_key_t inner;
    buf_init(&signature, 1024);
    buf_init(&key, PUBLIC_KEY_MAX_BYTES + 16);
    if (ps->config.signs) {
        TRY(pubsub_sign(m, ps->config.key, &signature));
        m->signature = buf_bytes(&signature);
        if (peer_id_public_key(self, &inner)) {
            TRY(public_key_encode(private_key_public(ps->config.key), &key));
            m->key = buf_bytes(&key);
        }
    }
    uint8_t id[PUBSUB_ID_MAX_BYTES];
    size_t id_len;
    TRY(pubsub_message_id(m, id, &id_len));
    gossip_message_t *sent = ps_message(ps, m, bytes_of(id, id_len));
    if (!sent)
        return fail(ERR_LIMIT, "no room for one more message: too many topics at once, or the budget is used "
                               "up (raise Swarm.ResourceMgr.MaxMemory)");
    gossip_publish(ps->gossip, sent, sched_now_ms(ps->sched));
    gossip_message_release(sent);
    ps->stat.published++;
    metric_add(ps->metric_published, 1);
    ps_deliver(ps, m, self);
    ps_pump(ps);
    return OK;
}

err_t pubsub_publish(task_t *t, pubsub_t *ps, bytes_t topic, bytes_t data)
{
    TRY(check_name(topic));
    if (ps->is_closing)
        return fail(ERR_CLOSED, "pubsub is stopping");
    if (data.len > PUBSUB_DATA_MAX_BYTES)
        return fail(ERR_LIMIT, "a pubsub message has at most %u bytes, not %zu", PUBSUB_DATA_MAX_BYTES,
                    data.len);
    ps_topic_t *at = ps_topic_find(ps, topic);
    if (at && at->validator && at->validator(t, at->validator_arg, NULL, data) != GOSSIP_ACCEPT)
        return fail(ERR_INVALID, "the message is not one for this topic");
    uint8_t seqno[PUBSUB_SEQNO_BYTES];
    uint64_t number = ps_seqno_next(ps);
    for (size_t i = 0; i < sizeof seqno; i++)
        seqno[i] = (uint8_t)(number >> (56 - 8 * i));
    pubsub_message_t m = {.from = peer_id_bytes(host_id(ps->config.host)),
                          .data = data.data ? data : BYTES_LIT(""),
                          .seqno = bytes_of(seqno, sizeof seqno),
                          .topic = topic};
    return send_own(ps, &m);
}

void pubsub_on_joined(pubsub_t *ps, void (*fn)(void *arg, bytes_t topic, const peer_id_t *peer), void *arg)
{
    ps->joined = fn;
    ps->joined_arg = arg;
}

void pubsub_each_topic(pubsub_t *ps, bool (*fn)(void *arg, bytes_t topic), void *arg)
{
    bytes_t name;
    void *value;
    for (size_t i = 0; map_next(&ps->topics, &i, &name, &value);)
        if (!list_is_empty(&((ps_topic_t *)value)->subscriptions) && !fn(arg, name))
            return;
}

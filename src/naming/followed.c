/* Names that are followed over pubsub: each has a topic, on which its new records go round; who joins asks
 * one of those who are there for the last one (fetch). Spec: ipfs/specs src/ipns/ipns-pubsub-router.md,
 * libp2p/specs fetch. */
#include "base/log.h"
#include "multi/multibase.h"
#include "naming/naming_impl.h"
#include "wire/fetch.h"
#include <stdlib.h>

enum {
    FOLLOWED_MAX = 1024, /* the one not asked about for longest gives way */
    FETCHES_MAX = 16,    /* at the same time; of more who join at once, the first ones answer */
    FETCH_TIMEOUT_MS = 10000,
    REBROADCAST_MS = 10 * 60 * 1000,
    TOPIC_MAX = 256,
};

typedef struct followed {
    list_t node; /* in n->follow_order, the one used last at the end */
    naming_t *naming;
    peer_id_t name;
    pubsub_subscription_t *subscription;
    buf_t record; /* the best that came; empty: none */
    size_t topic_len;
    uint8_t topic[TOPIC_MAX];
} followed_t;

typedef struct serving {
    list_t node;
    stream_t *stream;
} serving_t;

/* ── names and topics ────────────────────────────────────────────────────────────────────────── */
/* "/record/" and the record's key in base64url without a prefix. */
static bytes_t topic_of(const peer_id_t *name, uint8_t out[TOPIC_MAX])
{
    AUTO(buf_t) text;
    uint8_t key[NAME_KEY_MAX_BYTES];
    buf_init(&text, TOPIC_MAX);
    err_t e = buf_append(&text, BYTES_LIT("/record/"));
    e = e ? e : multibase_encode_raw(MB_BASE64URL, bytes_of(key, name_key(name, key)), &text);
    assert(!e); /* a name is short */
    memcpy(out, text.data, text.len);
    return bytes_of(out, text.len);
}

static followed_t *find(const naming_t *n, const peer_id_t *name)
{
    return map_get(&n->followed, peer_id_bytes(name));
}

static uint64_t wall_ms(const naming_t *n)
{
    return driver_wall_ms(sched_driver(n->sched));
}

/* The record that is held and still good. */
static bytes_t good_record(const followed_t *f)
{
    ipns_record_t r;
    bytes_t held = buf_bytes(&f->record);
    return held.len && !ipns_record_validate(held, &f->name, wall_ms(f->naming), &r) ? held : BYTES_NONE;
}

/* ── records ─────────────────────────────────────────────────────────────────────────────────── */
static err_t take(followed_t *f, bytes_t record)
{
    char text[PEER_ID_TEXT_MAX];
    buf_clear(&f->record);
    TRY(buf_append(&f->record, record));
    name_cache_drop(&f->naming->cache, name_print(&f->name, text));
    event_fire(&f->naming->followed_changed);
    return OK;
}

/* Of the topic's messages those are sent on that say something better than what is known here. */
static gossip_verdict_t check_record(task_t *t, void *arg, const peer_id_t *via, bytes_t record)
{
    followed_t *f = arg;
    ipns_record_t r;
    (void)t;
    if (ipns_record_validate(record, &f->name, wall_ms(f->naming), &r))
        return GOSSIP_REJECT;
    bytes_t held = good_record(f);
    if (held.len && bytes_equal(held, record))
        return via ? GOSSIP_IGNORE : GOSSIP_ACCEPT;
    if (held.len && ipns_record_compare(record, held) > 0)
        return GOSSIP_IGNORE;
    return take(f, record) ? GOSSIP_IGNORE : GOSSIP_ACCEPT;
}

/* ── asking those who are there ──────────────────────────────────────────────────────────────── */
typedef struct asked {
    naming_t *naming;
    peer_id_t name, peer;
} asked_t;

static err_t fetch_on(task_t *t, stream_t *s, const peer_id_t *name, buf_t *out)
{
    AUTO(buf_t) request;
    uint8_t key[NAME_KEY_MAX_BYTES];
    buf_init(&request, FETCH_REQUEST_MAX_BYTES);
    writer_t w = writer_to(&request);
    fetch_put_request(&w, bytes_of(key, name_key(name, key)));
    TRY(w.err);
    TRY(stream_write_message(t, s, buf_bytes(&request)));
    TRY(stream_close_write(s));
    return stream_read_message(t, s, FETCH_ANSWER_MAX_BYTES, out);
}

static err_t fetch(task_t *t, const asked_t *a, buf_t *out)
{
    static const char *const protocols[] = {FETCH_PROTOCOL};
    stream_t *s;
    deadline_t d = deadline_push(t, FETCH_TIMEOUT_MS);
    err_t e = host_open_stream(t, a->naming->host, &a->peer, protocols, 1, &s, NULL);
    if (!e) {
        e = fetch_on(t, s, &a->name, out);
        if (e)
            stream_reset(s);
        stream_close(s);
    }
    deadline_pop(t, &d);
    return e;
}

static err_t fetch_task(task_t *t, void *arg)
{
    asked_t a = *(asked_t *)arg;
    free(arg);
    AUTO(buf_t) answer;
    bytes_t record;
    buf_init(&answer, FETCH_ANSWER_MAX_BYTES);
    err_t e = fetch(t, &a, &answer);
    a.naming->n_fetches--;
    followed_t *f = find(a.naming, &a.name);
    if (!e && f && !fetch_decode_answer(buf_bytes(&answer), &record))
        (void)check_record(t, f, &a.peer, record);
    return OK;
}

static void on_joined(void *arg, bytes_t topic, const peer_id_t *peer)
{
    naming_t *n = arg;
    void *value;
    for (size_t i = 0; n->n_fetches < FETCHES_MAX && map_next(&n->followed, &i, NULL, &value);) {
        followed_t *f = value;
        if (!bytes_equal(bytes_of(f->topic, f->topic_len), topic))
            continue;
        asked_t *a = xcalloc(1, sizeof *a);
        *a = (asked_t){n, f->name, *peer};
        n->n_fetches++;
        if (group_spawn(&n->tasks, "name-fetch", fetch_task, a, NULL)) {
            n->n_fetches--;
            free(a);
        }
        return;
    }
}

/* ── answering those who join ────────────────────────────────────────────────────────────────── */
static err_t answer(task_t *t, naming_t *n, stream_t *s)
{
    AUTO(buf_t) in, out;
    bytes_t key, record = BYTES_NONE;
    peer_id_t name;
    buf_init(&in, FETCH_REQUEST_MAX_BYTES);
    buf_init(&out, FETCH_ANSWER_MAX_BYTES);
    TRY(stream_read_message(t, s, FETCH_REQUEST_MAX_BYTES, &in));
    TRY(fetch_decode_request(buf_bytes(&in), &key));
    followed_t *f = name_of_key(key, &name) ? NULL : find(n, &name);
    if (f)
        record = good_record(f);
    writer_t w = writer_to(&out);
    fetch_put_answer(&w, record.len ? FETCH_OK : FETCH_NOT_FOUND, record);
    TRY(w.err);
    return stream_write_message(t, s, buf_bytes(&out));
}

static err_t serve_fetch(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    naming_t *n = arg;
    serving_t serving = {.stream = s};
    (void)from;
    (void)protocol;
    list_push_back(&n->serving, &serving.node);
    deadline_t d = deadline_push(t, FETCH_TIMEOUT_MS);
    err_t e = answer(t, n, s);
    deadline_pop(t, &d);
    list_remove(&serving.node);
    if (e)
        stream_reset(s);
    stream_close(s);
    event_fire(&n->followed_changed);
    return e;
}

/* ── following ───────────────────────────────────────────────────────────────────────────────── */
static void unfollow(followed_t *f)
{
    assert(f);
    naming_t *n = f->naming;
    pubsub_unsubscribe(f->subscription);
    (void)!pubsub_set_validator(n->pubsub, bytes_of(f->topic, f->topic_len), NULL, NULL);
    map_remove(&n->followed, peer_id_bytes(&f->name));
    list_remove(&f->node);
    buf_deinit(&f->record);
    free(f);
}

static err_t join(followed_t *f)
{
    bytes_t topic = bytes_of(f->topic, f->topic_len);
    TRY(pubsub_set_validator(f->naming->pubsub, topic, check_record, f));
    err_t e = pubsub_join(f->naming->pubsub, topic, &f->subscription);
    if (e)
        (void)!pubsub_set_validator(f->naming->pubsub, topic, NULL, NULL);
    return e;
}

static followed_t *follow(naming_t *n, const peer_id_t *name)
{
    followed_t *f = find(n, name);
    if (f) {
        list_remove(&f->node);
        list_push_back(&n->follow_order, &f->node);
        return f;
    }
    if (map_count(&n->followed) >= FOLLOWED_MAX)
        unfollow(LIST_FIRST(&n->follow_order, followed_t, node));
    f = xcalloc(1, sizeof *f);
    f->naming = n;
    f->name = *name;
    f->topic_len = topic_of(name, f->topic).len;
    buf_init(&f->record, NAMING_RECORD_MAX_BYTES);
    list_push_back(&n->follow_order, &f->node);
    err_t e = map_put(&n->followed, peer_id_bytes(name), f, NULL);
    e = e ? e : join(f);
    if (!e)
        return f;
    log_debug("a name is not followed", LOG_ERR(e));
    unfollow(f);
    return NULL;
}

bool followed_record(naming_t *n, const peer_id_t *name, buf_t *out)
{
    followed_t *f = n->pubsub ? follow(n, name) : NULL;
    bytes_t record = f ? good_record(f) : BYTES_NONE;
    buf_clear(out);
    return record.len && !buf_append(out, record);
}

void followed_publish(task_t *t, naming_t *n, const peer_id_t *name, bytes_t record)
{
    followed_t *f = n->pubsub ? follow(n, name) : NULL;
    if (!f)
        return;
    err_t e = pubsub_publish(t, n->pubsub, bytes_of(f->topic, f->topic_len), record);
    if (e)
        log_debug("a record was not published over pubsub", LOG_ERR(e));
}

static bool is_somebody(void *arg, const peer_id_t *peer)
{
    *(bool *)arg = true;
    return false;
}

bool followed_has_peers(naming_t *n, const peer_id_t *name)
{
    bool has = false;
    followed_t *f = n->pubsub ? find(n, name) : NULL;
    if (f)
        pubsub_each_peer(n->pubsub, bytes_of(f->topic, f->topic_len), is_somebody, &has);
    return has;
}

/* What was said once is said again, for those who missed it. */
static err_t rebroadcast_task(task_t *t, void *arg)
{
    naming_t *n = arg;
    for (;;) {
        TRY(task_sleep(t, REBROADCAST_MS));
        void *value;
        for (size_t i = 0; map_next(&n->followed, &i, NULL, &value);) {
            followed_t *f = value;
            bytes_t record = good_record(f);
            if (record.len)
                (void)!pubsub_publish(t, n->pubsub, bytes_of(f->topic, f->topic_len), record);
        }
    }
}

/* ── life ────────────────────────────────────────────────────────────────────────────────────── */
void followed_init(naming_t *n)
{
    map_init(&n->followed, FOLLOWED_MAX);
    list_init(&n->follow_order);
    list_init(&n->serving);
    event_init(&n->followed_changed);
}

err_t naming_use_pubsub(naming_t *n, pubsub_t *ps, host_t *h)
{
    TRY(host_handle(h, FETCH_PROTOCOL, NULL, serve_fetch, n));
    n->pubsub = ps;
    n->host = h;
    pubsub_on_joined(ps, on_joined, n);
    return group_spawn(&n->tasks, "rebroadcast", rebroadcast_task, n, NULL);
}

void followed_close(task_t *t, naming_t *n)
{
    if (n->pubsub) {
        pubsub_on_joined(n->pubsub, NULL, NULL);
        host_unhandle(n->host, FETCH_PROTOCOL);
    }
    LIST_EACH (s, &n->serving, serving_t, node) {
        stream_reset(s->stream);
    }
    if (t)
        task_shield(t);
    while (t && !list_is_empty(&n->serving) && !event_wait(t, &n->followed_changed))
        ;
    if (t)
        task_unshield(t);
    LIST_EACH (f, &n->follow_order, followed_t, node) {
        unfollow(f);
    }
    map_deinit(&n->followed);
}

bool naming_uses_pubsub(const naming_t *n)
{
    return n->pubsub;
}

void naming_each_followed(naming_t *n, bool (*fn)(void *arg, const peer_id_t *name), void *arg)
{
    void *value;
    for (size_t i = 0; map_next(&n->followed, &i, NULL, &value);)
        if (!fn(arg, &((followed_t *)value)->name))
            return;
}

bool naming_unfollow(naming_t *n, const peer_id_t *name)
{
    followed_t *f = find(n, name);
    if (f)
        unfollow(f);
    return f;
}

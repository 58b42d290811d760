/* identify: who peers are, told once per connection and again (push) when our protocols or addresses
 * change. Spec: libp2p/specs identify. A push waits a moment, so that many changes become one. */
#include "wire/identify.h"
#include "base/log.h"
#include "codec/peer_record.h"
#include "net/nat_internal.h"
#include "wire/dcutr.h"
#include <stdlib.h>

enum { PUSH_DELAY_MS = 500, PUSHES_AT_ONCE = 16, INBOUND_STREAMS_MAX = 4 };

/* ── telling ─────────────────────────────────────────────────────────────────────────────────── */
static void put_protocols(const host_t *h, identify_t *m)
{
    const char *names[IDENTIFY_PROTOCOLS_MAX];
    m->n_protocols = host_protocols(h, names, IDENTIFY_PROTOCOLS_MAX);
    for (size_t i = 0; i < m->n_protocols; i++)
        m->protocols[i] = bytes_str(names[i]);
}

typedef struct own_identity {
    multiaddr_t addrs[IDENTIFY_ADDRS_MAX];
    size_t n_addrs;
    identify_t message;
    buf_t key, record;
} own_identity_t;

/* The addresses of the message, signed. Left out when that makes the message longer than peers take. */
static err_t put_record(host_t *h, own_identity_t *own)
{
    identify_t *m = &own->message;
    size_t rest = 512;
    for (size_t i = 0; i < m->n_protocols; i++)
        rest += m->protocols[i].len + 3;
    for (size_t i = 0; i < m->n_addrs; i++)
        rest += m->addrs[i].len + 3;
    TRY(peer_record_seal(h->config.key, ++h->record_seq, own->addrs, own->n_addrs, &own->record));
    if (rest + own->key.len + own->record.len <= IDENTIFY_SENT_MAX)
        m->signed_peer_record = buf_bytes(&own->record);
    return OK;
}

static void put_addrs(const host_t *h, const conn_t *to, own_identity_t *own)
{
    size_t n = host_addrs(h, own->addrs, IDENTIFY_ADDRS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!addr_is_usable(h, &own->addrs[i], &to->remote))
            continue;
        own->addrs[own->n_addrs] = own->addrs[i];
        own->message.addrs[own->n_addrs] = multiaddr_bytes(&own->addrs[own->n_addrs]);
        own->message.n_addrs = ++own->n_addrs;
    }
}

/* Our message for the reader at the other end of `to`. */
static err_t describe_self(host_t *h, const conn_t *to, buf_t *out)
{
    own_identity_t *own = xcalloc(1, sizeof *own);
    identify_t *m = &own->message;
    buf_init(&own->key, PUBLIC_KEY_MAX_BYTES + 16);
    err_t e = public_key_encode(private_key_public(h->config.key), &own->key);
    m->public_key = buf_bytes(&own->key);
    m->protocol_version = bytes_str(h->config.protocol_version);
    m->agent_version = bytes_str(h->config.agent);
    m->observed_addr = multiaddr_bytes(&to->remote);
    put_addrs(h, to, own);
    put_protocols(h, m);
    buf_init(&own->record, IDENTIFY_PART_MAX);
    if (!e)
        e = put_record(h, own);
    if (!e)
        e = identify_encode(m, out);
    buf_deinit(&own->key);
    buf_deinit(&own->record);
    free(own);
    return e;
}

static err_t send_self(task_t *t, host_t *h, stream_t *s, const conn_t *to)
{
    AUTO(buf_t) message;
    buf_init(&message, IDENTIFY_PART_MAX);
    TRY(describe_self(h, to, &message));
    TRY(stream_write_message(t, s, buf_bytes(&message)));
    return stream_close_write(s);
}

/* ── learning ────────────────────────────────────────────────────────────────────────────────── */
/* All parts up to the end of the stream, joined. */
static err_t read_parts(task_t *t, stream_t *s, buf_t *joined)
{
    AUTO(buf_t) part;
    buf_init(&part, IDENTIFY_PART_MAX);
    for (int i = 0; i < IDENTIFY_PARTS_MAX; i++) {
        err_t e = stream_read_message(t, s, IDENTIFY_PART_MAX, &part);
        if (e == ERR_EOF && !part.len && i)
            return OK;
        TRY(e);
        TRY(buf_append(joined, buf_bytes(&part)));
    }
    return OK;
}

/* The addresses that the peer signed; none when it did not, or not properly. */
static size_t signed_addrs(host_t *h, conn_t *c, bytes_t envelope, multiaddr_t *out)
{
    peer_record_t *record = xmalloc(sizeof *record);
    size_t n = 0;
    err_t e = peer_record_open(envelope, record);
    if (e || !peer_id_equal(&record->peer, &c->peer->id))
        log_debug("a signed peer record was refused",
                  LOG_STR("error", e ? error_text(e) : "of another peer"));
    else
        for (size_t i = 0; n < IDENTIFY_ADDRS_MAX && peer_record_next_address(record, &i, &out[n]);)
            n += addr_is_usable(h, &out[n], &c->remote);
    free(record);
    return n;
}

static void learn_addrs(host_t *h, conn_t *c, const identify_t *m)
{
    multiaddr_t *addrs = xmalloc(IDENTIFY_ADDRS_MAX * sizeof *addrs);
    size_t n = 0;
    if (m->signed_peer_record.len)
        n = signed_addrs(h, c, m->signed_peer_record, addrs);
    bool has_signed = n > 0;
    for (size_t i = 0; !has_signed && i < m->n_addrs; i++)
        if (!multiaddr_decode(m->addrs[i], &addrs[n]) && addr_is_usable(h, &addrs[n], &c->remote))
            n++;
    peerstore_add_addrs(h->peerstore, &c->peer->id, addrs, n, ADDR_TTL_CONNECTED_MS);
    free(addrs);
}

static void learn(host_t *h, conn_t *c, const identify_t *m)
{
    public_key_t key;
    if (m->public_key.len && !public_key_decode(m->public_key, &key))
        peerstore_set_key(h->peerstore, &c->peer->id, &key);
    learn_addrs(h, c, m);
    peerstore_set_identity(h->peerstore, &c->peer->id, m);
    if (m->observed_addr.len)
        addrs_observed(h, c, m->observed_addr);
}

static err_t read_and_learn(task_t *t, host_t *h, stream_t *s, conn_t *c)
{
    AUTO(buf_t) joined;
    buf_init(&joined, IDENTIFY_PART_MAX * IDENTIFY_PARTS_MAX);
    TRY(read_parts(t, s, &joined));
    identify_t *m = xmalloc(sizeof *m);
    err_t e = identify_decode(buf_bytes(&joined), m);
    if (!e)
        learn(h, c, m);
    free(m);
    return e;
}

/* ── asking ──────────────────────────────────────────────────────────────────────────────────── */
static err_t ask(task_t *t, conn_t *c)
{
    static const char *const protocols[] = {IDENTIFY_PROTOCOL};
    stream_t *s;
    TRY(conn_open_stream(t, c, protocols, 1, &s, NULL));
    err_t e = stream_close_write(s);
    if (!e)
        e = read_and_learn(t, c->host, s, c);
    if (e)
        stream_reset(s);
    stream_close(s);
    return e;
}

static err_t ask_task(task_t *t, void *arg)
{
    conn_t *c = arg;
    deadline_t d = deadline_push(t, c->host->config.limits.identify_timeout_ms);
    err_t e = ask(t, c);
    deadline_pop(t, &d);
    if (e)
        log_debug("a peer was not identified", LOG_ERR(e));
    c->is_identified = true;
    event_fire(&c->identified);
    if (!e && c->is_open)
        dcutr_conn_identified(c);
    if (!e && c->is_open && !c->is_limited)
        host_tell_identified(c->host, c);
    conn_release(c);
    return OK;
}

void identify_conn_opened(conn_t *c)
{
    if (group_spawn(&c->host->tasks, "identify", ask_task, conn_ref(c), NULL)) {
        c->is_identified = true;
        conn_release(c);
    }
}

/* ── answering, pushing ──────────────────────────────────────────────────────────────────────── */
static err_t serve_identify(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    host_t *h = arg;
    deadline_t d = deadline_push(t, h->config.limits.identify_timeout_ms);
    err_t e = send_self(t, h, s, from);
    deadline_pop(t, &d);
    if (e)
        stream_reset(s);
    stream_close(s);
    return e;
}

static err_t serve_push(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    host_t *h = arg;
    const peer_id_t *peer = &from->peer->id;
    bool punched = peerstore_speaks(h->peerstore, peer, DCUTR_PROTOCOL);
    deadline_t d = deadline_push(t, h->config.limits.identify_timeout_ms);
    err_t e = read_and_learn(t, h, s, from);
    deadline_pop(t, &d);
    if (e)
        stream_reset(s);
    else
        host_tell_protocols_changed(h, peer);
    if (!e && !punched && peerstore_speaks(h->peerstore, peer, DCUTR_PROTOCOL))
        dcutr_peer_changed(h, peer);
    stream_close(s);
    return e;
}

static err_t push_task(task_t *t, void *arg)
{
    static const char *const protocols[] = {IDENTIFY_PUSH_PROTOCOL};
    conn_t *c = arg;
    stream_t *s;
    deadline_t d = deadline_push(t, c->host->config.limits.identify_timeout_ms);
    err_t e = conn_open_stream(t, c, protocols, 1, &s, NULL);
    if (!e) {
        e = send_self(t, c->host, s, c);
        if (e)
            stream_reset(s);
        stream_close(s);
    }
    deadline_pop(t, &d);
    if (e)
        log_debug("identify push failed", LOG_ERR(e));
    conn_release(c);
    return OK;
}

static err_t push_all(task_t *t, void *arg)
{
    host_t *h = arg;
    size_t n = h->n_conns;
    conn_t **conns = xcalloc(n ? n : 1, sizeof *conns);
    n = host_conns(h, conns, n);
    for (size_t i = 0; i < n; i++)
        conn_ref(conns[i]);
    group_t group;
    group_init(&group, h->sched);
    err_t e = OK;
    for (size_t i = 0; i < n; i++) {
        bool wants = !e && conns[i]->is_open &&
                     peerstore_speaks(h->peerstore, &conns[i]->peer->id, IDENTIFY_PUSH_PROTOCOL);
        if (wants)
            e = group_wait_below(t, &group, PUSHES_AT_ONCE);
        if (!wants || e || group_spawn(&group, "identify push", push_task, conns[i], NULL))
            conn_release(conns[i]);
    }
    free(conns);
    group_stop(t, &group);
    group_deinit(&group);
    return OK;
}

static void on_push(void *arg)
{
    host_t *h = arg;
    alarm_clear(&h->push_alarm); /* the next change starts it anew */
    if (h->n_conns && group_spawn(&h->tasks, "identify push to all", push_all, h, NULL))
        log_debug("identify push was not started");
}

void identify_push_soon(host_t *h)
{
    if (!h->is_closing && h->n_conns && h->push_alarm.at_ms == TIME_NEVER)
        alarm_set(&h->push_alarm, sched_now_ms(h->sched) + PUSH_DELAY_MS);
}

err_t identify_start(host_t *h)
{
    alarm_init(&h->push_alarm, h->sched, on_push, h);
    protocol_options_t opt = {.max_inbound_per_peer = INBOUND_STREAMS_MAX};
    TRY(host_handle(h, IDENTIFY_PROTOCOL, &opt, serve_identify, h));
    return host_handle(h, IDENTIFY_PUSH_PROTOCOL, &opt, serve_push, h);
}

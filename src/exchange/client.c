/* Wants out: one sender task per peer while it has something to send; searches for providers. */
#include "base/log.h"
#include "exchange/internal.h"
#include <stdlib.h>

enum { ENTRIES_PER_MESSAGE = 256 };

/* ── streams that end before their time ──────────────────────────────────────────────────────── */
void bs_close_want_stream(bs_peer_t *p)
{
    event_unwatch(&p->want_watch);
    stream_close(p->want_stream);
    p->want_stream = NULL;
}

static void on_again(void *arg)
{
    bs_peer_t *p = arg;
    alarm_clear(&p->again);
    if (p->wants)
        want_manager_ask_again(p->b->wants, p->wants, sched_now_ms(p->b->sched));
    bs_pump(p->b);
}

void bs_stream_lost(bs_peer_t *p)
{
    if (!p->wants || p->b->is_closing || p->again.at_ms != TIME_NEVER)
        return;
    alarm_set(&p->again, sched_now_ms(p->b->sched) + p->again_ms);
    p->again_ms = p->again_ms < BITSWAP_AGAIN_MAX_MS / 2 ? 2 * p->again_ms : BITSWAP_AGAIN_MAX_MS;
}

/* Nothing is to be read from it but that it was reset. The sender finds that out by itself. */
static void look_at_want_stream(void *arg)
{
    bs_peer_t *p = arg;
    uint8_t unread[64];
    size_t n;
    if (!p->want_stream || p->is_sending)
        return;
    err_t e = stream_try_read(p->want_stream, unread, sizeof unread, &n);
    if (!e || e == ERR_AGAIN)
        return;
    log_debug("bitswap: the stream of wants was lost", LOG_ERR(e));
    bs_close_want_stream(p);
    bs_stream_lost(p);
}

void bs_client_peer_init(bs_peer_t *p)
{
    runnable_init(&p->want_news, look_at_want_stream, p);
    alarm_init(&p->again, p->b->sched, on_again, p);
    p->again_ms = BITSWAP_AGAIN_MIN_MS;
}

void bs_client_peer_deinit(bs_peer_t *p)
{
    bs_close_want_stream(p);
    runnable_cancel(&p->want_news);
    alarm_clear(&p->again);
}

/* ── sending ─────────────────────────────────────────────────────────────────────────────────── */
static err_t write_message(task_t *t, stream_t *s, const bitswap_message_t *m)
{
    bytes_t pieces[3];
    size_t n = bitswap_message_pieces(m, pieces, ARRAY_LEN(pieces));
    deadline_t d = deadline_push(t, BITSWAP_SEND_TIMEOUT_MS);
    err_t e = stream_write_pieces(t, s, pieces, n);
    deadline_pop(t, &d);
    return e;
}

/* Peers answer by priority. It falls from message to message, so that they keep the order of asking: a reader
 * waits for its oldest want. What somebody waits for goes before what is asked for ahead. */
static int32_t priority_of(bs_peer_t *p, const want_entry_t *entry)
{
    if (entry->kind == WANT_ENTRY_CANCEL)
        return 0;
    const uint32_t band = INT32_MAX / 2;
    int32_t rank = (int32_t)(p->asked_count++ % band);
    return (entry->is_urgent ? INT32_MAX : (int32_t)band) - rank;
}

static err_t send_entries(task_t *t, bs_peer_t *p, const want_entry_t *entries, size_t n)
{
    if (!p->want_stream) {
        TRY(bs_open_stream(t, p, &p->want_stream, &p->want_version));
        event_watch(&p->want_stream->readable, p->b->sched, &p->want_watch, &p->want_news);
    }
    AUTO(bitswap_message_t) m;
    bitswap_message_init(&m, p->want_version);
    for (size_t i = 0; i < n; i++) {
        bitswap_want_t w = {.cid = entries[i].cid,
                            .priority = priority_of(p, &entries[i]),
                            .is_cancel = entries[i].kind == WANT_ENTRY_CANCEL,
                            .is_have = entries[i].kind == WANT_ENTRY_HAVE,
                            .send_dont_have = entries[i].send_dont_have};
        TRY(bitswap_message_add_want(&m, &w));
    }
    TRY(bitswap_message_finish(&m, 0));
    return write_message(t, p->want_stream, &m);
}

static void drop_want_stream(bs_peer_t *p)
{
    if (p->want_stream)
        stream_reset(p->want_stream);
    bs_close_want_stream(p);
}

/* What was to be sent is lost: the peer starts anew, as if it had just connected. */
static void send_failed(task_t *t, bs_peer_t *p, err_t e)
{
    log_debug("bitswap: wants were not sent", LOG_ERR(e));
    drop_want_stream(p);
    if (p->wants)
        want_manager_disconnected(p->b->wants, p->wants, task_now_ms(t));
    p->wants = NULL;
    bs_pump(p->b);
    if (task_sleep(t, BITSWAP_SENDER_RETRY_MS) == OK)
        bs_peer_ask(p);
}

static err_t send_task(task_t *t, void *arg)
{
    bs_peer_t *p = arg;
    want_entry_t *entries = xcalloc(ENTRIES_PER_MESSAGE, sizeof *entries);
    err_t e = OK;
    while (!e && p->wants) {
        size_t n = want_peer_take_entries(p->b->wants, p->wants, entries, ENTRIES_PER_MESSAGE);
        if (!n)
            break;
        e = send_entries(t, p, entries, n);
    }
    free(entries);
    if (e && !p->is_gone && !p->b->is_closing)
        send_failed(t, p, e);
    else if (e)
        drop_want_stream(p);
    p->is_sending = false;
    look_at_want_stream(p); /* news that came meanwhile */
    bs_pump(p->b);
    bs_peer_release(p);
    return OK;
}

static void kick_sender(bs_peer_t *p)
{
    if (p->is_sending)
        return; /* it takes entries until there are none */
    p->is_sending = true;
    bs_peer_ref(p);
    if (group_spawn(&p->b->group, "bitswap-send", send_task, p, NULL)) {
        p->is_sending = false;
        bs_peer_release(p);
    }
}

/* ── searching ───────────────────────────────────────────────────────────────────────────────── */
typedef struct search {
    bitswap_t *b;
    uint64_t session;
    cid_t cid;
    routed_peer_t found[BITSWAP_SEARCH_PROVIDERS];
    size_t n_found;
    event_t changed;
    bool is_over;
} search_t;

static bool on_provider(void *arg, const routed_peer_t *provider)
{
    search_t *s = arg;
    if (peer_id_equal(&provider->id, host_id(s->b->config.host)))
        return true;
    s->found[s->n_found++] = *provider;
    event_fire(&s->changed);
    return s->n_found < BITSWAP_SEARCH_PROVIDERS;
}

typedef struct visit {
    search_t *search;
    size_t index;
} visit_t;

/* Connects to one provider and asks it. */
static err_t visit_task(task_t *t, void *arg)
{
    visit_t v = *(visit_t *)arg;
    free(arg);
    bitswap_t *b = v.search->b;
    routed_peer_t *r = &v.search->found[v.index];
    conn_t *c = NULL;
    TRY(host_connect(t, b->config.host, &r->id, r->addrs, r->n_addrs, &c));
    err_t e = conn_wait_identified(t, c);
    conn_release(c);
    TRY(e);
    bitswap_session_t *session = bs_session_find(b, v.search->session);
    bs_peer_t *p = map_get(&b->by_id, peer_id_bytes(&r->id));
    if (session && p && bs_peer_ask(p))
        want_session_add_peer(b->wants, session->wants, &r->id, task_now_ms(t));
    bs_pump(b);
    return OK;
}

static err_t visitor_task(task_t *t, void *arg)
{
    search_t *s = arg;
    group_t visits;
    group_init(&visits, s->b->sched);
    err_t e = OK;
    for (size_t i = 0; !e;) {
        if (i < s->n_found) {
            visit_t *v = xcalloc(1, sizeof *v);
            *v = (visit_t){s, i++};
            e = group_spawn(&visits, "bitswap-visit", visit_task, v, NULL);
            if (e)
                free(v);
        } else if (s->is_over) {
            break;
        } else {
            e = event_wait(t, &s->changed);
        }
    }
    err_t joined = group_join(t, &visits);
    group_deinit(&visits);
    (void)joined; /* a provider that cannot be reached is not our failure */
    return e;
}

static void search_routing(task_t *t, search_t *s)
{
    group_t visitor;
    group_init(&visitor, s->b->sched);
    deadline_t d = deadline_push(t, BITSWAP_SEARCH_TIMEOUT_MS);
    err_t e = group_spawn(&visitor, "bitswap-visitor", visitor_task, s, NULL);
    if (!e)
        e = routing_find_providers(t, s->b->config.routing, &s->cid, BITSWAP_SEARCH_PROVIDERS, on_provider,
                                   NULL, s);
    s->is_over = true;
    event_fire(&s->changed);
    err_t joined = group_join(t, &visitor);
    deadline_pop(t, &d);
    group_deinit(&visitor);
    if (e || joined)
        log_debug("bitswap: provider search", LOG_ERR(e ? e : joined));
}

static err_t search_task(task_t *t, void *arg)
{
    search_t *s = arg;
    bitswap_t *b = s->b;
    search_routing(t, s);
    bitswap_session_t *session = bs_session_find(b, s->session);
    if (session)
        want_session_search_done(b->wants, session->wants, task_now_ms(t));
    bs_pump(b);
    free(s);
    return OK;
}

static void start_search(bitswap_t *b, want_session_t *ws, const cid_t *cid)
{
    bitswap_session_t *session = want_session_user(ws);
    search_t *s = NULL;
    if (b->config.routing && !b->is_closing) {
        s = xcalloc(1, sizeof *s);
        s->b = b;
        s->session = session->serial;
        s->cid = *cid;
        event_init(&s->changed);
        if (group_spawn(&b->group, "bitswap-search", search_task, s, NULL) == OK)
            return;
    }
    free(s);
    want_session_search_done(b->wants, ws, sched_now_ms(b->sched));
}

/* ── the pump between the engine and the tasks ───────────────────────────────────────────────── */
static void pump(void *arg)
{
    bitswap_t *b = arg;
    if (b->is_closing)
        return;
    if (want_manager_deadline_ms(b->wants) <= sched_now_ms(b->sched))
        want_manager_tick(b->wants, sched_now_ms(b->sched));
    for (want_peer_t *p; (p = want_manager_next_send(b->wants));)
        kick_sender(want_peer_user(p));
    want_session_t *session;
    cid_t cid;
    while (want_manager_next_search(b->wants, &session, &cid))
        start_search(b, session, &cid);
    want_peer_t *blocked;
    while (want_manager_next_blocked(b->wants, &blocked)) {
        char text[PEER_ID_TEXT_MAX];
        log_warn("bitswap: a peer sent wrong blocks or none; it is asked no more",
                 LOG_STR("peer", peer_id_print(want_peer_id(blocked), text)));
    }
    metric_set(b->metric_wants, (double)want_manager_count(b->wants));
    alarm_set(&b->alarm, want_manager_deadline_ms(b->wants));
}

void bs_client_init(bitswap_t *b)
{
    runnable_init(&b->pump, pump, b);
    alarm_init(&b->alarm, b->sched, pump, b);
}

void bs_client_deinit(bitswap_t *b)
{
    runnable_cancel(&b->pump);
    alarm_clear(&b->alarm);
}

void bs_pump(bitswap_t *b)
{
    if (!b->is_closing)
        sched_post(b->sched, &b->pump);
}

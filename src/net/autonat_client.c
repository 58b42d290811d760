/* autonat_client: asks peers whether they reach this node, one at a time: each public address by version 2,
 * the node as such by version 1 where there is no address to ask about. An answer counts once per network
 * (logic/votes.h); a yes of version 2 only when the number that we gave came back to us. */
#include "base/log.h"
#include "net/nat_internal.h"
#include "wire/autonat.h"
#include <stdlib.h>

enum {
    FIRST_MS = 5000,
    OPEN_MS = 3000,    /* between questions while something is open */
    SURE_MS = 300000,  /* and when all is known */
    NOBODY_MS = 60000, /* when all servers were asked lately */
    SERVER_AGAIN_MS = 240000,
    ASK_TIMEOUT_MS = 60000,
    BACK_WAIT_MS = 5000,
    DATA_MAX = 100000,
    DATA_STEP = 4096,
    BACK_STREAMS_MAX = 4,
};

/* ── what is known of each address ───────────────────────────────────────────────────────────── */
static bool may_ask_about(const host_t *h, const multiaddr_t *addr)
{
    return !multiaddr_is_circuit(addr) && (h->nat->config.dials_private || !multiaddr_is_private(addr));
}

/* Takes up new addresses, forgets those that are gone. */
static void refresh_addrs(host_t *h)
{
    nat_t *nat = h->nat;
    multiaddr_t *own = xmalloc(NAT_ADDRS_MAX * sizeof *own);
    size_t n_own = addrs_direct(h, own, NAT_ADDRS_MAX), n = 0;
    for (size_t i = 0; i < nat->n_probed; i++)
        for (size_t k = 0; k < n_own; k++)
            if (multiaddr_equal(&own[k], &nat->probed[i].addr)) {
                nat->probed[n++] = nat->probed[i];
                break;
            }
    for (size_t k = 0; k < n_own && n < PROBED_MAX; k++) {
        bool is_known = !may_ask_about(h, &own[k]);
        for (size_t i = 0; i < n; i++)
            is_known |= multiaddr_equal(&own[k], &nat->probed[i].addr);
        if (!is_known)
            nat->probed[n++] = (probed_t){.addr = own[k]};
    }
    nat->n_probed = n;
    free(own);
}

/* Single addresses are a question for version 2 alone. */
static bool is_open(const host_t *h)
{
    const nat_t *nat = h->nat;
    if (h->found == REACHABILITY_UNKNOWN)
        return true;
    for (size_t i = 0; i < nat->n_probed && nat->has_v2; i++)
        if (votes_verdict(&nat->probed[i].votes) == VOTES_OPEN)
            return true;
    return false;
}

static void conclude(host_t *h)
{
    nat_t *nat = h->nat;
    votes_verdict_t all = votes_verdict(&nat->votes);
    size_t n_yes = 0, n_no = 0;
    for (size_t i = 0; i < nat->n_probed; i++) {
        votes_verdict_t v = votes_verdict(&nat->probed[i].votes);
        n_yes += v == VOTES_YES;
        n_no += v == VOTES_NO;
    }
    if (n_yes || (all == VOTES_YES && !n_no))
        reachability_found(h, REACHABILITY_PUBLIC);
    else if (all == VOTES_NO || (n_no && n_no == nat->n_probed))
        reachability_found(h, REACHABILITY_PRIVATE);
}

size_t host_probed_addrs(const host_t *h, multiaddr_t *out, reachability_t *ret_states, size_t cap)
{
    static const reachability_t states[] = {REACHABILITY_UNKNOWN, REACHABILITY_PUBLIC, REACHABILITY_PRIVATE};
    size_t n = 0;
    for (; h->nat && n < h->nat->n_probed && n < cap; n++) {
        out[n] = h->nat->probed[n].addr;
        ret_states[n] = states[votes_verdict(&h->nat->probed[n].votes)];
    }
    return n;
}

/* ── whom to ask ─────────────────────────────────────────────────────────────────────────────── */
/* Who shares a network is one voter: /16 of IPv4, /32 of IPv6; private ones by address, they are tests. */
static uint64_t voter_of(const conn_t *c)
{
    static const uint8_t key[16] = "autonat, a voter";
    multiaddr_part_t ip = {0};
    size_t i = 0;
    if (!multiaddr_next(&c->remote, &i, &ip))
        return 0;
    size_t len = multiaddr_is_private(&c->remote) ? ip.value.len : ip.code == MA_IP4 ? 2 : 4;
    return siphash24(key, bytes_slice(ip.value, 0, len));
}

static uint64_t asked_ms(const host_t *h, uint64_t voter)
{
    for (size_t i = 0; i < h->nat->n_asked; i++)
        if (h->nat->asked[i].voter == voter)
            return h->nat->asked[i].at_ms;
    return 0;
}

static void note_asked(host_t *h, uint64_t voter)
{
    nat_t *nat = h->nat;
    size_t at = 0;
    for (size_t i = 0; i < nat->n_asked; i++) {
        if (nat->asked[i].voter == voter) {
            at = i;
            break;
        }
        if (nat->asked[i].at_ms < nat->asked[at].at_ms)
            at = i;
    }
    bool is_known = nat->n_asked && nat->asked[at].voter == voter;
    if (!is_known && nat->n_asked < ASKED_MAX)
        at = nat->n_asked++;
    nat->asked[at].voter = voter;
    nat->asked[at].at_ms = sched_now_ms(h->sched);
}

/* The one who was asked longest ago. */
static conn_t *find_server(const host_t *h, const char *protocol)
{
    conn_t *best = NULL;
    uint64_t now_ms = sched_now_ms(h->sched), best_ms = TIME_NEVER;
    LIST_EACH (c, &h->conns, conn_t, node) {
        if (multiaddr_is_circuit(&c->remote) || !peerstore_speaks(h->peerstore, &c->peer->id, protocol))
            continue;
        uint64_t at_ms = asked_ms(h, voter_of(c));
        if (at_ms < best_ms && (!at_ms || now_ms - at_ms >= SERVER_AGAIN_MS)) {
            best = c;
            best_ms = at_ms;
        }
    }
    return best;
}

/* A reference; NULL: nobody whom we did not ask lately. *ret_v2: what it speaks. */
static conn_t *choose_server(host_t *h, bool *ret_v2)
{
    conn_t *c = h->nat->n_probed ? find_server(h, AUTONAT2_DIAL_PROTOCOL) : NULL;
    *ret_v2 = c != NULL;
    if (!c)
        c = find_server(h, AUTONAT_PROTOCOL);
    return c ? conn_ref(c) : NULL;
}

/* ── version 1 ───────────────────────────────────────────────────────────────────────────────── */
static err_t ask_v1(task_t *t, stream_t *s, conn_t *c)
{
    host_t *h = c->host;
    AUTO(buf_t) message;
    autonat_t m;
    buf_init(&message, AUTONAT_MESSAGE_MAX_BYTES);
    multiaddr_t *own = xmalloc(NAT_ADDRS_MAX * sizeof *own);
    size_t n = addrs_direct(h, own, NAT_ADDRS_MAX);
    writer_t w = writer_to(&message);
    autonat_encode_dial(&h->id, own, n, &w);
    free(own);
    TRY(w.err);
    TRY(stream_write_message(t, s, buf_bytes(&message)));
    TRY(stream_read_message(t, s, AUTONAT_MESSAGE_MAX_BYTES, &message));
    TRY(autonat_decode(buf_bytes(&message), &m));
    if (!m.is_response)
        return fail(ERR_PROTOCOL, "AutoNAT: a request where an answer should be");
    if (m.status == AUTONAT_OK || m.status == AUTONAT_DIAL_ERROR)
        votes_add(&h->nat->votes, voter_of(c), m.status == AUTONAT_OK);
    return OK;
}

/* ── version 2 ───────────────────────────────────────────────────────────────────────────────── */
/* Those that are open first, then those that were asked about longest ago. */
static size_t order_probed(nat_t *nat, size_t order[PROBED_MAX])
{
    size_t n = 0;
    for (int open = 1; open >= 0; open--) {
        size_t first = n;
        for (size_t i = 0; i < nat->n_probed; i++) {
            if ((votes_verdict(&nat->probed[i].votes) == VOTES_OPEN) != open)
                continue;
            size_t at = n++;
            for (; at > first && nat->probed[order[at - 1]].asked_ms > nat->probed[i].asked_ms; at--)
                order[at] = order[at - 1];
            order[at] = i;
        }
    }
    return n;
}

static err_t send_data(task_t *t, stream_t *s, const autonat2_t *m, size_t n_addrs)
{
    if (m->index >= n_addrs || m->size_bytes > DATA_MAX)
        return fail(ERR_PROTOCOL, "AutoNAT: a request for %llu bytes", (unsigned long long)m->size_bytes);
    uint8_t *zeros = xcalloc(1, DATA_STEP);
    AUTO(buf_t) message;
    buf_init(&message, AUTONAT2_MESSAGE_MAX_BYTES);
    err_t e = OK;
    for (uint64_t left = m->size_bytes; left && !e;) {
        size_t n = left < DATA_STEP ? (size_t)left : DATA_STEP;
        buf_clear(&message);
        writer_t w = writer_to(&message);
        autonat2_encode_data(bytes_of(zeros, n), &w);
        e = w.err ? w.err : stream_write_message(t, s, buf_bytes(&message));
        left -= n;
    }
    free(zeros);
    return e;
}

/* The answer, after the data that the server may want first. */
static err_t read_answer(task_t *t, stream_t *s, size_t n_addrs, autonat2_t *ret)
{
    AUTO(buf_t) message;
    buf_init(&message, AUTONAT2_MESSAGE_MAX_BYTES);
    TRY(stream_read_message(t, s, AUTONAT2_MESSAGE_MAX_BYTES, &message));
    TRY(autonat2_decode(buf_bytes(&message), ret));
    if (ret->kind == AUTONAT2_DATA_REQUEST) {
        TRY(send_data(t, s, ret, n_addrs));
        TRY(stream_read_message(t, s, AUTONAT2_MESSAGE_MAX_BYTES, &message));
        TRY(autonat2_decode(buf_bytes(&message), ret));
    }
    ret->addrs = BYTES_NONE; /* borrowed from the message, which goes */
    if (ret->kind != AUTONAT2_RESPONSE || ret->index >= n_addrs)
        return fail(ERR_PROTOCOL, "AutoNAT: the answer does not fit the question");
    return OK;
}

static err_t wait_back(task_t *t, nat_t *nat)
{
    deadline_t d = deadline_push(t, BACK_WAIT_MS);
    err_t e = OK;
    while (!e && !nat->has_come_back)
        e = event_wait(t, &nat->came_back);
    deadline_pop(t, &d);
    return e == ERR_TIMEOUT ? task_check(t) : e;
}

/* The list may have changed meanwhile. */
static void take_vote(host_t *h, const multiaddr_t *addr, uint64_t voter, bool is_yes)
{
    for (size_t i = 0; i < h->nat->n_probed; i++) {
        probed_t *p = &h->nat->probed[i];
        if (!multiaddr_equal(&p->addr, addr))
            continue;
        votes_verdict_t before = votes_verdict(&p->votes);
        p->asked_ms = sched_now_ms(h->sched);
        votes_add(&p->votes, voter, is_yes);
        if (votes_verdict(&p->votes) != before)
            host_tell_addrs_changed(h);
    }
}

static err_t ask_v2(task_t *t, stream_t *s, conn_t *c)
{
    host_t *h = c->host;
    nat_t *nat = h->nat;
    size_t order[PROBED_MAX], n = order_probed(nat, order);
    multiaddr_t asked[PROBED_MAX];
    autonat2_t m;
    AUTO(buf_t) message;
    buf_init(&message, AUTONAT2_MESSAGE_MAX_BYTES);
    for (size_t i = 0; i < n; i++)
        asked[i] = nat->probed[order[i]].addr;
    nat->nonce = driver_random_u64(sched_driver(h->sched));
    nat->nonce_ms = sched_now_ms(h->sched);
    nat->has_come_back = false;
    writer_t w = writer_to(&message);
    autonat2_encode_request(asked, n, nat->nonce, &w);
    TRY(w.err);
    TRY(stream_write_message(t, s, buf_bytes(&message)));
    TRY(read_answer(t, s, n, &m));
    nat->has_v2 = true;
    if (m.status != AUTONAT2_OK)
        return fail(ERR_REFUSED, "AutoNAT: the server refused (%u)", m.status);
    if (m.dial == AUTONAT2_DIAL_OK)
        TRY(wait_back(t, nat));
    bool is_yes = nat->has_come_back && m.dial != AUTONAT2_DIAL_ERROR;
    if (is_yes || m.dial == AUTONAT2_DIAL_ERROR)
        take_vote(h, &asked[m.index], voter_of(c), is_yes);
    return OK;
}

static err_t serve_back(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    host_t *h = arg;
    uint64_t nonce;
    AUTO(buf_t) message;
    buf_init(&message, 64);
    deadline_t d = deadline_push(t, BACK_WAIT_MS);
    err_t e = stream_read_message(t, s, 64, &message);
    if (!e)
        e = autonat2_back_decode(buf_bytes(&message), &nonce);
    bool is_back =
        from->is_inbound && from->opened_ms >= h->nat->nonce_ms && !multiaddr_is_circuit(&from->remote);
    if (!e && (!h->nat->nonce || nonce != h->nat->nonce || !is_back))
        e = fail(ERR_DENIED, "AutoNAT: a dial-back that nobody asked for");
    if (!e) {
        h->nat->has_come_back = true;
        event_fire(&h->nat->came_back);
        e = stream_write_message(t, s, BYTES_NONE); /* OK, its default value */
    }
    deadline_pop(t, &d);
    return e;
}

/* ── asking ──────────────────────────────────────────────────────────────────────────────────── */
static err_t ask(task_t *t, conn_t *c, bool is_v2)
{
    const char *const protocols[] = {is_v2 ? AUTONAT2_DIAL_PROTOCOL : AUTONAT_PROTOCOL};
    stream_t *s;
    TRY(conn_open_stream(t, c, protocols, 1, &s, NULL));
    err_t e = is_v2 ? ask_v2(t, s, c) : ask_v1(t, s, c);
    c->host->nat->nonce = 0;
    if (e)
        stream_reset(s);
    stream_close(s);
    return e;
}

static err_t ask_task(task_t *t, void *arg)
{
    host_t *h = arg;
    bool is_v2 = false;
    refresh_addrs(h);
    conn_t *c = choose_server(h, &is_v2);
    if (c) {
        note_asked(h, voter_of(c));
        deadline_t d = deadline_push(t, ASK_TIMEOUT_MS);
        err_t e = ask(t, c, is_v2);
        deadline_pop(t, &d);
        if (e)
            log_debug("a peer did not say whether it reaches this node", LOG_ERR(e));
        conn_release(c);
        conclude(h);
    }
    h->nat->is_asking = false;
    uint64_t in_ms = !c ? NOBODY_MS : is_open(h) ? OPEN_MS : SURE_MS;
    if (!h->is_closing && h->n_conns) /* else the first who is identified sets it */
        alarm_set(&h->nat->autonat_alarm, sched_now_ms(h->sched) + in_ms);
    return OK;
}

static void on_alarm(void *arg)
{
    host_t *h = arg;
    alarm_clear(&h->nat->autonat_alarm);
    if (h->is_closing || h->nat->is_asking)
        return;
    h->nat->is_asking = true;
    if (group_spawn(&h->tasks, "autonat", ask_task, h, NULL))
        h->nat->is_asking = false;
}

void autonat_client_soon(host_t *h)
{
    nat_t *nat = h->nat;
    uint64_t at = sched_now_ms(h->sched) + FIRST_MS;
    if (nat->config.asks_autonat && !nat->is_asking && !h->is_closing && at < nat->autonat_alarm.at_ms)
        alarm_set(&nat->autonat_alarm, at);
}

err_t autonat_client_start(host_t *h)
{
    protocol_options_t opt = {.max_inbound_per_peer = BACK_STREAMS_MAX};
    alarm_init(&h->nat->autonat_alarm, h->sched, on_alarm, h);
    event_init(&h->nat->came_back);
    return h->nat->config.asks_autonat ? host_handle(h, AUTONAT2_BACK_PROTOCOL, &opt, serve_back, h) : OK;
}

void autonat_client_stop(host_t *h)
{
    alarm_clear(&h->nat->autonat_alarm);
}

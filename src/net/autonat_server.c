/* autonat_server: dials peers back that want to know whether others reach them, versions 1 and 2. Bounded by
 * requests per peer and in all; a peer cannot make us dial another machine without paying for it in bytes. */
#include "base/log.h"
#include "net/nat_internal.h"
#include "wire/autonat.h"
#include <stdlib.h>

enum {
    REQUEST_TIMEOUT_MS = 15000,
    DIAL_TIMEOUT_MS = 15000,
    BACK_TIMEOUT_MS = 5000,
    ADDRS_MAX = 16,   /* of a request, version 1 */
    ADDRS2_MAX = 50,  /* version 2 */
    DATA_MIN = 30000, /* bytes that a dial to another machine costs */
    DATA_SPREAD = 70000,
    DATA_WAIT_MS = 3000, /* at most, so that many do not make us dial one victim at once */
    STREAMS_MAX = 2,
    PEERS_MAX = 256,
};

/* ── how often ───────────────────────────────────────────────────────────────────────────────── */
struct autonat_use {
    peer_id_t peer;
    size_t n;
};

/* Counts within a period; ERR_LIMIT. */
static err_t count_request(host_t *h, const peer_id_t *peer)
{
    nat_t *nat = h->nat;
    uint64_t now_ms = sched_now_ms(h->sched);
    if (!nat->uses)
        nat->uses = xcalloc(PEERS_MAX, sizeof *nat->uses);
    if (now_ms - nat->uses_since_ms >= nat->config.autonat_period_ms) {
        nat->uses_since_ms = now_ms;
        nat->n_uses = nat->n_requests = 0;
    }
    size_t i = 0;
    while (i < nat->n_uses && !peer_id_equal(&nat->uses[i].peer, peer))
        i++;
    if (nat->n_requests >= nat->config.autonat_max || i == PEERS_MAX)
        return fail(ERR_LIMIT, "%zu dials for others (AutoNAT.Throttle.GlobalLimit)", nat->n_requests);
    if (i == nat->n_uses)
        nat->uses[nat->n_uses++] = (struct autonat_use){.peer = *peer};
    if (nat->uses[i].n >= nat->config.autonat_max_per_peer)
        return fail(ERR_LIMIT, "%zu dials for one peer (AutoNAT.Throttle.PeerLimit)", nat->uses[i].n);
    nat->uses[i].n++;
    nat->n_requests++;
    return OK;
}

/* ── dialing back ────────────────────────────────────────────────────────────────────────────── */
static bool may_dial(const host_t *h, const multiaddr_t *addr)
{
    return !multiaddr_is_circuit(addr) && transport_can_dial(h, addr) &&
           (h->nat->config.dials_private || !multiaddr_is_private(addr));
}

/* A connection of its own, from another port than the one that the peer's NAT knows. */
static err_t dial_back(task_t *t, host_t *h, const peer_id_t *peer, const multiaddr_t *addr, conn_t **ret)
{
    multiaddr_t bare;
    multiaddr_without_peer(addr, &bare);
    upgrade_how_t how = {.expected = peer, .remote = &bare, .is_apart = true};
    deadline_t d = deadline_push(t, DIAL_TIMEOUT_MS);
    err_t e = transport_dial(t, h, &bare, &how, ret);
    deadline_pop(t, &d);
    return e;
}

static bool is_same_ip(const multiaddr_t *a, const multiaddr_t *b)
{
    multiaddr_part_t ip_a, ip_b;
    size_t i = 0, k = 0;
    return multiaddr_next(a, &i, &ip_a) && multiaddr_next(b, &k, &ip_b) && ip_a.code == ip_b.code &&
           bytes_equal(ip_a.value, ip_b.value);
}

static err_t write_message(task_t *t, stream_t *s, const buf_t *message, const writer_t *w)
{
    TRY(w->err);
    return stream_write_message(t, s, buf_bytes(message));
}

/* ── version 1: the address that we see, with the ports that it names ────────────────────────── */
static err_t with_ip_of(const multiaddr_t *addr, const multiaddr_t *seen, multiaddr_t *ret)
{
    multiaddr_part_t part, ip;
    size_t i = 0, k = 0;
    multiaddr_t made = {0};
    if (!multiaddr_next(seen, &k, &ip) || !multiaddr_next(addr, &i, &part) ||
        (part.code != MA_IP4 && part.code != MA_IP6))
        return ERR_UNSUPPORTED;
    TRY(multiaddr_append(&made, ip.code, ip.value));
    while (multiaddr_next(addr, &i, &part))
        TRY(multiaddr_append(&made, part.code, part.value));
    *ret = made;
    return OK;
}

static size_t addrs_to_try(const host_t *h, const conn_t *from, const autonat_t *m, multiaddr_t *out)
{
    multiaddr_t addr;
    size_t n = 0, seen = 0;
    for (size_t i = 0; seen < ADDRS_MAX && autonat_next_addr(m, &i, &addr); seen++) {
        multiaddr_without_peer(&addr, &addr);
        if (with_ip_of(&addr, &from->remote, &out[n]) || !may_dial(h, &out[n]))
            continue;
        bool is_known = false;
        for (size_t k = 0; k < n; k++)
            is_known |= multiaddr_equal(&out[k], &out[n]);
        n += !is_known;
    }
    return n;
}

/* When none answers, the time-out is waited for in any case: how long it takes tells nothing about ports. */
static autonat_status_t try_addrs(task_t *t, host_t *h, conn_t *from, const multiaddr_t *addrs, size_t n,
                                  multiaddr_t *ret_addr)
{
    uint64_t end_ms = task_now_ms(t) + DIAL_TIMEOUT_MS;
    autonat_status_t status = AUTONAT_DIAL_ERROR;
    deadline_t d = deadline_push(t, DIAL_TIMEOUT_MS);
    for (size_t i = 0; i < n && status != AUTONAT_OK && !task_check(t); i++) {
        conn_t *c;
        if (dial_back(t, h, &from->peer->id, &addrs[i], &c))
            continue;
        conn_close(c);
        conn_release(c);
        *ret_addr = addrs[i];
        status = AUTONAT_OK;
    }
    deadline_pop(t, &d);
    if (status != AUTONAT_OK && task_now_ms(t) < end_ms && task_sleep(t, end_ms - task_now_ms(t)))
        return AUTONAT_INTERNAL_ERROR;
    return status;
}

static autonat_status_t check_dial(const host_t *h, const conn_t *from, const autonat_t *m)
{
    if (!m->is_dial || (m->has_peer && !peer_id_equal(&m->peer, &from->peer->id)))
        return AUTONAT_BAD_REQUEST;
    if (multiaddr_is_circuit(&from->remote) ||
        (multiaddr_is_private(&from->remote) && !h->nat->config.dials_private))
        return AUTONAT_DIAL_REFUSED;
    return AUTONAT_OK;
}

static err_t serve_dial(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    host_t *h = arg;
    autonat_t m;
    AUTO(buf_t) message;
    buf_init(&message, AUTONAT_MESSAGE_MAX_BYTES);
    deadline_t d = deadline_push(t, REQUEST_TIMEOUT_MS);
    err_t e = stream_read_message(t, s, AUTONAT_MESSAGE_MAX_BYTES, &message);
    deadline_pop(t, &d);
    TRY(e);
    TRY(autonat_decode(buf_bytes(&message), &m));
    multiaddr_t *addrs = xmalloc((ADDRS_MAX + 1) * sizeof *addrs), reached = {0};
    autonat_status_t status = check_dial(h, from, &m);
    size_t n = status == AUTONAT_OK ? addrs_to_try(h, from, &m, addrs) : 0;
    if (status == AUTONAT_OK && (!n || count_request(h, &from->peer->id)))
        status = AUTONAT_DIAL_REFUSED;
    if (status == AUTONAT_OK)
        status = try_addrs(t, h, from, addrs, n, &reached);
    free(addrs);
    buf_clear(&message);
    writer_t w = writer_to(&message);
    autonat_encode_response(status, status == AUTONAT_OK ? NULL : "not dialed back",
                            status == AUTONAT_OK ? &reached : NULL, &w);
    TRY(write_message(t, s, &message, &w));
    return stream_close_write(s);
}

/* ── version 2: the first address of the request that we can dial ────────────────────────────── */
/* Data for the trouble of dialing another machine than the one that asks. */
static err_t take_data(task_t *t, host_t *h, stream_t *s, uint32_t index, buf_t *message)
{
    uint64_t want = DATA_MIN + host_random(h) % DATA_SPREAD;
    buf_clear(message);
    writer_t w = writer_to(message);
    autonat2_encode_data_request(index, want, &w);
    TRY(write_message(t, s, message, &w));
    for (uint64_t got = 0; got < want;) {
        autonat2_t m;
        TRY(stream_read_message(t, s, AUTONAT2_MESSAGE_MAX_BYTES, message));
        TRY(autonat2_decode(buf_bytes(message), &m));
        if (m.kind != AUTONAT2_DATA || (m.size_bytes < 100 && got + m.size_bytes < want))
            return fail(ERR_PROTOCOL, "AutoNAT: less data than a message is worth");
        got += m.size_bytes;
    }
    return task_sleep(t, host_random(h) % DATA_WAIT_MS);
}

static autonat2_dial_t say_nonce(task_t *t, conn_t *c, uint64_t nonce)
{
    static const char *const protocols[] = {AUTONAT2_BACK_PROTOCOL};
    stream_t *s;
    AUTO(buf_t) message;
    buf_init(&message, 64);
    if (conn_open_stream(t, c, protocols, 1, &s, NULL))
        return AUTONAT2_DIAL_BACK_ERROR;
    writer_t w = writer_to(&message);
    autonat2_back_encode(nonce, &w);
    err_t e = write_message(t, s, &message, &w);
    uint8_t byte;
    size_t n;
    if (!e)
        e = stream_close_write(s);
    if (!e) /* its answer tells that it has read ours, before the connection goes */
        e = stream_read(t, s, &byte, 1, &n);
    stream_close(s);
    return e ? AUTONAT2_DIAL_BACK_ERROR : AUTONAT2_DIAL_OK;
}

static autonat2_dial_t dial_with_nonce(task_t *t, host_t *h, conn_t *from, const multiaddr_t *addr,
                                       uint64_t nonce)
{
    conn_t *c;
    if (dial_back(t, h, &from->peer->id, addr, &c))
        return AUTONAT2_DIAL_ERROR;
    deadline_t d = deadline_push(t, BACK_TIMEOUT_MS);
    autonat2_dial_t result = say_nonce(t, c, nonce);
    deadline_pop(t, &d);
    conn_close(c);
    conn_release(c);
    return result;
}

static bool choose_addr(const host_t *h, const autonat2_t *m, size_t *ret_index, multiaddr_t *ret)
{
    for (size_t i = 0; autonat2_next_addr(m, &i, ret_index, ret) && *ret_index < ADDRS2_MAX;)
        if (may_dial(h, ret))
            return true;
    return false;
}

static err_t answer(task_t *t, stream_t *s, buf_t *message, autonat2_status_t status, size_t index,
                    uint32_t dial)
{
    buf_clear(message);
    writer_t w = writer_to(message);
    autonat2_encode_response(status, (uint32_t)index, dial, &w);
    TRY(write_message(t, s, message, &w));
    return stream_close_write(s);
}

static err_t serve_request(task_t *t, stream_t *s, host_t *h, conn_t *from, buf_t *message)
{
    autonat2_t m;
    multiaddr_t addr;
    size_t index = 0;
    TRY(stream_read_message(t, s, AUTONAT2_MESSAGE_MAX_BYTES, message));
    TRY(autonat2_decode(buf_bytes(message), &m));
    if (m.kind != AUTONAT2_REQUEST)
        return fail(ERR_PROTOCOL, "AutoNAT: an answer where a request should be");
    if (count_request(h, &from->peer->id) || multiaddr_is_circuit(&from->remote))
        return answer(t, s, message, AUTONAT2_REJECTED, 0, 0);
    if (!choose_addr(h, &m, &index, &addr))
        return answer(t, s, message, AUTONAT2_REFUSED, 0, 0);
    uint64_t nonce = m.nonce; /* m borrows the message */
    if (!is_same_ip(&addr, &from->remote))
        TRY(take_data(t, h, s, (uint32_t)index, message));
    return answer(t, s, message, AUTONAT2_OK, index, dial_with_nonce(t, h, from, &addr, nonce));
}

static err_t serve_dial2(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    AUTO(buf_t) message;
    buf_init(&message, AUTONAT2_MESSAGE_MAX_BYTES);
    deadline_t d = deadline_push(t, 4 * (uint64_t)REQUEST_TIMEOUT_MS);
    err_t e = serve_request(t, s, arg, from, &message);
    deadline_pop(t, &d);
    return e;
}

/* Those who cannot be dialed themselves know little about others. */
void autonat_server_update(host_t *h)
{
    protocol_options_t opt = {.max_inbound_per_peer = STREAMS_MAX};
    bool should = h->nat->config.answers_autonat && host_reachability(h) != REACHABILITY_PRIVATE;
    if (should == h->nat->is_answering)
        return;
    h->nat->is_answering = should;
    if (!should) {
        host_unhandle(h, AUTONAT_PROTOCOL);
        host_unhandle(h, AUTONAT2_DIAL_PROTOCOL);
        return;
    }
    err_t e = host_handle(h, AUTONAT_PROTOCOL, &opt, serve_dial, h);
    if (!e && !h->nat->config.autonat_v1_only)
        e = host_handle(h, AUTONAT2_DIAL_PROTOCOL, &opt, serve_dial2, h);
    if (e)
        log_warn("this node does not answer AutoNAT", LOG_ERR(e));
}

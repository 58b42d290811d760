#include "net/mdns.h"
#include "base/log.h"
#include "wire/mdns.h"
#include <stdlib.h>

enum {
    ADDRS_MAX = 64,
    INTERFACES_MAX = 32,
    DIALS_MAX = 64,
    DIALS_AT_ONCE = 8,
    FOUND_AT_ONCE = 64,
    LOOK_AGAIN_MS = 60000
};

typedef struct mdns_socket {
    mdns_service_t *service;
    net_addr_t group;
    udp_t *udp; /* NULL: not open */
} mdns_socket_t;

struct mdns_service {
    host_t *host;
    mdns_t engine;
    host_listener_t news;
    mdns_socket_t sockets[2]; /* IPv4, IPv6 */
    uint32_t interfaces[INTERFACES_MAX];
    size_t n_interfaces;
    sched_alarm_t alarm;
    uint64_t look_ms; /* when to look at addresses and interfaces again */
    buf_t out;
    group_t readers, dials;
    gate_t dialing; /* a peer is new once: who is found with many others waits for its turn */
    uint64_t n_found;
};

/* ── peers that were found ───────────────────────────────────────────────────────────────────── */
typedef struct find {
    mdns_service_t *service;
    peer_id_t peer;
} find_t;

static err_t dial_found(task_t *t, void *arg)
{
    find_t f = *(find_t *)arg;
    conn_t *c;
    free(arg);
    TRY(gate_enter(t, &f.service->dialing));
    err_t e = host_connect(t, f.service->host, &f.peer, NULL, 0, &c);
    gate_leave(&f.service->dialing);
    if (!e)
        conn_release(c);
    else
        log_debug("a peer of the local network was not reached", LOG_ERR(e));
    return OK;
}

static void take_found(mdns_service_t *s, const peer_id_t *peer)
{
    s->n_found++;
    if (host_is_connected(s->host, peer) || s->dials.count >= DIALS_MAX)
        return;
    find_t *f = xmalloc(sizeof *f);
    *f = (find_t){s, *peer};
    if (group_spawn(&s->dials, "dial a found peer", dial_found, f, NULL))
        free(f);
}

static void hear(mdns_service_t *s, bytes_t datagram)
{
    uint64_t now_ms = sched_now_ms(host_sched(s->host));
    peer_id_t fresh[FOUND_AT_ONCE];
    mdns_found_t found;
    size_t n = 0;
    if (mdns_feed(&s->engine, datagram, now_ms))
        return;
    while (mdns_next_found(&s->engine, now_ms, &found)) {
        peerstore_add_addrs(host_peerstore(s->host), &found.peer, &found.addr, 1, ADDR_TTL_SEEN_MS);
        if (found.is_new && n < FOUND_AT_ONCE)
            fresh[n++] = found.peer;
    }
    for (size_t i = 0; i < n; i++) /* now all of their addresses are known */
        take_found(s, &fresh[i]);
    alarm_set(&s->alarm,
              mdns_deadline_ms(&s->engine) < s->look_ms ? mdns_deadline_ms(&s->engine) : s->look_ms);
}

static err_t read_all_datagrams(task_t *t, mdns_socket_t *socket, uint8_t *in)
{
    for (;;) {
        net_addr_t from;
        size_t n;
        TRY(udp_recv(t, socket->udp, &from, in, MDNS_DATAGRAM_MAX, &n));
        /* The IPv6 socket also gets what was sent to the machine from afar; the group's senders are near,
         * and send from an address of the link. */
        if (from.family == 4 || net_addr_is_private(&from))
            hear(socket->service, bytes_of(in, n));
    }
}

static err_t read_socket(task_t *t, void *arg)
{
    uint8_t *in = xmalloc(MDNS_DATAGRAM_MAX);
    err_t e = read_all_datagrams(t, arg, in);
    free(in);
    if (e != ERR_CANCELED)
        log_debug("multicast DNS: receiving ended", LOG_ERR(e));
    return OK;
}

/* ── sockets and interfaces ──────────────────────────────────────────────────────────────────── */
static void send_to_all(mdns_service_t *s, bytes_t datagram)
{
    for (size_t k = 0; k < ARRAY_LEN(s->sockets); k++)
        for (size_t i = 0; s->sockets[k].udp && i < s->n_interfaces; i++) {
            net_addr_t to = s->sockets[k].group;
            to.scope = s->interfaces[i];
            err_t e = udp_send(s->sockets[k].udp, &to, datagram);
            if (e && e != ERR_AGAIN)
                log_debug("multicast DNS: not sent", LOG_ERR(e));
        }
}

static void open_socket(mdns_service_t *s, mdns_socket_t *socket)
{
    net_addr_t at = socket->group;
    if (at.family == 6) /* a group of the link cannot be bound to for all interfaces */
        memset(at.ip, 0, sizeof at.ip);
    err_t e = udp_open(sched_driver(host_sched(s->host)), &at, &socket->udp);
    if (!e)
        e = group_spawn(&s->readers, "multicast DNS", read_socket, socket, NULL);
    if (!e)
        return;
    log_debug("multicast DNS: no socket", LOG_ERR(e));
    udp_close(socket->udp);
    socket->udp = NULL;
}

static void join_all(mdns_service_t *s)
{
    s->n_interfaces =
        driver_multicast_interfaces(sched_driver(host_sched(s->host)), s->interfaces, INTERFACES_MAX);
    for (size_t k = 0; k < ARRAY_LEN(s->sockets); k++) {
        if (!s->sockets[k].udp)
            open_socket(s, &s->sockets[k]);
        for (size_t i = 0; s->sockets[k].udp && i < s->n_interfaces; i++) {
            net_addr_t group = s->sockets[k].group;
            group.scope = s->interfaces[i];
            err_t e = udp_join(s->sockets[k].udp, &group);
            if (e)
                log_debug("multicast DNS: an interface is left out", LOG_ERR(e));
        }
    }
}

/* Our own addresses, as they are now; joins when there is one to tell. */
static void look(mdns_service_t *s)
{
    uint64_t now_ms = sched_now_ms(host_sched(s->host));
    multiaddr_t *addrs = xmalloc(ADDRS_MAX * sizeof *addrs);
    size_t n = host_listen_addrs(s->host, addrs, ADDRS_MAX);
    if (mdns_set_addrs(&s->engine, addrs, n, now_ms))
        join_all(s);
    free(addrs);
    s->look_ms = now_ms + LOOK_AGAIN_MS;
}

static void on_alarm(void *arg)
{
    mdns_service_t *s = arg;
    uint64_t now_ms = sched_now_ms(host_sched(s->host));
    if (s->look_ms <= now_ms)
        look(s);
    for (; mdns_output(&s->engine, now_ms, &s->out); buf_clear(&s->out))
        send_to_all(s, buf_bytes(&s->out));
    uint64_t at_ms = mdns_deadline_ms(&s->engine);
    alarm_set(&s->alarm, at_ms < s->look_ms ? at_ms : s->look_ms);
}

static void on_addrs_changed(void *arg)
{
    mdns_service_t *s = arg;
    s->look_ms = sched_now_ms(host_sched(s->host));
    alarm_set(&s->alarm, s->look_ms);
}

/* ── life ────────────────────────────────────────────────────────────────────────────────────── */
mdns_service_t *mdns_start(host_t *h)
{
    mdns_service_t *s = xcalloc(1, sizeof *s);
    s->host = h;
    mdns_init(&s->engine, host_id(h), driver_random_u64(sched_driver(host_sched(h))));
    s->sockets[0] =
        (mdns_socket_t){.service = s, .group = {.family = 4, .ip = {224, 0, 0, 251}, .port = MDNS_PORT}};
    s->sockets[1] = (mdns_socket_t){.service = s,
                                    .group = {.family = 6, .ip = {0xff, 2, [15] = 0xfb}, .port = MDNS_PORT}};
    buf_init(&s->out, MDNS_DATAGRAM_MAX);
    group_init(&s->readers, host_sched(h));
    group_init(&s->dials, host_sched(h));
    gate_init(&s->dialing, DIALS_AT_ONCE);
    alarm_init(&s->alarm, host_sched(h), on_alarm, s);
    s->news = (host_listener_t){.addrs_changed = on_addrs_changed, .arg = s};
    host_add_listener(h, &s->news);
    on_addrs_changed(s);
    return s;
}

void mdns_stop(task_t *t, mdns_service_t *s)
{
    if (!s)
        return;
    host_remove_listener(s->host, &s->news);
    group_stop(t, &s->readers); /* first: what is heard starts dials and the alarm */
    group_stop(t, &s->dials);
    alarm_clear(&s->alarm);
    buf_clear(&s->out);
    if (mdns_put_goodbye(&s->engine, &s->out))
        send_to_all(s, buf_bytes(&s->out));
    group_deinit(&s->dials);
    group_deinit(&s->readers);
    for (size_t k = 0; k < ARRAY_LEN(s->sockets); k++)
        udp_close(s->sockets[k].udp);
    buf_deinit(&s->out);
    free(s);
}

uint64_t mdns_found_count(const mdns_service_t *s)
{
    return s->n_found;
}

/* portmap_router: PCP and NAT-PMP with the router, and the choice among all ways. */
#include "net/portmap_internal.h"

enum { TRIES = 3, FIRST_WAIT_MS = 250 };

/* The answer to what was asked: anything else that comes in the meantime is passed over. */
typedef bool (*fits_fn)(const void *wanted, const portmap_answer_t *answer);

static err_t receive(task_t *t, const router_t *r, udp_t *u, fits_fn fits, const void *wanted,
                     portmap_answer_t *ret)
{
    for (;;) {
        uint8_t in[PORTMAP_ANSWER_MAX];
        net_addr_t from;
        size_t n;
        TRY(udp_recv(t, u, &from, in, sizeof in, &n));
        if (from.port != PORTMAP_PORT || memcmp(from.ip, r->gateway.ip, 4) != 0)
            continue;
        err_t e = portmap_decode(bytes_of(in, n), ret);
        if (e == ERR_INVALID)
            continue;
        TRY(e);
        if (fits(wanted, ret))
            return OK;
    }
}

static err_t ask_on(task_t *t, const router_t *r, udp_t *u, bytes_t request, fits_fn fits, const void *wanted,
                    portmap_answer_t *ret)
{
    net_addr_t to = r->gateway;
    to.port = PORTMAP_PORT;
    uint64_t wait_ms = FIRST_WAIT_MS;
    for (int i = 0; i < TRIES; i++, wait_ms *= 2) {
        TRY(udp_send(u, &to, request));
        deadline_t d = deadline_push(t, wait_ms);
        err_t e = receive(t, r, u, fits, wanted, ret);
        deadline_pop(t, &d);
        if (e != ERR_TIMEOUT)
            return e;
        TRY(task_check(t));
    }
    return fail(ERR_UNREACHABLE, "the router does not answer");
}

static err_t ask(task_t *t, const router_t *r, bytes_t request, fits_fn fits, const void *wanted,
                 portmap_answer_t *ret)
{
    udp_t *u;
    TRY(udp_open(task_driver(t), &r->own, &u));
    err_t e = ask_on(t, r, u, request, fits, wanted, ret);
    udp_close(u);
    return e;
}

typedef struct wanted {
    const router_t *router;
    portmap_request_t request;
    bool is_pcp;
} wanted_t;

static bool fits_map(const void *arg, const portmap_answer_t *a)
{
    const wanted_t *w = arg;
    return a->kind == PORTMAP_MAPPED && a->is_pcp == w->is_pcp && a->is_tcp == w->request.is_tcp &&
           a->inside_port == w->request.inside_port &&
           (!w->is_pcp || !memcmp(a->nonce, w->router->nonce, PCP_NONCE_BYTES));
}

static bool fits_address(const void *arg, const portmap_answer_t *a)
{
    return a->kind == PORTMAP_ADDRESS;
}

static err_t map_with(task_t *t, const router_t *r, bool is_pcp, const mapping_t *m, uint32_t lifetime_s,
                      portmap_answer_t *ret)
{
    wanted_t w = {.router = r, .is_pcp = is_pcp};
    w.request = (portmap_request_t){.is_tcp = m->is_tcp,
                                    .inside_port = m->inside_port,
                                    .outside_port = m->outside_port ? m->outside_port : m->inside_port,
                                    .lifetime_s = lifetime_s};
    AUTO(buf_t) out = {0};
    buf_init(&out, PORTMAP_REQUEST_MAX);
    writer_t writer = writer_to(&out);
    if (is_pcp)
        pcp_put_map(&writer, &w.request, r->nonce, r->own.ip);
    else
        natpmp_put_map(&writer, &w.request);
    TRY(writer.err);
    return ask(t, r, buf_bytes(&out), fits_map, &w, ret);
}

static err_t ask_address(task_t *t, router_t *r)
{
    portmap_answer_t answer;
    AUTO(buf_t) out = {0};
    buf_init(&out, PORTMAP_REQUEST_MAX);
    writer_t w = writer_to(&out);
    natpmp_put_address(&w);
    TRY(w.err);
    TRY(ask(t, r, buf_bytes(&out), fits_address, NULL, &answer));
    memcpy(r->outside_ip, answer.ip, 4);
    return OK;
}

static err_t map_by_datagram(task_t *t, router_t *r, mapping_t *m, uint32_t *lifetime_s)
{
    portmap_answer_t answer;
    bool is_pcp = r->way == WAY_PCP;
    TRY(map_with(t, r, is_pcp, m, *lifetime_s, &answer));
    if (!answer.lifetime_s || !answer.outside_port)
        return fail(ERR_PROTOCOL, "the router mapped no port");
    if (is_pcp && !answer.has_ip)
        return fail(ERR_UNSUPPORTED, "the router mapped to no IPv4 address");
    if (is_pcp)
        memcpy(r->outside_ip, answer.ip, 4);
    else
        TRY(ask_address(t, r));
    m->outside_port = answer.outside_port;
    *lifetime_s = answer.lifetime_s;
    return OK;
}

err_t router_map(task_t *t, router_t *r, mapping_t *m, uint32_t *lifetime_s)
{
    return r->way == WAY_UPNP ? upnp_map(t, r, m, lifetime_s) : map_by_datagram(t, r, m, lifetime_s);
}

err_t router_unmap(task_t *t, router_t *r, const mapping_t *m)
{
    portmap_answer_t answer;
    return r->way == WAY_UPNP ? upnp_unmap(t, r, m) : map_with(t, r, r->way == WAY_PCP, m, 0, &answer);
}

err_t router_find(task_t *t, router_t *r, const mapping_t *m)
{
    static const way_t ways[] = {WAY_PCP, WAY_NATPMP, WAY_UPNP};
    err_t e = ERR_UNREACHABLE;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        mapping_t tried = *m;
        uint32_t lifetime_s = 120;
        bool is_silent =
            ways[i] == WAY_NATPMP && e == ERR_UNREACHABLE; /* the port is the same: so it would be again */
        if (is_silent)
            continue;
        r->way = ways[i];
        e = ways[i] == WAY_UPNP ? upnp_find(t, r) : OK;
        if (!e)
            e = router_map(t, r, &tried, &lifetime_s);
        if (!e || e == ERR_CANCELED)
            break;
    }
    if (e)
        r->way = WAY_NONE;
    return e;
}

#include "net/portmap.h"
#include "base/log.h"
#include "net/host_internal.h"
#include "net/portmap_internal.h"
#include <stdlib.h>

enum {
    LISTENS_MAX = 64,
    LIFETIME_S = 3600,
    RENEW_MIN_MS = 30000,
    RETRY_FIRST_MS = 60000,
    RETRY_MAX_MS = 1800000,
    GOODBYE_MS = 1000,
};

struct portmap {
    host_t *host;
    host_listener_t news;
    group_t tasks;
    event_t changed;
    bool has_changed;
    uint64_t retry_ms;
    router_t router;
    mapping_t mappings[PORTMAPS_MAX];
    size_t n_mappings;
};

/* ── what is to be mapped ────────────────────────────────────────────────────────────────────── */

/* /ip4/PRIVATE/tcp|udp/PORT…; the rest of the address is `ret_rest`. */
static bool read_listen(const multiaddr_t *addr, mapping_t *ret, net_addr_t *ret_ip)
{
    multiaddr_part_t ip, port;
    size_t i = 0;
    if (!multiaddr_is_private(addr) || multiaddr_is_loopback(addr) || !multiaddr_next(addr, &i, &ip) ||
        ip.code != MA_IP4 || !multiaddr_next(addr, &i, &port) || (port.code != MA_TCP && port.code != MA_UDP))
        return false;
    *ret = (mapping_t){.is_tcp = port.code == MA_TCP,
                       .inside_port = (uint16_t)(port.value.data[0] << 8 | port.value.data[1])};
    *ret_ip = (net_addr_t){.family = 4};
    memcpy(ret_ip->ip, ip.value.data, 4);
    return true;
}

static mapping_t *find(mapping_t *list, size_t n, const mapping_t *like)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].is_tcp == like->is_tcp && list[i].inside_port == like->inside_port)
            return &list[i];
    return NULL;
}

static unsigned common_bits(const uint8_t a[4], const uint8_t b[4])
{
    unsigned n = 0;
    while (n < 32 && !(((a[n / 8] ^ b[n / 8]) >> (7 - n % 8)) & 1))
        n++;
    return n;
}

/* The ports, each once, and our own address: of those that listen the one nearest to the router's. */
static size_t list_wanted(portmap_t *p, mapping_t *out)
{
    multiaddr_t *addrs = xmalloc(LISTENS_MAX * sizeof *addrs);
    size_t n_addrs = host_listen_addrs(p->host, addrs, LISTENS_MAX), n = 0;
    unsigned best = 0;
    for (size_t i = 0; i < n_addrs && n < PORTMAPS_MAX; i++) {
        mapping_t m;
        net_addr_t ip;
        if (!read_listen(&addrs[i], &m, &ip))
            continue;
        unsigned bits = common_bits(ip.ip, p->router.gateway.ip) + 1;
        if (bits > best) {
            best = bits;
            p->router.own = ip;
        }
        if (!find(out, n, &m)) {
            const mapping_t *before = find(p->mappings, p->n_mappings, &m);
            out[n++] = before ? *before : m;
        }
    }
    free(addrs);
    return n;
}

/* ── what the host tells others ──────────────────────────────────────────────────────────────── */

/* The listen address with the outside IP and port in the place of its own. */
static bool outside_of(const portmap_t *p, const multiaddr_t *listen, multiaddr_t *ret)
{
    mapping_t m;
    net_addr_t ip;
    if (!read_listen(listen, &m, &ip))
        return false;
    const mapping_t *mapped = find((mapping_t *)p->mappings, p->n_mappings, &m);
    if (!mapped || !mapped->outside_port)
        return false;
    uint8_t port[2] = {(uint8_t)(mapped->outside_port >> 8), (uint8_t)mapped->outside_port};
    multiaddr_part_t part;
    multiaddr_t out = {0};
    size_t i = 0;
    multiaddr_next(listen, &i, &part);
    multiaddr_next(listen, &i, &part);
    if (multiaddr_append(&out, MA_IP4, bytes_of(p->router.outside_ip, 4)) ||
        multiaddr_append(&out, part.code, bytes_of(port, 2)))
        return false;
    while (multiaddr_next(listen, &i, &part))
        if (multiaddr_append(&out, part.code, part.value))
            return false;
    *ret = out;
    return !multiaddr_is_private(&out); /* behind a second NAT: of no use */
}

static void tell_host(portmap_t *p)
{
    multiaddr_t *listens = xmalloc(LISTENS_MAX * sizeof *listens),
                *mapped = xmalloc(MAPPED_MAX * sizeof *mapped);
    size_t n_listens = host_listen_addrs(p->host, listens, LISTENS_MAX), n = 0;
    for (size_t i = 0; i < n_listens && n < MAPPED_MAX; i++) {
        bool is_new = outside_of(p, &listens[i], &mapped[n]);
        for (size_t k = 0; is_new && k < n; k++)
            is_new = !multiaddr_equal(&mapped[k], &mapped[n]);
        n += is_new;
    }
    host_set_mapped(p->host, mapped, n);
    free(listens);
    free(mapped);
}

/* ── keeping them ────────────────────────────────────────────────────────────────────────────── */
static err_t map_all(task_t *t, portmap_t *p, uint32_t *ret_lifetime_s)
{
    uint32_t least_s = LIFETIME_S;
    for (size_t i = 0; i < p->n_mappings; i++) {
        uint32_t lifetime_s = LIFETIME_S;
        TRY(router_map(t, &p->router, &p->mappings[i], &lifetime_s));
        least_s = lifetime_s < least_s ? lifetime_s : least_s;
    }
    *ret_lifetime_s = least_s;
    return OK;
}

static void forget_all(portmap_t *p)
{
    p->n_mappings = 0;
    p->router.way = WAY_NONE;
    host_set_mapped(p->host, NULL, 0);
}

/* Returns after how long to come again. */
static uint64_t refresh(task_t *t, portmap_t *p)
{
    mapping_t wanted[PORTMAPS_MAX];
    uint32_t lifetime_s;
    bool has_gateway = driver_gateway(task_driver(t), &p->router.gateway);
    size_t n = list_wanted(p, wanted);
    if (!n || !has_gateway) {
        forget_all(p);
        return n ? RETRY_FIRST_MS : TIME_NEVER;
    }
    memcpy(p->mappings, wanted, n * sizeof *wanted);
    p->n_mappings = n;
    err_t e = p->router.way == WAY_NONE ? router_find(t, &p->router, &p->mappings[0]) : OK;
    if (!e)
        e = map_all(t, p, &lifetime_s);
    if (e) {
        log_debug("no ports were mapped", LOG_ERR(e));
        forget_all(p);
        uint64_t wait_ms = p->retry_ms;
        p->retry_ms = wait_ms * 2 < RETRY_MAX_MS ? wait_ms * 2 : RETRY_MAX_MS;
        return wait_ms;
    }
    p->retry_ms = RETRY_FIRST_MS;
    tell_host(p);
    uint64_t renew_ms = (uint64_t)lifetime_s * 500;
    return renew_ms > RENEW_MIN_MS ? renew_ms : RENEW_MIN_MS;
}

static err_t keep_mapped(task_t *t, void *arg)
{
    portmap_t *p = arg;
    for (;;) {
        p->has_changed = false;
        uint64_t until_ms = refresh(t, p);
        until_ms = until_ms == TIME_NEVER ? TIME_NEVER : task_now_ms(t) + until_ms;
        while (!p->has_changed && task_now_ms(t) < until_ms) {
            deadline_t d =
                deadline_push(t, until_ms == TIME_NEVER ? RETRY_MAX_MS : until_ms - task_now_ms(t));
            err_t e = event_wait(t, &p->changed);
            deadline_pop(t, &d);
            TRY(e == ERR_CANCELED ? e : OK);
        }
    }
}

static void on_addrs_changed(void *arg)
{
    portmap_t *p = arg;
    mapping_t wanted[PORTMAPS_MAX];
    size_t n = list_wanted(p, wanted), known = 0;
    for (size_t i = 0; i < n; i++)
        known += find(p->mappings, p->n_mappings, &wanted[i]) != NULL;
    if (known == n && n == p->n_mappings)
        return; /* among others it is us who changed them */
    p->has_changed = true;
    event_fire(&p->changed);
}

/* ── life ────────────────────────────────────────────────────────────────────────────────────── */
err_t portmap_start(host_t *h, portmap_t **ret)
{
    portmap_t *p = xcalloc(1, sizeof *p);
    p->host = h;
    p->retry_ms = RETRY_FIRST_MS;
    driver_random(sched_driver(h->sched), p->router.nonce, sizeof p->router.nonce);
    group_init(&p->tasks, h->sched);
    event_init(&p->changed);
    p->news = (host_listener_t){.addrs_changed = on_addrs_changed, .arg = p};
    err_t e = group_spawn(&p->tasks, "port mapping", keep_mapped, p, NULL);
    if (e) {
        group_deinit(&p->tasks);
        free(p);
        return e;
    }
    host_add_listener(h, &p->news);
    *ret = p;
    return OK;
}

void portmap_stop(task_t *t, portmap_t *p)
{
    if (!p)
        return;
    host_remove_listener(p->host, &p->news);
    group_stop(t, &p->tasks);
    group_deinit(&p->tasks);
    deadline_t d = deadline_push(t, GOODBYE_MS);
    for (size_t i = 0; i < p->n_mappings && p->router.way != WAY_NONE; i++) {
        err_t e = router_unmap(t, &p->router, &p->mappings[i]);
        if (e)
            log_debug("a mapped port was not given back", LOG_ERR(e));
    }
    deadline_pop(t, &d);
    free(p);
}

const char *portmap_way(const portmap_t *p)
{
    static const char *const names[] = {"", "PCP", "NAT-PMP", "UPnP"};
    return p->n_mappings ? names[p->router.way] : "";
}

#include "node/listen.h"
#include "base/log.h"

enum { DEFAULT_PORT = 4001, TRIED_PORTS = 100 };

err_t listen_parse(const char *text, multiaddr_t *ret)
{
    if (text[0] == '/')
        return multiaddr_parse(text, ret);
    net_addr_t a;
    if (net_addr_parse(text, &a))
        return fail(ERR_USAGE, "cannot listen on \"%s\": give :PORT, IP:PORT or a multiaddr", text);
    return multiaddr_from_tcp(a.family, a.ip, a.port, ret);
}

/* Is it something that this build can listen on: plain TCP? */
static bool is_tcp(const multiaddr_t *m, uint8_t *ret_family, uint8_t ret_ip[16], uint16_t *ret_port)
{
    return !multiaddr_tcp_endpoint(m, ret_family, ret_ip, ret_port);
}

static err_t listen_near(task_t *t, host_t *h, uint8_t family, const uint8_t ip[16], uint16_t port)
{
    multiaddr_t at;
    err_t e = ERR_IN_USE;
    for (uint16_t i = 0; i < TRIED_PORTS && e == ERR_IN_USE; i++) {
        TRY(multiaddr_from_tcp(family, ip, (uint16_t)(port + i), &at));
        e = host_listen(t, h, &at);
        if (!e && i)
            log_warn("default port is taken, using the next free one", LOG_INT("port", port),
                     LOG_INT("used", port + i));
    }
    return e;
}

static err_t listen_configured(task_t *t, host_t *h, const char *text, bool *ret_listens)
{
    multiaddr_t at;
    uint8_t family, ip[16];
    uint16_t port;
    TRY(multiaddr_parse(text, &at));
    if (multiaddr_is_circuit(&at))
        return host_listen(t, h, &at);
    if (!is_tcp(&at, &family, ip, &port)) {
        log_debug("no transport for this address", LOG_STR("address", text));
        return OK;
    }
    err_t e = port == DEFAULT_PORT ? listen_near(t, h, family, ip, port) : host_listen(t, h, &at);
    if (e && family == 6) { /* machines without IPv6 are common */
        log_debug("cannot listen", LOG_STR("address", text), LOG_ERR(e));
        return OK;
    }
    TRY(e);
    *ret_listens = true;
    return OK;
}

err_t listen_all(task_t *t, host_t *h, const config_t *config, const char *const *wanted, size_t n_wanted)
{
    for (size_t i = 0; i < n_wanted; i++) {
        multiaddr_t at;
        TRY(listen_parse(wanted[i], &at));
        TRY(host_listen(t, h, &at));
    }
    if (n_wanted)
        return OK;
    bool listens = false;
    size_t n = config_count(config, "Addresses.Swarm");
    for (size_t i = 0; i < n; i++)
        TRY(listen_configured(t, h, config_item(config, "Addresses.Swarm", i), &listens));
    if (n && !listens)
        log_warn("no address of Addresses.Swarm can be listened on: this node dials only");
    return OK;
}

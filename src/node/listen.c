#include "node/listen.h"
#include "base/log.h"

enum { DEFAULT_PORT = 4001, TRIED_PORTS = 100 };

err_t listen_parse(const char *text, multiaddr_t *ret)
{
    if (text[0] == '/')
        return multiaddr_parse(text, ret);
    net_addr_t a;
    if (net_addr_parse(text, &a))
        return fail(ERR_USAGE, "\"%s\" is no address of this node: give :PORT, IP:PORT or a multiaddr", text);
    return multiaddr_from_tcp(a.family, a.ip, a.port, ret);
}

/* The address with its port, TCP's or UDP's, moved on. *ret_port: the one that it had. */
static err_t move_port(const multiaddr_t *m, uint16_t by, uint16_t *ret_port, multiaddr_t *ret)
{
    multiaddr_t made = {0};
    multiaddr_part_t part;
    *ret_port = 0;
    for (size_t i = 0; multiaddr_next(m, &i, &part);) {
        uint8_t moved[2];
        bool is_port = (part.code == MA_TCP || part.code == MA_UDP) && !*ret_port;
        if (is_port) {
            *ret_port = (uint16_t)(part.value.data[0] << 8 | part.value.data[1]);
            uint16_t port = (uint16_t)(*ret_port + by);
            moved[0] = (uint8_t)(port >> 8);
            moved[1] = (uint8_t)port;
        }
        TRY(multiaddr_append(&made, part.code, is_port ? bytes_of(moved, 2) : part.value));
    }
    *ret = made;
    return OK;
}

/* At the default port, or at the next one that is free. */
static err_t listen_near(task_t *t, host_t *h, const multiaddr_t *wanted)
{
    multiaddr_t at;
    uint16_t port = DEFAULT_PORT;
    err_t e = ERR_IN_USE;
    for (uint16_t i = 0; i < TRIED_PORTS && e == ERR_IN_USE && (!i || port == DEFAULT_PORT); i++) {
        TRY(move_port(wanted, i, &port, &at));
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
    multiaddr_part_t ip6;
    TRY(multiaddr_parse(text, &at));
    if (multiaddr_is_circuit(&at))
        return host_listen(t, h, &at);
    err_t e = listen_near(t, h, &at);
    if (e == ERR_UNSUPPORTED ||
        (e && multiaddr_find(&at, MA_IP6, &ip6))) { /* machines without IPv6 are common */
        log_at(host_quic_missing() && e == ERR_UNSUPPORTED ? LOG_INFO : LOG_DEBUG, "cannot listen",
               LOG_STR("address", text), LOG_ERR(e));
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

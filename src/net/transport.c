#include "net/host_internal.h"

/* What follows the TCP port, up to /p2p/. */
static bool take_suffix(const multiaddr_t *m, size_t iter, endpoint_t *e)
{
    multiaddr_part_t part;
    bool is_tls = false, is_ws = false;
    while (multiaddr_next(m, &iter, &part)) {
        if (part.code == MA_P2P && iter == m->len)
            break;
        if (part.code == MA_TLS && !is_tls && !is_ws)
            is_tls = true;
        else if (part.code == MA_SNI && is_tls && !is_ws && !e->name[0] && part.value.len < sizeof e->name)
            memcpy(e->name, part.value.data, part.value.len);
        else if ((part.code == MA_WS || (part.code == MA_WSS && !is_tls)) && !is_ws)
            is_ws = true;
        else
            return false;
        is_tls |= part.code == MA_WSS;
    }
    e->transport = !is_ws ? TRANSPORT_TCP : is_tls ? TRANSPORT_WSS : TRANSPORT_WS;
    return is_ws || !is_tls;
}

err_t endpoint_of_multiaddr(const multiaddr_t *m, endpoint_t *ret)
{
    endpoint_t e = {.transport = TRANSPORT_QUIC};
    multiaddr_part_t ip, tcp;
    if (!multiaddr_quic_endpoint(m, &e.at.family, e.at.ip, &e.at.port)) {
        *ret = e;
        return OK;
    }
    size_t iter = 0;
    if (!multiaddr_next(m, &iter, &ip) || (ip.code != MA_IP4 && ip.code != MA_IP6) ||
        !multiaddr_next(m, &iter, &tcp) || tcp.code != MA_TCP || !take_suffix(m, iter, &e))
        return fail(ERR_UNSUPPORTED,
                    "the multiaddr is neither an IP address with a TCP port, WebSocket or not, nor QUIC");
    e.at.family = ip.code == MA_IP4 ? 4 : 6;
    memcpy(e.at.ip, ip.value.data, ip.value.len);
    e.at.port = (uint16_t)(tcp.value.data[0] << 8 | tcp.value.data[1]);
    *ret = e;
    return OK;
}

err_t multiaddr_of_endpoint(transport_t transport, const net_addr_t *at, multiaddr_t *ret)
{
    multiaddr_t m;
    if (transport == TRANSPORT_QUIC)
        return multiaddr_from_quic(at->family, at->ip, at->port, ret);
    TRY(multiaddr_from_tcp(at->family, at->ip, at->port, &m));
    if (transport == TRANSPORT_WSS)
        TRY(multiaddr_append(&m, MA_TLS, BYTES_NONE));
    if (transport != TRANSPORT_TCP)
        TRY(multiaddr_append(&m, MA_WS, BYTES_NONE));
    *ret = m;
    return OK;
}

bool host_speaks(const host_t *h, transport_t transport)
{
    return transport == TRANSPORT_TCP    ? !h->config.without_tcp
           : transport == TRANSPORT_QUIC ? !h->config.without_quic
                                         : !h->config.without_websocket;
}

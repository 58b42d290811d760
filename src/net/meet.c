/* meet: a dial to an address whose peer is not known yet. */
#include "net/host_internal.h"

err_t host_meet(task_t *t, host_t *h, const multiaddr_t *addr, conn_t **ret_conn)
{
    peer_id_t named;
    if (multiaddr_is_circuit(addr) || !multiaddr_peer(addr, &named))
        return fail(ERR_INVALID, "the address of an unknown peer must not name one, nor a relay");
    if (h->is_closing)
        return fail(ERR_CLOSED, "the host is closing");
    TRY(conn_use_check(h, false, NULL));
    if (!transport_can_dial(h, addr))
        return fail(ERR_INVALID, "the address cannot be dialed by this node");
    upgrade_how_t how = {.remote = addr};
    conn_t *c;
    deadline_t d = deadline_push(t, h->config.limits.dial_timeout_ms);
    err_t e = transport_dial(t, h, addr, &how, &c);
    deadline_pop(t, &d);
    TRY(e);
    peerstore_add_addrs(h->peerstore, conn_peer(c), addr, 1, ADDR_TTL_CONNECTED_MS);
    *ret_conn = c;
    return OK;
}

/* quic_missing: net/quic.h in a build without QUIC. */
#include "net/quic.h"

const char *const quic_missing = "this build has no QUIC";

err_t quic_listen(host_t *h, const net_addr_t *at, net_addr_t *ret_at)
{
    return fail(ERR_UNSUPPORTED, "%s", quic_missing);
}

err_t quic_connect(task_t *t, host_t *h, const net_addr_t *to, const struct upgrade_how *how,
                   conn_t **ret_conn)
{
    return fail(ERR_UNSUPPORTED, "%s", quic_missing);
}

void quic_punch(host_t *h, const net_addr_t *to) {}

void quic_link_free(quic_link_t *l) {}

void quic_stop(host_t *h) {}

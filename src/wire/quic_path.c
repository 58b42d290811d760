/* quic_path: where the two sides are, and what happens when one of them moves (RFC 9000, 9). A peer that
 * moved is followed as soon as it has proved its new address. When we moved, quic_moved takes the next
 * connection id of the peer's for the new path, so that nobody on the way can tell that it is the same
 * connection, and has the path validated.
 *
 * Which of our addresses a datagram leaves from is for those who send it: to the engine, our side of a path
 * is a number in the place of a port, one more for each move. */
#include "wire/quic_internal.h"
#include <netinet/in.h>

/* ── addresses ───────────────────────────────────────────────────────────────────────────────── */
void quic_put_addr(const net_addr_t *a, ngtcp2_sockaddr_union *ret, ngtcp2_addr *ret_addr)
{
    memset(ret, 0, sizeof *ret);
    if (a->family == 4) {
        ret->in.sin_family = AF_INET;
        ret->in.sin_port = htons(a->port);
        memcpy(&ret->in.sin_addr, a->ip, 4);
        *ret_addr = (ngtcp2_addr){&ret->sa, sizeof ret->in};
    } else {
        ret->in6.sin6_family = AF_INET6;
        ret->in6.sin6_port = htons(a->port);
        ret->in6.sin6_scope_id = a->scope;
        memcpy(&ret->in6.sin6_addr, a->ip, 16);
        *ret_addr = (ngtcp2_addr){&ret->sa, sizeof ret->in6};
    }
}

void quic_get_addr(const ngtcp2_addr *a, net_addr_t *ret)
{
    memset(ret, 0, sizeof *ret);
    const ngtcp2_sockaddr_union *u = (const void *)a->addr;
    if (a->addr->sa_family == AF_INET) {
        ret->family = 4;
        ret->port = ntohs(u->in.sin_port);
        memcpy(ret->ip, &u->in.sin_addr, 4);
    } else {
        ret->family = 6;
        ret->port = ntohs(u->in6.sin6_port);
        ret->scope = u->in6.sin6_scope_id;
        memcpy(ret->ip, &u->in6.sin6_addr, 16);
    }
}

void quic_put_path(const quic_t *q, const net_addr_t *peer, ngtcp2_path_storage *ret)
{
    net_addr_t local = {.family = peer->family, .port = q->n_moves};
    memset(&ret->path, 0, sizeof ret->path);
    quic_put_addr(&local, &ret->local_addrbuf, &ret->path.local);
    quic_put_addr(peer, &ret->remote_addrbuf, &ret->path.remote);
}

/* ── the peer moves ──────────────────────────────────────────────────────────────────────────── */
int quic_path_validated(ngtcp2_conn *conn, uint32_t flags, const ngtcp2_path *path,
                        QUIC_PATH_BEFORE ngtcp2_path_validation_result result, void *user)
{
    quic_t *q = user;
    net_addr_t addr;
    quic_get_addr(&path->remote, &addr);
    if (result != NGTCP2_PATH_VALIDATION_RESULT_SUCCESS)
        return 0;
    if (!net_addr_equal(&addr, &q->addr)) {
        q->addr = addr;
        q->moved_news = true;
        if (ngtcp2_conn_is_server(conn))
            quic_token_give(q, &addr);
    }
    return 0;
}

/* ── we move ─────────────────────────────────────────────────────────────────────────────────── */
void quic_moved(quic_t *q, uint64_t now_ms)
{
    if (q->state != QUIC_OPEN || ngtcp2_conn_is_server(q->conn))
        return; /* a handshake ends where it began; a server cannot move (9) */
    q->must_move = true;
    (void)quic_stamp(q, now_ms, false);
    quic_path_go_on(q);
}

void quic_path_go_on(quic_t *q)
{
    if (!q->must_move || q->state != QUIC_OPEN)
        return;
    ngtcp2_path_storage path;
    q->n_moves++;
    quic_put_path(q, &q->addr, &path);
    int code = ngtcp2_conn_initiate_immediate_migration(q->conn, &path.path, q->ts);
    q->must_output = true;
    q->must_move = code == NGTCP2_ERR_CONN_ID_BLOCKED || code == NGTCP2_ERR_INVALID_STATE;
    if (code)
        q->n_moves--;
}

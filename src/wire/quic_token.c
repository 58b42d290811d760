/* quic_token: who has shown that it is where it says (RFC 9000, 8.1). As a server: the token of a retry,
 * which holds for some seconds and one connection, and that of NEW_TOKEN frames, which lets a client that was
 * here before begin without a retry. As a client: the latest token of each server, used once.
 *
 * Tokens are encrypted by the endpoint's secret, so they end with the process. */
#include "wire/quic_internal.h"
#include <stdlib.h>

/* USED_SLOTS: tokens that are remembered as used, each at its place; one that another took the place of may
 * be used once more. */
enum { RETRY_LIFE_S = 10, TOKEN_LIFE_S = 24 * 3600, TOKENS_KEPT_MAX = 128, USED_SLOTS = 4096 };

struct quic_kept_token {
    list_t node; /* in quic_endpoint->kept, the latest first */
    peer_id_t server;
    size_t len;
    uint8_t bytes[];
};

/* ── as a server ─────────────────────────────────────────────────────────────────────────────── */
static uint64_t name_of_token(const quic_endpoint_t *e, bytes_t token)
{
    uint64_t h = siphash24(e->secret, token);
    return h ? h : 1;
}

static bool is_used(const quic_endpoint_t *e, bytes_t token)
{
    uint64_t h = name_of_token(e, token);
    return e->used && e->used[h % USED_SLOTS] == h;
}

void quic_token_used(quic_endpoint_t *e, bytes_t token)
{
    uint64_t h = name_of_token(e, token);
    if (!e->used)
        e->used = xcalloc(USED_SLOTS, sizeof *e->used);
    e->used[h % USED_SLOTS] = h;
}

bool quic_token_check(const quic_endpoint_t *e, const net_addr_t *from, uint64_t now_ms, quic_initial_t *in)
{
    ngtcp2_sockaddr_union addr;
    ngtcp2_addr at;
    bytes_t token = quic_token_of(&in->hd);
    quic_put_addr(from, &addr, &at);
    if (token.len && token.data[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY) {
        in->has_retried = !ngtcp2_crypto_verify_retry_token(
            &in->odcid, token.data, token.len, e->secret, sizeof e->secret, in->hd.version, at.addr,
            at.addrlen, &in->hd.dcid, RETRY_LIFE_S * NGTCP2_SECONDS, quic_ts(now_ms));
        return in->has_retried; /* a stale one: let it begin anew */
    }
    if (token.len && token.data[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR && !is_used(e, token))
        in->has_token =
            !ngtcp2_crypto_verify_regular_token(token.data, token.len, e->secret, sizeof e->secret, at.addr,
                                                at.addrlen, TOKEN_LIFE_S * NGTCP2_SECONDS, quic_ts(now_ms));
    return true; /* without one that holds it is as if there were none (8.1.3) */
}

void quic_token_give(quic_t *q, const net_addr_t *to)
{
    uint8_t token[NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN];
    ngtcp2_sockaddr_union addr;
    ngtcp2_addr at;
    quic_put_addr(to, &addr, &at);
    ngtcp2_ssize n =
        ngtcp2_crypto_generate_regular_token(token, q->endpoint->secret, sizeof q->endpoint->secret, at.addr,
                                             at.addrlen, quic_ts(q->ts / NGTCP2_MILLISECONDS));
    if (n > 0)
        (void)ngtcp2_conn_submit_new_token(q->conn, token, (size_t)n); /* without memory: it does without */
}

/* ── as a client ─────────────────────────────────────────────────────────────────────────────── */
static void drop(quic_endpoint_t *e, quic_kept_token_t *k)
{
    list_remove(&k->node);
    e->n_kept--;
    free(k);
}

static quic_kept_token_t *find(quic_endpoint_t *e, const peer_id_t *server)
{
    LIST_EACH (k, &e->kept, quic_kept_token_t, node)
        if (peer_id_equal(&k->server, server))
            return k;
    return NULL;
}

void quic_token_keep(quic_endpoint_t *e, const peer_id_t *server, bytes_t token)
{
    quic_kept_token_t *k = find(e, server);
    if (!token.len || token.len > QUIC_TOKEN_MAX)
        return;
    if (k)
        drop(e, k);
    else if (e->n_kept == TOKENS_KEPT_MAX)
        drop(e, LIST_ENTRY(e->kept.prev, quic_kept_token_t, node));
    k = xmalloc(sizeof *k + token.len);
    k->server = *server;
    k->len = token.len;
    memcpy(k->bytes, token.data, token.len);
    list_push_front(&e->kept, &k->node);
    e->n_kept++;
}

size_t quic_token_take(quic_endpoint_t *e, const peer_id_t *server, uint8_t out[QUIC_TOKEN_MAX])
{
    quic_kept_token_t *k = find(e, server);
    size_t len = k ? k->len : 0;
    if (k) {
        memcpy(out, k->bytes, len);
        drop(e, k);
    }
    return len;
}

void quic_token_deinit(quic_endpoint_t *e)
{
    LIST_EACH (k, &e->kept, quic_kept_token_t, node)
        drop(e, k);
    free(e->used);
}

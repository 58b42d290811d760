/* quic_token: who has shown that it is where it says (RFC 9000, 8.1). As a server: the token of a retry,
 * which holds for some seconds and one connection, and that of NEW_TOKEN frames, which lets a client that was
 * here before begin without a retry. As a client: the latest token of each server, used once.
 *
 * Tokens are encrypted with keys of the endpoint's, so they end with the process. A place (net_addr_place) is
 * given TOKENS_PER_PLACE of them in GIVEN_WITHIN_S: who saves them up and speaks for that place later, when
 * it is another's, begins no more than so many connections in its name. */
#include "wire/quic_internal.h"
#include <stdlib.h>

/* USED_SLOTS: tokens that are remembered as used, each in its slot; one that another took the slot of may be
 * used once more. GIVEN_SLOTS: so are places; one that another took the slot of begins anew. */
enum { RETRY_LIFE_S = 10, TOKEN_LIFE_S = 24 * 3600, TOKENS_KEPT_MAX = 128, USED_SLOTS = 4096 };
enum { TOKENS_PER_PLACE = 32, GIVEN_WITHIN_S = 3600, GIVEN_SLOTS = 2048 };

struct quic_kept_token {
    list_t node; /* in quic_endpoint->kept, the latest first */
    peer_id_t server;
    size_t len;
    uint8_t bytes[];
};

struct quic_given {
    uint64_t name; /* of a place; 0: none */
    uint32_t since_s, n;
};

/* ── as a server ─────────────────────────────────────────────────────────────────────────────── */
static uint64_t name_of(const quic_endpoint_t *e, bytes_t token_or_place)
{
    uint64_t h = siphash24(e->keys.names, token_or_place);
    return h ? h : 1;
}

static bool is_used(const quic_endpoint_t *e, bytes_t token)
{
    uint64_t h = name_of(e, token);
    return e->used && e->used[h % USED_SLOTS] == h;
}

void quic_token_used(quic_endpoint_t *e, bytes_t token)
{
    uint64_t h = name_of(e, token);
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
            &in->odcid, token.data, token.len, e->keys.retries, sizeof e->keys.retries, in->hd.version,
            at.addr, at.addrlen, &in->hd.dcid, RETRY_LIFE_S * NGTCP2_SECONDS, quic_ts(now_ms));
        return in->has_retried; /* a stale one: let it begin anew */
    }
    if (token.len && token.data[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR && !is_used(e, token))
        in->has_token = !ngtcp2_crypto_verify_regular_token(token.data, token.len, e->keys.tokens,
                                                            sizeof e->keys.tokens, at.addr, at.addrlen,
                                                            TOKEN_LIFE_S * NGTCP2_SECONDS, quic_ts(now_ms));
    return true; /* without one that holds it is as if there were none (8.1.3) */
}

/* Counts one more; false: it has had enough of late. */
static bool may_give(quic_endpoint_t *e, const net_addr_t *to, uint64_t now_ms)
{
    uint64_t name = name_of(e, net_addr_place(to));
    uint32_t now_s = (uint32_t)(now_ms / 1000);
    if (!e->given)
        e->given = xcalloc(GIVEN_SLOTS, sizeof *e->given);
    quic_given_t *g = &e->given[name % GIVEN_SLOTS];
    if (g->name != name || now_s - g->since_s >= GIVEN_WITHIN_S)
        *g = (quic_given_t){.name = name, .since_s = now_s};
    if (g->n == TOKENS_PER_PLACE)
        return false;
    g->n++;
    return true;
}

void quic_token_give(quic_t *q, const net_addr_t *to)
{
    quic_endpoint_t *e = q->endpoint;
    uint64_t now_ms = q->ts / NGTCP2_MILLISECONDS;
    uint8_t token[NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN];
    ngtcp2_sockaddr_union addr;
    ngtcp2_addr at;
    if (!may_give(e, to, now_ms))
        return;
    quic_put_addr(to, &addr, &at);
    ngtcp2_ssize n = ngtcp2_crypto_generate_regular_token(token, e->keys.tokens, sizeof e->keys.tokens,
                                                          at.addr, at.addrlen, quic_ts(now_ms));
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
    free(e->given);
}

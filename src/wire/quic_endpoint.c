/* quic_endpoint: whose a datagram is. Answers to those of nobody: version negotiation, retry, reset. */
#include "wire/quic_internal.h"
#include <stdlib.h>

/* A reset looks like a packet, so it has some noise before its token; the peers' have 21 bytes at least. */
enum { RESETS_PER_S = 100, RESET_BYTES = 40, RESET_MIN_RECEIVED = 21 };

err_t quic_endpoint_new(const quic_config_t *c, quic_endpoint_t **ret)
{
    quic_tls_t *tls;
    TRY(quic_tls_new(c->identity, &tls));
    quic_endpoint_t *e = xcalloc(1, sizeof *e);
    e->config = *c;
    e->config.identity = NULL;
    e->tls = tls;
    crypto_random((uint8_t *)&e->keys, sizeof e->keys);
    map_init(&e->cids, QUIC_CONNS_MAX * 4);
    map_init(&e->tokens, QUIC_CONNS_MAX * 4);
    list_init(&e->kept);
    *ret = e;
    return OK;
}

void quic_endpoint_free(quic_endpoint_t *e)
{
    if (!e)
        return;
    assert(!map_count(&e->cids) && !map_count(&e->tokens));
    map_deinit(&e->cids);
    map_deinit(&e->tokens);
    quic_token_deinit(e);
    quic_tls_free(e->tls);
    secret_wipe(&e->keys, sizeof e->keys);
    free(e);
}

static_assert(NGTCP2_STATELESS_RESET_TOKENLEN <= NGTCP2_MAX_CIDLEN, "a name holds either");

static map_t *names_of(const quic_t *q, bool is_token)
{
    return is_token ? &q->endpoint->tokens : &q->endpoint->cids;
}

static err_t add_name(quic_t *q, bool is_token, bytes_t key)
{
    if (map_has(names_of(q, is_token), key))
        return fail(ERR_EXISTS, "quic: a name of another connection");
    TRY(map_put(names_of(q, is_token), key, q, NULL));
    q->names = xrealloc(q->names, (q->n_names + 1) * sizeof *q->names);
    quic_name_t *name = &q->names[q->n_names++];
    *name = (quic_name_t){.is_token = is_token, .len = (uint8_t)key.len};
    memcpy(name->bytes, key.data, key.len);
    return OK;
}

static void remove_name(quic_t *q, bool is_token, bytes_t key)
{
    for (size_t i = 0; i < q->n_names; i++) {
        const quic_name_t *name = &q->names[i];
        if (name->is_token != is_token || !bytes_equal(bytes_of(name->bytes, name->len), key))
            continue;
        map_remove(names_of(q, is_token), key);
        q->names[i] = q->names[--q->n_names];
        return;
    }
}

err_t quic_add_cid(quic_t *q, const ngtcp2_cid *cid)
{
    return add_name(q, false, bytes_of(cid->data, cid->datalen));
}

err_t quic_new_cid(quic_t *q, ngtcp2_cid *ret)
{
    do {
        ret->datalen = QUIC_CID_BYTES;
        crypto_random(ret->data, ret->datalen);
    } while (map_has(&q->endpoint->cids, bytes_of(ret->data, ret->datalen)));
    return quic_add_cid(q, ret);
}

void quic_remove_cid(quic_t *q, const ngtcp2_cid *cid)
{
    remove_name(q, false, bytes_of(cid->data, cid->datalen));
}

void quic_add_token(quic_t *q, const uint8_t *token)
{
    bytes_t key = bytes_of(token, NGTCP2_STATELESS_RESET_TOKENLEN);
    if (!map_has(&q->endpoint->tokens, key) && add_name(q, true, key))
        return; /* without room: silence tells it, later */
}

void quic_remove_token(quic_t *q, const uint8_t *token)
{
    remove_name(q, true, bytes_of(token, NGTCP2_STATELESS_RESET_TOKENLEN));
}

void quic_remove_names(quic_t *q)
{
    for (size_t i = 0; i < q->n_names; i++)
        map_remove(names_of(q, q->names[i].is_token), bytes_of(q->names[i].bytes, q->names[i].len));
    free(q->names);
    q->names = NULL;
    q->n_names = 0;
}

void quic_reset_token(const quic_endpoint_t *e, const ngtcp2_cid *cid,
                      uint8_t ret[NGTCP2_STATELESS_RESET_TOKENLEN])
{
    if (ngtcp2_crypto_generate_stateless_reset_token(ret, e->keys.resets, sizeof e->keys.resets, cid))
        crypto_random(ret, NGTCP2_STATELESS_RESET_TOKENLEN); /* no memory: one that nobody can use */
}

bool quic_read_initial(const quic_endpoint_t *e, const net_addr_t *from, bytes_t datagram, uint64_t now_ms,
                       quic_initial_t *ret)
{
    *ret = (quic_initial_t){0};
    if (ngtcp2_accept(&ret->hd, datagram.data, datagram.len) || ret->hd.version != NGTCP2_PROTO_VER_V1)
        return false;
    return quic_token_check(e, from, now_ms, ret);
}

static quic_route_t reply_retry(const quic_endpoint_t *e, const net_addr_t *from, const ngtcp2_pkt_hd *hd,
                                uint64_t now_ms, uint8_t *reply, size_t *ret_len)
{
    uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN];
    ngtcp2_cid scid = {.datalen = QUIC_CID_BYTES};
    ngtcp2_sockaddr_union addr;
    ngtcp2_addr at;
    crypto_random(scid.data, scid.datalen);
    quic_put_addr(from, &addr, &at);
    ngtcp2_ssize n =
        ngtcp2_crypto_generate_retry_token(token, e->keys.retries, sizeof e->keys.retries, hd->version,
                                           at.addr, at.addrlen, &scid, &hd->dcid, quic_ts(now_ms));
    if (n > 0)
        n = ngtcp2_crypto_write_retry(reply, QUIC_REPLY_MAX, hd->version, &hd->scid, &scid, &hd->dcid, token,
                                      (size_t)n);
    if (n <= 0)
        return QUIC_TO_NOBODY;
    *ret_len = (size_t)n;
    return QUIC_TO_REPLY;
}

static quic_route_t reply_versions(const ngtcp2_version_cid *v, uint8_t *reply, size_t *ret_len)
{
    static const uint32_t spoken[] = {NGTCP2_PROTO_VER_V1};
    uint8_t noise;
    crypto_random(&noise, 1);
    ngtcp2_ssize n = ngtcp2_pkt_write_version_negotiation(reply, QUIC_REPLY_MAX, noise, v->scid, v->scidlen,
                                                          v->dcid, v->dcidlen, spoken, ARRAY_LEN(spoken));
    if (n <= 0)
        return QUIC_TO_NOBODY;
    *ret_len = (size_t)n;
    return QUIC_TO_REPLY;
}

/* A packet of a connection that this endpoint has forgotten: smaller than what came, so that two who forgot
 * do not talk on. */
static quic_route_t reply_reset(quic_endpoint_t *e, const ngtcp2_version_cid *v, size_t received,
                                uint64_t now_ms, uint8_t *reply, size_t *ret_len)
{
    if (now_ms - e->resets_since_ms >= 1000) {
        e->resets_since_ms = now_ms;
        e->n_resets = 0;
    }
    if (received <= RESET_BYTES || e->n_resets >= RESETS_PER_S)
        return QUIC_TO_NOBODY;
    e->n_resets++;
    ngtcp2_cid cid;
    uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN], noise[RESET_BYTES - NGTCP2_STATELESS_RESET_TOKENLEN];
    ngtcp2_cid_init(&cid, v->dcid, v->dcidlen);
    quic_reset_token(e, &cid, token);
    crypto_random(noise, sizeof noise);
    ngtcp2_ssize n = ngtcp2_pkt_write_stateless_reset(reply, QUIC_REPLY_MAX, token, noise, sizeof noise);
    if (n <= 0)
        return QUIC_TO_NOBODY;
    *ret_len = (size_t)n;
    return QUIC_TO_REPLY;
}

quic_route_t quic_endpoint_route(quic_endpoint_t *e, const net_addr_t *from, bytes_t datagram,
                                 uint64_t now_ms, bool must_prove, quic_t **ret_conn,
                                 uint8_t reply[QUIC_REPLY_MAX], size_t *ret_reply_len)
{
    ngtcp2_version_cid v;
    if (!datagram.len)
        return QUIC_TO_NOBODY;
    int code = ngtcp2_pkt_decode_version_cid(&v, datagram.data, datagram.len, QUIC_CID_BYTES);
    if (code == NGTCP2_ERR_VERSION_NEGOTIATION)
        return reply_versions(&v, reply, ret_reply_len);
    if (code)
        return QUIC_TO_NOBODY;
    bool is_long = datagram.data[0] & 0x80;
    quic_t *q = map_get(&e->cids, bytes_of(v.dcid, v.dcidlen));
    if (!q && !is_long && datagram.len >= RESET_MIN_RECEIVED)
        q = map_get(&e->tokens,
                    bytes_slice(datagram, datagram.len - NGTCP2_STATELESS_RESET_TOKENLEN, SIZE_MAX));
    if (q) {
        *ret_conn = q;
        return QUIC_TO_CONN;
    }
    if (!is_long)
        return reply_reset(e, &v, datagram.len, now_ms, reply, ret_reply_len);
    if (v.version != NGTCP2_PROTO_VER_V1)
        return v.version && datagram.len >= NGTCP2_MAX_UDP_PAYLOAD_SIZE
                   ? reply_versions(&v, reply, ret_reply_len)
                   : QUIC_TO_NOBODY;
    quic_initial_t in;
    if (!quic_read_initial(e, from, datagram, now_ms, &in))
        return QUIC_TO_NOBODY;
    if (must_prove && !in.has_retried && !in.has_token)
        return reply_retry(e, from, &in.hd, now_ms, reply, ret_reply_len);
    return QUIC_TO_NEW;
}

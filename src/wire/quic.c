#include "wire/quic.h"
#include "wire/certificate.h"
#include "wire/quic_internal.h"
#include <stdlib.h>

void quic_config_default(quic_config_t *ret)
{
    *ret = (quic_config_t){.max_streams = 1024,
                           .max_inbound_streams = 256,
                           .max_window = 24u << 20,
                           .max_stream_window = 16u << 20,
                           .max_send_queue = 256u << 10,
                           .idle_timeout_ms = 30000,
                           .keepalive_ms = 15000,
                           .handshake_timeout_ms = 15000};
}

/* ── what ngtcp2 tells ───────────────────────────────────────────────────────────────────────── */
static int on_recv_crypto(ngtcp2_conn *conn, ngtcp2_encryption_level level, uint64_t offset,
                          const uint8_t *data, size_t len, void *user)
{
    quic_t *q = user;
    return q->tls ? ngtcp2_crypto_recv_crypto_data_cb(conn, level, offset, data, len, user)
                  : 0; /* tickets, of which we make no use */
}

static int on_handshake_completed(ngtcp2_conn *conn, void *user)
{
    quic_t *q = user;
    if (!q->peer.len) /* nobody is here without a certificate */
        return NGTCP2_ERR_CALLBACK_FAILURE;
    q->state = QUIC_OPEN;
    q->open_news = true;
    ngtcp2_conn_set_keep_alive_timeout(conn, q->endpoint->config.keepalive_ms * NGTCP2_MILLISECONDS);
    if (ngtcp2_conn_is_server(conn))
        quic_token_give(q, &q->addr);
    return 0;
}

static int on_recv_stream_data(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t offset,
                               const uint8_t *data, size_t len, void *user, void *stream_user)
{
    quic_stream_t *s = stream_user;
    if (s)
        quic_stream_take(s, bytes_of(data, len), flags & NGTCP2_STREAM_DATA_FLAG_FIN);
    else
        ngtcp2_conn_extend_max_offset(conn, len);
    return 0;
}

static int on_stream_open(ngtcp2_conn *conn, int64_t id, void *user)
{
    quic_stream_t *s;
    if (quic_stream_new(user, id, true, &s) || ngtcp2_conn_set_stream_user_data(conn, id, s))
        return NGTCP2_ERR_CALLBACK_FAILURE;
    quic_stream_tell(s, QUIC_NEWS_OPENED);
    return 0;
}

static int on_stream_close(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t code, void *user,
                           void *stream_user)
{
    if (stream_user)
        quic_stream_was_closed(stream_user);
    else if (!ngtcp2_conn_is_local_stream(conn, id))
        ngtcp2_conn_extend_max_streams_bidi(conn, 1);
    return 0;
}

static int on_stream_reset(ngtcp2_conn *conn, int64_t id, uint64_t final_size, uint64_t code, void *user,
                           void *stream_user)
{
    if (stream_user)
        quic_stream_was_reset(stream_user);
    return 0;
}

static int on_acked(ngtcp2_conn *conn, int64_t id, uint64_t offset, uint64_t len, void *user,
                    void *stream_user)
{
    if (stream_user)
        quic_stream_acked(stream_user, (size_t)len);
    return 0;
}

static int on_window(ngtcp2_conn *conn, int64_t id, uint64_t max, void *user, void *stream_user)
{
    quic_stream_t *s = stream_user;
    if (!s)
        return 0;
    s->is_window_blocked = false;
    list_remove(&s->output_node);
    if (s->to_send.len > s->sent || s->must_fin)
        quic_stream_schedule(s);
    return 0;
}

static int on_max_streams(ngtcp2_conn *conn, uint64_t max, void *user)
{
    quic_t *q = user;
    q->may_open_news = true;
    return 0;
}

static void on_rand(uint8_t *out, size_t len, const ngtcp2_rand_ctx *ctx)
{
    crypto_random(out, len);
}

static int on_new_cid(ngtcp2_conn *conn, ngtcp2_cid *cid, uint8_t *token, size_t len, void *user)
{
    quic_t *q = user;
    assert(len == QUIC_CID_BYTES);
    if (quic_new_cid(q, cid))
        return NGTCP2_ERR_CALLBACK_FAILURE;
    quic_reset_token(q->endpoint, cid, token);
    return 0;
}

static int on_remove_cid(ngtcp2_conn *conn, const ngtcp2_cid *cid, void *user)
{
    quic_t *q = user;
    quic_remove_cid(q, cid);
    return 0;
}

static int on_dcid_status(ngtcp2_conn *conn, quic_cid_status_t type, uint64_t seq, const ngtcp2_cid *cid,
                          const uint8_t *token, void *user)
{
    if (token && type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE)
        quic_add_token(user, token);
    else if (token)
        quic_remove_token(user, token);
    return 0;
}

static int on_new_token(ngtcp2_conn *conn, QUIC_NEW_TOKEN, void *user)
{
    quic_t *q = user;
    quic_token_keep(q->endpoint, &q->peer, QUIC_NEW_TOKEN_BYTES);
    return 0;
}

static const ngtcp2_callbacks callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = on_recv_crypto,
    .handshake_completed = on_handshake_completed,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_stream_data = on_recv_stream_data,
    .acked_stream_data_offset = on_acked,
    .stream_open = on_stream_open,
    .stream_close = on_stream_close,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .recv_new_token = on_new_token,
    .extend_max_local_streams_bidi = on_max_streams,
    .rand = on_rand,
    .get_new_connection_id = on_new_cid,
    .remove_connection_id = on_remove_cid,
    .update_key = ngtcp2_crypto_update_key_cb,
    .path_validation = quic_path_validated,
    .stream_reset = on_stream_reset,
    .extend_max_stream_data = on_window,
    .dcid_status = on_dcid_status,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};

/* ── beginning ───────────────────────────────────────────────────────────────────────────────── */
static ngtcp2_conn *conn_of_ref(ngtcp2_crypto_conn_ref *ref)
{
    return ((quic_t *)ref->user_data)->conn;
}

/* The peer's certificate, in the middle of the handshake. What is wrong is told when the handshake fails. */
static int on_certificate(gnutls_session_t session)
{
    quic_t *q = ((ngtcp2_crypto_conn_ref *)gnutls_session_get_ptr(session))->user_data;
    bytes_t der;
    peer_id_t peer;
    err_t e = quic_tls_certificate(session, &der);
    if (!e)
        e = certificate_verify(der, q->wall_s, &peer);
    if (!e && q->has_expected && !peer_id_equal(&peer, &q->expected)) {
        char text[PEER_ID_TEXT_MAX];
        e = fail(ERR_CRYPTO, "the other side is %s", peer_id_print(&peer, text));
    }
    q->verify_error = e;
    if (e)
        return GNUTLS_E_CERTIFICATE_ERROR;
    q->peer = peer;
    return 0;
}

static void put_params(const quic_endpoint_t *e, ngtcp2_transport_params *p)
{
    ngtcp2_transport_params_default(p);
    p->initial_max_stream_data_bidi_local = p->initial_max_stream_data_bidi_remote = QUIC_STREAM_WINDOW;
    p->initial_max_data = QUIC_STREAM_WINDOW + QUIC_STREAM_WINDOW / 2;
    p->initial_max_streams_bidi = e->config.max_inbound_streams;
    p->max_idle_timeout = e->config.idle_timeout_ms * NGTCP2_MILLISECONDS;
    p->active_connection_id_limit = 4;
}

/* BBR goes by the rate that the path delivers: neither a lost packet nor a queue of others' making keeps it
 * slow. On loopback, where nothing is lost, CUBIC: there is no round trip for BBR to measure. */
static void put_settings(const quic_t *q, uint64_t now_ms, ngtcp2_settings *s)
{
    const quic_endpoint_t *e = q->endpoint;
    ngtcp2_settings_default(s);
    s->cc_algo = net_addr_is_loopback(&q->addr) ? NGTCP2_CC_ALGO_CUBIC : QUIC_CC_BBR2;
    s->initial_ts = quic_ts(now_ms);
    s->max_window = e->config.max_window;
    s->max_stream_window = e->config.max_stream_window;
    s->handshake_timeout = e->config.handshake_timeout_ms * NGTCP2_MILLISECONDS;
    s->max_tx_udp_payload_size = QUIC_DATAGRAM_MAX;
}

static quic_t *quic_alloc(quic_endpoint_t *e, const quic_start_t *s)
{
    quic_t *q = xcalloc(1, sizeof *q);
    q->endpoint = e;
    q->user = s->user;
    q->wall_s = s->wall_s;
    q->addr = *s->peer;
    q->ref = (ngtcp2_crypto_conn_ref){conn_of_ref, q};
    list_init(&q->streams);
    list_init(&q->output);
    list_init(&q->blocked);
    list_init(&q->events);
    list_init(&q->lingering);
    buf_init(&q->held, QUIC_DATAGRAM_MAX);
    ngtcp2_ccerr_default(&q->closing);
    q->must_output = true;
    return q;
}

static err_t begin_tls(quic_t *q, bool is_server)
{
    TRY(quic_tls_session(q->endpoint->tls, is_server, &q->ref, on_certificate, &q->tls));
    ngtcp2_conn_set_tls_native_handle(q->conn, q->tls);
    return OK;
}

static err_t start_client(quic_t *q, uint64_t now_ms)
{
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_path_storage path;
    ngtcp2_cid scid, dcid = {.datalen = 18};
    uint8_t token[QUIC_TOKEN_MAX];
    crypto_random(dcid.data, dcid.datalen);
    put_settings(q, now_ms, &settings);
    quic_put_token(&settings, bytes_of(token, quic_token_take(q->endpoint, &q->expected, token)), false);
    put_params(q->endpoint, &params);
    quic_put_path(q, &q->addr, &path);
    TRY(quic_new_cid(q, &scid));
    int code = ngtcp2_conn_client_new(&q->conn, &dcid, &scid, &path.path, NGTCP2_PROTO_VER_V1, &callbacks,
                                      &settings, &params, NULL, q);
    if (code) {
        quic_remove_cid(q, &scid);
        return fail(ERR_NO_MEMORY, "no memory for a connection");
    }
    return begin_tls(q, false);
}

err_t quic_dial(quic_endpoint_t *e, const quic_start_t *s, const peer_id_t *expected, quic_t **ret)
{
    quic_t *q = quic_alloc(e, s);
    q->has_expected = true;
    q->expected = *expected;
    err_t error = start_client(q, s->now_ms);
    if (error) {
        quic_free(q);
        return error;
    }
    *ret = q;
    return OK;
}

static err_t start_server(quic_t *q, const quic_initial_t *in, uint64_t now_ms)
{
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_path_storage path;
    ngtcp2_cid scid;
    put_settings(q, now_ms, &settings);
    put_params(q->endpoint, &params);
    quic_put_path(q, &q->addr, &path);
    TRY(quic_new_cid(q, &scid));
    quic_put_odcid(&params, in->has_retried ? &in->odcid : &in->hd.dcid);
    if (in->has_retried || in->has_token)
        quic_put_token(&settings, quic_token_of(&in->hd), in->has_retried);
    if (in->has_retried) {
        params.retry_scid = in->hd.dcid;
        params.retry_scid_present = 1;
    } else if (in->has_token) {
        quic_token_used(q->endpoint, quic_token_of(&in->hd));
    }
    params.stateless_reset_token_present = 1;
    quic_reset_token(q->endpoint, &scid, params.stateless_reset_token);
    int code = ngtcp2_conn_server_new(&q->conn, &in->hd.scid, &scid, &path.path, in->hd.version, &callbacks,
                                      &settings, &params, NULL, q);
    if (code) {
        quic_remove_cid(q, &scid);
        return fail(ERR_NO_MEMORY, "no memory for a connection");
    }
    TRY(begin_tls(q, true));
    TRY(quic_add_cid(q, &in->hd.dcid)); /* until the client knows ours */
    return OK;
}

err_t quic_accept(quic_endpoint_t *e, const quic_start_t *s, bytes_t datagram, quic_t **ret)
{
    quic_initial_t in;
    if (!quic_read_initial(e, s->peer, datagram, s->now_ms, &in))
        return fail(ERR_PROTOCOL, "quic: this is no first packet");
    quic_t *q = quic_alloc(e, s);
    err_t error = start_server(q, &in, s->now_ms);
    if (!error) {
        error = quic_feed(q, s->peer, datagram, s->now_ms);
        if (error && q->state == QUIC_ENDING) /* it says why, then it is over */
            error = OK;
    }
    if (error) {
        quic_free(q);
        return error;
    }
    *ret = q;
    return OK;
}

/* ── ending ──────────────────────────────────────────────────────────────────────────────────── */
static void end_tls(quic_t *q)
{
    if (!q->tls)
        return;
    gnutls_deinit(q->tls);
    q->tls = NULL;
    if (q->conn)
        ngtcp2_conn_set_tls_native_handle(q->conn, NULL);
}

static void detach_streams(quic_t *q, err_t reason)
{
    for (quic_stream_t *s; (s = LIST_FIRST(&q->streams, quic_stream_t, node));)
        quic_stream_detach(s, reason);
}

void quic_free(quic_t *q)
{
    if (!q)
        return;
    detach_streams(q, ERR_CLOSED);
    quic_remove_names(q);
    end_tls(q);
    if (q->conn)
        ngtcp2_conn_del(q->conn);
    buf_deinit(&q->held);
    free(q);
}

static void end(quic_t *q, quic_state_t state, err_t reason)
{
    q->state = state;
    q->end_reason = reason;
    q->must_output = state == QUIC_ENDING;
    q->open_news = q->may_open_news = q->moved_news = false;
    detach_streams(q, reason);
}

void quic_end(quic_t *q, err_t reason)
{
    if (q->state == QUIC_HANDSHAKE || q->state == QUIC_OPEN) {
        ngtcp2_ccerr_set_application_error(&q->closing, 0, NULL, 0);
        end(q, QUIC_ENDING, reason);
    }
}

/* TLS errors have alerts; others of the handshake come here too. */
static err_t failed_handshake(quic_t *q)
{
    uint8_t alert = ngtcp2_conn_get_tls_alert(q->conn);
    ngtcp2_ccerr_set_tls_alert(&q->closing, alert, NULL, 0);
    end(q, QUIC_ENDING, ERR_RESET);
    if (q->verify_error)
        return q->verify_error; /* with its text: no failure came since */
    return fail(ERR_CRYPTO, "quic: the TLS handshake failed (alert %u)", alert);
}

static err_t closed_by_peer(quic_t *q)
{
    ngtcp2_ccerr why;
    quic_get_ccerr(q->conn, &why);
    bool is_by_app = why.type == NGTCP2_CCERR_TYPE_APPLICATION;
    end(q, QUIC_ENDED, ERR_RESET);
    return fail(ERR_RESET, "the peer closed the connection (%s code %llu)", is_by_app ? "its" : "QUIC's",
                (unsigned long long)why.error_code);
}

err_t quic_failed(quic_t *q, int code)
{
    switch (code) {
    case NGTCP2_ERR_DRAINING:
        return closed_by_peer(q);
    case NGTCP2_ERR_CRYPTO:
        return failed_handshake(q);
    case NGTCP2_ERR_IDLE_CLOSE:
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
        end(q, QUIC_ENDED, ERR_RESET);
        return fail(ERR_TIMEOUT, "quic: the peer does not answer");
    case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
        end(q, QUIC_ENDED, ERR_RESET);
        return fail(ERR_UNSUPPORTED, "the peer does not speak QUIC version 1");
    case NGTCP2_ERR_DROP_CONN:
    case NGTCP2_ERR_RETRY:
    case NGTCP2_ERR_CLOSING:
        end(q, QUIC_ENDED, ERR_RESET);
        return fail(ERR_PROTOCOL, "quic: no connection begins like this");
    case NGTCP2_ERR_NOMEM:
    case NGTCP2_ERR_CALLBACK_FAILURE:
        end(q, QUIC_ENDED, ERR_RESET);
        return fail(ERR_NO_MEMORY, "quic: no memory for the connection");
    default:
        ngtcp2_ccerr_set_liberr(&q->closing, code, NULL, 0);
        end(q, QUIC_ENDING, ERR_RESET);
        return fail(ERR_PROTOCOL, "quic: %s", ngtcp2_strerror(code));
    }
}

ngtcp2_tstamp quic_stamp(quic_t *q, uint64_t now_ms, bool is_fed)
{
    static const ngtcp2_tstamp lead_max = 4 * NGTCP2_MILLISECONDS;
    ngtcp2_tstamp now = quic_ts(now_ms), lead = q->ts > now ? q->ts - now : 0;
    if (is_fed && q->has_sent && lead < lead_max)
        q->ts += (lead_max - lead) / 16;
    if (q->ts < now)
        q->ts = now;
    q->has_sent = q->has_sent && !is_fed;
    return q->ts;
}

/* ── going on ────────────────────────────────────────────────────────────────────────────────── */
err_t quic_feed(quic_t *q, const net_addr_t *from, bytes_t datagram, uint64_t now_ms)
{
    if (q->state >= QUIC_ENDING || !datagram.len)
        return OK;
    ngtcp2_path_storage path;
    ngtcp2_pkt_info info = {0};
    quic_put_path(q, from, &path);
    int code = ngtcp2_conn_read_pkt(q->conn, &path.path, &info, datagram.data, datagram.len,
                                    quic_stamp(q, now_ms, true));
    if (code)
        return quic_failed(q, code);
    q->must_output = true;
    quic_stream_find_stopped(q);
    if (q->tls && q->state == QUIC_OPEN)
        end_tls(q); /* tens of kilobytes, of no more use */
    quic_path_go_on(q);
    return OK;
}

uint64_t quic_deadline_ms(const quic_t *q)
{
    if (q->state >= QUIC_ENDING)
        return UINT64_MAX;
    ngtcp2_tstamp at = ngtcp2_conn_get_expiry(q->conn);
    uint64_t at_ms = at == UINT64_MAX ? at : at / NGTCP2_MILLISECONDS + (at % NGTCP2_MILLISECONDS != 0);
    uint64_t linger_ms = quic_stream_linger_ms(q);
    return at_ms < linger_ms ? at_ms : linger_ms;
}

err_t quic_tick(quic_t *q, uint64_t now_ms)
{
    if (q->state >= QUIC_ENDING)
        return OK;
    quic_stream_linger(q, now_ms);
    if (ngtcp2_conn_get_expiry(q->conn) > quic_stamp(q, now_ms, false))
        return OK;
    int code = ngtcp2_conn_handle_expiry(q->conn, q->ts);
    /* What expires at this very time ngtcp2 0.12 forgets a nanosecond later only: a clock of steps would ask
     * for ever. */
    if (!code && ngtcp2_conn_get_expiry(q->conn) <= q->ts)
        code = ngtcp2_conn_handle_expiry(q->conn, ++q->ts);
    q->must_output = true;
    return code ? quic_failed(q, code) : OK;
}

err_t quic_set_limit(quic_t *q, limit_t *limit)
{
    LIST_EACH (s, &q->streams, quic_stream_t, node) {
        if (q->limit)
            limit_release(q->limit, s->charged_receive + s->charged_send);
        s->charged_receive = s->charged_send = 0;
    }
    q->limit = limit;
    return quic_stream_charge_all(q);
}

bool quic_next_event(quic_t *q, quic_event_t *ret)
{
    *ret = (quic_event_t){0};
    bool *news[] = {&q->open_news, &q->moved_news, &q->may_open_news};
    static const int kinds[] = {QUIC_EVENT_OPEN, QUIC_EVENT_MOVED, QUIC_EVENT_MAY_OPEN};
    for (size_t i = 0; i < ARRAY_LEN(news); i++)
        if (*news[i]) {
            *news[i] = false;
            ret->kind = kinds[i];
            return true;
        }
    quic_stream_t *s = LIST_FIRST(&q->events, quic_stream_t, event_node);
    if (!s)
        return false;
    list_remove(&s->event_node);
    *ret = (quic_event_t){.kind = QUIC_EVENT_STREAM, .stream = s, .user = s->user, .news = s->news};
    s->news = 0;
    return true;
}

/* ── what it says about itself ───────────────────────────────────────────────────────────────── */
void *quic_user(const quic_t *q)
{
    return q->user;
}

quic_state_t quic_state(const quic_t *q)
{
    return q->state;
}

bool quic_may_open(const quic_t *q)
{
    return q->state == QUIC_OPEN;
}

const peer_id_t *quic_peer(const quic_t *q)
{
    return &q->peer;
}

const net_addr_t *quic_peer_addr(const quic_t *q)
{
    return &q->addr;
}

uint32_t quic_rtt_ms(const quic_t *q)
{
    ngtcp2_conn_info info;
    ngtcp2_conn_get_conn_info(q->conn, &info);
    if (info.min_rtt == UINT64_MAX) /* no sample yet */
        return 0;
    return (uint32_t)((info.smoothed_rtt + NGTCP2_MILLISECONDS - 1) / NGTCP2_MILLISECONDS);
}

bool quic_is_unanswered(const quic_t *q)
{
    ngtcp2_conn_info info;
    ngtcp2_conn_get_conn_info(q->conn, &info);
    return info.bytes_in_flight > 0;
}

size_t quic_stream_count(const quic_t *q)
{
    return q->n_streams;
}

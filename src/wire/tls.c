#include "wire/tls.h"
#include "wire/certificate.h"
#include <stdio.h>
#include <stdlib.h>

enum { TYPE_CHANGE_CIPHER = 20, TYPE_ALERT = 21, TYPE_HANDSHAKE = 22, TYPE_DATA = 23 };
enum { ALERT_CLOSE = 0, ALERT_UNEXPECTED = 10, ALERT_BAD_MAC = 20, ALERT_INTERNAL = 80, ALERT_CANCELED = 90 };
enum { MESSAGE_TICKET = 4, MESSAGE_KEY_UPDATE = 24, MESSAGE_MAX_BYTES = 1 << 17 };
enum { MUXERS_MAX = 15 };
#define NO_MUXER "libp2p" /* ALPN: by multistream then */

struct tls_handshake {
    tls13_t *engine;
    bool is_client, has_expected;
    peer_id_t expected, peer;
    uint64_t now_s;
    const char *protocols[MUXERS_MAX + 1];
    size_t n_muxers;
};

static void end_handshake(tls_t *t)
{
    if (t->handshake)
        tls13_free(t->handshake->engine);
    free(t->handshake);
    t->handshake = NULL;
}

/* ── keys ────────────────────────────────────────────────────────────────────────────────────── */
static bytes_t secret_of(const tls_t *t, const tls_direction_t *d)
{
    return bytes_of(d->secret, hash_natural_len(t->hash));
}

/* The key and nonces that belong to the direction's secret. */
static err_t set_keys(tls_t *t, tls_direction_t *d)
{
    uint8_t key[AEAD_KEY_MAX_BYTES];
    aead_t *aead;
    TRY(tls13_expand_label(t->hash, secret_of(t, d), "key", key, aead_key_bytes(t->aead)));
    err_t e = tls13_expand_label(t->hash, secret_of(t, d), "iv", d->iv, sizeof d->iv);
    if (!e)
        e = aead_new(t->aead, key, &aead);
    secret_wipe(key, sizeof key);
    TRY(e);
    aead_free(d->aead);
    d->aead = aead;
    d->sequence = 0;
    return OK;
}

static err_t renew_keys(tls_t *t, tls_direction_t *d)
{
    TRY(tls13_expand_label(t->hash, secret_of(t, d), "traffic upd", d->secret, hash_natural_len(t->hash)));
    return set_keys(t, d);
}

static void nonce_of(const tls_direction_t *d, uint8_t out[12])
{
    memcpy(out, d->iv, 12);
    for (int i = 0; i < 8; i++)
        out[11 - i] ^= (uint8_t)(d->sequence >> (8 * i));
}

err_t tls_init_open(tls_t *t, bool is_client, const tls13_secrets_t *secrets)
{
    *t = (tls_t){.state = TLS_OPEN, .aead = secrets->aead, .hash = secrets->hash};
    buf_init(&t->out, TLS_OUTPUT_MAX);
    memcpy(t->send.secret, is_client ? secrets->client : secrets->server, secrets->len);
    memcpy(t->receive.secret, is_client ? secrets->server : secrets->client, secrets->len);
    err_t e = set_keys(t, &t->send);
    if (!e)
        e = set_keys(t, &t->receive);
    if (e)
        tls_deinit(t);
    return e;
}

/* ── the handshake ───────────────────────────────────────────────────────────────────────────── */
static err_t check_peer(void *arg, bytes_t certificate)
{
    tls_handshake_t *h = arg;
    TRY(certificate_verify(certificate, h->now_s, &h->peer));
    if (h->has_expected && !peer_id_equal(&h->peer, &h->expected)) {
        char got[PEER_ID_TEXT_MAX], want[PEER_ID_TEXT_MAX];
        return fail(ERR_CRYPTO, "%s answered instead of %s", peer_id_print(&h->peer, got),
                    peer_id_print(&h->expected, want));
    }
    return OK;
}

/* From the handshake's secrets to records; what the handshake has to say still waits in the output. */
static err_t open_channel(tls_t *t)
{
    tls_handshake_t *h = t->handshake;
    bytes_t agreed = tls13_protocol(h->engine);
    tls_t open;
    TRY(tls_init_open(&open, h->is_client, tls13_secrets(h->engine)));
    for (size_t i = 0; i < h->n_muxers; i++)
        if (bytes_equal(agreed, bytes_str(h->protocols[i])))
            open.muxer = h->protocols[i];
    open.peer = h->peer;
    open.out = t->out;
    end_handshake(t);
    *t = open;
    return OK;
}

static err_t start(tls_t *t, const tls_config_t *c)
{
    tls_handshake_t *h = t->handshake;
    assert(c->n_muxers <= MUXERS_MAX);
    h->is_client = c->is_client;
    h->now_s = c->now_s;
    h->has_expected = c->expected != NULL;
    if (c->expected)
        h->expected = *c->expected;
    for (size_t i = 0; i < c->n_muxers; i++)
        h->protocols[i] = c->muxers[i];
    h->n_muxers = c->n_muxers;
    h->protocols[h->n_muxers] = NO_MUXER;
    TRY(tls13_new(&(tls13_config_t){.identity = c->identity,
                                    .is_client = c->is_client,
                                    .protocols = h->protocols,
                                    .n_protocols = h->n_muxers + 1,
                                    .check = check_peer,
                                    .arg = h},
                  &h->engine));
    return tls13_output(h->engine, &t->out);
}

err_t tls_init(tls_t *t, const tls_config_t *c)
{
    *t = (tls_t){.state = TLS_HANDSHAKE, .handshake = xcalloc(1, sizeof *t->handshake)};
    buf_init(&t->out, TLS_OUTPUT_MAX);
    err_t e = start(t, c);
    if (e)
        tls_deinit(t);
    return e;
}

void tls_deinit(tls_t *t)
{
    end_handshake(t);
    tls_direction_t *both[] = {&t->send, &t->receive};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        aead_free(both[i]->aead);
        both[i]->aead = NULL;
        secret_wipe(both[i]->secret, sizeof both[i]->secret);
    }
    buf_deinit(&t->out);
    t->state = TLS_FAILED;
}

void tls_output_sent(tls_t *t, size_t len)
{
    buf_consume(&t->out, len);
    if (!t->out.len)
        buf_deinit(&t->out);
}

size_t tls_frame_size(const uint8_t header[TLS_HEADER_BYTES])
{
    bool is_record = header[0] >= TYPE_CHANGE_CIPHER && header[0] <= TYPE_DATA && header[1] == 3;
    return is_record ? TLS_HEADER_BYTES + ((size_t)header[3] << 8 | header[4]) : 0;
}

static err_t take_handshake(tls_t *t, bytes_t record)
{
    err_t e = tls13_feed(t->handshake->engine, record);
    if (e) {
        if (tls13_output(t->handshake->engine, &t->out)) /* the alert is lost */
            buf_clear(&t->out);
        return e;
    }
    TRY(tls13_output(t->handshake->engine, &t->out));
    return tls13_is_done(t->handshake->engine) ? open_channel(t) : OK;
}

/* ── what comes in ───────────────────────────────────────────────────────────────────────────── */
static err_t take_alert(tls_t *t, bytes_t content)
{
    if (content.len != 2)
        return fail(ERR_PROTOCOL, "tls: an alert of %zu bytes", content.len);
    if (content.data[1] == ALERT_CANCELED)
        return OK;
    if (content.data[1] != ALERT_CLOSE)
        return fail(ERR_CRYPTO, "tls: the peer ended the channel with alert %u", content.data[1]);
    t->state = TLS_ENDED;
    return OK;
}

/* A handshake message behind the handshake, whose header is there: a ticket, which nobody uses, or new keys.
 */
static err_t begin_message(tls_t *t)
{
    uint32_t len = (uint32_t)t->message[1] << 16 | (uint32_t)t->message[2] << 8 | t->message[3];
    if (t->message[0] == MESSAGE_TICKET && len <= MESSAGE_MAX_BYTES) {
        t->message_left = len;
        t->message_len = 0;
        return OK;
    }
    if (t->message[0] == MESSAGE_KEY_UPDATE && len == 1)
        return OK; /* its byte is still to come */
    return fail(ERR_PROTOCOL, "tls: a message of type %u and %u bytes behind the handshake", t->message[0],
                len);
}

/* The record that a key update ends must end with it (RFC 8446, 5.1). */
static err_t take_key_update(tls_t *t, bool ends_record)
{
    if (t->message[4] > 1 || !ends_record)
        return fail(ERR_PROTOCOL, "tls: a malformed key update");
    t->must_update |= t->message[4] == 1;
    t->message_len = 0;
    return renew_keys(t, &t->receive);
}

static err_t take_messages(tls_t *t, bytes_t content)
{
    if (!content.len)
        return fail(ERR_PROTOCOL, "tls: a handshake record without content");
    while (content.len) {
        size_t skipped = t->message_left < content.len ? t->message_left : content.len;
        t->message_left -= (uint32_t)skipped;
        content = bytes_slice(content, skipped, SIZE_MAX);
        if (!content.len)
            break;
        t->message[t->message_len++] = content.data[0];
        content = bytes_slice(content, 1, SIZE_MAX);
        if (t->message_len == 4)
            TRY(begin_message(t));
        else if (t->message_len == 5)
            TRY(take_key_update(t, !content.len));
    }
    return OK;
}

/* Opens a record in its place; the last byte behind its padding is its type. */
static err_t open_record(tls_t *t, uint8_t *in, size_t frame, uint8_t *ret_type, bytes_t *ret_content)
{
    tls_direction_t *d = &t->receive;
    if (in[0] != TYPE_DATA)
        return fail(ERR_PROTOCOL, "tls: a record of type %u in the open channel", in[0]);
    if (frame < TLS_OVERHEAD)
        return fail(ERR_PROTOCOL, "tls: a record of %zu bytes is shorter than its tag", frame);
    uint8_t nonce[12], *sealed = in + TLS_HEADER_BYTES;
    nonce_of(d, nonce);
    TRY(aead_open(d->aead, nonce, bytes_of(in, TLS_HEADER_BYTES), bytes_of(sealed, frame - TLS_HEADER_BYTES),
                  sealed));
    d->sequence++;
    size_t len = frame - TLS_HEADER_BYTES - AEAD_TAG_BYTES;
    if (len > TLS_PLAIN_MAX + 1)
        return fail(ERR_LIMIT, "tls: a record of %zu bytes of content", len);
    while (len && !sealed[len - 1])
        len--;
    if (!len)
        return fail(ERR_PROTOCOL, "tls: a record of padding alone");
    *ret_type = sealed[len - 1];
    *ret_content = bytes_of(sealed, len - 1);
    return OK;
}

static err_t take_record(tls_t *t, uint8_t *in, size_t frame, bytes_t *ret_plain)
{
    uint8_t type;
    bytes_t content;
    TRY(open_record(t, in, frame, &type, &content));
    if (type == TYPE_DATA && (t->message_len || t->message_left))
        return fail(ERR_PROTOCOL, "tls: data in the midst of a handshake message");
    if (type == TYPE_DATA && content.len) {
        t->n_useless = 0;
        *ret_plain = content;
        return OK;
    }
    if (++t->n_useless > TLS_USELESS_MAX)
        return fail(ERR_LIMIT, "tls: %d records without content in a row", TLS_USELESS_MAX);
    switch (type) {
    case TYPE_DATA:
        return OK;
    case TYPE_ALERT:
        return take_alert(t, content);
    case TYPE_HANDSHAKE:
        return take_messages(t, content);
    default:
        return fail(ERR_PROTOCOL, "tls: sealed content of type %u", type);
    }
}

static err_t feed(tls_t *t, uint8_t *in, size_t len, size_t *used, bytes_t *plain)
{
    if (t->state == TLS_ENDED)
        return fail(ERR_RESET, "the peer ended the channel");
    if (len < TLS_HEADER_BYTES)
        return OK;
    size_t frame = tls_frame_size(in);
    if (!frame)
        return fail(ERR_PROTOCOL, "tls: this is no record");
    if (frame > TLS_FRAME_MAX)
        return fail(ERR_LIMIT, "tls: a record of %zu bytes is over the limit of %d", frame, TLS_FRAME_MAX);
    if (frame > len)
        return OK;
    *used = frame;
    return t->state == TLS_HANDSHAKE ? take_handshake(t, bytes_of(in, frame))
                                     : take_record(t, in, frame, plain);
}

err_t tls_feed(tls_t *t, uint8_t *in, size_t len, size_t *ret_used, bytes_t *ret_plain)
{
    if (t->state == TLS_FAILED)
        return fail(ERR_PROTOCOL, "tls: the channel has failed");
    size_t used = 0;
    bytes_t plain = BYTES_NONE;
    err_t e = feed(t, in, len, &used, &plain);
    if (e) {
        end_handshake(t);
        t->state = TLS_FAILED;
        return e;
    }
    *ret_used = used;
    *ret_plain = plain;
    return OK;
}

/* ── what goes out ───────────────────────────────────────────────────────────────────────────── */
/* The pieces, len bytes in sum, as one record of this type. pieces has room for one more. */
static err_t seal_record(tls_t *t, uint8_t type, bytes_t *pieces, size_t n_pieces, size_t len, uint8_t *out)
{
    static const uint8_t types[] = {TYPE_ALERT, TYPE_HANDSHAKE, TYPE_DATA};
    tls_direction_t *d = &t->send;
    size_t sealed = len + 1 + AEAD_TAG_BYTES;
    const uint8_t header[TLS_HEADER_BYTES] = {TYPE_DATA, 3, 3, (uint8_t)(sealed >> 8), (uint8_t)sealed};
    uint8_t nonce[12];
    nonce_of(d, nonce);
    memcpy(out, header, sizeof header);
    pieces[n_pieces] = bytes_of(&types[type - TYPE_ALERT], 1);
    TRY(aead_seal_pieces(d->aead, nonce, bytes_of(header, sizeof header), pieces, n_pieces + 1,
                         out + TLS_HEADER_BYTES));
    d->sequence++;
    return OK;
}

static err_t seal_key_update(tls_t *t, uint8_t *out, size_t *written)
{
    static const uint8_t message[5] = {MESSAGE_KEY_UPDATE, 0, 0, 1, 0};
    bytes_t pieces[2] = {bytes_of(message, sizeof message)};
    TRY(seal_record(t, TYPE_HANDSHAKE, pieces, 1, sizeof message, out));
    t->must_update = false;
    *written += TLS_KEY_UPDATE_BYTES;
    return renew_keys(t, &t->send);
}

err_t tls_seal(tls_t *t, const bytes_t *pieces, size_t n_pieces, uint8_t *out, size_t *ret_len)
{
    assert((t->state == TLS_OPEN || t->state == TLS_ENDED) && n_pieces <= TLS_PIECES_MAX);
    bytes_t run[TLS_PIECES_MAX + 1];
    size_t written = 0, at = 0, offset = 0; /* pieces[at] from offset on is next */
    if (t->must_update || t->send.sequence >= TLS_RECORDS_PER_KEY)
        TRY(seal_key_update(t, out, &written));
    while (at < n_pieces) {
        size_t n_run = 0, len = 0;
        while (at < n_pieces && len < TLS_PLAIN_MAX) {
            bytes_t part = bytes_slice(pieces[at], offset, TLS_PLAIN_MAX - len);
            run[n_run++] = part;
            len += part.len;
            offset += part.len;
            if (offset == pieces[at].len) {
                at++;
                offset = 0;
            }
        }
        if (!len)
            continue; /* empty pieces alone make no record */
        TRY(seal_record(t, TYPE_DATA, run, n_run, len, out + written));
        written += len + TLS_OVERHEAD;
    }
    *ret_len = written;
    return OK;
}

err_t tls_seal_end(tls_t *t, err_t why, uint8_t *out, size_t *ret_len)
{
    if (!t->send.aead)
        return fail(ERR_CLOSED, "tls: there is no channel to end");
    uint8_t code = !why || why == ERR_CLOSED || why == ERR_RESET ? ALERT_CLOSE
                   : why == ERR_CRYPTO                           ? ALERT_BAD_MAC
                   : why == ERR_PROTOCOL                         ? ALERT_UNEXPECTED
                                                                 : ALERT_INTERNAL;
    const uint8_t alert[2] = {code == ALERT_CLOSE ? 1 : 2, code};
    bytes_t pieces[2] = {bytes_of(alert, sizeof alert)};
    TRY(seal_record(t, TYPE_ALERT, pieces, 1, sizeof alert, out));
    *ret_len = TLS_OVERHEAD + sizeof alert;
    t->state = TLS_FAILED;
    return OK;
}

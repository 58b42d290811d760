#include "wire/noise.h"
#include "wire/noise_payload.h"
#include <stdlib.h>

struct noise_handshake {
    noise_xx_t xx;
    const private_key_t *identity;
    bool has_expected;
    peer_id_t expected;
    const char *const *muxers;
    size_t n_muxers;
};

static void end_handshake(noise_t *n)
{
    if (n->handshake)
        noise_xx_deinit(&n->handshake->xx);
    free(n->handshake);
    n->handshake = NULL;
}

/* Writes the next message of the handshake as one frame. */
static err_t write_message(noise_t *n)
{
    noise_handshake_t *h = n->handshake;
    AUTO(buf_t) payload;
    buf_init(&payload, NOISE_PAYLOAD_MAX);
    if (h->xx.step > 0)
        TRY(noise_payload_encode(h->identity, h->xx.static_public, h->muxers, h->n_muxers, &payload));
    size_t at = n->out.len;
    TRY(buf_append(&n->out, BYTES_LIT("\0\0")));
    TRY(noise_xx_write(&h->xx, buf_bytes(&payload), &n->out));
    size_t len = n->out.len - at - NOISE_PREFIX_BYTES;
    n->out.data[at] = (uint8_t)(len >> 8);
    n->out.data[at + 1] = (uint8_t)len;
    return OK;
}

static const char *first_common(const char *const *ours, size_t n_ours, const noise_payload_t *theirs,
                                bool is_initiator)
{
    for (size_t i = 0; is_initiator && i < n_ours; i++)
        for (size_t j = 0; j < theirs->n_muxers; j++)
            if (bytes_equal(bytes_str(ours[i]), theirs->muxers[j]))
                return ours[i];
    for (size_t j = 0; !is_initiator && j < theirs->n_muxers; j++)
        for (size_t i = 0; i < n_ours; i++)
            if (bytes_equal(bytes_str(ours[i]), theirs->muxers[j]))
                return ours[i];
    return NULL;
}

/* Checks the payload of the peer's static key: who it is and which muxer it speaks. */
static err_t take_payload(noise_t *n, bytes_t in)
{
    noise_handshake_t *h = n->handshake;
    noise_payload_t p;
    err_t e = noise_payload_decode(in, &p);
    if (e)
        return fail(ERR_PROTOCOL, "noise: a malformed payload: %s", error_text(e));
    peer_id_t peer;
    TRY(noise_payload_verify(&p, h->xx.peer_static, &peer));
    if (h->has_expected && !peer_id_equal(&peer, &h->expected)) {
        char got[PEER_ID_TEXT_MAX], want[PEER_ID_TEXT_MAX];
        return fail(ERR_CRYPTO, "noise: %s answered instead of %s", peer_id_print(&peer, got),
                    peer_id_print(&h->expected, want));
    }
    /* The initiator's list decides. One without a list negotiates the muxer by multistream. */
    if (h->n_muxers && p.n_muxers) {
        n->muxer = first_common(h->muxers, h->n_muxers, &p, h->xx.is_initiator);
        if (!n->muxer)
            return fail(ERR_UNSUPPORTED, "noise: the peer speaks none of our muxers");
    }
    n->peer = peer;
    return OK;
}

static err_t open_channel(noise_t *n)
{
    uint8_t send[32], receive[32];
    noise_xx_split(&n->handshake->xx, send, receive);
    err_t e = aead_new_chacha20_poly1305(send, &n->send);
    if (!e)
        e = aead_new_chacha20_poly1305(receive, &n->receive);
    secret_wipe(send, sizeof send);
    secret_wipe(receive, sizeof receive);
    TRY(e);
    end_handshake(n);
    n->state = NOISE_OPEN;
    return OK;
}

static err_t take_message(noise_t *n, bytes_t message)
{
    noise_handshake_t *h = n->handshake;
    if (noise_xx_may_write(&h->xx))
        return fail(ERR_PROTOCOL, "noise: a message out of turn");
    AUTO(buf_t) payload;
    buf_init(&payload, NOISE_HANDSHAKE_MAX);
    TRY(noise_xx_read(&h->xx, message, &payload));
    if (h->xx.step > 1)
        TRY(take_payload(n, buf_bytes(&payload)));
    if (noise_xx_may_write(&h->xx))
        TRY(write_message(n));
    return noise_xx_is_done(&h->xx) ? open_channel(n) : OK;
}

err_t noise_init(noise_t *n, const noise_config_t *c)
{
    *n = (noise_t){.state = NOISE_HANDSHAKE};
    buf_init(&n->out, NOISE_HANDSHAKE_MAX);
    noise_handshake_t *h = n->handshake = xcalloc(1, sizeof *h);
    noise_xx_init(&h->xx, c->is_initiator, BYTES_NONE, c->static_secret, c->ephemeral_secret);
    h->identity = c->identity;
    h->has_expected = c->expected != NULL;
    if (c->expected)
        h->expected = *c->expected;
    h->muxers = c->muxers;
    h->n_muxers = c->n_muxers;
    err_t e = c->is_initiator ? write_message(n) : OK;
    if (e)
        noise_deinit(n);
    return e;
}

void noise_deinit(noise_t *n)
{
    end_handshake(n);
    aead_free(n->send);
    aead_free(n->receive);
    n->send = n->receive = NULL;
    buf_deinit(&n->out);
    n->state = NOISE_FAILED;
}

void noise_output_sent(noise_t *n, size_t len)
{
    buf_consume(&n->out, len);
    if (!n->out.len)
        buf_deinit(&n->out);
}

size_t noise_frame_size(bytes_t in)
{
    return in.len < NOISE_PREFIX_BYTES ? 0 : NOISE_PREFIX_BYTES + ((size_t)in.data[0] << 8 | in.data[1]);
}

static void nonce_bytes(uint64_t n, uint8_t out[12])
{
    memset(out, 0, 4);
    for (int i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(n >> (8 * i));
}

static err_t open_frame(noise_t *n, uint8_t *sealed, size_t len, bytes_t *ret_plain)
{
    if (len < AEAD_TAG_BYTES)
        return fail(ERR_PROTOCOL, "noise: a frame of %zu bytes is shorter than its tag", len);
    if (n->receive_nonce == UINT64_MAX)
        return fail(ERR_LIMIT, "noise: the peer's nonces are used up");
    uint8_t nonce[12];
    nonce_bytes(n->receive_nonce, nonce);
    TRY(aead_open(n->receive, nonce, BYTES_NONE, bytes_of(sealed, len), sealed));
    n->receive_nonce++;
    *ret_plain = bytes_of(sealed, len - AEAD_TAG_BYTES);
    return OK;
}

static err_t feed(noise_t *n, uint8_t *in, size_t len, size_t *used, bytes_t *plain)
{
    size_t frame = noise_frame_size(bytes_of(in, len));
    if (n->state == NOISE_HANDSHAKE && frame > NOISE_PREFIX_BYTES + NOISE_HANDSHAKE_MAX)
        return fail(ERR_LIMIT, "noise: a handshake message of %zu bytes is over the limit of %d",
                    frame - NOISE_PREFIX_BYTES, NOISE_HANDSHAKE_MAX);
    if (!frame || frame > len)
        return OK;
    *used = frame;
    if (n->state == NOISE_HANDSHAKE)
        return take_message(n, bytes_of(in + NOISE_PREFIX_BYTES, frame - NOISE_PREFIX_BYTES));
    return open_frame(n, in + NOISE_PREFIX_BYTES, frame - NOISE_PREFIX_BYTES, plain);
}

err_t noise_feed(noise_t *n, uint8_t *in, size_t len, size_t *ret_used, bytes_t *ret_plain)
{
    if (n->state == NOISE_FAILED)
        return fail(ERR_PROTOCOL, "noise: the channel has failed");
    size_t used = 0;
    bytes_t plain = BYTES_NONE;
    err_t e = feed(n, in, len, &used, &plain);
    if (e) {
        end_handshake(n);
        n->state = NOISE_FAILED;
        return e;
    }
    *ret_used = used;
    *ret_plain = plain;
    return OK;
}

/* A run of pieces as one frame, len bytes in sum. */
static err_t seal_frame(noise_t *n, const bytes_t *pieces, size_t n_pieces, size_t len, uint8_t *out)
{
    if (n->send_nonce == UINT64_MAX)
        return fail(ERR_LIMIT, "noise: the nonces are used up");
    size_t sealed = len + AEAD_TAG_BYTES;
    out[0] = (uint8_t)(sealed >> 8);
    out[1] = (uint8_t)sealed;
    uint8_t nonce[12];
    nonce_bytes(n->send_nonce, nonce);
    TRY(aead_seal_pieces(n->send, nonce, BYTES_NONE, pieces, n_pieces, out + NOISE_PREFIX_BYTES));
    n->send_nonce++;
    return OK;
}

err_t noise_seal(noise_t *n, const bytes_t *pieces, size_t n_pieces, uint8_t *out, size_t *ret_len)
{
    assert(n->state == NOISE_OPEN && n_pieces <= NOISE_PIECES_MAX);
    bytes_t run[NOISE_PIECES_MAX];
    size_t written = 0, at = 0, offset = 0; /* pieces[at] from offset on is next */
    while (at < n_pieces) {
        size_t n_run = 0, len = 0;
        while (at < n_pieces && len < NOISE_PLAIN_MAX) {
            bytes_t part = bytes_slice(pieces[at], offset, NOISE_PLAIN_MAX - len);
            run[n_run++] = part;
            len += part.len;
            offset += part.len;
            if (offset == pieces[at].len) {
                at++;
                offset = 0;
            }
        }
        if (!len)
            continue; /* empty pieces alone make no frame */
        TRY(seal_frame(n, run, n_run, len, out + written));
        written += len + NOISE_FRAME_OVERHEAD;
    }
    *ret_len = written;
    return OK;
}

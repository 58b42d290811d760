#include "wire/noise_payload.h"
#include "base/pb.h"

static const char signed_prefix[] = "noise-libp2p-static-key:";
enum { SIGNED_LEN = sizeof signed_prefix - 1 + 32 };

static void signed_text(const uint8_t noise_public[32], uint8_t out[SIGNED_LEN])
{
    memcpy(out, signed_prefix, sizeof signed_prefix - 1);
    memcpy(out + sizeof signed_prefix - 1, noise_public, 32);
}

err_t noise_payload_encode(const private_key_t *identity, const uint8_t noise_public[32],
                           const char *const *muxers, size_t n_muxers, buf_t *out)
{
    uint8_t text[SIGNED_LEN];
    signed_text(noise_public, text);
    AUTO(buf_t) key;
    AUTO(buf_t) signature;
    buf_init(&key, NOISE_PAYLOAD_MAX);
    buf_init(&signature, NOISE_PAYLOAD_MAX);
    TRY(public_key_encode(private_key_public(identity), &key));
    TRY(private_key_sign(identity, bytes_of(text, sizeof text), &signature));
    writer_t w = writer_to(out);
    pb_put_bytes(&w, 1, buf_bytes(&key));
    pb_put_bytes(&w, 2, buf_bytes(&signature));
    if (n_muxers) {
        size_t mark = pb_begin(&w, 4);
        for (size_t i = 0; i < n_muxers; i++)
            pb_put_bytes(&w, 2, bytes_str(muxers[i]));
        pb_end(&w, mark);
    }
    return w.err;
}

static err_t decode_extensions(bytes_t in, noise_payload_t *p)
{
    reader_t r = reader_of(in);
    for (pb_field_t f; pb_next(&r, &f);) {
        if (f.number != 2)
            continue; /* 1: WebTransport certificate hashes */
        bytes_t muxer = pb_bytes(&r, &f, NOISE_PAYLOAD_MAX);
        if (p->n_muxers < NOISE_PAYLOAD_MUXERS_MAX)
            p->muxers[p->n_muxers++] = muxer;
    }
    return r.err;
}

err_t noise_payload_decode(bytes_t in, noise_payload_t *ret)
{
    noise_payload_t p = {0};
    bytes_t extensions = BYTES_NONE;
    reader_t r = reader_of(in);
    for (pb_field_t f; pb_next(&r, &f);) {
        if (f.number == 1)
            p.identity_key = pb_bytes(&r, &f, NOISE_PAYLOAD_MAX);
        else if (f.number == 2)
            p.identity_sig = pb_bytes(&r, &f, NOISE_PAYLOAD_MAX);
        else if (f.number == 4)
            extensions = pb_bytes(&r, &f, NOISE_PAYLOAD_MAX);
    }
    TRY(r.err);
    TRY(decode_extensions(extensions, &p));
    *ret = p;
    return OK;
}

err_t noise_payload_verify(const noise_payload_t *p, const uint8_t noise_public[32], peer_id_t *ret_peer)
{
    public_key_t key;
    TRY(public_key_decode(p->identity_key, &key));
    uint8_t text[SIGNED_LEN];
    signed_text(noise_public, text);
    if (public_key_verify(&key, bytes_of(text, sizeof text), p->identity_sig))
        return fail(ERR_CRYPTO, "noise: the peer's identity signature is wrong");
    return peer_id_of(&key, ret_peer);
}

#include "wire/noise_xx.h"
#include "base/reader.h"
#include "crypto/hash.h"
#include "crypto/key.h"
#include <stdlib.h>

static const char protocol_name[32] = "Noise_XX_25519_ChaChaPoly_SHA256";

static void mix_hash(noise_xx_t *x, bytes_t data)
{
    bytes_t pieces[] = {bytes_of(x->hash, 32), data};
    uint8_t out[32];
    if (hash_of_pieces(HASH_SHA256, pieces, 2, out, sizeof out))
        abort(); /* SHA-256 is always there */
    memcpy(x->hash, out, sizeof out);
}

static err_t mix_key(noise_xx_t *x, const uint8_t secret[32], const uint8_t public[32])
{
    uint8_t shared[32], key[32], next[32];
    TRY(x25519_shared(secret, public, shared));
    hkdf_sha256_2(x->chaining_key, bytes_of(shared, 32), next, key);
    memcpy(x->chaining_key, next, 32);
    aead_free(x->cipher);
    x->cipher = NULL;
    x->nonce = 0;
    err_t e = aead_new_chacha20_poly1305(key, &x->cipher);
    secret_wipe(shared, sizeof shared);
    secret_wipe(key, sizeof key);
    secret_wipe(next, sizeof next);
    return e;
}

static void nonce_bytes(uint64_t n, uint8_t out[12])
{
    memset(out, 0, 4);
    for (int i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(n >> (8 * i));
}

static err_t encrypt_and_hash(noise_xx_t *x, bytes_t plain, buf_t *out)
{
    size_t at = out->len;
    TRY(buf_reserve(out, plain.len + AEAD_TAG_BYTES));
    if (!x->cipher) {
        TRY(buf_append(out, plain));
    } else {
        uint8_t nonce[12];
        nonce_bytes(x->nonce++, nonce);
        TRY(aead_seal(x->cipher, nonce, bytes_of(x->hash, 32), plain, out->data + at));
        out->len += plain.len + AEAD_TAG_BYTES;
    }
    mix_hash(x, bytes_slice(buf_bytes(out), at, SIZE_MAX));
    return OK;
}

static err_t decrypt_and_hash(noise_xx_t *x, bytes_t sealed, buf_t *out)
{
    if (!x->cipher) {
        TRY(buf_append(out, sealed));
    } else {
        if (sealed.len < AEAD_TAG_BYTES)
            return fail(ERR_PROTOCOL, "noise: a handshake message is too short");
        TRY(buf_reserve(out, sealed.len));
        uint8_t nonce[12];
        nonce_bytes(x->nonce, nonce);
        TRY(aead_open(x->cipher, nonce, bytes_of(x->hash, 32), sealed, out->data + out->len));
        x->nonce++;
        out->len += sealed.len - AEAD_TAG_BYTES;
    }
    mix_hash(x, sealed);
    return OK;
}

void noise_xx_init(noise_xx_t *x, bool is_initiator, bytes_t prologue, const uint8_t static_secret[32],
                   const uint8_t ephemeral_secret[32])
{
    *x = (noise_xx_t){.is_initiator = is_initiator};
    memcpy(x->static_secret, static_secret, 32);
    memcpy(x->ephemeral_secret, ephemeral_secret, 32);
    x25519_public(static_secret, x->static_public);
    x25519_public(ephemeral_secret, x->ephemeral_public);
    memcpy(x->hash, protocol_name, 32);
    memcpy(x->chaining_key, protocol_name, 32);
    mix_hash(x, prologue);
}

void noise_xx_deinit(noise_xx_t *x)
{
    aead_free(x->cipher);
    secret_wipe(x, sizeof *x);
    x->has_failed = true;
}

bool noise_xx_may_write(const noise_xx_t *x)
{
    return !x->has_failed && x->step < 3 && (x->step % 2 == 0) == x->is_initiator;
}

static err_t write_tokens(noise_xx_t *x, buf_t *out)
{
    if (x->step < 2) {
        TRY(buf_append(out, bytes_of(x->ephemeral_public, 32)));
        mix_hash(x, bytes_of(x->ephemeral_public, 32));
    }
    if (x->step == 0)
        return OK;
    if (x->step == 1)
        TRY(mix_key(x, x->ephemeral_secret, x->peer_ephemeral));
    TRY(encrypt_and_hash(x, bytes_of(x->static_public, 32), out));
    /* es for the responder, se for the initiator: the writer's static with the reader's ephemeral */
    return mix_key(x, x->static_secret, x->peer_ephemeral);
}

err_t noise_xx_write(noise_xx_t *x, bytes_t payload, buf_t *out)
{
    assert(noise_xx_may_write(x));
    err_t e = write_tokens(x, out);
    if (!e)
        e = encrypt_and_hash(x, payload, out);
    x->step++;
    x->has_failed = e != OK;
    return e;
}

static err_t read_static(noise_xx_t *x, reader_t *r)
{
    bytes_t sealed = read_bytes(r, 32 + AEAD_TAG_BYTES);
    if (r->err)
        return fail(ERR_PROTOCOL, "noise: a handshake message is too short");
    AUTO(buf_t) key;
    buf_init(&key, 32 + AEAD_TAG_BYTES);
    TRY(decrypt_and_hash(x, sealed, &key));
    memcpy(x->peer_static, key.data, 32);
    return mix_key(x, x->ephemeral_secret, x->peer_static);
}

static err_t read_tokens(noise_xx_t *x, reader_t *r)
{
    if (x->step < 2) {
        bytes_t ephemeral = read_bytes(r, 32);
        if (r->err)
            return fail(ERR_PROTOCOL, "noise: a handshake message is too short");
        memcpy(x->peer_ephemeral, ephemeral.data, 32);
        mix_hash(x, ephemeral);
    }
    if (x->step == 0)
        return OK;
    if (x->step == 1)
        TRY(mix_key(x, x->ephemeral_secret, x->peer_ephemeral));
    return read_static(x, r);
}

err_t noise_xx_read(noise_xx_t *x, bytes_t message, buf_t *out_payload)
{
    assert(!x->has_failed && x->step < 3 && !noise_xx_may_write(x));
    reader_t r = reader_of(message);
    err_t e = read_tokens(x, &r);
    if (!e)
        e = decrypt_and_hash(x, read_rest(&r), out_payload);
    x->step++;
    x->has_failed = e != OK;
    return e;
}

void noise_xx_split(const noise_xx_t *x, uint8_t ret_send[32], uint8_t ret_receive[32])
{
    assert(noise_xx_is_done(x));
    uint8_t first[32], second[32];
    hkdf_sha256_2(x->chaining_key, BYTES_NONE, first, second);
    memcpy(ret_send, x->is_initiator ? first : second, 32);
    memcpy(ret_receive, x->is_initiator ? second : first, 32);
    secret_wipe(first, sizeof first);
    secret_wipe(second, sizeof second);
}

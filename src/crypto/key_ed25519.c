#include "crypto/key_type.h"
#include <sodium.h>

enum { PUBLIC = 32, SEED = 32, SECRET = 64, OLD_FORM = 96 }; /* the old form repeats the public key */

static err_t check_public(bytes_t data)
{
    sodium_ready();
    if (data.len != PUBLIC)
        return fail(ERR_INVALID, "an Ed25519 public key has %d bytes, not %zu", PUBLIC, data.len);
    if (!crypto_core_ed25519_is_valid_point(data.data))
        return fail(ERR_INVALID, "the Ed25519 public key is no point of the curve's main group");
    return OK;
}

static err_t verify(bytes_t data, bytes_t message, bytes_t signature)
{
    if (data.len != PUBLIC || signature.len != crypto_sign_BYTES ||
        crypto_sign_verify_detached(signature.data, message.data, message.len, data.data))
        return fail(ERR_CRYPTO, "the Ed25519 signature is wrong");
    return OK;
}

static void derive(const uint8_t *seed, private_key_t *k)
{
    sodium_ready();
    crypto_sign_seed_keypair(k->public_key.data, k->secret, seed);
    k->public_key.len = PUBLIC;
    k->secret_len = SECRET;
}

/* A public half that is not the seed's own would make signatures leak the key. */
static err_t load(bytes_t data, private_key_t *k)
{
    if (data.len != SECRET && data.len != OLD_FORM)
        return fail(ERR_INVALID, "an Ed25519 private key has %d bytes, not %zu", SECRET, data.len);
    derive(data.data, k);
    for (size_t at = SEED; at < data.len; at += PUBLIC)
        if (memcmp(data.data + at, k->public_key.data, PUBLIC))
            return fail(ERR_INVALID, "the halves of the Ed25519 private key do not belong together");
    return OK;
}

static err_t generate(const uint8_t *seed, int rsa_bits, private_key_t *k)
{
    uint8_t fresh[SEED];
    if (!seed)
        crypto_random(fresh, sizeof fresh);
    derive(seed ? seed : fresh, k);
    secret_wipe(fresh, sizeof fresh);
    return OK;
}

static err_t data_of(const private_key_t *k, buf_t *out)
{
    return buf_append(out, bytes_of(k->secret, k->secret_len));
}

static err_t sign(const private_key_t *k, bytes_t message, buf_t *out)
{
    uint8_t signature[crypto_sign_BYTES];
    crypto_sign_detached(signature, NULL, message.data, message.len, k->secret);
    return buf_append(out, bytes_of(signature, sizeof signature));
}

const key_methods_t key_ed25519 = {"Ed25519", check_public, verify, load, generate, data_of, sign};

void x25519_public(const uint8_t secret[32], uint8_t ret_public[32])
{
    sodium_ready();
    crypto_scalarmult_base(ret_public, secret);
}

err_t x25519_shared(const uint8_t secret[32], const uint8_t peer[32], uint8_t ret_shared[32])
{
    uint8_t shared[32];
    sodium_ready();
    if (crypto_scalarmult(shared, secret, peer))
        return fail(ERR_CRYPTO, "the peer's X25519 key leads to a shared secret of zeros");
    memcpy(ret_shared, shared, sizeof shared);
    secret_wipe(shared, sizeof shared);
    return OK;
}

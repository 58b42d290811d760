#include "vault/keys.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include <stdlib.h>

#define LABEL(text) BYTES_LIT("distribute-vault-v1 " text)

/* HMAC of a label and what it is about. */
static void derive(const uint8_t key[VAULT_SECRET_BYTES], bytes_t label, bytes_t about, uint8_t out[32])
{
    uint8_t text[64 + MANIFEST_SALT_BYTES];
    assert(label.len <= 64 && about.len <= MANIFEST_SALT_BYTES);
    memcpy(text, label.data, label.len);
    if (about.len)
        memcpy(text + label.len, about.data, about.len);
    hmac_sha256(bytes_of(key, VAULT_SECRET_BYTES), bytes_of(text, label.len + about.len), out);
}

/* ── the owner's ─────────────────────────────────────────────────────────────────────────────── */
static err_t derive_all(vault_keys_t *k)
{
    uint8_t seed[32];
    derive(k->secrets[0], LABEL("dedup"), BYTES_NONE, k->dedup);
    derive(k->secrets[0], LABEL("list"), BYTES_NONE, k->list);
    derive(k->secrets[0], LABEL("epoch 0"), BYTES_NONE, k->first_epoch);
    derive(k->secrets[0], LABEL("sign"), BYTES_NONE, seed);
    err_t e = private_key_generate(KEY_ED25519, seed, 0, &k->sign);
    secret_wipe(seed, sizeof seed);
    if (!e)
        k->owner = owner_key_of(k->sign);
    return e;
}

err_t vault_keys_new(const uint8_t *secrets, size_t n_epochs, vault_keys_t **ret)
{
    void *memory;
    if (n_epochs < 1 || n_epochs > VAULT_EPOCHS_MAX)
        return fail(ERR_INVALID, "a key file with %zu epochs", n_epochs);
    TRY(secret_new(sizeof(vault_keys_t), &memory));
    AUTO_PTR(vault_keys_t) k = memory;
    k->refs = 1;
    k->n_epochs = (uint32_t)n_epochs;
    if (secrets)
        memcpy(k->secrets, secrets, n_epochs * VAULT_SECRET_BYTES);
    else
        crypto_random(k->secrets[0], n_epochs * VAULT_SECRET_BYTES);
    TRY(derive_all(k));
    *ret = k;
    k = NULL;
    return OK;
}

err_t vault_keys_rotated(const vault_keys_t *k, vault_keys_t **ret)
{
    if (k->n_epochs == VAULT_EPOCHS_MAX)
        return fail(ERR_LIMIT, "the key file has %d epochs, the most there can be", VAULT_EPOCHS_MAX);
    AUTO_PTR(vault_keys_t) more = NULL;
    TRY(vault_keys_new(k->secrets[0], k->n_epochs, &more));
    crypto_random(more->secrets[more->n_epochs++], VAULT_SECRET_BYTES);
    *ret = more;
    more = NULL;
    return OK;
}

void vault_keys_free(vault_keys_t *k)
{
    if (!k || --k->refs)
        return;
    private_key_free(k->sign);
    secret_free(k); /* wipes */
}

vault_keys_t *vault_keys_ref(vault_keys_t *k)
{
    k->refs++;
    return k;
}

bytes_t vault_keys_secrets(const vault_keys_t *k)
{
    return bytes_of(k->secrets, (size_t)k->n_epochs * VAULT_SECRET_BYTES);
}

void vault_chunk_key(const uint8_t dedup[VAULT_SECRET_BYTES], bytes_t plain, uint8_t ret[VAULT_SECRET_BYTES])
{
    uint8_t digest[32];
    sha256_of(plain, digest);
    hmac_sha256(bytes_of(dedup, VAULT_SECRET_BYTES), bytes_of(digest, sizeof digest), ret);
    secret_wipe(digest, sizeof digest); /* tells whoever has a guess of the text that it is right */
}

/* ── a file's ────────────────────────────────────────────────────────────────────────────────── */
typedef struct wrapping {
    uint8_t key[32], ad[OWNER_KEY_BYTES + 8];
    uint8_t nonce[12]; /* zero: the key is of this salt alone */
} wrapping_t;

static void wrapping_of(const vault_keys_t *k, uint64_t epoch, const uint8_t *salt, wrapping_t *ret)
{
    const uint8_t *epoch_key = epoch ? k->secrets[epoch] : k->first_epoch;
    *ret = (wrapping_t){0};
    derive(epoch_key, LABEL("wrap"), bytes_of(salt, MANIFEST_SALT_BYTES), ret->key);
    memcpy(ret->ad, k->owner.data, OWNER_KEY_BYTES);
    for (size_t i = 0; i < 8; i++)
        ret->ad[OWNER_KEY_BYTES + i] = (uint8_t)(epoch >> (56 - 8 * i));
}

err_t file_key_wrap(const vault_keys_t *k, const uint8_t salt[MANIFEST_SALT_BYTES], const file_key_t *key,
                    uint8_t ret_wrapped[MANIFEST_WRAPPED_BYTES])
{
    wrapping_t w;
    aead_t *a = NULL;
    wrapping_of(k, k->n_epochs - 1, salt, &w);
    err_t e = aead_new(AEAD_AES_256_GCM, w.key, &a);
    if (!e)
        e = aead_seal(a, w.nonce, bytes_of(w.ad, sizeof w.ad), bytes_of(key->data, sizeof key->data),
                      ret_wrapped);
    aead_free(a);
    secret_wipe(&w, sizeof w);
    return e;
}

err_t file_key_unwrap(const vault_keys_t *k, const manifest_t *m, file_key_t *ret)
{
    wrapping_t w;
    aead_t *a = NULL;
    if (m->is_node || !owner_key_equal(&m->owner, &k->owner))
        return fail(ERR_DENIED, "the file is of another owner: ask for a link of the form CID#key");
    if (m->epoch >= k->n_epochs)
        return fail(ERR_UNAUTHORIZED,
                    "the file was stored with a newer key file (epoch %llu, this one has %u): import it",
                    (unsigned long long)m->epoch, k->n_epochs);
    wrapping_of(k, m->epoch, m->salt.data, &w);
    err_t e = aead_new(AEAD_AES_256_GCM, w.key, &a);
    if (!e && aead_open(a, w.nonce, bytes_of(w.ad, sizeof w.ad), m->wrapped, ret->data))
        e = fail(ERR_CRYPTO, "the file's key does not unwrap with this key file (epoch %llu)",
                 (unsigned long long)m->epoch);
    aead_free(a);
    secret_wipe(&w, sizeof w);
    return e;
}

void file_key_check(const file_key_t *key, const uint8_t salt[MANIFEST_SALT_BYTES],
                    uint8_t ret[MANIFEST_CHECK_BYTES])
{
    derive(key->data, LABEL("check"), bytes_of(salt, MANIFEST_SALT_BYTES), ret);
}

err_t file_key_fits(const file_key_t *key, const manifest_t *m)
{
    uint8_t check[MANIFEST_CHECK_BYTES];
    if (m->is_node)
        return fail(ERR_INVALID, "a node of a large file has no name of its own: open the file's manifest");
    file_key_check(key, m->salt.data, check);
    if (!bytes_equal_secret(bytes_of(check, sizeof check), m->check))
        return fail(ERR_UNAUTHORIZED, "wrong key: it does not open this file");
    return OK;
}

/* ── sealing ─────────────────────────────────────────────────────────────────────────────────── */
struct sealer {
    aead_t *aead;
};

err_t sealer_new(const file_key_t *key, const uint8_t salt[MANIFEST_SALT_BYTES], sealer_t **ret)
{
    uint8_t seal_key[32];
    sealer_t *s = xcalloc(1, sizeof *s);
    derive(key->data, LABEL("seal"), bytes_of(salt, MANIFEST_SALT_BYTES), seal_key);
    err_t e = aead_new(AEAD_AES_256_GCM, seal_key, &s->aead);
    secret_wipe(seal_key, sizeof seal_key);
    if (e) {
        sealer_free(s);
        return e;
    }
    *ret = s;
    return OK;
}

void sealer_free(sealer_t *s)
{
    if (!s)
        return;
    aead_free(s->aead);
    free(s);
}

static void nonce_of(uint64_t number, uint8_t out[12])
{
    memset(out, 0, 4);
    for (size_t i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(number >> (56 - 8 * i));
}

err_t sealer_seal(sealer_t *s, uint64_t number, bytes_t clear, bytes_t plain, buf_t *out)
{
    static const uint8_t zeros[SEALED_STEP_BYTES];
    uint8_t nonce[12];
    size_t padding = (SEALED_STEP_BYTES - plain.len % SEALED_STEP_BYTES) % SEALED_STEP_BYTES;
    bytes_t pieces[2] = {plain, bytes_of(zeros, padding)};
    size_t len = plain.len + padding + AEAD_TAG_BYTES;
    nonce_of(number, nonce);
    TRY(buf_reserve(out, len));
    TRY(aead_seal_pieces(s->aead, nonce, clear, pieces, 2, out->data + out->len));
    out->len += len;
    return OK;
}

err_t sealer_open(sealer_t *s, uint64_t number, bytes_t clear, bytes_t sealed, buf_t *out)
{
    uint8_t nonce[12];
    nonce_of(number, nonce);
    buf_clear(out);
    TRY(buf_reserve(out, sealed.len));
    if (aead_open(s->aead, nonce, clear, sealed, out->data))
        return fail(ERR_CRYPTO, "the sealed part of the manifest was changed");
    out->len = sealed.len - AEAD_TAG_BYTES;
    return OK;
}

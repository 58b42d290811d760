#include "vault/key_file.h"
#include "codec/cbor_record.h"
#include "crypto/aead.h"
#include "crypto/passphrase.h"

enum { VERSION = 1, FIELDS = 5, SECRETS_MAX = VAULT_EPOCHS_MAX * VAULT_SECRET_BYTES };
static const passphrase_cost_t cost_of_new = {.passes = 3, .memory_mib = 64};
#define ASSOCIATED BYTES_LIT("distribute-vault-key-v1")

typedef struct key_file {
    passphrase_cost_t cost;
    bytes_t salt, sealed;
} key_file_t;

static err_t read_file(bytes_t in, key_file_t *ret)
{
    key_file_t f = {0};
    reader_t r = reader_of(in);
    if (in.len > KEY_FILE_MAX_BYTES)
        return fail(ERR_LIMIT, "a key file of %zu bytes is over the limit of %u", in.len, KEY_FILE_MAX_BYTES);
    cbor_read_record(&r, VERSION, FIELDS);
    cbor_read_key(&r, "cost");
    uint64_t memory_mib = cbor_read_uint(&r);
    cbor_read_key(&r, "keys");
    f.sealed = cbor_read_bytes(&r, SECRETS_MAX + AEAD_TAG_BYTES);
    cbor_read_key(&r, "salt");
    f.salt = cbor_read_bytes(&r, PASSPHRASE_SALT_BYTES);
    cbor_read_key(&r, "passes");
    uint64_t passes = cbor_read_uint(&r);
    TRY(cbor_read_done(&r, "key file"));
    f.cost = (passphrase_cost_t){passes > UINT32_MAX ? UINT32_MAX : (uint32_t)passes,
                                 memory_mib > UINT32_MAX ? UINT32_MAX : (uint32_t)memory_mib};
    bool is_right = f.salt.len ? f.salt.len == PASSPHRASE_SALT_BYTES && passphrase_cost_is_valid(f.cost)
                               : !passes && !memory_mib;
    if (!is_right || f.sealed.len < AEAD_TAG_BYTES || (f.sealed.len - AEAD_TAG_BYTES) % VAULT_SECRET_BYTES)
        return fail(ERR_INVALID, "not a valid key file");
    *ret = f;
    return OK;
}

/* The AEAD of the file, under the passphrase's key or zeros. Its one nonce is zero: the salt is never used
 * again. */
static err_t open_aead(const key_file_t *f, bytes_t passphrase, aead_t **ret)
{
    uint8_t key[PASSPHRASE_KEY_BYTES] = {0};
    if (f->salt.len)
        TRY(passphrase_key(passphrase, f->salt.data, f->cost, key));
    err_t e = aead_new(AEAD_AES_256_GCM, key, ret);
    secret_wipe(key, sizeof key);
    return e;
}

static const uint8_t nonce[12];

err_t key_file_encode(const vault_keys_t *k, bytes_t passphrase, buf_t *out)
{
    uint8_t salt[PASSPHRASE_SALT_BYTES];
    key_file_t f = {0};
    aead_t *a = NULL;
    bytes_t secrets = vault_keys_secrets(k);
    if (passphrase.len) {
        crypto_random(salt, sizeof salt);
        f = (key_file_t){.cost = cost_of_new, .salt = bytes_of(salt, sizeof salt)};
    }
    AUTO(buf_t) sealed;
    buf_init(&sealed, SECRETS_MAX + AEAD_TAG_BYTES);
    TRY(buf_reserve(&sealed, secrets.len + AEAD_TAG_BYTES));
    TRY(open_aead(&f, passphrase, &a));
    err_t e = aead_seal(a, nonce, ASSOCIATED, secrets, sealed.data);
    aead_free(a);
    TRY(e);
    writer_t w = writer_to(out);
    cbor_put_record(&w, VERSION, FIELDS);
    cbor_put_key(&w, "cost");
    cbor_put_uint(&w, f.cost.memory_mib);
    cbor_put_key(&w, "keys");
    cbor_put_bytes(&w, bytes_of(sealed.data, secrets.len + AEAD_TAG_BYTES));
    cbor_put_key(&w, "salt");
    cbor_put_bytes(&w, f.salt);
    cbor_put_key(&w, "passes");
    cbor_put_uint(&w, f.cost.passes);
    return w.err;
}

err_t key_file_look(bytes_t in, bool *ret_has_passphrase)
{
    key_file_t f;
    TRY(read_file(in, &f));
    *ret_has_passphrase = f.salt.len > 0;
    return OK;
}

err_t key_file_decode(bytes_t in, bytes_t passphrase, vault_keys_t **ret)
{
    key_file_t f;
    aead_t *a = NULL;
    uint8_t secrets[SECRETS_MAX];
    TRY(read_file(in, &f));
    if (f.salt.len && !passphrase.len)
        return fail(ERR_UNAUTHORIZED, "the key file is under a passphrase");
    TRY(open_aead(&f, passphrase, &a));
    err_t e = aead_open(a, nonce, ASSOCIATED, f.sealed, secrets);
    aead_free(a);
    if (e)
        return f.salt.len ? fail(ERR_UNAUTHORIZED, "wrong passphrase of the key file")
                          : fail(ERR_CORRUPT, "the key file is damaged");
    e = vault_keys_new(secrets, (f.sealed.len - AEAD_TAG_BYTES) / VAULT_SECRET_BYTES, ret);
    secret_wipe(secrets, sizeof secrets);
    return e;
}

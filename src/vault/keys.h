/* keys: an owner's secrets, in locked memory, and what is derived from them. All derivations are HMAC-SHA-256
 * with a label that nothing else uses (decision 031). Nothing here waits; any thread may derive. */
#ifndef VAULT_KEYS_H
#define VAULT_KEYS_H
#include "codec/manifest.h"

#define VAULT_SECRET_BYTES 32
#define VAULT_EPOCHS_MAX 255

typedef struct vault_keys {
    /* [0]: the root, of which the signing key, the dedup secret and the first epoch's key are made; [i]: the
     * random key of epoch i. As many as there are epochs. */
    uint8_t secrets[VAULT_EPOCHS_MAX][VAULT_SECRET_BYTES];
    uint32_t n_epochs, refs; /* refs: work under way goes on when the vault is locked; loop thread only */
    uint8_t dedup[VAULT_SECRET_BYTES], first_epoch[VAULT_SECRET_BYTES], list[VAULT_SECRET_BYTES];
    private_key_t *sign;
    owner_key_t owner;
} vault_keys_t;

/* secrets: n_epochs of them, one after the other; NULL: one fresh one. Returns owned. ERR_NO_MEMORY;
 * ERR_INVALID: none or too many. */
MUST_CHECK err_t vault_keys_new(const uint8_t *secrets, size_t n_epochs, vault_keys_t **ret);
/* The same with one more, random epoch. ERR_LIMIT. */
MUST_CHECK err_t vault_keys_rotated(const vault_keys_t *k, vault_keys_t **ret);
vault_keys_t *vault_keys_ref(vault_keys_t *k);
void vault_keys_free(vault_keys_t *k); /* drops a reference, the last one wipes; NULL is fine */
AUTO_PTR_DEFINE(vault_keys_t, vault_keys_free)
bytes_t vault_keys_secrets(const vault_keys_t *k); /* borrowed */

/* The key of a chunk, for ever of this plaintext alone. */
void vault_chunk_key(const uint8_t dedup[VAULT_SECRET_BYTES], bytes_t plain, uint8_t ret[VAULT_SECRET_BYTES]);

/* The key of one file opens all that is sealed in its manifest and nodes. */
typedef struct file_key {
    uint8_t data[VAULT_SECRET_BYTES];
} file_key_t;
/* Of the newest epoch, whose number is n_epochs - 1. */
MUST_CHECK err_t file_key_wrap(const vault_keys_t *k, const uint8_t salt[MANIFEST_SALT_BYTES],
                               const file_key_t *key, uint8_t ret_wrapped[MANIFEST_WRAPPED_BYTES]);
/* ERR_DENIED: of another owner; ERR_UNAUTHORIZED: of an epoch that this key file does not have; ERR_CRYPTO.
 */
MUST_CHECK err_t file_key_unwrap(const vault_keys_t *k, const manifest_t *m, file_key_t *ret);
/* Tells, without opening anything, that a key is the file's. */
void file_key_check(const file_key_t *key, const uint8_t salt[MANIFEST_SALT_BYTES],
                    uint8_t ret[MANIFEST_CHECK_BYTES]);
/* OK; ERR_UNAUTHORIZED. */
MUST_CHECK err_t file_key_fits(const file_key_t *key, const manifest_t *m);

/* Seals and opens under a file's key; number: 0 the manifest, else the node's. Never twice for one number. */
typedef struct sealer sealer_t;
MUST_CHECK err_t sealer_new(const file_key_t *key, const uint8_t salt[MANIFEST_SALT_BYTES], sealer_t **ret);
void sealer_free(sealer_t *s); /* wipes; NULL is fine */
/* Appends. The text is padded with zeros to a multiple of SEALED_STEP_BYTES. */
#define SEALED_STEP_BYTES 256
MUST_CHECK err_t sealer_seal(sealer_t *s, uint64_t number, bytes_t clear, bytes_t plain, buf_t *out);
/* Into out (cleared first; wipe it after), padding included. ERR_CRYPTO. */
MUST_CHECK err_t sealer_open(sealer_t *s, uint64_t number, bytes_t clear, bytes_t sealed, buf_t *out);
#endif

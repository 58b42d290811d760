/* key_file: an owner's secrets as bytes: the key file, and words.
 *
 *   {"v": 1, "cost": MiB, "keys": sealed, "salt": 16 bytes or none, "passes": n}, DAG-CBOR, canonical
 * keys: AES-256-GCM of the secrets (keys.h), under Argon2id of the passphrase and the salt, which is fresh at
 * each writing; without a passphrase (no salt, no cost) under a key of zeros: then the tag tells damage, and
 * the file's mode alone keeps it secret. */
#ifndef VAULT_KEY_FILE_H
#define VAULT_KEY_FILE_H
#include "vault/keys.h"

#define KEY_FILE_MAX_BYTES (16u << 10)
#define KEY_WORDS_MAX_BYTES (64u << 10)

/* Appends. passphrase: BYTES_NONE for none. Slow with one: on a worker. */
MUST_CHECK err_t key_file_encode(const vault_keys_t *k, bytes_t passphrase, buf_t *out);
/* Is it the form of a key file, and under a passphrase? ERR_INVALID, ERR_EOF, ERR_LIMIT, ERR_UNSUPPORTED. */
MUST_CHECK err_t key_file_look(bytes_t in, bool *ret_has_passphrase);
/* Errors of key_file_look; ERR_UNAUTHORIZED: a passphrase is needed, or it is wrong; ERR_CORRUPT: damaged. */
MUST_CHECK err_t key_file_decode(bytes_t in, bytes_t passphrase, vault_keys_t **ret);

/* Appends lower-case English words of BIP-39 with one space between: each secret is a mnemonic of 24 words;
 * two more check the order when there are several secrets. */
MUST_CHECK err_t key_words_encode(const vault_keys_t *k, buf_t *out);
/* Words in any case, with any white space. ERR_INVALID: which word is none, or that a check is wrong. */
MUST_CHECK err_t key_words_decode(bytes_t text, vault_keys_t **ret);
#endif

/* master: the master keys, which wrap the keys of files and the secrets of the service, and come from outside
 * of the database. Newest first: it wraps; the others still open what they wrapped.
 *
 * Where they come from: "file:PATH", "env:NAME" or "command:WORDS" (run by /bin/sh; a key management
 * service's client). Each gives one key a line: 64 hexadecimal digits or the base64 of 32 bytes; lines that
 * begin with # are passed over. A key's name is the first 16 hexadecimal digits of SHA-256("distribute master
 * key" || key).
 *
 * Wrapping: AES-256-GCM under HMAC-SHA-256(master key, "wrap " || what) with a random nonce and `what` ("file
 * ID", "secret NAME") as associated data: nonce (12) || ciphertext || tag (16). Each key wraps few values
 * under a key of its own, so that random nonces cannot repeat in practice, and what was wrapped for one file
 * opens no other. */
#ifndef META_MASTER_H
#define META_MASTER_H
#include "base/bytes.h"
#include "task/task.h"

#define MASTER_KEYS_MAX 8
#define MASTER_KEY_BYTES 32
#define MASTER_NAME_CHARS 16
#define WRAP_EXTRA_BYTES 28 /* what wrapping adds */
#define WRAP_WHAT_MAX 80

typedef struct master_key {
    char name[MASTER_NAME_CHARS + 1];
    uint8_t key[MASTER_KEY_BYTES];
} master_key_t;
typedef struct master_keys {
    master_key_t list[MASTER_KEYS_MAX];
    size_t count;
} master_keys_t;

/* ERR_USAGE: the source has no such form; ERR_NOT_FOUND: no file, no such variable; ERR_INVALID: not keys. */
MUST_CHECK err_t master_keys_load(task_t *t, const char *source, master_keys_t *ret);
MUST_CHECK err_t master_keys_parse(bytes_t text, master_keys_t *ret);
/* Makes a file with one fresh key, mode 0600, unless it is there. */
MUST_CHECK err_t master_keys_make_file(task_t *t, const char *path);
void master_keys_wipe(master_keys_t *k);
AUTO_DEFINE(master_keys_t, master_keys_wipe)

bool master_keys_have(const master_keys_t *k, const char *name);
/* out: plain.len + WRAP_EXTRA_BYTES. With the key of this name. ERR_NOT_FOUND. */
MUST_CHECK err_t master_wrap_by(const master_keys_t *k, const char *key_name, const char *what, bytes_t plain,
                                uint8_t *out);
/* With the first key, whose name the caller keeps beside it. */
MUST_CHECK err_t master_wrap(const master_keys_t *k, const char *what, bytes_t plain, uint8_t *out);
/* out: wrapped.len - WRAP_EXTRA_BYTES. ERR_NOT_FOUND: no key of this name is here; ERR_CRYPTO. */
MUST_CHECK err_t master_unwrap(const master_keys_t *k, const char *key_name, const char *what,
                               bytes_t wrapped, uint8_t *out);
#endif

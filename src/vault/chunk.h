/* chunk: the cipher of chunks. A chunk is up to VAULT_CHUNK_BYTES of plaintext; the last one of a file is
 * padded with zeros, so that the length of its ciphertext tells less than the file's size. Its key is
 * HMAC-SHA-256(dedup secret, SHA-256(the padded plaintext)), the cipher AES-256-CTR from block zero on, its
 * name the SHA-256 of the ciphertext. The same plaintext gives the same key and ciphertext, another plaintext
 * another key: no key stream meets two texts. Functions without a task run on workers. */
#ifndef VAULT_CHUNK_H
#define VAULT_CHUNK_H
#include "dag/importer.h"
#include "vault/keys.h"
#include "vault/vault.h"

/* The length to which the last n bytes of a file are padded (n > 0): Padmé (Nikitin et al., 2019), at most
 * 12% more, at least 256. */
size_t vault_padded_len(size_t n);
/* Encrypts a padded chunk where it stands, and gives the block its CID and checksum. */
MUST_CHECK err_t vault_chunk_seal(const uint8_t dedup[VAULT_SECRET_BYTES], block_t *b,
                                  uint8_t ret_key[VAULT_SECRET_BYTES]);

/* Content into chunks, several at a time on workers; read, encrypted and handed on in order, each batch while
 * others are under way. */
typedef struct chunk_pipe chunk_pipe_t;
/* Takes the block, also on failure. key: valid during the call. */
typedef err_t (*chunk_fn)(task_t *t, void *arg, block_t *block, const uint8_t key[VAULT_SECRET_BYTES]);
/* keys: borrowed until the pipe is freed. */
chunk_pipe_t *chunk_pipe_new(task_t *t, const vault_keys_t *keys, chunk_fn fn, void *arg);
void chunk_pipe_free(task_t *t, chunk_pipe_t *p); /* NULL is fine */
/* The content of one file. progress_total: of all files so far, which the progress function gets. */
MUST_CHECK err_t chunk_pipe_run(task_t *t, chunk_pipe_t *p, source_t source, import_progress_fn progress,
                                void *arg, uint64_t *progress_total, uint64_t *ret_size);
#endif

/* chunk_store: the chunks that a storage node keeps for the file service: blocks of the repository, keyed by
 * SHA-256, each with a record in the state database that keeps it from garbage collection. What is put is
 * durable, block and record, when the call returns; what is got has been checked. Deleting removes the block,
 * too, unless pins reach it. Calls for one chunk follow each other. */
#ifndef META_CHUNK_STORE_H
#define META_CHUNK_STORE_H
#include "meta/ticket.h"
#include "repo/repo.h"

#define CHUNK_ID_BYTES 32
#define CHUNK_MAX_BYTES (8u << 20)
#define CHUNKS_PER_CALL 1024

typedef struct chunk_id {
    uint8_t sha256[CHUNK_ID_BYTES];
} chunk_id_t;
chunk_id_t chunk_id_of(bytes_t data);
chunk_id_t chunk_id_of_large(task_t *t, bytes_t data); /* the same on a worker; suspends */
void chunk_id_print(const chunk_id_t *id, char out[META_CHUNK_ID_CHARS + 1]);
MUST_CHECK err_t chunk_id_parse(const char *text, chunk_id_t *ret); /* ERR_INVALID */

/* Keeps all chunks from garbage collection, whether a storage node runs or not. */
void chunk_store_guard(repo_t *r);

/* What is asked for on IPFS: is this block here as a chunk alone, which is nobody's business but that of
 * those who show a ticket? */
bool chunk_store_is_private(task_t *t, repo_t *r, const cid_t *cid);
/* From now on it is not, when it is a chunk at all. */
MUST_CHECK err_t chunk_store_publish(task_t *t, repo_t *r, const cid_t *cid);
bool chunk_store_is_used(task_t *t, repo_t *r); /* has it chunks, or may it? */

typedef struct chunk_store chunk_store_t;
/* The repository is borrowed until the store is closed. Counts what is there. */
MUST_CHECK err_t chunk_store_open(task_t *t, repo_t *r, chunk_store_t **ret);
void chunk_store_close(chunk_store_t *s); /* no call is under way; NULL is fine */
void chunk_store_set_capacity(chunk_store_t *s, uint64_t bytes);

/* data, of which at most CHUNK_MAX_BYTES are taken, must hash to the id: ERR_CORRUPT. ERR_NO_SPACE: over the
 * capacity, or the disk is full. The buffer's memory is taken when it returns OK. */
MUST_CHECK err_t chunk_store_put(task_t *t, chunk_store_t *s, const chunk_id_t *id, buf_t *data,
                                 bool *ret_was_present);
/* ERR_NOT_FOUND, ERR_CORRUPT. */
MUST_CHECK err_t chunk_store_get(task_t *t, chunk_store_t *s, const chunk_id_t *id, block_t **ret);
bool chunk_store_has(task_t *t, chunk_store_t *s, const chunk_id_t *id,
                     uint64_t *ret_size); /* ret_size may be NULL */
/* At most CHUNKS_PER_CALL; absent ones are fine. */
MUST_CHECK err_t chunk_store_delete(task_t *t, chunk_store_t *s, const chunk_id_t *ids, size_t n,
                                    size_t *ret_deleted);
/* Reads and checks it. One that is damaged is dropped, record and block, so that a sound copy can take its
 * place: ERR_CORRUPT. */
MUST_CHECK err_t chunk_store_check(task_t *t, chunk_store_t *s, const chunk_id_t *id);

typedef struct chunk_info {
    chunk_id_t id;
    uint64_t size_bytes, stored_s; /* since 1970 */
    bool is_public;                /* a block of IPFS besides */
} chunk_info_t;
/* Those behind `after` (NULL: from the first on), in the order of their ids; how many. */
MUST_CHECK err_t chunk_store_page(task_t *t, chunk_store_t *s, const chunk_id_t *after, chunk_info_t *out,
                                  size_t cap, size_t *ret_n);

typedef struct chunk_stat {
    uint64_t chunks, used_bytes, capacity_bytes;
} chunk_stat_t;
/* capacity: what was set, less where the disk has not as much. */
MUST_CHECK err_t chunk_store_stat(task_t *t, chunk_store_t *s, chunk_stat_t *ret);
#endif

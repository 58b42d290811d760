/* ticket: what the metadata service and its storage nodes tell each other through clients, who can neither
 * make nor change it. Every ticket is a text under HMAC-SHA-256 with a key that the service gives to storage
 * nodes alone, at registration and with each heartbeat (two keys during a change: the newest signs, all are
 * good).
 *
 *   read     "r1.KEY.EXPIRY.MAC"            this chunk may be read (the MAC covers the chunk's id)
 *   write    "w1.KEY.EXPIRY.UPLOAD.BYTES.MAC" chunks of this upload may be written, BYTES in all at most
 *   ipfs     "i1.KEY.EXPIRY.FILE.BYTES.MAC"  blocks of this file may be made public, BYTES in all at most;
 * what is on IPFS may be read (all that FILE 0 and BYTES 0 is for) receipt  "s1.KEY.MAC" this node keeps this
 * chunk of this upload durably, and its size
 *
 * Receipts are made under keys of which each node has its own (ticket_node_keys), so that one that was taken
 * over vouches for itself alone.
 *
 * KEY is the key's id, EXPIRY seconds since 1970, both decimal; UPLOAD 32 hex digits; MAC base64url without
 * padding. Ids of chunks are the 64 hex digits of the SHA-256 of what is stored, ids of nodes and uploads 32.
 * Checks take time that does not depend on the MAC. Pure functions. */
#ifndef META_TICKET_H
#define META_TICKET_H
#include "base/bytes.h"

#define META_ID_CHARS 32
#define META_NO_ID "00000000000000000000000000000000"
#define META_CHUNK_ID_CHARS 64
#define TICKET_TEXT_MAX 160 /* NUL included */
#define TICKET_KEY_BYTES 32
#define TICKET_KEYS_MAX 4

typedef struct ticket_key {
    uint32_t id;
    uint8_t key[TICKET_KEY_BYTES];
} ticket_key_t;
typedef struct ticket_keys {
    ticket_key_t list[TICKET_KEYS_MAX]; /* newest first; wipe when done */
    size_t count;
} ticket_keys_t;

bool meta_is_id(const char *text);       /* 32 lower-case hexadecimal digits */
bool meta_is_chunk_id(const char *text); /* 64 of them */

/* The keys of one node's receipts, from those that the service alone has. Wipe them. */
void ticket_node_keys(const ticket_keys_t *root, const char *node_id, ticket_keys_t *ret);

/* All of these write a NUL-terminated text; keys->count is 1 at least. */
void ticket_read_make(const ticket_keys_t *keys, const char *chunk_id, uint64_t expires_s,
                      char out[TICKET_TEXT_MAX]);
void ticket_write_make(const ticket_keys_t *keys, const char *upload_id, uint64_t max_bytes,
                       uint64_t expires_s, char out[TICKET_TEXT_MAX]);
void ticket_ipfs_make(const ticket_keys_t *keys, const char *file_id, uint64_t max_bytes, uint64_t expires_s,
                      char out[TICKET_TEXT_MAX]);
void ticket_receipt_make(const ticket_keys_t *keys, const char *upload_id, const char *chunk_id,
                         uint64_t size_bytes, const char *node_id, char out[TICKET_TEXT_MAX]);

/* ERR_DENIED: not ours, changed, for another chunk, or expired (the text says which). */
MUST_CHECK err_t ticket_read_check(const ticket_keys_t *keys, const char *ticket, const char *chunk_id,
                                   uint64_t now_s);
MUST_CHECK err_t ticket_write_check(const ticket_keys_t *keys, const char *ticket, uint64_t now_s,
                                    char ret_upload_id[META_ID_CHARS + 1], uint64_t *ret_max_bytes);
MUST_CHECK err_t ticket_ipfs_check(const ticket_keys_t *keys, const char *ticket, uint64_t now_s,
                                   char ret_file_id[META_ID_CHARS + 1], uint64_t *ret_max_bytes);
MUST_CHECK err_t ticket_receipt_check(const ticket_keys_t *keys, const char *receipt, const char *upload_id,
                                      const char *chunk_id, uint64_t size_bytes, const char *node_id);
#endif

/* seal_tree: makes the manifest of one file or folder, and the nodes of its tree when it has more links than
 * one block takes. Links are added in order; a node is sealed and put as soon as it is full, so memory is a
 * node for each level.
 */
#ifndef VAULT_SEAL_TREE_H
#define VAULT_SEAL_TREE_H
#include "dag/put_queue.h"
#include "vault/contents.h"

typedef struct seal_level {
    uint8_t (*digests)[32];
    size_t count;
} seal_level_t;
typedef struct seal_tree {
    const vault_keys_t *keys; /* borrowed */
    put_queue_t *queue;       /* borrowed */
    bool is_folder;
    uint8_t salt[MANIFEST_SALT_BYTES];
    file_key_t key;
    sealer_t *sealer;
    seal_level_t levels[CONTENTS_HEIGHT_MAX + 1];
    uint64_t n_nodes;
    buf_t leaf_keys, leaf_entries; /* of level 0 */
} seal_tree_t;

/* Takes a fresh salt and key. */
MUST_CHECK err_t seal_tree_init(seal_tree_t *tree, const vault_keys_t *keys, put_queue_t *queue,
                                bool is_folder);
void seal_tree_deinit(seal_tree_t *tree); /* wipes; idempotent */
AUTO_DEFINE(seal_tree_t, seal_tree_deinit)
/* A chunk: of the SHA-256 of its ciphertext, under a key. ERR_LIMIT: too large a file. Errors of the queue.
 */
MUST_CHECK err_t seal_tree_add_chunk(task_t *t, seal_tree_t *tree, const uint8_t digest[32],
                                     const uint8_t key[32]);
/* Something in the folder: of the SHA-256 of its manifest. In bytewise order of their names. */
MUST_CHECK err_t seal_tree_add_entry(task_t *t, seal_tree_t *tree, const uint8_t digest[32],
                                     const contents_entry_t *entry);
/* Seals the rest, signs and puts the manifest. about: name, type, size, mode, mtime. *ret_key: who has it can
 * read. */
MUST_CHECK err_t seal_tree_finish(task_t *t, seal_tree_t *tree, const contents_t *about, cid_t *ret_cid,
                                  file_key_t *ret_key);
#endif

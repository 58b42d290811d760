/* file: an opened manifest, as its reading files share it: open.c opens it and its nodes, read.c reads
 * content, folder.c what is in a folder. */
#ifndef VAULT_FILE_H
#define VAULT_FILE_H
#include "vault/contents.h"
#include "vault/internal.h"

/* A manifest or node with what was sealed in it. */
typedef struct opened {
    uint32_t refs;
    block_t *block;
    manifest_t m;
    buf_t plain; /* wiped when it is freed */
    contents_t c;
} opened_t;
void opened_release(opened_t *o); /* NULL is fine */
AUTO_PTR_DEFINE(opened_t, opened_release)

typedef struct read_ring read_ring_t;
struct vault_file {
    vault_keys_t *keys; /* of the vault; NULL: none */
    blocks_t *blocks;
    file_key_t key;
    sealer_t *sealer;
    opened_t *root;
    vault_info_t info;
    uint64_t n_leaves; /* chunks; of a folder: not known */
    /* The nodes that were read last, by level; [i] has the index nodes_at[i] among those of its level. */
    opened_t *nodes[CONTENTS_HEIGHT_MAX];
    uint64_t nodes_at[CONTENTS_HEIGHT_MAX];
    uint64_t position, end;
    read_ring_t *ring; /* NULL until content is read */
};

/* With a key: of a link, or of the folder's entry. */
MUST_CHECK err_t vault_file_open(task_t *t, vault_keys_t *keys, blocks_t *blocks, const cid_t *cid,
                                 const file_key_t *key, vault_file_t **ret);
/* The node of a level (below the root's height) that has the index among those of its level, and a reference
 * of it. */
MUST_CHECK err_t vault_file_node(task_t *t, vault_file_t *f, uint32_t level, uint64_t index, opened_t **ret);
/* What the links of chunk or entry `leaf` stand in, and a reference of it; *ret_at: its place there. */
MUST_CHECK err_t vault_file_leaf(task_t *t, vault_file_t *f, uint64_t leaf, opened_t **ret, size_t *ret_at);
void read_ring_free(task_t *t, read_ring_t *r); /* NULL is fine */
#endif

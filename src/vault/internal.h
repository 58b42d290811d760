/* internal: what the files of vault/ share. */
#ifndef VAULT_INTERNAL_H
#define VAULT_INTERNAL_H
#include "vault/keys.h"
#include "vault/vault.h"

struct vault {
    char *key_path;
    kv_t *state;
    vault_keys_t *keys; /* NULL: not loaded, or locked */
    gate_t gate;        /* reads and writes of the file, one at a time */
};

/* The keys, loaded when they are not: a reference of the caller's. may_make: makes the key file when there is
 * none. v NULL: ERR_UNAUTHORIZED. Errors of vault.h, "The key file". */
MUST_CHECK err_t vault_need_keys(task_t *t, vault_t *v, bool may_make, vault_keys_t **ret);
/* The manifest of a CID, verified, on the block that it borrows from. */
MUST_CHECK err_t vault_get_manifest(task_t *t, blocks_t *blocks, const cid_t *cid, block_t **ret_block,
                                    manifest_t *ret);
#endif

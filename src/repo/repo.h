/* repo: a node's folder on disk.
 *
 *   config       JSON, mode 0600 (config.h)          blocks/    the block store
 *   version      "distribute-1"                      state.db   pins and the state of upper layers (kv.h)
 *   repo.lock    held while open                     keystore/  named keys
 *   api, gateway addresses of the running node       swarm.key  optional
 *
 * A folder that holds a repository of Kubo is never touched: using it is refused with a pointer to
 * `repo import-kubo`. */
#ifndef REPO_REPO_H
#define REPO_REPO_H
#include "multi/peer_id.h"
#include "repo/config.h"
#include "repo/gc.h"
#include "repo/pins.h"
#include "store/keystore.h"

#define REPO_VERSION "distribute-1"
#define REPO_PATH_MAX 4096
typedef struct repo repo_t;

/* option (`--repo`, may be NULL), else $DISTRIBUTE_PATH, else $IPFS_PATH, else ~/.distribute. ERR_USAGE when
 * it is too long or nothing names a place. A leading ~/ is the home folder. */
MUST_CHECK err_t repo_find_path(const char *option, char out[REPO_PATH_MAX]);
/* Is there a repository of ours (0), none (ERR_NOT_FOUND), Kubo's or a newer one (ERR_UNSUPPORTED), or
 * something unreadable (ERR_DENIED, ERR_CORRUPT, ERR_IO)? Takes no lock. */
MUST_CHECK err_t repo_check(task_t *t, const char *path);

/* Makes one: ERR_EXISTS when it is there already. A crash leaves either a repository or a folder in which
 * init can run again. identity NULL: a fresh Ed25519 key. profiles: see config_new. */
MUST_CHECK err_t repo_init(task_t *t, const char *path, const char *profiles, const private_key_t *identity);
/* The same with the settings of a text, see config_new_from. */
MUST_CHECK err_t repo_init_from(task_t *t, const char *path, const char *profiles,
                                const private_key_t *identity, bytes_t config_text);
/* ERR_NOT_FOUND "… run `init`", ERR_IN_USE (another process has it), and the errors of repo_check. */
MUST_CHECK err_t repo_open(task_t *t, const char *path, repo_t **ret_repo);
void repo_close(task_t *t, repo_t *r); /* NULL is fine; stops a gc run */

/* All borrowed until repo_close. */
const char *repo_path(const repo_t *r);
const config_t *repo_config(const repo_t *r);
const private_key_t *repo_identity(const repo_t *r);
const peer_id_t *repo_peer_id(const repo_t *r);
blockstore_t *repo_blockstore(repo_t *r); /* guarded: the collector sees what passes through it */
blocks_t *repo_blocks(repo_t *r);         /* the same as dag code wants it: this node's blocks alone */
kv_t *repo_state(repo_t *r);
pins_t *repo_pins(repo_t *r);
gc_t *repo_gc(repo_t *r);
keystore_t *repo_keystore(repo_t *r);
struct mfs *repo_mfs(repo_t *r);       /* repo/mfs.h */
struct mfs *repo_published(repo_t *r); /* the folder of its own name, as a mount writes to it */

/* An import: a hold of the collector and a writer of the store. What is put through repo_import_blocks is
 * readable at once, but durable only when repo_import_sync has returned OK; pin the root after that, then
 * end. The blocks_t is valid until the end. */
typedef struct repo_import repo_import_t;
repo_import_t *repo_import_begin(repo_t *r);
blocks_t *repo_import_blocks(repo_import_t *i);
/* Instead of a block: that its bytes stand in a file or where a URL leads (filestore.h), durable with
 * repo_import_sync. ERR_INVALID: not enabled; ERR_DENIED: a file that may not be referred to. */
MUST_CHECK err_t repo_import_put_ref(task_t *t, repo_import_t *i, const cid_t *cid, const char *path,
                                     uint64_t offset, uint64_t size);
MUST_CHECK err_t repo_import_sync(task_t *t, repo_import_t *i);
void repo_import_end(repo_import_t *i); /* NULL is fine */
AUTO_PTR_DEFINE(repo_import_t, repo_import_end)

/* From now on `changed` is called after each change, in the task that made it; NULL: nobody is told. It may
 * wait. */
void repo_on_config_change(repo_t *r, void (*changed)(task_t *t, void *arg), void *arg);
/* What cannot be read (config_check) is refused. Changes the config and its file; the running parts read it
 * again when they want to. */
MUST_CHECK err_t repo_config_set(task_t *t, repo_t *r, const char *path, const char *value_json);
MUST_CHECK err_t repo_config_unset(task_t *t, repo_t *r, const char *path);
MUST_CHECK err_t repo_config_replace(task_t *t, repo_t *r, bytes_t text);
/* Another identity, for the next start: this node's stays what it was at repo_open. The former file is kept
 * beside it: config.pre-identity.bak. */
MUST_CHECK err_t repo_config_set_identity(task_t *t, repo_t *r, const private_key_t *identity);
/* Keeps the former file beside it, as Kubo does: config.pre-PROFILE.bak. */
MUST_CHECK err_t repo_config_apply_profile(task_t *t, repo_t *r, const char *profile);

/* The files `api` and `gateway`: written by the running node, removed at its end, read by the command line
 * without opening the repository. ERR_NOT_FOUND. */
typedef enum { REPO_API, REPO_GATEWAY } repo_face_t;
MUST_CHECK err_t repo_write_address(task_t *t, repo_t *r, repo_face_t face, const char *multiaddr);
void repo_remove_addresses(task_t *t, repo_t *r);
MUST_CHECK err_t repo_read_address(task_t *t, const char *path, repo_face_t face, buf_t *out);

typedef struct repo_stat {
    uint64_t blocks, block_bytes;
    uint64_t disk_bytes; /* of the whole repository: what `repo stat` calls RepoSize */
    /* Of that what the limit is for: all but the journal of the tree of files (up to 8 MiB), which no
     * collection makes smaller. */
    uint64_t limited_bytes;
    uint64_t max_bytes; /* Datastore.StorageMax */
} repo_stat_t;
MUST_CHECK err_t repo_stat(task_t *t, repo_t *r, repo_stat_t *ret);

/* From now on no write makes the repository larger than Datastore.StorageMax: one that would has garbage
 * collected first, and is ERR_NO_SPACE when what is left is pinned or in use. */
void repo_keep_limit(repo_t *r);
/* Waits until a write that could not wait itself has found no room, and collects for it. */
MUST_CHECK err_t repo_wait_full(task_t *t, repo_t *r); /* ERR_CANCELED, ERR_TIMEOUT */
MUST_CHECK err_t repo_make_room(task_t *t, repo_t *r);

/* Reads and checks every block, several side by side. */
typedef enum {
    VERIFY_SOUND,
    VERIFY_CORRUPT,       /* damaged, or the disk does not give it */
    VERIFY_REMOVED,       /* was damaged */
    VERIFY_REMOVE_FAILED, /* is still there */
    VERIFY_HEALED,        /* was damaged, and is here again, durably */
    VERIFY_HEAL_FAILED,   /* removed; nobody gave it */
    VERIFY_OUTCOMES
} verify_outcome_t;
/* For each block in any order, one call at a time, of a task that is not the caller's. why: what was wrong
 * with it, "" when it is sound; why_not: why it could not be removed or healed, else "". */
typedef err_t (*repo_verify_fn)(task_t *t, void *arg, const cid_t *cid, verify_outcome_t outcome,
                                const char *why, const char *why_not);
typedef struct repo_verify_options {
    bool drop;                /* remove damaged blocks, so that they can be fetched or added again */
    blocks_t *heal_from;      /* and get them from there, which puts them into this store; NULL: no */
    uint64_t heal_timeout_ms; /* for each; 0: none */
    repo_verify_fn visit;     /* may be NULL */
    void *arg;
} repo_verify_options_t;
typedef struct repo_verify_result {
    uint64_t checked, of[VERIFY_OUTCOMES];
} repo_verify_result_t;
MUST_CHECK err_t repo_verify(task_t *t, repo_t *r, const repo_verify_options_t *o, repo_verify_result_t *ret);
#endif

/* kubo_source: a repository of Kubo (ipfs/kubo repo/fsrepo, versions 11 to 18), read and never written: its
 * config, its blocks (flatfs, Pebble), its state (LevelDB, through a copy, or Pebble), its keys. */
#ifndef REPO_KUBO_SOURCE_H
#define REPO_KUBO_SOURCE_H
#include "repo/config.h"
#include "repo/filestore.h"
#include "repo/pins.h"
#include "repo/repo.h"
#include "store/leveldb_read.h"
#include "store/pebble_read.h"

enum { KUBO_VERSION_MIN = 11, KUBO_VERSION_MAX = 18 };

typedef struct kubo_source {
    char path[REPO_PATH_MAX];
    unsigned version;
    char blocks[REPO_PATH_MAX + 64], datastore[REPO_PATH_MAX + 64], keystore[REPO_PATH_MAX + 64];
    bool has_pebble_blocks, has_pebble_state; /* else flatfs, LevelDB */
    const char *blocks_prefix;                /* of their keys, in Pebble */
    config_t *config;
    private_key_t *identity;
    peer_id_t peer_id;
    uint64_t block_bytes; /* about: what Kubo last noted; 0: not known */
} kubo_source_t;
/* ERR_NOT_FOUND: no repository of Kubo; ERR_IN_USE: Kubo runs on it; ERR_UNSUPPORTED: a version, a block
 * store or a datastore that is not read here, and what to do; ERR_CORRUPT; ERR_DENIED. The caller frees it.
 */
MUST_CHECK err_t kubo_source_open(task_t *t, const char *path, kubo_source_t **ret);
void kubo_source_close(kubo_source_t *s); /* NULL is fine */
AUTO_PTR_DEFINE(kubo_source_t, kubo_source_close)
/* ERR_IN_USE: Kubo runs on it now. */
MUST_CHECK err_t kubo_source_check_idle(task_t *t, const kubo_source_t *s);
/* Records by their keys. */
typedef struct kubo_state {
    leveldb_read_t *level;
    pebble_read_t *pebble; /* or this one */
} kubo_state_t;
/* LevelDB: copies the datastore into `folder` (made; removed by the caller) and opens the copy. */
MUST_CHECK err_t kubo_source_open_state(task_t *t, const kubo_source_t *s, const char *folder,
                                        kubo_state_t *ret);
void kubo_state_close(task_t *t, kubo_state_t *s); /* idempotent */
/* As leveldb_read_each and leveldb_read_get. */
MUST_CHECK err_t kubo_state_each(task_t *t, kubo_state_t *s, bytes_t prefix, kv_visit_fn visit, void *arg);
MUST_CHECK err_t kubo_state_get(task_t *t, kubo_state_t *s, bytes_t key, buf_t *out);
/* Visits all blocks of a source that has them in Pebble; what is no block among them is passed over. The data
 * is not verified, and borrowed. */
typedef err_t (*kubo_block_fn)(task_t *t, void *arg, const cid_t *cid, bytes_t data);
MUST_CHECK err_t kubo_source_each_block(task_t *t, const kubo_source_t *s, kubo_block_fn visit, void *arg);

/* Keys of the datastore (ipfs/boxo pinning/pinner/dspinner, ipfs/kubo core/node, ipfs/boxo namesys and
 * filestore). */
#define KUBO_PINS_PREFIX "/pins/pin/"
#define KUBO_MFS_ROOT_KEY "/local/filesroot"
#define KUBO_IPNS_PREFIX "/ipns/"
#define KUBO_FILESTORE_PREFIX "/filestore/"
/* A pin's record: a CBOR map of cid, mode, name and metadata. ERR_CORRUPT, ERR_LIMIT: the name is too long.
 */
MUST_CHECK err_t kubo_pin_decode(bytes_t record, pin_t *ret);
/* A reference of Kubo's filestore: the multihash in base32 in the key behind its prefix, a protobuf of path,
 * offset and size. The path is borrowed from the record. ERR_CORRUPT. */
MUST_CHECK err_t kubo_ref_decode(bytes_t key, bytes_t record, filestore_ref_t *ret);
#endif

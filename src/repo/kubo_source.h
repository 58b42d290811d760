/* kubo_source: a repository of Kubo (ipfs/kubo repo/fsrepo, versions 11 to 18), read and never written: its
 * config, where its datastores are, its keys. */
#ifndef REPO_KUBO_SOURCE_H
#define REPO_KUBO_SOURCE_H
#include "repo/config.h"
#include "repo/filestore.h"
#include "repo/pins.h"
#include "repo/repo.h"

enum { KUBO_VERSION_MIN = 11, KUBO_VERSION_MAX = 18, KUBO_PARTS_MAX = 32, KUBO_MOUNT_MAX = 256 };
#define KUBO_BLOCKS_MOUNT "/blocks"

/* A datastore, and the keys that it has: those below its mount that are not below a longer one. */
typedef enum { KUBO_NOTHING, KUBO_FLATFS, KUBO_LEVELDB, KUBO_PEBBLE, KUBO_BADGER } kubo_kind_t;
typedef struct kubo_part {
    kubo_kind_t kind;
    char mount[KUBO_MOUNT_MAX]; /* its keys are without it; "": all of them */
    char *path;
} kubo_part_t;

typedef struct kubo_source {
    char path[REPO_PATH_MAX];
    unsigned version;
    char keystore[REPO_PATH_MAX + 64];
    kubo_part_t parts[KUBO_PARTS_MAX]; /* the longest mounts first */
    size_t n_parts;
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
/* For kubo_source_open: the parts; settings as the newest version has them. */
MUST_CHECK err_t kubo_source_read_spec(task_t *t, kubo_source_t *s);
MUST_CHECK err_t kubo_source_renew_config(kubo_source_t *s);
const kubo_part_t *kubo_source_part_of(const kubo_source_t *s, bytes_t key); /* NULL: none */
/* The one that has the blocks; NULL: they are records. */
const kubo_part_t *kubo_source_flatfs(const kubo_source_t *s);
/* ERR_IN_USE: Kubo runs on it now. */
MUST_CHECK err_t kubo_source_check_idle(task_t *t, const kubo_source_t *s);
/* Keys of the datastore (ipfs/boxo pinning/pinner/dspinner, ipfs/kubo core/node, ipfs/boxo namesys and
 * filestore). */
#define KUBO_PINS_PREFIX "/pins/pin/"
#define KUBO_MFS_ROOT_KEY "/local/filesroot"
#define KUBO_IPNS_PREFIX "/ipns/"
#define KUBO_FILESTORE_PREFIX "/filestore/"
/* A pin's record: a CBOR map of cid, mode, name and metadata. *ret_has_bad_name: it is left out, being too
 * long or no UTF-8. ERR_CORRUPT. */
MUST_CHECK err_t kubo_pin_decode(bytes_t record, pin_t *ret, bool *ret_has_bad_name);
/* A reference of Kubo's filestore: the multihash in base32 in the key behind its prefix, a protobuf of path,
 * offset and size. The path is borrowed from the record. ERR_CORRUPT. */
MUST_CHECK err_t kubo_ref_decode(bytes_t key, bytes_t record, filestore_ref_t *ret);
#endif

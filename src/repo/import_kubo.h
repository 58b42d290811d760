/* import_kubo: takes a repository of Kubo over into one of ours; Kubo's stays byte for byte as it was. Can be
 * run again: what is here already is kept and costs a look-up, so that an import that was interrupted goes
 * on.
 *
 * What: all blocks, each verified; references to files (--nocopy), when the filestore is enabled here; pins
 * with their names; keys of the keystore; the root of the mutable file tree; IPNS records of the keys that
 * came along, so that their sequence numbers go on. The identity and the settings only when asked for: a
 * second node with the same identity would make both unreachable, and a repository in use has settings of its
 * own. Nothing of ours is replaced: where both have something under one name, ours stays, and a warning
 * tells; when our tree of files is not empty, Kubo's becomes its folder /kubo. */
#ifndef REPO_IMPORT_KUBO_H
#define REPO_IMPORT_KUBO_H
#include "repo/kubo_source.h"

typedef struct import_kubo_result {
    uint64_t blocks, bytes, blocks_here, blocks_bad; /* taken; were here; damaged, and therefore not taken */
    uint64_t refs;                                   /* blocks that stay in files */
    uint64_t pins, pins_here;
    uint64_t keys, keys_here;
    uint64_t names; /* IPNS records */
    bool has_identity, has_files;
    uint64_t settings;
    uint64_t total_bytes; /* of all blocks, about; 0: not known */
    uint64_t warnings;
} import_kubo_result_t;
/* Called now and then with the state so far, by one task at a time, none of them the caller's; warning: NULL,
 * or what was not taken and why. */
typedef err_t (*import_kubo_fn)(task_t *t, void *arg, const import_kubo_result_t *so_far,
                                const char *warning);
typedef struct import_kubo_options {
    bool takes_identity, takes_settings;
    import_kubo_fn tell;
    void *arg;
} import_kubo_options_t;
/* Errors end it, and what was taken until then stays: of kubo_source.h; ERR_NO_SPACE and ERR_IO of this
 * repository; ERR_IN_USE: Kubo was started meanwhile. Blocks are durable before the pins are. */
MUST_CHECK err_t import_kubo(task_t *t, repo_t *r, const kubo_source_t *s, const import_kubo_options_t *o,
                             import_kubo_result_t *ret);
/* Makes a new repository with the identity of Kubo's, and with a filestore when Kubo has one; the next import
 * into it takes the settings, too.
 * ERR_EXISTS, and the errors of repo_init. */
MUST_CHECK err_t import_kubo_init(task_t *t, const char *path, const kubo_source_t *s);
#endif

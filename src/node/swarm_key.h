/* swarm_key: the key of a private network, the file swarm.key in the repository. With $LIBP2P_FORCE_PNET=1
 * there is none but private networks. */
#ifndef NODE_SWARM_KEY_H
#define NODE_SWARM_KEY_H
#include "task/task.h"
#include "wire/pnet.h"

typedef struct swarm_key {
    bool is_there;
    uint8_t key[PNET_KEY_BYTES], fingerprint[PNET_FINGERPRINT_BYTES];
} swarm_key_t;
/* ERR_USAGE: the file is not a key, or none is there and one must be; and what reading it gave. The caller
 * wipes it. */
MUST_CHECK err_t swarm_key_read(task_t *t, const char *repo_path, swarm_key_t *ret);
#endif

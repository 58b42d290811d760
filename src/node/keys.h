/* keys: what is done with private keys outside of the RPC, which they never pass. */
#ifndef NODE_KEYS_H
#define NODE_KEYS_H
#include "base/bytes.h"
#include "task/task.h"

typedef enum { KEY_FORMAT_LIBP2P, KEY_FORMAT_PEM } key_format_t;
/* "libp2p-protobuf-cleartext", "pem-pkcs8-cleartext"; NULL: the first. ERR_INVALID. */
MUST_CHECK err_t key_format_parse(const char *text, key_format_t *ret);
/* Appends a named key, read beside a node that may be running: wipe it out when done. ERR_NOT_FOUND; those of
 * node_check_repo. */
MUST_CHECK err_t node_export_key(task_t *t, const char *repo_path, const char *name, key_format_t format,
                                 buf_t *out);
/* Gives the repository a new identity and keeps the old one under a name. type: "ed25519" or "rsa". ret_id:
 * its peer ID, 128 bytes. No node may run on it: ERR_IN_USE. ERR_EXISTS: that name has a key. */
MUST_CHECK err_t node_rotate_key(task_t *t, const char *repo_path, const char *old_name, const char *type,
                                 int bits, char *ret_id);
#endif

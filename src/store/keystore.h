/* keystore: named private keys as files of mode 0600 in one folder, in Kubo's layout: the file of a key is
 * `key_` and the lower-case base32 (RFC 4648, no padding) of its name, its content the protobuf of the key
 * (libp2p/specs peer-ids). The node's own key, "self", lives in the config and is refused here. */
#ifndef STORE_KEYSTORE_H
#define STORE_KEYSTORE_H
#include "crypto/key.h"
#include "task/task.h"

#define KEYSTORE_NAME_MAX_CHARS 156 /* its base32 fits a file name */
#define KEYSTORE_KEY_MAX_BYTES 8192

typedef struct keystore keystore_t;
/* Makes the folder (0700) when it is absent. */
MUST_CHECK err_t keystore_open(task_t *t, const char *folder, keystore_t **ret);
void keystore_close(keystore_t *k); /* NULL is fine */
/* ERR_USAGE: empty, too long, or "self". Any other byte may be in it, slashes too: files are named otherwise.
 */
MUST_CHECK err_t keystore_check_name(const char *name);
MUST_CHECK err_t keystore_put(task_t *t, keystore_t *k, const char *name,
                              const private_key_t *key); /* ERR_EXISTS */
MUST_CHECK err_t keystore_get(task_t *t, keystore_t *k, const char *name,
                              private_key_t **ret_key); /* ERR_NOT_FOUND, ERR_CORRUPT */
bool keystore_has(task_t *t, keystore_t *k, const char *name);
MUST_CHECK err_t keystore_remove(task_t *t, keystore_t *k, const char *name); /* ERR_NOT_FOUND */
/* ERR_NOT_FOUND, ERR_EXISTS unless overwrite. */
MUST_CHECK err_t keystore_rename(task_t *t, keystore_t *k, const char *from, const char *to, bool overwrite);
/* Names in bytewise order; files that are no keys of ours are passed over. */
typedef err_t (*keystore_visit_fn)(task_t *t, void *arg, const char *name);
MUST_CHECK err_t keystore_each(task_t *t, keystore_t *k, keystore_visit_fn visit, void *arg);
#endif

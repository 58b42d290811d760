/* config: the repository's `config` file: one JSON object with Kubo's keys (ipfs/kubo docs/config.md) and
 * our own; docs/config.md lists what is used and its defaults. Unknown keys are kept. A key that is absent,
 * null, or of an "omitted means default" kind gives the caller's default.
 *
 * Paths are dotted: "Addresses.API", "Datastore.StorageMax"; for reading, a number in them is the index in an
 * array: "Peering.Peers.0.ID". Values borrowed from a config are valid until
 * it is changed or freed. */
#ifndef REPO_CONFIG_H
#define REPO_CONFIG_H
#include "base/bytes.h"
#include "crypto/key.h"
#include "task/task.h"

#define CONFIG_MAX_BYTES (4u << 20)
typedef struct config config_t;
struct json_t;

/* ── as an object ────────────────────────────────────────────────────────────────────────────── */
/* The defaults with an identity in them, changed by the profiles, comma-separated (NULL or "": none):
 * default, flatfs, pack, test, server, lowpower, local-discovery, randomports, unixfs-v0-2015,
 * unixfs-v1-2025 (and Kubo's names for it). ERR_USAGE names an unknown one. */
MUST_CHECK err_t config_new(const private_key_t *identity, const char *profiles, config_t **ret);
/* The same from a text in the place of the defaults: ERR_CORRUPT as config_parse, ERR_INVALID as
 * config_check. Its own identity counts when it has one; else `identity`, which may be NULL then. */
MUST_CHECK err_t config_new_from(bytes_t text, const private_key_t *identity, const char *profiles,
                                 config_t **ret);
/* ERR_CORRUPT with the line of the mistake: not one JSON object. */
MUST_CHECK err_t config_parse(bytes_t text, config_t **ret);
void config_free(config_t *c);
AUTO_PTR_DEFINE(config_t, config_free)
MUST_CHECK err_t config_print(const config_t *c, buf_t *out); /* as stored: two spaces, keys in order */
/* Without Identity.PrivKey and the keys of pinning services. */
MUST_CHECK err_t config_print_public(const config_t *c, buf_t *out);
MUST_CHECK err_t config_apply_profile(config_t *c, const char *profile);

/* ── typed reading ───────────────────────────────────────────────────────────────────────────── */
const char *config_str(const config_t *c, const char *path, const char *otherwise); /* borrowed */
bool config_bool(const config_t *c, const char *path, bool otherwise);
int64_t config_int(const config_t *c, const char *path, int64_t otherwise);
double config_double(const config_t *c, const char *path, double otherwise);
/* "10GB", "256KiB", 1048576. */
uint64_t config_size(const config_t *c, const char *path, uint64_t otherwise);
/* Import.UnixFSHAMTDirectorySizeThreshold, by its older name as well: Internal.UnixFSShardingSizeThreshold.
 */
uint64_t config_shard_threshold(const config_t *c);
/* "1h", "1h30m", "90s", "300ms"; a number counts nanoseconds, as in Go. */
uint64_t config_duration_ms(const config_t *c, const char *path, uint64_t otherwise_ms);
/* Arrays of strings: the n-th, NULL behind the last; other values count as an empty array, and what is no
 * string in an array as "". */
size_t config_count(const config_t *c, const char *path);
const char *config_item(const config_t *c, const char *path, size_t n);
bool config_has(const config_t *c, const char *path);
#define BOOTSTRAP_AUTO "auto"                   /* in Bootstrap: the peers of a fresh config */
struct json_t *config_default(const char *key); /* of a fresh config, a group or a list; the caller's */
struct json_t *config_json(const config_t *c, const char *path); /* borrowed; NULL when absent; "" is all */
MUST_CHECK err_t parse_size(const char *text, uint64_t *ret_bytes);     /* ERR_INVALID */
MUST_CHECK err_t parse_duration_ms(const char *text, uint64_t *ret_ms); /* ERR_INVALID */

/* Can the sizes, durations, flags, numbers and lists at and below this path ("": all) be read? ERR_INVALID
 * names the key, its value and what is expected. The functions above give the default for one that cannot. */
MUST_CHECK err_t config_check(const config_t *c, const char *path);
/* Does the program have a setting at, above or below this path? What it does not know is kept and has no
 * effect. */
bool config_is_known(const char *path);

/* ── `config KEY [VALUE]` ────────────────────────────────────────────────────────────────────── */
/* The JSON text of a value. ERR_NOT_FOUND, worded as Kubo does; ERR_DENIED for Identity.PrivKey. */
MUST_CHECK err_t config_get(const config_t *c, const char *path, buf_t *out);
/* value_json: any JSON value. Missing objects on the way are made. ERR_INVALID: not JSON, or the path goes
 * through something that is no object. ERR_DENIED for Identity.PrivKey and what contains it. */
MUST_CHECK err_t config_set(config_t *c, const char *path, const char *value_json);
MUST_CHECK err_t config_set_str(config_t *c, const char *path, const char *value);
MUST_CHECK err_t config_unset(config_t *c, const char *path);
/* Replaces everything but the identity, which is kept, and the keys of pinning services that the text leaves
 * out
 * (`config replace`). */
MUST_CHECK err_t config_replace(config_t *c, bytes_t text);

/* The one way to another identity. */
MUST_CHECK err_t config_set_identity(config_t *c, const private_key_t *identity);

/* ── on disk ─────────────────────────────────────────────────────────────────────────────────── */
MUST_CHECK err_t config_load(task_t *t, const char *file,
                             config_t **ret); /* ERR_NOT_FOUND, CORRUPT, DENIED */
MUST_CHECK err_t config_save(task_t *t, const config_t *c, const char *file); /* atomic, mode 0600 */
/* Identity.PrivKey. ERR_CORRUPT when absent, not a key, or not the key of Identity.PeerID. */
MUST_CHECK err_t config_identity(const config_t *c, private_key_t **ret_key);
#endif

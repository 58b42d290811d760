/* vault: files that are encrypted before they leave this process. Chunks, manifests and folders are blocks
 * like any others (codec/manifest.h), which pins, bitswap and replication move without a key; what is in them
 * opens with the owner's key file, or with a link that shares one file or folder. The construction, why it is
 * safe and what it does not hide: decision 031.
 *
 * Memory is flat for any size of content; hashing and ciphers run on workers. All calls on the loop thread.
 */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H
#include "codec/manifest.h"
#include "dag/blocks.h"
#include "dag/importer.h"
#include "store/kv.h"

#define VAULT_CHUNK_BYTES 262144
#define VAULT_NAME_MAX 255 /* bytes of a file's name, UTF-8, without '/' and NUL */
#define VAULT_TYPE_MAX 127 /* bytes of a media type */
#define VAULT_LINK_MAX 192 /* characters of CID#key, NUL included */
#define VAULT_FOLDER_ENTRIES_MAX (1u << 20)
#define VAULT_DEPTH_MAX 64        /* folders inside each other */
#define VAULT_SPACE "vault-files" /* of the state database: own files, sealed */

typedef struct vault vault_t;
/* Reads nothing yet. key_path: the key file (REPO/vault.key), copied. state: borrowed until vault_free. */
vault_t *vault_new(const char *key_path, kv_t *state);
void vault_free(vault_t *v); /* wipes the keys; NULL is fine */

/* ── the key file ────────────────────────────────────────────────────────────────────────────── */
/* Whatever needs a key loads the file by itself, and store makes it when there is none. ERR_UNAUTHORIZED from
 * any of these: the file is under a passphrase: vault_unlock first. ERR_NOT_FOUND: there is none (open,
 * share, delete). ERR_DENIED: others than its owner may read it, which is refused. */
typedef struct vault_key_info {
    bool exists, has_passphrase, is_unlocked;
    owner_key_t owner; /* all zero until unlocked */
    uint32_t epochs;   /* of the ring; new files use the last. 0 until unlocked */
} vault_key_info_t;
MUST_CHECK err_t vault_key_info(task_t *t, vault_t *v, vault_key_info_t *ret);
/* Makes the file when it is not there; *ret_is_new (may be NULL): it did, and the user should hear that
 * without this file nobody reads anything. */
MUST_CHECK err_t vault_key_ensure(task_t *t, vault_t *v, bool *ret_is_new);
/* For this run. ERR_UNAUTHORIZED: a wrong one. OK without effect when it is unlocked or needs none. */
MUST_CHECK err_t vault_unlock(task_t *t, vault_t *v, bytes_t passphrase);
void vault_lock(vault_t *v); /* wipes what is in memory */
/* Sets, changes or (BYTES_NONE) removes the passphrase of an unlocked key; the file is written anew. */
MUST_CHECK err_t vault_key_set_passphrase(task_t *t, vault_t *v, bytes_t passphrase);
/* Adds an epoch for new files and writes the ring anew; files, manifests and CIDs stay. passphrase: the one
 * of the key file, which stays (BYTES_NONE when it has none). *ret_epochs: how many there are now. The user
 * should hear that a stolen old key file still opens old files. ERR_UNAUTHORIZED; ERR_LIMIT: over 255. */
MUST_CHECK err_t vault_key_rotate(task_t *t, vault_t *v, bytes_t passphrase, uint32_t *ret_epochs);
/* As English words of BIP-39, lower case, one space between: 24 for each 32 bytes, a fresh key has 24. `out`
 * then holds the secret: give it a maximum of 64 KiB, wipe it (secret_wipe) after. */
MUST_CHECK err_t vault_key_export_words(task_t *t, vault_t *v, buf_t *out);
/* The key file's bytes under a passphrase of their own (BYTES_NONE: in the clear, mode 0600 is the caller's
 * duty). */
MUST_CHECK err_t vault_key_export_file(task_t *t, vault_t *v, bytes_t passphrase, buf_t *out);
/* Takes words or an exported file (found out by looking) and writes the key file, under `new_passphrase`
 * unless BYTES_NONE. passphrase: of the export. ERR_EXISTS: another key is there and !replace; it is then
 * kept beside it as vault.key.old-N. ERR_INVALID: neither words nor a key file, a word that is none, a wrong
 * check. ERR_UNAUTHORIZED: wrong passphrase. */
MUST_CHECK err_t vault_key_import(task_t *t, vault_t *v, bytes_t exported, bytes_t passphrase,
                                  bytes_t new_passphrase, bool replace);

/* ── storing ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct vault_meta {
    bytes_t type; /* media type, may be empty; borrowed during the call */
    bool has_mode, has_mtime;
    uint32_t mode;
    int64_t mtime_s;
} vault_meta_t;
typedef struct vault_stored {
    cid_t manifest;
    uint64_t size_bytes;   /* of the content */
    uint64_t sealed_bytes; /* of the blocks: what each holder keeps */
    uint64_t chunks;
    bool is_folder;
    char name[VAULT_NAME_MAX + 1];
} vault_stored_t;
typedef struct vault_store vault_store_t;
/* One store makes one manifest: of a file, or of a folder with all below it. blocks: as the importer's,
 * borrowed until vault_store_free. progress (may be NULL) must not wait; total: content read so far, of all
 * files. */
MUST_CHECK err_t vault_store_begin(task_t *t, vault_t *v, blocks_t *blocks, import_progress_fn progress,
                                   void *arg, vault_store_t **ret);
/* path: "name" alone makes the manifest that of a file; "folder/…/name" puts it into a folder, of which all
 * paths of the store name the same first one. What is in a folder comes together, depth first: a folder is
 * sealed as soon as a path outside of it comes. ERR_INVALID: an impossible path, or back into a sealed
 * folder; ERR_EXISTS: the name is taken; ERR_LIMIT: over VAULT_FOLDER_ENTRIES_MAX or VAULT_DEPTH_MAX. Errors
 * of the source and of the store. */
MUST_CHECK err_t vault_store_file(task_t *t, vault_store_t *s, const char *path, const vault_meta_t *meta,
                                  source_t source);
/* A folder with its metadata, before what is in it; needed for empty ones alone. */
MUST_CHECK err_t vault_store_folder(task_t *t, vault_store_t *s, const char *path, const vault_meta_t *meta);
/* Seals what is open and flushes: durable as far as `blocks` makes it. Then sync and pin the manifest
 * (recursively), and vault_record it. ERR_INVALID: nothing was stored. */
MUST_CHECK err_t vault_store_finish(task_t *t, vault_store_t *s, vault_stored_t *ret);
void vault_store_free(task_t *t, vault_store_t *s); /* NULL is fine; before finish: gives up */

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct vault_info {
    cid_t manifest;
    bool is_folder, is_own; /* own: of this key file */
    bool has_mode, has_mtime;
    uint32_t mode;
    int64_t mtime_s;
    uint64_t size_bytes; /* of a folder: of all files below */
    uint64_t epoch;
    owner_key_t owner;
    char name[VAULT_NAME_MAX + 1];
    char type[VAULT_TYPE_MAX + 1];
} vault_info_t;
typedef struct vault_file vault_file_t;
/* Opens CID, 64 hex digits, either with #key (a link) and /path/in/the/folder behind it. v: may be NULL for
 * links. blocks: borrowed until vault_close; with bitswap behind it blocks are fetched, and verified, as they
 * are read. ERR_DENIED: of another owner, and no key in the link; ERR_UNAUTHORIZED: the key does not open it,
 * or the key file is locked; ERR_NOT_FOUND: not here, nobody has it, or no such path; ERR_INVALID: no
 * manifest; ERR_CRYPTO, ERR_CORRUPT: changed by somebody. */
MUST_CHECK err_t vault_open(task_t *t, vault_t *v, blocks_t *blocks, const char *name, vault_file_t **ret);
void vault_close(task_t *t, vault_file_t *f);               /* wipes; NULL is fine */
const vault_info_t *vault_file_info(const vault_file_t *f); /* borrowed until vault_close */

/* The content of a file. From now on reads [from, from + len), cut to its size; at first all of it. */
MUST_CHECK err_t vault_seek(task_t *t, vault_file_t *f, uint64_t from, uint64_t len);
/* The next plaintext, borrowed until the next call; empty at the end. Nothing unverified is ever given out.
 */
MUST_CHECK err_t vault_read(task_t *t, vault_file_t *f, bytes_t *ret_piece);

/* What is in a folder, in bytewise order of names, without opening each. The visited one is valid during the
 * call; it may wait. ERR_INVALID: a file. */
typedef struct vault_entry {
    const char *name;
    cid_t manifest;
    bool is_folder;
    uint64_t size_bytes;
} vault_entry_t;
typedef err_t (*vault_entry_fn)(task_t *t, void *arg, const vault_entry_t *e);
MUST_CHECK err_t vault_each_entry(task_t *t, vault_file_t *f, vault_entry_fn fn, void *arg);
MUST_CHECK err_t vault_open_entry(task_t *t, vault_file_t *folder, const char *name, vault_file_t **ret);

/* ── own files ───────────────────────────────────────────────────────────────────────────────── */
typedef struct vault_listed {
    vault_stored_t file;
    uint64_t stored_at_ms, deleted_at_ms; /* wall clock; 0: not deleted */
} vault_listed_t;
/* Durable when OK. */
MUST_CHECK err_t vault_record(task_t *t, vault_t *v, const vault_stored_t *stored);
/* Files that were stored here with this key, the newest first. Visited ones are valid during the call; it may
 * wait. */
typedef err_t (*vault_listed_fn)(task_t *t, void *arg, const vault_listed_t *l);
MUST_CHECK err_t vault_each(task_t *t, vault_t *v, bool with_deleted, vault_listed_fn fn, void *arg);
/* ERR_NOT_FOUND: not stored here. */
MUST_CHECK err_t vault_lookup(task_t *t, vault_t *v, const cid_t *manifest, vault_listed_t *ret);
/* Signs the tombstone (codec/tombstone.h) of a file of this key, which need not be listed here, and appends
 * it to `tombstone`: it is for mesh_delete. Again: the same tombstone. ERR_DENIED: of another owner;
 * ERR_NOT_FOUND: the manifest cannot be had, and it is not listed. */
MUST_CHECK err_t vault_delete(task_t *t, vault_t *v, blocks_t *blocks, const cid_t *manifest,
                              buf_t *tombstone);
/* The tombstone is durable: from now on the list shows the file as deleted, durably when OK; also when it is
 * not listed here. */
MUST_CHECK err_t vault_deleted(task_t *t, vault_t *v, const cid_t *manifest);
/* CID#key: whoever has it reads this file, or all that is in this folder, and nothing else. Never logged.
 * Wipe it after use. Errors of vault_open. */
MUST_CHECK err_t vault_share(task_t *t, vault_t *v, blocks_t *blocks, const cid_t *manifest,
                             char ret_link[VAULT_LINK_MAX]);
#endif

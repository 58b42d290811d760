/* filestore: blocks whose bytes stay in a file of the user's, or where a URL leads: a reference (path,
 * offset, length) stands in the state database in their place. What is read is compared with the block's hash
 * each time: what has changed is reported, never served. Reference: ipfs/boxo filestore.
 *
 * Two settings allow the two kinds; a reference whose kind is not allowed stays, and cannot be read. Files
 * lie below the folder that holds the repository, and are named from there, as in Kubo. A block that is in
 * the block store too is read from there. References are made by an import (repo.h) and go with the block: by
 * its removal or the collector's. */
#ifndef REPO_FILESTORE_H
#define REPO_FILESTORE_H
#include "repo/repo.h"

#define FILESTORE_PATH_MAX_BYTES 4096

typedef struct filestore filestore_t;
typedef struct filestore_ref {
    cid_t cid;    /* raw CIDv1 */
    bytes_t path; /* from the folder that holds the repository, or an http or https URL; borrowed */
    uint64_t offset, size;
} filestore_ref_t;
/* With the reference's numbers. */
typedef enum {
    FILESTORE_OK = 0,
    FILESTORE_FILE_ERROR = 10, /* it cannot be read */
    FILESTORE_NO_FILE = 11,
    FILESTORE_CHANGED = 12,
    FILESTORE_BROKEN = 20, /* the reference itself */
    FILESTORE_MISSING = 30 /* there is no such reference */
} filestore_status_t;

/* NULL: the config enabled neither kind when the repository was opened. */
filestore_t *repo_filestore(repo_t *r);
/* May such references be made and read? OK, or ERR_INVALID with the reference's words; fs may be NULL. */
MUST_CHECK err_t filestore_allows(const filestore_t *fs, bool is_url);
/* The reference of a block; its path is in room. ERR_NOT_FOUND, ERR_CORRUPT. */
MUST_CHECK err_t filestore_find(task_t *t, filestore_t *fs, const cid_t *cid, buf_t *room,
                                filestore_ref_t *ret);
/* Reads what it refers to. why: one line, "" when it is as it was. */
filestore_status_t filestore_check(task_t *t, filestore_t *fs, const filestore_ref_t *ref,
                                   char why[ERROR_TEXT_MAX]);
/* All references, by hash. The first error of visit ends it and is its result. */
typedef err_t (*filestore_visit_fn)(task_t *t, void *arg, const filestore_ref_t *ref);
MUST_CHECK err_t filestore_each(task_t *t, filestore_t *fs, filestore_visit_fn visit, void *arg);
MUST_CHECK err_t filestore_forget(task_t *t, filestore_t *fs, const cid_t *cid); /* absent is fine */
/* Is there a reference whose file is as it was? */
bool filestore_holds(task_t *t, filestore_t *fs, const cid_t *cid);
bool filestore_has_copy(task_t *t, filestore_t *fs, const cid_t *cid); /* in the block store as well */

/* For the repository: a block store that reads from `main` first. Both parameters are borrowed until
 * filestore_free. root: an absolute folder. */
typedef struct filestore_kinds {
    bool files, urls;
} filestore_kinds_t;
filestore_t *filestore_new(blockstore_t *main, kv_t *state, const char *root, filestore_kinds_t allowed);
blockstore_t *filestore_store(filestore_t *fs); /* closing it leaves main open */
void filestore_free(filestore_t *fs);           /* NULL is fine */
/* A reference for a block, into the batch. path: absolute, or a URL. ERR_DENIED: a file outside of the root;
 * ERR_INVALID: of a kind that is not allowed, or no URL that can be read; ERR_LIMIT. Nothing is added when
 * there is a copy of the block already, or a reference to a file that still holds; one to another URL is
 * replaced unread. */
MUST_CHECK err_t filestore_stage(task_t *t, filestore_t *fs, const cid_t *cid, const char *path,
                                 uint64_t offset, uint64_t size, kv_batch_t *batch);
#endif

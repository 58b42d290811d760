/* published: files of the file service that this storage node gives to IPFS, in the clear: a pin for each,
 * and a record of the file that it is for. When the metadata service does not know a file with that CID any
 * more, the pin goes, and with the next garbage collection (at once) the blocks. */
#ifndef META_PUBLISHED_H
#define META_PUBLISHED_H
#include "meta/ticket.h"
#include "repo/repo.h"

#define PUBLISHED_PIN_NAME "fileservice"

/* Pins the DAG, all of which is here, and records it durably; what the file was published as before goes.
 * ERR_NOT_FOUND: a block is missing. */
MUST_CHECK err_t published_put(task_t *t, repo_t *r, const char *file_id, const cid_t *root);

typedef struct published {
    char file[META_ID_CHARS + 1];
    cid_t root;
    uint64_t at_s; /* since 1970 */
} published_t;
/* Those behind `after` (NULL: from the first on) in the order of their files. */
MUST_CHECK err_t published_page(task_t *t, repo_t *r, const char *after, published_t *out, size_t cap,
                                size_t *ret_n);
/* OK also when there is none. The blocks stay until garbage is collected. */
MUST_CHECK err_t published_remove(task_t *t, repo_t *r, const char *file_id);
#endif

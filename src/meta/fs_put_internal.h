/* fs_put_internal: an upload as fs_put.c and fs_copies.c see it. */
#ifndef META_FS_PUT_INTERNAL_H
#define META_FS_PUT_INTERNAL_H
#include "dag/chunker.h"
#include "meta/fs_internal.h"

typedef struct fs_stored {
    chunk_id_t id, plain; /* plain: SHA-256 of the plaintext */
    json_t *receipts;     /* owned; NULL: not stored, or (is_kept) an earlier version's */
    bool has_begun, is_kept;
} fs_stored_t;

typedef struct fs_upload {
    fs_client_t *client;
    fs_put_t *put;
    file_t *in;
    file_info_t info;
    uint64_t size, chunk_bytes, done;
    uint64_t *starts; /* n_chunks + 1 of them: chunk i is from starts[i] to starts[i + 1] */
    size_t n_chunks, next;
    char id[META_ID_CHARS + 1], file_id[META_ID_CHARS + 1], ticket[TICKET_TEXT_MAX];
    uint8_t key[FS_KEY_BYTES];
    uint32_t seq;
    uint64_t replication, quorum;
    json_t *nodes, *plan;
    fs_stored_t *stored;
    fs_file_t old; /* the version before, with is_delta */
    fs_resume_t resume;
} fs_upload_t;

/* Brings a chunk to the nodes of the plan, to others where those fail. OK when the quorum has it; the rest
 * gets a little time more. *ret_receipts: for commit_upload, owned. ERR_UNREACHABLE, or the error of the last
 * node. */
MUST_CHECK err_t fs_copies_send(task_t *t, fs_upload_t *u, size_t index, const chunk_id_t *id, bytes_t sealed,
                                json_t **ret_receipts);
#endif

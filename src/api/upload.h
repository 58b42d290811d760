/* upload: the files of a multipart request, one after the other, as Kubo's clients send them: each part is a
 * file, a directory (application/x-directory) or a symlink (application/symlink), named by its path,
 * percent-encoded; mode and mtime stand in the field's name as a query. */
#ifndef API_UPLOAD_H
#define API_UPLOAD_H
#include "api/multipart.h"
#include "dag/importer.h"
#include "task/exchange.h"

typedef enum { UPLOAD_FILE, UPLOAD_DIR, UPLOAD_SYMLINK } upload_kind_t;
typedef struct upload {
    exchange_t *x;
    multipart_t parser;
    upload_kind_t kind;
    buf_t path;           /* decoded and clean: "a/b"; "" when the part has no name */
    unixfs_t meta;        /* has_mode, has_mtime: as sent */
    uint32_t sent_mode;   /* with the bits of the kind, as Go numbers them; 0: none */
    const char *abs_path; /* where the client has the file; NULL when it does not say */
    bytes_t data;         /* of the part, not read yet */
    buf_t abs_path_room;
    bool in_part, has_ended;
} upload_t;

/* ERR_USAGE: not a multipart request. The exchange is borrowed until deinit. */
MUST_CHECK err_t upload_init(upload_t *u, exchange_t *x);
void upload_deinit(upload_t *u); /* idempotent */
AUTO_DEFINE(upload_t, upload_deinit)
/* The next part; what is left of the last one is skipped. *ret_has is false at the end. */
MUST_CHECK err_t upload_next(task_t *t, upload_t *u, bool *ret_has);
/* The part's content: as a source for an importer; or whole, appended to out up to its maximum. */
source_t upload_source(upload_t *u);
MUST_CHECK err_t upload_read_all(task_t *t, upload_t *u, buf_t *out);
uint32_t upload_posix_mode(uint32_t go); /* from the bits of Go to those of POSIX */
#endif

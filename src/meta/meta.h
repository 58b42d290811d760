/* meta: the metadata service of the file service, without its HTTP: one operation after the other, each named
 * by method and path as docs/openapi/metadata.json has them. Bodies and answers are JSON of the shapes there.
 *
 * An operation runs in one transaction (db.h): who asks, what they may, and what they want are looked up in
 * the same snapshot that is changed. Whatever changes something, opens a file's key or is refused is in the
 * audit log before its answer leaves. Nothing here trusts a client: receipts of storage nodes (ticket.h) say
 * what is stored. */
#ifndef META_META_H
#define META_META_H
#include "base/error.h"
#include "task/task.h"
#include <jansson.h>

typedef struct meta meta_t;
typedef struct meta_options {
    const char *database;      /* a path, or postgres://… */
    const char *data_folder;   /* for the files that are made at the first start; NULL: none are made */
    const char *master_source; /* master.h; NULL: file:DATA_FOLDER/master.key, made at the first start */
    const char *issuer, *jwks_file, *audience; /* of foreign tokens; issuer NULL: our own */
    const char *admin_password; /* of the account `admin` that an empty database gets; NULL: made, and left in
                                   DATA_FOLDER/admin-password */
    const char *node_key;  /* an API key that storage nodes know already; NULL: made at the first start, and
                              left in DATA_FOLDER/node-key */
    bool approves_nodes;   /* a storage node that is new waits for an admin's word */
    int64_t token_ttl_s;   /* 0: 3600 */
    int64_t heartbeat_ms;  /* 0: 5000 */
    int64_t heal_after_ms; /* a node that is silent for so long is healed around; 0: 600,000 */
    int64_t upload_ttl_ms; /* 0: 86,400,000 */
    int64_t rebalance_percent; /* copies move when the fillings of nodes differ by more; 0: 10, 100: never */
    int64_t keep_versions;     /* of each file, the newest so many; 0: all */
    int64_t keep_versions_s;   /* younger ones besides; 0: none */
    int64_t requests_per_s;    /* of each caller; 0: 10,000 */
    int64_t logins_per_min;    /* of each address; 0: 30 */
    int64_t refusals_per_min;  /* logged, of each address: bad tokens and what is no request; 0: 300 */
    int64_t default_quota_bytes, default_quota_files; /* of accounts that foreign tokens bring; 0: none */
} meta_options_t;

/* Opens the database, brings the schema up to date, starts the background jobs. */
MUST_CHECK err_t meta_open(task_t *t, const meta_options_t *o, meta_t **ret);
void meta_close(task_t *t, meta_t *m); /* NULL is fine */

/* Who may call an operation. */
typedef enum {
    MAY_ADMIN = 1,
    MAY_USER = 2,
    MAY_READONLY = 4,
    MAY_KEY_NODE = 8,
    MAY_KEY_READ = 16,
    MAY_KEY_WRITE = 32,
    MAY_KEY_ADMIN = 64,
    MAY_ALL = 128 /* without a token */
} meta_may_t;
typedef struct meta_op meta_op_t;
/* The operation of a request; `{…}` parts of its path into ret_ids ("" when absent), percent-decoded. NULL
 * with ERR_NOT_FOUND, or ERR_USAGE when the path has other methods (ret_allow: "GET, POST"). */
#define META_PART_MAX 256
MUST_CHECK err_t meta_find_op(const char *method, const char *path, const meta_op_t **ret_op,
                              char ret_ids[2][META_PART_MAX], char ret_allow[64]);
/* The i-th operation, for documents and tests; false behind the last. may: meta_may_t. */
bool meta_op_at(size_t i, const char **ret_method, const char **ret_path, unsigned *ret_may);
const char *meta_op_name(const meta_op_t *op); /* for metrics: "file.get" */
bool meta_op_takes_body(const meta_op_t *op);

typedef struct meta_request {
    const meta_op_t *op;
    const char (*ids)[META_PART_MAX];     /* two of them */
    const char *token;                    /* of Authorization: Bearer; NULL: none */
    const char *remote;                   /* IP:PORT */
    const char *if_match, *if_none_match; /* NULL: none */
    json_t *query;                        /* an object of texts; borrowed */
    json_t *body;                         /* NULL: none; borrowed */
} meta_request_t;
typedef struct meta_answer {
    int status;
    json_t *body;  /* owned; NULL: none */
    char etag[48]; /* with its quotes; "": none */
} meta_answer_t;
void meta_answer_deinit(meta_answer_t *a);
AUTO_DEFINE(meta_answer_t, meta_answer_deinit)
/* ERR_UNAUTHORIZED, ERR_DENIED, ERR_NOT_FOUND, ERR_INVALID (the request), ERR_EXISTS (conflict), ERR_IN_USE
 * (If-Match does not fit), ERR_LIMIT (quota), ERR_AGAIN (too many requests), ERR_NO_SPACE (no nodes), or what
 * the database says. */
MUST_CHECK err_t meta_serve(task_t *t, meta_t *m, const meta_request_t *request, meta_answer_t *ret);
/* Who asks, and may they do this? For requests whose bodies are large, before they are read.
 * ERR_UNAUTHORIZED, ERR_DENIED, ERR_AGAIN: logged. */
MUST_CHECK err_t meta_check_caller(task_t *t, meta_t *m, const meta_request_t *request);
/* A request that was refused before it became an operation: it is logged. */
void meta_note_refusal(task_t *t, meta_t *m, const char *remote, const char *what, err_t e);
MUST_CHECK err_t meta_is_ready(task_t *t, meta_t *m);
MUST_CHECK err_t meta_read_gauges(task_t *t, meta_t *m); /* brings the gauges of fs_* up to date */

/* Checks the audit log of a database without a service. Prints nothing; ret_head: 64 digits. ERR_CORRUPT:
 * somebody changed it; the text says where. */
MUST_CHECK err_t meta_verify_audit(task_t *t, const char *database, int64_t *ret_records, char ret_head[65]);
/* A copy of a SQLite database, as of one moment, while a service runs over it. ERR_EXISTS: the file is there;
 * ERR_UNSUPPORTED: of PostgreSQL, which has pg_dump. */
MUST_CHECK err_t meta_backup(task_t *t, const char *database, const char *path);
#endif

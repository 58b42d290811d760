/* meta_impl: what the operations of meta.h share. Only for this folder.
 *
 * An operation is a function over a connection and a call; it runs on a worker, in a transaction that others
 * may share, and may run twice (db.h). It reads the request, and sets status, answer and etag of the call. */
#ifndef META_META_IMPL_H
#define META_META_IMPL_H
#include "crypto/key.h"
#include "crypto/password.h"
#include "meta/db.h"
#include "meta/json.h"
#include "meta/jwt.h"
#include "meta/master.h"
#include "meta/meta.h"
#include "meta/ticket.h"
#include "task/driver.h"
#include <pthread.h>

enum {
    NAME_MAX_BYTES = 1024,
    REPLICATION_MAX = 16,
    REPLICATION_DEFAULT = 3,
    CHUNK_BYTES_MIN = 4096,
    CHUNK_BYTES_MAX = 64 << 20,
    CHUNK_BYTES_DEFAULT = 4 << 20,
    CHUNK_OVERHEAD_MAX = 64, /* what encryption may add to a chunk */
    CHUNKS_MAX = 16384,
    FILE_KEY_BYTES = 32,
    PAGE_DEFAULT = 100,
    PAGE_MAX = 1000,
    USERNAME_MAX = 65,
    TICKET_TTL_S = 3600,
    NODES_MAX = 1024,
    CANDIDATES_MAX = 64, /* nodes that placement chooses from */
    BUCKETS = 4096,
};
#define META_SIZE_MAX (INT64_C(1) << 50)

typedef enum { LOCATION_STORED = 0, LOCATION_DELETING = 1, LOCATION_PLANNED = 2 } location_state_t;

/* Who asks, as of the transaction. */
typedef struct principal {
    char user_id[META_ID_CHARS + 1]; /* "": nobody */
    char username[USERNAME_MAX];
    unsigned may; /* meta_may_t */
    bool is_key;
    char node_id[META_ID_CHARS + 1];  /* "": no storage node, or one with the key that all may show to join */
    int64_t quota_bytes, quota_files; /* -1: none */
} principal_t;

/* How the caller showed who they are: checked as far as that needs no database. */
typedef struct credential {
    enum { CREDENTIAL_NONE, CREDENTIAL_TOKEN, CREDENTIAL_KEY } kind;
    jwt_claims_t claims;
    uint8_t key_hash[32];
} credential_t;

typedef struct meta_call {
    meta_t *m;
    const meta_request_t *request;
    credential_t credential;
    int64_t now_ms;
    principal_t by;
    audit_entry_t audit;
    meta_answer_t answer;
    /* What the operation prepared before the transaction. */
    char kept_password[PASSWORD_TEXT_MAX];
    bool is_password_right;
    master_keys_t *new_master;
    char next_master[MASTER_NAME_CHARS + 1]; /* the first of its source */
    /* A refusal that changed something: it is committed, and then the request fails with it. */
    err_t verdict;
    bool is_loud; /* logged although the operation is OP_WRITE_QUIET */
    char verdict_text[ERROR_TEXT_MAX];
} meta_call_t;
typedef err_t (*op_fn)(sql_t *c, meta_call_t *call);

struct meta_op {
    const char *method, *path, *name;
    unsigned may;
    enum { OP_READ, OP_READ_LOGGED, OP_WRITE, OP_WRITE_QUIET } kind; /* QUIET: logged only when refused */
    op_fn run;
    /* What takes long or waits, before the transaction (hashing a password); may be NULL. */
    err_t (*prepare)(task_t *t, meta_call_t *call);
    bool takes_body;
};

/* One caller's budget: a token bucket. Callers whose hashes collide share one. */
typedef struct bucket {
    double tokens;
    uint64_t at_ms, refused;
} bucket_t;

/* Tokens that were verified a moment ago, by their hash. */
enum { TOKEN_CACHE = 1024 };
typedef struct cached_token {
    uint8_t hash[32];
    jwt_claims_t claims;
} cached_token_t;

/* The master keys, kept out of swap and core files. */
typedef struct locked_master {
    pthread_mutex_t lock; /* workers read the keys while they are changed */
    master_keys_t keys;
} locked_master_t;

struct meta {
    driver_t *driver;
    int64_t clock_offset_ms; /* clock.c; any thread reads it */
    db_t *db;
    group_t jobs;
    meta_options_t options; /* the texts are owned by `texts` */
    char *texts[8];
    size_t n_texts;
    locked_master_t *master;
    char source_first[MASTER_NAME_CHARS + 1]; /* rotation.c */
    int64_t announced_at_ms, reloaded_at_ms;
    bool is_announced;
    ticket_keys_t tickets, receipts; /* receipts: what the nodes' keys are made from */
    private_key_t *signer;
    jwks_t keys;
    json_t *own_jwks;                                            /* what /.well-known/jwks.json gives */
    gate_t logins;                                               /* Argon2id at a time */
    bucket_t *request_buckets, *login_buckets, *refusal_buckets; /* refusals: of addresses */
    cached_token_t *tokens;
    char heal_cursor[META_CHUNK_ID_CHARS + 1];
    int64_t heal_rests_until_ms;
    char balance_cursor[META_CHUNK_ID_CHARS + 1], versions_cursor[META_ID_CHARS + 1];
    int64_t balance_rests_until_ms, versions_rest_until_ms;
};

/* ── helpers ─────────────────────────────────────────────────────────────────────────────────── */
void meta_new_id(char out[META_ID_CHARS + 1]);
int64_t meta_now_ms(const meta_t *m); /* since 1970, as all services over this database have it (clock.h) */
/* A copy of the master keys of this moment, for as long as an operation needs them: AUTO(master_keys_t) wipes
 * it. Any thread. */
void meta_master(const meta_t *m, master_keys_t *ret);
void meta_set_master(meta_t *m, const master_keys_t *fresh);      /* loop thread */
const char *call_query(const meta_call_t *call, const char *key); /* NULL when absent */
MUST_CHECK err_t call_query_number(const meta_call_t *call, const char *key, int64_t otherwise, int64_t max,
                                   int64_t *ret);
MUST_CHECK err_t call_limit(const meta_call_t *call, size_t *ret); /* ?limit= */
void call_note(meta_call_t *call, const char *target, const char *fmt, ...)
    __attribute__((format(printf, 3,
                          4))); /* target and detail of the audit entry; cut to what fits, UTF-8 kept */
/* Ends the answer: status, and the body, which is taken. ERR_NO_MEMORY when that is NULL. */
MUST_CHECK err_t call_answer(meta_call_t *call, int status, json_t *body);
static inline bool call_is(const meta_call_t *call, unsigned may)
{
    return (call->by.may & may) != 0;
}
MUST_CHECK err_t check_name(const char *name); /* canonical, as the REST API has it */
json_t *json_nullable(int64_t v);              /* null below 0 */

/* serve.c, heartbeats.c: counters that alerts watch are there from the start: an increase is seen from 0
 * alone. */
void serve_open(void);
void heartbeats_open(void);

/* auth.c */
/* Reads the token: ERR_UNAUTHORIZED. Nobody is fine here. */
MUST_CHECK err_t auth_read(meta_t *m, const char *token, int64_t now_ms, credential_t *ret);
/* Who that is now, and what they may: ERR_UNAUTHORIZED (gone, disabled, revoked, expired). With an account of
 * a foreign issuer that is not here yet: ERR_NOT_FOUND when the transaction only reads. */
MUST_CHECK err_t auth_resolve(sql_t *c, meta_call_t *call, bool may_write);
MUST_CHECK err_t
auth_check(const meta_call_t *call); /* ERR_UNAUTHORIZED, ERR_DENIED: not for this operation */
bool limit_is_used_up(bucket_t *buckets, const char *who, double per_s, double burst, uint64_t now_ms);
bool limit_passes(bucket_t *buckets, const char *who, double per_s, double burst, uint64_t now_ms,
                  uint64_t *ret_refused);

/* setup.c */
MUST_CHECK err_t setup_secrets(task_t *t, meta_t *m);
MUST_CHECK err_t setup_accounts(task_t *t, meta_t *m);

/* users.c */
json_t *user_json(sql_rows_t *r); /* of USER_COLUMNS */
#define USER_COLUMNS                                                                                         \
    "id, username, role, is_disabled, quota_bytes, quota_files, used_bytes, used_files, reserved_bytes, "    \
    "created_at"
unsigned role_may(const char *role); /* 0: no such role */
MUST_CHECK err_t user_insert(sql_t *c, const char *id, const char *username, const char *kept_password,
                             const char *role, int64_t quota_bytes, int64_t quota_files, int64_t now_ms);
/* The id of an account by id or name; `me` is the caller. */
MUST_CHECK err_t user_find(sql_t *c, const meta_call_t *call, const char *which,
                           char ret_id[META_ID_CHARS + 1]);

/* files.c */
#define FILE_COLUMNS                                                                                         \
    "id, name, kind, owner, size, version, stored_bytes, chunk_count, replication, media_type, cid, "        \
    "created_at, "                                                                                           \
    "modified_at, revision"
json_t *file_json(sql_rows_t *r, char etag[48]); /* of FILE_COLUMNS */
typedef struct file_row {
    char id[META_ID_CHARS + 1], owner[META_ID_CHARS + 1], name[NAME_MAX_BYTES + 1], etag[48];
    int64_t version, stored_bytes, chunk_count;
    bool is_file;
} file_row_t;
typedef enum { FILE_TO_READ, FILE_TO_CHANGE } file_use_t;
/* A visible file that the caller may use so; whose it is not, it is not there. */
MUST_CHECK err_t file_find(sql_t *c, const meta_call_t *call, const char *id, file_use_t use,
                           file_row_t *ret);
/* The answer for a file by its id: status, FileSummary, ETag. */
MUST_CHECK err_t file_answer(sql_t *c, meta_call_t *call, int status, const char *id);
MUST_CHECK err_t file_check_match(const meta_call_t *call, const char *etag); /* If-Match: ERR_IN_USE */
MUST_CHECK err_t file_unwrap_key(sql_t *c, const meta_call_t *call, const char *id,
                                 char ret_base64[48]); /* wiped by the caller */

/* placement.c */
typedef struct place_node {
    char id[META_ID_CHARS + 1], address[256], zone[65];
    int64_t free_bytes;
    bool is_healthy; /* suspect ones come last */
} place_node_t;
/* `want` nodes for one chunk into ret (indexes into nodes), best first, as many as there are: those with more
 * free space more often (weighted rendezvous hashing over `what`), and of different zones before two of one.
 * Those in `taken` (may be NULL) are left out, and their zones count as used. Returns how many. */
size_t place_choose(const place_node_t *nodes, size_t n, const char *what, int64_t size, size_t want,
                    const bool *taken, size_t *ret);
/* Nodes that take chunks: active, and alive as of now. ret: CANDIDATES_MAX of room; the healthy ones with
 * most room. */
MUST_CHECK err_t place_load(sql_t *c, const meta_t *m, int64_t now_ms, place_node_t *ret, size_t *ret_n);

/* nodes.c */
/* Is it this storage node itself that asks? Nodes from before each had a key show the one of all. ERR_DENIED;
 * ERR_NOT_FOUND. */
MUST_CHECK err_t node_check_self(sql_t *c, const meta_call_t *call, const char *id);
/* Is it no node that waits for an admin? What such a one says counts for nothing. ERR_NOT_FOUND. */
MUST_CHECK err_t node_is_let_in(sql_t *c, const char *id, bool *ret);
/* heartbeats.c: does the log have the record that the body names as log_seen {seq, hash}? Also when it names
 * none; ret_seq is not set then. */
MUST_CHECK err_t node_seen_is_known(sql_t *c, const meta_call_t *call, bool *ret, int64_t *ret_seq);
/* Into `out`: the node's state and keys, who the service is, the end of its log. */
MUST_CHECK err_t node_tell(sql_t *c, const meta_call_t *call, const char *id, json_t *out);

/* uploads.c */
MUST_CHECK err_t upload_forget(sql_t *c, const char *id);

/* jobs.c */
err_t jobs_run(task_t *t, void *meta); /* until cancelled */

/* the operations */
#define OP(name) err_t name(sql_t *c, meta_call_t *call)
OP(op_file_list);
OP(op_file_register);
OP(op_file_get);
OP(op_file_patch);
OP(op_file_delete);
OP(op_file_versions);
OP(op_share_list);
OP(op_share_add);
OP(op_share_remove);
OP(op_upload_init);
OP(op_upload_get);
OP(op_upload_drop);
OP(op_upload_commit);
OP(op_node_list);
OP(op_node_register);
OP(op_node_get);
OP(op_node_delete);
OP(op_node_approve);
OP(op_node_heartbeat);
OP(op_node_drain);
OP(op_node_undrain);
OP(op_node_chunks);
OP(op_node_published);
OP(op_ipfs_ticket);
OP(op_location_list);
OP(op_location_report);
OP(op_login);
OP(op_logout);
OP(op_token_revoke);
OP(op_user_list);
OP(op_user_add);
OP(op_user_get);
OP(op_user_patch);
OP(op_user_delete);
OP(op_quota_get);
OP(op_quota_set);
OP(op_key_list);
OP(op_key_add);
OP(op_key_delete);
OP(op_key_rotate);
OP(op_audit_list);
OP(op_audit_verify);
OP(op_master_status);
OP(op_master_rotate);
OP(op_jwks);
err_t prepare_login(task_t *t, meta_call_t *call);
err_t prepare_password(task_t *t, meta_call_t *call); /* of a new or changed account */
err_t prepare_master_rotate(task_t *t, meta_call_t *call);
#endif

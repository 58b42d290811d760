/* audit: the log of every change, every access to a file's key and every refused request. Rows are only ever
 * added, in the transaction of the change that they tell of, each with the hash SHA-256(hash of the row
 * before || seq || at || actor || action || target || outcome || detail || remote) where numbers are 8 bytes,
 * big-endian, and texts have their length before them (8 bytes). The first row's predecessor is 32 zero
 * bytes. So no row can be changed, left out or put in between without changing all that follow; the newest
 * hash, kept elsewhere, vouches for the whole. */
#ifndef META_AUDIT_H
#define META_AUDIT_H
#include "meta/sql.h"
#include <jansson.h>

#define AUDIT_TEXT_MAX 256
typedef struct audit_entry {
    const char *action; /* "file.delete"; NULL: not logged. Borrowed for ever */
    int64_t at_ms;
    char actor[AUDIT_TEXT_MAX], target[AUDIT_TEXT_MAX], outcome[32], detail[AUDIT_TEXT_MAX], remote[64];
} audit_entry_t;

/* The end of the chain while a transaction writes. */
typedef struct audit_head {
    int64_t seq;
    uint8_t hash[32];
} audit_head_t;

/* In a transaction that holds the writer's row (db.h). */
MUST_CHECK err_t audit_add(sql_t *c, audit_head_t *head, const audit_entry_t *entry);
void audit_hash(const uint8_t before[32], int64_t seq, const audit_entry_t *entry, uint8_t out[32]);

/* Up to `limit` rows from seq on, as the REST API shows them; actor and action may be NULL. */
MUST_CHECK err_t audit_list(sql_t *c, int64_t from_seq, const char *actor, const char *action, size_t limit,
                            json_t *ret_records, int64_t *ret_next_seq);

typedef struct audit_check {
    bool is_intact;
    int64_t records, first_bad_seq; /* 0: none */
    uint8_t head[32];
    char why[AUDIT_TEXT_MAX];
} audit_check_t;
/* Reads the whole log, and compares its end with the one that the writers go on from. */
MUST_CHECK err_t audit_verify(sql_t *c, audit_check_t *ret);
#endif

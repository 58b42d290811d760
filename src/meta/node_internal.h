/* node_internal: what the files of the storage node share. Not for others. */
#ifndef META_NODE_INTERNAL_H
#define META_NODE_INTERNAL_H
#include "base/map.h"
#include "meta/chunk_cache.h"
#include "meta/node_service.h"
#include "meta/peer.h"
#include "meta/rest.h"
#include "net/grpc.h"

enum {
    REPORT_MAX = 1000, /* of each kind, in a heartbeat */
    COPIES_AT_ONCE = 4,
    COPIES_MAX = 4096, /* asked for and not fetched yet */
    PEERS_MAX = 4096,
    UPLOADS_MAX = 4096,
};

/* Calls that were refused since the last heartbeat, by what they wanted; the log of the service has them. */
typedef enum { REFUSED_GET, REFUSED_PUT, REFUSED_OTHER, REFUSED_KINDS } refused_kind_t;
typedef enum {
    REPORT_DELETED,
    REPORT_REPLICATED,
    REPORT_FAILED,
    REPORT_LOST,
    REPORT_FOUND,
    REPORT_KINDS
} report_kind_t;
typedef struct report_list {
    chunk_id_t *ids;
    size_t n, cap;
} report_list_t;

/* The end of the service's log, as it was last told. */
typedef struct seen_log {
    uint64_t seq;
    uint8_t hash[32];
    bool is_known, is_kept; /* kept: as it stands in the state database */
    uint64_t kept_at_ms;
} seen_log_t;

struct node_service {
    repo_t *repo;
    chunk_store_t *chunks;
    tls_mutual_t *tls;
    rest_t rest, join; /* with the node's own key, and with the one that lets nodes join ("": none) */
    char key[64];
    char service_id[META_ID_CHARS + 1]; /* whose chunks are kept here; "": nobody's yet */
    seen_log_t seen;
    int64_t incarnation, checked, /* the one for which all that is expected here was looked for; -1 */
        compared;                 /* the one in which all that is published was compared with its files; -1 */
    event_t recheck;
    uint64_t orphan_grace_s;
    bool has_rest, is_registered, is_draining;
    char id[META_ID_CHARS + 1], address[256], zone[NODE_ZONE_MAX + 1];
    char bootstrap[NODE_BOOTSTRAP_MAX][256];
    size_t n_bootstrap;
    ticket_keys_t keys, receipts;
    uint64_t interval_ms, scrub_bytes_s;
    group_t tasks, copies;
    event_t wake; /* the heartbeat, before its time */
    report_list_t reports[REPORT_KINDS];
    uint64_t refused[REFUSED_KINDS];
    char refused_chunk[META_CHUNK_ID_CHARS + 1]; /* the last one; "": none was named */
    map_t copying;                               /* ids of copies that were asked for */
    map_t uploads;                               /* upload id → bytes written, as a pointer-sized number */
    storage_peer_t *peers;
    size_t n_peers;
    uint64_t peers_at_ms; /* when they were read; 0: never */
    chunk_cache_t cache;
};

/* Remembers it for the next heartbeat; what does not fit any more is found again by the scrub. */
void node_report(node_service_t *s, report_kind_t kind, const chunk_id_t *id);
err_t node_heartbeat_task(task_t *t, void *service);
err_t node_scrub_task(task_t *t, void *service);
err_t node_published_task(task_t *t, void *service);
err_t node_recheck_task(task_t *t, void *service);

/* node_memory.c: kept in the state database. */
MUST_CHECK err_t node_memory_read(task_t *t, node_service_t *s); /* makes the node's key at its first start */
void node_key_hash(const node_service_t *s, char out[META_CHUNK_ID_CHARS + 1]);
/* The chunks here are of this service from now on; NULL: of whoever is met first. */
MUST_CHECK err_t node_forget_service(task_t *t, node_service_t *s, const char *next);
/* Is this answer of the service that the chunks here are of? The first one becomes it. ERR_EXISTS. */
MUST_CHECK err_t node_check_service(task_t *t, node_service_t *s, const json_t *answer);
MUST_CHECK err_t node_note_head(task_t *t, node_service_t *s, const json_t *answer);
json_t *node_seen_json(const node_service_t *s);
/* Since when, in this incarnation, the service has not known a chunk (its 32 bytes) or a published file (the
 * text of its id). ERR_NOT_FOUND: that is not known. */
MUST_CHECK err_t node_left_find(task_t *t, node_service_t *s, bytes_t what, uint64_t *ret_since_s);
/* The same; now, when that is news. */
MUST_CHECK err_t node_left_since(task_t *t, node_service_t *s, bytes_t what, uint64_t now_s,
                                 uint64_t *ret_since_s);
MUST_CHECK err_t node_left_clear(task_t *t, node_service_t *s, bytes_t what);
/* A new one begins to count anew: what it does not know says nothing yet. */
MUST_CHECK err_t node_set_incarnation(task_t *t, node_service_t *s, int64_t incarnation);
MUST_CHECK err_t node_set_compared(task_t *t, node_service_t *s, int64_t incarnation);
/* Reads GET /nodes unless it was read a moment ago. */
MUST_CHECK err_t node_read_peers(task_t *t, node_service_t *s, uint64_t max_age_ms);
/* Begins the copies that an answer asks for. */
void node_begin_copy(node_service_t *s, const node_copy_t *c);

#endif

/* mesh_internal: the parts of a mesh membership, shared by its files.
 *
 *   mesh.c           start, close, files
 *   mesh_members.c   who is in the mesh: heartbeats, peer exchange; requests of others
 *   mesh_tombs.c     tombstones: kept, verified, told on by pubsub and DHT, applied to copies here
 *   mesh_compare.c   finding out with another member what one of the two lacks (logic/reconcile)
 *   mesh_collect.c   what is left of deleted files here, until it is collected
 *   mesh_delete.c    deletions of this node, until all holders have signed (logic/deletion) */
#ifndef REPLICA_MESH_INTERNAL_H
#define REPLICA_MESH_INTERNAL_H
#include "base/map.h"
#include "base/rate.h"
#include "codec/tombstone.h"
#include "logic/catch_up.h"
#include "logic/deletion.h"
#include "logic/failure_detector.h"
#include "logic/reconcile.h"
#include "replica/link.h"
#include "replica/mesh.h"
#include "wire/mesh.h"

enum {
    MESH_MEMBERS_KNOWN_MAX = 4096,
    MESH_REQUEST_TIMEOUT_MS = 10000,
    MESH_INBOUND_PER_PEER = 8,
    MESH_WANTED_CONNS = 24, /* members that it keeps meeting until it is connected to so many */
    MESH_DIALS_AT_ONCE = 4,
    MESH_KNOWN_MAX = 1 << 20, /* tombstones */
    MESH_OWNER_SLOTS = 1 << 16,
    MESH_UNCOLLECTED_MAX = 1 << 17,
    MESH_NEW_TOMBSTONES_PER_S = 200, /* that one member may bring; more are refused for the moment */
};
#define MESH_TOMBSTONE_SPACE "mesh-tombstones" /* key: tombstone_set_key; value: the record */
#define MESH_DELETED_SPACE "mesh-deleted"      /* key: binary CID; value: owner's key */
#define MESH_RECEIPT_SPACE                                                                                   \
    "mesh-receipts" /* key: binary CID, peer ID; value: the receipt, or nothing yet                          \
                     */
#define MESH_UNCOLLECTED_SPACE                                                                               \
    "mesh-uncollected"                /* key: binary CID of a deleted file that had a copy here              \
                                       */
#define MESH_STATE_SPACE "mesh-state" /* "current": when this node last was, and how many it knew */
#define MESH_DHT_NAMESPACE "tombstone"

typedef struct member {
    list_t node;
    link_t link;
    mesh_status_info_t status; /* zero until has_status */
    bool has_status, is_beating, is_telling;
    uint64_t heard_ms; /* monotonic; 0: never */
    failure_detector_t detector;
    rate_t brings; /* new tombstones */
    uint64_t share_since_ms;
    uint32_t share, brought; /* of them in a day, 0: the day has not begun; since then */
} member_t;

typedef struct mesh_inbound {
    list_t node;
    stream_t *stream;
} mesh_inbound_t;

struct mesh {
    mesh_config_t config;
    sched_t *sched;
    group_t group;
    host_listener_t listener;
    bool is_closing, is_subscribed;
    list_t members; /* member_t */
    map_t by_peer;
    list_t inbound;
    event_t inbound_gone, receipt_came, wake; /* wake: of the task that compares and tells */
    gate_t dials;
    size_t told_at;           /* where the next members that are told begin */
    uint64_t unlimited_at_ms; /* from then on one more limited connection may be given up */
    uint64_t free_bytes;

    tombstones_t *known;   /* all that are kept, by tombstone_set_key */
    uint32_t *by_owner;    /* how many are known, by a keyed hash of the owner: two may share a place */
    uint8_t owner_key[16]; /* of that hash */
    tombstones_t *deleted; /* those that apply to a manifest that was seen, by tombstone_key */
    catch_up_t *catch_up;
    deletion_t *deletion;
    pubsub_subscription_t *topic;
    list_t uncollected; /* files that were let go of here, whose chunks are still there */
    map_t by_uncollected;
    event_t collect_wake;
    uint64_t collect_at_ms; /* TIME_NEVER: nothing to collect */
    uint64_t collect_rest_ms, collect_step_ms, collect_asked_ms;
    struct {
        uint64_t forged, foreign, receipts_signed, receipts_taken, collections;
    } counts;
};

/* mesh_members.c */
member_t *mesh_member(mesh_t *m, const peer_id_t *peer); /* made when it is not there; NULL: too many */
bool mesh_is_member(void *mesh, const peer_id_t *peer);
/* One request and its answer. `room` keeps the bytes that the answer borrows. */
err_t mesh_ask(task_t *t, mesh_t *m, const peer_id_t *peer, const mesh_message_t *request, buf_t *room,
               mesh_message_t *ret_answer);
err_t mesh_on_stream(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *mesh);
err_t mesh_beat_task(task_t *t, void *mesh);
void mesh_judge_all(mesh_t *m); /* those that are connected already */
void mesh_members_free(mesh_t *m);
void mesh_on_identified(void *mesh, conn_t *c);
void mesh_on_peer(void *mesh, const peer_id_t *peer);
mesh_message_t *mesh_new_message(mesh_message_kind_t kind);

/* mesh_tombs.c */
err_t mesh_tombs_open(task_t *t, mesh_t *m);
void mesh_tombs_close(mesh_t *m);
/* Verifies, keeps (durably) and applies. from: the peer that brought it; NULL: the DHT. *ret_is_new may be
 * NULL. ERR_CRYPTO, ERR_INVALID: none; ERR_DENIED: of a foreign manifest; ERR_LIMIT: this peer brings too
 * many. */
err_t mesh_take(task_t *t, mesh_t *m, const peer_id_t *from, bytes_t record, tombstone_t *ret_ts,
                bool *ret_is_new);
/* Of this node's user, who is believed also when the manifest is not here: told on, and with the same commit
 * receipts of the n holders are expected. */
err_t mesh_take_own(task_t *t, mesh_t *m, bytes_t record, const peer_id_t *holders, size_t n,
                    tombstone_t *ret_ts);
/* The record of a key into out. ERR_NOT_FOUND. */
err_t mesh_tombstone_record(task_t *t, mesh_t *m, const uint8_t key[TOMBSTONE_KEY_BYTES], buf_t *out);
err_t mesh_admit(task_t *t, void *mesh, const cid_t *root, const block_t *block);
bool mesh_has_deleted(void *mesh, const cid_t *root);
/* Is this node one that has let go of it, and may sign so? Appends the receipt. */
err_t mesh_sign_receipt(mesh_t *m, const tombstone_t *ts, buf_t *out);
err_t mesh_spread_task(task_t *t, void *spread);

/* mesh_delete.c: puts those that have not come into the batch. */
err_t mesh_expect_receipts(task_t *t, mesh_t *m, const cid_t *root, const peer_id_t *holders, size_t n,
                           kv_batch_t *batch);

/* mesh_collect.c */
err_t mesh_uncollected_load(task_t *t, mesh_t *m);
void mesh_uncollected_free(mesh_t *m);
/* Its copy here was let go of; that is durable (MESH_UNCOLLECTED_SPACE). ERR_LIMIT. */
err_t mesh_uncollected_add(mesh_t *m, const cid_t *root);
void mesh_uncollected_drop(mesh_t *m, const cid_t *root); /* it was not deleted after all */
/* Pins of the user, too; then it is collected. What fails is logged, and tried again before each collection
 * when it is among the uncollected. */
void mesh_let_go(task_t *t, mesh_t *m, const cid_t *root);
/* At the start: it was let go of in an earlier life. What goes wrong is logged; ERR_CANCELED. */
err_t mesh_take_up(task_t *t, mesh_t *m, const cid_t *root);
bool mesh_is_uncollected(const mesh_t *m, const cid_t *root);
void mesh_collect_soon(mesh_t *m);
err_t mesh_collect_task(task_t *t, void *mesh); /* for the life of the mesh */

/* mesh_compare.c */
err_t mesh_compare_task(task_t *t, void *mesh); /* for the life of the mesh */
/* The other side of it. */
void mesh_answer_compare(task_t *t, mesh_t *m, const peer_id_t *from, const mesh_message_t *request,
                         buf_t *room, mesh_message_t *answer);

/* mesh_delete.c */
err_t mesh_deletions_load(task_t *t, mesh_t *m);
/* All of it is gone here: if this node deletes it and was a holder itself, its own receipt is kept. */
err_t mesh_sign_own(task_t *t, mesh_t *m, const cid_t *root);
err_t mesh_delete_task(task_t *t, void *mesh); /* tells holders, for the life of the mesh */
void mesh_is_behind(void *mesh, const peer_id_t *peer, const cid_t *root);
#endif

/* mesh: a node as a member of an encrypted mesh. Above replica.h, which keeps N copies of a manifest with all
 * its chunks and heals them; here is what a mesh has besides: who is in it (with free space, zone and
 * latency, told by heartbeats), deletion by signed tombstones that reach every holder, also after weeks, the
 * receipts of holders, and quotas. Nothing here has a key: what is kept and moved is ciphertext.
 * Protocol /distribute/mesh/1.0.0 (docs/protocols/mesh.md). All calls on the loop thread.
 *
 * Deletion. A tombstone (codec/tombstone.h) is durable here before it is told on: to the holders directly, to
 * all members by pubsub, into the mesh's DHT, and to peers that come back by comparing what both know
 * (anti-entropy). It wins over every later copy of its manifest. Holders let go of the manifest at once,
 * collect the chunks that no other manifest here needs within the GC window, and sign a receipt. */
#ifndef REPLICA_MESH_H
#define REPLICA_MESH_H
#include "pubsub/pubsub.h"
#include "replica/replica.h"

#define MESH_PROTOCOL "/distribute/mesh/1.0.0"
#define MESH_TOPIC "/distribute/mesh/tombstones/1" /* of pubsub */
#define MESH_ZONE_MAX 63                           /* characters of a zone label */
#define MESH_FACTOR 3

typedef struct mesh mesh_t;
typedef struct mesh_config {
    host_t *host; /* borrowed, as all the parts below */
    routing_t *routing;
    pubsub_t *pubsub; /* NULL: tombstones spread without it */
    replica_t *replica;
    blockstore_t *blocks;
    kv_t *state;
    const private_key_t *key;     /* signs receipts: the node's identity */
    char zone[MESH_ZONE_MAX + 1]; /* failure domain of this node; "": none said */
    uint32_t factor;              /* of files stored without one; MESH_FACTOR */
    uint64_t max_bytes;           /* held for others, as Replication.MaxBytes */
    uint64_t max_bytes_per_peer;  /* held for one owner; 0: no limit but the above */
    uint32_t heartbeat_ms;        /* 5000 */
    uint64_t gc_window_ms;        /* chunks of deleted files are gone by then; 600000 */
    uint64_t sync_horizon_ms;     /* away for longer: serves nothing before it compared with two; 7 days */
    uint32_t max_files_per_peer;  /* held for one owner; 0: no limit but that of all; 16384 */
    uint32_t max_tombstones;      /* 1048576; one owner, and the last ones, see mesh_tombs.c */
    /* Collects what no root needs any more; may take its time. An error: nothing was collected. */
    err_t (*collect)(task_t *t, void *arg);
    /* A file was deleted by its owner: pins of this node's user do not keep it. ERR_NOT_FOUND: there was
     * none. May be NULL. */
    err_t (*let_go)(task_t *t, void *arg, const cid_t *manifest);
    /* Room left in the repository. May be NULL. */
    err_t (*free_bytes)(task_t *t, void *arg, uint64_t *ret_bytes);
    void *arg;
} mesh_config_t;
void mesh_config_default(mesh_config_t *ret);
MUST_CHECK err_t mesh_start(task_t *t, const mesh_config_t *c, mesh_t **ret);
void mesh_close(task_t *t, mesh_t *m); /* NULL is fine; before the replica is closed */

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */
/* Keeps `factor` copies (0: the mesh's factor) of a manifest that is stored here, this node's included, and
 * goes on healing them. As replica_keep: OK when as many hold it as the mesh has members for; ERR_TIMEOUT
 * when wait_ms are over first (it goes on in the background). ERR_DENIED: it was deleted by its owner. Called
 * again with another factor it changes it. */
MUST_CHECK err_t mesh_keep(task_t *t, mesh_t *m, const cid_t *manifest, uint32_t factor, uint64_t wait_ms,
                           replica_progress_fn progress, void *arg, uint32_t *ret_have);

typedef struct mesh_holder {
    peer_id_t peer;
    char zone[MESH_ZONE_MAX + 1];
    uint32_t latency_ms; /* 0: not known, or this node */
    uint64_t verified_ms_ago;
    bool is_connected, is_self;
} mesh_holder_t;
typedef enum {
    MESH_FILE_HEALTHY, /* as many copies as wanted */
    MESH_FILE_HEALING, /* fewer; being healed, or nobody is left to ask */
    MESH_FILE_OVER,    /* more: pruned in a while */
    MESH_FILE_DELETED, /* a tombstone is known */
    MESH_FILE_UNKNOWN, /* no record of it here or at members */
} mesh_file_state_t;
const char *mesh_file_state_name(mesh_file_state_t s); /* "healthy", "healing", … */
typedef struct mesh_file {
    cid_t manifest;
    mesh_file_state_t state;
    uint32_t factor;
    uint64_t size_bytes; /* manifest and chunks; 0: not known here */
    bool is_owner;       /* this node stored it, or was told to keep it */
    bool is_local;       /* all of it is here */
    uint64_t since_ms;   /* wall clock */
    size_t n_holders;
    mesh_holder_t holders[REPLICA_HOLDERS_MAX];
    /* of a deleted file, while this node has owned or held it: */
    uint32_t receipts, expected_receipts;
    char why[REPLICA_WHY_MAX]; /* it has fewer copies than wanted, as far as this node knows */
} mesh_file_t;                 /* large: on the heap */
/* The truth now, asking holders that were not audited lately: at most timeout_ms. OK with MESH_FILE_UNKNOWN
 * when nobody knows it. */
MUST_CHECK err_t mesh_status(task_t *t, mesh_t *m, const cid_t *manifest, uint32_t timeout_ms,
                             mesh_file_t *ret);
/* All files that this node has records of, as they are known, without asking. The visited one is valid during
 * the call; it may wait. */
typedef err_t (*mesh_file_fn)(task_t *t, void *arg, const mesh_file_t *f);
MUST_CHECK err_t mesh_each_file(task_t *t, mesh_t *m, mesh_file_fn fn, void *arg);

/* ── deletion ────────────────────────────────────────────────────────────────────────────────── */
typedef struct mesh_receipt {
    peer_id_t holder;
    bool is_deleted; /* its receipt came, and is signed by it */
    uint64_t at_ms;  /* wall clock of the holder, in the receipt */
    const char *why; /* "" or why there is none; static */
} mesh_receipt_t;
typedef struct mesh_deletion {
    size_t n_holders, n_deleted; /* "deleted on 3 of 3 holders"; this node included when it held it */
    mesh_receipt_t holders[REPLICA_HOLDERS_MAX];
} mesh_deletion_t;
typedef void (*mesh_deletion_fn)(void *arg, const mesh_deletion_t *so_far); /* must not wait */
/* Takes an encoded tombstone (of vault_delete), spreads it, and waits for the holders' receipts, at most
 * until the task's deadline: OK then, too; those that are away get it when they come back. The tombstone is
 * durable and on its way when it returns OK. ERR_INVALID, ERR_CRYPTO: not a tombstone, not its owner's.
 * Again for a deleted file: asks those whose receipt is missing. ret is large: on the heap. */
MUST_CHECK err_t mesh_delete(task_t *t, mesh_t *m, bytes_t tombstone, mesh_deletion_fn progress, void *arg,
                             mesh_deletion_t *ret);
/* Is there a tombstone of the manifest? Never waits. */
bool mesh_is_deleted(const mesh_t *m, const cid_t *manifest);
/* The same, and a tombstone that came before its manifest is applied now that the manifest is here:
 * ERR_DENIED. For whoever has just read one. Waits for the store. */
MUST_CHECK err_t mesh_check(task_t *t, mesh_t *m, const cid_t *manifest);
/* May this block be served, and its presence be told? No: a deleted manifest, or this node was away for
 * longer than the sync horizon and has not caught up yet. Waits for the store. */
bool mesh_may_serve(task_t *t, mesh_t *m, const cid_t *cid);

/* ── members ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct mesh_peer {
    peer_id_t peer;
    multiaddr_t addr; /* of the connection; empty when not connected */
    char zone[MESH_ZONE_MAX + 1];
    uint64_t free_bytes, held_bytes;
    uint32_t latency_ms;   /* 0: not known */
    double phi;            /* suspicion that it is lost; 8 and above counts as lost */
    uint64_t heard_ms_ago; /* its last heartbeat */
    bool is_connected, is_relayed, is_relay;
} mesh_peer_t;
/* Members that were heard of in this run, connected ones first; up to cap, returns the count. */
size_t mesh_peers(mesh_t *m, mesh_peer_t *out, size_t cap);

typedef struct mesh_stat {
    size_t members, connected;
    uint64_t files, files_owned, files_below, files_above; /* as replica_stat */
    uint64_t held_bytes, max_bytes, free_bytes;
    uint64_t tombstones, tombstones_forged,
        tombstones_foreign; /* forged: bad signature; foreign: not owner */
    uint64_t receipts_signed, receipts_taken, collections;
    uint64_t audits, audits_failed, heals, prunes;
    uint64_t refused_quota;
    uint64_t uncollected; /* deleted files whose chunks are still here */
    bool is_catching_up;  /* serves nothing yet */
    char zone[MESH_ZONE_MAX + 1];
    uint32_t factor;
} mesh_stat_t;
void mesh_stat(const mesh_t *m, mesh_stat_t *ret);
#endif

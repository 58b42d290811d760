/* mesh_world: a modelled mesh for mesh_year: nodes that are nothing but the engines of replication (planner,
 * tombstones, reconcile, catch_up, deletion, chunk_refs) over a network of delays, sessions and partitions.
 * No stream, no cryptography; messages are calls at a later time. One seed, one run. */
#ifndef SCENARIOS_MESH_WORLD_H
#define SCENARIOS_MESH_WORLD_H
#include "base/map.h"
#include "base/prng.h"
#include "logic/catch_up.h"
#include "logic/chunk_refs.h"
#include "logic/deletion.h"
#include "logic/failure_detector.h"
#include "logic/reconcile.h"
#include "logic/replica_planner.h"
#include "sim/scenarios/check.h"
#include <stdio.h>
#include <stdlib.h>

#define SECOND_MS UINT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

enum {
    FACTOR = 3,
    ZONES = 10,
    CHUNK_BYTES = 256 << 10,
    FILES_MAX = 4096,
    CHUNKS_MAX = 300000,
    HEARTBEAT_MS = 5000,
};

typedef struct file {
    cid_t cid;
    kad_key_t key;
    uint64_t size_bytes;
    uint32_t first_chunk, n_chunks;
    uint32_t copies; /* whole, on nodes that have not left for good */
    uint32_t wins;   /* copies that were ever made */
    bool is_stored, is_deleted;
    uint64_t deleted_ms, receipts_ms;
    uint64_t changed_ms; /* of the last news in any record of it */
    uint32_t issuer;
    uint32_t *trackers; /* nodes whose planner has a record of it; some may have none any more */
    size_t n_trackers, cap_trackers;
} file_t;

typedef enum {
    EVENT_DOWN,     /* a: node; b: session. This and those at the end are the scenario's. */
    EVENT_UP,       /* a: node; b: the session that ended */
    EVENT_LEAVE,    /* a: node: for good */
    EVENT_DETECTED, /* a: node whose silence was noticed; b: session */
    EVENT_RETURNED, /* a: node: its first heartbeats */
    EVENT_UPDATE,   /* a: from, b: to */
    EVENT_OFFER,
    EVENT_ACCEPTED, /* a: from, b: who offered */
    EVENT_REFUSED,
    EVENT_FETCHED,   /* a: node, b: session */
    EVENT_STAY,      /* a: who wants to go; stayers */
    EVENT_AUDIT,     /* a: auditor, b: holder */
    EVENT_TOMBSTONE, /* a: from, b: to */
    EVENT_RECEIPT,   /* a: holder, b: issuer */
    EVENT_SYNC,      /* a: who compares, b: with whom */
    EVENT_STORE,
    EVENT_DELETE,
    EVENT_BAD_DISK,
    EVENT_SPLIT,
    EVENT_HEAL_SPLIT,
    EVENT_MASS_LEAVE, /* a zone burns down */
    EVENT_MASS_DOWN,  /* a power cut */
    EVENT_DAY,
} event_kind_t;
typedef struct stayers {
    uint32_t n, nodes[32];
} stayers_t;
typedef struct sim_event {
    uint64_t at_ms, serial;
    event_kind_t kind;
    uint32_t a, b, file;
    bool is_direct;     /* a tombstone that wants a receipt */
    stayers_t *stayers; /* owned */
} sim_event_t;

typedef struct mesh_node {
    uint32_t index, zone, side, session;
    peer_id_t id;
    kad_key_t key;
    replica_planner_t *planner;
    tombstones_t *dead;
    catch_up_t *catch_up;
    chunk_refs_t *refs;
    deletion_t *deletion; /* once it deleted something */
    uint8_t has[FILES_MAX / 8];
    uint8_t counted[FILES_MAX / 8]; /* its chunks are in refs */
    uint8_t *chunks;                /* on its disk */
    bool is_up, is_gone;
    bool is_server; /* up for days, away for minutes */
    uint64_t capacity_bytes, used_bytes, busy_until_ms, down_ms;
    uint32_t contacts[3]; /* with whom it compares tombstones */
    size_t tick_at;       /* in the heap of ticks, from 1 */
    uint64_t tick_ms;
    uint64_t met; /* in which round it was judged last */
} mesh_node_t;

typedef struct figures {
    uint64_t stored_bytes, repair_bytes, repairs, prunes, offers, refused, audits, audits_failed;
    uint64_t sessions, departures, lost_disks, deletions, tombstones_told, syncs, sync_questions;
    uint64_t departed_bytes;
    uint64_t hour_bytes, peak_hour_bytes, hour; /* of repair */
    uint64_t restarts, behind;
} figures_t;

typedef struct mesh_world {
    prng_t rng;
    uint64_t now_ms, serial;
    sim_event_t *events; /* heap */
    size_t n_events, cap_events;
    mesh_node_t **nodes;
    size_t n_nodes, cap_nodes, n_live; /* n_nodes: that ever were */
    mesh_node_t **ticks;               /* heap of those that are up */
    size_t n_ticks;
    file_t *files;
    size_t n_files;
    map_t by_key; /* of a tombstone -> file + 1 */
    uint32_t n_chunks;
    uint64_t detect_ms; /* from a node's last heartbeat to its suspicion */
    bool is_split;
    uint64_t split_ended_ms;
    uint64_t rounds; /* returns and detections */
    uint64_t hash;
    figures_t f;
} mesh_world_t;

mesh_world_t *world_new(uint64_t seed);
void world_free(mesh_world_t *w);
void world_push_event(mesh_world_t *w, uint64_t in_ms, sim_event_t e);
void world_push(mesh_world_t *w, uint64_t in_ms, event_kind_t kind, uint32_t a, uint32_t b, uint32_t file);
/* The next thing before until_ms: an engine's tick, or an event of the network, both of which are done here.
 * True: an event of the scenario (kinds that mesh_world does not know), in *ret. False: until_ms is there. */
bool world_next(mesh_world_t *w, uint64_t until_ms, sim_event_t *ret);
uint64_t world_span(mesh_world_t *w, uint64_t mean_ms); /* exponentially distributed */

mesh_node_t *world_add_node(mesh_world_t *w, uint32_t zone, bool is_server, bool is_up);
void world_up(mesh_world_t *w, mesh_node_t *n, bool restarts);
void world_down(mesh_world_t *w, mesh_node_t *n);
void world_leave(mesh_world_t *w, mesh_node_t *n); /* for good, with its disk */
void world_split(mesh_world_t *w, bool is_split);
bool world_reaches(const mesh_world_t *w, const mesh_node_t *a, const mesh_node_t *b);
bool world_has(const mesh_node_t *n, size_t file);
void world_store(mesh_world_t *w, mesh_node_t *owner, uint32_t file);
void world_delete(mesh_world_t *w, mesh_node_t *issuer, uint32_t file);
void world_lose_disk(mesh_world_t *w, mesh_node_t *n, uint32_t file); /* silently */

/* mesh_world_engines.c: carries out what the engines of one node decided. */
void engines_settle(mesh_world_t *w, mesh_node_t *n); /* after any event of it */
void engines_start(mesh_world_t *w, mesh_node_t *n, uint64_t away_ms);
void engines_event(mesh_world_t *w, const sim_event_t *e);
void engines_learn(mesh_world_t *w, mesh_node_t *n, uint32_t file); /* a tombstone */
void world_tick_changed(mesh_world_t *w, mesh_node_t *n, uint64_t at_ms);
#endif

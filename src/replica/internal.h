/* internal: the parts of replication, shared by its files. replica.c: start, close, the pump that carries out
 * what the planner decides; records.c: records between planner, wire and disk; talk.c: requests out, requests
 * in; hold.c: fetching; challenge.c: audits; pin.c: what the user asks for. */
#ifndef REPLICA_INTERNAL_H
#define REPLICA_INTERNAL_H
#include "base/map.h"
#include "logic/replica_planner.h"
#include "replica/link.h"
#include "replica/replica.h"
#include "wire/replica.h"

enum {
    REPLICA_REQUEST_TIMEOUT_MS = 10000,
    REPLICA_CONNECT_TIMEOUT_MS = 10000,
    REPLICA_MAX_INBOUND = 8,
    REPLICA_LINKS_MAX = 4096,
    REPLICA_MAX_REQUESTS = 64, /* under way at a time, besides heartbeats */
    REPLICA_FETCH_MAX_BLOCKS = 16 << 20,
};
#define REPLICA_SPACE "replica-records" /* key: binary CID; value: the record as on the wire */

/* The stream on which we ask one peer; requests go one after the other. */
typedef struct replica_link {
    list_t node;
    link_t link;
    bool is_beating;
    uint64_t taken_bytes, taken_since_ms; /* taken at its request, for other owners; by day */
    uint32_t taken_roots;
    size_t beat_at, audit_at; /* where the next heartbeat's digests, the next audit begin */
} replica_link_t;

typedef struct replica_inbound {
    list_t node;
    stream_t *stream;
} replica_inbound_t;

/* Somebody who waits for a root to be held, and is told of steps. */
typedef struct replica_watch {
    list_t node;
    cid_t root;
    replica_progress_fn fn;
    void *arg;
} replica_watch_t;

struct replica {
    replica_config_t config;
    sched_t *sched;
    group_t group;
    host_listener_t listener;
    replica_planner_t *planner;
    peer_id_t *allowed;
    size_t n_allowed;
    bool allow_any, is_closing;
    list_t links, inbound, watches;
    size_t n_links;
    event_t inbound_gone, changed; /* changed: something happened to some root */
    map_t fetching;                /* roots being fetched: multihash -> anything */
    map_t refusals;                /* why.c */
    gate_t fetch_gate, request_gate;
    runnable_t pump;
    sched_alarm_t alarm;
    blocks_t local; /* this node's blocks alone */
    uint64_t heals_seen;
    uint64_t offers_in, offers_refused, fetches_failed, audits, audits_failed, refused_quota, forged;
    replica_mesh_t mesh; /* zero: in none */
};

/* replica.c */
bool rep_is_allowed(const replica_t *r, const peer_id_t *peer);
void rep_pump(replica_t *r);
uint64_t rep_wall_ms(const replica_t *r);
void rep_step(replica_t *r, const cid_t *root, replica_step_t step, const peer_id_t *peer,
              const char *reason);
uint64_t rep_held_bytes(const replica_t *r); /* for others, what is being fetched included */
err_t rep_connect_allowed(task_t *t, replica_t *r);

/* records.c */
/* Signs what this node says of itself, once. ERR_UNSUPPORTED: its identity cannot. */
err_t rep_to_wire(replica_t *r, plan_root_t *root, replica_record_t *ret);
/* News of a peer: verified, then merged. may_bring_owners: owners that the record here has not, too. Look the
 * root up again afterwards. ERR_CRYPTO: something in it is forged, nothing of it is taken. */
err_t rep_take(task_t *t, replica_t *r, const replica_record_t *record, bool may_add, bool may_bring_owners);
err_t rep_save(task_t *t, replica_t *r, const cid_t *root); /* durable; or removed, when it is over */
err_t rep_load(task_t *t, replica_t *r);

/* talk.c */
/* One request and its answer, both on the heap of the caller. Dials when not connected and may_dial. */
err_t rep_ask(task_t *t, replica_t *r, const peer_id_t *peer, const replica_message_t *request,
              replica_message_t *ret_answer);
err_t rep_on_stream(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *replica);
err_t rep_heartbeat(task_t *t, replica_t *r, const peer_id_t *peer);
err_t rep_tell(task_t *t, replica_t *r, const cid_t *root); /* the record, to all that it names */
replica_link_t *rep_link(replica_t *r, const peer_id_t *peer);
void rep_links_deinit(replica_t *r);

/* hold.c */
err_t rep_walk(task_t *t, blocks_t *blocks, const cid_t *root, uint32_t stall_ms, uint64_t max_bytes,
               uint64_t *ret_bytes);
void rep_start_fetch(replica_t *r, const cid_t *root);

/* challenge.c */
/* Over the ranges that the message asks for. ERR_NOT_FOUND and others: they are not here. */
err_t rep_proof(task_t *t, replica_t *r, const replica_message_t *m, uint8_t ret_proof[32]);
/* Asks the peer to prove that it holds the root (and, with stay, to keep it for a while). *ret_holds: it
 * does. An error: it did not answer. */
err_t rep_challenge(task_t *t, replica_t *r, const cid_t *root, const peer_id_t *peer, bool stay,
                    bool *ret_holds);
err_t rep_local_size(task_t *t, replica_t *r, const cid_t *root, bool *ret_is_local, uint64_t *ret_bytes);
void rep_local_init(replica_t *r);

/* why.c */
void rep_refusals_init(replica_t *r);
void rep_refusals_deinit(replica_t *r);
/* A peer that was asked for a copy does not want it; or takes it, or the record is over. */
void rep_refused(replica_t *r, const cid_t *root, const peer_id_t *peer, const char *reason);
void rep_not_refused(replica_t *r, const cid_t *root);
/* Why it has only so many copies; "" when it has enough, or they are on their way. */
void rep_say_why(const replica_t *r, const plan_root_t *p, size_t have, char out[REPLICA_WHY_MAX]);
#endif

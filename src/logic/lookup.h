/* lookup: one iterative Kademlia lookup, as an engine. It walks towards a key by asking the closest peers
 * that it has heard of for peers that are closer still.
 *
 *   HEARD --ask--> WAITING --answer--> QUERIED
 *                     |--failure--> UNREACHABLE
 *                     `--time-out--> LATE --answer--> QUERIED
 *
 *   WALK ---of each path the beta closest are queried---> FOLLOW_UP ---the k closest are queried---> DONE
 *   WALK ---nobody left to ask-----------------------------> DONE
 *   any ----lookup_stop, the budget of requests is spent---> DONE
 *
 * Spec: ipfs/specs src/routing/kad-dht.md (lookup process), terminating as go-libp2p-kad-dht does: k = 20,
 * alpha = 10 requests in parallel, beta = 3. The follow-up asks the rest of the k closest, so that what is
 * stored there is found and they are known to live.
 *
 * Disjoint paths (S/Kademlia): the peers that it starts from are dealt out to `paths` paths, and who is heard
 * of belongs to the path that heard of him first. Each path goes on until its own closest peers have
 * answered: a path that a liar leads astray does not end the others.
 *
 * Density: when the k closest lie far closer together than a network of network_size nodes would have them,
 * the place is crowded by somebody who wants to be in charge of it. Then all who lie within the distance at
 * which k nodes of that network are expected count as closest, up to LOOKUP_CLOSEST_MAX.
 *
 * Sybils: of one IP group (see kbucket_group) at most max_per_group count among the closest, whether for the
 * end of the lookup or in its result, so that one network that crowds around a key cannot keep a lookup from
 * the peers behind it (CVE-2023-26248). The others are asked all the same.
 *
 * Bounds against hostile answers: of each answer only the closest 2 k peers count; at most max_peers are
 * remembered (a closer one displaces the farthest that was not asked); at most max_requests are made. So
 * whatever the answers say, the lookup ends. Deterministic: same inputs, same events. */
#ifndef LOGIC_LOOKUP_H
#define LOGIC_LOOKUP_H
#include "logic/kad_key.h"

#define LOOKUP_PATHS_MAX 8
#define LOOKUP_CLOSEST_MAX 60 /* where it is crowded */
/* Crowded: the k closest are within this share of the distance at which they are expected. By chance that
 * happens once in 20,000 (k 20). */
#define LOOKUP_CROWDED_SHARE 0.35

typedef struct lookup_config {
    size_t k, alpha, beta;
    size_t max_peers, max_requests;
    size_t max_per_group;     /* 0: no limit */
    size_t paths;             /* 1; with 2 a lookup takes a third more requests */
    double network_size;      /* an estimate (netsize.h); 0: not known, density is not checked */
    uint32_t peer_timeout_ms; /* frees the slot of a slow peer; a late answer still counts */
    bool has_follow_up;
} lookup_config_t;
void lookup_config_default(lookup_config_t *ret);

typedef enum { LOOKUP_HEARD, LOOKUP_WAITING, LOOKUP_LATE, LOOKUP_QUERIED, LOOKUP_UNREACHABLE } lookup_state_t;
typedef struct lookup_peer {
    kad_key_t key;
    peer_id_t peer;
    uint64_t group; /* 0: under no limit */
    lookup_state_t state;
    uint8_t path;
    uint16_t hops; /* 1 for the peers that it started from */
    uint64_t timeout_ms;
} lookup_peer_t;

typedef enum { LOOKUP_WALK, LOOKUP_FOLLOW_UP, LOOKUP_DONE } lookup_phase_t;
typedef enum {
    LOOKUP_COMPLETED, /* the closest peers have been asked */
    LOOKUP_STARVED,   /* nobody was left to ask: a small network, or all failed */
    LOOKUP_STOPPED,
    LOOKUP_EXHAUSTED /* max_requests */
} lookup_end_t;
typedef struct lookup_event {
    enum { LOOKUP_EVENT_ASK, LOOKUP_EVENT_DONE } kind;
    peer_id_t peer;   /* ASK: send it the request */
    lookup_end_t end; /* DONE: given once, the last event */
} lookup_event_t;

typedef struct lookup {
    lookup_config_t config;
    kad_key_t target;
    peer_id_t self;
    lookup_peer_t *peers; /* sorted by distance to the target */
    size_t count, cap;
    size_t n_waiting, n_requests, n_failed, max_hops, n_paths;
    lookup_phase_t phase;
    lookup_end_t end;
    bool is_done_told;
} lookup_t;

/* self: never asked; may be a peer id of length 0. */
void lookup_init(lookup_t *l, const lookup_config_t *config, const kad_key_t *target, const peer_id_t *self);
void lookup_deinit(lookup_t *l); /* idempotent */

/* Seeds: the closest peers of the routing table. With none, the next event is DONE (STARVED). */
void lookup_start(lookup_t *l, const peer_id_t *seeds, size_t n);
/* from answered with peers that it thinks are closer. Ignored when from was not asked. */
void lookup_answer(lookup_t *l, const peer_id_t *from, const peer_id_t *closer, size_t n);
/* The IP group of a peer that was heard of: as others claim (never changes what is known), or as its
 * connection shows. */
void lookup_claim_group(lookup_t *l, const peer_id_t *peer, uint64_t group);
void lookup_set_group(lookup_t *l, const peer_id_t *peer, uint64_t group);
void lookup_fail(lookup_t *l, const peer_id_t *peer);
void lookup_stop(lookup_t *l); /* enough was found */
void lookup_tick(lookup_t *l, uint64_t now_ms);
uint64_t lookup_deadline_ms(const lookup_t *l); /* the next time-out; UINT64_MAX when none */
/* False: nothing to do before the next feed or deadline (or ever, after DONE). */
bool lookup_next_event(lookup_t *l, uint64_t now_ms, lookup_event_t *ret);

/* The closest peers that answered (only_queried) or that are at least not known to be unreachable, the
 * closest first; at any time. */
size_t lookup_closest(const lookup_t *l, bool only_queried, peer_id_t *out, size_t cap);
/* The k closest lie too close together to be there by chance; lookup_closest gives more than k then. */
bool lookup_is_crowded(const lookup_t *l);
/* How far out from the target the peers are all known: the prefix length that the target shares with the
 * k-th closest peer that answered; 0 when fewer than k did (the whole network, as far as it is known). */
size_t lookup_known_prefix_len(const lookup_t *l);
#endif

/* gossip: the mesh of publish/subscribe as an engine: whom a message is sent to, whom it is told of, and
 * which peers are worth it. Spec: libp2p/specs pubsub/gossipsub 1.0, 1.1 (scoring, backoff, flood publishing,
 * peer exchange), 1.2 (IDONTWANT); peers that speak floodsub get every message of their topics.
 *
 * A topic that we subscribed to has a mesh: peers that get each message as it comes. Each heartbeat keeps its
 * degree between d_low and d_high, and tells some peers outside of it the ids of late messages (IHAVE), which
 * they may ask for (IWANT). A topic that we only publish to has a fanout in its place.
 *
 *   peer, in a topic:  NONE -> SUBSCRIBED -> MESH (GRAFT either way) -> SUBSCRIBED with a backoff (PRUNE
 * either way) message:           arrived (new) -> checking (its signature holds: seen from here on) ->
 * checked: sent on, or not
 *
 * Nothing that a peer says is believed before its size: peers, topics, ids, queues and caches have maxima,
 * and what was kept for a peer goes when it leaves (its bad score stays for a while). Times of peers are
 * clamped before they are added. Ids and topics are bytes. What is to be sent is queued per peer, bounded,
 * newest control first to be replaced. */
#ifndef LOGIC_GOSSIP_H
#define LOGIC_GOSSIP_H
#include "base/limit.h"
#include "multi/peer_id.h"

typedef struct gossip gossip_t;
typedef struct gossip_peer
    gossip_peer_t; /* a connected peer; owned by the engine, until gossip_disconnected */

#define GOSSIP_ID_MAX_BYTES 128
#define GOSSIP_PRUNE_PEERS 16
#define GOSSIP_BACKOFF_MAX_S 3600 /* a longer one of a peer counts as this */

typedef enum { GOSSIP_FLOOD, GOSSIP_V1_0, GOSSIP_V1_1, GOSSIP_V1_2 } gossip_version_t;

/* What behaviour in one topic is worth (P1 to P4 of the specification); decays are factors per decay
 * interval. */
typedef struct gossip_topic_score {
    double weight;
    double mesh_time_weight, mesh_time_cap; /* P1; per mesh_time_quantum_ms in the mesh */
    uint32_t mesh_time_quantum_ms;
    double first_weight, first_decay, first_cap; /* P2: it was the first to bring a message */
    /* P3: brought too few, as a mesh peer, after the activation time; P3b: it left the mesh like this. */
    double delivery_weight, delivery_decay, delivery_cap, delivery_threshold;
    uint32_t delivery_window_ms, delivery_activation_ms;
    double failure_weight, failure_decay;
    double invalid_weight, invalid_decay; /* P4: messages that do not hold */
} gossip_topic_score_t;

typedef struct gossip_score_config {
    gossip_topic_score_t topic; /* of every topic */
    double topic_cap;           /* of what all topics together may give */
    double app_weight;          /* P5: gossip_set_app_score */
    double ip_weight;           /* P6: squared peers over the threshold on one IP address */
    uint32_t ip_threshold;
    double behaviour_weight, behaviour_threshold, behaviour_decay; /* P7: breaking the protocol */
    uint32_t decay_interval_ms, retain_ms; /* retain: how long a bad score outlives the connection */
    double decay_to_zero;
    /* Below: no gossip with it; no own messages to it; not listened to. At least: peers that it offers are
     * tried; a mesh with a median below it takes better ones in. */
    double gossip_threshold, publish_threshold, graylist_threshold, offer_threshold, graft_threshold;
} gossip_score_config_t;

typedef struct gossip_config {
    peer_id_t self;
    uint64_t seed;      /* of all choices */
    bool is_floodsub;   /* no mesh: everything to everybody in the topic */
    bool floods_own;    /* own messages go to all peers of the topic */
    bool offers_peers;  /* PRUNE names others of the topic */
    bool seen_by_first; /* a message is forgotten seen_ttl_ms after it first came; else after it last came */
    uint32_t d, d_low, d_high, d_score, d_out, d_lazy;
    double gossip_factor;
    uint32_t heartbeat_ms, history, history_gossip; /* the last two in heartbeats */
    uint32_t seen_ttl_ms, fanout_ttl_ms, prune_backoff_ms, unsubscribe_backoff_ms, graft_flood_ms,
        followup_ms;
    uint32_t regraft_ticks, regraft_peers; /* opportunistic grafting */
    uint32_t dontwant_min_bytes, dontwant_ttl;
    uint32_t max_retransmissions;              /* of one message to one peer that asks for it */
    uint32_t max_ihave_rpcs, max_ihave_ids;    /* per peer and heartbeat */
    uint32_t max_dontwant_rpcs, max_dontwants; /* per peer: RPCs per heartbeat; ids that are remembered */
    size_t max_id_bytes; /* per peer: of ids that it does not want, and of ids that wait to be sent to it */
    size_t max_peers, max_own_topics;
    size_t max_peer_topics,
        max_foreign; /* subscriptions of one peer; of all peers to topics that are not ours */
    size_t max_seen, max_cache_bytes;
    size_t max_queue_bytes; /* of messages for one peer */
    size_t max_live_bytes;  /* of all messages that are held */
    /* Borrowed; NULL: none. Messages, ids that were seen and who is in which topic are charged to it. Where
     * it has no room, messages are dropped, ids forgotten early, topics of others not taken up. */
    limit_t *limit;
    gossip_score_config_t score;
} gossip_config_t;
void gossip_config_default(gossip_config_t *ret);

gossip_t *gossip_new(const gossip_config_t *c, uint64_t now_ms);
void gossip_free(gossip_t *g); /* NULL is fine. References to its messages are released before. */
uint64_t gossip_deadline_ms(const gossip_t *g);
void gossip_tick(gossip_t *g, uint64_t now_ms); /* heartbeats that are due */

/* ── peers ───────────────────────────────────────────────────────────────────────────────────── */
/* What it is told first is queued at once: our subscriptions. ip: 4 or 16 bytes, or none (not counted). The
 * same peer twice gives the same struct. NULL: there are max_peers. */
gossip_peer_t *gossip_connected(gossip_t *g, const peer_id_t *id, gossip_version_t version, bool is_outbound,
                                bytes_t ip, uint64_t now_ms);
void gossip_disconnected(gossip_t *g, gossip_peer_t *p, uint64_t now_ms); /* p is gone after it */
/* A new stream to it has begun: what was told is told again. */
void gossip_restart(gossip_t *g, gossip_peer_t *p);
gossip_peer_t *gossip_peer(const gossip_t *g, const peer_id_t *id);
const peer_id_t *gossip_peer_id(const gossip_peer_t *p);
void gossip_peer_set_user(gossip_peer_t *p, void *user);
void *gossip_peer_user(const gossip_peer_t *p);
double gossip_score(const gossip_t *g, const gossip_peer_t *p, uint64_t now_ms);
void gossip_set_app_score(gossip_peer_t *p, double score);
/* Is it listened to? */
bool gossip_accepts(const gossip_t *g, const gossip_peer_t *p, uint64_t now_ms);

/* ── what a peer says ────────────────────────────────────────────────────────────────────────── */
/* The parts of one RPC between begin and end; messages may come after its end. */
void gossip_rpc_begin(gossip_t *g, gossip_peer_t *p, uint64_t now_ms);
void gossip_rpc_end(gossip_t *g, gossip_peer_t *p, uint64_t now_ms);
/* True: it did not follow the topic before. */
bool gossip_hear_subscription(gossip_t *g, gossip_peer_t *p, bytes_t topic, bool is_subscribed,
                              uint64_t now_ms);
/* True: its ids are of interest, each goes to gossip_hear_ihave_id. */
bool gossip_hear_ihave(gossip_t *g, gossip_peer_t *p, bytes_t topic, uint64_t now_ms);
void gossip_hear_ihave_id(gossip_t *g, gossip_peer_t *p, bytes_t id);
void gossip_hear_iwant(gossip_t *g, gossip_peer_t *p, bytes_t id, uint64_t now_ms);
void gossip_hear_idontwant(gossip_t *g, gossip_peer_t *p, bytes_t id);
void gossip_hear_graft(gossip_t *g, gossip_peer_t *p, bytes_t topic, uint64_t now_ms);
/* True: peers that it offers with this may be tried. */
bool gossip_hear_prune(gossip_t *g, gossip_peer_t *p, bytes_t topic, uint64_t backoff_s, uint64_t now_ms);
/* It broke the protocol in a way that only the caller saw. */
void gossip_penalize(gossip_peer_t *p, double by);

/* ── messages ────────────────────────────────────────────────────────────────────────────────── */
/* Reference counted; what is sent, once for all peers. */
typedef struct gossip_message gossip_message_t;
/* content: as it stands in an RPC; copied. id: at most GOSSIP_ID_MAX_BYTES. author: not sent back to it.
 * NULL: there is no room. */
gossip_message_t *gossip_message_new(gossip_t *g, bytes_t topic, bytes_t id, bytes_t author, bytes_t content);
gossip_message_t *gossip_message_ref(gossip_message_t *m);
void gossip_message_release(gossip_message_t *m); /* NULL is fine */
bytes_t gossip_message_content(const gossip_message_t *m);

typedef enum { GOSSIP_ACCEPT, GOSSIP_REJECT, GOSSIP_IGNORE } gossip_verdict_t;
/* A message came from p. True: it is of a topic of ours and new: check its signature, then gossip_checking or
 * gossip_forged. */
bool gossip_arrived(gossip_t *g, gossip_peer_t *p, bytes_t topic, bytes_t id, size_t size, uint64_t now_ms);
void gossip_forged(gossip_t *g, gossip_peer_t *p, bytes_t topic);
/* False: another copy was faster. Else seen from here on, and gossip_checked follows, after a wait or at
 * once. */
bool gossip_checking(gossip_t *g, gossip_peer_t *p, bytes_t topic, bytes_t id, size_t size, uint64_t now_ms);
/* The verdict; with ACCEPT, m is kept for a while and queued for whom it concerns. m may be NULL otherwise.
 */
void gossip_checked(gossip_t *g, bytes_t id, gossip_verdict_t verdict, gossip_message_t *m, uint64_t now_ms);
/* One of ours. Returns for how many peers it was queued. */
size_t gossip_publish(gossip_t *g, gossip_message_t *m, uint64_t now_ms);

/* ── topics ──────────────────────────────────────────────────────────────────────────────────── */
/* ERR_LIMIT: max_own_topics. Again: no effect. */
MUST_CHECK err_t gossip_subscribe(gossip_t *g, bytes_t topic, uint64_t now_ms);
void gossip_unsubscribe(gossip_t *g, bytes_t topic, uint64_t now_ms);
bool gossip_is_subscribed(const gossip_t *g, bytes_t topic);
/* Connected peers in a topic, or all (topic.data NULL); return false to stop. */
void gossip_each_peer(const gossip_t *g, bytes_t topic, bool (*fn)(void *arg, gossip_peer_t *p), void *arg);
size_t gossip_mesh_size(const gossip_t *g, bytes_t topic);
size_t gossip_meshes_of(const gossip_peer_t *p); /* how many topics have it in their mesh */
bool gossip_in_mesh(const gossip_t *g, const gossip_peer_t *p, bytes_t topic);

/* ── what is to be sent ──────────────────────────────────────────────────────────────────────── */
typedef struct gossip_out {
    enum {
        GOSSIP_SUBSCRIBE,
        GOSSIP_UNSUBSCRIBE,
        GOSSIP_GRAFT,
        GOSSIP_PRUNE,
        GOSSIP_IHAVE,
        GOSSIP_IWANT,
        GOSSIP_IDONTWANT,
        GOSSIP_MESSAGE,
    } kind;
    bytes_t topic;
    bytes_t ids; /* packed; read with gossip_next_id */
    size_t n_ids;
    uint32_t backoff_s; /* of PRUNE; 0: the peer's version has none */
    peer_id_t peers[GOSSIP_PRUNE_PEERS];
    size_t n_peers;
    gossip_message_t *message; /* borrowed */
} gossip_out_t;
/* A peer for which something was queued since it was last returned here; NULL: none. */
gossip_peer_t *gossip_next_ready(gossip_t *g);
/* Control before messages. Valid until the next call for this peer. False: nothing is queued. */
bool gossip_next_out(gossip_t *g, gossip_peer_t *p, gossip_out_t *ret);
/* for (size_t i = 0; gossip_next_id(out.ids, &i, &id);) */
bool gossip_next_id(bytes_t packed, size_t *iter, bytes_t *ret_id);

typedef struct gossip_stat {
    size_t peers, topics, foreign, seen, cached, cached_bytes, live_bytes, gone_peers;
    uint64_t duplicates, dropped; /* dropped: queues were full */
} gossip_stat_t;
void gossip_stat(const gossip_t *g, gossip_stat_t *ret);
#endif

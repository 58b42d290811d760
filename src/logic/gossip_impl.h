/* gossip_impl: the parts of the gossip engine, shared by its files. gossip.c: peers, topics, who is in what;
 * gossip_mesh.c: GRAFT, PRUNE, heartbeat; gossip_flow.c: messages; gossip_ids.c: what was seen, promised,
 * asked for, not wanted; gossip_queue.c: what is to be sent; gossip_score.c: what peers are worth. */
#ifndef LOGIC_GOSSIP_IMPL_H
#define LOGIC_GOSSIP_IMPL_H
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "logic/gossip.h"

typedef struct gossip_topic topic_t;
typedef struct gossip_member member_t;

struct gossip_topic {
    uint32_t refs; /* members, messages, what is queued, and one while it is ours or has a fanout */
    bool is_ours, has_fanout;
    uint64_t published_ms;
    list_t own;     /* in g->own or g->fanouts */
    list_t members; /* of connected peers and of those that left with a bad score */
    size_t n_mesh;
    list_t cache; /* cached_t, oldest first */
    size_t name_len;
    uint8_t name[];
};

/* A peer in a topic of ours: what its score is made of. */
typedef struct member_score {
    uint64_t grafted_ms; /* 0: not in the mesh */
    double first, deliveries, failure, invalid;
    bool is_active; /* has been in the mesh for long enough to be held to its deliveries */
} member_score_t;

struct gossip_member {
    list_t peer_node, topic_node;
    gossip_peer_t *peer;
    topic_t *topic;
    bool is_subscribed, is_foreign, in_mesh, in_fanout;
    uint64_t backoff_ms;   /* until then no GRAFT; 0: none */
    member_score_t *score; /* NULL: nothing to tell yet */
};

/* Ids one behind the other, each with a byte of length in front. */
typedef struct id_list {
    buf_t packed;
    size_t n;
} id_list_t;
bool id_list_add(id_list_t *l, bytes_t id); /* false: full */
void id_list_clear(id_list_t *l);

typedef struct out {
    list_t node;
    uint8_t kind;
    topic_t *topic;
    uint32_t backoff_s;
    bool has_offer;
    id_list_t ids;
    size_t id_bytes; /* charged */
    gossip_message_t *message;
} out_t;

struct gossip_peer {
    list_t node; /* in g->peers or g->gone */
    gossip_t *g;
    uint64_t serial;
    peer_id_t id;
    void *user;
    gossip_version_t version;
    bool is_outbound, is_gone;
    uint64_t gone_ms;
    uint8_t ip_len, ip[16];
    map_t by_topic; /* topic_t* -> member_t */
    list_t members;
    size_t n_foreign, n_mesh; /* topics: that are not ours; in whose mesh it is */
    double behaviour, app_score;
    /* what it said since the last heartbeat */
    uint32_t ihave_rpcs, ihave_ids, dontwant_rpcs;
    bool counted_ihave, counted_dontwant; /* in this RPC */
    id_list_t wanted;                     /* of this RPC's IHAVE */
    map_t asked;                          /* id -> how often it was sent for IWANT */
    map_t dontwant;                       /* id -> heartbeat of its end */
    /* to be sent */
    list_t ready;
    list_t control, messages; /* out_t */
    out_t *current;           /* what gossip_next_out gave last */
    size_t queued_bytes, n_dontwant_outs;
    size_t dontwant_bytes, out_id_bytes; /* charged for ids: those it does not want, those to be sent to it */
};

struct gossip_message {
    gossip_t *g;
    uint32_t refs;
    topic_t *topic;
    uint8_t id_len, author_len;
    uint8_t id[GOSSIP_ID_MAX_BYTES], author[PEER_ID_MAX_BYTES];
    size_t len;
    uint8_t content[];
};

typedef struct cached {
    list_t node, topic_node;
    gossip_message_t *message;
    uint64_t tick;
} cached_t;

/* A message whose verdict is still to come, and who brought it meanwhile; the first of them first. */
enum { CHECK_BEARERS_MAX = 8 };
typedef struct check {
    topic_t *topic; /* a reference */
    peer_id_t from[CHECK_BEARERS_MAX];
    size_t n;
} check_t;

typedef struct seen {
    list_t node;
    uint64_t expires_ms, accepted_ms; /* 0: not accepted */
    check_t *check;                   /* NULL: not being checked */
    uint64_t *bearers;                /* serials of the peers that brought it; kept when deliveries count */
    size_t n_bearers;
    bool is_charged;
    uint8_t id_len, id[];
} seen_t;

typedef struct promise {
    list_t node;
    struct promise *next; /* of the same id */
    gossip_peer_t *peer;
    uint64_t until_ms;
    uint8_t id_len, id[];
} promise_t;

/* Is there room for so many bytes more? They are charged then. */
bool gossip_charge(gossip_t *g, size_t bytes);
void gossip_release(gossip_t *g, size_t bytes);
enum {
    SEEN_BYTES = 192,
    MEMBER_BYTES = 192,
    DONTWANT_BYTES = 96
}; /* what one takes, with its places in maps */

struct gossip {
    gossip_config_t config;
    prng_t prng;
    map_t by_id, topics, by_ip; /* by_ip: address -> count */
    list_t peers, gone, own, fanouts, ready;
    size_t n_peers, n_gone, n_own, n_foreign;
    uint64_t tick, next_heartbeat_ms, next_decay_ms;
    map_t seen; /* id -> seen_t */
    list_t seen_order;
    map_t cache; /* id -> cached_t */
    list_t cache_order;
    size_t cache_bytes, live_bytes;
    map_t promises; /* id -> promise_t, the first of a chain */
    list_t promise_order;
    uint64_t serial;
    gossip_stat_t stat;
};

/* gossip.c */
topic_t *topic_find(const gossip_t *g, bytes_t name);
topic_t *topic_get(gossip_t *g, bytes_t name); /* made when new; a reference */
void topic_release(gossip_t *g, topic_t *t);
static inline bytes_t topic_name(const topic_t *t)
{
    return bytes_of(t->name, t->name_len);
}
member_t *member_find(const gossip_peer_t *p, const topic_t *t);
member_t *member_get(gossip_t *g, gossip_peer_t *p, topic_t *t); /* NULL: a limit */
void member_settle(gossip_t *g, member_t *m, uint64_t now_ms);   /* frees it when it says nothing */
member_score_t *member_score(member_t *m);
typedef bool (*member_test_fn)(const gossip_t *g, const member_t *m, uint64_t now_ms, double than);
/* Up to n members for which the test holds, at random; the count. */
size_t topic_choose(gossip_t *g, topic_t *t, size_t n, member_test_fn test, double than, uint64_t now_ms,
                    member_t **out);

void gossip_housekeeping(gossip_t *g, uint64_t now_ms); /* forgets what says nothing any more */

/* gossip_mesh.c */
void mesh_add(gossip_t *g, member_t *m, uint64_t now_ms);
void mesh_remove(gossip_t *g, member_t *m); /* without a word */
void mesh_join(gossip_t *g, topic_t *t, uint64_t now_ms);
void mesh_leave(gossip_t *g, topic_t *t, uint64_t now_ms);
void fanout_fill(gossip_t *g, topic_t *t, uint64_t now_ms);
void fanout_drop(gossip_t *g, topic_t *t, uint64_t now_ms);

/* gossip_ids.c */
seen_t *seen_find(const gossip_t *g, bytes_t id);
seen_t *seen_add(gossip_t *g, bytes_t id, uint64_t now_ms);
void seen_touch(gossip_t *g, seen_t *s, uint64_t now_ms);
void seen_free(gossip_t *g, seen_t *s);
void seen_expire(gossip_t *g, uint64_t now_ms);
void cache_put(gossip_t *g, gossip_message_t *m);
void cache_shift(gossip_t *g);
void cache_clear(gossip_t *g);
void promise_keep(gossip_t *g, bytes_t id); /* it came */
void promise_forget_peer(gossip_t *g, gossip_peer_t *p);
void promise_expire(gossip_t *g, uint64_t now_ms);
void promise_clear(gossip_t *g);
bool dontwant_has(const gossip_peer_t *p, bytes_t id);
void dontwant_clear(gossip_t *g, gossip_peer_t *p); /* the map is to be made anew */
void ids_heartbeat(gossip_t *g, gossip_peer_t *p);
void gossip_emit(gossip_t *g, topic_t *t, uint64_t now_ms); /* IHAVE */

/* gossip_queue.c */
void queue_topic(gossip_peer_t *p, int kind, topic_t *t);
void queue_prune(gossip_peer_t *p, topic_t *t, uint32_t backoff_ms, bool has_offer);
/* t NULL but for IHAVE. How many of them, the first ones, found room. */
size_t queue_ids(gossip_peer_t *p, int kind, topic_t *t, const id_list_t *ids);
void queue_id(gossip_peer_t *p, int kind, bytes_t id);
bool queue_message(gossip_peer_t *p, gossip_message_t *m); /* false: it is full */
void queue_clear(gossip_peer_t *p);

/* gossip_score.c */
void score_grafted(gossip_t *g, member_t *m, uint64_t now_ms);
void score_left_mesh(gossip_t *g, member_t *m);
void score_first(gossip_t *g, gossip_peer_t *p, topic_t *t);
void score_again(gossip_t *g, gossip_peer_t *p, topic_t *t, seen_t *s, uint64_t now_ms);
void score_invalid(gossip_t *g, gossip_peer_t *p, topic_t *t);
void score_decay(gossip_t *g, uint64_t now_ms);
void score_ip_add(gossip_t *g, gossip_peer_t *p, bytes_t ip);
void score_ip_remove(gossip_t *g, gossip_peer_t *p);
#endif

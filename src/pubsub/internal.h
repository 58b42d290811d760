/* internal: the parts of pubsub, shared by its files. pubsub.c: start, close, peers; send.c: what goes out;
 * hear.c: what comes in; offers.c: peers that others offer; discover.c: those that a directory
 * knows; topics.c: subscriptions, publishing; seqnos.c:
 * what authors said last. */
#ifndef PUBSUB_INTERNAL_H
#define PUBSUB_INTERNAL_H
#include "base/map.h"
#include "base/metrics.h"
#include "pubsub/pubsub.h"
#include "wire/pubsub.h"

enum {
    PUBSUB_INBOUND_MAX_PER_PEER = 4,
    PUBSUB_BODY_TIMEOUT_MS = 30000, /* of one RPC that has begun */
    PUBSUB_OPEN_TIMEOUT_MS = 10000,
    PUBSUB_SEND_TIMEOUT_MS = 30000,
    PUBSUB_RETRY_MS = 2000,
    PUBSUB_RETRIES_MAX = 4,
    PUBSUB_QUEUE_MAX = 256, /* messages that wait for one subscription … */
    PUBSUB_QUEUE_MAX_BYTES = 4 << 20,
    PUBSUB_SUBSCRIPTIONS_MAX = 16384,
    PUBSUB_OFFERS_MAX = 8, /* tasks that try offered peers */
    PUBSUB_CONNECT_TIMEOUT_MS = 30000,
    PUBSUB_SAVE_MS = 5000,
};

/* A connected peer, or one that left while tasks still refer to it. */
typedef struct ps_peer {
    list_t node;
    pubsub_t *ps;
    peer_id_t id;
    gossip_peer_t *gossip; /* NULL: does not speak pubsub, has left, or cannot be written to */
    bool is_gone, is_sending, had_stream;
    bool is_tagged; /* in a mesh: its connection is worth more than others */
    uint32_t refs, failures;
    stream_t *out; /* used by its sender task alone */
} ps_peer_t;

typedef struct ps_inbound {
    list_t node;
    stream_t *stream;
} ps_inbound_t;

/* A topic that somebody here follows or validates. */
typedef struct ps_topic {
    list_t subscriptions;
    pubsub_validator_fn validator;
    void *validator_arg;
    /* discover.c */
    bool is_discovering;
    uint64_t advertise_ms, search_ms; /* when it is due next */
    uint32_t failures, searches;      /* in a row */
    size_t name_len;
    uint8_t name[];
} ps_topic_t;

struct pubsub_subscription {
    list_t node;
    pubsub_t *ps; /* NULL: closed */
    ps_topic_t *topic;
    bool is_quiet; /* takes no messages */
    list_t queue;  /* queued_t */
    size_t n_queued, queued_bytes;
    event_t changed;
};

typedef struct ps_author {
    list_t node; /* the one heard of longest ago first */
    peer_id_t id;
    /* newest: the highest so far; floor: what must be exceeded; rising: the floor after the next turn */
    uint64_t newest, rising, floor, turned_ms;
    bool is_dirty;
} ps_author_t;

struct pubsub {
    pubsub_config_t config;
    sched_t *sched;
    group_t group;
    host_listener_t listener;
    limit_t limit; /* of what gossip holds */
    gossip_t *gossip;
    map_t by_id; /* peer id -> ps_peer_t */
    list_t peers, inbound;
    event_t inbound_gone, new_topic;
    bool is_closing;
    runnable_t pump;
    sched_alarm_t alarm;
    map_t topics; /* name -> ps_topic_t */
    size_t n_subscriptions, n_offers;
    void (*joined)(void *arg, bytes_t topic, const peer_id_t *peer);
    void *joined_arg;
    /* seqnos.c */
    map_t authors; /* peer id -> ps_author_t */
    list_t author_order;
    uint64_t own_seqno;
    bool is_saving, will_save;
    sched_alarm_t save_alarm;
    pubsub_stat_t stat;
    metric_t *metric_received, *metric_published;
};

/* pubsub.c */
ps_peer_t *ps_peer_ref(ps_peer_t *p);
void ps_peer_release(ps_peer_t *p);
void ps_pump(pubsub_t *ps); /* sends what came up, soon */
/* It is no peer of the mesh any more. */
void ps_peer_drop(ps_peer_t *p);

/* send.c */
void ps_kick_sender(ps_peer_t *p);

/* hear.c */
err_t ps_hear_stream(task_t *t, ps_peer_t *p, conn_t *from, stream_t *s);

/* offers.c */
void ps_try_offers(pubsub_t *ps, const pubsub_item_t *prune);

/* discover.c */
err_t ps_discover_task(task_t *t, void *pubsub);

/* topics.c */
ps_topic_t *ps_topic_find(pubsub_t *ps, bytes_t name);
void ps_deliver(pubsub_t *ps, const pubsub_message_t *m, const peer_id_t *author);
void ps_topics_close(pubsub_t *ps);
gossip_verdict_t ps_validate(task_t *t, pubsub_t *ps, const peer_id_t *via, const pubsub_message_t *m);
/* As it is sent on; NULL: too many topics. */
gossip_message_t *ps_message(pubsub_t *ps, const pubsub_message_t *m, bytes_t id);

/* seqnos.c */
void ps_seqnos_init(pubsub_t *ps);
void ps_seqnos_close(task_t *t, pubsub_t *ps);
/* Is it new from this author? Then it is remembered. Waits when nothing is known of the author. */
bool ps_seqno_take(task_t *t, pubsub_t *ps, const peer_id_t *author, uint64_t seqno);
uint64_t ps_seqno_next(pubsub_t *ps);
#endif

/* pubsub: publish/subscribe with other nodes: gossipsub 1.2 down to floodsub. Spec: libp2p/specs pubsub;
 * go-libp2p-pubsub 0.16 as the reference peer. The mesh is decided in logic/gossip, the messages are in
 * wire/pubsub; here are the streams, the signatures and who listens.
 *
 * A message is signed by its author, is checked by the topic's validator when there is one, and must have a
 * higher sequence number than what its author said longer ago than messages are remembered: so it cannot be
 * replayed. Each subscription has a bounded queue; who reads too slowly loses what comes newly, never memory.
 * All calls on the loop thread. */
#ifndef PUBSUB_PUBSUB_H
#define PUBSUB_PUBSUB_H
#include "logic/gossip.h"
#include "net/host.h"

#define PUBSUB_DATA_MAX_BYTES ((1u << 20) - 4096) /* of one message */
#define PUBSUB_AUTHORS_MAX 8192                   /* whose sequence numbers are in memory */

typedef struct pubsub pubsub_t;
typedef struct pubsub_subscription pubsub_subscription_t;

typedef struct pubsub_seqno {
    peer_id_t author;
    uint64_t seqno;
} pubsub_seqno_t;

typedef bool (*pubsub_found_fn)(void *found_arg, const peer_id_t *peer, const multiaddr_t *addrs, size_t n);
typedef struct pubsub_config {
    host_t *host;             /* borrowed */
    const private_key_t *key; /* borrowed; signs what is published */
    bool is_floodsub;         /* Pubsub.Router */
    bool signs;               /* else messages carry no signature, and those that do are refused */
    uint32_t seen_ttl_ms;     /* Pubsub.SeenMessagesTTL */
    bool seen_by_first;       /* Pubsub.SeenMessagesStrategy */
    bool offers_peers;        /* peer exchange: for well connected nodes */
    /* Where the sequence numbers outlive the process. May be NULL, all of them. They may wait. */
    err_t (*load_seqno)(task_t *t, void *arg, const peer_id_t *author, uint64_t *ret); /* ERR_NOT_FOUND */
    err_t (*save_seqnos)(task_t *t, void *arg, const pubsub_seqno_t *seqnos, size_t n);
    void *arg;
    /* A directory of who follows a topic: lets it know that we do, for three hours; asks it for others, until
     * `found` says false. May be NULL, both: the connected peers alone are known. They may wait. */
    err_t (*advertise)(task_t *t, void *directory, bytes_t topic);
    err_t (*find_peers)(task_t *t, void *directory, bytes_t topic, pubsub_found_fn found, void *found_arg);
    void *directory;
} pubsub_config_t;
void pubsub_config_default(pubsub_config_t *ret);
MUST_CHECK err_t pubsub_start(task_t *t, const pubsub_config_t *c, pubsub_t **ret);
/* Its subscriptions are closed before, or get ERR_CLOSED from now on. */
void pubsub_close(task_t *t, pubsub_t *ps); /* NULL is fine */

/* ── messages ────────────────────────────────────────────────────────────────────────────────── */
/* Reference counted: one for all subscriptions. */
typedef struct pubsub_received {
    uint32_t refs;
    peer_id_t author;
    bytes_t topic, data, seqno;
} pubsub_received_t;
void pubsub_received_release(pubsub_received_t *r); /* NULL is fine */
AUTO_PTR_DEFINE(pubsub_received_t, pubsub_received_release)

/* ERR_LIMIT: too many topics or subscriptions; ERR_INVALID: the topic is too long, or empty. */
MUST_CHECK err_t pubsub_subscribe(pubsub_t *ps, bytes_t topic, pubsub_subscription_t **ret);
/* The same without a queue: a topic whose validator takes what it needs. */
MUST_CHECK err_t pubsub_join(pubsub_t *ps, bytes_t topic, pubsub_subscription_t **ret);
void pubsub_unsubscribe(pubsub_subscription_t *s); /* NULL is fine */
/* The next message, own ones too. Waits. ERR_CLOSED. */
MUST_CHECK err_t pubsub_receive(task_t *t, pubsub_subscription_t *s, pubsub_received_t **ret);
/* ERR_LIMIT: the data is too long; ERR_INVALID: the topic, or its validator refused. */
MUST_CHECK err_t pubsub_publish(task_t *t, pubsub_t *ps, bytes_t topic, bytes_t data);

/* ── topics and peers ────────────────────────────────────────────────────────────────────────── */
/* May wait. `via` is the peer that brought it; NULL: we publish it. */
typedef gossip_verdict_t (*pubsub_validator_fn)(task_t *t, void *arg, const peer_id_t *via, bytes_t data);
/* Asked about every message of the topic, until set to NULL; calls that are under way go on. ERR_LIMIT. */
MUST_CHECK err_t pubsub_set_validator(pubsub_t *ps, bytes_t topic, pubsub_validator_fn fn, void *arg);
/* Told of each peer that joins a topic of ours, also of those that are in it when we join. Must not wait. */
void pubsub_on_joined(pubsub_t *ps, void (*fn)(void *arg, bytes_t topic, const peer_id_t *peer), void *arg);
void pubsub_each_topic(pubsub_t *ps, bool (*fn)(void *arg, bytes_t topic),
                       void *arg); /* those subscribed to */
/* Connected peers in the topic; with topic.data NULL all that speak pubsub. */
void pubsub_each_peer(pubsub_t *ps, bytes_t topic, bool (*fn)(void *arg, const peer_id_t *peer), void *arg);
/* Puts what authors said last through save_seqnos now. */
MUST_CHECK err_t pubsub_save_seqnos(task_t *t, pubsub_t *ps);
/* Forgets what this author (NULL: all) said last, in memory. Returns of how many. */
size_t pubsub_forget_seqnos(pubsub_t *ps, const peer_id_t *author);

typedef struct pubsub_stat {
    uint64_t received, invalid, ignored, published, lost; /* lost: subscriptions were full */
    gossip_stat_t mesh;
} pubsub_stat_t;
void pubsub_stat(const pubsub_t *ps, pubsub_stat_t *ret);
#endif

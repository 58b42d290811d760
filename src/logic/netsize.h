/* netsize: how many nodes the network has, from how far apart the peers are that lookups find, as an engine.
 * Keys are spread evenly, so the k-th closest peer of a random target lies at about k / n of the key space.
 * The median of many lookups counts, so that some crowded places do not sway it. Prior art: go-libp2p-kad-dht
 * netsize, which fits a line through all k distances. */
#ifndef LOGIC_NETSIZE_H
#define LOGIC_NETSIZE_H
#include "logic/kad_key.h"

enum { NETSIZE_SAMPLES = 64, NETSIZE_LEAST = 5, NETSIZE_MAX_AGE_MS = 2 * 3600 * 1000 };
typedef struct netsize {
    size_t k;
    struct {
        double share; /* of the key space, from the target to the k-th closest */
        uint64_t at_ms;
    } samples[NETSIZE_SAMPLES];
    size_t n, next;
} netsize_t;
void netsize_init(netsize_t *s, size_t k);
/* A lookup that was completed: its closest peers, the closest first. Fewer than k are passed over. */
void netsize_feed(netsize_t *s, const kad_key_t *target, const peer_id_t *closest, size_t n, uint64_t now_ms);
/* 0: too few lookups to say. */
double netsize_estimate(const netsize_t *s, uint64_t now_ms);

/* How far apart two keys are, as a share of the key space: 0 to 1. */
double kad_share(const kad_key_t *a, const kad_key_t *b);

/* Announcing without waiting for the end of the lookup (probabilities of the gamma distribution, k 20; as
 * go-libp2p-kad-dht's optimistic provide has them), in shares of the key space times the network's size: a
 * peer nearer than NEAR is one of the k closest with a certainty of 0.9; when the k closest that are known
 * are nearer than SET on average, there are hardly closer ones. */
#define NETSIZE_NEAR 14.53
#define NETSIZE_SET 15.41
#endif

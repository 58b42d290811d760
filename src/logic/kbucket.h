/* kbucket: the Kademlia routing table of one DHT, as an engine.
 *
 * Entries live in buckets by the common prefix length of their key with ours. A bucket holds at most
 * `bucket_size` entries. What happens when a peer is offered:
 *
 *   known ------------------------------------------------> KBUCKET_PRESENT
 *   ourselves, over the table's or group's limit ----------> KBUCKET_REFUSED
 *   room in the bucket ------------------------------------> KBUCKET_ADDED
 *   full, an entry is replaceable -------------------------> KBUCKET_ADDED (that entry is dropped)
 *   full, an entry was not useful for `useful_grace_ms` ---> KBUCKET_PENDING: event CHECK(entry);
 *        kbucket_checked(entry, dead) puts the newcomer in its place, (entry, alive) forgets it
 *   full of useful entries --------------------------------> KBUCKET_FULL
 *
 * So a peer that has been with us and answers is never displaced by a newcomer (the Kademlia paper,
 * section 2.4; go-libp2p-kbucket has the same effect). Peers of one IP group (see kbucket_group) are
 * limited per bucket and per table, so that one network cannot fill the table; group 0 means no limit.
 * Buckets are refreshed by age. No I/O, no clock: the time is a parameter. */
#ifndef LOGIC_KBUCKET_H
#define LOGIC_KBUCKET_H
#include "base/list.h"
#include "base/map.h"
#include "logic/kad_key.h"
#include "multi/multiaddr.h"

/* Keys with longer common prefixes cannot be made by trying, so deeper buckets are not refreshed on their
 * own; looking for ourselves covers them. */
#define KBUCKET_MAX_REFRESH_PREFIX 15

typedef struct kbucket_config {
    size_t bucket_size;        /* 20 */
    size_t max_entries;        /* of the whole table */
    size_t group_max;          /* entries of one IP group in the table, 3; 0: no limit */
    size_t group_bucket_max;   /* and in one bucket, 2; 0: no limit */
    uint64_t useful_grace_ms;  /* an entry idle for longer is checked before it keeps its place */
    uint64_t refresh_after_ms; /* 10 min */
    uint64_t check_timeout_ms; /* an unanswered check counts as dead after this */
} kbucket_config_t;
void kbucket_config_default(kbucket_config_t *ret);

typedef struct kbucket_entry {
    list_t node;
    peer_id_t peer;
    kad_key_t key;
    uint64_t group;
    uint64_t added_ms, last_useful_ms, checking_until_ms; /* the last: 0 when no check is under way */
    bool is_replaceable;                                  /* came while the table was being filled */
} kbucket_entry_t;

typedef struct kbucket_slot {
    list_t entries; /* the most recently useful first */
    size_t count;
    uint64_t refreshed_ms;    /* 0: never */
    kbucket_entry_t *pending; /* owned; waits for the check of an entry */
    peer_id_t pending_for;    /* the entry that is being checked */
} kbucket_slot_t;

typedef struct kbucket {
    kbucket_config_t config;
    kad_key_t self;
    kbucket_slot_t *slots; /* KAD_KEY_BITS of them */
    map_t by_peer;         /* peer id -> kbucket_entry_t */
    map_t by_group;        /* group -> count */
    list_t checks;         /* check_t: peers to check */
    size_t check_count;
} kbucket_t;

void kbucket_init(kbucket_t *kb, const kbucket_config_t *config, const peer_id_t *self);
void kbucket_deinit(kbucket_t *kb); /* idempotent */

typedef enum {
    KBUCKET_ADDED,
    KBUCKET_PRESENT,
    KBUCKET_PENDING,
    KBUCKET_FULL,
    KBUCKET_REFUSED
} kbucket_result_t;
/* Offers a peer that speaks the protocol and has answered. group: kbucket_group of its connection. */
kbucket_result_t kbucket_add(kbucket_t *kb, const peer_id_t *peer, uint64_t group, bool is_replaceable,
                             uint64_t now_ms);
/* It answered a request of ours. Unknown peers are ignored. */
void kbucket_useful(kbucket_t *kb, const peer_id_t *peer, uint64_t now_ms);
bool kbucket_remove(kbucket_t *kb, const peer_id_t *peer); /* false: was not there */
void kbucket_keep_all(kbucket_t *kb);                      /* the table is filled: nothing is replaceable */
const kbucket_entry_t *kbucket_get(const kbucket_t *kb, const peer_id_t *peer);
size_t kbucket_count(const kbucket_t *kb);
size_t kbucket_bucket_count(const kbucket_t *kb, size_t prefix_len);
/* Fills out with the entries closest to the key, the closest first; returns how many. except may be NULL. */
size_t kbucket_closest(const kbucket_t *kb, const kad_key_t *key, const peer_id_t *except, peer_id_t *out,
                       size_t cap);
/* Visits all, bucket by bucket, until fn says stop. fn must not change the table. */
void kbucket_each(const kbucket_t *kb, bool (*fn)(void *arg, size_t prefix_len, const kbucket_entry_t *e),
                  void *arg);

/* A peer whose liveness is to be checked (a request to it), then told with kbucket_checked. */
bool kbucket_next_check(kbucket_t *kb, peer_id_t *ret_peer);
void kbucket_checked(kbucket_t *kb, const peer_id_t *peer, bool is_alive, uint64_t now_ms);
/* Asks for checks of all entries that were not useful for the grace time, and gives up overdue checks. */
void kbucket_tick(kbucket_t *kb, uint64_t now_ms);

/* The next bucket whose age is over the limit, lowest first; buckets behind the deepest one that has
 * entries (plus one) are not refreshed. False when none is due. */
bool kbucket_refresh_due(const kbucket_t *kb, uint64_t now_ms, size_t *ret_prefix_len);
void kbucket_refreshed(kbucket_t *kb, size_t prefix_len, uint64_t now_ms);

/* The IP group of an address: /16 of IPv4, /32 of IPv6; 0 (no limit) for private, loopback and other
 * addresses. */
uint64_t kbucket_group(const multiaddr_t *addr);
#endif

/* naming: what mutable names mean: /ipns/NAME[/rest] to /ipfs/CID/rest. NAME is an IPNS name (a peer ID as
 * base58 or as a libp2p-key CID in any base) or a domain with a DNSLink record. Spec: ipfs/specs
 * src/ipns/ipns-record.md, src/http-gateways/dnslink-gateway.md; dnslink.dev; reference ipfs/boxo namesys.
 *
 * It answers in both states of a node: offline from its own records, the cache and DNS; online from the DHT,
 * too. What it publishes is in the state database (space "ipns"), durable before it goes out, and is signed
 * and sent out again each republish period. Answers are cached by their TTL, at most
 * naming_config_t.max_cache_ttl_ms. */
#ifndef NAMING_NAMING_H
#define NAMING_NAMING_H
#include "naming/dns_label.h"
#include "naming/name.h"
#include "net/host.h"
#include "pubsub/pubsub.h"
#include "routing/routing.h"
#include "store/keystore.h"
#include "store/kv.h"

enum {
    NAMING_DEPTH = 32,         /* names on the way to content */
    NAMING_DEPTH_NO_LIMIT = 0, /* still ends: at NAMING_STEPS_MAX */
    NAMING_STEPS_MAX = 1024,
    NAMING_RECORD_COUNT = 16, /* records of the DHT that the newest is chosen from */
    NAMING_DHT_TIMEOUT_MS = 60 * 1000,
    NAMING_TTL_MS = 5 * 60 * 1000,         /* of what is published */
    NAMING_LIFETIME_MS = 48 * 3600 * 1000, /* of what is published */
    NAMING_REPUBLISH_MS = 4 * 3600 * 1000,
    NAMING_PATH_MAX_BYTES = 16 << 10,
    NAMING_RECORD_MAX_BYTES = 10 << 10,
};

typedef struct naming naming_t;

/* ── life: the node's business ───────────────────────────────────────────────────────────────── */
typedef struct naming_config {
    kv_t *state; /* this and the next two are borrowed until naming_close */
    keystore_t *keys;
    const private_key_t *self;
    size_t cache_size;         /* names; 0: no cache. Ipns.ResolveCacheSize (128) */
    uint64_t max_cache_ttl_ms; /* Ipns.MaxCacheTTL; UINT64_MAX: what the record says */
    uint64_t max_dns_ttl_ms;   /* DNS.MaxCacheTTL; UINT64_MAX: what DNS says */
    uint64_t lifetime_ms;      /* Ipns.RecordLifetime, of records that are sent out again */
    uint64_t republish_ms;     /* Ipns.RepublishPeriod; 0: never */
    const char *static_map;    /* "domain:/ipfs/CID,…" ($IPFS_NS_MAP); NULL: none; copied */
} naming_config_t;
void naming_config_default(naming_config_t *ret);
/* ERR_USAGE: the static map cannot be read. */
MUST_CHECK err_t naming_open(sched_t *s, const naming_config_t *c, naming_t **ret);
/* Publishes and looks up through `r` from now on, takes records of others for it (its /ipns/ validator), and
 * starts to send out own records again. `r` is borrowed until naming_close. */
MUST_CHECK err_t naming_go_online(naming_t *n, routing_t *r);
/* Names that are asked about or published are followed over pubsub from now on: new records come by
 * themselves. Both are borrowed until naming_close. */
MUST_CHECK err_t naming_use_pubsub(naming_t *n, pubsub_t *ps, host_t *h);
bool naming_uses_pubsub(const naming_t *n);
void naming_each_followed(naming_t *n, bool (*fn)(void *arg, const peer_id_t *name), void *arg);
bool naming_unfollow(naming_t *n, const peer_id_t *name); /* false: it was not followed */
void naming_close(task_t *t, naming_t *n);                /* NULL is fine; stops what runs */

/* ── resolving ───────────────────────────────────────────────────────────────────────────────── */
typedef struct naming_options {
    uint32_t depth;          /* 1: one step; NAMING_DEPTH_NO_LIMIT */
    bool skips_cache;        /* asks anew; what is found is cached all the same */
    bool is_offline;         /* no DHT; own records, cache, static map and DNS answer */
    uint32_t record_count;   /* how many records of the DHT are enough */
    uint64_t dht_timeout_ms; /* for each IPNS name; 0: none */
    /* Told each path to content that a record of the DHT gives on the way to the answer, each better than
     * those before; the answer itself may be the last of them. Must not wait. NULL: nobody. */
    void (*found)(void *arg, const char *path);
    void *found_arg;
} naming_options_t;
void naming_options_default(naming_options_t *ret);

typedef struct naming_answer {
    buf_t path; /* "/ipfs/CID/rest", or "/ipns/NAME/rest" when the depth ended */
    uint64_t
        ttl_ms; /* how long it may be kept: the least of all steps, never past a record's end; 0: unknown */
    uint64_t found_wall_ms; /* when the oldest of the steps was asked: for Last-Modified */
    bool has_ttl;           /* false: no step said (DNS of the static map) */
    bool is_incomplete;     /* the path is under /ipns/ still, because of `depth` */
} naming_answer_t;
void naming_answer_deinit(naming_answer_t *a);
AUTO_DEFINE(naming_answer_t, naming_answer_deinit)
/* path: "/ipns/NAME[/rest]", "ipns://NAME[/rest]", or a path under /ipfs/, which is its own answer. What
 * stands behind the name is carried along as it is. options may be NULL: the defaults. With a depth that
 * ended before the content was reached the answer says is_incomplete; at the default depth it is ERR_LIMIT
 * ("recursion limit exceeded"). ERR_INVALID: not such a path, or NAME is neither; ERR_NOT_FOUND: the name has
 * no record, or the domain no DNSLink; ERR_TIMEOUT; ERR_CRYPTO, ERR_INVALID: the record is not good; those of
 * dns_resolve. Suspends. */
MUST_CHECK err_t naming_resolve(task_t *t, naming_t *n, const char *path, const naming_options_t *options,
                                naming_answer_t *ret);
/* The newest valid record of a name, as it is on the wire: ours, the DHT's. ERR_NOT_FOUND, ERR_TIMEOUT.
 * Suspends. */
MUST_CHECK err_t naming_get_record(task_t *t, naming_t *n, const peer_id_t *name,
                                   const naming_options_t *options, buf_t *out);
/* Does the domain have a DNSLink? Cached by the answer's TTL, also when it has none. Suspends. */
MUST_CHECK err_t naming_has_dnslink(task_t *t, naming_t *n, const char *domain, bool *ret);

/* ── publishing ──────────────────────────────────────────────────────────────────────────────── */
typedef struct naming_publish {
    uint64_t lifetime_ms, ttl_ms; /* defaults above */
    uint64_t sequence;            /* with has_sequence: must be above the newest known */
    bool has_sequence;
    bool is_v2_only;   /* without the fields of V1 */
    bool is_local;     /* kept here, not sent out: --allow-offline of an offline node */
    bool is_delegated; /* given to Ipns.DelegatedPublishers alone, with or without peers */
} naming_publish_t;
void naming_publish_default(naming_publish_t *ret);
/* Signs a record for `value` (a content path), keeps it, and, online, puts it to the peers closest to the
 * name. The sequence goes up when the value differs from the newest record that is known. When no peer is
 * known, or is_local, it is kept, that is OK, and it goes out as soon as there are some. ERR_OFFLINE: not
 * online, and not is_local. ERR_INVALID: the path, the sequence; ERR_EXISTS: the node holds a better record;
 * ERR_UNREACHABLE: nobody took it (it is kept and sent out again). Suspends. */
MUST_CHECK err_t naming_publish(task_t *t, naming_t *n, const private_key_t *key, const char *value,
                                const naming_publish_t *options);
/* A record that somebody signed: validated and sent out; without peers it is kept for this node's own
 * answers. ERR_INVALID, ERR_CRYPTO, ERR_UNREACHABLE, ERR_EXISTS (a better one is known). Suspends. */
MUST_CHECK err_t naming_put_record(task_t *t, naming_t *n, const peer_id_t *name, bytes_t record);
/* The same through Ipns.DelegatedPublishers alone; ERR_UNREACHABLE: none took it, ERR_OFFLINE. */
MUST_CHECK err_t naming_delegate_record(task_t *t, naming_t *n, const peer_id_t *name, bytes_t record);
/* The key of this name has been removed: what was published with it is no longer the last word here, nor sent
 * out again. Suspends. */
MUST_CHECK err_t naming_disown(task_t *t, naming_t *n, const peer_id_t *name);
/* The key of that name: "self", a name of the keystore, or a peer ID of one of them. The caller frees it.
 * ERR_NOT_FOUND. Suspends. */
MUST_CHECK err_t naming_find_key(task_t *t, naming_t *n, const char *name, private_key_t **ret);
#endif

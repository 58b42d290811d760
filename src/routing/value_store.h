/* value_store: records that others put here (and ours), in the space "dht-values" of the state database, key
 * SHA-256(record key). Only keys "/NAMESPACE/…" with a registered validator are taken (CVE-2026-45783: peers
 * that took anything had their disks filled); a better record replaces a worse one, never the other way. A
 * record lives 48 h after it was put. Caps: size, new records of one peer in an hour, all that others
 * brought; our own always find room. */
#ifndef ROUTING_VALUE_STORE_H
#define ROUTING_VALUE_STORE_H
#include "base/map.h"
#include "logic/kad_key.h"
#include "routing/routing.h"
#include "store/kv.h"

enum {
    VALUE_KEY_MAX_BYTES = 256,
    VALUE_MAX_BYTES = 10 * 1024, /* the limit of IPNS records */
    VALUE_MAX_NAMESPACES = 8,
    VALUE_NAMESPACE_CHARS = 32
};
typedef struct value_limits {
    size_t max_per_peer, max_total;
    uint64_t ttl_ms;
} value_limits_t;
void value_limits_default(value_limits_t *ret);

typedef struct value_store {
    kv_t *kv; /* borrowed */
    value_limits_t limits;
    struct {
        char name[VALUE_NAMESPACE_CHARS];
        record_validator_t validator;
    } spaces[VALUE_MAX_NAMESPACES];
    size_t n_spaces;
    map_t by_peer; /* peer id -> how many new records it brought in this window */
    uint64_t window_ends_ms;
    size_t total;
    bool is_counted;
    uint64_t count_again_ms; /* when it is full: not before */
} value_store_t;

/* Has the /pk/ validator from the start: the value is the public key of the peer id in the key. */
void value_store_init(value_store_t *s, kv_t *kv, const value_limits_t *limits);
void value_store_deinit(value_store_t *s);
MUST_CHECK err_t value_store_set_validator(value_store_t *s, const char *name_space,
                                           const record_validator_t *v); /* replaces; ERR_LIMIT */
/* ERR_UNSUPPORTED: no validator for its namespace; ERR_LIMIT: too long; what the validator says. */
MUST_CHECK err_t value_store_validate(const value_store_t *s, bytes_t key, bytes_t value);
/* Is a better than b, both valid? */
bool value_store_is_better(const value_store_t *s, bytes_t key, bytes_t a, bytes_t b);
/* Validates and keeps. from: the peer that put it; a zero id for ourselves. ERR_EXISTS: there is a better
 * one. Suspends. */
MUST_CHECK err_t value_store_put(task_t *t, value_store_t *s, const peer_id_t *from, bytes_t key,
                                 bytes_t value);
/* The value, and when it was put (ms since 1970). ERR_NOT_FOUND, also when it is not valid any more.
 * Suspends. */
MUST_CHECK err_t value_store_get(task_t *t, value_store_t *s, bytes_t key, buf_t *out, uint64_t *ret_wall_ms);
#endif

#include "logic/tombstones.h"
#include "base/map.h"
#include <stdlib.h>

enum { BUCKET_BITS = 8, BUCKETS = 1 << BUCKET_BITS };

typedef struct bucket {
    kad_key_t *keys; /* ascending */
    size_t n, cap;
    uint64_t digest;
} bucket_t;
struct tombstones {
    size_t count, max;
    uint64_t digest;
    bucket_t buckets[BUCKETS];
};

tombstones_t *tombstones_new(size_t max)
{
    tombstones_t *s = xcalloc(1, sizeof *s);
    s->max = max;
    return s;
}

void tombstones_free(tombstones_t *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        free(s->buckets[i].keys);
    free(s);
}

kad_key_t tombstone_key(const cid_t *root)
{
    uint8_t multihash[CID_BINARY_MAX];
    return kad_key_of(bytes_of(multihash, cid_encode_multihash(root, multihash)));
}

static size_t bucket_of(const kad_key_t *key)
{
    return key->data[0]; /* BUCKET_BITS */
}

static int compare(const kad_key_t *a, const kad_key_t *b)
{
    return memcmp(a->data, b->data, KAD_KEY_BYTES);
}

static uint64_t digest_of(const kad_key_t *key)
{
    static const uint8_t fixed[16] = "tombstones-sum1";
    return siphash24(fixed, bytes_of(key->data, KAD_KEY_BYTES));
}

/* The first place in the bucket whose key is not less. */
static size_t place_of(const bucket_t *b, const kad_key_t *key)
{
    size_t low = 0, high = b->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(&b->keys[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool tombstones_has(const tombstones_t *s, const kad_key_t *key)
{
    const bucket_t *b = &s->buckets[bucket_of(key)];
    size_t at = place_of(b, key);
    return at < b->n && kad_key_equal(&b->keys[at], key);
}

bool tombstones_has_root(const tombstones_t *s, const cid_t *root)
{
    kad_key_t key = tombstone_key(root);
    return tombstones_has(s, &key);
}

/* True: it was not there. */
static bool insert(tombstones_t *s, const kad_key_t *key, size_t max)
{
    bucket_t *b = &s->buckets[bucket_of(key)];
    size_t at = place_of(b, key);
    if ((at < b->n && kad_key_equal(&b->keys[at], key)) || s->count >= max)
        return false;
    if (b->n == b->cap) {
        b->cap = b->cap ? b->cap + b->cap / 2 + 1 : 2;
        b->keys = xrealloc(b->keys, b->cap * sizeof *b->keys);
    }
    memmove(&b->keys[at + 1], &b->keys[at], (b->n - at) * sizeof *b->keys);
    b->keys[at] = *key;
    b->n++;
    b->digest += digest_of(key);
    s->digest += digest_of(key);
    s->count++;
    return true;
}

err_t tombstones_add(tombstones_t *s, const kad_key_t *key, bool *ret_is_new)
{
    *ret_is_new = insert(s, key, s->max);
    return *ret_is_new || tombstones_has(s, key)
               ? OK
               : fail(ERR_LIMIT, "%zu deleted files are known, the limit", s->max);
}

void tombstones_restore(tombstones_t *s, const kad_key_t *key)
{
    insert(s, key, SIZE_MAX);
}

size_t tombstones_count(const tombstones_t *s)
{
    return s->count;
}

size_t tombstones_room(const tombstones_t *s)
{
    return s->count < s->max ? s->max - s->count : 0;
}

/* The least key of the prefix. */
static kad_key_t first_key(const kad_prefix_t *p)
{
    kad_key_t key = {{0}};
    memcpy(key.data, p->key.data, p->len / 8);
    if (p->len % 8)
        key.data[p->len / 8] = (uint8_t)(p->key.data[p->len / 8] & 0xff00 >> p->len % 8);
    return key;
}

void tombstones_digest(const tombstones_t *s, const kad_prefix_t *prefix, uint64_t *ret_count,
                       uint64_t *ret_digest)
{
    uint64_t count = 0, digest = 0;
    kad_key_t first = first_key(prefix);
    const bucket_t *b = &s->buckets[bucket_of(&first)];
    if (!prefix->len) {
        count = s->count;
        digest = s->digest;
    } else if (prefix->len <= BUCKET_BITS) {
        for (size_t n = (size_t)1 << (BUCKET_BITS - prefix->len); n; n--, b++) {
            count += b->n;
            digest += b->digest;
        }
    } else {
        for (size_t i = place_of(b, &first); i < b->n && kad_prefix_has(prefix, &b->keys[i]); i++) {
            count++;
            digest += digest_of(&b->keys[i]);
        }
    }
    *ret_count = count;
    *ret_digest = digest;
}

size_t tombstones_list(const tombstones_t *s, const kad_prefix_t *prefix, const kad_key_t *after,
                       kad_key_t *out, size_t cap)
{
    kad_key_t first = first_key(prefix);
    size_t n = 0;
    if (after && compare(after, &first) > 0)
        first = *after;
    for (size_t i = bucket_of(&first); i < BUCKETS; i++) {
        const bucket_t *b = &s->buckets[i];
        for (size_t k = place_of(b, &first); k < b->n; k++) {
            if (!kad_prefix_has(prefix, &b->keys[k]) || n == cap)
                return n;
            if (!after || compare(&b->keys[k], after) > 0)
                out[n++] = b->keys[k];
        }
    }
    return n;
}

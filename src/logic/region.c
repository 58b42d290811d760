#include "logic/region.h"
#include <stdlib.h>

void region_config_default(region_config_t *ret)
{
    *ret = (region_config_t){.k = 20, .max_peers = 1024, .max_lookups = 24};
}

/* ── prefixes ────────────────────────────────────────────────────────────────────────────────── */
bool kad_prefix_has(const kad_prefix_t *p, const kad_key_t *key)
{
    return kad_common_prefix_len(&p->key, key) >= p->len;
}

static bool bit_of(const kad_key_t *key, size_t i)
{
    return key->data[i / 8] >> (7 - i % 8) & 1;
}

static void set_bit(kad_key_t *key, size_t i, bool is_set)
{
    uint8_t mask = (uint8_t)(1 << (7 - i % 8));
    key->data[i / 8] = (uint8_t)(is_set ? key->data[i / 8] | mask : key->data[i / 8] & ~mask);
}

bool kad_prefix_end(const kad_prefix_t *p, kad_key_t *ret)
{
    kad_key_t end = p->key;
    for (size_t i = p->len; i < KAD_KEY_BITS; i++)
        set_bit(&end, i, false);
    for (size_t i = p->len; i--;) { /* one more, at the last bit of the prefix */
        bool was_set = bit_of(&end, i);
        set_bit(&end, i, !was_set);
        if (!was_set) {
            *ret = end;
            return true;
        }
    }
    return false;
}

/* ── what is known ───────────────────────────────────────────────────────────────────────────── */
void region_init(region_t *r, const region_config_t *config)
{
    *r = (region_t){.config = *config};
}

void region_deinit(region_t *r)
{
    free(r->peers);
    r->peers = NULL;
    r->n_peers = r->cap = r->n_todo = 0;
}

static void add_peer(region_t *r, const peer_id_t *peer)
{
    kad_key_t key = kad_key_of_peer(peer);
    size_t low = 0, high = r->n_peers;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (memcmp(r->peers[middle].key.data, key.data, KAD_KEY_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if ((low < r->n_peers && kad_key_equal(&r->peers[low].key, &key)) || r->n_peers >= r->config.max_peers)
        return;
    if (r->n_peers == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 64;
        r->peers = xrealloc(r->peers, r->cap * sizeof *r->peers);
    }
    memmove(&r->peers[low + 1], &r->peers[low], (r->n_peers - low) * sizeof *r->peers);
    r->peers[low] = (region_peer_t){key, *peer};
    r->n_peers++;
}

static void add_todo(region_t *r, const kad_key_t *key, size_t last_bit)
{
    if (r->n_todo == REGION_TODO_MAX)
        return;
    kad_prefix_t *p = &r->todo[r->n_todo++];
    *p = (kad_prefix_t){*key, last_bit + 1};
    set_bit(&p->key, last_bit, !bit_of(key, last_bit));
}

/* The subtree of len bits around the target is known: parts of it leave the list, a part that holds it is
 * split along the way down to it. */
static void know(region_t *r, const kad_key_t *target, size_t len)
{
    kad_prefix_t known = {*target, len};
    for (size_t i = 0; i < r->n_todo;) {
        kad_prefix_t part = r->todo[i];
        bool is_inside = part.len >= len && kad_prefix_has(&known, &part.key);
        bool is_around = part.len < len && kad_prefix_has(&part, target);
        if (!is_inside && !is_around) {
            i++;
            continue;
        }
        r->todo[i] = r->todo[--r->n_todo];
        if (is_around) /* the parts are disjoint: no other one holds it */
            for (size_t bit = part.len; bit < len; bit++)
                add_todo(r, target, bit);
        if (is_around)
            return;
    }
}

/* How many bits of the target's subtree that these peers prove to be known; the whole is known with 0. */
static size_t proven_len(const region_t *r, const kad_key_t *target, const peer_id_t *closest, size_t n,
                         bool is_all)
{
    if (is_all || n < r->config.k)
        return 0;
    kad_key_t farthest = kad_key_of_peer(&closest[n - 1]);
    size_t shared = kad_common_prefix_len(target, &farthest);
    return shared < KAD_KEY_BITS ? shared + 1 : KAD_KEY_BITS;
}

void region_start(region_t *r, const kad_key_t *target, const peer_id_t *closest, size_t n, bool is_all)
{
    size_t known = proven_len(r, target, closest, n, is_all);
    r->is_started = true;
    r->n_lookups = 1;
    r->n_todo = r->n_peers = 0;
    for (size_t i = 0; i < n; i++)
        add_peer(r, &closest[i]);
    r->prefix = (kad_prefix_t){*target, known ? known - 1 : 0};
    r->first_prefix_len = r->prefix.len;
    r->n_told = r->config.k;
    if (known)
        add_todo(r, target, known - 1);
}

bool region_next_target(const region_t *r, kad_prefix_t *ret)
{
    if (!r->n_todo || r->n_lookups >= r->config.max_lookups || r->n_peers >= r->config.max_peers)
        return false;
    size_t best = 0; /* the smallest: a lookup there is likely to find out about its neighbours as well */
    for (size_t i = 1; i < r->n_todo; i++)
        if (r->todo[i].len > r->todo[best].len)
            best = i;
    *ret = r->todo[best];
    return true;
}

void region_found(region_t *r, const kad_key_t *target, const peer_id_t *closest, size_t n, bool is_all)
{
    r->n_lookups++;
    for (size_t i = 0; i < n; i++)
        add_peer(r, &closest[i]);
    know(r, target, proven_len(r, target, closest, n, is_all));
}

void region_failed(region_t *r, const kad_prefix_t *prefix)
{
    r->n_lookups++;
    know(r, &prefix->key, prefix->len);
}

void region_shrink(region_t *r)
{
    r->prefix.len = KAD_KEY_BITS;
    r->n_todo = 0;
}

void region_widen(region_t *r, size_t len)
{
    r->n_told = REGION_MAX_K;
    for (size_t bit = len; bit < r->prefix.len; bit++)
        add_todo(r, &r->prefix.key, bit);
    if (len < r->prefix.len)
        r->prefix.len = len;
}

/* ── whose is a key ──────────────────────────────────────────────────────────────────────────── */
static uint64_t head_of(const kad_key_t *key)
{
    uint64_t head = 0;
    for (size_t i = 0; i < sizeof head; i++)
        head = head << 8 | key->data[i];
    return head;
}

size_t region_closest(const region_t *r, const kad_key_t *key, uint16_t out[REGION_MAX_K])
{
    uint64_t heads[REGION_MAX_K], target = head_of(key);
    size_t n = 0, k = r->n_told;
    for (size_t i = 0; i < r->n_peers; i++) {
        const kad_key_t *peer = &r->peers[i].key;
        uint64_t head = head_of(peer) ^ target;
        size_t at = n;
        while (at &&
               (head < heads[at - 1] ||
                (head == heads[at - 1] && kad_compare_distance(key, peer, &r->peers[out[at - 1]].key) < 0)))
            at--;
        if (at == k)
            continue;
        size_t moved = (n < k ? n : k - 1) - at;
        memmove(&heads[at + 1], &heads[at], moved * sizeof *heads);
        memmove(&out[at + 1], &out[at], moved * sizeof *out);
        heads[at] = head;
        out[at] = (uint16_t)i;
        n += n < k;
    }
    return n;
}

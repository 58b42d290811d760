#include "logic/kbucket.h"
#include <stdlib.h>

typedef struct check {
    list_t node;
    peer_id_t peer;
} check_t;

void kbucket_config_default(kbucket_config_t *ret)
{
    *ret = (kbucket_config_t){.bucket_size = 20,
                              .max_entries = 2048,
                              .group_max = 3,
                              .group_bucket_max = 2,
                              .useful_grace_ms = 20 * 60 * 1000,
                              .refresh_after_ms = 10 * 60 * 1000,
                              .check_timeout_ms = 30 * 1000};
}

void kbucket_init(kbucket_t *kb, const kbucket_config_t *config, const peer_id_t *self)
{
    *kb = (kbucket_t){.config = *config, .self = kad_key_of_peer(self)};
    kb->slots = xcalloc(KAD_KEY_BITS, sizeof *kb->slots);
    for (size_t i = 0; i < KAD_KEY_BITS; i++)
        list_init(&kb->slots[i].entries);
    map_init(&kb->by_peer, config->max_entries);
    map_init(&kb->by_group, config->max_entries);
    list_init(&kb->checks);
}

static void drop_checks(kbucket_t *kb)
{
    LIST_EACH (c, &kb->checks, check_t, node) {
        list_remove(&c->node);
        free(c);
    }
    kb->check_count = 0;
}

void kbucket_deinit(kbucket_t *kb)
{
    if (!kb->slots)
        return;
    for (size_t i = 0; i < KAD_KEY_BITS; i++) {
        LIST_EACH (e, &kb->slots[i].entries, kbucket_entry_t, node)
            free(e);
        free(kb->slots[i].pending);
    }
    free(kb->slots);
    kb->slots = NULL;
    drop_checks(kb);
    map_deinit(&kb->by_peer);
    map_deinit(&kb->by_group);
}

static kbucket_entry_t *entry_of(const kbucket_t *kb, const peer_id_t *peer)
{
    return map_get(&kb->by_peer, peer_id_bytes(peer));
}

static kbucket_slot_t *slot_of(const kbucket_t *kb, const kad_key_t *key)
{
    size_t prefix_len = kad_common_prefix_len(&kb->self, key);
    return prefix_len < KAD_KEY_BITS ? &kb->slots[prefix_len] : NULL;
}

/* ── groups ──────────────────────────────────────────────────────────────────────────────────── */
static size_t group_count(const kbucket_t *kb, uint64_t group)
{
    return (size_t)(uintptr_t)map_get(&kb->by_group, bytes_of(&group, sizeof group));
}

static void group_set(kbucket_t *kb, uint64_t group, size_t count)
{
    bytes_t key = bytes_of(&group, sizeof group);
    if (!count)
        map_remove(&kb->by_group, key);
    else if (map_put(&kb->by_group, key, (void *)(uintptr_t)count, NULL))
        assert(!"a table has at most as many groups as entries");
}

/* `leaving` (may be NULL) is the entry whose place would be taken. */
static bool group_has_room(const kbucket_t *kb, const kbucket_slot_t *slot, uint64_t group,
                           const kbucket_entry_t *leaving)
{
    if (!group)
        return true;
    size_t freed = leaving && leaving->group == group;
    if (kb->config.group_max && group_count(kb, group) >= kb->config.group_max + freed)
        return false;
    size_t in_bucket = 0;
    LIST_EACH (e, &slot->entries, kbucket_entry_t, node)
        in_bucket += e->group == group;
    return !kb->config.group_bucket_max || in_bucket < kb->config.group_bucket_max + freed;
}

/* ── entries ─────────────────────────────────────────────────────────────────────────────────── */
static void link_entry(kbucket_t *kb, kbucket_slot_t *slot, kbucket_entry_t *e)
{
    if (map_put(&kb->by_peer, peer_id_bytes(&e->peer), e, NULL))
        assert(!"checked by the caller");
    list_push_front(&slot->entries, &e->node);
    slot->count++;
    if (e->group)
        group_set(kb, e->group, group_count(kb, e->group) + 1);
}

static void unlink_entry(kbucket_t *kb, kbucket_slot_t *slot, kbucket_entry_t *e)
{
    map_remove(&kb->by_peer, peer_id_bytes(&e->peer));
    list_remove(&e->node);
    slot->count--;
    if (e->group)
        group_set(kb, e->group, group_count(kb, e->group) - 1);
    free(e);
}

static void ask_for_check(kbucket_t *kb, kbucket_entry_t *e, uint64_t now_ms)
{
    if (e->checking_until_ms)
        return;
    e->checking_until_ms = now_ms + kb->config.check_timeout_ms;
    check_t *c = xcalloc(1, sizeof *c);
    c->peer = e->peer;
    list_push_back(&kb->checks, &c->node);
    kb->check_count++;
}

static bool is_stale(const kbucket_t *kb, const kbucket_entry_t *e, uint64_t now_ms)
{
    return now_ms >= e->last_useful_ms && now_ms - e->last_useful_ms > kb->config.useful_grace_ms;
}

/* The entry that a newcomer may displace: replaceable ones at once, stale ones after a check. The least
 * recently useful is at the back. */
static kbucket_entry_t *find_victim(const kbucket_t *kb, const kbucket_slot_t *slot, uint64_t now_ms)
{
    kbucket_entry_t *stale = NULL;
    for (list_t *n = slot->entries.prev; n != &slot->entries; n = n->prev) {
        kbucket_entry_t *e = LIST_ENTRY(n, kbucket_entry_t, node);
        if (e->is_replaceable)
            return e;
        if (!stale && is_stale(kb, e, now_ms))
            stale = e;
    }
    return stale;
}

kbucket_result_t kbucket_add(kbucket_t *kb, const peer_id_t *peer, uint64_t group, bool is_replaceable,
                             uint64_t now_ms)
{
    kbucket_entry_t *known = entry_of(kb, peer);
    if (known)
        return KBUCKET_PRESENT;
    kad_key_t key = kad_key_of_peer(peer);
    kbucket_slot_t *slot = slot_of(kb, &key);
    if (!slot || !peer->len)
        return KBUCKET_REFUSED;
    kbucket_entry_t *victim = slot->count < kb->config.bucket_size ? NULL : find_victim(kb, slot, now_ms);
    if (slot->count >= kb->config.bucket_size && !victim)
        return KBUCKET_FULL;
    if (!group_has_room(kb, slot, group, victim) ||
        (!victim && map_count(&kb->by_peer) >= kb->config.max_entries))
        return KBUCKET_REFUSED;
    if (victim && !victim->is_replaceable && slot->pending)
        return KBUCKET_FULL; /* one newcomer is waiting already */

    kbucket_entry_t *e = xcalloc(1, sizeof *e);
    *e = (kbucket_entry_t){.peer = *peer,
                           .key = key,
                           .group = group,
                           .added_ms = now_ms,
                           .last_useful_ms = now_ms,
                           .is_replaceable = is_replaceable};
    if (victim && !victim->is_replaceable) {
        slot->pending = e;
        slot->pending_for = victim->peer;
        ask_for_check(kb, victim, now_ms);
        return KBUCKET_PENDING;
    }
    if (victim)
        unlink_entry(kb, slot, victim);
    link_entry(kb, slot, e);
    return KBUCKET_ADDED;
}

static void drop_pending(kbucket_slot_t *slot)
{
    free(slot->pending);
    slot->pending = NULL;
}

/* The entry that pending waited for is gone: it moves in, if the limits still allow it. */
static void admit_pending(kbucket_t *kb, kbucket_slot_t *slot)
{
    kbucket_entry_t *e = slot->pending;
    if (!e)
        return;
    slot->pending = NULL;
    if (entry_of(kb, &e->peer) || slot->count >= kb->config.bucket_size ||
        !group_has_room(kb, slot, e->group, NULL) || map_count(&kb->by_peer) >= kb->config.max_entries)
        free(e);
    else
        link_entry(kb, slot, e);
}

void kbucket_useful(kbucket_t *kb, const peer_id_t *peer, uint64_t now_ms)
{
    kbucket_entry_t *e = entry_of(kb, peer);
    if (!e)
        return;
    kbucket_slot_t *slot = slot_of(kb, &e->key);
    e->last_useful_ms = now_ms;
    e->checking_until_ms = 0;
    list_remove(&e->node);
    list_push_front(&slot->entries, &e->node);
    if (slot->pending && peer_id_equal(&slot->pending_for, peer))
        drop_pending(slot);
}

bool kbucket_remove(kbucket_t *kb, const peer_id_t *peer)
{
    kad_key_t key = kad_key_of_peer(peer);
    kbucket_slot_t *slot = slot_of(kb, &key);
    if (!slot)
        return false;
    if (slot->pending && peer_id_equal(&slot->pending->peer, peer))
        drop_pending(slot);
    kbucket_entry_t *e = entry_of(kb, peer);
    if (!e)
        return false;
    unlink_entry(kb, slot, e);
    admit_pending(kb, slot); /* whoever made room */
    return true;
}

void kbucket_keep_all(kbucket_t *kb)
{
    for (size_t i = 0; i < KAD_KEY_BITS; i++)
        LIST_EACH (e, &kb->slots[i].entries, kbucket_entry_t, node)
            e->is_replaceable = false;
}

const kbucket_entry_t *kbucket_get(const kbucket_t *kb, const peer_id_t *peer)
{
    return entry_of(kb, peer);
}

size_t kbucket_count(const kbucket_t *kb)
{
    return map_count(&kb->by_peer);
}

size_t kbucket_bucket_count(const kbucket_t *kb, size_t prefix_len)
{
    return prefix_len < KAD_KEY_BITS ? kb->slots[prefix_len].count : 0;
}

/* ── closest ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct nearest {
    const kad_key_t *target;
    const kbucket_entry_t **best; /* sorted */
    size_t count, cap;
} nearest_t;

static void nearest_offer(nearest_t *n, const kbucket_entry_t *e)
{
    size_t at = n->count;
    while (at && kad_compare_distance(n->target, &e->key, &n->best[at - 1]->key) < 0)
        at--;
    if (at == n->cap)
        return;
    size_t moved = (n->count < n->cap ? n->count : n->cap - 1) - at;
    memmove(&n->best[at + 1], &n->best[at], moved * sizeof *n->best);
    n->best[at] = e;
    n->count += n->count < n->cap;
}

static void nearest_offer_bucket(nearest_t *n, const kbucket_slot_t *slot, const peer_id_t *except)
{
    LIST_EACH (e, &slot->entries, kbucket_entry_t, node)
        if (!except || !peer_id_equal(&e->peer, except))
            nearest_offer(n, e);
}

/* Relative to the bucket that the key falls into (p): all of bucket p are closer to the key than any of
 * the others; all deeper buckets differ from the key at bit p alike and are closer than the shallower ones,
 * of which the deepest is the closest. */
size_t kbucket_closest(const kbucket_t *kb, const kad_key_t *key, const peer_id_t *except, peer_id_t *out,
                       size_t cap)
{
    if (!cap)
        return 0;
    nearest_t n = {.target = key, .cap = cap, .best = xcalloc(cap, sizeof *n.best)};
    size_t prefix_len = kad_common_prefix_len(&kb->self, key);
    if (prefix_len < KAD_KEY_BITS)
        nearest_offer_bucket(&n, &kb->slots[prefix_len], except);
    if (n.count < cap)
        for (size_t i = prefix_len + 1; i < KAD_KEY_BITS; i++)
            nearest_offer_bucket(&n, &kb->slots[i], except);
    for (size_t i = prefix_len < KAD_KEY_BITS ? prefix_len : KAD_KEY_BITS; i-- > 0 && n.count < cap;)
        nearest_offer_bucket(&n, &kb->slots[i], except);
    size_t count = n.count;
    for (size_t i = 0; i < count; i++)
        out[i] = n.best[i]->peer;
    free(n.best);
    return count;
}

void kbucket_each(const kbucket_t *kb, bool (*fn)(void *arg, size_t prefix_len, const kbucket_entry_t *e),
                  void *arg)
{
    for (size_t i = 0; i < KAD_KEY_BITS; i++)
        LIST_EACH (e, &kb->slots[i].entries, kbucket_entry_t, node)
            if (!fn(arg, i, e))
                return;
}

/* ── checks and refreshes ────────────────────────────────────────────────────────────────────── */
bool kbucket_next_check(kbucket_t *kb, peer_id_t *ret_peer)
{
    check_t *c = LIST_FIRST(&kb->checks, check_t, node);
    if (!c)
        return false;
    *ret_peer = c->peer;
    list_remove(&c->node);
    free(c);
    kb->check_count--;
    return true;
}

void kbucket_checked(kbucket_t *kb, const peer_id_t *peer, bool is_alive, uint64_t now_ms)
{
    if (is_alive)
        kbucket_useful(kb, peer, now_ms);
    else
        kbucket_remove(kb, peer);
}

void kbucket_tick(kbucket_t *kb, uint64_t now_ms)
{
    for (size_t i = 0; i < KAD_KEY_BITS; i++)
        LIST_EACH (e, &kb->slots[i].entries, kbucket_entry_t, node) {
            if (e->checking_until_ms && now_ms >= e->checking_until_ms)
                kbucket_remove(kb, &e->peer);
            else if (is_stale(kb, e, now_ms))
                ask_for_check(kb, e, now_ms);
        }
}

static size_t deepest_bucket(const kbucket_t *kb)
{
    for (size_t i = KBUCKET_MAX_REFRESH_PREFIX; i > 0; i--)
        if (kb->slots[i].count)
            return i;
    return 0;
}

bool kbucket_refresh_due(const kbucket_t *kb, uint64_t now_ms, size_t *ret_prefix_len)
{
    if (!kbucket_count(kb))
        return false;
    size_t last = deepest_bucket(kb) + 1;
    for (size_t i = 0; i <= last && i <= KBUCKET_MAX_REFRESH_PREFIX; i++) {
        uint64_t at = kb->slots[i].refreshed_ms;
        if (at && now_ms < at + kb->config.refresh_after_ms)
            continue;
        *ret_prefix_len = i;
        return true;
    }
    return false;
}

void kbucket_refreshed(kbucket_t *kb, size_t prefix_len, uint64_t now_ms)
{
    if (prefix_len < KAD_KEY_BITS)
        kb->slots[prefix_len].refreshed_ms = now_ms ? now_ms : 1;
}

uint64_t kbucket_group(const multiaddr_t *addr)
{
    if (multiaddr_is_private(addr))
        return 0;
    multiaddr_part_t part;
    if (multiaddr_find(addr, MA_IP4, &part) && part.value.len == 4)
        return UINT64_C(4) << 56 | (uint64_t)part.value.data[0] << 8 | part.value.data[1];
    if (multiaddr_find(addr, MA_IP6, &part) && part.value.len == 16)
        return UINT64_C(6) << 56 | (uint64_t)part.value.data[0] << 24 | (uint64_t)part.value.data[1] << 16 |
               (uint64_t)part.value.data[2] << 8 | part.value.data[3];
    return 0;
}

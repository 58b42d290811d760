#include "base/map.h"
#include <stdlib.h>
#include <sys/random.h>

enum { REMOVED = 0xffffffff, NO_SLOT = 0xffffffff, CAP_MIN = 8 };

static uint8_t hash_key[16];
static bool has_hash_key;

static uint64_t load_le(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static void sip_rounds(uint64_t v[4], int rounds)
{
    while (rounds--) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

/* Aumasson and Bernstein, "SipHash: a fast short-input PRF", section 2. */
uint64_t siphash24(const uint8_t key[16], bytes_t data)
{
    uint64_t k0 = load_le(key, 8), k1 = load_le(key + 8, 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    size_t left = data.len;
    const uint8_t *p = data.data;
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t m = load_le(p, 8);
        v[3] ^= m;
        sip_rounds(v, 2);
        v[0] ^= m;
    }
    uint64_t last = load_le(p, left) | (uint64_t)(data.len & 0xff) << 56;
    v[3] ^= last;
    sip_rounds(v, 2);
    v[0] ^= last;
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_set_hash_key(const uint8_t key[16])
{
    memcpy(hash_key, key, sizeof hash_key);
    has_hash_key = true;
}

/* Each entry keeps its hash, so a key that changes later does not disturb lookups of the slots; but
 * lookups hash anew: tests that set the key do it before they fill maps. */
static uint64_t hash_of(bytes_t key)
{
    if (!has_hash_key) {
        uint8_t random[16];
        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
            abort(); /* the kernel always has 16 bytes once it has started */
        map_set_hash_key(random);
    }
    return siphash24(hash_key, key);
}

void map_init(map_t *m, size_t max_entries)
{
    assert(max_entries < NO_SLOT / 4);
    *m = (map_t){.max = max_entries};
}

void map_deinit(map_t *m)
{
    for (size_t i = 0; i < m->used; i++)
        if (m->entries[i].key_len != REMOVED)
            free(m->entries[i].key);
    free(m->entries);
    free(m->slots);
    *m = (map_t){.max = m->max};
}

static bool is_key(const map_entry_t *e, uint64_t hash, bytes_t key)
{
    return e->key_len != REMOVED && e->hash == hash && bytes_equal(bytes_of(e->key, e->key_len), key);
}

static map_entry_t *find(const map_t *m, bytes_t key, uint64_t hash)
{
    if (!m->count)
        return NULL;
    for (size_t s = hash & (m->slot_count - 1); m->slots[s] != NO_SLOT; s = (s + 1) & (m->slot_count - 1))
        if (is_key(&m->entries[m->slots[s]], hash, key))
            return &m->entries[m->slots[s]];
    return NULL;
}

/* Closes the holes and gives the table room for at least one more entry. A removed entry keeps its
 * slot until then, so that probing goes on past it. */
static err_t rebuild(map_t *m)
{
    size_t cap = CAP_MIN;
    while (cap - cap / 4 <= m->count)
        cap *= 2;
    map_entry_t *entries = malloc(cap * sizeof *entries);
    uint32_t *slots = malloc(cap * 2 * sizeof *slots);
    if (!entries || !slots) {
        free(entries);
        free(slots);
        return fail(ERR_NO_MEMORY, "no memory for a table of %zu entries", cap);
    }
    memset(slots, 0xff, cap * 2 * sizeof *slots);
    size_t used = 0;
    for (size_t i = 0; i < m->used; i++) {
        if (m->entries[i].key_len == REMOVED)
            continue;
        size_t s = m->entries[i].hash & (cap * 2 - 1);
        while (slots[s] != NO_SLOT)
            s = (s + 1) & (cap * 2 - 1);
        slots[s] = (uint32_t)used;
        entries[used++] = m->entries[i];
    }
    free(m->entries);
    free(m->slots);
    m->entries = entries;
    m->slots = slots;
    m->used = used;
    m->cap = cap;
    m->slot_count = cap * 2;
    return OK;
}

void *map_get(const map_t *m, bytes_t key)
{
    map_entry_t *e = m->count ? find(m, key, hash_of(key)) : NULL;
    return e ? e->value : NULL;
}

bool map_has(const map_t *m, bytes_t key)
{
    return m->count && find(m, key, hash_of(key));
}

err_t map_put(map_t *m, bytes_t key, void *value, void **ret_old)
{
    uint64_t hash = hash_of(key);
    map_entry_t *e = find(m, key, hash);
    if (e) {
        if (ret_old)
            *ret_old = e->value;
        e->value = value;
        return OK;
    }
    if (m->count >= m->max)
        return fail(ERR_LIMIT, "the table holds its limit of %zu entries", m->max);
    if (key.len >= REMOVED)
        return fail(ERR_LIMIT, "a key of %zu bytes is too long", key.len);
    if (m->used == m->cap)
        TRY(rebuild(m));
    uint8_t *copy = malloc(key.len ? key.len : 1);
    if (!copy)
        return fail(ERR_NO_MEMORY, "no memory for a key of %zu bytes", key.len);
    if (key.len)
        memcpy(copy, key.data, key.len);
    size_t s = hash & (m->slot_count - 1);
    while (m->slots[s] != NO_SLOT)
        s = (s + 1) & (m->slot_count - 1);
    m->slots[s] = (uint32_t)m->used;
    m->entries[m->used++] = (map_entry_t){value, hash, (uint32_t)key.len, copy};
    m->count++;
    if (ret_old)
        *ret_old = NULL;
    return OK;
}

void *map_remove(map_t *m, bytes_t key)
{
    map_entry_t *e = m->count ? find(m, key, hash_of(key)) : NULL;
    if (!e)
        return NULL;
    void *value = e->value;
    free(e->key);
    *e = (map_entry_t){.key_len = REMOVED};
    m->count--;
    return value;
}

size_t map_count(const map_t *m)
{
    return m->count;
}

bool map_next(const map_t *m, size_t *iter, bytes_t *ret_key, void **ret_value)
{
    while (*iter < m->used && m->entries[*iter].key_len == REMOVED)
        ++*iter;
    if (*iter >= m->used)
        return false;
    const map_entry_t *e = &m->entries[(*iter)++];
    if (ret_key)
        *ret_key = bytes_of(e->key, e->key_len);
    if (ret_value)
        *ret_value = e->value;
    return true;
}

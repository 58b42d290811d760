#include "logic/chunk_refs.h"
#include "base/list.h"
#include "base/map.h"
#include <stdlib.h>

/* Open addressing, linear probing; is_used false: free. */
typedef struct slot {
    uint64_t hash; /* keyed, of the multihash */
    uint32_t count;
    bool is_used;
} slot_t;
typedef struct due {
    list_t node;
    cid_t chunk;
    uint64_t at_ms;
} due_t;

struct chunk_refs {
    chunk_refs_config_t config;
    slot_t *slots;
    size_t n_slots, n_used; /* n_slots: a power of two */
    list_t due;             /* in the order of their times */
    size_t n_due;
    uint64_t collected, spared;
};

enum { SLOTS_FIRST = 64 };

void chunk_refs_config_default(chunk_refs_config_t *ret)
{
    *ret = (chunk_refs_config_t){.window_ms = 600000, .max_chunks = 16 << 20, .max_due = 1 << 20};
}

chunk_refs_t *chunk_refs_new(const chunk_refs_config_t *c)
{
    chunk_refs_t *r = xcalloc(1, sizeof *r);
    r->config = *c;
    list_init(&r->due);
    return r;
}

void chunk_refs_free(chunk_refs_t *r)
{
    if (!r)
        return;
    LIST_EACH (d, &r->due, due_t, node)
        free(d);
    free(r->slots);
    free(r);
}

static uint64_t hash_of_chunk(const chunk_refs_t *r, const cid_t *chunk)
{
    uint8_t multihash[CID_BINARY_MAX];
    return siphash24(r->config.hash_key, bytes_of(multihash, cid_encode_multihash(chunk, multihash)));
}

/* Its slot, or the free one where it belongs. */
static size_t slot_of(const chunk_refs_t *r, uint64_t hash)
{
    size_t at = hash & (r->n_slots - 1);
    while (r->slots[at].is_used && r->slots[at].hash != hash)
        at = (at + 1) & (r->n_slots - 1);
    return at;
}

static slot_t *find(const chunk_refs_t *r, uint64_t hash)
{
    slot_t *s = r->n_slots ? &r->slots[slot_of(r, hash)] : NULL;
    return s && s->is_used ? s : NULL;
}

static void grow(chunk_refs_t *r)
{
    slot_t *old = r->slots;
    size_t n_old = r->n_slots;
    r->n_slots = n_old ? 2 * n_old : SLOTS_FIRST;
    r->slots = xcalloc(r->n_slots, sizeof *r->slots);
    for (size_t i = 0; i < n_old; i++)
        if (old[i].is_used)
            r->slots[slot_of(r, old[i].hash)] = old[i];
    free(old);
}

/* Those behind it move up, so that no probe ends too early. */
static void remove_slot(chunk_refs_t *r, size_t at)
{
    size_t mask = r->n_slots - 1;
    for (size_t next = (at + 1) & mask; r->slots[next].is_used; next = (next + 1) & mask) {
        size_t home = r->slots[next].hash & mask;
        if (((next - home) & mask) < ((next - at) & mask))
            continue;
        r->slots[at] = r->slots[next];
        at = next;
    }
    r->slots[at] = (slot_t){0};
    r->n_used--;
}

err_t chunk_refs_add(chunk_refs_t *r, const cid_t *chunk)
{
    uint64_t hash = hash_of_chunk(r, chunk);
    slot_t *s = find(r, hash);
    if (s) {
        s->count += s->count < UINT32_MAX;
        return OK;
    }
    if (r->n_used >= r->config.max_chunks)
        return fail(ERR_LIMIT, "%zu chunks are held for the mesh, the limit", r->config.max_chunks);
    if (r->n_used * 4 >= r->n_slots * 3)
        grow(r);
    r->slots[slot_of(r, hash)] = (slot_t){hash, 1, true};
    r->n_used++;
    return OK;
}

err_t chunk_refs_drop(chunk_refs_t *r, const cid_t *chunk, uint64_t now_ms)
{
    slot_t *s = find(r, hash_of_chunk(r, chunk));
    if (!s || s->count == UINT32_MAX) /* so many were not counted: it stays */
        return OK;
    if (--s->count)
        return OK;
    remove_slot(r, (size_t)(s - r->slots));
    if (r->n_due >= r->config.max_due)
        return fail(ERR_LIMIT, "%zu chunks wait for their collection, the limit", r->config.max_due);
    due_t *d = xcalloc(1, sizeof *d);
    d->chunk = *chunk;
    d->at_ms = now_ms + r->config.window_ms / 2;
    list_push_back(&r->due, &d->node);
    r->n_due++;
    return OK;
}

uint32_t chunk_refs_count(const chunk_refs_t *r, const cid_t *chunk)
{
    const slot_t *s = find(r, hash_of_chunk(r, chunk));
    return s ? s->count : 0;
}

bool chunk_refs_next(chunk_refs_t *r, uint64_t now_ms, cid_t *ret)
{
    for (due_t *d; (d = LIST_FIRST(&r->due, due_t, node)) && d->at_ms <= now_ms;) {
        bool is_needed = chunk_refs_count(r, &d->chunk) > 0;
        if (!is_needed)
            *ret = d->chunk;
        list_remove(&d->node);
        free(d);
        r->n_due--;
        r->spared += is_needed;
        r->collected += !is_needed;
        if (!is_needed)
            return true;
    }
    return false;
}

uint64_t chunk_refs_deadline_ms(const chunk_refs_t *r)
{
    const due_t *d = LIST_FIRST(&r->due, due_t, node);
    return d ? d->at_ms : UINT64_MAX;
}

chunk_refs_stat_t chunk_refs_stat(const chunk_refs_t *r)
{
    return (chunk_refs_stat_t){r->n_used, r->n_due, r->collected, r->spared};
}

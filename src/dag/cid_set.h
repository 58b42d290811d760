/* cid_set: which blocks were seen, for walks and for the garbage collector, in little memory.
 *
 * cid_set_t is exact up to collisions of 128 bits keyed with a random secret, at 16 bytes for a block (about
 * 25 with its free room): what decides that something need not be walked again. cid_filter_t is a Bloom
 * filter that grows, at about 2 bytes for a block, up to a bound: it may claim to hold what was never added,
 * and never the contrary; what decides that a block is kept. */
#ifndef DAG_CID_SET_H
#define DAG_CID_SET_H
#include "multi/cid.h"

typedef struct cid_set {
    uint64_t *slots; /* pairs; 0, 0 is free */
    size_t count, cap;
    uint8_t keys[2][16];
} cid_set_t;
#define CID_SET_MAX (64u << 20)
void cid_set_init(cid_set_t *s);
void cid_set_deinit(cid_set_t *s); /* idempotent */
/* By codec and multihash. *ret_is_new: it was not in there. ERR_LIMIT over CID_SET_MAX, ERR_NO_MEMORY. */
MUST_CHECK err_t cid_set_add(cid_set_t *s, const cid_t *cid, bool *ret_is_new);
bool cid_set_has(const cid_set_t *s, const cid_t *cid);
/* An empty set that can be merged into `like`, and the merging. */
void cid_set_init_like(cid_set_t *s, const cid_set_t *like);
MUST_CHECK err_t cid_set_merge(cid_set_t *into, const cid_set_t *from);

#define CID_FILTER_LAYERS 10
typedef struct cid_filter_layer {
    uint8_t *bits;
    size_t n_bits, count, capacity;
} cid_filter_layer_t;
typedef struct cid_filter {
    cid_filter_layer_t layers[CID_FILTER_LAYERS]; /* each larger than the one before */
    size_t n_layers;
    uint8_t keys[2][16];
} cid_filter_t;
void cid_filter_init(cid_filter_t *f);
void cid_filter_deinit(cid_filter_t *f);                /* idempotent */
void cid_filter_add(cid_filter_t *f, const cid_t *cid); /* by multihash */
bool cid_filter_may_have(const cid_filter_t *f, const cid_t *cid);
#endif

/* car_index: the index at the end of a version 2 archive: where the section of each multihash begins. Format
 * MultihashIndexSorted (0x0401), spec: ipld/ipld specs/transport/car/carv2. Only written: whoever reads an
 * archive as a stream has met every block before the index comes.
 *
 *   car_index_add(i, &cid, offset) for each section; car_index_sort(i);
 *   while (car_index_next(i, &part)) … part goes out
 *
 * Memory: 8 bytes and the digest for a section, up to CAR_INDEX_MAX_BYTES in all: 420,000 blocks with
 * SHA-256, as much as again while it is sorted. */
#ifndef CODEC_CAR_INDEX_H
#define CODEC_CAR_INDEX_H
#include "base/writer.h"
#include "multi/cid.h"

#define CAR_INDEX_MAX_BYTES (16u << 20)

/* Sections whose digests are of one function and length, one entry after the other, as they are written. */
typedef struct car_index_group {
    uint64_t hash_code;
    size_t digest_len;
    buf_t entries;
} car_index_group_t;

typedef struct car_index {
    car_index_group_t *groups; /* by hash_code, then digest_len, after car_index_sort */
    size_t n_groups, bytes;    /* bytes: of all entries */
    buf_t head;
    size_t n_given; /* parts */
} car_index_t;
void car_index_init(car_index_t *i);
void car_index_deinit(car_index_t *i); /* idempotent */
AUTO_DEFINE(car_index_t, car_index_deinit)

size_t car_index_entry_bytes(const cid_t *cid);
/* offset: of the section from the start of the data. ERR_LIMIT: over CAR_INDEX_MAX_BYTES, it is left out. */
MUST_CHECK err_t car_index_add(car_index_t *i, const cid_t *cid, uint64_t offset);
/* May take 0.1 s for a full index; touches nothing else, so that a worker thread can do it. */
void car_index_sort(car_index_t *i);
/* The next part of what is written; borrowed until the next call. false: that was all. */
bool car_index_next(car_index_t *i, bytes_t *ret_part);
#endif

/* pack_record: the bytes of the pack store's segments (docs/formats/pack.md). Pure functions.
 *
 * A segment is a header and then records, each on a multiple of 8 bytes, in the order in which they were
 * written. A record is a header of 32 bytes, the block's multihash, the block's bytes, and zeros up to the
 * next multiple of 8. All numbers are little-endian.
 *
 * The record's header is sealed with SipHash under the segment's random key, together with the record's
 * place: what looks like a record inside somebody's block is never taken for one when a damaged segment is
 * searched. The block's bytes have an XXH64 of their own. */
#ifndef STORE_PACK_RECORD_H
#define STORE_PACK_RECORD_H
#include "base/bytes.h"
#include "multi/block.h"

#define PACK_SEGMENT_HEADER_BYTES 64
#define PACK_RECORD_HEADER_BYTES 32
#define PACK_ALIGN 8
#define PACK_MULTIHASH_MAX 160

typedef struct pack_segment_header {
    uint64_t number;
    uint8_t key[16];
} pack_segment_header_t;
void pack_segment_encode(const pack_segment_header_t *h, uint8_t out[PACK_SEGMENT_HEADER_BYTES]);
/* ERR_EOF: shorter than a header; ERR_CORRUPT; ERR_UNSUPPORTED: a newer version. */
MUST_CHECK err_t pack_segment_decode(bytes_t in, pack_segment_header_t *ret_header);

typedef struct pack_record {
    uint32_t data_len; /* at most BLOCK_STORED_MAX_BYTES */
    uint8_t multihash_len;
    uint8_t multihash[PACK_MULTIHASH_MAX];
    uint64_t data_checksum;
} pack_record_t;
/* From the start of its header to the start of the next record. */
static inline uint64_t pack_record_bytes(size_t multihash_len, uint64_t data_len)
{
    return (PACK_RECORD_HEADER_BYTES + multihash_len + data_len + PACK_ALIGN - 1) &
           ~(uint64_t)(PACK_ALIGN - 1);
}
/* Writes header and multihash for the place `offset` of a segment; returns how many bytes. */
size_t pack_record_encode(const pack_record_t *r, const uint8_t key[16], uint64_t offset,
                          uint8_t out[PACK_RECORD_HEADER_BYTES + PACK_MULTIHASH_MAX]);
/* Decodes header and multihash at `offset`. ERR_EOF: `in` ends within them; ERR_CORRUPT: no record. */
MUST_CHECK err_t pack_record_decode(bytes_t in, const uint8_t key[16], uint64_t offset,
                                    pack_record_t *ret_record);
/* ERR_CORRUPT when these are not the bytes that the header speaks of. Runs on any thread. */
MUST_CHECK err_t pack_record_check_data(const pack_record_t *r, bytes_t data);
/* True when `header` (PACK_RECORD_HEADER_BYTES and the multihash) belongs to this multihash and these bytes,
 * which match its checksum. The seal is not looked at: the place is known from the index. */
bool pack_record_matches(bytes_t header, bytes_t multihash, bytes_t data);
/* The next place in `in` (whose first byte stands at `offset`, a multiple of 8) where a record's header may
 * begin, as an index from `from` on; in.len when there is none. */
size_t pack_record_search(bytes_t in, size_t from, const uint8_t key[16], uint64_t offset);
#endif

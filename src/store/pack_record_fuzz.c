/* Segments: headers and records from any bytes. What decodes encodes to the same bytes; searching ends, moves
 * on and finds only what decodes; records written here and then damaged are found as they were or not at
 * all. The input: a segment, or (first byte odd) lengths of records and places to damage. */
#include "base/checksum.h"
#include "base/map.h"
#include "store/pack_record.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(const pack_record_t *r, bytes_t in, const uint8_t key[16], uint64_t offset)
{
    uint8_t again[PACK_RECORD_HEADER_BYTES + PACK_MULTIHASH_MAX];
    size_t len = pack_record_encode(r, key, offset, again);
    assert(len == PACK_RECORD_HEADER_BYTES + r->multihash_len && len <= in.len);
    /* Eight reserved bytes are not kept, but they are sealed: so they are zero or the seal is broken. */
    pack_record_t back;
    err_t e = pack_record_decode(bytes_of(again, len), key, offset, &back);
    assert(!e && back.data_len == r->data_len && back.data_checksum == r->data_checksum);
    assert(back.multihash_len == r->multihash_len && !memcmp(back.multihash, r->multihash, r->multihash_len));
}

/* Goes through the records as recovery does; counts those whose data is sound. */
static size_t scan(bytes_t in, const uint8_t key[16])
{
    size_t found = 0;
    for (size_t at = PACK_SEGMENT_HEADER_BYTES; at < in.len;) {
        pack_record_t r;
        bytes_t rest = bytes_slice(in, at, in.len - at);
        if (pack_record_decode(rest, key, at, &r) == OK) {
            check_record(&r, rest, key, at);
            bytes_t body = bytes_slice(rest, PACK_RECORD_HEADER_BYTES + r.multihash_len, r.data_len);
            if (pack_record_check_data(&r, body) == OK) {
                found++;
                at += pack_record_bytes(r.multihash_len, r.data_len);
                continue;
            }
        }
        size_t next = pack_record_search(in, at + PACK_ALIGN, key, 0);
        assert(next > at && next <= in.len);
        at = next;
    }
    return found;
}

static void from_segment(bytes_t in)
{
    pack_segment_header_t h = {.key = "0123456789abcde"};
    if (pack_segment_decode(in, &h) == OK) {
        uint8_t again[PACK_SEGMENT_HEADER_BYTES];
        pack_segment_encode(&h, again);
        assert(!memcmp(again, in.data, 8));
    }
    scan(in, h.key);
}

/* Writes up to 8 records whose lengths the input says, damages bytes, and counts what is found. */
static void damaged(bytes_t in)
{
    static uint8_t segment[8 * 1024];
    pack_segment_header_t h = {.number = 7, .key = "key of the test"};
    memset(segment, 0, sizeof segment);
    pack_segment_encode(&h, segment);
    size_t at = PACK_SEGMENT_HEADER_BYTES, n = 0;
    while (in.len && n < 8) {
        pack_record_t r = {
            .data_len = in.data[0] * 3u, .multihash_len = 34, .multihash = {0x12, 0x20, (uint8_t)n}};
        uint8_t body[768];
        memset(body, (int)n + 1, sizeof body);
        r.data_checksum = checksum_of(bytes_of(body, r.data_len), 0);
        size_t len = pack_record_encode(&r, h.key, at, segment + at);
        memcpy(segment + at + len, body, r.data_len);
        at += pack_record_bytes(34, r.data_len);
        in = bytes_slice(in, 1, in.len);
        n++;
    }
    assert(scan(bytes_of(segment, at), h.key) == n);
    size_t hits = 0;
    for (; in.len >= 3; in = bytes_slice(in, 3, in.len)) {
        size_t place = PACK_SEGMENT_HEADER_BYTES + ((size_t)in.data[0] << 8 | in.data[1]) % sizeof segment;
        if (place < at && in.data[2])
            segment[place] ^= in.data[2], hits++;
    }
    size_t found = scan(bytes_of(segment, at), h.key);
    assert(found <= n && found + hits >= n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes_t in = bytes_of(data, size);
    if (size && data[0] & 1)
        damaged(bytes_slice(in, 1, size));
    else
        from_segment(in);
    return 0;
}

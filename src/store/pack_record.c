#include "store/pack_record.h"
#include "base/checksum.h"
#include "base/map.h"
#include "base/reader.h"

#define SEGMENT_MAGIC "DSTRPACK"
#define SEGMENT_VERSION 1
#define SEGMENT_CHECKED_BYTES (PACK_SEGMENT_HEADER_BYTES - 8)
#define RECORD_MAGIC 0xb10c5a7eu
#define RECORD_SEALED_BYTES (PACK_RECORD_HEADER_BYTES - 8) /* the seal itself stands behind them */

static void put_le(uint8_t *out, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        out[i] = (uint8_t)(v >> 8 * i);
}

void pack_segment_encode(const pack_segment_header_t *h, uint8_t out[PACK_SEGMENT_HEADER_BYTES])
{
    memset(out, 0, PACK_SEGMENT_HEADER_BYTES);
    memcpy(out, SEGMENT_MAGIC, 8);
    put_le(out + 8, SEGMENT_VERSION, 4);
    put_le(out + 16, h->number, 8);
    memcpy(out + 24, h->key, sizeof h->key);
    put_le(out + SEGMENT_CHECKED_BYTES, checksum_of(bytes_of(out, SEGMENT_CHECKED_BYTES), 0), 8);
}

err_t pack_segment_decode(bytes_t in, pack_segment_header_t *ret_header)
{
    if (in.len < PACK_SEGMENT_HEADER_BYTES)
        return fail(ERR_EOF, "a segment of %zu bytes has no header", in.len);
    reader_t r = reader_of(in);
    bytes_t magic = read_bytes(&r, 8);
    uint32_t version = read_u32le(&r);
    (void)read_u32le(&r);
    pack_segment_header_t h = {.number = read_u64le(&r)};
    memcpy(h.key, read_bytes(&r, sizeof h.key).data, sizeof h.key);
    reader_t sum = reader_of(bytes_slice(in, SEGMENT_CHECKED_BYTES, 8));
    if (!bytes_equal(magic, BYTES_LIT(SEGMENT_MAGIC)) ||
        read_u64le(&sum) != checksum_of(bytes_slice(in, 0, SEGMENT_CHECKED_BYTES), 0))
        return fail(ERR_CORRUPT, "the header of a segment is damaged");
    if (version != SEGMENT_VERSION)
        return fail(ERR_UNSUPPORTED, "segment format %u: made by a newer version", version);
    *ret_header = h;
    return OK;
}

/* SipHash over the header without its seal, the place and the multihash. */
static uint64_t seal_of(const uint8_t *header, bytes_t multihash, const uint8_t key[16], uint64_t offset)
{
    uint8_t sealed[RECORD_SEALED_BYTES + 8 + PACK_MULTIHASH_MAX];
    memcpy(sealed, header, RECORD_SEALED_BYTES);
    put_le(sealed + RECORD_SEALED_BYTES, offset, 8);
    memcpy(sealed + RECORD_SEALED_BYTES + 8, multihash.data, multihash.len);
    return siphash24(key, bytes_of(sealed, RECORD_SEALED_BYTES + 8 + multihash.len));
}

size_t pack_record_encode(const pack_record_t *r, const uint8_t key[16], uint64_t offset,
                          uint8_t out[PACK_RECORD_HEADER_BYTES + PACK_MULTIHASH_MAX])
{
    memset(out, 0, PACK_RECORD_HEADER_BYTES);
    put_le(out, RECORD_MAGIC, 4);
    put_le(out + 4, r->data_len, 4);
    out[8] = r->multihash_len;
    put_le(out + 16, r->data_checksum, 8);
    bytes_t multihash = bytes_of(r->multihash, r->multihash_len);
    put_le(out + RECORD_SEALED_BYTES, seal_of(out, multihash, key, offset), 8);
    memcpy(out + PACK_RECORD_HEADER_BYTES, multihash.data, multihash.len);
    return PACK_RECORD_HEADER_BYTES + multihash.len;
}

err_t pack_record_decode(bytes_t in, const uint8_t key[16], uint64_t offset, pack_record_t *ret_record)
{
    reader_t r = reader_of(in);
    uint32_t magic = read_u32le(&r);
    pack_record_t record = {.data_len = read_u32le(&r), .multihash_len = read_u8(&r)};
    (void)read_bytes(&r, 7);
    record.data_checksum = read_u64le(&r);
    uint64_t seal = read_u64le(&r);
    if (r.err)
        return ERR_EOF;
    if (magic != RECORD_MAGIC || record.multihash_len == 0 || record.multihash_len > PACK_MULTIHASH_MAX ||
        record.data_len > BLOCK_STORED_MAX_BYTES)
        return ERR_CORRUPT;
    bytes_t multihash = read_bytes(&r, record.multihash_len);
    if (r.err)
        return ERR_EOF;
    if (seal != seal_of(in.data, multihash, key, offset))
        return ERR_CORRUPT;
    memcpy(record.multihash, multihash.data, multihash.len);
    *ret_record = record;
    return OK;
}

err_t pack_record_check_data(const pack_record_t *r, bytes_t data)
{
    if (data.len != r->data_len || checksum_of(data, 0) != r->data_checksum)
        return fail(ERR_CORRUPT, "a block of %u bytes does not match its checksum", r->data_len);
    return OK;
}

bool pack_record_matches(bytes_t header, bytes_t multihash, bytes_t data)
{
    reader_t r = reader_of(header);
    uint32_t magic = read_u32le(&r), data_len = read_u32le(&r);
    uint8_t multihash_len = read_u8(&r);
    (void)read_bytes(&r, 7);
    uint64_t checksum = read_u64le(&r);
    (void)read_bytes(&r, 8);
    bytes_t found = read_bytes(&r, multihash_len);
    return !r.err && magic == RECORD_MAGIC && data_len == data.len && bytes_equal(found, multihash) &&
           checksum == checksum_of(data, 0);
}

size_t pack_record_search(bytes_t in, size_t from, const uint8_t key[16], uint64_t offset)
{
    uint8_t magic[4];
    put_le(magic, RECORD_MAGIC, 4);
    for (size_t i = (from + PACK_ALIGN - 1) & ~(size_t)(PACK_ALIGN - 1); i + sizeof magic <= in.len;
         i += PACK_ALIGN) {
        if (memcmp(in.data + i, magic, sizeof magic) != 0)
            continue;
        pack_record_t record;
        err_t e = pack_record_decode(bytes_slice(in, i, in.len - i), key, offset + i, &record);
        if (e == OK || e == ERR_EOF)
            return i;
    }
    return in.len;
}

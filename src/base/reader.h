/* reader: bounded reads from borrowed bytes; remembers the first error, so that a decoder is a flat
 * list of reads and one check of `r->err` at the end. After an error all reads give zero values.
 * The only code that may look at a length that a peer claims before the bytes are there. */
#ifndef BASE_READER_H
#define BASE_READER_H
#include "base/bytes.h"

typedef struct reader {
    const uint8_t *pos, *end;
    err_t err;
} reader_t;

static inline reader_t reader_of(bytes_t in)
{
    return (reader_t){in.data, in.len ? in.data + in.len : in.data, OK};
}
void reader_fail(reader_t *r, err_t e); /* keeps the first error */
static inline size_t reader_left(const reader_t *r)
{
    return r->err ? 0 : (size_t)(r->end - r->pos);
}
static inline uint8_t read_u8(reader_t *r)
{
    if (reader_left(r))
        return *r->pos++;
    reader_fail(r, ERR_EOF);
    return 0;
}
uint16_t read_u16be(reader_t *r);
uint32_t read_u32be(reader_t *r);
uint64_t read_u64be(reader_t *r);
uint32_t read_u32le(reader_t *r);
uint64_t read_u64le(reader_t *r);
bytes_t read_bytes(reader_t *r, size_t len); /* ERR_EOF when fewer are left */
bytes_t read_rest(reader_t *r);
/* Multiformats unsigned varint: at most 9 bytes, minimal form only. ERR_EOF, ERR_INVALID. */
uint64_t read_long_uvarint(reader_t *r);
static inline uint64_t read_uvarint(reader_t *r)
{
    return reader_left(r) && *r->pos < 0x80 ? *r->pos++ : read_long_uvarint(r); /* most are short */
}
/* Protobuf varint: at most 10 bytes, any form. */
uint64_t read_long_pb_varint(reader_t *r);
static inline uint64_t read_pb_varint(reader_t *r)
{
    return reader_left(r) && *r->pos < 0x80 ? *r->pos++ : read_long_pb_varint(r);
}
/* uvarint length, at most `max`, then that many bytes. ERR_LIMIT when the length is over max. */
bytes_t read_length_prefixed(reader_t *r, size_t max);
#endif

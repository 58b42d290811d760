/* pb: protobuf wire format (proto2/proto3 encoding), field by field, for hostile input.
 *
 *   reader_t r = reader_of(in); pb_field_t f;
 *   while (pb_next(&r, &f)) switch (f.number) { case 1: x = pb_bytes(&r, &f, max); break; … }
 *   if (r.err) …
 *
 * Unknown fields are skipped by pb_next. Groups (wire types 3, 4) are ERR_INVALID. A field whose
 * wire type is not the one asked for is ERR_INVALID. Nothing is copied. */
#ifndef BASE_PB_H
#define BASE_PB_H
#include "base/reader.h"
#include "base/writer.h"

typedef enum { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 } pb_wire_t;
typedef struct pb_field {
    uint32_t number;
    pb_wire_t wire;
    uint64_t value; /* VARINT, FIXED32, FIXED64 */
    bytes_t bytes;  /* BYTES, borrowed from the input */
} pb_field_t;

/* Reads the next field; false at the end or on an error (r->err says which). */
bool pb_next(reader_t *r, pb_field_t *ret_field);
uint64_t pb_uint(reader_t *r, const pb_field_t *f);
bytes_t pb_bytes(reader_t *r, const pb_field_t *f, size_t max); /* ERR_LIMIT when longer */
uint64_t pb_fixed64(reader_t *r, const pb_field_t *f);
/* Packed or unpacked repeated varints: calls for a BYTES field give each value in turn. */
bool pb_packed_next(reader_t *packed, uint64_t *ret_value);

void pb_put_uint(writer_t *w, uint32_t number, uint64_t value);         /* always written */
void pb_put_uint_nonzero(writer_t *w, uint32_t number, uint64_t value); /* proto3 default left out */
void pb_put_bytes(writer_t *w, uint32_t number, bytes_t value);
void pb_put_fixed64(writer_t *w, uint32_t number, uint64_t value);
/* Embedded message whose length is known only after: begin, write fields, end. */
size_t pb_begin(writer_t *w, uint32_t number);
void pb_end(writer_t *w, size_t mark);
#endif

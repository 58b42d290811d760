/* der: the few DER shapes that keys have, read strictly from hostile bytes and written. Definite
 * lengths in their shortest form, up to 64 KiB. Spec: ITU-T X.690. */
#ifndef CRYPTO_DER_H
#define CRYPTO_DER_H
#include "base/reader.h"
#include "base/writer.h"

enum {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30,
    DER_CONTEXT_0 = 0xa0,
    DER_CONTEXT_1 = 0xa1
};

/* The content of the next element, which must have this tag. Borrowed. Errors land in the reader. */
bytes_t der_read(reader_t *r, uint8_t tag);
/* As der_read, for an element that holds others. */
reader_t der_read_nested(reader_t *r, uint8_t tag);
/* A non-negative INTEGER without its sign byte. */
bytes_t der_read_uint(reader_t *r);
/* A BIT STRING of whole bytes. */
bytes_t der_read_bits(reader_t *r);
bool der_next_is(const reader_t *r, uint8_t tag);
/* Takes over the error of `inner`, and complains when bytes are left in it. */
void der_end(reader_t *r, const reader_t *inner);

void der_put(writer_t *w, uint8_t tag, bytes_t content);
/* An element whose length is known only after: begin, write its content, end. */
size_t der_begin(writer_t *w, uint8_t tag);
void der_end_put(writer_t *w, size_t mark);
#endif

/* base: the four ways of turning bytes into digits that multibase.c chooses from. Not for others. */
#ifndef MULTI_BASE_H
#define MULTI_BASE_H
#include "multi/multibase.h"

typedef struct base base_t;
typedef err_t (*base_encode_t)(const base_t *b, bytes_t data, buf_t *out);
typedef err_t (*base_decode_t)(const base_t *b, bytes_t text, bool is_lenient, buf_t *out);
struct base {
    multibase_t prefix;
    const char *name, *alphabet;
    base_encode_t encode;
    base_decode_t decode;
    uint8_t radix;
    uint8_t bits;          /* of one digit; 0 unless the radix is a power of two */
    uint8_t padded_digits; /* the text is filled with '=' to a multiple of this; 0: not at all */
    bool is_caseless;
};
/* Digit values by character; -1 for others. */
void base_values(const base_t *b, int8_t ret_values[256]);

/* Powers of two: digits are groups of bits. */
err_t base_bits_encode(const base_t *b, bytes_t data, buf_t *out);
err_t base_bits_decode(const base_t *b, bytes_t text, bool is_lenient, buf_t *out);
/* Others: the bytes are one big number, leading zero bytes are leading zero digits. */
err_t base_digits_encode(const base_t *b, bytes_t data, buf_t *out);
err_t base_digits_decode(const base_t *b, bytes_t text, bool is_lenient, buf_t *out);
/* Spec: RFC 9285. */
err_t base45_encode(const base_t *b, bytes_t data, buf_t *out);
err_t base45_decode(const base_t *b, bytes_t text, bool is_lenient, buf_t *out);
err_t base_emoji_encode(const base_t *b, bytes_t data, buf_t *out);
err_t base_emoji_decode(const base_t *b, bytes_t text, bool is_lenient, buf_t *out);
#endif

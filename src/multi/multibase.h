/* multibase: self-describing text of bytes. Spec: multiformats/multibase, all bases that its table calls
 * final, draft or experimental but proquint.
 *
 * Decoding is strict, so that two texts never mean the same bytes but for the case of letters (bases 16,
 * 32 and 36 take both): impossible lengths, trailing bits that are not zero, and missing or surplus
 * padding are ERR_INVALID. Bases that are no power of two take quadratic time; they are limited to
 * MULTIBASE_DIGITS_MAX bytes, with ERR_LIMIT. */
#ifndef MULTI_MULTIBASE_H
#define MULTI_MULTIBASE_H
#include "base/bytes.h"
#define MULTIBASE_DIGITS_MAX 16384 /* of base10, base36 and base58 */
/* The value is the prefix character. */
typedef enum {
    MB_IDENTITY = 0,
    MB_BASE2 = '0',
    MB_BASE8 = '7',
    MB_BASE10 = '9',
    MB_BASE16 = 'f',
    MB_BASE16UPPER = 'F',
    MB_BASE32 = 'b',
    MB_BASE32UPPER = 'B',
    MB_BASE32PAD = 'c',
    MB_BASE32PADUPPER = 'C',
    MB_BASE32HEX = 'v',
    MB_BASE32HEXUPPER = 'V',
    MB_BASE32HEXPAD = 't',
    MB_BASE32HEXPADUPPER = 'T',
    MB_BASE32Z = 'h',
    MB_BASE36 = 'k',
    MB_BASE36UPPER = 'K',
    MB_BASE45 = 'R',
    MB_BASE58BTC = 'z',
    MB_BASE58FLICKR = 'Z',
    MB_BASE64 = 'm',
    MB_BASE64PAD = 'M',
    MB_BASE64URL = 'u',
    MB_BASE64URLPAD = 'U',
    MB_BASE256EMOJI = 0x1f680
} multibase_t;
MUST_CHECK err_t multibase_from_name(const char *name, multibase_t *ret); /* "base32", "b"; ERR_NOT_FOUND */
MUST_CHECK err_t multibase_from_prefix(bytes_t text, multibase_t *ret, size_t *ret_used);
const char *multibase_name(multibase_t base);
/* The i-th base of the table; false behind the last. */
bool multibase_at(size_t i, multibase_t *ret);
/* With the prefix. Appends text, not NUL-terminated. */
MUST_CHECK err_t multibase_encode(multibase_t base, bytes_t data, buf_t *out);
MUST_CHECK err_t multibase_decode(bytes_t text, multibase_t *ret_base, buf_t *out);
/* Without prefix. */
MUST_CHECK err_t multibase_encode_raw(multibase_t base, bytes_t data, buf_t *out);
MUST_CHECK err_t multibase_decode_raw(multibase_t base, bytes_t text, buf_t *out);
/* As multibase_decode_raw, but trailing bits may be anything: I2P names in multiaddrs. Bases of a power
 * of two only. */
MUST_CHECK err_t multibase_decode_lenient(multibase_t base, bytes_t text, buf_t *out);
#endif

/* multibase: self-describing text of bytes. Spec: multiformats/multibase. */
#ifndef MULTI_MULTIBASE_H
#define MULTI_MULTIBASE_H
#include "base/bytes.h"
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
    MB_PROQUINT = 'p',
    MB_BASE256EMOJI = 0x1f680
} multibase_t;
MUST_CHECK err_t multibase_from_name(const char *name, multibase_t *ret); /* "base32" */
const char *multibase_name(multibase_t base);
/* With the prefix. Appends text, not NUL-terminated. */
MUST_CHECK err_t multibase_encode(multibase_t base, bytes_t data, buf_t *out);
MUST_CHECK err_t multibase_decode(bytes_t text, multibase_t *ret_base, buf_t *out);
/* Without prefix. */
MUST_CHECK err_t multibase_encode_raw(multibase_t base, bytes_t data, buf_t *out);
MUST_CHECK err_t multibase_decode_raw(multibase_t base, bytes_t text, buf_t *out);
#endif

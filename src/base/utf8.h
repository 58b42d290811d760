/* utf8: well-formed UTF-8. Spec: RFC 3629: no overlong forms, surrogates or code points above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H
#include "base/bytes.h"

/* Bytes of the character at the front, 1 to 4; 0 when there is none. */
size_t utf8_length(bytes_t text);
bool utf8_is_valid(bytes_t text);
/* Bytes written. code_point: a scalar value of Unicode. */
size_t utf8_put(uint32_t code_point, uint8_t out[4]);
#endif

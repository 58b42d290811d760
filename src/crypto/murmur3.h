/* murmur3: the x64 128-bit form, seed 0, of which UnixFS directories use the first half. Not a
 * cryptographic hash. Reference: aappleby/smhasher MurmurHash3_x64_128. */
#ifndef CRYPTO_MURMUR3_H
#define CRYPTO_MURMUR3_H
#include "base/bytes.h"
uint64_t murmur3_x64_64(bytes_t data);
#endif

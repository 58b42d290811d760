/* checksum: XXH64 (Yann Collet's xxHash, spec: Cyan4973/xxHash doc/xxhash_spec.md), the checksum of what the
 * stores write. Finds torn and damaged writes at memory speed; it proves nothing against an attacker. */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H
#include "base/bytes.h"

uint64_t checksum_of(bytes_t data, uint64_t seed);
#endif

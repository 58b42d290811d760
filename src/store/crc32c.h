/* crc32c: the Castagnoli checksum (RFC 3720, B.4), masked as LevelDB and Pebble keep it beside their data. */
#ifndef STORE_CRC32C_H
#define STORE_CRC32C_H
#include "base/bytes.h"

/* crc: of what came before; 0 at first. */
uint32_t crc32c(uint32_t crc, bytes_t data);
static inline uint32_t crc32c_masked(uint32_t crc)
{
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}
#endif

/* zstd_block: blocks that Zstandard has compressed, as Pebble keeps them: the length of the content as a
 * varint, then one frame (RFC 8878). Reading alone, by the library. */
#ifndef STORE_ZSTD_BLOCK_H
#define STORE_ZSTD_BLOCK_H
#include "base/bytes.h"

/* Appends the content to out, whose maximum bounds it. ERR_CORRUPT; ERR_LIMIT;
 * ERR_UNSUPPORTED: no library. */
MUST_CHECK err_t zstd_block_decode(bytes_t in, buf_t *out);
#endif

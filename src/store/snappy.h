/* snappy: blocks that Snappy has compressed, as Pebble keeps them. Reading alone, by the library. */
#ifndef STORE_SNAPPY_H
#define STORE_SNAPPY_H
#include "base/bytes.h"

/* Appends the content to out, whose maximum bounds it. ERR_CORRUPT; ERR_LIMIT;
 * ERR_UNSUPPORTED: no library. */
MUST_CHECK err_t snappy_decode(bytes_t in, buf_t *out);
#endif

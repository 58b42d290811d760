/* snappy: blocks that Snappy has compressed (google/snappy format_description.txt), as Pebble keeps them.
 * Reading alone; each byte of the result is checked to lie behind what was written before it. */
#ifndef STORE_SNAPPY_H
#define STORE_SNAPPY_H
#include "base/bytes.h"

/* Appends the content to out, whose maximum bounds it. ERR_CORRUPT; ERR_LIMIT. */
MUST_CHECK err_t snappy_decode(bytes_t in, buf_t *out);
#endif

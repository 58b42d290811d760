/* unzlib: what zlib compressed (RFC 1950), as git keeps its objects, in one go. */
#ifndef API_UNZLIB_H
#define API_UNZLIB_H
#include "base/bytes.h"

/* Appends to out, up to its limit: ERR_LIMIT behind it. ERR_INVALID: no such stream, or cut short. What is
 * behind its end is left out. */
MUST_CHECK err_t unzlib(bytes_t in, buf_t *out);
#endif

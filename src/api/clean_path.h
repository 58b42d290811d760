/* clean_path: requests whose path has empty segments, "." or ".." are sent to the path without them (307, so
 * that the method stays), as the reference's server does before any handler sees them. Segments count as they
 * are written: "%2e%2e" is a name. */
#ifndef API_CLEAN_PATH_H
#define API_CLEAN_PATH_H
#include "task/exchange.h"

/* Appends the clean form of a path: it begins with a slash, and ends with one where `path` does. */
MUST_CHECK err_t clean_path(bytes_t path, buf_t *out);
/* *ret_replied: the request was redirected. Those to a proxy ("http://HOST/…") never are. */
MUST_CHECK err_t reply_clean_path(task_t *t, exchange_t *x, bool *ret_replied);
#endif

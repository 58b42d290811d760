/* rfc3339: points in time as text, "2026-01-02T03:04:05.678Z". Spec: RFC 3339, as Go's time.RFC3339Nano
 * prints it: UTC, no zeros at the end of the fraction. Years 1 to 9999. */
#ifndef BASE_RFC3339_H
#define BASE_RFC3339_H
#include "base/bytes.h"

#define RFC3339_MAX 40                     /* NUL included */
#define RFC3339_NONE INT64_C(-62135596800) /* the beginning of the year 1: what Go prints for no time */

/* Seconds since 1970, negative before. Returns out. */
const char *rfc3339_print(int64_t seconds, uint32_t nanoseconds, char out[RFC3339_MAX]);
/* Any offset; digits of the fraction behind the ninth are dropped. ERR_INVALID: not such a text, no such day.
 */
MUST_CHECK err_t rfc3339_parse(bytes_t text, int64_t *ret_seconds, uint32_t *ret_nanoseconds);
#endif

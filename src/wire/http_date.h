/* http_date: dates of HTTP headers. Spec: RFC 9110, 5.6.7. */
#ifndef WIRE_HTTP_DATE_H
#define WIRE_HTTP_DATE_H
#include "base/bytes.h"

#define HTTP_DATE_MAX 40
/* "Sun, 06 Nov 1994 08:49:37 GMT" of seconds since 1970. */
const char *http_date_print(int64_t seconds, char out[HTTP_DATE_MAX]);
/* Also the two older forms. ERR_INVALID. */
MUST_CHECK err_t http_date_parse(const char *text, int64_t *ret_seconds);
#endif

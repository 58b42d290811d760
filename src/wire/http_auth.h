/* http_auth: the Authorization header (RFC 9110, 11.6.2) that a secret of the RPC stands for. Reference:
 * ipfs/kubo docs/config.md, API.Authorizations: AuthSecret. */
#ifndef WIRE_HTTP_AUTH_H
#define WIRE_HTTP_AUTH_H
#include "base/bytes.h"

#define HTTP_AUTH_MAX_BYTES (8u << 10)
/* "bearer:TOKEN" or a TOKEN alone, "basic:USER:PASSWORD" or "basic:BASE64", appended to out as the header's
 * value. ERR_INVALID: of another kind. The caller wipes out. */
MUST_CHECK err_t http_auth_header(const char *secret, buf_t *out);
#endif

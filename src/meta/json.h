/* json: small helpers between JSON and the values of this folder. */
#ifndef META_JSON_H
#define META_JSON_H
#include "base/bytes.h"
#include "base/rfc3339.h"
#include <jansson.h>

const char *json_time_text(int64_t at_ms, char out[RFC3339_MAX]); /* returns out */
json_t *json_time(int64_t at_ms);                                 /* owned */
/* Standard base64 with padding, NUL-terminated, or ERR_LIMIT. */
MUST_CHECK err_t base64_text(bytes_t data, char *out, size_t cap);
/* Exactly len bytes, else ERR_INVALID. */
MUST_CHECK err_t base64_bytes(const char *text, uint8_t *out, size_t len);
/* Members of an object that may be absent; the kind must fit: ERR_INVALID names the member. */
MUST_CHECK err_t json_get_text(json_t *o, const char *key, const char *otherwise, const char **ret);
MUST_CHECK err_t json_get_number(json_t *o, const char *key, int64_t otherwise, int64_t max, int64_t *ret);
MUST_CHECK err_t json_get_bool(json_t *o, const char *key, bool otherwise, bool *ret);
/* The members are among `keys` (NULL at the end), all of those of `required` there. */
MUST_CHECK err_t json_check_members(json_t *o, const char *const *keys, const char *const *required);
#endif

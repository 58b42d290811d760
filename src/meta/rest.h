/* rest: requests to the metadata service: JSON there and back. One connection for each; bounded answers. */
#ifndef META_REST_H
#define META_REST_H
#include "net/span.h"
#include <jansson.h>

#define REST_ANSWER_MAX_BYTES (64u << 20)
#define REST_URL_MAX_BYTES 1024
#define REST_SECRET_MAX_BYTES 8192

typedef struct rest {
    char url[REST_URL_MAX_BYTES];       /* "http://HOST:PORT", without a slash at the end */
    buf_t authorities;                  /* PEM of those that vouch for it; empty: those of the system */
    char secret[REST_SECRET_MAX_BYTES]; /* a token or an API key; "": none. Wiped by rest_deinit */
} rest_t;
/* address: a URL, or HOST:PORT. secret may be NULL. ERR_USAGE. */
MUST_CHECK err_t rest_init(rest_t *r, const char *address, const char *secret);
/* With https these alone count, and TLS 1.3. ERR_LIMIT. */
MUST_CHECK err_t rest_set_authorities(rest_t *r, bytes_t pem);
void rest_deinit(rest_t *r); /* idempotent */

typedef struct rest_call {
    const char *method, *path; /* "/files?…", percent-encoded */
    json_t *body;              /* borrowed; NULL: none */
    const char *if_match;      /* NULL: none */
    int status;                /* of the answer */
    const trace_span_t *span;  /* of this call, while it runs */
} rest_call_t;
/* *ret_answer: a new reference, NULL when the answer has no content. A status of 400 and above is the error
 * that stands for it, with the service's own words; ERR_PROTOCOL: not JSON. ERR_NOT_FOUND is only ever the
 * service's word (storage nodes delete by it): no address of its host, or a proxy's 404, are other errors. */
MUST_CHECK err_t rest_send(task_t *t, const rest_t *r, rest_call_t *c, json_t **ret_answer);
/* The same in short. body is taken, also on failure; ret_answer may be NULL. */
MUST_CHECK err_t rest_do(task_t *t, const rest_t *r, const char *method, const char *path, json_t *body,
                         json_t **ret_answer);

static inline void json_t_auto_ptr(json_t **p)
{
    json_decref(*p);
}
/* Members of an answer; ERR_PROTOCOL: absent, or of another kind. Texts live as long as the object. */
MUST_CHECK err_t rest_text(const json_t *o, const char *name, const char **ret);
MUST_CHECK err_t rest_number(const json_t *o, const char *name, uint64_t *ret);
MUST_CHECK err_t rest_key32(const json_t *o, const char *name, uint8_t ret[32]); /* base64 of 32 bytes */
#endif

/* http_fetch: one request to an http or https URL and its answer, as a task, over wire/http_client and
 * crypto/tls_client. A connection for each request; no proxies are used. Up to 10 redirects are followed,
 * never from https to http; the Authorization goes to the host that was asked alone. What comes back is
 * handed on piece by piece, so that nothing is held. */
#ifndef NET_HTTP_FETCH_H
#define NET_HTTP_FETCH_H
#include "task/driver.h"
#include "wire/http_client.h"

#define HTTP_URL_MAX_BYTES (16u << 10)
typedef struct http_fetch {
    const char *method; /* NULL: GET */
    const char *url;    /* http://HOST[:PORT]/PATH?QUERY, percent-encoded */
    const http_field_t *fields;
    size_t n_fields;
    bytes_t body;        /* of the request; announced by its length when there is one */
    bytes_t authorities; /* PEM, borrowed: who vouches for an https host; BYTES_NONE: those of the system */
    bool stays_here;     /* a redirect is the answer, and not followed */
    size_t max_in_bytes; /* of the answer's body, and by that of all around it; 0: no limit. ERR_LIMIT */
    /* May be NULL: the body is dropped. An error ends the request and is its result. */
    err_t (*on_body)(task_t *t, void *arg, bytes_t piece);
    void *arg;
    /* of the answer */
    int status;
    char content_type[128]; /* "" when none */
} http_fetch_t;
/* OK whatever the status says. ERR_USAGE: not such a URL; ERR_NOT_FOUND: the host has no address;
 * ERR_UNREACHABLE, ERR_REFUSED and others of net_dial; ERR_CRYPTO: its certificate; ERR_PROTOCOL, ERR_EOF,
 * ERR_LIMIT: its answer. Until the task's deadline. */
MUST_CHECK err_t http_fetch(task_t *t, http_fetch_t *f);
/* The same with the body appended to out, whose maximum holds. */
MUST_CHECK err_t http_fetch_all(task_t *t, http_fetch_t *f, buf_t *out);
#endif

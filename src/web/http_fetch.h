/* http_fetch: one request to an http or https URL and its answer, as a task, over wire/http_client and
 * crypto/tls_client. Up to 9 redirects are followed, and the Authorization
 * goes to the host that was asked alone. What comes back is handed on piece by piece, so that nothing is
 * held.
 *
 * Content that a user named by its URL (is_content) is fetched as the reference's client fetches it: the URL
 * may name a user, the proxies of the environment are used (proxy.h), a redirect may leave https for http,
 * and what comes compressed with gzip is decompressed, unless a range was asked for. All other requests
 * refuse users and such redirects, and go directly. */
#ifndef WEB_HTTP_FETCH_H
#define WEB_HTTP_FETCH_H
#include "task/driver.h"
#include "web/url.h"
#include "wire/http_client.h"

typedef struct http_fetch {
    const char *method; /* NULL: GET */
    const char *url;    /* http://HOST[:PORT]/PATH?QUERY */
    const http_field_t *fields;
    size_t n_fields;
    bytes_t body;        /* of the request; announced by its length when there is one */
    bytes_t authorities; /* PEM, borrowed: who vouches for an https host; BYTES_NONE: those of the system */
    bool stays_here;     /* a redirect is the answer, and not followed */
    bool is_content;
    size_t max_in_bytes;     /* of the answer's body, and by that of all around it; 0: no limit. ERR_LIMIT */
    uint64_t max_silence_ms; /* between two pieces of the answer; 0: no limit. ERR_TIMEOUT */
    struct http_pool
        *pool; /* of connections that may be used again (http_pool.h); NULL: one for each request */
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

/* The same for a reader that asks for the body: f, borrowed until the end, has the status; on_body is not
 * used. */
typedef struct http_answer http_answer_t;
MUST_CHECK err_t http_answer_open(task_t *t, http_fetch_t *f, http_answer_t **ret);
const char *http_answer_field(const http_answer_t *a, const char *name); /* of its head; NULL: not there */
/* At least one byte; OK with 0 when the body is whole. ERR_EOF: it was cut short. */
MUST_CHECK err_t http_answer_read(task_t *t, http_answer_t *a, uint8_t *out, size_t cap, size_t *ret_n);
void http_answer_close(task_t *t, http_answer_t *a); /* NULL is fine */
#endif

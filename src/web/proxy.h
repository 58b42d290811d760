/* proxy: which proxy a request goes through, as the environment says: HTTP_PROXY for http, HTTPS_PROXY for
 * https, NO_PROXY for what goes there without one; in lower case, too, which comes second. Loopback and
 * "localhost" are always reached directly. Reference: Go's golang.org/x/net/http/httpproxy, whose rules
 * Kubo's requests follow. */
#ifndef WEB_PROXY_H
#define WEB_PROXY_H
#include "web/url.h"

typedef struct proxy_env {
    const char *http, *https, *none; /* NULL: not set */
    bool is_cgi;                     /* HTTP_PROXY may be a header that a client of a web server sent */
} proxy_env_t;
proxy_env_t proxy_env(void); /* of this process; borrowed from its environment */
/* Appends the proxy's URL for u; nothing: it is reached directly. ERR_USAGE: the proxy is no http or https
 * URL. */
MUST_CHECK err_t proxy_choose(const proxy_env_t *env, const url_t *u, buf_t *out);
#endif

/* url: http and https URLs: their parts, and as they are sent. Spec: RFC 3986; what it does not allow in a
 * path or query, such as blanks, is percent-encoded, as browsers do. */
#ifndef WEB_URL_H
#define WEB_URL_H
#include "base/bytes.h"

#define URL_MAX_BYTES (16u << 10)
#define URL_HOST_MAX_BYTES 256
typedef struct url {
    bool is_secure;
    char host[URL_HOST_MAX_BYTES]; /* a name, or an IP address without brackets */
    char
        authority[URL_HOST_MAX_BYTES + 8]; /* HOST[:PORT] as written, brackets and all, for the Host header */
    uint16_t port;
    bytes_t user;                  /* of "USER[:PASSWORD]@", encoded; data NULL: there is none */
    bytes_t path, query, fragment; /* as written, without ? and #; data NULL: there is none */
} url_t;

/* The result borrows text. ERR_USAGE: no http or https URL, or one that cannot be read. */
MUST_CHECK err_t url_parse(const char *text, url_t *ret);
/* Does a reference or an address begin as such a URL does? In lower case, as the reference tells them. */
bool url_is_named(const char *text);
/* All of these append to out, whose maximum holds. */
MUST_CHECK err_t url_target(const url_t *u, buf_t *out); /* "/path?query", for the request line */
MUST_CHECK err_t url_whole(const url_t *u,
                           buf_t *out); /* without user and fragment, for a proxy and for errors */
MUST_CHECK err_t url_print(const url_t *u, buf_t *out);     /* with all of it, the scheme in lower case */
MUST_CHECK err_t url_user_auth(const url_t *u, buf_t *out); /* "Basic …"; the caller wipes out */
/* The last part of the path, decoded: "c" of "/a/b%2Fc/"; the authority when there is no path, "/" when that
 * is all of it. */
MUST_CHECK err_t url_name(const url_t *u, buf_t *out);
/* For errors and logs, which must not have passwords: url_whole, cut; of what is no URL its beginning. */
#define URL_SHOWN_MAX 160
const char *url_show(const char *text, char out[URL_SHOWN_MAX]);
/* A Location beside the URL that it came from (RFC 3986, 5.2). ERR_PROTOCOL: it leads to no http or https
 * URL. */
MUST_CHECK err_t url_resolve(const char *from, const char *location, buf_t *out);
#endif

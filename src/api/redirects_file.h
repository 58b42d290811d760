/* redirects_file: the rules in a site's `_redirects`. Spec: ipfs/specs
 * src/http-gateways/web-redirects-file.md. One rule a line: FROM TO [STATUS]. FROM has :names for one segment
 * and may end in a "*" for the rest, which TO knows as :splat. STATUS: 301 (default), 302, 303, 307, 308
 * redirect; 200 rewrites; 404, 410, 451 show a page. */
#ifndef API_REDIRECTS_FILE_H
#define API_REDIRECTS_FILE_H
#include "base/bytes.h"

#define REDIRECTS_FILE_MAX_BYTES (64 * 1024)

typedef struct redirect_rule {
    bytes_t from, to; /* borrowed from the file */
    int status;
} redirect_rule_t;
typedef struct redirects_file {
    redirect_rule_t *rules;
    size_t count, cap;
} redirects_file_t;

/* The text is borrowed until deinit. One bad line makes the whole file bad: ERR_INVALID says why, ERR_LIMIT:
 * it is too large. *ret is left for redirects_file_deinit either way. */
MUST_CHECK err_t redirects_file_parse(bytes_t text, redirects_file_t *ret);
void redirects_file_deinit(redirects_file_t *f); /* idempotent */
AUTO_DEFINE(redirects_file_t, redirects_file_deinit)
/* The first rule for a path ("/a/b", decoded, without a slash at the end): its status, and TO with what the
 * names stood for. 0: none. ERR_LIMIT: the target is longer than out allows. */
MUST_CHECK err_t redirects_file_match(const redirects_file_t *f, bytes_t path, buf_t *out, int *ret_status);
#endif

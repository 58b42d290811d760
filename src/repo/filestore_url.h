/* filestore_url: the range of a URL that a reference names, as the reference reads it (ipfs/boxo filestore
 * fsrefstore.go): one GET with a Range, redirects and proxies as for all content (web/http_fetch.h). A server
 * that gives the whole content instead is read from its beginning alone. Bounded: URL_READS_MAX at a time,
 * each URL_READ_TIMEOUT_MS from where its turn has come. */
#ifndef REPO_FILESTORE_URL_H
#define REPO_FILESTORE_URL_H
#include "repo/filestore.h"

enum { URL_READS_MAX = 16, URL_READ_TIMEOUT_MS = 60000 };
/* ref->size bytes to out, not compared with anything. ERR_EOF: there are fewer; ERR_REFUSED, ERR_NOT_FOUND,
 * ERR_UNREACHABLE and others: nothing is to be had; ERR_CANCELED, ERR_TIMEOUT: of the caller's task. */
MUST_CHECK err_t filestore_read_url(task_t *t, gate_t *turns, const filestore_ref_t *ref, uint8_t *out);
/* Is the path of a reference a URL? */
bool filestore_ref_is_url(const filestore_ref_t *ref);
#endif

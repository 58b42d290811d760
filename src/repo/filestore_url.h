/* filestore_url: the range of a URL that a reference names, as the reference reads it (ipfs/boxo filestore
 * fsrefstore.go): one GET with a Range, redirects and proxies as for all content (web/http_fetch.h). A server
 * that gives the whole content instead is read from its beginning alone. Bounded: URL_READS_MAX at a time,
 * each URL_READ_TIMEOUT_MS from where its turn has come, URL_SILENCE_MS of them without a byte. A host that
 * was silent is not asked again for URL_REST_MS: whoever wants blocks of it, a peer of bitswap say, waits
 * once, and not for each. */
#ifndef REPO_FILESTORE_URL_H
#define REPO_FILESTORE_URL_H
#include "repo/filestore.h"
#include "web/http_pool.h"

enum { URL_READS_MAX = 16, URL_READ_TIMEOUT_MS = 60000, URL_SILENCE_MS = 15000, URL_REST_MS = 30000 };
enum { URL_RESTING_MAX = 32 };
typedef struct url_reader {
    gate_t turns;
    http_pool_t pool;
    struct resting_host {
        char *authority; /* owned; NULL: free */
        uint64_t until_ms;
    } resting[URL_RESTING_MAX];
} url_reader_t;
void url_reader_init(url_reader_t *r);
void url_reader_deinit(url_reader_t *r); /* idempotent */
/* ref->size bytes to out, not compared with anything. ERR_EOF: there are fewer; ERR_REFUSED, ERR_NOT_FOUND,
 * ERR_UNREACHABLE and others: nothing is to be had; ERR_CANCELED, ERR_TIMEOUT: of the caller's task. */
MUST_CHECK err_t filestore_read_url(task_t *t, url_reader_t *r, const filestore_ref_t *ref, uint8_t *out);
/* Is the path of a reference a URL? */
bool filestore_ref_is_url(const filestore_ref_t *ref);
#endif

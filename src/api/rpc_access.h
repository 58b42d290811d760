/* rpc_access: who may call the RPC: pages of other sites may not (Origin, Referer, browsers that hide both),
 * and where API.Authorizations is set nobody without one of its secrets. Reference: go-ipfs-cmds
 * http/config.go, ipfs/kubo core/corehttp/commands.go, docs/config.md (API). */
#ifndef API_RPC_ACCESS_H
#define API_RPC_ACCESS_H
#include "api/api.h"

/* False: the request comes from a page of another site. */
bool rpc_is_from_allowed_site(api_t *api, exchange_t *x);
/* Is the path allowed to who sent this? With path NULL: does the request carry any of the secrets? */
bool rpc_is_authorized(api_t *api, exchange_t *x, const char *path);
/* API.HTTPHeaders and the CORS headers of an answer. */
MUST_CHECK err_t rpc_set_headers(api_t *api, exchange_t *x);
MUST_CHECK err_t rpc_reply_options(task_t *t, api_t *api, exchange_t *x);
/* text/plain as Go's http.Error makes it. */
MUST_CHECK err_t rpc_reply_plain(task_t *t, exchange_t *x, int status, const char *text);
#endif

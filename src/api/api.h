/* api: the HTTP faces over a node: RPC (/api/v0), gateway (/ipfs), metrics and health. Each is an
 * exchange_fn; which transport carries it is main's choice. */
#ifndef API_API_H
#define API_API_H
#include "node/node.h"
#include "task/exchange.h"
#include "task/mount.h"

typedef struct api api_t;
api_t *api_new(node_t *n); /* borrows the node */
void api_free(api_t *a);
node_t *api_node(api_t *a);
/* arg of all three: the api_t. */
/* Those commands of /api/v0 that need neither node nor repository (cid/…, multibase/…, commands,
 * version/deps), for this process alone; arg is not looked at. */
err_t api_rpc_without_node(task_t *t, exchange_t *x, void *arg);
err_t api_rpc(task_t *t, exchange_t *x, void *api);     /* /api/v0/…, POST only, origin checks */
err_t api_gateway(task_t *t, exchange_t *x, void *api); /* /ipfs/CID/path, GET and HEAD */
err_t api_metrics(task_t *t, exchange_t *x, void *api); /* /metrics, /health, /ready */
/* The control API of the mesh, with the RPC under /api/v0. */
err_t api_control(task_t *t, exchange_t *x, void *api);
/* What callers of api_control must show as `Authorization: Bearer TOKEN`, unless API.Authorizations names who
 * may call; "": nothing. Wiped by api_free. */
#define API_TOKEN_MAX 128
void api_set_control_token(api_t *a, const char *token);
bool api_has_authorizations(api_t *a); /* API.Authorizations names somebody: nobody else may call the RPC */
/* `shutdown` was called: main stops the node. Fired once. */
event_t *api_shutdown_event(api_t *a);
bool api_is_shutting_down(const api_t *a);
/* Opens a gateway from a running node (`gateway --port`); set by main, may be NULL. */
typedef err_t (*api_open_gateway_fn)(task_t *t, void *arg, uint16_t port, buf_t *ret_addr);
void api_set_gateway_opener(api_t *a, api_open_gateway_fn fn, void *arg);
/* What `mount` opens folders with; set by main, may be NULL. */
void api_set_mount_opener(api_t *a, mount_open_fn fn);
/* Mounts /ipfs, /ipns and /mfs, in this order, in the place of what was mounted; NULL: where the config says.
 * Errors of mount_open_fn. */
MUST_CHECK err_t api_mount(task_t *t, api_t *a, const char *const folders[3]);
void api_unmount(task_t *t, api_t *a); /* before api_free */
#endif

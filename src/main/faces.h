/* faces: the HTTP servers of a running node: RPC, gateway, metrics and health. */
#ifndef MAIN_FACES_H
#define MAIN_FACES_H
#include "api/api.h"
#include "loop/http_server.h"

#define FACES_MAX_GATEWAYS 8
#define FACES_MAX_RPC 8
typedef struct faces {
    driver_t *driver;
    api_t *api;
    http_server_t *metrics, *control, *rpc[FACES_MAX_RPC], *gateways[FACES_MAX_GATEWAYS];
    size_t n_rpc, n_gateways;
} faces_t;

/* port_option: the user's choice (NULL: the default that `configured`, an address of the config, or the port
 * names). A default that is taken moves to the next free port with a warning; a chosen one that is taken is
 * ERR_IN_USE. */
MUST_CHECK err_t faces_open_rpc(faces_t *f, const char *port_option, const char *configured);
MUST_CHECK err_t faces_open_gateway(faces_t *f, const char *port_option, const char *configured);
/* The control API of the mesh, with the RPC. port_option: PORT or :PORT on loopback, or IP:PORT.
 * *ret_is_public: it is not on loopback alone. */
MUST_CHECK err_t faces_open_control(faces_t *f, const char *port_option, bool *ret_is_public);
MUST_CHECK err_t faces_open_metrics(faces_t *f, const char *port_option);
void faces_close(task_t *t, faces_t *f);
#endif

/* fileserver_internal: what the files of the storage node's face share. */
#ifndef API_FILESERVER_INTERNAL_H
#define API_FILESERVER_INTERNAL_H
#include "api/fileserver.h"
#include "meta/node_service.h"
#include "net/grpc.h"

struct fileserver {
    node_t *node;
    tls_mutual_t *tls;
    node_service_t *service;
    grpc_server_t *server;
};
static inline bool fileserver_is_on_ipfs(const fileserver_t *f)
{
    return node_is_online(f->node);
}
/* fileserver_publish.c; arg: the fileserver_t */
err_t fileserver_publish(task_t *t, grpc_call_t *c, void *arg);
err_t fileserver_blocks(task_t *t, grpc_call_t *c, void *arg);
/* fileserver_calls.c; arg: a node_service_t */
extern const grpc_method_t fileserver_methods[];
void fileserver_call_ended(void *arg, const char *path, grpc_status_t status, uint64_t took_ms);
#endif

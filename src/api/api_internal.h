/* api_internal: the state behind api.h, for the files of this folder. */
#ifndef API_API_INTERNAL_H
#define API_API_INTERNAL_H
#include "api/api.h"

struct api {
    node_t *node; /* borrowed */
    event_t shutdown;
    bool is_shutting_down;
    api_open_gateway_fn open_gateway;
    void *open_gateway_arg;
};
void rpc_each_command(void (*visit)(void *arg, const char *path), void *arg);
#endif

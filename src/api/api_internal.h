/* api_internal: the state behind api.h, for the files of this folder. */
#ifndef API_API_INTERNAL_H
#define API_API_INTERNAL_H
#include "api/api.h"
#include "api/gateway_settings.h"
#include "base/list.h"
#include "base/prng.h"

/* The commands that run and ran (rpc_log.h). */
typedef struct rpc_log {
    list_t entries;
    size_t n_ended;
    uint64_t next_id, keep_ms;
} rpc_log_t;

/* Hosts of requests whose look-up in DNS failed: not asked again at once, whoever names them. */
enum { FAILED_HOSTS_MAX = 16, FAILED_HOST_CHARS = 254 };
typedef struct failed_hosts {
    struct {
        char name[FAILED_HOST_CHARS];
        uint64_t until_ms;
    } list[FAILED_HOSTS_MAX];
    size_t next;
} failed_hosts_t;

struct api {
    node_t *node; /* borrowed */
    event_t shutdown;
    bool is_shutting_down;
    rpc_log_t log;
    api_open_gateway_fn open_gateway;
    void *open_gateway_arg;
    mount_open_fn open_mount;
    struct mounts *mounts; /* NULL: never asked for */
    gateway_settings_t gateway;
    uint64_t gateway_running; /* requests */
    failed_hosts_t failed_hosts;
    char control_token[API_TOKEN_MAX]; /* "": none is asked for */
    prng_t trace_ids;                  /* the system's randomness would cost a call for each request */
};

/* Gives the request an id that all log lines of its task, and of tasks that it starts, carry as trace_id: the
 * client's (traceparent, W3C Trace Context level 1), or a fresh one. */
void api_begin_trace(task_t *t, api_t *a, exchange_t *x);
void gateway_metrics_start(void); /* its counters are there from the beginning, at 0 */
void rpc_each_command(void (*visit)(void *arg, const char *path), void *arg);
#endif

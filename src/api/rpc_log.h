/* rpc_log: which commands run, and which ran lately, for `diag cmds`. Bounded: 256 entries that ended. Words
 * and options that may hold secrets are left out. */
#ifndef API_RPC_LOG_H
#define API_RPC_LOG_H
#include "api/api_internal.h"
#include "api/rpc_util.h"
#include "base/rfc3339.h"

typedef struct rpc_log_entry rpc_log_entry_t;
void rpc_log_init(rpc_log_t *l);
void rpc_log_deinit(rpc_log_t *l);
/* Valid until rpc_log_end. */
rpc_log_entry_t *rpc_log_begin(task_t *t, rpc_t *r);
void rpc_log_end(task_t *t, api_t *api, rpc_log_entry_t *entry);
/* As ipfs/kubo's ReqLogEntry, oldest first. New reference. */
json_t *rpc_log_json(rpc_log_t *l, uint64_t now_ms);
void rpc_log_clear(rpc_log_t *l); /* those that ended */
void rpc_log_set_keep(rpc_log_t *l, uint64_t keep_ms);
/* "2006-01-02T15:04:05.000Z" of wall-clock milliseconds; 0 is Go's zero time. */
const char *rpc_time(uint64_t wall_ms, char out[RFC3339_MAX]);
#endif

/* settings_resources: how much the connections of a node may use, by its config and by the file
 * libp2p-resource-limit-overrides.json in the repository. Keys, members and the file as in ipfs/kubo
 * (docs/libp2p-resource-management.md); the defaults follow from Swarm.ResourceMgr.MaxMemory. */
#ifndef NODE_SETTINGS_RESOURCES_H
#define NODE_SETTINGS_RESOURCES_H
#include "net/resources.h"
#include "node/node.h"

/* Swarm.ConnMgr.Type, LowWater, HighWater, GracePeriod; Swarm.ResourceMgr.Enabled, MaxMemory,
 * MaxFileDescriptors; Swarm.Inbound.ConnsPerIP, NewConnsPerSecond, NewConnsAtOnce. */
void settings_limits(const config_t *config, host_limits_t *limits);
/* Is Swarm.ResourceMgr.Enabled? */
bool settings_has_resource_manager(const config_t *config);
/* Limits by scope: what the text of an overrides file says of those in *scopes; what it does not name stays.
 * ERR_USAGE names a member that cannot be read. ret->named and its names are owned by scopes_free. */
MUST_CHECK err_t settings_scopes(bytes_t overrides, host_scopes_t *ret);
void settings_scopes_free(host_scopes_t *s);
/* Reads the file in the repository and Swarm.ResourceMgr.Allowlist. ERR_USAGE: one of them cannot be read, or
 * Swarm.ConnMgr.HighWater is over a limit. */
MUST_CHECK err_t settings_resources(task_t *t, const config_t *config, const char *repo_path, host_t *h);
#endif

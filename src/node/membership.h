/* membership: what a node does differently as a member of an encrypted mesh (replica/mesh.h): a DHT of its
 * own and no public bootstrap peers, nothing announced outside, no listening beside the addresses that were
 * given; it joins by IP:PORT, relays for members or is relayed, and holds copies for them.
 *
 * Switched on by node_options_t.mesh or the config's Mesh.Enabled; keys: docs/config.md, Mesh. */
#ifndef NODE_MEMBERSHIP_H
#define NODE_MEMBERSHIP_H
#include "net/nat.h"
#include "node/node.h"

bool membership_is_on(const config_t *config, const node_options_t *o);
/* Is this node a relay of its mesh? */
bool membership_is_relay(const config_t *config, const node_options_t *o);
/* Circuits of members have no limits; a relay serves although nobody has confirmed that it is reached. */
void membership_nat(nat_config_t *c, bool is_relay);
/* Zone, factor, quotas, windows. ERR_USAGE: a zone that is not printable ASCII of at most MESH_ZONE_MAX
 * characters; a factor that is not 1 to REPLICA_TARGET_MAX. */
MUST_CHECK err_t membership_settings(const config_t *config, const node_options_t *o, mesh_config_t *ret);
/* Starts to join at o->bootstrap, else at the config's Mesh.Bootstrap. */
MUST_CHECK err_t membership_join(task_t *t, const config_t *config, const node_options_t *o, host_t *h,
                                 kv_t *state, mesh_join_t **ret);
#endif

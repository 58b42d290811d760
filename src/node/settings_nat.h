/* settings_nat: what the config says about NATs: Swarm.RelayClient, RelayService, EnableHolePunching,
 * Transports.Network.Relay; AutoNAT; Internal.Libp2pForceReachability. docs/config.md lists the keys. */
#ifndef NODE_SETTINGS_NAT_H
#define NODE_SETTINGS_NAT_H
#include "net/nat.h"
#include "node/node.h"
#include "repo/config.h"

/* ERR_USAGE: what is asked for contradicts itself, or cannot be read. */
MUST_CHECK err_t settings_nat(const config_t *config, nat_config_t *ret);
/* Starts it, with the relays of Swarm.RelayClient.StaticRelays: one that cannot be read is left out with a
 * warning. ERR_USAGE as above, or a reachability of that name does not exist. */
MUST_CHECK err_t settings_start_nat(const config_t *config, const node_options_t *o, host_t *h);
#endif

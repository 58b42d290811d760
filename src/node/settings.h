/* settings: what the config says about the network, handed to the host. docs/config.md lists the keys. Lines
 * that cannot be read are left out with a warning, unless they decide whom this node talks to. */
#ifndef NODE_SETTINGS_H
#define NODE_SETTINGS_H
#include "net/doh.h"
#include "node/node.h"

/* Swarm.Transports.Network.TCP, Websocket: false closes the transport, both ways. */
void settings_transports(const config_t *config, host_config_t *ret);
/* Swarm.Transports.Security.TLS, Noise: false, or a priority, the lowest first (100 and 200 unless set).
 * ERR_USAGE: neither, or both are off. */
MUST_CHECK err_t settings_security(const config_t *config, host_config_t *ret);
/* Addresses.Announce, AppendAnnounce (with those of `advertise`), NoAnnounce; settings_gates. ERR_USAGE: a
 * filter, or a line of `advertise`, that is not an address. */
MUST_CHECK err_t settings_addresses(const config_t *config, const char *const *advertise, size_t n_advertise,
                                    host_t *h);
/* Swarm.AddrFilters and Swarm.Gating.Deny; Swarm.Gating.Allow. ERR_USAGE; nothing changes then. */
MUST_CHECK err_t settings_gates(const config_t *config, host_t *h);
/* DNS.Resolvers: the servers of domains, but for "auto", which is the system's resolver. ERR_USAGE. */
MUST_CHECK err_t settings_resolvers(const config_t *config, doh_t *ret);
/* Ipns.ResolveCacheSize, MaxCacheTTL, RecordLifetime, RepublishPeriod; $IPFS_NS_MAP. ERR_USAGE: a period that
 * is not between a minute and a day. */
MUST_CHECK err_t settings_naming(const config_t *config, naming_config_t *ret);
/* Bitswap.Libp2pEnabled, ServerEnabled. ERR_INVALID: there would be no way left to fetch a block, as Kubo
 * sees it. */
MUST_CHECK err_t settings_bitswap(const config_t *config, bitswap_config_t *ret);
/* Swarm.Perf: "near" (the default), "all" or "none". ERR_USAGE. */
MUST_CHECK err_t settings_perf(const config_t *config, host_t *h);
/* Swarm.Bandwidth. ERR_USAGE: a protocol whose limits cannot be read, or too many protocols. */
MUST_CHECK err_t settings_bandwidth(const config_t *config, host_t *h);
/* Starts to keep up connections with the bootstrap peers (of o, else of Bootstrap; not in a mesh) and with
 * Peering.Peers. */
void settings_peers(const config_t *config, const node_options_t *o, host_t *h);
#endif

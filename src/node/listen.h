/* listen: the swarm addresses of a node, from the command line or the config. */
#ifndef NODE_LISTEN_H
#define NODE_LISTEN_H
#include "net/host.h"
#include "repo/config.h"

/* wanted: ":4001", "IP:PORT" or multiaddrs; none: the config's Addresses.Swarm, of which those for transports
 * that this build lacks are passed over. A default port (4001 of the config) that is taken is a warning and
 * the next free one; a port that was asked for and is taken is ERR_IN_USE. ERR_USAGE: not an address. */
MUST_CHECK err_t listen_all(task_t *t, host_t *h, const config_t *config, const char *const *wanted,
                            size_t n_wanted);
/* ":4001" or "IP:PORT" or a multiaddr as a multiaddr. ":PORT" is every IPv4 address. */
MUST_CHECK err_t listen_parse(const char *text, multiaddr_t *ret);
#endif

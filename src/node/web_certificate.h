/* web_certificate: what secure WebSocket shows: Swarm.WebsocketTLS.CertFile and KeyFile, PEM files, in the
 * repository unless their paths are absolute. Read when the node goes online, and again when they have
 * changed: certificates are renewed. */
#ifndef NODE_WEB_CERTIFICATE_H
#define NODE_WEB_CERTIFICATE_H
#include "net/host.h"
#include "repo/config.h"

/* Hands the certificate to the host, and starts in `tasks`, which end before the host, a task that looks for
 * another one every two seconds; one that cannot be read is logged, and the former stays. OK when none is
 * configured. ERR_USAGE: one file without the other, or they cannot be read. */
MUST_CHECK err_t web_certificate_start(task_t *t, const config_t *config, const char *repo_path, host_t *h,
                                       group_t *tasks);
#endif

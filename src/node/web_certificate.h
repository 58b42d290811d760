/* web_certificate: what secure WebSocket shows: Swarm.WebsocketTLS.CertFile and KeyFile, PEM files, in the
 * repository unless their paths are absolute. Read when the node goes online. */
#ifndef NODE_WEB_CERTIFICATE_H
#define NODE_WEB_CERTIFICATE_H
#include "net/host.h"
#include "repo/config.h"

/* Hands the certificate to the host; OK when none is configured. ERR_USAGE: one file without the other, or
 * they cannot be read. */
MUST_CHECK err_t web_certificate_load(task_t *t, const config_t *config, const char *repo_path, host_t *h);
#endif

/* dial_name: connecting to a host that is named as in a URL. */
#ifndef WEB_DIAL_NAME_H
#define WEB_DIAL_NAME_H
#include "task/driver.h"

#define HOST_NAME_MAX_BYTES 256
/* host: a name, or an IP address without brackets; its addresses are tried one after the other. Until the
 * task's deadline. ERR_NOT_FOUND: it has no address; errors of net_dial. */
MUST_CHECK err_t net_dial_name(task_t *t, const char *host, uint16_t port, stream_t **ret);
/* "HOST:PORT" or "[IP6]:PORT" to its parts. ERR_USAGE. */
MUST_CHECK err_t host_port_parse(const char *text, char ret_host[HOST_NAME_MAX_BYTES], uint16_t *ret_port);
#endif

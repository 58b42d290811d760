/* doh: names looked up over HTTPS instead of with the system's resolver, for some domains or for all. Spec:
 * RFC 8484 (POST). The servers' own names are looked up with the system's resolver. */
#ifndef NET_DOH_H
#define NET_DOH_H
#include "task/driver.h"

#define DOH_SERVERS_MAX 32
typedef struct doh doh_t;
doh_t *doh_new(void);
void doh_free(doh_t *d); /* NULL is fine */
/* domain: "eth.", "." for all others; the longest that fits counts. url: https://…, or http:// of this
 * machine. ERR_USAGE; ERR_LIMIT: over DOH_SERVERS_MAX. */
MUST_CHECK err_t doh_add(doh_t *d, const char *domain, const char *url);
/* A resolver_fn, arg a doh_t. ERR_AGAIN: no server has this domain; ERR_NOT_FOUND: there is no such name, or
 * no record of this type; ERR_UNREACHABLE, ERR_INVALID and those of http_fetch. */
err_t doh_resolve(task_t *t, void *arg, const char *name, dns_type_t type, dns_answer_t *ret);
#endif

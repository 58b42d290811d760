/* dnslink: what a domain points to: a TXT record "dnslink=/ipfs/CID" of _dnslink.DOMAIN, else of DOMAIN
 * itself, as before 2018. Spec: dnslink.dev; reference ipfs/boxo namesys. Domains are ASCII: international
 * ones in their xn-- form. */
#ifndef NAMING_DNSLINK_H
#define NAMING_DNSLINK_H
#include "base/bytes.h"
#include "task/task.h"

/* The content path into out (appended), and for how long DNS says that it may be kept. ERR_NOT_FOUND: no
 * record, or none that is a DNSLink; ERR_INVALID: several that differ; those of dns_resolve. Suspends. */
MUST_CHECK err_t dnslink_lookup(task_t *t, const char *domain, buf_t *out, uint32_t *ret_ttl_s);
/* One TXT record, appended as a content path. is_under_prefix: of _dnslink.DOMAIN, where old records may be a
 * bare path or CID. ERR_INVALID: it is something else. */
MUST_CHECK err_t dnslink_parse(bytes_t txt, bool is_under_prefix, buf_t *out);
#endif

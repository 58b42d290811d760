/* dns_label: domain names as one DNS label, the form that subdomain gateways use:
 * "en.wikipedia-on-ipfs.org" <-> "en-wikipedia--on--ipfs-org". Spec: ipfs/specs
 * src/http-gateways/subdomain-gateway.md, "Host (request header)". */
#ifndef NAMING_DNS_LABEL_H
#define NAMING_DNS_LABEL_H
#include "base/bytes.h"

enum { DNS_LABEL_MAX_CHARS = 63, DNS_NAME_MAX_CHARS = 253 };

/* Appends text. ERR_LIMIT: the label would be longer than DNS allows. */
MUST_CHECK err_t dns_label_inline(const char *domain, buf_t *out);
/* Appends text. */
MUST_CHECK err_t dns_label_uninline(const char *label, buf_t *out);
/* Labels and lengths as RFC 1035 allows, one label too, and no peer ID. */
bool dns_is_domain(const char *text);
#endif

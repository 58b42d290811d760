/* gateway_settings: `Gateway.*` of the configuration (docs/gateway.md), read once when the faces open: a
 * change needs a restart, as with the reference. Also the question which host name stands for which gateway.
 */
#ifndef API_GATEWAY_SETTINGS_H
#define API_GATEWAY_SETTINGS_H
#include "repo/config.h"

/* One entry of Gateway.PublicGateways, or the built-in one for localhost. */
typedef struct gateway_host {
    char *name; /* "example.com", "example.com:8080", "*.example.com"; lower case */
    char **paths;
    size_t n_paths;
    bool uses_subdomains, no_dnslink, inlines_dnslink, deserializes;
} gateway_host_t;

typedef struct gateway_header {
    char *name, *value;
} gateway_header_t;

typedef struct gateway_settings {
    gateway_host_t *hosts;
    size_t n_hosts;
    gateway_header_t *headers; /* of every answer: CORS and Gateway.HTTPHeaders */
    size_t n_headers;
    char *root_redirect; /* "": none */
    char *diagnostic_url;
    bool no_fetch, no_dnslink, deserializes, converts_codecs, no_html_errors;
    uint64_t retrieval_timeout_ms; /* for the first byte, and between bytes; 0: none */
    uint64_t max_duration_ms;      /* of one request */
    bool exposes_routing;          /* /routing/v1 */
    uint64_t max_concurrent;       /* requests; 0: no limit */
    uint64_t max_range_file_bytes; /* of a file that ranges are served of; 0: no limit */
} gateway_settings_t;

/* Takes what it can read: an entry of the wrong form is a warning in the log, not an end. */
void gateway_settings_read(const config_t *c, gateway_settings_t *ret);
void gateway_settings_deinit(gateway_settings_t *s); /* idempotent */
AUTO_DEFINE(gateway_settings_t, gateway_settings_deinit)

/* The entry for a host (with or without its port), NULL when it is none of ours. */
const gateway_host_t *gateway_settings_host(const gateway_settings_t *s, bytes_t host);

/* {root}.{ns}.{gateway}: what a host name says on a gateway of subdomains. All borrow from the host. */
typedef struct gateway_subdomain {
    const gateway_host_t *gateway;
    bytes_t root, ns, host; /* host: with its port */
} gateway_subdomain_t;
bool gateway_settings_subdomain(const gateway_settings_t *s, bytes_t host, gateway_subdomain_t *ret);

/* Does one of the entry's paths ("/ipfs", "/ipns/") lead `path`? */
bool gateway_host_serves(const gateway_host_t *h, bytes_t path);

bytes_t host_without_port(bytes_t host);
bool host_is_address(bytes_t host); /* an IP address, with or without a port and brackets */
#endif

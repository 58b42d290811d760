/* upnp: asking a router for ports with UPnP's Internet Gateway Device (UPnP-arch-DeviceArchitecture 1.1;
 * WANIPConnection 1 and 2, WANPPPConnection 1). A codec over text: the search by multicast, the router's
 * description, the calls.
 *
 * The documents are XML, of which nothing is believed but the few elements that are looked for, as plain
 * text. */
#ifndef WIRE_UPNP_H
#define WIRE_UPNP_H
#include "base/bytes.h"

#define SSDP_PORT 1900
enum { SSDP_ANSWER_MAX = 2048, UPNP_DOCUMENT_MAX = 128 * 1024, UPNP_URL_MAX = 512, UPNP_TYPE_MAX = 96 };

typedef struct upnp_service {
    char control_url[UPNP_URL_MAX]; /* absolute */
    char type[UPNP_TYPE_MAX];       /* "urn:schemas-upnp-org:service:WANIPConnection:1" */
} upnp_service_t;

/* The search for gateways, with this host in it: "239.255.255.250:1900". */
MUST_CHECK err_t ssdp_put_search(buf_t *out);
/* Where the answering device is described. ERR_INVALID: no answer to the search, or not a plain http URL. */
MUST_CHECK err_t ssdp_decode(bytes_t in, char ret_url[UPNP_URL_MAX]);
/* Does the URL name this IPv4 address as its host? A device may describe itself alone. */
bool upnp_is_at(const char *url, const uint8_t ip[4]);
/* The service that maps ports in a description that was fetched from `url`. ERR_NOT_FOUND; ERR_INVALID: its
 * URL. */
MUST_CHECK err_t upnp_find_service(bytes_t document, const char *url, upnp_service_t *ret);

/* Bodies of the calls; the header SOAPAction is "\"TYPE#NAME\"". */
MUST_CHECK err_t upnp_put_address(const upnp_service_t *s, buf_t *out); /* GetExternalIPAddress */
MUST_CHECK err_t upnp_put_map(const upnp_service_t *s, bool is_tcp, uint16_t inside, uint16_t outside,
                              const uint8_t own_ip[4], uint32_t lifetime_s, buf_t *out); /* AddPortMapping */
MUST_CHECK err_t upnp_put_unmap(const upnp_service_t *s, bool is_tcp, uint16_t outside,
                                buf_t *out); /* DeletePortMapping */
/* ERR_NOT_FOUND: no IPv4 address in it. */
MUST_CHECK err_t upnp_decode_address(bytes_t document, uint8_t ret_ip[4]);
/* The code of a refusal (402, 501, 718, 725 …); 0: none is named. */
unsigned upnp_error_code(bytes_t document);
#endif

/* delegated: routers that are asked over HTTP beside the DHT. Spec: ipfs/specs
 * src/routing/http-routing-v1.md.
 *
 * A router is a base URL (https://example.com), or the URL of one of its endpoints
 * (https://example.com/routing/v1/providers), which then is asked for nothing else. What a router says is as
 * little trusted as what a peer says: sizes are bounded, records are validated by the caller. */
#ifndef ROUTING_DELEGATED_H
#define ROUTING_DELEGATED_H
#include "routing/routing.h"

enum {
    DELEGATED_TIMEOUT_MS = 15000,
    DELEGATED_LINE_MAX_BYTES = 64 << 10, /* one record of a stream */
    DELEGATED_BODY_MAX_BYTES = 4 << 20,  /* of any answer */
    DELEGATED_RECORD_MAX_BYTES = 10 << 10,
};

/* One record of a provider or peer, as JSON. ERR_INVALID: not one; addresses that cannot be read are left
 * out. */
MUST_CHECK err_t delegated_parse_record(bytes_t json, routed_peer_t *ret);
/* Gives each provider as it comes until give says enough (false). OK also when there are none. */
MUST_CHECK err_t delegated_providers(task_t *t, const char *router, bytes_t multihash,
                                     bool (*give)(void *arg, const routed_peer_t *p), void *arg);
MUST_CHECK err_t delegated_peer(task_t *t, const char *router, const peer_id_t *peer,
                                routed_peer_t *ret); /* ERR_NOT_FOUND */
/* key: "/ipns/" and the binary name; others give ERR_UNSUPPORTED. */
MUST_CHECK err_t delegated_get_record(task_t *t, const char *router, bytes_t key,
                                      buf_t *out); /* ERR_NOT_FOUND */
MUST_CHECK err_t delegated_put_record(task_t *t, const char *router, bytes_t key, bytes_t record);
#endif

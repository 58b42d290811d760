/* peer: a storage node as GET /nodes tells of it. */
#ifndef META_PEER_H
#define META_PEER_H
#include "crypto/tls_mutual.h"
#include "meta/ticket.h"
#include <jansson.h>

typedef struct storage_peer {
    char id[META_ID_CHARS + 1], address[256]; /* "HOST:PORT"; "": not told */
    uint8_t fingerprint[TLS_FINGERPRINT_BYTES];
    bool has_fingerprint, is_pending; /* pending: no admin has let it in */
} storage_peer_t;
void storage_peer_read(const json_t *o, storage_peer_t *ret);
#endif

/* receipt: a holder's signed word that it has let go of a deleted file. A signed envelope (envelope.h, domain
 * "distribute-mesh-receipt", payload type "/distribute/mesh/receipt"), so that the holder's identity may be a
 * key of any type and comes along. Payload, DAG-CBOR, canonical:
 *   {"v": 1, "at": ms since 1970, "kind": 1, "owner": 32 bytes, "manifest": CID} */
#ifndef CODEC_RECEIPT_H
#define CODEC_RECEIPT_H
#include "codec/manifest.h"
#include "multi/peer_id.h"

#define RECEIPT_MAX_BYTES 4096 /* with an RSA key of 8192 bits and its signature */

typedef enum {
    RECEIPT_DELETED = 1, /* the manifest is gone and is never served again; chunks go within the GC window */
} receipt_kind_t;
typedef struct receipt {
    receipt_kind_t kind;
    cid_t manifest;
    owner_key_t owner; /* of the tombstone that it acts on */
    uint64_t at_ms;    /* the holder's wall clock */
    peer_id_t holder;  /* the signer; not looked at by receipt_seal */
} receipt_t;

/* Appends the signed receipt. key: the node's identity. */
MUST_CHECK err_t receipt_seal(const private_key_t *key, const receipt_t *r, buf_t *out);
/* Decodes and verifies. Whoever takes it compares manifest, owner and holder with what it asked for.
 * ERR_CRYPTO, ERR_INVALID, ERR_EOF, ERR_LIMIT, ERR_UNSUPPORTED. */
MUST_CHECK err_t receipt_open(bytes_t in, receipt_t *ret);
#endif

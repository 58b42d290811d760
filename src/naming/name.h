/* name: IPNS names: peer IDs as text, and the keys of their records. Spec: ipfs/specs
 * src/ipns/ipns-record.md, "IPNS name". */
#ifndef NAMING_NAME_H
#define NAMING_NAME_H
#include "multi/peer_id.h"

#define NAME_KEY_MAX_BYTES (PEER_ID_MAX_BYTES + 8)

/* NAME or /ipns/NAME, where NAME is base58btc or a libp2p-key CID in any base. ERR_INVALID. */
MUST_CHECK err_t name_parse(const char *text, peer_id_t *ret);
/* As CIDv1 in base36, the canonical form. */
const char *name_print(const peer_id_t *name, char out[PEER_ID_TEXT_MAX]);
/* "/ipns/" and the binary peer ID: what its record is stored under. Bytes written. */
size_t name_key(const peer_id_t *name, uint8_t out[NAME_KEY_MAX_BYTES]);
/* The other way. ERR_INVALID. */
MUST_CHECK err_t name_of_key(bytes_t key, peer_id_t *ret);
#endif

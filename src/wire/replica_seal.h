/* replica_seal: who holds a DAG, and who wants it held, signed by the peer that says so; so whoever brings it
 * on can change nothing of it.
 *
 *   entry: "distribute-replica-entry-v1", 0, the root's multihash, then seq, state, since as varints
 *   head:  "distribute-replica-head-v1", 0, the root's multihash, then version, target, released (0, 1)
 *
 * Signed with the key of the node's identity, which must be inside its peer ID (Ed25519, secp256k1): nodes
 * with RSA and ECDSA identities neither hold copies for others nor have them held. */
#ifndef WIRE_REPLICA_SEAL_H
#define WIRE_REPLICA_SEAL_H
#include "crypto/key.h"
#include "wire/replica.h"

bool replica_can_seal(const peer_id_t *peer);
/* Fill in the seal; the peer (owner) must be that of the key. ERR_UNSUPPORTED: a key of another kind. */
MUST_CHECK err_t replica_entry_seal(const private_key_t *key, const cid_t *root, replica_entry_t *e);
MUST_CHECK err_t replica_head_seal(const private_key_t *key, const cid_t *root, replica_head_t *h);
/* ERR_CRYPTO: not signed by the peer that it is about. */
MUST_CHECK err_t replica_entry_verify(const cid_t *root, const replica_entry_t *e);
MUST_CHECK err_t replica_head_verify(const cid_t *root, const replica_head_t *h);
#endif

/* tombstone: the owner's signed word that a manifest is deleted. Kept for ever, so it is small (170 bytes),
 * and there is just one form of it: no time, no counter; a repeated deletion is the same record.
 *
 *   {"v": 1, "owner": 32 bytes, "manifest": CID, "signature": 64 bytes}, DAG-CBOR, canonical
 * signed: "distribute-tombstone-v1", a zero byte, the CID in binary form.
 *
 * A valid signature says that `owner` wants it deleted, not that the manifest is `owner`'s: anyone can sign a
 * tombstone of a foreign manifest. It counts for the manifest that names the same owner alone
 * (tombstone_applies). Who does not have the manifest cannot tell, so sets of tombstones are kept by
 * tombstone_set_key, of manifest AND owner: a foreign one never stands in the place of the true one. */
#ifndef CODEC_TOMBSTONE_H
#define CODEC_TOMBSTONE_H
#include "codec/manifest.h"

#define TOMBSTONE_MAX_BYTES 200
#define TOMBSTONE_KEY_BYTES 32

typedef struct tombstone {
    cid_t manifest;
    owner_key_t owner;
} tombstone_t;

/* Appends the signed record. key: the owner's Ed25519 key. ERR_INVALID: not the CID of a manifest. */
MUST_CHECK err_t tombstone_seal(const private_key_t *key, const cid_t *manifest, buf_t *out);
/* Decodes and verifies the signature. ERR_INVALID, ERR_EOF, ERR_LIMIT, ERR_UNSUPPORTED (of a later version):
 * not a tombstone; ERR_CRYPTO: forged. */
MUST_CHECK err_t tombstone_open(bytes_t in, tombstone_t *ret);
/* The same without the signature: for records that were opened before they were kept. */
MUST_CHECK err_t tombstone_decode(bytes_t in, tombstone_t *ret);
/* Does an opened tombstone delete this block? It is the manifest that it names, and its owner is the signer.
 * OK; ERR_INVALID: another block, or none that is a manifest; ERR_DENIED: of another owner (foreign). */
MUST_CHECK err_t tombstone_applies(const tombstone_t *ts, const cid_t *cid, bytes_t block);
/* SHA-256 of the manifest's multihash and the owner's key. */
void tombstone_set_key(const cid_t *manifest, const owner_key_t *owner, uint8_t ret[TOMBSTONE_KEY_BYTES]);
#endif

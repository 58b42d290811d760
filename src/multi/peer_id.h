/* peer_id: the multihash of a public key's protobuf. Spec: libp2p/specs peer-ids. */
#ifndef MULTI_PEER_ID_H
#define MULTI_PEER_ID_H
#include "base/bytes.h"
#include "crypto/key.h"
#include "multi/multibase.h"
#define PEER_ID_MAX_BYTES 64
#define PEER_ID_TEXT_MAX 128
typedef struct peer_id {
    uint8_t len;                     /* 0: no peer */
    uint8_t data[PEER_ID_MAX_BYTES]; /* the binary multihash; zero behind len */
} peer_id_t;
MUST_CHECK err_t peer_id_decode(bytes_t in, peer_id_t *ret_id);             /* binary */
MUST_CHECK err_t peer_id_parse(const char *text, peer_id_t *ret_id);        /* base58 or a libp2p-key CID */
const char *peer_id_print(const peer_id_t *id, char out[PEER_ID_TEXT_MAX]); /* base58btc */
MUST_CHECK err_t peer_id_print_cid(const peer_id_t *id, multibase_t base, char out[PEER_ID_TEXT_MAX]);
MUST_CHECK err_t peer_id_of(const public_key_t *key, peer_id_t *ret_id);
/* The key inside an identity peer id (Ed25519, secp256k1). ERR_NOT_FOUND for hashed ones. */
MUST_CHECK err_t peer_id_public_key(const peer_id_t *id, public_key_t *ret_key);
bool peer_id_equal(const peer_id_t *a, const peer_id_t *b);
bool peer_id_matches(const peer_id_t *id, const public_key_t *key);
static inline bytes_t peer_id_bytes(const peer_id_t *id)
{
    return bytes_of(id->data, id->len);
}
/* Protobuf {Type 1, Data 2} of keys. */
MUST_CHECK err_t public_key_encode(const public_key_t *k, buf_t *out);
MUST_CHECK err_t public_key_decode(bytes_t in, public_key_t *ret);
MUST_CHECK err_t private_key_encode(const private_key_t *k, buf_t *out);
MUST_CHECK err_t private_key_decode(bytes_t in, private_key_t **ret);
#endif

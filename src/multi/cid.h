/* cid: content identifiers, version 0 and 1. Spec: multiformats/cid; hash rules: ipfs/boxo verifcid.
 * A plain struct, by value. Digests are at most 128 bytes (identity CIDs included): longer ones are
 * ERR_LIMIT. Bytes of the wrong form are ERR_INVALID (also where they end too early).
 *
 * A CIDv0 behind the prefix z is taken, as go-cid does, though the spec calls it an error: people paste
 * it, and nobody prints it. In binary form the spec and go-cid agree. */
#ifndef MULTI_CID_H
#define MULTI_CID_H
#include "base/bytes.h"
#include "multi/multibase.h"
#include "multi/multihash.h"

/* Multicodec codes that the code names; the whole table is in multicodec.h, the hash functions in
 * multihash.h. */
enum {
    CODEC_RAW = 0x55,
    CODEC_DAG_PB = 0x70,
    CODEC_DAG_CBOR = 0x71,
    CODEC_LIBP2P_KEY = 0x72,
    CODEC_GIT_RAW = 0x78,
    CODEC_PRIVATE_FIRST = 0x300000, /* for private use: no name in the table */
    CODEC_PRIVATE_LAST = 0x3fffff,
    CODEC_DAG_JOSE = 0x85,
    CODEC_DAG_JSON = 0x0129,
    CODEC_JSON = 0x0200,
    CODEC_CBOR = 0x51,
};
#define CID_DIGEST_MAX MULTIHASH_DIGEST_MAX
#define CID_BINARY_MAX (CID_DIGEST_MAX + 32)
#define CID_TEXT_MAX 320 /* NUL included; base16 of the longest */

typedef struct cid {
    uint64_t codec;
    uint64_t hash_code;
    uint8_t version; /* 0 or 1 */
    uint8_t digest_len;
    uint8_t digest[CID_DIGEST_MAX];
} cid_t;

/* Text in any multibase, or a bare Qm… */
MUST_CHECK err_t cid_parse(bytes_t text, cid_t *ret_cid);
MUST_CHECK err_t cid_parse_str(const char *text, cid_t *ret_cid);
/* All of `in` must be one CID. */
MUST_CHECK err_t cid_decode(bytes_t in, cid_t *ret_cid);
/* A CID at the start of `in`, and how many bytes it took. */
MUST_CHECK err_t cid_decode_prefix(bytes_t in, cid_t *ret_cid, size_t *ret_used);
size_t cid_encode(const cid_t *c, uint8_t out[CID_BINARY_MAX]);           /* bytes written */
size_t cid_encode_multihash(const cid_t *c, uint8_t out[CID_BINARY_MAX]); /* the multihash alone */
/* A CIDv1 (raw) around a binary multihash; what a DHT key or a provider record names. */
MUST_CHECK err_t cid_from_multihash(bytes_t multihash, uint64_t codec, cid_t *ret_cid);
/* v0: base58btc; v1: base32, libp2p-key too unless asked otherwise. */
const char *cid_print(const cid_t *c, char out[CID_TEXT_MAX]);
/* ERR_INVALID for a v0 in another base than base58btc; ERR_LIMIT when the text does not fit. */
MUST_CHECK err_t cid_print_base(const cid_t *c, multibase_t base, char out[CID_TEXT_MAX]);
/* In the base of the CID at the beginning of a path ("CID/a", "/ipfs/CID/a"), as CIDv1 when that one is; as
 * cid_print does when there is none, or a v0. */
const char *cid_print_as_in_path(const cid_t *c, bytes_t path, char out[CID_TEXT_MAX]);
bool cid_equal(const cid_t *a, const cid_t *b);
int cid_compare(const cid_t *a, const cid_t *b); /* order of the binary form */
bool cid_same_multihash(const cid_t *a, const cid_t *b);
MUST_CHECK err_t cid_to_v1(const cid_t *c, cid_t *ret_cid);
MUST_CHECK err_t cid_to_v0(const cid_t *c, cid_t *ret_cid); /* ERR_INVALID unless dag-pb sha2-256 */
cid_t cid_of_sha256(uint8_t version, uint64_t codec, const uint8_t digest[32]);
/* Hashes data with hash_code. version 0 needs dag-pb and sha2-256. */
MUST_CHECK err_t cid_of(uint8_t version, uint64_t codec, uint64_t hash_code, bytes_t data, cid_t *ret_cid);
/* The same with a digest of digest_len bytes (as multihash_sum allows). */
MUST_CHECK err_t cid_of_length(uint8_t version, uint64_t codec, uint64_t hash_code, size_t digest_len,
                               bytes_t data, cid_t *ret_cid);
/* The text's own base, when it has one, and MB_BASE58BTC for a v0. */
MUST_CHECK err_t cid_parse_base(bytes_t text, cid_t *ret_cid, multibase_t *ret_base);
/* OK when data hashes to c; ERR_CORRUPT when it does not; ERR_UNSUPPORTED/ERR_DENIED when the hash
 * function is unknown or not on the allow list. */
MUST_CHECK err_t cid_verify(const cid_t *c, bytes_t data);
/* Is the hash function with this length one that blocks may be addressed with? ERR_DENIED and why. */
MUST_CHECK err_t cid_check_hash_allowed(const cid_t *c);
static inline bool cid_is_identity(const cid_t *c)
{
    return c->hash_code == MH_IDENTITY;
}
static inline bytes_t cid_digest(const cid_t *c)
{
    return bytes_of(c->digest, c->digest_len);
}
#endif

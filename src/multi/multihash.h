/* multihash: code, length and digest of a hash function. Spec: multiformats/multihash. */
#ifndef MULTI_MULTIHASH_H
#define MULTI_MULTIHASH_H
#include "base/bytes.h"
#include "base/reader.h"

enum {
    MH_IDENTITY = 0x00,
    MH_SHA1 = 0x11,
    MH_SHA2_256 = 0x12,
    MH_SHA2_512 = 0x13,
    MH_BLAKE3 = 0x1e,
    MH_SHA2_384 = 0x20,
    MH_MURMUR3_64 = 0x22,
    MH_DBL_SHA2_256 = 0x56,
    MH_MD5 = 0xd5,
    MH_BLAKE2B_8 = 0xb201, /* and one code for each byte of length more */
    MH_BLAKE2B_512 = 0xb240,
    MH_BLAKE2S_8 = 0xb241,
    MH_BLAKE2S_256 = 0xb260,
};
#define MULTIHASH_DIGEST_MAX 128

typedef struct multihash {
    uint64_t code;
    bytes_t digest; /* borrowed from the input */
} multihash_t;

/* Errors land in the reader: ERR_EOF, ERR_INVALID, ERR_LIMIT for a digest over MULTIHASH_DIGEST_MAX. */
multihash_t multihash_read(reader_t *r);
/* All of `in` must be one multihash. ERR_INVALID, ERR_LIMIT. */
MUST_CHECK err_t multihash_decode(bytes_t in, multihash_t *ret);
/* The code of a hash function as users name it, in any case: "sha2-256", "blake2b-256", "sha3". ERR_USAGE:
 * the reference has no such name. */
MUST_CHECK err_t multihash_from_name(const char *name, uint64_t *ret_code);
/* The length of the function's digest; ERR_UNSUPPORTED when we have no such function. Identity: 0. */
MUST_CHECK err_t multihash_natural_len(uint64_t code, size_t *ret_len);
/* Hashes data. digest_len: the natural length, or less where the function's digests may be cut (all but
 * BLAKE2 and identity), or more for BLAKE3. ERR_UNSUPPORTED, ERR_INVALID (length), ERR_LIMIT. */
MUST_CHECK err_t multihash_sum(uint64_t code, bytes_t data, size_t digest_len,
                               uint8_t out[MULTIHASH_DIGEST_MAX]);
/* May blocks be addressed with it? ERR_DENIED, with why. Spec: ipfs/boxo verifcid allowlist: 20 to 128
 * bytes, identity up to 128. */
MUST_CHECK err_t multihash_check_allowed(uint64_t code, size_t digest_len);
#endif

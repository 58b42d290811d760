#include "multi/multihash.h"
#include "crypto/hash.h"
#include "crypto/murmur3.h"
#include "multi/multicodec.h"
#include <inttypes.h>

enum { ALLOWED_DIGEST_MIN = 20 };

static const struct {
    uint16_t code;
    hash_kind_t kind;
    bool is_allowed;
} functions[] = {
    {MH_SHA2_256, HASH_SHA256, true},  {MH_SHA1, HASH_SHA1, true},
    {MH_SHA2_512, HASH_SHA512, true},  {0x14, HASH_SHA3_512, true},
    {0x15, HASH_SHA3_384, true},       {0x16, HASH_SHA3_256, true},
    {0x17, HASH_SHA3_224, true},       {0x18, HASH_SHAKE_128, false},
    {0x19, HASH_SHAKE_256, true},      {0x1a, HASH_KECCAK_224, true},
    {0x1b, HASH_KECCAK_256, true},     {0x1c, HASH_KECCAK_384, true},
    {0x1d, HASH_KECCAK_512, true},     {MH_BLAKE3, HASH_BLAKE3, true},
    {MH_SHA2_384, HASH_SHA384, false}, {MH_DBL_SHA2_256, HASH_DBL_SHA256, true},
    {MH_MD5, HASH_MD5, false},         {0x1013, HASH_SHA224, false},
    {0x1015, HASH_SHA512_256, false},
};

typedef struct function {
    hash_kind_t kind;
    size_t natural_len;
    bool is_allowed, is_blake2;
} function_t;

static bool find(uint64_t code, function_t *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        if (functions[i].code == code) {
            hash_kind_t kind = functions[i].kind;
            *ret = (function_t){kind, hash_natural_len(kind), functions[i].is_allowed, false};
            return true;
        }
    bool is_blake2b = code >= MH_BLAKE2B_8 && code <= MH_BLAKE2B_512;
    if (!is_blake2b && !(code >= MH_BLAKE2S_8 && code <= MH_BLAKE2S_256))
        return false;
    size_t len = (size_t)(code - (is_blake2b ? MH_BLAKE2B_8 : MH_BLAKE2S_8) + 1);
    *ret = (function_t){is_blake2b ? HASH_BLAKE2B : HASH_BLAKE2S, len, len >= ALLOWED_DIGEST_MIN, true};
    return true;
}

static const char *name_of(uint64_t code)
{
    const char *name = multicodec_name(code);
    return name ? name : "unknown";
}

err_t multihash_from_name(const char *name, uint64_t *ret_code)
{
    char lower[64];
    size_t n = 0;
    function_t f;
    uint64_t code;
    for (; name[n] && n < sizeof lower - 1; n++)
        lower[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] + ('a' - 'A') : name[n]);
    lower[n] = 0;
    if (!strcmp(lower, "sha3")) {
        *ret_code = 0x14;
        return OK;
    }
    bool is_known = !multicodec_from_name(lower, &code) && strcmp(lower, "sha2-224") &&
                    strcmp(lower, "sha2-384") && strcmp(lower, "sha2-512-256");
    /* names that the reference knows and cannot compute */
    bool is_named = is_known && (code == MH_IDENTITY || code == MH_MURMUR3_64 || find(code, &f) ||
                                 code == 0x1012 || code == 0x1100 || code == 0xb401);
    if (!is_named)
        return fail(ERR_USAGE, "unrecognized hash function: \"%s\"", lower);
    *ret_code = code;
    return OK;
}

multihash_t multihash_read(reader_t *r)
{
    uint64_t code = read_uvarint(r);
    bytes_t digest = read_length_prefixed(r, MULTIHASH_DIGEST_MAX);
    return r->err ? (multihash_t){0} : (multihash_t){code, digest};
}

err_t multihash_decode(bytes_t in, multihash_t *ret)
{
    reader_t r = reader_of(in);
    multihash_t m = multihash_read(&r);
    if (r.err == ERR_LIMIT)
        return fail(ERR_LIMIT, "the multihash's digest is over the limit of %d bytes", MULTIHASH_DIGEST_MAX);
    if (r.err || reader_left(&r))
        return fail(ERR_INVALID, "%zu bytes are no multihash", in.len);
    *ret = m;
    return OK;
}

err_t multihash_natural_len(uint64_t code, size_t *ret_len)
{
    function_t f;
    if (code == MH_IDENTITY || code == MH_MURMUR3_64)
        *ret_len = code == MH_IDENTITY ? 0 : 8;
    else if (find(code, &f))
        *ret_len = f.natural_len;
    else
        return fail(ERR_UNSUPPORTED,
                    "unknown multihash code %" PRIu64 " (0x%" PRIx64 "): no such hash registered", code,
                    code);
    return OK;
}

static err_t sum_identity(bytes_t data, size_t digest_len, uint8_t *out)
{
    if (data.len > MULTIHASH_DIGEST_MAX)
        return fail(ERR_LIMIT, "digest too large: identity digest got %zu bytes, maximum %d", data.len,
                    MULTIHASH_DIGEST_MAX);
    if (digest_len != data.len)
        return fail(ERR_INVALID, "an identity hash of %zu bytes has %zu bytes of digest", data.len,
                    digest_len);
    if (data.len)
        memcpy(out, data.data, data.len);
    return OK;
}

static void murmur3_digest(bytes_t data, uint8_t out[8])
{
    uint64_t h = murmur3_x64_64(data);
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(h >> (56 - 8 * i));
}

err_t multihash_sum(uint64_t code, bytes_t data, size_t digest_len, uint8_t out[MULTIHASH_DIGEST_MAX])
{
    if (code == MH_IDENTITY)
        return sum_identity(data, digest_len, out);
    size_t natural = 0;
    TRY(multihash_natural_len(code, &natural));
    size_t max = code == MH_BLAKE3 ? MULTIHASH_DIGEST_MAX : natural;
    function_t f = {0};
    bool is_whole = find(code, &f) && f.is_blake2;
    if (!digest_len || digest_len > max || (is_whole && digest_len != natural))
        return fail(ERR_INVALID, "%s gives no digest of %zu bytes", name_of(code), digest_len);
    uint8_t whole[MULTIHASH_DIGEST_MAX];
    if (code == MH_MURMUR3_64)
        murmur3_digest(data, whole);
    else
        TRY(hash_of(f.kind, data, whole, digest_len > natural ? digest_len : natural));
    memcpy(out, whole, digest_len);
    return OK;
}

err_t multihash_check_allowed(uint64_t code, size_t digest_len)
{
    function_t f;
    if (digest_len > MULTIHASH_DIGEST_MAX)
        return fail(ERR_DENIED, "digest too large: %s digest got %zu bytes, maximum %d", name_of(code),
                    digest_len, MULTIHASH_DIGEST_MAX);
    if (code == MH_IDENTITY)
        return OK;
    if (!find(code, &f) || !f.is_allowed)
        return fail(ERR_DENIED, "potentially insecure hash functions not allowed");
    if (digest_len < ALLOWED_DIGEST_MIN)
        return fail(ERR_DENIED, "digest too small: %s digest got %zu bytes, minimum %d", name_of(code),
                    digest_len, ALLOWED_DIGEST_MIN);
    return OK;
}

#include "crypto/curve.h"
#include "crypto/der.h"
#include "crypto/hash.h"
#include "crypto/key_type.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

const curve_t curve_secp256k1 = {"secp256k1", NID_secp256k1, 32, 5, {0x2b, 0x81, 0x04, 0x00, 0x0a}};
const curve_t curve_p256 = {
    "P-256", NID_X9_62_prime256v1, 32, 8, {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}};
static const curve_t curve_p224 = {"P-224", NID_secp224r1, 28, 5, {0x2b, 0x81, 0x04, 0x00, 0x21}};
static const curve_t curve_p384 = {"P-384", NID_secp384r1, 48, 5, {0x2b, 0x81, 0x04, 0x00, 0x22}};
static const curve_t curve_p521 = {"P-521", NID_secp521r1, 66, 5, {0x2b, 0x81, 0x04, 0x00, 0x23}};

const curve_t *curve_by_oid(bytes_t oid)
{
    static const curve_t *const all[] = {&curve_p256, &curve_p384, &curve_p521, &curve_p224};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (bytes_equal(oid, bytes_of(all[i]->oid, all[i]->oid_len)))
            return all[i];
    return NULL;
}

/* A curve with the scratch numbers for one computation. */
typedef struct scratch {
    EC_GROUP *group;
    EC_POINT *point;
    BN_CTX *ctx;
} scratch_t;

static void scratch_deinit(scratch_t *s)
{
    EC_POINT_clear_free(s->point);
    EC_GROUP_free(s->group);
    if (s->ctx)
        BN_CTX_end(s->ctx);
    BN_CTX_free(s->ctx);
}
AUTO_DEFINE(scratch_t, scratch_deinit)

static err_t scratch_init(scratch_t *s, const curve_t *c)
{
    s->group = EC_GROUP_new_by_curve_name(c->nid);
    s->point = s->group ? EC_POINT_new(s->group) : NULL;
    s->ctx = BN_CTX_secure_new();
    if (s->ctx)
        BN_CTX_start(s->ctx);
    return s->point && s->ctx ? OK : openssl_failed(ERR_UNSUPPORTED, "OpenSSL lacks the curve of the key");
}

/* NULL when memory ran out; freed, and wiped, with the scratch. */
static BIGNUM *number(const scratch_t *s, const uint8_t *big_endian, size_t len)
{
    BIGNUM *n = BN_CTX_get(s->ctx);
    if (!n || (big_endian && !BN_bin2bn(big_endian, (int)len, n)))
        return NULL;
    BN_set_flags(n, BN_FLG_CONSTTIME);
    return n;
}

static bool is_below_order(const scratch_t *s, const BIGNUM *n)
{
    return !BN_is_zero(n) && BN_cmp(n, EC_GROUP_get0_order(s->group)) < 0;
}

err_t curve_public(const curve_t *c, const uint8_t *scalar, bool is_compressed, uint8_t out[CURVE_POINT_MAX],
                   size_t *ret_len)
{
    AUTO(scratch_t) s = {0};
    TRY(scratch_init(&s, c));
    BIGNUM *k = number(&s, scalar, c->scalar_len);
    if (!k || !is_below_order(&s, k))
        return fail(ERR_INVALID, "the private %s key lies outside the curve's order", c->name);
    size_t len = 0;
    if (EC_POINT_mul(s.group, s.point, k, NULL, NULL, s.ctx) == 1)
        len = EC_POINT_point2oct(s.group, s.point,
                                 is_compressed ? POINT_CONVERSION_COMPRESSED : POINT_CONVERSION_UNCOMPRESSED,
                                 out, CURVE_POINT_MAX, s.ctx);
    if (!len)
        return openssl_failed(ERR_NO_MEMORY, "OpenSSL computed no public key");
    *ret_len = len;
    return OK;
}

err_t curve_key(const curve_t *c, bytes_t point, const uint8_t *scalar, EVP_PKEY **ret)
{
    uint8_t native[CURVE_SCALAR_MAX]; /* parameters carry numbers in the machine's order */
    for (size_t i = 0; scalar && i < c->scalar_len; i++)
        native[i] = scalar[__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? c->scalar_len - 1 - i : i];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)c->name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)point.data, point.len),
        scalar ? OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native, c->scalar_len)
               : OSSL_PARAM_construct_end(),
        OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;
    bool is_made = ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
                   EVP_PKEY_fromdata(ctx, &key, scalar ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) == 1;
    EVP_PKEY_CTX_free(ctx);
    secret_wipe(native, sizeof native);
    if (!is_made)
        return openssl_failed(ERR_INVALID, "the public key is no point of its curve");
    *ret = key;
    return OK;
}

void curve_random_scalar(const curve_t *c, uint8_t out[CURVE_SCALAR_MAX])
{
    uint8_t point[CURVE_POINT_MAX];
    size_t len;
    do /* nearly always once: the orders lie close to a power of two */
        crypto_random(out, c->scalar_len);
    while (curve_public(c, out, true, point, &len));
}

/* The generator of section 3.2, for a hash and an order of 256 bits. */
typedef struct nonces {
    uint8_t key[32], value[32];
} nonces_t;

static void nonces_mix(nonces_t *n, uint8_t mark, bytes_t seed)
{
    AUTO(buf_t) text;
    buf_init(&text, 128);
    err_t e = buf_append(&text, bytes_of(n->value, 32));
    e = e ? e : buf_append_u8(&text, mark);
    e = e ? e : buf_append(&text, seed);
    assert(!e);
    hmac_sha256(bytes_of(n->key, 32), buf_bytes(&text), n->key);
    hmac_sha256(bytes_of(n->key, 32), bytes_of(n->value, 32), n->value);
    secret_wipe(text.data, text.len);
}

static void nonces_init(nonces_t *n, const uint8_t scalar[32], const uint8_t reduced_digest[32])
{
    uint8_t seed[64];
    memcpy(seed, scalar, 32);
    memcpy(seed + 32, reduced_digest, 32);
    memset(n->key, 0, sizeof n->key);
    memset(n->value, 1, sizeof n->value);
    nonces_mix(n, 0, bytes_of(seed, sizeof seed));
    nonces_mix(n, 1, bytes_of(seed, sizeof seed));
    secret_wipe(seed, sizeof seed);
}

typedef struct signature {
    BIGNUM *r, *s;
} signature_t;

/* False when this nonce gives no signature (r or s would be 0): the next one is tried. */
static bool sign_once(const scratch_t *t, BIGNUM *k, const BIGNUM *d, const BIGNUM *z, signature_t *g,
                      bool *ret_failed)
{
    const BIGNUM *order = EC_GROUP_get0_order(t->group);
    BIGNUM *inverse = number(t, NULL, 0), *half = number(t, NULL, 0);
    *ret_failed = !half || !EC_POINT_mul(t->group, t->point, k, NULL, NULL, t->ctx) ||
                  !EC_POINT_get_affine_coordinates(t->group, t->point, g->r, NULL, t->ctx) ||
                  !BN_nnmod(g->r, g->r, order, t->ctx) || !BN_mod_inverse(inverse, k, order, t->ctx) ||
                  !BN_mod_mul(g->s, g->r, d, order, t->ctx) || !BN_mod_add(g->s, g->s, z, order, t->ctx) ||
                  !BN_mod_mul(g->s, g->s, inverse, order, t->ctx) || !BN_rshift1(half, order);
    if (*ret_failed || BN_is_zero(g->r) || BN_is_zero(g->s))
        return false;
    if (BN_cmp(g->s, half) > 0) /* some verifiers take the smaller s alone */
        *ret_failed = !BN_sub(g->s, order, g->s);
    return !*ret_failed;
}

static void put_integer(writer_t *w, const BIGNUM *n)
{
    uint8_t bytes[33] = {0};
    int len = BN_bn2bin(n, bytes + 1);
    bool needs_sign = bytes[1] & 0x80;
    der_put(w, DER_INTEGER, bytes_of(bytes + !needs_sign, (size_t)len + needs_sign));
}

err_t curve_sign_rfc6979(const curve_t *c, const uint8_t scalar[32], const uint8_t digest[32], buf_t *out)
{
    assert(c->scalar_len == 32);
    AUTO(scratch_t) t = {0};
    TRY(scratch_init(&t, c));
    const BIGNUM *order = EC_GROUP_get0_order(t.group);
    BIGNUM *d = number(&t, scalar, 32), *z = number(&t, digest, 32), *k = number(&t, NULL, 0);
    signature_t g = {number(&t, NULL, 0), number(&t, NULL, 0)};
    uint8_t reduced[32];
    if (!g.s || !BN_nnmod(z, z, order, t.ctx) || BN_bn2binpad(z, reduced, 32) != 32)
        return openssl_failed(ERR_NO_MEMORY, "no memory for a signature");
    nonces_t nonces;
    nonces_init(&nonces, scalar, reduced);
    bool is_done = false, has_failed = false;
    while (!is_done && !has_failed) {
        hmac_sha256(bytes_of(nonces.key, 32), bytes_of(nonces.value, 32), nonces.value);
        has_failed = !BN_bin2bn(nonces.value, 32, k);
        if (!has_failed && is_below_order(&t, k))
            is_done = sign_once(&t, k, d, z, &g, &has_failed);
        if (!is_done)
            nonces_mix(&nonces, 0, BYTES_NONE);
    }
    secret_wipe(&nonces, sizeof nonces);
    if (has_failed)
        return openssl_failed(ERR_NO_MEMORY, "no memory for a signature");
    writer_t w = writer_to(out);
    size_t mark = der_begin(&w, DER_SEQUENCE);
    put_integer(&w, g.r);
    put_integer(&w, g.s);
    der_end_put(&w, mark);
    return w.err;
}

/* PKIX public keys over the NIST curves, SEC 1 or PKCS #8 private keys, signatures over SHA-256 in
 * DER. Read with our own reader: OpenSSL's takes curve parameters that the peer made up. */
#include "crypto/curve.h"
#include "crypto/der.h"
#include "crypto/key_type.h"
#include <openssl/ec.h>

static const char name[] = "ECDSA";
static const uint8_t ec_public_key[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};

/* SEQUENCE { ecPublicKey, the curve } */
static const curve_t *read_algorithm(reader_t *r)
{
    reader_t algorithm = der_read_nested(r, DER_SEQUENCE);
    if (!bytes_equal(der_read(&algorithm, DER_OID), bytes_of(ec_public_key, sizeof ec_public_key)))
        reader_fail(&algorithm, ERR_INVALID);
    const curve_t *c = curve_by_oid(der_read(&algorithm, DER_OID));
    der_end(r, &algorithm);
    return c;
}

static err_t open_public(bytes_t data, EVP_PKEY **ret)
{
    reader_t r = reader_of(data);
    reader_t info = der_read_nested(&r, DER_SEQUENCE);
    const curve_t *c = read_algorithm(&info);
    bytes_t point = der_read_bits(&info);
    der_end(&r, &info);
    if (r.err || reader_left(&r))
        return fail(ERR_INVALID, "the ECDSA public key is no PKIX structure");
    if (!c)
        return fail(ERR_UNSUPPORTED, "the ECDSA key is on none of the curves P-224, P-256, P-384, P-521");
    if (point.len != 1 + 2 * (size_t)c->scalar_len || point.data[0] != POINT_CONVERSION_UNCOMPRESSED)
        return fail(ERR_INVALID, "the ECDSA public key is no uncompressed point");
    return curve_key(c, point, NULL, ret);
}

static err_t check_public(bytes_t data)
{
    return openssl_check_public(open_public, data);
}

static err_t verify(bytes_t data, bytes_t message, bytes_t signature)
{
    return openssl_verify_with(open_public, name, data, message, signature);
}

/* SEQUENCE { 1, scalar, [0] curve, [1] point }; inside PKCS #8 the curve stands outside and may be
 * missing here. */
static void read_sec1(reader_t *r, const curve_t **curve, bytes_t *ret_scalar, bytes_t *ret_point)
{
    reader_t key = der_read_nested(r, DER_SEQUENCE);
    if (!bytes_equal(der_read_uint(&key), BYTES_LIT("\x01")))
        reader_fail(&key, ERR_INVALID);
    *ret_scalar = der_read(&key, DER_OCTET_STRING);
    if (der_next_is(&key, DER_CONTEXT_0)) {
        reader_t named = der_read_nested(&key, DER_CONTEXT_0);
        const curve_t *c = curve_by_oid(der_read(&named, DER_OID));
        der_end(&key, &named);
        if (*curve && *curve != c)
            reader_fail(&key, ERR_INVALID);
        *curve = c;
    }
    if (der_next_is(&key, DER_CONTEXT_1)) {
        reader_t named = der_read_nested(&key, DER_CONTEXT_1);
        *ret_point = der_read_bits(&named);
        der_end(&key, &named);
    }
    der_end(r, &key);
}

static err_t parse_private(bytes_t data, const curve_t **ret_curve, bytes_t *ret_scalar, bytes_t *ret_point)
{
    *ret_curve = NULL;
    *ret_point = BYTES_NONE;
    reader_t r = reader_of(data);
    reader_t peek = r, content = der_read_nested(&peek, DER_SEQUENCE);
    bytes_t version = der_read_uint(&content);
    if (version.len == 1 && version.data[0] == 0) { /* PKCS #8; attributes may follow the key */
        *ret_curve = read_algorithm(&content);
        reader_t inner = der_read_nested(&content, DER_OCTET_STRING);
        if (*ret_curve)
            read_sec1(&inner, ret_curve, ret_scalar, ret_point);
        der_end(&content, &inner);
        r = peek;
        reader_fail(&r, content.err);
    } else {
        read_sec1(&r, ret_curve, ret_scalar, ret_point);
    }
    if (r.err || reader_left(&r))
        return fail(ERR_INVALID, "the ECDSA private key is neither SEC 1 nor PKCS #8");
    if (!*ret_curve)
        return fail(ERR_UNSUPPORTED, "the ECDSA key is on none of the curves P-224, P-256, P-384, P-521");
    return OK;
}

static err_t fill_public(const curve_t *c, bytes_t point, private_key_t *k)
{
    AUTO(buf_t) der;
    buf_init(&der, PUBLIC_KEY_MAX_BYTES);
    writer_t w = writer_to(&der);
    size_t info = der_begin(&w, DER_SEQUENCE), algorithm = der_begin(&w, DER_SEQUENCE);
    der_put(&w, DER_OID, bytes_of(ec_public_key, sizeof ec_public_key));
    der_put(&w, DER_OID, bytes_of(c->oid, c->oid_len));
    der_end_put(&w, algorithm);
    size_t bits = der_begin(&w, DER_BIT_STRING);
    write_u8(&w, 0);
    write_bytes(&w, point);
    der_end_put(&w, bits);
    der_end_put(&w, info);
    TRY(w.err);
    memcpy(k->public_key.data, der.data, der.len);
    k->public_key.len = (uint16_t)der.len;
    return OK;
}

static err_t adopt(const curve_t *c, const uint8_t *scalar, bytes_t given_point, private_key_t *k)
{
    uint8_t point[CURVE_POINT_MAX];
    size_t len;
    TRY(curve_public(c, scalar, false, point, &len));
    if (given_point.len && !bytes_equal(given_point, bytes_of(point, len)))
        return fail(ERR_INVALID, "the halves of the ECDSA private key do not belong together");
    TRY(fill_public(c, bytes_of(point, len), k));
    memcpy(k->secret, scalar, c->scalar_len);
    k->secret_len = c->scalar_len;
    return curve_key(c, bytes_of(point, len), scalar, &k->openssl);
}

static err_t load(bytes_t data, private_key_t *k)
{
    const curve_t *c = NULL;
    bytes_t scalar = BYTES_NONE, point = BYTES_NONE;
    TRY(parse_private(data, &c, &scalar, &point));
    if (scalar.len != c->scalar_len)
        return fail(ERR_INVALID, "the private %s key has %zu bytes, not %d", c->name, scalar.len,
                    c->scalar_len);
    return adopt(c, scalar.data, point, k);
}

static err_t generate(const uint8_t *seed, int rsa_bits, private_key_t *k)
{
    uint8_t scalar[CURVE_SCALAR_MAX];
    curve_random_scalar(&curve_p256, scalar);
    err_t e = adopt(&curve_p256, scalar, BYTES_NONE, k);
    secret_wipe(scalar, sizeof scalar);
    return e;
}

/* SEC 1 with curve and point: what Go's x509.MarshalECPrivateKey writes. Both stand in the public key. */
static err_t data_of(const private_key_t *k, buf_t *out)
{
    reader_t r = reader_of(bytes_of(k->public_key.data, k->public_key.len));
    reader_t info = der_read_nested(&r, DER_SEQUENCE);
    const curve_t *c = read_algorithm(&info);
    bytes_t bits = der_read(&info, DER_BIT_STRING);
    assert(c && !info.err);
    writer_t w = writer_to(out);
    size_t key = der_begin(&w, DER_SEQUENCE);
    der_put(&w, DER_INTEGER, BYTES_LIT("\x01"));
    der_put(&w, DER_OCTET_STRING, bytes_of(k->secret, k->secret_len));
    size_t named = der_begin(&w, DER_CONTEXT_0);
    der_put(&w, DER_OID, bytes_of(c->oid, c->oid_len));
    der_end_put(&w, named);
    named = der_begin(&w, DER_CONTEXT_1);
    der_put(&w, DER_BIT_STRING, bits);
    der_end_put(&w, named);
    der_end_put(&w, key);
    return w.err;
}

static err_t sign(const private_key_t *k, bytes_t message, buf_t *out)
{
    return openssl_sign(k->openssl, name, message, out);
}

const key_methods_t key_ecdsa = {name, check_public, verify, load, generate, data_of, sign};

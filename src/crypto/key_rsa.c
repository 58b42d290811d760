/* PKIX public keys, PKCS #1 private keys, PKCS #1 v1.5 signatures over SHA-256. Our own reader looks
 * at the sizes before OpenSSL sees a byte: its work grows with the cube of the modulus. */
#include "crypto/der.h"
#include "crypto/key_type.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { BITS_MIN = 2048, BITS_MAX = 8192, EXPONENT_MAX_BYTES = 8 };
static const char name[] = "RSA";
static const uint8_t rsa_encryption[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};

static size_t bits_of(bytes_t n)
{
    size_t bits = n.len * 8;
    for (uint8_t top = n.len ? n.data[0] : 0; n.len && !(top & 0x80); top = (uint8_t)(top << 1 | 1))
        bits--;
    return bits;
}

static err_t check_numbers(bytes_t n, bytes_t e)
{
    size_t bits = bits_of(n);
    if (bits > BITS_MAX)
        return fail(ERR_LIMIT, "an RSA key of %zu bits is over the limit of %d", bits, BITS_MAX);
    if (bits < BITS_MIN)
        return fail(ERR_INVALID, "an RSA key of %zu bits is under the minimum of %d", bits, BITS_MIN);
    if (!e.len || e.len > EXPONENT_MAX_BYTES || !(e.data[e.len - 1] & 1) || (e.len == 1 && e.data[0] < 3))
        return fail(ERR_INVALID, "the exponent of the RSA key is even, too small or too large");
    return OK;
}

/* OpenSSL's parameters carry numbers in the machine's order. */
static void to_native(bytes_t big_endian, uint8_t *out)
{
    for (size_t i = 0; i < big_endian.len; i++)
        out[i] = big_endian.data[__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? big_endian.len - 1 - i : i];
}

/* The two numbers of a PKIX structure, checked. */
static err_t read_public(bytes_t data, bytes_t *ret_n, bytes_t *ret_e)
{
    reader_t r = reader_of(data);
    reader_t info = der_read_nested(&r, DER_SEQUENCE);
    reader_t algorithm = der_read_nested(&info, DER_SEQUENCE);
    bytes_t oid = der_read(&algorithm, DER_OID);
    if (der_read(&algorithm, DER_NULL).len)
        reader_fail(&algorithm, ERR_INVALID);
    der_end(&info, &algorithm);
    reader_t outer = reader_of(der_read_bits(&info));
    reader_t numbers = der_read_nested(&outer, DER_SEQUENCE);
    bytes_t n = der_read_uint(&numbers), e = der_read_uint(&numbers);
    der_end(&outer, &numbers);
    der_end(&info, &outer);
    der_end(&r, &info);
    if (r.err || reader_left(&r) || !bytes_equal(oid, bytes_of(rsa_encryption, sizeof rsa_encryption)))
        return fail(ERR_INVALID, "the RSA public key is no PKIX structure");
    TRY(check_numbers(n, e));
    *ret_n = n;
    *ret_e = e;
    return OK;
}

static err_t check_public(bytes_t data)
{
    bytes_t n, e;
    return read_public(data, &n, &e);
}

/* OpenSSL's own reader would take several times as long as verifying. */
static EVP_PKEY *public_key_of(bytes_t n, bytes_t e)
{
    uint8_t native_n[BITS_MAX / 8], native_e[EXPONENT_MAX_BYTES];
    to_native(n, native_n);
    to_native(e, native_e);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, native_n, n.len),
                           OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, native_e, e.len),
                           OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static err_t verify(bytes_t data, bytes_t message, bytes_t signature)
{
    bytes_t n = BYTES_NONE, e = BYTES_NONE;
    TRY(read_public(data, &n, &e));
    EVP_PKEY *key = public_key_of(n, e);
    if (!key)
        return openssl_failed(ERR_CRYPTO, "OpenSSL does not take the RSA public key");
    err_t result = openssl_verify(key, name, message, signature);
    EVP_PKEY_free(key);
    return result;
}

/* Fills in the public half, and tries the pair once: halves that do not belong together would sign
 * garbage. */
static err_t adopt(EVP_PKEY *key, private_key_t *k)
{
    k->openssl = key;
    int len = i2d_PUBKEY(key, NULL);
    if (len <= 0 || len > PUBLIC_KEY_MAX_BYTES)
        return openssl_failed(ERR_INVALID, "the RSA key has no public half");
    uint8_t *p = k->public_key.data;
    k->public_key.len = (uint16_t)i2d_PUBKEY(key, &p);
    AUTO(buf_t) signature;
    buf_init(&signature, BITS_MAX / 8);
    bytes_t text = BYTES_LIT("does the private half fit the public one?");
    if (openssl_sign(key, name, text, &signature) ||
        verify(bytes_of(k->public_key.data, k->public_key.len), text, buf_bytes(&signature)))
        return fail(ERR_INVALID, "the numbers of the RSA private key do not belong together");
    return OK;
}

enum { N, E, D, P, Q, DP, DQ, QINV, NUMBERS };

/* n = pq; ed = 1 modulo p-1 and q-1; the rest follows from them. OpenSSL signs with the last five and
 * would not notice another d. */
static bool do_numbers_agree(const bytes_t in[NUMBERS], BN_CTX *ctx)
{
    BIGNUM *v[NUMBERS], *less[2] = {BN_CTX_get(ctx), BN_CTX_get(ctx)}, *t = BN_CTX_get(ctx);
    bool is_good = true;
    for (int i = 0; i < NUMBERS; i++) {
        v[i] = BN_CTX_get(ctx);
        is_good = is_good && v[i] && BN_bin2bn(in[i].data, (int)in[i].len, v[i]);
    }
    is_good = is_good && BN_mul(t, v[P], v[Q], ctx) && !BN_cmp(t, v[N]);
    for (int i = 0; i < 2 && is_good; i++) {
        is_good = BN_sub(less[i], v[P + i], BN_value_one()) && !BN_is_zero(less[i]) &&
                  !BN_is_negative(less[i]) && BN_mod_mul(t, v[D], v[E], less[i], ctx) && BN_is_one(t) &&
                  BN_nnmod(t, v[D], less[i], ctx) && !BN_cmp(t, v[DP + i]);
    }
    return is_good && BN_mod_mul(t, v[QINV], v[Q], v[P], ctx) && BN_is_one(t);
}

static err_t check_private(const bytes_t numbers[NUMBERS])
{
    BN_CTX *ctx = BN_CTX_secure_new();
    if (!ctx)
        return openssl_failed(ERR_NO_MEMORY, "no memory for checking an RSA key");
    BN_CTX_start(ctx);
    bool is_good = do_numbers_agree(numbers, ctx);
    BN_CTX_end(ctx);
    BN_CTX_free(ctx); /* wipes */
    return is_good ? OK
                   : openssl_failed(ERR_INVALID, "the numbers of the RSA private key do not belong together");
}

static err_t load(bytes_t data, private_key_t *k)
{
    reader_t r = reader_of(data);
    reader_t inner = der_read_nested(&r, DER_SEQUENCE);
    bytes_t version = der_read_uint(&inner), numbers[NUMBERS];
    for (int i = 0; i < NUMBERS; i++)
        numbers[i] = der_read_uint(&inner);
    der_end(&r, &inner);
    if (r.err || reader_left(&r) || !bytes_equal(version, bytes_of("", 1)))
        return fail(ERR_INVALID, "the RSA private key is no PKCS #1 structure");
    TRY(check_numbers(numbers[N], numbers[E]));
    TRY(check_private(numbers));
    const uint8_t *p = data.data;
    EVP_PKEY *key = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &p, (long)data.len);
    if (!key)
        return openssl_failed(ERR_INVALID, "OpenSSL cannot read the RSA private key");
    return adopt(key, k);
}

static err_t generate(const uint8_t *seed, int rsa_bits, private_key_t *k)
{
    if (rsa_bits < BITS_MIN || rsa_bits > BITS_MAX)
        return fail(ERR_INVALID, "RSA keys have %d to %d bits, not %d", BITS_MIN, BITS_MAX, rsa_bits);
    EVP_PKEY *key = EVP_RSA_gen((unsigned)rsa_bits);
    if (!key)
        return openssl_failed(ERR_CRYPTO, "OpenSSL made no RSA key");
    return adopt(key, k);
}

static err_t data_of(const private_key_t *k, buf_t *out)
{
    uint8_t *der = NULL;
    int len = i2d_PrivateKey(k->openssl, &der);
    if (len <= 0)
        return openssl_failed(ERR_CRYPTO, "OpenSSL cannot write the RSA private key");
    err_t e = buf_append(out, bytes_of(der, (size_t)len));
    OPENSSL_clear_free(der, (size_t)len);
    return e;
}

static err_t sign(const private_key_t *k, bytes_t message, buf_t *out)
{
    return openssl_sign(k->openssl, name, message, out);
}

const key_methods_t key_rsa = {name, check_public, verify, load, generate, data_of, sign};

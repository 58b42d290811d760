#include "meta/jwt.h"
#include "base/json_depth.h"
#include "crypto/der.h"
#include "crypto/hash.h"
#include "multi/multibase.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JWKS_TEXT_MAX = 256 << 10, NUMBER_MAX = 1100, DEPTH_MAX = 8, SKEW_S = 60 };

void jwks_deinit(jwks_t *s)
{
    free(s->list);
    *s = (jwks_t){0};
}

/* ── keys ────────────────────────────────────────────────────────────────────────────────────── */
/* A non-negative INTEGER: with a zero byte before a number that would look negative. */
static void put_number(writer_t *w, bytes_t n)
{
    size_t mark = der_begin(w, DER_INTEGER);
    if (n.data[0] & 0x80)
        write_u8(w, 0);
    write_bytes(w, n);
    der_end_put(w, mark);
}

static bytes_t without_zeros(bytes_t n)
{
    while (n.len && !n.data[0])
        n = bytes_slice(n, 1, n.len);
    return n;
}

/* SubjectPublicKeyInfo of an RSA key (RFC 5280, 4.1; RFC 3279, 2.3.1). */
static err_t key_of_numbers(bytes_t n, bytes_t e, public_key_t *ret)
{
    static const uint8_t rsa_encryption[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
    AUTO(buf_t) out = {0};
    buf_init(&out, NUMBER_MAX + 80);
    writer_t w = writer_to(&out);
    n = without_zeros(n);
    e = without_zeros(e);
    if (!n.len || !e.len)
        return fail(ERR_INVALID, "the numbers of an RSA key are zero");
    size_t info = der_begin(&w, DER_SEQUENCE), algorithm = der_begin(&w, DER_SEQUENCE);
    der_put(&w, DER_OID, bytes_of(rsa_encryption, sizeof rsa_encryption));
    der_put(&w, DER_NULL, BYTES_NONE);
    der_end_put(&w, algorithm);
    size_t bits = der_begin(&w, DER_BIT_STRING);
    write_u8(&w, 0);
    size_t numbers = der_begin(&w, DER_SEQUENCE);
    put_number(&w, n);
    put_number(&w, e);
    der_end_put(&w, numbers);
    der_end_put(&w, bits);
    der_end_put(&w, info);
    TRY(w.err);
    return public_key_from_data(KEY_RSA, buf_bytes(&out), ret);
}

static err_t numbers_of_key(const public_key_t *k, bytes_t *ret_n, bytes_t *ret_e)
{
    reader_t r = reader_of(bytes_of(k->data, k->len));
    reader_t info = der_read_nested(&r, DER_SEQUENCE);
    (void)der_read_nested(&info, DER_SEQUENCE);
    reader_t outer = reader_of(der_read_bits(&info));
    reader_t numbers = der_read_nested(&outer, DER_SEQUENCE);
    *ret_n = der_read_uint(&numbers);
    *ret_e = der_read_uint(&numbers);
    return numbers.err || info.err ? fail(ERR_INVALID, "the key is no RSA key") : OK;
}

static err_t decode_url(const char *text, buf_t *out)
{
    if (!text)
        return fail(ERR_INVALID, "a number of the key is missing");
    return multibase_decode_raw(MB_BASE64URL, bytes_str(text), out);
}

static const char *text_of(json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static err_t parse_key(json_t *o, jwt_key_t *ret)
{
    AUTO(buf_t) n = {0};
    AUTO(buf_t) e = {0};
    const char *kty = text_of(o, "kty"), *alg = text_of(o, "alg"), *use = text_of(o, "use"),
               *kid = text_of(o, "kid");
    if (!kty || strcmp(kty, "RSA") || (alg && strcmp(alg, "RS256")) || (use && strcmp(use, "sig")) ||
        (kid && strlen(kid) >= JWT_KID_MAX))
        return ERR_UNSUPPORTED;
    buf_init(&n, NUMBER_MAX);
    buf_init(&e, NUMBER_MAX);
    TRY(decode_url(text_of(o, "n"), &n));
    TRY(decode_url(text_of(o, "e"), &e));
    TRY(key_of_numbers(buf_bytes(&n), buf_bytes(&e), &ret->key));
    snprintf(ret->kid, sizeof ret->kid, "%s", kid ? kid : "");
    return OK;
}

err_t jwks_parse(bytes_t text, jwks_t *ret)
{
    if (text.len > JWKS_TEXT_MAX || json_check_depth(text, DEPTH_MAX))
        return fail(ERR_INVALID, "the set of keys is too large or too deep");
    json_t *o = json_loadb((const char *)text.data, text.len, 0, NULL), *one;
    json_t *list = json_object_get(o, "keys");
    jwks_t set = {.list = xcalloc(JWKS_KEYS_MAX, sizeof *set.list)};
    size_t i;
    json_array_foreach(list, i, one)
    {
        if (set.count < JWKS_KEYS_MAX && !parse_key(one, &set.list[set.count]))
            set.count++;
    }
    json_decref(o);
    if (!set.count) {
        jwks_deinit(&set);
        return fail(ERR_INVALID, "no key for RS256 in the set of keys (JWKS)");
    }
    *ret = set;
    return OK;
}

static err_t encode_url(bytes_t data, buf_t *out)
{
    return multibase_encode_raw(MB_BASE64URL, data, out);
}

err_t jwt_kid_of(const public_key_t *k, char out[JWT_KID_MAX])
{
    uint8_t hash[32];
    AUTO(buf_t) text = {0};
    buf_init(&text, JWT_KID_MAX - 1);
    sha256_of(bytes_of(k->data, k->len), hash);
    TRY(encode_url(bytes_of(hash, sizeof hash), &text));
    memcpy(out, text.data, text.len);
    out[text.len] = 0;
    return OK;
}

err_t jwks_of(const private_key_t *k, json_t **ret_set)
{
    const public_key_t *key = private_key_public(k);
    char kid[JWT_KID_MAX];
    bytes_t n, e;
    AUTO(buf_t) n_text = {0};
    AUTO(buf_t) e_text = {0};
    const char *n_chars, *e_chars;
    buf_init(&n_text, 2 * NUMBER_MAX);
    buf_init(&e_text, 64);
    TRY(jwt_kid_of(key, kid));
    TRY(numbers_of_key(key, &n, &e));
    TRY(encode_url(n, &n_text));
    TRY(encode_url(e, &e_text));
    TRY(buf_cstr(&n_text, &n_chars));
    TRY(buf_cstr(&e_text, &e_chars));
    *ret_set = json_pack("{s:[{s:s s:s s:s s:s s:s s:s}]}", "keys", "kty", "RSA", "alg", "RS256", "use",
                         "sig", "kid", kid, "n", n_chars, "e", e_chars);
    return OK;
}

/* ── tokens ──────────────────────────────────────────────────────────────────────────────────── */
static err_t refuse(const char *why)
{
    return fail(ERR_UNAUTHORIZED, "the token is refused: %s", why);
}

static err_t parse_part(bytes_t text, json_t **ret)
{
    AUTO(buf_t) plain = {0};
    buf_init(&plain, JWT_TEXT_MAX);
    if (multibase_decode_raw(MB_BASE64URL, text, &plain) || json_check_depth(buf_bytes(&plain), DEPTH_MAX))
        return refuse("a part of it is not base64url, or too deep");
    json_t *o = json_loadb((const char *)plain.data, plain.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(o)) {
        json_decref(o);
        return refuse("a part of it is not a JSON object");
    }
    *ret = o;
    return OK;
}

/* Every key that the header could mean: without a kid, or with keys that have none, several. */
static bool has_signed(const jwks_t *keys, const char *kid, bytes_t message, bytes_t signature)
{
    for (size_t i = 0; i < keys->count; i++) {
        const jwt_key_t *k = &keys->list[i];
        if (kid && k->kid[0] && strcmp(kid, k->kid))
            continue;
        if (!public_key_verify(&k->key, message, signature))
            return true;
    }
    return false;
}

static err_t check_head(json_t *head, const char **ret_kid)
{
    const char *alg = text_of(head, "alg"), *typ = text_of(head, "typ");
    if (!alg || strcmp(alg, "RS256"))
        return refuse("its algorithm is not RS256");
    if (typ && strcmp(typ, "JWT") && strcmp(typ, "jwt") && strcmp(typ, "at+jwt"))
        return refuse("it is no JWT");
    if (json_object_get(head, "crit") || json_object_get(head, "jwk") || json_object_get(head, "jku") ||
        json_object_get(head, "x5c") || json_object_get(head, "x5u") || json_object_get(head, "b64"))
        return refuse("its header brings keys or extensions along");
    json_t *kid = json_object_get(head, "kid");
    if (kid && !json_is_string(kid))
        return refuse("its kid is no text");
    *ret_kid = json_string_value(kid);
    return OK;
}

static bool names_audience(json_t *aud, const char *wanted)
{
    json_t *one;
    size_t i;
    if (json_is_string(aud))
        return !strcmp(json_string_value(aud), wanted);
    json_array_foreach(aud, i, one)
    {
        if (json_is_string(one) && !strcmp(json_string_value(one), wanted))
            return true;
    }
    return false;
}

static err_t copy_claim(json_t *claims, const char *key, char *out, size_t cap)
{
    json_t *v = json_object_get(claims, key);
    out[0] = 0;
    if (!v)
        return OK;
    if (!json_is_string(v) || json_string_length(v) >= cap ||
        strlen(json_string_value(v)) != json_string_length(v))
        return refuse("a claim is no text, or too long");
    memcpy(out, json_string_value(v), json_string_length(v) + 1);
    return OK;
}

static err_t check_claims(json_t *claims, const jwt_rules_t *rules, jwt_claims_t *ret)
{
    const char *issuer = text_of(claims, "iss");
    json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf"),
           *iat = json_object_get(claims, "iat");
    if (!issuer || strcmp(issuer, rules->issuer))
        return refuse("it was issued by somebody else");
    if (!json_is_number(exp) || json_number_value(exp) <= (double)rules->now_s)
        return refuse("it has expired, or never does");
    if (json_number_value(exp) > 253402300799.0)
        return refuse("it has no such expiry");
    if (nbf && (!json_is_number(nbf) || json_number_value(nbf) > (double)(rules->now_s + SKEW_S)))
        return refuse("it does not count yet");
    if (iat && (!json_is_number(iat) || json_number_value(iat) > (double)(rules->now_s + SKEW_S) ||
                json_number_value(iat) < 0))
        return refuse("it comes from the future");
    if (rules->audience && !names_audience(json_object_get(claims, "aud"), rules->audience))
        return refuse("it is for another audience");
    ret->expires_s = (int64_t)json_number_value(exp);
    ret->issued_at_s = iat ? (int64_t)json_number_value(iat) : 0;
    TRY(copy_claim(claims, "sub", ret->subject, sizeof ret->subject));
    TRY(copy_claim(claims, "jti", ret->id, sizeof ret->id));
    TRY(copy_claim(claims, "role", ret->role, sizeof ret->role));
    return ret->subject[0] ? OK : refuse("it names nobody");
}

/* Three parts divided by two dots; the signature covers the first two with the dot between them. */
static err_t split(bytes_t token, bytes_t parts[3])
{
    const uint8_t *first = memchr(token.data, '.', token.len);
    const uint8_t *second =
        first ? memchr(first + 1, '.', (size_t)(token.data + token.len - first - 1)) : NULL;
    if (!second || memchr(second + 1, '.', (size_t)(token.data + token.len - second - 1)))
        return refuse("it does not have three parts");
    parts[0] = bytes_of(token.data, (size_t)(first - token.data));
    parts[1] = bytes_of(first + 1, (size_t)(second - first - 1));
    parts[2] = bytes_of(second + 1, (size_t)(token.data + token.len - second - 1));
    return OK;
}

err_t jwt_verify(const jwks_t *keys, const jwt_rules_t *rules, bytes_t token, jwt_claims_t *ret)
{
    bytes_t parts[3];
    json_t *head = NULL, *claims = NULL;
    const char *kid = NULL;
    jwt_claims_t got = {0};
    AUTO(buf_t) signature = {0};
    if (!token.len || token.len > JWT_TEXT_MAX)
        return refuse("it is empty or too long");
    TRY(split(token, parts));
    buf_init(&signature, NUMBER_MAX);
    if (multibase_decode_raw(MB_BASE64URL, parts[2], &signature) || !signature.len)
        return refuse("it is not signed");
    err_t e = parse_part(parts[0], &head);
    if (!e)
        e = check_head(head, &kid);
    bytes_t signed_part = bytes_of(token.data, parts[0].len + 1 + parts[1].len);
    if (!e && !has_signed(keys, kid, signed_part, buf_bytes(&signature)))
        e = refuse("no key of the issuer signed it");
    if (!e)
        e = parse_part(parts[1], &claims);
    if (!e)
        e = check_claims(claims, rules, &got);
    json_decref(head);
    json_decref(claims);
    TRY(e);
    *ret = got;
    return OK;
}

err_t jwt_sign(const private_key_t *k, json_t *claims, buf_t *out)
{
    char kid[JWT_KID_MAX], head[160];
    size_t from = out->len;
    AUTO(buf_t) signature = {0};
    buf_init(&signature, NUMBER_MAX);
    TRY(jwt_kid_of(private_key_public(k), kid));
    snprintf(head, sizeof head, "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", kid);
    TRY(encode_url(bytes_str(head), out));
    TRY(buf_append_u8(out, '.'));
    char *text = json_dumps(claims, JSON_COMPACT);
    if (!text)
        return fail(ERR_NO_MEMORY, "no memory for a token");
    err_t e = encode_url(bytes_str(text), out);
    free(text);
    TRY(e);
    TRY(private_key_sign(k, bytes_of(out->data + from, out->len - from), &signature));
    TRY(buf_append_u8(out, '.'));
    return encode_url(buf_bytes(&signature), out);
}

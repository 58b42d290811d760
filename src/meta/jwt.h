/* jwt: JSON Web Tokens of people, RS256 alone. Specs: RFC 7519, RFC 7515, RFC 7517, RFC 8725.
 *
 * A token's header chooses among the keys that are configured (kid), and nothing else: its algorithm must be
 * RS256, and keys in it (jwk, jku, x5c) or critical extensions (crit) make it refused. Issuer and expiry are
 * demanded, the audience where one is configured; 60 seconds of difference between clocks are forgiven, but
 * not at the expiry. */
#ifndef META_JWT_H
#define META_JWT_H
#include "crypto/key.h"
#include <jansson.h>

#define JWT_TEXT_MAX 4096
#define JWT_KID_MAX 65
#define JWKS_KEYS_MAX 16
#define JWT_ID_MAX 129

typedef struct jwt_key {
    char kid[JWT_KID_MAX]; /* "": none */
    public_key_t key;
} jwt_key_t;
typedef struct jwks {
    jwt_key_t *list; /* owned */
    size_t count;
} jwks_t;
void jwks_deinit(jwks_t *s); /* idempotent */
AUTO_DEFINE(jwks_t, jwks_deinit)
/* RSA keys of 2048 to 8192 bits for signatures; others in the set are passed over. ERR_INVALID: no set, or
 * none of its keys can be used. */
MUST_CHECK err_t jwks_parse(bytes_t text, jwks_t *ret);
/* The set of one key of ours. kid: the base64url of the SHA-256 of its PKIX form. Owned. */
MUST_CHECK err_t jwks_of(const private_key_t *k, json_t **ret_set);
MUST_CHECK err_t jwt_kid_of(const public_key_t *k, char out[JWT_KID_MAX]);

typedef struct jwt_claims {
    char subject[JWT_ID_MAX], id[JWT_ID_MAX], role[32]; /* "": not in it, but for the subject */
    int64_t issued_at_s, expires_s;                     /* issued: 0 when it is not in it */
} jwt_claims_t;
typedef struct jwt_rules {
    const char *issuer;
    const char *audience; /* NULL: any */
    int64_t now_s;
} jwt_rules_t;
/* ERR_UNAUTHORIZED; the text says why and holds nothing of the token. */
MUST_CHECK err_t jwt_verify(const jwks_t *keys, const jwt_rules_t *rules, bytes_t token, jwt_claims_t *ret);
/* Appends. claims: borrowed. */
MUST_CHECK err_t jwt_sign(const private_key_t *k, json_t *claims, buf_t *out);
#endif

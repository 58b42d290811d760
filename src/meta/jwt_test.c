#include "meta/jwt.h"
#include "tests/support/test.h"
#include <string.h>

/* RFC 7515, A.2: the key and the token of its example, whose claims have no subject. */
static const char rfc_keys[] = "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
                               "wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-"
                               "yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
                               "bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmt"
                               "dVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
                               "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}]}";
static const char rfc_token[] =
    "eyJhbGciOiJSUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
    "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAyn"
    "RFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
    "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv"
    "Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

static void the_example_of_the_rfc_has_its_key(void **state)
{
    AUTO(jwks_t) keys = {0};
    jwt_claims_t claims;
    jwt_rules_t rules = {.issuer = "joe", .now_s = 1300819379};
    assert_ok(jwks_parse(bytes_str(rfc_keys), &keys));
    assert_int_equal(keys.count, 1);
    assert_int_equal(keys.list[0].key.type, KEY_RSA);
    /* All but the subject is right: the signature fits, the issuer, the expiry. */
    assert_err(jwt_verify(&keys, &rules, bytes_str(rfc_token), &claims), ERR_UNAUTHORIZED);
    assert_non_null(strstr(error_text(ERR_UNAUTHORIZED), "names nobody"));
    rules.now_s++;
    assert_err(jwt_verify(&keys, &rules, bytes_str(rfc_token), &claims), ERR_UNAUTHORIZED);
    assert_non_null(strstr(error_text(ERR_UNAUTHORIZED), "expired"));
}

typedef struct world {
    private_key_t *key;
    jwks_t keys;
} world_t;

static world_t world;

static int set_up(void **state)
{
    json_t *set;
    assert_ok(private_key_generate(KEY_RSA, NULL, 2048, &world.key));
    assert_ok(jwks_of(world.key, &set));
    char *text = json_dumps(set, JSON_COMPACT);
    json_decref(set);
    assert_ok(jwks_parse(bytes_str(text), &world.keys));
    free(text);
    return 0;
}

static int tear_down(void **state)
{
    private_key_free(world.key);
    jwks_deinit(&world.keys);
    return 0;
}

static err_t verify(json_t *claims, const jwt_rules_t *rules, jwt_claims_t *ret)
{
    AUTO(buf_t) token = {0};
    buf_init(&token, JWT_TEXT_MAX * 2);
    assert_ok(jwt_sign(world.key, claims, &token));
    json_decref(claims);
    return jwt_verify(&world.keys, rules, buf_bytes(&token), ret);
}

static void what_is_signed_is_read(void **state)
{
    jwt_rules_t rules = {.issuer = "us", .audience = "them", .now_s = 1000};
    jwt_claims_t c;
    assert_ok(verify(json_pack("{s:s s:s s:s s:s s:i s:i s:[s s]}", "iss", "us", "sub", "ann", "jti", "7",
                               "role", "user", "exp", 1001, "iat", 1060, "aud", "others", "them"),
                     &rules, &c));
    assert_string_equal(c.subject, "ann");
    assert_string_equal(c.id, "7");
    assert_string_equal(c.role, "user");
    assert_int_equal(c.expires_s, 1001);
    assert_int_equal(c.issued_at_s, 1060);
}

static void claims_that_do_not_fit_are_refused(void **state)
{
    jwt_rules_t rules = {.issuer = "us", .now_s = 1000};
    jwt_claims_t c = {.subject = "untouched"};
    json_t *bad[] = {
        json_pack("{s:s s:s s:i}", "iss", "us", "sub", "ann", "exp", 1000),
        json_pack("{s:s s:s s:s}", "iss", "us", "sub", "ann", "exp", "2000"),
        json_pack("{s:s s:s s:f}", "iss", "us", "sub", "ann", "exp", 1e18),
        json_pack("{s:s s:s}", "iss", "us", "sub", "ann"),
        json_pack("{s:s s:s s:i}", "iss", "them", "sub", "ann", "exp", 2000),
        json_pack("{s:[s] s:s s:i}", "iss", "us", "sub", "ann", "exp", 2000),
        json_pack("{s:s s:i}", "iss", "us", "exp", 2000),
        json_pack("{s:s s:i s:i}", "iss", "us", "sub", 7, "exp", 2000),
        json_pack("{s:s s:s s:i s:i}", "iss", "us", "sub", "ann", "exp", 2000, "nbf", 1061),
        json_pack("{s:s s:s s:i s:i}", "iss", "us", "sub", "ann", "exp", 2000, "iat", 1061),
        json_pack("{s:s s:s s:i s:i}", "iss", "us", "sub", "ann", "exp", 2000, "jti", 5),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(verify(bad[i], &rules, &c), ERR_UNAUTHORIZED);
    rules.audience = "them";
    assert_err(verify(json_pack("{s:s s:s s:i s:s}", "iss", "us", "sub", "ann", "exp", 2000, "aud", "others"),
                      &rules, &c),
               ERR_UNAUTHORIZED);
    assert_string_equal(c.subject, "untouched");
}

/* Any byte of head, claims or signature. */
static void changed_tokens_are_refused(void **state)
{
    AUTO(buf_t) token = {0};
    jwt_rules_t rules = {.issuer = "us", .now_s = 1000};
    jwt_claims_t c;
    json_t *claims = json_pack("{s:s s:s s:i}", "iss", "us", "sub", "ann", "exp", 2000);
    buf_init(&token, JWT_TEXT_MAX);
    assert_ok(jwt_sign(world.key, claims, &token));
    json_decref(claims);
    assert_ok(jwt_verify(&world.keys, &rules, buf_bytes(&token), &c));
    for (size_t i = 0; i < token.len; i += 7) {
        uint8_t was = token.data[i];
        token.data[i] = was == 'A' ? 'B' : 'A';
        assert_err(jwt_verify(&world.keys, &rules, buf_bytes(&token), &c), ERR_UNAUTHORIZED);
        token.data[i] = was;
    }
    for (size_t len = 0; len < token.len; len += 11)
        assert_err(jwt_verify(&world.keys, &rules, bytes_of(token.data, len), &c), ERR_UNAUTHORIZED);
}

static void sets_without_good_keys_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"RSA\"}]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"alg\":\"HS256\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}"};
    jwks_t keys;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(jwks_parse(bytes_str(bad[i]), &keys), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_rfc_has_its_key), cmocka_unit_test(what_is_signed_is_read),
        cmocka_unit_test(claims_that_do_not_fit_are_refused), cmocka_unit_test(changed_tokens_are_refused),
        cmocka_unit_test(sets_without_good_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

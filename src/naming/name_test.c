#include "naming/dns_label.h"
#include "naming/name.h"
#include "tests/support/test.h"

#define ED25519_ID "12D3KooWFXBoS43Vgj9YuYKJryF7JEt34mZcg2eSRsHtHRiXfCNF"
#define ED25519_NAME "k51qzi5uqu5diamp7qnnvs1p1gzmku3eijkeijs3418j23j077zrkok63xdm8c"

static void test_forms(void **state)
{
    peer_id_t a, b;
    char text[PEER_ID_TEXT_MAX];
    assert_int_equal(name_parse(ED25519_ID, &a), OK);
    assert_int_equal(name_parse("/ipns/" ED25519_NAME, &b), OK);
    assert_true(peer_id_equal(&a, &b));
    assert_string_equal(name_print(&a, text), ED25519_NAME);
    assert_int_equal(name_parse("example.com", &a), ERR_INVALID);
    assert_int_equal(name_parse("", &a), ERR_INVALID);
    /* a CID of content is no name */
    assert_int_equal(name_parse("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e", &a),
                     ERR_INVALID);
}

static void test_record_keys(void **state)
{
    peer_id_t id, back;
    uint8_t key[NAME_KEY_MAX_BYTES];
    assert_int_equal(name_parse(ED25519_ID, &id), OK);
    size_t n = name_key(&id, key);
    assert_memory_equal(key, "/ipns/\x00\x24", 8);
    assert_int_equal(name_of_key(bytes_of(key, n), &back), OK);
    assert_true(peer_id_equal(&id, &back));
    assert_int_equal(name_of_key(bytes_of(key + 1, n - 1), &back), ERR_INVALID);
    assert_int_not_equal(name_of_key(bytes_of(key, 6), &back), OK);
}

static void check_label(const char *domain, const char *label)
{
    AUTO(buf_t) out;
    const char *text;
    buf_init(&out, 1024);
    assert_int_equal(dns_label_inline(domain, &out), OK);
    assert_int_equal(buf_cstr(&out, &text), OK);
    assert_string_equal(text, label);
    buf_clear(&out);
    assert_int_equal(dns_label_uninline(label, &out), OK);
    assert_int_equal(buf_cstr(&out, &text), OK);
    assert_string_equal(text, domain);
}

static void test_labels(void **state)
{
    check_label("en.wikipedia-on-ipfs.org", "en-wikipedia--on--ipfs-org");
    check_label("example.com", "example-com");
    check_label("a--b.c", "a----b-c");
    AUTO(buf_t) out;
    buf_init(&out, 1024);
    assert_int_equal(
        dns_label_inline("a-very-long-name-of-a-domain.that-has-many-hyphens-in-it.example.com", &out),
        ERR_LIMIT);
    assert_int_equal(out.len, 0);
}

static void test_domains(void **state)
{
    static const char *const good[] = {"example.com", "example.com.", "a", "_dnslink.x.y",
                                       "xn--bcher-kva.example"};
    static const char *const bad[] = {"",
                                      ".",
                                      "a..b",
                                      ".a",
                                      ED25519_ID,
                                      ED25519_NAME,
                                      "0123456789012345678901234567890123456789012345678901234567890123.com"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(dns_is_domain(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(dns_is_domain(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_record_keys),
                                       cmocka_unit_test(test_labels), cmocka_unit_test(test_domains)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

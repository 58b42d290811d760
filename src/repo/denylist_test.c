/* Denylists: the example of the spec (ipfs/specs src/compact-denylist-format.md) and what the reference's
 * list for testers denies and allows. */
#include "repo/denylist.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

static const char example[] = "version: 1\nname: \"an example\"\nhints:\n  hint: value\n---\n"
                              "# by multihash, whatever the codec\n"
                              "/ipfs/bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq reason=why\n"
                              "\n"
                              "/ipfs/QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8/*\n"
                              "/ipfs/Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2/test*\n"
                              "/ipfs/QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC/test/*\n"
                              "/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked*\n"
                              "!/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blockednot\n"
                              "!/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked/not\n"
                              "!/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked/exceptions*\n"
                              "/ipfs/QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR/927%20-%20Standards\r\n"
                              "/ipns/domain.example\n"
                              "/ipns/domain2.example/path\n"
                              "/ipns/k51qzi5uqu5dhmzyv3zac033i7rl9hkgczxyl81lwoukda2htteop7d3x0y1mf\n"
                              "//d9d295bde21f422d471a90f2a37ec53049fdf3e5fa3ee2e8f20e10003da429e7\n"
                              "//6ef262a67f2c7caa9722b0fe46aced2f1559c749eab2bcf2f2701f43f802e900\n"
                              "//fb5a70b1aade810d21e8195a0da05f40ebd099e4b4d6bf088dc604e4fcf34263\n"
                              "//3f8b9febd851873b3774b937cce126910699ceac56e72e64b866f8e258d09572\n"
                              "//QmX9dhRcQcKUw3Ws8485T5a9dtjrSCQaUAHnG4iK9i4ceM\n"
                              "//gW813G35CnLsy7gRYYHuf63hrz71U1xoLFDVeV7actx6oX\n"
                              "//QmX6zeaAb8mC285YbXe4ac7LmX3jvrHBiFrw8kNnCM1bk4\n"
                              "//QmcwfDuZYijxztHVR7w71WtdDaETsrGUU3ARWbNiYD3Hhp\n"
                              "//QmdGtYErkPjfpUPjVMUypoX8XTE9PUTBBF6KE9AwWaBs1e\n"
                              "//QmQouNeftXbxGRt4U8s838diCuMPPHCfpHTR5w8bRREs9d\n"
                              "/ipfs/QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn\n"
                              "/ipfs/bafkqaaa\n"
                              "nonsense\n";

typedef struct denylist_case {
    bool is_denied;
    const char *path;
} denylist_case_t;
static const denylist_case_t cases[] = {
    {true, "/ipfs/bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq"},
    {true, "/ipfs/bafkreihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq"},
    {true, "/ipfs/QmesfgDQ3q6prBy2Kg2gKbW4MAGuWiRP2DVuGA5MZSERLo"},
    {true, "/ipfs/QmesfgDQ3q6prBy2Kg2gKbW4MAGuWiRP2DVuGA5MZSERLo/"},
    {false, "/ipfs/QmesfgDQ3q6prBy2Kg2gKbW4MAGuWiRP2DVuGA5MZSERLo/sub"},
    {true, "/ipfs/QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8"},
    {true, "/ipfs/QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8/z/"},
    {true, "/ipfs/Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2/test/one"},
    {false, "/ipfs/Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2/tes"},
    {false, "/ipfs/Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2"},
    {true, "/ipfs/QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC/test2"},
    {true, "/ipfs/QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC/x/..//./test2"},
    {true, "/ipns/domain2.example/x/../path"},
    {true, "/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked2"},
    {false, "/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blockednot"},
    {false, "/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked/exceptions2"},
    {true, "/ipfs/QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR/927 - Standards"},
    {true, "/ipns/domain.example"},
    {true, "/ipns/domain-example"},
    {false, "/ipns/domain--example"},
    {false, "/ipns/domain.example/path"},
    {true, "/ipns/domain2.example/path"},
    {false, "/ipns/domain2.example"},
    {true, "/ipns/bafzaajaiaejcaotjfs57kieazxny5japcmy5p2pgv2cic77tu6ogghttvurnrufx"},
    {true, "/ipns/12D3KooWDkNqEJNmreF3NYYFK1ws7Ra2fuW6cHBTu567SPV3LdYA"},
    {false, "/ipns/12D3KooWDkNqEJNmreF3NYYFK1ws7Ra2fuW6cHBTu567SPV3LdYA/path"},
    {true, "/ipfs/bafybeiefwqslmf6zyyrxodaxx4vwqircuxpza5ri45ws3y5a62ypxti42e/"},
    {true, "/ipfs/bafybeiefwqslmf6zyyrxodaxx4vwqircuxpza5ri45ws3y5a62ypxti42e/path"},
    {false, "/ipfs/bafybeiefwqslmf6zyyrxodaxx4vwqircuxpza5ri45ws3y5a62ypxti42e/path2"},
    {true, "/ipns/k51qzi5uqu5dixwsch9wpd9rolqby1m0uqj5hhxwtxal0dwltastfmh01dlniq"},
    {true, "/ipns/very-bad-example.eth/"},
    {true, "/ipfs/bafybeidjwik6im54nrpfg7osdvmx7zojl5oaxqel5cmsz46iuelwf5acja"},
    {true, "/ipns/my.domain.com"},
    {true, "/ipns/my.domain2.com/path"},
    {false, "/ipns/my.domain2.com/path2"},
    {true, "/ipns/k51qzi5uqu5dixwsch9wpd9rolqby1m0uqj5hhxwtxal0dwltastfmh01dabcd"},
    {true, "/ipns/bafzaajaiaejca3vrvdzmu4qntwa2pn6apsd4ug5k63ckdyhnd3g6vdvgvujczuoq/mypath"},
    {false, "/ipns/k51qzi5uqu5dixwsch9wpd9rolqby1m0uqj5hhxwtxal0dwltastfmh01d1234/mypath2"},
    {false, "/ipfs/QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"},
    {false, "/ipfs/bafkqaaa"},
    {false, "/ipfs/not-a-cid"},
    {false, "/other/x"},
    {false, ""},
};

static void test_example(void **state)
{
    AUTO_PTR(denylist_t) d = denylist_new();
    assert_ok(denylist_add(d, "example", BYTES_LIT(example)));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (denylist_has_path(d, bytes_str(cases[i].path)) != cases[i].is_denied)
            fail_msg("%s: denied is %d", cases[i].path, !cases[i].is_denied);
    size_t len;
    bool has_blake3 = !multihash_natural_len(MH_BLAKE3, &len);
    static const char hashed[] =
        "/ipfs/f01701e20903cf61d46521b05f926ba1634628d0bba8a7ffb5b6d5a3ca310682ca63b5ef0/path";
    assert_int_equal(denylist_has_path(d, BYTES_LIT(hashed)), has_blake3);
}

static void test_cids(void **state)
{
    AUTO_PTR(denylist_t) d = denylist_new();
    cid_t cid;
    assert_ok(cid_parse_str("QmVTF1yEejXd9iMgoRTFDxBv7HAz9kuZcQNBzHrceuK9HR", &cid));
    assert_false(denylist_has_cid(d, &cid));
    assert_ok(denylist_add(d, "example", BYTES_LIT(example)));
    assert_true(denylist_has_cid(d, &cid));
    assert_ok(cid_parse_str("QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC", &cid));
    assert_false(denylist_has_cid(d, &cid)); /* only what is below */
    assert_ok(cid_parse_str("QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8", &cid));
    assert_true(denylist_has_cid(d, &cid));
}

static void test_headers(void **state)
{
    static const char rule[] = "/ipns/bad.example\n";
    AUTO_PTR(denylist_t) d = denylist_new();
    assert_ok(denylist_add(d, "none", BYTES_LIT(rule)));
    assert_int_equal(denylist_count(d), 1);
    assert_ok(denylist_add(d, "bare", BYTES_LIT("---\n/ipns/b.example")));
    assert_int_equal(denylist_count(d), 2);
    assert_int_equal(denylist_add(d, "new", BYTES_LIT("version: 2\n---\n/ipns/c.example\n")), ERR_INVALID);
    assert_int_equal(denylist_add(d, "new", BYTES_LIT("version: 11\n---\n/ipns/c.example\n")), ERR_INVALID);
    assert_int_equal(denylist_count(d), 2);
}

static err_t folders(task_t *t, void *arg)
{
    AUTO_PTR(denylist_t) d = denylist_new();
    assert_ok(denylist_add_folder(t, d, "/absent"));
    assert_ok(fs_mkdirs(t, "/lists", 0755));
    assert_ok(fs_write_file(t, "/lists/a.deny", 0644, BYTES_LIT("/ipns/a.example\n")));
    assert_ok(fs_write_file(t, "/lists/b.deny", 0644, BYTES_LIT("!/ipns/a.example\n/ipns/b.example\n")));
    assert_ok(fs_write_file(t, "/lists/c.txt", 0644, BYTES_LIT("/ipns/c.example\n")));
    assert_ok(denylist_add_folder(t, d, "/lists"));
    assert_int_equal(denylist_count(d), 3);
    assert_false(denylist_has_path(d, BYTES_LIT("/ipns/a.example"))); /* the later file's word counts */
    assert_true(denylist_has_path(d, BYTES_LIT("/ipns/b.example")));
    assert_false(denylist_has_path(d, BYTES_LIT("/ipns/c.example")));
    return OK;
}

static void test_folders(void **state)
{
    assert_ok(test_run(folders, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_example), cmocka_unit_test(test_cids),
                                       cmocka_unit_test(test_headers), cmocka_unit_test(test_folders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

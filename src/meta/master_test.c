/* Master keys, placement and the audit log's hashes: what needs no service. */
#include "meta/audit.h"
#include "meta/meta_impl.h"
#include "tests/support/test.h"
#include <string.h>

static void keys_are_read_from_lines(void **state)
{
    master_keys_t k;
    assert_ok(
        master_keys_parse(BYTES_LIT("# newest first\n"
                                    "0101010101010101010101010101010101010101010101010101010101010101\r\n\n"
                                    "  AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="),
                          &k));
    assert_int_equal(k.count, 2);
    assert_int_equal(k.list[0].key[31], 1);
    assert_int_equal(k.list[1].key[31], 2);
    assert_int_equal(strlen(k.list[0].name), MASTER_NAME_CHARS);
    assert_string_not_equal(k.list[0].name, k.list[1].name);
    static const char *const bad[] = {"", "# nothing\n", "01",
                                      "zz01010101010101010101010101010101010101010101010101010101010101",
                                      "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=="};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(master_keys_parse(bytes_str(bad[i]), &k), ERR_INVALID);
    assert_int_equal(k.count, 0);
}

static void wrapping_binds_to_key_and_purpose(void **state)
{
    master_keys_t both, old;
    uint8_t first[5 + WRAP_EXTRA_BYTES], second[5 + WRAP_EXTRA_BYTES], plain[5];
    assert_ok(master_keys_parse(BYTES_LIT("0101010101010101010101010101010101010101010101010101010101010101"),
                                &old));
    assert_ok(master_keys_parse(BYTES_LIT("0202020202020202020202020202020202020202020202020202020202020202\n"
                                          "0101010101010101010101010101010101010101010101010101010101010101"),
                                &both));
    assert_ok(master_wrap(&old, "file a", BYTES_LIT("hello"), first));
    assert_ok(master_wrap(&old, "file a", BYTES_LIT("hello"), second));
    assert_memory_not_equal(first, second, sizeof first);
    assert_ok(master_unwrap(&both, old.list[0].name, "file a", bytes_of(first, sizeof first), plain));
    assert_memory_equal(plain, "hello", 5);
    assert_err(master_unwrap(&both, old.list[0].name, "file b", bytes_of(first, sizeof first), plain),
               ERR_CRYPTO);
    assert_err(master_unwrap(&both, both.list[0].name, "file a", bytes_of(first, sizeof first), plain),
               ERR_CRYPTO);
    assert_err(master_unwrap(&old, both.list[0].name, "file a", bytes_of(first, sizeof first), plain),
               ERR_NOT_FOUND);
    assert_err(master_unwrap(&old, old.list[0].name, "file a", bytes_of(first, WRAP_EXTRA_BYTES - 1), plain),
               ERR_CORRUPT);
    for (size_t i = 0; i < sizeof first; i++) {
        first[i] ^= 1;
        assert_err(master_unwrap(&both, old.list[0].name, "file a", bytes_of(first, sizeof first), plain),
                   ERR_CRYPTO);
        first[i] ^= 1;
    }
}

enum { NODES = 6, ROUNDS = 6000 };
static void make_nodes(place_node_t nodes[NODES])
{
    for (int i = 0; i < NODES; i++) {
        nodes[i] = (place_node_t){.free_bytes = (i + 1) * 1000, .is_healthy = true};
        snprintf(nodes[i].id, sizeof nodes[i].id, "%032d", i);
        snprintf(nodes[i].zone, sizeof nodes[i].zone, "zone-%d", i % 3);
    }
}

static void places_follow_room_and_zones(void **state)
{
    place_node_t nodes[NODES];
    size_t chosen[NODES], first[NODES] = {0};
    make_nodes(nodes);
    for (int i = 0; i < ROUNDS; i++) {
        char what[32];
        snprintf(what, sizeof what, "upload/%d", i);
        assert_int_equal(place_choose(nodes, NODES, what, 100, 3, NULL, chosen), 3);
        first[chosen[0]]++;
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < a; b++)
                assert_string_not_equal(nodes[chosen[a]].zone, nodes[chosen[b]].zone);
    }
    /* As often as their share of the room, 1/21 to 6/21, by a tenth of all more or less. */
    for (int i = 0; i < NODES; i++)
        assert_in_range(first[i] + ROUNDS / 40, ROUNDS * (i + 1) / 21, ROUNDS * (i + 1) / 21 + ROUNDS / 20);
    /* No room, ill nodes last, those that have it left out. */
    bool taken[NODES] = {true};
    nodes[5].is_healthy = false;
    assert_int_equal(place_choose(nodes, NODES, "x", 1500, NODES, taken, chosen), 5);
    assert_int_equal(chosen[4], 5);
    assert_int_equal(place_choose(nodes, NODES, "x", 5500, NODES, NULL, chosen), 1);
    assert_int_equal(place_choose(nodes, 0, "x", 1, 3, NULL, chosen), 0);
}

/* Adding a node moves no chunk between others. */
static void places_stay_when_a_node_comes(void **state)
{
    place_node_t nodes[NODES];
    size_t before[1], after[1];
    make_nodes(nodes);
    for (int i = 0; i < 500; i++) {
        char what[32];
        snprintf(what, sizeof what, "upload/%d", i);
        assert_int_equal(place_choose(nodes, NODES - 1, what, 100, 1, NULL, before), 1);
        assert_int_equal(place_choose(nodes, NODES, what, 100, 1, NULL, after), 1);
        assert_true(after[0] == before[0] || after[0] == NODES - 1);
    }
}

static void callers_have_budgets_of_their_own(void **state)
{
    bucket_t *buckets = xcalloc(BUCKETS, sizeof *buckets);
    uint64_t refused, now_ms = 5000;
    for (int i = 0; i < 20; i++)
        assert_int_equal(limit_passes(buckets, "ann", 10, 20, now_ms, &refused), true);
    assert_false(limit_passes(buckets, "ann", 10, 20, now_ms, &refused));
    assert_int_equal(refused, 1);
    assert_true(limit_passes(buckets, "bob", 10, 20, now_ms, &refused));
    assert_false(limit_passes(buckets, "ann", 10, 20, now_ms + 99, &refused));
    assert_int_equal(refused, 2);
    assert_true(limit_passes(buckets, "ann", 10, 20, now_ms + 101, &refused));
    for (int i = 0; i < 20; i++)
        assert_int_equal(limit_passes(buckets, "ann", 10, 20, now_ms + 1000000, &refused), true);
    assert_false(limit_passes(buckets, "ann", 10, 20, now_ms + 1000000, &refused));
    free(buckets);
}

static void names_are_canonical(void **state)
{
    static const char *const good[] = {"a", "a/b", "…", "a..b", "...", ".a", "a b/c'd"};
    static const char *const bad[] = {"",     "/",    "/a",    "a/",  "a//b", ".",   "..",
                                      "a/..", "../a", "a/./b", "a\n", "\x7f", "\xff"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_ok(check_name(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(check_name(bad[i]), ERR_INVALID);
}

/* Computed by hashlib: sha256(32 zero bytes, 1, 2, then each text behind its length). */
static void hashes_of_records_are_as_described(void **state)
{
    audit_entry_t e = {
        .action = "file.get", .at_ms = 2, .actor = "ann", .target = "f", .outcome = "OK", .remote = "::1"};
    uint8_t before[32] = {0}, hash[32];
    char text[65];
    audit_hash(before, 1, &e, hash);
    assert_string_equal(hex_text(bytes_of(hash, 32), text, sizeof text),
                        "ed312703bc9c597d76bbc8cca0273f9baab619a67ac4ee805785ebcfcb5a0208");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_read_from_lines),
        cmocka_unit_test(wrapping_binds_to_key_and_purpose),
        cmocka_unit_test(places_follow_room_and_zones),
        cmocka_unit_test(places_stay_when_a_node_comes),
        cmocka_unit_test(callers_have_budgets_of_their_own),
        cmocka_unit_test(names_are_canonical),
        cmocka_unit_test(hashes_of_records_are_as_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

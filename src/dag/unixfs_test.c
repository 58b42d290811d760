#include "codec/dag_pb.h"
#include "dag/dag_node.h"
#include "dag/hamt.h"
#include "dag/unixfs.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

static err_t decode_hex(const char *hex, buf_t *room, unixfs_t *ret)
{
    buf_clear(room);
    assert_ok(hex_decode(bytes_str(hex), room));
    return unixfs_decode(buf_bytes(room), ret);
}

static void test_decode(void **state)
{
    AUTO(buf_t) room = {0};
    unixfs_t u;
    buf_init(&room, 4096);
    assert_ok(decode_hex("0802120568656c6c6f1805", &room, &u));
    assert_int_equal(u.type, UNIXFS_FILE);
    assert_bytes(u.data, BYTES_LIT("hello"));
    assert_int_equal(u.file_size, 5);
    assert_ok(decode_hex("0802180038a403420b0880e2cfaa061515cd5b07", &room, &u));
    assert_true(u.has_mode && u.mode == 0644 && u.has_mtime);
    assert_int_equal(u.mtime.seconds, 1700000000);
    assert_int_equal(u.mtime.nanoseconds, 123456789);
    assert_ok(decode_hex("08021800420b08ffffffffffffffffff01", &room, &u));
    assert_int_equal(u.mtime.seconds, -1);
    assert_ok(decode_hex("0801", &room, &u));
    assert_int_equal(u.type, UNIXFS_DIRECTORY);
}

static void test_sizes_packed_or_not(void **state)
{
    static const char *const forms[] = {"080220012080022003", "0802220401800203", "080220012203800203"};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        AUTO(buf_t) room = {0};
        unixfs_t u;
        buf_init(&room, 64);
        assert_ok(decode_hex(forms[i], &room, &u));
        assert_int_equal(u.block_size_count, 3);
        unixfs_sizes_t sizes = unixfs_sizes(&u);
        uint64_t size, want[] = {1, 256, 3};
        for (size_t k = 0; k < 3; k++) {
            assert_true(unixfs_next_size(&sizes, &size));
            assert_int_equal(size, want[k]);
        }
        assert_false(unixfs_next_size(&sizes, &size));
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",                             /* no type */
        "1805",                         /* no type */
        "0806",                         /* unknown type */
        "0803",                         /* metadata */
        "0802120568",                   /* cut off */
        "0a0102",                       /* type of another wire type */
        "08012001",                     /* block sizes in a directory */
        "08042001",                     /* … and in a symlink */
        "0805",                         /* a shard without fanout */
        "0805282230808001",             /* fanout 16384 */
        "080528223007",                 /* not a power of two */
        "08052823308002",               /* another hash function */
        "08051202010128223008",         /* two bytes of bits for eight slots */
        "080218003a03010203",           /* mode as bytes */
        "08021800420908011580ca9a3bff", /* nanoseconds: a byte too many */
        "08021800420708011500ca9a3b",   /* a billion nanoseconds */
        "08021800420408011001",         /* nanoseconds as a varint */
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(buf_t) room = {0};
        unixfs_t u;
        buf_init(&room, 64);
        err_t e = decode_hex(bad[i], &room, &u);
        if (e != ERR_INVALID)
            print_error("accepted: %s\n", bad[i]);
        assert_int_equal(e, ERR_INVALID);
    }
}

static void test_put_is_decode(void **state)
{
    AUTO(buf_t) out = {0}, again = {0};
    buf_init(&out, 4096);
    buf_init(&again, 4096);
    uint64_t sizes[] = {262144, 1};
    unixfs_t u = {.type = UNIXFS_FILE,
                  .has_file_size = true,
                  .file_size = 262145,
                  .has_mode = true,
                  .mode = 04755,
                  .has_mtime = true,
                  .mtime = {-5, 7}},
             back;
    writer_t w = writer_to(&out);
    unixfs_put(&w, &u, sizes, 2);
    assert_ok(w.err);
    assert_ok(unixfs_decode(buf_bytes(&out), &back));
    assert_int_equal(back.mtime.seconds, -5);
    assert_int_equal(back.mode, 04755);
    w = writer_to(&again);
    unixfs_put(&w, &back, sizes, 2);
    assert_bytes(buf_bytes(&again), buf_bytes(&out));
}

/* A leaf whose content was read into its place is the node that the codecs would write. */
static void test_leaf_around(void **state)
{
    static const size_t lens[] = {0, 1, 100, 127, 128, 16383, 16384, 262144, 2096896};
    uint8_t *content = xcalloc(1, 2096896);
    for (size_t i = 0; i < ARRAY_LEN(lens) * 2; i++) {
        size_t len = lens[i / 2];
        unixfs_t u = {.type = UNIXFS_FILE, .has_file_size = true, .file_size = len};
        u.has_data = len > 0;
        u.data = bytes_of(content, len);
        if (i & 1) {
            u.has_mode = u.has_mtime = true;
            u.mode = 07777;
            u.mtime = (unixfs_time_t){-1, 999999999};
        }
        AUTO(buf_t) message = {0}, want = {0}, got = {0};
        buf_init(&message, 3 << 20);
        buf_init(&want, 3 << 20);
        buf_init(&got, 3 << 20);
        writer_t inner = writer_to(&message), outer = writer_to(&want);
        unixfs_put(&inner, &u, NULL, 0);
        dag_pb_put_data(&outer, buf_bytes(&message));
        unixfs_leaf_t a;
        unixfs_leaf_around(&u, len, &a);
        assert_ok(buf_append(&got, bytes_of(a.prefix, a.prefix_len)));
        assert_ok(buf_append(&got, u.data));
        assert_ok(buf_append(&got, bytes_of(a.suffix, a.suffix_len)));
        assert_true(bytes_equal(buf_bytes(&got), buf_bytes(&want)));
    }
    free(content);
}

static void test_hamt_hash_and_slots(void **state)
{
    tsv_t *v = tsv_open("hamt-murmur3.tsv");
    while (tsv_next(v)) {
        AUTO(buf_t) name = {0};
        buf_init(&name, 4096);
        tsv_hex(v, "name_hex", &name);
        uint64_t hash = hamt_hash(buf_bytes(&name));
        char text[17];
        snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
        assert_string_equal(text, tsv_get(v, "hash64_hex"));
        static const uint64_t fanouts[] = {256, 8};
        static const char *const columns[] = {"fanout256_path", "fanout8_path"};
        for (size_t i = 0; i < 2; i++) {
            char path[256] = "";
            size_t n = 0;
            for (size_t depth = 0; depth < hamt_max_depth(fanouts[i]); depth++) {
                char prefix[8];
                size_t slot = hamt_slot(hash, fanouts[i], depth), back;
                hamt_print_prefix(slot, fanouts[i], prefix);
                assert_ok(hamt_parse_prefix(bytes_str(prefix), fanouts[i], &back));
                assert_int_equal(back, slot);
                n += (size_t)snprintf(path + n, sizeof path - n, "%s%s", depth ? "," : "", prefix);
            }
            assert_string_equal(path, tsv_get(v, columns[i]));
        }
    }
    tsv_close(v);
    size_t slot;
    assert_err(hamt_parse_prefix(BYTES_LIT("0"), 256, &slot), ERR_CORRUPT);
    assert_err(hamt_parse_prefix(BYTES_LIT("0gx"), 256, &slot), ERR_CORRUPT);
    assert_err(hamt_parse_prefix(BYTES_LIT("ffx"), 256, &slot), ERR_CORRUPT);
    assert_err(hamt_parse_prefix(BYTES_LIT("8x"), 8, &slot), ERR_CORRUPT);
}

/* Both orders of a node's fields read as the same node; writing gives the canonical one. */
static void test_field_orders(void **state)
{
    tsv_t *v = tsv_open("dagpb-field-orders.tsv");
    size_t nodes = 0;
    while (tsv_next(v)) {
        AUTO(buf_t) bytes = {0};
        buf_init(&bytes, 4096);
        tsv_hex(v, "block_hex", &bytes);
        cid_t cid;
        assert_ok(cid_parse_str(tsv_get(v, "cid"), &cid));
        assert_ok(cid_verify(&cid, buf_bytes(&bytes)));
        AUTO_PTR(block_t) block = NULL;
        assert_ok(block_copy(&cid, buf_bytes(&bytes), &block));
        AUTO(dag_node_t) n = {0};
        assert_ok(dag_node_decode(block, &n));
        if (cid.codec == CODEC_RAW)
            continue;
        nodes++;
        dag_pb_links_t links = dag_pb_links(&n.pb);
        dag_pb_link_t link;
        assert_int_equal(n.pb.link_count, 1);
        assert_true(dag_pb_next_link(&links, &link));
        assert_int_equal(link.tsize, 6);
        assert_true(dag_node_is_dir(&n));
    }
    tsv_close(v);
    assert_true(nodes >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),       cmocka_unit_test(test_sizes_packed_or_not),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_put_is_decode),
        cmocka_unit_test(test_leaf_around),  cmocka_unit_test(test_hamt_hash_and_slots),
        cmocka_unit_test(test_field_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include "wire/bitswap.h"

/* What came out of a decoder, as text: "want b… 10;" and so on; so that splits are compared. */
static void describe(const bitswap_item_t *item, buf_t *out)
{
    char cid[CID_TEXT_MAX];
    switch (item->kind) {
    case BITSWAP_ITEM_WANT:
        assert_ok(buf_printf(out, "want %s %d%s%s%s;", cid_print(&item->want.cid, cid), item->want.priority,
                             item->want.is_cancel ? " cancel" : "", item->want.is_have ? " have" : "",
                             item->want.send_dont_have ? " dont-have" : ""));
        break;
    case BITSWAP_ITEM_PRESENCE:
        assert_ok(buf_printf(out, "%s %s;", item->presence.has ? "has" : "has not",
                             cid_print(&item->presence.cid, cid)));
        break;
    case BITSWAP_ITEM_BLOCK: {
        cid_t c;
        assert_ok(bitswap_block_cid(item->block, &c));
        assert_ok(buf_printf(out, "block %s %zu;", cid_print(&c, cid), item->block->len));
        block_release(item->block);
        break;
    }
    case BITSWAP_ITEM_END:
        assert_ok(buf_printf(out, "end%s %llu;", item->end.is_full ? " full" : "",
                             (unsigned long long)item->end.pending_bytes));
    }
}

/* Feeds `in` in steps of at most `step` bytes. */
static err_t decode(bytes_t in, size_t step, buf_t *out)
{
    AUTO(bitswap_decoder_t) d;
    bitswap_decoder_init(&d);
    buf_clear(out);
    for (size_t at = 0;;) {
        bitswap_item_t item;
        while (bitswap_decoder_next(&d, &item))
            describe(&item, out);
        TRY(d.err);
        if (at == in.len)
            return bitswap_decoder_is_idle(&d) ? OK : ERR_EOF;
        size_t room;
        uint8_t *area = bitswap_decoder_area(&d, &room);
        assert_true(room > 0);
        size_t n = in.len - at < step ? in.len - at : step;
        n = n < room ? n : room;
        memcpy(area, in.data + at, n);
        at += n;
        TRY(bitswap_decoder_fed(&d, n));
    }
}

#define CID_HELLO "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"

static const char *const vector_items[][2] = {
    {"want-block, full wantlist", "want " CID_HELLO " 10;end full 0;"},
    {"want-have with sendDontHave", "want " CID_HELLO " 2147483647 have dont-have;end 0;"},
    {"cancel", "want " CID_HELLO " 0 cancel;end 0;"},
    {"block (payload)", "block " CID_HELLO " 11;end 0;"},
    {"block with CIDv0", "block QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n 0;end 0;"},
    {"block, old form", "block QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n 0;end 0;"},
    {"HAVE presence", "has " CID_HELLO ";end 1000;"},
    {"DONT_HAVE presence", "has not " CID_HELLO ";end 0;"},
};

/* Framed with its length. */
static void frame(bytes_t message, buf_t *out)
{
    buf_clear(out);
    writer_t w = writer_to(out);
    write_length_prefixed(&w, message);
    assert_ok(w.err);
}

static void test_vectors_decode(void **state)
{
    (void)state;
    AUTO(buf_t) message, framed, got;
    buf_init(&message, 1 << 20);
    buf_init(&framed, 1 << 20);
    buf_init(&got, 1 << 20);
    size_t seen = 0;
    tsv_t *v = tsv_open("wire/messages.tsv");
    while (tsv_next(v)) {
        if (strncmp(tsv_get(v, "protocol"), "/ipfs/bitswap", 13))
            continue;
        tsv_hex(v, "bytes_hex", &message);
        frame(buf_bytes(&message), &framed);
        for (size_t i = 0; i < ARRAY_LEN(vector_items); i++) {
            if (strcmp(tsv_get(v, "message"), vector_items[i][0]))
                continue;
            seen++;
            for (size_t step = 1; step <= framed.len; step++) {
                assert_ok(decode(buf_bytes(&framed), step, &got));
                assert_bytes(buf_bytes(&got), bytes_str(vector_items[i][1]));
            }
        }
    }
    tsv_close(v);
    assert_int_equal(seen, ARRAY_LEN(vector_items));
}

static void expect_pieces(const bitswap_message_t *m, const char *vector)
{
    AUTO(buf_t) got, want, framed;
    buf_init(&got, 1 << 20);
    buf_init(&want, 1 << 20);
    buf_init(&framed, 1 << 20);
    bytes_t pieces[16];
    size_t n = bitswap_message_pieces(m, pieces, ARRAY_LEN(pieces));
    for (size_t i = 0; i < n; i++)
        assert_ok(buf_append(&got, pieces[i]));
    tsv_t *v = tsv_open("wire/messages.tsv");
    bool found = false;
    while (!found && tsv_next(v)) {
        found = !strcmp(tsv_get(v, "message"), vector);
        if (found)
            tsv_hex(v, "bytes_hex", &want);
    }
    tsv_close(v);
    assert_true(found);
    frame(buf_bytes(&want), &framed);
    assert_bytes(buf_bytes(&got), buf_bytes(&framed));
}

static cid_t hello(void)
{
    cid_t c;
    assert_ok(cid_parse_str(CID_HELLO, &c));
    return c;
}

static void test_vectors_encode(void **state)
{
    (void)state;
    const bitswap_want_t wants[] = {
        {.cid = hello(), .priority = 10},
        {.cid = hello(), .priority = INT32_MAX, .is_have = true, .send_dont_have = true},
        {.cid = hello(), .is_cancel = true}};
    for (size_t i = 0; i < ARRAY_LEN(wants); i++) {
        AUTO(bitswap_message_t) m;
        bitswap_message_init(&m, BITSWAP_V1_2);
        assert_true(bitswap_message_is_empty(&m));
        m.is_full = i == 0;
        assert_ok(bitswap_message_add_want(&m, &wants[i]));
        assert_ok(bitswap_message_finish(&m, 0));
        expect_pieces(&m, vector_items[i][0]);
    }
    const char *const text[] = {"hello world", "", ""};
    for (size_t i = 0; i < 3; i++) {
        AUTO(bitswap_message_t) m;
        bitswap_message_init(&m, i == 2 ? BITSWAP_V1_0 : BITSWAP_V1_2);
        cid_t c;
        assert_ok(cid_of(i ? 0 : 1, i ? CODEC_DAG_PB : CODEC_RAW, MH_SHA2_256, bytes_str(text[i]), &c));
        AUTO_PTR(block_t) b = NULL;
        assert_ok(block_copy(&c, bytes_str(text[i]), &b));
        assert_ok(bitswap_message_add_block(&m, b));
        assert_ok(bitswap_message_finish(&m, 0));
        expect_pieces(&m, vector_items[3 + i][0]);
    }
    for (int has = 0; has < 2; has++) {
        AUTO(bitswap_message_t) m;
        bitswap_message_init(&m, BITSWAP_V1_2);
        cid_t c = hello();
        assert_ok(bitswap_message_add_presence(&m, &c, has));
        assert_ok(bitswap_message_finish(&m, has ? 1000 : 0));
        expect_pieces(&m, has ? "HAVE presence" : "DONT_HAVE presence");
    }
}

/* A message with all kinds of things, each block of another size, in every step size that matters. */
static void test_round_trip(void **state)
{
    (void)state;
    for (bitswap_version_t version = BITSWAP_V1_0; version <= BITSWAP_V1_2; version++) {
        AUTO(bitswap_message_t) m;
        bitswap_message_init(&m, version);
        AUTO(buf_t) want, wire, got, text;
        buf_init(&want, 1 << 20);
        buf_init(&wire, 4 << 20);
        buf_init(&got, 1 << 20);
        buf_init(&text, 1 << 20);
        for (int i = 0; i < 40; i++) {
            bitswap_want_t w = {.cid = hello(), .priority = i - 3, .is_cancel = i % 3 == 0};
            w.is_have = version == BITSWAP_V1_2 && i % 2;
            w.send_dont_have = version == BITSWAP_V1_2 && i % 5 == 0;
            w.cid.digest[0] = (uint8_t)i;
            assert_ok(bitswap_message_add_want(&m, &w));
            describe(&(bitswap_item_t){.kind = BITSWAP_ITEM_WANT, .want = w}, &want);
        }
        static uint8_t data[100000];
        for (size_t i = 0; i < 20; i++) {
            size_t len = i * 4999;
            data[0] = (uint8_t)i;
            bool is_v0 = version == BITSWAP_V1_0 || i % 2;
            cid_t c;
            assert_ok(cid_of(!is_v0, is_v0 ? CODEC_DAG_PB : CODEC_RAW, MH_SHA2_256, bytes_of(data, len), &c));
            block_t *b;
            assert_ok(block_copy(&c, bytes_of(data, len), &b));
            assert_ok(bitswap_message_add_block(&m, b));
            describe(&(bitswap_item_t){.kind = BITSWAP_ITEM_BLOCK, .block = b}, &want);
        }
        for (int i = 0; version == BITSWAP_V1_2 && i < 30; i++) {
            bitswap_item_t item = {.kind = BITSWAP_ITEM_PRESENCE, .presence = {hello(), i % 2}};
            assert_ok(bitswap_message_add_presence(&m, &item.presence.cid, item.presence.has));
            describe(&item, &want);
        }
        assert_ok(bitswap_message_finish(&m, 77));
        describe(
            &(bitswap_item_t){.kind = BITSWAP_ITEM_END, .end = {false, version == BITSWAP_V1_2 ? 77 : 0}},
            &want);
        bytes_t pieces[3 + 2 * 20];
        size_t n = bitswap_message_pieces(&m, pieces, ARRAY_LEN(pieces));
        for (size_t i = 0; i < n; i++)
            assert_ok(buf_append(&wire, pieces[i]));
        static const size_t steps[] = {1, 2, 3, 7, 100, 4095, 4096, 4097, 65536, 1 << 22};
        for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
            assert_ok(decode(buf_bytes(&wire), steps[i], &got));
            assert_bytes(buf_bytes(&got), buf_bytes(&want));
        }
    }
}

static err_t decode_hex(const char *message_hex)
{
    AUTO(buf_t) message, framed, got;
    buf_init(&message, 1 << 20);
    buf_init(&framed, 1 << 20);
    buf_init(&got, 1 << 20);
    assert_ok(hex_decode(bytes_str(message_hex), &message));
    frame(buf_bytes(&message), &framed);
    err_t first = decode(buf_bytes(&framed), 1 << 20, &got);
    for (size_t step = 1; step < 40; step++)
        assert_int_equal(decode(buf_bytes(&framed), step, &got), first);
    return first;
}

static void test_refuses(void **state)
{
    (void)state;
    assert_err(decode_hex("0a02"), ERR_INVALID);                       /* wantlist longer than the message */
    assert_err(decode_hex("0a040a040801"), ERR_INVALID);               /* entry longer than the wantlist */
    assert_err(decode_hex("0a040a020801"), ERR_INVALID);               /* its CID is a number */
    assert_err(decode_hex("0a020a00"), ERR_INVALID);                   /* entry without a CID */
    assert_err(decode_hex("1a021200"), ERR_INVALID);                   /* payload without a prefix */
    assert_err(decode_hex("1a060a0401550020"), ERR_INVALID);           /* identity */
    assert_err(decode_hex("1a060a0400551220"), ERR_INVALID);           /* CIDv0 with raw */
    assert_err(decode_hex("1a060a0402551220"), ERR_INVALID);           /* version 2 */
    assert_err(decode_hex("1a0a0a040155122012001200"), ERR_INVALID);   /* two data fields */
    assert_err(decode_hex("1a0200ff"), ERR_INVALID);                   /* field number 0 */
    assert_err(decode_hex("0b"), ERR_INVALID);                         /* a group */
    assert_err(decode_hex("10ff"), ERR_EOF);                           /* blocks as a number, cut off */
    assert_err(decode_hex("1001"), ERR_INVALID);                       /* blocks as a number */
    assert_err(decode_hex("0801"), ERR_INVALID);                       /* wantlist as a number */
    assert_err(decode_hex("2001"), ERR_INVALID);                       /* presence as a number */
    assert_err(decode_hex("28ffffffffffffffffffffff01"), ERR_INVALID); /* a number of 12 bytes */
    assert_ok(decode_hex(""));
    assert_ok(decode_hex("7203616263"));         /* an unknown field */
    assert_ok(decode_hex("7d01020304"));         /* fixed32 */
    assert_ok(decode_hex("790102030405060708")); /* fixed64 */
    assert_ok(decode_hex("0a0318c801"));         /* unknown number in a wantlist */
    AUTO(buf_t) got;
    buf_init(&got, 1024);
    assert_err(decode(BYTES_LIT("\x81\x80\x80\x02"), 1, &got), ERR_LIMIT); /* 4 MiB + 1 */
    assert_err(decode(BYTES_LIT("\x80\x80\x80\x02\x12\x80\x80\x80\x02"), 9, &got),
               ERR_INVALID);                                                           /* 4 MiB in 4 MiB */
    assert_err(decode(BYTES_LIT("\x80\x80\x80\x02\x22\x81\x20"), 9, &got), ERR_LIMIT); /* a long presence */
    assert_err(decode(BYTES_LIT("\x05\x12\x04"), 9, &got), ERR_INVALID); /* block longer than the message */
    assert_err(decode(BYTES_LIT("\x80\x00"), 9, &got), ERR_INVALID);     /* length not minimal */
    assert_err(decode(BYTES_LIT("\x05\x12"), 9, &got), ERR_EOF);
}

/* A payload may name its data before its prefix. */
static void test_data_before_prefix(void **state)
{
    (void)state;
    AUTO(buf_t) message, framed, got;
    buf_init(&message, 1 << 20);
    buf_init(&framed, 1 << 20);
    buf_init(&got, 1 << 20);
    assert_ok(hex_decode(bytes_str("1a13120b68656c6c6f20776f726c640a0401551220"), &message));
    frame(buf_bytes(&message), &framed);
    for (size_t step = 1; step <= framed.len; step++) {
        assert_ok(decode(buf_bytes(&framed), step, &got));
        assert_bytes(buf_bytes(&got), bytes_str("block " CID_HELLO " 11;end 0;"));
    }
}

static void test_block_cid(void **state)
{
    (void)state;
    AUTO_PTR(block_t) b = NULL;
    cid_t c = {.version = 1, .codec = CODEC_RAW, .hash_code = MH_SHA2_256, .digest_len = 20};
    assert_ok(block_copy(&c, BYTES_LIT("x"), &b));
    cid_t got;
    assert_ok(bitswap_block_cid(b, &got));
    assert_int_equal(got.digest_len, 20);
    assert_ok(cid_verify(&got, BYTES_LIT("x")));
    b->cid.digest_len = 33;
    assert_err(bitswap_block_cid(b, &got), ERR_INVALID);
    b->cid.digest_len = 4;
    assert_err(bitswap_block_cid(b, &got), ERR_DENIED);
    b->cid.hash_code = 0xd5; /* md5 */
    b->cid.digest_len = 16;
    err_t e = bitswap_block_cid(b, &got);
    assert_true(e == ERR_DENIED || e == ERR_UNSUPPORTED);
}

static void test_message_is_bounded(void **state)
{
    (void)state;
    AUTO(bitswap_message_t) m;
    bitswap_message_init(&m, BITSWAP_V1_1);
    AUTO_PTR(block_t) b = NULL;
    assert_ok(block_new(1500000, &b));
    memset(b->data, 1, b->len);
    b->cid = hello();
    assert_ok(bitswap_message_add_block(&m, b));
    assert_ok(bitswap_message_add_block(&m, b));
    assert_err(bitswap_message_add_block(&m, b), ERR_LIMIT);
    assert_int_equal(b->refs, 3);
    assert_ok(bitswap_message_finish(&m, 5));
    bitswap_message_deinit(&m);
    bitswap_message_deinit(&m);
    assert_int_equal(b->refs, 1);
}

/* One block can fill a message; the hint that more is pending makes way. One byte more goes into none. */
static void test_longest_block(void **state)
{
    (void)state;
    AUTO_PTR(block_t) longer = NULL;
    AUTO_PTR(block_t) longest = NULL;
    assert_ok(block_new(BITSWAP_BLOCK_MAX_BYTES + 1, &longer));
    assert_ok(block_new(BITSWAP_BLOCK_MAX_BYTES, &longest));
    memset(longer->data, 1, longer->len);
    memset(longest->data, 2, longest->len);
    assert_ok(cid_of(true, CODEC_RAW, MH_SHA2_256, bytes_of(longest->data, longest->len), &longest->cid));
    longer->cid = longest->cid;
    AUTO(bitswap_message_t) m;
    bitswap_message_init(&m, BITSWAP_V1_2);
    assert_err(bitswap_message_add_block(&m, longer), ERR_LIMIT);
    assert_true(bitswap_message_is_empty(&m));
    assert_ok(bitswap_message_add_block(&m, longest));
    assert_err(bitswap_message_add_presence(&m, &longest->cid, true), ERR_LIMIT);
    assert_ok(bitswap_message_finish(&m, 5));
    bytes_t pieces[5];
    AUTO(buf_t) sent = {0};
    AUTO(buf_t) got = {0};
    AUTO(buf_t) want = {0};
    buf_init(&sent, BITSWAP_MESSAGE_MAX_BYTES + 8);
    buf_init(&got, 1 << 10);
    buf_init(&want, 1 << 10);
    for (size_t i = 0, n = bitswap_message_pieces(&m, pieces, ARRAY_LEN(pieces)); i < n; i++)
        assert_ok(buf_append(&sent, pieces[i]));
    assert_int_equal(sent.len, 4 + BITSWAP_MESSAGE_MAX_BYTES);
    assert_ok(decode(buf_bytes(&sent), sent.len, &got));
    describe(&(bitswap_item_t){.kind = BITSWAP_ITEM_BLOCK, .block = block_ref(longest)}, &want);
    describe(&(bitswap_item_t){.kind = BITSWAP_ITEM_END}, &want);
    assert_true(bytes_equal(buf_bytes(&got), buf_bytes(&want)));
}

static void test_versions(void **state)
{
    (void)state;
    assert_int_equal(bitswap_version_of("/ipfs/bitswap/1.2.0"), BITSWAP_V1_2);
    assert_int_equal(bitswap_version_of("/ipfs/bitswap/1.1.0"), BITSWAP_V1_1);
    assert_int_equal(bitswap_version_of("/ipfs/bitswap/1.0.0"), BITSWAP_V1_0);
    assert_int_equal(bitswap_version_of("/ipfs/bitswap"), BITSWAP_V1_0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_decode),     cmocka_unit_test(test_vectors_encode),
        cmocka_unit_test(test_round_trip),         cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_data_before_prefix), cmocka_unit_test(test_block_cid),
        cmocka_unit_test(test_message_is_bounded), cmocka_unit_test(test_longest_block),
        cmocka_unit_test(test_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

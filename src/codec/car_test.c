#include "codec/car.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include <jansson.h>

enum { FILE_MAX = 1 << 20 };

/* ── reading whole archives ──────────────────────────────────────────────────────────────────── */
typedef struct read_car {
    const json_t *blocks, *roots; /* as expected; NULL: not compared */
    size_t n_blocks, n_roots;
    int version;
    car_v2_t v2;
    uint64_t offset; /* where reading ended */
    err_t error;
} read_car_t;

static uint64_t number(const json_t *o, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(o, key));
}

static void check_cid(const cid_t *cid, const char *want)
{
    char text[CID_TEXT_MAX];
    assert_string_equal(cid_print(cid, text), want);
}

static err_t check_root(void *arg, const cid_t *root)
{
    read_car_t *c = arg;
    if (c->roots)
        check_cid(root, json_string_value(json_array_get(c->roots, c->n_roots)));
    c->n_roots++;
    return OK;
}

static void check_block(const read_car_t *c, const block_t *b, bytes_t file)
{
    const json_t *want = json_array_get(c->blocks, c->n_blocks);
    if (!c->blocks)
        return;
    assert_non_null(want);
    check_cid(&b->cid, json_string_value(json_object_get(want, "cid")));
    assert_bytes(block_bytes(b), bytes_slice(file, number(want, "data_offset"), number(want, "data_length")));
    if (!json_is_false(json_object_get(want, "hash_ok")))
        assert_ok(cid_verify(&b->cid, block_bytes(b)));
    else
        assert_err(cid_verify(&b->cid, block_bytes(b)), ERR_CORRUPT);
}

static car_event_t feed(car_reader_t *r, bytes_t *in, size_t piece, block_t **ret_block)
{
    for (;;) {
        car_event_t event = car_reader_next(r, ret_block);
        if (event != CAR_MORE)
            return event;
        uint8_t *area;
        size_t cap;
        car_reader_room(r, &area, &cap);
        assert_true(cap > 0);
        size_t n = in->len < piece ? in->len : piece;
        n = n < cap ? n : cap;
        if (n)
            memcpy(area, in->data, n);
        *in = bytes_slice(*in, n, in->len);
        car_reader_filled(r, n);
    }
}

static car_event_t read_all(bytes_t file, size_t piece, car_options_t options, const json_t *blocks,
                            const json_t *roots, read_car_t *ret)
{
    AUTO(car_reader_t) r;
    bytes_t in = file;
    *ret = (read_car_t){.blocks = blocks};
    car_reader_init(&r, options);
    for (;;) {
        block_t *b = NULL;
        car_event_t event = feed(&r, &in, piece, &b);
        ret->offset = r.offset;
        if (event == CAR_HEADER) {
            assert_int_equal(ret->n_blocks, 0);
            ret->roots = roots;
            assert_ok(car_reader_each_root(&r, check_root, ret));
        } else if (event == CAR_BLOCK) {
            check_block(ret, b, file);
            ret->n_blocks++;
            block_release(b);
        } else {
            ret->version = r.version;
            ret->v2 = r.v2;
            ret->error = r.error;
            return event;
        }
    }
}

static const size_t pieces[] = {SIZE_MAX, 1, 7, 4096};

static void check_good(bytes_t file, const json_t *want)
{
    const json_t *inner = json_object_get(want, "inner") ? json_object_get(want, "inner") : want;
    const json_t *blocks = json_object_get(inner, "blocks"), *roots = json_object_get(inner, "roots");
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        read_car_t c;
        uint64_t zero_at = number(want, "zero_length_section_at");
        car_options_t options = {.zero_section_is_end = zero_at != 0};
        assert_int_equal(read_all(file, pieces[i], options, blocks, roots, &c), CAR_END);
        assert_int_equal(c.version, number(want, "version"));
        assert_int_equal(c.n_roots, json_array_size(roots));
        assert_int_equal(c.n_blocks, json_array_size(blocks));
        if (zero_at) { /* refused unless asked for */
            assert_int_equal(c.offset, zero_at);
            options.zero_section_is_end = false;
            assert_int_equal(read_all(file, pieces[i], options, blocks, roots, &c), CAR_ERROR);
            assert_int_equal(c.error, ERR_INVALID);
        }
        if (c.version == 1)
            continue;
        AUTO(buf_t) hex;
        buf_init(&hex, 64);
        assert_ok(hex_encode(bytes_of(c.v2.characteristics, sizeof c.v2.characteristics), &hex));
        assert_bytes(buf_bytes(&hex),
                     bytes_str(json_string_value(json_object_get(want, "characteristics_hex"))));
        assert_int_equal(c.v2.data_offset, number(want, "data_offset"));
        assert_int_equal(c.v2.data_size, number(want, "data_size"));
        assert_int_equal(c.v2.index_offset, number(want, "index_offset"));
        assert_int_equal(c.offset, c.v2.data_offset + c.v2.data_size); /* the index is left alone */
    }
}

/* Every archive of the vectors, in several splits. */
static void test_vectors(void **state)
{
    char path[512];
    json_t *all = json_load_file(vector_path("car/expected.json", path, sizeof path), 0, NULL), *want;
    const char *name;
    size_t good = 0, bad = 0;
    AUTO(buf_t) file;
    buf_init(&file, FILE_MAX);
    json_object_foreach(all, name, want)
    {
        read_car_t c;
        snprintf(path, sizeof path, "car/%s", name);
        vector_read(path, &file);
        assert_int_equal(file.len, number(want, "file_bytes"));
        if (json_is_true(json_object_get(want, "valid"))) {
            check_good(buf_bytes(&file), want);
            good++;
            continue;
        }
        for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
            assert_int_equal(read_all(buf_bytes(&file), pieces[i], (car_options_t){0}, NULL, NULL, &c),
                             CAR_ERROR);
        assert_int_equal(c.error, strstr(name, "version")  ? ERR_INVALID
                                  : strstr(name, "length") ? ERR_LIMIT
                                                           : ERR_EOF);
        bad++;
    }
    assert_true(good >= 28 && bad == 4);
    json_decref(all);
}

/* Any archive that is cut off is told from a whole one, but for a cut between two sections of version 1. */
static void test_cut_off(void **state)
{
    static const char *const names[] = {"car/carv1-basic.car", "car/gocar-unixfs-v2.car"};
    AUTO(buf_t) file;
    buf_init(&file, FILE_MAX);
    for (size_t n = 0; n < ARRAY_LEN(names); n++) {
        size_t whole = 0;
        vector_read(names[n], &file);
        for (size_t len = 0; len < file.len; len++) {
            read_car_t c;
            car_event_t event =
                read_all(bytes_slice(buf_bytes(&file), 0, len), SIZE_MAX, (car_options_t){0}, NULL, NULL, &c);
            whole += event == CAR_END;
            if (event != CAR_END)
                assert_int_equal(c.error, ERR_EOF);
        }
        assert_int_equal(whole, n ? file.len - (51 + 284) : 8);
    }
}

/* ── headers ─────────────────────────────────────────────────────────────────────────────────── */
static void expect(const char *hex, car_event_t want, err_t error)
{
    AUTO(buf_t) bytes;
    read_car_t c;
    buf_init(&bytes, 4096);
    assert_ok(hex_decode(bytes_str(hex), &bytes));
    assert_int_equal(read_all(buf_bytes(&bytes), SIZE_MAX, (car_options_t){0}, NULL, NULL, &c), want);
    assert_int_equal(c.error, error);
}

static void test_headers(void **state)
{
    /* {"roots": [], "version": 1}, in both orders of keys */
    expect("11a265726f6f7473806776657273696f6e01", CAR_END, OK);
    expect("11a26776657273696f6e0165726f6f747380", CAR_END, OK);
    /* no roots; no version; version 2 with roots; version 0; a key twice; another key; another type */
    expect("0aa16776657273696f6e01", CAR_ERROR, ERR_INVALID);
    expect("08a165726f6f747380", CAR_ERROR, ERR_INVALID);
    expect("11a265726f6f7473806776657273696f6e02", CAR_ERROR, ERR_INVALID);
    expect("11a265726f6f7473806776657273696f6e00", CAR_ERROR, ERR_INVALID);
    expect("19a36776657273696f6e016776657273696f6e0165726f6f747380", CAR_ERROR, ERR_INVALID);
    expect("11a26772657273696f6e0165726f6f747380", CAR_ERROR, ERR_INVALID);
    expect("11a265726f6f7473a06776657273696f6e01", CAR_ERROR, ERR_INVALID);
    /* as the reference, a longer form of a number and indefinite lengths are read */
    expect("12a265726f6f7473806776657273696f6e1801", CAR_END, OK);
    expect("12bf65726f6f7473806776657273696f6e01ff", CAR_END, OK);
    /* bytes behind the map; nothing; a map that is cut off; a number; a version that is none */
    expect("05a265726f6f", CAR_ERROR, ERR_INVALID);
    expect("0101", CAR_ERROR, ERR_INVALID);
    expect("11a265726f6f7473806776657273696f6e20", CAR_ERROR, ERR_INVALID);
    expect("12a265726f6f7473806776657273696f6e0100", CAR_ERROR, ERR_INVALID);
    expect("00", CAR_ERROR, ERR_INVALID);
    /* a root without its leading 0; with another tag */
    expect("19a265726f6f747381d82a450155000000ff6776657273696f6e01", CAR_ERROR, ERR_INVALID);
    expect("19a265726f6f747381d82b4500015500006776657273696f6e01", CAR_ERROR, ERR_INVALID);
    expect("19a265726f6f747381d82a4500015500006776657273696f6e01", CAR_END, OK); /* bafkqaaa */
    /* lengths over the limits, before any byte of them has come; a length that is no varint */
    expect("8180801080", CAR_ERROR, ERR_LIMIT);
    expect("ffffffffffffffffff01", CAR_ERROR, ERR_INVALID);
    expect("11a265726f6f7473806776657273696f6e01ffffff7f", CAR_ERROR, ERR_LIMIT);
    /* a section whose CID is longer than it; one of length 0 */
    expect("11a265726f6f7473806776657273696f6e0103015512", CAR_ERROR, ERR_INVALID);
    expect("11a265726f6f7473806776657273696f6e0100", CAR_ERROR, ERR_INVALID);
    /* an identity CID */
    expect("11a265726f6f7473806776657273696f6e010701550003616263", CAR_END, OK);
}

static void test_v2_offsets(void **state)
{
    static const struct {
        uint64_t offset, size, index;
        size_t padding, behind;
        car_event_t want;
        err_t error;
    } rows[] = {
        {51, 18, 0, 0, 0, CAR_END, OK},
        {60, 18, 78, 9, 5, CAR_END, OK},
        {51, 18, 200, 0, 0, CAR_END, OK},           /* the index is never looked at */
        {50, 18, 0, 0, 0, CAR_ERROR, ERR_INVALID},  /* into the header */
        {0, 18, 0, 0, 0, CAR_ERROR, ERR_INVALID},   /* a file that was never finished */
        {51, 0, 0, 0, 0, CAR_ERROR, ERR_INVALID},   /* no data */
        {51, 17, 0, 0, 0, CAR_ERROR, ERR_INVALID},  /* the header does not fit into the data */
        {51, 19, 0, 0, 0, CAR_ERROR, ERR_EOF},      /* less data than promised */
        {52, 18, 0, 0, 0, CAR_ERROR, ERR_INVALID},  /* begins in the middle */
        {51, 18, 68, 0, 0, CAR_ERROR, ERR_INVALID}, /* the index in the data */
        {200, 18, 0, 0, 0, CAR_ERROR, ERR_EOF},     /* all padding */
        {1ull << 63, 18, 0, 0, 0, CAR_ERROR, ERR_INVALID},
        {51, 1ull << 63, 0, 0, 0, CAR_ERROR, ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(buf_t) file;
        read_car_t c;
        buf_init(&file, 4096);
        writer_t w = writer_to(&file);
        car_put_v2_head(&w, &(car_v2_t){.characteristics = {CAR_V2_FULLY_INDEXED},
                                        .data_offset = rows[i].offset,
                                        .data_size = rows[i].size,
                                        .index_offset = rows[i].index});
        for (size_t k = 0; k < rows[i].padding; k++)
            write_u8(&w, 0);
        car_put_header(&w, NULL, 0);
        for (size_t k = 0; k < rows[i].behind; k++)
            write_u8(&w, 0xff);
        assert_ok(w.err);
        for (size_t k = 0; k < ARRAY_LEN(pieces); k++) {
            assert_int_equal(read_all(buf_bytes(&file), pieces[k], (car_options_t){0}, NULL, NULL, &c),
                             rows[i].want);
            assert_int_equal(c.error, rows[i].error);
        }
    }
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static void test_write(void **state)
{
    enum { ROOTS = 300 };
    AUTO(buf_t) out;
    read_car_t c;
    static cid_t roots[ROOTS];
    buf_init(&out, 8 << 20);
    writer_t w = writer_to(&out);
    for (uint8_t i = 0; i < 3; i++) /* of each length that a CID may have, and each count an array may have */
        assert_ok(cid_of(1, CODEC_RAW, i ? MH_SHA2_512 : MH_IDENTITY, bytes_of("abc", i), &roots[i]));
    for (size_t i = 3; i < ROOTS; i++)
        roots[i] = roots[2];
    for (size_t n = 0; n <= ROOTS; n = n < 30 ? n + 1 : n + 90) {
        buf_clear(&out);
        car_put_header(&w, roots, n);
        assert_ok(w.err);
        assert_int_equal(read_all(buf_bytes(&out), SIZE_MAX, (car_options_t){0}, NULL, NULL, &c), CAR_END);
        assert_int_equal(c.n_roots, n);
    }
    buf_clear(&out);
    car_put_header(&w, roots, 1);
    block_t *b = NULL;
    assert_ok(block_new(BLOCK_MAX_BYTES, &b));
    memset(b->data, 7, b->len);
    for (size_t len = BLOCK_MAX_BYTES; len; len /= 4) {
        car_put_section_head(&w, &roots[1], len);
        write_bytes(&w, bytes_of(b->data, len));
    }
    block_release(b);
    assert_ok(w.err);
    assert_int_equal(read_all(buf_bytes(&out), 100000, (car_options_t){0}, NULL, NULL, &c), CAR_END);
    assert_int_equal(c.n_blocks, 11);
    /* smaller limits, as an option */
    car_options_t options = {.max_block_bytes = 1000, .max_header_bytes = 30};
    assert_int_equal(read_all(buf_bytes(&out), 100000, options, NULL, NULL, &c), CAR_ERROR);
    assert_int_equal(c.error, ERR_LIMIT);
    assert_int_equal(c.n_roots, 1);
    options.max_header_bytes = 10;
    assert_int_equal(read_all(buf_bytes(&out), 100000, options, NULL, NULL, &c), CAR_ERROR);
    assert_int_equal(c.error, ERR_LIMIT);
    assert_int_equal(c.n_roots, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),    cmocka_unit_test(test_cut_off), cmocka_unit_test(test_headers),
        cmocka_unit_test(test_v2_offsets), cmocka_unit_test(test_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

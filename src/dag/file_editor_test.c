/* The file editor against an array of bytes: random writes, cuts and holes on files of every make give the
 * content that the array has, and the same CID by whatever split of the reads. */
#include "base/prng.h"
#include "dag/file_editor.h"
#include "dag/file_reader.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

enum { MODEL_MAX = 400000, ROUNDS = 150, EDITS = 6, FILES = 6 };

typedef struct model {
    uint8_t *bytes;
    size_t len;
} model_t;
typedef struct pieces {
    bytes_t left;
    size_t piece; /* at most so many at once */
    size_t fail_at;
} pieces_t;

static err_t read_pieces(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    pieces_t *p = arg;
    size_t n = p->left.len < cap ? p->left.len : cap;
    if (p->fail_at && p->left.len <= p->fail_at)
        return fail(ERR_RESET, "the source is gone");
    if (n > p->piece)
        n = p->piece;
    if (n)
        memcpy(out, p->left.data, n);
    p->left = bytes_slice(p->left, n, p->left.len);
    *ret_n = n;
    return OK;
}

static void fill_random(prng_t *r, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)prng_next(r);
}

static const import_options_t *file_options(size_t kind)
{
    static import_options_t o;
    import_options_init(&o);
    o.chunker.max_bytes = 700;
    o.is_trickle = kind == 1;
    o.cid_version = kind == 2 || kind == 3;
    o.raw_leaves = kind == 3 || kind == 4;
    o.max_links = kind == 5 ? 300 : 5;
    return &o;
}

static cid_t import(task_t *t, blocks_t *b, size_t kind, const model_t *m)
{
    importer_t *im;
    dag_ref_t ref;
    bytes_t content = bytes_of(m->bytes, m->len);
    assert_ok(importer_new(t, b, file_options(kind), &im));
    assert_ok(importer_add_file(t, im, source_of_bytes(&content), NULL, &ref));
    assert_ok(importer_flush(t, im));
    importer_free(t, im);
    return ref.cid;
}

static void check_content(task_t *t, blocks_t *b, const cid_t *cid, const model_t *m)
{
    AUTO(file_reader_t) r = {0};
    size_t at = 0;
    assert_ok(file_reader_open(t, &r, b, cid));
    assert_int_equal(r.size, m->len);
    for (;;) {
        bytes_t piece;
        assert_ok(file_reader_next(t, &r, &piece));
        if (!piece.len)
            break;
        assert_memory_equal(piece.data, m->bytes + at, piece.len);
        at += piece.len;
    }
    assert_int_equal(at, m->len);
}

static file_editor_t *open_editor(task_t *t, blocks_t *b, const cid_t *cid)
{
    file_editor_t *ed;
    file_editor_options_t o = {
        .chunker = {.kind = CHUNKER_SIZE, .max_bytes = 700}, .raw_leaves = -1, .now = {.seconds = 7}};
    assert_ok(file_editor_open(t, b, cid, &o, &ed));
    return ed;
}

static void model_resize(model_t *m, size_t size)
{
    if (size > m->len)
        memset(m->bytes + m->len, 0, size - m->len);
    m->len = size;
}

/* One write or change of the size, in the model and in the file. */
static void edit(task_t *t, prng_t *r, file_editor_t *ed, model_t *m, uint8_t *scratch, size_t piece)
{
    size_t room = MODEL_MAX - m->len < 20000 ? MODEL_MAX - m->len : 20000;
    if (prng_next(r) % 3 == 0) {
        size_t size = prng_next(r) % (m->len + room + 1);
        assert_ok(file_editor_resize(t, ed, size));
        model_resize(m, size);
    } else {
        size_t offset = prng_next(r) % (m->len + 1), n = prng_next(r) % (room + 1);
        bool failed;
        fill_random(r, scratch, n);
        pieces_t p = {.left = bytes_of(scratch, n), .piece = piece};
        assert_ok(file_editor_write(t, ed, offset, (source_t){read_pieces, &p}, &failed));
        if (offset + n > m->len)
            model_resize(m, offset + n);
        memcpy(m->bytes + offset, scratch, n);
    }
    assert_int_equal(file_editor_size(ed), m->len);
}

static cid_t edit_file(task_t *t, blocks_t *b, uint64_t seed, size_t kind, size_t piece)
{
    prng_t r;
    prng_seed(&r, seed);
    model_t m = {.bytes = xmalloc(MODEL_MAX), .len = prng_next(&r) % (kind == 5 ? 200000 : 12000)};
    uint8_t *scratch = xmalloc(MODEL_MAX);
    fill_random(&r, m.bytes, m.len);
    cid_t cid = import(t, b, kind, &m);
    for (size_t i = 0; i < EDITS; i++) {
        dag_ref_t ref;
        file_editor_t *ed = open_editor(t, b, &cid);
        for (size_t k = prng_next(&r) % 3; k-- > 0;)
            edit(t, &r, ed, &m, scratch, piece);
        assert_ok(file_editor_finish(t, ed, &ref));
        assert_int_equal(ref.size, m.len);
        file_editor_free(t, ed);
        cid = ref.cid;
        check_content(t, b, &cid, &m);
    }
    free(m.bytes);
    free(scratch);
    return cid;
}

static err_t random_edits(task_t *t, void *arg)
{
    blocks_map_t *map = blocks_map_new(true);
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        size_t kind = seed % FILES;
        cid_t a = edit_file(t, blocks_map_blocks(map), seed, kind, SIZE_MAX);
        cid_t b = edit_file(t, blocks_map_blocks(map), seed, kind, 1 + seed * 37);
        assert_true(cid_equal(&a, &b));
    }
    blocks_map_free(map);
    return OK;
}

static void test_random_edits(void **state)
{
    assert_ok(test_run(random_edits, NULL));
}

/* What came before the failure is in the file. */
static err_t failing_source(task_t *t, void *arg)
{
    blocks_map_t *map = blocks_map_new(true);
    blocks_t *b = blocks_map_blocks(map);
    uint8_t old[] = "0123456789";
    model_t m = {old, 10};
    cid_t cid = import(t, b, 0, &m);
    file_editor_t *ed = open_editor(t, b, &cid);
    pieces_t p = {.left = BYTES_LIT("abcdefgh"), .piece = 2, .fail_at = 4};
    bool failed = false;
    dag_ref_t ref;
    assert_err(file_editor_write(t, ed, 2, (source_t){read_pieces, &p}, &failed), ERR_RESET);
    assert_true(failed);
    assert_ok(file_editor_finish(t, ed, &ref));
    memcpy(old + 2, "abcd", 4);
    check_content(t, b, &ref.cid, &m);
    file_editor_free(t, ed);
    blocks_map_free(map);
    return OK;
}

static void test_failing_source(void **state)
{
    assert_ok(test_run(failing_source, NULL));
}

/* A hole of a terabyte's fraction costs inner nodes, not leaves. */
static err_t large_hole(task_t *t, void *arg)
{
    blocks_map_t *map = blocks_map_new(true);
    blocks_t *b = blocks_map_blocks(map);
    model_t m = {(uint8_t *)"", 0};
    cid_t cid = import(t, b, 0, &m);
    file_editor_t *ed = open_editor(t, b, &cid);
    pieces_t p = {.left = BYTES_LIT("end"), .piece = 3};
    bool failed;
    dag_ref_t ref;
    AUTO(file_reader_t) reader = {0};
    bytes_t piece;
    assert_ok(file_editor_resize(t, ed, 64 << 20));
    assert_ok(file_editor_write(t, ed, 64 << 20, (source_t){read_pieces, &p}, &failed));
    assert_ok(file_editor_resize(t, ed, (64 << 20) + 2));
    assert_ok(file_editor_finish(t, ed, &ref));
    file_editor_free(t, ed);
    assert_ok(file_reader_open(t, &reader, b, &ref.cid));
    file_reader_seek(&reader, 64 << 20, 10);
    assert_ok(file_reader_next(t, &reader, &piece));
    assert_int_equal(piece.len, 2);
    assert_memory_equal(piece.data, "en", 2);
    file_reader_deinit(&reader);
    blocks_map_free(map);
    return OK;
}

static void test_large_hole(void **state)
{
    assert_ok(test_run(large_hole, NULL));
}

static err_t missing_and_wrong(task_t *t, void *arg)
{
    blocks_map_t *map = blocks_map_new(true), *other = blocks_map_new(true);
    uint8_t bytes[3000] = {1};
    model_t m = {bytes, sizeof bytes};
    cid_t cid = import(t, blocks_map_blocks(map), 0, &m);
    AUTO_PTR(block_t) root = NULL;
    assert_ok(blocks_get(t, blocks_map_blocks(map), &cid, &root));
    assert_ok(blocks_put_many(t, blocks_map_blocks(other), &root, 1)); /* the leaves are not here */
    file_editor_t *ed = open_editor(t, blocks_map_blocks(other), &cid);
    pieces_t p = {.left = BYTES_LIT("x"), .piece = 1};
    bool failed = true;
    assert_err(file_editor_write(t, ed, 100, (source_t){read_pieces, &p}, &failed), ERR_NOT_FOUND);
    assert_false(failed);
    file_editor_free(t, ed);
    ed = open_editor(t, blocks_map_blocks(other), &cid);
    assert_err(file_editor_resize(t, ed, 10), ERR_NOT_FOUND);
    file_editor_free(t, ed);
    file_editor_options_t o = {.chunker = {.max_bytes = 10}};
    cid_t dir;
    static const uint8_t empty[] = {0x0a, 0x02, 0x08, 0x01};
    AUTO_PTR(block_t) block = NULL;
    assert_ok(cid_of(0, CODEC_DAG_PB, MH_SHA2_256, bytes_of(empty, sizeof empty), &dir));
    assert_ok(block_copy(&dir, bytes_of(empty, sizeof empty), &block));
    assert_ok(blocks_put_many(t, blocks_map_blocks(other), &block, 1));
    assert_err(file_editor_open(t, blocks_map_blocks(other), &dir, &o, &ed), ERR_INVALID);
    blocks_map_free(map);
    blocks_map_free(other);
    return OK;
}

static void test_missing_and_wrong(void **state)
{
    assert_ok(test_run(missing_and_wrong, NULL));
}

/* ── appending in pieces ─────────────────────────────────────────────────────────────────────── */
enum { SMALL_CHUNK = 16, APPENDED = 340000 };

static file_editor_t *open_empty(task_t *t, blocks_t *b, bool goes_on)
{
    static const model_t nothing;
    file_editor_t *ed;
    file_editor_options_t o = {
        .chunker = {.kind = CHUNKER_SIZE, .max_bytes = SMALL_CHUNK}, .raw_leaves = 1, .goes_on = goes_on};
    cid_t empty = import(t, b, 0, &nothing);
    assert_ok(file_editor_open(t, b, &empty, &o, &ed));
    return ed;
}

static void append_piece(task_t *t, file_editor_t *ed, bytes_t piece)
{
    bool failed;
    assert_ok(file_editor_write(t, ed, file_editor_size(ed), source_of_bytes(&piece), &failed));
}

static cid_t close_editor(task_t *t, file_editor_t *ed)
{
    dag_ref_t ref;
    assert_ok(file_editor_finish(t, ed, &ref));
    file_editor_free(t, ed);
    return ref.cid;
}

/* Pieces of whole chunks, through trees of several depths: the same file as when all is given at once. */
static err_t appended_in_pieces(task_t *t, void *arg)
{
    blocks_map_t *map = blocks_map_new(true);
    blocks_t *b = blocks_map_blocks(map);
    model_t m = {.bytes = xmalloc(APPENDED), .len = APPENDED};
    prng_t r;
    prng_seed(&r, 11);
    fill_random(&r, m.bytes, m.len);
    for (size_t round = 0; round < 6; round++) {
        size_t len = round ? prng_next(&r) % APPENDED : APPENDED;
        size_t most = round == 1 ? 8 : round == 2 ? 40 : 3000; /* chunks in a piece */
        file_editor_t *whole = open_empty(t, b, round % 2), *pieces = open_empty(t, b, true);
        append_piece(t, whole, bytes_of(m.bytes, len));
        for (size_t at = 0; at < len;) {
            size_t n = (1 + prng_next(&r) % most) * SMALL_CHUNK;
            dag_ref_t ref;
            append_piece(t, pieces, bytes_slice(bytes_of(m.bytes, len), at, at + n < len ? n : len - at));
            at += n;
            if (prng_next(&r) % 50 == 0) /* as readers ask for it */
                assert_ok(file_editor_finish(t, pieces, &ref));
        }
        cid_t want = close_editor(t, whole), got = close_editor(t, pieces);
        model_t part = {m.bytes, len};
        check_content(t, b, &got, &part);
        assert_true(cid_equal(&got, &want));
    }
    free(m.bytes);
    blocks_map_free(map);
    return OK;
}

static void test_appended_in_pieces(void **state)
{
    assert_ok(test_run(appended_in_pieces, NULL));
}

/* ── large leaves, which workers hash ────────────────────────────────────────────────────────── */
enum {
    LARGE_LEAF = 40000,
    LARGE_BYTES = 347 * LARGE_LEAF + 12345
}; /* a layer and a whole subtree: as long as trickle and appending agree */

static cid_t import_trickle(task_t *t, blocks_t *b, const chunker_t *chunker, bool raw_leaves,
                            const model_t *m)
{
    importer_t *im;
    dag_ref_t ref;
    import_options_t o;
    bytes_t content = bytes_of(m->bytes, m->len);
    import_options_init(&o);
    o.chunker = *chunker;
    o.is_trickle = true;
    o.raw_leaves = raw_leaves;
    assert_ok(importer_new(t, b, &o, &im));
    assert_ok(importer_add_file(t, im, source_of_bytes(&content), NULL, &ref));
    assert_ok(importer_flush(t, im));
    importer_free(t, im);
    return ref.cid;
}

static file_editor_t *open_large(task_t *t, blocks_t *b, const char *chunker, bool raw_leaves)
{
    static const model_t nothing;
    file_editor_t *ed;
    file_editor_options_t o = {.raw_leaves = raw_leaves};
    assert_ok(chunker_parse(chunker, &o.chunker));
    cid_t empty = import(t, b, 0, &nothing);
    assert_ok(file_editor_open(t, b, &empty, &o, &ed));
    return ed;
}

static void write_large(task_t *t, blocks_t *b, const char *chunker, bool raw_leaves, const model_t *m)
{
    static const size_t lengths[] = {LARGE_LEAF - 1,         LARGE_LEAF, LARGE_LEAF + 1, 174 * LARGE_LEAF,
                                     174 * LARGE_LEAF + 100, LARGE_BYTES};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        model_t part = {m->bytes, lengths[i]};
        bool failed;
        chunker_t cut;
        file_editor_t *ed = open_large(t, b, chunker, raw_leaves);
        pieces_t p = {.left = bytes_of(m->bytes, part.len), .piece = 50000 + 7000 * i};
        assert_ok(file_editor_write(t, ed, 0, (source_t){read_pieces, &p}, &failed));
        cid_t got = close_editor(t, ed);
        check_content(t, b, &got, &part);
        assert_ok(chunker_parse(chunker, &cut));
        cid_t want = import_trickle(t, b, &cut, raw_leaves, &part);
        if (!raw_leaves || part.len > cut.max_bytes) /* one raw leaf: the editor gives no node around it */
            assert_true(cid_equal(&got, &want));
    }
}

static err_t large_leaves(task_t *t, void *arg)
{
    static const char *const chunkers[] = {"size-40000", "size-300000", "rabin-20000-40000-80000", "buzhash"};
    blocks_map_t *map = blocks_map_new(true);
    model_t m = {.bytes = xmalloc(LARGE_BYTES), .len = LARGE_BYTES};
    prng_t r;
    prng_seed(&r, 12);
    fill_random(&r, m.bytes, m.len);
    for (size_t i = 0; i < ARRAY_LEN(chunkers); i++)
        for (int raw = 0; raw < 2; raw++)
            write_large(t, blocks_map_blocks(map), chunkers[i], raw, &m);
    free(m.bytes);
    blocks_map_free(map);
    return OK;
}

static void test_large_leaves(void **state)
{
    assert_ok(test_run(large_leaves, NULL));
}

/* A source that ends in the middle of the leaves, and one that is given up while they are hashed. */
static err_t large_and_cut(task_t *t, void *arg)
{
    blocks_map_t *map = blocks_map_new(true);
    blocks_t *b = blocks_map_blocks(map);
    model_t m = {.bytes = xcalloc(1, LARGE_BYTES), .len = 10 * LARGE_LEAF};
    file_editor_t *ed = open_large(t, b, "size-40000", true);
    pieces_t p = {
        .left = bytes_of(m.bytes, 20 * LARGE_LEAF), .piece = LARGE_LEAF, .fail_at = 10 * LARGE_LEAF};
    bool failed = false;
    assert_err(file_editor_write(t, ed, 0, (source_t){read_pieces, &p}, &failed), ERR_RESET);
    assert_true(failed);
    cid_t cid = close_editor(t, ed);
    check_content(t, b, &cid, &m);

    ed = open_large(t, b, "size-40000", true);
    p = (pieces_t){.left = bytes_of(m.bytes, LARGE_BYTES), .piece = LARGE_LEAF};
    deadline_t d = deadline_push(t, 0);
    assert_err(file_editor_write(t, ed, 0, (source_t){read_pieces, &p}, &failed), ERR_TIMEOUT);
    deadline_pop(t, &d);
    file_editor_free(t, ed);
    free(m.bytes);
    blocks_map_free(map);
    return OK;
}

static void test_large_and_cut(void **state)
{
    assert_ok(test_run(large_and_cut, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_edits),       cmocka_unit_test(test_failing_source),
        cmocka_unit_test(test_large_hole),         cmocka_unit_test(test_missing_and_wrong),
        cmocka_unit_test(test_appended_in_pieces), cmocka_unit_test(test_large_leaves),
        cmocka_unit_test(test_large_and_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

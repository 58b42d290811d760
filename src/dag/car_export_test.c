/* Imports and exports of CAR archives over a map of blocks. The rows of gateway-cars.tsv say which blocks the
 * reference's gateway answers with. */
#include "dag/car_export.h"
#include "dag/car_import.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include <glob.h>

enum { FILE_MAX = 1 << 20, CIDS_MAX = 1 << 20 };

/* ── helpers ─────────────────────────────────────────────────────────────────────────────────── */
static err_t count_root(void *arg, const cid_t *root)
{
    ++*(size_t *)arg;
    return OK;
}

static err_t import_with(task_t *t, blocks_t *to, bytes_t car, bool takes_big_blocks,
                         car_import_stat_t *ret_stat)
{
    size_t roots = 0;
    bytes_t rest = car;
    car_import_t *im = car_import_new(t, to, takes_big_blocks);
    err_t e = car_import_read(t, im, source_of_bytes(&rest), count_root, &roots);
    if (!e)
        e = car_import_flush(t, im);
    *ret_stat = car_import_stat(im);
    error_slot_t slot = *error_slot();
    car_import_free(t, im);
    *error_slot() = slot;
    return e;
}

static err_t import_bytes(task_t *t, blocks_t *to, bytes_t car, car_import_stat_t *ret_stat)
{
    return import_with(t, to, car, false, ret_stat);
}

/* Blocks of every good archive of the vectors. */
static blocks_map_t *all_blocks(task_t *t)
{
    char pattern[512];
    glob_t found;
    AUTO(buf_t) file;
    buf_init(&file, FILE_MAX);
    blocks_map_t *m = blocks_map_new(true);
    assert_int_equal(glob(vector_path("car/*.car", pattern, sizeof pattern), 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char name[256];
        car_import_stat_t stat;
        snprintf(name, sizeof name, "car%s", strrchr(found.gl_pathv[i], '/'));
        vector_read(name, &file);
        if (!strstr(name, "/bad-") && !strstr(name, "zero-len"))
            assert_ok(import_bytes(t, blocks_map_blocks(m), buf_bytes(&file), &stat));
    }
    globfree(&found);
    return m;
}

typedef struct seen {
    buf_t cids;
    size_t left; /* blocks until it fails */
} seen_t;

static err_t note(task_t *t, void *arg, block_t *block)
{
    seen_t *s = arg;
    char text[CID_TEXT_MAX];
    if (!s->left--)
        return fail(ERR_CLOSED, "the reader left");
    assert_ok(cid_verify(&block->cid, block_bytes(block)));
    return buf_printf(&s->cids, "%s%s", s->cids.len ? " " : "", cid_print(&block->cid, text));
}

static err_t export(task_t *t, blocks_t *from, const char *text, car_export_options_t options, seen_t *seen)
{
    dag_path_t *path = xcalloc(1, sizeof *path);
    buf_clear(&seen->cids);
    err_t e = dag_path_parse(bytes_str(text), path);
    if (!e)
        e = car_export(t, from, path, &options, note, seen);
    free(path);
    return e;
}

/* ── scopes ──────────────────────────────────────────────────────────────────────────────────── */
static car_export_options_t options_of(tsv_t *v)
{
    const char *scope = tsv_get(v, "dag_scope"), *range = tsv_get(v, "entity_bytes");
    car_export_options_t o = {.with_dups = *tsv_get(v, "dups") == 'y', .has_range = *range};
    o.scope = !strcmp(scope, "block")    ? CAR_SCOPE_BLOCK
              : !strcmp(scope, "entity") ? CAR_SCOPE_ENTITY
                                         : CAR_SCOPE_ALL;
    if (o.has_range)
        assert_ok(car_range_parse(bytes_str(range), &o.range));
    return o;
}

/* The CIDs, or of long lists "sha256:" and the hash of their text. */
static bool is_as_expected(bytes_t got, const char *want)
{
    cid_t hash;
    AUTO(buf_t) hex = {0};
    if (strncmp(want, "sha256:", 7) != 0)
        return bytes_equal(got, bytes_str(want));
    buf_init(&hex, 128);
    assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, got, &hash));
    assert_ok(hex_encode(cid_digest(&hash), &hex));
    return bytes_equal(buf_bytes(&hex), bytes_str(want + 7));
}

static err_t check_rows(task_t *t, void *arg)
{
    blocks_map_t *m = all_blocks(t);
    tsv_t *v = tsv_open("car/gateway-cars.tsv");
    seen_t seen = {.left = SIZE_MAX};
    buf_init(&seen.cids, CIDS_MAX);
    while (tsv_next(v)) {
        err_t e = export(t, blocks_map_blocks(m), tsv_get(v, "path"), options_of(v), &seen);
        if (e || !is_as_expected(buf_bytes(&seen.cids), tsv_get(v, "cids")))
            fail_msg("row %zu: %s: %s", tsv_row(v), tsv_get(v, "path"),
                     e ? error_text(e) : (const char *)seen.cids.data);
    }
    assert_true(tsv_row(v) > 250);
    tsv_close(v);
    buf_deinit(&seen.cids);
    blocks_map_free(m);
    return OK;
}

static void test_rows(void **state)
{
    assert_ok(test_run(check_rows, NULL));
}

static void test_ranges(void **state)
{
    static const struct {
        const char *text;
        err_t want;
        car_range_t range;
    } rows[] = {
        {"0:*", OK, {0, 0, true}},
        {"5:5", OK, {5, 5, false}},
        {"-10:*", OK, {-10, 0, true}},
        {"-10:-1", OK, {-10, -1, false}},
        {"499:-1000", OK, {499, -1000, false}},
        {"-5:3", OK, {-5, 3, false}},
        {"9223372036854775807:*", OK, {INT64_MAX, 0, true}},
        {"9223372036854775808:*", ERR_INVALID, {0}},
        {"5:4", ERR_INVALID, {0}},
        {"-1:-5", ERR_INVALID, {0}},
        {"", ERR_INVALID, {0}},
        {":", ERR_INVALID, {0}},
        {"1", ERR_INVALID, {0}},
        {"*:5", ERR_INVALID, {0}},
        {"1:", ERR_INVALID, {0}},
        {"1:2:3", ERR_INVALID, {0}},
        {"1:+2", ERR_INVALID, {0}},
        {"-:5", ERR_INVALID, {0}},
        {" 1:5", ERR_INVALID, {0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        car_range_t r = {77, 77, false};
        assert_err(car_range_parse(bytes_str(rows[i].text), &r), rows[i].want);
        assert_true(rows[i].want ? r.from == 77
                                 : r.from == rows[i].range.from && r.to == rows[i].range.to &&
                                       r.is_open == rows[i].range.is_open);
    }
}

/* Ranges that lie outside of the file, and scopes of what is no file. */
#define DEEP "Qme345czTVVC2W7MAg2d75yMMTiot9QqrCjRa7ZjTBNhBG" /* 1,000 bytes */
static err_t check_outside(task_t *t, void *arg)
{
    static const char *const ranges[] = {"1000:*", "5000:6000", "-1:-1000", "600:-600", "0:-2000"};
    blocks_map_t *m = all_blocks(t);
    seen_t seen = {.left = SIZE_MAX};
    buf_init(&seen.cids, CIDS_MAX);
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
        car_export_options_t o = {.scope = CAR_SCOPE_ENTITY, .has_range = true};
        if (car_range_parse(bytes_str(ranges[i]), &o.range))
            continue;
        assert_ok(export(t, blocks_map_blocks(m), DEEP, o, &seen));
        assert_bytes(buf_bytes(&seen.cids), bytes_str(DEEP));
    }
    /* The consumer's error ends it. */
    seen.left = 3;
    assert_err(
        export(t, blocks_map_blocks(m), DEEP, (car_export_options_t){.scope = CAR_SCOPE_ENTITY}, &seen),
        ERR_CLOSED);
    seen.left = 3;
    assert_err(export(t, blocks_map_blocks(m), DEEP, (car_export_options_t){0}, &seen), ERR_CLOSED);
    buf_deinit(&seen.cids);
    blocks_map_free(m);
    return OK;
}

static void test_outside(void **state)
{
    assert_ok(test_run(check_outside, NULL));
}

/* ── parts that are missing ──────────────────────────────────────────────────────────────────── */
#define PARTIAL "QmYhmPjhFjYFyaoiuNzYv8WGavpSRDwdHWe5B4M5du5Rtk"
#define PARTIAL_FIRST "QmPKt7ptM2ZYSGPUc8PmPT2VBkLDK3iqpG9TBJY7PCE9rF"
#define PARTIAL_LAST "QmWXY482zQdwecnfBsj78poUUuPXvyw2JAFAEMw4tzTavV"
static err_t check_missing(task_t *t, void *arg)
{
    blocks_map_t *m = all_blocks(t);
    blocks_t *b = blocks_map_blocks(m);
    seen_t seen = {.left = SIZE_MAX};
    buf_init(&seen.cids, CIDS_MAX);
    for (car_scope_t scope = CAR_SCOPE_ALL; scope <= CAR_SCOPE_ENTITY; scope++) {
        assert_err(export(t, b, PARTIAL, (car_export_options_t){.scope = scope}, &seen), ERR_NOT_FOUND);
        assert_bytes(buf_bytes(&seen.cids), BYTES_LIT(PARTIAL " " PARTIAL_FIRST));
    }
    assert_ok(export(t, b, PARTIAL, (car_export_options_t){.skips_missing = true}, &seen));
    assert_bytes(buf_bytes(&seen.cids), BYTES_LIT(PARTIAL " " PARTIAL_FIRST " " PARTIAL_LAST));
    assert_err(export(t, b, PARTIAL "/x", (car_export_options_t){0}, &seen), ERR_NOT_FOUND);
    assert_bytes(buf_bytes(&seen.cids), BYTES_LIT(PARTIAL)); /* it proves that there is nothing */
    buf_deinit(&seen.cids);
    blocks_map_free(m);
    return OK;
}

static void test_missing(void **state)
{
    assert_ok(test_run(check_missing, NULL));
}

/* A file of 60 levels, each of which links the one below twice: 2^60 ways down. size: of the level below; 0:
 * all of them are without content. */
static cid_t put_level(task_t *t, blocks_t *b, const cid_t *below, uint64_t size)
{
    const uint64_t sizes[2] = {size, size};
    AUTO(buf_t) data, node;
    cid_t cid;
    AUTO_PTR(block_t) block = NULL;
    buf_init(&data, 256);
    buf_init(&node, 1024);
    writer_t w = writer_to(&data);
    unixfs_t file = {.type = UNIXFS_FILE, .has_file_size = true, .file_size = below ? 2 * size : size};
    file.data = below || !size ? BYTES_NONE : BYTES_LIT("x");
    file.has_data = file.data.len;
    unixfs_put(&w, &file, sizes, below ? 2 : 0);
    assert_ok(w.err);
    w = writer_to(&node);
    for (int i = 0; below && i < 2; i++)
        dag_pb_put_link(&w, &(dag_pb_link_t){.cid = *below, .has_name = true, .has_tsize = true});
    dag_pb_put_data(&w, buf_bytes(&data));
    assert_ok(w.err);
    assert_ok(cid_of(1, CODEC_DAG_PB, MH_SHA2_256, buf_bytes(&node), &cid));
    assert_ok(block_copy(&cid, buf_bytes(&node), &block));
    assert_ok(blocks_put_many(t, b, &block, 1));
    return cid;
}

static err_t check_bomb(task_t *t, void *arg)
{
    enum { LEVELS = 60 };
    seen_t seen;
    buf_init(&seen.cids, CIDS_MAX);
    for (uint64_t leaf = 0; leaf < 2; leaf++) {
        blocks_map_t *m = blocks_map_new(true);
        char text[CID_TEXT_MAX];
        cid_t cid = put_level(t, blocks_map_blocks(m), NULL, leaf);
        for (int i = 1; i < LEVELS; i++)
            cid = put_level(t, blocks_map_blocks(m), &cid, leaf << (i - 1));
        cid_print(&cid, text);
        for (car_scope_t scope = CAR_SCOPE_ALL; scope <= CAR_SCOPE_ENTITY; scope++) {
            seen.left = LEVELS;
            assert_ok(export(t, blocks_map_blocks(m), text, (car_export_options_t){.scope = scope}, &seen));
            assert_int_equal(seen.left, 0);
        }
        static const car_range_t ranges[] = {{0, 0, true}, {0, -1, false}, {1, -2, false}, {-1, 0, true}};
        for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
            car_export_options_t o = {.scope = CAR_SCOPE_ENTITY, .has_range = true, .range = ranges[i]};
            seen.left = leaf ? LEVELS : 1;
            assert_ok(export(t, blocks_map_blocks(m), text, o, &seen));
            assert_int_equal(seen.left, 0);
        }
        blocks_map_free(m);
    }
    buf_deinit(&seen.cids);
    return OK;
}

static void test_bomb(void **state)
{
    assert_ok(test_run(check_bomb, NULL));
}

/* ── imports ─────────────────────────────────────────────────────────────────────────────────── */
static void put_block(writer_t *w, uint64_t hash, bytes_t data, bool is_wrong)
{
    cid_t cid;
    assert_ok(cid_of(1, CODEC_RAW, hash, data, &cid));
    if (is_wrong)
        cid.digest[0] ^= 1;
    car_put_section_head(w, &cid, data.len);
    write_bytes(w, data);
}

/* Many batches, an identity, then a block that does not hash to its CID: nothing behind it counts. */
static err_t check_wrong_block(task_t *t, void *arg)
{
    enum { BLOCKS = 40, BYTES = 300 << 10 };
    AUTO(buf_t) car;
    car_import_stat_t stat;
    buf_init(&car, 32 << 20);
    uint8_t *data = xcalloc(1, BYTES);
    for (int wrong = 0; wrong < 2; wrong++) {
        blocks_map_t *m = blocks_map_new(true);
        buf_clear(&car);
        writer_t w = writer_to(&car);
        car_put_header(&w, NULL, 0);
        for (size_t i = 0; i < BLOCKS; i++) {
            memset(data, (int)i, BYTES);
            put_block(&w, i % 2 ? MH_SHA2_256 : MH_SHA2_512, bytes_of(data, BYTES), wrong && i == 20);
        }
        put_block(&w, MH_IDENTITY, BYTES_LIT("abc"), false);
        assert_ok(w.err);
        err_t e = import_bytes(t, blocks_map_blocks(m), buf_bytes(&car), &stat);
        assert_int_equal(e, wrong ? ERR_CORRUPT : OK);
        if (wrong)
            assert_non_null(strstr(error_text(e), "import failed at block \"baf"));
        else
            assert_int_equal(stat.bytes, BLOCKS * BYTES + 3);
        assert_true(stat.peak_bytes < 12u << 20); /* whatever the archive's size */
        cid_t cid;
        memset(data, 1, BYTES);
        assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, bytes_of(data, BYTES), &cid));
        assert_true(wrong || blocks_has(t, blocks_map_blocks(m), &cid));
        blocks_map_free(m);
    }
    free(data);
    return OK;
}

static void test_wrong_block(void **state)
{
    assert_ok(test_run(check_wrong_block, NULL));
}

/* Blocks that no peer would take come in when they are asked for, up to what a store keeps. */
static err_t check_big(task_t *t, void *arg)
{
    static const struct {
        size_t size;
        err_t plain, big;
    } rows[] = {{BLOCK_MAX_BYTES, OK, OK},
                {BLOCK_MAX_BYTES + 1, ERR_LIMIT, OK},
                {BLOCK_STORED_MAX_BYTES, ERR_LIMIT, OK},
                {BLOCK_STORED_MAX_BYTES + 1, ERR_LIMIT, ERR_LIMIT}};
    AUTO(buf_t) car;
    car_import_stat_t stat;
    buf_init(&car, 32 << 20);
    uint8_t *data = xcalloc(1, BLOCK_STORED_MAX_BYTES + 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_clear(&car);
        writer_t w = writer_to(&car);
        car_put_header(&w, NULL, 0);
        put_block(&w, MH_SHA2_256, bytes_of(data, rows[i].size), false);
        assert_ok(w.err);
        assert_err(import_with(t, blocks_null(), buf_bytes(&car), false, &stat), rows[i].plain);
        if (rows[i].plain && !rows[i].big)
            assert_non_null(strstr(error_text(ERR_LIMIT), "--allow-big-block to override"));
        assert_err(import_with(t, blocks_null(), buf_bytes(&car), true, &stat), rows[i].big);
    }
    free(data);
    return OK;
}

static void test_big(void **state)
{
    assert_ok(test_run(check_big, NULL));
}

/* What the user reads when an archive is cut off, damaged or of hashes that are not allowed. */
static err_t check_errors(task_t *t, void *arg)
{
    blocks_map_t *m = blocks_map_new(true);
    car_import_stat_t stat;
    AUTO(buf_t) car;
    buf_init(&car, 8 << 20);
    writer_t w = writer_to(&car);
    assert_err(import_bytes(t, blocks_map_blocks(m), BYTES_LIT("\x0a"), &stat), ERR_EOF);
    car_put_header(&w, NULL, 0);
    write_u8(&w, 5);
    assert_err(import_bytes(t, blocks_map_blocks(m), buf_bytes(&car), &stat), ERR_EOF);
    assert_non_null(strstr(error_text(ERR_EOF), "import failed: unexpected EOF"));
    car.len--;
    put_block(&w, MH_SHA2_256, BYTES_LIT("abc"), false);
    write_u8(&w, 5);
    assert_err(import_bytes(t, blocks_map_blocks(m), buf_bytes(&car), &stat), ERR_EOF);
    assert_non_null(strstr(error_text(ERR_EOF), "import failed after block \"bafkrei"));
    car.len--;
    assert_ok(import_bytes(t, blocks_map_blocks(m), buf_bytes(&car), &stat));
    cid_t cid;
    assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, BYTES_LIT("x"), &cid));
    cid.hash_code = 0x22; /* murmur3 */
    car_put_section_head(&w, &cid, 1);
    write_u8(&w, 'x');
    assert_err(import_bytes(t, blocks_map_blocks(m), buf_bytes(&car), &stat), ERR_DENIED);
    assert_non_null(strstr(error_text(ERR_DENIED), "import failed at block"));
    blocks_map_free(m);
    return OK;
}

static void test_errors(void **state)
{
    assert_ok(test_run(check_errors, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),  cmocka_unit_test(test_rows),        cmocka_unit_test(test_outside),
        cmocka_unit_test(test_missing), cmocka_unit_test(test_wrong_block), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_bomb),    cmocka_unit_test(test_big),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

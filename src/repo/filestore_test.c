#include "crypto/hash.h"
#include "repo/filestore.h"
#include "task/driver.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

#define REPO "/data/repo"
#define PIECE 1000

static repo_t *open_repo(task_t *t)
{
    repo_t *r;
    assert_ok(repo_open(t, REPO, &r));
    return r;
}

static repo_t *make_repo(task_t *t)
{
    uint8_t seed[32] = {9};
    AUTO_PTR(private_key_t) key = NULL;
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
    assert_ok(fs_mkdir(t, "/data", 0755));
    assert_ok(repo_init(t, REPO, "test", key));
    repo_t *r = open_repo(t);
    assert_null(repo_filestore(r));
    assert_ok(repo_config_set(t, r, "Experimental.FilestoreEnabled", "true"));
    repo_close(t, r);
    return open_repo(t);
}

/* A file of n pieces, each of one letter. */
static void write_file(task_t *t, const char *path, const char *letters)
{
    AUTO(buf_t) content = {0};
    buf_init(&content, 1 << 20);
    for (; *letters; letters++)
        for (size_t i = 0; i < PIECE; i++)
            assert_ok(buf_append_u8(&content, (uint8_t)*letters));
    assert_ok(fs_write_file(t, path, 0644, buf_bytes(&content)));
}

static cid_t cid_of_piece(char letter)
{
    uint8_t piece[PIECE];
    cid_t cid;
    memset(piece, letter, sizeof piece);
    assert_ok(cid_of(1, CODEC_RAW, MH_SHA2_256, bytes_of(piece, sizeof piece), &cid));
    return cid;
}

static err_t refer(task_t *t, repo_t *r, const char *path, const char *letters, bool syncs)
{
    AUTO_PTR(repo_import_t) import = repo_import_begin(r);
    for (size_t i = 0; letters[i]; i++) {
        cid_t cid = cid_of_piece(letters[i]);
        TRY(repo_import_put_ref(t, import, &cid, path, i * PIECE, PIECE));
    }
    return syncs ? repo_import_sync(t, import) : OK;
}

static filestore_status_t status_of(task_t *t, repo_t *r, char letter, char why[ERROR_TEXT_MAX])
{
    AUTO(buf_t) room = {0};
    filestore_ref_t ref;
    cid_t cid = cid_of_piece(letter);
    buf_init(&room, 8192);
    if (filestore_find(t, repo_filestore(r), &cid, &room, &ref))
        return FILESTORE_MISSING;
    assert_true(cid_equal(&ref.cid, &cid) && ref.size == PIECE);
    return filestore_check(t, repo_filestore(r), &ref, why);
}

static void expect_piece(task_t *t, repo_t *r, char letter, err_t want)
{
    AUTO_PTR(block_t) block = NULL;
    cid_t cid = cid_of_piece(letter);
    uint64_t size;
    assert_err(blockstore_get(t, repo_blockstore(r), &cid, &block), want);
    if (want == ERR_CORRUPT) /* it says which file */
        assert_non_null(strstr(error_text(ERR_CORRUPT), "file"));
    assert_err(blockstore_size(t, repo_blockstore(r), &cid, &size), want == ERR_CORRUPT ? OK : want);
    if (want)
        return;
    assert_int_equal(size, PIECE);
    assert_int_equal(block->len, PIECE);
    assert_int_equal(block->data[PIECE - 1], letter);
}

static err_t count_block(task_t *t, void *arg, const cid_t *cid, uint64_t size_bytes)
{
    ++*(size_t *)arg;
    return OK;
}

static size_t count_blocks(task_t *t, repo_t *r)
{
    size_t count = 0;
    assert_ok(blockstore_each(t, repo_blockstore(r), count_block, &count));
    return count;
}

static err_t reads(task_t *t, void *arg)
{
    repo_t *r = make_repo(t);
    write_file(t, "/data/file", "abc");
    assert_ok(refer(t, r, "/data/file", "abc", true));
    for (const char *p = "abc"; *p; p++)
        expect_piece(t, r, *p, OK);
    expect_piece(t, r, 'd', ERR_NOT_FOUND);
    assert_int_equal(count_blocks(t, r), 3);
    repo_close(t, r);
    r = open_repo(t); /* they are durable */
    expect_piece(t, r, 'b', OK);
    repo_stat_t stat;
    assert_ok(repo_stat(t, r, &stat));
    assert_int_equal(stat.blocks, 3);
    assert_int_equal(stat.block_bytes, 0);
    repo_close(t, r);
    return OK;
}

static void test_reads(void **state)
{
    assert_ok(test_run(reads, NULL));
}

static err_t changes(task_t *t, void *arg)
{
    char why[ERROR_TEXT_MAX];
    repo_t *r = make_repo(t);
    write_file(t, "/data/file", "abc");
    assert_ok(refer(t, r, "/data/file", "abc", true));
    write_file(t, "/data/file", "aX"); /* b changed, c is beyond the end */
    expect_piece(t, r, 'a', OK);
    expect_piece(t, r, 'b', ERR_CORRUPT);
    expect_piece(t, r, 'c', ERR_CORRUPT);
    assert_int_equal(status_of(t, r, 'a', why), FILESTORE_OK);
    assert_string_equal(why, "");
    assert_int_equal(status_of(t, r, 'b', why), FILESTORE_CHANGED);
    assert_string_equal(why, "data in file did not match. file offset 1000");
    assert_int_equal(status_of(t, r, 'c', why), FILESTORE_CHANGED);
    assert_int_equal(status_of(t, r, 'd', why), FILESTORE_MISSING);
    assert_ok(fs_unlink(t, "/data/file"));
    assert_int_equal(status_of(t, r, 'a', why), FILESTORE_NO_FILE);
    expect_piece(t, r, 'a', ERR_CORRUPT);
    /* A new place is taken when the old one no longer holds, a copy in the block store mends it, too. */
    write_file(t, "/data/other", "ab");
    assert_ok(refer(t, r, "/data/other", "a", true));
    expect_piece(t, r, 'a', OK);
    AUTO_PTR(block_t) block = NULL;
    uint8_t piece[PIECE];
    cid_t b = cid_of_piece('b');
    memset(piece, 'b', sizeof piece);
    assert_ok(block_copy(&b, bytes_of(piece, sizeof piece), &block));
    assert_ok(blockstore_put(t, repo_blockstore(r), block));
    expect_piece(t, r, 'b', OK);
    assert_true(filestore_has_copy(t, repo_filestore(r), &b));
    assert_int_equal(count_blocks(t, r), 3);
    repo_close(t, r);
    return OK;
}

static void test_changed_files_are_never_served(void **state)
{
    assert_ok(test_run(changes, NULL));
}

static err_t removals(task_t *t, void *arg)
{
    char why[ERROR_TEXT_MAX];
    repo_t *r = make_repo(t);
    write_file(t, "/data/file", "abc");
    assert_ok(refer(t, r, "/data/file", "abc", true));
    cid_t a = cid_of_piece('a'), b = cid_of_piece('b');
    assert_ok(blockstore_remove(t, repo_blockstore(r), &a, 1));
    expect_piece(t, r, 'a', ERR_NOT_FOUND);
    assert_ok(pins_add_present(t, repo_pins(r), &b, PIN_RECURSIVE, NULL));
    gc_result_t result;
    assert_ok(gc_run(t, repo_gc(r), NULL, NULL, &result));
    expect_piece(t, r, 'b', OK); /* pinned */
    expect_piece(t, r, 'c', ERR_NOT_FOUND);
    assert_ok(filestore_forget(t, repo_filestore(r), &b));
    assert_int_equal(status_of(t, r, 'b', why), FILESTORE_MISSING);
    file_info_t info;
    assert_ok(fs_stat(t, "/data/file", true, &info)); /* the file itself is never touched */
    assert_int_equal(info.size_bytes, 3 * PIECE);
    repo_close(t, r);
    return OK;
}

static void test_references_go_with_their_blocks(void **state)
{
    assert_ok(test_run(removals, NULL));
}

static err_t refusals(task_t *t, void *arg)
{
    static const char *const outside[] = {"/elsewhere/file", "/datafile", "/data/",
                                          "/data/../file",   "file",      "/data//x"};
    repo_t *r = make_repo(t);
    for (size_t i = 0; i < ARRAY_LEN(outside); i++)
        assert_err(refer(t, r, outside[i], "a", true), ERR_DENIED);
    assert_string_equal(error_text(ERR_DENIED), "cannot add filestore references outside ipfs root (/data)");
    write_file(t, "/data/file", "a");
    assert_ok(refer(t, r, "/data/file", "a", false)); /* given up before its end */
    expect_piece(t, r, 'a', ERR_NOT_FOUND);
    assert_ok(kv_put(t, repo_state(r), "filestore", BYTES_LIT("\x12\x01x"), BYTES_LIT("\xff")));
    assert_int_equal(count_blocks(t, r), 1); /* listed, not readable */
    assert_ok(repo_config_set(t, r, "Experimental.FilestoreEnabled", "false"));
    repo_close(t, r);
    r = open_repo(t);
    assert_null(repo_filestore(r));
    assert_err(refer(t, r, "/data/file", "a", true), ERR_INVALID);
    repo_close(t, r);
    return OK;
}

static void test_refusals(void **state)
{
    assert_ok(test_run(refusals, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads), cmocka_unit_test(test_changed_files_are_never_served),
        cmocka_unit_test(test_references_go_with_their_blocks), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

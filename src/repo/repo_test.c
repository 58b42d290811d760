#include "repo/repo.h"
#include "repo/repo_impl.h"
#include "store/blockstore_suite.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

#define REPO "/tmp/repo"

static private_key_t *fixed_key(void)
{
    uint8_t seed[32] = {7};
    private_key_t *key;
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
    return key;
}

static repo_t *open_repo(task_t *t)
{
    repo_t *r;
    assert_ok(repo_open(t, REPO, &r));
    return r;
}

static void test_find_path(void **state)
{
    char out[REPO_PATH_MAX];
    char longer[REPO_PATH_MAX + 10];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    setenv("HOME", "/home/me", 1);
    unsetenv("DISTRIBUTE_PATH");
    unsetenv("IPFS_PATH");
    assert_ok(repo_find_path(NULL, out));
    assert_string_equal(out, "/home/me/.distribute");
    setenv("IPFS_PATH", "/ipfs/", 1);
    assert_ok(repo_find_path("", out));
    assert_string_equal(out, "/ipfs");
    setenv("DISTRIBUTE_PATH", "~", 1);
    assert_ok(repo_find_path(NULL, out));
    assert_string_equal(out, "/home/me");
    assert_ok(repo_find_path("relative", out));
    assert_string_equal(out, "relative");
    assert_err(repo_find_path(longer, out), ERR_USAGE);
    unsetenv("HOME");
    assert_err(repo_find_path(NULL, out), ERR_USAGE);
    setenv("HOME", "/home/me", 1);
}

static err_t init_and_open(task_t *t, void *arg)
{
    AUTO_PTR(private_key_t) key = fixed_key();
    peer_id_t id;
    file_info_t info;
    repo_t *r, *second;
    assert_err(repo_check(t, REPO), ERR_NOT_FOUND);
    assert_err(repo_open(t, REPO, &r), ERR_NOT_FOUND);
    assert_non_null(strstr(error_text(ERR_NOT_FOUND), "init"));
    assert_err(repo_init(t, REPO, "nonsense", key), ERR_USAGE);
    assert_ok(repo_init(t, REPO, "test", key));
    assert_err(repo_init(t, REPO, NULL, NULL), ERR_EXISTS);
    assert_ok(fs_stat(t, REPO "/config", true, &info));
    assert_int_equal(info.mode & 0777, 0600);
    r = open_repo(t);
    assert_ok(peer_id_of(private_key_public(key), &id));
    assert_true(peer_id_equal(repo_peer_id(r), &id));
    assert_string_equal(repo_path(r), REPO);
    assert_true(public_key_equal(private_key_public(repo_identity(r)), private_key_public(key)));
    /* Two nodes never share a repository; the refusal names it. */
    assert_err(repo_open(t, REPO, &second), ERR_IN_USE);
    assert_non_null(strstr(error_text(ERR_IN_USE), REPO));
    assert_ok(suite_put(t, repo_blockstore(r), 1, 1000));
    assert_ok(kv_put(t, repo_state(r), "things", BYTES_LIT("k"), BYTES_LIT("v")));
    assert_ok(keystore_put(t, repo_keystore(r), "name", key));
    repo_close(t, r);
    r = open_repo(t);
    assert_ok(suite_expect(t, repo_blockstore(r), 1, 1000));
    assert_true(kv_has(t, repo_state(r), "things", BYTES_LIT("k")));
    assert_true(keystore_has(t, repo_keystore(r), "name"));
    assert_false(gc_is_running(repo_gc(r)));
    repo_close(t, r);
    repo_close(t, NULL);
    return OK;
}

static void test_init_and_open(void **state)
{
    assert_ok(test_run(init_and_open, NULL));
}

/* Files that a killed process had not come to rename or to remove are no one's any more; others stay. */
static err_t leftovers(task_t *t, void *arg)
{
    static const struct {
        const char *path;
        bool stays;
    } files[] = {
        {REPO "/entries-0123456789abcdef.tmp", false},
        {REPO "/config.00ff00ff00ff00ff.tmp", false},
        {REPO "/keystore/key_mnxw2.1123456789abcdef.tmp", false},
        {REPO "/notes.tmp", true},
        {REPO "/entries-0123456789ABCDEF.tmp", true},
        {REPO "/0123456789abcdef.tmp", true},
        {REPO "/keystore/0123456789abcdef.tmp.bak", true},
    };
    file_info_t info;
    AUTO_PTR(private_key_t) key = fixed_key();
    assert_ok(repo_init(t, REPO, "test", key));
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        assert_ok(fs_write_file(t, files[i].path, 0600, BYTES_LIT("x")));
    repo_close(t, open_repo(t));
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        assert_int_equal(fs_stat(t, files[i].path, false, &info), files[i].stays ? OK : ERR_NOT_FOUND);
    return OK;
}

static void test_leftovers(void **state)
{
    assert_ok(test_run(leftovers, NULL));
}

/* One clear line for each kind of wrong repository. */
static err_t refusals(task_t *t, void *arg)
{
    repo_t *r;
    AUTO_PTR(private_key_t) key = fixed_key();
    assert_ok(fs_mkdirs(t, "/tmp/kubo", 0700));
    assert_ok(fs_write_file(t, "/tmp/kubo/version", 0600, BYTES_LIT("18\n")));
    assert_err(repo_open(t, "/tmp/kubo", &r), ERR_UNSUPPORTED);
    assert_non_null(strstr(error_text(ERR_UNSUPPORTED), "import-kubo"));
    assert_err(repo_init(t, "/tmp/kubo", NULL, key), ERR_UNSUPPORTED);
    assert_ok(fs_mkdirs(t, "/tmp/old", 0700));
    assert_ok(fs_write_file(t, "/tmp/old/datastore_spec", 0600, BYTES_LIT("{}")));
    assert_err(repo_check(t, "/tmp/old"), ERR_UNSUPPORTED);
    assert_ok(fs_write_file(t, "/tmp/old/version", 0600, BYTES_LIT("odd")));
    assert_err(repo_check(t, "/tmp/old"), ERR_UNSUPPORTED);

    assert_ok(repo_init(t, REPO, "test", key));
    static const struct {
        const char *text;
        err_t e;
    } versions[] = {{"distribute-2", ERR_UNSUPPORTED}, {"hello", ERR_CORRUPT}, {"", ERR_CORRUPT}};
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        assert_ok(fs_write_file(t, REPO "/version", 0600, bytes_str(versions[i].text)));
        assert_err(repo_open(t, REPO, &r), versions[i].e);
        assert_non_null(strstr(error_text(versions[i].e), REPO));
    }
    char longer[200];
    memset(longer, 'x', sizeof longer);
    assert_ok(fs_write_file(t, REPO "/version", 0600, bytes_of(longer, sizeof longer)));
    assert_err(repo_check(t, REPO), ERR_CORRUPT);
    assert_ok(fs_write_file(t, REPO "/version", 0600, BYTES_LIT(REPO_VERSION "\n")));

    AUTO(buf_t) good;
    buf_init(&good, CONFIG_MAX_BYTES);
    assert_ok(fs_read_file(t, REPO "/config", CONFIG_MAX_BYTES, &good));
    assert_ok(fs_write_file(t, REPO "/config", 0600, BYTES_LIT("{\"Identity\": tru")));
    assert_err(repo_open(t, REPO, &r), ERR_CORRUPT);
    assert_non_null(strstr(error_text(ERR_CORRUPT), "/config"));
    assert_ok(fs_write_file(t, REPO "/config", 0600, BYTES_LIT("{}")));
    assert_err(repo_open(t, REPO, &r), ERR_CORRUPT);
    assert_ok(fs_unlink(t, REPO "/config"));
    assert_err(repo_open(t, REPO, &r), ERR_CORRUPT);
    assert_ok(fs_write_file(t, REPO "/config", 0600, buf_bytes(&good)));
    sim_disk_set_unreadable(sim_host_of(t), REPO "/version", ERR_DENIED);
    assert_err(repo_open(t, REPO, &r), ERR_DENIED);
    sim_disk_set_unreadable(sim_host_of(t), REPO "/version", OK);
    sim_disk_set_unreadable(sim_host_of(t), REPO "/config", ERR_DENIED);
    assert_err(repo_open(t, REPO, &r), ERR_DENIED);
    sim_disk_set_unreadable(sim_host_of(t), REPO "/config", OK);
    r = open_repo(t);
    assert_ok(repo_config_set(t, r, "Datastore.Store", "\"s3\""));
    repo_close(t, r);
    assert_err(repo_open(t, REPO, &r), ERR_INVALID);
    return OK;
}

/* A config of something else is kept, once. */
static err_t foreign_config(task_t *t, void *arg)
{
    AUTO_PTR(private_key_t) key = fixed_key();
    AUTO(buf_t) kept;
    buf_init(&kept, 100);
    assert_ok(fs_mkdirs(t, REPO, 0700));
    assert_ok(fs_write_file(t, REPO "/config", 0600, BYTES_LIT("the only key")));
    assert_ok(repo_init(t, REPO, "test", key));
    assert_ok(fs_read_file(t, REPO "/config.replaced", 100, &kept));
    assert_true(bytes_equal(buf_bytes(&kept), BYTES_LIT("the only key")));
    repo_close(t, open_repo(t));
    assert_ok(fs_unlink(t, REPO "/version"));
    assert_err(repo_init(t, REPO, "test", key), ERR_EXISTS);
    return OK;
}

static void test_foreign_config(void **state)
{
    assert_ok(test_run(foreign_config, NULL));
}

static void test_refusals(void **state)
{
    assert_ok(test_run(refusals, NULL));
}

/* A crash at any step of init leaves a repository, or a folder where init works. */
static err_t init_fails(task_t *t, void *arg)
{
    AUTO_PTR(private_key_t) key = fixed_key();
    bool did_fail = true;
    size_t failures = 0;
    for (uint64_t n = 1; did_fail; n++) {
        sim_disk_fail_nth(sim_host_of(t), n, ERR_NO_SPACE, true);
        did_fail = repo_init(t, REPO, "test", key) != OK;
        sim_disk_fail_nth(sim_host_of(t), 0, OK, false);
        failures += did_fail;
        err_t e = repo_check(t, REPO);
        assert_true(e == ERR_NOT_FOUND || e == OK);
        if (e)
            assert_ok(repo_init(t, REPO, "test", key));
        repo_close(t, open_repo(t));
        assert_ok(fs_remove_tree(t, REPO));
    }
    assert_true(failures > 5);
    return OK;
}

static void test_init_fails(void **state)
{
    assert_ok(test_run(init_fails, NULL));
}

/* Opening with each change of the disk failing once: refused or not, nothing leaks, and it opens after. */
static err_t open_fails(task_t *t, void *arg)
{
    AUTO_PTR(private_key_t) key = fixed_key();
    assert_ok(repo_init(t, REPO, "test", key));
    for (uint64_t n = 1; n < 40; n++) {
        repo_t *r = NULL;
        sim_disk_fail_nth(sim_host_of(t), n, ERR_IO, true);
        if (!repo_open(t, REPO, &r))
            repo_close(t, r);
        sim_disk_fail_nth(sim_host_of(t), 0, OK, false);
        repo_close(t, open_repo(t));
    }
    return OK;
}

static void test_open_fails(void **state)
{
    assert_ok(test_run(open_fails, NULL));
}

static err_t config_changes(task_t *t, void *arg)
{
    AUTO_PTR(private_key_t) key = fixed_key();
    file_info_t info;
    assert_ok(repo_init(t, REPO, "test", key));
    repo_t *r = open_repo(t);
    const config_t *c = repo_config(r);
    assert_ok(repo_config_set(t, r, "Replication.MaxBytes", "\"5GB\""));
    assert_int_equal(config_size(c, "Replication.MaxBytes", 0), 5000000000);
    assert_ok(repo_config_unset(t, r, "Replication.MaxBytes"));
    assert_false(config_has(c, "Replication.MaxBytes"));
    assert_err(repo_config_set(t, r, "Identity.PrivKey", "1"), ERR_DENIED);
    assert_ok(repo_config_apply_profile(t, r, "lowpower"));
    assert_ok(fs_stat(t, REPO "/config.pre-lowpower.bak", true, &info));
    assert_int_equal(info.mode & 0777, 0600);
    assert_err(repo_config_apply_profile(t, r, "flatfs"), ERR_INVALID);
    /* A change that cannot be written is no change. */
    sim_disk_fail_nth(sim_host_of(t), 1, ERR_NO_SPACE, false);
    assert_err(repo_config_set(t, r, "New", "1"), ERR_NO_SPACE);
    assert_false(config_has(repo_config(r), "New"));
    assert_ok(repo_config_replace(t, r, BYTES_LIT("{\"Other\": 1}")));
    repo_close(t, r);
    r = open_repo(t);
    assert_true(config_has(repo_config(r), "Other") && !config_has(repo_config(r), "Addresses"));
    repo_close(t, r);
    return OK;
}

static void test_config_changes(void **state)
{
    assert_ok(test_run(config_changes, NULL));
}

static err_t addresses(task_t *t, void *arg)
{
    AUTO_PTR(private_key_t) key = fixed_key();
    AUTO(buf_t) text;
    buf_init(&text, 2000);
    assert_ok(repo_init(t, REPO, "test", key));
    repo_t *r = open_repo(t);
    assert_err(repo_read_address(t, REPO, REPO_API, &text), ERR_NOT_FOUND);
    assert_ok(repo_write_address(t, r, REPO_API, "/ip4/127.0.0.1/tcp/5001\n"));
    assert_ok(repo_write_address(t, r, REPO_GATEWAY, "http://127.0.0.1:8080"));
    assert_ok(repo_read_address(t, REPO, REPO_API, &text));
    assert_bytes(buf_bytes(&text), BYTES_LIT("/ip4/127.0.0.1/tcp/5001"));
    repo_remove_addresses(t, r);
    assert_err(repo_read_address(t, REPO, REPO_GATEWAY, &text), ERR_NOT_FOUND);
    repo_close(t, r);
    return OK;
}

static void test_addresses(void **state)
{
    assert_ok(test_run(addresses, NULL));
}

typedef struct seen_blocks {
    size_t n;
    uint64_t of[VERIFY_OUTCOMES];
    cid_t bad[4];
    size_t n_bad;
} seen_blocks_t;

static err_t see_block(task_t *t, void *arg, const cid_t *cid, verify_outcome_t outcome, const char *why,
                       const char *why_not)
{
    seen_blocks_t *s = arg;
    s->n++;
    s->of[outcome]++;
    assert_true(!*why == (outcome == VERIFY_SOUND));
    assert_true(!*why_not == (outcome != VERIFY_HEAL_FAILED && outcome != VERIFY_REMOVE_FAILED));
    if (outcome != VERIFY_SOUND && s->n_bad < ARRAY_LEN(s->bad))
        s->bad[s->n_bad++] = *cid;
    return OK;
}

static repo_verify_result_t verify(task_t *t, repo_t *r, bool drop, blocks_t *heal_from, seen_blocks_t *seen)
{
    repo_verify_result_t v;
    repo_verify_options_t o = {
        .drop = drop, .heal_from = heal_from, .heal_timeout_ms = 1000, .visit = see_block, .arg = seen};
    *seen = (seen_blocks_t){0};
    assert_ok(repo_verify(t, r, &o, &v));
    assert_int_equal(v.checked, seen->n);
    assert_memory_equal(v.of, seen->of, sizeof v.of);
    return v;
}

static void damage(task_t *t)
{
    sim_disk_corrupt(sim_host_of(t), REPO "/blocks/pack/00000001.seg", 5000, 1);
    sim_disk_corrupt(sim_host_of(t), REPO "/blocks/pack/00000001.seg", 105000, 1);
}

/* Found, told of, dropped; put again they are whole. */
static void verify_damaged(task_t *t, repo_t *r)
{
    seen_blocks_t seen;
    damage(t);
    repo_verify_result_t v = verify(t, r, false, NULL, &seen);
    assert_true(v.checked == 20 && v.of[VERIFY_CORRUPT] == 2 && seen.n_bad == 2);
    v = verify(t, r, true, NULL, &seen);
    assert_true(v.of[VERIFY_REMOVED] == 2 && v.of[VERIFY_SOUND] == 18);
    v = verify(t, r, true, NULL, &seen);
    assert_true(v.checked == 18 && v.of[VERIFY_SOUND] == 18);
    assert_ok(suite_put_range(t, repo_blockstore(r), 0, 20, 10000));
    assert_ok(suite_expect(t, repo_blockstore(r), 0, 10000));
}

static err_t stat_and_verify(task_t *t, void *arg)
{
    static const char *const profiles[] = {"test", "test,flatfs"};
    AUTO_PTR(private_key_t) key = fixed_key();
    for (size_t i = 0; i < ARRAY_LEN(profiles); i++) {
        repo_stat_t s;
        seen_blocks_t seen;
        assert_ok(repo_init(t, REPO, profiles[i], key));
        repo_t *r = open_repo(t);
        assert_ok(suite_put_range(t, repo_blockstore(r), 0, 20, 10000));
        assert_ok(repo_stat(t, r, &s));
        assert_int_equal(s.blocks, 20);
        assert_int_equal(s.block_bytes, 200000);
        assert_true(s.disk_bytes > 200000 && s.max_bytes == 10000000000);
        repo_verify_result_t v = verify(t, r, false, NULL, &seen);
        assert_true(v.checked == 20 && v.of[VERIFY_SOUND] == 20);
        if (i == 0)
            verify_damaged(t, r);
        repo_close(t, r);
        assert_ok(fs_remove_tree(t, REPO));
    }
    return OK;
}

static void test_stat_and_verify(void **state)
{
    assert_ok(test_run(stat_and_verify, NULL));
}

/* A source that has what it is told, and puts what it gives into the store, as an exchange does. */
typedef struct source {
    blocks_t base;
    repo_t *repo;
    cid_t missing;
} source_t;

static err_t source_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block)
{
    source_t *s = CONTAINER_OF(b, source_t, base);
    if (cid_same_multihash(cid, &s->missing)) {
        TRY(task_sleep(t, 3600000));
        return fail(ERR_NOT_FOUND, "nobody has it");
    }
    for (uint64_t i = 0; i < 20; i++) {
        block_t *block = suite_block(i, 10000);
        if (cid_same_multihash(cid, &block->cid)) {
            *ret_block = block;
            return blockstore_put(t, repo_blockstore(s->repo), block);
        }
        block_release(block);
    }
    return fail(ERR_NOT_FOUND, "nobody has it");
}

static const blocks_ops_t source_ops = {.get = source_get};

static err_t heals(task_t *t, void *arg)
{
    AUTO_PTR(private_key_t) key = fixed_key();
    seen_blocks_t seen;
    assert_ok(repo_init(t, REPO, "test", key));
    source_t source = {.base.ops = &source_ops, .repo = open_repo(t)};
    repo_t *r = source.repo;
    assert_ok(suite_put_range(t, repo_blockstore(r), 0, 20, 10000));
    damage(t);
    repo_verify_result_t v = verify(t, r, true, &source.base, &seen);
    assert_true(v.of[VERIFY_HEALED] == 2 && v.of[VERIFY_SOUND] == 18);
    v = verify(t, r, false, NULL, &seen);
    assert_true(v.checked == 20 && v.of[VERIFY_SOUND] == 20);
    /* The second time one of them cannot be had. */
    repo_close(t, r);
    r = source.repo = open_repo(t);
    AUTO_PTR(block_t) lost = suite_block(3, 10000);
    source.missing = lost->cid;
    sim_disk_corrupt(sim_host_of(t), REPO "/blocks/pack/00000001.seg", 35000, 1);
    v = verify(t, r, false, NULL, &seen);
    assert_true(v.of[VERIFY_CORRUPT] == 1 && cid_same_multihash(&seen.bad[0], &source.missing));
    v = verify(t, r, true, &source.base, &seen);
    assert_true(v.of[VERIFY_HEAL_FAILED] == 1 && v.of[VERIFY_SOUND] == 19);
    assert_false(blockstore_has(t, repo_blockstore(r), &source.missing));
    repo_close(t, r);
    return OK;
}

static void test_heals(void **state)
{
    assert_ok(test_run(heals, NULL));
}

static err_t fail_at_block(task_t *t, void *arg, const cid_t *cid, verify_outcome_t outcome, const char *why,
                           const char *why_not)
{
    return ++*(size_t *)arg == 5 ? fail(ERR_CLOSED, "the reader left") : OK;
}

/* Who looks on ends it, with more blocks than the queue holds. */
static err_t verify_ends(task_t *t, void *arg)
{
    AUTO_PTR(private_key_t) key = fixed_key();
    size_t n = 0;
    repo_verify_result_t v;
    repo_verify_options_t o = {.visit = fail_at_block, .arg = &n};
    assert_ok(repo_init(t, REPO, "test", key));
    repo_t *r = open_repo(t);
    assert_ok(suite_put_range(t, repo_blockstore(r), 0, 300, 100));
    assert_err(repo_verify(t, r, &o, &v), ERR_CLOSED);
    assert_true(n >= 5 && n < 20);
    repo_close(t, r);
    return OK;
}

static void test_verify_ends(void **state)
{
    assert_ok(test_run(verify_ends, NULL));
}

/* The repository's blocks_t, and imports: readable before they are durable, durable after the sync. */
static err_t blocks_and_imports(task_t *t, void *arg)
{
    AUTO_PTR(private_key_t) key = fixed_key();
    assert_ok(repo_init(t, REPO, "test", key));
    repo_t *r = open_repo(t);
    repo_import_t *import = repo_import_begin(r);
    for (uint64_t i = 0; i < 30; i++) {
        block_t *b = suite_block(i, 4000);
        AUTO_PTR(block_t) got = NULL;
        assert_ok(blocks_put_many(t, repo_import_blocks(import), &b, 1));
        assert_ok(blocks_get(t, repo_import_blocks(import), &b->cid, &got));
        assert_true(blocks_has(t, repo_import_blocks(import), &b->cid));
        block_release(b);
    }
    blocks_prefetch(t, repo_import_blocks(import), NULL, 0);
    assert_ok(repo_import_sync(t, import));
    assert_ok(blockstore_sync(t, repo_blockstore(r)));
    repo_import_end(import);
    repo_import_end(NULL);
    block_t *b = suite_block(100, 10);
    assert_ok(blocks_put_many(t, repo_blocks(r), &b, 1));
    assert_true(blocks_has(t, repo_blocks(r), &b->cid));
    block_release(b);
    blocks_prefetch(t, repo_blocks(r), NULL, 0);
    import = repo_import_begin(r); /* given up */
    b = suite_block(101, 10);
    assert_ok(blocks_put_many(t, repo_import_blocks(import), &b, 1));
    block_release(b);
    repo_import_end(import);
    repo_close(t, r);
    r = open_repo(t);
    for (uint64_t i = 0; i < 30; i++)
        assert_ok(suite_expect(t, repo_blockstore(r), i, 4000));
    repo_close(t, r);
    return OK;
}

static void test_blocks_and_imports(void **state)
{
    assert_ok(test_run(blocks_and_imports, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_path),
        cmocka_unit_test(test_init_and_open),
        cmocka_unit_test(test_leftovers),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_foreign_config),
        cmocka_unit_test(test_init_fails),
        cmocka_unit_test(test_open_fails),
        cmocka_unit_test(test_config_changes),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_stat_and_verify),
        cmocka_unit_test(test_heals),
        cmocka_unit_test(test_verify_ends),
        cmocka_unit_test(test_blocks_and_imports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

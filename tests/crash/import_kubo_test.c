/* Taking over a repository that Kubo made (tests/fixtures/kubo-repo), over the real driver and LevelDB. */
#include "loop/loop_testing.h"
#include "repo/import_kubo.h"
#include "repo/mfs.h"
#include "tests/crash/folder.h"

enum { BLOCKS = 22, PINS = 4 };
#define TREE "QmdQktZXnuMRFUcMjzT6nFECArAyabmaFvqiimRLVccMzG"
#define ONE_BLOCK "QmXyi4ndDeBTnN4kRmKFqM3y2A96Ca7EBAr8ge2d5V8EcQ"
#define SELF "12D3KooWDhEKE2vYt8MbqJJF8JkhAcUJhDYKC9Gxhuh6KSxzxJ7E"

typedef struct scene {
    char folder[FOLDER_MAX], kubo[FOLDER_MAX + 8], ours[FOLDER_MAX + 8];
    size_t told;
    char warning[ERROR_TEXT_MAX]; /* the last */
    import_kubo_options_t options;
    import_kubo_result_t result;
} scene_t;

static err_t see(task_t *t, void *arg, const import_kubo_result_t *so_far, const char *warning)
{
    scene_t *s = arg;
    s->told++;
    if (warning)
        snprintf(s->warning, sizeof s->warning, "%s", warning);
    return OK;
}

static void run_scene(task_fn fn)
{
    char command[3 * FOLDER_MAX];
    scene_t *s = calloc(1, sizeof *s);
    test_folder_make(s->folder);
    snprintf(s->kubo, sizeof s->kubo, "%s/kubo", s->folder);
    snprintf(s->ours, sizeof s->ours, "%s/ours", s->folder);
    snprintf(command, sizeof command, "cp -r '%s/tests/fixtures/kubo-repo' '%s'", getenv("TEST_ROOT"),
             s->kubo);
    assert_int_equal(system(command), 0);
    s->options = (import_kubo_options_t){.tell = see, .arg = s};
    run_on_driver(fn, s);
    test_folder_remove(s->folder);
    free(s);
}

static err_t import(task_t *t, scene_t *s, repo_t *r)
{
    AUTO_PTR(kubo_source_t) source = NULL;
    TRY(kubo_source_open(t, s->kubo, &source));
    return import_kubo(t, r, source, &s->options, &s->result);
}

static err_t open_new(task_t *t, scene_t *s, repo_t **ret)
{
    AUTO_PTR(kubo_source_t) source = NULL;
    TRY(kubo_source_open(t, s->kubo, &source));
    TRY(import_kubo_init(t, s->ours, source));
    CHECK_ERR(ERR_EXISTS, import_kubo_init(t, s->ours, source));
    return repo_open(t, s->ours, ret);
}

static err_t is_same_as_fixture(scene_t *s)
{
    char command[3 * FOLDER_MAX];
    snprintf(command, sizeof command, "diff -r '%s/tests/fixtures/kubo-repo' '%s'", getenv("TEST_ROOT"),
             s->kubo);
    CHECK(system(command) == 0);
    return OK;
}

static err_t check_pins(task_t *t, repo_t *r)
{
    cid_t cid;
    pin_t pin;
    uint64_t count;
    TRY(pins_count(t, repo_pins(r), &count));
    CHECK(count == PINS);
    TRY(cid_parse_str(TREE, &cid));
    TRY(pins_find(t, repo_pins(r), &cid, &pin));
    CHECK(pin.mode == PIN_RECURSIVE && !strcmp(pin.name, "the tree"));
    TRY(cid_parse_str(ONE_BLOCK, &cid));
    TRY(pins_find(t, repo_pins(r), &cid, &pin));
    CHECK(pin.mode == PIN_DIRECT && !strcmp(pin.name, "one block"));
    return OK;
}

static err_t check_all(task_t *t, scene_t *s, repo_t *r)
{
    repo_stat_t stat;
    char text[PEER_ID_TEXT_MAX];
    TRY(check_pins(t, r));
    TRY(repo_stat(t, r, &stat));
    CHECK(stat.blocks == BLOCKS && stat.max_bytes == 7000000000);
    CHECK(!strcmp(peer_id_print(repo_peer_id(r), text), SELF));
    CHECK(config_int(repo_config(r), "Swarm.ConnMgr.HighWater", 0) == 77);
    mfs_entry_t entry;
    TRY(mfs_lookup(t, repo_mfs(r), NULL, "/docs/x.txt", &entry));
    CHECK(keystore_has(t, repo_keystore(r), "mykey") && keystore_has(t, repo_keystore(r), "rsakey"));
    CHECK(kv_has(t, repo_state(r), "ipns", peer_id_bytes(repo_peer_id(r))));
    return is_same_as_fixture(s);
}

/* Into a new repository; again; and the pins keep their blocks from the collector. */
static err_t takes_all(task_t *t, void *arg)
{
    scene_t *s = arg;
    repo_t *r;
    gc_result_t collected;
    TRY(open_new(t, s, &r));
    TRY(import(t, s, r));
    CHECK(s->result.blocks == BLOCKS && s->result.pins == PINS && s->result.keys == 2 &&
          s->result.names == 2);
    CHECK(s->result.has_identity && s->result.settings > 5 && !s->result.warnings && s->told);
    TRY(check_all(t, s, r));
    TRY(repo_config_set(t, r, "Swarm.ConnMgr.HighWater", "78"));
    TRY(import(t, s, r));
    CHECK(!s->result.blocks && s->result.blocks_here == BLOCKS && s->result.pins_here == PINS &&
          !s->result.pins);
    CHECK(s->result.keys_here == 2 && !s->result.names && !s->result.settings && !s->result.warnings);
    CHECK(config_int(repo_config(r), "Swarm.ConnMgr.HighWater", 0) == 78);
    TRY(gc_run(t, repo_gc(r), NULL, NULL, &collected));
    CHECK(!collected.broken_pins && collected.removed_blocks > 0 && collected.removed_blocks < BLOCKS / 2);
    repo_close(t, r);
    return OK;
}

static void test_takes_all(void **state)
{
    run_scene(takes_all);
}

/* What is ours stays: identity, settings, a key of the same name, a pin with another name. */
static err_t keeps_ours(task_t *t, void *arg)
{
    scene_t *s = arg;
    repo_t *r;
    cid_t cid;
    pin_t pin;
    AUTO_PTR(private_key_t) key = NULL;
    TRY(private_key_generate(KEY_ED25519, NULL, 0, &key));
    TRY(repo_init(t, s->ours, "test", NULL));
    TRY(repo_open(t, s->ours, &r));
    peer_id_t self = *repo_peer_id(r);
    TRY(keystore_put(t, repo_keystore(r), "mykey", key));
    TRY(cid_parse_str(TREE, &cid));
    TRY(pins_add_present(t, repo_pins(r), &cid, PIN_RECURSIVE, "our name"));
    TRY(import(t, s, r));
    CHECK(s->result.warnings == 1 && strstr(s->warning, "mykey") && s->result.keys == 1);
    CHECK(!s->result.has_identity && !s->result.settings && !s->result.names);
    CHECK(s->result.pins == PINS - 1 && s->result.pins_here == 1);
    TRY(pins_find(t, repo_pins(r), &cid, &pin));
    CHECK(!strcmp(pin.name, "our name"));
    s->options.takes_identity = s->options.takes_settings = true;
    TRY(import(t, s, r));
    CHECK(s->result.has_identity && s->result.names == 1 && peer_id_equal(repo_peer_id(r), &self));
    repo_close(t, r);
    TRY(repo_open(t, s->ours, &r));
    CHECK(!peer_id_equal(repo_peer_id(r), &self));
    CHECK(config_int(repo_config(r), "Swarm.ConnMgr.HighWater", 0) == 77);
    repo_close(t, r);
    return is_same_as_fixture(s);
}

static void test_keeps_ours(void **state)
{
    run_scene(keeps_ours);
}

/* Our tree of files stays, and Kubo's stands in it, once. */
static err_t keeps_files(task_t *t, void *arg)
{
    scene_t *s = arg;
    repo_t *r;
    mfs_entry_t entry;
    mfs_mkdir_options_t mkdir = {.flush = true};
    TRY(repo_init(t, s->ours, "test", NULL));
    TRY(repo_open(t, s->ours, &r));
    TRY(mfs_mkdir(t, repo_mfs(r), NULL, "/ours", mkdir));
    TRY(mfs_mkdir(t, repo_mfs(r), NULL, "/kubo", mkdir));
    for (int i = 0; i < 2; i++) {
        TRY(import(t, s, r));
        CHECK(s->result.has_files && !s->result.warnings);
    }
    TRY(mfs_lookup(t, repo_mfs(r), NULL, "/ours", &entry));
    TRY(mfs_lookup(t, repo_mfs(r), NULL, "/kubo-2/docs/x.txt", &entry));
    CHECK(!entry.is_dir);
    CHECK_ERR(ERR_NOT_FOUND, mfs_lookup(t, repo_mfs(r), NULL, "/kubo-3", &entry));
    repo_close(t, r);
    return OK;
}

static void test_keeps_files(void **state)
{
    run_scene(keeps_files);
}

static err_t write_kubo(task_t *t, scene_t *s, const char *name, bytes_t content)
{
    char file[2 * FOLDER_MAX];
    snprintf(file, sizeof file, "%s/%s", s->kubo, name);
    return fs_write_file(t, file, 0644, content);
}

/* A damaged block and a key that is none are told of, and the rest is taken. */
static err_t tells_damage(task_t *t, void *arg)
{
    scene_t *s = arg;
    repo_t *r;
    TRY(write_kubo(t, s, "blocks/Z2/CIQD3O3FZDSGLEJELNO6PWS3EXZV6A24562XMXAASZN7ISK6ZG6IZ2I.data",
                   BYTES_LIT("no")));
    TRY(write_kubo(t, s, "blocks/Z2/put-123", BYTES_LIT("left behind")));
    TRY(write_kubo(t, s, "keystore/key_ojzwc23fpe", BYTES_LIT("no key")));
    TRY(open_new(t, s, &r));
    TRY(import(t, s, r));
    CHECK(s->result.blocks == BLOCKS - 1 && s->result.blocks_bad == 1 && s->result.warnings == 2);
    CHECK(s->result.pins == PINS && s->result.keys == 1);
    repo_close(t, r);
    return OK;
}

static void test_tells_damage(void **state)
{
    run_scene(tells_damage);
}

static err_t refuse(task_t *t, scene_t *s, const char *name, const char *content, err_t expected,
                    const char *text)
{
    AUTO_PTR(kubo_source_t) source = NULL;
    char file[2 * FOLDER_MAX];
    AUTO(buf_t) old = {0};
    buf_init(&old, 64 << 10);
    snprintf(file, sizeof file, "%s/%s", s->kubo, name);
    TRY(fs_read_file(t, file, 64 << 10, &old));
    TRY(fs_write_file(t, file, 0644, bytes_str(content)));
    CHECK_ERR(expected, kubo_source_open(t, s->kubo, &source));
    CHECK(strstr(error_text(expected), text));
    return fs_write_file(t, file, 0644, buf_bytes(&old));
}

static err_t refuses(task_t *t, void *arg)
{
    scene_t *s = arg;
    AUTO_PTR(kubo_source_t) source = NULL;
    CHECK_ERR(ERR_NOT_FOUND, kubo_source_open(t, s->folder, &source));
    TRY(refuse(t, s, "version", "10", ERR_UNSUPPORTED, "repo migrate"));
    TRY(refuse(t, s, "version", "19\n", ERR_UNSUPPORTED, "newest that is known"));
    TRY(refuse(t, s, "version", "18x", ERR_NOT_FOUND, "its version is"));
    TRY(refuse(t, s, "version", "distribute-1\n", ERR_NOT_FOUND, "of this program"));
    TRY(refuse(t, s, "datastore_spec", "{\"type\":\"s3ds\",\"bucket\":\"x\"}", ERR_UNSUPPORTED, "type s3ds"));
    TRY(refuse(t, s, "datastore_spec", "{\"type\":\"flatfs\",\"path\":\"blocks\"}", ERR_UNSUPPORTED,
               "for something else than blocks"));
    TRY(refuse(t, s, "datastore_spec",
               "{\"type\":\"mount\",\"mounts\":[{\"mountpoint\":\"/"
               "blocks\",\"type\":\"flatfs\",\"path\":\"blocks\"},"
               "{\"mountpoint\":\"/\",\"type\":\"s3ds\"}]}",
               ERR_UNSUPPORTED, "s3ds"));
    TRY(refuse(t, s, "datastore_spec", "{\"type\":\"levelds\"}", ERR_CORRUPT, "no usable path"));
    TRY(refuse(t, s, "datastore_spec", "{\"type\":\"mount\",\"mounts\":[{\"type\":\"mem\"}]}", ERR_CORRUPT,
               "without a mountpoint"));
    TRY(refuse(
        t, s, "datastore_spec",
        "{\"type\":\"mount\",\"mounts\":[{\"mountpoint\":\"/x\",\"type\":\"levelds\",\"path\":\"x\"}]}",
        ERR_CORRUPT, "keeps blocks"));
    TRY(refuse(t, s, "datastore_spec", "{\"type\":\"mem\"}", ERR_CORRUPT, "keeps blocks"));
    TRY(refuse(t, s, "datastore_spec", "[]", ERR_CORRUPT, "without a type"));
    TRY(refuse(t, s, "datastore_spec", "nonsense", ERR_CORRUPT, "not JSON"));
    TRY(refuse(t, s, "config", "{}", ERR_CORRUPT, "Identity"));
    TRY(write_kubo(
        t, s, "datastore_spec",
        BYTES_LIT(
            "{\"type\":\"mount\",\"mounts\":[{\"mountpoint\":\"/blocks\",\"type\":\"measure\",\"child\":"
            "{\"type\":\"flatfs\",\"path\":\"blocks\"}},{\"mountpoint\":\"/\",\"child\":"
            "{\"type\":\"levelds\",\"path\":\"datastore\"}}]}")));
    return kubo_source_open(t, s->kubo, &source);
}

static void test_refuses(void **state)
{
    run_scene(refuses);
}

/* The datastore is opened first: damage to it is known before any block is copied. */
static err_t broken_state(task_t *t, void *arg)
{
    scene_t *s = arg;
    repo_t *r;
    repo_stat_t stat;
    file_info_t info;
    char copy[2 * FOLDER_MAX];
    TRY(write_kubo(t, s, "datastore/MANIFEST-000041", BYTES_LIT("nonsense that is long enough to be read")));
    TRY(open_new(t, s, &r));
    CHECK_ERR(ERR_CORRUPT, import(t, s, r));
    TRY(repo_stat(t, r, &stat));
    CHECK(!stat.blocks);
    snprintf(copy, sizeof copy, "%s/import-kubo.tmp", s->ours);
    CHECK_ERR(ERR_NOT_FOUND, fs_stat(t, copy, false, &info));
    repo_close(t, r);
    return OK;
}

static void test_broken_state(void **state)
{
    run_scene(broken_state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_all),   cmocka_unit_test(test_keeps_ours),
        cmocka_unit_test(test_keeps_files), cmocka_unit_test(test_tells_damage),
        cmocka_unit_test(test_refuses),     cmocka_unit_test(test_broken_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/support/vault.h"
#include "vault/key_file.h"

static vault_keys_t *keys_with(size_t n)
{
    uint8_t secrets[VAULT_EPOCHS_MAX * 32];
    vault_keys_t *k;
    for (size_t i = 0; i < n * 32; i++)
        secrets[i] = (uint8_t)(i * 7 + i / 32);
    assert_ok(vault_keys_new(secrets, n, &k));
    return k;
}

static void test_words(void **state)
{
    static const size_t counts[] = {1, 2, 3, VAULT_EPOCHS_MAX};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        AUTO_PTR(vault_keys_t) k = keys_with(counts[i]);
        AUTO_PTR(vault_keys_t) back = NULL;
        AUTO_PTR(vault_keys_t) none = NULL;
        AUTO(buf_t) words;
        buf_init(&words, KEY_WORDS_MAX_BYTES);
        assert_ok(key_words_encode(k, &words));
        assert_ok(key_words_decode(buf_bytes(&words), &back));
        assert_bytes(vault_keys_secrets(back), vault_keys_secrets(k));
        assert_true(owner_key_equal(&back->owner, &k->owner));
        /* one word less, one more */
        size_t last = words.len;
        while (words.data[--last] != ' ')
            ;
        assert_err(key_words_decode(bytes_of(words.data, last), &none), ERR_INVALID);
        assert_ok(buf_append(&words, BYTES_LIT(" zoo")));
        assert_err(key_words_decode(buf_bytes(&words), &none), ERR_INVALID);
    }
}

static void test_wrong_words(void **state)
{
    static const char zeros[] =
        "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon "
        "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon "
        "abandon art"; /* a vector of BIP-39 itself */
    static const uint8_t nothing[32];
    AUTO_PTR(vault_keys_t) k = NULL;
    AUTO(buf_t) text;
    buf_init(&text, KEY_WORDS_MAX_BYTES);
    assert_ok(key_words_decode(bytes_str(zeros), &k));
    assert_bytes(vault_keys_secrets(k), bytes_of(nothing, 32));
    vault_keys_free(k);
    k = NULL;
    /* in any case, over lines */
    assert_ok(buf_printf(&text, " \n\tABANDON\n%s \n", zeros + strlen("abandon ")));
    assert_ok(key_words_decode(buf_bytes(&text), &k));
    vault_keys_free(k);
    k = NULL;
    static const char *const wrong[] = {"",         "zoo", "abandon abandon", "antidisestablishmentarianism",
                                        "abandonn", "1 2"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_err(key_words_decode(bytes_str(wrong[i]), &k), ERR_INVALID);
    /* a wrong check */
    buf_clear(&text);
    assert_ok(buf_printf(&text, "%.*szoo", (int)(strlen(zeros) - 3), zeros));
    assert_err(key_words_decode(buf_bytes(&text), &k), ERR_INVALID);
    /* two secrets in the other order: each check is right, the last one is not */
    AUTO_PTR(vault_keys_t) two = keys_with(2);
    AUTO(buf_t) words, swapped;
    buf_init(&words, KEY_WORDS_MAX_BYTES);
    buf_init(&swapped, KEY_WORDS_MAX_BYTES);
    assert_ok(key_words_encode(two, &words));
    const char *at = (const char *)words.data, *ends[3];
    for (size_t i = 0, n = 0; i < words.len && n < 2; i++)
        if (at[i] == ' ') {
            static size_t spaces;
            if (++spaces % 24 == 0)
                ends[n++] = at + i;
        }
    ends[2] = at + words.len;
    assert_ok(buf_printf(&swapped, "%.*s %.*s %.*s", (int)(ends[1] - ends[0] - 1), ends[0] + 1,
                         (int)(ends[0] - at), at, (int)(ends[2] - ends[1] - 1), ends[1] + 1));
    assert_int_equal(swapped.len, words.len);
    assert_err(key_words_decode(buf_bytes(&swapped), &k), ERR_INVALID);
}

/* Any flipped bit of a key file is found. */
static void test_damaged_file(void **state)
{
    AUTO_PTR(vault_keys_t) k = keys_with(2);
    AUTO(buf_t) file;
    buf_init(&file, KEY_FILE_MAX_BYTES);
    assert_ok(key_file_encode(k, BYTES_NONE, &file));
    for (size_t bit = 0; bit < file.len * 8; bit++) {
        vault_keys_t *none = NULL;
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        err_t e = key_file_decode(buf_bytes(&file), BYTES_NONE, &none);
        assert_true(e == ERR_INVALID || e == ERR_CORRUPT || e == ERR_EOF || e == ERR_UNSUPPORTED ||
                    e == ERR_LIMIT || e == ERR_UNAUTHORIZED);
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void expect_readable(world_t *w, const vault_stored_t *s, uint8_t seed)
{
    vault_file_t *f;
    assert_ok(vault_open(w->t, w->v, w->blocks, name_of(&s->manifest), &f));
    expect_content(w, f, seed, 0, s->size_bytes);
    vault_close(w->t, f);
}

static err_t life(task_t *t, void *arg)
{
    world_t w;
    vault_key_info_t info;
    file_info_t stat;
    bool is_new;
    uint32_t epochs;
    world_init(t, &w);
    assert_ok(vault_key_info(t, w.v, &info));
    assert_true(!info.exists && !info.is_unlocked && !info.epochs);
    assert_ok(vault_key_ensure(t, w.v, &is_new));
    assert_true(is_new);
    assert_ok(vault_key_ensure(t, w.v, &is_new));
    assert_false(is_new);
    assert_ok(fs_stat(t, KEY_PATH, false, &stat));
    assert_int_equal(stat.mode & 0777, 0600);
    vault_stored_t old = store_file(&w, "old", 1000, 1);
    assert_ok(vault_key_rotate(t, w.v, BYTES_NONE, &epochs));
    assert_int_equal(epochs, 2);
    vault_stored_t new = store_file(&w, "new", 1000, 1);
    assert_false(cid_equal(&old.manifest, &new.manifest));
    expect_readable(&w, &old, 1);
    expect_readable(&w, &new, 1);
    /* a passphrase, in this run and in the next */
    assert_ok(vault_key_set_passphrase(t, w.v, BYTES_LIT("swordfish")));
    expect_readable(&w, &new, 1);
    vault_lock(w.v);
    vault_file_t *f;
    uint8_t none[1];
    assert_err(vault_open(t, w.v, w.blocks, name_of(&new.manifest), &f), ERR_UNAUTHORIZED);
    assert_err(vault_key_rotate(t, w.v, BYTES_NONE, &epochs), ERR_UNAUTHORIZED);
    assert_err(vault_key_rotate(t, w.v, BYTES_LIT("wrong"), &epochs), ERR_UNAUTHORIZED);
    assert_err(vault_unlock(t, w.v, BYTES_LIT("wrong")), ERR_UNAUTHORIZED);
    assert_err(vault_unlock(t, w.v, bytes_of(none, 0)), ERR_UNAUTHORIZED);
    assert_ok(vault_key_info(t, w.v, &info));
    assert_true(info.exists && info.has_passphrase && !info.is_unlocked);
    assert_ok(vault_unlock(t, w.v, BYTES_LIT("swordfish")));
    assert_ok(vault_key_rotate(t, w.v, BYTES_LIT("swordfish"), &epochs));
    assert_int_equal(epochs, 3);
    expect_readable(&w, &old, 1);
    vault_free(w.v);
    w.v = vault_new(KEY_PATH, w.state);
    assert_ok(vault_unlock(t, w.v, BYTES_LIT("swordfish")));
    assert_ok(vault_key_info(t, w.v, &info));
    assert_true(info.is_unlocked && info.epochs == 3);
    expect_readable(&w, &old, 1);
    assert_ok(vault_key_set_passphrase(t, w.v, BYTES_NONE));
    vault_lock(w.v);
    expect_readable(&w, &new, 1);
    world_deinit(&w);
    return OK;
}

static err_t rotate_task(task_t *t, void *arg)
{
    uint32_t epochs;
    return vault_key_rotate(t, ((world_t *)arg)->v, BYTES_NONE, &epochs);
}

static err_t passphrase_task(task_t *t, void *arg)
{
    return vault_key_set_passphrase(t, ((world_t *)arg)->v, BYTES_NONE);
}

/* Changes at once: none writes keys that another has replaced meanwhile. */
static err_t change_at_once(task_t *t, void *arg)
{
    (void)arg;
    world_t w;
    vault_key_info_t info;
    group_t g;
    world_init(t, &w);
    assert_ok(vault_key_ensure(t, w.v, NULL));
    group_init(&g, task_sched(t));
    assert_ok(group_spawn(&g, "rotate", rotate_task, &w, NULL));
    assert_ok(group_spawn(&g, "set a passphrase", passphrase_task, &w, NULL));
    assert_ok(group_spawn(&g, "rotate again", rotate_task, &w, NULL));
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    vault_lock(w.v);
    assert_ok(vault_key_info(t, w.v, &info));
    assert_int_equal(info.epochs, 3);
    world_deinit(&w);
    return OK;
}

static void test_change_at_once(void **state)
{
    (void)state;
    assert_ok(test_run(change_at_once, NULL));
}

static void flip_in_file(task_t *t, const char *path, size_t at)
{
    AUTO(buf_t) file;
    buf_init(&file, KEY_FILE_MAX_BYTES);
    assert_ok(fs_read_file(t, path, KEY_FILE_MAX_BYTES, &file));
    file.data[at] ^= 1;
    assert_ok(fs_write_file(t, path, 0600, buf_bytes(&file)));
}

static err_t exports(task_t *t, void *arg)
{
    world_t w;
    AUTO(buf_t) words, file, plain;
    uint32_t epochs;
    buf_init(&words, KEY_WORDS_MAX_BYTES);
    buf_init(&file, KEY_FILE_MAX_BYTES);
    buf_init(&plain, KEY_FILE_MAX_BYTES);
    world_init(t, &w);
    assert_err(vault_key_export_words(t, w.v, &words), ERR_NOT_FOUND);
    vault_stored_t s = store_file(&w, "f", 500, 4);
    assert_ok(vault_key_rotate(t, w.v, BYTES_NONE, &epochs));
    vault_stored_t later = store_file(&w, "g", 500, 4);
    assert_ok(vault_key_export_words(t, w.v, &words));
    assert_ok(vault_key_export_file(t, w.v, BYTES_LIT("pass"), &file));
    assert_ok(vault_key_export_file(t, w.v, BYTES_NONE, &plain));
    /* another machine, with a key of its own */
    vault_free(w.v);
    w.v = vault_new("/tmp/elsewhere.key", w.state);
    store_file(&w, "mine", 1, 1);
    vault_file_t *f;
    assert_err(vault_open(t, w.v, w.blocks, name_of(&s.manifest), &f), ERR_DENIED);
    assert_err(vault_key_import(t, w.v, buf_bytes(&words), BYTES_NONE, BYTES_NONE, false), ERR_EXISTS);
    assert_ok(vault_key_import(t, w.v, buf_bytes(&words), BYTES_NONE, BYTES_NONE, true));
    expect_readable(&w, &s, 4);
    expect_readable(&w, &later, 4);
    file_info_t stat;
    assert_ok(fs_stat(t, "/tmp/elsewhere.key.old-1", false, &stat));
    assert_err(vault_key_import(t, w.v, buf_bytes(&file), BYTES_NONE, BYTES_NONE, true), ERR_UNAUTHORIZED);
    assert_err(vault_key_import(t, w.v, buf_bytes(&file), BYTES_LIT("no"), BYTES_NONE, true),
               ERR_UNAUTHORIZED);
    assert_ok(vault_key_import(t, w.v, buf_bytes(&file), BYTES_LIT("pass"), BYTES_LIT("new"), true));
    vault_lock(w.v);
    assert_ok(vault_unlock(t, w.v, BYTES_LIT("new")));
    expect_readable(&w, &later, 4);
    assert_ok(vault_key_import(t, w.v, buf_bytes(&plain), BYTES_NONE, BYTES_NONE, true));
    expect_readable(&w, &later, 4);
    assert_ok(fs_stat(t, "/tmp/elsewhere.key.old-3", false, &stat));
    assert_err(vault_key_import(t, w.v, BYTES_LIT("rubbish"), BYTES_NONE, BYTES_NONE, true), ERR_INVALID);
    vault_lock(w.v);
    expect_readable(&w, &later, 4); /* what failed changed nothing */
    /* damage, and a mode that lets others read */
    vault_lock(w.v);
    flip_in_file(t, "/tmp/elsewhere.key", 30);
    assert_err(vault_open(t, w.v, w.blocks, name_of(&s.manifest), &f), ERR_CORRUPT);
    assert_ok(fs_write_file(t, "/tmp/elsewhere.key", 0644, buf_bytes(&plain)));
    assert_err(vault_open(t, w.v, w.blocks, name_of(&s.manifest), &f), ERR_DENIED);
    world_deinit(&w);
    return OK;
}

static void test_life(void **state)
{
    assert_ok(test_run(life, NULL));
}

static void test_exports(void **state)
{
    assert_ok(test_run(exports, NULL));
}

static void test_limits(void **state)
{
    vault_keys_t *none = NULL;
    assert_err(vault_keys_new(NULL, 0, &none), ERR_INVALID);
    AUTO_PTR(vault_keys_t) most = keys_with(VAULT_EPOCHS_MAX);
    assert_err(vault_keys_rotated(most, &none), ERR_LIMIT);
    vault_keys_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),          cmocka_unit_test(test_wrong_words),
        cmocka_unit_test(test_damaged_file),   cmocka_unit_test(test_life),
        cmocka_unit_test(test_exports),        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_change_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

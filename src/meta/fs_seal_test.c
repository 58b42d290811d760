/* Chunks of the file service's client: sealed and opened, and keys that no restore of the metadata repeats.
 */
#include "crypto/aead.h"
#include "meta/fs_internal.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

static const uint8_t file_key[FS_KEY_BYTES] = {7, 7, 7};
static const char file_id[] = "00112233445566778899aabbccddeeff";
static const char upload_1[] = "11111111111111111111111111111111",
                  upload_2[] = "22222222222222222222222222222222";
enum { LEN = 64 };

static void seal_text(task_t *t, const char *upload, uint32_t seq, uint64_t index, char letter, buf_t *sealed,
                      chunk_id_t *ret_id)
{
    AUTO(buf_t) plain = {0};
    buf_init(&plain, LEN);
    assert_ok(buf_reserve(&plain, LEN));
    memset(plain.data, letter, LEN);
    plain.len = LEN;
    fs_seal_t s = {.key = file_key, .file_id = file_id, .plain = &plain, .sealed = sealed};
    assert_ok(fs_head(upload, seq, index, s.head));
    assert_ok(fs_seal_chunk(t, &s));
    assert_int_equal(sealed->len, LEN + FS_CHUNK_OVERHEAD);
    *ret_id = s.id;
}

static err_t open_bytes(task_t *t, buf_t *sealed, bool is_old_form, buf_t *plain)
{
    fs_seal_t s = {.key = file_key,
                   .file_id = file_id,
                   .is_old_form = is_old_form,
                   .plain = plain,
                   .sealed = sealed,
                   .id = chunk_id_of(buf_bytes(sealed))};
    return fs_open_chunk(t, &s);
}

static bool same_stream(const buf_t *a, const buf_t *b, char x, char y)
{
    for (size_t i = FS_HEAD_BYTES; i < FS_HEAD_BYTES + LEN; i++)
        if ((a->data[i] ^ b->data[i]) != (x ^ y))
            return false;
    return true;
}

static err_t seal_twice(task_t *t, void *arg)
{
    AUTO(buf_t) one = {0}, again = {0}, restored = {0}, plain = {0};
    chunk_id_t id_1, id_again, id_restored;
    buf_init(&one, FS_STORED_MAX);
    buf_init(&again, FS_STORED_MAX);
    buf_init(&restored, FS_STORED_MAX);
    buf_init(&plain, FS_STORED_MAX);
    seal_text(t, upload_1, 5, 9, 'a', &one, &id_1);
    seal_text(t, upload_1, 5, 9, 'a', &again, &id_again);
    assert_memory_equal(&id_1, &id_again, sizeof id_1); /* so that an interrupted upload can go on */
    /* The service was set back, and counts the file's uploads anew: another upload with the same number. */
    seal_text(t, upload_2, 5, 9, 'b', &restored, &id_restored);
    assert_false(same_stream(&one, &restored, 'a', 'b'));
    seal_text(t, upload_1, 5, 9, 'b', &again, &id_again);
    assert_true(same_stream(&one, &again, 'a', 'b')); /* what it would be under one key */
    assert_ok(open_bytes(t, &one, false, &plain));
    assert_int_equal(plain.len, LEN);
    assert_int_equal(plain.data[LEN - 1], 'a');
    assert_ok(open_bytes(t, &restored, false, &plain));
    assert_int_equal(plain.data[0], 'b');
    return OK;
}

static void uploads_have_keys_of_their_own(void **state)
{
    assert_ok(test_run(seal_twice, NULL));
}

static err_t open_changed(task_t *t, void *arg)
{
    AUTO(buf_t) sealed = {0}, plain = {0};
    chunk_id_t id;
    buf_init(&sealed, FS_STORED_MAX);
    buf_init(&plain, FS_STORED_MAX);
    for (size_t at = 0; at < LEN + FS_CHUNK_OVERHEAD; at++) {
        seal_text(t, upload_1, 1, 0, 'a', &sealed, &id);
        sealed.data[at] ^= 1;
        assert_err(open_bytes(t, &sealed, false, &plain), ERR_CRYPTO);
        fs_seal_t s = {.key = file_key, .file_id = file_id, .plain = &plain, .sealed = &sealed, .id = id};
        assert_err(fs_open_chunk(t, &s), ERR_CORRUPT);
    }
    sealed.len = FS_CHUNK_OVERHEAD - 1;
    assert_err(open_bytes(t, &sealed, false, &plain), ERR_CORRUPT);
    uint8_t head[FS_HEAD_BYTES];
    assert_err(fs_head("1234", 1, 0, head), ERR_INVALID);
    return OK;
}

static void changed_chunks_do_not_open(void **state)
{
    assert_ok(test_run(open_changed, NULL));
}

/* Chunks from before uploads had keys of their own: nonce, ciphertext, tag under the file's key. */
static err_t open_old(task_t *t, void *arg)
{
    AUTO(buf_t) sealed = {0}, plain = {0};
    aead_t *a;
    uint8_t text[LEN] = {1, 2, 3};
    buf_init(&sealed, FS_STORED_MAX);
    buf_init(&plain, FS_STORED_MAX);
    assert_ok(buf_reserve(&sealed, LEN + FS_CHUNK_OVERHEAD_OLD));
    memset(sealed.data, 4, FS_NONCE_BYTES);
    assert_ok(aead_new(AEAD_AES_256_GCM, file_key, &a));
    assert_ok(
        aead_seal(a, sealed.data, bytes_str(file_id), bytes_of(text, LEN), sealed.data + FS_NONCE_BYTES));
    aead_free(a);
    sealed.len = LEN + FS_CHUNK_OVERHEAD_OLD;
    assert_ok(open_bytes(t, &sealed, true, &plain));
    assert_int_equal(plain.len, LEN);
    assert_memory_equal(plain.data, text, LEN);
    assert_err(open_bytes(t, &sealed, false, &plain), ERR_CRYPTO);
    return OK;
}

static void older_chunks_can_be_read(void **state)
{
    assert_ok(test_run(open_old, NULL));
}

static size_t reopened(task_t *t, const char *content, size_t len)
{
    AUTO_PTR(json_t) lines = NULL;
    fs_resume_t r;
    file_t *f;
    bytes_t data = bytes_of(content, len);
    assert_ok(fs_resume_open(t, "/state", "key", &r, &lines));
    assert_ok(file_open(t, r.path, FILE_WRITE | FILE_TRUNCATE, 0600, &f));
    assert_ok(file_write_at(t, f, &data, 1, 0));
    file_close(f);
    fs_resume_close(t, &r, false);
    json_decref(lines);
    lines = NULL;
    assert_ok(fs_resume_open(t, "/state", "key", &r, &lines));
    size_t n = json_array_size(lines);
    assert_true(n || !r.end);
    fs_resume_close(t, &r, false);
    return n;
}

/* Notes are written side by side: one that is missing before others may have been of a chunk that was sent.
 */
static err_t resume(task_t *t, void *arg)
{
    static const char cut[] = "{\"upload_id\":\"1\"}\n{\"chunk\":0}\n{\"chu",
                      hole[] = "{\"upload_id\":\"1\"}\n\0\0\0\0\0{\"chunk\":1}\n{\"chunk\":2}\n";
    assert_int_equal(reopened(t, cut, sizeof cut - 1), 2);
    assert_int_equal(reopened(t, hole, sizeof hole - 1), 0);
    return OK;
}

static void uploads_with_lost_notes_begin_anew(void **state)
{
    assert_ok(test_run(resume, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uploads_have_keys_of_their_own),
        cmocka_unit_test(changed_chunks_do_not_open),
        cmocka_unit_test(older_chunks_can_be_read),
        cmocka_unit_test(uploads_with_lost_notes_begin_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

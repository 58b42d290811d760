/* What Python computed from decision 031 alone (tests/vectors/vault/make.py): the same bytes here, both ways.
 */
#include "codec/receipt.h"
#include "tests/support/inputs.h"
#include "tests/support/tsv.h"
#include "tests/support/vault.h"
#include "vault/key_file.h"

/* Salts and keys of files come from the row, one after the other. */
static uint8_t randoms[64];
static size_t randoms_at;
static void give_randoms(void *arg, uint8_t *out, size_t len)
{
    assert_true(randoms_at + len <= sizeof randoms);
    memcpy(out, randoms + randoms_at, len);
    randoms_at += len;
}

static void get_hex(tsv_t *rows, const char *column, uint8_t *out, size_t len)
{
    AUTO(buf_t) bytes;
    buf_init(&bytes, 1 << 16);
    tsv_hex(rows, column, &bytes);
    assert_int_equal(bytes.len, len);
    memcpy(out, bytes.data, len);
}

static err_t read_input(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    *ret_n = inputs_read(arg, out, cap);
    return OK;
}

static void expect_cid(tsv_t *rows, const char *column, const cid_t *got)
{
    AUTO(buf_t) want;
    uint8_t binary[CID_BINARY_MAX];
    buf_init(&want, 100);
    tsv_hex(rows, column, &want);
    assert_bytes(bytes_of(binary, cid_encode(got, binary)), buf_bytes(&want));
}

static vault_keys_t *keys_of(tsv_t *rows)
{
    AUTO(buf_t) secrets;
    vault_keys_t *keys;
    buf_init(&secrets, 1 << 16);
    tsv_hex(rows, "secrets", &secrets);
    assert_ok(vault_keys_new(secrets.data, secrets.len / 32, &keys));
    return keys;
}

static void expect_manifest(world_t *w, tsv_t *rows, const cid_t *cid)
{
    AUTO_PTR(block_t) block = NULL;
    AUTO(buf_t) want;
    manifest_t m;
    buf_init(&want, 1 << 16);
    tsv_hex(rows, "manifest", &want);
    assert_ok(vault_get_manifest(w->t, w->blocks, cid, &block, &m));
    if (want.len)
        assert_bytes(block_bytes(block), buf_bytes(&want));
    if (*tsv_get(rows, "first_chunk") && manifest_link(&m, 0).codec == CODEC_RAW) {
        cid_t first = manifest_link(&m, 0), last = manifest_link(&m, m.n_links - 1);
        expect_cid(rows, "first_chunk", &first);
        expect_cid(rows, "last_chunk", &last);
    }
}

static void expect_input(world_t *w, tsv_t *rows, const cid_t *cid)
{
    inputs_t *in = inputs_open(tsv_get(rows, "content"));
    uint8_t *want = xmalloc(VAULT_CHUNK_BYTES);
    vault_file_t *f;
    assert_ok(vault_open(w->t, w->v, w->blocks, name_of(cid), &f));
    assert_string_equal(vault_file_info(f)->name, tsv_get(rows, "name"));
    assert_string_equal(vault_file_info(f)->type, tsv_get(rows, "type"));
    for (bytes_t piece = {NULL, 1}; piece.len;) {
        assert_ok(vault_read(w->t, f, &piece));
        for (size_t n = 0; n < piece.len;)
            n += inputs_read(in, want + n, piece.len - n);
        assert_true(!piece.len || !memcmp(piece.data, want, piece.len));
    }
    assert_int_equal(inputs_read(in, want, 1), 0);
    vault_close(w->t, f);
    inputs_close(in);
    free(want);
}

static void run_row(task_t *t, tsv_t *rows)
{
    world_t w;
    world_init(t, &w);
    w.v->keys = keys_of(rows);
    get_hex(rows, "salt", randoms, 32);
    get_hex(rows, "file_key", randoms + 32, 32);
    randoms_at = 0;
    const char *mode = tsv_get(rows, "mode"), *mtime = tsv_get(rows, "mtime");
    vault_meta_t meta = {.type = bytes_str(tsv_get(rows, "type")),
                         .has_mode = *mode,
                         .mode = (uint32_t)strtoul(mode, NULL, 10),
                         .has_mtime = *mtime,
                         .mtime_s = strtoll(mtime, NULL, 10)};
    inputs_t *in = inputs_open(tsv_get(rows, "content"));
    vault_store_t *s;
    vault_stored_t stored;
    assert_ok(vault_store_begin(t, w.v, w.blocks, NULL, NULL, &s));
    crypto_set_random(give_randoms, NULL);
    assert_ok(vault_store_file(t, s, tsv_get(rows, "name"), &meta, (source_t){read_input, in}));
    crypto_set_random(NULL, NULL);
    assert_ok(vault_store_finish(t, s, &stored));
    vault_store_free(t, s);
    inputs_close(in);
    expect_cid(rows, "cid", &stored.manifest);
    expect_manifest(&w, rows, &stored.manifest);
    expect_input(&w, rows, &stored.manifest);
    world_deinit(&w);
}

static err_t files(task_t *t, void *arg)
{
    tsv_t *rows = tsv_open("vault/files.tsv");
    while (tsv_next(rows))
        run_row(t, rows);
    assert_true(tsv_row(rows) >= 9);
    tsv_close(rows);
    return OK;
}

static void test_files(void **state)
{
    assert_ok(test_run(files, NULL));
}

static void test_records(void **state)
{
    tsv_t *rows = tsv_open("vault/records.tsv");
    AUTO(buf_t) record;
    buf_init(&record, RECEIPT_MAX_BYTES);
    while (tsv_next(rows)) {
        uint8_t owner[32], want[32], key[32];
        tombstone_t ts;
        receipt_t r;
        tsv_hex(rows, "record", &record);
        get_hex(rows, "owner", owner, 32);
        if (!strcmp(tsv_get(rows, "what"), "tombstone")) {
            assert_ok(tombstone_open(buf_bytes(&record), &ts));
            expect_cid(rows, "manifest", &ts.manifest);
            assert_memory_equal(ts.owner.data, owner, 32);
            get_hex(rows, "set_key", want, 32);
            tombstone_set_key(&ts.manifest, &ts.owner, key);
            assert_memory_equal(key, want, 32);
        } else {
            assert_ok(receipt_open(buf_bytes(&record), &r));
            expect_cid(rows, "manifest", &r.manifest);
            assert_memory_equal(r.owner.data, owner, 32);
            assert_true(r.at_ms == strtoull(tsv_get(rows, "at_ms"), NULL, 10));
        }
    }
    assert_int_equal(tsv_row(rows), 2);
    tsv_close(rows);
}

static void test_keys(void **state)
{
    tsv_t *rows = tsv_open("vault/keys.tsv");
    AUTO(buf_t) file, words;
    buf_init(&file, KEY_FILE_MAX_BYTES);
    while (tsv_next(rows)) {
        AUTO_PTR(vault_keys_t) want = keys_of(rows);
        AUTO_PTR(vault_keys_t) got = NULL;
        AUTO_PTR(vault_keys_t) spoken = NULL;
        bytes_t passphrase = bytes_str(tsv_get(rows, "passphrase")), text = bytes_str(tsv_get(rows, "words"));
        tsv_hex(rows, "file", &file);
        assert_ok(key_file_decode(buf_bytes(&file), passphrase, &got));
        assert_bytes(vault_keys_secrets(got), vault_keys_secrets(want));
        assert_ok(key_words_decode(text, &spoken));
        assert_bytes(vault_keys_secrets(spoken), vault_keys_secrets(want));
        buf_init(&words, KEY_WORDS_MAX_BYTES);
        assert_ok(key_words_encode(want, &words));
        assert_bytes(buf_bytes(&words), text);
        buf_deinit(&words);
    }
    assert_int_equal(tsv_row(rows), 2);
    tsv_close(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

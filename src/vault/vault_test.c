#include "tests/support/vault.h"
#include "vault/chunk.h"
#include "vault/vault.h"

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */
static err_t sizes(task_t *t, void *arg)
{
    static const uint64_t sizes[] = {0, 1, 255, 256, 257, 20000, 262143, 262144, 262145, 3 * 262144, 5000000};
    world_t w;
    world_init(t, &w);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        vault_stored_t s = store_file(&w, "some file", sizes[i], 3);
        vault_file_t *f;
        char hex[65];
        assert_int_equal(s.chunks, (sizes[i] + VAULT_CHUNK_BYTES - 1) / VAULT_CHUNK_BYTES);
        assert_ok(vault_open(t, w.v, w.blocks, name_of(&s.manifest), &f));
        const vault_info_t *info = vault_file_info(f);
        assert_string_equal(info->name, "some file");
        assert_true(info->size_bytes == sizes[i] && info->is_own && !info->is_folder);
        expect_content(&w, f, 3, 0, sizes[i]);
        vault_close(t, f);
        manifest_print_hex(&s.manifest, hex);
        assert_ok(vault_open(t, w.v, w.blocks, hex, &f));
        expect_content(&w, f, 3, 0, sizes[i]);
        vault_close(t, f);
    }
    world_deinit(&w);
    return OK;
}

static err_t ranges(task_t *t, void *arg)
{
    static const uint64_t size = 12 * 262144 + 777;
    static const uint64_t parts[][2] = {
        {0, 1},     {1, 0},        {262143, 2},           {262144, 262144}, {100, 3000000}, {size - 1, 1},
        {size, 10}, {size + 5, 1}, {3000000, UINT64_MAX}, {5, 7},           {2621440, 777}};
    world_t w;
    vault_file_t *f;
    world_init(t, &w);
    vault_stored_t s = store_file(&w, "f", size, 9);
    assert_ok(vault_open(t, w.v, w.blocks, name_of(&s.manifest), &f));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        uint64_t from = parts[i][0] < size ? parts[i][0] : size;
        uint64_t len = parts[i][1] < size - from ? parts[i][1] : size - from;
        bytes_t piece;
        assert_ok(vault_seek(t, f, parts[i][0], parts[i][1]));
        expect_content(&w, f, 9, from, from + len);
        assert_ok(vault_read(t, f, &piece)); /* the end stays the end */
        assert_int_equal(piece.len, 0);
        assert_ok(vault_seek(t, f, 0, size)); /* and a read that is given up */
        assert_ok(vault_read(t, f, &piece));
        assert_true(piece.len > 0);
    }
    vault_close(t, f);
    world_deinit(&w);
    return OK;
}

/* More chunks than a manifest has links: a tree of nodes. Zeros are one chunk. */
static err_t large(task_t *t, void *arg)
{
    static const uint64_t size = (2 * 1024 + 5) * (uint64_t)262144 + 100;
    world_t w;
    vault_file_t *f;
    manifest_t m;
    AUTO_PTR(block_t) root = NULL;
    world_init(t, &w);
    vault_stored_t s = store_file(&w, "large", size, 0);
    assert_ok(vault_get_manifest(t, w.blocks, &s.manifest, &root, &m));
    assert_int_equal(m.n_links, 3);
    assert_ok(vault_open(t, w.v, w.blocks, name_of(&s.manifest), &f));
    assert_ok(vault_seek(t, f, 1023 * (uint64_t)262144 + 5, 2 * 262144));
    expect_content(&w, f, 0, 1023 * (uint64_t)262144 + 5, 1025 * (uint64_t)262144 + 5);
    assert_ok(vault_seek(t, f, size - 262144, 262144));
    expect_content(&w, f, 0, size - 262144, size);
    assert_ok(vault_seek(t, f, 0, 10));
    expect_content(&w, f, 0, 0, 10);
    vault_close(t, f);
    /* a node has no name of its own */
    cid_t node = manifest_link(&m, 0);
    assert_err(vault_open(t, w.v, w.blocks, name_of(&node), &f), ERR_INVALID);
    world_deinit(&w);
    return OK;
}

static void count_progress(void *arg, uint64_t total)
{
    *(uint64_t *)arg = total;
}

static err_t failing_source(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    content_t *c = arg;
    TRY(content_read(t, c, out, cap, ret_n));
    return *ret_n ? OK : fail(ERR_RESET, "the client went away");
}

static err_t sources(task_t *t, void *arg)
{
    world_t w;
    vault_store_t *s;
    vault_stored_t stored;
    uint64_t total = 0;
    world_init(t, &w);
    assert_ok(vault_store_begin(t, w.v, w.blocks, count_progress, &total, &s));
    content_t c = {.size = 3000000, .seed = 1}, again = c;
    assert_err(vault_store_file(t, s, "f", NULL, (source_t){failing_source, &c}), ERR_RESET);
    assert_err(vault_store_finish(t, s, &stored), ERR_INVALID);
    /* the same store goes on with another try */
    vault_meta_t meta = {
        .type = BYTES_LIT("text/plain"), .has_mode = true, .mode = 0640, .has_mtime = true, .mtime_s = 99};
    assert_ok(vault_store_file(t, s, "f", &meta, (source_t){content_read, &again}));
    assert_true(total == 3000000);
    assert_err(vault_store_file(t, s, "g", NULL, (source_t){content_read, &again}), ERR_INVALID);
    assert_err(vault_store_file(t, s, "a/g", NULL, (source_t){content_read, &again}), ERR_INVALID);
    assert_ok(vault_store_finish(t, s, &stored));
    vault_store_free(t, s);
    vault_file_t *f;
    assert_ok(vault_open(t, w.v, w.blocks, name_of(&stored.manifest), &f));
    const vault_info_t *info = vault_file_info(f);
    assert_string_equal(info->type, "text/plain");
    assert_true(info->has_mode && info->mode == 0640 && info->has_mtime && info->mtime_s == 99);
    vault_close(t, f);
    world_deinit(&w);
    return OK;
}

/* ── folders ─────────────────────────────────────────────────────────────────────────────────── */
static void add(world_t *w, vault_store_t *s, const char *path, uint64_t size, uint8_t seed, err_t want)
{
    content_t c = {.size = size, .seed = seed};
    assert_err(vault_store_file(w->t, s, path, NULL, (source_t){content_read, &c}), want);
}

static err_t join_entry(task_t *t, void *arg, const vault_entry_t *e)
{
    return buf_printf(arg, "%s%s:%d ", e->name, e->is_folder ? "/" : "", (int)e->size_bytes);
}

static void expect_entries(world_t *w, vault_file_t *f, const char *want)
{
    AUTO(buf_t) out;
    buf_init(&out, 1000);
    assert_ok(vault_each_entry(w->t, f, join_entry, &out));
    assert_bytes(buf_bytes(&out), bytes_str(want));
}

static err_t folders(task_t *t, void *arg)
{
    world_t w;
    vault_store_t *s;
    vault_stored_t stored;
    vault_file_t *f, *g;
    char name[400];
    world_init(t, &w);
    assert_ok(vault_store_begin(t, w.v, w.blocks, NULL, NULL, &s));
    add(&w, s, "top/b.txt", 10, 1, OK);
    add(&w, s, "top/sub/deep/x", 300000, 2, OK);
    add(&w, s, "top/sub/a", 0, 3, OK);
    assert_ok(vault_store_folder(t, s, "top/empty", &(vault_meta_t){.has_mode = true, .mode = 0700}));
    add(&w, s, "top/a", 5, 4, OK);
    add(&w, s, "other/a", 5, 4, ERR_INVALID);
    add(&w, s, "lonely", 5, 4, ERR_INVALID);
    add(&w, s, "top/../a", 5, 4, ERR_INVALID);
    add(&w, s, "top//a", 5, 4, ERR_INVALID);
    add(&w, s, "", 5, 4, ERR_INVALID);
    add(&w, s, "top/\xff", 5, 4, ERR_INVALID);
    assert_ok(vault_store_finish(t, s, &stored));
    vault_store_free(t, s);
    assert_true(stored.is_folder && stored.size_bytes == 300015 && !strcmp(stored.name, "top"));
    assert_ok(vault_open(t, w.v, w.blocks, name_of(&stored.manifest), &f));
    expect_entries(&w, f, "a:5 b.txt:10 empty/:0 sub/:300000 ");
    bytes_t piece;
    assert_err(vault_read(t, f, &piece), ERR_INVALID);
    assert_err(vault_seek(t, f, 0, 1), ERR_INVALID);
    assert_err(vault_open_entry(t, f, "none", &g), ERR_NOT_FOUND);
    assert_ok(vault_open_entry(t, f, "empty", &g));
    expect_entries(&w, g, "");
    assert_true(vault_file_info(g)->has_mode && vault_file_info(g)->mode == 0700);
    vault_close(t, g);
    assert_ok(vault_open_entry(t, f, "b.txt", &g));
    expect_content(&w, g, 1, 0, 10);
    assert_err(vault_each_entry(t, g, join_entry, NULL), ERR_INVALID);
    vault_close(t, g);
    vault_close(t, f);
    snprintf(name, sizeof name, "%s/sub/deep/x", name_of(&stored.manifest));
    assert_ok(vault_open(t, w.v, w.blocks, name, &f));
    expect_content(&w, f, 2, 0, 300000);
    vault_close(t, f);
    snprintf(name, sizeof name, "%s/sub/deep/y", name_of(&stored.manifest));
    assert_err(vault_open(t, w.v, w.blocks, name, &f), ERR_NOT_FOUND);
    snprintf(name, sizeof name, "%s/b.txt/y", name_of(&stored.manifest));
    assert_err(vault_open(t, w.v, w.blocks, name, &f), ERR_INVALID);
    world_deinit(&w);
    return OK;
}

static err_t deep(task_t *t, void *arg)
{
    char path[VAULT_DEPTH_MAX * 2 + 4] = "", name[CID_TEXT_MAX + sizeof path];
    world_t w;
    vault_store_t *s;
    vault_stored_t stored;
    vault_file_t *f;
    world_init(t, &w);
    for (size_t i = 0; i <= VAULT_DEPTH_MAX; i++)
        snprintf(path + 2 * i, 3, "d/");
    assert_ok(vault_store_begin(t, w.v, w.blocks, NULL, NULL, &s));
    path[2 * VAULT_DEPTH_MAX + 1] = 'f';
    path[2 * VAULT_DEPTH_MAX + 2] = 0;
    path[2 * VAULT_DEPTH_MAX] = 'x';
    add(&w, s, path, 3, 1, OK);
    assert_ok(vault_store_finish(t, s, &stored));
    vault_store_free(t, s);
    snprintf(name, sizeof name, "%s/%s", name_of(&stored.manifest), path + 2);
    assert_ok(vault_open(t, w.v, w.blocks, name, &f));
    expect_content(&w, f, 1, 0, 3);
    vault_close(t, f);
    path[2 * VAULT_DEPTH_MAX + 1] = '/'; /* one folder more */
    path[2 * VAULT_DEPTH_MAX + 2] = 'f';
    path[2 * VAULT_DEPTH_MAX + 3] = 0;
    assert_ok(vault_store_begin(t, w.v, w.blocks, NULL, NULL, &s));
    add(&w, s, path, 3, 1, ERR_LIMIT);
    vault_store_free(t, s);
    world_deinit(&w);
    return OK;
}

static err_t back_into_folder(task_t *t, void *arg)
{
    world_t w;
    vault_store_t *s;
    vault_stored_t stored;
    world_init(t, &w);
    assert_ok(vault_store_begin(t, w.v, w.blocks, NULL, NULL, &s));
    add(&w, s, "top/a/1", 1, 1, OK);
    add(&w, s, "top/b/1", 1, 1, OK);
    add(&w, s, "top/a/2", 1, 1, OK);
    assert_err(vault_store_finish(t, s, &stored), ERR_EXISTS);
    vault_store_free(t, s);
    assert_ok(vault_store_begin(t, w.v, w.blocks, NULL, NULL, &s));
    add(&w, s, "top/a", 1, 1, OK);
    add(&w, s, "top/a", 1, 1, OK);
    assert_err(vault_store_finish(t, s, &stored), ERR_EXISTS);
    vault_store_free(t, s);
    world_deinit(&w);
    return OK;
}

static err_t count_entry(task_t *t, void *arg, const vault_entry_t *e)
{
    ++*(size_t *)arg;
    return OK;
}

static err_t wide_folder(task_t *t, void *arg)
{
    enum { FILES = 2100 };
    world_t w;
    vault_store_t *s;
    vault_stored_t stored;
    vault_file_t *f, *g;
    char name[40];
    size_t n = 0;
    world_init(t, &w);
    assert_ok(vault_store_begin(t, w.v, w.blocks, NULL, NULL, &s));
    for (int i = FILES; i--;) { /* in no order */
        snprintf(name, sizeof name, "d/%d", i);
        add(&w, s, name, (uint64_t)i % 7, 1, OK);
    }
    assert_ok(vault_store_finish(t, s, &stored));
    vault_store_free(t, s);
    assert_ok(vault_open(t, w.v, w.blocks, name_of(&stored.manifest), &f));
    assert_ok(vault_each_entry(t, f, count_entry, &n));
    assert_int_equal(n, FILES);
    for (int i = 0; i < FILES; i += 13) {
        snprintf(name, sizeof name, "%d", i);
        assert_ok(vault_open_entry(t, f, name, &g));
        expect_content(&w, g, 1, 0, (uint64_t)i % 7);
        vault_close(t, g);
    }
    assert_err(vault_open_entry(t, f, "!", &g), ERR_NOT_FOUND);
    assert_err(vault_open_entry(t, f, "1000x", &g), ERR_NOT_FOUND);
    assert_err(vault_open_entry(t, f, "~", &g), ERR_NOT_FOUND);
    vault_close(t, f);
    world_deinit(&w);
    return OK;
}

/* ── links, the list, deletion ───────────────────────────────────────────────────────────────── */
static err_t links(task_t *t, void *arg)
{
    world_t w;
    vault_file_t *f;
    char link[VAULT_LINK_MAX], other_link[VAULT_LINK_MAX], mixed[2 * VAULT_LINK_MAX];
    world_init(t, &w);
    vault_stored_t a = store_file(&w, "a", 300000, 1), b = store_file(&w, "b", 10, 2);
    assert_ok(vault_share(t, w.v, w.blocks, &a.manifest, link));
    assert_ok(vault_share(t, w.v, w.blocks, &b.manifest, other_link));
    assert_ok(vault_open(t, NULL, w.blocks, link, &f)); /* without any key file */
    expect_content(&w, f, 1, 0, 300000);
    assert_false(vault_file_info(f)->is_own);
    vault_close(t, f);
    snprintf(mixed, sizeof mixed, "%s%s", name_of(&a.manifest), strchr(other_link, '#'));
    assert_err(vault_open(t, NULL, w.blocks, mixed, &f), ERR_UNAUTHORIZED);
    assert_err(vault_open(t, w.v, w.blocks, mixed, &f), ERR_UNAUTHORIZED);
    snprintf(mixed, sizeof mixed, "%s#ushort", name_of(&a.manifest));
    assert_err(vault_open(t, NULL, w.blocks, mixed, &f), ERR_INVALID);
    assert_err(vault_open(t, NULL, w.blocks, name_of(&a.manifest), &f), ERR_DENIED);
    assert_err(vault_open(t, NULL, w.blocks, "nonsense", &f), ERR_INVALID);
    assert_err(vault_open(t, NULL, w.blocks, "", &f), ERR_INVALID);
    /* another owner */
    world_t other = w;
    other.v = vault_new("/tmp/other.key", w.state);
    vault_stored_t c = store_file(&other, "c", 10, 3);
    assert_err(vault_open(t, w.v, w.blocks, name_of(&c.manifest), &f), ERR_DENIED);
    assert_err(vault_share(t, w.v, w.blocks, &c.manifest, link), ERR_DENIED);
    vault_free(other.v);
    world_deinit(&w);
    return OK;
}

static err_t join_listed(task_t *t, void *arg, const vault_listed_t *l)
{
    return buf_printf(arg, "%s%s ", l->file.name, l->deleted_at_ms ? "(deleted)" : "");
}

static void expect_list(world_t *w, vault_t *v, bool with_deleted, const char *want)
{
    AUTO(buf_t) out;
    buf_init(&out, 1000);
    assert_ok(vault_each(w->t, v, with_deleted, join_listed, &out));
    assert_bytes(buf_bytes(&out), bytes_str(want));
}

static err_t lists(task_t *t, void *arg)
{
    world_t w;
    AUTO(buf_t) stone, again;
    buf_init(&stone, TOMBSTONE_MAX_BYTES);
    buf_init(&again, TOMBSTONE_MAX_BYTES);
    world_init(t, &w);
    expect_list(&w, w.v, true, "");
    vault_stored_t s[3] = {store_file(&w, "first", 1, 1), store_file(&w, "second", 2, 1),
                           store_file(&w, "third", 3, 1)};
    vault_listed_t l;
    tombstone_t ts;
    for (size_t i = 0; i < 2; i++) {
        assert_ok(vault_record(t, w.v, &s[i]));
        assert_ok(task_sleep(t, 10));
    }
    expect_list(&w, w.v, false, "second first ");
    assert_ok(vault_lookup(t, w.v, &s[1].manifest, &l));
    assert_true(l.file.size_bytes == 2 && l.stored_at_ms && !l.deleted_at_ms && l.file.chunks == 1);
    assert_err(vault_lookup(t, w.v, &s[2].manifest, &l), ERR_NOT_FOUND);
    assert_ok(vault_delete(t, w.v, w.blocks, &s[0].manifest, &stone));
    assert_ok(tombstone_open(buf_bytes(&stone), &ts));
    assert_true(cid_equal(&ts.manifest, &s[0].manifest));
    expect_list(&w, w.v, false, "second first "); /* signed is not deleted yet */
    assert_ok(vault_deleted(t, w.v, &s[0].manifest));
    expect_list(&w, w.v, false, "second ");
    expect_list(&w, w.v, true, "second first(deleted) ");
    assert_ok(vault_delete(t, w.v, w.blocks, &s[0].manifest, &again));
    assert_bytes(buf_bytes(&stone), buf_bytes(&again));
    buf_clear(&stone); /* not listed here, and known by its manifest */
    assert_ok(vault_delete(t, w.v, w.blocks, &s[2].manifest, &stone));
    assert_ok(vault_deleted(t, w.v, &s[2].manifest));
    expect_list(&w, w.v, true, "second first(deleted) ");
    /* another owner sees none of it, and deletes none of it */
    world_t other = w;
    other.v = vault_new("/tmp/other.key", w.state);
    vault_stored_t c = store_file(&other, "c", 10, 3);
    assert_ok(vault_record(t, other.v, &c));
    expect_list(&w, other.v, true, "c ");
    buf_clear(&stone);
    assert_err(vault_delete(t, other.v, w.blocks, &s[1].manifest, &stone), ERR_DENIED);
    cid_t nowhere = cid_of_sha256(1, CODEC_DAG_CBOR, (const uint8_t[32]){1});
    assert_err(vault_delete(t, w.v, w.blocks, &nowhere, &stone), ERR_NOT_FOUND);
    nowhere.codec = CODEC_RAW;
    assert_err(vault_delete(t, w.v, w.blocks, &nowhere, &stone), ERR_INVALID);
    assert_int_equal(stone.len, 0);
    vault_free(other.v);
    world_deinit(&w);
    return OK;
}

#define CASE(fn)                                                                                             \
    static void test_##fn(void **state)                                                                      \
    {                                                                                                        \
        assert_ok(test_run(fn, NULL));                                                                       \
    }
CASE(sizes)
CASE(ranges)
CASE(large)
CASE(sources)
CASE(folders)
CASE(deep)
CASE(back_into_folder)
CASE(wide_folder)
CASE(links)
CASE(lists)

static void test_padding(void **state)
{
    size_t last = 0;
    for (size_t n = 1; n <= VAULT_CHUNK_BYTES; n++) {
        size_t padded = vault_padded_len(n);
        assert_true(padded >= n && padded >= last && padded <= VAULT_CHUNK_BYTES);
        assert_true(n <= 256 || padded - n <= n * 12 / 100);
        last = padded;
    }
    assert_int_equal(last, VAULT_CHUNK_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_padding),     cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_ranges),      cmocka_unit_test(test_large),
        cmocka_unit_test(test_sources),     cmocka_unit_test(test_folders),
        cmocka_unit_test(test_deep),        cmocka_unit_test(test_back_into_folder),
        cmocka_unit_test(test_wide_folder), cmocka_unit_test(test_links),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

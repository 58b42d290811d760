/* Every row of unixfs-golden.tsv: the same CID, root block, number and sum of blocks as the reference, and
 * the content read back (but for rows of 1 GiB, whose leaves are not kept), or the same words of
 * refusal. */
#include "crypto/hash.h"
#include "dag/file_reader.h"
#include "dag/tree.h"
#include "dag/walk.h"
#include "tests/support/inputs.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

enum {
    MAX_WORDS = 24,
    COMMAND_MAX = 512,
    ROWS = 851,
    ROWS_REFUSED = 28,
    ROWS_OF_COMMAND_LINE = 2,
    LARGE_LEAF_BYTES = 100000
};
#define SKIP_BLAKE3 "this build has no blake3"
/* Links are followed where files are read from disk: tests/cli/test_unixfs.py runs these rows. */
#define SKIP_COMMAND_LINE "what the command line reads from disk"

typedef struct row {
    const char *id, *input, *config, *error;
    char *words[MAX_WORDS]; /* of the command, after `ipfs add` */
    size_t n_words;
    import_options_t options;
    const char *skip; /* why this row cannot run; NULL: it can */
    bool wraps, has_hidden, preserves_mode, preserves_mtime, omits_empty_dirs;
    const char *hash;
    unixfs_t meta;
} row_t;
typedef struct counts {
    size_t run, refused, no_blake3, by_command_line;
} counts_t;

/* ── the command line of a row ── */
static bool value_of(const char *word, const char *option, const char **ret)
{
    size_t n = strlen(option);
    if (strncmp(word, option, n) || word[n] != '=')
        return false;
    *ret = word + n + 1;
    return true;
}

static void apply_hash(row_t *r, const char *name)
{
    r->hash = name;
    if (!strcmp(name, "blake3") && !hash_is_available(HASH_BLAKE3))
        r->skip = SKIP_BLAKE3;
}

static void apply_word(row_t *r, const char *word)
{
    const char *v;
    import_options_t *o = &r->options;
    if (value_of(word, "--cid-version", &v))
        o->cid_version = (int)strtol(v, NULL, 10);
    else if (!strcmp(word, "--raw-leaves"))
        o->raw_leaves = 1;
    else if (!strcmp(word, "--raw-leaves=false"))
        o->raw_leaves = 0;
    else if (value_of(word, "--chunker", &v))
        assert_ok(chunker_parse(v, &o->chunker));
    else if (value_of(word, "--max-file-links", &v))
        o->max_links = (size_t)(int)strtol(v, NULL, 10);
    else if (value_of(word, "--max-directory-links", &v))
        o->max_directory_links = (size_t)(int)strtol(v, NULL, 10);
    else if (value_of(word, "--max-hamt-fanout", &v))
        o->shard_fanout = (size_t)(int)strtol(v, NULL, 10);
    else if (value_of(word, "--hash", &v))
        apply_hash(r, v);
    else if (!strcmp(word, "--inline"))
        o->inline_below = o->inline_below ? o->inline_below : IMPORT_INLINE_DEFAULT + 1;
    else if (value_of(word, "--inline-limit", &v))
        o->inline_below = (size_t)strtol(v, NULL, 10) + 1;
    else if (!strcmp(word, "--trickle"))
        r->options.is_trickle = true;
    else if (value_of(word, "--mode", &v)) {
        r->meta.has_mode = true;
        r->meta.mode = (uint32_t)strtoul(v, NULL, 8) & 0777; /* as the reference's command line does */
    } else if (value_of(word, "--mtime", &v)) {
        r->meta.has_mtime = true;
        r->meta.mtime.seconds = strtoll(v, NULL, 10);
    } else if (value_of(word, "--mtime-nsecs", &v))
        r->meta.mtime.nanoseconds = (uint32_t)strtol(v, NULL, 10);
    else if (!strcmp(word, "-w"))
        r->wraps = true;
    else if (!strcmp(word, "-H"))
        r->has_hidden = true;
    else if (!strcmp(word, "--preserve-mode"))
        r->preserves_mode = true;
    else if (!strcmp(word, "--preserve-mtime"))
        r->preserves_mtime = true;
    else if (!strcmp(word, "--empty-dirs=false"))
        r->omits_empty_dirs = true;
    else if (!strcmp(word, "--dereference-symlinks"))
        r->skip = SKIP_COMMAND_LINE;
    else
        assert_true(*word != '-' || !strcmp(word, "-Q") || !strcmp(word, "-r") ||
                    value_of(word, "--stdin-name", &v));
}

static void apply_config(row_t *r)
{
    import_options_t *o = &r->options;
    if (!strcmp(r->config, "profile unixfs-v1-2025")) {
        o->cid_version = o->cid_version < 0 ? 1 : o->cid_version;
        o->raw_leaves = o->raw_leaves < 0 ? 1 : o->raw_leaves;
        o->chunker.max_bytes = 1 << 20;
        o->max_links = 1024;
        o->shard_rule = SHARD_BY_BLOCK;
    } else if (!strcmp(r->config, "Import.UnixFSHAMTDirectorySizeThreshold=\"1B\"")) {
        o->shard_threshold = 1;
    } else if (!strcmp(r->config, "Import.UnixFSHAMTDirectorySizeEstimation=\"block\"")) {
        o->shard_rule = SHARD_BY_BLOCK;
    } else if (!strcmp(r->config, "Import.UnixFSHAMTDirectorySizeEstimation=\"disabled\"")) {
        o->shard_rule = SHARD_BY_COUNT;
    } else {
        assert_true(!strcmp(r->config, "default") || !strcmp(r->config, "profile unixfs-v0-2015"));
    }
}

static void parse_row(tsv_t *v, row_t *r, char *command)
{
    *r = (row_t){.id = tsv_get(v, "id"),
                 .input = tsv_get(v, "input"),
                 .config = tsv_get(v, "config"),
                 .error = tsv_get(v, "error")};
    import_options_init(&r->options);
    snprintf(command, COMMAND_MAX, "%s", tsv_get(v, "command"));
    for (char *save, *word = strtok_r(command, " ", &save); word; word = strtok_r(NULL, " ", &save))
        r->words[r->n_words++] = word;
    for (size_t i = 0; i < r->n_words; i++)
        apply_word(r, r->words[i]);
    apply_config(r);
    r->options.has_metadata =
        r->meta.has_mode || r->meta.has_mtime || r->preserves_mode || r->preserves_mtime;
}

/* ── running it ── */
typedef struct large large_t;
typedef struct run {
    task_t *t;
    row_t *row;
    importer_t *importer;
    blocks_t *blocks;
    large_t *large; /* NULL: all blocks are kept */
} run_t;

/* For rows of 1 GiB: keeps the nodes, and counts the leaves. */
struct large {
    blocks_t base;
    blocks_map_t *nodes;
    map_t known;
    dag_stat_t stat;
};
static err_t large_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block)
{
    return blocks_get(t, blocks_map_blocks(CONTAINER_OF(b, large_t, base)->nodes), cid, ret_block);
}
static err_t large_put(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    large_t *l = CONTAINER_OF(b, large_t, base);
    for (size_t i = 0; i < n; i++) {
        uint8_t room[CID_BINARY_MAX];
        bytes_t key = bytes_of(room, cid_encode(&list[i]->cid, room));
        if (map_has(&l->known, key))
            continue;
        TRY(map_put(&l->known, key, l, NULL));
        l->stat.blocks++;
        l->stat.bytes += list[i]->len;
        if (list[i]->cid.codec != CODEC_RAW)
            TRY(blocks_put_many(t, blocks_map_blocks(l->nodes), &list[i], 1));
    }
    return OK;
}
static bool large_has(task_t *t, blocks_t *b, const cid_t *cid)
{
    return false;
}
static const blocks_ops_t large_ops = {.get = large_get, .put_many = large_put, .has = large_has};

static err_t read_inputs(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    *ret_n = inputs_read(arg, out, cap);
    return OK;
}

static err_t add_large(run_t *r, dag_ref_t *ret)
{
    inputs_t *in = inputs_open(r->row->input);
    err_t e = importer_add_file(r->t, r->importer, (source_t){read_inputs, in}, NULL, ret);
    inputs_close(in);
    return e;
}

/* Large inputs are made once. */
static map_t inputs;
static bytes_t input_of(const char *input)
{
    buf_t *b = map_get(&inputs, bytes_str(input));
    if (!b) {
        b = xcalloc(1, sizeof *b);
        buf_init(b, SIZE_MAX / 2);
        inputs_append(input, b);
        assert_ok(map_put(&inputs, bytes_str(input), b, NULL));
    }
    return buf_bytes(b);
}
static void free_inputs(void)
{
    void *value;
    for (size_t i = 0; map_next(&inputs, &i, NULL, &value);) {
        buf_deinit(value);
        free(value);
    }
    map_deinit(&inputs);
}

static err_t add_input(run_t *r, const char *input, const unixfs_t *meta, dag_ref_t *ret)
{
    bytes_t content = input_of(input), left = content;
    TRY(importer_add_file(r->t, r->importer, source_of_bytes(&left), meta, ret));
    TRY(importer_flush(r->t, r->importer));
    assert_int_equal(ret->size, content.len);
    AUTO(file_reader_t) reader = {0};
    assert_ok(file_reader_open(r->t, &reader, r->blocks, &ret->cid));
    assert_int_equal(reader.size, content.len);
    size_t at = 0;
    for (;;) {
        bytes_t piece;
        assert_ok(file_reader_next(r->t, &reader, &piece));
        if (!piece.len)
            break;
        assert_true(at + piece.len <= content.len && !memcmp(content.data + at, piece.data, piece.len));
        at += piece.len;
    }
    assert_int_equal(at, content.len);
    return OK;
}

/* "named:NAME=INPUT named:NAME=INPUT" (names hold spaces) under one directory, or one input. */
static err_t add_files(run_t *r, dag_ref_t *ret)
{
    char text[512];
    if (!r->row->wraps) {
        const char *input = r->row->input;
        return add_input(r, strncmp(input, "stdin=", 6) ? input : input + 6, &r->row->meta, ret);
    }
    snprintf(text, sizeof text, "%s", r->row->input);
    tree_t *tree = tree_new("/tmp");
    err_t e = OK;
    for (char *p = text; p && !e;) {
        char *next = strstr(p + 1, " named:");
        if (next)
            *next++ = 0;
        char *equals = strchr(p, '=');
        bool is_named = !strncmp(p, "named:", 6);
        bytes_t name = is_named ? bytes_of(p + 6, (size_t)(equals - p - 6)) : bytes_str("n.txt");
        dag_ref_t ref;
        e = add_input(r, equals + 1, NULL, &ref);
        if (!e)
            e = tree_put(r->t, tree, name, &ref);
        p = next;
    }
    if (!e)
        e = tree_write(r->t, tree, r->importer, true, NULL, NULL, ret);
    tree_free(tree);
    return e;
}

static unixfs_t entry_meta(const row_t *row, const inputs_entry_t *entry)
{
    unixfs_t meta = {0};
    if (row->preserves_mode && entry->mode) {
        meta.has_mode = true;
        meta.mode = entry->mode;
    }
    if (row->preserves_mtime && entry->has_mtime) {
        meta.has_mtime = true;
        meta.mtime = (unixfs_time_t){entry->mtime_s, entry->mtime_ns};
    }
    return meta;
}

static bool is_hidden(bytes_t path)
{
    for (size_t i = 0; i < path.len; i++)
        if (path.data[i] == '.' && (!i || path.data[i - 1] == '/'))
            return true;
    return false;
}

static err_t add_entry(run_t *r, const inputs_entry_t *entry, tree_t *tree, const char *prefix)
{
    AUTO(buf_t) path = {0};
    buf_init(&path, 4096);
    if (is_hidden(entry->path) && !r->row->has_hidden)
        return OK;
    unixfs_t meta = entry_meta(r->row, entry);
    TRY(buf_printf(&path, "%s%s", prefix, *prefix && entry->path.len ? "/" : ""));
    TRY(buf_append(&path, entry->path));
    dag_ref_t ref;
    if (entry->kind == INPUTS_DIR)
        return tree_put_dir(r->t, tree, buf_bytes(&path), &meta);
    if (entry->kind == INPUTS_SYMLINK)
        TRY(importer_add_symlink(r->t, r->importer, bytes_str(entry->target), &meta, &ref));
    else
        TRY(add_input(r, entry->data, &meta, &ref));
    return tree_put(r->t, tree, buf_bytes(&path), &ref);
}

static err_t add_dir(run_t *r, dag_ref_t *ret)
{
    inputs_dir_t *dir = inputs_dir_open(r->row->input);
    const char *prefix = r->row->wraps ? r->row->input + strlen("dir:") : "";
    tree_t *tree = tree_new("/tmp");
    if (r->row->omits_empty_dirs)
        tree_omit_empty_dirs(tree);
    inputs_entry_t entry;
    inputs_dir_root(dir, &entry);
    entry.kind = INPUTS_DIR;
    entry.path = BYTES_NONE;
    err_t e = add_entry(r, &entry, tree, prefix);
    while (!e && inputs_dir_next(dir, &entry))
        e = add_entry(r, &entry, tree, prefix);
    inputs_dir_close(dir);
    if (!e)
        e = tree_write(r->t, tree, r->importer, true, NULL, NULL, ret);
    tree_free(tree);
    return e;
}

static void check_result(run_t *r, tsv_t *v, const dag_ref_t *ref)
{
    char text[CID_TEXT_MAX];
    const char *want = tsv_get(v, "cid");
    if (strcmp(cid_print(&ref->cid, text), want)) {
        print_error("%s %s, %s, %s: got %s, wanted %s\n", r->row->id, r->row->input, r->row->config,
                    tsv_get(v, "command"), text, want);
        _fail(__FILE__, __LINE__);
    }
    AUTO_PTR(block_t) root = NULL;
    assert_ok(blocks_get(r->t, r->blocks, &ref->cid, &root));
    if (*tsv_get(v, "root_bytes"))
        assert_int_equal(root->len, (int)strtol(tsv_get(v, "root_bytes"), NULL, 10));
    if (*tsv_get(v, "root_hex")) {
        AUTO(buf_t) hex = {0};
        buf_init(&hex, 1024);
        tsv_hex(v, "root_hex", &hex);
        assert_bytes(block_bytes(root), buf_bytes(&hex));
    }
    if (!*tsv_get(v, "unique_blocks"))
        return;
    dag_stat_t stat;
    if (r->large)
        stat = r->large->stat;
    else
        assert_ok(dag_stat(r->t, r->blocks, &ref->cid, NULL, NULL, &stat));
    assert_int_equal(stat.blocks, (int)strtol(tsv_get(v, "unique_blocks"), NULL, 10));
    assert_int_equal(stat.bytes, strtoll(tsv_get(v, "dag_bytes"), NULL, 10));
}

static err_t import_row(run_t *r, bool is_dir, dag_ref_t *ret)
{
    if (r->row->hash)
        TRY(multihash_from_name(r->row->hash, &r->row->options.hash_code));
    TRY(importer_new(r->t, r->blocks, &r->row->options, &r->importer));
    TRY(is_dir ? add_dir(r, ret) : r->large ? add_large(r, ret) : add_files(r, ret));
    return importer_flush(r->t, r->importer);
}

static err_t run_row(run_t *r, tsv_t *v, bool is_dir, dag_ref_t *ret)
{
    blocks_map_t *map = blocks_map_new(true);
    large_t large = {.base = {&large_ops}, .nodes = map};
    map_init(&large.known, 1 << 20);
    r->large = strstr(r->row->input, ":107374182") ? &large : NULL;
    r->blocks = r->large ? &large.base : blocks_map_blocks(map);
    r->importer = NULL;
    err_t e = import_row(r, is_dir, ret);
    if (!e && !*r->row->error)
        check_result(r, v, ret);
    importer_free(r->t, r->importer);
    map_deinit(&large.known);
    blocks_map_free(map);
    return e;
}

static err_t run_all(task_t *t, void *arg)
{
    counts_t *counts = arg;
    const char *only = getenv("GOLDEN_ROW");
    tsv_t *v = tsv_open("unixfs-golden.tsv");
    while (tsv_next(v)) {
        char command[COMMAND_MAX];
        row_t row;
        parse_row(v, &row, command);
        if (!strcmp(row.id, "id") || (only && strcmp(row.id, only)))
            continue;
        if (row.skip) {
            counts->no_blake3 += !strcmp(row.skip, SKIP_BLAKE3);
            counts->by_command_line += !strcmp(row.skip, SKIP_COMMAND_LINE);
            continue;
        }
        run_t r = {.t = t, .row = &row};
        dag_ref_t ref;
        err_t e = run_row(&r, v, !strcmp(tsv_get(v, "kind"), "dir"), &ref);
        if (!e == !!*row.error || (e && strcmp(error_text(e), row.error))) {
            print_error("%s %s %s: %s, wanted %s\n", row.id, row.input, tsv_get(v, "command"),
                        e ? error_text(e) : "it worked", row.error);
            _fail(__FILE__, __LINE__);
        }
        if (e)
            counts->refused++;
        else
            counts->run++;
    }
    tsv_close(v);
    return OK;
}

static void test_golden(void **state)
{
    counts_t counts = {0};
    map_init(&inputs, 1 << 17);
    assert_ok(test_run(run_all, &counts));
    free_inputs();
    print_message("%zu rows gave the same CID, %zu the same refusal; not run: %zu (%s), %zu (%s)\n",
                  counts.run, counts.refused, counts.by_command_line, SKIP_COMMAND_LINE, counts.no_blake3,
                  SKIP_BLAKE3);
    if (getenv("GOLDEN_ROW"))
        return;
    assert_int_equal(counts.run + counts.refused + counts.no_blake3 + counts.by_command_line, ROWS);
    assert_int_equal(counts.refused, ROWS_REFUSED);
    assert_int_equal(counts.by_command_line, ROWS_OF_COMMAND_LINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every row of mfs.tsv: the commands of `ipfs files` as the reference ran them, each sequence on a fresh
 * repository, with the root's CID after each step. */
#include "repo/mfs.h"
#include "tests/support/inputs.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"

#define REPO "/tmp/repo"
enum { MAX_WORDS = 16, ROWS = 175 };

typedef struct command {
    char text[512];
    char *words[MAX_WORDS];
    size_t n;
    bool create, parents, truncate, recursive, raw_leaves;
    uint64_t offset;
    mfs_format_t format;
} command_t;

static bool value_of(const char *word, const char *option, const char **ret)
{
    size_t n = strlen(option);
    if (strncmp(word, option, n) || word[n] != '=')
        return false;
    *ret = word + n + 1;
    return true;
}

static void take_word(command_t *c, char *word)
{
    const char *v;
    if (!strcmp(word, "--create"))
        c->create = true;
    else if (!strcmp(word, "--parents") || !strcmp(word, "-p"))
        c->parents = true;
    else if (!strcmp(word, "--truncate"))
        c->truncate = true;
    else if (!strcmp(word, "-r"))
        c->recursive = true;
    else if (!strcmp(word, "--raw-leaves"))
        c->raw_leaves = true;
    else if (value_of(word, "--offset", &v))
        c->offset = strtoull(v, NULL, 10);
    else if (value_of(word, "--cid-version", &v))
        c->format = (mfs_format_t){true, (uint8_t)strtoul(v, NULL, 10), MH_SHA2_256};
    else if (word[0] == '-')
        fail_msg("unknown option %s", word);
    else
        c->words[c->n++] = word;
}

static void parse_command(const char *text, command_t *c)
{
    *c = (command_t){0};
    snprintf(c->text, sizeof c->text, "%s", text);
    char *save, *word = strtok_r(c->text, " ", &save);
    assert_string_equal(word, "ipfs");
    assert_string_equal(strtok_r(NULL, " ", &save), "files");
    while ((word = strtok_r(NULL, " ", &save)))
        take_word(c, word);
}

static err_t read_input(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    *ret_n = inputs_read(arg, out, cap);
    return OK;
}

static err_t write_file(task_t *t, repo_t *r, const command_t *c, const char *input)
{
    inputs_t *in = inputs_open(input);
    bool is_v1 = config_int(repo_config(r), "Import.CidVersion", 0) == 1;
    mfs_write_options_t o = {.create = c->create,
                             .parents = c->parents,
                             .truncate = c->truncate,
                             .offset = c->offset,
                             .flush = true,
                             .raw_leaves = c->raw_leaves                                          ? 1
                                           : config_has(repo_config(r), "Import.UnixFSRawLeaves") ? is_v1
                                                                                                  : -1,
                             .format =
                                 c->format.is_set ? c->format : (mfs_format_t){true, is_v1, MH_SHA2_256}};
    err_t e = mfs_write(t, repo_mfs(r), NULL, c->words[1], (source_t){read_input, in}, o);
    inputs_close(in);
    return e;
}

static err_t copy(task_t *t, repo_t *r, const command_t *c)
{
    mfs_entry_t from;
    if (!strncmp(c->words[1], "/ipfs/", 6))
        assert_ok(cid_parse_str(c->words[1] + 6, &from.ref.cid));
    else
        TRY(mfs_lookup(t, repo_mfs(r), NULL, c->words[1], &from));
    return mfs_put(t, repo_mfs(r), NULL, c->words[2], &from.ref.cid, (mfs_put_options_t){.flush = true});
}

static err_t run_command(task_t *t, repo_t *r, const char *text, const char *input)
{
    command_t c;
    mfs_t *m = repo_mfs(r);
    parse_command(text, &c);
    const char *verb = c.words[0];
    bool is_v1 = config_int(repo_config(r), "Import.CidVersion", 0) == 1;
    mfs_format_t format = c.format.is_set ? c.format : (mfs_format_t){true, is_v1, MH_SHA2_256};
    if (!strcmp(verb, "mkdir"))
        return mfs_mkdir(t, m, NULL, c.words[1],
                         (mfs_mkdir_options_t){.parents = c.parents, .flush = true, .format = format});
    if (!strcmp(verb, "write"))
        return write_file(t, r, &c, input);
    if (!strcmp(verb, "cp"))
        return copy(t, r, &c);
    if (!strcmp(verb, "mv"))
        return mfs_move(t, m, NULL, c.words[1], c.words[2], true);
    assert_string_equal(verb, "rm");
    return mfs_remove(t, m, NULL, c.words[1], c.recursive, false);
}

/* "KEY=JSON": that setting of the repository. */
static void set_config(task_t *t, const char *path, const char *config, repo_t **r)
{
    const char *value = strchr(config, '=');
    char key[128];
    if (!value)
        return;
    snprintf(key, sizeof key, "%.*s", (int)(value - config), config);
    assert_ok(repo_config_set(t, *r, key, value + 1));
    repo_close(t, *r);
    assert_ok(repo_open(t, path, r));
}

static repo_t *fresh_repo(task_t *t, const char *config, char path[64], size_t n)
{
    uint8_t seed[32] = {9};
    AUTO_PTR(private_key_t) key = NULL;
    repo_t *r;
    const char *profile = strncmp(config, "profile ", 8) ? "test" : config + 8;
    snprintf(path, 64, "%s%zu", REPO, n);
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
    assert_ok(repo_init(t, path, profile, key));
    assert_ok(repo_open(t, path, &r));
    set_config(t, path, config, &r);
    return r;
}

/* The root in memory, and the durable one: the repository is opened anew for it. */
static void check_root(task_t *t, repo_t **r, const char *path, const char *expected)
{
    cid_t root;
    char text[CID_TEXT_MAX];
    assert_ok(mfs_root(t, repo_mfs(*r), &root));
    assert_string_equal(cid_print(&root, text), expected);
    repo_close(t, *r);
    assert_ok(repo_open(t, path, r));
    assert_ok(mfs_root(t, repo_mfs(*r), &root));
    assert_string_equal(cid_print(&root, text), expected);
}

static void check_result(err_t e, const char *result)
{
    if (!strcmp(result, "ok"))
        assert_ok(e);
    else if (strstr(result, "can't remove some files"))
        assert_true(e == ERR_NOT_FOUND || e == ERR_INVALID); /* the command line's summary */
    else
        assert_string_equal(error_text(e), result + strlen("error: Error: "));
}

static err_t all_rows(task_t *t, void *arg)
{
    repo_t *r = NULL;
    char sequence[64] = "", path[64];
    size_t rows = 0;
    tsv_t *v = tsv_open("mfs.tsv");
    while (tsv_next(v)) {
        if (strcmp(sequence, tsv_get(v, "sequence"))) {
            repo_close(t, r);
            snprintf(sequence, sizeof sequence, "%s", tsv_get(v, "sequence"));
            r = fresh_repo(t, tsv_get(v, "config"), path, rows);
        }
        print_message("%s %s: %s\n", sequence, tsv_get(v, "step"), tsv_get(v, "command"));
        check_result(run_command(t, r, tsv_get(v, "command"), tsv_get(v, "stdin")), tsv_get(v, "result"));
        check_root(t, &r, path, tsv_get(v, "mfs_root_cid_after"));
        rows++;
    }
    tsv_close(v);
    repo_close(t, r);
    assert_int_equal(rows, ROWS);
    return OK;
}

static void test_all_rows(void **state)
{
    assert_ok(test_run(all_rows, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

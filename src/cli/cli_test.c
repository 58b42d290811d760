#include "cli/commands_internal.h"
#include "cli/tar_reader.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ── words ───────────────────────────────────────────────────────────────────────────────────── */

static err_t parse(const char *line, cli_t *c, const cli_command_t **command)
{
    static char words[1024];
    static char *argv[32];
    int argc = 0;
    snprintf(words, sizeof words, "%s", line);
    for (char *p = words; *p && argc < 31;) {
        argv[argc++] = p;
        p += strcspn(p, " ");
        if (*p)
            *p++ = 0;
    }
    argv[argc] = NULL;
    return cli_parse(argc, argv, c, command);
}

static void test_longest_command_wins(void **state)
{
    AUTO(cli_t) c;
    const cli_command_t *command;
    assert_int_equal(parse("distribute pin ls QmX", &c, &command), OK);
    assert_string_equal(cli_command_name(command), "pin ls");
    assert_int_equal(c.n_args, 1);
    AUTO(cli_t) d;
    assert_int_equal(parse("distribute pin QmX", &d, &command), OK);
    assert_string_equal(cli_command_name(command), "pin");
    assert_string_equal(d.args[0], "QmX");
}

static void test_options_before_and_behind(void **state)
{
    AUTO(cli_t) c;
    const cli_command_t *command;
    assert_int_equal(parse("ipfs --repo /x add -rQ --cid-version 1 --chunker=size-9 a -- -b", &c, &command),
                     OK);
    assert_true(c.is_kubo);
    assert_string_equal(c.repo_option, "/x");
    assert_string_equal(cli_option(&c, "cid-version", 0), "1");
    assert_string_equal(cli_option(&c, "chunker", 0), "size-9");
    assert_true(cli_flag(&c, "recursive", false));
    assert_true(cli_flag(&c, "quieter", false));
    assert_int_equal(c.n_args, 2);
    assert_string_equal(c.args[1], "-b");
}

static void assert_refused(const char *line, const char *why)
{
    AUTO(cli_t) c;
    const cli_command_t *command;
    assert_int_equal(parse(line, &c, &command), ERR_USAGE);
    assert_string_equal(error_text(ERR_USAGE), why);
}

static void test_kubos_words(void **state)
{
    AUTO(cli_t) c;
    const cli_command_t *command;
    assert_ok(parse("ipfs -c nothing key list", &c, &command));
    assert_string_equal(cli_command_name(command), "key list");
    assert_refused("ipfs key list --enc=json --encoding=xml", "multiple values for option \"encoding\"");
    assert_refused("ipfs cat -l 1 --length=2 x", "multiple values for option \"length\"");
    assert_refused("ipfs key list --nope", "unknown option \"nope\"");
    assert_refused("ipfs add -s", "missing argument for option \"s\"");
    assert_refused("ipfs get a b", "expected 1 argument(s), got 2");
    assert_refused("ipfs -- key list", "expected 0 argument(s), got 2");
    assert_refused("ipfs help nope", "Unknown Command \"nope\"");
    assert_refused("ipfs --enc=yaml id", "invalid encoding: yaml");
}

static void test_encodings(void **state)
{
    static const struct {
        const char *line;
        bool wants_json;
        cli_encoding_t encoding;
    } lines[] = {
        {"ipfs --enc=xml id", true, CLI_AS_XML},
        {"ipfs id --encoding textnl", true, CLI_AS_LINES},
        {"ipfs id --enc=octet-stream", true, CLI_AS_BYTES},
        {"ipfs id --enc=json", true, CLI_AS_IT_IS},
        {"ipfs id --enc=text", false, CLI_AS_IT_IS},
        {"ipfs add --enc=json a", false, CLI_AS_IT_IS},
        {"ipfs add --json a", true, CLI_AS_IT_IS},
        {"ipfs get --enc=xml a", false, CLI_AS_IT_IS},
        {"distribute add --enc=json a", true, CLI_AS_IT_IS},
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        AUTO(cli_t) c;
        const cli_command_t *command;
        assert_ok(parse(lines[i].line, &c, &command));
        assert_int_equal(c.wants_json, lines[i].wants_json);
        assert_int_equal(c.encoding, lines[i].encoding);
    }
}

static void test_wrong_words_are_usage_errors(void **state)
{
    static const char *const lines[] = {"distribute nonsense",     "distribute add --nonsense x",
                                        "distribute pin update a", "distribute add -Z x",
                                        "distribute ping a b",     "distribute add --chunker"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        AUTO(cli_t) c;
        const cli_command_t *command;
        assert_int_equal(parse(lines[i], &c, &command), ERR_USAGE);
        assert_int_equal(error_exit_code(ERR_USAGE), 2);
    }
}

static void test_target_escapes(void **state)
{
    AUTO(cli_t) c;
    const cli_command_t *command;
    AUTO(buf_t) target = {0};
    const char *text;
    assert_int_equal(parse("distribute cat --offset=5 /ipfs/Qm&x=%?#", &c, &command), OK);
    assert_int_equal(cli_build_target(&c, command, &target), OK);
    assert_int_equal(buf_cstr(&target, &text), OK);
    assert_string_equal(text, "/api/v0/cat?arg=/ipfs/Qm%26x%3D%25%3F%23&offset=5");
}

static void test_escape(void **state)
{
    assert_string_equal(print_escape("a\x1b[31mb\x07\x7f"), "a\\x1b[31mb\\x07\\x7f");
    assert_string_equal(print_escape("\xc2\x9b"
                                     "31m \xc3\xa9"),
                        "\\x9b31m \xc3\xa9");
}

/* ── get against hostile archives ────────────────────────────────────────────────────────────── */

typedef struct fake_node {
    buf_t archive;
    size_t piece;
} fake_node_t;

static void put_number(uint8_t *field, size_t len, uint64_t value)
{
    field[len - 1] = 0;
    for (size_t i = len - 1; i--; value >>= 3)
        field[i] = (uint8_t)('0' + (value & 7));
}

static void put_entry(fake_node_t *n, const char *name, char type, const char *content)
{
    uint8_t h[512] = {0};
    size_t size = type == '0' ? strlen(content) : 0;
    memcpy(h, name, strlen(name));
    put_number(h + 100, 8, 0644);
    put_number(h + 124, 12, size);
    put_number(h + 136, 12, 0);
    h[156] = (uint8_t)type;
    if (type == '2')
        memcpy(h + 157, content, strlen(content));
    memcpy(h + 257, "ustar\00000", 8);
    memset(h + 148, ' ', 8);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof h; i++)
        sum += h[i];
    put_number(h + 148, 7, sum);
    assert_int_equal(buf_append(&n->archive, bytes_of(h, sizeof h)), OK);
    uint8_t body[512] = {0};
    if (size) {
        memcpy(body, content, size);
        assert_int_equal(buf_append(&n->archive, bytes_of(body, sizeof body)), OK);
    }
}

static err_t fake_call(task_t *t, void *arg, const char *target, const header_pair_t *headers,
                       size_t n_headers, memory_exchange_sink_t sink)
{
    fake_node_t *n = arg;
    TRY(sink.begin(t, sink.arg, 200));
    bytes_t left = buf_bytes(&n->archive);
    while (left.len) {
        bytes_t piece = bytes_slice(left, 0, n->piece);
        TRY(sink.write(t, sink.arg, piece));
        left = bytes_slice(left, piece.len, left.len);
    }
    return OK;
}

typedef struct get_case {
    fake_node_t node;
    char out[128];
    err_t result;
} get_case_t;

static err_t run_get_task(task_t *t, void *arg)
{
    get_case_t *g = arg;
    cli_t c;
    const cli_command_t *command;
    char line[256];
    snprintf(line, sizeof line, "distribute get QmX -o %s", g->out);
    TRY(parse(line, &c, &command));
    c.call = fake_call;
    c.call_arg = &g->node;
    g->result = cli_run(t, &c, command);
    cli_deinit(&c);
    return OK;
}

static void begin_case(get_case_t *g, const char *folder, size_t piece)
{
    *g = (get_case_t){.node = {.piece = piece}};
    buf_init(&g->node.archive, 1 << 20);
    snprintf(g->out, sizeof g->out, "%s/out", folder);
}

static err_t end_case(get_case_t *g)
{
    static const uint8_t zeros[1024];
    assert_int_equal(buf_append(&g->node.archive, bytes_of(zeros, sizeof zeros)), OK);
    assert_int_equal(test_run(run_get_task, g), OK);
    buf_deinit(&g->node.archive);
    return g->result;
}

static void make_folder(char folder[64])
{
    snprintf(folder, 64, "/tmp/cli-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static void remove_folder(const char *folder)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

static void test_get_writes_a_tree(void **state)
{
    for (size_t piece = 1; piece < 2000; piece = piece * 7) {
        char folder[64], path[128], text[8] = "";
        get_case_t g;
        make_folder(folder);
        begin_case(&g, folder, piece);
        put_entry(&g.node, "QmX", '5', "");
        put_entry(&g.node, "QmX/a", '0', "hello");
        put_entry(&g.node, "QmX/sub", '5', "");
        put_entry(&g.node, "QmX/sub/empty", '0', "");
        put_entry(&g.node, "QmX/link", '2', "a");
        assert_int_equal(end_case(&g), OK);
        snprintf(path, sizeof path, "%s/out/link", folder);
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        assert_non_null(fgets(text, sizeof text, f));
        fclose(f);
        assert_string_equal(text, "hello");
        snprintf(path, sizeof path, "%s/out/sub/empty", folder);
        assert_int_equal(access(path, F_OK), 0);
        remove_folder(folder);
    }
}

static void test_get_stays_below_its_target(void **state)
{
    static const char *const names[] = {"../evil",           "QmX/../../evil", "/tmp/evil", "other/evil",
                                        "QmX//evil/../../e", "QmX/./x",        ""};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char folder[64];
        get_case_t g;
        make_folder(folder);
        begin_case(&g, folder, 4096);
        put_entry(&g.node, "QmX", '5', "");
        put_entry(&g.node, names[i], '0', "evil");
        assert_int_equal(end_case(&g), ERR_INVALID);
        remove_folder(folder);
    }
}

static void test_get_does_not_follow_links(void **state)
{
    char folder[64], target[64], path[128];
    get_case_t g;
    make_folder(folder);
    make_folder(target);
    begin_case(&g, folder, 100);
    put_entry(&g.node, "QmX", '5', "");
    put_entry(&g.node, "QmX/link", '2', target);
    put_entry(&g.node, "QmX/link/evil", '0', "evil");
    assert_int_equal(end_case(&g), ERR_DENIED);
    snprintf(path, sizeof path, "%s/evil", target);
    assert_int_equal(access(path, F_OK), -1);
    remove_folder(folder);
    remove_folder(target);
}

static void test_get_refuses_half_an_archive(void **state)
{
    char folder[64];
    get_case_t g;
    make_folder(folder);
    begin_case(&g, folder, 512);
    put_entry(&g.node, "QmX", '0', "whole");
    assert_int_equal(test_run(run_get_task, &g), OK); /* no end of archive */
    buf_deinit(&g.node.archive);
    assert_int_equal(g.result, ERR_EOF);
    remove_folder(folder);
}

static void test_tar_is_checked(void **state)
{
    tar_reader_t r;
    uint8_t h[512] = {0};
    bytes_t in = bytes_of(h, sizeof h), data;
    tar_event_t event;
    memset(h, 'A', sizeof h);
    tar_reader_init(&r);
    assert_int_equal(tar_reader_feed(&r, &in, &event, &data), ERR_INVALID);
    tar_reader_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest_command_wins),
        cmocka_unit_test(test_options_before_and_behind),
        cmocka_unit_test(test_wrong_words_are_usage_errors),
        cmocka_unit_test(test_target_escapes),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_get_writes_a_tree),
        cmocka_unit_test(test_get_stays_below_its_target),
        cmocka_unit_test(test_get_does_not_follow_links),
        cmocka_unit_test(test_get_refuses_half_an_archive),
        cmocka_unit_test(test_kubos_words),
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_tar_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

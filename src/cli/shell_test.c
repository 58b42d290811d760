#include "cli/commands_internal.h"
#include "cli/shell.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <stdlib.h>

#define CHECK assert_true

/* ── words ───────────────────────────────────────────────────────────────────────────────────── */

static void test_lines_are_split_as_shells_do(void **state)
{
    static const struct {
        const char *line;
        int argc;
        const char *argv[4];
    } rows[] = {
        {"", 0, {NULL}},
        {"   \t ", 0, {NULL}},
        {"ls", 1, {"ls"}},
        {"  get  a -o b ", 4, {"get", "a", "-o", "b"}},
        {"store 'a b' \"c d\"", 3, {"store", "a b", "c d"}},
        {"store a\\ b 'it''s' x\"y z\"", 4, {"store", "a b", "its", "xy z"}},
        {"store \"a\\\"b\" 'a\\b'", 3, {"store", "a\"b", "a\\b"}},
        {"get cid#key", 2, {"get", "cid#key"}},
        {"ls # all", 1, {"ls"}},
        {"store ''", 2, {"store", ""}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char line[64], *argv[SHELL_MAX_WORDS + 1];
        int argc;
        snprintf(line, sizeof line, "%s", rows[i].line);
        assert_int_equal(shell_split(line, argv, &argc), OK);
        assert_int_equal(argc, rows[i].argc);
        for (int k = 0; k < argc; k++)
            assert_string_equal(argv[k], rows[i].argv[k]);
        assert_null(argv[argc]);
    }
}

static void test_open_quotes_and_floods_of_words_are_refused(void **state)
{
    char open_quote[] = "store 'a b", *argv[SHELL_MAX_WORDS + 1], *many = xcalloc(1, 3 * SHELL_MAX_WORDS);
    int argc;
    assert_int_equal(shell_split(open_quote, argv, &argc), ERR_USAGE);
    for (int i = 0; i <= SHELL_MAX_WORDS; i++)
        memcpy(many + 2 * i, "a ", 2);
    assert_int_equal(shell_split(many, argv, &argc), ERR_USAGE);
    free(many);
}

/* ── completion ──────────────────────────────────────────────────────────────────────────────── */

static bool has(const terminal_words_t *w, const char *word)
{
    for (size_t i = 0; i < w->count; i++)
        if (!strcmp(w->list[i], word))
            return true;
    return false;
}

static void complete(shell_t *s, const char *line, terminal_words_t *ret)
{
    terminal_words_deinit(ret);
    shell_complete(s, line, ret);
}

/* A terminal that gives prepared lines. */
typedef struct script {
    terminal_t base;
    const char *const *lines;
    char remembered[256];
    size_t interrupts;
} script_t;

static err_t next_line(task_t *t, terminal_t *x, const char *prompt, terminal_mode_t mode, buf_t *out)
{
    script_t *s = (script_t *)x;
    if (!*s->lines)
        return ERR_EOF;
    if (!strcmp(*s->lines, "^C")) {
        s->lines++;
        return ERR_AGAIN;
    }
    return buf_append(out, bytes_str(*s->lines++));
}

static void note_line(terminal_t *x, const char *line)
{
    script_t *s = (script_t *)x;
    strncat(s->remembered, line, sizeof s->remembered - strlen(s->remembered) - 2);
    strcat(s->remembered, "|");
}

static void note_interrupt(terminal_t *x)
{
    ((script_t *)x)->interrupts++;
}

static void close_script(task_t *t, terminal_t *x) {}

static const terminal_ops_t script_ops = {next_line, note_line, note_interrupt, close_script};

static err_t play_completion(task_t *t, void *arg)
{
    script_t script = {.base = {.ops = &script_ops}};
    shell_t *s = shell_new(task_sched(t), &script.base, &(shell_config_t){.program = "dfs"});
    AUTO(terminal_words_t) w = {0};
    complete(s, "", &w);
    CHECK(has(&w, "id") && has(&w, "help") && has(&w, "completion"));
    complete(s, "ver", &w);
    CHECK(w.count == 1 && has(&w, "version"));
    complete(s, "completion ", &w);
    CHECK(w.count == 3 && has(&w, "fish"));
    complete(s, "version --", &w);
    CHECK(w.count == 2 && has(&w, "--number") && !w.has_paths);
    complete(s, "help completion z", &w);
    CHECK(w.count == 1 && has(&w, "zsh"));
    complete(s, "nonsense ", &w);
    CHECK(!w.count);
    shell_close(t, s);
    return OK;
}

static void test_commands_and_options_are_completed(void **state)
{
    assert_int_equal(test_run(play_completion, NULL), OK);
}

/* ── running ─────────────────────────────────────────────────────────────────────────────────── */

typedef struct node_model {
    size_t calls;
    char last_target[128];
    bool hangs;
    shell_t *shell;
} node_model_t;

static err_t interrupt_soon(task_t *t, void *arg)
{
    TRY(task_sleep(t, 100));
    shell_interrupt(((node_model_t *)arg)->shell);
    return OK;
}

static err_t answer(task_t *t, void *arg, const char *target, const header_pair_t *headers, size_t n_headers,
                    memory_exchange_sink_t sink)
{
    node_model_t *m = arg;
    m->calls++;
    snprintf(m->last_target, sizeof m->last_target, "%s", target);
    if (m->hangs)
        return task_sleep(t, 1000 * 1000);
    TRY(sink.begin(t, sink.arg, 200));
    return sink.write(t, sink.arg, BYTES_LIT("{}\n"));
}

static err_t play_lines(task_t *t, void *arg)
{
    static const char *const lines[] = {"",     "nonsense", "^C", "node start", "node stop", "get cid#key",
                                        "exit", "id",       NULL};
    script_t script = {.base = {&script_ops, false}, .lines = lines};
    node_model_t model = {0};
    bool leaves;
    shell_t *s = shell_new(task_sched(t), &script.base,
                           &(shell_config_t){.program = "dfs", .call = answer, .call_arg = &model});
    TRY(shell_run(t, s, &leaves));
    CHECK(leaves);
    CHECK(model.calls == 2 && !strcmp(model.last_target, "/api/v0/dfs/get?arg=cid%23key"));
    CHECK(!strcmp(script.remembered, "nonsense|node start|node stop|exit|"));
    CHECK(*script.lines && !strcmp(*script.lines, "id")); /* exit ends it */
    static const char *const no_exit[] = {"id", NULL};
    script.lines = no_exit;
    TRY(shell_run(t, s, &leaves));
    CHECK(!leaves && model.calls == 3);
    script.base.is_interactive = true;
    shell_close(t, s);
    return OK;
}

static void test_lines_run_and_failures_do_not_end_the_prompt(void **state)
{
    assert_int_equal(test_run(play_lines, NULL), OK);
}

static err_t play_interrupt(task_t *t, void *arg)
{
    static const char *const lines[] = {"id", "node stop", NULL};
    script_t script = {.base = {&script_ops, false}, .lines = lines};
    node_model_t model = {.hangs = true};
    bool leaves;
    shell_t *s = shell_new(task_sched(t), &script.base,
                           &(shell_config_t){.program = "dfs", .call = answer, .call_arg = &model});
    model.shell = s;
    group_t g;
    group_init(&g, task_sched(t));
    for (int i = 1; i <= 2; i++)
        TRY(group_spawn(&g, "ctrl-c", interrupt_soon, &model, NULL));
    uint64_t began = task_now_ms(t);
    shell_interrupt(s); /* nothing runs: the line is given up */
    CHECK(script.interrupts == 1);
    deadline_t d = deadline_push(t, 2000);
    err_t e = shell_run(t, s, &leaves);
    deadline_pop(t, &d);
    /* The second command had nobody to end it but the deadline. */
    CHECK(!e && model.calls == 2 && task_now_ms(t) - began >= 2000);
    group_stop(t, &g);
    group_deinit(&g);
    shell_close(t, s);
    return OK;
}

static void test_an_interrupt_ends_the_command_alone(void **state)
{
    assert_int_equal(test_run(play_interrupt, NULL), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_split_as_shells_do),
        cmocka_unit_test(test_open_quotes_and_floods_of_words_are_refused),
        cmocka_unit_test(test_commands_and_options_are_completed),
        cmocka_unit_test(test_lines_run_and_failures_do_not_end_the_prompt),
        cmocka_unit_test(test_an_interrupt_ends_the_command_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "cli/shell.h"
#include "cli/commands_internal.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { KNOWN_CIDS_MAX = 256, TARGET_BYTES = 64 };

struct shell {
    shell_config_t config;
    terminal_t *terminal;
    group_t commands;       /* the one that runs */
    terminal_words_t known; /* CIDs of own files, for completion */
    bool is_interactive;
};

/* ── words ───────────────────────────────────────────────────────────────────────────────────── */

/* Copies one word to *to, which may be where it is; gives what is behind it. NULL: a quote is open. */
static char *take_word(char *from, char *to)
{
    char quote = 0;
    for (; *from && (quote || !isspace((unsigned char)*from)); from++) {
        if (quote && *from == quote)
            quote = 0;
        else if (!quote && (*from == '\'' || *from == '"'))
            quote = *from;
        else if (*from == '\\' && quote != '\'' && from[1])
            *to++ = *++from;
        else
            *to++ = *from;
    }
    if (quote)
        return NULL;
    from += *from != 0;
    *to = 0;
    return from;
}

err_t shell_split(char *line, char *argv[SHELL_MAX_WORDS + 1], int *ret_argc)
{
    int argc = 0;
    for (;;) {
        while (isspace((unsigned char)*line))
            line++;
        if (!*line || *line == '#')
            break;
        if (argc == SHELL_MAX_WORDS)
            return fail(ERR_USAGE, "a line has %d words at most", SHELL_MAX_WORDS);
        argv[argc++] = line;
        line = take_word(line, line);
        if (!line)
            return fail(ERR_USAGE, "a quote is not closed");
    }
    argv[argc] = NULL;
    *ret_argc = argc;
    return OK;
}

/* ── completion ──────────────────────────────────────────────────────────────────────────────── */

/* How many words of a row's name the line has, whole ones; SIZE_MAX: another command. */
static const char *name_behind(const char *name, const char *line, size_t len)
{
    if (strncmp(name, line, len) != 0 || (len && name[len - 1] != ' '))
        return NULL;
    return name + len;
}

static bool runs_here(const cli_command_t *row)
{
    return row->kind == CLI_RPC || row->kind == CLI_LOCAL;
}

static void add_commands(const cli_t *c, const char *line, size_t typed, const char *word,
                         terminal_words_t *ret)
{
    const cli_command_t *row;
    char text[64];
    for (size_t i = 0; (row = cli_command_at(c, i)); i++) {
        const char *rest = runs_here(row) ? name_behind(row->name, line, typed) : NULL;
        if (!rest)
            continue;
        snprintf(text, sizeof text, "%.*s", (int)strcspn(rest, " "), rest);
        terminal_words_add(ret, text, word);
    }
    static const char *const own[] = {"help", "exit"};
    for (size_t i = 0; !typed && i < ARRAY_LEN(own); i++)
        terminal_words_add(ret, own[i], word);
}

/* The row whose name the line begins with. */
static const cli_command_t *row_of(const cli_t *c, const char *line)
{
    const cli_command_t *row, *best = NULL;
    for (size_t i = 0; (row = cli_command_at(c, i)); i++) {
        size_t n = strlen(row->name);
        if (!strncmp(line, row->name, n) && line[n] == ' ' && (!best || n > strlen(best->name)))
            best = row;
    }
    return best;
}

void shell_complete(void *arg, const char *line, terminal_words_t *ret)
{
    shell_t *s = arg;
    cli_t c = {.program = s->config.program, .is_mesh = true};
    line += strspn(line, " ");
    const char *space = strrchr(line, ' '), *word = space ? space + 1 : line;
    add_commands(&c, line, (size_t)(word - line), word, ret);
    if (!strncmp(line, "help ", 5))
        add_commands(&c, line + 5, (size_t)(word - line - 5), word, ret);
    const cli_command_t *row = row_of(&c, line);
    if (!row)
        return;
    char option[64];
    for (const cli_spec_t *spec = row->specs; *word == '-' && spec && spec->name; spec++) {
        snprintf(option, sizeof option, "--%s", spec->name);
        terminal_words_add(ret, option, word);
    }
    bool is_output = space && space - line >= 3 && !strncmp(space - 3, " -o", 3);
    if (strstr(row->usage, "CID") && !is_output)
        for (size_t i = 0; i < s->known.count; i++)
            terminal_words_add(ret, s->known.list[i], word);
    ret->has_paths = is_output || strstr(row->usage, "FILE");
}

static err_t keep_cid(print_t *p, json_t *o)
{
    terminal_words_t *known = cli_of(p)->shell_words;
    if (known->count < KNOWN_CIDS_MAX) {
        terminal_words_add(known, json_text(o, "hash"), "");
        if (*json_text(o, "cid"))
            terminal_words_add(known, json_text(o, "cid"), "");
    }
    return OK;
}

/* Completion must not wait, so that what it may need is asked for beforehand. */
static void learn_cids(task_t *t, shell_t *s)
{
    if (!s->is_interactive)
        return;
    char target[TARGET_BYTES];
    cli_t c = {.program = s->config.program,
               .call = s->config.call,
               .call_arg = s->config.call_arg,
               .shell_words = &s->known};
    terminal_words_deinit(&s->known);
    snprintf(target, sizeof target, "/api/v0/dfs/ls?limit=%d", KNOWN_CIDS_MAX / 2);
    if (cli_request(t, &c, target, keep_cid))
        return; /* nothing is completed then */
}

/* ── one command ─────────────────────────────────────────────────────────────────────────────── */

typedef struct shell_command {
    shell_t *shell;
    cli_t cli;
    const cli_command_t *row;
    err_t result;
    error_slot_t why;
} shell_command_t;

static err_t run_command(task_t *t, void *arg)
{
    shell_command_t *m = arg;
    m->result = cli_run(t, &m->cli, m->row);
    m->why = *error_slot();
    return OK;
}

static err_t parse(shell_t *s, int argc, char **argv, shell_command_t *m)
{
    TRY(cli_parse(argc, argv, &m->cli, &m->row));
    cli_kind_t kind = cli_command_kind(m->row);
    if (kind != CLI_HELP && !runs_here(m->row))
        return fail(ERR_USAGE, "%s is not for the prompt: the node runs already", cli_command_name(m->row));
    m->cli.call = s->config.call;
    m->cli.call_arg = s->config.call_arg;
    m->cli.repo_path = s->config.repo_path;
    m->cli.terminal = s->terminal;
    m->cli.is_in_shell = true;
    return OK;
}

static err_t run_words(task_t *t, shell_t *s, int argc, char **argv)
{
    shell_command_t *m = xcalloc(1, sizeof *m);
    err_t e = parse(s, argc, argv, m);
    if (!e && cli_command_kind(m->row) != CLI_HELP) {
        group_init(&s->commands, task_sched(t));
        e = group_spawn(&s->commands, "shell command", run_command, m, NULL);
        if (!e)
            e = group_join(t, &s->commands);
        group_deinit(&s->commands);
        if (!e && m->result) {
            e = m->result;
            *error_slot() = m->why;
        }
        if (e == ERR_CANCELED && !task_is_canceled(t))
            e = fail(ERR_AGAIN, "interrupted");
    }
    if (e && e != ERR_CANCELED)
        cli_print_error(&m->cli, e);
    cli_deinit(&m->cli);
    free(m);
    fflush(stdout);
    return task_is_canceled(t) ? ERR_CANCELED : OK;
}

/* ── the loop ────────────────────────────────────────────────────────────────────────────────── */

/* A link has the key of a file behind its '#': no file keeps it. */
static void remember(shell_t *s, const char *line)
{
    if (*line && !strchr(line, '#'))
        terminal_remember(s->terminal, line);
}

static err_t run_line(task_t *t, shell_t *s, buf_t *line, bool *ret_leaves)
{
    char *argv[SHELL_MAX_WORDS + 2];
    const char *text;
    int argc;
    TRY(buf_cstr(line, &text));
    remember(s, text);
    argv[0] = (char *)s->config.program;
    if (shell_split((char *)line->data, argv + 1, &argc)) {
        fprintf(stderr, "error: %s\n", error_slot()->text);
        return OK;
    }
    if (!argc)
        return OK;
    *ret_leaves = !strcmp(argv[1], "exit") || !strcmp(argv[1], "quit");
    return *ret_leaves ? OK : run_words(t, s, argc + 1, argv);
}

err_t shell_run(task_t *t, shell_t *s, bool *ret_leaves)
{
    AUTO(buf_t) line;
    buf_init(&line, TERMINAL_LINE_MAX + 1);
    *ret_leaves = false;
    while (!*ret_leaves) {
        learn_cids(t, s);
        err_t e = terminal_line(t, s->terminal, SHELL_PROMPT, TERMINAL_PLAIN, &line);
        if (e == ERR_EOF) {
            *ret_leaves = s->is_interactive;
            return OK;
        }
        if (e == ERR_LIMIT)
            fprintf(stderr, "error: %s\n", error_slot()->text);
        if (e == ERR_LIMIT || e == ERR_AGAIN)
            continue;
        TRY(e);
        TRY(run_line(t, s, &line, ret_leaves));
    }
    return OK;
}

bool shell_is_interactive(const shell_t *s)
{
    return s->is_interactive;
}

void shell_interrupt(shell_t *s)
{
    if (s->commands.sched && s->commands.count)
        group_cancel(&s->commands);
    else
        terminal_interrupt(s->terminal);
}

shell_t *shell_new(sched_t *sched, terminal_t *x, const shell_config_t *c)
{
    shell_t *s = xcalloc(1, sizeof *s);
    s->config = *c;
    s->terminal = x;
    s->is_interactive = x && x->is_interactive;
    return s;
}

err_t shell_open(task_t *t, const shell_config_t *c, shell_t **ret)
{
    shell_t *s = shell_new(task_sched(t), NULL, c);
    err_t e =
        terminal_open(task_driver(t), &(terminal_config_t){c->history_path, shell_complete, s}, &s->terminal);
    if (e) {
        free(s);
        return e;
    }
    s->is_interactive = s->terminal->is_interactive;
    *ret = s;
    return OK;
}

void shell_close(task_t *t, shell_t *s)
{
    if (!s)
        return;
    terminal_close(t, s->terminal);
    terminal_words_deinit(&s->known);
    free(s);
}

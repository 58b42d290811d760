/* shell: the prompt of a running node. A line is a command of the program's vocabulary, answered by the RPC
 * as on the command line; words are split and quoted as shells do. One command at a time, in a task of its
 * own, which Ctrl-C ends while the node goes on. */
#ifndef CLI_SHELL_H
#define CLI_SHELL_H
#include "cli/cli.h"

#define SHELL_PROMPT "dfs> "
#define SHELL_MAX_WORDS 256

typedef struct shell shell_t;
typedef struct shell_config {
    const char *program; /* "dfs": whose vocabulary; borrowed, as all of this */
    cli_call_fn call;
    void *call_arg;
    const char *repo_path; /* cli_t.repo_path of the commands */
    const char *history_path;
} shell_config_t;

/* ERR_UNSUPPORTED: there is no terminal here. */
MUST_CHECK err_t shell_open(task_t *t, const shell_config_t *c, shell_t **ret);
void shell_close(task_t *t, shell_t *s); /* NULL is fine */
/* Reads and runs lines until there are no more, or `exit`. A command that fails says so and the next is read.
 * *ret_leaves: the user wants the node to end, too; false when input that no person types has ended. */
MUST_CHECK err_t shell_run(task_t *t, shell_t *s, bool *ret_leaves);
bool shell_is_interactive(const shell_t *s); /* does a person type? */
/* Ctrl-C: ends the command that runs, or gives up the line that is typed. */
void shell_interrupt(shell_t *s);

/* For tests: over a terminal of theirs, which is taken. */
shell_t *shell_new(sched_t *sched, terminal_t *x, const shell_config_t *c);
/* Words of a line into argv, in place: blanks divide, '…' and "…" keep together, \ takes the next character
 * as it is, # at the beginning of a word ends the line. ERR_USAGE: a quote that is not closed, or too many.
 */
MUST_CHECK err_t shell_split(char *line, char *argv[SHELL_MAX_WORDS + 1], int *ret_argc);
/* What may follow `line`. */
void shell_complete(void *shell, const char *line, terminal_words_t *ret);
#endif

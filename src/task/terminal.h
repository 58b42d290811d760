/* terminal: lines that a person types, or that a program writes into our standard input. `loop/` reads them
 * with editing, history and completion where input and output are a terminal, and as they come elsewhere.
 * All calls on the loop thread. */
#ifndef TASK_TERMINAL_H
#define TASK_TERMINAL_H
#include "base/bytes.h"
#include "task/task.h"

#define TERMINAL_LINE_MAX 65536   /* bytes of a line; what is longer is ERR_LIMIT, and passed over */
#define TERMINAL_WORDS_MAX 1024   /* candidates of one completion */
#define TERMINAL_HISTORY_MAX 1000 /* lines */

typedef struct terminal terminal_t;
/* What may stand where the cursor is. */
typedef struct terminal_words {
    char **list; /* owned */
    size_t count;
    bool has_paths; /* names of files, too: the terminal finds them */
} terminal_words_t;
void terminal_words_deinit(terminal_words_t *w);
AUTO_DEFINE(terminal_words_t, terminal_words_deinit)
/* Adds a copy when it begins with `prefix` and there is room. */
void terminal_words_add(terminal_words_t *w, const char *word, const char *prefix);

typedef struct terminal_config {
    const char *history_path; /* copied; the file is made with mode 0600; NULL: none is kept */
    /* Words that may follow `line`, which ends where the cursor is; must not wait. May be NULL. */
    void (*complete)(void *arg, const char *line, terminal_words_t *ret);
    void *arg;
} terminal_config_t;
typedef enum {
    TERMINAL_PLAIN,
    TERMINAL_SECRET, /* not shown, not completed, in no history */
} terminal_mode_t;
typedef struct terminal_ops {
    err_t (*line)(task_t *t, terminal_t *x, const char *prompt, terminal_mode_t mode, buf_t *out);
    void (*remember)(terminal_t *x, const char *line);
    void (*interrupt)(terminal_t *x);
    void (*close)(task_t *t, terminal_t *x);
} terminal_ops_t;
struct terminal {
    const terminal_ops_t *ops;
    bool is_interactive; /* a person sits there: lines are asked for with the prompt */
};

/* One at a time. ERR_UNSUPPORTED: this driver has none. ERR_IN_USE: it is open. */
MUST_CHECK err_t terminal_open(driver_t *d, const terminal_config_t *c, terminal_t **ret);
/* The next line, without its end, into out (cleared first). ERR_EOF: no more comes. ERR_AGAIN:
 * terminal_interrupt was called while it was typed. ERR_LIMIT: longer than a line, or than out, may be. */
MUST_CHECK err_t terminal_line(task_t *t, terminal_t *x, const char *prompt, terminal_mode_t mode,
                               buf_t *out);
void terminal_remember(terminal_t *x, const char *line); /* puts it into the history */
void terminal_interrupt(terminal_t *x);                  /* no effect when no line is asked for */
void terminal_close(task_t *t, terminal_t *x);           /* NULL is fine */
#endif

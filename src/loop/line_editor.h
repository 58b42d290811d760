/* line_editor: reads lines on a thread of its own, which may block. At a terminal libedit edits them, with
 * history and completion; it is loaded when first used, and without it lines come as the terminal gives them.
 */
#ifndef LOOP_LINE_EDITOR_H
#define LOOP_LINE_EDITOR_H
#include "task/terminal.h"

typedef struct line_editor line_editor_t;
typedef struct line_editor_config {
    int in_fd, out_fd, wake_fd; /* borrowed; a line is given up when wake_fd, an eventfd, is readable */
    const char *history_path;   /* borrowed; NULL: none */
    /* Called on the editor's thread; gives words that may follow `line`. */
    void (*complete)(void *arg, const char *line, terminal_words_t *ret);
    void *arg;
} line_editor_config_t;

line_editor_t *line_editor_new(const line_editor_config_t *c);
void line_editor_free(line_editor_t *e); /* writes the history; NULL is fine */
bool line_editor_is_interactive(const line_editor_t *e);
/* As terminal_line. Blocks. */
MUST_CHECK err_t line_editor_read(line_editor_t *e, const char *prompt, terminal_mode_t mode, buf_t *out);
void line_editor_remember(line_editor_t *e, const char *line);
#endif

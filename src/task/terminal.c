#include "task/terminal.h"
#include "task/driver.h"
#include <stdlib.h>
#include <string.h>

void terminal_words_deinit(terminal_words_t *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(w->list[i]);
    free(w->list);
    *w = (terminal_words_t){0};
}

void terminal_words_add(terminal_words_t *w, const char *word, const char *prefix)
{
    if (w->count == TERMINAL_WORDS_MAX || strncmp(word, prefix, strlen(prefix)) != 0)
        return;
    for (size_t i = 0; i < w->count; i++)
        if (!strcmp(w->list[i], word))
            return;
    w->list = xrealloc(w->list, (w->count + 1) * sizeof *w->list);
    w->list[w->count++] = xstrdup(word);
}

err_t terminal_open(driver_t *d, const terminal_config_t *c, terminal_t **ret)
{
    return d->ops->terminal ? d->ops->terminal(d, c, ret)
                            : fail(ERR_UNSUPPORTED, "there is no terminal to read lines from");
}

err_t terminal_line(task_t *t, terminal_t *x, const char *prompt, terminal_mode_t mode, buf_t *out)
{
    buf_clear(out);
    return x->ops->line(t, x, prompt, mode, out);
}

void terminal_remember(terminal_t *x, const char *line)
{
    x->ops->remember(x, line);
}

void terminal_interrupt(terminal_t *x)
{
    x->ops->interrupt(x);
}

void terminal_close(task_t *t, terminal_t *x)
{
    if (x)
        x->ops->close(t, x);
}

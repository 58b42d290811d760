/* stdin_args: `distribute add -q FILE | distribute pin rm`: words that are missing are read from standard
 * input, one a line, as Kubo does for the same commands. */
#include "cli/commands_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { STDIN_MAX_BYTES = 1 << 20, READ_BYTES = 4096 };

static err_t read_all(buf_t *out)
{
    uint8_t piece[READ_BYTES];
    for (;;) {
        ssize_t n = read(STDIN_FILENO, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(error_from_errno(errno), "cannot read standard input: %s", strerror(errno));
        if (n == 0)
            return OK;
        TRY(buf_append(out, bytes_of(piece, (size_t)n)));
    }
}

err_t cli_read_stdin_args(cli_t *c, const cli_command_t *command)
{
    AUTO(buf_t) text = {0};
    const char *all;
    if (c->n_args >= command->min_args)
        return OK;
    buf_init(&text, STDIN_MAX_BYTES);
    TRY(read_all(&text));
    TRY(buf_cstr(&text, &all));
    c->words = xmalloc(text.len + 1);
    memcpy(c->words, all, text.len + 1);
    size_t lines = 1;
    for (const char *p = c->words; *p; p++)
        lines += *p == '\n';
    c->args = xrealloc(c->args, (c->n_args + lines + 1) * sizeof *c->args);
    char *rest;
    for (char *line = strtok_r(c->words, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest))
        c->args[c->n_args++] = line;
    return cli_check_args(c, command);
}

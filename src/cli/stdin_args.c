/* stdin_args: `distribute add -q FILE | distribute pin rm`: words that are missing are read from standard
 * input, one a line, as Kubo does for the same commands. */
#include "cli/commands_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STDIN_MAX_BYTES = 64 << 20,
    READ_BYTES = 4096,
    IN_TARGET_MAX = 64,         /* so many words fit a request's target */
    IN_BODY_MAX = 4000,         /* and so many an upload … */
    BODY_MAX_BYTES = 900 << 10, /* … that is no longer than this */
};
static const char BOUNDARY[] = "words-of-standard-input";

err_t cli_read_fd(int fd, const char *what, buf_t *out)
{
    uint8_t piece[READ_BYTES];
    err_t e = OK;
    ssize_t n = 1;
    while (!e && n) {
        n = read(fd, piece, sizeof piece);
        if (n < 0 && errno != EINTR)
            e = fail(error_from_errno(errno), "cannot read %s: %s", what, strerror(errno));
        else if (n > 0 && buf_append(out, bytes_of(piece, (size_t)n)))
            e = fail(ERR_LIMIT, "%s is longer than %zu bytes", what, out->max);
    }
    secret_wipe(piece, sizeof piece);
    return e;
}

/* Words that may be missing are asked for where nobody would have to type them. */
static bool lacks_words(const cli_t *c, const cli_command_t *command)
{
    if (!command->reads_stdin || command->min_args)
        return command->reads_stdin && c->n_args < command->min_args;
    return !c->n_args && !isatty(STDIN_FILENO) && !cli_flag(c, "all", false);
}

/* As Kubo does for lists of CIDs, and for nothing else. */
static char *without_spaces(const cli_command_t *command, char *line)
{
    static const char SPACES[] = " \t\v\f";
    if (!command->rpc || strncmp(command->rpc, "cid/", 4))
        return line;
    line += strspn(line, SPACES);
    for (size_t n = strlen(line); n && strchr(SPACES, line[n - 1]);)
        line[--n] = 0;
    return line;
}

err_t cli_read_stdin_args(cli_t *c, const cli_command_t *command)
{
    AUTO(buf_t) text = {0};
    const char *all;
    if (!lacks_words(c, command))
        return OK;
    buf_init(&text, STDIN_MAX_BYTES);
    TRY(cli_read_fd(STDIN_FILENO, "standard input", &text));
    TRY(buf_cstr(&text, &all));
    c->words = xmalloc(text.len + 1);
    memcpy(c->words, all, text.len + 1);
    size_t lines = 1;
    for (const char *p = c->words; *p; p++)
        lines += *p == '\n';
    c->words_from = c->n_args;
    c->args = xrealloc(c->args, (c->n_args + lines + 1) * sizeof *c->args);
    char *rest;
    for (char *line = strtok_r(c->words, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest))
        c->args[c->n_args++] = without_spaces(command, line);
    return cli_check_args(c, command);
}

/* ── sending them ────────────────────────────────────────────────────────────────────────────── */
static err_t read_body(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    buf_t *body = arg;
    *ret_n = body->len < cap ? body->len : cap;
    memcpy(out, body->data, *ret_n);
    buf_consume(body, *ret_n);
    return OK;
}

/* Words from *at on, as the file of an upload, one a line; moves *at behind those that fit. */
static err_t fill_body(const cli_t *c, size_t *at, buf_t *body)
{
    TRY(buf_printf(body,
                   "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\r\n"
                   "Content-Type: application/octet-stream\r\n\r\n",
                   BOUNDARY));
    for (size_t n = 0; *at < c->n_args && n < IN_BODY_MAX; n++, ++*at) {
        if (n && body->len + strlen(c->args[*at]) > BODY_MAX_BYTES)
            break;
        TRY(buf_printf(body, "%s\n", c->args[*at]));
    }
    return buf_printf(body, "\r\n--%s--\r\n", BOUNDARY);
}

err_t cli_send_words(task_t *t, cli_t *c, const cli_command_t *command)
{
    AUTO(buf_t) target = {0}, body = {0};
    const char *text;
    char type[80];
    cli_t without = *c;
    without.n_args = c->words_from;
    TRY(cli_build_target(&without, command, &target));
    TRY(buf_cstr(&target, &text));
    snprintf(type, sizeof type, "multipart/form-data; boundary=%s", BOUNDARY);
    buf_init(&body, 2 * STDIN_MAX_BYTES);
    for (size_t at = c->words_from; at < c->n_args;) {
        buf_clear(&body);
        TRY(fill_body(c, &at, &body));
        TRY(cli_upload(t, c, text, type, read_body, &body, cli_printer(command)));
    }
    return OK;
}

bool cli_has_many_words(const cli_t *c)
{
    return c->words && c->n_args - c->words_from > IN_TARGET_MAX;
}

/* output: text to stdout; progress on a terminal. */
#include "cli/command.h"
#include "print/go_format.h"
#include "print/go_xml.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PROGRESS_EVERY_MS = 100, BAR_WIDTH = 30 };

err_t cli_out_bytes(bytes_t data)
{
    fflush(stdout);
    while (data.len) {
        ssize_t n = write(STDOUT_FILENO, data.data, data.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EPIPE)
            return fail(ERR_CLOSED, "the reader of the output left");
        if (n < 0)
            return fail(error_from_errno(errno), "cannot write the output: %s", strerror(errno));
        data = bytes_slice(data, (size_t)n, data.len);
    }
    return OK;
}

err_t cli_out(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vprintf(fmt, args);
    va_end(args);
    if (n < 0 || ferror(stdout))
        return fail(errno == EPIPE ? ERR_CLOSED : error_from_errno(errno), "cannot write the output: %s",
                    strerror(errno));
    return OK;
}

/* ── printers ────────────────────────────────────────────────────────────────────────────────── */
static const char *option_of(void *arg, const char *name)
{
    return cli_option(arg, name, 0);
}

static err_t write_text(void *arg, bytes_t text)
{
    if (fwrite(text.data, 1, text.len, stdout) == text.len)
        return OK;
    return fail(errno == EPIPE ? ERR_CLOSED : error_from_errno(errno), "cannot write the output: %s",
                strerror(errno));
}

static void note(void *arg, const char *fmt, va_list args)
{
    fflush(stdout);
    vfprintf(stderr, fmt, args);
}

print_t cli_print_to_stdout(cli_t *c)
{
    return (print_t){.option = option_of,
                     .write = write_text,
                     .note = note,
                     .arg = c,
                     .program = c->program,
                     .args = c->args,
                     .n_args = c->n_args,
                     .is_kubo = c->is_kubo,
                     .is_terminal_out = c->is_terminal_out,
                     .is_terminal_err = c->is_terminal_err};
}

print_fn cli_encoder(const cli_t *c)
{
    static const print_fn encoders[] = {NULL, go_xml_print, go_format_print_line, go_format_print};
    return encoders[c->encoding];
}

print_fn cli_printer(const cli_command_t *command)
{
    return command->print ? command->print : command->rpc ? print_find(command->rpc) : NULL;
}

/* ── progress ────────────────────────────────────────────────────────────────────────────────── */
void progress_init(progress_t *p, const cli_t *c, const char *label, uint64_t total, uint64_t now_ms)
{
    *p = (progress_t){.label = label, .total = total, .started_ms = now_ms};
    p->is_shown = c->is_terminal_err && !c->wants_json && cli_flag(c, "progress", true);
}

void progress_update(progress_t *p, uint64_t done, uint64_t now_ms)
{
    p->done = done;
    if (!p->is_shown || now_ms < p->drawn_ms + PROGRESS_EVERY_MS)
        return;
    p->drawn_ms = now_ms;
    double seconds = (double)(now_ms - p->started_ms) / 1000.0;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    char bar[BAR_WIDTH + 1];
    int filled = p->total ? (int)((double)done / (double)p->total * BAR_WIDTH) : 0;
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < filled ? '=' : i == filled ? '>' : ' ';
    bar[BAR_WIDTH] = 0;
    fprintf(stderr, "\r\033[K%s %s", p->label, print_size(done));
    if (p->total)
        fprintf(stderr, " of %s [%s]", print_size(p->total), bar);
    fprintf(stderr, " %s/s", print_size((uint64_t)rate));
    if (p->total > done && rate > 1)
        fprintf(stderr, " ETA %.0f s", (double)(p->total - done) / rate);
    fflush(stderr);
}

void progress_clear(progress_t *p)
{
    if (p->is_shown && p->drawn_ms)
        fprintf(stderr, "\r\033[K");
    p->drawn_ms = 0;
}

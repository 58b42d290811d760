/* command: rows of the command table. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H
#include "cli/cli.h"
#include "print/print.h"
#include <jansson.h>

typedef struct cli_spec {
    const char *name; /* long name on the command line */
    char letter;      /* 0: none */
    bool takes_value;
    const char *rpc; /* name in the query; NULL: the same; "": only for this side */
    const char *help;
} cli_spec_t;

#define CLI_ANY_ARGS 4096 /* max_args of a command that takes any number; standard input may give more */

struct cli_command {
    const char *name;  /* "pin add" */
    const char *usage; /* "CID…" */
    const char *help;  /* one line */
    cli_kind_t kind;
    const char *rpc; /* "pin/add"; NULL when `run` makes its own request */
    size_t min_args, max_args;
    bool needs_daemon;
    const cli_spec_t *specs; /* closed by a row with name NULL; may be NULL */
    err_t (*run)(task_t *t, cli_t *c, const cli_command_t *command); /* NULL: cli_run_generic */
    print_fn print;   /* NULL: print_find(rpc); without that, bytes go to stdout as they come */
    bool is_alias;    /* not shown in help */
    bool reads_stdin; /* missing arguments come from standard input, one a line */
};
/* All rows of the vocabulary that this program speaks (dfs has its own), in the order in which help shows
 * them; NULL behind the last. */
const cli_command_t *cli_command_at(const cli_t *c, size_t n);
bool cli_has_command(const cli_t *c, const char *word); /* or a group of that name */

/* ── requests ────────────────────────────────────────────────────────────────────────────────── */
/* "/api/v0/RPC?arg=…&option=…" from the words; the caller frees with buf_deinit. */
MUST_CHECK err_t cli_build_target(const cli_t *c, const cli_command_t *command, buf_t *out);
MUST_CHECK err_t cli_target_add(buf_t *target, const char *name, const char *value);
/* POSTs without a body. JSON answers go to print (NULL: none expected), with --json to stdout as they are;
 * bytes go to stdout. An error answer becomes the error of the call. */
MUST_CHECK err_t cli_request(task_t *t, cli_t *c, const char *target, print_fn print);
/* The same with an upload: read_body gives the multipart bytes, content_type names the boundary. */
typedef err_t (*cli_body_fn)(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n);
MUST_CHECK err_t cli_upload(task_t *t, cli_t *c, const char *target, const char *content_type,
                            cli_body_fn read_body, void *body_arg, print_fn print);
/* What prints a command's answers; NULL: nothing does. */
print_fn cli_printer(const cli_command_t *command);
/* What prints all answers in the encoding that was asked for; NULL: text, or JSON as it comes. */
print_fn cli_encoder(const cli_t *c);
/* A printer to stdout, with the words and options of c, which it borrows. */
print_t cli_print_to_stdout(cli_t *c);
static inline cli_t *cli_of(const print_t *p)
{
    return p->arg;
}
/* Raw bytes of the answer to `write`; trailers and headers to `header` (may be NULL). */
typedef struct cli_byte_sink {
    err_t (*write)(task_t *t, void *arg, bytes_t data);
    void (*header)(void *arg, const char *name, const char *value);
    void *arg;
} cli_byte_sink_t;
MUST_CHECK err_t cli_download(task_t *t, cli_t *c, const char *target, cli_byte_sink_t sink);
/* All of the above at once; what is NULL is not there. */
typedef struct cli_exchange {
    const char *content_type; /* of the body */
    cli_body_fn read_body;
    void *body_arg;
    print_fn print;               /* for JSON answers */
    const cli_byte_sink_t *bytes; /* or for all of the answer */
} cli_exchange_t;
MUST_CHECK err_t cli_exchange(task_t *t, cli_t *c, const char *target, cli_exchange_t x);
MUST_CHECK err_t cli_run_generic(task_t *t, cli_t *c, const cli_command_t *command);

/* ── output ──────────────────────────────────────────────────────────────────────────────────── */
/* printf to stdout; text from peers and files goes through print_escape first. ERR_CLOSED: the reader left.
 */
MUST_CHECK err_t cli_out(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
MUST_CHECK err_t cli_out_bytes(bytes_t data);

/* ── progress on a terminal ──────────────────────────────────────────────────────────────────── */
typedef struct progress {
    const char *label;
    uint64_t total, done, started_ms, drawn_ms;
    bool is_shown;
} progress_t;
void progress_init(progress_t *p, const cli_t *c, const char *label, uint64_t total, uint64_t now_ms);
void progress_update(progress_t *p, uint64_t done, uint64_t now_ms); /* draws at most ten times a second */
void progress_clear(progress_t *p);
/* All that comes, up to the buffer's maximum (ERR_LIMIT); nothing of it is left elsewhere in memory. what:
 * for the text of an error. */
MUST_CHECK err_t cli_read_fd(int fd, const char *what, buf_t *out);
#endif

/* print: answers of the RPC as text, as Kubo's printers word them. The command line prints with them what a
 * node answers, and the RPC answers with them when it is asked for `encoding=text`. A printer gets one JSON
 * value of an answer; what it writes goes to the printer's sink. Printers never wait.
 *
 * Reference: the text encoders of ipfs/kubo core/commands. */
#ifndef PRINT_PRINT_H
#define PRINT_PRINT_H
#include "base/bytes.h"
#include "base/error.h"
#include <jansson.h>
#include <stdarg.h>

typedef struct print print_t;
/* Where texts go and what was asked for; all is borrowed. */
struct print {
    const char *(*option)(void *arg, const char *name); /* text of an option, NULL when absent */
    err_t (*write)(void *arg, bytes_t text);
    void (*note)(void *arg, const char *fmt, va_list args); /* what is no part of the answer; may be NULL */
    void *arg;
    const char *program; /* "ipfs" */
    const char *command; /* of the RPC: "pin/add"; NULL where it is not known */
    char **args;         /* the words of the request */
    size_t n_args;
    bool is_decoded;                       /* the reference's command line had read the values from JSON */
    bool is_kubo;                          /* lines that we word otherwise are worded as the reference does */
    bool is_terminal_out, is_terminal_err; /* what is written, or noted, is seen as it comes */
    bool has_failed;                       /* a value told of a failure that does not end the answer */
    bool has_head;                         /* titles were printed */
    char last_hash[256];                   /* of the folder whose entries were printed last */
};
typedef err_t (*print_fn)(print_t *p, json_t *value);

/* The printer of a command of the RPC ("pin/add"). NULL: its answer has no text of its own. */
print_fn print_find(const char *command);

/* ── for printers ────────────────────────────────────────────────────────────────────────────── */
/* printf to the sink; text from peers and files goes through print_escape first. Errors of the sink. */
MUST_CHECK err_t print_out(print_t *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
MUST_CHECK err_t print_bytes(print_t *p, bytes_t data);
/* A line for each text of a list, behind `before`. */
MUST_CHECK err_t print_texts(print_t *p, json_t *texts, const char *before);
void print_note(print_t *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *print_option(const print_t *p, const char *name);
bool print_flag(const print_t *p, const char *name, bool otherwise);
/* A copy without control bytes, in a ring of static buffers: valid for the next few calls. NULL (what is no
 * text in JSON) is empty. */
const char *print_escape(const char *text);
const char *print_escape_json(json_t *object,
                              const char *key); /* of a member, which may hold NULs; "" when absent */
/* The name of a file, as ipfs shows it: backslashes are doubled and a line's end is "\n", so that it can be
 * read back. */
const char *print_name(json_t *object, const char *key);
const char *json_text(json_t *object, const char *key); /* "" when absent */
int64_t json_number(json_t *object, const char *key);
/* "2.4 MB" (1000) in a static ring. */
const char *print_size(uint64_t bytes);
/* "9 B", "1.2 kB", "15 kB" (1000), as the reference prints sizes beside numbers; in a static ring. */
const char *print_human_bytes(uint64_t bytes);
/* What is said when fewer nodes hold content than were asked for. */
extern const char print_replicas_hint[];
const char *print_filestore_status(int64_t status); /* "ok", "changed" … */
/* A line of `files ls`, without its end; owned. */
char *print_files_line(const print_t *p, json_t *entry);
/* As Go prints durations: "5m0s", "1.5s", "300ms". Returns out. */
const char *print_duration(int64_t ns, char out[64]);

/* A text of an answer, ready for a terminal. */
static inline const char *field(json_t *o, const char *key)
{
    return print_escape_json(o, key);
}
#endif

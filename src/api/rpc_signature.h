/* rpc_signature: what each command of the RPC takes: its arguments and options, by the names that Kubo gives
 * them. A request is checked against it before the command runs; `commands --flags` prints it.
 *
 *   arguments  "from-path|to-path", "?peer...<", "@path...": '?' optional, '@' a file of the upload, "..."
 * any number, '<' also from the upload, one a line options    "recursive,r:bool|name,n:string": names and
 * type (bool, int, int64, uint, uint64, string, array) */
#ifndef API_RPC_SIGNATURE_H
#define API_RPC_SIGNATURE_H
#include "base/bytes.h"

typedef struct rpc_signature {
    const char *path, *arguments, *options;
} rpc_signature_t;
const rpc_signature_t *rpc_signature(const char *path); /* NULL: none; the functions below take that, too */

typedef struct rpc_argument {
    bytes_t name;
    bool is_required, is_file, is_variadic, takes_stdin;
} rpc_argument_t;
/* The n-th argument that is a file of the upload, or that is a word. */
bool rpc_signature_argument(const rpc_signature_t *s, size_t n, bool is_file, rpc_argument_t *ret);
/* May the last words come in the upload? */
bool rpc_signature_takes_stdin(const rpc_signature_t *s, bool *ret_variadic);

typedef struct rpc_option_spec {
    bytes_t names; /* "recursive,r": the first is the one that commands ask for */
    bytes_t type;
} rpc_option_spec_t;
/* The option with this name among those of the command and those that all commands take. */
bool rpc_signature_option(const rpc_signature_t *s, bytes_t name, rpc_option_spec_t *ret);
/* Goes through a list of options, and through the names of one. */
bool rpc_signature_next_option(const char **list, rpc_option_spec_t *ret);
bool rpc_signature_next_name(bytes_t *names, bytes_t *ret_name);
bool rpc_signature_has_name(bytes_t names, bytes_t name);
/* A whole number as the reference reads it: 12, 0x1f, 0o17, 017, 0b11, 1_000. False: it is none, or over 64
 * bits. */
bool rpc_number_read(const char *text, bool *ret_is_negative, uint64_t *ret);
bool rpc_option_accepts(const rpc_option_spec_t *o, const char *value); /* is the value of its type? */
#endif

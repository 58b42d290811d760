/* cli: the command line. One table of commands; each turns words into a request of the RPC and its answer
 * into text, whether a daemon answers or this process does. Spoken to as `ipfs` it prints what Kubo prints.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H
#include "base/bytes.h"
#include "task/driver.h"
#include "task/exchange.h"

/* Sends POST /api/v0/… and gives the answer to the sink. main chooses: over HTTP to the running node, or to
 * api/ in this process over an offline node. */
typedef err_t (*cli_call_fn)(task_t *t, void *arg, const char *target, const header_pair_t *headers,
                             size_t n_headers, memory_exchange_sink_t sink);

/* What a command runs with. */
typedef struct cli_option {
    const char *name;  /* "cid-version" */
    const char *value; /* "true" for flags */
} cli_option_t;
#define CLI_MAX_OPTIONS 64
/* --enc=xml, textnl, octet-stream: answers as values of the reference's language. */
typedef enum { CLI_AS_IT_IS, CLI_AS_XML, CLI_AS_LINES, CLI_AS_BYTES } cli_encoding_t;
typedef struct cli {
    const char *program;     /* "distribute", "dfs" or "ipfs": how it was called */
    const char *repo_option; /* --repo, NULL when absent */
    const char *api_option;  /* --api multiaddr, NULL when absent */
    const char *api_auth;    /* --api-auth: a secret of API.Authorizations */
    const char *repo_path;   /* for CLI_LOCAL: where the repository is or would be; set by main */
    bool is_kubo;            /* called as ipfs */
    bool is_mesh;            /* called as dfs: the vocabulary of the mesh */
    bool is_in_shell;        /* a line of the interactive shell */
    bool wants_json;         /* --json or --enc=json, or an encoding that is made of JSON */
    cli_encoding_t encoding; /* which is made of it */
    bool has_failed;         /* an answer told of failures that did not end it */
    bool is_terminal_out, is_terminal_err;
    cli_option_t options[CLI_MAX_OPTIONS];
    size_t n_options;
    char **args;
    size_t n_args;
    cli_call_fn call;
    void *call_arg;
    char *words;                              /* owned: arguments that came from standard input */
    size_t words_from;                        /* the first of them */
    terminal_t *terminal;                     /* of the shell; borrowed */
    bool key_has_passphrase, key_is_unlocked; /* as the node said last */
    terminal_words_t *shell_words;            /* the shell's own requests gather words here */
} cli_t;

/* CLI_ALONE: a command of the RPC for a repository whose node does not run. CLI_NODELESS: a command of the
 * RPC that needs neither node nor repository. Behind it: commands that main runs itself, for they need a
 * repository or a node rather than the RPC. */
typedef enum {
    CLI_RPC,
    CLI_ALONE,
    CLI_NODELESS,
    CLI_INIT,
    CLI_NODE,
    CLI_GATEWAY,
    CLI_FILESERVER,
    CLI_FS,
    CLI_METADATA,
    CLI_METADATA_BACKUP,
    CLI_AUDIT_VERIFY,
    CLI_KEY_EXPORT,
    CLI_KEY_ROTATE,
    CLI_LOCAL,
    CLI_HELP
} cli_kind_t;
typedef struct cli_command cli_command_t;

/* Reads argv. ERR_USAGE with a line that names the word. For help it prints and gives CLI_HELP. The result
 * borrows argv. */
MUST_CHECK err_t cli_parse(int argc, char **argv, cli_t *ret_cli, const cli_command_t **ret_command);
void cli_deinit(cli_t *c);
AUTO_DEFINE(cli_t, cli_deinit)
cli_kind_t cli_command_kind(const cli_command_t *c);
const char *cli_command_name(const cli_command_t *c);
/* Must it be answered by a running node (swarm, ping, findprovs …)? */
bool cli_command_needs_daemon(const cli_command_t *c);
/* ERR_OFFLINE, and what to do, as whoever called the program knows it. */
MUST_CHECK err_t cli_fail_without_daemon(const cli_t *c, const cli_command_t *command);
/* Runs a CLI_RPC command: request, answer, output. */
MUST_CHECK err_t cli_run(task_t *t, cli_t *c, const cli_command_t *command);
/* Reads the arguments that are missing from standard input, for commands that take them there; cli_run does.
 * ERR_USAGE when there are none either. */
MUST_CHECK err_t cli_read_stdin_args(cli_t *c, const cli_command_t *command);

/* Sends one request for a command that main runs, and prints the answer as the command does. */
MUST_CHECK err_t cli_send(task_t *t, cli_t *c, const cli_command_t *command, const char *target);

/* Options by long name; NULL when absent. `n` counts repetitions. */
const char *cli_option(const cli_t *c, const char *name, size_t n);
bool cli_flag(const cli_t *c, const char *name, bool otherwise);
/* The first line of the file that an option names. ERR_NOT_FOUND: the option is not there. The caller wipes
 * out.
 */
MUST_CHECK err_t cli_passphrase_file(const cli_t *c, const char *option, buf_t *out);
/* `error: …` on stderr as the contract has it (or `Error: …` as Kubo prints). */
void cli_print_error(const cli_t *c, err_t e);
/* 1 for a failure and 2 for wrong usage; as ipfs 1 for both, as Kubo has it. */
int cli_exit_code(const cli_t *c, err_t e);

/* The call over HTTP: arg is a face_addr_t. ERR_OFFLINE when nobody listens there. */
MUST_CHECK err_t cli_call_http(task_t *t, void *arg, const char *target, const header_pair_t *headers,
                               size_t n_headers, memory_exchange_sink_t sink);
#endif

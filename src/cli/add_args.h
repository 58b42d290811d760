/* add_args: what the words of an upload name: files and folders, standard input (-), URLs; in the order in
 * which the reference sends them, by the names that they get. Reference: ipfs/go-ipfs-cmds cli/parse.go. */
#ifndef CLI_ADD_ARGS_H
#define CLI_ADD_ARGS_H
#include "cli/command.h"

typedef struct add_arg {
    const char *word; /* borrowed from the command line */
    enum { ADD_PATH, ADD_STDIN, ADD_URL } kind;
    char *name; /* as sent */
    char *path; /* absolute, or the URL as it is sent */
} add_arg_t;
typedef struct add_args {
    add_arg_t *args;
    size_t count;
} add_args_t;

/* No words: standard input. A file that is named twice comes once. ERR_NOT_FOUND, ERR_USAGE: two files of one
 * name, a URL that cannot be read; ERR_LIMIT. */
MUST_CHECK err_t add_args_read(const cli_t *c, add_args_t *ret);
void add_args_deinit(add_args_t *a);
bool add_is_url(const char *word); /* does it begin as an http or https URL does? */
#endif

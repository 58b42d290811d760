/* go_value: answers for which the reference has no text of its own, and lets its language print the struct
 * that it answers with: `&{NAME HASH %!s(int64=0)}`. Reference: TextEncoder of ipfs/go-ipfs-cmds, package
 * fmt. */
#ifndef PRINT_GO_VALUE_H
#define PRINT_GO_VALUE_H
#include "print/print.h"

/* Whether a command's answers are such structs. */
bool go_value_is(const char *command);
/* One value of the answer of p->command, which is such. */
MUST_CHECK err_t go_value_print(print_t *p, json_t *value);
#endif

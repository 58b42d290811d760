/* ignore: which files an add leaves out: rules as lines of a .gitignore, matched against the last name of
 * each path, as the reference does (ipfs/boxo files/filter.go): "*" stands for any characters, "!" takes
 * back, "#" begins a comment, folders in a rule never match but for a leading "/" or one of the two stars
 * with a slash. */
#ifndef CLI_IGNORE_H
#define CLI_IGNORE_H
#include "base/bytes.h"

#define IGNORE_MAX_RULES 65536

typedef struct ignore_rule {
    char *pattern; /* as fnmatch wants it */
    bool takes_back;
} ignore_rule_t;
typedef struct ignore {
    ignore_rule_t *rules;
    size_t count;
} ignore_t; /* all zero: nothing is left out */

void ignore_deinit(ignore_t *ig); /* idempotent */
AUTO_DEFINE(ignore_t, ignore_deinit)
/* Lines of a file, or one rule. ERR_LIMIT. */
MUST_CHECK err_t ignore_add(ignore_t *ig, bytes_t lines);
bool ignore_matches(const ignore_t *ig, const char *name);
#endif

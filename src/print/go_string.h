/* go_string: the texts of types that know their own. */
#ifndef PRINT_GO_STRING_H
#define PRINT_GO_STRING_H
#include "print/go_type.h"

/* Has the type, or what it points to, a text of its own? */
bool go_has_string(const go_type_t *t);
MUST_CHECK err_t go_string_print(const go_type_t *t, json_t *value, buf_t *out);
#endif

/* go_format: answers in the encodings `octet-stream` and `textnl`, and in `text` where the reference has no
 * text of its own: its values as package fmt of its language prints them with %s. What is text stands as it
 * is, what is not says so: `&{NAME %!s(int64=0)}`. Types that know their own text (durations, CIDs) stand as
 * that, but not within such a complaint.
 *
 * Not reproduced: addresses of memory, which stand as 0xc000000000. */
#ifndef PRINT_GO_FORMAT_H
#define PRINT_GO_FORMAT_H
#include "print/print.h"

/* Printers of values of p->command: as they are, and each with a newline behind it. ERR_LIMIT: over 64 MiB.
 */
MUST_CHECK err_t go_format_print(print_t *p, json_t *value);
MUST_CHECK err_t go_format_print_line(print_t *p, json_t *value);
#endif

/* print_ls: `ls` whose answer is one value, however large: it is taken apart as it comes. Of a folder with
 * many entries those that wait for their columns' widths stand in a temporary file. */
#ifndef PRINT_PRINT_LS_H
#define PRINT_PRINT_LS_H
#include "print/print.h"

typedef struct ls_text ls_text_t;
ls_text_t *ls_text_new(print_t *p); /* borrows p until it is freed */
/* Takes a piece of the answer. ERR_PROTOCOL: it is not that of `ls`; ERR_LIMIT: an entry of over 1 MiB;
 * ERR_IO, ERR_NO_SPACE: the temporary file; errors of the sink. */
MUST_CHECK err_t ls_text_feed(ls_text_t *l, bytes_t data);
void ls_text_free(ls_text_t *l);
#endif

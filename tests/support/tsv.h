/* tsv: rows of tests/vectors/NAME.tsv. First line names the columns; an empty field means none. */
#ifndef TESTS_SUPPORT_TSV_H
#define TESTS_SUPPORT_TSV_H
#include "base/bytes.h"
typedef struct tsv tsv_t;
tsv_t *tsv_open(const char *name);                 /* "cid.tsv"; aborts when it cannot be read */
bool tsv_next(tsv_t *v);                           /* the next row; false at the end */
const char *tsv_get(tsv_t *v, const char *column); /* "" when empty; aborts on an unknown column */
size_t tsv_row(const tsv_t *v);                    /* 1 for the first row of data */
void tsv_close(tsv_t *v);
/* The bytes of a hex column, into out (cleared first); aborts when it is not hex. */
void tsv_hex(tsv_t *v, const char *column, buf_t *out);
/* The input that a vector names: zero:N, mod251:N, hex:H, ctr:SEED:N, … is made by tests/support/inputs.h */
/* $TEST_ROOT/tests/vectors/NAME */
const char *vector_path(const char *name, char *out, size_t cap);
/* That file, into out (cleared first); aborts when it cannot be read or is over out's maximum. */
void vector_read(const char *name, buf_t *out);
#endif

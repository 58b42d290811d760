/* multicodec: the table of codes and names of multiformats/multicodec, table.csv of 2026. */
#ifndef MULTI_MULTICODEC_H
#define MULTI_MULTICODEC_H
#include "base/error.h"

typedef struct multicodec {
    uint64_t code;
    const char *name, *tag; /* "dag-pb", "ipld"; forever valid */
} multicodec_t;

const char *multicodec_name(uint64_t code); /* NULL when the table has none */
/* ERR_NOT_FOUND, naming the name. */
MUST_CHECK err_t multicodec_from_name(const char *name, uint64_t *ret_code);
/* The whole table, in the order of codes. */
const multicodec_t *multicodec_table(size_t *ret_count);
#endif

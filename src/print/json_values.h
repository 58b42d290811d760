/* json_values: the JSON values of a stream, cut out of it as it comes: behind its last bracket, or, outside
 * of brackets, at a newline, a value ends. */
#ifndef PRINT_JSON_VALUES_H
#define PRINT_JSON_VALUES_H
#include "base/bytes.h"
#include "print/json_depth.h"
#include "print/print.h"

typedef struct json_values {
    buf_t pending;  /* the start of a value whose end has not come, behind values that were given out */
    size_t given;   /* bytes of the values that json_values_next gave */
    size_t scanned; /* without an end, from `given` on */
    json_depth_t at;
} json_values_t;

void json_values_init(json_values_t *v, size_t max_bytes); /* of one value */
void json_values_deinit(json_values_t *v);
/* ERR_LIMIT: a value is longer than the maximum. */
MUST_CHECK err_t json_values_feed(json_values_t *v, bytes_t data);
/* The next value that is whole, not empty, until the next feed; at the end of the stream also a last one
 * without a newline. False: there is none; what was given is gone then. */
bool json_values_next(json_values_t *v, bool at_end, bytes_t *ret_value);
/* Gives a value to a printer. ERR_PROTOCOL: it is no JSON; ERR_LIMIT: nested too deep; the printer's. */
MUST_CHECK err_t json_value_print(print_t *p, bytes_t text, print_fn print);
#endif

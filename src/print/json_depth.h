/* json_depth: how deep in JSON text a byte stands, for listings that are taken apart while they come. Text
 * that is no JSON gives depths that mean nothing; what is cut out by them is parsed afterwards. */
#ifndef PRINT_JSON_DEPTH_H
#define PRINT_JSON_DEPTH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct json_depth {
    size_t depth; /* brackets that are open */
    bool in_string, is_escaped;
} json_depth_t;

typedef enum { JSON_DEPTH_SAME, JSON_DEPTH_OPENS, JSON_DEPTH_CLOSES } json_depth_step_t;

/* What the next byte does. An opening bracket is counted at once; a closing one still stands within what it
 * closes: the caller takes one from `depth`, which is 0 when nothing is open, once it has seen the byte. */
static inline json_depth_step_t json_depth_take(json_depth_t *d, uint8_t byte)
{
    bool opens = !d->in_string && (byte == '{' || byte == '[');
    bool closes = !d->in_string && (byte == '}' || byte == ']');
    if (byte == '"' && !d->is_escaped)
        d->in_string = !d->in_string;
    d->is_escaped = d->in_string && byte == '\\' && !d->is_escaped;
    d->depth += opens;
    return opens ? JSON_DEPTH_OPENS : closes ? JSON_DEPTH_CLOSES : JSON_DEPTH_SAME;
}
#endif

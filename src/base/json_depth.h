/* json_depth: how deeply JSON text is nested, to be known before it is parsed. The JSON library reads, prints
 * and frees values by recursion, up to 2048 levels; the stack of a task holds less. Text that somebody else
 * wrote therefore passes here first. */
#ifndef BASE_JSON_DEPTH_H
#define BASE_JSON_DEPTH_H
#include "base/bytes.h"

#define JSON_DEPTH_MAX 128

/* The most arrays and objects that are open at once. What is not JSON has some depth, too: never less than
 * a parser that stops at the first fault has entered. */
size_t json_depth(bytes_t text);
/* ERR_LIMIT: deeper than max. */
MUST_CHECK err_t json_check_depth(bytes_t text, size_t max);
#endif

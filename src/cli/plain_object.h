/* plain_object: a JSON object of strings alone, in which nothing is escaped and all is printable ASCII, such
 * as most lines of long listings are: read without the JSON library, and fit for a terminal as it is. */
#ifndef CLI_PLAIN_OBJECT_H
#define CLI_PLAIN_OBJECT_H
#include "base/bytes.h"

/* The values of the members called names[0 .. n - 1], borrowed from the text; none for one that is absent.
 * False: it is not such an object, whatever else it is. */
bool plain_object_read(bytes_t text, const char *const *names, size_t n, bytes_t *values);
#endif

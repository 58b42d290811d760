/* content_sniff: what bytes without a name are, for browsers. Signatures of file formats, as their
 * specifications and the WHATWG MIME Sniffing Standard have them; a page is HTML only when it begins like
 * one, and a text only without control bytes. Pure. */
#ifndef API_CONTENT_SNIFF_H
#define API_CONTENT_SNIFF_H
#include "base/bytes.h"

enum { CONTENT_SNIFFED_BYTES = 3072 }; /* what is looked at: enough for the first names of a ZIP archive */

/* Never NULL; static. */
const char *content_sniff(bytes_t first_bytes);
#endif

/* html: the pieces that the gateway's own pages are made of. Pages carry no scripts and load nothing: their
 * style is in them, and it follows the reader's choice of light or dark. */
#ifndef API_HTML_H
#define API_HTML_H
#include "base/bytes.h"

/* Text as content of an element or of a quoted attribute; control bytes become U+FFFD. */
MUST_CHECK err_t html_escape(bytes_t text, buf_t *out);
/* From the doctype to "<main>". title is escaped here. */
MUST_CHECK err_t html_begin(bytes_t title, buf_t *out);
MUST_CHECK err_t html_end(buf_t *out);
/* A path as a URL's path: percent-encoded but for '/', '~' and the like. Nothing in it needs escaping. */
MUST_CHECK err_t html_path(bytes_t path, buf_t *out);
MUST_CHECK err_t html_size(uint64_t bytes, buf_t *out); /* "1.5 kB" */
/* What a browser may do with such a page; media of any origin of this gateway when it shows some. */
extern const char html_policy[], html_media_policy[];
#endif

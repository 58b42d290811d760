/* gunzip: content that came compressed (Content-Encoding: gzip; RFC 1952), as it was before. Any split of the
 * input gives the same bytes; nothing is held but the decoder's window. */
#ifndef WEB_GUNZIP_H
#define WEB_GUNZIP_H
#include "base/bytes.h"

typedef struct gunzip gunzip_t;
MUST_CHECK err_t gunzip_new(gunzip_t **ret);
void gunzip_free(gunzip_t *g); /* NULL is fine */
AUTO_PTR_DEFINE(gunzip_t, gunzip_free)
/* Decodes from the front of in, which it moves, into out. *ret_n 0: it needs more input. ERR_PROTOCOL: no
 * gzip. */
MUST_CHECK err_t gunzip_feed(gunzip_t *g, bytes_t *in, uint8_t *out, size_t cap, size_t *ret_n);
/* May it end here: behind a member, or before the first? */
bool gunzip_is_whole(const gunzip_t *g);
#endif

/* git_raw_lines: the lines of a commit's or tag's headers. Only for git_raw.c and git_raw_write.c. */
#ifndef CODEC_GIT_RAW_LINES_H
#define CODEC_GIT_RAW_LINES_H
#include "base/bytes.h"

#define GIT_PGP_BEGIN "gpgsig -----BEGIN PGP SIGNATURE-----"
#define GIT_PGP_END " -----END PGP SIGNATURE-----"

/* The text up to the next newline, which is dropped; false at the end. */
static inline bool git_next_line(bytes_t *rest, bytes_t *ret_line)
{
    if (!rest->len)
        return false;
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    *ret_line = bytes_slice(*rest, 0, end ? (size_t)(end - rest->data) : rest->len);
    *rest = bytes_slice(*rest, ret_line->len + (end != NULL), rest->len);
    return true;
}
#endif

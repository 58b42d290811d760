/* multipart: bodies of multipart/form-data (RFC 7578, RFC 2046), an engine without I/O, fed piecewise.
 *
 *   multipart_room(m, &area, &cap); … put n bytes there …; multipart_filled(m, n);
 *   while ((event = multipart_next(m, &data)) != MULTIPART_MORE) …
 *
 * Data is borrowed from the engine's buffer until the next multipart_room. Any split of the input gives the
 * same parts. Bounded: headers of a part 16 KiB, names 4 KiB. */
#ifndef API_MULTIPART_H
#define API_MULTIPART_H
#include "base/bytes.h"

#define MULTIPART_BUFFER (128u << 10)
#define MULTIPART_HEADERS_MAX (16u << 10)
#define MULTIPART_NAME_MAX 4096
#define MULTIPART_BOUNDARY_MAX 70 /* RFC 2046, 5.1.1 */

typedef enum {
    MULTIPART_MORE, /* needs more input */
    MULTIPART_PART, /* m->part: a new part begins */
    MULTIPART_DATA, /* bytes of it */
    MULTIPART_PART_END,
    MULTIPART_END,   /* the closing boundary was read; what follows is ignored */
    MULTIPART_ERROR, /* m->error; final */
} multipart_event_t;

typedef struct multipart_part {
    char name[MULTIPART_NAME_MAX + 1];     /* of the form's field, quotes taken off */
    char filename[MULTIPART_NAME_MAX + 1]; /* as sent, quotes taken off */
    char content_type[128];                /* lower case, without parameters; "" when none */
    char *abs_path;                        /* "abspath-encoded", else "abspath"; NULL when none */
    bool has_filename, is_abs_path_encoded;
} multipart_part_t;

typedef struct multipart {
    uint8_t *buffer;
    size_t start, end;                          /* what of the buffer is not read yet */
    char delimiter[MULTIPART_BOUNDARY_MAX + 5]; /* CR LF - - boundary */
    size_t delimiter_len;
    enum {
        MULTIPART_PREAMBLE,
        MULTIPART_BOUNDARY,
        MULTIPART_HEADERS,
        MULTIPART_BODY,
        MULTIPART_DONE,
        MULTIPART_FAILED
    } state;
    multipart_part_t part;
    err_t error;
} multipart_t;

/* content_type: of the request. ERR_USAGE: not multipart, or without a usable boundary. */
MUST_CHECK err_t multipart_init(multipart_t *m, const char *content_type);
void multipart_deinit(multipart_t *m); /* idempotent */
AUTO_DEFINE(multipart_t, multipart_deinit)
void multipart_room(multipart_t *m, uint8_t **ret_area, size_t *ret_cap);
void multipart_filled(multipart_t *m, size_t n);
multipart_event_t multipart_next(multipart_t *m, bytes_t *ret_data);
#endif

/* zip_writer: a ZIP archive of stored (uncompressed) entries, streamed: sizes are known before their bytes.
 * Spec: APPNOTE.TXT 6.3, sections 4.3.7, 4.3.12, 4.3.16. At most 64 entries of less than 4 GiB in all. */
#ifndef API_ZIP_WRITER_H
#define API_ZIP_WRITER_H
#include "base/bytes.h"

#define ZIP_ENTRIES_MAX 64
typedef struct zip_writer {
    buf_t directory; /* the central directory so far */
    uint32_t offset; /* of the next entry */
    uint16_t n_entries;
} zip_writer_t;
void zip_init(zip_writer_t *z);
void zip_deinit(zip_writer_t *z); /* idempotent */
AUTO_DEFINE(zip_writer_t, zip_deinit)
/* Appends the entry, head and bytes, to out. ERR_LIMIT. */
MUST_CHECK err_t zip_entry(zip_writer_t *z, const char *name, bytes_t data, buf_t *out);
MUST_CHECK err_t zip_end(zip_writer_t *z, buf_t *out);
#endif

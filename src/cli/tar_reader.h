/* tar_reader: POSIX ustar and pax archives as `get` streams them, an engine without I/O. Names come out whole
 * (prefix, pax path); sizes from pax too. Bounded: names 4 KiB, pax headers 64 KiB. */
#ifndef CLI_TAR_READER_H
#define CLI_TAR_READER_H
#include "base/bytes.h"

typedef struct tar_entry {
    char name[4096];
    char link[4096]; /* of symlinks */
    enum { TAR_FILE, TAR_DIR, TAR_SYMLINK } kind;
    uint64_t size;
    uint32_t mode;
    int64_t mtime_s; /* 0: none */
    uint32_t mtime_ns;
} tar_entry_t;
typedef enum { TAR_MORE, TAR_ENTRY, TAR_DATA, TAR_ENTRY_END, TAR_END } tar_event_t;
typedef struct tar_reader {
    enum { TAR_IN_HEADER, TAR_IN_PAX, TAR_IN_DATA, TAR_IN_PADDING, TAR_ENDED } state;
    uint8_t header[512];
    size_t header_len;
    uint64_t left, padding;
    buf_t pax;
    tar_entry_t entry;
    char pax_path[4096], pax_link[4096];
    bool has_pax_path, has_pax_link, has_pax_size, has_pax_mtime;
    uint64_t pax_size;
    int64_t pax_mtime_s;
    uint32_t pax_mtime_ns;
} tar_reader_t;

void tar_reader_init(tar_reader_t *r);
void tar_reader_deinit(tar_reader_t *r);
/* Takes bytes from *in (which it advances) until it has something to say. TAR_ENTRY: r->entry is a new entry.
 * TAR_DATA: *ret_data is a piece of the file, borrowed from the input. ERR_INVALID: not a tar archive. */
MUST_CHECK err_t tar_reader_feed(tar_reader_t *r, bytes_t *in, tar_event_t *ret_event, bytes_t *ret_data);
bool tar_reader_is_whole(const tar_reader_t *r); /* the archive's end was seen */
#endif

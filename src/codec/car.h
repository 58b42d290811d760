/* car: content addressed archives: a header with roots, then blocks with their CIDs. Specs: ipld/ipld
 * specs/transport/car/carv1 and carv2.
 *
 * The reader is an engine without I/O, fed piecewise, for version 1 and for version 2, whose index it leaves
 * unread. Large blocks are read straight into their own memory:
 *
 *   car_reader_room(r, &area, &cap); … put n bytes there, 0 at the end of input …; car_reader_filled(r, n);
 *   while ((event = car_reader_next(r, &block)) != CAR_MORE) …
 *
 *   header ─(version 1)─────────────────────────────────┬→ section ⇄ block ─→ end
 *     └─(version 2)─→ v2 header ─→ padding ─→ header ───┘
 *
 * Any split of the input gives the same events. Memory: CAR_BUFFER, the header as far as it has come, one
 * block; a length over its limit is refused before anything is kept for it. The blocks' hashes are not
 * checked here: cid_verify. */
#ifndef CODEC_CAR_H
#define CODEC_CAR_H
#include "base/reader.h"
#include "base/writer.h"
#include "multi/block.h"

#define CAR_BUFFER (64u << 10)
#define CAR_HEADER_MAX (32u << 20) /* as the reference */
#define CAR_V2_PRAGMA_BYTES 11
#define CAR_V2_HEADER_BYTES 40
/* Bytes of a section's head: its length and CID. */
#define CAR_SECTION_HEAD_MAX (UVARINT_MAX_BYTES + CID_BINARY_MAX)

typedef struct car_options {
    size_t max_header_bytes;  /* 0: CAR_HEADER_MAX */
    size_t max_block_bytes;   /* 0: BLOCK_MAX_BYTES; at most BLOCK_STORED_MAX_BYTES */
    bool zero_section_is_end; /* a section of no bytes ends the archive (padding follows); else an error */
} car_options_t;

typedef enum {
    CAR_MORE,   /* needs more input */
    CAR_HEADER, /* version, v2 and the roots are known; once, first */
    CAR_BLOCK,  /* its hash is not checked */
    CAR_END,    /* all blocks have come; what follows in the input belongs to nothing here */
    CAR_ERROR,  /* r->error; final */
} car_event_t;

typedef struct car_v2 {
    uint8_t characteristics[16];
    uint64_t data_offset, data_size; /* where the version 1 archive lies in the file */
    uint64_t index_offset;           /* 0: none */
} car_v2_t;
#define CAR_V2_FULLY_INDEXED 0x80 /* of the first characteristic: identities are in the index, too */

typedef struct car_reader {
    car_options_t options;
    int version; /* 1, 2; 0 before CAR_HEADER */
    car_v2_t v2;
    buf_t header; /* CBOR of the (inner) version 1 header */
    err_t error;
    cid_t last; /* CID of the newest section */
    bool has_last;
    /* internal */
    uint8_t *buffer;
    size_t start, end; /* what of the buffer is not read yet */
    enum {
        CAR_AT_HEADER,
        CAR_AT_V2,
        CAR_AT_PADDING,
        CAR_AT_INNER_HEADER,
        CAR_AT_SECTION,
        CAR_IN_BLOCK,
        CAR_AT_END,
        CAR_FAILED
    } state;
    uint64_t offset;      /* of buffer[start] in the file */
    uint64_t header_left; /* bytes of the header that have not come */
    uint64_t window_left; /* bytes of the data that are not read; UINT64_MAX in version 1 */
    block_t *block;       /* being filled */
    size_t block_filled;
    bool has_ended; /* the input */
    bool is_in_header;
} car_reader_t;

void car_reader_init(car_reader_t *r, car_options_t options);
void car_reader_deinit(car_reader_t *r); /* idempotent */
AUTO_DEFINE(car_reader_t, car_reader_deinit)
/* Where the next input goes; at least one byte of room after CAR_MORE. Valid until car_reader_filled. */
void car_reader_room(car_reader_t *r, uint8_t **ret_area, size_t *ret_cap);
void car_reader_filled(car_reader_t *r, size_t n); /* n 0: the input has ended */
/* CAR_BLOCK gives a reference that the caller releases. Errors: ERR_EOF (cut off), ERR_INVALID (not an
 * archive of version 1 or 2, or damaged), ERR_LIMIT (header, section or CID too long). */
car_event_t car_reader_next(car_reader_t *r, block_t **ret_block);

/* The roots, in their order; after CAR_HEADER, while the reader lives. Returns the first error of visit. */
typedef err_t (*car_root_fn)(void *arg, const cid_t *root);
MUST_CHECK err_t car_reader_each_root(const car_reader_t *r, car_root_fn visit, void *arg);

/* Writing: of version 1 the header, then for each block its section head and its bytes. */
void car_put_header(writer_t *w, const cid_t *roots, size_t n);
void car_put_section_head(writer_t *w, const cid_t *cid, size_t data_len);
size_t car_section_bytes(const cid_t *cid, size_t data_len); /* head and data */
/* What stands before the version 1 archive in a version 2 file: CAR_V2_PRAGMA_BYTES + CAR_V2_HEADER_BYTES,
 * then what else v->data_offset leaves is the caller's. Its index: codec/car_index.h. */
void car_put_v2_head(writer_t *w, const car_v2_t *v);
#endif

/* pebble_block: the blocks of a table of Pebble (cockroachdb/pebble sstable), read row by row. Two layouts:
 * rows with shared prefixes, as LevelDB has them (tables up to version 4), and columns (from version 5 on,
 * sstable/colblk). What a block claims is checked before it is used. */
#ifndef STORE_PEBBLE_BLOCK_H
#define STORE_PEBBLE_BLOCK_H
#include "base/bytes.h"

#define PEBBLE_KEY_MAX_BYTES (64u << 10)

typedef enum { PEBBLE_ROWS, PEBBLE_COLUMNS } pebble_layout_t;
typedef enum {
    PEBBLE_DATA,        /* keys and values */
    PEBBLE_DATA_MARKED, /* the same in rows, a byte before each value says where it is (versions 3 and 4) */
    PEBBLE_INDEX,       /* where blocks are: the key is not below any of the block's */
    PEBBLE_META,        /* names and values */
} pebble_content_t;
typedef enum { PEBBLE_DELETE = 0, PEBBLE_SET = 1, PEBBLE_SET_AFTER_DELETE = 18 } pebble_kind_t;

typedef struct pebble_row {
    bytes_t key; /* valid until the next row */
    uint64_t sequence;
    uint8_t kind;         /* of data; those that are not in pebble_kind_t are other things than values */
    bool is_elsewhere;    /* the value is in another block or file */
    bytes_t value;        /* borrowed from the block */
    uint64_t offset, len; /* of an index */
} pebble_row_t;

/* Numbers of one width above a base. */
typedef struct pebble_numbers {
    const uint8_t *at;
    uint64_t base;
    uint32_t width, count;
} pebble_numbers_t;
typedef struct pebble_texts {
    pebble_numbers_t ends; /* of texts, in data; the first one is where the first text begins */
    bytes_t data;
} pebble_texts_t;
typedef struct pebble_block {
    bytes_t bytes; /* borrowed */
    pebble_layout_t layout;
    pebble_content_t content;
    size_t at; /* row, or byte */
    buf_t key;
    /* columns */
    size_t rows;
    uint32_t bundle_shift;
    size_t shared; /* bytes of the key */
    pebble_texts_t keys, suffixes, values;
    pebble_numbers_t trailers, offsets, lengths;
    const uint8_t *external; /* bits; NULL: none */
} pebble_block_t;

/* `bytes` must outlive it. ERR_CORRUPT. */
MUST_CHECK err_t pebble_block_open(pebble_block_t *b, bytes_t bytes, pebble_layout_t layout,
                                   pebble_content_t content);
void pebble_block_close(pebble_block_t *b); /* idempotent; zeros are fine */
/* ERR_CORRUPT. *ret_has false: there are no more. */
MUST_CHECK err_t pebble_block_next(pebble_block_t *b, pebble_row_t *ret, bool *ret_has);
#endif

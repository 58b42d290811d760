#include "store/pebble_block.h"
#include "base/reader.h"

enum { COLUMN_BOOL = 1, COLUMN_NUMBER = 2, COLUMN_TEXT = 3, COLUMN_PREFIXED = 4 };
enum { HEADER_BYTES = 7, COLUMN_HEADER_BYTES = 5, DATA_CUSTOM_BYTES = 4, MAX_ROWS = 1 << 24 };
enum { DELTA_BIT = 0x80, TRAILER_BYTES = 8, OBSOLETE_BIT = 64, MARK_ELSEWHERE = 0xc0 };

static err_t corrupt(const char *what)
{
    return fail(ERR_CORRUPT, "a table of the datastore is damaged: %s", what);
}

static uint64_t little_endian(const uint8_t *p, uint32_t width)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < width; i++)
        n |= (uint64_t)p[i] << (8 * i);
    return n;
}

/* ── columns ─────────────────────────────────────────────────────────────────────────────────── */
static uint64_t number_at(const pebble_numbers_t *n, size_t i)
{
    return n->base + little_endian(n->at + i * n->width, n->width);
}

/* Where a column's bytes begin; its type must be the one that the content has there. */
static err_t find_column(const pebble_block_t *b, uint32_t custom, uint32_t column, uint8_t type, size_t *ret)
{
    size_t head = custom + HEADER_BYTES + (size_t)column * COLUMN_HEADER_BYTES;
    if (head + COLUMN_HEADER_BYTES > b->bytes.len || b->bytes.data[head] != type)
        return corrupt("a column is not what it should be");
    *ret = (size_t)little_endian(b->bytes.data + head + 1, 4);
    return *ret < b->bytes.len ? OK : corrupt("a column is outside of its block");
}

static err_t open_numbers(const pebble_block_t *b, size_t *at, size_t count, pebble_numbers_t *ret)
{
    bytes_t all = b->bytes;
    *ret = (pebble_numbers_t){.count = (uint32_t)count};
    if (*at >= all.len)
        return corrupt("numbers are missing");
    uint8_t encoding = all.data[(*at)++];
    uint32_t width = encoding & ~(uint32_t)DELTA_BIT;
    if (width > 8 || (width & (width - 1)) || (width == 8 && encoding & DELTA_BIT))
        return corrupt("numbers of an unknown width");
    if (encoding & DELTA_BIT) {
        if (all.len - *at < 8)
            return corrupt("numbers are cut off");
        ret->base = little_endian(all.data + *at, 8);
        *at += 8;
    }
    if (width)
        *at = (*at + width - 1) / width * width;
    ret->width = width;
    if (*at > all.len || count * width > all.len - *at)
        return corrupt("numbers are cut off");
    ret->at = all.data + *at;
    *at += count * width;
    return OK;
}

static err_t open_texts(const pebble_block_t *b, size_t at, size_t count, pebble_texts_t *ret)
{
    TRY(open_numbers(b, &at, count + 1, &ret->ends));
    ret->data = bytes_slice(b->bytes, at, b->bytes.len);
    return ret->ends.base ? corrupt("texts do not begin at the beginning") : OK;
}

static err_t text_at(const pebble_texts_t *t, size_t i, bytes_t *ret)
{
    uint64_t from = number_at(&t->ends, i), to = number_at(&t->ends, i + 1);
    if (from > to || to > t->data.len)
        return corrupt("a text is outside of its column");
    *ret = bytes_of(t->data.data + from, (size_t)(to - from));
    return OK;
}

/* One column of texts, of numbers or of bits, by its place. */
static err_t open_text_column(pebble_block_t *b, uint32_t custom, uint32_t column, pebble_texts_t *ret)
{
    size_t at;
    TRY(find_column(b, custom, column, COLUMN_TEXT, &at));
    return open_texts(b, at, b->rows, ret);
}

static err_t open_number_column(pebble_block_t *b, uint32_t custom, uint32_t column, pebble_numbers_t *ret)
{
    size_t at;
    TRY(find_column(b, custom, column, COLUMN_NUMBER, &at));
    return open_numbers(b, &at, b->rows, ret);
}

static err_t open_bit_column(pebble_block_t *b, uint32_t custom, uint32_t column, const uint8_t **ret)
{
    size_t at;
    TRY(find_column(b, custom, column, COLUMN_BOOL, &at));
    *ret = NULL;
    if (b->bytes.data[at] != 0) { /* 1: none is set */
        return OK;
    }
    at = (at + 1 + 7) / 8 * 8;
    if (at > b->bytes.len || (b->rows + 63) / 64 * 8 > b->bytes.len - at)
        return corrupt("bits are cut off");
    *ret = b->bytes.data + at;
    return OK;
}

/* A prefix of all keys, then for each bundle of them a prefix and what is left of each. */
static err_t open_key_column(pebble_block_t *b)
{
    size_t at;
    bytes_t first;
    TRY(find_column(b, DATA_CUSTOM_BYTES, 0, COLUMN_PREFIXED, &at));
    b->bundle_shift = b->bytes.data[at++];
    if (b->bundle_shift > 16)
        return corrupt("bundles of keys are too large");
    TRY(open_texts(b, at, b->rows + 1 + ((b->rows - 1) >> b->bundle_shift), &b->keys));
    b->shared = (size_t)number_at(&b->keys.ends, 0);
    if (b->shared > b->keys.data.len || b->shared > PEBBLE_KEY_MAX_BYTES)
        return corrupt("a key is outside of its column");
    first = bytes_of(b->keys.data.data, b->shared);
    return buf_append(&b->key, first);
}

static err_t open_data_columns(pebble_block_t *b)
{
    enum { SUFFIX = 1, TRAILER, PREFIX_CHANGED, VALUE, EXTERNAL };
    TRY(open_key_column(b));
    TRY(open_text_column(b, DATA_CUSTOM_BYTES, SUFFIX, &b->suffixes));
    TRY(open_number_column(b, DATA_CUSTOM_BYTES, TRAILER, &b->trailers));
    TRY(open_text_column(b, DATA_CUSTOM_BYTES, VALUE, &b->values));
    return open_bit_column(b, DATA_CUSTOM_BYTES, EXTERNAL, &b->external);
}

static err_t open_index_columns(pebble_block_t *b)
{
    TRY(open_text_column(b, 0, 0, &b->keys));
    TRY(open_number_column(b, 0, 1, &b->offsets));
    return open_number_column(b, 0, 2, &b->lengths);
}

static err_t open_meta_columns(pebble_block_t *b)
{
    TRY(open_text_column(b, 0, 0, &b->keys));
    return open_text_column(b, 0, 1, &b->values);
}

static err_t open_columns(pebble_block_t *b)
{
    size_t custom = b->content == PEBBLE_INDEX || b->content == PEBBLE_META ? 0 : DATA_CUSTOM_BYTES;
    if (b->bytes.len < custom + HEADER_BYTES || b->bytes.data[custom] != 1)
        return corrupt("a block of columns of an unknown version");
    b->rows = (size_t)little_endian(b->bytes.data + custom + 3, 4);
    if (b->rows > MAX_ROWS)
        return corrupt("a block of too many rows");
    if (!b->rows)
        return OK;
    return b->content == PEBBLE_INDEX  ? open_index_columns(b)
           : b->content == PEBBLE_META ? open_meta_columns(b)
                                       : open_data_columns(b);
}

/* The key of a row behind the one before it: an empty rest means the same once more. */
static err_t next_key(pebble_block_t *b)
{
    bytes_t part;
    size_t bundle = b->at >> b->bundle_shift, in_bundle = b->at & ((1u << b->bundle_shift) - 1);
    size_t first = (bundle << b->bundle_shift) + bundle; /* the bundle's prefix; the rests come behind it */
    TRY(text_at(&b->keys, first + 1 + in_bundle, &part));
    if (!part.len && in_bundle)
        return OK;
    b->key.len = b->shared;
    bytes_t prefix;
    TRY(text_at(&b->keys, first, &prefix));
    TRY(buf_append(&b->key, prefix));
    return buf_append(&b->key, part);
}

static err_t next_data_columns(pebble_block_t *b, pebble_row_t *ret)
{
    bytes_t suffix;
    TRY(next_key(b));
    TRY(text_at(&b->suffixes, b->at, &suffix));
    if (suffix.len)
        return fail(ERR_UNSUPPORTED, "the datastore was written with another order of keys");
    TRY(text_at(&b->values, b->at, &ret->value));
    uint64_t trailer = number_at(&b->trailers, b->at);
    ret->key = buf_bytes(&b->key);
    ret->sequence = trailer >> 8;
    ret->kind = (uint8_t)trailer & (uint8_t)~OBSOLETE_BIT;
    ret->is_elsewhere = b->external && b->external[b->at / 8] >> (b->at % 8) & 1;
    return OK;
}

static err_t next_columns(pebble_block_t *b, pebble_row_t *ret, bool *ret_has)
{
    *ret_has = b->at < b->rows;
    if (!*ret_has)
        return OK;
    *ret = (pebble_row_t){0};
    if (b->content == PEBBLE_DATA || b->content == PEBBLE_DATA_MARKED) {
        TRY(next_data_columns(b, ret));
    } else {
        TRY(text_at(&b->keys, b->at, &ret->key));
        if (b->content == PEBBLE_META)
            TRY(text_at(&b->values, b->at, &ret->value));
        ret->offset = b->content == PEBBLE_INDEX ? number_at(&b->offsets, b->at) : 0;
        ret->len = b->content == PEBBLE_INDEX ? number_at(&b->lengths, b->at) : 0;
    }
    b->at++;
    return OK;
}

/* ── rows ────────────────────────────────────────────────────────────────────────────────────── */
/* Behind the rows: places where keys are whole, and their number. */
static err_t open_rows(pebble_block_t *b)
{
    size_t len = b->bytes.len;
    uint64_t places = len < 4 ? 0 : little_endian(b->bytes.data + len - 4, 4);
    if (len < 4 || places > (len - 4) / 4)
        return corrupt("a block has no end");
    b->rows = len - 4 - 4 * (size_t)places;
    return OK;
}

/* The key's last bytes are its sequence number and kind. */
static err_t split_key(pebble_block_t *b, pebble_row_t *ret)
{
    ret->key = buf_bytes(&b->key);
    if (b->content == PEBBLE_META)
        return OK;
    if (b->key.len < TRAILER_BYTES)
        return corrupt("a key is too short");
    ret->key.len -= TRAILER_BYTES;
    uint64_t trailer = little_endian(b->key.data + ret->key.len, TRAILER_BYTES);
    ret->sequence = trailer >> 8;
    ret->kind = (uint8_t)trailer & (uint8_t)~OBSOLETE_BIT;
    return OK;
}

static err_t split_value(pebble_block_t *b, pebble_row_t *ret)
{
    if (b->content == PEBBLE_INDEX) {
        reader_t r = reader_of(ret->value);
        ret->offset = read_pb_varint(&r);
        ret->len = read_pb_varint(&r);
        return r.err ? corrupt("an entry of the index is cut off") : OK;
    }
    if (b->content != PEBBLE_DATA_MARKED || ret->kind != PEBBLE_SET)
        return OK;
    if (!ret->value.len)
        return corrupt("a value without its mark");
    ret->is_elsewhere = ret->value.data[0] & MARK_ELSEWHERE;
    ret->value = bytes_slice(ret->value, 1, ret->value.len);
    return OK;
}

static err_t next_rows(pebble_block_t *b, pebble_row_t *ret, bool *ret_has)
{
    *ret_has = b->at < b->rows;
    if (!*ret_has)
        return OK;
    reader_t r = reader_of(bytes_slice(b->bytes, b->at, b->rows - b->at));
    uint64_t shared = read_pb_varint(&r), own = read_pb_varint(&r), len = read_pb_varint(&r);
    if (r.err || shared > b->key.len || own > reader_left(&r) || len > reader_left(&r) - own)
        return corrupt("a row is cut off");
    b->key.len = (size_t)shared;
    TRY(buf_append(&b->key, read_bytes(&r, (size_t)own)));
    *ret = (pebble_row_t){.value = read_bytes(&r, (size_t)len)};
    b->at = b->rows - reader_left(&r);
    TRY(split_key(b, ret));
    return split_value(b, ret);
}

/* ── both ────────────────────────────────────────────────────────────────────────────────────── */
err_t pebble_block_open(pebble_block_t *b, bytes_t bytes, pebble_layout_t layout, pebble_content_t content)
{
    *b = (pebble_block_t){.bytes = bytes, .layout = layout, .content = content};
    buf_init(&b->key, PEBBLE_KEY_MAX_BYTES + TRAILER_BYTES);
    err_t e = layout == PEBBLE_COLUMNS ? open_columns(b) : open_rows(b);
    if (e)
        pebble_block_close(b);
    return e;
}

void pebble_block_close(pebble_block_t *b)
{
    buf_deinit(&b->key);
    b->rows = b->at = 0;
}

err_t pebble_block_next(pebble_block_t *b, pebble_row_t *ret, bool *ret_has)
{
    return b->layout == PEBBLE_COLUMNS ? next_columns(b, ret, ret_has) : next_rows(b, ret, ret_has);
}

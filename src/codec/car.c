#include "codec/car.h"
#include <inttypes.h>
#include <stdlib.h>

enum { CBOR_UINT = 0, CBOR_BYTES = 2, CBOR_TEXT = 3, CBOR_ARRAY = 4, CBOR_MAP = 5, CBOR_TAG = 6 };
enum { CBOR_TAG_CID = 42 };

/* ── the header: {"roots": [CID, …], "version": 1} in dag-cbor ───────────────────────────────── */
/* The argument of an item of this major type; definite lengths in their shortest form alone. */
static uint64_t read_item(reader_t *r, int major)
{
    uint8_t first = read_u8(r), info = first & 31;
    uint64_t value = info;
    if (info == 24) {
        value = read_u8(r);
        if (value < 24)
            reader_fail(r, ERR_INVALID);
    } else if (info == 25) {
        value = read_u16be(r);
        if (value <= UINT8_MAX)
            reader_fail(r, ERR_INVALID);
    } else if (info == 26) {
        value = read_u32be(r);
        if (value <= UINT16_MAX)
            reader_fail(r, ERR_INVALID);
    } else if (info == 27) {
        value = read_u64be(r);
        if (value <= UINT32_MAX)
            reader_fail(r, ERR_INVALID);
    } else if (info > 27) {
        reader_fail(r, ERR_INVALID);
    }
    if (!r->err && first >> 5 != major)
        reader_fail(r, ERR_INVALID);
    return r->err ? 0 : value;
}

static void read_root(reader_t *r, cid_t *ret)
{
    if (read_item(r, CBOR_TAG) != CBOR_TAG_CID)
        reader_fail(r, ERR_INVALID);
    bytes_t link = read_bytes(r, (size_t)read_item(r, CBOR_BYTES));
    if (r->err)
        return;
    if (!link.len || link.data[0] || cid_decode(bytes_slice(link, 1, link.len), ret))
        reader_fail(r, ERR_INVALID);
}

typedef struct car_header {
    uint64_t version, n_roots;
    bytes_t roots; /* the items of the array and what follows */
    bool has_roots, has_version;
} car_header_t;

static void read_pair(reader_t *r, car_header_t *h)
{
    bytes_t key = read_bytes(r, (size_t)read_item(r, CBOR_TEXT));
    if (bytes_equal(key, BYTES_LIT("version")) && !h->has_version) {
        h->has_version = true;
        h->version = read_item(r, CBOR_UINT);
    } else if (bytes_equal(key, BYTES_LIT("roots")) && !h->has_roots) {
        h->has_roots = true;
        h->n_roots = read_item(r, CBOR_ARRAY);
        h->roots = bytes_of(r->pos, reader_left(r));
        for (uint64_t i = 0; i < h->n_roots && !r->err; i++) {
            cid_t root;
            read_root(r, &root);
        }
    } else {
        reader_fail(r, ERR_INVALID);
    }
}

static err_t parse_header(bytes_t in, car_header_t *ret)
{
    reader_t r = reader_of(in);
    car_header_t h = {0};
    uint64_t pairs = read_item(&r, CBOR_MAP);
    for (uint64_t i = 0; i < pairs && !r.err; i++)
        read_pair(&r, &h);
    if (r.err || reader_left(&r) || !h.has_version)
        return fail(ERR_INVALID, "invalid header: not the header of a CAR archive");
    if (h.version != 1 && h.version != 2)
        return fail(ERR_INVALID, "invalid car version: %" PRIu64, h.version);
    if (h.has_roots != (h.version == 1))
        return fail(ERR_INVALID, "invalid header: version %" PRIu64 " %s roots", h.version,
                    h.has_roots ? "with" : "without");
    *ret = h;
    return OK;
}

car_roots_t car_reader_roots(const car_reader_t *r)
{
    car_header_t h = {0};
    err_t e = parse_header(buf_bytes(&r->header), &h);
    return e ? (car_roots_t){0} : (car_roots_t){reader_of(h.roots), h.n_roots};
}

bool car_next_root(car_roots_t *roots, cid_t *ret_root)
{
    if (!roots->left)
        return false;
    roots->left--;
    read_root(&roots->reader, ret_root);
    return !roots->reader.err;
}

/* ── input ───────────────────────────────────────────────────────────────────────────────────── */
void car_reader_init(car_reader_t *r, car_options_t options)
{
    if (!options.max_header_bytes)
        options.max_header_bytes = CAR_HEADER_MAX;
    if (!options.max_block_bytes)
        options.max_block_bytes = BLOCK_MAX_BYTES;
    *r = (car_reader_t){.options = options, .window_left = UINT64_MAX};
    r->buffer = xmalloc(CAR_BUFFER);
    buf_init(&r->header, options.max_header_bytes);
}

void car_reader_deinit(car_reader_t *r)
{
    free(r->buffer);
    r->buffer = NULL;
    buf_deinit(&r->header);
    block_release(r->block);
    r->block = NULL;
}

void car_reader_room(car_reader_t *r, uint8_t **ret_area, size_t *ret_cap)
{
    if (r->state == CAR_IN_BLOCK && r->start == r->end) {
        *ret_area = r->block->data + r->block_filled;
        *ret_cap = r->block->len - r->block_filled;
        return;
    }
    if (r->start) {
        memmove(r->buffer, r->buffer + r->start, r->end - r->start);
        r->end -= r->start;
        r->start = 0;
    }
    *ret_area = r->buffer + r->end;
    *ret_cap = CAR_BUFFER - r->end;
}

void car_reader_filled(car_reader_t *r, size_t n)
{
    if (!n) {
        r->has_ended = true;
    } else if (r->state == CAR_IN_BLOCK && r->start == r->end) {
        r->block_filled += n;
        r->offset += n;
    } else {
        r->end += n;
    }
}

static bytes_t unread(const car_reader_t *r)
{
    return bytes_of(r->buffer + r->start, r->end - r->start);
}

/* Goes over bytes of the buffer. */
static void pass(car_reader_t *r, size_t n)
{
    r->start += n;
    r->offset += n;
    if (r->state > CAR_AT_PADDING && r->window_left != UINT64_MAX)
        r->window_left -= n;
}

static car_event_t stop(car_reader_t *r, err_t e)
{
    r->state = CAR_FAILED;
    r->error = e;
    return CAR_ERROR;
}

/* What is needed has not come: wait for it, unless it never will. */
static car_event_t more(car_reader_t *r)
{
    if (!r->has_ended)
        return CAR_MORE;
    return stop(r, fail(ERR_EOF, "unexpected EOF: the archive ends in the middle, at byte %" PRIu64,
                        r->offset + (r->end - r->start)));
}

/* ── header ──────────────────────────────────────────────────────────────────────────────────── */
/* The length in front of a header or a section. CAR_HEADER stands for "here it is". */
static car_event_t read_length(car_reader_t *r, uint64_t *ret_len, size_t *ret_used)
{
    err_t e = uvarint_get(unread(r), ret_len, ret_used);
    if (e == ERR_EOF)
        return more(r);
    if (e)
        return stop(r, fail(ERR_INVALID, "byte %" PRIu64 ": not a length", r->offset));
    if (*ret_len > r->window_left || *ret_used > r->window_left - *ret_len)
        return stop(r, fail(ERR_INVALID, "byte %" PRIu64 ": %" PRIu64 " bytes run past the end of the data",
                            r->offset, *ret_len));
    return CAR_HEADER;
}

static car_event_t end_header(car_reader_t *r)
{
    car_header_t h;
    err_t e = parse_header(buf_bytes(&r->header), &h);
    if (e)
        return stop(r, e);
    r->is_in_header = false;
    if (h.version == 2 && (r->state != CAR_AT_HEADER || r->offset != CAR_V2_PRAGMA_BYTES))
        return stop(r, fail(ERR_INVALID, "invalid data payload header version; expected 1, got 2"));
    if (h.version == 2) {
        buf_clear(&r->header);
        r->state = CAR_AT_V2;
        return CAR_MORE;
    }
    r->version = r->state == CAR_AT_HEADER ? 1 : 2;
    r->state = CAR_AT_SECTION;
    return CAR_HEADER;
}

static car_event_t read_header(car_reader_t *r)
{
    if (!r->is_in_header) {
        size_t used;
        car_event_t event = read_length(r, &r->header_left, &used);
        if (event != CAR_HEADER)
            return event;
        if (r->header_left > r->options.max_header_bytes)
            return stop(r, fail(ERR_LIMIT, "invalid header data, length of read beyond allowable maximum"));
        pass(r, used);
        r->is_in_header = true;
    }
    bytes_t part = bytes_slice(unread(r), 0, (size_t)r->header_left);
    err_t e = buf_append(&r->header, part);
    if (e)
        return stop(r, e);
    pass(r, part.len);
    r->header_left -= part.len;
    return r->header_left ? more(r) : end_header(r);
}

static car_event_t read_v2(car_reader_t *r)
{
    if (r->end - r->start < CAR_V2_HEADER_BYTES)
        return more(r);
    reader_t in = reader_of(unread(r));
    memcpy(r->v2.characteristics, read_bytes(&in, sizeof r->v2.characteristics).data,
           sizeof r->v2.characteristics);
    r->v2.data_offset = read_u64le(&in);
    r->v2.data_size = read_u64le(&in);
    r->v2.index_offset = read_u64le(&in);
    pass(r, CAR_V2_HEADER_BYTES);
    const car_v2_t *v = &r->v2;
    if (v->data_offset < CAR_V2_PRAGMA_BYTES + CAR_V2_HEADER_BYTES || v->data_offset > INT64_MAX)
        return stop(r, fail(ERR_INVALID, "invalid data payload offset: %" PRIu64, v->data_offset));
    if (!v->data_size || v->data_size > INT64_MAX)
        return stop(r, fail(ERR_INVALID, "invalid data payload size: %" PRIu64, v->data_size));
    if (v->index_offset && v->index_offset < v->data_offset + v->data_size)
        return stop(r, fail(ERR_INVALID, "invalid index offset: %" PRIu64, v->index_offset));
    r->state = CAR_AT_PADDING;
    return CAR_MORE;
}

static car_event_t skip_padding(car_reader_t *r)
{
    uint64_t left = r->v2.data_offset - r->offset;
    bytes_t part = bytes_slice(unread(r), 0, left < CAR_BUFFER ? (size_t)left : CAR_BUFFER);
    pass(r, part.len);
    if (part.len < left)
        return r->start < r->end ? CAR_MORE : more(r);
    r->state = CAR_AT_INNER_HEADER;
    r->window_left = r->v2.data_size;
    return CAR_MORE;
}

/* ── sections ────────────────────────────────────────────────────────────────────────────────── */
static car_event_t end_archive(car_reader_t *r)
{
    r->state = CAR_AT_END;
    return CAR_END;
}

static car_event_t begin_block(car_reader_t *r, size_t head, uint64_t len)
{
    if (len > r->options.max_block_bytes)
        return stop(r, fail(ERR_LIMIT, "a block of %" PRIu64 " bytes is over the limit of %zu", len,
                            r->options.max_block_bytes));
    err_t e = block_new((size_t)len, &r->block);
    if (e)
        return stop(r, e);
    pass(r, head);
    if (r->window_left != UINT64_MAX)
        r->window_left -= len;
    r->block->cid = r->last;
    r->block_filled = 0;
    r->state = CAR_IN_BLOCK;
    return CAR_MORE;
}

static car_event_t read_section(car_reader_t *r)
{
    uint64_t len;
    size_t used, cid_len;
    if (!r->window_left || (r->has_ended && r->start == r->end && r->version == 1))
        return end_archive(r);
    car_event_t event = read_length(r, &len, &used);
    if (event != CAR_HEADER)
        return event;
    if (!len && r->options.zero_section_is_end)
        return end_archive(r);
    if (len > r->options.max_block_bytes && len - r->options.max_block_bytes > CID_BINARY_MAX)
        return stop(r, fail(ERR_LIMIT, "invalid section data, length of read beyond allowable maximum"));
    bytes_t start = bytes_slice(bytes_slice(unread(r), used, SIZE_MAX), 0, (size_t)len);
    if (start.len < len && start.len < CID_BINARY_MAX)
        return more(r);
    err_t e = cid_decode_prefix(start, &r->last, &cid_len);
    if (e)
        return stop(r, fail_also(e, "section at byte %" PRIu64, r->offset));
    r->has_last = true;
    return begin_block(r, used + cid_len, len - cid_len);
}

static car_event_t read_block(car_reader_t *r, block_t **ret_block)
{
    block_t *b = r->block;
    bytes_t part = bytes_slice(unread(r), 0, b->len - r->block_filled);
    if (part.len)
        memcpy(b->data + r->block_filled, part.data, part.len);
    r->start += part.len;
    r->offset += part.len;
    r->block_filled += part.len;
    if (r->block_filled < b->len)
        return more(r);
    *ret_block = b;
    r->block = NULL;
    r->state = CAR_AT_SECTION;
    return CAR_BLOCK;
}

static car_event_t step(car_reader_t *r, block_t **ret_block)
{
    switch (r->state) {
    case CAR_AT_HEADER:
    case CAR_AT_INNER_HEADER:
        return read_header(r);
    case CAR_AT_V2:
        return read_v2(r);
    case CAR_AT_PADDING:
        return skip_padding(r);
    case CAR_AT_SECTION:
        return read_section(r);
    case CAR_IN_BLOCK:
        return read_block(r, ret_block);
    case CAR_AT_END:
        return CAR_END;
    case CAR_FAILED:
        break;
    }
    return CAR_ERROR;
}

car_event_t car_reader_next(car_reader_t *r, block_t **ret_block)
{
    for (;;) {
        int state = r->state;
        car_event_t event = step(r, ret_block);
        if (event != CAR_MORE || state == (int)r->state)
            return event;
    }
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static void put_item(writer_t *w, int major, uint64_t value)
{
    uint8_t top = (uint8_t)(major << 5);
    if (value < 24) {
        write_u8(w, top | (uint8_t)value);
    } else if (value <= UINT8_MAX) {
        write_u8(w, top | 24);
        write_u8(w, (uint8_t)value);
    } else if (value <= UINT16_MAX) {
        write_u8(w, top | 25);
        write_u16be(w, (uint16_t)value);
    } else {
        write_u8(w, top | 26);
        write_u32be(w, (uint32_t)value);
    }
}

static size_t item_size(uint64_t value)
{
    return value < 24 ? 1 : value <= UINT8_MAX ? 2 : value <= UINT16_MAX ? 3 : 5;
}

static void put_text(writer_t *w, bytes_t text)
{
    put_item(w, CBOR_TEXT, text.len);
    write_bytes(w, text);
}

static size_t root_size(const cid_t *root)
{
    uint8_t raw[CID_BINARY_MAX];
    size_t len = cid_encode(root, raw) + 1;
    return item_size(CBOR_TAG_CID) + item_size(len) + len;
}

void car_put_header(writer_t *w, const cid_t *roots, size_t n)
{
    static const char roots_key[] = "roots", version_key[] = "version";
    assert(n <= UINT32_MAX);
    size_t size = 1 + sizeof roots_key + item_size(n) + sizeof version_key + 1;
    for (size_t i = 0; i < n; i++)
        size += root_size(&roots[i]);
    write_uvarint(w, size);
    put_item(w, CBOR_MAP, 2);
    put_text(w, bytes_str(roots_key));
    put_item(w, CBOR_ARRAY, n);
    for (size_t i = 0; i < n; i++) {
        uint8_t raw[CID_BINARY_MAX];
        size_t len = cid_encode(&roots[i], raw);
        put_item(w, CBOR_TAG, CBOR_TAG_CID);
        put_item(w, CBOR_BYTES, len + 1);
        write_u8(w, 0);
        write_bytes(w, bytes_of(raw, len));
    }
    put_text(w, bytes_str(version_key));
    put_item(w, CBOR_UINT, 1);
}

void car_put_section_head(writer_t *w, const cid_t *cid, size_t data_len)
{
    uint8_t raw[CID_BINARY_MAX];
    size_t len = cid_encode(cid, raw);
    write_uvarint(w, len + data_len);
    write_bytes(w, bytes_of(raw, len));
}

#include "codec/car.h"
#include "codec/dag_cbor.h"
#include <inttypes.h>
#include <stdlib.h>

/* ── the header: {"roots": [CID, …], "version": 1} in dag-cbor ───────────────────────────────── */
typedef struct car_header {
    uint64_t version;
    bool has_roots, has_version;
} car_header_t;

static err_t unexpected(ipld_scan_t *s)
{
    return fail(ERR_INVALID, "invalid header: %s",
                s->err ? error_text(s->err) : "not the header of a CAR archive");
}

static err_t read_roots(ipld_scan_t *s, car_root_fn visit, void *arg)
{
    ipld_event_t e;
    cid_t root;
    if (!ipld_scan_next(s, &e) || e.kind != IPLD_LIST)
        return unexpected(s);
    while (ipld_scan_next(s, &e) && e.kind == IPLD_LINK) {
        TRY(cid_decode(e.bytes, &root));
        if (visit)
            TRY(visit(arg, &root));
    }
    return s->err || e.kind != IPLD_END ? unexpected(s) : OK;
}

static err_t read_pair(ipld_scan_t *s, bytes_t key, car_header_t *h, car_root_fn visit, void *arg)
{
    ipld_event_t e;
    if (bytes_equal(key, BYTES_LIT("roots")) && !h->has_roots) {
        h->has_roots = true;
        return read_roots(s, visit, arg);
    }
    if (!bytes_equal(key, BYTES_LIT("version")) || h->has_version || !ipld_scan_next(s, &e) ||
        e.kind != IPLD_UINT)
        return unexpected(s);
    h->has_version = true;
    h->version = e.integer;
    return OK;
}

static err_t read_pairs(ipld_scan_t *s, car_header_t *h, car_root_fn visit, void *arg)
{
    ipld_event_t e;
    if (!ipld_scan_next(s, &e) || e.kind != IPLD_MAP)
        return unexpected(s);
    while (ipld_scan_next(s, &e) && e.is_key)
        TRY(read_pair(s, e.bytes, h, visit, arg));
    ipld_event_t behind;
    return s->err || ipld_scan_next(s, &behind) || s->err || !h->has_version ? unexpected(s) : OK;
}

static err_t parse_header(bytes_t in, car_root_fn visit, void *arg, car_header_t *ret)
{
    AUTO(ipld_scan_t) s;
    car_header_t h = {0};
    ipld_scan_init(&s, CODEC_DAG_CBOR, in, 0);
    TRY(read_pairs(&s, &h, visit, arg));
    if (h.version != 1 && h.version != 2)
        return fail(ERR_INVALID, "invalid car version: %" PRIu64, h.version);
    if (h.has_roots != (h.version == 1))
        return fail(ERR_INVALID, "invalid header: version %" PRIu64 " %s roots", h.version,
                    h.has_roots ? "with" : "without");
    *ret = h;
    return OK;
}

err_t car_reader_each_root(const car_reader_t *r, car_root_fn visit, void *arg)
{
    car_header_t h;
    return parse_header(buf_bytes(&r->header), visit, arg, &h);
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
    err_t e = parse_header(buf_bytes(&r->header), NULL, NULL, &h);
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
static void put_cbor_header(writer_t *w, const cid_t *roots, size_t n)
{
    dag_cbor_put(w, &(ipld_event_t){.kind = IPLD_MAP, .integer = 2});
    dag_cbor_put(w, &(ipld_event_t){.kind = IPLD_STRING, .bytes = BYTES_LIT("roots")});
    dag_cbor_put(w, &(ipld_event_t){.kind = IPLD_LIST, .integer = n});
    for (size_t i = 0; i < n; i++) {
        uint8_t raw[CID_BINARY_MAX];
        bytes_t cid = bytes_of(raw, cid_encode(&roots[i], raw));
        dag_cbor_put(w, &(ipld_event_t){.kind = IPLD_LINK, .bytes = cid});
    }
    dag_cbor_put(w, &(ipld_event_t){.kind = IPLD_STRING, .bytes = BYTES_LIT("version")});
    dag_cbor_put(w, &(ipld_event_t){.kind = IPLD_UINT, .integer = 1});
}

void car_put_header(writer_t *w, const cid_t *roots, size_t n)
{
    AUTO(buf_t) cbor;
    buf_init(&cbor, CAR_HEADER_MAX);
    writer_t header = writer_to(&cbor);
    put_cbor_header(&header, roots, n);
    if (header.err && !w->err)
        w->err = header.err;
    write_length_prefixed(w, buf_bytes(&cbor));
}

void car_put_section_head(writer_t *w, const cid_t *cid, size_t data_len)
{
    uint8_t raw[CID_BINARY_MAX];
    size_t len = cid_encode(cid, raw);
    write_uvarint(w, len + data_len);
    write_bytes(w, bytes_of(raw, len));
}

size_t car_section_bytes(const cid_t *cid, size_t data_len)
{
    uint8_t raw[CID_BINARY_MAX];
    size_t len = cid_encode(cid, raw) + data_len;
    return uvarint_size(len) + len;
}

void car_put_v2_head(writer_t *w, const car_v2_t *v)
{
    static const uint8_t pragma[CAR_V2_PRAGMA_BYTES] = "\x0a\xa1\x67version\x02";
    write_bytes(w, bytes_of(pragma, sizeof pragma));
    write_bytes(w, bytes_of(v->characteristics, sizeof v->characteristics));
    write_u64le(w, v->data_offset);
    write_u64le(w, v->data_size);
    write_u64le(w, v->index_offset);
}

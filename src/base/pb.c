#include "base/pb.h"

enum { FIELD_NUMBER_MAX = (1 << 29) - 1 };

bool pb_next(reader_t *r, pb_field_t *ret_field)
{
    if (!reader_left(r))
        return false;
    uint64_t tag = read_pb_varint(r);
    if (!r->err && (tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX))
        reader_fail(r, ERR_INVALID);
    pb_field_t f = {.number = (uint32_t)(tag >> 3), .wire = (pb_wire_t)(tag & 7)};
    if (r->err)
        return false;
    switch (f.wire) {
    case PB_VARINT:
        f.value = read_pb_varint(r);
        break;
    case PB_FIXED64:
        f.value = read_u64le(r);
        break;
    case PB_FIXED32:
        f.value = read_u32le(r);
        break;
    case PB_BYTES: {
        uint64_t len = read_pb_varint(r);
        if (!r->err && len > reader_left(r))
            reader_fail(r, ERR_EOF);
        f.bytes = r->err ? BYTES_NONE : read_bytes(r, (size_t)len);
        break;
    }
    default: /* groups, and the two unassigned types */
        reader_fail(r, ERR_INVALID);
    }
    if (r->err)
        return false;
    *ret_field = f;
    return true;
}

static bool has_wire(reader_t *r, const pb_field_t *f, pb_wire_t wire)
{
    if (f->wire != wire)
        reader_fail(r, ERR_INVALID);
    return !r->err;
}

uint64_t pb_uint(reader_t *r, const pb_field_t *f)
{
    return has_wire(r, f, PB_VARINT) ? f->value : 0;
}

bytes_t pb_bytes(reader_t *r, const pb_field_t *f, size_t max)
{
    if (!has_wire(r, f, PB_BYTES))
        return BYTES_NONE;
    if (f->bytes.len > max) {
        reader_fail(r, ERR_LIMIT);
        return BYTES_NONE;
    }
    return f->bytes;
}

uint64_t pb_fixed64(reader_t *r, const pb_field_t *f)
{
    return has_wire(r, f, PB_FIXED64) ? f->value : 0;
}

bool pb_packed_next(reader_t *packed, uint64_t *ret_value)
{
    if (!reader_left(packed))
        return false;
    uint64_t v = read_pb_varint(packed);
    if (packed->err)
        return false;
    *ret_value = v;
    return true;
}

static void put_tag(writer_t *w, uint32_t number, pb_wire_t wire)
{
    assert(number > 0 && number <= FIELD_NUMBER_MAX);
    write_uvarint(w, (uint64_t)number << 3 | wire);
}

void pb_put_uint(writer_t *w, uint32_t number, uint64_t value)
{
    put_tag(w, number, PB_VARINT);
    write_uvarint(w, value);
}

void pb_put_uint_nonzero(writer_t *w, uint32_t number, uint64_t value)
{
    if (value)
        pb_put_uint(w, number, value);
}

void pb_put_bytes(writer_t *w, uint32_t number, bytes_t value)
{
    put_tag(w, number, PB_BYTES);
    write_length_prefixed(w, value);
}

void pb_put_fixed64(writer_t *w, uint32_t number, uint64_t value)
{
    put_tag(w, number, PB_FIXED64);
    write_u64le(w, value);
}

size_t pb_begin(writer_t *w, uint32_t number)
{
    put_tag(w, number, PB_BYTES);
    return w->out->len;
}

void pb_end(writer_t *w, size_t mark)
{
    if (w->err)
        return;
    assert(mark <= w->out->len);
    size_t len = w->out->len - mark;
    write_uvarint(w, len); /* makes room at the end; the content then moves behind the length */
    if (w->err)
        return;
    size_t prefix = uvarint_size(len);
    memmove(w->out->data + mark + prefix, w->out->data + mark, len);
    uvarint_put(w->out->data + mark, len);
}

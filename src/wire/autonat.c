#include "wire/autonat.h"
#include "wire/addr_field.h"

enum { V1_TYPE = 1, V1_DIAL = 2, V1_RESPONSE = 3 };
enum { V1_TYPE_DIAL = 0, V1_TYPE_RESPONSE = 1 };
enum { DIAL_PEER = 1, PEER_ID = 1, PEER_ADDRS = 2 };
enum { RESPONSE_STATUS = 1, RESPONSE_TEXT = 2, RESPONSE_ADDR = 3 };
enum { V2_REQUEST_ADDRS = 1, V2_REQUEST_NONCE = 2 };
enum { V2_RESPONSE_STATUS = 1, V2_RESPONSE_INDEX = 2, V2_RESPONSE_DIAL = 3 };
enum { V2_DATA_REQUEST_INDEX = 1, V2_DATA_REQUEST_BYTES = 2 };
enum { V2_DATA = 1, V2_BACK_NONCE = 1 };

/* ── version 1 ───────────────────────────────────────────────────────────────────────────────── */
static err_t decode_dial(bytes_t in, autonat_t *m)
{
    bytes_t id = BYTES_NONE;
    reader_t r = reader_of(in);
    for (pb_field_t f; pb_next(&r, &f);)
        if (f.number == DIAL_PEER)
            m->addrs = pb_bytes(&r, &f, AUTONAT_MESSAGE_MAX_BYTES);
    reader_t inner = reader_of(m->addrs);
    for (pb_field_t f; !r.err && pb_next(&inner, &f);)
        if (f.number == PEER_ID)
            id = pb_bytes(&inner, &f, PEER_ID_MAX_BYTES);
        else if (f.number == PEER_ADDRS)
            pb_bytes(&inner, &f, AUTONAT_MESSAGE_MAX_BYTES);
    reader_fail(&r, inner.err);
    m->has_peer = id.len > 0;
    if (!r.err && m->has_peer)
        return peer_id_decode(id, &m->peer);
    return r.err;
}

static err_t decode_response(bytes_t in, autonat_t *m)
{
    reader_t r = reader_of(in);
    for (pb_field_t f; pb_next(&r, &f);)
        if (f.number == RESPONSE_STATUS)
            m->status = (uint32_t)pb_uint(&r, &f);
        else if (f.number == RESPONSE_ADDR)
            m->addr = pb_bytes(&r, &f, AUTONAT_MESSAGE_MAX_BYTES);
    return r.err;
}

err_t autonat_decode(bytes_t in, autonat_t *ret)
{
    if (in.len > AUTONAT_MESSAGE_MAX_BYTES)
        return fail(ERR_LIMIT, "an AutoNAT message of %zu bytes is longer than %d", in.len,
                    AUTONAT_MESSAGE_MAX_BYTES);
    autonat_t m = {0};
    uint64_t type = 0;
    bool has_dial = false, has_response = false;
    reader_t r = reader_of(in);
    for (pb_field_t f; pb_next(&r, &f);) {
        if (f.number == V1_TYPE) {
            type = pb_uint(&r, &f);
        } else if (f.number == V1_DIAL) {
            has_dial = true;
            reader_fail(&r, decode_dial(pb_bytes(&r, &f, AUTONAT_MESSAGE_MAX_BYTES), &m));
        } else if (f.number == V1_RESPONSE) {
            has_response = true;
            reader_fail(&r, decode_response(pb_bytes(&r, &f, AUTONAT_MESSAGE_MAX_BYTES), &m));
        }
    }
    if (r.err)
        return fail(r.err, "malformed AutoNAT message of %zu bytes", in.len);
    m.is_dial = type == V1_TYPE_DIAL && has_dial;
    m.is_response = type == V1_TYPE_RESPONSE && has_response;
    if (!m.is_dial && !m.is_response)
        return fail(ERR_INVALID, "an AutoNAT message that is neither a dial nor a response");
    *ret = m;
    return OK;
}

bool autonat_next_addr(const autonat_t *m, size_t *iter, multiaddr_t *ret)
{
    return addr_field_next(m->addrs, PEER_ADDRS, iter, ret);
}

void autonat_encode_dial(const peer_id_t *self, const multiaddr_t *addrs, size_t n, writer_t *w)
{
    pb_put_uint(w, V1_TYPE, V1_TYPE_DIAL);
    size_t dial = pb_begin(w, V1_DIAL), peer = pb_begin(w, DIAL_PEER);
    pb_put_bytes(w, PEER_ID, peer_id_bytes(self));
    for (size_t i = 0; i < n; i++)
        pb_put_bytes(w, PEER_ADDRS, multiaddr_bytes(&addrs[i]));
    pb_end(w, peer);
    pb_end(w, dial);
}

void autonat_encode_response(autonat_status_t status, const char *text, const multiaddr_t *addr, writer_t *w)
{
    pb_put_uint(w, V1_TYPE, V1_TYPE_RESPONSE);
    size_t mark = pb_begin(w, V1_RESPONSE);
    pb_put_uint(w, RESPONSE_STATUS, status);
    if (text)
        pb_put_bytes(w, RESPONSE_TEXT, bytes_str(text));
    if (addr)
        pb_put_bytes(w, RESPONSE_ADDR, multiaddr_bytes(addr));
    pb_end(w, mark);
}

/* ── version 2 ───────────────────────────────────────────────────────────────────────────────── */
static void decode_field(reader_t *r, const pb_field_t *f, autonat2_t *m)
{
    switch (m->kind) {
    case AUTONAT2_REQUEST:
        if (f->number == V2_REQUEST_ADDRS)
            pb_bytes(r, f, AUTONAT2_MESSAGE_MAX_BYTES);
        else if (f->number == V2_REQUEST_NONCE)
            m->nonce = pb_fixed64(r, f);
        break;
    case AUTONAT2_RESPONSE:
        if (f->number == V2_RESPONSE_STATUS)
            m->status = (uint32_t)pb_uint(r, f);
        else if (f->number == V2_RESPONSE_INDEX)
            m->index = (uint32_t)pb_uint(r, f);
        else if (f->number == V2_RESPONSE_DIAL)
            m->dial = (uint32_t)pb_uint(r, f);
        break;
    case AUTONAT2_DATA_REQUEST:
        if (f->number == V2_DATA_REQUEST_INDEX)
            m->index = (uint32_t)pb_uint(r, f);
        else if (f->number == V2_DATA_REQUEST_BYTES)
            m->size_bytes = pb_uint(r, f);
        break;
    case AUTONAT2_DATA:
        if (f->number == V2_DATA)
            m->size_bytes += pb_bytes(r, f, AUTONAT2_MESSAGE_MAX_BYTES).len;
        break;
    }
}

err_t autonat2_decode(bytes_t in, autonat2_t *ret)
{
    if (in.len > AUTONAT2_MESSAGE_MAX_BYTES)
        return fail(ERR_LIMIT, "an AutoNAT message of %zu bytes is longer than %d", in.len,
                    AUTONAT2_MESSAGE_MAX_BYTES);
    autonat2_t m = {0};
    bytes_t body = BYTES_NONE;
    reader_t r = reader_of(in);
    for (pb_field_t f; pb_next(&r, &f);)
        if (f.number >= AUTONAT2_REQUEST && f.number <= AUTONAT2_DATA) {
            m.kind = (autonat2_kind_t)f.number;
            body = pb_bytes(&r, &f, AUTONAT2_MESSAGE_MAX_BYTES);
        }
    if (!m.kind)
        reader_fail(&r, ERR_INVALID);
    reader_t inner = reader_of(body);
    for (pb_field_t f; !r.err && pb_next(&inner, &f);)
        decode_field(&inner, &f, &m);
    reader_fail(&r, inner.err);
    if (r.err)
        return fail(r.err, "malformed AutoNAT message of %zu bytes", in.len);
    m.addrs = body;
    *ret = m;
    return OK;
}

bool autonat2_next_addr(const autonat2_t *m, size_t *iter, size_t *ret_index, multiaddr_t *ret)
{
    size_t before = *iter, index = 0;
    if (!addr_field_next(m->addrs, V2_REQUEST_ADDRS, iter, ret))
        return false;
    reader_t r = reader_of(bytes_slice(m->addrs, 0, *iter));
    for (pb_field_t f; pb_next(&r, &f);)
        index += f.number == V2_REQUEST_ADDRS;
    assert(*iter > before && index > 0);
    *ret_index = index - 1;
    return true;
}

void autonat2_encode_request(const multiaddr_t *addrs, size_t n, uint64_t nonce, writer_t *w)
{
    size_t mark = pb_begin(w, AUTONAT2_REQUEST);
    for (size_t i = 0; i < n; i++)
        pb_put_bytes(w, V2_REQUEST_ADDRS, multiaddr_bytes(&addrs[i]));
    pb_put_fixed64(w, V2_REQUEST_NONCE, nonce);
    pb_end(w, mark);
}

void autonat2_encode_response(autonat2_status_t status, uint32_t index, uint32_t dial, writer_t *w)
{
    size_t mark = pb_begin(w, AUTONAT2_RESPONSE);
    pb_put_uint_nonzero(w, V2_RESPONSE_STATUS, status);
    pb_put_uint_nonzero(w, V2_RESPONSE_INDEX, index);
    pb_put_uint_nonzero(w, V2_RESPONSE_DIAL, dial);
    pb_end(w, mark);
}

void autonat2_encode_data_request(uint32_t index, uint64_t size_bytes, writer_t *w)
{
    size_t mark = pb_begin(w, AUTONAT2_DATA_REQUEST);
    pb_put_uint_nonzero(w, V2_DATA_REQUEST_INDEX, index);
    pb_put_uint_nonzero(w, V2_DATA_REQUEST_BYTES, size_bytes);
    pb_end(w, mark);
}

void autonat2_encode_data(bytes_t data, writer_t *w)
{
    size_t mark = pb_begin(w, AUTONAT2_DATA);
    pb_put_bytes(w, V2_DATA, data);
    pb_end(w, mark);
}

err_t autonat2_back_decode(bytes_t in, uint64_t *ret_nonce)
{
    bool has_nonce = false;
    uint64_t nonce = 0;
    reader_t r = reader_of(in);
    for (pb_field_t f; pb_next(&r, &f);)
        if (f.number == V2_BACK_NONCE) {
            nonce = pb_fixed64(&r, &f);
            has_nonce = true;
        }
    if (r.err || !has_nonce)
        return fail(ERR_INVALID, "malformed AutoNAT dial-back of %zu bytes", in.len);
    *ret_nonce = nonce;
    return OK;
}

void autonat2_back_encode(uint64_t nonce, writer_t *w)
{
    pb_put_fixed64(w, V2_BACK_NONCE, nonce);
}

#include "wire/relay.h"
#include "wire/addr_field.h"

enum { FIELD_TYPE = 1, FIELD_PEER = 2 };
enum { PEER_ID = 1 };
enum { RESERVATION_EXPIRES = 1, RESERVATION_ADDRS = 2, RESERVATION_VOUCHER = 3 };
enum { LIMIT_SECONDS = 1, LIMIT_BYTES = 2 };

/* Both messages have the same parts, under other numbers. */
typedef struct layout {
    uint32_t reservation, limit, status; /* 0: not in this message */
    uint8_t n_types;
    relay_type_t types[3];
} layout_t;
static const layout_t hop = {3, 4, 5, 3, {RELAY_RESERVE, RELAY_CONNECT, RELAY_STATUS}};
static const layout_t stop = {0, 3, 4, 2, {RELAY_CONNECT, RELAY_STATUS}};

const char *relay_status_name(uint32_t status)
{
    switch (status) {
    case RELAY_OK:
        return "OK";
    case RELAY_RESERVATION_REFUSED:
        return "RESERVATION_REFUSED";
    case RELAY_RESOURCE_LIMIT_EXCEEDED:
        return "RESOURCE_LIMIT_EXCEEDED";
    case RELAY_PERMISSION_DENIED:
        return "PERMISSION_DENIED";
    case RELAY_CONNECTION_FAILED:
        return "CONNECTION_FAILED";
    case RELAY_NO_RESERVATION:
        return "NO_RESERVATION";
    case RELAY_MALFORMED_MESSAGE:
        return "MALFORMED_MESSAGE";
    case RELAY_UNEXPECTED_MESSAGE:
        return "UNEXPECTED_MESSAGE";
    default:
        return "?";
    }
}

static err_t decode_peer(bytes_t in, relay_message_t *m)
{
    reader_t r = reader_of(in);
    bytes_t id = BYTES_NONE;
    for (pb_field_t f; pb_next(&r, &f);)
        if (f.number == PEER_ID)
            id = pb_bytes(&r, &f, PEER_ID_MAX_BYTES);
    TRY(r.err);
    m->has_peer = true;
    return peer_id_decode(id, &m->peer);
}

static err_t decode_reservation(bytes_t in, relay_message_t *m)
{
    reader_t r = reader_of(in);
    m->has_reservation = true;
    m->reservation = in;
    for (pb_field_t f; pb_next(&r, &f);)
        if (f.number == RESERVATION_EXPIRES)
            m->expires_s = pb_uint(&r, &f);
        else if (f.number == RESERVATION_ADDRS)
            pb_bytes(&r, &f, RELAY_MESSAGE_MAX_BYTES);
        else if (f.number == RESERVATION_VOUCHER)
            m->voucher = pb_bytes(&r, &f, RELAY_MESSAGE_MAX_BYTES);
    return r.err;
}

static err_t decode_limit(bytes_t in, relay_message_t *m)
{
    reader_t r = reader_of(in);
    m->has_limit = true;
    for (pb_field_t f; pb_next(&r, &f);)
        if (f.number == LIMIT_SECONDS)
            m->limit_s = (uint32_t)pb_uint(&r, &f);
        else if (f.number == LIMIT_BYTES)
            m->limit_bytes = pb_uint(&r, &f);
    return r.err;
}

static err_t decode(bytes_t in, const layout_t *layout, relay_message_t *ret)
{
    if (in.len > RELAY_MESSAGE_MAX_BYTES)
        return fail(ERR_LIMIT, "a relay message of %zu bytes is longer than %d", in.len,
                    RELAY_MESSAGE_MAX_BYTES);
    relay_message_t m = {0};
    uint64_t type = UINT64_MAX;
    reader_t r = reader_of(in);
    for (pb_field_t f; pb_next(&r, &f);) {
        if (f.number == FIELD_TYPE)
            type = pb_uint(&r, &f);
        else if (f.number == FIELD_PEER)
            reader_fail(&r, decode_peer(pb_bytes(&r, &f, RELAY_MESSAGE_MAX_BYTES), &m));
        else if (f.number == layout->reservation)
            reader_fail(&r, decode_reservation(pb_bytes(&r, &f, RELAY_MESSAGE_MAX_BYTES), &m));
        else if (f.number == layout->limit)
            reader_fail(&r, decode_limit(pb_bytes(&r, &f, RELAY_MESSAGE_MAX_BYTES), &m));
        else if (f.number == layout->status)
            m.status = (uint32_t)pb_uint(&r, &f);
    }
    if (r.err)
        return fail(ERR_INVALID, "malformed relay message of %zu bytes", in.len);
    if (type >= layout->n_types)
        return fail(ERR_INVALID, "unknown type of a relay message");
    m.type = layout->types[type];
    *ret = m;
    return OK;
}

err_t relay_hop_decode(bytes_t in, relay_message_t *ret)
{
    return decode(in, &hop, ret);
}

err_t relay_stop_decode(bytes_t in, relay_message_t *ret)
{
    return decode(in, &stop, ret);
}

bool relay_next_addr(const relay_message_t *m, size_t *iter, multiaddr_t *ret)
{
    return addr_field_next(m->reservation, RESERVATION_ADDRS, iter, ret);
}

/* ── encoding ────────────────────────────────────────────────────────────────────────────────── */
static void put_reservation(const relay_message_t *m, const multiaddr_t *addrs, size_t n, uint32_t number,
                            writer_t *w)
{
    size_t mark = pb_begin(w, number);
    pb_put_uint(w, RESERVATION_EXPIRES, m->expires_s);
    for (size_t i = 0; i < n; i++)
        pb_put_bytes(w, RESERVATION_ADDRS, multiaddr_bytes(&addrs[i]));
    if (m->voucher.len)
        pb_put_bytes(w, RESERVATION_VOUCHER, m->voucher);
    pb_end(w, mark);
}

static void encode(const relay_message_t *m, const layout_t *layout, const multiaddr_t *addrs, size_t n_addrs,
                   writer_t *w)
{
    uint64_t type = 0;
    while (layout->types[type] != m->type)
        type++;
    pb_put_uint(w, FIELD_TYPE, type);
    if (m->has_peer) {
        size_t mark = pb_begin(w, FIELD_PEER);
        pb_put_bytes(w, PEER_ID, peer_id_bytes(&m->peer));
        pb_end(w, mark);
    }
    if (m->has_reservation && layout->reservation)
        put_reservation(m, addrs, n_addrs, layout->reservation, w);
    if (m->has_limit) {
        size_t mark = pb_begin(w, layout->limit);
        pb_put_uint(w, LIMIT_SECONDS, m->limit_s);
        pb_put_uint(w, LIMIT_BYTES, m->limit_bytes);
        pb_end(w, mark);
    }
    if (m->type == RELAY_STATUS)
        pb_put_uint(w, layout->status, m->status);
}

void relay_hop_encode(const relay_message_t *m, const multiaddr_t *addrs, size_t n_addrs, writer_t *w)
{
    encode(m, &hop, addrs, n_addrs, w);
}

void relay_stop_encode(const relay_message_t *m, writer_t *w)
{
    assert(m->type != RELAY_RESERVE);
    encode(m, &stop, NULL, 0, w);
}

#include "wire/kad.h"
#include "wire/addr_field.h"

enum { FIELD_TYPE = 1, FIELD_KEY = 2, FIELD_RECORD = 3 };
enum { RECORD_KEY = 1, RECORD_VALUE = 2, RECORD_RECEIVED = 5 };
enum { PEER_ID = 1, PEER_ADDRS = 2, PEER_CONNECTION = 3 };

static void decode_record(reader_t *outer, bytes_t in, kad_message_t *m)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    m->has_record = true;
    while (pb_next(&r, &f)) {
        switch (f.number) {
        case RECORD_KEY:
            m->rec_key = pb_bytes(&r, &f, KAD_KEY_MAX_BYTES);
            break;
        case RECORD_VALUE:
            m->rec_value = pb_bytes(&r, &f, KAD_RECORD_MAX_BYTES);
            break;
        case RECORD_RECEIVED:
            m->rec_received = pb_bytes(&r, &f, 64);
            break;
        default:
            break;
        }
    }
    reader_fail(outer, r.err);
}

err_t kad_decode(bytes_t in, kad_message_t *ret)
{
    if (in.len > KAD_MESSAGE_MAX_BYTES)
        return fail(ERR_LIMIT, "a Kademlia message of %zu bytes is longer than %u", in.len,
                    KAD_MESSAGE_MAX_BYTES);
    kad_message_t m = {.raw = in};
    uint64_t type = 0;
    reader_t r = reader_of(in);
    pb_field_t f;
    while (pb_next(&r, &f)) {
        switch (f.number) {
        case FIELD_TYPE:
            type = pb_uint(&r, &f);
            break;
        case FIELD_KEY:
            m.key = pb_bytes(&r, &f, KAD_KEY_MAX_BYTES);
            break;
        case FIELD_RECORD:
            decode_record(&r, pb_bytes(&r, &f, KAD_MESSAGE_MAX_BYTES), &m);
            break;
        case KAD_CLOSER:
            pb_bytes(&r, &f, KAD_MESSAGE_MAX_BYTES);
            m.n_closer++;
            break;
        case KAD_PROVIDERS:
            pb_bytes(&r, &f, KAD_MESSAGE_MAX_BYTES);
            m.n_providers++;
            break;
        default:
            break;
        }
    }
    if (r.err)
        return fail(r.err, "malformed Kademlia message of %zu bytes", in.len);
    if (type > KAD_PING)
        return fail(ERR_INVALID, "unknown Kademlia message type %llu", (unsigned long long)type);
    if (m.n_closer > KAD_MAX_CLOSER)
        return fail(ERR_LIMIT, "a Kademlia message names %zu closer peers, more than %d", m.n_closer,
                    KAD_MAX_CLOSER);
    m.type = (kad_type_t)type;
    *ret = m;
    return OK;
}

static bool decode_peer(bytes_t in, kad_peer_t *ret)
{
    kad_peer_t p = {.raw = in};
    reader_t r = reader_of(in);
    pb_field_t f;
    while (pb_next(&r, &f)) {
        if (f.number == PEER_ID) {
            if (peer_id_decode(pb_bytes(&r, &f, PEER_ID_MAX_BYTES), &p.id))
                return false;
        } else if (f.number == PEER_CONNECTION) {
            uint64_t c = pb_uint(&r, &f);
            p.connection = c <= KAD_CANNOT_CONNECT ? (kad_connection_t)c : KAD_NOT_CONNECTED;
        } else if (f.number == PEER_ADDRS) {
            pb_bytes(&r, &f, KAD_MESSAGE_MAX_BYTES);
        }
    }
    if (r.err || !p.id.len)
        return false;
    *ret = p;
    return true;
}

/* iter is the offset of the next field in the input, so that a walk over the list is linear. */
bool kad_next_peer(const kad_message_t *m, kad_list_t list, size_t *iter, kad_peer_t *ret)
{
    reader_t r = reader_of(bytes_slice(m->raw, *iter, m->raw.len));
    pb_field_t f;
    bool is_found = false;
    while (!is_found && pb_next(&r, &f))
        is_found = f.number == (uint32_t)list && f.wire == PB_BYTES && decode_peer(f.bytes, ret);
    *iter = m->raw.len - reader_left(&r);
    return is_found;
}

bool kad_next_addr(const kad_peer_t *p, size_t *iter, multiaddr_t *ret)
{
    return addr_field_next(p->raw, PEER_ADDRS, iter, ret);
}

/* ── encoding ────────────────────────────────────────────────────────────────────────────────── */
void kad_put_head(writer_t *w, kad_type_t type, bytes_t key)
{
    pb_put_uint_nonzero(w, FIELD_TYPE, type);
    if (key.len)
        pb_put_bytes(w, FIELD_KEY, key);
}

void kad_put_record(writer_t *w, bytes_t key, bytes_t value, bytes_t received)
{
    size_t mark = pb_begin(w, FIELD_RECORD);
    pb_put_bytes(w, RECORD_KEY, key);
    pb_put_bytes(w, RECORD_VALUE, value);
    if (received.len)
        pb_put_bytes(w, RECORD_RECEIVED, received);
    pb_end(w, mark);
}

void kad_put_peer(writer_t *w, kad_list_t list, const peer_id_t *id, const multiaddr_t *addrs, size_t n,
                  kad_connection_t connection)
{
    size_t mark = pb_begin(w, list);
    pb_put_bytes(w, PEER_ID, peer_id_bytes(id));
    for (size_t i = 0; i < n; i++)
        pb_put_bytes(w, PEER_ADDRS, multiaddr_bytes(&addrs[i]));
    pb_put_uint_nonzero(w, PEER_CONNECTION, connection);
    pb_end(w, mark);
}

const char *kad_type_name(kad_type_t type)
{
    static const char *const names[] = {"PUT_VALUE",     "GET_VALUE", "ADD_PROVIDER",
                                        "GET_PROVIDERS", "FIND_NODE", "PING"};
    return (size_t)type < ARRAY_LEN(names) ? names[type] : "?";
}

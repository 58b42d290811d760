#include "wire/forward.h"
#include "base/pb.h"

enum { F_TTL = 1, F_TARGET = 2, F_SOURCE = 3, F_RELAY = 4, F_STATUS = 5 };

const char *forward_status_name(uint32_t status)
{
    static const char *const names[] = {"?", "OK", "EXPIRED", "DENIED", "BUSY", "NO_WAY"};
    return status < ARRAY_LEN(names) ? names[status] : "?";
}

err_t forward_encode(const forward_t *m, buf_t *out)
{
    writer_t w = writer_to(out);
    if (m->is_request) {
        pb_put_uint(&w, F_TTL, m->ttl);
        pb_put_bytes(&w, F_TARGET, peer_id_bytes(&m->target));
        pb_put_bytes(&w, F_SOURCE, peer_id_bytes(&m->source));
        if (m->relay.len)
            pb_put_bytes(&w, F_RELAY, peer_id_bytes(&m->relay));
    } else {
        pb_put_uint(&w, F_STATUS, m->status);
    }
    return w.err;
}

static void get_peer(reader_t *r, const pb_field_t *f, peer_id_t *ret)
{
    bytes_t in = pb_bytes(r, f, PEER_ID_MAX_BYTES);
    if (!r->err)
        reader_fail(r, peer_id_decode(in, ret));
}

err_t forward_decode(bytes_t in, forward_t *ret)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    forward_t m = {0};
    uint64_t ttl = 0, status = 0;
    while (pb_next(&r, &f)) {
        if (f.number == F_TTL)
            ttl = pb_uint(&r, &f);
        else if (f.number == F_TARGET)
            get_peer(&r, &f, &m.target);
        else if (f.number == F_SOURCE)
            get_peer(&r, &f, &m.source);
        else if (f.number == F_RELAY)
            get_peer(&r, &f, &m.relay);
        else if (f.number == F_STATUS)
            status = pb_uint(&r, &f);
    }
    m.is_request = !status;
    m.ttl = (uint32_t)ttl;
    m.status = (uint32_t)status;
    bool is_sound = m.is_request
                        ? m.target.len && m.source.len && ttl <= FORWARD_TTL
                        : status <= UINT32_MAX && !m.target.len && !m.source.len && !m.relay.len && !ttl;
    if (!r.err && !is_sound)
        reader_fail(&r, ERR_INVALID);
    if (r.err)
        return fail(r.err, "a message about forwarding that does not decode");
    *ret = m;
    return OK;
}

#include "wire/identify.h"
#include "base/pb.h"

enum {
    PUBLIC_KEY = 1,
    LISTEN_ADDRS,
    PROTOCOLS,
    OBSERVED_ADDR,
    PROTOCOL_VERSION,
    AGENT_VERSION,
    SIGNED_RECORD = 8
};
enum { TOTAL_MAX = IDENTIFY_PART_MAX * IDENTIFY_PARTS_MAX };

static bytes_t short_text(bytes_t text)
{
    return text.len <= IDENTIFY_TEXT_MAX ? text : BYTES_NONE;
}

static void take_field(identify_t *m, uint32_t number, bytes_t value)
{
    switch (number) {
    case PUBLIC_KEY:
        m->public_key = value;
        break;
    case LISTEN_ADDRS:
        m->has_addrs = true;
        if (m->n_addrs < IDENTIFY_ADDRS_MAX)
            m->addrs[m->n_addrs++] = value;
        break;
    case PROTOCOLS:
        m->has_protocols = true;
        if (m->n_protocols < IDENTIFY_PROTOCOLS_MAX && value.len && value.len <= IDENTIFY_TEXT_MAX)
            m->protocols[m->n_protocols++] = value;
        break;
    case OBSERVED_ADDR:
        m->observed_addr = value;
        break;
    case PROTOCOL_VERSION:
        m->protocol_version = short_text(value);
        break;
    case AGENT_VERSION:
        m->agent_version = short_text(value);
        break;
    case SIGNED_RECORD:
        m->signed_peer_record = value;
        break;
    default:
        break;
    }
}

err_t identify_decode(bytes_t in, identify_t *ret)
{
    *ret = (identify_t){0};
    reader_t r = reader_of(in);
    for (pb_field_t f; pb_next(&r, &f);)
        if (f.number >= PUBLIC_KEY && f.number <= SIGNED_RECORD && f.number != SIGNED_RECORD - 1)
            take_field(ret, f.number, pb_bytes(&r, &f, TOTAL_MAX));
    return r.err ? fail(r.err, "identify: a malformed message") : OK;
}

static void put_if_any(writer_t *w, uint32_t number, bytes_t value)
{
    if (value.len)
        pb_put_bytes(w, number, value);
}

err_t identify_encode(const identify_t *m, buf_t *out)
{
    writer_t w = writer_to(out);
    put_if_any(&w, PUBLIC_KEY, m->public_key);
    for (size_t i = 0; i < m->n_addrs; i++)
        pb_put_bytes(&w, LISTEN_ADDRS, m->addrs[i]);
    for (size_t i = 0; i < m->n_protocols; i++)
        pb_put_bytes(&w, PROTOCOLS, m->protocols[i]);
    put_if_any(&w, OBSERVED_ADDR, m->observed_addr);
    put_if_any(&w, PROTOCOL_VERSION, m->protocol_version);
    put_if_any(&w, AGENT_VERSION, m->agent_version);
    put_if_any(&w, SIGNED_RECORD, m->signed_peer_record);
    return w.err;
}

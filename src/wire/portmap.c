#include "wire/portmap.h"

enum { NATPMP_VERSION = 0, PCP_VERSION = 2, RESPONSE_BIT = 0x80, PCP_MAP = 1, PCP_ANSWER_BYTES = 60 };
enum { TCP_NUMBER = 6, UDP_NUMBER = 17 };
static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

void natpmp_put_address(writer_t *w)
{
    write_u8(w, NATPMP_VERSION);
    write_u8(w, 0);
}

void natpmp_put_map(writer_t *w, const portmap_request_t *r)
{
    write_u8(w, NATPMP_VERSION);
    write_u8(w, r->is_tcp ? 2 : 1);
    write_u16be(w, 0);
    write_u16be(w, r->inside_port);
    write_u16be(w, r->lifetime_s ? r->outside_port : 0);
    write_u32be(w, r->lifetime_s);
}

void pcp_put_map(writer_t *w, const portmap_request_t *r, const uint8_t nonce[PCP_NONCE_BYTES],
                 const uint8_t own_ip[4])
{
    write_u8(w, PCP_VERSION);
    write_u8(w, PCP_MAP);
    write_u16be(w, 0);
    write_u32be(w, r->lifetime_s);
    write_bytes(w, bytes_of(v4_mapped, sizeof v4_mapped));
    write_bytes(w, bytes_of(own_ip, 4));
    write_bytes(w, bytes_of(nonce, PCP_NONCE_BYTES));
    write_u32be(w, (uint32_t)(r->is_tcp ? TCP_NUMBER : UDP_NUMBER) << 24);
    write_u16be(w, r->inside_port);
    write_u16be(w, r->outside_port);
    write_bytes(w, bytes_of(v4_mapped, sizeof v4_mapped));
    write_u32be(w, 0); /* any outside IP */
}

/* The codes mean nearly the same in both: RFC 6886 section 3.5, RFC 6887 section 7.4. */
static err_t refusal(bool is_pcp, unsigned code)
{
    switch (code) {
    case 0:
        return OK;
    case 1:
        return fail(ERR_UNSUPPORTED, "the router speaks another version of port mapping");
    case 2:
        return fail(ERR_DENIED, "the router maps no ports for us");
    case 3:
        return is_pcp ? fail(ERR_PROTOCOL, "the router found the request malformed")
                      : fail(ERR_UNREACHABLE, "the router has no network");
    case 4:
        return is_pcp ? fail(ERR_UNSUPPORTED, "the router cannot map ports")
                      : fail(ERR_LIMIT, "the router has no port left");
    case 5:
        return fail(ERR_UNSUPPORTED, "the router cannot map ports");
    case 7:
        return fail(ERR_UNREACHABLE, "the router has no network");
    case 8:
    case 10:
        return fail(ERR_LIMIT, "the router has no port left");
    default:
        return fail(ERR_PROTOCOL, "the router refused with code %u", code);
    }
}

static err_t decode_natpmp(reader_t *r, portmap_answer_t *a)
{
    uint8_t op = read_u8(r);
    uint16_t code = read_u16be(r);
    a->epoch_s = read_u32be(r);
    if (r->err || !(op & RESPONSE_BIT) || (op & ~RESPONSE_BIT) > 2)
        return fail(ERR_INVALID, "malformed answer of a NAT-PMP router");
    TRY(refusal(false, code));
    a->kind = op == RESPONSE_BIT ? PORTMAP_ADDRESS : PORTMAP_MAPPED;
    if (a->kind == PORTMAP_ADDRESS) {
        bytes_t ip = read_bytes(r, 4);
        a->has_ip = !r->err;
        if (a->has_ip)
            memcpy(a->ip, ip.data, 4);
    } else {
        a->is_tcp = op == (RESPONSE_BIT | 2);
        a->inside_port = read_u16be(r);
        a->outside_port = read_u16be(r);
        a->lifetime_s = read_u32be(r);
    }
    return r->err ? fail(ERR_INVALID, "a NAT-PMP answer ends early") : OK;
}

static err_t decode_pcp(reader_t *r, size_t len, portmap_answer_t *a)
{
    uint8_t op = read_u8(r);
    read_u8(r);
    uint8_t code = read_u8(r);
    a->kind = PORTMAP_MAPPED;
    a->is_pcp = true;
    a->lifetime_s = read_u32be(r);
    a->epoch_s = read_u32be(r);
    if (r->err || op != (RESPONSE_BIT | PCP_MAP))
        return fail(ERR_INVALID, "malformed answer of a PCP router");
    TRY(refusal(true, code));
    if (len < PCP_ANSWER_BYTES || len % 4)
        return fail(ERR_INVALID, "a PCP answer of %zu bytes", len);
    read_bytes(r, 12);
    memcpy(a->nonce, read_bytes(r, PCP_NONCE_BYTES).data, PCP_NONCE_BYTES);
    uint8_t protocol = read_u8(r);
    read_bytes(r, 3);
    a->is_tcp = protocol == TCP_NUMBER;
    a->inside_port = read_u16be(r);
    a->outside_port = read_u16be(r);
    bytes_t ip = read_bytes(r, 16);
    assert(!r->err); /* the length was asked */
    a->has_ip = !memcmp(ip.data, v4_mapped, sizeof v4_mapped);
    if (a->has_ip)
        memcpy(a->ip, ip.data + sizeof v4_mapped, 4);
    return protocol == TCP_NUMBER || protocol == UDP_NUMBER
               ? OK
               : fail(ERR_INVALID, "a PCP answer about protocol %u", protocol);
}

err_t portmap_decode(bytes_t in, portmap_answer_t *ret)
{
    portmap_answer_t a = {0};
    reader_t r = reader_of(in);
    uint8_t version = read_u8(&r);
    if (r.err)
        return fail(ERR_INVALID, "an empty answer");
    if (version == NATPMP_VERSION)
        TRY(decode_natpmp(&r, &a));
    else if (version == PCP_VERSION)
        TRY(decode_pcp(&r, in.len, &a));
    else
        return fail(ERR_UNSUPPORTED, "the router answers in version %u", version);
    *ret = a;
    return OK;
}

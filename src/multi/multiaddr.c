#include "multi/multiaddr.h"
#include "base/reader.h"
#include "base/writer.h"
#include "multi/multiaddr_protocol.h"
#include <inttypes.h>

/* One part, its value's form not yet checked. Errors land in the reader; *ret_protocol is NULL when the
 * code is unknown. */
static bytes_t read_part(reader_t *r, const ma_protocol_t **ret_protocol)
{
    uint64_t code = read_uvarint(r);
    const ma_protocol_t *p = r->err ? NULL : ma_protocol_by_code(code);
    *ret_protocol = p;
    if (!p)
        reader_fail(r, ERR_UNSUPPORTED);
    else if (p->value_len == MA_LEN_VARIABLE)
        return read_length_prefixed(r, MULTIADDR_MAX_BYTES);
    else
        return read_bytes(r, (size_t)p->value_len);
    return BYTES_NONE;
}

static size_t text_max(const ma_protocol_t *p, size_t value_len)
{
    size_t value = p->value_len == MA_LEN_VARIABLE ? value_len * p->text_max + 1 : p->text_max;
    return 1 + strlen(p->name) + (p->value_len ? 1 : 0) + value;
}

err_t multiaddr_decode(bytes_t in, multiaddr_t *ret)
{
    if (!in.len || in.len > MULTIADDR_MAX_BYTES)
        return fail(in.len ? ERR_LIMIT : ERR_INVALID, "a multiaddr has 1 to %d bytes, not %zu",
                    MULTIADDR_MAX_BYTES, in.len);
    reader_t r = reader_of(in);
    size_t text = 1;
    while (reader_left(&r)) {
        const ma_protocol_t *p = NULL;
        bytes_t value = read_part(&r, &p);
        if (r.err == ERR_UNSUPPORTED)
            return fail(ERR_INVALID, "the multiaddr has an unknown protocol");
        if (r.err || !p)
            return fail(ERR_INVALID, "%zu bytes are no multiaddr", in.len);
        if (p->check)
            TRY(p->check(value));
        text += text_max(p, value.len);
    }
    if (text > MULTIADDR_TEXT_MAX) /* so that printing cannot fail */
        return fail(ERR_LIMIT, "the multiaddr is too long as text");
    multiaddr_t m = {.len = (uint16_t)in.len};
    memcpy(m.data, in.data, in.len);
    *ret = m;
    return OK;
}

/* The text up to the next slash, which is taken too. */
static bytes_t next_word(bytes_t *text)
{
    const uint8_t *slash = text->len ? memchr(text->data, '/', text->len) : NULL;
    bytes_t word = bytes_slice(*text, 0, slash ? (size_t)(slash - text->data) : text->len);
    *text = bytes_slice(*text, word.len + (slash ? 1 : 0), text->len);
    return word;
}

/* The value of a part as text; for a path, all that is left, with its slash. */
static err_t parse_value(const ma_protocol_t *p, bytes_t *text, buf_t *ret_value)
{
    if (!p->value_len)
        return OK;
    if (!text->len)
        return fail(ERR_INVALID, "%s in the multiaddr lacks its value", p->name);
    if (p->is_path)
        TRY(buf_append_u8(ret_value, '/'));
    bytes_t word = *text;
    if (p->is_path)
        *text = BYTES_NONE;
    else
        word = next_word(text);
    return p->parse(word, ret_value);
}

err_t multiaddr_parse(const char *text, multiaddr_t *ret)
{
    bytes_t left = bytes_str(text);
    if (left.len >= MULTIADDR_TEXT_MAX)
        return fail(ERR_LIMIT, "a multiaddr of %zu characters is over the limit of %d", left.len,
                    MULTIADDR_TEXT_MAX - 1);
    if (!left.len || left.data[0] != '/')
        return fail(ERR_INVALID, "a multiaddr begins with a slash: \"%s\"", text);
    while (left.len && left.data[left.len - 1] == '/')
        left.len--;
    left = bytes_slice(left, 1, left.len);
    if (!left.len)
        return fail(ERR_INVALID, "the multiaddr is empty");
    AUTO(buf_t) value;
    buf_init(&value, MULTIADDR_MAX_BYTES);
    multiaddr_t m = {.len = 0};
    while (left.len) {
        bytes_t name = next_word(&left);
        const ma_protocol_t *p = ma_protocol_by_name(name);
        if (!p)
            return fail(ERR_INVALID, "\"%.*s\" in the multiaddr %s is no protocol", (int)name.len,
                        (const char *)name.data, text);
        buf_clear(&value);
        err_t e = parse_value(p, &left, &value);
        e = e ? e : multiaddr_append(&m, p->code, buf_bytes(&value));
        if (e)
            return fail_also(e, "the multiaddr %s", text);
    }
    *ret = m;
    return OK;
}

const char *multiaddr_print(const multiaddr_t *m, char out[MULTIADDR_TEXT_MAX])
{
    AUTO(buf_t) text;
    buf_init(&text, MULTIADDR_TEXT_MAX - 1);
    size_t iter = 0;
    multiaddr_part_t part;
    err_t e = OK;
    while (!e && multiaddr_next(m, &iter, &part)) {
        const ma_protocol_t *p = ma_protocol_by_code(part.code);
        e = buf_printf(&text, "/%s", p->name);
        if (!e && p->value_len) {
            e = buf_append_u8(&text, '/');
            e = e ? e : p->print(part.value, &text);
        }
    }
    assert(!e); /* multiaddr_decode checked that it fits */
    if (text.len)
        memcpy(out, text.data, text.len);
    out[text.len] = 0;
    return out;
}

bool multiaddr_equal(const multiaddr_t *a, const multiaddr_t *b)
{
    return bytes_equal(multiaddr_bytes(a), multiaddr_bytes(b));
}

bool multiaddr_next(const multiaddr_t *m, size_t *iter, multiaddr_part_t *ret_part)
{
    if (*iter >= m->len)
        return false;
    reader_t r = reader_of(bytes_of(m->data + *iter, m->len - *iter));
    const ma_protocol_t *p = NULL;
    bytes_t value = read_part(&r, &p);
    assert(!r.err && p); /* it was checked when it was made */
    *iter = m->len - reader_left(&r);
    *ret_part = (multiaddr_part_t){p->code, value};
    return true;
}

bool multiaddr_find(const multiaddr_t *m, uint32_t code, multiaddr_part_t *ret_part)
{
    multiaddr_part_t part;
    for (size_t i = 0; multiaddr_next(m, &i, &part);)
        if (part.code == code) {
            *ret_part = part;
            return true;
        }
    return false;
}

err_t multiaddr_append(multiaddr_t *m, uint32_t code, bytes_t value)
{
    const ma_protocol_t *p = ma_protocol_by_code(code);
    if (!p)
        return fail(ERR_INVALID, "%" PRIu32 " is no multiaddr protocol", code);
    if (p->value_len != MA_LEN_VARIABLE && value.len != (size_t)p->value_len)
        return fail(ERR_INVALID, "%s takes a value of %d bytes, not %zu", p->name, p->value_len, value.len);
    AUTO(buf_t) binary;
    buf_init(&binary, MULTIADDR_MAX_BYTES);
    writer_t w = writer_to(&binary);
    write_bytes(&w, multiaddr_bytes(m));
    write_uvarint(&w, code);
    if (p->value_len == MA_LEN_VARIABLE)
        write_uvarint(&w, value.len);
    write_bytes(&w, value);
    if (w.err)
        return fail(w.err, "a multiaddr has at most %d bytes", MULTIADDR_MAX_BYTES);
    return multiaddr_decode(buf_bytes(&binary), m);
}

/* Where a last /p2p/ID begins; m->len when it is not the last part. */
static size_t peer_offset(const multiaddr_t *m, multiaddr_part_t *ret_last)
{
    multiaddr_part_t part;
    size_t at = m->len;
    for (size_t i = 0, start = 0; multiaddr_next(m, &i, &part); start = i) {
        at = part.code == MA_P2P ? start : m->len;
        *ret_last = part;
    }
    return at;
}

err_t multiaddr_peer(const multiaddr_t *m, peer_id_t *ret_id)
{
    multiaddr_part_t part, last = {0};
    for (size_t i = 0; multiaddr_next(m, &i, &part);)
        if (part.code == MA_P2P)
            last = part;
        else if (part.code == MA_P2P_CIRCUIT)
            last = (multiaddr_part_t){0}; /* the one before is the relay */
    if (!last.code)
        return fail(ERR_NOT_FOUND, "the multiaddr names no peer");
    return peer_id_decode(last.value, ret_id);
}

void multiaddr_without_peer(const multiaddr_t *m, multiaddr_t *ret)
{
    multiaddr_part_t last;
    multiaddr_t copy = *m;
    copy.len = (uint16_t)peer_offset(m, &last);
    memset(copy.data + copy.len, 0, m->len - copy.len);
    *ret = copy;
}

err_t multiaddr_with_peer(const multiaddr_t *m, const peer_id_t *id, multiaddr_t *ret)
{
    multiaddr_t copy;
    multiaddr_without_peer(m, &copy);
    TRY(multiaddr_append(&copy, MA_P2P, peer_id_bytes(id)));
    *ret = copy;
    return OK;
}

/* ---- IP and TCP ---- */

/* The IP and the port that an address begins with, of this protocol; the rest begins at *ret_iter. */
static bool read_endpoint(const multiaddr_t *m, uint32_t code, uint8_t *ret_family, uint8_t ret_ip[16],
                          uint16_t *ret_port, size_t *ret_iter)
{
    multiaddr_part_t ip, port;
    *ret_iter = 0;
    if (!multiaddr_next(m, ret_iter, &ip) || (ip.code != MA_IP4 && ip.code != MA_IP6) ||
        !multiaddr_next(m, ret_iter, &port) || port.code != code)
        return false;
    *ret_family = ip.code == MA_IP4 ? 4 : 6;
    memset(ret_ip, 0, 16);
    memcpy(ret_ip, ip.value.data, ip.value.len);
    *ret_port = (uint16_t)(port.value.data[0] << 8 | port.value.data[1]);
    return true;
}

/* Nothing but a last /p2p/ID is left. */
static bool is_at_end(const multiaddr_t *m, size_t iter)
{
    multiaddr_part_t end;
    return !multiaddr_next(m, &iter, &end) || (end.code == MA_P2P && iter == m->len);
}

typedef struct endpoint {
    uint8_t family, ip[16];
    uint16_t port;
} endpoint_t;

static void give(const endpoint_t *e, uint8_t *ret_family, uint8_t ret_ip[16], uint16_t *ret_port)
{
    *ret_family = e->family;
    memcpy(ret_ip, e->ip, 16);
    *ret_port = e->port;
}

err_t multiaddr_tcp_endpoint(const multiaddr_t *m, uint8_t *ret_family, uint8_t ret_ip[16],
                             uint16_t *ret_port)
{
    endpoint_t e;
    size_t iter;
    if (!read_endpoint(m, MA_TCP, &e.family, e.ip, &e.port, &iter) || !is_at_end(m, iter))
        return fail(ERR_UNSUPPORTED, "the multiaddr is not an IP address with a TCP port");
    give(&e, ret_family, ret_ip, ret_port);
    return OK;
}

err_t multiaddr_quic_endpoint(const multiaddr_t *m, uint8_t *ret_family, uint8_t ret_ip[16],
                              uint16_t *ret_port)
{
    endpoint_t e;
    multiaddr_part_t quic;
    size_t iter;
    if (!read_endpoint(m, MA_UDP, &e.family, e.ip, &e.port, &iter) || !multiaddr_next(m, &iter, &quic) ||
        quic.code != MA_QUIC_V1 || !is_at_end(m, iter))
        return fail(ERR_UNSUPPORTED, "the multiaddr is not an IP address with a UDP port and quic-v1");
    give(&e, ret_family, ret_ip, ret_port);
    return OK;
}

static err_t from_endpoint(uint8_t family, const uint8_t *ip, uint32_t code, uint16_t port, multiaddr_t *ret)
{
    uint8_t port_be[2] = {(uint8_t)(port >> 8), (uint8_t)port};
    if (family != 4 && family != 6)
        return fail(ERR_INVALID, "%u is no family of IP addresses; 4 and 6 are", family);
    multiaddr_t m = {.len = 0};
    TRY(multiaddr_append(&m, family == 4 ? MA_IP4 : MA_IP6, bytes_of(ip, family == 4 ? 4 : 16)));
    TRY(multiaddr_append(&m, code, bytes_of(port_be, sizeof port_be)));
    *ret = m;
    return OK;
}

err_t multiaddr_from_tcp(uint8_t family, const uint8_t *ip, uint16_t port, multiaddr_t *ret)
{
    return from_endpoint(family, ip, MA_TCP, port, ret);
}

err_t multiaddr_from_quic(uint8_t family, const uint8_t *ip, uint16_t port, multiaddr_t *ret)
{
    multiaddr_t m;
    TRY(from_endpoint(family, ip, MA_UDP, port, &m));
    TRY(multiaddr_append(&m, MA_QUIC_V1, BYTES_NONE));
    *ret = m;
    return OK;
}

/* An IPv4 address inside an IPv6 one counts as itself. */
static bytes_t unmap(bytes_t ip)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool is_mapped = ip.len == 16 && bytes_starts_with(ip, bytes_of(mapped, sizeof mapped));
    return is_mapped ? bytes_slice(ip, 12, 4) : ip;
}

typedef struct ip_range {
    uint8_t start[2], bits;
} ip_range_t;

static bool is_in(bytes_t ip, const ip_range_t *ranges, size_t n)
{
    unsigned head = (unsigned)(ip.data[0] << 8 | ip.data[1]);
    for (size_t i = 0; i < n; i++) {
        unsigned start = (unsigned)(ranges[i].start[0] << 8 | ranges[i].start[1]);
        if (!((head ^ start) >> (16 - ranges[i].bits)))
            return true;
    }
    return false;
}

static bool is_zeros_and(bytes_t ip, uint8_t last)
{
    for (size_t i = 0; i + 1 < ip.len; i++)
        if (ip.data[i])
            return false;
    return ip.data[ip.len - 1] == last;
}

static bool is_loopback_ip(bytes_t ip)
{
    return ip.len == 4 ? ip.data[0] == 127 : is_zeros_and(ip, 1);
}

/* The address at the start, behind a zone if need be. */
static bool leading_ip(const multiaddr_t *m, bytes_t *ret_ip)
{
    multiaddr_part_t part;
    size_t iter = 0;
    if (!multiaddr_next(m, &iter, &part) || (part.code == MA_IP6ZONE && !multiaddr_next(m, &iter, &part)))
        return false;
    *ret_ip = unmap(part.value);
    return part.code == MA_IP4 || part.code == MA_IP6;
}

bool multiaddr_is_circuit(const multiaddr_t *m)
{
    multiaddr_part_t part;
    return multiaddr_find(m, MA_P2P_CIRCUIT, &part);
}

bool multiaddr_is_loopback(const multiaddr_t *m)
{
    bytes_t ip;
    return leading_ip(m, &ip) && is_loopback_ip(ip);
}

bool multiaddr_is_private(const multiaddr_t *m)
{
    static const ip_range_t ip4[] = {
        {{10, 0}, 8}, {{172, 16}, 12}, {{192, 168}, 16}, {{169, 254}, 16}, {{100, 64}, 10}};
    static const ip_range_t ip6[] = {{{0xfc, 0}, 7}, {{0xfe, 0x80}, 10}};
    bytes_t ip;
    if (!leading_ip(m, &ip))
        return false;
    return is_loopback_ip(ip) || is_zeros_and(ip, 0) ||
           (ip.len == 4 ? is_in(ip, ip4, ARRAY_LEN(ip4)) : is_in(ip, ip6, ARRAY_LEN(ip6)));
}

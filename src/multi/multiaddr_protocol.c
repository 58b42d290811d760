#include "multi/multiaddr_protocol.h"
#include "multi/base.h"
#include "multi/multiaddr.h"
#include "multi/multihash.h"
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

/* ---- numbers ---- */

/* Decimal digits alone, at most max. */
static err_t parse_number(bytes_t text, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    bool is_bad = !text.len;
    for (size_t i = 0; i < text.len && !is_bad; i++) {
        unsigned digit = text.data[i] - (unsigned)'0';
        is_bad = digit > 9 || v > (max - digit) / 10;
        v = v * 10 + digit;
    }
    if (is_bad)
        return fail(ERR_INVALID, "\"%.*s\" is no number up to %" PRIu64, (int)text.len,
                    (const char *)text.data, max);
    *ret = v;
    return OK;
}

static err_t put_be(uint64_t v, size_t len, buf_t *out)
{
    while (len--)
        TRY(buf_append_u8(out, (uint8_t)(v >> (8 * len))));
    return OK;
}

static uint64_t be_of(bytes_t value)
{
    uint64_t v = 0;
    for (size_t i = 0; i < value.len; i++)
        v = v << 8 | value.data[i];
    return v;
}

static err_t parse_u8(bytes_t text, buf_t *out)
{
    uint64_t v = 0;
    TRY(parse_number(text, UINT8_MAX, &v));
    return put_be(v, 1, out);
}

static err_t parse_u16(bytes_t text, buf_t *out)
{
    uint64_t v = 0;
    TRY(parse_number(text, UINT16_MAX, &v));
    return put_be(v, 2, out);
}

static err_t parse_u64(bytes_t text, buf_t *out)
{
    uint64_t v = 0;
    TRY(parse_number(text, UINT64_MAX, &v));
    return put_be(v, 8, out);
}

static err_t print_number(bytes_t value, buf_t *out)
{
    return buf_printf(out, "%" PRIu64, be_of(value));
}

/* ---- IP addresses ---- */

static err_t parse_ip(int family, bytes_t text, buf_t *out)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t ip[16];
    bool fits = text.len < sizeof copy;
    snprintf(copy, sizeof copy, "%.*s", (int)(fits ? text.len : 0), (const char *)text.data);
    if (!fits || inet_pton(family, copy, ip) != 1)
        return fail(ERR_INVALID, "\"%.*s\" is no IPv%d address", (int)text.len, (const char *)text.data,
                    family == AF_INET ? 4 : 6);
    return buf_append(out, bytes_of(ip, family == AF_INET ? 4 : 16));
}

static err_t parse_ip4(bytes_t text, buf_t *out)
{
    return parse_ip(AF_INET, text, out);
}

static err_t parse_ip6(bytes_t text, buf_t *out)
{
    return parse_ip(AF_INET6, text, out);
}

static err_t print_ip(bytes_t value, buf_t *out)
{
    char text[INET6_ADDRSTRLEN];
    return buf_append(
        out, bytes_str(inet_ntop(value.len == 4 ? AF_INET : AF_INET6, value.data, text, sizeof text)));
}

/* ---- names and paths ---- */

static err_t append(bytes_t in, buf_t *out)
{
    return buf_append(out, in);
}

/* Control bytes would end a C string or reach a terminal; the specs allow no address that needs one. */
static err_t check_path(bytes_t value)
{
    bool is_bad = !value.len;
    for (size_t i = 0; i < value.len; i++)
        is_bad = is_bad || value.data[i] < 0x20 || value.data[i] == 0x7f;
    return is_bad ? fail(ERR_INVALID, "the path in the multiaddr is empty or has control bytes") : OK;
}

static err_t check_name(bytes_t value)
{
    if (memchr(value.len ? value.data : (const uint8_t *)"", '/', value.len))
        return fail(ERR_INVALID, "the name in the multiaddr has a slash");
    return check_path(value);
}

static err_t print_path(bytes_t value, buf_t *out)
{
    return buf_append(out, bytes_slice(value, value.data[0] == '/', value.len)); /* the slash stands there */
}

static err_t check_not_empty(bytes_t value)
{
    return value.len ? OK : fail(ERR_INVALID, "a value in the multiaddr is empty");
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As a form's value in a URL: + is a blank. */
static err_t parse_escaped(bytes_t text, buf_t *out)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_digit(text.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return fail(ERR_INVALID, "a %% in the http-path is not followed by two hex digits");
            c = (uint8_t)(high << 4 | low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        TRY(buf_append_u8(out, c));
    }
    return OK;
}

static err_t print_escaped(bytes_t value, buf_t *out)
{
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                        (c && strchr("-_.~", c));
        if (is_plain || c == ' ')
            TRY(buf_append_u8(out, c == ' ' ? '+' : c));
        else
            TRY(buf_printf(out, "%%%02X", c));
    }
    return OK;
}

/* ---- onion and I2P ---- */

/* Base32 name, colon, port, as 10 or 35 bytes and 2. */
static err_t parse_onion(bytes_t text, size_t name_chars, buf_t *out)
{
    uint64_t port = 0;
    if (text.len <= name_chars || text.data[name_chars] != ':')
        return fail(ERR_INVALID, "an onion address has %zu characters, a colon and a port", name_chars);
    TRY(multibase_decode_raw(MB_BASE32, bytes_slice(text, 0, name_chars), out));
    TRY(parse_number(bytes_slice(text, name_chars + 1, text.len), UINT16_MAX, &port));
    if (!port)
        return fail(ERR_INVALID, "an onion address has no port 0");
    return put_be(port, 2, out);
}

static err_t parse_onion2(bytes_t text, buf_t *out)
{
    return parse_onion(text, 16, out);
}

static err_t parse_onion3(bytes_t text, buf_t *out)
{
    return parse_onion(text, 56, out);
}

static err_t print_onion(bytes_t value, buf_t *out)
{
    bytes_t name = bytes_slice(value, 0, value.len - 2);
    TRY(multibase_encode_raw(MB_BASE32, name, out));
    return buf_printf(out, ":%" PRIu64, be_of(bytes_slice(value, name.len, 2)));
}

static err_t check_onion(bytes_t value)
{
    return be_of(bytes_slice(value, value.len - 2, 2)) ? OK
                                                       : fail(ERR_INVALID, "an onion address has no port 0");
}

static const base_t garlic64 = {
    .name = "I2P's base64",
    .alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-~",
    .radix = 64,
    .bits = 6,
    .padded_digits = 4,
};

static err_t parse_garlic64(bytes_t text, buf_t *out)
{
    return base_bits_decode(&garlic64, text, true, out);
}

static err_t print_garlic64(bytes_t value, buf_t *out)
{
    return base_bits_encode(&garlic64, value, out);
}

static err_t check_garlic64(bytes_t value)
{
    return value.len >= 386
               ? OK
               : fail(ERR_INVALID, "an I2P destination has 386 bytes or more, not %zu", value.len);
}

static err_t parse_garlic32(bytes_t text, buf_t *out)
{
    return multibase_decode_lenient(MB_BASE32, text, out);
}

static err_t print_garlic32(bytes_t value, buf_t *out)
{
    return multibase_encode_raw(MB_BASE32, value, out);
}

static err_t check_garlic32(bytes_t value)
{
    if (value.len == 32 || value.len >= 35)
        return OK;
    return fail(ERR_INVALID, "an I2P name has 32 bytes, or 35 and more, not %zu", value.len);
}

/* ---- hashes ---- */

static err_t parse_peer(bytes_t text, buf_t *out)
{
    char copy[PEER_ID_TEXT_MAX];
    peer_id_t id;
    if (text.len >= sizeof copy)
        return fail(ERR_INVALID, "a text of %zu bytes is no peer ID", text.len);
    snprintf(copy, sizeof copy, "%.*s", (int)text.len, (const char *)text.data);
    TRY(peer_id_parse(copy, &id));
    return buf_append(out, peer_id_bytes(&id));
}

static err_t print_peer(bytes_t value, buf_t *out)
{
    return multibase_encode_raw(MB_BASE58BTC, value, out);
}

static err_t check_peer(bytes_t value)
{
    peer_id_t id;
    return peer_id_decode(value, &id);
}

static err_t parse_certhash(bytes_t text, buf_t *out)
{
    multibase_t base;
    return multibase_decode(text, &base, out);
}

static err_t print_certhash(bytes_t value, buf_t *out)
{
    return multibase_encode(MB_BASE64URL, value, out);
}

static err_t check_certhash(bytes_t value)
{
    multihash_t hash;
    return multihash_decode(value, &hash);
}

/* ---- the table ---- */

#define PORT 2, false, 5, parse_u16, print_number, NULL
#define NAME MA_LEN_VARIABLE, false, 1, append, append, check_name
#define BARE 0, false, 0, NULL, NULL, NULL

/* clang-format off */
static const ma_protocol_t protocols[] = {
    {MA_IP4, "ip4", 4, false, 15, parse_ip4, print_ip, NULL},
    {MA_TCP, "tcp", PORT},
    {MA_IP6, "ip6", 16, false, 46, parse_ip6, print_ip, NULL},
    {MA_UDP, "udp", PORT},
    {MA_P2P, "p2p", MA_LEN_VARIABLE, false, 2, parse_peer, print_peer, check_peer},
    {MA_QUIC_V1, "quic-v1", BARE},
    {MA_P2P_CIRCUIT, "p2p-circuit", BARE},
    {MA_WEBTRANSPORT, "webtransport", BARE},
    {MA_CERTHASH, "certhash", MA_LEN_VARIABLE, false, 2, parse_certhash, print_certhash, check_certhash},
    {MA_DNS, "dns", NAME},
    {MA_DNS4, "dns4", NAME},
    {MA_DNS6, "dns6", NAME},
    {MA_DNSADDR, "dnsaddr", NAME},
    {MA_TLS, "tls", BARE},
    {MA_SNI, "sni", NAME},
    {MA_WS, "ws", BARE},
    {MA_WSS, "wss", BARE},
    {MA_WEBRTC_DIRECT, "webrtc-direct", BARE},
    {281, "webrtc", BARE},
    {MA_IP6ZONE, "ip6zone", NAME},
    {MA_IPCIDR, "ipcidr", 1, false, 3, parse_u8, print_number, NULL},
    {33, "dccp", PORT},
    {132, "sctp", PORT},
    {444, "onion", 12, false, 22, parse_onion2, print_onion, check_onion},
    {445, "onion3", 37, false, 62, parse_onion3, print_onion, check_onion},
    {446, "garlic64", MA_LEN_VARIABLE, false, 2, parse_garlic64, print_garlic64, check_garlic64},
    {447, "garlic32", MA_LEN_VARIABLE, false, 2, parse_garlic32, print_garlic32, check_garlic32},
    {302, "utp", BARE},
    {301, "udt", BARE},
    {460, "quic", BARE},
    {480, "http", BARE},
    {481, "http-path", MA_LEN_VARIABLE, false, 3, parse_escaped, print_escaped, check_not_empty},
    {443, "https", BARE},
    {MA_UNIX, "unix", MA_LEN_VARIABLE, true, 1, append, print_path, check_path},
    {276, "p2p-webrtc-direct", BARE},
    {454, "noise", BARE},
    {7367777, "plaintextv2", BARE},
    {777, "memory", 8, false, 20, parse_u64, print_number, NULL},
};
/* clang-format on */

const ma_protocol_t *ma_protocol_at(size_t i)
{
    return i < ARRAY_LEN(protocols) ? &protocols[i] : NULL;
}

const ma_protocol_t *ma_protocol_by_code(uint64_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
        if (protocols[i].code == code)
            return &protocols[i];
    return NULL;
}

const ma_protocol_t *ma_protocol_by_name(bytes_t name)
{
    if (bytes_equal(name, BYTES_LIT("ipfs"))) /* the old name, never printed */
        name = BYTES_LIT("p2p");
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
        if (bytes_equal(name, bytes_str(protocols[i].name)))
            return &protocols[i];
    return NULL;
}

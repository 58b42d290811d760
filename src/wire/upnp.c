#include "wire/upnp.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define SERVICE_PREFIX "urn:schemas-upnp-org:service:"
#define ENVELOPE_OPEN                                                                                        \
    "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "          \
    "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>"
#define ENVELOPE_CLOSE "</s:Body></s:Envelope>\r\n"

/* ── the search ──────────────────────────────────────────────────────────────────────────────── */
err_t ssdp_put_search(buf_t *out)
{
    return buf_printf(
        out, "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n"
             "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n");
}

static bytes_t line_of(bytes_t *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    size_t len = end ? (size_t)(end - rest->data) : rest->len;
    bytes_t line = bytes_slice(*rest, 0, len);
    *rest = bytes_slice(*rest, len + (end ? 1 : 0), rest->len);
    while (line.len && (line.data[line.len - 1] == '\r' || line.data[line.len - 1] == ' '))
        line.len--;
    return line;
}

/* Copies printable ASCII without spaces; false when it is something else or too long. */
static bool copy_word(bytes_t from, char *out, size_t cap)
{
    if (!from.len || from.len >= cap)
        return false;
    for (size_t i = 0; i < from.len; i++) {
        if (from.data[i] <= ' ' || from.data[i] > '~')
            return false;
        out[i] = (char)from.data[i];
    }
    out[from.len] = 0;
    return true;
}

err_t ssdp_decode(bytes_t in, char ret_url[UPNP_URL_MAX])
{
    static const char field[] = "location:";
    bytes_t line = line_of(&in);
    if (!bytes_starts_with(line, BYTES_LIT("HTTP/1.1 200")))
        return fail(ERR_INVALID, "no answer to a search for gateways");
    while (in.len) {
        line = line_of(&in);
        if (line.len < sizeof field || strncasecmp((const char *)line.data, field, sizeof field - 1) != 0)
            continue;
        line = bytes_slice(line, sizeof field - 1, line.len);
        while (line.len && line.data[0] == ' ')
            line = bytes_slice(line, 1, line.len);
        if (!bytes_starts_with(line, BYTES_LIT("http://")) || !copy_word(line, ret_url, UPNP_URL_MAX))
            break;
        return OK;
    }
    return fail(ERR_INVALID, "an answer to a search for gateways has no usable location");
}

static size_t authority_len(const char *url)
{
    size_t scheme = strlen("http://");
    return scheme + strcspn(url + scheme, "/?#");
}

bool upnp_is_at(const char *url, const uint8_t ip[4])
{
    char text[INET_ADDRSTRLEN];
    if (strncmp(url, "http://", 7) != 0 || !inet_ntop(AF_INET, ip, text, sizeof text))
        return false;
    size_t len = strlen(text);
    return !strncmp(url + 7, text, len) && strchr(":/", url[7 + len]);
}

/* ── documents ───────────────────────────────────────────────────────────────────────────────── */

/* The text of the first element of this name, whatever its prefix ("u:"), and what follows it. */
static bool element(bytes_t *in, const char *name, bytes_t *ret)
{
    size_t name_len = strlen(name);
    if (!in->len)
        return false;
    for (const uint8_t *p = in->data, *end = p + in->len; (p = memchr(p, '<', (size_t)(end - p)));) {
        p++;
        const uint8_t *tag_end = memchr(p, '>', (size_t)(end - p));
        if (!tag_end)
            return false;
        bytes_t tag = bytes_of(p, (size_t)(tag_end - p));
        const uint8_t *colon = memchr(tag.data, ':', tag.len);
        size_t skip = colon && (size_t)(colon - tag.data) < 16 ? (size_t)(colon - tag.data) + 1 : 0;
        bytes_t local = bytes_slice(tag, skip, tag.len);
        p = tag_end + 1;
        bool is_it = local.len >= name_len && !memcmp(local.data, name, name_len) &&
                     (local.len == name_len || local.data[name_len] == ' ') && tag.data[0] != '/';
        if (!is_it)
            continue;
        const uint8_t *text_end = memchr(p, '<', (size_t)(end - p));
        if (!text_end)
            return false;
        *ret = bytes_of(p, (size_t)(text_end - p));
        *in = bytes_of(text_end, (size_t)(end - text_end));
        return true;
    }
    return false;
}

static bool is_blank(uint8_t b)
{
    return b == ' ' || b == '\t' || b == '\r' || b == '\n';
}

static bytes_t trim(bytes_t text)
{
    while (text.len && is_blank(text.data[0]))
        text = bytes_slice(text, 1, text.len);
    while (text.len && is_blank(text.data[text.len - 1]))
        text.len--;
    return text;
}

static bool maps_ports(bytes_t type)
{
    return bytes_equal(type, BYTES_LIT(SERVICE_PREFIX "WANIPConnection:1")) ||
           bytes_equal(type, BYTES_LIT(SERVICE_PREFIX "WANIPConnection:2")) ||
           bytes_equal(type, BYTES_LIT(SERVICE_PREFIX "WANPPPConnection:1"));
}

/* Relative to the root of the host that described it: what a description of another host says is not
 * followed. */
static err_t resolve_control(bytes_t path, const char *url, char out[UPNP_URL_MAX])
{
    char text[UPNP_URL_MAX];
    size_t base = authority_len(url);
    if (!copy_word(path, text, sizeof text))
        return fail(ERR_INVALID, "the gateway's control URL is not usable");
    bool is_absolute = !strncmp(text, "http://", 7);
    if (is_absolute && (authority_len(text) != base || strncmp(text, url, base) != 0))
        return fail(ERR_INVALID, "the gateway's control URL is at another host");
    int len = is_absolute
                  ? snprintf(out, UPNP_URL_MAX, "%s", text)
                  : snprintf(out, UPNP_URL_MAX, "%.*s%s%s", (int)base, url, text[0] == '/' ? "" : "/", text);
    return len < UPNP_URL_MAX ? OK : fail(ERR_INVALID, "the gateway's control URL is too long");
}

err_t upnp_find_service(bytes_t document, const char *url, upnp_service_t *ret)
{
    bytes_t type, control;
    while (element(&document, "serviceType", &type)) {
        type = trim(type);
        bytes_t rest = document;
        if (!maps_ports(type) || !element(&rest, "controlURL", &control))
            continue;
        bool fits = copy_word(type, ret->type, sizeof ret->type);
        assert(fits);
        return resolve_control(trim(control), url, ret->control_url);
    }
    return fail(ERR_NOT_FOUND, "the gateway maps no ports");
}

err_t upnp_decode_address(bytes_t document, uint8_t ret_ip[4])
{
    bytes_t text;
    char word[INET_ADDRSTRLEN];
    if (!element(&document, "NewExternalIPAddress", &text) || !copy_word(trim(text), word, sizeof word) ||
        inet_pton(AF_INET, word, ret_ip) != 1)
        return fail(ERR_NOT_FOUND, "the gateway names no outside address");
    return OK;
}

unsigned upnp_error_code(bytes_t document)
{
    bytes_t text;
    char word[8];
    return element(&document, "errorCode", &text) && copy_word(trim(text), word, sizeof word)
               ? (unsigned)strtoul(word, NULL, 10)
               : 0;
}

/* ── calls ───────────────────────────────────────────────────────────────────────────────────── */
err_t upnp_put_address(const upnp_service_t *s, buf_t *out)
{
    return buf_printf(
        out, ENVELOPE_OPEN "<u:GetExternalIPAddress xmlns:u=\"%s\"></u:GetExternalIPAddress>" ENVELOPE_CLOSE,
        s->type);
}

err_t upnp_put_map(const upnp_service_t *s, bool is_tcp, uint16_t inside, uint16_t outside,
                   const uint8_t own_ip[4], uint32_t lifetime_s, buf_t *out)
{
    return buf_printf(
        out,
        ENVELOPE_OPEN
        "<u:AddPortMapping xmlns:u=\"%s\"><NewRemoteHost></NewRemoteHost>"
        "<NewExternalPort>%u</NewExternalPort><NewProtocol>%s</NewProtocol>"
        "<NewInternalPort>%u</NewInternalPort><NewInternalClient>%u.%u.%u.%u</NewInternalClient>"
        "<NewEnabled>1</NewEnabled><NewPortMappingDescription>libp2p</NewPortMappingDescription>"
        "<NewLeaseDuration>%u</NewLeaseDuration></u:AddPortMapping>" ENVELOPE_CLOSE,
        s->type, outside, is_tcp ? "TCP" : "UDP", inside, own_ip[0], own_ip[1], own_ip[2], own_ip[3],
        lifetime_s);
}

err_t upnp_put_unmap(const upnp_service_t *s, bool is_tcp, uint16_t outside, buf_t *out)
{
    return buf_printf(out,
                      ENVELOPE_OPEN "<u:DeletePortMapping xmlns:u=\"%s\"><NewRemoteHost></NewRemoteHost>"
                                    "<NewExternalPort>%u</NewExternalPort><NewProtocol>%s</NewProtocol></"
                                    "u:DeletePortMapping>" ENVELOPE_CLOSE,
                      s->type, outside, is_tcp ? "TCP" : "UDP");
}

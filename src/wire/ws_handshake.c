#include "crypto/hash.h"
#include "multi/multibase.h"
#include "wire/ws.h"
#include <strings.h>

#define KEY_SUFFIX "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455, 1.3 */
enum { KEY_BYTES = 16 };

static err_t base64(bytes_t in, buf_t *out)
{
    multibase_t base;
    TRY(multibase_from_name("base64pad", &base));
    return multibase_encode_raw(base, in, out);
}

err_t ws_accept_of(bytes_t key, char out[WS_ACCEPT_CHARS + 1])
{
    uint8_t digest[20];
    AUTO(buf_t) text;
    buf_init(&text, WS_ACCEPT_CHARS);
    const bytes_t pieces[2] = {key, BYTES_LIT(KEY_SUFFIX)};
    TRY(hash_of_pieces(HASH_SHA1, pieces, 2, digest, sizeof digest));
    TRY(base64(bytes_of(digest, sizeof digest), &text));
    assert(text.len == WS_ACCEPT_CHARS);
    memcpy(out, text.data, text.len);
    out[text.len] = 0;
    return OK;
}

static bool is_plain(const char *text)
{
    for (const char *c = text; *c; c++)
        if ((uint8_t)*c <= ' ' || *c == 0x7f)
            return false;
    return *text;
}

err_t ws_handshake_request(ws_t *w, const char *host, const char *target)
{
    uint8_t key[KEY_BYTES];
    const char *key_text;
    AUTO(buf_t) text;
    buf_init(&text, 64);
    if (!is_plain(host) || !is_plain(target))
        return fail(ERR_INVALID, "websocket: no request can be made of host \"%.60s\"", host);
    prng_fill(&w->rng, key, sizeof key);
    TRY(base64(bytes_of(key, sizeof key), &text));
    TRY(ws_accept_of(buf_bytes(&text), w->accept));
    TRY(buf_cstr(&text, &key_text));
    return buf_printf(&w->out,
                      "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n",
                      target, host, key_text);
}

/* ── heads ───────────────────────────────────────────────────────────────────────────────────── */
static bytes_t trim(bytes_t b)
{
    while (b.len && (b.data[0] == ' ' || b.data[0] == '\t'))
        b = bytes_slice(b, 1, SIZE_MAX);
    while (b.len && (b.data[b.len - 1] == ' ' || b.data[b.len - 1] == '\t' || b.data[b.len - 1] == '\r'))
        b.len--;
    return b;
}

static bytes_t take_until(bytes_t *rest, char end)
{
    const uint8_t *at = rest->len ? memchr(rest->data, end, rest->len) : NULL;
    bytes_t part = at ? bytes_of(rest->data, (size_t)(at - rest->data)) : *rest;
    *rest = bytes_slice(*rest, part.len + 1, SIZE_MAX);
    return part;
}

static bool is_word(bytes_t b, const char *word)
{
    return b.len == strlen(word) && !strncasecmp((const char *)b.data, word, b.len);
}

/* The next field of that name behind *rest. */
static bool next_field(bytes_t *rest, const char *name, bytes_t *ret_value)
{
    while (rest->len) {
        bytes_t line = take_until(rest, '\n'), found = take_until(&line, ':');
        if (!is_word(found, name))
            continue;
        *ret_value = trim(line);
        return true;
    }
    return false;
}

/* Is the word in the comma-separated lists of these fields? */
static bool has_word(bytes_t fields, const char *name, const char *word)
{
    for (bytes_t value; next_field(&fields, name, &value);)
        while (value.len)
            if (is_word(trim(take_until(&value, ',')), word))
                return true;
    return false;
}

static bytes_t field_of(bytes_t fields, const char *name)
{
    bytes_t value;
    return next_field(&fields, name, &value) ? value : BYTES_NONE;
}

static err_t refuse(ws_t *w, const char *status, const char *why)
{
    buf_clear(&w->out);
    TRY(buf_printf(
        &w->out, "HTTP/1.1 %s\r\nSec-WebSocket-Version: 13\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        status));
    return fail(ERR_PROTOCOL, "websocket: %s", why);
}

/* 16 bytes in base64. */
static bool is_key(bytes_t key)
{
    AUTO(buf_t) raw;
    multibase_t base;
    buf_init(&raw, 64);
    return key.len == 24 && !multibase_from_name("base64pad", &base) &&
           !multibase_decode_raw(base, key, &raw) && raw.len == KEY_BYTES;
}

static err_t answer(ws_t *w, bytes_t first, bytes_t fields)
{
    bytes_t method = take_until(&first, ' '), target = take_until(&first, ' '), key;
    if (!bytes_equal(method, BYTES_LIT("GET")) || !target.len ||
        !bytes_equal(trim(first), BYTES_LIT("HTTP/1.1")))
        return refuse(w, "400 Bad Request", "the request is no GET of HTTP/1.1");
    if (!has_word(fields, "Upgrade", "websocket") || !has_word(fields, "Connection", "upgrade"))
        return refuse(w, "426 Upgrade Required", "the request asks for no upgrade");
    if (!is_word(field_of(fields, "Sec-WebSocket-Version"), "13"))
        return refuse(w, "426 Upgrade Required", "the request is of another version");
    key = field_of(fields, "Sec-WebSocket-Key");
    if (!is_key(key))
        return refuse(w, "400 Bad Request", "the request has no key");
    TRY(ws_accept_of(key, w->accept));
    return buf_printf(&w->out,
                      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: %s\r\n\r\n",
                      w->accept);
}

static err_t judge(ws_t *w, bytes_t first, bytes_t fields)
{
    bytes_t version = take_until(&first, ' '), status = take_until(&first, ' ');
    if (!bytes_equal(version, BYTES_LIT("HTTP/1.1")))
        return fail(ERR_PROTOCOL, "websocket: what answers is no HTTP/1.1 server");
    if (!bytes_equal(trim(status), BYTES_LIT("101")))
        return fail(ERR_PROTOCOL, "websocket: the server answers %.*s",
                    (int)(status.len < 3 ? status.len : 3), (const char *)status.data);
    if (!has_word(fields, "Upgrade", "websocket") || !has_word(fields, "Connection", "upgrade") ||
        !bytes_equal(field_of(fields, "Sec-WebSocket-Accept"), bytes_str(w->accept)))
        return fail(ERR_PROTOCOL, "websocket: the server's answer does not fit the request");
    if (field_of(fields, "Sec-WebSocket-Extensions").len || field_of(fields, "Sec-WebSocket-Protocol").len)
        return fail(ERR_PROTOCOL, "websocket: the server chose what was not offered");
    return OK;
}

err_t ws_handshake_take(ws_t *w, bytes_t head)
{
    bytes_t first = trim(take_until(&head, '\n'));
    return w->is_client ? judge(w, first, head) : answer(w, first, head);
}

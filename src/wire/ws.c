#include "wire/ws.h"

enum { OP_CONTINUE = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };
enum { FIN = 0x80, MASKED = 0x80, LEN_16 = 126, LEN_64 = 127, CODE_NORMAL = 1000 };

err_t ws_init_client(ws_t *w, const char *host, const char *target, uint64_t seed)
{
    ws_init_server(w);
    w->is_client = true;
    prng_seed(&w->rng, seed);
    err_t e = ws_handshake_request(w, host, target);
    if (e)
        ws_deinit(w);
    return e;
}

void ws_init_server(ws_t *w)
{
    *w = (ws_t){.state = WS_HANDSHAKE};
    buf_init(&w->out, WS_OUTPUT_MAX);
    buf_init(&w->head, WS_HEAD_MAX);
}

void ws_deinit(ws_t *w)
{
    buf_deinit(&w->out);
    buf_deinit(&w->head);
    w->state = WS_FAILED;
}

void ws_output_sent(ws_t *w, size_t len)
{
    buf_consume(&w->out, len);
    if (!w->out.len)
        buf_deinit(&w->out);
}

/* ── what goes out ───────────────────────────────────────────────────────────────────────────── */
/* out may be in; `at` bytes of the content have gone through the mask before. */
static void apply_mask(const uint8_t mask[4], size_t at, const uint8_t *in, uint8_t *out, size_t len)
{
    uint8_t turned[8];
    uint64_t wide, word;
    for (size_t i = 0; i < 8; i++)
        turned[i] = mask[(at + i) & 3];
    memcpy(&wide, turned, 8);
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        memcpy(&word, in + i, 8);
        word ^= wide;
        memcpy(out + i, &word, 8);
    }
    for (; i < len; i++)
        out[i] = in[i] ^ turned[i & 7];
}

static err_t append_frame(ws_t *w, uint8_t opcode, bytes_t content, buf_t *out)
{
    uint8_t header[WS_HEADER_MAX] = {FIN | opcode};
    size_t n = 2;
    if (content.len < LEN_16) {
        header[1] = (uint8_t)content.len;
    } else if (content.len <= UINT16_MAX) {
        header[1] = LEN_16;
        header[n++] = (uint8_t)(content.len >> 8);
        header[n++] = (uint8_t)content.len;
    } else {
        header[1] = LEN_64;
        for (int i = 56; i >= 0; i -= 8)
            header[n++] = (uint8_t)((uint64_t)content.len >> i);
    }
    TRY(buf_reserve(out, n + 4 + content.len));
    if (!w->is_client) {
        TRY(buf_append(out, bytes_of(header, n)));
        return buf_append(out, content);
    }
    uint8_t mask[4];
    prng_fill(&w->rng, mask, sizeof mask);
    header[1] |= MASKED;
    TRY(buf_append(out, bytes_of(header, n)));
    TRY(buf_append(out, bytes_of(mask, sizeof mask)));
    apply_mask(mask, 0, content.data, out->data + out->len, content.len);
    out->len += content.len;
    return OK;
}

err_t ws_seal(ws_t *w, bytes_t plain, buf_t *out)
{
    assert(w->state != WS_HANDSHAKE);
    if (w->state == WS_FAILED) /* whoever writes need not know yet what was read */
        return fail(ERR_CLOSED, "websocket: the stream has failed");
    return append_frame(w, OP_BINARY, plain, out);
}

err_t ws_seal_end(ws_t *w, buf_t *out)
{
    static const uint8_t code[2] = {CODE_NORMAL >> 8, CODE_NORMAL & 0xff};
    if (w->has_sent_close || (w->state != WS_OPEN && w->state != WS_ENDED))
        return OK;
    w->has_sent_close = true;
    return append_frame(w, OP_CLOSE, bytes_of(code, sizeof code), out);
}

/* ── what comes in ───────────────────────────────────────────────────────────────────────────── */
/* Takes bytes up to the empty line that ends the head. */
static err_t take_head(ws_t *w, const uint8_t *in, size_t len, size_t *used)
{
    for (size_t i = 0; i < len; i++) {
        if (buf_append_u8(&w->head, in[i]))
            return fail(ERR_LIMIT, "websocket: a handshake of more than %d bytes", WS_HEAD_MAX);
        *used = i + 1;
        if (w->head.len < 4 || memcmp(w->head.data + w->head.len - 4, "\r\n\r\n", 4) != 0)
            continue;
        TRY(ws_handshake_take(w, buf_bytes(&w->head)));
        buf_deinit(&w->head);
        w->state = WS_OPEN;
        return OK;
    }
    return OK;
}

static size_t header_size(const ws_t *w)
{
    if (w->header_len < 2)
        return 2;
    uint8_t len = w->header[1] & 0x7f;
    size_t extended = len == LEN_16 ? 2 : len == LEN_64 ? 8 : 0;
    return 2 + extended + (w->header[1] & MASKED ? 4 : 0);
}

static err_t check_frame(const ws_t *w)
{
    bool is_final = w->header[0] & FIN, is_masked = w->header[1] & MASKED;
    if (w->header[0] & 0x70)
        return fail(ERR_PROTOCOL, "websocket: a frame with reserved bits");
    if (is_masked == w->is_client)
        return fail(ERR_PROTOCOL, "websocket: a frame that is %smasked", is_masked ? "" : "not ");
    switch (w->opcode) {
    case OP_CONTINUE:
        return w->in_message ? OK : fail(ERR_PROTOCOL, "websocket: a part of no message");
    case OP_TEXT:
    case OP_BINARY:
        return w->in_message ? fail(ERR_PROTOCOL, "websocket: a message inside another") : OK;
    case OP_CLOSE:
    case OP_PING:
    case OP_PONG:
        return is_final && w->body_left <= WS_CONTROL_MAX
                   ? OK
                   : fail(ERR_PROTOCOL, "websocket: a control frame that is long or in parts");
    default:
        return fail(ERR_PROTOCOL, "websocket: a frame of kind %u", w->opcode);
    }
}

/* The header is all there. */
static err_t begin_frame(ws_t *w)
{
    uint8_t len = w->header[1] & 0x7f;
    size_t n_len = len == LEN_16 ? 2 : len == LEN_64 ? 8 : 0;
    w->opcode = w->header[0] & 0x0f;
    w->body_left = n_len ? 0 : len;
    for (size_t i = 0; i < n_len; i++)
        w->body_left = w->body_left << 8 | w->header[2 + i];
    if (n_len && (w->body_left < LEN_16 || (n_len == 8 && w->body_left <= UINT16_MAX) || w->body_left >> 63))
        return fail(ERR_PROTOCOL, "websocket: a length that is not written as it must be");
    memcpy(w->mask, w->header + 2 + n_len, w->header[1] & MASKED ? 4 : 0);
    w->mask_at = 0;
    w->header_len = 0;
    w->control_len = 0;
    TRY(check_frame(w));
    if (w->opcode < OP_CLOSE)
        w->in_message = !(w->header[0] & FIN);
    return OK;
}

static err_t answer_control(ws_t *w)
{
    bytes_t content = bytes_of(w->control, w->control_len);
    if (w->opcode == OP_PING) {
        if (w->out.len + WS_HEADER_MAX + content.len > WS_OUTPUT_MAX)
            return fail(ERR_LIMIT, "websocket: more pings than answers are read");
        return append_frame(w, OP_PONG, content, &w->out);
    }
    if (w->opcode == OP_CLOSE) {
        TRY(ws_seal_end(w, &w->out));
        w->state = WS_ENDED;
    }
    return OK;
}

static err_t take_header(ws_t *w, const uint8_t *in, size_t len, size_t *used)
{
    while (*used < len) {
        w->header[w->header_len++] = in[(*used)++];
        if (w->header_len < header_size(w))
            continue;
        TRY(begin_frame(w));
        return w->body_left || w->opcode < OP_CLOSE ? OK : answer_control(w);
    }
    return OK;
}

static err_t take_body(ws_t *w, uint8_t *in, size_t len, size_t *used, bytes_t *plain)
{
    size_t n = len < w->body_left ? len : (size_t)w->body_left;
    if (!w->is_client)
        apply_mask(w->mask, w->mask_at, in, in, n);
    w->mask_at = (uint8_t)((w->mask_at + n) & 3);
    w->body_left -= n;
    *used = n;
    if (w->opcode < OP_CLOSE) {
        *plain = bytes_of(in, n);
        return OK;
    }
    memcpy(w->control + w->control_len, in, n);
    w->control_len += (uint8_t)n;
    return w->body_left ? OK : answer_control(w);
}

err_t ws_feed(ws_t *w, uint8_t *in, size_t len, size_t *ret_used, bytes_t *ret_plain)
{
    size_t used = 0;
    bytes_t plain = BYTES_NONE;
    err_t e = OK;
    if (w->state == WS_FAILED)
        return fail(ERR_PROTOCOL, "websocket: the stream has failed");
    if (w->state == WS_HANDSHAKE)
        e = take_head(w, in, len, &used);
    else if (w->state == WS_OPEN && len)
        e = w->body_left ? take_body(w, in, len, &used, &plain) : take_header(w, in, len, &used);
    if (e) {
        w->state = WS_FAILED;
        return e;
    }
    *ret_used = used;
    *ret_plain = plain;
    return OK;
}

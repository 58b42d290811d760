/* gateway_content: bytes that are here or can be read: whole, or in the ranges that were asked for. Spec: RFC
 * 9110, 13 (conditions) and 14 (ranges). */
#include "api/gateway.h"
#include <inttypes.h>
#include <stdio.h>

enum { BOUNDARY_BYTES = 24 };

static err_t first_piece(task_t *t, gateway_request_t *r, gateway_content_t *c, range_t range, bytes_t *ret)
{
    file_reader_seek(c->file, range.from, range.len);
    return gateway_next_piece(t, r, c->file, ret);
}

static err_t write_pieces(task_t *t, gateway_request_t *r, gateway_content_t *c, bytes_t piece)
{
    while (piece.len) {
        TRY(exchange_write(t, r->x, piece));
        TRY(gateway_next_piece(t, r, c->file, &piece));
    }
    return OK;
}

static err_t write_content(task_t *t, gateway_request_t *r, gateway_content_t *c, range_t range)
{
    bytes_t piece;
    if (!c->file)
        return exchange_write(t, r->x, bytes_slice(c->memory, (size_t)range.from, (size_t)range.len));
    TRY(first_piece(t, r, c, range, &piece));
    return write_pieces(t, r, c, piece);
}

static err_t part_head(buf_t *out, const char *boundary, const char *type, const range_t *range,
                       uint64_t size)
{
    return buf_printf(out,
                      "\r\n--%s\r\nContent-Type: %s\r\nContent-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64
                      "\r\n\r\n",
                      boundary, type, range->from, range->from + range->len - 1, size);
}

static err_t serve_multipart(task_t *t, gateway_request_t *r, gateway_content_t *c, const ranges_t *ranges)
{
    char boundary[BOUNDARY_BYTES * 2 + 1], header[128];
    AUTO(buf_t) text = {0};
    uint64_t length = 0;
    buf_init(&text, 64 << 10);
    uint8_t random[BOUNDARY_BYTES];
    driver_random(task_driver(t), random, sizeof random);
    hex_text(bytes_of(random, sizeof random), boundary, sizeof boundary);
    for (size_t i = 0; i < ranges->count; i++) {
        TRY(part_head(&text, boundary, c->type, &ranges->list[i], c->size));
        length += ranges->list[i].len;
    }
    TRY(buf_printf(&text, "\r\n--%s--\r\n", boundary));
    length += text.len;
    snprintf(header, sizeof header, "multipart/byteranges; boundary=%s", boundary);
    TRY(exchange_set_header(r->x, "Content-Type", header));
    TRY(exchange_begin(r->x, 206, (int64_t)length));
    if (gateway_is_head(r))
        return OK;
    for (size_t i = 0; i < ranges->count; i++) {
        buf_clear(&text);
        TRY(part_head(&text, boundary, c->type, &ranges->list[i], c->size));
        TRY(exchange_write(t, r->x, buf_bytes(&text)));
        TRY(write_content(t, r, c, ranges->list[i]));
    }
    buf_clear(&text);
    TRY(buf_printf(&text, "\r\n--%s--\r\n", boundary));
    return exchange_write(t, r->x, buf_bytes(&text));
}

static err_t reply_another(task_t *t, gateway_request_t *r)
{
    TRY(exchange_set_header(r->x, "Cache-Control", "no-cache"));
    return exchange_reply(t, r->x, 412, "text/plain; charset=utf-8",
                          BYTES_LIT("the content is another one\n"));
}

err_t gateway_serve_content(task_t *t, gateway_request_t *r, gateway_content_t *c)
{
    exchange_t *x = r->x;
    ranges_t ranges;
    bytes_t piece = BYTES_NONE;
    char text[96];
    if (!c->status && gateway_is_another(r, c->etag))
        return reply_another(t, r);
    if (!c->status && gateway_is_unchanged_since(r))
        return gateway_reply_unchanged(r, c->etag);
    ranges_parse(c->status ? NULL : gateway_range_header(r, c->etag), c->size, &ranges);
    range_t range = ranges.count ? ranges.list[0] : (range_t){0, c->size};
    /* What cannot be had is told by a status, as long as nothing has been promised. */
    if (c->file && !ranges.is_unsatisfiable && range.len && !gateway_is_head(r))
        TRY(first_piece(t, r, c, range, &piece));
    TRY(gateway_set_headers(r, c->etag, NULL));
    if (c->disposition)
        TRY(gateway_set_disposition(r, c->disposition, bytes_str(c->name)));
    if (!c->status)
        TRY(exchange_set_header(x, "Accept-Ranges", "bytes"));
    if (ranges.is_unsatisfiable) {
        snprintf(text, sizeof text, "bytes */%" PRIu64, c->size);
        TRY(exchange_set_header(x, "Content-Range", text));
        return exchange_reply(t, x, 416, "text/plain; charset=utf-8",
                              BYTES_LIT("the range lies behind the end\n"));
    }
    if (ranges.count > 1)
        return serve_multipart(t, r, c, &ranges);
    if (ranges.count) {
        snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range.from,
                 range.from + range.len - 1, c->size);
        TRY(exchange_set_header(x, "Content-Range", text));
    }
    TRY(exchange_set_header(x, "Content-Type", c->type));
    TRY(exchange_begin(x, c->status ? c->status : ranges.count ? 206 : 200, (int64_t)range.len));
    if (gateway_is_head(r) || !range.len)
        return OK;
    return c->file ? write_pieces(t, r, c, piece) : write_content(t, r, c, range);
}

/* gateway_file: the bytes of a file, whole or in ranges, and raw blocks. */
#include "api/gateway.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { PIECE_TIMEOUT_MS = 30000, BOUNDARY_BYTES = 24 };

/* A bounded wait for each piece: a file may take long, a missing block may not. */
static err_t next_piece(task_t *t, file_reader_t *f, bytes_t *ret_piece)
{
    deadline_t d = deadline_push(t, PIECE_TIMEOUT_MS);
    err_t e = file_reader_next(t, f, ret_piece);
    deadline_pop(t, &d);
    return e;
}

/* Whole or ranged content comes from a reader (files) or from memory (blocks, symlinks). */
typedef struct content {
    file_reader_t *file; /* NULL: memory */
    bytes_t memory;
    uint64_t size;
} content_t;

static err_t write_content(task_t *t, exchange_t *x, content_t *c, range_t range)
{
    if (!c->file)
        return exchange_write(t, x, bytes_slice(c->memory, (size_t)range.from, (size_t)range.len));
    file_reader_seek(c->file, range.from, range.len);
    bytes_t piece;
    for (;;) {
        TRY(next_piece(t, c->file, &piece));
        if (!piece.len)
            return OK;
        TRY(exchange_write(t, x, piece));
    }
}

static bool is_head(const exchange_t *x)
{
    return !strcmp(x->method, "HEAD");
}

static err_t part_head(buf_t *out, const char *boundary, const char *type, const range_t *range,
                       uint64_t size)
{
    return buf_printf(out,
                      "\r\n--%s\r\nContent-Type: %s\r\nContent-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64
                      "\r\n\r\n",
                      boundary, type, range->from, range->from + range->len - 1, size);
}

static err_t serve_multipart(task_t *t, exchange_t *x, content_t *c, const ranges_t *ranges, const char *type)
{
    char boundary[BOUNDARY_BYTES * 2 + 1], header[128];
    AUTO(buf_t) text = {0};
    uint64_t length = 0;
    buf_init(&text, 64 << 10);
    uint8_t random[BOUNDARY_BYTES];
    driver_random(task_driver(t), random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(boundary + 2 * i, 3, "%02x", random[i]);
    for (size_t i = 0; i < ranges->count; i++) {
        TRY(part_head(&text, boundary, type, &ranges->list[i], c->size));
        length += ranges->list[i].len;
    }
    TRY(buf_printf(&text, "\r\n--%s--\r\n", boundary));
    length += text.len;
    snprintf(header, sizeof header, "multipart/byteranges; boundary=%s", boundary);
    TRY(exchange_set_header(x, "Content-Type", header));
    TRY(exchange_begin(x, 206, (int64_t)length));
    if (is_head(x))
        return OK;
    for (size_t i = 0; i < ranges->count; i++) {
        buf_clear(&text);
        TRY(part_head(&text, boundary, type, &ranges->list[i], c->size));
        TRY(exchange_write(t, x, buf_bytes(&text)));
        TRY(write_content(t, x, c, ranges->list[i]));
    }
    buf_clear(&text);
    TRY(buf_printf(&text, "\r\n--%s--\r\n", boundary));
    return exchange_write(t, x, buf_bytes(&text));
}

/* If-Range: the ranges count only while the content is the one that the client has. */
static const char *range_header(exchange_t *x, const char *etag)
{
    const char *condition = exchange_header(x, "If-Range");
    return condition && strcmp(condition, etag) ? NULL : exchange_header(x, "Range");
}

static err_t serve_content(task_t *t, gateway_request_t *r, content_t *c, const char *type, const char *etag)
{
    exchange_t *x = r->x;
    ranges_t ranges;
    char text[96];
    ranges_parse(range_header(x, etag), c->size, &ranges);
    TRY(gateway_set_headers(r, etag, NULL));
    TRY(exchange_set_header(x, "Accept-Ranges", "bytes"));
    if (ranges.is_unsatisfiable) {
        snprintf(text, sizeof text, "bytes */%" PRIu64, c->size);
        TRY(exchange_set_header(x, "Content-Range", text));
        return exchange_reply(t, x, 416, "text/plain; charset=utf-8",
                              BYTES_LIT("the range lies behind the end\n"));
    }
    if (ranges.count > 1)
        return serve_multipart(t, x, c, &ranges, type);
    range_t range = ranges.count ? ranges.list[0] : (range_t){0, c->size};
    if (ranges.count) {
        snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range.from,
                 range.from + range.len - 1, c->size);
        TRY(exchange_set_header(x, "Content-Range", text));
    }
    TRY(exchange_set_header(x, "Content-Type", type));
    TRY(exchange_begin(x, ranges.count ? 206 : 200, (int64_t)range.len));
    return is_head(x) || !range.len ? OK : write_content(t, x, c, range);
}

static err_t reply_unchanged(task_t *t, gateway_request_t *r, const char *etag)
{
    TRY(gateway_set_headers(r, etag, NULL));
    TRY(exchange_begin(r->x, 304, 0));
    return OK;
}

/* ?download=true, and names that the user gave, as RFC 6266 has it. */
static err_t set_disposition(gateway_request_t *r, const char *name)
{
    exchange_t *x = r->x;
    if (!x->query[0])
        return OK;
    bool is_download = exchange_query_bool(x, "download", false);
    if (!is_download && !exchange_has_query(x, "filename"))
        return OK;
    AUTO(buf_t) value = {0};
    const char *text;
    buf_init(&value, 8 << 10);
    TRY(buf_printf(&value, "%s", is_download ? "attachment" : "inline"));
    if (*name) {
        TRY(buf_printf(&value, "; filename=\""));
        for (const char *p = name; *p; p++)
            TRY(buf_append_u8(&value,
                              (unsigned char)*p < 0x20 || *p == '"' || *p == '\\' || (unsigned char)*p >= 0x7f
                                  ? '_'
                                  : (uint8_t)*p));
        TRY(buf_printf(&value, "\"; filename*=UTF-8''"));
        TRY(percent_encode(bytes_str(name), NULL, &value));
    }
    TRY(buf_cstr(&value, &text));
    return exchange_set_header(x, "Content-Disposition", text);
}

err_t gateway_serve_file(task_t *t, gateway_request_t *r, const char *name, const char *etag)
{
    if (gateway_is_unchanged(r->x, etag))
        return reply_unchanged(t, r, etag);
    TRY(set_disposition(r, name));
    if (r->node.fs.type == UNIXFS_SYMLINK) {
        content_t c = {.memory = r->node.fs.data, .size = r->node.fs.data.len};
        return serve_content(t, r, &c, "inode/symlink", etag);
    }
    AUTO(file_reader_t) file = {0};
    bytes_t first = BYTES_NONE;
    TRY(file_reader_init(&file, r->blocks, &r->node));
    const char *type = content_type_of(name, BYTES_NONE);
    bool needs_sniff = !strcmp(type, content_type_of("", BYTES_NONE));
    if (needs_sniff && file.size) {
        file_reader_seek(&file, 0, 512);
        TRY(next_piece(t, &file, &first));
        type = content_type_of(name, first);
    }
    content_t c = {.file = &file, .size = file.size};
    return serve_content(t, r, &c, type, etag);
}

err_t gateway_serve_raw(task_t *t, gateway_request_t *r)
{
    char etag[CID_TEXT_MAX + 8], cid[CID_TEXT_MAX], name[2 * CID_TEXT_MAX + 64];
    AUTO_PTR(block_t) block = NULL;
    snprintf(etag, sizeof etag, "\"%s.raw\"", cid_print(&r->cid, cid));
    if (gateway_is_unchanged(r->x, etag))
        return reply_unchanged(t, r, etag);
    err_t e = blocks_get(t, r->blocks, &r->cid, &block);
    if (e == ERR_NOT_FOUND && !r->session.session && gateway_may_fetch(r)) {
        TRY(node_session_open(r->api->node, false, &r->session));
        r->blocks = r->session.blocks;
        deadline_t d = deadline_push(t, PIECE_TIMEOUT_MS);
        e = blocks_get(t, r->blocks, &r->cid, &block);
        deadline_pop(t, &d);
    }
    TRY(e);
    snprintf(name, sizeof name, "attachment; filename=\"%s.bin\"; filename*=UTF-8''%s.bin", cid, cid);
    TRY(exchange_set_header(r->x, "Content-Disposition", name));
    TRY(exchange_set_header(r->x, "X-Content-Type-Options", "nosniff"));
    content_t c = {.memory = block_bytes(block), .size = block->len};
    return serve_content(t, r, &c, "application/vnd.ipld.raw", etag);
}

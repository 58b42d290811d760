/* gateway_file: files, symlinks and raw blocks. */
#include "api/content_sniff.h"
#include "api/gateway_document.h"
#include <stdio.h>
#include <strings.h>

/* ?filename= names the file for who saves it; ?download=true asks to save it. */
static const char *disposition_of(gateway_request_t *r, bool is_named)
{
    return gateway_wants_download(r) ? "attachment" : is_named ? "inline" : NULL;
}

static bool is_too_large_for_ranges(const gateway_request_t *r, uint64_t size)
{
    uint64_t max = r->settings->max_range_file_bytes;
    return max && size > max && exchange_header(r->x, "Range");
}

static err_t type_of(task_t *t, gateway_request_t *r, file_reader_t *file, const char *name,
                     const char **ret_type)
{
    bytes_t first = BYTES_NONE;
    const char *type = content_type_of_name(name);
    if (!type && file->size) {
        file_reader_seek(file, 0, CONTENT_SNIFFED_BYTES);
        TRY(gateway_next_piece(t, r, file, &first));
    }
    *ret_type = type ? type : content_sniff(first);
    return OK;
}

/* The metadata of an NFT, and other JSON: as a page that follows its links. */
static err_t serve_preview(task_t *t, gateway_request_t *r, file_reader_t *file)
{
    AUTO(buf_t) text = {0};
    buf_init(&text, GATEWAY_PREVIEW_MAX_BYTES);
    file_reader_seek(file, 0, file->size);
    for (;;) {
        bytes_t piece;
        TRY(gateway_next_piece(t, r, file, &piece));
        if (!piece.len)
            break;
        TRY(buf_append(&text, piece));
    }
    return gateway_serve_document(t, r, CODEC_JSON, buf_bytes(&text), true);
}

err_t gateway_serve_file(task_t *t, gateway_request_t *r, const char *own_name, const char *etag)
{
    char name[GATEWAY_NAME_MAX_BYTES];
    bool is_named = gateway_filename(r, own_name, name, sizeof name);
    if (is_too_large_for_ranges(r, r->node.size))
        return gateway_fail(t, r, 501,
                            "range requests are not supported for files of this size: ask for verifiable "
                            "blocks (application/vnd.ipld.raw)");
    gateway_content_t c = {
        .etag = etag, .type = "inode/symlink", .disposition = disposition_of(r, is_named), .name = name};
    if (r->node.fs.type == UNIXFS_SYMLINK) {
        c.memory = r->node.fs.data;
        c.size = c.memory.len;
        return gateway_serve_content(t, r, &c);
    }
    AUTO(file_reader_t) file = {0};
    TRY(file_reader_init(&file, r->blocks, &r->node));
    TRY(type_of(t, r, &file, name, &c.type));
    if (!strcmp(c.type, "application/json") && file.size <= GATEWAY_PREVIEW_MAX_BYTES &&
        gateway_wants_preview(r))
        return serve_preview(t, r, &file);
    c.file = &file;
    c.size = file.size;
    return gateway_serve_content(t, r, &c);
}

err_t gateway_serve_object(task_t *t, gateway_request_t *r, const char *own_name)
{
    char etag[GATEWAY_ETAG_MAX], name[GATEWAY_NAME_MAX_BYTES];
    AUTO_PTR(block_t) block = NULL;
    bool is_named = gateway_filename(r, own_name, name, sizeof name);
    TRY(gateway_get_block(t, r, &r->cid, &block));
    bytes_t data = block_bytes(block);
    gateway_content_t c = {.memory = data,
                           .size = data.len,
                           .type = content_type_of(name, data),
                           .etag = gateway_etag(r, etag),
                           .disposition = disposition_of(r, is_named),
                           .name = name};
    return gateway_serve_content(t, r, &c);
}

err_t gateway_serve_raw(task_t *t, gateway_request_t *r)
{
    char etag[GATEWAY_ETAG_MAX], name[CID_TEXT_MAX + 8], file_name[GATEWAY_NAME_MAX_BYTES];
    AUTO_PTR(block_t) block = NULL;
    TRY(gateway_get_block(t, r, &r->cid, &block));
    snprintf(name, sizeof name, "%s.bin", gateway_cid_text(r));
    gateway_filename(r, name, file_name, sizeof file_name);
    TRY(gateway_set_disposition(r, "attachment", bytes_str(file_name)));
    TRY(exchange_set_header(r->x, "X-Content-Type-Options", "nosniff"));
    gateway_content_t c = {.memory = block_bytes(block),
                           .size = block->len,
                           .type = gateway_format_type(GATEWAY_FORMAT_RAW),
                           .etag = gateway_etag(r, etag)};
    return gateway_serve_content(t, r, &c);
}

#include "api/zip_writer.h"

enum { DIRECTORY_MAX = 64 << 10, VERSION = 20, DATE_1980_01_01 = 0x21 };

void zip_init(zip_writer_t *z)
{
    *z = (zip_writer_t){0};
    buf_init(&z->directory, DIRECTORY_MAX);
}

void zip_deinit(zip_writer_t *z)
{
    buf_deinit(&z->directory);
}

/* CRC-32 of ISO-HDLC, reflected, polynomial 0xedb88320. */
static uint32_t crc32_of(bytes_t data)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < data.len; i++) {
        crc ^= data.data[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static err_t put16(buf_t *out, uint16_t v)
{
    uint8_t b[] = {(uint8_t)v, (uint8_t)(v >> 8)};
    return buf_append(out, bytes_of(b, sizeof b));
}

static err_t put32(buf_t *out, uint32_t v)
{
    TRY(put16(out, (uint16_t)v));
    return put16(out, (uint16_t)(v >> 16));
}

/* The fields that the local header and the directory share, from the flags to the length of the extra field.
 */
static err_t put_common(buf_t *out, bytes_t name, bytes_t data, uint32_t crc)
{
    TRY(put16(out, 0x800)); /* names are UTF-8 */
    TRY(put16(out, 0));     /* stored */
    TRY(put16(out, 0));
    TRY(put16(out, DATE_1980_01_01));
    TRY(put32(out, crc));
    TRY(put32(out, (uint32_t)data.len));
    TRY(put32(out, (uint32_t)data.len));
    TRY(put16(out, (uint16_t)name.len));
    return put16(out, 0);
}

err_t zip_entry(zip_writer_t *z, const char *name_text, bytes_t data, buf_t *out)
{
    bytes_t name = bytes_str(name_text);
    uint32_t crc = crc32_of(data);
    size_t before = out->len;
    if (z->n_entries == ZIP_ENTRIES_MAX || data.len > UINT32_MAX - z->offset - 1024)
        return fail(ERR_LIMIT, "the archive is full");
    TRY(put32(out, 0x04034b50));
    TRY(put16(out, VERSION));
    TRY(put_common(out, name, data, crc));
    TRY(buf_append(out, name));
    TRY(buf_append(out, data));
    buf_t *d = &z->directory;
    TRY(put32(d, 0x02014b50));
    TRY(put16(d, VERSION));
    TRY(put16(d, VERSION));
    TRY(put_common(d, name, data, crc));
    TRY(put16(d, 0)); /* comment */
    TRY(put16(d, 0)); /* disk */
    TRY(put16(d, 0)); /* internal attributes */
    TRY(put32(d, 0)); /* external ones */
    TRY(put32(d, z->offset));
    TRY(buf_append(d, name));
    z->offset += (uint32_t)(out->len - before);
    z->n_entries++;
    return OK;
}

err_t zip_end(zip_writer_t *z, buf_t *out)
{
    TRY(buf_append(out, buf_bytes(&z->directory)));
    TRY(put32(out, 0x06054b50));
    TRY(put32(out, 0)); /* disks */
    TRY(put16(out, z->n_entries));
    TRY(put16(out, z->n_entries));
    TRY(put32(out, (uint32_t)z->directory.len));
    TRY(put32(out, z->offset));
    return put16(out, 0);
}

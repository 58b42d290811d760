#include "api/tar_writer.h"
#include <stdio.h>

/* POSIX.1-1988 ustar. */
typedef struct tar_header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[8],
        user[32], group[32], major[8], minor[8], prefix[155], unused[12];
} tar_header_t;
_Static_assert(sizeof(tar_header_t) == TAR_BLOCK, "a header is a block");

enum { SIZE_MAX_OCTAL_BITS = 33 };

size_t tar_padding(uint64_t size)
{
    return (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
}

static void put_octal(char *field, size_t cap, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%0*llo", (int)cap - 1, (unsigned long long)value);
    memcpy(field, text, cap);
}

static err_t put_block(const char *type_and_name, bytes_t name, bytes_t target, uint64_t size, uint32_t mode,
                       int64_t mtime, buf_t *out)
{
    tar_header_t h;
    memset(&h, 0, sizeof h);
    memcpy(h.name, name.data, name.len < sizeof h.name ? name.len : sizeof h.name);
    if (target.len)
        memcpy(h.link, target.data, target.len < sizeof h.link ? target.len : sizeof h.link);
    put_octal(h.mode, sizeof h.mode, mode & 07777);
    put_octal(h.uid, sizeof h.uid, 0);
    put_octal(h.gid, sizeof h.gid, 0);
    put_octal(h.size, sizeof h.size, size >> SIZE_MAX_OCTAL_BITS ? 0 : size);
    put_octal(h.mtime, sizeof h.mtime, mtime > 0 && !(mtime >> SIZE_MAX_OCTAL_BITS) ? (uint64_t)mtime : 0);
    h.type = type_and_name[0];
    memcpy(h.magic, "ustar\00000", 8);
    memset(h.checksum, ' ', sizeof h.checksum);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof h; i++)
        sum += ((const uint8_t *)&h)[i];
    snprintf(h.checksum, sizeof h.checksum, "%06o", sum);
    return buf_append(out, bytes_of(&h, sizeof h));
}

/* "LEN key=value\n", where LEN counts its own digits. */
static err_t put_record(const char *key, bytes_t value, buf_t *out)
{
    size_t rest = 1 + strlen(key) + 1 + value.len + 1, len;
    for (size_t digits = 1;; digits++) {
        len = rest + digits;
        if ((size_t)snprintf(NULL, 0, "%zu", len) == digits)
            break;
    }
    TRY(buf_printf(out, "%zu %s=", len, key));
    TRY(buf_append(out, value));
    return buf_append_u8(out, '\n');
}

static err_t put_zeros(size_t n, buf_t *out)
{
    static const uint8_t zeros[TAR_BLOCK];
    return buf_append(out, bytes_of(zeros, n));
}

/* "1600000000.25"; a negative time counts its fraction away from zero. */
static void print_time(const tar_item_t *item, char *out, size_t cap)
{
    bool is_negative = item->mtime_s < 0;
    uint64_t s = is_negative ? -(uint64_t)item->mtime_s : (uint64_t)item->mtime_s, ns = item->mtime_ns;
    if (is_negative && ns) {
        s--;
        ns = 1000000000 - ns;
    }
    size_t n = (size_t)snprintf(out, cap, "%s%llu", is_negative ? "-" : "", (unsigned long long)s);
    if (!ns)
        return;
    n += (size_t)snprintf(out + n, cap - n, ".%09u", (unsigned)ns);
    while (out[n - 1] == '0')
        out[--n] = 0;
}

/* Only ASCII is the same to every reader of a header. */
static bool needs_record(bytes_t text)
{
    bool is_ascii = true;
    for (size_t i = 0; i < text.len; i++)
        is_ascii = is_ascii && text.data[i] < 0x80;
    return text.len > 100 || !is_ascii;
}

static err_t put_pax(const tar_item_t *item, bytes_t name, buf_t *out)
{
    AUTO(buf_t) records = {0};
    buf_init(&records, 64 << 10);
    char text[48];
    if (needs_record(name))
        TRY(put_record("path", name, &records));
    if (needs_record(item->target))
        TRY(put_record("linkpath", item->target, &records));
    if (item->size >> SIZE_MAX_OCTAL_BITS) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)item->size);
        TRY(put_record("size", bytes_str(text), &records));
    }
    if (item->mtime_ns || item->mtime_s < 0 || item->mtime_s >> SIZE_MAX_OCTAL_BITS) {
        print_time(item, text, sizeof text);
        TRY(put_record("mtime", bytes_str(text), &records));
    }
    if (!records.len)
        return OK;
    TRY(put_block("x", BYTES_LIT("pax"), BYTES_NONE, records.len, 0644, 0, out));
    TRY(buf_append(out, buf_bytes(&records)));
    return put_zeros(tar_padding(records.len), out);
}

err_t tar_put_header(const tar_item_t *item, buf_t *out)
{
    AUTO(buf_t) name = {0};
    buf_init(&name, 64 << 10);
    if (!item->name.len || memchr(item->name.data, 0, item->name.len) ||
        (item->target.len && memchr(item->target.data, 0, item->target.len)))
        return fail(ERR_INVALID, "a name that is empty or holds NUL does not fit into an archive");
    TRY(buf_append(&name, item->name));
    /* A directory's name has no slash behind it: Kubo's client refuses one. */
    static const uint32_t modes[] = {0644, 0755, 0777};
    TRY(put_pax(item, buf_bytes(&name), out));
    static const char *const types[] = {"0", "5", "2"};
    return put_block(types[item->kind], buf_bytes(&name), item->target, item->size,
                     item->mode ? item->mode : modes[item->kind], item->mtime_s, out);
}

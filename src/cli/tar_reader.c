#include "cli/tar_reader.h"
#include <stdio.h>

enum { BLOCK = 512, PAX_MAX = 64 << 10 };

void tar_reader_init(tar_reader_t *r)
{
    *r = (tar_reader_t){0};
    buf_init(&r->pax, PAX_MAX);
}

void tar_reader_deinit(tar_reader_t *r)
{
    buf_deinit(&r->pax);
}

bool tar_reader_is_whole(const tar_reader_t *r)
{
    return r->state == TAR_ENDED;
}

/* Octal with blanks and NULs around it, or base-256 when the top bit is set. */
static err_t read_number(const uint8_t *field, size_t len, uint64_t *ret)
{
    uint64_t value = 0;
    size_t i = 0;
    if (field[0] & 0x80) {
        for (value = field[0] & 0x7f, i = 1; i < len; i++) {
            if (value >> 55)
                return fail(ERR_INVALID, "a number in the archive is too large");
            value = value << 8 | field[i];
        }
        *ret = value;
        return OK;
    }
    while (i < len && field[i] == ' ')
        i++;
    for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
        value = value << 3 | (uint64_t)(field[i] - '0');
    if (i < len && field[i] && field[i] != ' ')
        return fail(ERR_INVALID, "a number in the archive is malformed");
    *ret = value;
    return OK;
}

static err_t check_sum(const uint8_t header[BLOCK])
{
    uint64_t stated, sum = 0;
    TRY(read_number(header + 148, 8, &stated));
    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : header[i];
    return sum == stated ? OK : fail(ERR_INVALID, "the archive's header is damaged");
}

static void take_name(tar_reader_t *r, const uint8_t *h)
{
    size_t name = strnlen((const char *)h, 100),
           prefix = memcmp(h + 257, "ustar", 5) ? 0 : strnlen((const char *)h + 345, 155);
    if (r->has_pax_path)
        snprintf(r->entry.name, sizeof r->entry.name, "%s", r->pax_path);
    else
        snprintf(r->entry.name, sizeof r->entry.name, "%.*s%s%.*s", (int)prefix, (const char *)h + 345,
                 prefix ? "/" : "", (int)name, (const char *)h);
    if (r->has_pax_link)
        snprintf(r->entry.link, sizeof r->entry.link, "%s", r->pax_link);
    else
        snprintf(r->entry.link, sizeof r->entry.link, "%.*s", 100, (const char *)h + 157);
}

/* "-1.5" is half a second before -1 s: seconds round down, the fraction goes up. */
static err_t read_time(bytes_t text, int64_t *ret_s, uint32_t *ret_ns)
{
    bool is_negative = text.len && text.data[0] == '-';
    size_t i = is_negative, digits = 0;
    int64_t s = 0;
    uint32_t ns = 0, unit = 100000000;
    for (; i < text.len && text.data[i] >= '0' && text.data[i] <= '9' && digits < 18; i++, digits++)
        s = s * 10 + (text.data[i] - '0');
    bool has_fraction = i < text.len && text.data[i] == '.';
    for (i += has_fraction; has_fraction && i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        ns += unit * (uint32_t)(text.data[i] - '0');
        unit /= 10;
    }
    if (!digits || i < text.len)
        return fail(ERR_INVALID, "a time in the archive is malformed");
    *ret_s = is_negative ? -s - (ns > 0) : s;
    *ret_ns = is_negative && ns ? 1000000000 - ns : ns;
    return OK;
}

/* "LEN key=value\n" records. */
static err_t read_pax(tar_reader_t *r)
{
    bytes_t in = buf_bytes(&r->pax);
    while (in.len) {
        size_t len = 0, digits = 0;
        while (digits < in.len && digits < 6 && in.data[digits] >= '0' && in.data[digits] <= '9')
            len = len * 10 + (size_t)(in.data[digits++] - '0');
        if (!digits || digits >= in.len || in.data[digits] != ' ' || len > in.len || len < digits + 3 ||
            in.data[len - 1] != '\n')
            return fail(ERR_INVALID, "an extended header of the archive is malformed");
        bytes_t record = bytes_slice(in, digits + 1, len - digits - 2);
        const uint8_t *equals = memchr(record.data, '=', record.len);
        if (!equals)
            return fail(ERR_INVALID, "an extended header of the archive is malformed");
        bytes_t key = bytes_of(record.data, (size_t)(equals - record.data));
        bytes_t value = bytes_slice(record, key.len + 1, record.len);
        if (value.len >= sizeof r->pax_path || memchr(value.data, 0, value.len))
            return fail(ERR_INVALID, "a name in the archive is too long");
        if (bytes_equal(key, BYTES_LIT("path"))) {
            memcpy(r->pax_path, value.data, value.len);
            r->pax_path[value.len] = 0;
            r->has_pax_path = true;
        } else if (bytes_equal(key, BYTES_LIT("linkpath"))) {
            memcpy(r->pax_link, value.data, value.len);
            r->pax_link[value.len] = 0;
            r->has_pax_link = true;
        } else if (bytes_equal(key, BYTES_LIT("size"))) {
            r->pax_size = 0;
            for (size_t i = 0; i < value.len; i++) {
                if (value.data[i] < '0' || value.data[i] > '9' || r->pax_size > UINT64_MAX / 16)
                    return fail(ERR_INVALID, "a size in the archive is malformed");
                r->pax_size = r->pax_size * 10 + (uint64_t)(value.data[i] - '0');
            }
            r->has_pax_size = true;
        } else if (bytes_equal(key, BYTES_LIT("mtime"))) {
            TRY(read_time(value, &r->pax_mtime_s, &r->pax_mtime_ns));
            r->has_pax_mtime = true;
        }
        in = bytes_slice(in, len, in.len);
    }
    return OK;
}

static err_t read_header(tar_reader_t *r, tar_event_t *ret_event)
{
    static const uint8_t zeros[BLOCK];
    const uint8_t *h = r->header;
    if (!memcmp(h, zeros, BLOCK)) {
        r->state = TAR_ENDED;
        *ret_event = TAR_END;
        return OK;
    }
    uint64_t size, mode, mtime;
    TRY(check_sum(h));
    TRY(read_number(h + 124, 12, &size));
    TRY(read_number(h + 100, 8, &mode));
    TRY(read_number(h + 136, 12, &mtime));
    uint8_t type = h[156];
    if (type == 'x' || type == 'g') {
        if (size > PAX_MAX)
            return fail(ERR_LIMIT, "an extended header of the archive is too large");
        buf_clear(&r->pax);
        r->left = size;
        r->padding = (BLOCK - size % BLOCK) % BLOCK;
        r->state = TAR_IN_PAX;
        return OK;
    }
    if (type != '0' && type && type != '5' && type != '2')
        return fail(ERR_UNSUPPORTED, "the archive holds an entry of a kind (%c) that is not written",
                    type < ' ' ? '?' : type);
    take_name(r, h);
    r->entry.kind = type == '5' ? TAR_DIR : type == '2' ? TAR_SYMLINK : TAR_FILE;
    r->entry.size = r->entry.kind == TAR_FILE ? (r->has_pax_size ? r->pax_size : size) : 0;
    r->entry.mode = (uint32_t)mode & 07777;
    r->entry.mtime_s = r->has_pax_mtime ? r->pax_mtime_s : (int64_t)mtime;
    r->entry.mtime_ns = r->has_pax_mtime ? r->pax_mtime_ns : 0;
    r->has_pax_path = r->has_pax_link = r->has_pax_size = r->has_pax_mtime = false;
    r->left = r->entry.size;
    r->padding = (BLOCK - r->entry.size % BLOCK) % BLOCK;
    r->state = TAR_IN_DATA;
    *ret_event = TAR_ENTRY;
    return OK;
}

static size_t at_most(bytes_t in, uint64_t n)
{
    return in.len < n ? in.len : (size_t)n;
}

err_t tar_reader_feed(tar_reader_t *r, bytes_t *in, tar_event_t *ret_event, bytes_t *ret_data)
{
    *ret_event = TAR_MORE;
    for (;;) {
        size_t n;
        switch (r->state) {
        case TAR_IN_HEADER:
            n = at_most(*in, BLOCK - r->header_len);
            memcpy(r->header + r->header_len, in->data, n);
            r->header_len += n;
            *in = bytes_slice(*in, n, in->len);
            if (r->header_len < BLOCK)
                return OK;
            r->header_len = 0;
            TRY(read_header(r, ret_event));
            if (*ret_event != TAR_MORE)
                return OK;
            break;
        case TAR_IN_PAX:
            n = at_most(*in, r->left);
            TRY(buf_append(&r->pax, bytes_slice(*in, 0, n)));
            r->left -= n;
            *in = bytes_slice(*in, n, in->len);
            if (r->left)
                return OK;
            if (r->header[156] == 'x')
                TRY(read_pax(r));
            r->state = TAR_IN_PADDING;
            break;
        case TAR_IN_DATA:
            if (!r->left) {
                r->state = TAR_IN_PADDING;
                *ret_event = TAR_ENTRY_END;
                return OK;
            }
            n = at_most(*in, r->left);
            if (!n)
                return OK;
            *ret_data = bytes_slice(*in, 0, n);
            r->left -= n;
            *in = bytes_slice(*in, n, in->len);
            *ret_event = TAR_DATA;
            return OK;
        case TAR_IN_PADDING:
            n = at_most(*in, r->padding);
            r->padding -= n;
            *in = bytes_slice(*in, n, in->len);
            if (r->padding)
                return OK;
            r->state = TAR_IN_HEADER;
            break;
        default:
            *in = bytes_slice(*in, in->len, 0);
            return OK;
        }
    }
}

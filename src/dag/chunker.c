#include "dag/chunker.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* ── rabin ───────────────────────────────────────────────────────────────────────────────────── */
enum { RABIN_WINDOW = 16, RABIN_DEGREE = 53, RABIN_SHIFT = RABIN_DEGREE - 8 };
#define RABIN_POLYNOMIAL 0x3df305dfb2a805

/* What a byte that leaves the window takes with it, and what reduces the eight bits above the degree. */
static uint64_t rabin_out[256], rabin_mod[256];
static pthread_once_t rabin_once = PTHREAD_ONCE_INIT;

static uint64_t reduce(uint64_t value)
{
    for (int bit = 63; bit >= RABIN_DEGREE; bit--)
        if (value >> bit & 1)
            value ^= (uint64_t)RABIN_POLYNOMIAL << (bit - RABIN_DEGREE);
    return value;
}

static void make_rabin_tables(void)
{
    for (uint64_t b = 0; b < 256; b++) {
        uint64_t h = b;
        for (int i = 1; i < RABIN_WINDOW; i++)
            h = reduce(h << 8);
        rabin_out[b] = h;
        rabin_mod[b] = reduce(b << RABIN_DEGREE) | b << RABIN_DEGREE;
    }
}

typedef struct rabin {
    uint8_t window[RABIN_WINDOW];
    size_t at;
    uint64_t digest;
} rabin_t;

static inline void rabin_slide(rabin_t *r, uint8_t byte)
{
    uint64_t d = r->digest ^ rabin_out[r->window[r->at]];
    r->window[r->at] = byte;
    r->at = (r->at + 1) % RABIN_WINDOW;
    r->digest = (d << 8 | byte) ^ rabin_mod[d >> RABIN_SHIFT];
}

/* Fingerprints begin 16 bytes before the first place where a cut may be. */
static size_t cut_rabin(const chunker_t *c, bytes_t ahead)
{
    pthread_once(&rabin_once, make_rabin_tables);
    uint64_t mask = (1ull << (63 - __builtin_clzll(c->avg_bytes))) - 1;
    rabin_t r = {0};
    rabin_slide(&r, 1);
    for (size_t i = c->min_bytes - RABIN_WINDOW; i < ahead.len; i++) {
        rabin_slide(&r, ahead.data[i]);
        if (i + 1 >= c->min_bytes && (!(r.digest & mask) || i + 1 >= c->max_bytes))
            return i + 1;
    }
    return ahead.len;
}

/* ── buzhash ─────────────────────────────────────────────────────────────────────────────────── */
enum { BUZHASH_WINDOW = 32, BUZHASH_MIN = 128 << 10, BUZHASH_MAX = 512 << 10, BUZHASH_MASK = (1 << 17) - 1 };

static const uint32_t buzhash_of_byte[256] = {
    0x6236e7d5, 0x10279b0b, 0x72818182, 0xdc526514, 0x2fd41e3d, 0x777ef8c8, 0x83ee5285, 0x2c8f3637,
    0x2f049c1a, 0x57df9791, 0x9207151f, 0x9b544818, 0x74eef658, 0x2028ca60, 0x0271d91a, 0x27ae587e,
    0xecf9fa5f, 0x236e71cd, 0xf43a8a2e, 0x0bb13380, 0x9e57912c, 0x89a26cdb, 0x9fcf3d71, 0xa86da6f1,
    0x9c49f376, 0x346aecc7, 0xf094a9ee, 0xea99e9cb, 0xb01713c6, 0x088acffb, 0x2960a0fb, 0x344a626c,
    0x7ff22a46, 0x6d7a1aa5, 0x6a714916, 0x41d454ca, 0x8325b830, 0x0b65f563, 0x447fecca, 0xf9d0ea5e,
    0xc1d9d3d4, 0xcb5ec574, 0x55aae902, 0x86edc0e7, 0x0d3a9e33, 0xe70dc1e1, 0xe3c5f639, 0x9b43140a,
    0xc6490ac5, 0x5e4030fb, 0x8e976dd5, 0xa87468ea, 0xf830ef6f, 0xcc1ed5a5, 0x611f4e78, 0xddd11905,
    0xf2613904, 0x566c67b9, 0x905a5ccc, 0x7b37b3a4, 0x4b53898a, 0x6b8fd29d, 0xaad81575, 0x511be414,
    0x3cfac1e7, 0x8029a179, 0xd40efeda, 0x07380e02, 0xdc9beffd, 0x2d049082, 0x99bc7831, 0xff5002a8,
    0x21ce7646, 0x01cd049b, 0x0f43994f, 0xc3c6c5a5, 0xbbda5f50, 0x0ec15ec7, 0x9adb19b6, 0x0c1e80b9,
    0xb9b52968, 0xae162419, 0x2542b405, 0x91a42e9d, 0x6be0f668, 0x6ed7a6b9, 0xbc2777b4, 0xe162ce56,
    0x4266aad5, 0x60fdb704, 0x66f832a5, 0x9595f6ca, 0xfee83ced, 0x55228d99, 0x12bf0e28, 0x66896459,
    0x0789afda, 0x0282baa8, 0x2367a343, 0x591491b0, 0x2ff1a4b1, 0x410739b6, 0x9b7055a0, 0x2e0eb229,
    0x24fc8252, 0x3327d3df, 0xb0782669, 0x1c62e069, 0x7f503101, 0xf50593ae, 0xd9eb275d, 0xe00eb678,
    0x5917ccde, 0x97b9660a, 0xdd06202d, 0xed229e22, 0xa9c735bf, 0xd6316fe6, 0x6fc72e4c, 0x0206dfa2,
    0xd6b15c5a, 0x69d87b49, 0x09c97745, 0x13445d61, 0x35a975aa, 0x859aa9b9, 0x65380013, 0xd1fb6391,
    0xc29255fd, 0x784a3b91, 0xb9e74c26, 0x63ce4d40, 0xc07cbe9e, 0xe6e4529e, 0x0fb3632f, 0x9438d9c9,
    0x682f94a8, 0xf8fd4611, 0x257ec1ed, 0x475ce3d6, 0x60ee2db1, 0x2afab002, 0x2b9e4878, 0x86b340de,
    0x1482fdca, 0xfe41b3bf, 0xd4a412b0, 0xe09db98c, 0xc1af5d53, 0x7e55e25f, 0xd3346b38, 0xb7a12cbd,
    0x9c6827ba, 0x71f78bee, 0x8c3a0f52, 0x150491b0, 0xf26de912, 0x233e3a4e, 0xd309ebba, 0xa0a9e0ff,
    0xca2b5921, 0xeeb9893c, 0x33829e88, 0x9870cc2a, 0x23c4b9d0, 0xeba32ea3, 0xbdac4d22, 0x3bc8c44c,
    0x1e8d0397, 0xf9327735, 0x783b009f, 0x0eb83742, 0x2621dc71, 0xed017d03, 0x5c760aa1, 0x5a69814b,
    0x96e3047f, 0xa93c9cde, 0x615c86f5, 0xb4322aa5, 0x4225534d, 0x0d2e2de3, 0xccfccc4b, 0x0bac2a57,
    0xf0a06d04, 0xbc78d737, 0xf2d1f766, 0xf5a7953c, 0xbcdfda85, 0x5213b7d5, 0xbce8a328, 0xd38f5f18,
    0xdb094244, 0xfe571253, 0x317fa7ee, 0x4a324f43, 0x3ffc39d9, 0x51b3fa8e, 0x7a4bee9f, 0x78bbc682,
    0x9f5c0350, 0x02fe286c, 0x245ab686, 0xed6bf7d7, 0x0ac4988a, 0x3fe010fa, 0xc65fe369, 0xa45749cb,
    0x2b84e537, 0xde9ff363, 0x20540f9a, 0xaa8c9b34, 0x5bc476b3, 0x1d574bd7, 0x929100ad, 0x4721de4d,
    0x27df1b05, 0x58b18546, 0xb7e76764, 0xdf904e58, 0x97af57a1, 0xbd4dc433, 0xa6256dfd, 0xf63998f3,
    0xf1e05833, 0xe20acf26, 0xf57fd9d6, 0x90300b4d, 0x89df4290, 0x68d01cbc, 0xcf893ee3, 0xcc42a046,
    0x778e181b, 0x67265c76, 0xe981a4c4, 0x82991da1, 0x708f7294, 0xe6e2ae62, 0xfc441870, 0x95e1b0b6,
    0x0445f825, 0x5a93b47f, 0x5e9cf4be, 0x84da71e7, 0x9d9582b0, 0x9bf835ef, 0x591f61e2, 0x43325985,
    0x5d2de32e, 0x8d8fbf0f, 0x95b30f38, 0x07ad5b6e, 0x4e934edf, 0x3cd4990e, 0x9053e259, 0x5c41857d,
};

static uint32_t turn(uint32_t v)
{
    return v << 1 | v >> 31;
}

static size_t cut_buzhash(bytes_t ahead)
{
    if (ahead.len < BUZHASH_MIN)
        return ahead.len;
    size_t end = ahead.len < BUZHASH_MAX ? ahead.len : BUZHASH_MAX;
    const uint8_t *p = ahead.data;
    uint32_t state = 0;
    for (size_t i = BUZHASH_MIN - BUZHASH_WINDOW; i < BUZHASH_MIN; i++)
        state = turn(state) ^ buzhash_of_byte[p[i]];
    size_t at = BUZHASH_MIN; /* 32 turns come round again: the byte that leaves is not turned */
    for (; at < end && state & BUZHASH_MASK; at++)
        state = turn(state) ^ buzhash_of_byte[p[at - BUZHASH_WINDOW]] ^ buzhash_of_byte[p[at]];
    return at;
}

/* ── any ─────────────────────────────────────────────────────────────────────────────────────── */
size_t chunker_cut(const chunker_t *c, bytes_t ahead)
{
    if (c->kind == CHUNKER_RABIN)
        return cut_rabin(c, ahead);
    if (c->kind == CHUNKER_BUZHASH)
        return cut_buzhash(ahead);
    return ahead.len < c->max_bytes ? ahead.len : c->max_bytes;
}

/* Refuses what is no number from `least` to the largest chunk. */
static err_t parse_number(bytes_t digits, size_t *ret)
{
    uint64_t n = 0;
    if (digits.len > 1 && digits.data[0] == '+') /* as the reference reads numbers */
        digits = bytes_slice(digits, 1, digits.len);
    for (size_t i = 0; i < digits.len && n <= CHUNKER_MAX_BYTES; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return fail(ERR_USAGE, "chunker: \"%.*s\" is not a number of bytes", (int)digits.len,
                        (const char *)digits.data);
        n = 10 * n + (uint64_t)(digits.data[i] - '0');
    }
    if (!digits.len)
        return fail(ERR_USAGE, "chunker: a number of bytes is missing");
    if (n > CHUNKER_MAX_BYTES)
        return fail(ERR_USAGE, "chunker parameters may not exceed the maximum chunk size of %u",
                    CHUNKER_MAX_BYTES);
    *ret = (size_t)n;
    return OK;
}

enum { MAX_PARTS = 4 };

/* "rabin-1-2-3" at its dashes; more parts than fit are counted only. */
static size_t split(const char *text, bytes_t parts[MAX_PARTS])
{
    size_t n = 0;
    for (const char *p = text;; p++) {
        size_t len = strcspn(p, "-");
        if (n < MAX_PARTS)
            parts[n] = bytes_of(p, len);
        n++;
        p += len;
        if (!*p)
            return n;
    }
}

static err_t parse_labelled(bytes_t part, const char *label, const char *place, size_t *ret)
{
    const uint8_t *colon = part.len ? memchr(part.data, ':', part.len) : NULL;
    size_t len = colon ? (size_t)(colon - part.data) : 0;
    if (colon && !bytes_equal(bytes_slice(part, 0, len), bytes_str(label)))
        return fail(ERR_USAGE, "%s label must be %s", place, label);
    return parse_number(colon ? bytes_slice(part, len + 1, part.len) : part, ret);
}

static err_t parse_rabin(const bytes_t *parts, size_t n, chunker_t *ret)
{
    chunker_t c = {.kind = CHUNKER_RABIN, .avg_bytes = CHUNKER_DEFAULT_BYTES};
    if (n == 4) {
        TRY(parse_labelled(parts[1], "min", "first", &c.min_bytes));
        TRY(c.min_bytes < RABIN_WINDOW ? fail(ERR_USAGE, "rabin min must be greater than 16") : OK);
        TRY(parse_labelled(parts[2], "avg", "second", &c.avg_bytes));
        TRY(parse_labelled(parts[3], "max", "final", &c.max_bytes));
        if (c.min_bytes >= c.avg_bytes)
            return fail(ERR_USAGE, "incorrect format: rabin-min must be smaller than rabin-avg");
        if (c.avg_bytes >= c.max_bytes)
            return fail(ERR_USAGE, "incorrect format: rabin-avg must be smaller than rabin-max");
        *ret = c;
        return OK;
    }
    if (n > 2)
        return fail(ERR_USAGE,
                    "incorrect format (expected 'rabin' 'rabin-[avg]' or 'rabin-[min]-[avg]-[max]'");
    if (n == 2)
        TRY(parse_number(parts[1], &c.avg_bytes));
    c.min_bytes = c.avg_bytes / 3;
    c.max_bytes = c.avg_bytes + c.avg_bytes / 2;
    if (c.max_bytes > CHUNKER_MAX_BYTES)
        return fail(ERR_USAGE, "chunker parameters may not exceed the maximum chunk size of %u",
                    CHUNKER_MAX_BYTES);
    if (c.min_bytes < RABIN_WINDOW) /* the reference then makes one chunk of the whole file */
        return fail(ERR_USAGE, "rabin-[avg] must be at least %d", 3 * RABIN_WINDOW);
    *ret = c;
    return OK;
}

static err_t parse_size(const bytes_t *parts, size_t n, chunker_t *ret)
{
    chunker_t c = {.kind = CHUNKER_SIZE};
    if (n != 2)
        return fail(ERR_USAGE, "incorrect chunker string format (expected size-{size})");
    TRY(parse_number(parts[1], &c.max_bytes));
    if (!c.max_bytes)
        return fail(ERR_USAGE, "chunker size must be greater than 0");
    *ret = c;
    return OK;
}

err_t chunker_parse(const char *text, chunker_t *ret)
{
    bytes_t parts[MAX_PARTS];
    size_t n = split(text, parts);
    if (!*text || !strcmp(text, "default")) {
        *ret = (chunker_t){.kind = CHUNKER_SIZE, .max_bytes = CHUNKER_DEFAULT_BYTES};
        return OK;
    }
    if (bytes_equal(parts[0], BYTES_LIT("size")))
        return parse_size(parts, n, ret);
    if (bytes_equal(parts[0], BYTES_LIT("rabin")))
        return parse_rabin(parts, n, ret);
    if (!bytes_equal(parts[0], BYTES_LIT("buzhash")))
        return fail(ERR_USAGE, "unrecognized chunker option: %s", text);
    *ret = (chunker_t){.kind = CHUNKER_BUZHASH, .max_bytes = BUZHASH_MAX};
    return OK;
}

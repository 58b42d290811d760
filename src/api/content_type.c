/* content_type: what a file is, for browsers. The table has the types that the web uses; other files are told
 * by their first bytes (the tests of the WHATWG MIME Sniffing Standard that matter for safety: HTML only when
 * it looks like it, text only without control bytes). */
#include "api/gateway.h"
#include "codec/ipld_scan.h"
#include <stdlib.h>
#include <strings.h>

enum { SNIFFED_BYTES = 512 };

/* Without a charset, as the reference has it: the page itself says which. */
#define HTML "text/html"

typedef struct extension_type {
    const char *extension, *type;
} extension_type_t;

/* Sorted by extension. */
static const extension_type_t types[] = {
    {"7z", "application/x-7z-compressed"},
    {"aac", "audio/aac"},
    {"apk", "application/vnd.android.package-archive"},
    {"atom", "application/atom+xml"},
    {"avi", "video/x-msvideo"},
    {"avif", "image/avif"},
    {"bin", "application/octet-stream"},
    {"bmp", "image/bmp"},
    {"bz2", "application/x-bzip2"},
    {"c", "text/plain; charset=utf-8"},
    {"car", "application/vnd.ipld.car"},
    {"css", "text/css; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"doc", "application/msword"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"eot", "application/vnd.ms-fontobject"},
    {"epub", "application/epub+zip"},
    {"flac", "audio/flac"},
    {"gif", "image/gif"},
    {"glb", "model/gltf-binary"},
    {"gz", "application/gzip"},
    {"h", "text/plain; charset=utf-8"},
    {"htm", HTML},
    {"html", HTML},
    {"ico", "image/vnd.microsoft.icon"},
    {"ics", "text/calendar; charset=utf-8"},
    {"jar", "application/java-archive"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"jxl", "image/jxl"},
    {"log", "text/plain; charset=utf-8"},
    {"m4a", "audio/mp4"},
    {"m4v", "video/x-m4v"},
    {"map", "application/json"},
    {"md", "text/markdown; charset=utf-8"},
    {"mid", "audio/midi"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"mkv", "video/x-matroska"},
    {"mov", "video/quicktime"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpeg", "video/mpeg"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"ogv", "video/ogg"},
    {"opus", "audio/ogg"},
    {"otf", "font/otf"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"rtf", "application/rtf"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"toml", "application/toml"},
    {"ts", "video/mp2t"},
    {"ttf", "font/ttf"},
    {"txt", "text/plain; charset=utf-8"},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"webm", "video/webm"},
    {"webmanifest", "application/manifest+json"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xhtml", "application/xhtml+xml"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"xml", "text/xml; charset=utf-8"},
    {"xz", "application/x-xz"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
};

static int compare_extension(const void *key, const void *entry)
{
    return strcasecmp(key, ((const extension_type_t *)entry)->extension);
}

typedef struct magic {
    const char *bytes;
    size_t len, offset;
    const char *type;
} magic_t;
#define MAGIC(text, offset, type)                                                                            \
    {                                                                                                        \
        text, sizeof(text) - 1, offset, type                                                                 \
    }
static const magic_t magics[] = {
    MAGIC("\x89PNG\r\n\x1a\n", 0, "image/png"),
    MAGIC("\xff\xd8\xff", 0, "image/jpeg"),
    MAGIC("GIF87a", 0, "image/gif"),
    MAGIC("GIF89a", 0, "image/gif"),
    MAGIC("WEBPVP", 8, "image/webp"),
    MAGIC("%PDF-", 0, "application/pdf"),
    MAGIC("PK\x03\x04", 0, "application/zip"),
    MAGIC("\x1f\x8b\x08", 0, "application/x-gzip"),
    MAGIC("ftyp", 4, "video/mp4"),
    MAGIC("\x1a\x45\xdf\xa3", 0, "video/webm"),
    MAGIC("OggS", 0, "application/ogg"),
    MAGIC("ID3", 0, "audio/mpeg"),
    MAGIC("wOFF", 0, "font/woff"),
    MAGIC("wOF2", 0, "font/woff2"),
    MAGIC("\0asm", 0, "application/wasm"),
    MAGIC("<?xml", 0, "text/xml; charset=utf-8"),
};

static const char *const html_starts[] = {"<!doctype html", "<html",  "<head",  "<script",
                                          "<body",          "<title", "<style", "<!--"};

static bool looks_like_html(bytes_t b)
{
    while (b.len && strchr(" \t\r\n\f", b.data[0]) && b.data[0])
        b = bytes_slice(b, 1, b.len);
    for (size_t i = 0; i < ARRAY_LEN(html_starts); i++) {
        size_t n = strlen(html_starts[i]);
        if (b.len > n && !strncasecmp((const char *)b.data, html_starts[i], n) && strchr(" >-", b.data[n]))
            return true;
    }
    return false;
}

static bool looks_like_text(bytes_t b)
{
    const uint32_t allowed = 1u << '\t' | 1u << '\n' | 1u << '\r' | 1u << '\f' | 1u << 0x1b;
    uint32_t seen = 0;
    for (size_t i = 0; i < b.len; i++)
        seen |= b.data[i] < 0x20 ? 1u << b.data[i] : 0;
    return !(seen & ~allowed);
}

/* An object or array of JSON, or the beginning of a longer one. */
static bool looks_like_json(bytes_t b, bool is_cut)
{
    AUTO(ipld_scan_t) scan = {0};
    ipld_event_t e;
    ipld_scan_init(&scan, CODEC_JSON, b, 0);
    if (!ipld_scan_next(&scan, &e) || (e.kind != IPLD_MAP && e.kind != IPLD_LIST))
        return false;
    while (ipld_scan_next(&scan, &e))
        ;
    return !scan.err || (is_cut && scan.err == ERR_EOF);
}

const char *content_type_of(const char *name, bytes_t first)
{
    const char *dot = name ? strrchr(name, '.') : NULL;
    if (dot) {
        const extension_type_t *found =
            bsearch(dot + 1, types, ARRAY_LEN(types), sizeof *types, compare_extension);
        if (found)
            return found->type;
    }
    bool is_cut = first.len >= SNIFFED_BYTES;
    first = bytes_slice(first, 0, SNIFFED_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(magics); i++)
        if (first.len >= magics[i].offset + magics[i].len &&
            !memcmp(first.data + magics[i].offset, magics[i].bytes, magics[i].len))
            return magics[i].type;
    if (looks_like_html(first))
        return HTML;
    if (first.len && looks_like_json(first, is_cut))
        return "application/json";
    return looks_like_text(first) ? "text/plain; charset=utf-8" : "application/octet-stream";
}

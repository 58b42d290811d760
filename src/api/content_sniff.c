#include "api/content_sniff.h"
#include "base/utf8.h"
#include "codec/ipld_scan.h"
#include "multi/multicodec.h"
#include <strings.h>

static const char octets[] = "application/octet-stream";

/* ── signatures at a fixed place ─────────────────────────────────────────────────────────────── */

typedef struct magic {
    const char *bytes;
    size_t len, offset;
    const char *type;
} magic_t;
#define MAGIC(text, offset, type)                                                                            \
    {                                                                                                        \
        text, sizeof(text) - 1, offset, type                                                                 \
    }
/* The longer ones of a family first. */
static const magic_t magics[] = {
    MAGIC("\x89PNG\r\n\x1a\n", 0, "image/png"),
    MAGIC("\xff\xd8\xff", 0, "image/jpeg"),
    MAGIC("GIF87a", 0, "image/gif"),
    MAGIC("GIF89a", 0, "image/gif"),
    MAGIC("II*\0", 0, "image/tiff"),
    MAGIC("MM\0*", 0, "image/tiff"),
    MAGIC("\0\0\1\0", 0, "image/x-icon"),
    MAGIC("8BPS", 0, "image/vnd.adobe.photoshop"),
    MAGIC("\xff\x0a", 0, "image/jxl"),
    MAGIC("\0\0\0\x0cJXL \r\n\x87\n", 0, "image/jxl"),
    MAGIC("\0\0\0\x0cjP  \r\n\x87\n", 0, "image/jp2"),
    MAGIC("DJVM", 12, "image/vnd.djvu"),
    MAGIC("DJVU", 12, "image/vnd.djvu"),
    MAGIC("gimp xcf ", 0, "image/x-xcf"),
    MAGIC("ID3\2", 0, "audio/mpeg"),
    MAGIC("ID3\3", 0, "audio/mpeg"),
    MAGIC("ID3\4", 0, "audio/mpeg"),
    MAGIC("fLaC", 0, "audio/flac"),
    MAGIC("MThd", 0, "audio/midi"),
    MAGIC("#!AMR", 0, "audio/amr"),
    MAGIC("AIFF", 8, "audio/aiff"),
    MAGIC("AIFC", 8, "audio/aiff"),
    MAGIC("FLV\1", 0, "video/x-flv"),
    MAGIC("\0\0\1\xba", 0, "video/mpeg"),
    MAGIC("\0\0\1\xb3", 0, "video/mpeg"),
    MAGIC("\x30\x26\xb2\x75\x8e\x66\xcf\x11", 0, "video/x-ms-asf"),
    MAGIC("%PDF-", 0, "application/pdf"),
    MAGIC("%!PS-Adobe-", 0, "application/postscript"),
    MAGIC("{\\rtf", 0, "text/rtf"),
    MAGIC("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0, "application/x-ole-storage"),
    MAGIC("\x1f\x8b\x08", 0, "application/gzip"),
    MAGIC("\xfd"
          "7zXZ\0",
          0, "application/x-xz"),
    MAGIC("\x28\xb5\x2f\xfd", 0, "application/zstd"),
    MAGIC("7z\xbc\xaf\x27\x1c", 0, "application/x-7z-compressed"),
    MAGIC("Rar!\x1a\7", 0, "application/x-rar-compressed"),
    MAGIC("MSCF\0\0\0\0", 0, "application/vnd.ms-cab-compressed"),
    MAGIC("LZIP\1", 0, "application/lzip"),
    MAGIC("!<arch>\ndebian-binary", 0, "application/vnd.debian.binary-package"),
    MAGIC("!<arch>\n", 0, "application/x-archive"),
    MAGIC("\xed\xab\xee\xdb", 0, "application/x-rpm"),
    MAGIC("ustar", 257, "application/x-tar"),
    MAGIC("\0asm", 0, "application/wasm"),
    MAGIC("\x7f"
          "ELF",
          0, "application/x-executable"),
    MAGIC("SQLite format 3\0", 0, "application/vnd.sqlite3"),
    MAGIC("PAR1", 0, "application/vnd.apache.parquet"),
    MAGIC("WARC/1.", 0, "application/warc"),
    MAGIC("d8:announce", 0, "application/x-bittorrent"),
    MAGIC("\xd9\xd9\xf7", 0, "application/cbor"),
    MAGIC("glTF\2\0\0\0", 0, "model/gltf-binary"),
    MAGIC("wOFF", 0, "font/woff"),
    MAGIC("wOF2", 0, "font/woff2"),
    MAGIC("\0\1\0\0\0", 0, "font/ttf"),
    MAGIC("OTTO\0", 0, "font/otf"),
    MAGIC("ttcf\0", 0, "font/collection"),
    MAGIC("BEGIN:VCARD", 0, "text/vcard"),
    MAGIC("BEGIN:VCALENDAR", 0, "text/calendar"),
    MAGIC("WEBVTT\n", 0, "text/vtt"),
    MAGIC("WEBVTT\r", 0, "text/vtt"),
    MAGIC("WEBVTT ", 0, "text/vtt"),
};

static bool has_at(bytes_t b, size_t offset, bytes_t what)
{
    return b.len >= offset + what.len && !memcmp(b.data + offset, what.data, what.len);
}

static const char *by_magic(bytes_t b, const magic_t *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (has_at(b, list[i].offset, bytes_of(list[i].bytes, list[i].len)))
            return list[i].type;
    return NULL;
}

/* ── containers, whose type stands further in ────────────────────────────────────────────────── */

/* ISO base media (ISO 14496-12): the brand. */
static const char *by_brand(bytes_t b)
{
    static const magic_t brands[] = {
        MAGIC("avif", 8, "image/avif"),        MAGIC("avis", 8, "image/avif"), MAGIC("hei", 8, "image/heic"),
        MAGIC("hev", 8, "image/heic"),         MAGIC("mif1", 8, "image/heif"), MAGIC("msf1", 8, "image/heif"),
        MAGIC("qt  ", 8, "video/quicktime"),   MAGIC("M4A", 8, "audio/x-m4a"), MAGIC("M4B", 8, "audio/mp4"),
        MAGIC("M4V", 8, "video/x-m4v"),        MAGIC("3gp", 8, "video/3gpp"),  MAGIC("3g2", 8, "video/3gpp2"),
        MAGIC("crx ", 8, "image/x-canon-cr3"),
    };
    if (!has_at(b, 4, BYTES_LIT("ftyp")))
        return NULL;
    const char *type = by_magic(b, brands, ARRAY_LEN(brands));
    return type ? type : "video/mp4";
}

static const char *by_riff(bytes_t b)
{
    static const magic_t forms[] = {MAGIC("WEBP", 8, "image/webp"), MAGIC("WAVE", 8, "audio/wav"),
                                    MAGIC("AVI ", 8, "video/x-msvideo")};
    return has_at(b, 0, BYTES_LIT("RIFF")) ? by_magic(b, forms, ARRAY_LEN(forms)) : NULL;
}

static bool contains(bytes_t b, const char *text)
{
    return b.len && memmem(b.data, b.len, text, strlen(text));
}

/* The DocType of an EBML header (RFC 8794), and the codec of an Ogg stream's first page (RFC 3533). */
static const char *by_stream(bytes_t b)
{
    if (has_at(b, 0, BYTES_LIT("\x1a\x45\xdf\xa3")))
        return contains(bytes_slice(b, 0, 64), "matroska") ? "video/x-matroska" : "video/webm";
    if (!has_at(b, 0, BYTES_LIT("OggS")))
        return NULL;
    bytes_t page = bytes_slice(b, 0, 64);
    bool is_video = contains(page, "\x80theora") || contains(page, "fishead");
    bool is_audio = contains(page, "vorbis") || contains(page, "OpusHead") ||
                    contains(page, "\x7f"
                                   "FLAC") ||
                    contains(page, "Speex");
    return is_video ? "video/ogg" : is_audio ? "audio/ogg" : "application/ogg";
}

/* ZIP (APPNOTE 4.3.7): its first members tell documents and programs apart. */
static const char *by_zip(bytes_t b)
{
    static const struct {
        const char *member, *type;
    } kinds[] = {
        {"mimetypeapplication/epub+zip", "application/epub+zip"},
        {"mimetypeapplication/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"},
        {"mimetypeapplication/vnd.oasis.opendocument.spreadsheet",
         "application/vnd.oasis.opendocument.spreadsheet"},
        {"mimetypeapplication/vnd.oasis.opendocument.presentation",
         "application/vnd.oasis.opendocument.presentation"},
        {"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
        {"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
        {"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
        {"AndroidManifest.xml", "application/vnd.android.package-archive"},
        {"classes.dex", "application/vnd.android.package-archive"},
        {"META-INF/", "application/java-archive"},
    };
    if (!has_at(b, 0, BYTES_LIT("PK\3\4")))
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        for (size_t at = 0; has_at(b, at, BYTES_LIT("PK\3\4"));) {
            if (has_at(b, at + 30, bytes_str(kinds[i].member)))
                return kinds[i].type;
            const uint8_t *next = memmem(b.data + at + 4, b.len - at - 4, "PK\3\4", 4);
            at = next ? (size_t)(next - b.data) : b.len;
        }
    return "application/zip";
}

/* Frames of MPEG audio and of AAC (ADTS) have no signature but their synchronization word. */
static const char *by_frame(bytes_t b)
{
    if (b.len < 4 || b.data[0] != 0xff)
        return NULL;
    if ((b.data[1] & 0xf6) == 0xf0)
        return "audio/aac";
    bool is_layer_3 = (b.data[1] & 0xe6) == 0xe2 && (b.data[1] & 0x18) != 0x08;
    bool has_rate = (b.data[2] & 0xf0) != 0xf0 && (b.data[2] & 0xf0) && (b.data[2] & 0x0c) != 0x0c;
    return is_layer_3 && has_rate ? "audio/mpeg" : NULL;
}

static const char *by_small_header(bytes_t b)
{
    if (has_at(b, 0, BYTES_LIT("BM")) && has_at(b, 6, BYTES_LIT("\0\0\0\0")))
        return "image/bmp";
    if (has_at(b, 0, BYTES_LIT("BZh")) && has_at(b, 4, BYTES_LIT("1AY&SY")))
        return "application/x-bzip2";
    if (has_at(b, 0, BYTES_LIT("MZ")) && memchr(b.data, 0, b.len < 64 ? b.len : 64))
        return "application/vnd.microsoft.portable-executable";
    if (has_at(b, 34, BYTES_LIT("LP")) && b.len > 35 && has_at(b, 8, BYTES_LIT("\2\0\2\0")))
        return "application/vnd.ms-fontobject";
    bool is_transport = b.len > 188 && b.data[0] == 0x47 && b.data[188] == 0x47;
    return is_transport ? "video/mp2t" : NULL;
}

/* ── pages and texts ─────────────────────────────────────────────────────────────────────────── */

static bytes_t skip_space(bytes_t b)
{
    if (has_at(b, 0, BYTES_LIT("\xef\xbb\xbf")))
        b = bytes_slice(b, 3, b.len);
    while (b.len && strchr(" \t\r\n\f", b.data[0]) && b.data[0])
        b = bytes_slice(b, 1, b.len);
    return b;
}

static bool begins_with_tag(bytes_t b, const char *tag)
{
    size_t n = strlen(tag);
    return b.len > n && !strncasecmp((const char *)b.data, tag, n) && strchr(" \t\r\n\f/>-", b.data[n]) &&
           b.data[n];
}

static bool looks_like_html(bytes_t b)
{
    static const char *const starts[] = {
        "<!doctype html", "<html",  "<head", "<script", "<iframe", "<h1", "<div", "<font", "<table", "<a",
        "<style",         "<title", "<b",    "<body",   "<br",     "<p",  "<!--"};
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        if (begins_with_tag(b, starts[i]))
            return true;
    return false;
}

/* Behind the declaration, comments and the document type: the root element. */
static bytes_t xml_root(bytes_t b)
{
    while (b.len > 1 && b.data[0] == '<' && (b.data[1] == '?' || b.data[1] == '!')) {
        bytes_t end = has_at(b, 0, BYTES_LIT("<!--")) ? BYTES_LIT("-->") : BYTES_LIT(">");
        const uint8_t *at = memmem(b.data, b.len, end.data, end.len);
        b = at ? skip_space(bytes_slice(b, (size_t)(at - b.data) + end.len, b.len)) : BYTES_NONE;
    }
    return b;
}

static const char *by_root_element(bytes_t b)
{
    static const struct {
        const char *tag, *type;
    } roots[] = {
        {"<svg", "image/svg+xml"},
        {"<rss", "application/rss+xml"},
        {"<feed", "application/atom+xml"},
        {"<gpx", "application/gpx+xml"},
        {"<kml", "application/vnd.google-earth.kml+xml"},
    };
    bool is_declared = has_at(b, 0, BYTES_LIT("<?xml"));
    bytes_t root = begins_with_tag(b, "<!doctype html") ? BYTES_NONE : xml_root(b);
    for (size_t i = 0; i < ARRAY_LEN(roots); i++)
        if ((is_declared || !i) && begins_with_tag(root, roots[i].tag))
            return roots[i].type;
    if (is_declared && begins_with_tag(root, "<html"))
        return "application/xhtml+xml";
    return is_declared ? "text/xml; charset=utf-8" : NULL;
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

/* The encoding is named, so that browsers need not guess: what is no UTF-8 is read as Latin 1. */
static const char *by_text(bytes_t b, bool is_cut)
{
    const uint32_t allowed = 1u << '\t' | 1u << '\n' | 1u << '\r' | 1u << '\f' | 1u << 0x1b;
    uint32_t seen = 0;
    if (has_at(b, 0, BYTES_LIT("\xff\xfe")))
        return "text/plain; charset=utf-16le";
    if (has_at(b, 0, BYTES_LIT("\xfe\xff")))
        return "text/plain; charset=utf-16be";
    for (size_t i = 0; i < b.len; i++)
        seen |= b.data[i] < 0x20 ? 1u << b.data[i] : 0;
    if (seen & ~allowed)
        return octets;
    size_t cut = is_cut ? 3 : 0; /* a character may go on behind what is looked at */
    for (size_t i = 0; i <= cut && i <= b.len; i++)
        if (utf8_is_valid(bytes_slice(b, 0, b.len - i)))
            return "text/plain; charset=utf-8";
    return "text/plain; charset=iso-8859-1";
}

const char *content_sniff(bytes_t first)
{
    bool is_cut = first.len >= CONTENT_SNIFFED_BYTES;
    bytes_t b = bytes_slice(first, 0, CONTENT_SNIFFED_BYTES);
    if (!b.len)
        return "text/plain";
    const char *type = by_brand(b);
    type = type ? type : by_riff(b);
    type = type ? type : by_stream(b);
    type = type ? type : by_zip(b);
    type = type ? type : by_magic(b, magics, ARRAY_LEN(magics));
    type = type ? type : by_small_header(b);
    type = type ? type : by_frame(b);
    bytes_t text = skip_space(b);
    type = type ? type : by_root_element(text);
    if (!type && looks_like_html(text))
        type = "text/html";
    if (!type && looks_like_json(b, is_cut))
        type = "application/json";
    return type ? type : by_text(b, is_cut);
}

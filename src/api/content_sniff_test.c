#include "api/content_sniff.h"
#include "tests/support/test.h"
#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>

typedef struct kind {
    const char *bytes;
    size_t len;
    const char *type;
} kind_t;
#define KIND(text, type)                                                                                     \
    {                                                                                                        \
        text, sizeof(text) - 1, type                                                                         \
    }

static void check(const kind_t *kinds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_string_equal(content_sniff(bytes_of(kinds[i].bytes, kinds[i].len)), kinds[i].type);
}

static void test_images(void **state)
{
    static const kind_t kinds[] = {
        KIND("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        KIND("\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        KIND("GIF89a\1\0\1\0", "image/gif"),
        KIND("RIFF\x24\0\0\0WEBPVP8L", "image/webp"),
        KIND("BM\x36\0\0\0\0\0\0\0\x36\0\0\0", "image/bmp"),
        KIND("II*\0\x08\0\0\0", "image/tiff"),
        KIND("\0\0\1\0\1\0\x10\x10", "image/x-icon"),
        KIND("\0\0\0\x1c"
             "ftypavif\0\0\0\0avifmif1",
             "image/avif"),
        KIND("\0\0\0\x18"
             "ftypheic\0\0\0\0",
             "image/heic"),
        KIND("\xff\x0a\0\0", "image/jxl"),
        KIND("<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>", "image/svg+xml"),
        KIND("\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- a > b --><!DOCTYPE svg PUBLIC \"x\">\n<svg "
             "width=\"1\"/>",
             "image/svg+xml"),
    };
    check(kinds, ARRAY_LEN(kinds));
}

static void test_sound_and_video(void **state)
{
    static const kind_t kinds[] = {
        KIND("ID3\4\0\0\0\0\0\0", "audio/mpeg"),
        KIND("\xff\xfb\x90\x44\0\0", "audio/mpeg"),
        KIND("\xff\xf1\x50\x80\0\0", "audio/aac"),
        KIND("fLaC\0\0\0\x22", "audio/flac"),
        KIND("RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        KIND("OggS\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x13OpusHead", "audio/ogg"),
        KIND("OggS\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x2a\x80theora", "video/ogg"),
        KIND("\0\0\0\x20"
             "ftypM4A \0\0\0\0",
             "audio/x-m4a"),
        KIND("\0\0\0\x18"
             "ftypisom\0\0\2\0",
             "video/mp4"),
        KIND("\0\0\0\x14"
             "ftypqt  ",
             "video/quicktime"),
        KIND("\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm", "video/webm"),
        KIND("\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska", "video/x-matroska"),
        KIND("RIFF\x24\0\0\0AVI LIST", "video/x-msvideo"),
    };
    check(kinds, ARRAY_LEN(kinds));
}

#define ZIP_MEMBER(name) "PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0" name

static void test_archives_and_documents(void **state)
{
    static const kind_t kinds[] = {
        KIND(ZIP_MEMBER("a") "x", "application/zip"),
        KIND(ZIP_MEMBER("mimetypeapplication/epub+zip"), "application/epub+zip"),
        KIND(ZIP_MEMBER("[Content_Types].xml") "x" ZIP_MEMBER("word/document.xml") "x",
             "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        KIND("\x1f\x8b\x08\0", "application/gzip"),
        KIND("BZh91AY&SY", "application/x-bzip2"),
        KIND("\x28\xb5\x2f\xfd\4\0", "application/zstd"),
        KIND("%PDF-1.7\n", "application/pdf"),
        KIND("{\\rtf1}", "text/rtf"),
        KIND("SQLite format 3\0", "application/vnd.sqlite3"),
        KIND("\0asm\1\0\0\0", "application/wasm"),
        KIND("wOF2\0\1\0\0", "font/woff2"),
        KIND("\0\1\0\0\0\x0f\0\x80", "font/ttf"),
    };
    check(kinds, ARRAY_LEN(kinds));
}

/* HTML runs with the rights of the page's origin: only what begins like a page is one. */
static void test_pages_and_texts(void **state)
{
    static const kind_t kinds[] = {
        KIND("  \n<!DOCTYPE HTML><svg>", "text/html"),
        KIND("<div class=\"x\">", "text/html"),
        KIND("<!-- x --><p>", "text/html"),
        KIND("<htmlish", "text/plain; charset=utf-8"),
        KIND("1 <b>", "text/plain; charset=utf-8"),
        KIND("<?xml version=\"1.0\"?><a/>", "text/xml; charset=utf-8"),
        KIND("<?xml version=\"1.0\"?><rss version=\"2.0\">", "application/rss+xml"),
        KIND("{\"a\":[1]}", "application/json"),
        KIND("12", "text/plain; charset=utf-8"),
        KIND("BEGIN:VCALENDAR\n", "text/calendar"),
        KIND("WEBVTT\n\n", "text/vtt"),
        KIND("plain\n", "text/plain; charset=utf-8"),
        KIND("\xd0\xbf\xd1\x80", "text/plain; charset=utf-8"),
        KIND("caf\xe9 noir", "text/plain; charset=iso-8859-1"),
        KIND("\xff\xfeh\0i\0", "text/plain; charset=utf-16le"),
        KIND("BZhello MZ", "text/plain; charset=utf-8"),
        KIND("MZ is a text", "text/plain; charset=utf-8"),
        KIND("a\0b", "application/octet-stream"),
        KIND("", "text/plain"),
    };
    check(kinds, ARRAY_LEN(kinds));
}

/* A character that is cut where the looking ends is no reason to call a text Latin 1. */
static void test_cut_character(void **state)
{
    uint8_t text[CONTENT_SNIFFED_BYTES];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 0xd0;
    assert_string_equal(content_sniff(bytes_of(text, sizeof text)), "text/plain; charset=utf-8");
    assert_string_equal(content_sniff(bytes_of(text + 1, sizeof text - 1)), "text/plain; charset=iso-8859-1");
}

/* No prefix of a file makes it read past its end. */
static void test_any_length(void **state)
{
    static const char *const heads[] = {"RIFF\1\1\1\1WEBP", "PK\3\4",           "OggS",
                                        "\x1a\x45\xdf\xa3", "\1\1\1\1ftypavif", "<?xml ?><!-- --><svg ",
                                        "\xff\xfb\x90\x44", "{\"a\":"};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        for (size_t n = 0; n <= strlen(heads[i]); n++) {
            uint8_t *copy = xmalloc(n ? n : 1);
            memcpy(copy, heads[i], n);
            assert_non_null(content_sniff(bytes_of(copy, n)));
            free(copy);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_sound_and_video),
        cmocka_unit_test(test_archives_and_documents),
        cmocka_unit_test(test_pages_and_texts),
        cmocka_unit_test(test_cut_character),
        cmocka_unit_test(test_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/log.h"
#include "tests/support/test.h"
#include <fcntl.h>
#include <math.h>
#include <unistd.h>

static buf_t caught;
static int lines;
static log_level_t last_level;

static void catch (void *arg, log_level_t level, bytes_t line)
{
    buf_clear(&caught);
    assert_ok(buf_append(&caught, line));
    last_level = level;
    lines++;
}

static uint64_t clock_ms(void *arg)
{
    return 1767225600123;
}

static const char *caught_text(void)
{
    const char *text;
    assert_ok(buf_cstr(&caught, &text));
    return text;
}

static int setup(void **state)
{
    buf_init(&caught, 1 << 20);
    log_set_clock(clock_ms, NULL);
    log_set_sink(catch, NULL);
    return 0;
}

static int teardown(void **state)
{
    buf_deinit(&caught);
    log_set_clock(NULL, NULL);
    log_set_sink(NULL, NULL);
    log_set_text_format(false);
    log_threshold = LOG_INFO;
    return 0;
}

static void test_json(void **state)
{
    log_info("block added", LOG_STR("cid", "Qm"), LOG_INT("n", -5), LOG_UINT("u", UINT64_MAX),
             LOG_DOUBLE("d", 0.5), LOG_DOUBLE("inf", INFINITY), LOG_BOOL("yes", true), LOG_BOOL("no", false),
             LOG_STR("none", NULL));
    assert_string_equal(
        caught_text(),
        "{\"level\":\"info\",\"ts\":\"2026-01-01T00:00:00.123Z\",\"msg\":\"block added\",\"cid\":\"Qm\","
        "\"n\":-5,\"u\":18446744073709551615,\"d\":0.5,\"inf\":null,\"yes\":true,\"no\":false,\"none\":null}"
        "\n");
    log_set_trace("t-1");
    assert_string_equal(log_trace(), "t-1");
    log_error("plain");
    assert_non_null(strstr(caught_text(), "\"msg\":\"plain\",\"trace_id\":\"t-1\"}"));
    assert_int_equal(last_level, LOG_ERROR);
    log_set_trace(NULL);
}

static void test_escaping(void **state)
{
    log_warn("a\"b\\c\nd\te\x01\x7f", LOG_STR("utf8", "é€😀"),
             LOG_STR("bad", "\xff\xc0\x80 \xed\xa0\x80 \xe2\x82"),
             LOG_STR("c1", "\xc2\x9b"
                           "31m"),
             LOG_STR("\"key", ""));
    assert_string_equal(strstr(caught_text(), "\"msg\""),
                        "\"msg\":\"a\\\"b\\\\c\\nd\\te\\u0001\\u007f\",\"utf8\":\"é€😀\","
                        "\"bad\":\"\\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\","
                        "\"c1\":\"\\u009b31m\",\"\\\"key\":\"\"}\n");
    static char text[100000];
    memset(text, 'x', sizeof text - 1);
    log_warn("long", LOG_STR("text", text));
    assert_true(caught.len < 5000 && strstr(caught_text(), "xxx…\"}\n"));
    log_field_t many[40] = {{0}};
    memset(text, '\x01', sizeof text - 1); /* six bytes each: too long for a line */
    for (size_t i = 1; i < ARRAY_LEN(many); i++)
        many[i] = LOG_STR("text", text);
    log_write(LOG_WARN, "too long", many, ARRAY_LEN(many));
    assert_non_null(strstr(caught_text(), "\"msg\":\"too long\"}\n"));
}

static void test_text_format(void **state)
{
    log_set_text_format(true);
    log_set_trace("t 2");
    log_info("hello\x1b", LOG_STR("who", "you"), LOG_INT("n", 1));
    assert_string_equal(caught_text(),
                        "2026-01-01T00:00:00.123Z info  hello\\u001b who=\"you\" n=1 trace_id=\"t 2\"\n");
    log_set_trace(NULL);
}

static void test_levels(void **state)
{
    int before = lines;
    log_debug("not shown");
    assert_int_equal(lines, before);
    log_threshold = LOG_DEBUG;
    log_debug("shown");
    assert_int_equal(lines, before + 1);
    log_level_t level;
    assert_ok(log_level_parse("WARN", &level));
    assert_int_equal(level, LOG_WARN);
    assert_err(log_level_parse("loud", &level), ERR_USAGE);
}

static void test_keeps_error_text(void **state)
{
    assert_err(fail(ERR_IO, "the text"), ERR_IO);
    log_warn("failed", LOG_ERR(ERR_IO));
    assert_non_null(strstr(caught_text(), "\"error\":\"the text\""));
    assert_string_equal(error_text(ERR_IO), "the text");
}

static void test_stderr_and_clock(void **state)
{
    log_set_sink(NULL, NULL);
    log_set_clock(NULL, NULL);
    int ends[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    log_info("to stderr");
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    char text[500];
    ssize_t n = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    assert_true(n > 0);
    text[n] = 0;
    assert_non_null(strstr(text, "\"msg\":\"to stderr\""));
    assert_null(strstr(text, "1970"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_escaping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_format, setup, teardown),
        cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keeps_error_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stderr_and_clock, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

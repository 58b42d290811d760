#include "base/writer.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include "wire/multistream.h"

static const char *const two[] = {"/ipfs/kad/1.0.0", "/ipfs/ping/1.0.0"};

static bytes_t line(buf_t *out, const char *text)
{
    writer_t w = writer_to(out);
    size_t at = out->len;
    write_uvarint(&w, strlen(text) + 1);
    write_bytes(&w, bytes_str(text));
    write_u8(&w, '\n');
    assert_int_equal(w.err, OK);
    return bytes_slice(buf_bytes(out), at, SIZE_MAX);
}

/* Moves what `from` says into `to`, `step` bytes at a time. */
static void carry(multistream_t *from, multistream_t *to, size_t step)
{
    while (multistream_output(from).len && to->state == MULTISTREAM_BUSY) {
        size_t used;
        assert_ok(multistream_feed(to, bytes_slice(multistream_output(from), 0, step), &used));
        multistream_output_sent(from, used);
    }
}

static void test_agree(void **state)
{
    for (size_t step = 1; step < 64; step += 7) {
        multistream_t d, l;
        multistream_init_dialer(&d, two, 2);
        multistream_init_listener(&l);
        for (int i = 0; i < 10 && d.state == MULTISTREAM_BUSY; i++) {
            carry(&d, &l, step);
            if (l.state == MULTISTREAM_PROPOSED) {
                if (bytes_equal(multistream_proposal(&l), BYTES_LIT("/ipfs/ping/1.0.0")))
                    multistream_accept(&l);
                else
                    multistream_refuse(&l);
            }
            carry(&l, &d, step);
        }
        assert_int_equal(d.state, MULTISTREAM_AGREED);
        assert_int_equal(l.state, MULTISTREAM_AGREED);
        assert_int_equal(multistream_agreed(&d), 1);
    }
}

static void test_refused(void **state)
{
    multistream_t d, l;
    multistream_init_dialer(&d, two, 2);
    multistream_init_listener(&l);
    for (int i = 0; i < 2; i++) {
        carry(&d, &l, 100);
        assert_int_equal(l.state, MULTISTREAM_PROPOSED);
        multistream_refuse(&l);
        carry(&l, &d, 100);
    }
    assert_int_equal(d.state, MULTISTREAM_REFUSED);
}

static void test_first_write_holds_header_and_proposal(void **state)
{
    multistream_t d;
    multistream_init_dialer(&d, two, 2);
    AUTO(buf_t) want;
    buf_init(&want, 100);
    line(&want, "/multistream/1.0.0");
    line(&want, two[0]);
    assert_bytes(multistream_output(&d), buf_bytes(&want));
}

/* What follows the agreement belongs to the protocol and is not taken. */
static void test_stops_behind_the_answer(void **state)
{
    AUTO(buf_t) in;
    buf_init(&in, 200);
    line(&in, "/multistream/1.0.0");
    line(&in, two[0]);
    size_t end = in.len, used;
    assert_ok(buf_append(&in, BYTES_LIT("early data")));
    multistream_t d, l;
    multistream_init_dialer(&d, two, 1);
    assert_ok(multistream_feed(&d, buf_bytes(&in), &used));
    assert_int_equal(used, end);
    multistream_init_listener(&l);
    assert_ok(multistream_feed(&l, buf_bytes(&in), &used));
    assert_int_equal(used, end);
    multistream_accept(&l);
    assert_ok(multistream_feed(&l, BYTES_LIT("more"), &used));
    assert_int_equal(used, 0);
}

static void test_ls_is_an_unknown_name(void **state)
{
    AUTO(buf_t) in;
    buf_init(&in, 200);
    line(&in, "/multistream/1.0.0");
    line(&in, "ls");
    multistream_t l;
    multistream_init_listener(&l);
    size_t used;
    assert_ok(multistream_feed(&l, buf_bytes(&in), &used));
    assert_bytes(multistream_proposal(&l), BYTES_LIT("ls"));
}

static void test_bad_input(void **state)
{
    static const struct {
        bytes_t in;
        err_t want;
    } cases[] = {
        {BYTES_LIT("\x00"), ERR_PROTOCOL},                         /* empty line */
        {BYTES_LIT("\x80\x00"), ERR_PROTOCOL},                     /* zero, not minimal */
        {BYTES_LIT("\x93\x00/multistream/1.0.0\n"), ERR_PROTOCOL}, /* not minimal */
        {BYTES_LIT("\x81\x08"), ERR_LIMIT},                        /* 1025 */
        {BYTES_LIT("\xff\xff\xff\x7f"), ERR_LIMIT},
        {BYTES_LIT("\x13/multistream/1.0.1\n"), ERR_PROTOCOL},
        {BYTES_LIT("\x13/multistream/1.0.0!"), ERR_PROTOCOL}, /* no newline */
        {BYTES_LIT("\x01\n"), ERR_PROTOCOL},
        {BYTES_LIT("GET / HTTP/1.1\r\nHost: x\r\nAccept: */*; these bytes fill the line that G promises\r\n"),
         ERR_PROTOCOL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        multistream_t l;
        multistream_init_listener(&l);
        size_t used;
        assert_err(multistream_feed(&l, cases[i].in, &used), cases[i].want);
        assert_int_equal(l.state, MULTISTREAM_FAILED);
        assert_ok(multistream_feed(&l, cases[i].in, &used));
        assert_int_equal(used, 0);
    }
    multistream_t d;
    multistream_init_dialer(&d, two, 2);
    size_t used;
    assert_err(multistream_feed(&d, BYTES_LIT("\x13/multistream/1.0.0\n\x05what\n"), &used), ERR_PROTOCOL);
}

static void test_longest_line(void **state)
{
    uint8_t in[22 + MULTISTREAM_LINE_MAX] = "\x13/multistream/1.0.0\n\x80\x08";
    memset(in + 22, 'x', MULTISTREAM_LINE_MAX);
    in[sizeof in - 1] = '\n';
    multistream_t l;
    multistream_init_listener(&l);
    size_t used;
    assert_ok(multistream_feed(&l, bytes_of(in, sizeof in), &used));
    assert_int_equal(l.state, MULTISTREAM_PROPOSED);
    assert_int_equal(multistream_proposal(&l).len, MULTISTREAM_LINE_MAX - 1);
}

static void test_too_many_proposals(void **state)
{
    multistream_t l;
    multistream_init_listener(&l);
    size_t used;
    assert_ok(multistream_feed(&l, BYTES_LIT("\x13/multistream/1.0.0\n"), &used));
    for (int i = 0; i < MULTISTREAM_PROPOSALS_MAX; i++) {
        assert_ok(multistream_feed(&l, BYTES_LIT("\x02x\n"), &used));
        multistream_refuse(&l);
        multistream_output_sent(&l, multistream_output(&l).len);
    }
    assert_err(multistream_feed(&l, BYTES_LIT("\x02x\n"), &used), ERR_LIMIT);
}

/* A peer that does not read our refusals cannot make us hold them: input waits. */
static void test_input_waits_for_output(void **state)
{
    multistream_t l;
    multistream_init_listener(&l);
    size_t used;
    assert_ok(multistream_feed(&l, BYTES_LIT("\x13/multistream/1.0.0\n"), &used));
    int taken = 0;
    for (; taken < MULTISTREAM_PROPOSALS_MAX; taken++) {
        assert_ok(multistream_feed(&l, BYTES_LIT("\x02x\n"), &used));
        if (!used)
            break;
        multistream_refuse(&l);
    }
    assert_in_range(taken, 40, MULTISTREAM_PROPOSALS_MAX - 1);
    multistream_output_sent(&l, multistream_output(&l).len);
    assert_ok(multistream_feed(&l, BYTES_LIT("\x02x\n"), &used));
    assert_int_equal(used, 3);
}

/* The rows of the vectors: each line is what we write. */
static void test_vectors(void **state)
{
    tsv_t *v = tsv_open("wire/messages.tsv");
    AUTO(buf_t) want;
    AUTO(buf_t) got;
    buf_init(&want, 4096);
    buf_init(&got, 4096);
    int rows = 0;
    while (tsv_next(v)) {
        if (strcmp(tsv_get(v, "protocol"), "multistream-select"))
            continue;
        const char *const names[] = {tsv_get(v, "message")};
        tsv_hex(v, "bytes_hex", &want);
        multistream_t d;
        multistream_init_dialer(&d, names, 1);
        assert_bytes(bytes_slice(multistream_output(&d), 20, SIZE_MAX), buf_bytes(&want));
        rows++;
    }
    tsv_close(v);
    assert_int_equal(rows, 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agree),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_first_write_holds_header_and_proposal),
        cmocka_unit_test(test_stops_behind_the_answer),
        cmocka_unit_test(test_ls_is_an_unknown_name),
        cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_longest_line),
        cmocka_unit_test(test_too_many_proposals),
        cmocka_unit_test(test_input_waits_for_output),
        cmocka_unit_test(test_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

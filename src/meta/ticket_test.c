#include "meta/ticket.h"
#include "tests/support/test.h"
#include <string.h>

static const char chunk[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
static const char other_chunk[] = "10112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
static const char upload[] = "0123456789abcdef0123456789abcdef", node[] = "fedcba9876543210fedcba9876543210";
static const ticket_keys_t keys = {.list = {{7, {1, 2, 3}}, {6, {4, 5, 6}}}, .count = 2};
static const ticket_keys_t older = {.list = {{6, {4, 5, 6}}}, .count = 1};
static const ticket_keys_t foreign = {.list = {{7, {9}}}, .count = 1};

static void tickets_hold_for_what_they_name(void **state)
{
    char text[TICKET_TEXT_MAX], id[META_ID_CHARS + 1];
    uint64_t max_bytes;
    ticket_read_make(&keys, chunk, 1000, text);
    assert_ok(ticket_read_check(&keys, text, chunk, 999));
    assert_int_equal(ticket_read_check(&keys, text, chunk, 1000), ERR_DENIED);
    assert_int_equal(ticket_read_check(&keys, text, other_chunk, 999), ERR_DENIED);
    assert_int_equal(ticket_read_check(&foreign, text, chunk, 999), ERR_DENIED);
    assert_int_equal(ticket_read_check(&older, text, chunk, 999), ERR_DENIED);
    assert_int_equal(ticket_write_check(&keys, text, 1, id, &max_bytes), ERR_DENIED);
    ticket_write_make(&keys, upload, 12345, 1000, text);
    assert_ok(ticket_write_check(&keys, text, 999, id, &max_bytes));
    assert_string_equal(id, upload);
    assert_int_equal(max_bytes, 12345);
    assert_int_equal(ticket_read_check(&keys, text, chunk, 1), ERR_DENIED);
    ticket_ipfs_make(&keys, upload, 99, 1000, text);
    assert_ok(ticket_ipfs_check(&keys, text, 999, id, &max_bytes));
    assert_string_equal(id, upload);
    assert_int_equal(max_bytes, 99);
    assert_int_equal(ticket_ipfs_check(&keys, text, 1000, id, &max_bytes), ERR_DENIED);
    assert_int_equal(ticket_ipfs_check(&foreign, text, 999, id, &max_bytes), ERR_DENIED);
    assert_int_equal(ticket_write_check(&keys, text, 1, id, &max_bytes), ERR_DENIED);
    ticket_receipt_make(&keys, upload, chunk, 77, node, text);
    assert_ok(ticket_receipt_check(&keys, text, upload, chunk, 77, node));
    assert_int_equal(ticket_receipt_check(&keys, text, upload, chunk, 78, node), ERR_DENIED);
    assert_int_equal(ticket_receipt_check(&keys, text, upload, other_chunk, 77, node), ERR_DENIED);
    assert_int_equal(ticket_receipt_check(&keys, text, node, chunk, 77, node), ERR_DENIED);
}

static void an_older_key_still_counts(void **state)
{
    char text[TICKET_TEXT_MAX];
    ticket_read_make(&older, chunk, 1000, text);
    assert_ok(ticket_read_check(&keys, text, chunk, 1));
}

/* Every byte of a ticket counts: changing one, or leaving the rest out, makes it worthless. */
static void changed_tickets_are_refused(void **state)
{
    char text[TICKET_TEXT_MAX], id[META_ID_CHARS + 1];
    uint64_t max_bytes;
    ticket_write_make(&keys, upload, 12345, 1000, text);
    for (size_t i = 0; text[i]; i++) {
        char changed[TICKET_TEXT_MAX];
        memcpy(changed, text, sizeof changed);
        changed[i] = changed[i] == '1' ? '2' : '1';
        assert_int_equal(ticket_write_check(&keys, changed, 1, id, &max_bytes), ERR_DENIED);
        changed[i] = 0;
        assert_int_equal(ticket_write_check(&keys, changed, 1, id, &max_bytes), ERR_DENIED);
    }
}

static void ids_are_lower_case_hex(void **state)
{
    assert_true(meta_is_id(upload));
    assert_false(meta_is_id(chunk));
    assert_true(meta_is_chunk_id(chunk));
    assert_false(meta_is_id("0123456789ABCDEF0123456789abcdef"));
    assert_false(meta_is_id(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tickets_hold_for_what_they_name),
        cmocka_unit_test(an_older_key_still_counts),
        cmocka_unit_test(changed_tickets_are_refused),
        cmocka_unit_test(ids_are_lower_case_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/pb.h"
#include "codec/envelope.h"
#include "codec/peer_record.h"
#include "codec/relay_voucher.h"
#include "tests/support/test.h"
#include "tests/support/tsv.h"
#include <jansson.h>

static const bytes_t domain = BYTES_LIT("libp2p-peer-record"), type = BYTES_LIT("\x03\x01");

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

static void hex_of(const json_t *row, const char *key, buf_t *out)
{
    buf_clear(out);
    assert_ok(hex_decode(bytes_str(text_of(row, key)), out));
}

static void check_valid(const json_t *row, bytes_t envelope)
{
    peer_record_t record;
    peer_id_t peer;
    multiaddr_t address;
    char text[MULTIADDR_TEXT_MAX];
    json_t *addresses = json_object_get(row, "addresses");
    assert_ok(peer_record_open(envelope, &record));
    assert_ok(peer_id_parse(text_of(row, "peer_id"), &peer));
    assert_true(peer_id_equal(&record.peer, &peer));
    assert_int_equal(record.seq, json_integer_value(json_object_get(row, "seq")));
    assert_int_equal(record.address_count, json_array_size(addresses));
    size_t n = 0;
    for (size_t i = 0; peer_record_next_address(&record, &i, &address); n++)
        assert_string_equal(multiaddr_print(&address, text), json_string_value(json_array_get(addresses, n)));
    assert_int_equal(n, record.address_count);
}

/* Ed25519 rows of a known seed can be made again, byte by byte. */
static size_t check_sealed(const json_t *row, bytes_t envelope)
{
    unsigned seed_byte;
    uint8_t seed[32];
    AUTO_PTR(private_key_t) key = NULL;
    AUTO(buf_t) sealed;
    multiaddr_t addresses[8];
    json_t *texts = json_object_get(row, "addresses");
    size_t n = json_array_size(texts);
    buf_init(&sealed, ENVELOPE_MAX_BYTES);
    if (sscanf(text_of(row, "key"), "ed25519 seed 32 x 0x%x", &seed_byte) != 1)
        return 0;
    memset(seed, (int)seed_byte, sizeof seed);
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
    for (size_t i = 0; i < n; i++)
        assert_ok(multiaddr_parse(json_string_value(json_array_get(texts, i)), &addresses[i]));
    uint64_t seq = (uint64_t)json_integer_value(json_object_get(row, "seq"));
    assert_ok(peer_record_seal(key, seq, addresses, n, &sealed));
    assert_bytes(buf_bytes(&sealed), envelope);
    return 1;
}

static err_t wanted_error(const char *name)
{
    return strcmp(name, "truncated") ? ERR_CRYPTO : ERR_INVALID;
}

static void test_vectors(void **state)
{
    char path[512];
    json_t *rows =
        json_load_file(vector_path("signed-envelope/peer-records.json", path, sizeof path), 0, NULL);
    AUTO(buf_t) envelope;
    buf_init(&envelope, ENVELOPE_MAX_BYTES);
    size_t sealed = 0, n = json_array_size(rows);
    assert_int_equal(n, 13);
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(rows, i);
        const char *name = text_of(row, "name");
        hex_of(row, "envelope_hex", &envelope);
        if (json_is_true(json_object_get(row, "valid"))) {
            check_valid(row, buf_bytes(&envelope));
            sealed += check_sealed(row, buf_bytes(&envelope));
            continue;
        }
        envelope_t e;
        peer_record_t record = {.seq = 99};
        if (!strcmp(name, "wrong-domain")) { /* good under the right one */
            assert_err(envelope_open(buf_bytes(&envelope), bytes_str(text_of(row, "domain")), &e),
                       ERR_CRYPTO);
            continue;
        }
        assert_err(peer_record_open(buf_bytes(&envelope), &record), wanted_error(name));
        assert_int_equal(record.seq, 99);
    }
    assert_int_equal(sealed, 3);
    json_decref(rows);
}

static void test_relay_voucher(void **state)
{
    char path[512], text[PEER_ID_TEXT_MAX];
    json_t *row =
        json_load_file(vector_path("signed-envelope/relay-voucher.json", path, sizeof path), 0, NULL);
    AUTO(buf_t) envelope, payload, payload_type;
    envelope_t e;
    peer_record_t record;
    buf_init(&envelope, ENVELOPE_MAX_BYTES);
    buf_init(&payload, ENVELOPE_MAX_BYTES);
    buf_init(&payload_type, 64);
    hex_of(row, "envelope_hex", &envelope);
    hex_of(row, "payload_hex", &payload);
    hex_of(row, "payload_type_hex", &payload_type);
    assert_ok(envelope_open(buf_bytes(&envelope), bytes_str(text_of(row, "domain")), &e));
    assert_bytes(e.payload, buf_bytes(&payload));
    assert_bytes(e.payload_type, buf_bytes(&payload_type));
    assert_string_equal(peer_id_print(&e.signer, text), text_of(row, "relay"));
    assert_err(peer_record_open(buf_bytes(&envelope), &record), ERR_CRYPTO); /* another domain */
    relay_voucher_t voucher;
    assert_ok(relay_voucher_open(buf_bytes(&envelope), &voucher));
    assert_true(peer_id_equal(&voucher.relay, &e.signer));
    assert_true(voucher.expires_s == 1900000000);
    json_decref(row);
}

static private_key_t *key_of(uint8_t seed_byte)
{
    uint8_t seed[32];
    private_key_t *key = NULL;
    memset(seed, seed_byte, sizeof seed);
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
    return key;
}

/* A record with this payload, signed well. */
static err_t open_payload(bytes_t payload, peer_record_t *ret)
{
    static buf_t sealed; /* the record borrows from it */
    AUTO_PTR(private_key_t) key = key_of(1);
    buf_deinit(&sealed);
    buf_init(&sealed, ENVELOPE_MAX_BYTES);
    assert_ok(envelope_seal(key, domain, type, payload, &sealed));
    return peer_record_open(buf_bytes(&sealed), ret);
}

static void test_hostile_payloads(void **state)
{
    AUTO_PTR(private_key_t) key = key_of(1);
    AUTO(buf_t) payload;
    peer_id_t self;
    peer_record_t record;
    multiaddr_t address;
    buf_init(&payload, ENVELOPE_MAX_BYTES);
    assert_ok(peer_id_of(private_key_public(key), &self));
    assert_err(open_payload(BYTES_LIT("\x0a\x02"), &record), ERR_INVALID);
    assert_err(open_payload(BYTES_NONE, &record), ERR_INVALID); /* no peer */
    assert_err(open_payload(BYTES_LIT("\x12\x01x"), &record), ERR_INVALID);

    writer_t w = writer_to(&payload);
    pb_put_bytes(&w, 1, peer_id_bytes(&self));
    for (size_t i = 0; i < 200; i++) { /* more than is kept, and some that nobody knows */
        size_t mark = pb_begin(&w, 3);
        pb_put_bytes(&w, 1, i % 2 ? BYTES_LIT("\x04\x01\x02\x03\x04") : BYTES_LIT("\xff\x7f"));
        pb_end(&w, mark);
    }
    assert_ok(w.err);
    assert_ok(open_payload(buf_bytes(&payload), &record));
    assert_int_equal(record.address_count, PEER_RECORD_ADDRESSES_MAX);
    size_t n = 0;
    for (size_t i = 0; peer_record_next_address(&record, &i, &address);)
        n++;
    assert_int_equal(n, PEER_RECORD_ADDRESSES_MAX);
}

static void test_forms(void **state)
{
    AUTO_PTR(private_key_t) key = key_of(5);
    AUTO(buf_t) payload, sealed;
    peer_id_t self;
    peer_record_t record;
    buf_init(&payload, 256);
    buf_init(&sealed, ENVELOPE_MAX_BYTES);
    assert_ok(peer_id_of(private_key_public(key), &self));
    writer_t w = writer_to(&payload);
    pb_put_bytes(&w, 1, peer_id_bytes(&self));
    pb_put_uint(&w, 2, 7);
    bytes_t rfc_domain = BYTES_LIT("libp2p-routing-state"),
            rfc_type = BYTES_LIT("/libp2p/routing-state-record");
    assert_ok(envelope_seal(key, rfc_domain, rfc_type, buf_bytes(&payload), &sealed));
    assert_ok(peer_record_open(buf_bytes(&sealed), &record)); /* as rust-libp2p sends it */
    assert_int_equal(record.seq, 7);
    buf_clear(&sealed);
    assert_ok(envelope_seal(key, domain, rfc_type, buf_bytes(&payload), &sealed)); /* mixed forms */
    assert_err(peer_record_open(buf_bytes(&sealed), &record), ERR_CRYPTO);
    buf_clear(&sealed);
    assert_ok(envelope_seal(key, domain, BYTES_LIT("\x03\x02"), buf_bytes(&payload), &sealed));
    assert_err(peer_record_open(buf_bytes(&sealed), &record), ERR_INVALID);
}

static void test_limits(void **state)
{
    static uint8_t large[ENVELOPE_MAX_BYTES + 1];
    AUTO_PTR(private_key_t) key = key_of(5);
    AUTO(buf_t) out;
    envelope_t e;
    buf_init(&out, 64);
    assert_err(envelope_open(bytes_of(large, sizeof large), domain, &e), ERR_LIMIT);
    assert_err(envelope_open(BYTES_NONE, domain, &e), ERR_INVALID);
    assert_err(envelope_seal(key, domain, type, BYTES_LIT("does not fit the buffer of 64 bytes"), &out),
               ERR_LIMIT);
    assert_err(envelope_seal(key, domain, type, bytes_of(large, sizeof large), &out), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),          cmocka_unit_test(test_relay_voucher),
        cmocka_unit_test(test_hostile_payloads), cmocka_unit_test(test_forms),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

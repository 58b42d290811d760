/* What routers are asked and what they answer, byte by byte as RFC 6886, RFC 6887 and the UPnP documents have
 * it. */
#include "tests/support/test.h"
#include "wire/portmap.h"
#include "wire/upnp.h"

static const uint8_t nonce[PCP_NONCE_BYTES] = "twelve bytes";
static const uint8_t own[4] = {10, 0, 0, 1};

static void test_requests(void **state)
{
    portmap_request_t r = {
        .is_tcp = true, .inside_port = 0x1122, .outside_port = 0x3344, .lifetime_s = 0x0e10};
    AUTO(buf_t) out = {0};
    buf_init(&out, PORTMAP_REQUEST_MAX);
    writer_t w = writer_to(&out);
    natpmp_put_address(&w);
    assert_bytes(buf_bytes(&out), BYTES_LIT("\x00\x00"));
    buf_clear(&out);
    natpmp_put_map(&w, &r);
    assert_bytes(buf_bytes(&out), BYTES_LIT("\x00\x02\x00\x00\x11\x22\x33\x44\x00\x00\x0e\x10"));
    buf_clear(&out);
    r.lifetime_s = 0;
    r.is_tcp = false;
    natpmp_put_map(&w, &r); /* removal: the outside port must be 0 */
    assert_bytes(buf_bytes(&out), BYTES_LIT("\x00\x01\x00\x00\x11\x22\x00\x00\x00\x00\x00\x00"));
    buf_clear(&out);
    r.lifetime_s = 0x0e10;
    pcp_put_map(&w, &r, nonce, own);
    assert_bytes(buf_bytes(&out), BYTES_LIT("\x02\x01\x00\x00\x00\x00\x0e\x10"
                                            "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x00\x00\x01"
                                            "twelve bytes\x11\x00\x00\x00\x11\x22\x33\x44"
                                            "\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\0"));
    assert_ok(w.err);
}

static void test_answers(void **state)
{
    portmap_answer_t a;
    assert_ok(portmap_decode(BYTES_LIT("\x00\x80\x00\x00\x00\x00\x00\x09\x05\x06\x07\x08"), &a));
    assert_true(a.kind == PORTMAP_ADDRESS && a.has_ip && a.epoch_s == 9);
    assert_memory_equal(a.ip, "\x05\x06\x07\x08", 4);
    assert_ok(
        portmap_decode(BYTES_LIT("\x00\x82\x00\x00\x00\x00\x00\x09\x11\x22\x33\x44\x00\x00\x0e\x10"), &a));
    assert_true(a.kind == PORTMAP_MAPPED && a.is_tcp && !a.is_pcp && !a.has_ip);
    assert_int_equal(a.inside_port, 0x1122);
    assert_int_equal(a.outside_port, 0x3344);
    assert_int_equal(a.lifetime_s, 3600);
    static const char pcp[] =
        "\x02\x81\x00\x00\x00\x00\x0e\x10\x00\x00\x00\x07\0\0\0\0\0\0\0\0\0\0\0\0"
        "twelve bytes\x06\x00\x00\x00\x11\x22\x33\x44\0\0\0\0\0\0\0\0\0\0\xff\xff\x05\x06\x07\x08";
    assert_ok(portmap_decode(bytes_of(pcp, sizeof pcp - 1), &a));
    assert_true(a.is_pcp && a.is_tcp && a.has_ip && a.epoch_s == 7 && a.lifetime_s == 3600);
    assert_memory_equal(a.nonce, nonce, sizeof nonce);
    assert_memory_equal(a.ip, "\x05\x06\x07\x08", 4);
    for (size_t len = 0; len < sizeof pcp - 1; len++)
        assert_err(portmap_decode(bytes_of(pcp, len), &a), ERR_INVALID);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *answer;
        err_t wanted;
    } rows[] = {
        {"\x00\x81\x00\x01\x00\x00\x00\x09", ERR_UNSUPPORTED}, /* to a request of PCP */
        {"\x00\x82\x00\x02\x00\x00\x00\x09", ERR_DENIED},
        {"\x00\x82\x00\x03\x00\x00\x00\x09", ERR_UNREACHABLE},
        {"\x00\x82\x00\x04\x00\x00\x00\x09", ERR_LIMIT},
        {"\x00\x82\x00\x63\x00\x00\x00\x09", ERR_PROTOCOL},
        {"\x00\x02\x00\x00\x00\x00\x00\x09", ERR_INVALID}, /* a request */
        {"\x00\x83\x00\x00\x00\x00\x00\x09", ERR_INVALID}, /* of another kind */
        {"\x01\x82\x00\x00\x00\x00\x00\x09", ERR_UNSUPPORTED},
    };
    portmap_answer_t a;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_err(portmap_decode(bytes_of(rows[i].answer, 8), &a), rows[i].wanted);
    assert_err(portmap_decode(BYTES_LIT("\x02\x81\x00\x08\x00\x00\x00\x1e\x00\x00\x00\x07"), &a), ERR_LIMIT);
    assert_err(portmap_decode(BYTES_LIT("\x02\x81\x00\x02\x00\x00\x00\x1e\x00\x00\x00\x07"), &a), ERR_DENIED);
}

static void test_search(void **state)
{
    char url[UPNP_URL_MAX];
    assert_ok(ssdp_decode(BYTES_LIT("HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nLocation:  "
                                    "http://10.0.0.254:5000/r.xml \r\n\r\n"),
                          url));
    assert_string_equal(url, "http://10.0.0.254:5000/r.xml");
    static const char *const bad[] = {"HTTP/1.1 404 No\r\nLOCATION: http://10.0.0.254/\r\n\r\n",
                                      "NOTIFY * HTTP/1.1\r\nLOCATION: http://10.0.0.254/\r\n\r\n",
                                      "HTTP/1.1 200 OK\r\nLOCATION: https://10.0.0.254/\r\n\r\n",
                                      "HTTP/1.1 200 OK\r\nLOCATION: http://a b/\r\n\r\n",
                                      "HTTP/1.1 200 OK\r\nLOCATION\r\n\r\n",
                                      "HTTP/1.1 200 OK",
                                      ""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(ssdp_decode(bytes_str(bad[i]), url), ERR_INVALID);
    assert_true(upnp_is_at("http://10.0.0.1/x", own) && upnp_is_at("http://10.0.0.1:80/x", own));
    assert_false(upnp_is_at("http://10.0.0.11/x", own) || upnp_is_at("http://10.0.0.1.evil/x", own) ||
                 upnp_is_at("http://user@10.0.0.1/", own) || upnp_is_at("http://evil/10.0.0.1/", own));
}

static void test_description(void **state)
{
    static const struct {
        const char *document, *wanted; /* NULL: none */
    } rows[] = {
        {"<root><service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</"
         "serviceType><controlURL>/no</controlURL></service>"
         "<service><serviceType> "
         "urn:schemas-upnp-org:service:WANIPConnection:1\n</serviceType><controlURL>/yes</controlURL></"
         "service></root>",
         "http://10.0.0.254:5000/yes"},
        {"<u:serviceType "
         "a='b'>urn:schemas-upnp-org:service:WANPPPConnection:1</u:serviceType><controlURL>ctl</controlURL>",
         "http://10.0.0.254:5000/ctl"},
        {"<serviceType>urn:schemas-upnp-org:service:WANIPConnection:2</serviceType><controlURL>http://"
         "10.0.0.254:5000/abs</controlURL>",
         "http://10.0.0.254:5000/abs"},
        {"<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>http://"
         "10.0.0.7:5000/other</controlURL>",
         NULL},
        {"<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>http://"
         "10.0.0.254:50001/other</controlURL>",
         NULL},
        {"<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/"
         "a\r\nInjected: b</controlURL>",
         NULL},
        {"<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>", NULL},
        {"<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1", NULL},
        {"<<<><></serviceType>", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        upnp_service_t s;
        err_t e = upnp_find_service(bytes_str(rows[i].document), "http://10.0.0.254:5000/root.xml", &s);
        assert_int_equal(!e, rows[i].wanted != NULL);
        if (!e)
            assert_string_equal(s.control_url, rows[i].wanted);
    }
}

static void test_calls(void **state)
{
    upnp_service_t s = {.type = "urn:schemas-upnp-org:service:WANIPConnection:1"};
    AUTO(buf_t) out = {0};
    const char *text;
    uint8_t ip[4];
    buf_init(&out, 4096);
    assert_ok(upnp_put_map(&s, true, 4001, 4002, own, 3600, &out));
    assert_ok(buf_cstr(&out, &text));
    assert_non_null(
        strstr(text, "<u:AddPortMapping xmlns:u=\"urn:schemas-upnp-org:service:WANIPConnection:1\">"));
    assert_non_null(strstr(text, "<NewExternalPort>4002</NewExternalPort><NewProtocol>TCP</"
                                 "NewProtocol><NewInternalPort>4001</NewInternalPort>"
                                 "<NewInternalClient>10.0.0.1</NewInternalClient>"));
    assert_ok(
        upnp_decode_address(BYTES_LIT("<a><NewExternalIPAddress>5.6.7.8</NewExternalIPAddress></a>"), ip));
    assert_memory_equal(ip, "\x05\x06\x07\x08", 4);
    assert_err(upnp_decode_address(BYTES_LIT("<NewExternalIPAddress></NewExternalIPAddress>"), ip),
               ERR_NOT_FOUND);
    assert_err(upnp_decode_address(BYTES_LIT("<NewExternalIPAddress>router</NewExternalIPAddress>"), ip),
               ERR_NOT_FOUND);
    assert_int_equal(upnp_error_code(BYTES_LIT("<UPnPError><errorCode>725</errorCode></UPnPError>")), 725);
    assert_int_equal(upnp_error_code(BYTES_LIT("<errorCode>seven hundred</errorCode>")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests), cmocka_unit_test(test_answers),     cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_search),   cmocka_unit_test(test_description), cmocka_unit_test(test_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "crypto/tls_mutual.h"
#include "tests/support/test.h"
#include <string.h>

typedef struct side {
    buf_t certificate, key;
    tls_mutual_t *m;
} side_t;

static void make_side(side_t *s, const char *name, const side_t *authority)
{
    buf_init(&s->certificate, TLS_MUTUAL_PEM_MAX);
    buf_init(&s->key, TLS_MUTUAL_PEM_MAX);
    assert_ok(tls_mutual_make(name, &s->certificate, &s->key));
    assert_ok(tls_mutual_new(buf_bytes(&s->certificate), buf_bytes(&s->key),
                             authority ? buf_bytes(&authority->certificate) : BYTES_NONE, &s->m));
}

static void drop_side(side_t *s)
{
    tls_mutual_free(s->m);
    buf_deinit(&s->certificate);
    buf_deinit(&s->key);
}

static bool pass(tls_client_t *from, tls_client_t *to)
{
    uint8_t piece[4096];
    size_t n = tls_client_output(from, piece, sizeof piece);
    if (n)
        assert_ok(tls_client_feed(to, bytes_of(piece, n)));
    return n;
}

/* The first error of either side, OK when both are done. */
static err_t shake(tls_client_t *client, tls_client_t *server)
{
    err_t c = ERR_AGAIN, s = ERR_AGAIN;
    for (int i = 0; i < 20 && (c == ERR_AGAIN || s == ERR_AGAIN); i++) {
        c = c == ERR_AGAIN ? tls_client_handshake(client) : c;
        pass(client, server);
        s = s == ERR_AGAIN ? tls_client_handshake(server) : s;
        pass(server, client);
    }
    return c ? c : s;
}

static err_t meet(side_t *client, side_t *server)
{
    tls_client_t *c, *s;
    uint8_t fingerprint[TLS_FINGERPRINT_BYTES], in[16];
    size_t n;
    assert_ok(tls_mutual_connect(client->m, &c));
    assert_ok(tls_mutual_accept(server->m, &s));
    err_t e = shake(c, s);
    if (!e) {
        assert_ok(tls_mutual_peer(c, fingerprint));
        assert_memory_equal(fingerprint, tls_mutual_fingerprint(server->m), sizeof fingerprint);
        assert_ok(tls_mutual_peer(s, fingerprint));
        assert_memory_equal(fingerprint, tls_mutual_fingerprint(client->m), sizeof fingerprint);
        assert_ok(tls_client_write(c, BYTES_LIT("hello")));
        pass(c, s);
        assert_ok(tls_client_read(s, in, sizeof in, &n));
        assert_bytes(bytes_of(in, n), BYTES_LIT("hello"));
    }
    tls_client_free(c);
    tls_client_free(s);
    return e;
}

static void any_certificate(void **state)
{
    side_t a, b;
    make_side(&a, "node a", NULL);
    make_side(&b, "node b", NULL);
    assert_false(tls_mutual_has_authorities(a.m));
    assert_true(memcmp(tls_mutual_fingerprint(a.m), tls_mutual_fingerprint(b.m), TLS_FINGERPRINT_BYTES) != 0);
    assert_ok(meet(&a, &b));
    drop_side(&a);
    drop_side(&b);
}

static void of_an_authority(void **state)
{
    side_t server, friend, stranger;
    make_side(&stranger, "stranger", NULL);
    make_side(&friend, "friend", NULL);
    make_side(&server, "server", &friend);
    assert_true(tls_mutual_has_authorities(server.m));
    assert_ok(meet(&friend, &server));
    assert_err(meet(&stranger, &server), ERR_CRYPTO);
    assert_err(meet(&server, &stranger), ERR_CRYPTO); /* whoever calls */
    drop_side(&stranger);
    drop_side(&friend);
    drop_side(&server);
}

static void older_versions(void **state)
{
    /* A ClientHello of TLS 1.2 without the extension supported_versions. */
    static const uint8_t hello[] = {0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3, 0,    0, 0, 0, 0, 0,
                                    0,    0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0,    0, 0, 0, 0, 0,
                                    0,    0, 0, 0, 0,  0, 0, 0, 0,  0, 2, 0x13, 1, 1, 0, 0};
    side_t a;
    tls_client_t *s;
    make_side(&a, "node", NULL);
    assert_ok(tls_mutual_accept(a.m, &s));
    assert_ok(tls_client_feed(s, bytes_of(hello, sizeof hello)));
    assert_err(tls_client_handshake(s), ERR_CRYPTO);
    uint8_t fingerprint[TLS_FINGERPRINT_BYTES];
    assert_err(tls_mutual_peer(s, fingerprint), ERR_CRYPTO);
    tls_client_free(s);
    drop_side(&a);
}

static void bad_files(void **state)
{
    side_t a, b;
    tls_mutual_t *m;
    make_side(&a, "a", NULL);
    make_side(&b, "b", NULL);
    bytes_t certificate = buf_bytes(&a.certificate), key = buf_bytes(&a.key);
    assert_err(tls_mutual_new(certificate, buf_bytes(&b.key), BYTES_NONE, &m), ERR_INVALID);
    assert_err(tls_mutual_new(BYTES_LIT("x"), key, BYTES_NONE, &m), ERR_INVALID);
    assert_err(tls_mutual_new(certificate, BYTES_LIT("x"), BYTES_NONE, &m), ERR_INVALID);
    assert_err(tls_mutual_new(certificate, key, BYTES_LIT("x"), &m), ERR_INVALID);
    assert_err(tls_mutual_new(bytes_of(certificate.data, TLS_MUTUAL_PEM_MAX + 1), key, BYTES_NONE, &m),
               ERR_INVALID);
    tls_mutual_free(NULL);
    drop_side(&a);
    drop_side(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_certificate), cmocka_unit_test(of_an_authority),
                                       cmocka_unit_test(older_versions), cmocka_unit_test(bad_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "wire/certificate.h"
#include "crypto/der.h"

#define EXTENSION_OID "1.3.6.1.4.1.53594.1.1"
static const char signed_prefix[] = "libp2p-tls-handshake:";

/* What the peer's key signs: the prefix and the certificate's SubjectPublicKeyInfo. */
static err_t signed_text(bytes_t spki, buf_t *out)
{
    TRY(buf_append(out, bytes_str(signed_prefix)));
    return buf_append(out, spki);
}

static err_t extension_of(const private_key_t *identity, const x509_key_t *key, buf_t *out)
{
    AUTO(buf_t) text, spki, public_key, signature;
    buf_init(&text, X509_MAX_BYTES);
    buf_init(&spki, X509_MAX_BYTES);
    buf_init(&public_key, X509_MAX_BYTES);
    buf_init(&signature, X509_MAX_BYTES);
    TRY(x509_key_spki(key, &spki));
    TRY(signed_text(buf_bytes(&spki), &text));
    TRY(private_key_sign(identity, buf_bytes(&text), &signature));
    TRY(public_key_encode(private_key_public(identity), &public_key));
    writer_t w = writer_to(out);
    size_t mark = der_begin(&w, DER_SEQUENCE);
    der_put(&w, DER_OCTET_STRING, buf_bytes(&public_key));
    der_put(&w, DER_OCTET_STRING, buf_bytes(&signature));
    der_end_put(&w, mark);
    return w.err;
}

static err_t make(const private_key_t *identity, certificate_t *c)
{
    AUTO_PTR(x509_key_t) key = NULL;
    AUTO(buf_t) extension;
    buf_init(&extension, X509_MAX_BYTES);
    TRY(x509_key_new(&key));
    TRY(extension_of(identity, key, &extension));
    TRY(x509_self_sign(key, EXTENSION_OID, buf_bytes(&extension), &c->der));
    return x509_key_pkcs8(key, &c->pkcs8);
}

err_t certificate_new(const private_key_t *identity, certificate_t *ret)
{
    certificate_t c = {0};
    buf_init(&c.der, X509_MAX_BYTES);
    buf_init(&c.pkcs8, X509_MAX_BYTES);
    err_t e = make(identity, &c);
    if (e)
        certificate_deinit(&c);
    else
        *ret = c;
    return e;
}

void certificate_deinit(certificate_t *c)
{
    if (c->pkcs8.data)
        secret_wipe(c->pkcs8.data, c->pkcs8.cap);
    buf_deinit(&c->pkcs8);
    buf_deinit(&c->der);
}

err_t certificate_verify(bytes_t der, uint64_t now_s, peer_id_t *ret_peer)
{
    AUTO(buf_t) text, spki, extension;
    buf_init(&text, X509_MAX_BYTES + sizeof signed_prefix);
    buf_init(&spki, X509_MAX_BYTES);
    buf_init(&extension, X509_MAX_BYTES);
    TRY(x509_check_self_signed(der, EXTENSION_OID, now_s, &spki, &extension));
    TRY(signed_text(buf_bytes(&spki), &text));
    reader_t r = reader_of(buf_bytes(&extension));
    reader_t pair = der_read_nested(&r, DER_SEQUENCE);
    bytes_t encoded = der_read(&pair, DER_OCTET_STRING), signature = der_read(&pair, DER_OCTET_STRING);
    der_end(&r, &pair);
    if (r.err || reader_left(&r))
        return fail(ERR_INVALID, "the certificate's libp2p extension is malformed");
    public_key_t key;
    TRY(public_key_decode(encoded, &key));
    if (public_key_verify(&key, buf_bytes(&text), signature))
        return fail(ERR_CRYPTO, "the peer's signature in its certificate is wrong");
    return peer_id_of(&key, ret_peer);
}

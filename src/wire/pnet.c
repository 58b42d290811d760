#include "wire/pnet.h"
#include "crypto/hash.h"
#include "multi/multibase.h"

void pnet_init(pnet_t *p, const uint8_t key[PNET_KEY_BYTES], const uint8_t nonce[PNET_NONCE_BYTES])
{
    *p = (pnet_t){0};
    memcpy(p->key, key, PNET_KEY_BYTES);
    xsalsa20_init(&p->send, key, nonce);
}

void pnet_deinit(pnet_t *p)
{
    secret_wipe(p, sizeof *p);
}

bytes_t pnet_open(pnet_t *p, uint8_t *in, size_t len)
{
    size_t missing = PNET_NONCE_BYTES - p->nonce_len, n = len < missing ? len : missing;
    if (missing) {
        memcpy(p->nonce + p->nonce_len, in, n);
        p->nonce_len += (uint8_t)n;
        if (p->nonce_len < PNET_NONCE_BYTES)
            return BYTES_NONE;
        xsalsa20_init(&p->receive, p->key, p->nonce);
        secret_wipe(p->key, sizeof p->key);
    }
    xsalsa20_xor(&p->receive, in + n, in + n, len - n);
    return bytes_of(in + n, len - n);
}

void pnet_seal(pnet_t *p, const uint8_t *in, uint8_t *out, size_t len)
{
    xsalsa20_xor(&p->send, in, out, len);
}

/* ── the key file ────────────────────────────────────────────────────────────────────────────── */
/* The next line, without its end; the rest stays in *text. */
static bytes_t take_line(bytes_t *text)
{
    const uint8_t *end = text->len ? memchr(text->data, '\n', text->len) : NULL;
    bytes_t line = end ? bytes_of(text->data, (size_t)(end - text->data)) : *text;
    *text = bytes_slice(*text, line.len + 1, SIZE_MAX);
    while (line.len && line.data[line.len - 1] == '\r')
        line.len--;
    return line;
}

static err_t decode_key(bytes_t encoding, bytes_t text, buf_t *out)
{
    if (bytes_equal(encoding, BYTES_LIT("/bin/")))
        return buf_append(out, bytes_slice(text, 0, PNET_KEY_BYTES));
    bytes_t line = take_line(&text);
    if (bytes_equal(encoding, BYTES_LIT("/base16/")))
        return hex_decode(line, out);
    if (!bytes_equal(encoding, BYTES_LIT("/base64/")))
        return fail(ERR_INVALID, "the encoding is none of /base16/, /base64/, /bin/");
    while (line.len && line.data[line.len - 1] == '=')
        line.len--;
    multibase_t base;
    TRY(multibase_from_name("base64", &base));
    return multibase_decode_raw(base, line, out);
}

err_t pnet_key_parse(bytes_t file, uint8_t ret_key[PNET_KEY_BYTES])
{
    AUTO(buf_t) key;
    buf_init(&key, PNET_FILE_MAX_BYTES);
    if (!bytes_equal(take_line(&file), BYTES_LIT("/key/swarm/psk/1.0.0/")))
        return fail(ERR_INVALID, "a swarm key begins with the line /key/swarm/psk/1.0.0/");
    bytes_t encoding = take_line(&file);
    err_t e = decode_key(encoding, file, &key);
    if (!e && key.len == PNET_KEY_BYTES)
        memcpy(ret_key, key.data, PNET_KEY_BYTES);
    else
        e = fail(ERR_INVALID,
                 "a swarm key has %d bytes behind its two first lines, in base16, base64 or binary",
                 PNET_KEY_BYTES);
    if (key.data)
        secret_wipe(key.data, key.cap);
    return e;
}

err_t pnet_key_fingerprint(const uint8_t key[PNET_KEY_BYTES], uint8_t out[PNET_FINGERPRINT_BYTES])
{
    uint8_t stream[64];
    salsa20_stream(key, (const uint8_t *)"finprint", stream, sizeof stream);
    return hash_of(HASH_SHAKE_128, bytes_of(stream, sizeof stream), out, PNET_FINGERPRINT_BYTES);
}

#include "multi/peer_id.h"
#include "base/pb.h"
#include "crypto/hash.h"
#include "multi/cid.h"
#include <stdio.h>

enum { IDENTITY_KEY_MAX = 42, KEY_MESSAGE_MAX = 16384, FIELD_TYPE = 1, FIELD_DATA = 2 };

static err_t from_multihash(multihash_t hash, peer_id_t *ret_id)
{
    bool is_good = hash.code == MH_IDENTITY   ? hash.digest.len > 0 && hash.digest.len <= IDENTITY_KEY_MAX
                   : hash.code == MH_SHA2_256 ? hash.digest.len == 32
                                              : false;
    if (!is_good)
        return fail(ERR_INVALID, "a peer ID is a SHA-256 hash or a key of at most %d bytes",
                    IDENTITY_KEY_MAX);
    peer_id_t id = {.len = (uint8_t)(2 + hash.digest.len)};
    id.data[0] = (uint8_t)hash.code;
    id.data[1] = (uint8_t)hash.digest.len;
    memcpy(id.data + 2, hash.digest.data, hash.digest.len);
    *ret_id = id;
    return OK;
}

err_t peer_id_decode(bytes_t in, peer_id_t *ret_id)
{
    multihash_t hash = {0};
    if (multihash_decode(in, &hash))
        return fail(ERR_INVALID, "%zu bytes are no peer ID", in.len);
    return from_multihash(hash, ret_id);
}

static err_t parse_base58(bytes_t text, peer_id_t *ret_id)
{
    AUTO(buf_t) binary;
    buf_init(&binary, PEER_ID_TEXT_MAX);
    TRY(multibase_decode_raw(MB_BASE58BTC, text, &binary));
    return peer_id_decode(buf_bytes(&binary), ret_id);
}

err_t peer_id_parse(const char *text, peer_id_t *ret_id)
{
    bytes_t t = bytes_str(text);
    if (t.len >= PEER_ID_TEXT_MAX)
        return fail(ERR_INVALID, "a text of %zu bytes is no peer ID", t.len);
    if (bytes_starts_with(t, BYTES_LIT("1")) || bytes_starts_with(t, BYTES_LIT("Qm")))
        return parse_base58(t, ret_id);
    cid_t c = {0};
    err_t e = cid_parse(t, &c);
    if (e)
        return fail_also(e, "\"%s\" is no peer ID", text);
    if (!c.version || c.codec != CODEC_LIBP2P_KEY)
        return fail(ERR_INVALID, "the CID %s names no libp2p key", text);
    return from_multihash((multihash_t){c.hash_code, cid_digest(&c)}, ret_id);
}

const char *peer_id_print(const peer_id_t *id, char out[PEER_ID_TEXT_MAX])
{
    AUTO(buf_t) text;
    buf_init(&text, PEER_ID_TEXT_MAX - 1);
    err_t e = multibase_encode_raw(MB_BASE58BTC, peer_id_bytes(id), &text);
    assert(!e); /* 64 bytes fit */
    if (text.len)
        memcpy(out, text.data, text.len);
    out[text.len] = 0;
    return out;
}

err_t peer_id_print_cid(const peer_id_t *id, multibase_t base, char out[PEER_ID_TEXT_MAX])
{
    cid_t c = {0};
    char text[CID_TEXT_MAX];
    TRY(cid_from_multihash(peer_id_bytes(id), CODEC_LIBP2P_KEY, &c));
    TRY(cid_print_base(&c, base, text));
    size_t len = strlen(text);
    if (len >= PEER_ID_TEXT_MAX)
        return fail(ERR_LIMIT, "the peer ID is too long in %s", multibase_name(base));
    memcpy(out, text, len + 1);
    return OK;
}

err_t peer_id_of(const public_key_t *key, peer_id_t *ret_id)
{
    AUTO(buf_t) message;
    buf_init(&message, KEY_MESSAGE_MAX);
    TRY(public_key_encode(key, &message));
    uint8_t digest[32];
    if (message.len <= IDENTITY_KEY_MAX)
        return from_multihash((multihash_t){MH_IDENTITY, buf_bytes(&message)}, ret_id);
    sha256_of(buf_bytes(&message), digest);
    return from_multihash((multihash_t){MH_SHA2_256, bytes_of(digest, sizeof digest)}, ret_id);
}

err_t peer_id_public_key(const peer_id_t *id, public_key_t *ret_key)
{
    multihash_t hash = {0};
    TRY(multihash_decode(peer_id_bytes(id), &hash));
    if (hash.code != MH_IDENTITY)
        return fail(ERR_NOT_FOUND, "the peer ID is the hash of its key");
    return public_key_decode(hash.digest, ret_key);
}

bool peer_id_equal(const peer_id_t *a, const peer_id_t *b)
{
    return bytes_equal(peer_id_bytes(a), peer_id_bytes(b));
}

bool peer_id_matches(const peer_id_t *id, const public_key_t *key)
{
    peer_id_t own;
    return !peer_id_of(key, &own) && peer_id_equal(id, &own);
}

static err_t encode_key(key_type_t type, bytes_t data, buf_t *out)
{
    writer_t w = writer_to(out);
    pb_put_uint(&w, FIELD_TYPE, type);
    pb_put_bytes(&w, FIELD_DATA, data);
    return w.err;
}

/* Both fields are required; a type we do not know is refused by who takes the key. */
static err_t decode_key(bytes_t in, key_type_t *ret_type, bytes_t *ret_data)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    bool has_type = false, has_data = false;
    uint64_t type = 0;
    bytes_t data = BYTES_NONE;
    if (in.len > KEY_MESSAGE_MAX)
        return fail(ERR_LIMIT, "a key message of %zu bytes is over the limit of %d", in.len, KEY_MESSAGE_MAX);
    while (pb_next(&r, &f))
        switch (f.number) {
        case FIELD_TYPE:
            type = pb_uint(&r, &f);
            has_type = true;
            break;
        case FIELD_DATA:
            data = pb_bytes(&r, &f, KEY_MESSAGE_MAX);
            has_data = true;
            break;
        }
    if (r.err || !has_type || !has_data)
        return fail(ERR_INVALID, "%zu bytes are no key message", in.len);
    *ret_type = type > INT32_MAX ? (key_type_t)INT32_MAX : (key_type_t)type;
    *ret_data = data;
    return OK;
}

err_t public_key_encode(const public_key_t *k, buf_t *out)
{
    return encode_key(k->type, bytes_of(k->data, k->len), out);
}

err_t public_key_decode(bytes_t in, public_key_t *ret)
{
    key_type_t type = KEY_RSA;
    bytes_t data = BYTES_NONE;
    TRY(decode_key(in, &type, &data));
    return public_key_from_data(type, data, ret);
}

err_t private_key_encode(const private_key_t *k, buf_t *out)
{
    AUTO(buf_t) data;
    buf_init(&data, KEY_MESSAGE_MAX);
    err_t e = private_key_data(k, &data);
    if (!e)
        e = encode_key(private_key_type(k), buf_bytes(&data), out);
    if (data.data)
        secret_wipe(data.data, data.cap);
    return e;
}

err_t private_key_decode(bytes_t in, private_key_t **ret)
{
    key_type_t type = KEY_RSA;
    bytes_t data = BYTES_NONE;
    TRY(decode_key(in, &type, &data));
    return private_key_from_data(type, data, ret);
}

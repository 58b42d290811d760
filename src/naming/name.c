#include "naming/name.h"

#define KEY_PREFIX "/ipns/"
enum { KEY_PREFIX_LEN = sizeof KEY_PREFIX - 1 };

err_t name_parse(const char *text, peer_id_t *ret)
{
    if (!strncmp(text, KEY_PREFIX, KEY_PREFIX_LEN))
        text += KEY_PREFIX_LEN;
    if (peer_id_parse(text, ret))
        return fail(ERR_INVALID, "\"%.100s\" is not an IPNS name: a peer ID as base58 or libp2p-key CID",
                    text);
    return OK;
}

const char *name_print(const peer_id_t *name, char out[PEER_ID_TEXT_MAX])
{
    if (peer_id_print_cid(name, MB_BASE36, out))
        peer_id_print(name, out);
    return out;
}

size_t name_key(const peer_id_t *name, uint8_t out[NAME_KEY_MAX_BYTES])
{
    memcpy(out, KEY_PREFIX, KEY_PREFIX_LEN);
    memcpy(out + KEY_PREFIX_LEN, name->data, name->len);
    return KEY_PREFIX_LEN + name->len;
}

err_t name_of_key(bytes_t key, peer_id_t *ret)
{
    if (!bytes_starts_with(key, BYTES_LIT(KEY_PREFIX)))
        return fail(ERR_INVALID, "the key of a record does not begin with " KEY_PREFIX);
    return peer_id_decode(bytes_slice(key, KEY_PREFIX_LEN, key.len), ret);
}

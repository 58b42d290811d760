#include "wire/replica_seal.h"

typedef struct statement {
    uint8_t data[32 + CID_BINARY_MAX + 3 * UVARINT_MAX_BYTES];
    size_t len;
} statement_t;

/* `what` with its zero byte. */
static void say(statement_t *s, const char *what, const cid_t *root, const uint64_t numbers[3])
{
    s->len = strlen(what) + 1;
    memcpy(s->data, what, s->len);
    s->len += cid_encode_multihash(root, s->data + s->len);
    for (size_t i = 0; i < 3; i++)
        s->len += uvarint_put(s->data + s->len, numbers[i]);
}

static void say_entry(statement_t *s, const cid_t *root, const replica_entry_t *e)
{
    say(s, "distribute-replica-entry-v1", root, (const uint64_t[3]){e->seq, e->state, e->since_ms});
}

static void say_head(statement_t *s, const cid_t *root, const replica_head_t *h)
{
    say(s, "distribute-replica-head-v1", root, (const uint64_t[3]){h->version, h->target, h->is_released});
}

static err_t seal(const private_key_t *key, const statement_t *s, replica_seal_t *ret)
{
    AUTO(buf_t) out;
    buf_init(&out, REPLICA_SEAL_MAX);
    if (private_key_type(key) != KEY_ED25519 && private_key_type(key) != KEY_SECP256K1)
        return fail(ERR_UNSUPPORTED, "copies are kept among nodes with Ed25519 or secp256k1 identities");
    TRY(private_key_sign(key, bytes_of(s->data, s->len), &out));
    ret->len = (uint8_t)out.len;
    memcpy(ret->data, out.data, out.len);
    return OK;
}

static err_t verify(const peer_id_t *peer, const statement_t *s, const replica_seal_t *seal)
{
    public_key_t key;
    if (peer_id_public_key(peer, &key))
        return fail(ERR_CRYPTO, "a peer whose ID has no key in it cannot have signed");
    return public_key_verify(&key, bytes_of(s->data, s->len), bytes_of(seal->data, seal->len));
}

bool replica_can_seal(const peer_id_t *peer)
{
    public_key_t key;
    return !peer_id_public_key(peer, &key);
}

err_t replica_entry_seal(const private_key_t *key, const cid_t *root, replica_entry_t *e)
{
    statement_t s;
    say_entry(&s, root, e);
    return seal(key, &s, &e->seal);
}

err_t replica_head_seal(const private_key_t *key, const cid_t *root, replica_head_t *h)
{
    statement_t s;
    say_head(&s, root, h);
    return seal(key, &s, &h->seal);
}

err_t replica_entry_verify(const cid_t *root, const replica_entry_t *e)
{
    statement_t s;
    say_entry(&s, root, e);
    return verify(&e->peer, &s, &e->seal);
}

err_t replica_head_verify(const cid_t *root, const replica_head_t *h)
{
    statement_t s;
    say_head(&s, root, h);
    return verify(&h->owner, &s, &h->seal);
}

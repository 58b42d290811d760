#include "codec/ipns_record.h"

static bool same_fields(const ipns_fields_t *a, const ipns_fields_t *b)
{
    return bytes_equal(a->value, b->value) && a->sequence == b->sequence &&
           a->validity_type == b->validity_type;
}

/* As it comes. When it can be read, a record made of its fields says the same, and is valid. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static private_key_t *key;
    static peer_id_t name;
    static const uint8_t seed[32] = {1};
    if (!key &&
        (private_key_generate(KEY_ED25519, seed, 0, &key) || peer_id_of(private_key_public(key), &name)))
        return 0;
    bytes_t in = bytes_of(data, size);
    ipns_record_t r, back;
    assert(ipns_record_compare(in, in) == 0);
    if (ipns_record_decode(in, &r))
        return 0;
    err_t e = ipns_record_verify(&r, &name); /* the seeds are signed with this key, and others with none */
    if (!r.has_end)
        return 0;
    AUTO(buf_t) value, made;
    buf_init(&value, 64 << 10);
    buf_init(&made, 64 << 10);
    e = ipns_record_value(&r, &value);
    ipns_new_t fields = {
        r.signed_fields.value, r.signed_fields.sequence, r.signed_fields.ttl_ns, r.end_s, r.end_ns, true};
    e = ipns_record_create(key, &fields, &made);
    assert(e == OK || e == ERR_LIMIT);
    if (e)
        return 0;
    e = ipns_record_decode(buf_bytes(&made), &back);
    assert(e == OK && same_fields(&r.signed_fields, &back.signed_fields) && back.end_ns == r.end_ns);
    e = ipns_record_verify(&back, &name);
    assert(e == OK);
    return 0;
}

#include "vault/contents.h"
#include <stdlib.h>

enum { LINKS = 4 };

/* What is sealed comes from whoever shares a file. First byte: links, their kind, and where it is sealed;
 * then the text. What is taken is whole, and encodes to the same bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    uint8_t how = data[0];
    bool is_node = how & 1, is_folder = how & 2;
    cid_t links[LINKS];
    static const uint8_t digest[32] = {1}, fixed[48];
    for (size_t i = 0; i < LINKS; i++)
        links[i] = cid_of_sha256(1, how & 4 ? CODEC_DAG_CBOR : CODEC_RAW, digest);
    AUTO(buf_t) clear, block, again;
    buf_init(&clear, 4096);
    buf_init(&block, 4096);
    buf_init(&again, 1 << 20);
    manifest_t m = {.is_node = is_node,
                    .node = 1,
                    .n_links = (how >> 3) % (LINKS + 1),
                    .salt = bytes_of(fixed, 32),
                    .check = bytes_of(fixed, 32),
                    .wrapped = bytes_of(fixed, 48)};
    err_t e = manifest_encode_clear(&m, links, &clear);
    assert(!e);
    manifest_t read;
    static private_key_t *key;
    if (!is_node && !key && private_key_generate(KEY_ED25519, digest, 0, &key))
        return 0;
    e = manifest_encode(buf_bytes(&clear), BYTES_NONE, is_node ? NULL : key, &block);
    assert(!e);
    e = manifest_decode(buf_bytes(&block), &read);
    assert(!e);
    contents_t c;
    bytes_t plain = bytes_of(data + 1, size - 1);
    if (contents_decode(plain, &read, is_node ? how >> 6 : UINT32_MAX, is_folder, &c))
        return 0;
    e = contents_encode(&c, is_node, &again);
    assert(!e && bytes_starts_with(plain, buf_bytes(&again)));
    assert(!c.n_entries || c.n_entries == m.n_links);
    assert(!c.keys.len || c.keys.len == m.n_links * VAULT_SECRET_BYTES);
    reader_t r = reader_of(c.entries);
    for (size_t i = 0; i < c.n_entries; i++) {
        contents_entry_t entry = contents_next_entry(&r);
        assert(!r.err && contents_name_is_valid(entry.name));
    }
    assert(!reader_left(&r));
    return 0;
}

#include "vault/key_file.h"

/* Exported keys as they are given to import: files (those under a passphrase are looked at alone: it would
 * take Argon2id) and words. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes_t in = bytes_of(data, size);
    AUTO_PTR(vault_keys_t) file = NULL;
    AUTO_PTR(vault_keys_t) words = NULL;
    AUTO(buf_t) again;
    buf_init(&again, KEY_WORDS_MAX_BYTES);
    if (!key_file_decode(in, BYTES_NONE, &file)) {
        err_t e = key_file_encode(file, BYTES_NONE, &again);
        assert(!e && bytes_equal(buf_bytes(&again), in));
    }
    if (!key_words_decode(in, &words)) {
        AUTO_PTR(vault_keys_t) back = NULL;
        buf_clear(&again);
        err_t e = key_words_encode(words, &again);
        assert(!e);
        e = key_words_decode(buf_bytes(&again), &back);
        assert(!e && bytes_equal(vault_keys_secrets(back), vault_keys_secrets(words)));
    }
    return 0;
}

/* The first part is taken for a key file; the rest comes from a member of the network, in pieces of any size:
 * what it sealed is what is opened, however it is cut. */
#include "wire/pnet.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t key[PNET_KEY_BYTES] = {1, 2, 3}, nonces[2][PNET_NONCE_BYTES] = {{4}, {5}};

static void read_key(bytes_t file)
{
    uint8_t found[PNET_KEY_BYTES], name[PNET_FINGERPRINT_BYTES];
    if (!pnet_key_parse(file, found) && pnet_key_fingerprint(found, name))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    read_key(bytes_of(data, size));
    pnet_t here, there;
    pnet_init(&here, key, nonces[0]);
    pnet_init(&there, key, nonces[1]);
    uint8_t nonce[PNET_NONCE_BYTES];
    memcpy(nonce, nonces[0], sizeof nonce);
    bytes_t none = pnet_open(&there, nonce, sizeof nonce); /* it may seal when it knows ours */
    assert(!none.len);
    uint8_t *in = xmalloc(sizeof nonce + size), *out = xmalloc(size);
    memcpy(in, nonces[1], sizeof nonce);
    pnet_seal(&there, data, in + sizeof nonce, size);
    size_t total = sizeof nonce + size, n = 0;
    for (size_t at = 0, step = 0; at < total; step++) {
        size_t len = 1 + data[step % size] % 40;
        len = len < total - at ? len : total - at;
        bytes_t plain = pnet_open(&here, in + at, len);
        assert(n + plain.len <= size);
        memcpy(out + n, plain.len ? plain.data : data, plain.len);
        n += plain.len;
        at += len;
    }
    assert(n == size && !memcmp(out, data, size));
    free(in);
    free(out);
    pnet_deinit(&here);
    pnet_deinit(&there);
    return 0;
}

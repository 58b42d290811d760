/* pnet: private networks. Peers that share a key of 32 bytes put an XSalsa20 stream over their connections,
 * below everything else: whoever lacks the key understands nothing and is understood by nobody. Each side
 * first sends a nonce. Spec: libp2p/specs pnet/Private-Networks-PSK-V1; it neither authenticates nor replaces
 * Noise or TLS.
 *
 *   each direction:  NONCE --24 bytes--> OPEN */
#ifndef WIRE_PNET_H
#define WIRE_PNET_H
#include "crypto/xsalsa20.h"

#define PNET_KEY_BYTES XSALSA20_KEY_BYTES
#define PNET_NONCE_BYTES XSALSA20_NONCE_BYTES
#define PNET_FINGERPRINT_BYTES 16
#define PNET_FILE_MAX_BYTES 4096

typedef struct pnet {
    uint8_t key[PNET_KEY_BYTES]; /* wiped when both directions are open */
    uint8_t nonce[PNET_NONCE_BYTES];
    uint8_t nonce_len; /* of the peer's */
    xsalsa20_t send, receive;
} pnet_t;

/* nonce: fresh randomness, to be sent as it is before all else. */
void pnet_init(pnet_t *p, const uint8_t key[PNET_KEY_BYTES], const uint8_t nonce[PNET_NONCE_BYTES]);
void pnet_deinit(pnet_t *p); /* wipes */
/* Takes what came, in its place: the plaintext is the end of `in`, empty while the nonce is not all there. */
bytes_t pnet_open(pnet_t *p, uint8_t *in, size_t len);
void pnet_seal(pnet_t *p, const uint8_t *in, uint8_t *out, size_t len);

/* A key file (swarm.key): two lines that name the format, then the key in base16, base64 or binary.
 * ERR_INVALID. */
MUST_CHECK err_t pnet_key_parse(bytes_t file, uint8_t ret_key[PNET_KEY_BYTES]);
/* A name for the key from which nobody finds it, as Kubo prints it. */
MUST_CHECK err_t pnet_key_fingerprint(const uint8_t key[PNET_KEY_BYTES], uint8_t out[PNET_FINGERPRINT_BYTES]);
#endif

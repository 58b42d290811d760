/* What decodes encodes, and decodes to the same again. */
#include "wire/replica.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    replica_message_t *m = xcalloc(1, sizeof *m);
    AUTO(buf_t) once, twice;
    buf_init(&once, 1u << 20);
    buf_init(&twice, 1u << 20);
    if (replica_message_decode(bytes_of(data, size), m) == OK) {
        if (m->record.n_entries > REPLICA_ENTRIES_MAX || m->n_digests > REPLICA_DIGESTS_MAX)
            abort();
        if (replica_message_encode(m, &once))
            abort();
        err_t e = replica_message_decode(buf_bytes(&once), m);
        if (e && !(e == ERR_LIMIT && once.len > REPLICA_MESSAGE_MAX_BYTES)) /* written longer than it came */
            abort();
        if (!e && (replica_message_encode(m, &twice) || !bytes_equal(buf_bytes(&once), buf_bytes(&twice))))
            abort();
    }
    free(m);
    return 0;
}

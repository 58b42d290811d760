#include "meta/peer.h"

void storage_peer_read(const json_t *o, storage_peer_t *ret)
{
    AUTO(buf_t) raw = {0};
    buf_init(&raw, TLS_FINGERPRINT_BYTES);
    const char *id = json_string_value(json_object_get(o, "id"));
    const char *address = json_string_value(json_object_get(o, "address"));
    const char *fingerprint = json_string_value(json_object_get(o, "fingerprint"));
    const char *state = json_string_value(json_object_get(o, "state"));
    *ret = (storage_peer_t){.is_pending = state && !strcmp(state, "pending")};
    snprintf(ret->id, sizeof ret->id, "%s", id ? id : "");
    snprintf(ret->address, sizeof ret->address, "%s", address ? address : "");
    ret->has_fingerprint =
        fingerprint && !hex_decode(bytes_str(fingerprint), &raw) && raw.len == TLS_FINGERPRINT_BYTES;
    if (ret->has_fingerprint)
        memcpy(ret->fingerprint, raw.data, raw.len);
}

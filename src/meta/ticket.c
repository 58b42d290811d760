#include "meta/ticket.h"
#include "crypto/hash.h"
#include "multi/multibase.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAC_CHARS = 43, COVERED_MAX = 320 };

static bool is_hex(const char *text, size_t len)
{
    return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

bool meta_is_id(const char *text)
{
    return is_hex(text, META_ID_CHARS);
}

bool meta_is_chunk_id(const char *text)
{
    return is_hex(text, META_CHUNK_ID_CHARS);
}

static void mac_of(const ticket_key_t *key, const char *covered, char out[MAC_CHARS + 1])
{
    uint8_t mac[32];
    buf_t text = {0};
    buf_init(&text, MAC_CHARS + 1);
    hmac_sha256(bytes_of(key->key, sizeof key->key), bytes_str(covered), mac);
    err_t e = multibase_encode_raw(MB_BASE64URL, bytes_of(mac, sizeof mac), &text);
    assert(!e && text.len == MAC_CHARS);
    memcpy(out, text.data, MAC_CHARS);
    out[MAC_CHARS] = 0;
    buf_deinit(&text);
}

/* The head of the text, and what the MAC covers besides: a text without an end would let one kind pass for
 * another, so each begins with its kind and its parts have fixed lengths or no dots in them. */
static void seal(const ticket_key_t *key, const char *head, const char *more, char out[TICKET_TEXT_MAX])
{
    char covered[COVERED_MAX], mac[MAC_CHARS + 1];
    int len = snprintf(covered, sizeof covered, "%s|%s", head, more);
    assert(len > 0 && (size_t)len < sizeof covered);
    mac_of(key, covered, mac);
    len = snprintf(out, TICKET_TEXT_MAX, "%s.%s", head, mac);
    assert(len > 0 && len < TICKET_TEXT_MAX);
}

void ticket_read_make(const ticket_keys_t *keys, const char *chunk_id, uint64_t expires_s,
                      char out[TICKET_TEXT_MAX])
{
    char head[TICKET_TEXT_MAX / 2];
    snprintf(head, sizeof head, "r1.%" PRIu32 ".%" PRIu64, keys->list[0].id, expires_s);
    seal(&keys->list[0], head, chunk_id, out);
}

/* For so many bytes of what has this id. */
static void make_bounded(const ticket_keys_t *keys, const char *kind, const char *id, uint64_t max_bytes,
                         uint64_t expires_s, char out[TICKET_TEXT_MAX])
{
    char head[TICKET_TEXT_MAX - MAC_CHARS - 1];
    snprintf(head, sizeof head, "%.3s%" PRIu32 ".%" PRIu64 ".%.32s.%" PRIu64, kind, keys->list[0].id,
             expires_s, id, max_bytes);
    seal(&keys->list[0], head, "", out);
}

void ticket_write_make(const ticket_keys_t *keys, const char *upload_id, uint64_t max_bytes,
                       uint64_t expires_s, char out[TICKET_TEXT_MAX])
{
    make_bounded(keys, "w1.", upload_id, max_bytes, expires_s, out);
}

void ticket_ipfs_make(const ticket_keys_t *keys, const char *file_id, uint64_t max_bytes, uint64_t expires_s,
                      char out[TICKET_TEXT_MAX])
{
    make_bounded(keys, "i1.", file_id, max_bytes, expires_s, out);
}

void ticket_node_keys(const ticket_keys_t *root, const char *node_id, ticket_keys_t *ret)
{
    char what[64];
    snprintf(what, sizeof what, "distribute receipts of %.32s", node_id);
    *ret = (ticket_keys_t){.count = root->count};
    for (size_t i = 0; i < root->count; i++) {
        ret->list[i].id = root->list[i].id;
        hmac_sha256(bytes_of(root->list[i].key, TICKET_KEY_BYTES), bytes_str(what), ret->list[i].key);
    }
}

void ticket_receipt_make(const ticket_keys_t *keys, const char *upload_id, const char *chunk_id,
                         uint64_t size_bytes, const char *node_id, char out[TICKET_TEXT_MAX])
{
    char head[32], more[COVERED_MAX - 64];
    snprintf(head, sizeof head, "s1.%" PRIu32, keys->list[0].id);
    snprintf(more, sizeof more, "%.32s|%.64s|%" PRIu64 "|%.32s", upload_id, chunk_id, size_bytes, node_id);
    seal(&keys->list[0], head, more, out);
}

/* A decimal number before the next dot, which is passed over. */
static bool take_number(const char **at, uint64_t *ret)
{
    uint64_t value = 0;
    size_t n = strspn(*at, "0123456789");
    if (!n || n > 19 || (*at)[n] != '.' || (n > 1 && **at == '0'))
        return false;
    for (size_t i = 0; i < n; i++)
        value = value * 10 + (uint64_t)((*at)[i] - '0');
    *at += n + 1;
    *ret = value;
    return true;
}

/* Compares with what the key with this id would have made of the same head. */
static err_t check_mac(const ticket_keys_t *keys, uint64_t key_id, const char *text, const char *more)
{
    char head[TICKET_TEXT_MAX], again[TICKET_TEXT_MAX];
    size_t len = strlen(text);
    if (len >= TICKET_TEXT_MAX || len < MAC_CHARS + 2)
        return fail(ERR_DENIED, "this is no ticket");
    memcpy(head, text, len - MAC_CHARS - 1);
    head[len - MAC_CHARS - 1] = 0;
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->list[i].id != key_id)
            continue;
        seal(&keys->list[i], head, more, again);
        if (bytes_equal_secret(bytes_str(text), bytes_str(again)))
            return OK;
        return fail(ERR_DENIED, "the ticket is for something else, or was changed");
    }
    return fail(ERR_DENIED, "the ticket was made with a key that is not in use: ask for a new one");
}

static err_t check_expiry(uint64_t expires_s, uint64_t now_s)
{
    return now_s < expires_s ? OK : fail(ERR_DENIED, "the ticket has expired: ask for a new one");
}

static bool take_kind(const char **at, const char *kind)
{
    size_t len = strlen(kind);
    if (strlen(*at) >= TICKET_TEXT_MAX || strncmp(*at, kind, len))
        return false;
    *at += len;
    return true;
}

err_t ticket_read_check(const ticket_keys_t *keys, const char *ticket, const char *chunk_id, uint64_t now_s)
{
    const char *at = ticket;
    uint64_t key_id, expires_s;
    if (!take_kind(&at, "r1.") || !take_number(&at, &key_id) || !take_number(&at, &expires_s) ||
        strlen(at) != MAC_CHARS || !meta_is_chunk_id(chunk_id))
        return fail(ERR_DENIED, "this is no ticket for reading");
    TRY(check_mac(keys, key_id, ticket, chunk_id));
    return check_expiry(expires_s, now_s);
}

static err_t check_bounded(const ticket_keys_t *keys, const char *kind, const char *ticket, uint64_t now_s,
                           char ret_id[META_ID_CHARS + 1], uint64_t *ret_max_bytes)
{
    const char *at = ticket;
    char id[META_ID_CHARS + 1];
    uint64_t key_id, expires_s, max_bytes;
    if (!take_kind(&at, kind) || !take_number(&at, &key_id) || !take_number(&at, &expires_s))
        return fail(ERR_DENIED, "this is no such ticket");
    snprintf(id, sizeof id, "%s", at);
    if (!meta_is_id(id) || at[META_ID_CHARS] != '.')
        return fail(ERR_DENIED, "this is no such ticket");
    at += META_ID_CHARS + 1;
    if (!take_number(&at, &max_bytes) || strlen(at) != MAC_CHARS)
        return fail(ERR_DENIED, "this is no such ticket");
    TRY(check_mac(keys, key_id, ticket, ""));
    TRY(check_expiry(expires_s, now_s));
    memcpy(ret_id, id, sizeof id);
    *ret_max_bytes = max_bytes;
    return OK;
}

err_t ticket_write_check(const ticket_keys_t *keys, const char *ticket, uint64_t now_s,
                         char ret_upload_id[META_ID_CHARS + 1], uint64_t *ret_max_bytes)
{
    return check_bounded(keys, "w1.", ticket, now_s, ret_upload_id, ret_max_bytes);
}

err_t ticket_ipfs_check(const ticket_keys_t *keys, const char *ticket, uint64_t now_s,
                        char ret_file_id[META_ID_CHARS + 1], uint64_t *ret_max_bytes)
{
    return check_bounded(keys, "i1.", ticket, now_s, ret_file_id, ret_max_bytes);
}

err_t ticket_receipt_check(const ticket_keys_t *keys, const char *receipt, const char *upload_id,
                           const char *chunk_id, uint64_t size_bytes, const char *node_id)
{
    const char *at = receipt;
    char more[COVERED_MAX - 64];
    uint64_t key_id;
    if (!take_kind(&at, "s1.") || !take_number(&at, &key_id) || strlen(at) != MAC_CHARS ||
        !meta_is_id(upload_id) || !meta_is_id(node_id) || !meta_is_chunk_id(chunk_id))
        return fail(ERR_DENIED, "this is no receipt of a storage node");
    snprintf(more, sizeof more, "%s|%s|%" PRIu64 "|%s", upload_id, chunk_id, size_bytes, node_id);
    return check_mac(keys, key_id, receipt, more);
}

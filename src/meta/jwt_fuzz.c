/* Tokens and key sets from anybody: no crash, bounded memory, and nothing that we did not sign is taken. Byte
 * 0 chooses. */
#include "meta/jwt.h"
#include "meta/master.h"
#include "meta/ticket.h"
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_ticket(const uint8_t *data, size_t size)
{
    static const ticket_keys_t keys = {.list = {{1, {1}}}, .count = 1};
    char text[TICKET_TEXT_MAX + 8], id[META_ID_CHARS + 1];
    uint64_t max_bytes;
    static const char chunk[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    snprintf(text, sizeof text, "%.*s", (int)(size < sizeof text ? size : sizeof text - 1),
             (const char *)data);
    (void)!ticket_read_check(&keys, text, chunk, 1);
    (void)!ticket_write_check(&keys, text, 1, id, &max_bytes);
    (void)!ticket_receipt_check(&keys, text, chunk + 32, chunk, 5, chunk + 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const jwks_t none = {0};
    jwt_rules_t rules = {.issuer = "us", .now_s = 1000};
    jwt_claims_t claims;
    jwks_t keys = {0};
    master_keys_t master;
    if (!size)
        return 0;
    bytes_t rest = bytes_of(data + 1, size - 1);
    if (data[0] % 4 == 0)
        assert(jwt_verify(&none, &rules, rest, &claims) == ERR_UNAUTHORIZED);
    else if (data[0] % 4 == 1 && !jwks_parse(rest, &keys))
        assert(keys.count && keys.count <= JWKS_KEYS_MAX);
    else if (data[0] % 4 == 2)
        try_ticket(data + 1, size - 1);
    else if (data[0] % 4 == 3 && !master_keys_parse(rest, &master))
        assert(master.count && master.count <= MASTER_KEYS_MAX);
    jwks_deinit(&keys);
    return 0;
}

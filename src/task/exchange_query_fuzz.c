/* Queries of any form: parameters are found or not, never read past their end, and what percent_encode
 * writes percent_decode reads back. */
#include "task/exchange.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(bytes_t in)
{
    AUTO(buf_t) encoded, decoded;
    buf_init(&encoded, 3 * in.len);
    buf_init(&decoded, in.len);
    if (percent_encode(in, "/", &encoded) || percent_decode(buf_bytes(&encoded), true, &decoded) ||
        !bytes_equal(buf_bytes(&decoded), in))
        abort();
}

static void check_parameter(exchange_t *x, const char *name)
{
    AUTO(buf_t) value;
    buf_init(&value, 16384);
    size_t n = 0;
    err_t e;
    while ((e = exchange_query(x, name, n, &value)) != ERR_NOT_FOUND)
        n++;
    if (exchange_has_query(x, name) != (n > 0))
        abort();
    exchange_query_bool(x, name, true);
    uint64_t number = 5;
    if (exchange_query_u64(x, name, 6, &number) && number != 5)
        abort(); /* untouched by a failure */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    check_round_trip(bytes_of(data, size));
    char *query = malloc(size + 1);
    if (size)
        memcpy(query, data, size);
    query[size] = 0;
    exchange_t x = {.query = query};
    static const char *const names[] = {"arg", "a", "", "stream-channels"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        check_parameter(&x, names[i]);
    free(query);
    return 0;
}

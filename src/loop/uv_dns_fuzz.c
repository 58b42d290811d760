/* A DNS message from anywhere is parsed or refused, and keeps within its bounds. */
#include "loop/uv_internal.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dns_answer_t *a = xcalloc(1, sizeof *a);
    err_t e = dns_parse_txt(bytes_of(data, size), a);
    assert(!e || e == ERR_INVALID || e == ERR_NOT_FOUND);
    assert(e ? a->count == 0 : a->count > 0 && a->count <= DNS_MAX_ANSWERS);
    for (size_t i = 0; i < a->count; i++)
        assert(a->text[i].len <= size);
    dns_answer_deinit(a);
    free(a);
    return 0;
}

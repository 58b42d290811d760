#include "multi/multicodec.h"
#include <string.h>

static const multicodec_t table[] = {
#include "multi/multicodec_table.inc"
};

const multicodec_t *multicodec_table(size_t *ret_count)
{
    *ret_count = ARRAY_LEN(table);
    return table;
}

const char *multicodec_name(uint64_t code)
{
    size_t low = 0, high = ARRAY_LEN(table);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (table[middle].code == code)
            return table[middle].name;
        if (table[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

err_t multicodec_from_name(const char *name, uint64_t *ret_code)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (!strcmp(table[i].name, name)) {
            *ret_code = table[i].code;
            return OK;
        }
    return fail(ERR_NOT_FOUND, "no multicodec is called \"%s\"", name);
}

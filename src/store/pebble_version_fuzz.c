/* Edits of a manifest that anybody may have written: tables are added and removed, never more than edits
 * have named. The input is one edit, applied twice. */
#include "store/pebble_version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pebble_version_t v;
    pebble_version_init(&v);
    for (int i = 0; i < 2; i++)
        if (pebble_version_apply(&v, bytes_of(data, size)))
            break;
    assert(v.count <= 2 * size);
    pebble_version_sort(&v);
    for (size_t i = 0; i < v.count; i++)
        assert(v.files[i].level < PEBBLE_LEVELS && (!i || v.files[i - 1].level <= v.files[i].level));
    pebble_version_deinit(&v);
    pebble_version_deinit(&v);
    return 0;
}

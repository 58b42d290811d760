#include "api/gateway.h"

/* The first eight bytes are the size, the rest is the header: what is answered lies inside the file, and is
 * never more than the file when it is several ranges. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t file_size;
    char header[1024];
    if (size < sizeof file_size || size - sizeof file_size >= sizeof header)
        return 0;
    memcpy(&file_size, data, sizeof file_size);
    memcpy(header, data + sizeof file_size, size - sizeof file_size);
    header[size - sizeof file_size] = 0;
    ranges_t r;
    ranges_parse(header, file_size, &r);
    assert(r.count <= RANGES_MAX && !(r.count && r.is_unsatisfiable));
    uint64_t total = 0;
    for (size_t i = 0; i < r.count; i++) {
        assert(r.list[i].len && r.list[i].from < file_size && r.list[i].len <= file_size - r.list[i].from);
        assert(r.count == 1 || r.list[i].len <= file_size - total);
        total += r.list[i].len;
    }
    return 0;
}

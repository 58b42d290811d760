/* The first byte says how the rest is split; any split must be heard the same. */
#include "api/multipart.h"

static uint64_t hear(bytes_t in, size_t step)
{
    AUTO(multipart_t) m;
    uint64_t hash = 1469598103934665603u;
    if (multipart_init(&m, "multipart/form-data; boundary=b"))
        return 0;
    while (in.len) {
        uint8_t *area;
        size_t cap, n = step < in.len ? step : in.len;
        multipart_room(&m, &area, &cap);
        n = n < cap ? n : cap;
        memcpy(area, in.data, n);
        multipart_filled(&m, n);
        in = bytes_slice(in, n, in.len);
        bytes_t data = BYTES_NONE;
        multipart_event_t event;
        while ((event = multipart_next(&m, &data)) != MULTIPART_MORE) {
            if (event != MULTIPART_DATA)
                data = event == MULTIPART_PART ? bytes_str(m.part.filename) : BYTES_NONE;
            for (size_t i = 0; i < data.len; i++)
                hash = (hash ^ data.data[i]) * 1099511628211u;
            if (event != MULTIPART_DATA)
                hash = (hash ^ (0x100u + event)) * 1099511628211u;
            if (event == MULTIPART_ERROR)
                return hash;
        }
    }
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    bytes_t in = bytes_of(data + 1, size - 1);
    uint64_t whole = hear(in, SIZE_MAX), split = hear(in, 1 + data[0] % 64);
    assert(whole == split);
    return 0;
}

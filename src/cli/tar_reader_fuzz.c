/* Any split of an archive gives the same entries and bytes. */
#include "base/prng.h"
#include "cli/tar_reader.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A running hash of all that came out, and how it ended. */
static uint64_t run(bytes_t in, size_t max_piece, err_t *ret_end)
{
    tar_reader_t *r = malloc(sizeof *r);
    uint64_t hash = 1469598103934665603u;
    tar_reader_init(r);
    *ret_end = OK;
    for (size_t at = 0; !*ret_end && at < in.len;) {
        size_t n = in.len - at < max_piece ? in.len - at : max_piece;
        bytes_t piece = bytes_slice(in, at, n), data;
        at += n;
        tar_event_t event = TAR_ENTRY;
        while (!*ret_end && event != TAR_MORE && event != TAR_END) {
            *ret_end = tar_reader_feed(r, &piece, &event, &data);
            const char *text = event == TAR_ENTRY ? r->entry.name : "";
            bytes_t seen = !*ret_end && event == TAR_DATA ? data : bytes_str(*ret_end ? "" : text);
            for (size_t i = 0; i < seen.len; i++)
                hash = (hash ^ seen.data[i]) * 1099511628211u;
        }
    }
    tar_reader_deinit(r);
    free(r);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    err_t whole_end, split_end;
    uint64_t whole = run(bytes_of(data, size), size ? size : 1, &whole_end);
    uint64_t split = run(bytes_of(data, size), 1 + size % 13, &split_end);
    assert(whole == split && whole_end == split_end);
    return 0;
}

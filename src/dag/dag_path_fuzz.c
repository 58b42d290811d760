#include "dag/path.h"

/* Whatever parses has names without slashes, none empty, "." or "..", all inside the text; and what is
 * written from them parses to the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dag_path_t path, again;
    bytes_t text = bytes_of(data, size);
    if (dag_path_parse(text, &path))
        return 0;
    AUTO(buf_t) plain;
    buf_init(&plain, size + 1);
    assert(path.count <= PATH_MAX_SEGMENTS);
    err_t e = OK;
    for (size_t i = 0; i < path.count && !e; i++) {
        bytes_t s = path.segments[i];
        assert(s.len && !memchr(s.data, '/', s.len) && s.data >= data && s.data + s.len <= data + size);
        assert(!bytes_equal(s, BYTES_LIT(".")) && !bytes_equal(s, BYTES_LIT("..")));
        e = buf_append(&plain, BYTES_LIT("/"));
        if (!e)
            e = buf_append(&plain, s);
    }
    assert(!e);
    e = dag_path_parse_rest(&path.root, buf_bytes(&plain), &again);
    assert(!e && again.count == path.count);
    for (size_t i = 0; i < path.count; i++)
        assert(bytes_equal(path.segments[i], again.segments[i]));
    return 0;
}

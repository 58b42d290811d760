#include "naming/content_path.h"
#include "multi/cid.h"

static const struct {
    const char *prefix;
    bool is_mutable;
} spaces[] = {{"/ipfs/", false}, {"/ipns/", true}, {"/ipld/", false}, {"ipfs://", false}, {"ipns://", true}};

err_t content_path_split(bytes_t text, content_path_t *ret)
{
    size_t i = 0;
    int shown = text.len < 120 ? (int)text.len : 120;
    while (i < ARRAY_LEN(spaces) && !bytes_starts_with(text, bytes_str(spaces[i].prefix)))
        i++;
    if (i == ARRAY_LEN(spaces) || (text.len && memchr(text.data, 0, text.len)))
        return fail(ERR_INVALID, "invalid path \"%.*s\": it is not under /ipfs/ or /ipns/", shown,
                    (const char *)text.data);
    bytes_t behind = bytes_slice(text, strlen(spaces[i].prefix), text.len);
    const uint8_t *slash = behind.len ? memchr(behind.data, '/', behind.len) : NULL;
    content_path_t p = {.is_mutable = spaces[i].is_mutable};
    p.root = bytes_slice(behind, 0, slash ? (size_t)(slash - behind.data) : behind.len);
    p.rest = bytes_slice(behind, p.root.len, behind.len);
    cid_t cid;
    if (!p.root.len)
        return fail(ERR_INVALID, "invalid path \"%.*s\": path does not have enough components", shown,
                    (const char *)text.data);
    if (!p.is_mutable && cid_parse(p.root, &cid))
        return fail_also(ERR_INVALID, "invalid path \"%.*s\": invalid CID", shown, (const char *)text.data);
    *ret = p;
    return OK;
}

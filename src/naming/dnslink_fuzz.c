#include "naming/content_path.h"
#include "naming/dns_label.h"
#include "naming/dnslink.h"

/* What a TXT record gives is a path that can be split, and no longer than what came in plus a namespace and a
 * CID. Text without hyphens at its ends survives being made one label. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_t) out, text, label, back;
    content_path_t path;
    const char *name, *inlined;
    bytes_t in = bytes_of(data, size);
    buf_init(&out, size + 1024);
    buf_init(&text, size + 1);
    buf_init(&label, 2 * size + 1);
    buf_init(&back, 2 * size + 1);
    for (int under_prefix = 0; under_prefix < 2; under_prefix++) {
        buf_clear(&out);
        if (!dnslink_parse(in, under_prefix, &out)) {
            err_t e = content_path_split(buf_bytes(&out), &path);
            assert(!e && path.root.len);
        }
    }
    if (!content_path_split(in, &path))
        assert(path.root.len + path.rest.len < size);
    err_t e = buf_append(&text, in);
    e = e ? e : buf_cstr(&text, &name);
    if (e || strlen(name) != size || !dns_is_domain(name))
        return 0;
    e = dns_label_inline(name, &label);
    if (e || strstr(name, "-.") || strstr(name, ".-")) /* hyphens at the end of a label: no domain has them */
        return 0;
    e = buf_cstr(&label, &inlined);
    assert(!e && strlen(inlined) <= DNS_LABEL_MAX_CHARS);
    e = dns_label_uninline(inlined, &back);
    assert(!e && bytes_equal(buf_bytes(&back), in));
    return 0;
}

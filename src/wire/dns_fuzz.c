/* Whatever comes as a DNS message: read to its end within bounds, names printable, nothing read twice. */
#include "wire/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name)
{
    size_t len = strnlen(name, DNS_NAME_TEXT_MAX);
    assert(len < DNS_NAME_TEXT_MAX);
    for (size_t i = 0; i < len; i++)
        assert(name[i] > ' ' && name[i] <= '~' && !(name[i] >= 'A' && name[i] <= 'Z'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dns_message_t m;
    dns_record_t r;
    char target[DNS_NAME_TEXT_MAX];
    if (dns_decode(bytes_of(data, size), &m))
        return 0;
    size_t left = reader_left(&m.at);
    while (dns_next(&m, &r)) {
        assert(reader_left(&m.at) < left);
        left = reader_left(&m.at);
        check_name(r.name);
        if (r.type == DNS_TYPE_PTR && !dns_pointer(&m, &r, target))
            check_name(target);
        reader_t in = reader_of(r.data);
        size_t total = 0;
        for (bytes_t text; dns_next_string(&in, &text);)
            total += 1 + text.len;
        assert(total <= r.data.len);
    }
    return 0;
}

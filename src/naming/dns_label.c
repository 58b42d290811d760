#include "naming/dns_label.h"
#include "multi/peer_id.h"

err_t dns_label_inline(const char *domain, buf_t *out)
{
    size_t start = out->len;
    for (const char *p = domain; *p; p++)
        TRY(buf_append(out, *p == '-' ? BYTES_LIT("--") : *p == '.' ? BYTES_LIT("-") : bytes_of(p, 1)));
    if (out->len - start <= DNS_LABEL_MAX_CHARS)
        return OK;
    out->len = start;
    return fail(ERR_LIMIT, "the DNSLink name \"%.100s\" does not fit a DNS label of %d characters", domain,
                DNS_LABEL_MAX_CHARS);
}

err_t dns_label_uninline(const char *label, buf_t *out)
{
    for (const char *p = label; *p; p++) {
        bool is_pair = p[0] == '-' && p[1] == '-';
        TRY(buf_append_u8(out, (uint8_t)(is_pair ? '-' : *p == '-' ? '.' : *p)));
        p += is_pair;
    }
    return OK;
}

bool dns_is_domain(const char *text)
{
    size_t len = strlen(text);
    peer_id_t id;
    if (len && text[len - 1] == '.')
        len--;
    if (!len || len > DNS_NAME_MAX_CHARS || !peer_id_parse(text, &id))
        return false;
    for (size_t i = 0, label = 0; i <= len; i++) {
        if (i < len && text[i] != '.') {
            label++;
            continue;
        }
        if (!label || label > DNS_LABEL_MAX_CHARS)
            return false;
        label = 0;
    }
    return true;
}

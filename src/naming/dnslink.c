#include "naming/dnslink.h"
#include "multi/cid.h"
#include "naming/content_path.h"
#include "naming/dns_label.h"
#include "task/driver.h"
#include <stdio.h>
#include <stdlib.h>

#define PREFIX "_dnslink."
enum { PATH_MAX_BYTES = 16 << 10 };

err_t dnslink_parse(bytes_t txt, bool is_under_prefix, buf_t *out)
{
    bytes_t value = txt;
    content_path_t path;
    cid_t cid;
    char text[CID_TEXT_MAX];
    if (bytes_starts_with(txt, BYTES_LIT("dnslink=")))
        value = bytes_slice(txt, 8, txt.len);
    else if (!is_under_prefix)
        return fail(ERR_INVALID, "not a valid dnslink entry");
    if (value.len && value.data[0] == '/' && !content_path_split(value, &path))
        return buf_append(out, value);
    if (!cid_parse(value, &cid))
        return buf_printf(out, "/ipfs/%s", cid_print(&cid, text));
    return fail(ERR_INVALID, "not a valid dnslink entry");
}

/* Of one name; ERR_NOT_FOUND also when its records are something else. */
static err_t lookup_at(task_t *t, const char *name, bool is_under_prefix, buf_t *out, uint32_t *ret_ttl_s)
{
    dns_answer_t *answer = xcalloc(1, sizeof *answer); /* large for a task's stack */
    AUTO(buf_t) path, other;
    buf_init(&path, PATH_MAX_BYTES);
    buf_init(&other, PATH_MAX_BYTES);
    err_t e = dns_resolve(t, name, DNS_TXT, answer);
    size_t n = 0;
    for (size_t i = 0; !e && i < answer->count; i++) {
        buf_t *to = n ? &other : &path;
        buf_clear(to);
        if (dnslink_parse(buf_bytes(&answer->text[i]), is_under_prefix, to))
            buf_clear(to);
        else
            n++;
    }
    uint32_t ttl_s = e ? 0 : answer->ttl_s;
    if (!e)
        dns_answer_deinit(answer);
    free(answer);
    if (!e && n > 1)
        return fail(ERR_INVALID,
                    "could not resolve name: DNSLink lookup returned more than one IPFS content path; "
                    "ask domain owner to remove duplicate TXT records");
    if (!e && !n)
        return fail(ERR_NOT_FOUND, "%s has no DNSLink", name);
    TRY(e);
    *ret_ttl_s = ttl_s;
    return buf_append(out, buf_bytes(&path));
}

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f)
            return false;
    return true;
}

err_t dnslink_lookup(task_t *t, const char *domain, buf_t *out, uint32_t *ret_ttl_s)
{
    char name[sizeof PREFIX + DNS_NAME_MAX_CHARS + 2];
    size_t len = strlen(domain);
    if (!dns_is_domain(domain))
        return fail(ERR_INVALID, "not a valid domain name: \"%.100s\"", domain);
    if (!is_ascii(domain))
        return fail(ERR_INVALID, "\"%.100s\" is not ASCII: write the domain in its xn-- form", domain);
    snprintf(name, sizeof name, PREFIX "%s", domain);
    if (domain[len - 1] == '.')
        name[strlen(name) - 1] = 0;
    err_t e = strlen(name) <= DNS_NAME_MAX_CHARS ? lookup_at(t, name, true, out, ret_ttl_s)
                                                 : fail(ERR_NOT_FOUND, "too long for its prefix");
    if (e == ERR_NOT_FOUND)
        e = lookup_at(t, name + sizeof PREFIX - 1, false, out, ret_ttl_s);
    if (e == ERR_NOT_FOUND)
        return fail(
            e,
            "DNSLink lookup for \"%.100s.\" failed: could not resolve name: DNSLink lookup could not find a "
            "TXT record (https://docs.ipfs.tech/concepts/dnslink/)",
            name + sizeof PREFIX - 1);
    return e;
}

#include "net/doh.h"
#include "web/http_fetch.h"
#include "wire/dns.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
    MESSAGE_MAX_BYTES = 64 << 10,
    LOOKUP_TIMEOUT_MS = 10000,
    TXT_MAX_BYTES = 64 << 10,
    RCODE_MASK = 15,
    RCODE_NO_NAME = 3,
    FLAG_RECURSION_DESIRED = 0x0100,
};

typedef struct doh_server {
    char *domain, *url; /* domain: without dots around it; "" is all */
} doh_server_t;
struct doh {
    doh_server_t servers[DOH_SERVERS_MAX];
    size_t count;
};

doh_t *doh_new(void)
{
    return xcalloc(1, sizeof(doh_t));
}

void doh_free(doh_t *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->count; i++) {
        free(d->servers[i].domain);
        free(d->servers[i].url);
    }
    free(d);
}

/* Whoever reads along on the way could answer as well. */
static bool is_private_enough(const char *url)
{
    static const char *const prefixes[] = {"https://",
                                           "http://127.0.0.1:", "http://[::1]:", "http://localhost:"};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (!strncasecmp(url, prefixes[i], strlen(prefixes[i])))
            return true;
    return false;
}

/* The domain without dots around it. */
static bytes_t bare(const char *domain)
{
    bytes_t text = bytes_str(domain);
    while (text.len && text.data[0] == '.')
        text = bytes_slice(text, 1, text.len);
    while (text.len && text.data[text.len - 1] == '.')
        text.len--;
    return text;
}

err_t doh_add(doh_t *d, const char *domain, const char *url)
{
    if (!is_private_enough(url))
        return fail(ERR_USAGE, "the resolver of \"%.100s\" must be an https URL, not \"%.200s\"", domain,
                    url);
    if (d->count == DOH_SERVERS_MAX)
        return fail(ERR_LIMIT, "more than %d resolvers", DOH_SERVERS_MAX);
    bytes_t text = bare(domain);
    d->servers[d->count++] = (doh_server_t){strndup((const char *)text.data, text.len), xstrdup(url)};
    return OK;
}

static bool is_within(bytes_t name, const char *domain)
{
    size_t n = strlen(domain);
    const char *end = (const char *)name.data + name.len - n;
    return !n || (name.len >= n && !strncasecmp(end, domain, n) && (name.len == n || end[-1] == '.'));
}

static const char *url_for(const doh_t *d, const char *name)
{
    const doh_server_t *best = NULL;
    for (size_t i = 0; i < d->count; i++) {
        const doh_server_t *s = &d->servers[i];
        if (is_within(bare(name), s->domain) && (!best || strlen(s->domain) > strlen(best->domain)))
            best = s;
    }
    return best ? best->url : NULL;
}

/* ── messages ────────────────────────────────────────────────────────────────────────────────── */
static uint16_t wire_type(dns_type_t type)
{
    return type == DNS_A ? DNS_TYPE_A : type == DNS_AAAA ? DNS_TYPE_AAAA : DNS_TYPE_TXT;
}

static err_t put_question(const char *name, dns_type_t type, buf_t *out)
{
    writer_t w = writer_to(out);
    dns_put_header(&w, 0, FLAG_RECURSION_DESIRED, (uint16_t[4]){1, 0, 0, 0});
    bytes_t left = bare(name);
    while (left.len) {
        const uint8_t *dot = memchr(left.data, '.', left.len);
        bytes_t label = bytes_slice(left, 0, dot ? (size_t)(dot - left.data) : left.len);
        if (!label.len || label.len > DNS_LABEL_MAX || name[0] == '.')
            return fail(ERR_INVALID, "\"%.300s\" is no name of DNS", name);
        dns_put_label(&w, label);
        left = bytes_slice(left, label.len + 1, left.len);
    }
    dns_put_name_end(&w);
    write_u16be(&w, wire_type(type));
    write_u16be(&w, DNS_CLASS_IN);
    return w.err;
}

static err_t take_record(const dns_record_t *r, dns_answer_t *a)
{
    buf_t *out = &a->text[a->count++];
    buf_init(out, TXT_MAX_BYTES);
    if (r->type != DNS_TYPE_TXT)
        return buf_append(out, r->data);
    bytes_t text;
    for (reader_t in = reader_of(r->data); dns_next_string(&in, &text);)
        TRY(buf_append(out, text));
    return OK;
}

static err_t read_answer(bytes_t message, uint16_t type, dns_answer_t *a)
{
    dns_message_t m;
    TRY(dns_decode(message, &m));
    if ((m.flags & RCODE_MASK) == RCODE_NO_NAME)
        return fail(ERR_NOT_FOUND, "no such name");
    if (m.flags & RCODE_MASK)
        return fail(ERR_UNREACHABLE, "the resolver failed with code %d", m.flags & RCODE_MASK);
    dns_record_t *r = xmalloc(sizeof *r); /* large for a task's stack */
    err_t e = OK;
    a->ttl_s = UINT32_MAX;
    while (!e && a->count < DNS_MAX_ANSWERS && dns_next(&m, r)) {
        if (!r->is_answer || r->class != DNS_CLASS_IN)
            continue;
        a->ttl_s = r->ttl_s < a->ttl_s ? r->ttl_s : a->ttl_s; /* of aliases on the way, too */
        if (r->type == type)
            e = take_record(r, a);
    }
    free(r);
    TRY(e);
    if (m.at.err)
        return fail(ERR_INVALID, "malformed answer");
    return a->count ? OK : fail(ERR_NOT_FOUND, "no record of this type");
}

/* ── lookups ─────────────────────────────────────────────────────────────────────────────────── */
static err_t ask(task_t *t, const char *url, bytes_t question, buf_t *out)
{
    static const http_field_t fields[] = {{"Content-Type", "application/dns-message"},
                                          {"Accept", "application/dns-message"}};
    http_fetch_t f = {.method = "POST",
                      .url = url,
                      .fields = fields,
                      .n_fields = ARRAY_LEN(fields),
                      .body = question,
                      .max_in_bytes = MESSAGE_MAX_BYTES};
    deadline_t d = deadline_push(t, LOOKUP_TIMEOUT_MS);
    err_t e = http_fetch_all(t, &f, out);
    deadline_pop(t, &d);
    TRY(e);
    if (f.status != 200)
        return fail(ERR_UNREACHABLE, "the resolver answers %d", f.status);
    return OK;
}

err_t doh_resolve(task_t *t, void *arg, const char *name, dns_type_t type, dns_answer_t *ret)
{
    const char *url = url_for(arg, name);
    AUTO(buf_t) question = {0}, message = {0};
    if (!url)
        return ERR_AGAIN;
    buf_init(&question, DNS_HEADER_BYTES + DNS_NAME_MAX_BYTES + 4);
    buf_init(&message, MESSAGE_MAX_BYTES);
    TRY(put_question(name, type, &question));
    dns_answer_t *a = xcalloc(1, sizeof *a);
    err_t e = ask(t, url, buf_bytes(&question), &message);
    if (!e)
        e = read_answer(buf_bytes(&message), wire_type(type), a);
    if (e)
        dns_answer_deinit(a);
    else
        *ret = *a;
    free(a);
    return e ? fail_also(e, "look up %.300s over %.200s", name, url) : OK;
}

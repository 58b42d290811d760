/* gateway_names: what names under /ipns/ and in host names mean. */
#include "api/gateway.h"
#include "naming/naming.h"
#include <stdio.h>
#include <strings.h>

/* Every host that a client names is looked up before anything is served on it. */
enum { HOST_LOOKUP_MS = 5000, HOST_FAILED_MS = 10000 };
_Static_assert((int)FAILED_HOST_CHARS > (int)DNS_NAME_MAX_CHARS, "any name fits");

static bool has_failed(const failed_hosts_t *f, const char *name, uint64_t now_ms)
{
    for (size_t i = 0; i < FAILED_HOSTS_MAX; i++)
        if (f->list[i].until_ms > now_ms && !strcasecmp(f->list[i].name, name))
            return true;
    return false;
}

/* Without an answer of DNS (no name server, a network that swallows packets) each request would wait anew. */
static void remember_failed(failed_hosts_t *f, const char *name, uint64_t now_ms)
{
    snprintf(f->list[f->next].name, FAILED_HOST_CHARS, "%s", name);
    f->list[f->next].until_ms = now_ms + HOST_FAILED_MS;
    f->next = (f->next + 1) % FAILED_HOSTS_MAX;
}

bool gateway_has_dnslink(task_t *t, gateway_request_t *r, bytes_t host)
{
    char name[DNS_NAME_MAX_CHARS + 1];
    bool has = false;
    naming_t *naming = node_naming(r->api->node);
    bytes_t bare = host_without_port(host);
    if (!naming || !bare.len || bare.len >= sizeof name || host_is_address(host))
        return false;
    memcpy(name, bare.data, bare.len);
    name[bare.len] = 0;
    failed_hosts_t *failed = &r->api->failed_hosts;
    if (strlen(name) != bare.len || !dns_is_domain(name) || has_failed(failed, name, task_now_ms(t)))
        return false;
    deadline_t d = deadline_push(t, HOST_LOOKUP_MS);
    err_t e = naming_has_dnslink(t, naming, name, &has);
    deadline_pop(t, &d);
    if (e && e != ERR_CANCELED) /* a client that leaves says nothing about the host */
        remember_failed(failed, name, task_now_ms(t));
    return !e && has;
}

static err_t resolve_name(task_t *t, gateway_request_t *r)
{
    naming_options_t options;
    AUTO(naming_answer_t) answer = {0};
    const char *path;
    naming_t *naming = node_naming(r->api->node);
    if (!naming)
        return fail(ERR_UNSUPPORTED, "this node has no name system");
    naming_options_default(&options);
    options.is_offline = r->is_cached_only || r->settings->no_fetch;
    TRY(buf_cstr(&r->content_path, &path));
    if (strlen(path) != r->content_path.len)
        return fail(ERR_INVALID, "the path holds a zero byte");
    deadline_t d = gateway_begin_retrieval(t, r);
    err_t e = naming_resolve(t, naming, path, &options, &answer);
    deadline_pop(t, &d);
    TRY(e);
    r->ttl_ms = answer.has_ttl ? answer.ttl_ms : 0;
    r->modified_s = (int64_t)(answer.found_wall_ms / 1000);
    buf_clear(&r->immutable_path);
    return buf_append(&r->immutable_path, buf_bytes(&answer.path));
}

err_t gateway_resolve_names(task_t *t, gateway_request_t *r)
{
    r->is_mutable = bytes_starts_with(buf_bytes(&r->content_path), BYTES_LIT("/ipns/"));
    if (!r->is_mutable)
        return dag_path_parse(buf_bytes(&r->content_path), &r->path);
    TRY(resolve_name(t, r));
    return dag_path_parse(buf_bytes(&r->immutable_path), &r->path);
}

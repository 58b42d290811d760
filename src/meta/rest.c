#include "meta/rest.h"
#include "base/json_depth.h"
#include "crypto/tls_mutual.h"
#include "multi/multibase.h"
#include "web/http_fetch.h"
#include <stdlib.h>

enum { TIMEOUT_MS = 60000, DEPTH_MAX = 16 };

err_t rest_init(rest_t *r, const char *address, const char *secret)
{
    bool has_scheme = !strncmp(address, "http://", 7) || !strncmp(address, "https://", 8);
    int len = snprintf(r->url, sizeof r->url, "%s%s", has_scheme ? "" : "http://", address);
    if (!*address || len >= (int)sizeof r->url || (secret && strlen(secret) >= sizeof r->secret))
        return fail(ERR_USAGE, "\"%.100s\" is not the address of a metadata service", address);
    while (len && r->url[len - 1] == '/')
        r->url[--len] = 0;
    snprintf(r->secret, sizeof r->secret, "%s", secret ? secret : "");
    return OK;
}

err_t rest_set_authorities(rest_t *r, bytes_t pem)
{
    buf_deinit(&r->authorities);
    buf_init(&r->authorities, TLS_MUTUAL_PEM_MAX);
    return buf_append(&r->authorities, pem);
}

void rest_deinit(rest_t *r)
{
    buf_deinit(&r->authorities);
    secret_wipe(r->secret, sizeof r->secret);
}

static err_t error_of_status(int status)
{
    for (int e = 1; e < ERR_COUNT; e++)
        if (error_http_status((err_t)e) == status && e != ERR_IO && e != ERR_AGAIN && e != ERR_CANCELED)
            return (err_t)e;
    return status == 412 ? ERR_EXISTS : status == 413 ? ERR_LIMIT : status >= 500 ? ERR_IO : ERR_INVALID;
}

static err_t refuse(int status, json_t *answer)
{
    err_t e = error_of_status(status);
    const char *text = json_string_value(json_object_get(json_object_get(answer, "error"), "message"));
    if (e == ERR_NOT_FOUND && !text) /* a proxy before it says nothing of what the service has */
        return fail(ERR_PROTOCOL, "status %d, and not from a metadata service", status);
    return fail(e, "%s (the metadata service, status %d)", text ? text : error_text(e), status);
}

static err_t parse_answer(const buf_t *text, json_t **ret)
{
    json_error_t why;
    *ret = NULL;
    if (!text->len)
        return OK;
    TRY(json_check_depth(buf_bytes(text), DEPTH_MAX));
    *ret = json_loadb((const char *)text->data, text->len, JSON_REJECT_DUPLICATES, &why);
    return *ret ? OK
                : fail(ERR_PROTOCOL, "the metadata service answers something else than JSON: %s", why.text);
}

static err_t fetch(task_t *t, const rest_t *r, rest_call_t *c, bytes_t body, buf_t *out)
{
    char authorization[REST_SECRET_MAX_BYTES + 8];
    char parent[TRACEPARENT_CHARS + 1];
    size_t url_bytes = strlen(r->url) + strlen(c->path) + 1;
    char *url = xmalloc(url_bytes);
    http_field_t fields[5];
    size_t n = 0;
    snprintf(url, url_bytes, "%s%s", r->url, c->path);
    snprintf(authorization, sizeof authorization, "Bearer %s", r->secret);
    fields[n++] = (http_field_t){"Content-Type", "application/json"};
    if (*r->secret)
        fields[n++] = (http_field_t){"Authorization", authorization};
    if (c->if_match)
        fields[n++] = (http_field_t){"If-Match", c->if_match};
    fields[n++] = (http_field_t){"traceparent", span_traceparent(c->span, parent)};
    http_fetch_t f = {.method = c->method,
                      .url = url,
                      .fields = fields,
                      .n_fields = n,
                      .body = body,
                      .authorities = buf_bytes(&r->authorities),
                      .stays_here = true,
                      .max_in_bytes = REST_ANSWER_MAX_BYTES};
    err_t e = http_fetch_all(t, &f, out);
    c->status = f.status;
    secret_wipe(authorization, sizeof authorization);
    free(url);
    return e;
}

err_t rest_send(task_t *t, const rest_t *r, rest_call_t *c, json_t **ret_answer)
{
    AUTO(buf_t) out = {0};
    json_t *answer = NULL;
    char *body = c->body ? json_dumps(c->body, JSON_COMPACT) : NULL;
    buf_init(&out, REST_ANSWER_MAX_BYTES);
    deadline_t d = deadline_push(t, TIMEOUT_MS);
    trace_span_t span;
    char name[SPAN_NAME_MAX];
    snprintf(name, sizeof name, "%.8s %.*s", c->method, (int)(1 + strcspn(c->path + 1, "/?")), c->path);
    span_begin(t, &span, SPAN_CLIENT, name, NULL);
    c->span = &span;
    err_t e = fetch(t, r, c, body ? bytes_str(body) : BYTES_NONE, &out);
    c->span = NULL;
    span_end(t, &span, e || c->status >= 400, NULL);
    deadline_pop(t, &d);
    free(body);
    if (e == ERR_NOT_FOUND) /* its name has no address: ERR_NOT_FOUND is what the service alone may say */
        e = fail(ERR_UNREACHABLE, "the host of the metadata service has no address");
    if (e)
        return fail_also(e, "asking the metadata service at %s", r->url);
    e = parse_answer(&out, &answer);
    secret_wipe(out.data, out.len); /* keys of files may be in it */
    if (c->status >= 300)
        e = refuse(c->status, answer);
    if (e)
        json_decref(answer);
    else
        *ret_answer = answer;
    return e;
}

err_t rest_do(task_t *t, const rest_t *r, const char *method, const char *path, json_t *body,
              json_t **ret_answer)
{
    rest_call_t c = {.method = method, .path = path, .body = body};
    json_t *answer = NULL;
    err_t e = rest_send(t, r, &c, &answer);
    json_decref(body);
    if (!e && ret_answer && !answer)
        return fail(ERR_PROTOCOL, "the metadata service answers nothing to %s %.100s", method, path);
    if (!e && ret_answer)
        *ret_answer = answer;
    else
        json_decref(answer);
    return e;
}

static err_t wrong(const char *name)
{
    return fail(ERR_PROTOCOL, "the metadata service's answer has no proper \"%s\"", name);
}

err_t rest_text(const json_t *o, const char *name, const char **ret)
{
    const char *text = json_string_value(json_object_get(o, name));
    if (!text)
        return wrong(name);
    *ret = text;
    return OK;
}

err_t rest_number(const json_t *o, const char *name, uint64_t *ret)
{
    const json_t *v = json_object_get(o, name);
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return wrong(name);
    *ret = (uint64_t)json_integer_value(v);
    return OK;
}

err_t rest_key32(const json_t *o, const char *name, uint8_t ret[32])
{
    const char *text;
    AUTO(buf_t) raw = {0};
    buf_init(&raw, 64);
    TRY(rest_text(o, name, &text));
    if (strlen(text) != 44 || multibase_decode_raw(MB_BASE64PAD, bytes_str(text), &raw) || raw.len != 32)
        return wrong(name);
    memcpy(ret, raw.data, 32);
    secret_wipe(raw.data, raw.len);
    return OK;
}

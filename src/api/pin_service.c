#include "api/pin_service.h"
#include "base/json_depth.h"
#include "base/version.h"
#include "task/exchange.h"
#include "web/http_fetch.h"
#include <stdio.h>
#include <stdlib.h>

enum { ANSWER_MAX_BYTES = 4 << 20, TIMEOUT_MS = 60000, KEY_MAX_CHARS = 4096 };

void pin_service_deinit(pin_service_t *s)
{
    free(s->endpoint);
    if (s->key)
        secret_wipe(s->key, strlen(s->key));
    free(s->key);
    *s = (pin_service_t){0};
}

/* ── endpoints ───────────────────────────────────────────────────────────────────────────────── */
err_t pin_service_normalize(const char *endpoint, char **ret)
{
    size_t scheme = strncmp(endpoint, "http://", 7) == 0 ? 7 : strncmp(endpoint, "https://", 8) == 0 ? 8 : 0;
    if (!scheme || !endpoint[scheme] || endpoint[scheme] == '/' || endpoint[strcspn(endpoint, " #\t\r\n")] ||
        strlen(endpoint) > URL_MAX_BYTES / 2)
        return fail(ERR_INVALID, "service endpoint must be a valid HTTP URL");
    if (strchr(endpoint, '?'))
        return fail(ERR_INVALID, "service endpoint should be provided without any query parameters");
    char *out = xmalloc(strlen(endpoint) + 1);
    size_t n = scheme;
    memcpy(out, endpoint, n);
    for (const char *p = endpoint + scheme; *p; p++)
        if (*p != '/' || out[n - 1] != '/')
            out[n++] = *p;
    while (n > scheme && out[n - 1] == '/')
        n--;
    out[n] = 0;
    if (n > 5 && strcmp(out + n - 5, "/pins") == 0) {
        free(out);
        return fail(ERR_INVALID, "service endpoint should be provided without the /pins suffix");
    }
    *ret = out;
    return OK;
}

/* ── one request ─────────────────────────────────────────────────────────────────────────────── */
static const char *text_of(json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

/* NULL: not JSON, or nested so deeply that it is none of a service's answers. */
static json_t *parse_answer(const buf_t *body)
{
    if (json_check_depth(buf_bytes(body), JSON_DEPTH_MAX))
        return NULL;
    return json_loadb((const char *)body->data, body->len, 0, NULL);
}

/* The body of a failure: {"error": {"reason": "…", "details": "…"}}. */
static err_t refuse(int status, const buf_t *body)
{
    json_t *o = parse_answer(body);
    json_t *why = json_object_get(o, "error");
    err_t e =
        json_is_object(why)
            ? fail(ERR_REFUSED,
                   "remote pinning service returned http error %d: reason: \"%.100s\", details: \"%.300s\"",
                   status, text_of(why, "reason"), text_of(why, "details"))
            : fail(ERR_REFUSED, "remote pinning service returned http error %d", status);
    json_decref(o);
    return e;
}

/* ret NULL: the answer's body does not matter. */
static err_t request(task_t *t, const pin_service_t *s, const char *method, const char *path,
                     const char *body, json_t **ret)
{
    char *url = xmalloc(URL_MAX_BYTES), *bearer = xmalloc(KEY_MAX_CHARS + 8);
    AUTO(buf_t) answer = {0};
    buf_init(&answer, ANSWER_MAX_BYTES);
    snprintf(bearer, KEY_MAX_CHARS + 8, "Bearer %.*s", KEY_MAX_CHARS, s->key);
    http_field_t fields[] = {{"Authorization", bearer},
                             {"Accept", "application/json"},
                             {"User-Agent", DISTRIBUTE_AGENT},
                             {"Content-Type", "application/json"}};
    http_fetch_t f = {.method = method,
                      .url = url,
                      .fields = fields,
                      .n_fields = body ? 4 : 3,
                      .body = body ? bytes_str(body) : BYTES_NONE,
                      .max_in_bytes = ANSWER_MAX_BYTES};
    bool fits = (size_t)snprintf(url, URL_MAX_BYTES, "%s%s", s->endpoint, path) < URL_MAX_BYTES;
    deadline_t d = deadline_push(t, TIMEOUT_MS);
    err_t e =
        fits ? http_fetch_all(t, &f, &answer) : fail(ERR_USAGE, "the request to the service is too long");
    deadline_pop(t, &d);
    free(url);
    secret_wipe(bearer, KEY_MAX_CHARS + 8);
    free(bearer);
    TRY(e);
    if (f.status < 200 || f.status > 299)
        return refuse(f.status, &answer);
    if (!ret)
        return OK;
    json_t *o = parse_answer(&answer);
    if (!o)
        return fail(ERR_PROTOCOL, "the remote pinning service's answer is not JSON");
    *ret = o;
    return OK;
}

/* ── the calls ───────────────────────────────────────────────────────────────────────────────── */
static bool is_status(json_t *o)
{
    return json_is_string(json_object_get(o, "requestid")) && json_is_string(json_object_get(o, "status")) &&
           json_is_string(json_object_get(o, "created")) &&
           json_is_string(json_object_get(json_object_get(o, "pin"), "cid"));
}

static err_t keep_if(bool is_good, json_t *o, json_t **ret)
{
    if (is_good) {
        *ret = o;
        return OK;
    }
    json_decref(o);
    return fail(ERR_PROTOCOL, "the remote pinning service's answer lacks what the specification demands");
}

err_t pin_service_list(task_t *t, const pin_service_t *s, const char *query, json_t **ret_page)
{
    AUTO(buf_t) path = {0};
    const char *text;
    json_t *page, *one;
    size_t i;
    buf_init(&path, URL_MAX_BYTES);
    TRY(buf_printf(&path, "/pins%s", query));
    TRY(buf_cstr(&path, &text));
    TRY(request(t, s, "GET", text, NULL, &page));
    bool is_good =
        json_is_integer(json_object_get(page, "count")) && json_is_array(json_object_get(page, "results"));
    json_array_foreach(json_object_get(page, "results"), i, one) is_good = is_good && is_status(one);
    return keep_if(is_good, page, ret_page);
}

err_t pin_service_add(task_t *t, const pin_service_t *s, json_t *pin, json_t **ret_status)
{
    json_t *status;
    char *body = json_dumps(pin, JSON_COMPACT);
    err_t e =
        body ? request(t, s, "POST", "/pins", body, &status) : fail(ERR_NO_MEMORY, "no memory for a request");
    free(body);
    TRY(e);
    return keep_if(is_status(status), status, ret_status);
}

static err_t path_of(const char *request_id, buf_t *out, const char **ret)
{
    buf_init(out, URL_MAX_BYTES);
    TRY(buf_append(out, BYTES_LIT("/pins/")));
    TRY(percent_encode(bytes_str(request_id), "-_.~", out));
    return buf_cstr(out, ret);
}

err_t pin_service_status(task_t *t, const pin_service_t *s, const char *request_id, json_t **ret_status)
{
    AUTO(buf_t) path = {0};
    const char *text;
    json_t *status;
    TRY(path_of(request_id, &path, &text));
    TRY(request(t, s, "GET", text, NULL, &status));
    return keep_if(is_status(status), status, ret_status);
}

err_t pin_service_remove(task_t *t, const pin_service_t *s, const char *request_id)
{
    AUTO(buf_t) path = {0};
    const char *text;
    TRY(path_of(request_id, &path, &text));
    return request(t, s, "DELETE", text, NULL, NULL);
}

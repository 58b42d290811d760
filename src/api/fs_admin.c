/* fs_admin: accounts, API keys, the log and the master key of the file service, by `distribute fs`. */
#include "api/fs_run.h"
#include "repo/config.h"
#include "task/exchange.h"
#include <stdlib.h>

enum { PATH_MAX_CHARS = 512, SCOPES_MAX_CHARS = 64, LOG_PAGE = 1000 };

/* "/users/NAME" and what follows; the name as a part of a path. */
static err_t path_of(const char *collection, const char *name, const char *more, char out[PATH_MAX_CHARS])
{
    AUTO(buf_t) path = {0};
    const char *text;
    buf_init(&path, PATH_MAX_CHARS - 1);
    TRY(buf_printf(&path, "%s/", collection));
    TRY(percent_encode(bytes_str(name), "", &path));
    TRY(buf_printf(&path, "%s", more));
    TRY(buf_cstr(&path, &text));
    snprintf(out, PATH_MAX_CHARS, "%s", text);
    return OK;
}

/* A member that is a secret, from the file that an option names. */
static err_t add_secret(task_t *t, const fs_run_t *f, const char *option, const char *member, json_t *body)
{
    AUTO(buf_t) secret = {0};
    const char *path = fs_run_option(f, option), *text;
    if (!path)
        return OK;
    TRY(fs_run_secret(t, f, path, &secret));
    err_t e = buf_cstr(&secret, &text);
    if (!e && json_object_set_new(body, member, json_string(text)))
        e = fail(ERR_USAGE, "a password is UTF-8");
    secret_wipe(secret.data, secret.cap);
    return e;
}

/* A number of bytes or files; "none" takes the limit away. */
static err_t add_quota(const fs_run_t *f, const char *option, const char *member, json_t *body)
{
    const char *text = fs_run_option(f, option);
    uint64_t n;
    if (!text)
        return OK;
    if (!strcmp(text, "none")) {
        json_object_set_new(body, member, json_null());
        return OK;
    }
    TRY(parse_size(text, &n));
    if (n > INT64_MAX)
        return fail(ERR_USAGE, "--%s is too large", option);
    json_object_set_new(body, member, json_integer((json_int_t)n));
    return OK;
}

static err_t add_quotas(const fs_run_t *f, json_t *body)
{
    TRY(add_quota(f, "quota-bytes", "quota_bytes", body));
    return add_quota(f, "quota-files", "quota_files", body);
}

/* ── accounts ────────────────────────────────────────────────────────────────────────────────── */
static err_t user_add(task_t *t, fs_run_t *f)
{
    const char *role = fs_run_option(f, "role");
    if (!fs_run_option(f, "password-file"))
        return fail(ERR_USAGE, "the account's password comes from --password-file (- for standard input)");
    AUTO_PTR(json_t) body = json_pack("{s:s s:s}", "username", f->r->args[0], "role", role ? role : "user");
    TRY(body ? OK : fail(ERR_USAGE, "names are UTF-8"));
    TRY(add_secret(t, f, "password-file", "password", body));
    TRY(add_quotas(f, body));
    return fs_run_ask(t, f, "POST", "/users", json_incref(body));
}

static err_t list_all(task_t *t, const fs_run_t *f, const char *path, const char *cursor_name)
{
    char at[PATH_MAX_CHARS];
    snprintf(at, sizeof at, "%s", path);
    for (;;) {
        AUTO_PTR(json_t) answer = NULL;
        TRY(rest_do(t, f->rest, "GET", at, NULL, &answer));
        TRY(f->r->emit(t, f->r->arg, answer));
        const json_t *next = json_object_get(answer, cursor_name);
        if (json_is_string(next))
            snprintf(at, sizeof at, "%s&cursor=%.100s", path, json_string_value(next));
        else if (json_is_integer(next))
            snprintf(at, sizeof at, "%s&from_seq=%lld", path, (long long)json_integer_value(next));
        else
            return OK;
    }
}

static err_t user_list(task_t *t, fs_run_t *f)
{
    return list_all(t, f, "/users?limit=1000", "next_cursor");
}

static err_t user_remove(task_t *t, fs_run_t *f)
{
    char path[PATH_MAX_CHARS];
    TRY(path_of("/users", f->r->args[0], "", path));
    return rest_do(t, f->rest, "DELETE", path, NULL, NULL);
}

/* The limits that are not named stay as they are. */
static err_t set_quota(task_t *t, fs_run_t *f)
{
    AUTO_PTR(json_t) now = NULL;
    char path[PATH_MAX_CHARS];
    if (!fs_run_option(f, "quota-bytes") && !fs_run_option(f, "quota-files"))
        return OK;
    TRY(path_of("/users", f->r->args[0], "/quota", path));
    TRY(rest_do(t, f->rest, "GET", path, NULL, &now));
    AUTO_PTR(json_t)
    body = json_pack("{s:O s:O}", "quota_bytes", json_object_get(now, "quota_bytes"), "quota_files",
                     json_object_get(now, "quota_files"));
    TRY(body ? OK : fail(ERR_PROTOCOL, "the metadata service's answer has no quotas"));
    TRY(add_quotas(f, body));
    return rest_do(t, f->rest, "PUT", path, json_incref(body), NULL);
}

static err_t user_set(task_t *t, fs_run_t *f)
{
    AUTO_PTR(json_t) body = json_object();
    const char *role = fs_run_option(f, "role");
    bool is_off = fs_run_flag(f, "disable"), is_on = fs_run_flag(f, "enable");
    char path[PATH_MAX_CHARS];
    if (is_off && is_on)
        return fail(ERR_USAGE, "--disable or --enable");
    if (role)
        json_object_set_new(body, "role", json_string(role));
    if (is_off || is_on)
        json_object_set_new(body, "is_disabled", json_boolean(is_off));
    TRY(add_secret(t, f, "password-file", "password", body));
    TRY(set_quota(t, f));
    TRY(path_of("/users", f->r->args[0], "", path));
    return json_object_size(body) ? fs_run_ask(t, f, "PATCH", path, json_incref(body))
                                  : fs_run_ask(t, f, "GET", path, NULL);
}

static err_t change_password(task_t *t, fs_run_t *f)
{
    AUTO_PTR(json_t) body = json_object();
    const char *old = getenv("DISTRIBUTE_PASSWORD");
    if (!fs_run_option(f, "password-file"))
        return fail(ERR_USAGE, "the new password comes from --password-file (- for standard input)");
    TRY(add_secret(t, f, "password-file", "password", body));
    TRY(add_secret(t, f, "old-password-file", "old_password", body));
    if (!fs_run_option(f, "old-password-file") && old)
        json_object_set_new(body, "old_password", json_string(old));
    return fs_run_ask(t, f, "PATCH", "/users/me", json_incref(body));
}

/* ── API keys ────────────────────────────────────────────────────────────────────────────────── */
static err_t key_add(task_t *t, fs_run_t *f)
{
    const char *given = fs_run_option(f, "scope"), *expires = fs_run_option(f, "expires-in");
    char scopes[SCOPES_MAX_CHARS], *rest = scopes;
    uint64_t seconds;
    if (!given || strlen(given) >= sizeof scopes)
        return fail(ERR_USAGE,
                    "--scope says what the key is for: read, write, node, admin (several: read,write)");
    snprintf(scopes, sizeof scopes, "%s", given);
    AUTO_PTR(json_t) body = json_pack("{s:s s:[]}", "name", f->r->args[0], "scopes");
    TRY(body ? OK : fail(ERR_USAGE, "names are UTF-8"));
    for (char *one; (one = strsep(&rest, ","));)
        json_array_append_new(json_object_get(body, "scopes"), json_string(one));
    if (expires) {
        TRY(parse_size(expires, &seconds));
        json_object_set_new(body, "expires_in_s", json_integer((json_int_t)seconds));
    }
    return fs_run_ask(t, f, "POST", "/api_keys", json_incref(body));
}

static err_t key_list(task_t *t, fs_run_t *f)
{
    return fs_run_ask(t, f, "GET", "/api_keys", NULL);
}

static err_t key_remove(task_t *t, fs_run_t *f)
{
    char path[PATH_MAX_CHARS];
    TRY(path_of("/api_keys", f->r->args[0], "", path));
    return rest_do(t, f->rest, "DELETE", path, NULL, NULL);
}

static err_t key_rotate(task_t *t, fs_run_t *f)
{
    const char *grace = fs_run_option(f, "grace");
    char path[PATH_MAX_CHARS];
    uint64_t seconds = 0;
    if (grace)
        TRY(parse_size(grace, &seconds));
    TRY(path_of("/api_keys", f->r->args[0], "/rotate", path));
    return fs_run_ask(t, f, "POST", path, json_pack("{s:I}", "grace_s", (json_int_t)seconds));
}

/* ── the log, the master key ─────────────────────────────────────────────────────────────────── */
static err_t audit(task_t *t, fs_run_t *f)
{
    AUTO(buf_t) path = {0};
    const char *const names[] = {"actor", "action"}, *text;
    buf_init(&path, PATH_MAX_CHARS / 2);
    TRY(buf_printf(&path, "/audit?limit=%d", LOG_PAGE));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!fs_run_option(f, names[i]))
            continue;
        TRY(buf_printf(&path, "&%s=", names[i]));
        TRY(percent_encode(bytes_str(fs_run_option(f, names[i])), "", &path));
    }
    TRY(buf_cstr(&path, &text));
    return list_all(t, f, text, "next_seq");
}

static err_t master_status(task_t *t, fs_run_t *f)
{
    return fs_run_ask(t, f, "GET", "/keys", NULL);
}

static err_t master_rotate(task_t *t, fs_run_t *f)
{
    return fs_run_ask(t, f, "POST", "/keys/rotate", NULL);
}

bool fs_admin_run(task_t *t, fs_run_t *f, err_t *ret)
{
    static const struct {
        const char *verb;
        err_t (*run)(task_t *t, fs_run_t *f);
    } verbs[] = {{"user add", user_add}, {"user ls", user_list},           {"user rm", user_remove},
                 {"user set", user_set}, {"passwd", change_password},      {"key add", key_add},
                 {"key ls", key_list},   {"key rm", key_remove},           {"key rotate", key_rotate},
                 {"audit", audit},       {"master status", master_status}, {"master rotate", master_rotate}};
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (!strcmp(verbs[i].verb, f->r->verb)) {
            *ret = verbs[i].run(t, f);
            return true;
        }
    return false;
}

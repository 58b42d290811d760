#include "api/fs_session.h"
#include <jansson.h>
#include <stdlib.h>

enum { SESSION_MAX_BYTES = 16 << 10, PATH_BYTES = 4096 };

static err_t session_path(char out[PATH_BYTES])
{
    const char *named = getenv("DISTRIBUTE_FS_SESSION"), *config = getenv("XDG_CONFIG_HOME"),
               *home = getenv("HOME");
    int len = named ? snprintf(out, PATH_BYTES, "%s", named)
              : config && *config
                  ? snprintf(out, PATH_BYTES, "%s/distribute/fs.json", config)
                  : snprintf(out, PATH_BYTES, "%s/.config/distribute/fs.json", home ? home : ".");
    return len < PATH_BYTES ? OK : fail(ERR_USAGE, "the path of the session file is too long");
}

static void take_path(const json_t *o, const char *name, char out[1024])
{
    const char *path = json_string_value(json_object_get(o, name));
    if (path && strlen(path) < 1024)
        snprintf(out, 1024, "%s", path);
}

static err_t parse(const buf_t *text, fs_session_t *s)
{
    json_t *o = json_loadb((const char *)text->data, text->len, 0, NULL);
    const char *url = json_string_value(json_object_get(o, "url"));
    const char *token = json_string_value(json_object_get(o, "token"));
    bool is_fit = url && token && strlen(url) < sizeof s->url && strlen(token) < sizeof s->token;
    if (is_fit) {
        snprintf(s->url, sizeof s->url, "%s", url);
        snprintf(s->token, sizeof s->token, "%s", token);
        take_path(o, "metadata_ca", s->metadata_ca);
        take_path(o, "tls_cert", s->tls_cert);
        take_path(o, "tls_key", s->tls_key);
    }
    json_decref(o);
    return is_fit ? OK : fail(ERR_CORRUPT, "the session file cannot be read: log in again");
}

err_t fs_session_read(task_t *t, fs_session_t *ret)
{
    char path[PATH_BYTES];
    AUTO(buf_t) text = {0};
    const char *url = getenv("METADATA_ADDR"), *token = getenv("METADATA_TOKEN"),
               *authorities = getenv("METADATA_CA");
    memset(ret, 0, sizeof *ret);
    buf_init(&text, SESSION_MAX_BYTES);
    TRY(session_path(path));
    err_t e = fs_read_file(t, path, SESSION_MAX_BYTES, &text);
    if (e && e != ERR_NOT_FOUND)
        return e;
    if (!e)
        TRY(parse(&text, ret));
    secret_wipe(text.data, text.len);
    if (url && *url)
        snprintf(ret->url, sizeof ret->url, "%s", url);
    if (authorities && strlen(authorities) < sizeof ret->metadata_ca)
        snprintf(ret->metadata_ca, sizeof ret->metadata_ca, "%s", authorities);
    if (!*ret->url)
        snprintf(ret->url, sizeof ret->url, "http://127.0.0.1:8080");
    if (token && strlen(token) < sizeof ret->token)
        snprintf(ret->token, sizeof ret->token, "%s", token);
    snprintf(ret->state_folder, sizeof ret->state_folder, "%.4000s.uploads", path);
    return OK;
}

err_t fs_session_write(task_t *t, const fs_session_t *s)
{
    char path[PATH_BYTES], folder[PATH_BYTES];
    TRY(session_path(path));
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash && slash != folder) {
        *slash = 0;
        TRY(fs_mkdirs(t, folder, 0700));
    }
    json_t *o = json_pack("{s:s s:s s:s s:s s:s}", "url", s->url, "token", s->token, "metadata_ca",
                          s->metadata_ca, "tls_cert", s->tls_cert, "tls_key", s->tls_key);
    char *text = json_dumps(o, JSON_COMPACT);
    err_t e = fs_write_file(t, path, 0600, bytes_str(text));
    secret_wipe(text, strlen(text));
    free(text);
    json_decref(o);
    return e;
}

void fs_session_deinit(fs_session_t *s)
{
    secret_wipe(s->token, sizeof s->token);
}

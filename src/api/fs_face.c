#include "api/fs_face.h"
#include "api/fs_run.h"
#include "base/log.h"
#include "crypto/tls_mutual.h"
#include "meta/fs_cache.h"
#include "meta/fs_ipfs.h"
#include "repo/config.h"
#include "task/exchange.h"
#include <stdlib.h>

enum { SECRET_FILE_MAX = 8192 };

static err_t number(const fs_run_t *f, const char *name, uint64_t *ret)
{
    const char *text = fs_run_option(f, name);
    return text ? parse_size(text, ret) : OK;
}

static err_t emit_new(task_t *t, const fs_run_t *f, json_t *o)
{
    err_t e = f->r->emit(t, f->r->arg, o);
    json_decref(o);
    return e;
}

/* An answer of the service as it is. */
err_t fs_run_ask(task_t *t, const fs_run_t *f, const char *method, const char *path, json_t *body)
{
    AUTO_PTR(json_t) answer = NULL;
    TRY(rest_do(t, f->rest, method, path, body, &answer));
    return f->r->emit(t, f->r->arg, answer);
}

/* "/files/ID" and what follows of the file with this name. */
static err_t file_path(task_t *t, const fs_run_t *f, const char *name, const char *more, char out[512])
{
    AUTO_PTR(json_t) file = NULL;
    const char *id;
    TRY(fs_find(t, f->client, name, &file));
    TRY(rest_text(file, "id", &id));
    snprintf(out, 512, "/files/%.64s%.400s", id, more);
    return OK;
}

/* ── accounts ────────────────────────────────────────────────────────────────────────────────── */

/* The first line of a file; "-": of standard input. */
err_t fs_run_secret(task_t *t, const fs_run_t *f, const char *path, buf_t *out)
{
    bool is_stdin = !strcmp(path, "-");
    buf_init(out, SECRET_FILE_MAX);
    TRY(buf_reserve(out, SECRET_FILE_MAX)); /* so that growing leaves no copies behind */
    TRY(is_stdin ? f->r->read_stdin(f->r->arg, out) : fs_read_file(t, path, SECRET_FILE_MAX - 1, out));
    const char *text;
    TRY(buf_cstr(out, &text));
    out->len = strcspn(text, "\r\n");
    return out->len ? OK : fail(ERR_USAGE, "%s holds nothing", is_stdin ? "standard input" : path);
}

static err_t keep_session(task_t *t, fs_run_t *f, const char *token)
{
    if (strlen(token) >= sizeof f->session.token)
        return fail(ERR_LIMIT, "the token is too long");
    memmove(f->session.token, token, strlen(token) + 1);
    return fs_session_write(t, &f->session);
}

static err_t login_by_password(task_t *t, fs_run_t *f, const char *user, const char *password)
{
    AUTO_PTR(json_t) answer = NULL;
    const char *token;
    json_t *body = json_pack("{s:s s:s}", "username", user, "password", password);
    TRY(body ? OK : fail(ERR_USAGE, "names and passwords are UTF-8"));
    TRY(rest_do(t, f->rest, "POST", "/login", body, &answer));
    TRY(rest_text(answer, "token", &token));
    TRY(keep_session(t, f, token));
    return f->r->emit(t, f->r->arg, json_object_get(answer, "user"));
}

static err_t login(task_t *t, fs_run_t *f)
{
    AUTO(buf_t) secret = {0};
    const char *user = fs_run_option(f, "username"), *password = fs_run_option(f, "password-file"),
               *token = fs_run_option(f, "token-file");
    const char *from_env = getenv("DISTRIBUTE_PASSWORD"), *text;
    if (!token && !user)
        return fail(ERR_USAGE,
                    "log in with --username and --password-file (- for standard input), or --token-file");
    if (!token && !password && !from_env)
        return fail(ERR_USAGE,
                    "the password comes from --password-file (- for standard input) or DISTRIBUTE_PASSWORD");
    if (token || password)
        TRY(fs_run_secret(t, f, token ? token : password, &secret));
    else
        buf_init(&secret, SECRET_FILE_MAX);
    if (!token && !password)
        TRY(buf_append(&secret, bytes_str(from_env)));
    TRY(buf_cstr(&secret, &text));
    err_t e = token ? keep_session(t, f, text) : login_by_password(t, f, user, text);
    secret_wipe(secret.data, secret.len);
    return e || !token ? e : emit_new(t, f, json_pack("{s:s}", "url", f->session.url));
}

static err_t logout(task_t *t, fs_run_t *f)
{
    err_t e = rest_do(t, f->rest, "POST", "/logout", NULL, NULL);
    if (e && e != ERR_UNAUTHORIZED)
        return e; /* an expired token needs no revocation */
    return keep_session(t, f, "");
}

/* ── content ─────────────────────────────────────────────────────────────────────────────────── */

/* The file with its CID from then on. */
static err_t publish(task_t *t, fs_run_t *f, const char *path, json_t *file)
{
    fs_progress_t progress = {f->r->progress, f->r->arg};
    char text[CID_TEXT_MAX];
    const char *id;
    cid_t cid;
    TRY(rest_text(file, "id", &id));
    err_t e = fs_publish(t, f->client, id, path, &progress, &cid);
    if (e)
        return fail_also(e, "the file is stored, and not published");
    json_object_set_new(file, "cid", json_string(cid_print(&cid, text)));
    return OK;
}

/* path: where the content stands; cid: what it is on IPFS, NULL: nothing. */
static err_t put_from(task_t *t, fs_run_t *f, const char *path, const char *cid)
{
    AUTO_PTR(json_t) file = NULL;
    const char *from = f->r->args[0], *slash = strrchr(from, '/'), *chunker = fs_run_option(f, "chunker");
    fs_put_t p = {.path = path,
                  .name = f->r->n_args > 1 ? f->r->args[1]
                          : slash          ? slash + 1
                                           : from,
                  .cid = cid,
                  .is_once = cid != NULL,
                  .media_type = fs_run_option(f, "media-type"),
                  .is_delta = fs_run_flag(f, "delta"),
                  .is_content_defined = chunker && !strcmp(chunker, "buzhash"),
                  .progress = {f->r->progress, f->r->arg}};
    if (chunker && !p.is_content_defined && strcmp(chunker, "size") != 0)
        return fail(ERR_USAGE, "--chunker is size or buzhash");
    TRY(number(f, "chunk-size", &p.chunk_bytes));
    TRY(number(f, "replication", &p.replication));
    TRY(number(f, "quorum", &p.quorum));
    TRY(fs_put(t, f->client, &p, &file));
    if (fs_run_flag(f, "publish"))
        TRY(publish(t, f, path, file));
    json_object_set_new(file, "sent_chunks", json_integer((json_int_t)p.sent_chunks));
    json_object_set_new(file, "sent_bytes", json_integer((json_int_t)p.sent_bytes));
    json_object_set_new(file, "kept_chunks", json_integer((json_int_t)p.kept_chunks));
    json_object_set_new(file, "was_resumed", json_boolean(p.was_resumed));
    return f->r->emit(t, f->r->arg, file);
}

/* What a CID names is fetched whole before its upload begins, which must know its size. */
static err_t put_from_ipfs(task_t *t, fs_run_t *f)
{
    char path[sizeof f->session.state_folder + 64], text[CID_TEXT_MAX];
    fs_progress_t progress = {f->r->progress, f->r->arg};
    uint8_t random[8];
    char name[2 * sizeof random + 1];
    cid_t cid;
    driver_random(task_driver(t), random, sizeof random);
    TRY(fs_mkdirs(t, f->session.state_folder, 0700));
    snprintf(path, sizeof path, "%s/ipfs-%s", f->session.state_folder,
             hex_text(bytes_of(random, sizeof random), name, sizeof name));
    err_t e = fs_fetch_ipfs(t, f->client, f->r->args[0], path, &progress, &cid);
    if (!e)
        e = put_from(t, f, path, cid_print(&cid, text));
    error_slot_t why = *error_slot();
    if (fs_unlink(t, path))
        log_warn("a file is left", LOG_STR("path", path));
    *error_slot() = why;
    return e;
}

static err_t put(task_t *t, fs_run_t *f)
{
    return fs_run_flag(f, "from-ipfs") ? put_from_ipfs(t, f) : put_from(t, f, f->r->args[0], NULL);
}

static err_t get(task_t *t, fs_run_t *f)
{
    const char *name = f->r->args[0], *slash = strrchr(name, '/');
    const char *to = f->r->n_args > 1 ? f->r->args[1] : slash ? slash + 1 : name;
    fs_get_t g = {.name = name,
                  .path = strcmp(to, "-") ? to : NULL,
                  .write = f->r->write,
                  .arg = f->r->arg,
                  .progress = {f->r->progress, f->r->arg}};
    TRY(number(f, "version", &g.version));
    TRY(fs_get(t, f->client, &g));
    return g.path ? emit_new(t, f,
                             json_pack("{s:s s:I s:I s:I}", "path", g.path, "size", (json_int_t)g.size,
                                       "resumed_at", (json_int_t)g.resumed_at, "cached_chunks",
                                       (json_int_t)g.cached_chunks))
                  : OK;
}

/* ── names ───────────────────────────────────────────────────────────────────────────────────── */

static err_t list_page(task_t *t, fs_run_t *f, const char *prefix, char cursor[1024], bool *ret_more)
{
    AUTO(buf_t) path = {0};
    AUTO_PTR(json_t) answer = NULL;
    const char *text, *next;
    buf_init(&path, 16384);
    TRY(buf_printf(&path, "/files?limit=1000%s%s%s%s&prefix=", fs_run_flag(f, "shared") ? "&shared=true" : "",
                   fs_run_flag(f, "folders") ? "&delimiter=/" : "", *cursor ? "&cursor=" : "", cursor));
    TRY(percent_encode(bytes_str(prefix), "", &path));
    TRY(buf_cstr(&path, &text));
    TRY(rest_do(t, f->rest, "GET", text, NULL, &answer));
    next = json_string_value(json_object_get(answer, "next_cursor"));
    buf_clear(&path);
    TRY(percent_encode(bytes_str(next ? next : ""), "", &path));
    TRY(buf_cstr(&path, &text));
    snprintf(cursor, 1024, "%s", text);
    *ret_more = next != NULL;
    return f->r->emit(t, f->r->arg, answer);
}

static err_t list(task_t *t, fs_run_t *f)
{
    char cursor[1024] = "";
    bool more = true;
    while (more)
        TRY(list_page(t, f, f->r->n_args ? f->r->args[0] : "", cursor, &more));
    return OK;
}

static err_t stat_file(task_t *t, fs_run_t *f)
{
    AUTO_PTR(json_t) answer = NULL;
    char path[512];
    TRY(file_path(t, f, f->r->args[0], "?chunks_limit=0", path));
    TRY(rest_do(t, f->rest, "GET", path, NULL, &answer));
    return f->r->emit(t, f->r->arg, json_object_get(answer, "file")); /* and not its key */
}

static err_t remove_files(task_t *t, fs_run_t *f)
{
    char path[512];
    for (size_t i = 0; i < f->r->n_args; i++) {
        TRY(file_path(t, f, f->r->args[i], "", path));
        TRY(rest_do(t, f->rest, "DELETE", path, NULL, NULL));
        TRY(emit_new(t, f, json_pack("{s:s}", "removed", f->r->args[i])));
    }
    return OK;
}

static err_t move(task_t *t, fs_run_t *f)
{
    char path[512];
    TRY(file_path(t, f, f->r->args[0], "", path));
    json_t *body = json_pack("{s:s}", "name", f->r->args[1]);
    return body ? fs_run_ask(t, f, "PATCH", path, body) : fail(ERR_USAGE, "a file's name is UTF-8");
}

static err_t share(task_t *t, fs_run_t *f)
{
    char path[512], more[400];
    const char *user = f->r->n_args > 1 ? f->r->args[1] : NULL;
    bool is_end = fs_run_flag(f, "remove");
    if (user &&
        strspn(user, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@-") != strlen(user))
        return fail(ERR_USAGE, "\"%.64s\" is not the name of an account", user);
    if (is_end && !user)
        return fail(ERR_USAGE, "--remove needs the name of an account");
    snprintf(more, sizeof more, "/shares%s%.300s", is_end ? "/" : "", is_end ? user : "");
    TRY(file_path(t, f, f->r->args[0], more, path));
    if (is_end)
        return rest_do(t, f->rest, "DELETE", path, NULL, NULL);
    return fs_run_ask(t, f, user ? "POST" : "GET", path,
                      user ? json_pack("{s:s s:s}", "user", user, "access", "read") : NULL);
}

/* ── storage nodes ───────────────────────────────────────────────────────────────────────────── */

static err_t nodes(task_t *t, fs_run_t *f)
{
    return fs_run_ask(t, f, "GET", "/nodes", NULL);
}

static err_t change_node(task_t *t, fs_run_t *f)
{
    char path[128];
    const char *id = f->r->args[0];
    bool is_end = !strcmp(f->r->verb, "forget");
    if (strlen(id) != 32 || strspn(id, "0123456789abcdef") != 32)
        return fail(ERR_USAGE, "\"%.64s\" is not the id of a storage node", id);
    snprintf(path, sizeof path, "/nodes/%s%s%s", id, is_end ? "" : "/", is_end ? "" : f->r->verb);
    return is_end ? rest_do(t, f->rest, "DELETE", path, NULL, NULL) : fs_run_ask(t, f, "POST", path, NULL);
}

static const struct {
    const char *verb;
    err_t (*run)(task_t *t, fs_run_t *f);
} verbs[] = {{"login", login},
             {"logout", logout},
             {"put", put},
             {"get", get},
             {"ls", list},
             {"rm", remove_files},
             {"stat", stat_file},
             {"mv", move},
             {"share", share},
             {"nodes", nodes},
             {"drain", change_node},
             {"undrain", change_node},
             {"forget", change_node},
             {"approve", change_node}};

/* An option takes the place of what the session says; relative paths would mean another file tomorrow. */
static err_t take_path(task_t *t, const fs_run_t *f, const char *name, char path[1024])
{
    const char *given = fs_run_option(f, name);
    char *whole = given ? realpath(given, NULL) : NULL;
    if (given && (!whole || strlen(whole) >= 1024)) {
        free(whole);
        return fail(ERR_USAGE, "--%s: %s cannot be read", name, given);
    }
    if (given)
        snprintf(path, 1024, "%s", whole);
    free(whole);
    return OK;
}

static err_t read_pem(task_t *t, const char *path, buf_t *out)
{
    buf_init(out, TLS_MUTUAL_PEM_MAX);
    TRY(*path ? buf_reserve(out, TLS_MUTUAL_PEM_MAX) : OK);
    err_t e = *path ? fs_read_file(t, path, TLS_MUTUAL_PEM_MAX - 1, out) : OK;
    return e ? fail_also(e, "reading %s", path) : OK;
}

/* Where a person's caches are. */
static err_t cache_place(const fs_run_t *f, char folder[4096], uint64_t *ret_bytes)
{
    const char *size = getenv("DISTRIBUTE_FS_CACHE"), *caches = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    *ret_bytes = FS_CACHE_BYTES;
    if (size)
        TRY(parse_size(size, ret_bytes));
    if (fs_run_flag(f, "no-cache"))
        *ret_bytes = 0;
    snprintf(folder, 4096, "%.4000s%s/distribute/fs",
             caches && *caches ? caches
             : home            ? home
                               : ".",
             caches && *caches ? "" : "/.cache");
    return OK;
}

static err_t open_client(task_t *t, fs_run_t *f)
{
    char cache[4096];
    uint64_t cache_bytes;
    AUTO(buf_t) authorities = {0}, certificate = {0}, key = {0};
    fs_session_t *s = &f->session;
    TRY(take_path(t, f, "metadata-ca", s->metadata_ca));
    TRY(take_path(t, f, "tls-cert", s->tls_cert));
    TRY(take_path(t, f, "tls-key", s->tls_key));
    if (!*s->tls_cert != !*s->tls_key)
        return fail(ERR_USAGE, "--tls-cert and --tls-key belong together");
    TRY(cache_place(f, cache, &cache_bytes));
    TRY(read_pem(t, s->metadata_ca, &authorities));
    TRY(read_pem(t, s->tls_cert, &certificate));
    err_t e = read_pem(t, s->tls_key, &key);
    if (!e)
        e = fs_client_open(t,
                           &(fs_client_options_t){.url = s->url,
                                                  .secret = s->token,
                                                  .state_folder = s->state_folder,
                                                  .cache_folder = cache,
                                                  .cache_bytes = cache_bytes,
                                                  .authorities = buf_bytes(&authorities),
                                                  .certificate = buf_bytes(&certificate),
                                                  .key = buf_bytes(&key)},
                           &f->client);
    if (key.data)
        secret_wipe(key.data, key.cap);
    return e;
}

static err_t run_verb(task_t *t, fs_run_t *f)
{
    const char *url = fs_run_option(f, "metadata");
    TRY(fs_session_read(t, &f->session));
    if (url && strlen(url) < sizeof f->session.url)
        snprintf(f->session.url, sizeof f->session.url, "%s", url);
    if (!strcmp(f->r->verb, "login"))
        fs_session_deinit(&f->session); /* a token of yesterday must not stand in the way */
    else if (!*f->session.token)
        return fail(ERR_UNAUTHORIZED, "nobody is logged in: run 'distribute fs login'");
    TRY(open_client(t, f));
    f->rest = fs_client_rest(f->client);
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (!strcmp(verbs[i].verb, f->r->verb))
            return verbs[i].run(t, f);
    err_t e;
    if (fs_admin_run(t, f, &e))
        return e;
    return fail(ERR_USAGE, "there is no command \"fs %.20s\"", f->r->verb);
}

err_t fs_run(task_t *t, const fs_request_t *r)
{
    fs_run_t *f = xcalloc(1, sizeof *f);
    f->r = r;
    err_t e = run_verb(t, f);
    error_slot_t why = *error_slot();
    fs_client_close(t, f->client);
    fs_session_deinit(&f->session);
    free(f);
    *error_slot() = why;
    return e;
}

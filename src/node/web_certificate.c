#include "node/web_certificate.h"
#include "base/log.h"
#include "crypto/tls_server.h"
#include <stdio.h>
#include <stdlib.h>

enum { PATH_MAX_BYTES = 8192, LOOK_EVERY_MS = 2000 };

typedef struct certificate {
    host_t *host;
    char paths[2][PATH_MAX_BYTES]; /* certificate, key */
    file_info_t seen[2];
} certificate_t;

static void name_paths(const config_t *config, const char *repo_path, certificate_t *c)
{
    const char *names[2] = {config_str(config, "Swarm.WebsocketTLS.CertFile", ""),
                            config_str(config, "Swarm.WebsocketTLS.KeyFile", "")};
    for (int i = 0; i < 2; i++)
        if (*names[i])
            snprintf(c->paths[i], sizeof c->paths[i], "%s%s%s", names[i][0] == '/' ? "" : repo_path,
                     names[i][0] == '/' ? "" : "/", names[i]);
}

static err_t read_pem(task_t *t, certificate_t *c, int i, buf_t *out)
{
    if (fs_stat(t, c->paths[i], true, &c->seen[i]))
        c->seen[i] = (file_info_t){0};
    return fs_read_file(t, c->paths[i], TLS_SERVER_PEM_MAX, out);
}

static err_t read_both(task_t *t, certificate_t *c, buf_t *cert, buf_t *key, tls_server_t **ret)
{
    TRY(read_pem(t, c, 0, cert));
    TRY(read_pem(t, c, 1, key));
    return tls_server_new(buf_bytes(cert), buf_bytes(key), ret);
}

static err_t load(task_t *t, certificate_t *c)
{
    AUTO(buf_t) cert, key;
    tls_server_t *server;
    buf_init(&cert, TLS_SERVER_PEM_MAX);
    buf_init(&key, TLS_SERVER_PEM_MAX);
    err_t e = read_both(t, c, &cert, &key, &server);
    if (key.data)
        secret_wipe(key.data, key.cap);
    if (!e)
        host_set_web_tls(c->host, server);
    return e;
}

/* ── renewed ─────────────────────────────────────────────────────────────────────────────────── */
static bool has_changed(task_t *t, const certificate_t *c)
{
    for (int i = 0; i < 2; i++) {
        file_info_t now;
        const file_info_t *was = &c->seen[i];
        if (fs_stat(t, c->paths[i], true, &now))
            now = (file_info_t){0};
        if (now.mtime_s != was->mtime_s || now.mtime_ns != was->mtime_ns ||
            now.size_bytes != was->size_bytes || now.inode != was->inode || now.device != was->device)
            return true;
    }
    return false;
}

/* The two files are replaced one after the other: between them they do not belong together, and the former
 * certificate stays until both are there. */
static err_t watch(task_t *t, certificate_t *c)
{
    for (;;) {
        TRY(task_sleep(t, LOOK_EVERY_MS));
        if (!has_changed(t, c))
            continue;
        err_t e = load(t, c);
        TRY(task_check(t));
        if (e)
            log_warn(
                "the certificate of secure WebSocket has changed and cannot be read: the former one stays",
                LOG_ERR(e));
        else
            log_info("the certificate of secure WebSocket was renewed");
    }
}

static err_t watch_task(task_t *t, void *arg)
{
    err_t e = watch(t, arg);
    free(arg);
    return e;
}

static err_t start(task_t *t, certificate_t *c, group_t *tasks)
{
    if (!c->paths[0][0] || !c->paths[1][0])
        return fail(ERR_USAGE, "config Swarm.WebsocketTLS: CertFile and KeyFile go together");
    err_t e = load(t, c);
    if (e)
        return fail(ERR_USAGE, "config Swarm.WebsocketTLS: %s", error_text(e));
    return group_spawn(tasks, "certificate watch", watch_task, c, NULL);
}

err_t web_certificate_start(task_t *t, const config_t *config, const char *repo_path, host_t *h,
                            group_t *tasks)
{
    certificate_t *c = xcalloc(1, sizeof *c);
    c->host = h;
    name_paths(config, repo_path, c);
    bool is_wanted = c->paths[0][0] || c->paths[1][0];
    err_t e = is_wanted ? start(t, c, tasks) : OK;
    if (e || !is_wanted)
        free(c);
    return e;
}

#include "node/web_certificate.h"
#include "crypto/tls_server.h"
#include <stdio.h>

enum { PATH_MAX_BYTES = 8192 };

static err_t read_pem(task_t *t, const char *repo_path, const char *name, buf_t *out)
{
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof path, "%s%s%s", name[0] == '/' ? "" : repo_path, name[0] == '/' ? "" : "/", name);
    err_t e = fs_read_file(t, path, TLS_SERVER_PEM_MAX, out);
    return e ? fail(ERR_USAGE, "config Swarm.WebsocketTLS: %s", error_text(e)) : OK;
}

static err_t load(task_t *t, const char *repo_path, const char *cert, const char *key, buf_t *pem[2],
                  tls_server_t **ret)
{
    TRY(read_pem(t, repo_path, cert, pem[0]));
    TRY(read_pem(t, repo_path, key, pem[1]));
    err_t e = tls_server_new(buf_bytes(pem[0]), buf_bytes(pem[1]), ret);
    return e ? fail(ERR_USAGE, "config Swarm.WebsocketTLS: %s", error_text(e)) : OK;
}

err_t web_certificate_load(task_t *t, const config_t *config, const char *repo_path, host_t *h)
{
    const char *cert = config_str(config, "Swarm.WebsocketTLS.CertFile", "");
    const char *key = config_str(config, "Swarm.WebsocketTLS.KeyFile", "");
    AUTO(buf_t) cert_pem, key_pem;
    buf_t *pem[2] = {&cert_pem, &key_pem};
    tls_server_t *server;
    buf_init(&cert_pem, TLS_SERVER_PEM_MAX);
    buf_init(&key_pem, TLS_SERVER_PEM_MAX);
    if (!*cert && !*key)
        return OK;
    if (!*cert || !*key)
        return fail(ERR_USAGE, "config Swarm.WebsocketTLS: CertFile and KeyFile go together");
    err_t e = load(t, repo_path, cert, key, pem, &server);
    if (key_pem.data)
        secret_wipe(key_pem.data, key_pem.cap);
    if (!e)
        host_set_web_tls(h, server);
    return e;
}

#include "api/fileserver.h"
#include "api/fileserver_internal.h"
#include "base/log.h"
#include <stdlib.h>

enum { CONNECTIONS_MAX = 512, PATH_BYTES = 4096 };

/* ── certificates ────────────────────────────────────────────────────────────────────────────── */

static err_t read_pem(task_t *t, const char *path, buf_t *out)
{
    err_t e = fs_read_file(t, path, TLS_MUTUAL_PEM_MAX, out);
    return e ? fail_also(e, "reading %s", path) : OK;
}

/* The certificate and key of this repository, made when there are none. */
static err_t own_certificate(task_t *t, repo_t *r, buf_t *certificate, buf_t *key)
{
    char certificate_path[PATH_BYTES], key_path[PATH_BYTES];
    snprintf(certificate_path, sizeof certificate_path, "%s/fileserver.crt", repo_path(r));
    snprintf(key_path, sizeof key_path, "%s/fileserver.key", repo_path(r));
    err_t e = fs_read_file(t, key_path, TLS_MUTUAL_PEM_MAX, key);
    if (!e)
        return read_pem(t, certificate_path, certificate);
    if (e != ERR_NOT_FOUND)
        return e;
    TRY(tls_mutual_make("distribute storage node", certificate, key));
    TRY(fs_write_file(t, certificate_path, 0644, buf_bytes(certificate)));
    return fs_write_file(t, key_path, 0600, buf_bytes(key)); /* last: with it the pair is whole */
}

static err_t open_tls(task_t *t, node_t *n, const fileserver_options_t *o, tls_mutual_t **ret)
{
    AUTO(buf_t) certificate = {0}, key = {0}, authorities = {0};
    buf_init(&certificate, TLS_MUTUAL_PEM_MAX);
    buf_init(&key, TLS_MUTUAL_PEM_MAX);
    buf_init(&authorities, TLS_MUTUAL_PEM_MAX);
    if (!o->tls_certificate != !o->tls_key)
        return fail(ERR_USAGE, "--tls-cert and --tls-key belong together");
    err_t e = OK;
    if (o->tls_authorities)
        e = read_pem(t, o->tls_authorities, &authorities);
    if (!e && o->tls_certificate)
        e = read_pem(t, o->tls_certificate, &certificate);
    if (!e && o->tls_key)
        e = read_pem(t, o->tls_key, &key);
    if (!e && !o->tls_certificate)
        e = own_certificate(t, node_repo(n), &certificate, &key);
    if (!e)
        e = tls_mutual_new(buf_bytes(&certificate), buf_bytes(&key), buf_bytes(&authorities), ret);
    secret_wipe(key.data, key.len);
    return e;
}

/* ── start, stop ─────────────────────────────────────────────────────────────────────────────── */

static const char *reachable_at(const fileserver_t *f, const char *advertise, char out[NET_ADDR_TEXT_MAX])
{
    static const uint8_t any[16] = {0};
    net_addr_t at = grpc_server_address(f->server);
    if (advertise)
        return advertise;
    if (!memcmp(at.ip, any, sizeof any))
        at = (net_addr_t){.family = 4, .ip = {127, 0, 0, 1}, .port = at.port};
    return net_addr_print(&at, out);
}

static err_t begin(task_t *t, node_t *n, const fileserver_options_t *o, fileserver_t *f)
{
    char text[NET_ADDR_TEXT_MAX];
    uint64_t capacity = 0;
    AUTO(buf_t) authorities = {0};
    buf_init(&authorities, TLS_MUTUAL_PEM_MAX);
    if (o->metadata_authorities)
        TRY(read_pem(t, o->metadata_authorities, &authorities));
    if (o->capacity)
        TRY(parse_size(o->capacity, &capacity));
    TRY(open_tls(t, n, o, &f->tls));
    grpc_server_config_t c = {.methods = fileserver_methods,
                              .arg = f,
                              .tls = f->tls,
                              .max_connections = CONNECTIONS_MAX,
                              .ended = fileserver_call_ended};
    TRY(grpc_server_start(t, &o->listen, &c, &f->server));
    node_service_options_t s = {.repo = node_repo(n),
                                .address = reachable_at(f, o->advertise, text),
                                .metadata = o->metadata,
                                .metadata_authorities = buf_bytes(&authorities),
                                .api_key = o->api_key,
                                .zone = o->zone,
                                .bootstrap = o->bootstrap,
                                .n_bootstrap = o->n_bootstrap,
                                .capacity_bytes = capacity,
                                .orphan_grace_s = o->orphan_grace_s,
                                .adopt = o->adopt,
                                .tls = f->tls};
    return node_service_start(t, &s, &f->service);
}

err_t fileserver_start(task_t *t, node_t *n, const fileserver_options_t *o, fileserver_t **ret)
{
    fileserver_t *f = xcalloc(1, sizeof *f);
    f->node = n;
    err_t e = begin(t, n, o, f);
    if (e) {
        error_slot_t why = *error_slot();
        fileserver_stop(t, f);
        *error_slot() = why;
        return e;
    }
    *ret = f;
    return OK;
}

net_addr_t fileserver_address(const fileserver_t *f)
{
    return grpc_server_address(f->server);
}

const char *fileserver_id(const fileserver_t *f)
{
    return node_service_id(f->service);
}

const uint8_t *fileserver_fingerprint(const fileserver_t *f)
{
    return tls_mutual_fingerprint(f->tls);
}

void fileserver_stop(task_t *t, fileserver_t *f)
{
    if (!f)
        return;
    grpc_server_stop(t, f->server);
    node_service_stop(t, f->service);
    tls_mutual_free(f->tls);
    free(f);
}

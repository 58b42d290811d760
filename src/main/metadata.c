#include "main/metadata.h"
#include "api/meta_face.h"
#include "base/log.h"
#include "loop/http_server.h"
#include "main/stop.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATH_MAX_CHARS = 1024,
    CONNECTIONS = 4096,
    PER_IP = 2048,
    IDLE_S = 60,
    STOP_GRACE_MS = 5000,
    PEM_MAX = 64 << 10
};

typedef struct places {
    char data[PATH_MAX_CHARS], database[PATH_MAX_CHARS];
} places_t;

static err_t find_places(const cli_t *c, places_t *ret)
{
    const char *data = cli_option(c, "data-dir", 0), *database = cli_option(c, "database", 0),
               *home = getenv("HOME");
    if (!database) /* its password is nobody else's business, and words of a command are */
        database = getenv("METADATA_DATABASE");
    int len = data ? snprintf(ret->data, sizeof ret->data, "%s", data)
                   : snprintf(ret->data, sizeof ret->data, "%s/.distribute-metadata", home ? home : ".");
    if (len < 0 || (size_t)len >= sizeof ret->data)
        return fail(ERR_USAGE, "the path of the data folder is too long");
    len = database ? snprintf(ret->database, sizeof ret->database, "%s", database)
                   : snprintf(ret->database, sizeof ret->database, "%.1000s/metadata.db", ret->data);
    return len < 0 || (size_t)len >= sizeof ret->database
               ? fail(ERR_USAGE, "the name of the database is too long")
               : OK;
}

static err_t read_number(const cli_t *c, const char *name, int64_t *ret)
{
    const char *text = cli_option(c, name, 0);
    char *end;
    if (!text)
        return OK;
    *ret = strtoll(text, &end, 10);
    return !*text || *end || *ret <= 0
               ? fail(ERR_USAGE, "--%s takes a number above 0, not \"%s\"", name, text)
               : OK;
}

static err_t read_options(const cli_t *c, const places_t *p, meta_options_t *o)
{
    *o = (meta_options_t){.database = p->database,
                          .data_folder = p->data,
                          .master_source = cli_option(c, "master-key", 0),
                          .issuer = cli_option(c, "issuer", 0),
                          .jwks_file = cli_option(c, "jwks-file", 0),
                          .audience = cli_option(c, "audience", 0),
                          .admin_password = getenv("METADATA_ADMIN_PASSWORD"),
                          .node_key = getenv("METADATA_NODE_KEY"),
                          .approves_nodes = cli_flag(c, "approve-nodes", false)};
    TRY(read_number(c, "token-ttl", &o->token_ttl_s));
    TRY(read_number(c, "heartbeat-ms", &o->heartbeat_ms));
    TRY(read_number(c, "heal-after-ms", &o->heal_after_ms));
    TRY(read_number(c, "upload-ttl-ms", &o->upload_ttl_ms));
    TRY(read_number(c, "rebalance-percent", &o->rebalance_percent));
    TRY(read_number(c, "keep-versions", &o->keep_versions));
    TRY(read_number(c, "keep-versions-s", &o->keep_versions_s));
    TRY(read_number(c, "rate", &o->requests_per_s));
    TRY(read_number(c, "login-rate", &o->logins_per_min));
    TRY(read_number(c, "refusal-rate", &o->refusals_per_min));
    return read_number(c, "default-quota-bytes", &o->default_quota_bytes);
}

/* A PEM file as a text, into a buffer whose owner wipes it. */
static err_t read_pem(task_t *t, const char *path, buf_t *out, const char **ret_text)
{
    TRY(buf_reserve(out, PEM_MAX)); /* so that growing leaves no copies behind */
    err_t e = fs_read_file(t, path, PEM_MAX - 1, out);
    return e ? fail_also(e, "cannot read %s", path) : buf_cstr(out, ret_text);
}

static err_t start_server(task_t *t, const cli_t *c, meta_face_t *face, const net_addr_t *at,
                          http_server_t **ret)
{
    http_limits_t limits = {.max_connections = CONNECTIONS, .max_per_ip = PER_IP, .idle_timeout_s = IDLE_S};
    const char *cert = cli_option(c, "tls-cert", 0), *key = cli_option(c, "tls-key", 0);
    buf_t cert_text = {0}, key_text = {0};
    if (net_addr_is_loopback(at))
        limits.max_per_ip = 0;
    if (!cert != !key)
        return fail(ERR_USAGE, "--tls-cert and --tls-key go together");
    if (!cert && !net_addr_is_loopback(at))
        log_warn("tokens and keys of files travel in the clear: use --tls-cert and --tls-key, or a proxy "
                 "that ends TLS");
    buf_init(&cert_text, PEM_MAX);
    buf_init(&key_text, PEM_MAX);
    err_t e = cert ? read_pem(t, cert, &cert_text, &limits.tls_certificate) : OK;
    if (!e && key)
        e = read_pem(t, key, &key_text, &limits.tls_key);
    if (!e)
        e = http_server_start(task_driver(t), task_sched(t), at, &limits, meta_face_serve, face, ret);
    if (key_text.data)
        secret_wipe(key_text.data, key_text.cap);
    buf_deinit(&key_text);
    buf_deinit(&cert_text);
    return e;
}

static err_t serve(task_t *t, const cli_t *c, meta_face_t *face, const net_addr_t *at, const char *data)
{
    http_server_t *server;
    char text[NET_ADDR_TEXT_MAX];
    TRY(start_server(t, c, face, at, &server));
    net_addr_t got = http_server_address(server);
    printf("Metadata service listening on %s://%s\nData in %s\nMetadata service is ready\n",
           cli_option(c, "tls-cert", 0) ? "https" : "http", net_addr_print(&got, text), data);
    fflush(stdout);
    err_t e = stop_wait(t);
    log_info("metadata service is stopping");
    http_server_stop(t, server, STOP_GRACE_MS);
    return e;
}

err_t run_metadata(task_t *t, const cli_t *c)
{
    const char *listen_at = cli_option(c, "listen-addr", 0);
    places_t *places = xcalloc(1, sizeof *places);
    meta_options_t o;
    meta_face_t *face = NULL;
    net_addr_t at;
    stop_watch(t);
    err_t e = net_addr_parse(listen_at ? listen_at : "127.0.0.1:8080", &at);
    if (!e)
        e = find_places(c, places);
    if (!e)
        e = read_options(c, places, &o);
    if (!e)
        e = meta_face_open(t, &o, &face);
    if (!e)
        e = serve(t, c, face, &at, places->data);
    error_slot_t why = *error_slot();
    meta_face_close(t, face);
    free(places);
    *error_slot() = why;
    return e;
}

err_t run_metadata_backup(task_t *t, const cli_t *c)
{
    places_t *places = xcalloc(1, sizeof *places);
    err_t e = find_places(c, places);
    if (!e)
        e = meta_backup(t, places->database, c->args[0]);
    free(places);
    if (!e)
        printf("saved %s\n", c->args[0]);
    return e;
}

err_t run_audit_verify(task_t *t, const cli_t *c)
{
    places_t *places = xcalloc(1, sizeof *places);
    int64_t records = 0;
    char head[65];
    err_t e = find_places(c, places);
    if (!e)
        e = meta_verify_audit(t, places->database, &records, head);
    free(places);
    if (!e)
        printf("%lld records, intact; head %s\n", (long long)records, head);
    return e;
}

#include "main/fileserver.h"
#include "api/fileserver.h"
#include "base/log.h"
#include "main/faces.h"
#include "main/stop.h"
#include "node/setup.h"
#include <stdlib.h>

enum { KEY_MAX = 256, BOOTSTRAP_MAX = 16, PATH_BYTES = 4096 };

typedef struct words {
    const char *ipfs_listen[BOOTSTRAP_MAX], *ipfs_bootstrap[BOOTSTRAP_MAX];
    char key[KEY_MAX];
    char *bootstrap_text; /* owned */
    const char *bootstrap[BOOTSTRAP_MAX];
} words_t;

/* ── what it is configured by ────────────────────────────────────────────────────────────────── */

static err_t read_key_file(task_t *t, const char *path, words_t *w)
{
    AUTO(buf_t) text = {0};
    buf_init(&text, KEY_MAX - 1);
    err_t e = fs_read_file(t, path, KEY_MAX - 1, &text);
    if (e)
        return fail_also(e, "reading the key of storage nodes from %s", path);
    size_t len = strcspn(memcpy(w->key, text.data, text.len), "\r\n");
    secret_wipe(text.data, text.len);
    w->key[len < text.len ? len : text.len] = 0;
    return OK;
}

/* The file that is named, else the environment, else what a metadata service on this machine left for us. */
static err_t find_key(task_t *t, const cli_t *c, words_t *w)
{
    char path[PATH_BYTES];
    const char *file = cli_option(c, "node-key-file", 0), *key = getenv("METADATA_NODE_KEY"),
               *home = getenv("HOME");
    if (file)
        return read_key_file(t, file, w);
    if (key && strlen(key) < sizeof w->key) {
        snprintf(w->key, sizeof w->key, "%s", key);
        return OK;
    }
    snprintf(path, sizeof path, "%s/.distribute-metadata/node-key", home ? home : ".");
    err_t e = read_key_file(t, path, w);
    return e == ERR_NOT_FOUND
               ? fail(ERR_USAGE, "a storage node needs the key that the metadata service knows: set "
                                 "METADATA_NODE_KEY or --node-key-file")
               : e;
}

static err_t read_bootstrap(const cli_t *c, words_t *w, fileserver_options_t *o)
{
    const char *text = cli_option(c, "bootstrap-nodes", 0);
    char *rest = w->bootstrap_text = xstrdup(text ? text : "");
    o->bootstrap = w->bootstrap;
    for (char *one; (one = strsep(&rest, ","));) {
        if (!*one)
            continue;
        if (o->n_bootstrap == BOOTSTRAP_MAX)
            return fail(ERR_USAGE, "at most %d bootstrap nodes are named", BOOTSTRAP_MAX);
        w->bootstrap[o->n_bootstrap++] = one;
    }
    return OK;
}

static err_t read_options(task_t *t, const cli_t *c, words_t *w, fileserver_options_t *o)
{
    const char *listen_at = cli_option(c, "listen-addr", 0), *metadata = cli_option(c, "metadata", 0);
    TRY(net_addr_parse(listen_at ? listen_at : ":3001", &o->listen));
    TRY(read_bootstrap(c, w, o));
    TRY(find_key(t, c, w));
    o->api_key = w->key;
    o->metadata = metadata ? metadata : getenv("METADATA_ADDR");
    if (!o->metadata && !o->n_bootstrap)
        o->metadata = "http://127.0.0.1:8080";
    o->adopt = cli_option(c, "adopt", 0);
    if (cli_option(c, "orphan-grace", 0))
        TRY(parse_size(cli_option(c, "orphan-grace", 0), &o->orphan_grace_s));
    o->metadata_authorities = cli_option(c, "metadata-ca", 0);
    if (!o->metadata_authorities)
        o->metadata_authorities = getenv("METADATA_CA");
    o->advertise = cli_option(c, "advertise", 0);
    o->zone = cli_option(c, "zone", 0);
    o->capacity = cli_option(c, "capacity", 0);
    o->tls_certificate = cli_option(c, "tls-cert", 0);
    o->tls_key = cli_option(c, "tls-key", 0);
    o->tls_authorities = cli_option(c, "tls-ca", 0);
    return OK;
}

/* ── running ─────────────────────────────────────────────────────────────────────────────────── */

static void print_start(const fileserver_t *f, const http_server_t *metrics)
{
    char text[NET_ADDR_TEXT_MAX], metrics_text[NET_ADDR_TEXT_MAX];
    net_addr_t at = fileserver_address(f), metrics_at = http_server_address(metrics);
    char fingerprint[65];
    printf("Storage node %s\nCertificate SHA-256 %s\n", fileserver_id(f),
           hex_text(bytes_of(fileserver_fingerprint(f), 32), fingerprint, sizeof fingerprint));
    printf("gRPC listening on %s, metrics on %s\nStorage node is ready\n", net_addr_print(&at, text),
           net_addr_print(&metrics_at, metrics_text));
    fflush(stdout);
}

/* ── as a node of IPFS ───────────────────────────────────────────────────────────────────────── */

static void read_node_options(const cli_t *c, words_t *w, node_options_t *o)
{
    const char *value;
    for (size_t i = 0; i < BOOTSTRAP_MAX && (value = cli_option(c, "ipfs-listen", i)); i++)
        w->ipfs_listen[o->n_listen++] = value;
    for (size_t i = 0; i < BOOTSTRAP_MAX && (value = cli_option(c, "ipfs-bootstrap", i)); i++)
        if (!strcmp(value, "none"))
            o->no_bootstrap = true;
        else
            w->ipfs_bootstrap[o->n_bootstrap++] = value;
    o->listen = w->ipfs_listen;
    o->bootstrap = w->ipfs_bootstrap;
    o->keeps_chunks = true;
}

static err_t open_rpc(task_t *t, node_t *n, const cli_t *c, faces_t *f)
{
    char text[NODE_FACE_TEXT_MAX];
    const char *port = cli_option(c, "api-port", 0);
    if (!port)
        return OK;
    TRY(faces_open_rpc(f, port, NULL));
    node_face_addr_print(http_server_face(f->rpc[0]), text);
    printf("RPC API server listening on %s\n", text);
    return repo_write_address(t, node_repo(n), REPO_API, text);
}

static err_t serve(task_t *t, node_t *n, const cli_t *c, const fileserver_options_t *o,
                   const node_options_t *node_options)
{
    api_t *api = api_new(n);
    faces_t faces = {.driver = task_driver(t), .api = api};
    fileserver_t *f = NULL;
    stop_watch(t);
    err_t e = node_watch_denylists(n);
    if (!e && cli_flag(c, "ipfs", false))
        e = node_go_online(t, n, node_options);
    if (!e)
        e = open_rpc(t, n, c, &faces);
    if (!e)
        e = fileserver_start(t, n, o, &f);
    if (!e)
        e = faces_open_metrics(&faces, cli_option(c, "metrics-port", 0));
    if (!e) {
        print_start(f, faces.metrics);
        e = stop_wait(t);
        log_info("storage node is stopping");
    }
    error_slot_t why = *error_slot();
    fileserver_stop(t, f);
    repo_remove_addresses(t, node_repo(n));
    faces_close(t, &faces);
    api_free(api);
    *error_slot() = why;
    return e;
}

static err_t open_and_serve(task_t *t, const cli_t *c, words_t *w, const fileserver_options_t *o)
{
    char path[NODE_PATH_MAX];
    TRY(node_find_repo(c->repo_option, path));
    err_t e = node_check_repo(t, path);
    if (e == ERR_NOT_FOUND)
        e = node_init_repo(t, path, NULL, NULL);
    TRY(e);
    node_options_t options = {.repo_path = path};
    read_node_options(c, w, &options);
    node_t *n;
    TRY(node_open(t, &options, &n));
    e = serve(t, n, c, o, &options);
    error_slot_t why = *error_slot();
    node_close(t, n);
    *error_slot() = why;
    return e;
}

err_t run_fileserver(task_t *t, const cli_t *c)
{
    words_t w = {0};
    fileserver_options_t o = {0};
    err_t e = read_options(t, c, &w, &o);
    if (!e)
        e = open_and_serve(t, c, &w, &o);
    free(w.bootstrap_text);
    secret_wipe(w.key, sizeof w.key);
    return e;
}

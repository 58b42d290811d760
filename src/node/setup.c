#include "node/setup.h"
#include "multi/multiaddr.h"
#include "repo/import_kubo.h"
#include <stdio.h>

err_t node_find_repo(const char *option, char out[NODE_PATH_MAX])
{
    _Static_assert((int)NODE_PATH_MAX >= (int)REPO_PATH_MAX, "a path of repo_find_path fits");
    return repo_find_path(option, out);
}

err_t node_check_repo(task_t *t, const char *path)
{
    return repo_check(t, path);
}

static err_t init_with_key(task_t *t, const char *path, const char *profiles, const private_key_t *key,
                           bytes_t config_text, char *ret_id)
{
    peer_id_t id;
    char text[PEER_ID_TEXT_MAX];
    TRY(peer_id_of(private_key_public(key), &id));
    TRY(repo_init_from(t, path, profiles, key, config_text));
    if (ret_id)
        snprintf(ret_id, 128, "%s", peer_id_print(&id, text));
    return OK;
}

err_t node_init_repo(task_t *t, const char *path, const char *profiles, char *ret_id)
{
    AUTO_PTR(private_key_t) key = NULL;
    TRY(private_key_generate(KEY_ED25519, NULL, 0, &key));
    return init_with_key(t, path, profiles, key, BYTES_NONE, ret_id);
}

static err_t key_of_config(bytes_t text, private_key_t **ret)
{
    AUTO_PTR(config_t) c = NULL;
    TRY(config_parse(text, &c));
    return config_has(c, "Identity.PrivKey") ? config_identity(c, ret)
                                             : private_key_generate(KEY_ED25519, NULL, 0, ret);
}

err_t node_init_repo_from(task_t *t, const char *path, const char *profiles, const char *file, char *ret_id)
{
    AUTO_PTR(private_key_t) key = NULL;
    AUTO(buf_t) text = {0};
    buf_init(&text, CONFIG_MAX_BYTES);
    TRY(fs_read_file(t, file, CONFIG_MAX_BYTES, &text));
    err_t e = key_of_config(buf_bytes(&text), &key);
    if (!e)
        e = init_with_key(t, path, profiles, key, buf_bytes(&text), ret_id);
    secret_wipe(text.data, text.len);
    return e == ERR_CORRUPT || e == ERR_INVALID ? fail_also(e, "%s", file) : e;
}

err_t node_init_repo_for_kubo(task_t *t, const char *path, const char *kubo_path)
{
    AUTO_PTR(kubo_source_t) source = NULL;
    TRY(kubo_source_open(t, kubo_path, &source));
    return import_kubo_init(t, path, source);
}

static err_t ip_endpoint(const char *text, net_addr_t *ret_addr)
{
    if (text[0] != '/')
        return net_addr_parse(text, ret_addr);
    multiaddr_t m;
    net_addr_t a = {0};
    TRY(multiaddr_parse(text, &m));
    if (multiaddr_tcp_endpoint(&m, &a.family, a.ip, &a.port))
        return fail(ERR_USAGE, "\"%s\" is not an address of the form /ip4/IP/tcp/PORT or /unix/PATH", text);
    *ret_addr = a;
    return OK;
}

err_t node_face_addr(const char *text, face_addr_t *ret_addr)
{
    static const char unix_prefix[] = "/unix/";
    face_addr_t a = {0};
    if (strncmp(text, unix_prefix, sizeof unix_prefix - 1)) {
        TRY(ip_endpoint(text, &a.ip));
        *ret_addr = a;
        return OK;
    }
    const char *path = text + sizeof unix_prefix - 2; /* with the slash */
    if (strlen(path) >= sizeof a.path || !path[1])
        return fail(ERR_USAGE, "\"%s\": the path of a socket has 1 to %zu bytes", text, sizeof a.path - 1);
    snprintf(a.path, sizeof a.path, "%s", path);
    *ret_addr = a;
    return OK;
}

const char *node_face_addr_print(const face_addr_t *addr, char out[NODE_FACE_TEXT_MAX])
{
    multiaddr_t m;
    char text[MULTIADDR_TEXT_MAX];
    out[0] = 0;
    if (addr->path[0])
        snprintf(out, NODE_FACE_TEXT_MAX, "/unix%s", addr->path);
    else if (!multiaddr_from_tcp(addr->ip.family, addr->ip.ip, addr->ip.port, &m))
        snprintf(out, NODE_FACE_TEXT_MAX, "%.127s", multiaddr_print(&m, text));
    return out;
}

err_t node_find_api(task_t *t, const char *repo_path, const char *api_option, face_addr_t *ret_addr)
{
    if (api_option)
        return node_face_addr(api_option, ret_addr);
    AUTO(buf_t) text = {0};
    const char *addr;
    buf_init(&text, 1024);
    TRY(repo_read_address(t, repo_path, REPO_API, &text));
    TRY(buf_cstr(&text, &addr));
    return node_face_addr(addr, ret_addr);
}

#include "node/keys.h"
#include "crypto/key_pem.h"
#include "repo/repo.h"
#include <stdio.h>

err_t key_format_parse(const char *text, key_format_t *ret)
{
    if (text && strcmp(text, "libp2p-protobuf-cleartext") && strcmp(text, "pem-pkcs8-cleartext"))
        return fail(ERR_INVALID, "unrecognized export format: %.60s", text);
    *ret = text && !strncmp(text, "pem", 3) ? KEY_FORMAT_PEM : KEY_FORMAT_LIBP2P;
    return OK;
}

err_t node_export_key(task_t *t, const char *repo_path, const char *name, key_format_t format, buf_t *out)
{
    char folder[REPO_PATH_MAX + 16];
    keystore_t *keys;
    AUTO_PTR(private_key_t) key = NULL;
    if (!strcmp(name, "self"))
        return fail(ERR_INVALID, "cannot export key with name 'self'");
    TRY(repo_check(t, repo_path));
    snprintf(folder, sizeof folder, "%s/keystore", repo_path);
    TRY(keystore_open(t, folder, &keys));
    err_t e = keystore_get(t, keys, name, &key);
    keystore_close(keys);
    if (e == ERR_NOT_FOUND || e == ERR_USAGE)
        return fail(ERR_NOT_FOUND, "key with name '%.150s' doesn't exist", name);
    TRY(e);
    return format == KEY_FORMAT_PEM ? private_key_to_pem(key, out) : private_key_encode(key, out);
}

/* The old key is safe before the config names the new one. */
static err_t rotate(task_t *t, repo_t *r, const char *old_name, const private_key_t *fresh)
{
    err_t e = keystore_put(t, repo_keystore(r), old_name, repo_identity(r));
    if (e == ERR_EXISTS)
        return fail(e, "saving old key in keystore (key by that name already exists, refusing to overwrite)");
    TRY(e);
    return repo_config_set_identity(t, r, fresh);
}

err_t node_rotate_key(task_t *t, const char *repo_path, const char *old_name, const char *type, int bits,
                      char *ret_id)
{
    AUTO_PTR(private_key_t) fresh = NULL;
    peer_id_t id;
    repo_t *r;
    char text[PEER_ID_TEXT_MAX];
    if (!strcmp(old_name, "self"))
        return fail(ERR_INVALID, "keystore name for back up cannot be named 'self'");
    if (strcmp(type, "rsa") && strcmp(type, "ed25519"))
        return fail(ERR_INVALID, "unrecognized key type: %.40s", type);
    TRY(repo_open(t, repo_path, &r));
    err_t e = private_key_generate(strcmp(type, "rsa") ? KEY_ED25519 : KEY_RSA, NULL, bits, &fresh);
    e = e ? e : peer_id_of(private_key_public(fresh), &id);
    e = e ? e : rotate(t, r, old_name, fresh);
    repo_close(t, r);
    TRY(e);
    snprintf(ret_id, 128, "%s", peer_id_print(&id, text));
    return OK;
}

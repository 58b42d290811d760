/* rpc_dfs_key: dfs/key/…, the personal key of the mesh. Secrets come as parts of a form, never in the target:
 * "passphrase" opens the key file (or the export), "new-passphrase" is what it is under from then on, "key"
 * is an exported file or the words. They are wiped after use. */
#include "api/mesh_files.h"
#include "api/rpc_util.h"
#include "api/upload.h"
#include <stdlib.h>
#include <strings.h>

enum { SECRET_MAX_BYTES = 64 << 10, ROOM_BYTES = SECRET_MAX_BYTES + 16 };

typedef struct secrets {
    buf_t passphrase, new_passphrase, key;
    bool has_new_passphrase;
} secrets_t;

static void wipe(buf_t *b)
{
    secret_wipe(b->data, b->len);
    buf_deinit(b);
}

static void secrets_deinit(secrets_t *s)
{
    wipe(&s->passphrase);
    wipe(&s->new_passphrase);
    wipe(&s->key);
}
AUTO_DEFINE(secrets_t, secrets_deinit)

static err_t read_part(task_t *t, secrets_t *s, upload_t *u)
{
    const struct {
        const char *name;
        buf_t *to;
    } parts[] = {{"passphrase", &s->passphrase}, {"new-passphrase", &s->new_passphrase}, {"key", &s->key}};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (!bytes_equal(buf_bytes(&u->path), bytes_str(parts[i].name)))
            continue;
        TRY(buf_reserve(parts[i].to, ROOM_BYTES - parts[i].to->len)); /* so that no copy of it stays behind */
        s->has_new_passphrase |= parts[i].to == &s->new_passphrase;
        return upload_read_all(t, u, parts[i].to);
    }
    return fail(ERR_USAGE, "a part of the form has a name that is not known here");
}

/* No form is no secrets. */
static err_t read_secrets(task_t *t, rpc_t *r, secrets_t *s)
{
    AUTO(upload_t) u = {0};
    bool has = true;
    const char *type = exchange_header(r->x, "Content-Type");
    *s = (secrets_t){0};
    buf_init(&s->passphrase, ROOM_BYTES);
    buf_init(&s->new_passphrase, ROOM_BYTES);
    buf_init(&s->key, ROOM_BYTES);
    if (!type || strncasecmp(type, "multipart/", 10) != 0)
        return OK;
    TRY(upload_init(&u, r->x));
    for (;;) {
        TRY(upload_next(t, &u, &has));
        if (!has)
            return OK;
        TRY(read_part(t, s, &u));
    }
}

static err_t open_key(task_t *t, rpc_t *r, secrets_t *s)
{
    TRY(read_secrets(t, r, s));
    return s->passphrase.len ? vault_unlock(t, node_vault(r->node), buf_bytes(&s->passphrase)) : OK;
}

static err_t emit_info(task_t *t, rpc_t *r)
{
    vault_key_info_t i;
    char owner[2 * OWNER_KEY_BYTES + 1] = "";
    TRY(vault_key_info(t, node_vault(r->node), &i));
    if (i.epochs)
        hex_text(bytes_of(i.owner.data, OWNER_KEY_BYTES), owner, sizeof owner);
    return rpc_emit(t, r,
                    json_pack("{s:b, s:b, s:b, s:s, s:i}", "exists", i.exists, "has_passphrase",
                              i.has_passphrase, "is_unlocked", i.is_unlocked, "owner", owner, "epochs",
                              (int)i.epochs));
}

static err_t key_info(task_t *t, rpc_t *r)
{
    return emit_info(t, r);
}

static err_t key_unlock(task_t *t, rpc_t *r)
{
    AUTO(secrets_t) s;
    TRY(open_key(t, r, &s));
    return emit_info(t, r);
}

static err_t key_lock(task_t *t, rpc_t *r)
{
    vault_lock(node_vault(r->node));
    return emit_info(t, r);
}

static err_t key_passphrase(task_t *t, rpc_t *r)
{
    AUTO(secrets_t) s;
    TRY(open_key(t, r, &s));
    if (!s.has_new_passphrase)
        return fail(ERR_USAGE, "no new passphrase came with the request");
    TRY(vault_key_ensure(t, node_vault(r->node), NULL));
    TRY(vault_key_set_passphrase(t, node_vault(r->node), buf_bytes(&s.new_passphrase)));
    return emit_info(t, r);
}

static err_t key_export(task_t *t, rpc_t *r)
{
    AUTO(secrets_t) s;
    buf_t out;
    TRY(open_key(t, r, &s));
    buf_init(&out, SECRET_MAX_BYTES);
    err_t e = buf_reserve(&out, SECRET_MAX_BYTES);
    if (!e)
        e = rpc_bool(r, "words", false)
                ? vault_key_export_words(t, node_vault(r->node), &out)
                : vault_key_export_file(t, node_vault(r->node), buf_bytes(&s.new_passphrase), &out);
    if (!e)
        e = rpc_begin_bytes(t, r, "application/octet-stream", (int64_t)out.len);
    if (!e)
        e = exchange_write(t, r->x, buf_bytes(&out));
    wipe(&out);
    return e;
}

static err_t key_import(task_t *t, rpc_t *r)
{
    AUTO(secrets_t) s;
    TRY(read_secrets(t, r, &s));
    if (!s.key.len)
        return fail(ERR_USAGE, "no key came with the request");
    TRY(vault_key_import(t, node_vault(r->node), buf_bytes(&s.key), buf_bytes(&s.passphrase),
                         buf_bytes(&s.new_passphrase), rpc_bool(r, "replace", false)));
    return emit_info(t, r);
}

static err_t key_rotate(task_t *t, rpc_t *r)
{
    AUTO(secrets_t) s;
    uint32_t epochs;
    TRY(open_key(t, r, &s));
    TRY(vault_key_rotate(t, node_vault(r->node), buf_bytes(&s.passphrase), &epochs));
    return emit_info(t, r);
}

const rpc_command_t rpc_dfs_key_commands[] = {
    {"dfs/key/info", key_info, 0, 0, NULL},     {"dfs/key/unlock", key_unlock, 0, 0, NULL},
    {"dfs/key/lock", key_lock, 0, 0, NULL},     {"dfs/key/passphrase", key_passphrase, 0, 0, NULL},
    {"dfs/key/export", key_export, 0, 0, NULL}, {"dfs/key/import", key_import, 0, 0, NULL},
    {"dfs/key/rotate", key_rotate, 0, 0, NULL}, {NULL, NULL, 0, 0, NULL},
};

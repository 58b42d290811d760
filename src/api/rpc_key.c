/* rpc_key: key/…: the keys that names are published with. Private halves never leave through the RPC: `key
 * export` reads the keystore itself. Reference: ipfs/kubo core/commands/keystore.go. */
#include "api/rpc_util.h"
#include "crypto/key_pem.h"
#include "naming/naming.h"
#include <stdlib.h>

enum {
    RSA_BITS = 2048,
    KEY_UPLOAD_MAX = 64 << 10,
    SIGNED_MAX_BYTES = 16 << 20, /* what `key sign` takes */
};
#define SIGNED_PREFIX                                                                                        \
    "libp2p-key signed message:" /* so that no signature of ours means anything elsewhere                    \
                                  */

static err_t key_base(rpc_t *r, multibase_t *ret)
{
    const char *name = rpc_option(r, "ipns-base");
    *ret = MB_BASE36;
    if (!name || !*name)
        return OK;
    if (!strcmp(name, "b58mh") || !strcmp(name, "v0")) {
        *ret = MB_IDENTITY;
        return OK;
    }
    if (!multibase_from_name(name, ret))
        return OK;
    return fail(ERR_INVALID, "unsupported multibase encoding: %.40s", name);
}

static const char *key_id_text(const peer_id_t *id, multibase_t base, char out[PEER_ID_TEXT_MAX])
{
    if (base == MB_IDENTITY || peer_id_print_cid(id, base, out))
        peer_id_print(id, out);
    return out;
}

static json_t *key_json(const char *name, const peer_id_t *id, multibase_t base)
{
    char text[PEER_ID_TEXT_MAX];
    return json_pack("{s:o, s:s}", "Name", rpc_bytes_json(bytes_str(name)), "Id",
                     key_id_text(id, base, text));
}

static keystore_t *keys_of(rpc_t *r)
{
    return repo_keystore(node_repo(r->node));
}

/* The peer ID of a named key. ERR_NOT_FOUND in the words of the reference. */
static err_t id_of_named(task_t *t, rpc_t *r, const char *name, peer_id_t *ret)
{
    AUTO_PTR(private_key_t) key = NULL;
    err_t e = keystore_get(t, keys_of(r), name, &key);
    if (e == ERR_NOT_FOUND || e == ERR_USAGE)
        return fail(ERR_NOT_FOUND, "no key named %.160s was found", name);
    TRY(e);
    return peer_id_of(private_key_public(key), ret);
}

/* ── gen ─────────────────────────────────────────────────────────────────────────────────────── */
typedef struct generation {
    key_type_t type;
    int bits;
    private_key_t *key;
    err_t result;
} generation_t;

static void generate(void *arg)
{
    generation_t *g = arg;
    g->result = private_key_generate(g->type, NULL, g->bits, &g->key);
}

static err_t emit_key(task_t *t, rpc_t *r, const char *name, const private_key_t *key, multibase_t base)
{
    peer_id_t id;
    TRY(peer_id_of(private_key_public(key), &id));
    return rpc_emit(t, r, key_json(name, &id, base));
}

/* Under a name that is free. */
static err_t keep_key(task_t *t, rpc_t *r, const char *name, const private_key_t *key)
{
    err_t e = keystore_put(t, keys_of(r), name, key);
    return e == ERR_EXISTS ? fail(e, "key with name '%.160s' already exists", name) : e;
}

static err_t rpc_key_gen(task_t *t, rpc_t *r)
{
    const char *type = rpc_option(r, "type"), *name = r->args[0];
    multibase_t base;
    uint64_t bits;
    TRY(key_base(r, &base));
    const char *size = rpc_option(r, "size");
    bits = RSA_BITS;
    if (size && strcmp(size, "-1")) /* -1: what is usual for the type */
        TRY(rpc_u64(r, "size", RSA_BITS, &bits));
    type = type && *type ? type : "ed25519";
    if (!strcmp(name, "self"))
        return fail(ERR_INVALID, "cannot create key with name 'self'");
    if (keystore_has(t, keys_of(r), name))
        return fail(ERR_EXISTS, "key with name '%.160s' already exists", name);
    if (strcmp(type, "rsa") && strcmp(type, "ed25519"))
        return fail(ERR_INVALID, "unrecognized key type: %.40s", type);
    generation_t g = {.type = !strcmp(type, "rsa") ? KEY_RSA : KEY_ED25519,
                      .bits = bits < 1 << 20 ? (int)bits : 0};
    work(t, generate, &g);
    TRY(g.result);
    err_t e = keep_key(t, r, name, g.key);
    e = e ? e : emit_key(t, r, name, g.key, base);
    private_key_free(g.key);
    return e;
}

/* ── list, rename, rm ────────────────────────────────────────────────────────────────────────── */
typedef struct key_list {
    rpc_t *r;
    multibase_t base;
    json_t *keys;
} key_list_t;

static err_t list_key(task_t *t, void *arg, const char *name)
{
    key_list_t *l = arg;
    peer_id_t id;
    err_t e = id_of_named(t, l->r, name, &id);
    if (!e)
        json_array_append_new(l->keys, key_json(name, &id, l->base));
    return e == ERR_CANCELED ? e : OK; /* a file that holds no key does not hide the others */
}

static err_t rpc_key_list(task_t *t, rpc_t *r)
{
    key_list_t l = {.r = r};
    if (key_base(r, &l.base))
        return fail_also(ERR_INVALID, "cannot get key encoder");
    l.keys = json_array();
    json_array_append_new(l.keys, key_json("self", node_id(r->node), l.base));
    err_t e = keystore_each(t, keys_of(r), list_key, &l);
    if (!e)
        return rpc_emit(t, r, json_pack("{s:o}", "Keys", l.keys));
    json_decref(l.keys);
    return e;
}

static err_t rpc_key_rename(task_t *t, rpc_t *r)
{
    const char *from = r->args[0], *to = r->args[1];
    bool is_forced = rpc_bool(r, "force", false);
    multibase_t base;
    peer_id_t id;
    char text[PEER_ID_TEXT_MAX];
    TRY(key_base(r, &base));
    if (!strcmp(from, "self"))
        return fail(ERR_INVALID, "cannot rename key with name 'self'");
    if (!strcmp(to, "self"))
        return fail(ERR_INVALID, "cannot overwrite key with name 'self'");
    TRY(id_of_named(t, r, from, &id));
    bool overwrites = strcmp(from, to) && is_forced && keystore_has(t, keys_of(r), to);
    err_t e = strcmp(from, to) ? keystore_rename(t, keys_of(r), from, to, is_forced) : OK;
    if (e == ERR_EXISTS)
        return fail(e, "key by that name already exists, refusing to overwrite");
    TRY(e);
    return rpc_emit(t, r,
                    json_pack("{s:o, s:o, s:s, s:b}", "Was", rpc_bytes_json(bytes_str(from)), "Now",
                              rpc_bytes_json(bytes_str(to)), "Id", key_id_text(&id, base, text), "Overwrite",
                              overwrites));
}

static err_t remove_key(task_t *t, rpc_t *r, const char *name, multibase_t base, json_t *list)
{
    peer_id_t id;
    if (!strcmp(name, "self"))
        return fail(ERR_INVALID, "cannot remove key with name 'self'");
    TRY(id_of_named(t, r, name, &id));
    TRY(keystore_remove(t, keys_of(r), name));
    json_array_append_new(list, key_json(name, &id, base));
    return naming_disown(t, node_naming(r->node), &id);
}

static err_t rpc_key_rm(task_t *t, rpc_t *r)
{
    multibase_t base;
    TRY(key_base(r, &base));
    json_t *list = json_array();
    err_t e = OK;
    for (size_t i = 0; i < r->n_args && !e; i++)
        e = remove_key(t, r, r->args[i], base, list);
    if (!e)
        return rpc_emit(t, r, json_pack("{s:o}", "Keys", list));
    json_decref(list);
    return e;
}

/* ── import ──────────────────────────────────────────────────────────────────────────────────── */
#define LIBP2P_FORMAT "libp2p-protobuf-cleartext"
#define PEM_FORMAT "pem-pkcs8-cleartext"

static err_t read_key(const char *format, bytes_t data, private_key_t **ret)
{
    if (!strcmp(format, PEM_FORMAT))
        return private_key_from_pem(data, ret);
    if (strcmp(format, LIBP2P_FORMAT) != 0)
        return fail(ERR_INVALID, "unrecognized import format: %.60s", format);
    err_t e = private_key_decode(data, ret);
    if (e && pem_has_block(data))
        return fail(ERR_INVALID,
                    "unexpected PEM block for format=" LIBP2P_FORMAT ": try again with format=" PEM_FORMAT);
    return e ? fail_also(e, "unable to unmarshall format=" LIBP2P_FORMAT) : OK;
}

static err_t import_key(task_t *t, rpc_t *r, bytes_t data, multibase_t base)
{
    AUTO_PTR(private_key_t) key = NULL;
    const char *format = rpc_option(r, "format");
    TRY(read_key(format && *format ? format : LIBP2P_FORMAT, data, &key));
    key_type_t type = private_key_type(key);
    if (type != KEY_RSA && type != KEY_ED25519 && !rpc_bool(r, "allow-any-key-type", false))
        return fail(ERR_INVALID,
                    "key type %s is not allowed to be imported, only RSA or Ed25519; use flag "
                    "--allow-any-key-type if you are sure of what you're doing",
                    type == KEY_ECDSA ? "ECDSA" : "Secp256k1");
    TRY(keep_key(t, r, r->args[0], key));
    return emit_key(t, r, r->args[0], key, base);
}

static err_t rpc_key_import(task_t *t, rpc_t *r)
{
    AUTO(buf_t) data = {0};
    multibase_t base;
    if (!strcmp(r->args[0], "self"))
        return fail(ERR_INVALID, "cannot import key with name 'self'");
    TRY(key_base(r, &base));
    buf_init(&data, KEY_UPLOAD_MAX);
    TRY(buf_reserve(&data, KEY_UPLOAD_MAX)); /* so that growing leaves no copies behind */
    err_t e = rpc_read_upload(t, r, &data);
    e = e ? e : import_key(t, r, buf_bytes(&data), base);
    secret_wipe(data.data, data.len);
    return e;
}

/* ── sign, verify ────────────────────────────────────────────────────────────────────────────── */
/* The upload behind the prefix. */
static err_t read_message(task_t *t, rpc_t *r, buf_t *out)
{
    buf_init(out, SIGNED_MAX_BYTES);
    TRY(buf_append(out, BYTES_LIT(SIGNED_PREFIX)));
    return rpc_read_upload(t, r, out);
}

static err_t rpc_key_sign(task_t *t, rpc_t *r)
{
    AUTO(buf_t) message = {0}, signature = {0}, text = {0};
    AUTO_PTR(private_key_t) key = NULL;
    const char *name = rpc_option(r, "key"), *encoded;
    multibase_t base;
    peer_id_t id;
    name = name && *name ? name : "self";
    TRY(key_base(r, &base));
    TRY(read_message(t, r, &message));
    buf_init(&signature, 4096);
    buf_init(&text, 8192);
    if (!strcmp(name, "self")) {
        TRY(private_key_sign(repo_identity(node_repo(r->node)), buf_bytes(&message), &signature));
        id = *node_id(r->node);
    } else {
        if (keystore_get(t, keys_of(r), name, &key))
            return fail(ERR_NOT_FOUND, "no key by the given name was found");
        TRY(private_key_sign(key, buf_bytes(&message), &signature));
        TRY(peer_id_of(private_key_public(key), &id));
    }
    TRY(multibase_encode(MB_BASE64URL, buf_bytes(&signature), &text));
    TRY(buf_cstr(&text, &encoded));
    return rpc_emit(t, r, json_pack("{s:o, s:s}", "Key", key_json(name, &id, base), "Signature", encoded));
}

/* The key of that name, or of that peer ID when it holds one; *ret_name: what to call it. */
static err_t find_public(task_t *t, rpc_t *r, const char *name, const char **ret_name, public_key_t *ret)
{
    AUTO_PTR(private_key_t) key = NULL;
    peer_id_t id;
    *ret_name = name;
    if (!*name || !strcmp(name, "self")) {
        *ret_name = "self";
        *ret = *node_public_key(r->node);
        return OK;
    }
    if (!keystore_check_name(name) && !keystore_get(t, keys_of(r), name, &key)) {
        *ret = *private_key_public(key);
        return OK;
    }
    *ret_name = "";
    if (name_parse(name, &id))
        return fail(ERR_INVALID, "'\"%.100s\"' is not a known key, an IPNS Name, or a valid PeerID", name);
    err_t e = peer_id_public_key(&id, ret);
    return e == ERR_NOT_FOUND ? fail(e, "public key is not embedded in peer ID") : e;
}

static err_t verify(task_t *t, rpc_t *r, public_key_t *key)
{
    AUTO(buf_t) message = {0}, signature = {0};
    const char *name = rpc_option(r, "key"), *encoded = rpc_option(r, "signature");
    multibase_t base, signature_base;
    peer_id_t id;
    TRY(key_base(r, &base));
    buf_init(&signature, 4096);
    if (!encoded || !*encoded)
        return fail(ERR_INVALID, "cannot decode multibase for zero length string");
    TRY(multibase_decode(bytes_str(encoded), &signature_base, &signature));
    TRY(read_message(t, r, &message));
    TRY(find_public(t, r, name ? name : "", &name, key));
    TRY(peer_id_of(key, &id));
    bool is_valid = !public_key_verify(key, buf_bytes(&message), buf_bytes(&signature));
    return rpc_emit(t, r,
                    json_pack("{s:o, s:b}", "Key", key_json(name, &id, base), "SignatureValid", is_valid));
}

static err_t rpc_key_verify(task_t *t, rpc_t *r)
{
    public_key_t *key = xcalloc(1, sizeof *key);
    err_t e = verify(t, r, key);
    free(key);
    return e;
}

const rpc_command_t rpc_key_commands[] = {
    {"key/gen", rpc_key_gen, 1, 1, "name"},
    {"key/import", rpc_key_import, 1, 1, "name"},
    {"key/list", rpc_key_list, 0, 0, NULL},
    {"key/ls", rpc_key_list, 0, 0, NULL},
    {"key/rename", rpc_key_rename, 2, 2, "newName"},
    {"key/rm", rpc_key_rm, 1, RPC_MAX_ARGS, "name"},
    {"key/sign", rpc_key_sign, 0, 0, NULL},
    {"key/verify", rpc_key_verify, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};

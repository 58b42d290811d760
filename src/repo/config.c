#include "repo/config.h"
#include "base/json_depth.h"
#include "multi/multibase.h"
#include "multi/peer_id.h"
#include "repo/config_impl.h"
#include "task/driver.h"
#include <stdlib.h>
#include <strings.h>

#define MAX_DEPTH 32
#define PART_MAX 256

static bool is_secret(const char *path)
{
    return strcasecmp(path, "Identity") == 0 || strcasecmp(path, "Identity.PrivKey") == 0;
}

/* ── as an object ────────────────────────────────────────────────────────────────────────────── */
static err_t load_object(bytes_t text, json_t **ret)
{
    json_error_t error;
    TRY(json_check_depth(text, JSON_DEPTH_MAX));
    json_t *root = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return fail(ERR_CORRUPT, "the config is not JSON: line %d: %s", error.line, error.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return fail(ERR_CORRUPT, "the config is not a JSON object");
    }
    *ret = root;
    return OK;
}

err_t config_parse(bytes_t text, config_t **ret)
{
    json_t *root;
    if (text.len > CONFIG_MAX_BYTES)
        return fail(ERR_LIMIT, "a config of %zu bytes: at most %u", text.len, CONFIG_MAX_BYTES);
    TRY(load_object(text.len ? text : BYTES_LIT(" "), &root));
    config_t *c = xcalloc(1, sizeof *c);
    c->root = root;
    *ret = c;
    return OK;
}

void config_free(config_t *c)
{
    if (!c)
        return;
    json_decref(c->root);
    free(c);
}

err_t config_set_identity(config_t *c, const private_key_t *key)
{
    AUTO(buf_t) raw;
    AUTO(buf_t) text;
    char id_text[PEER_ID_TEXT_MAX];
    peer_id_t id;
    buf_init(&raw, 16384);
    buf_init(&text, 32768);
    TRY(peer_id_of(private_key_public(key), &id));
    TRY(private_key_encode(key, &raw));
    err_t e = multibase_encode_raw(MB_BASE64PAD, buf_bytes(&raw), &text);
    json_t *identity = json_object();
    json_object_set_new(identity, "PeerID", json_string(peer_id_print(&id, id_text)));
    json_object_set_new(identity, "PrivKey", json_stringn((const char *)text.data, text.len));
    json_object_set_new(c->root, "Identity", identity);
    secret_wipe(raw.data, raw.len);
    secret_wipe(text.data, text.len);
    return e;
}

static err_t apply_profiles(config_t *c, const char *profiles)
{
    char name[PART_MAX];
    while (profiles && *profiles) {
        size_t len = strcspn(profiles, ",");
        if (len >= sizeof name)
            return fail(ERR_USAGE, "the name of a profile is too long");
        memcpy(name, profiles, len);
        name[len] = 0;
        if (len)
            TRY(config_apply_profile(c, name));
        profiles += len + (profiles[len] == ',');
    }
    return OK;
}

err_t config_new(const private_key_t *identity, const char *profiles, config_t **ret)
{
    AUTO_PTR(config_t) c = xcalloc(1, sizeof *c);
    c->root = json_object();
    TRY(config_set_identity(c, identity));
    json_t *defaults = config_defaults();
    json_object_update(c->root, defaults);
    json_decref(defaults);
    TRY(apply_profiles(c, profiles));
    *ret = c;
    c = NULL;
    return OK;
}

err_t config_new_from(bytes_t text, const private_key_t *identity, const char *profiles, config_t **ret)
{
    AUTO_PTR(config_t) c = NULL;
    AUTO_PTR(private_key_t) own = NULL;
    TRY(config_parse(text, &c));
    if (config_has(c, "Identity.PrivKey"))
        TRY(config_identity(c, &own)); /* as it is */
    else
        TRY(config_set_identity(c, identity));
    TRY(apply_profiles(c, profiles));
    TRY(config_check(c, ""));
    *ret = c;
    c = NULL;
    return OK;
}

static int append_text(const char *data, size_t len, void *arg)
{
    return buf_append(arg, bytes_of(data, len)) ? -1 : 0;
}

static err_t print_json(const json_t *value, buf_t *out)
{
    if (json_dump_callback(value, append_text, out, JSON_INDENT(2) | JSON_ENCODE_ANY))
        return fail(ERR_LIMIT, "the config is too large to be printed");
    return OK;
}

err_t config_print(const config_t *c, buf_t *out)
{
    TRY(print_json(c->root, out));
    return buf_append_u8(out, '\n');
}

err_t config_print_public(const config_t *c, buf_t *out)
{
    json_t *copy = json_copy(c->root);
    json_t *identity = json_copy(json_object_get(copy, "Identity"));
    if (identity) {
        json_object_del(identity, "PrivKey");
        json_object_set_new(copy, "Identity", identity);
    }
    json_t *pinning = json_deep_copy(json_object_get(copy, "Pinning")), *service;
    const char *name;
    json_object_foreach(json_object_get(pinning, "RemoteServices"), name, service)
        json_object_del(json_object_get(service, "API"), "Key");
    if (pinning)
        json_object_set_new(copy, "Pinning", pinning);
    err_t e = print_json(copy, out);
    json_decref(copy);
    return e ? e : buf_append_u8(out, '\n');
}

/* ── paths ───────────────────────────────────────────────────────────────────────────────────── */
/* Takes the next part of a dotted path; false at its end. */
static bool next_part(const char **path, char out[PART_MAX])
{
    if (!**path)
        return false;
    size_t len = strcspn(*path, ".");
    size_t kept = len < PART_MAX ? len : PART_MAX - 1;
    memcpy(out, *path, kept);
    out[kept] = 0;
    *path += len + ((*path)[len] == '.');
    return true;
}

/* Of an object by name, of an array by its index. */
static json_t *member(const json_t *of, const char *part)
{
    char *end;
    if (!json_is_array(of))
        return json_object_get(of, part);
    size_t index = strtoul(part, &end, 10);
    return *part >= '0' && *part <= '9' && !*end ? json_array_get(of, index) : NULL;
}

json_t *config_json(const config_t *c, const char *path)
{
    json_t *at = c->root;
    char part[PART_MAX];
    while (at && next_part(&path, part))
        at = member(at, part);
    return at;
}

static err_t check_path(const char *path)
{
    size_t depth = 1;
    size_t part = 0;
    for (const char *p = path;; p++) {
        if (*p && *p != '.') {
            part++;
            continue;
        }
        if (part == 0 || part >= PART_MAX || ++depth > MAX_DEPTH)
            return fail(ERR_INVALID, "\"%.100s\" is not a path of keys, like Addresses.API", path);
        part = 0;
        if (!*p)
            return OK;
    }
}

err_t config_put(config_t *c, const char *path, json_t *value)
{
    err_t e = check_path(path);
    const char *rest = path;
    char part[PART_MAX];
    json_t *at = c->root;
    while (!e && next_part(&rest, part) && *rest) {
        json_t *next = json_object_get(at, part);
        if (!next || json_is_null(next)) {
            if (json_object_set_new(at, part, json_object()))
                e = fail(ERR_INVALID, "the path is not UTF-8");
            next = json_object_get(at, part);
        }
        if (!e && !json_is_object(next))
            e = fail(ERR_INVALID, "%s: \"%s\" is not an object", path, part);
        at = next;
    }
    if (e)
        json_decref(value);
    else if (json_object_set_new(at, part, value))
        e = fail(ERR_INVALID, "%s: not a value", path);
    return e;
}

err_t config_get(const config_t *c, const char *path, buf_t *out)
{
    if (is_secret(path))
        return fail(ERR_DENIED, "cannot show or change private key through API");
    json_t *value = config_json(c, path);
    if (!value || !*path)
        return fail(ERR_NOT_FOUND, "failed to get config value: \"%s not found\"", path);
    return print_json(value, out);
}

err_t config_set(config_t *c, const char *path, const char *value_json)
{
    if (is_secret(path))
        return fail(ERR_DENIED, "cannot show or change private key through API");
    json_error_t error;
    TRY(json_check_depth(bytes_str(value_json), JSON_DEPTH_MAX - MAX_DEPTH));
    json_t *value = json_loads(value_json, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (!value)
        return fail(ERR_INVALID, "%s: the value is not JSON: %s", path, error.text);
    return config_put(c, path, value);
}

err_t config_set_str(config_t *c, const char *path, const char *value)
{
    if (is_secret(path))
        return fail(ERR_DENIED, "cannot show or change private key through API");
    json_t *text = json_string(value);
    return text ? config_put(c, path, text) : fail(ERR_INVALID, "%s: the value is not UTF-8", path);
}

err_t config_unset(config_t *c, const char *path)
{
    if (is_secret(path))
        return fail(ERR_DENIED, "cannot show or change private key through API");
    TRY(check_path(path));
    const char *rest = path;
    char part[PART_MAX];
    json_t *at = c->root;
    while (next_part(&rest, part) && *rest)
        at = json_object_get(at, part);
    if (!at || json_object_del(at, part))
        return fail(ERR_NOT_FOUND, "failed to get config value: \"%s not found\"", path);
    return OK;
}

/* Of services that are in both, where the new text has none: it was made from what config_print_public shows.
 */
static void keep_service_keys(json_t *before, json_t *after)
{
    const char *name;
    json_t *service;
    json_object_foreach(json_object_get(after, "RemoteServices"), name, service)
    {
        json_t *old = json_object_get(json_object_get(before, "RemoteServices"), name);
        json_t *key = json_object_get(json_object_get(old, "API"), "Key");
        json_t *api = json_object_get(service, "API");
        if (key && json_is_object(api) && !json_object_get(api, "Key"))
            json_object_set(api, "Key", key);
    }
}

/* Whoever replaces a config that was shown may have lost them on the way, and with them their keys. */
static bool has_services_of(json_t *before, json_t *after)
{
    json_t *old = json_object_get(before, "RemoteServices"), *kept = json_object_get(after, "RemoteServices");
    const char *name;
    json_t *service;
    json_object_foreach(old, name, service)
    {
        if (!json_object_get(kept, name))
            return false;
    }
    return json_object_size(old) == json_object_size(kept);
}

err_t config_replace(config_t *c, bytes_t text)
{
    json_t *root;
    err_t e = load_object(text, &root);
    if (e)
        return fail(ERR_INVALID, "%s", error_text(e));
    const char *key = json_string_value(json_object_get(json_object_get(root, "Identity"), "PrivKey"));
    bool has_services =
        has_services_of(json_object_get(c->root, "Pinning"), json_object_get(root, "Pinning"));
    if ((key && *key) || !has_services) {
        json_decref(root);
        return has_services
                   ? fail(ERR_INVALID, "setting private key with API is not supported")
                   : fail(ERR_INVALID, "cannot add or remove remote pinning services with 'config replace'");
    }
    json_t *identity = json_object_get(c->root, "Identity");
    if (identity)
        json_object_set(root, "Identity", identity);
    keep_service_keys(json_object_get(c->root, "Pinning"), json_object_get(root, "Pinning"));
    json_decref(c->root);
    c->root = root;
    return OK;
}

/* ── on disk ─────────────────────────────────────────────────────────────────────────────────── */
err_t config_load(task_t *t, const char *file, config_t **ret)
{
    AUTO(buf_t) text;
    buf_init(&text, CONFIG_MAX_BYTES + 1);
    TRY(fs_read_file(t, file, CONFIG_MAX_BYTES, &text));
    err_t e = config_parse(buf_bytes(&text), ret);
    secret_wipe(text.data, text.len);
    return e ? fail_also(e, "%s", file) : OK;
}

err_t config_save(task_t *t, const config_t *c, const char *file)
{
    AUTO(buf_t) text;
    buf_init(&text, CONFIG_MAX_BYTES);
    err_t e = config_print(c, &text);
    if (!e)
        e = fs_write_file(t, file, 0600, buf_bytes(&text));
    secret_wipe(text.data, text.len);
    return e;
}

static err_t decode_identity(const char *text, private_key_t **ret_key)
{
    AUTO(buf_t) raw;
    buf_init(&raw, 16384);
    err_t e = multibase_decode_raw(MB_BASE64PAD, bytes_str(text), &raw);
    if (!e)
        e = private_key_decode(buf_bytes(&raw), ret_key);
    secret_wipe(raw.data, raw.len);
    return e;
}

err_t config_identity(const config_t *c, private_key_t **ret_key)
{
    const char *text = config_str(c, "Identity.PrivKey", NULL);
    const char *id_text = config_str(c, "Identity.PeerID", NULL);
    AUTO_PTR(private_key_t) key = NULL;
    peer_id_t id;
    if (!text || !id_text)
        return fail(ERR_CORRUPT, "the config has no Identity");
    if (decode_identity(text, &key))
        return fail(ERR_CORRUPT, "Identity.PrivKey in the config is not a private key");
    if (peer_id_parse(id_text, &id) || !peer_id_matches(&id, private_key_public(key)))
        return fail(ERR_CORRUPT, "Identity.PeerID in the config does not belong to Identity.PrivKey");
    *ret_key = key;
    key = NULL;
    return OK;
}

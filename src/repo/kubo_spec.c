/* kubo_spec: which datastores a repository of Kubo consists of (ipfs/kubo repo/fsrepo/datastores.go,
 * ipfs/go-datastore mount). */
#include "base/json_depth.h"
#include "repo/config_impl.h"
#include "repo/kubo_source.h"
#include "repo/repo_impl.h"
#include <stdio.h>
#include <stdlib.h>

enum { SPEC_MAX_BYTES = 64 << 10, PART_PATH_MAX = 1024 };

static const char *text_of(const json_t *node, const char *key)
{
    return json_string_value(json_object_get(node, key));
}

/* Without the wrappers that only measure or log. */
static const json_t *unwrap(const json_t *node)
{
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        const char *type = text_of(node, "type");
        const json_t *child = json_object_get(node, "child");
        if (!child || (type && strcmp(type, "measure") != 0 && strcmp(type, "log") != 0))
            break;
        node = child;
    }
    return node;
}

static err_t add_part(kubo_source_t *s, kubo_kind_t kind, const char *mount, const char *path)
{
    char file[REPO_PATH_MAX + PART_PATH_MAX + 8];
    if (s->n_parts == KUBO_PARTS_MAX)
        return fail(ERR_LIMIT, "%s/datastore_spec names more than %d datastores", s->path, KUBO_PARTS_MAX);
    if (kind != KUBO_NOTHING &&
        (!path || !*path || strlen(path) >= PART_PATH_MAX || strlen(s->path) + strlen(path) >= REPO_PATH_MAX))
        return fail(ERR_CORRUPT, "%s/datastore_spec names no usable path for a datastore", s->path);
    if (kind == KUBO_FLATFS && strcmp(mount, KUBO_BLOCKS_MOUNT) != 0)
        return fail(ERR_UNSUPPORTED,
                    "%s has a flatfs for something else than blocks (%.60s), which is not read here", s->path,
                    *mount ? mount : "/");
    snprintf(file, sizeof file, "%s%s%s", path && path[0] == '/' ? "" : s->path,
             path && path[0] == '/' ? "" : "/", path ? path : "");
    kubo_part_t *part = &s->parts[s->n_parts++];
    part->kind = kind;
    part->path = xstrdup(file);
    snprintf(part->mount, sizeof part->mount, "%s", mount);
    return OK;
}

static err_t take_store(kubo_source_t *s, const char *type, const char *mount, const json_t *node)
{
    static const struct {
        const char *type;
        kubo_kind_t kind;
    } rows[] = {{"flatfs", KUBO_FLATFS},
                {"levelds", KUBO_LEVELDB},
                {"pebbleds", KUBO_PEBBLE},
                {"badgerds", KUBO_BADGER},
                {"mem", KUBO_NOTHING}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!strcmp(type, rows[i].type))
            return add_part(s, rows[i].kind, mount, text_of(node, "path"));
    return fail(ERR_UNSUPPORTED,
                "%s has a datastore of type %.40s, which is not read here (flatfs, levelds, pebbleds and "
                "badgerds are): take "
                "what you need with Kubo's `ipfs dag export CID > FILE`",
                s->path, type);
}

/* A mountpoint below another one; "/" is "". */
static err_t join_mounts(const kubo_source_t *s, const char *mount, const char *point,
                         char out[KUBO_MOUNT_MAX])
{
    size_t len = strlen(point);
    while (len && point[len - 1] == '/')
        len--;
    while (len > 1 && point[0] == '/' && point[1] == '/')
        point++, len--;
    int n =
        snprintf(out, KUBO_MOUNT_MAX, "%s%s%.*s", mount, len && point[0] != '/' ? "/" : "", (int)len, point);
    return n < KUBO_MOUNT_MAX
               ? OK
               : fail(ERR_CORRUPT, "%s/datastore_spec has a mountpoint that is too long", s->path);
}

static err_t take_node(kubo_source_t *s, const json_t *node, const char *mount)
{
    size_t i;
    json_t *child;
    node = unwrap(node);
    const char *type = text_of(node, "type");
    if (!type)
        return fail(ERR_CORRUPT, "%s/datastore_spec has a datastore without a type", s->path);
    if (strcmp(type, "mount") != 0)
        return take_store(s, type, mount, node);
    json_array_foreach(json_object_get(node, "mounts"), i, child)
    {
        char below[KUBO_MOUNT_MAX];
        const char *point = text_of(child, "mountpoint");
        if (!point)
            return fail(ERR_CORRUPT, "%s/datastore_spec has a mount without a mountpoint", s->path);
        TRY(join_mounts(s, mount, point, below));
        TRY(take_node(s, child, below));
    }
    return add_part(s, KUBO_NOTHING, mount, NULL); /* what it has no mount for is nowhere */
}

/* The longest mounts first, of equal ones the first that was named. */
static void sort_parts(kubo_source_t *s)
{
    for (size_t i = 1; i < s->n_parts; i++)
        for (size_t k = i; k && strlen(s->parts[k].mount) > strlen(s->parts[k - 1].mount); k--) {
            kubo_part_t part = s->parts[k];
            s->parts[k] = s->parts[k - 1];
            s->parts[k - 1] = part;
        }
}

static bool is_in(const kubo_part_t *part, bytes_t key)
{
    size_t len = strlen(part->mount);
    return key.len > len && key.data[len] == '/' && bytes_starts_with(key, bytes_str(part->mount));
}

const kubo_part_t *kubo_source_part_of(const kubo_source_t *s, bytes_t key)
{
    for (size_t i = 0; i < s->n_parts; i++)
        if (is_in(&s->parts[i], key))
            return &s->parts[i];
    return NULL;
}

const kubo_part_t *kubo_source_flatfs(const kubo_source_t *s)
{
    const kubo_part_t *part = kubo_source_part_of(s, BYTES_LIT(KUBO_BLOCKS_MOUNT "/"));
    return part && part->kind == KUBO_FLATFS ? part : NULL;
}

err_t kubo_source_read_spec(task_t *t, kubo_source_t *s)
{
    char file[REPO_PATH_MAX + 64];
    AUTO(buf_t) content;
    buf_init(&content, SPEC_MAX_BYTES);
    err_t e = fs_read_file(t, repo_file(s->path, "datastore_spec", file), SPEC_MAX_BYTES, &content);
    if (e)
        return fail_also(e, "%s has no datastore_spec that can be read", s->path);
    e = json_check_depth(buf_bytes(&content), JSON_DEPTH_MAX);
    if (e)
        return fail_also(e, "%s/datastore_spec", s->path);
    json_t *spec = json_loadb((const char *)content.data, content.len, 0, NULL);
    e = spec ? take_node(s, spec, "") : fail(ERR_CORRUPT, "%s/datastore_spec is not JSON", s->path);
    json_decref(spec);
    TRY(e);
    sort_parts(s);
    const kubo_part_t *part = kubo_source_part_of(s, BYTES_LIT(KUBO_BLOCKS_MOUNT "/"));
    return part && part->kind != KUBO_NOTHING
               ? OK
               : fail(ERR_CORRUPT, "%s/datastore_spec names no datastore that keeps blocks", s->path);
}

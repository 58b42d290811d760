#include "loop/fuse_names.h"
#include <stdlib.h>

typedef struct fuse_name {
    uint64_t id, lookups;
    struct fuse_name *parent; /* NULL: below the folder itself, or removed */
    size_t children;
    bool is_removed;
    char *name;
} fuse_name_t;
enum { KEY_MAX = 8 + FUSE_NAME_BYTES_MAX };

static bytes_t id_key(const uint64_t *id)
{
    return bytes_of((const uint8_t *)id, sizeof *id);
}

/* Names are at most FUSE_NAME_BYTES_MAX long: others are never asked for. */
static bytes_t name_key(uint64_t parent, const char *name, uint8_t room[KEY_MAX])
{
    size_t len = strnlen(name, FUSE_NAME_BYTES_MAX);
    memcpy(room, &parent, 8);
    memcpy(room + 8, name, len);
    return bytes_of(room, 8 + len);
}

static fuse_name_t *by_id(const fuse_names_t *n, uint64_t id)
{
    return map_get(&n->by_id, id_key(&id));
}

void fuse_names_init(fuse_names_t *n, size_t max)
{
    map_init(&n->by_id, max);
    map_init(&n->by_name, max);
    n->next_id = FUSE_NAMES_ROOT + 1;
}

void fuse_names_deinit(fuse_names_t *n)
{
    void *value;
    for (size_t i = 0; map_next(&n->by_id, &i, NULL, &value);) {
        free(((fuse_name_t *)value)->name);
        free(value);
    }
    map_deinit(&n->by_id);
    map_deinit(&n->by_name);
}

err_t fuse_names_path(const fuse_names_t *n, uint64_t id, const char *name, char out[FUSE_PATH_BYTES_MAX])
{
    const char *parts[FUSE_DEPTH_MAX + 1];
    size_t count = 0, len = 0;
    const fuse_name_t *at = id == FUSE_NAMES_ROOT ? NULL : by_id(n, id);
    if (id != FUSE_NAMES_ROOT && !at)
        return fail(ERR_NOT_FOUND, "a name that the system has forgotten");
    if (name)
        parts[count++] = name;
    for (; at; at = at->parent) {
        if (at->is_removed)
            return fail(ERR_NOT_FOUND, "a name that was removed");
        if (count == ARRAY_LEN(parts))
            return fail(ERR_LIMIT, "a path of too many names");
        parts[count++] = at->name;
    }
    out[0] = 0;
    while (count--) {
        size_t more = strlen(parts[count]);
        if (len + more + 2 > FUSE_PATH_BYTES_MAX)
            return fail(ERR_LIMIT, "a path that is too long");
        if (len)
            out[len++] = '/';
        memcpy(out + len, parts[count], more + 1);
        len += more;
    }
    return OK;
}

static void free_unused(fuse_names_t *n, fuse_name_t *at)
{
    uint8_t room[KEY_MAX];
    while (at && !at->lookups && !at->children) {
        fuse_name_t *parent = at->parent;
        map_remove(&n->by_id, id_key(&at->id));
        if (!at->is_removed)
            map_remove(&n->by_name, name_key(parent ? parent->id : FUSE_NAMES_ROOT, at->name, room));
        if (parent)
            parent->children--;
        free(at->name);
        free(at);
        at = parent;
    }
}

err_t fuse_names_remember(fuse_names_t *n, uint64_t parent_id, const char *name, uint64_t *ret_id)
{
    uint8_t room[KEY_MAX];
    bytes_t key = name_key(parent_id, name, room);
    fuse_name_t *at = map_get(&n->by_name, key), *parent = by_id(n, parent_id);
    if (!parent && parent_id != FUSE_NAMES_ROOT)
        return fail(ERR_NOT_FOUND, "a name that the system has forgotten");
    if (!at) {
        at = xmalloc(sizeof *at);
        *at = (fuse_name_t){.id = n->next_id, .parent = parent, .name = xstrdup(name)};
        err_t e = map_put(&n->by_name, key, at, NULL);
        if (!e && map_put(&n->by_id, id_key(&at->id), at, NULL)) {
            map_remove(&n->by_name, key);
            e = ERR_LIMIT;
        }
        if (e) {
            free(at->name);
            free(at);
            return fail(e, "the system knows too many names");
        }
        n->next_id++;
        if (parent)
            parent->children++;
    }
    at->lookups++;
    *ret_id = at->id;
    return OK;
}

void fuse_names_forget(fuse_names_t *n, uint64_t id, uint64_t count)
{
    fuse_name_t *at = by_id(n, id);
    if (!at)
        return;
    at->lookups -= count < at->lookups ? count : at->lookups;
    free_unused(n, at);
}

/* Takes it away from where it stands; its number stays. */
static fuse_name_t *take_away(fuse_names_t *n, uint64_t parent_id, const char *name)
{
    uint8_t room[KEY_MAX];
    fuse_name_t *at = map_remove(&n->by_name, name_key(parent_id, name, room));
    if (!at)
        return NULL;
    fuse_name_t *parent = at->parent;
    at->parent = NULL;
    at->is_removed = true;
    if (parent) {
        parent->children--;
        free_unused(n, parent);
    }
    return at;
}

void fuse_names_remove(fuse_names_t *n, uint64_t parent, const char *name)
{
    free_unused(n, take_away(n, parent, name));
}

void fuse_names_move(fuse_names_t *n, uint64_t parent, const char *name, uint64_t to, const char *to_name)
{
    uint8_t room[KEY_MAX];
    if (parent == to && !strcmp(name, to_name))
        return;
    fuse_names_remove(n, to, to_name);
    fuse_name_t *at = take_away(n, parent, name), *dir = by_id(n, to);
    if (!at || (!dir && to != FUSE_NAMES_ROOT) ||
        map_put(&n->by_name, name_key(to, to_name, room), at, NULL)) {
        free_unused(n, at);
        return;
    }
    free(at->name);
    at->name = xstrdup(to_name);
    at->parent = dir;
    at->is_removed = false;
    if (dir)
        dir->children++;
}

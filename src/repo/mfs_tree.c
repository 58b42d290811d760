#include "repo/mfs_impl.h"
#include <stdio.h>
#include <stdlib.h>

enum { MAX_LOADED_DIRS = 4096, MAX_LOADED_ENTRIES = 200000, MAX_CHILDREN = 1 << 20 };

/* ── paths ───────────────────────────────────────────────────────────────────────────────────── */
err_t mfs_clean_path(const char *text, buf_t *out)
{
    size_t len = strlen(text), start = out->len;
    if (!len)
        return fail(ERR_INVALID, "paths must not be empty");
    if (text[0] != '/')
        return fail(ERR_INVALID, "paths must start with a leading slash");
    if (len > MFS_PATH_MAX_BYTES)
        return fail(ERR_LIMIT, "a path of %zu bytes: at most %u", len, MFS_PATH_MAX_BYTES);
    for (const char *p = text, *end; *p; p = end) {
        while (*p == '/')
            p++;
        end = p + strcspn(p, "/");
        size_t n = (size_t)(end - p);
        if (!n || (n == 1 && p[0] == '.'))
            continue;
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            while (out->len > start && out->data[--out->len] != '/')
                ;
            continue;
        }
        TRY(buf_append_u8(out, '/'));
        TRY(buf_append(out, bytes_of(p, n)));
    }
    if (out->len == start || (len > 1 && text[len - 1] == '/'))
        TRY(buf_append_u8(out, '/'));
    if (out->len - start == 2 && out->data[start] == '/' && out->data[start + 1] == '/')
        out->len--;
    return OK;
}

err_t mfs_path_parse(const char *path, mfs_path_t *ret)
{
    *ret = (mfs_path_t){0};
    for (const char *p = path, *end; *p; p = end) {
        ret->has_slash = *p == '/';
        while (*p == '/')
            p++;
        end = p + strcspn(p, "/");
        if (end == p)
            break;
        if (ret->count == MFS_MAX_DEPTH)
            return fail(ERR_LIMIT, "a path of more than %d names", MFS_MAX_DEPTH);
        if (end - p > MFS_NAME_MAX_BYTES)
            return fail(ERR_LIMIT, "a name of %zu bytes: at most %d", (size_t)(end - p), MFS_NAME_MAX_BYTES);
        ret->parts[ret->count++] = bytes_of(p, (size_t)(end - p));
        ret->has_slash = false;
    }
    return OK;
}

bytes_t mfs_path_name(const mfs_path_t *p)
{
    return p->count ? p->parts[p->count - 1] : BYTES_NONE;
}

const char *mfs_path_print(const mfs_path_t *p, size_t n, char out[160])
{
    size_t len = 0;
    out[0] = 0;
    for (size_t i = 0; i < n && len < 159; i++)
        len += (size_t)snprintf(out + len, 160 - len, "%s%.*s", i ? "/" : "",
                                p->parts[i].len < 150 ? (int)p->parts[i].len : 150,
                                (const char *)p->parts[i].data);
    return out;
}

err_t mfs_not_exist(void)
{
    return fail(ERR_NOT_FOUND, "file does not exist");
}

/* ── nodes ───────────────────────────────────────────────────────────────────────────────────── */
mfs_node_t *mfs_node_new(mfs_t *m, mfs_node_t *parent, bytes_t name, dir_editor_t *editor)
{
    mfs_node_t *n = xcalloc(1, sizeof *n);
    n->parent = parent;
    n->name = xmalloc(name.len + 1);
    if (name.len)
        memcpy(n->name, name.data, name.len);
    n->name[name.len] = 0;
    n->is_dir = editor != NULL;
    n->editor = editor;
    map_init(&n->children, MAX_CHILDREN);
    list_init(&n->in_use);
    list_init(&n->changed);
    list_init(&n->in_changed);
    gate_init(&n->writing, 1);
    if (editor) {
        list_push_back(&m->loaded, &n->in_use);
        m->loaded_dirs++;
        n->entries = dir_editor_loaded(editor);
        m->loaded_entries += n->entries;
        n->opened_at = ++m->ticks;
    }
    if (parent && map_put(&parent->children, name, n, NULL)) {
        n->parent = NULL;
        mfs_free_tree(m, n);
        return NULL;
    }
    return n;
}

static void free_node(mfs_t *m, mfs_node_t *n)
{
    if (n->is_dir) {
        m->loaded_dirs--;
        m->loaded_entries -= n->entries;
    }
    list_remove(&n->in_use);
    list_remove(&n->in_changed);
    dir_editor_free(n->editor);
    map_deinit(&n->children);
    free(n->name);
    free(n);
}

static mfs_node_t *first_child(const mfs_node_t *n)
{
    size_t i = 0;
    void *child;
    return map_next(&n->children, &i, NULL, &child) ? child : NULL;
}

/* Leaves first, without recursion: the tree may be as deep as a path is long. */
void mfs_free_tree(mfs_t *m, mfs_node_t *top)
{
    mfs_node_t *n = top;
    if (top && top->parent)
        map_remove(&top->parent->children, bytes_str(top->name));
    while (n) {
        mfs_node_t *child = first_child(n);
        if (child) {
            n = child;
            continue;
        }
        mfs_node_t *parent = n == top ? NULL : n->parent;
        if (parent)
            map_remove(&parent->children, bytes_str(n->name));
        free_node(m, n);
        n = parent;
    }
}

void mfs_use(mfs_node_t *n)
{
    for (; n; n = n->parent)
        n->users++;
}

void mfs_release(mfs_t *m, mfs_node_t *n)
{
    mfs_node_t *top = n;
    top->users--;
    while (top->parent) {
        top = top->parent;
        top->users--;
    }
    if (top->is_orphan && !top->users)
        mfs_free_tree(m, top);
    else if (!n->is_dir && !n->users)
        mfs_free_tree(m, n);
}

bool mfs_is_attached(const mfs_t *m, const mfs_node_t *n)
{
    while (n->parent)
        n = n->parent;
    return n == m->root;
}

/* The chain of what must be written: a directory is on its parent's list. */
static void unlink_changed(mfs_node_t *n)
{
    list_remove(&n->in_changed);
}

static void leave_parent(mfs_node_t *n)
{
    for (mfs_node_t *up = n->parent; up; up = up->parent)
        up->users -= n->users;
    unlink_changed(n);
    map_remove(&n->parent->children, bytes_str(n->name));
    n->parent = NULL;
}

void mfs_cut_off(mfs_t *m, mfs_node_t *n)
{
    leave_parent(n);
    n->is_orphan = true;
    if (!n->users)
        mfs_free_tree(m, n);
}

void mfs_move_node(mfs_t *m, mfs_node_t *n, mfs_node_t *to, bytes_t name)
{
    leave_parent(n);
    free(n->name);
    n->name = xmalloc(name.len + 1);
    memcpy(n->name, name.data, name.len);
    n->name[name.len] = 0;
    if (map_put(&to->children, name, n, NULL)) { /* a table of a million: its writers go on for themselves */
        n->is_orphan = true;
        if (!n->users)
            mfs_free_tree(m, n);
        return;
    }
    n->parent = to;
    for (mfs_node_t *up = to; up; up = up->parent)
        up->users += n->users;
    if (n->is_dir && dir_editor_is_changed(n->editor))
        mfs_mark_changed(m, n);
}

/* As it must be written, some time; what it holds may be the same. */
static void mark(mfs_t *m, mfs_node_t *dir)
{
    m->version++;
    for (; dir->parent && !list_is_linked(&dir->in_changed); dir = dir->parent)
        list_push_back(&dir->parent->changed, &dir->in_changed);
}

void mfs_mark_changed(mfs_t *m, mfs_node_t *dir)
{
    m->changes.needs_root = true;
    mark(m, dir);
}

void mfs_mark_put(mfs_t *m, mfs_node_t *dir, bytes_t name, const dag_ref_t *ref)
{
    mfs_note_file(m, dir, name, ref);
    mark(m, dir);
}

/* ── lookups ─────────────────────────────────────────────────────────────────────────────────── */
static void count_entries(mfs_t *m, mfs_node_t *dir)
{
    size_t now = dir_editor_loaded(dir->editor);
    m->loaded_entries += now - dir->entries;
    dir->entries = now;
}

static err_t load_child(task_t *t, mfs_t *m, mfs_node_t *dir, bytes_t name, mfs_found_t *f)
{
    AUTO(dag_node_t) n = {0};
    if (cid_equal(&f->ref.cid, &m->known_file))
        return OK;
    err_t e = dag_node_get(t, &m->local.base, &f->ref.cid, &n);
    if (e)
        return e;
    f->is_dir = dag_node_is_dir(&n);
    if (!f->is_dir)
        return OK;
    dir_editor_t *editor;
    TRY(dir_editor_open(t, &m->local.base, &m->options, &n, &editor));
    f->node = mfs_node_new(m, dir, name, editor);
    return f->node ? OK : fail(ERR_LIMIT, "too many directories are open");
}

err_t mfs_find_child(task_t *t, mfs_t *m, mfs_node_t *dir, bytes_t name, mfs_found_t *ret)
{
    mfs_found_t f = {0};
    list_remove(&dir->in_use);
    list_push_back(&m->loaded, &dir->in_use);
    if (name.len)
        TRY(dir_editor_find(t, dir->editor, name, &f.has, &f.ref));
    count_entries(m, dir);
    if (f.has) {
        f.node = map_get(&dir->children, name);
        f.is_dir = f.node && f.node->is_dir;
        if (!f.node && f.ref.cid.codec == CODEC_DAG_PB)
            TRY(load_child(t, m, dir, name, &f));
    }
    if (f.is_dir && f.node->opened_at < dir->cleared_at) {
        dir_editor_forget(f.node->editor);
        f.node->opened_at = f.node->cleared_at = ++m->ticks;
    }
    *ret = f;
    return OK;
}

static err_t no_dir(const mfs_path_t *p, size_t n, mfs_say_t say)
{
    char text[160];
    if (say == MFS_SAY_NO_DIRECTORY)
        return fail(ERR_INVALID, "/%s/ is not a directory", mfs_path_print(p, n, text));
    if (say == MFS_SAY_NOT_DIRECTORY)
        return fail(ERR_INVALID, "not a directory: /%s/", mfs_path_print(p, n, text));
    if (say == MFS_SAY_NO_ACCESS)
        return fail(ERR_INVALID, "cannot access %s: Not a directory",
                    mfs_path_print(p, n < p->count ? n + 1 : n, text));
    return fail(ERR_INVALID, "expected *mfs.Directory, didn't get it. This is likely a race condition");
}

err_t mfs_find_dir(task_t *t, mfs_t *m, const mfs_path_t *p, size_t n, mfs_say_t say, mfs_node_t **ret)
{
    mfs_node_t *dir = m->root;
    for (size_t i = 0; i < n; i++) {
        mfs_found_t f;
        TRY(mfs_find_child(t, m, dir, p->parts[i], &f));
        if (!f.has)
            return mfs_not_exist();
        if (!f.is_dir)
            return no_dir(p, i + 1, i + 1 < n ? MFS_SAY_NO_ACCESS : say);
        dir = f.node;
    }
    *ret = dir;
    return OK;
}

err_t mfs_find(task_t *t, mfs_t *m, const mfs_path_t *p, mfs_node_t **ret_parent, mfs_found_t *ret)
{
    mfs_node_t *dir;
    char text[160];
    *ret_parent = NULL;
    *ret = (mfs_found_t){.has = true, .is_dir = true, .node = m->root};
    for (size_t i = 0; i < p->count; i++) {
        if (!ret->is_dir)
            return fail(ERR_INVALID, "cannot access %s: Not a directory", mfs_path_print(p, i + 1, text));
        dir = ret->node;
        TRY(mfs_find_child(t, m, dir, p->parts[i], ret));
        if (!ret->has)
            return mfs_not_exist();
        *ret_parent = dir;
    }
    return OK;
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static mfs_node_t *first_changed(mfs_node_t *n)
{
    return list_is_empty(&n->changed) ? NULL : LIST_ENTRY(n->changed.next, mfs_node_t, in_changed);
}

err_t mfs_write_tree(task_t *t, mfs_t *m, mfs_node_t *top, dag_ref_t *ret_ref)
{
    mfs_node_t *n = top;
    dag_ref_t ref;
    if (list_is_empty(&top->changed) && !dir_editor_is_changed(top->editor))
        return dir_editor_write(t, top->editor, &m->queue, ret_ref);
    for (;;) { /* down to a directory below which nothing has changed, then up */
        mfs_node_t *below = first_changed(n);
        if (below) {
            n = below;
            continue;
        }
        TRY(dir_editor_write(t, n->editor, &m->queue, &ref));
        if (n == top)
            break;
        TRY(dir_editor_replace(t, n->parent->editor, bytes_str(n->name), &ref));
        unlink_changed(n);
        n = n->parent;
    }
    TRY(put_queue_drain(t, &m->queue));
    *ret_ref = ref;
    return OK;
}

/* Nobody knows which of the blocks that were to be written are there: all of them are made again next time.
 */
void mfs_write_again(task_t *t, mfs_t *m)
{
    error_slot_t why = *error_slot();
    put_queue_deinit(t, &m->queue);
    mfs_queue_init(m);
    LIST_EACH (n, &m->loaded, mfs_node_t, in_use) {
        dir_editor_mark_changed(n->editor);
        mfs_mark_changed(m, n);
    }
    *error_slot() = why;
}

/* boxo's estimate of a sharded directory moves with each put, also of what is there already. */
static void touch(task_t *t, mfs_node_t *dir, bytes_t name)
{
    bool has;
    dag_ref_t ref;
    if (!dir_editor_is_sharded(dir->editor) || dir_editor_find(t, dir->editor, name, &has, &ref) || !has)
        return;
    if (dir_editor_put(t, dir->editor, name, &ref))
        return; /* an estimate that is off by two bytes */
}

void mfs_clear_cache(task_t *t, mfs_t *m, mfs_node_t *dir, bytes_t touched)
{
    if (touched.len)
        touch(t, dir, touched);
    dir->cleared_at = ++m->ticks;
    for (; dir->parent; dir = dir->parent) {
        bool was = dir_editor_is_changed(dir->parent->editor);
        touch(t, dir->parent, bytes_str(dir->name));
        if (!was && dir_editor_is_changed(dir->parent->editor))
            mark(m, dir->parent);
    }
}

/* ── memory ──────────────────────────────────────────────────────────────────────────────────── */
static bool is_over(const mfs_t *m)
{
    return m->loaded_dirs > MAX_LOADED_DIRS || m->loaded_entries > MAX_LOADED_ENTRIES;
}

void mfs_trim(task_t *t, mfs_t *m)
{
    dag_ref_t ref;
    if (!is_over(m) || mfs_write_tree(t, m, m->root, &ref)) /* what is written can be let go */
        return;
    for (list_t *at = m->loaded.next, *next; at != &m->loaded && is_over(m); at = next) {
        mfs_node_t *n = LIST_ENTRY(at, mfs_node_t, in_use);
        next = at->next;
        if (dir_editor_is_changed(n->editor))
            continue;
        dir_editor_trim(n->editor);
        count_entries(m, n);
        if (n != m->root && !n->users && !map_count(&n->children) && !list_is_linked(&n->in_changed))
            mfs_free_tree(m, n);
    }
}

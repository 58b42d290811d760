#include "sim/sim_disk.h"
#include <stdio.h>
#include <stdlib.h>

enum { SYMLINKS_MAX = 40, NAMES_MAX = 1 << 24 };

/* ── pages ───────────────────────────────────────────────────────────────────────────────────── */
static void set_data(sim_disk_t *d, disk_page_t *p, uint8_t *data)
{
    d->used += data && !p->data ? PAGE_BYTES : 0;
    d->used -= !data && p->data ? PAGE_BYTES : 0;
    p->data = data;
}

/* Before a change: keeps what the disk has, and gives a page of its own to write to (NULL for a hole). */
static void make_dirty(sim_disk_t *d, disk_page_t *p, bool is_hole)
{
    if (!p->is_dirty) {
        uint8_t *copy = NULL;
        if (p->data && !is_hole) {
            copy = xmalloc(PAGE_BYTES);
            memcpy(copy, p->data, PAGE_BYTES);
        }
        p->is_dirty = true;
        p->synced = p->data;
        d->used -= p->data && !copy ? PAGE_BYTES : 0;
        p->data = copy;
    } else if (is_hole && p->data) {
        free(p->data);
        set_data(d, p, NULL);
    }
    if (!is_hole && !p->data)
        set_data(d, p, xcalloc(1, PAGE_BYTES));
}

static void drop_page(sim_disk_t *d, disk_page_t *p)
{
    free(p->synced);
    free(p->data);
    set_data(d, p, NULL);
    *p = (disk_page_t){0};
}

static void need_pages(inode_t *i, size_t count)
{
    if (count <= i->page_count)
        return;
    size_t cap = i->page_count ? i->page_count : 1;
    while (cap < count)
        cap *= 2;
    i->pages = xrealloc(i->pages, cap * sizeof *i->pages);
    memset(i->pages + i->page_count, 0, (cap - i->page_count) * sizeof *i->pages);
    i->page_count = cap;
}

size_t inode_read(inode_t *i, uint8_t *out, size_t len, uint64_t offset)
{
    if (offset >= i->size)
        return 0;
    if (len > i->size - offset)
        len = (size_t)(i->size - offset);
    for (size_t done = 0; done < len;) {
        size_t index = (size_t)((offset + done) / PAGE_BYTES), at = (offset + done) % PAGE_BYTES;
        size_t n = PAGE_BYTES - at < len - done ? PAGE_BYTES - at : len - done;
        const uint8_t *data = index < i->page_count ? i->pages[index].data : NULL;
        if (data)
            memcpy(out + done, data + at, n);
        else
            memset(out + done, 0, n);
        done += n;
    }
    return len;
}

static size_t new_pages(const inode_t *i, uint64_t offset, size_t len)
{
    size_t count = 0;
    for (uint64_t p = offset / PAGE_BYTES; p <= (offset + len - 1) / PAGE_BYTES; p++)
        count += p >= i->page_count || !i->pages[p].data;
    return count;
}

err_t inode_write(sim_disk_t *d, inode_t *i, bytes_t data, uint64_t offset)
{
    if (!data.len)
        return OK;
    if (d->capacity && d->used + new_pages(i, offset, data.len) * PAGE_BYTES > d->capacity)
        return fail(ERR_NO_SPACE, "the disk of %s is full (%llu bytes)", d->host->ip_text,
                    (unsigned long long)d->capacity);
    need_pages(i, (size_t)((offset + data.len - 1) / PAGE_BYTES) + 1);
    for (size_t done = 0; done < data.len;) {
        disk_page_t *p = &i->pages[(offset + done) / PAGE_BYTES];
        size_t at = (offset + done) % PAGE_BYTES;
        size_t n = PAGE_BYTES - at < data.len - done ? PAGE_BYTES - at : data.len - done;
        make_dirty(d, p, false);
        memcpy(p->data + at, data.data + done, n);
        done += n;
    }
    if (offset + data.len > i->size)
        i->size = offset + data.len;
    i->mtime_ms = driver_wall_ms(sim_host_driver(d->host));
    return OK;
}

void inode_punch(sim_disk_t *d, inode_t *i, uint64_t offset, uint64_t len)
{
    uint64_t end = offset + len < i->size ? offset + len : i->size;
    while (offset < end) {
        size_t index = (size_t)(offset / PAGE_BYTES), at = offset % PAGE_BYTES;
        size_t n = PAGE_BYTES - at < end - offset ? PAGE_BYTES - at : (size_t)(end - offset);
        if (index < i->page_count && i->pages[index].data) {
            make_dirty(d, &i->pages[index], n == PAGE_BYTES);
            if (n < PAGE_BYTES)
                memset(i->pages[index].data + at, 0, n);
        }
        offset += n;
    }
}

err_t inode_truncate(sim_disk_t *d, inode_t *i, uint64_t size)
{
    if (size < i->size)
        inode_punch(d, i, size, i->size - size); /* when it grows again, it grows by zeros */
    i->size = size;
    i->mtime_ms = driver_wall_ms(sim_host_driver(d->host));
    return OK;
}

void inode_sync(sim_disk_t *d, inode_t *i)
{
    for (size_t p = 0; p < i->page_count; p++) {
        free(i->pages[p].synced);
        i->pages[p].synced = NULL;
        i->pages[p].is_dirty = false;
    }
    i->synced_size = i->size;
}

uint64_t inode_disk_bytes(const inode_t *i)
{
    uint64_t bytes = 0;
    for (size_t p = 0; p < i->page_count; p++)
        bytes += i->pages[p].data ? PAGE_BYTES : 0;
    return bytes;
}

/* ── inodes and names ────────────────────────────────────────────────────────────────────────── */
inode_t *inode_new(sim_disk_t *d, int kind, uint32_t mode)
{
    inode_t *i = xcalloc(1, sizeof *i);
    i->refs = 1;
    i->kind = kind;
    i->mode = mode;
    i->number = d->next_number++;
    i->mtime_ms = d->host->machine ? driver_wall_ms(sim_host_driver(d->host)) : 0;
    map_init(&i->names, NAMES_MAX);
    return i;
}

void inode_unref(sim_disk_t *d, inode_t *i)
{
    if (!i || --i->refs)
        return;
    for (size_t p = 0; p < i->page_count; p++)
        drop_page(d, &i->pages[p]);
    free(i->pages);
    void *child;
    for (size_t at = 0; map_next(&i->names, &at, NULL, &child);)
        inode_unref(d, child);
    map_deinit(&i->names);
    free(i->target);
    free(i);
}

static inode_t *get_name(const inode_t *folder, const char *name)
{
    return map_get(&folder->names, bytes_str(name));
}

static void put_name(sim_disk_t *d, inode_t *folder, const char *name, inode_t *to)
{
    inode_t *before = map_remove(&folder->names, bytes_str(name));
    if (to) {
        to->refs++;
        if (map_put(&folder->names, bytes_str(name), to, NULL))
            abort(); /* more names than the simulator is made for */
        if (to->kind == FILE_KIND_DIR)
            to->parent = folder;
    }
    inode_unref(d, before);
}

name_change_t *disk_journal(sim_disk_t *d)
{
    name_change_t *c = xcalloc(1, sizeof *c);
    list_push_back(&d->journal, &c->node);
    return c;
}

void disk_set_name(sim_disk_t *d, name_change_t *c, inode_t *folder, const char *name, inode_t *to)
{
    assert(c->count < ARRAY_LEN(c->entries));
    inode_t *before = get_name(folder, name);
    folder->refs++;
    if (before)
        before->refs++;
    if (to)
        to->refs++;
    c->entries[c->count].folder = folder;
    c->entries[c->count].before = before;
    c->entries[c->count].after = to;
    snprintf(c->entries[c->count].name, sizeof c->entries[0].name, "%s", name);
    c->count++;
    folder->mtime_ms = driver_wall_ms(sim_host_driver(d->host));
    put_name(d, folder, name, to);
}

static void forget_change(sim_disk_t *d, name_change_t *c)
{
    assert(c);
    list_remove(&c->node);
    for (size_t k = 0; k < c->count; k++) {
        inode_unref(d, c->entries[k].before);
        inode_unref(d, c->entries[k].after);
        inode_unref(d, c->entries[k].folder);
    }
    free(c);
}

/* As a journalling file system: what was changed before it becomes durable with it. */
void disk_sync_folder(sim_disk_t *d, inode_t *folder)
{
    name_change_t *last = NULL;
    LIST_EACH (c, &d->journal, name_change_t, node)
        for (size_t k = 0; k < c->count; k++)
            if (c->entries[k].folder == folder)
                last = c;
    while (last) {
        name_change_t *c = LIST_FIRST(&d->journal, name_change_t, node);
        bool is_last = c == last;
        forget_change(d, c);
        if (is_last)
            break;
    }
}

static void expand_symlink(char *path, size_t rest_at, const char *target)
{
    char *rest = xstrdup(path + rest_at);
    snprintf(path, PATH_MAX_LEN + 1, "%s%s%s", target, *rest ? "/" : "", rest);
    free(rest);
}

err_t disk_resolve(sim_disk_t *d, const char *path, bool follow, inode_t **ret_folder,
                   char ret_name[NAME_MAX_LEN + 1], inode_t **ret_inode)
{
    char left[PATH_MAX_LEN + 1];
    if (snprintf(left, sizeof left, "%s", path) > PATH_MAX_LEN || !*path)
        return fail(ERR_INVALID, "the path is empty or too long");
    inode_t *folder = d->root, *at = d->root;
    int symlinks = 0;
    ret_name[0] = 0;
    for (size_t pos = 0;;) {
        pos += strspn(left + pos, "/");
        if (!left[pos])
            break;
        if (!at)
            return fail(ERR_NOT_FOUND, "%s: not found", path);
        if (at->kind != FILE_KIND_DIR)
            return fail(ERR_NOT_FOUND, "%s: not a folder on the way", path);
        size_t len = strcspn(left + pos, "/");
        if (len > NAME_MAX_LEN)
            return fail(ERR_INVALID, "%s: a name is over %d bytes", path, NAME_MAX_LEN);
        char name[NAME_MAX_LEN + 1];
        snprintf(name, sizeof name, "%.*s", (int)len, left + pos);
        pos += len;
        if (!strcmp(name, "."))
            continue;
        if (!strcmp(name, "..")) {
            at = at->parent;
            folder = at->parent;
            ret_name[0] = 0;
            continue;
        }
        folder = at;
        memcpy(ret_name, name, len + 1);
        at = get_name(folder, name);
        bool is_last = !left[pos + strspn(left + pos, "/")];
        if (at && at->kind == FILE_KIND_SYMLINK && (follow || !is_last)) {
            if (++symlinks > SYMLINKS_MAX)
                return fail(ERR_INVALID, "%s: too many symlinks", path);
            expand_symlink(left, pos + strspn(left + pos, "/"), at->target);
            pos = 0;
            at = left[0] == '/' ? d->root : folder;
            ret_name[0] = 0;
        }
    }
    *ret_folder = folder;
    *ret_inode = at;
    return OK;
}

/* ── faults ──────────────────────────────────────────────────────────────────────────────────── */
err_t disk_change(sim_disk_t *d, const char *what)
{
    d->changes++;
    if (d->fail_at && (d->changes == d->fail_at || (d->is_fail_lasting && d->changes > d->fail_at)))
        return fail(d->fail_error, "the disk of %s failed to %s", d->host->ip_text, what);
    return OK;
}

static void crash_page(sim_disk_t *d, disk_page_t *p, prng_t *rng)
{
    uint64_t choice = prng_below(rng, 3);
    if (choice == 1 || !p->is_dirty) { /* it had reached the disk */
        free(p->synced);
    } else if (choice == 2) { /* it was being written */
        make_dirty(d, p, false);
        size_t cut = SECTOR_BYTES * (size_t)prng_below(rng, PAGE_BYTES / SECTOR_BYTES + 1);
        if (p->synced)
            memcpy(p->data + cut, p->synced + cut, PAGE_BYTES - cut);
        else
            memset(p->data + cut, 0, PAGE_BYTES - cut);
        free(p->synced);
    } else {
        free(p->data);
        set_data(d, p, p->synced);
    }
    p->synced = NULL;
    p->is_dirty = false;
}

static void crash_inode(sim_disk_t *d, inode_t *i, prng_t *rng)
{
    i->lock_holder = NULL;
    for (size_t p = 0; p < i->page_count; p++)
        if (i->pages[p].is_dirty)
            crash_page(d, &i->pages[p], rng);
    if (i->size != i->synced_size) {
        uint64_t low = i->size < i->synced_size ? i->size : i->synced_size,
                 high = i->size ^ i->synced_size ^ low;
        uint64_t choice = prng_below(rng, 3), size = choice == 0   ? low
                                                     : choice == 1 ? high
                                                                   : low + prng_below(rng, high - low);
        i->size = high;
        if (inode_truncate(d, i, size))
            abort(); /* shrinking needs no space */
        inode_sync(d, i);
    }
    void *child;
    for (size_t at = 0; map_next(&i->names, &at, NULL, &child);)
        crash_inode(d, child, rng);
}

/* Undoes the names from the last change backwards, down to a random one. */
void sim_disk_crash(sim_disk_t *d, prng_t *rng)
{
    size_t count = 0;
    LIST_EACH (c, &d->journal, name_change_t, node)
        count++;
    size_t kept = count ? (size_t)prng_below(rng, count + 1) : 0;
    for (; count > kept; count--) {
        name_change_t *c = LIST_ENTRY(d->journal.prev, name_change_t, node);
        for (size_t k = c->count; k--;)
            put_name(d, c->entries[k].folder, c->entries[k].name, c->entries[k].before);
        forget_change(d, c);
    }
    while (!list_is_empty(&d->journal))
        forget_change(d, LIST_FIRST(&d->journal, name_change_t, node));
    crash_inode(d, d->root, rng);
}

sim_disk_t *sim_disk_new(sim_host_t *h)
{
    sim_disk_t *d = xcalloc(1, sizeof *d);
    d->host = h;
    d->next_number = 1;
    list_init(&d->journal);
    d->root = inode_new(d, FILE_KIND_DIR, 0755);
    d->root->parent = d->root;
    inode_t *tmp = inode_new(d, FILE_KIND_DIR, 01777);
    put_name(d, d->root, "tmp", tmp);
    inode_unref(d, tmp);
    return d;
}

void sim_disk_free(sim_disk_t *d)
{
    while (!list_is_empty(&d->journal))
        forget_change(d, LIST_FIRST(&d->journal, name_change_t, node));
    inode_unref(d, d->root);
    free(d);
}

static inode_t *must_find(sim_host_t *h, const char *path)
{
    inode_t *folder, *i;
    char name[NAME_MAX_LEN + 1];
    if (disk_resolve(h->disk, path, true, &folder, name, &i) || !i) {
        fprintf(stderr, "host %s has no file %s\n", h->ip_text, path);
        abort();
    }
    return i;
}

void sim_disk_set_capacity(sim_host_t *h, uint64_t bytes)
{
    h->disk->capacity = bytes;
}

void sim_disk_fail_nth(sim_host_t *h, uint64_t n, err_t error, bool is_lasting)
{
    h->disk->fail_at = n ? h->disk->changes + n : 0;
    h->disk->fail_error = error;
    h->disk->is_fail_lasting = is_lasting;
}

uint64_t sim_disk_changes(const sim_host_t *h)
{
    return h->disk->changes;
}

void sim_disk_set_unreadable(sim_host_t *h, const char *path, err_t error)
{
    must_find(h, path)->read_error = error;
}

void sim_disk_corrupt(sim_host_t *h, const char *path, uint64_t offset, uint64_t len)
{
    inode_t *i = must_find(h, path);
    for (; len-- && offset < i->size; offset++) {
        uint8_t b = 0;
        inode_read(i, &b, 1, offset);
        b = (uint8_t)~b;
        if (inode_write(h->disk, i, bytes_of(&b, 1), offset))
            abort(); /* the page is there */
    }
    inode_sync(h->disk, i); /* rot is on the disk itself */
}

uint64_t sim_disk_used_bytes(const sim_host_t *h)
{
    return h->disk->used;
}

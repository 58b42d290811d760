#include "cli/extract.h"
#include "cli/command.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, NEW_FOLDER_MODE = 0755 };
enum { NAMELESS_MIN_BYTES = 1 << 20 }; /* what is shorter is written at once */

void extract_init(extract_t *x, const char *out)
{
    memset(x, 0, sizeof *x);
    x->out = out;
    x->fd = x->folder = x->parent_fd = -1;
    x->levels = xcalloc(EXTRACT_MAX_DEPTH, sizeof *x->levels);
}

/* Above the first level the name is that of the output itself. */
static err_t disk_error(const extract_t *x, const char *what, const char *name)
{
    int code = errno;
    err_t e = code == ELOOP || code == ENOTDIR ? ERR_DENIED : error_from_errno(code);
    const char *where = x->depth ? "/" : "";
    return fail(e, "cannot %s %.200s%s%.200s%s%.200s: %s", what, print_escape(x->out), where,
                x->depth ? print_escape(x->path) : "", x->depth && *x->path ? "/" : "",
                x->depth ? print_escape(name) : "",
                e == ERR_DENIED && code != EACCES ? "a file or a symbolic link is in the way"
                                                  : strerror(code));
}

/* ── modes and times ─────────────────────────────────────────────────────────────────────────── */
static err_t set_meta(const extract_t *x, int fd, uint32_t mode, int64_t mtime_s, uint32_t mtime_ns)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = mtime_s, .tv_nsec = mtime_ns}};
    if (mode && fchmod(fd, mode & 07777))
        return disk_error(x, "set the mode of", x->name);
    if ((mtime_s || mtime_ns) && futimens(fd, times))
        return disk_error(x, "set the time of", x->name);
    return OK;
}

static err_t close_level(extract_t *x)
{
    extract_level_t *l = &x->levels[--x->depth];
    err_t e = l->has_meta ? set_meta(x, l->fd, l->mode, l->mtime_s, l->mtime_ns) : OK;
    close(l->fd);
    x->path[x->depth ? x->levels[x->depth - 1].path_len : 0] = 0;
    return e;
}

/* ── folders ─────────────────────────────────────────────────────────────────────────────────── */
static err_t open_level(extract_t *x, int above, const char *name)
{
    if (x->depth == EXTRACT_MAX_DEPTH)
        return fail(ERR_LIMIT, "folders are nested deeper than %d", EXTRACT_MAX_DEPTH);
    int fd = openat(above, name, FOLDER_FLAGS);
    if (fd < 0)
        return disk_error(x, "open the folder", name);
    size_t len = 0;
    if (x->depth) {
        len = x->levels[x->depth - 1].path_len;
        int n = snprintf(x->path + len, sizeof x->path - len, "%s%s", len ? "/" : "", name);
        if (n < 0 || (size_t)n >= sizeof x->path - len) {
            close(fd);
            return fail(ERR_LIMIT, "%.200s: the path is too long", print_escape(x->path));
        }
        len += (size_t)n;
    }
    x->levels[x->depth++] = (extract_level_t){.fd = fd, .path_len = len};
    return OK;
}

static void keep_meta(extract_t *x, const tar_entry_t *entry)
{
    extract_level_t *l = &x->levels[x->depth - 1];
    l->has_meta = true;
    l->mode = entry->mode;
    l->mtime_s = entry->mtime_s;
    l->mtime_ns = entry->mtime_ns;
}

static err_t make_folder(extract_t *x, const char *name, const tar_entry_t *entry)
{
    int above = x->levels[x->depth - 1].fd;
    if (mkdirat(above, name, NEW_FOLDER_MODE) && errno != EEXIST)
        return disk_error(x, "make the folder", name);
    TRY(open_level(x, above, name));
    keep_meta(x, entry);
    return OK;
}

/* Is path[0..len) this folder, or one below it? */
static bool holds(const char *folder, size_t folder_len, const char *path, size_t len)
{
    return folder_len <= len && !memcmp(folder, path, folder_len) &&
           (!folder_len || folder_len == len || path[folder_len] == '/');
}

/* Makes the folder of an entry the innermost open one: rest[0..len) is its place below the root. */
static err_t enter(extract_t *x, const char *rest, size_t len)
{
    while (x->depth > 1 && !holds(x->path, x->levels[x->depth - 1].path_len, rest, len))
        TRY(close_level(x));
    size_t at = x->levels[x->depth - 1].path_len;
    while (at < len) {
        char part[4096];
        at += at && rest[at] == '/';
        size_t n = strcspn(rest + at, "/");
        n = n < len - at ? n : len - at;
        snprintf(part, sizeof part, "%.*s", (int)n, rest + at);
        TRY(open_level(x, x->levels[x->depth - 1].fd, part));
        at += n;
    }
    return OK;
}

/* ── files and links ─────────────────────────────────────────────────────────────────────────── */

/* A folder in the way is replaced only when it is empty. */
static err_t clear_place(extract_t *x, int folder, const char *name)
{
    if (unlinkat(folder, name, 0) && errno == EISDIR && unlinkat(folder, name, AT_REMOVEDIR))
        return disk_error(x, "replace the folder", name);
    return OK;
}

static const char *place_of(int fd, char out[32])
{
    snprintf(out, 32, "/proc/self/fd/%d", fd);
    return out;
}

/* Where the file system can, the file has no name until it is whole: nothing is left when the process is
 * ended. */
static void open_file(extract_t *x, int folder, uint64_t size)
{
    char place[32];
    x->is_nameless = false;
    x->fd = size < NAMELESS_MIN_BYTES ? -1 : openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (x->fd >= 0 && !access(place_of(x->fd, place), F_OK)) {
        x->is_nameless = true;
        return;
    }
    if (x->fd >= 0)
        close(x->fd);
    x->fd = openat(folder, x->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static err_t begin_file(extract_t *x, int folder, const char *name, const tar_entry_t *entry)
{
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return disk_error(x, "get random bytes for", name);
    snprintf(x->temporary, sizeof x->temporary, ".distribute-get-%016llx", (unsigned long long)number);
    snprintf(x->name, sizeof x->name, "%s", name);
    open_file(x, folder, entry->size);
    if (x->fd < 0)
        return disk_error(x, "write", name);
    x->folder = folder;
    x->meta.mode = entry->mode ? entry->mode : 0644;
    x->meta.mtime_s = entry->mtime_s;
    x->meta.mtime_ns = entry->mtime_ns;
    return OK;
}

static err_t make_link(extract_t *x, int folder, const char *name, const tar_entry_t *entry)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                {.tv_sec = entry->mtime_s, .tv_nsec = entry->mtime_ns}};
    TRY(clear_place(x, folder, name));
    if (symlinkat(entry->link, folder, name))
        return disk_error(x, "make the link", name);
    if ((entry->mtime_s || entry->mtime_ns) && utimensat(folder, name, times, AT_SYMLINK_NOFOLLOW))
        return disk_error(x, "set the time of", name);
    return OK;
}

err_t extract_data(extract_t *x, bytes_t data)
{
    while (x->fd >= 0 && data.len) {
        ssize_t n = write(x->fd, data.data, data.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return disk_error(x, "write", x->name);
        data = bytes_slice(data, (size_t)n, data.len);
    }
    return OK;
}

err_t extract_end(extract_t *x)
{
    if (x->fd < 0)
        return OK;
    if (x->folder >= 0)
        TRY(set_meta(x, x->fd, x->meta.mode, x->meta.mtime_s, x->meta.mtime_ns));
    char place[32];
    int fd = x->fd;
    if (x->folder >= 0 && x->is_nameless &&
        linkat(AT_FDCWD, place_of(fd, place), x->folder, x->temporary, AT_SYMLINK_FOLLOW))
        return disk_error(x, "write", x->name);
    x->fd = -1;
    if (close(fd))
        return disk_error(x, "write", x->name);
    if (x->folder < 0) /* into a device or pipe */
        return OK;
    if (renameat(x->folder, x->temporary, x->folder, x->name)) {
        if (errno == EISDIR)
            TRY(clear_place(x, x->folder, x->name));
        if (renameat(x->folder, x->temporary, x->folder, x->name))
            return disk_error(x, "write", x->name);
    }
    x->folder = -1;
    return OK;
}

/* ── entries ─────────────────────────────────────────────────────────────────────────────────── */
static bool is_safe_part(const char *part, size_t len)
{
    return len && !(len == 1 && part[0] == '.') && !(len == 2 && part[0] == '.' && part[1] == '.');
}

/* The name's first part is the root's, and no part leads elsewhere. *ret_rest: what follows it. */
static err_t check_name(extract_t *x, const char *name, const char **ret_rest)
{
    size_t root = strcspn(name, "/");
    if (!x->root[0])
        snprintf(x->root, sizeof x->root, "%.*s", (int)root, name);
    if (!is_safe_part(name, root) || strlen(x->root) != root || strncmp(x->root, name, root))
        return fail(ERR_INVALID, "the archive holds the name \"%.150s\", which lies outside of its root",
                    print_escape(name));
    const char *rest = name + root;
    while (*rest) {
        size_t len = strcspn(rest + 1, "/");
        if (!is_safe_part(rest + 1, len))
            return fail(ERR_INVALID, "the archive holds the unsafe name \"%.150s\"", print_escape(name));
        rest += 1 + len;
    }
    *ret_rest = name[root] ? name + root + 1 : name + root;
    return OK;
}

/* Folders that are named on the command line may be links, and are made as needed. */
static err_t make_parents(extract_t *x)
{
    char path[EXTRACT_PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s", x->out) >= sizeof path)
        return fail(ERR_LIMIT, "%.200s: the path is too long", print_escape(x->out));
    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        if (mkdir(path, NEW_FOLDER_MODE) && errno != EEXIST)
            return disk_error(x, "make the folder", "");
        *p = '/';
    }
    return OK;
}

static err_t begin_root_folder(extract_t *x, const tar_entry_t *entry)
{
    TRY(make_parents(x));
    if (mkdir(x->out, NEW_FOLDER_MODE) && errno != EEXIST)
        return disk_error(x, "make the folder", "");
    TRY(open_level(x, AT_FDCWD, x->out));
    keep_meta(x, entry);
    return OK;
}

static err_t begin_root_file(extract_t *x, const tar_entry_t *entry)
{
    struct stat st;
    char above[EXTRACT_PATH_MAX];
    const char *name = x->root, *folder = x->out;
    bool takes_bytes = !stat(x->out, &st) && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode));
    if (takes_bytes && entry->kind == TAR_FILE) { /* as root /dev/null would be a file from then on */
        x->fd = open(x->out, O_WRONLY | O_CLOEXEC);
        return x->fd < 0 ? disk_error(x, "write", "") : OK;
    }
    if (lstat(x->out, &st) || !S_ISDIR(st.st_mode)) {
        const char *slash = strrchr(x->out, '/');
        name = slash ? slash + 1 : x->out;
        if ((size_t)snprintf(above, sizeof above, "%.*s", slash ? (int)(slash - x->out) + 1 : 1,
                             slash ? x->out : ".") >= sizeof above)
            return fail(ERR_LIMIT, "%.200s: the path is too long", print_escape(x->out));
        folder = above;
    }
    x->parent_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (x->parent_fd < 0)
        return disk_error(x, "write", "");
    return entry->kind == TAR_FILE ? begin_file(x, x->parent_fd, name, entry)
                                   : make_link(x, x->parent_fd, name, entry);
}

err_t extract_begin(extract_t *x, const tar_entry_t *entry)
{
    const char *rest;
    bool is_first = !x->root[0];
    TRY(check_name(x, entry->name, &rest));
    if (is_first && *rest)
        return fail(ERR_INVALID, "the archive begins below its root: \"%.150s\"", print_escape(entry->name));
    if (is_first)
        return entry->kind == TAR_DIR ? begin_root_folder(x, entry) : begin_root_file(x, entry);
    if (!x->depth || !*rest)
        return fail(ERR_INVALID, "the archive has several roots");
    const char *slash = strrchr(rest, '/'), *name = slash ? slash + 1 : rest;
    TRY(enter(x, rest, slash ? (size_t)(slash - rest) : 0));
    int folder = x->levels[x->depth - 1].fd;
    if (entry->kind == TAR_DIR)
        return make_folder(x, name, entry);
    return entry->kind == TAR_FILE ? begin_file(x, folder, name, entry) : make_link(x, folder, name, entry);
}

err_t extract_finish(extract_t *x)
{
    while (x->depth)
        TRY(close_level(x));
    return OK;
}

void extract_deinit(extract_t *x)
{
    if (x->fd >= 0)
        close(x->fd);
    if (x->folder >= 0) /* a file that did not arrive whole is not left to be taken for it */
        unlinkat(x->folder, x->temporary, 0);
    x->fd = x->folder = -1;
    while (x->depth)
        close(x->levels[--x->depth].fd);
    if (x->parent_fd >= 0)
        close(x->parent_fd);
    x->parent_fd = -1;
    free(x->levels);
    x->levels = NULL;
}

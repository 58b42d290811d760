/* add: sends files and folders as multipart/form-data, as Kubo's clients do, and prints what became of them.
 */
#include "cli/commands_internal.h"
#include "cli/ignore.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_DEPTH = 512,
    NAME_MAX_BYTES = 4096,
    HEAD_MAX_BYTES = 16 << 10,
    IGNORE_FILE_MAX_BYTES = 4 << 20,
    PAGE_NAMES = 32768, /* of a folder, that are in memory */
};

/* A folder that is being sent. */
typedef struct level {
    dir_list_t list;                 /* a page of its names */
    size_t next, path_len, name_len; /* lengths of path and name at this folder */
} level_t;

/* The body of the request, made as it is read. */
typedef struct upload {
    cli_t *c;
    char boundary[40];
    const char **args; /* sorted by the names that are sent, each name once */
    size_t n_args, next_arg;
    level_t *levels; /* MAX_DEPTH */
    size_t depth;
    char path[NAME_MAX_BYTES]; /* on disk */
    char name[NAME_MAX_BYTES]; /* as sent */
    file_t *file;
    bool reads_stdin;
    uint64_t offset, file_bytes;
    buf_t head; /* bytes that go out before anything else */
    bool is_recursive, wants_hidden, wants_mode, wants_mtime, follows_links, is_done;
    ignore_t ignore;
    uint64_t sent, total;
    progress_t progress;
} upload_t;

/* ── parts ───────────────────────────────────────────────────────────────────────────────────── */

/* The mode as Go's clients number its bits. */
static uint32_t go_mode(const file_info_t *info)
{
    enum { GO_SETUID = 1 << 23, GO_SETGID = 1 << 22, GO_STICKY = 1 << 20, GO_SYMLINK = 1 << 27 };
    uint32_t mode = info->mode, go = mode & 0777;
    go |= mode & S_ISUID ? GO_SETUID : 0;
    go |= mode & S_ISGID ? GO_SETGID : 0;
    go |= mode & S_ISVTX ? GO_STICKY : 0;
    go |= info->kind == FILE_KIND_SYMLINK ? GO_SYMLINK : 0;
    return info->kind == FILE_KIND_DIR ? go | 1u << 31 : go;
}

static err_t begin_part(upload_t *u, const char *content_type, const file_info_t *info)
{
    TRY(buf_printf(&u->head, "--%s\r\nContent-Disposition: form-data; name=\"file", u->boundary));
    char join = '?';
    if (u->wants_mode && info) {
        TRY(buf_printf(&u->head, "%cmode=0%o", join, go_mode(info)));
        join = '&';
    }
    if (u->wants_mtime && info)
        TRY(buf_printf(&u->head, "%cmtime=%lld&mtime-nsecs=%u", join, (long long)info->mtime_s,
                       info->mtime_ns));
    TRY(buf_printf(&u->head, "\"; filename=\""));
    TRY(percent_encode(bytes_str(u->name), "-_.~", &u->head));
    TRY(buf_printf(&u->head, "\"\r\n"));
    if (u->path[0] == '/') {
        TRY(buf_printf(&u->head, "Abspath-Encoded: "));
        TRY(percent_encode(bytes_str(u->path), "-_.~/", &u->head));
        TRY(buf_printf(&u->head, "\r\n"));
    }
    return buf_printf(&u->head, "Content-Type: %s\r\n\r\n", content_type);
}

static err_t end_part(upload_t *u)
{
    return buf_printf(&u->head, "\r\n");
}

static err_t open_folder(task_t *t, upload_t *u, const file_info_t *info)
{
    if (!u->is_recursive)
        return fail(ERR_USAGE, "'%s' is a directory, use the '-r' flag to specify directories",
                    u->args[u->next_arg - 1]);
    if (u->depth == MAX_DEPTH)
        return fail(ERR_LIMIT, "folders are nested deeper than %d: %.200s…", MAX_DEPTH, u->path);
    level_t *l = &u->levels[u->depth];
    *l = (level_t){.path_len = strlen(u->path), .name_len = strlen(u->name)};
    TRY(fs_list_page(t, u->path, (fs_page_t){NULL, PAGE_NAMES}, &l->list));
    u->depth++;
    TRY(begin_part(u, "application/x-directory", info));
    return end_part(u);
}

static err_t open_symlink(task_t *t, upload_t *u, const file_info_t *info)
{
    AUTO(buf_t) target = {0};
    buf_init(&target, NAME_MAX_BYTES);
    TRY(fs_readlink(t, u->path, &target));
    TRY(begin_part(u, "application/symlink", info));
    TRY(buf_append(&u->head, buf_bytes(&target)));
    return end_part(u);
}

static err_t open_path(task_t *t, upload_t *u, bool follow)
{
    file_info_t info;
    TRY(fs_stat(t, u->path, follow, &info));
    switch (info.kind) {
    case FILE_KIND_DIR:
        return open_folder(t, u, &info);
    case FILE_KIND_SYMLINK:
        return open_symlink(t, u, &info);
    case FILE_KIND_REGULAR:
        TRY(file_open(t, u->path, FILE_READ, 0, &u->file));
        u->offset = 0;
        u->file_bytes = info.size_bytes;
        return begin_part(u, "application/octet-stream", &info);
    default:
        return fail(ERR_UNSUPPORTED, "%s: neither a file, a folder nor a symbolic link", u->path);
    }
}

/* ── walking ─────────────────────────────────────────────────────────────────────────────────── */

/* The absolute path, in which only what leads to the last name is resolved: a symbolic link is added as one.
 * NULL: errno says why. Freed by the caller. */
static char *absolute_path(const char *arg, bool follow)
{
    size_t len = strlen(arg);
    while (len > 1 && arg[len - 1] == '/')
        len--;
    const char *slash = memrchr(arg, '/', len);
    const char *name = slash ? slash + 1 : arg;
    size_t name_len = len - (size_t)(name - arg);
    bool is_dots = name_len && name_len <= 2 && strspn(name, ".") >= name_len;
    struct stat st;
    if (follow || is_dots || !name_len || arg[len] || lstat(arg, &st))
        return realpath(arg, NULL);
    char *above = slash ? strndup(arg, (size_t)(slash - arg) + 1) : strdup(".");
    char *folder = realpath(above, NULL);
    free(above);
    char *full = NULL;
    if (folder && asprintf(&full, "%s/%.*s", strcmp(folder, "/") ? folder : "", (int)name_len, name) < 0)
        full = NULL;
    free(folder);
    return full;
}

/* The last part of a path, for the name that is sent: "a/b/" gives "b", "." the folder's own name. */
static err_t set_top_name(upload_t *u, const char *arg)
{
    char *full = absolute_path(arg, u->follows_links || cli_flag(u->c, "dereference-args", false));
    if (!full)
        return fail(error_from_errno(errno), "lstat %.150s: %s", arg,
                    errno == ENOENT ? "no such file or directory" : strerror(errno));
    const char *slash = strrchr(full, '/');
    int n = snprintf(u->name, sizeof u->name, "%s", slash && slash[1] ? slash + 1 : "root");
    int m = snprintf(u->path, sizeof u->path, "%s", full);
    free(full);
    return n < (int)sizeof u->name && m < (int)sizeof u->path
               ? OK
               : fail(ERR_LIMIT, "%s: the path is too long", arg);
}

static bytes_t last_name(const char *arg)
{
    bytes_t path = bytes_str(arg);
    while (path.len > 1 && path.data[path.len - 1] == '/')
        path.len--;
    const uint8_t *slash = path.len ? memrchr(path.data, '/', path.len) : NULL;
    return slash ? bytes_slice(path, (size_t)(slash - path.data) + 1, path.len) : path;
}

static int compare_args(const void *a, const void *b)
{
    return bytes_compare(last_name(*(const char *const *)a), last_name(*(const char *const *)b));
}

/* As the reference sends them. */
static void sort_args(upload_t *u)
{
    const cli_t *c = u->c;
    u->args = xcalloc(c->n_args + 1, sizeof *u->args);
    for (size_t i = 0; i < c->n_args; i++)
        u->args[i] = c->args[i];
    if (c->n_args > 1)
        qsort(u->args, c->n_args, sizeof *u->args, compare_args);
    for (size_t i = 0; i < c->n_args; i++)
        if (!u->n_args || compare_args(&u->args[u->n_args - 1], &u->args[i]))
            u->args[u->n_args++] = u->args[i];
}

static err_t open_next_arg(task_t *t, upload_t *u)
{
    cli_t *c = u->c;
    const char *arg = u->next_arg < u->n_args ? u->args[u->next_arg] : NULL;
    if (!arg && (u->n_args || u->next_arg)) {
        u->is_done = true;
        return buf_printf(&u->head, "--%s--\r\n", u->boundary);
    }
    u->next_arg++;
    if (!arg || !strcmp(arg, "-")) {
        const char *name = cli_option(c, "stdin-name", 0);
        snprintf(u->name, sizeof u->name, "%s", name ? name : "");
        snprintf(u->path, sizeof u->path, "/dev/stdin"); /* as Kubo's client says */
        u->reads_stdin = true;
        return begin_part(u, "application/octet-stream", NULL);
    }
    TRY(set_top_name(u, arg));
    return open_path(t, u, u->follows_links || cli_flag(c, "dereference-args", false));
}

static void append_name(char *path, size_t len, const char *entry)
{
    path[len] = '/';
    memcpy(path + len + 1, entry, strlen(entry) + 1);
}

static err_t turn_page(task_t *t, const upload_t *u, level_t *l)
{
    dir_list_t page;
    TRY(fs_list_page(t, u->path, (fs_page_t){l->list.names[l->list.count - 1], PAGE_NAMES}, &page));
    dir_list_deinit(&l->list);
    l->list = page;
    l->next = 0;
    return OK;
}

static err_t open_next_entry(task_t *t, upload_t *u)
{
    level_t *l = &u->levels[u->depth - 1];
    u->path[l->path_len] = 0;
    u->name[l->name_len] = 0;
    if (l->next == PAGE_NAMES)
        TRY(turn_page(t, u, l));
    if (l->next == l->list.count) {
        dir_list_deinit(&l->list);
        u->depth--;
        return OK;
    }
    const char *entry = l->list.names[l->next++];
    if ((entry[0] == '.' && !u->wants_hidden) || ignore_matches(&u->ignore, entry))
        return OK;
    if (l->path_len + strlen(entry) + 2 > sizeof u->path || l->name_len + strlen(entry) + 2 > sizeof u->name)
        return fail(ERR_LIMIT, "%s/%s: the path is too long", u->path, entry);
    append_name(u->path, l->path_len, entry);
    append_name(u->name, l->name_len, entry);
    return open_path(t, u, u->follows_links);
}

static err_t read_stdin(upload_t *u, uint8_t *out, size_t cap, size_t *ret_n)
{
    ssize_t n = read(STDIN_FILENO, out, cap);
    if (n < 0)
        return fail(ERR_IO, "cannot read standard input");
    *ret_n = (size_t)n;
    return OK;
}

static err_t read_content(task_t *t, upload_t *u, uint8_t *out, size_t cap, size_t *ret_n)
{
    size_t n = 0;
    TRY(u->reads_stdin ? read_stdin(u, out, cap, &n) : file_read_at(t, u->file, out, cap, u->offset, &n));
    *ret_n = n;
    u->offset += n;
    u->sent += n;
    progress_update(&u->progress, u->sent, task_now_ms(t));
    if (n)
        return OK;
    file_close(u->file);
    u->file = NULL;
    u->reads_stdin = false;
    return end_part(u);
}

static err_t read_upload(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    upload_t *u = arg;
    *ret_n = 0;
    while (!*ret_n) {
        if (u->head.len) {
            *ret_n = u->head.len < cap ? u->head.len : cap;
            memcpy(out, u->head.data, *ret_n);
            buf_consume(&u->head, *ret_n);
        } else if (u->is_done) {
            return OK;
        } else if (u->file || u->reads_stdin) {
            TRY(read_content(t, u, out, cap, ret_n));
        } else if (u->depth) {
            TRY(open_next_entry(t, u));
        } else {
            TRY(open_next_arg(t, u));
        }
    }
    return OK;
}

/* ── the command ─────────────────────────────────────────────────────────────────────────────── */

static char last_hash[256];

static err_t print_added(print_t *p, json_t *o)
{
    const cli_t *c = cli_of(p);
    const char *hash = json_text(o, "Hash");
    if (json_object_get(o, "Copies") && !cli_flag(c, "quiet", false) && !cli_flag(c, "silent", false)) {
        fprintf(stderr, "replicas: %" PRId64 " of %" PRId64 "\n", json_number(o, "Copies"),
                json_number(o, "Target"));
        if (json_number(o, "Copies") < json_number(o, "Target"))
            fprintf(stderr, "%s", print_replicas_hint);
    }
    if (!*hash)
        return OK; /* a progress line */
    snprintf(last_hash, sizeof last_hash, "%s", hash);
    if (cli_flag(c, "quieter", false) || cli_flag(c, "silent", false))
        return OK;
    if (cli_flag(c, "quiet", false))
        return cli_out("%s\n", hash);
    return cli_out("added %s %s\n", hash, print_name(o, "Name"));
}

static uint64_t size_of_args(task_t *t, const cli_t *c)
{
    uint64_t total = 0;
    file_info_t info;
    for (size_t i = 0; i < c->n_args; i++) {
        if (fs_stat(t, c->args[i], true, &info) || info.kind != FILE_KIND_REGULAR)
            return 0; /* not known */
        total += info.size_bytes;
    }
    return total;
}

/* The rules of --ignore-rules-path, then those of each --ignore. */
static err_t read_ignore_rules(task_t *t, const cli_t *c, ignore_t *ret)
{
    const char *path = cli_option(c, "ignore-rules-path", 0), *rule;
    AUTO(buf_t) text = {0};
    buf_init(&text, IGNORE_FILE_MAX_BYTES);
    if (path)
        TRY(fs_read_file(t, path, IGNORE_FILE_MAX_BYTES, &text));
    TRY(ignore_add(ret, buf_bytes(&text)));
    for (size_t i = 0; (rule = cli_option(c, "ignore", i)); i++)
        TRY(ignore_add(ret, bytes_str(rule)));
    return OK;
}

/* The first n_words arguments are words of the request, the others files. */
static err_t send_files(task_t *t, cli_t *c, const cli_command_t *command, size_t n_words, print_fn print)
{
    cli_t files = *c;
    files.args += n_words;
    files.n_args -= n_words;
    upload_t u = {.c = &files,
                  .is_recursive = cli_flag(c, "recursive", c->is_mesh),
                  .wants_hidden = cli_flag(c, "hidden", false)};
    u.follows_links = cli_flag(c, "dereference-symlinks", false);
    u.wants_mode = cli_flag(c, "preserve-mode", false);
    u.wants_mtime = cli_flag(c, "preserve-mtime", false);
    sort_args(&u);
    u.levels = xcalloc(MAX_DEPTH, sizeof *u.levels);
    buf_init(&u.head, HEAD_MAX_BYTES);
    snprintf(u.boundary, sizeof u.boundary, "%016llx%016llx",
             (unsigned long long)driver_random_u64(task_driver(t)),
             (unsigned long long)driver_random_u64(task_driver(t)));
    char content_type[96];
    snprintf(content_type, sizeof content_type, "multipart/form-data; boundary=%s", u.boundary);
    AUTO(buf_t) target = {0};
    const char *text;
    cli_t without_args = *c;
    without_args.n_args = n_words;
    err_t e = cli_build_target(&without_args, command, &target);
    if (!e)
        e = read_ignore_rules(t, c, &u.ignore);
    if (!e)
        e = buf_cstr(&target, &text);
    progress_init(&u.progress, c, "sending", size_of_args(t, &files), task_now_ms(t));
    if (!e)
        e = cli_upload(t, c, text, content_type, read_upload, &u, print);
    progress_clear(&u.progress);
    while (u.depth)
        dir_list_deinit(&u.levels[--u.depth].list);
    file_close(u.file);
    ignore_deinit(&u.ignore);
    buf_deinit(&u.head);
    free(u.levels);
    free(u.args);
    return e;
}

err_t cli_add(task_t *t, cli_t *c, const cli_command_t *command)
{
    last_hash[0] = 0;
    TRY(send_files(t, c, command, 0, print_added));
    return cli_flag(c, "quieter", false) && !c->wants_json ? cli_out("%s\n", last_hash) : OK;
}

/* Files or standard input as the body of a command such as `block put`. */
err_t cli_upload_files(task_t *t, cli_t *c, const cli_command_t *command)
{
    return send_files(t, c, command, 0, cli_printer(command));
}

err_t cli_upload_after_word(task_t *t, cli_t *c, const cli_command_t *command)
{
    return send_files(t, c, command, 1, cli_printer(command));
}

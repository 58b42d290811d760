/* get: takes the archive that the RPC streams and writes it below the chosen place, and nowhere else: names
 * with `..`, an absolute path or a symbolic link on the way are refused. */
#include "cli/commands_internal.h"
#include "cli/tar_reader.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct extraction {
    cli_t *c;
    tar_reader_t tar;
    const char *out; /* where the root goes */
    char root[4096]; /* first component of the archive's names */
    int fd;          /* of the file that is being written; -1 */
    char path[8192];
    uint64_t bytes;
    progress_t progress;
    char peer[128];
    FILE *archive; /* with --archive: the bytes as they are */
} extraction_t;

static bool is_safe_part(const char *part, size_t len)
{
    return len && !(len == 1 && part[0] == '.') && !(len == 2 && part[0] == '.' && part[1] == '.');
}

/* Puts the place on disk of an archive name into x->path. */
static err_t place(extraction_t *x, const char *name)
{
    size_t root = strcspn(name, "/");
    if (!x->root[0])
        snprintf(x->root, sizeof x->root, "%.*s", (int)root, name);
    if (!is_safe_part(name, root) || strlen(x->root) != root || strncmp(x->root, name, root))
        return fail(ERR_INVALID, "the archive holds the name \"%s\", which lies outside of its root",
                    cli_escape(name));
    const char *rest = name + root;
    for (const char *p = rest; *p;) {
        size_t len = strcspn(p + 1, "/");
        if (p[1] && !is_safe_part(p + 1, len))
            return fail(ERR_INVALID, "the archive holds the unsafe name \"%s\"", cli_escape(name));
        p += 1 + len;
    }
    int n = snprintf(x->path, sizeof x->path, "%s%s", x->out, rest);
    if (n >= (int)sizeof x->path)
        return fail(ERR_LIMIT, "%s: the path is too long", cli_escape(name));
    while (n > 1 && x->path[n - 1] == '/')
        x->path[--n] = 0;
    /* No folder below the root may be a symbolic link, whoever made it. */
    for (char *p = x->path + strlen(x->out) + 1; p < x->path + n; p++) {
        struct stat st;
        if (*p != '/')
            continue;
        *p = 0;
        bool is_link = !lstat(x->path, &st) && S_ISLNK(st.st_mode);
        *p = '/';
        if (is_link)
            return fail(ERR_DENIED, "%s leads through a symbolic link", cli_escape(x->path));
    }
    return OK;
}

static err_t io_error(const extraction_t *x, const char *what)
{
    return fail(error_from_errno(errno), "cannot %s %s: %s", what, cli_escape(x->path), strerror(errno));
}

static err_t begin_entry(extraction_t *x)
{
    const tar_entry_t *entry = &x->tar.entry;
    TRY(place(x, entry->name));
    switch (entry->kind) {
    case TAR_DIR:
        if (mkdir(x->path, 0755) && errno != EEXIST)
            return io_error(x, "make the folder");
        return OK;
    case TAR_SYMLINK:
        unlink(x->path);
        return symlink(entry->link, x->path) ? io_error(x, "make the link") : OK;
    case TAR_FILE:
        break;
    }
    struct stat st;
    bool is_root = !strchr(entry->name, '/');
    if (is_root && !stat(x->path, &st) && S_ISDIR(st.st_mode)) { /* a file into a folder that is there */
        size_t n = strlen(x->path);
        snprintf(x->path + n, sizeof x->path - n, "/%s", x->root);
    }
    if (!lstat(x->path, &st) && S_ISLNK(st.st_mode))
        unlink(x->path);
    x->fd = open(x->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                 entry->mode ? entry->mode & 0777 : 0644);
    return x->fd < 0 ? io_error(x, "write") : OK;
}

static err_t write_data(task_t *t, extraction_t *x, bytes_t data)
{
    x->bytes += data.len;
    progress_update(&x->progress, x->bytes, task_now_ms(t));
    while (x->fd >= 0 && data.len) {
        ssize_t n = write(x->fd, data.data, data.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return io_error(x, "write");
        data = bytes_slice(data, (size_t)n, data.len);
    }
    return OK;
}

static err_t end_entry(extraction_t *x)
{
    int fd = x->fd;
    x->fd = -1;
    return fd >= 0 && close(fd) ? io_error(x, "write") : OK;
}

static err_t on_bytes(task_t *t, void *arg, bytes_t data)
{
    extraction_t *x = arg;
    if (x->archive) {
        x->bytes += data.len;
        progress_update(&x->progress, x->bytes, task_now_ms(t));
        return fwrite(data.data, 1, data.len, x->archive) == data.len ? OK : io_error(x, "write");
    }
    while (data.len || x->tar.state != TAR_IN_HEADER) {
        tar_event_t event;
        bytes_t piece;
        size_t before = data.len;
        TRY(tar_reader_feed(&x->tar, &data, &event, &piece));
        if (event == TAR_ENTRY)
            TRY(begin_entry(x));
        else if (event == TAR_DATA)
            TRY(write_data(t, x, piece));
        else if (event == TAR_ENTRY_END)
            TRY(end_entry(x));
        else if (event == TAR_END || (event == TAR_MORE && (!data.len || before == data.len)))
            break;
    }
    return OK;
}

static void on_get_header(void *arg, const char *name, const char *value)
{
    extraction_t *x = arg;
    if (!strcasecmp(name, "X-Content-Length"))
        x->progress.total = strtoull(value, NULL, 10);
    if (!strcasecmp(name, "X-Distribute-Peer"))
        snprintf(x->peer, sizeof x->peer, "%s", value);
}

/* The last part of the path that was asked for. */
static const char *default_out(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static err_t run_get(task_t *t, cli_t *c, extraction_t *x, const char *target)
{
    cli_byte_sink_t sink = {on_bytes, on_get_header, x};
    uint64_t began = task_now_ms(t);
    TRY(cli_download(t, c, target, sink));
    if (!x->archive && !tar_reader_is_whole(&x->tar))
        return fail(ERR_EOF, "the node's answer ended before the file was whole");
    progress_clear(&x->progress);
    double seconds = (double)(task_now_ms(t) - began) / 1000.0;
    if (c->wants_json)
        return cli_out("{\"Path\":\"%s\",\"Bytes\":%llu,\"Seconds\":%.3f}\n", x->out,
                       (unsigned long long)x->bytes, seconds);
    if (c->is_kubo)
        return cli_out("Saving %s to %s\n", x->archive ? "archive" : "file(s)",
                       x->archive ? x->path : x->out);
    return cli_out("fetching from %s... done (%s in %.1fs)\n", x->peer[0] ? x->peer : "the local store",
                   cli_size(x->bytes), seconds);
}

err_t cli_get(task_t *t, cli_t *c, const cli_command_t *command)
{
    extraction_t *x = xcalloc(1, sizeof *x);
    AUTO(buf_t) target = {0};
    const char *text;
    const char *out = cli_option(c, "output", 0);
    x->c = c;
    x->fd = -1;
    x->out = out ? out : c->n_args > 1 ? c->args[1] : default_out(c->args[0]);
    bool is_archive = cli_flag(c, "archive", false) || cli_flag(c, "compress", false);
    cli_t one = *c;
    one.n_args = 1;
    tar_reader_init(&x->tar);
    progress_init(&x->progress, c, "fetching", 0, task_now_ms(t));
    err_t e = cli_build_target(&one, command, &target);
    if (!e)
        e = buf_cstr(&target, &text);
    if (!e && is_archive) {
        snprintf(x->path, sizeof x->path, "%s%s", x->out,
                 out                              ? ""
                 : cli_flag(c, "compress", false) ? ".tar.gz"
                                                  : ".tar");
        x->archive = fopen(x->path, "wb");
        e = x->archive ? OK : io_error(x, "write");
    }
    if (!e)
        e = run_get(t, c, x, text);
    progress_clear(&x->progress);
    if (x->archive && fclose(x->archive) && !e)
        e = io_error(x, "write");
    if (x->fd >= 0) {
        close(x->fd); /* a file that did not arrive whole is not left to be taken for it */
        unlink(x->path);
    }
    tar_reader_deinit(&x->tar);
    free(x);
    return e;
}

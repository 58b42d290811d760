/* add: sends files and folders as multipart/form-data, as Kubo's clients do, and prints what became of them.
 */
#include "base/version.h"
#include "cli/add_args.h"
#include "cli/commands_internal.h"
#include "cli/ignore.h"
#include "web/http_fetch.h"
#include "wire/http_date.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_DEPTH = 512,
    NAME_MAX_BYTES = 4096,
    URL_SILENCE_MS = 120000, /* of a server that has begun */
    HEAD_MAX_BYTES = 32 << 10,
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
    add_args_t args;
    size_t next_arg;
    level_t *levels; /* MAX_DEPTH */
    size_t depth;
    char path[NAME_MAX_BYTES]; /* on disk, or the URL; "" when it has no place here */
    char name[NAME_MAX_BYTES]; /* as sent */
    file_t *file;
    int input; /* a descriptor that is read to its end: standard input, a named pipe; -1: none */
    http_fetch_t fetch;
    http_answer_t *answer; /* of the URL that is being sent */
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
    if (u->path[0]) {
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
                    u->args.args[u->next_arg - 1].word);
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

/* ── URLs ────────────────────────────────────────────────────────────────────────────────────── */

/* As the server says it of the content; 0: it does not, or not so. */
static void read_file_info(const http_answer_t *a, file_info_t *ret)
{
    const char *mode = http_answer_field(a, "File-Mode"), *date = http_answer_field(a, "Last-Modified");
    char *end;
    *ret = (file_info_t){.kind = FILE_KIND_REGULAR};
    unsigned long bits = mode ? strtoul(mode, &end, 8) : 0;
    if (mode && !*end && bits <= 0777)
        ret->mode = (uint32_t)bits;
    if (date && http_date_parse(date, &ret->mtime_s))
        ret->mtime_s = 0;
}

/* What is referred to (--nocopy) is read in ranges later, which nobody compresses. */
static err_t ask_for_url(task_t *t, upload_t *u, const char *url)
{
    static const http_field_t fields[] = {{"User-Agent", DISTRIBUTE_AGENT}, {"Accept-Encoding", "identity"}};
    bool stays_there = cli_flag(u->c, "nocopy", false);
    char shown[URL_SHOWN_MAX];
    u->fetch = (http_fetch_t){.url = url,
                              .fields = fields,
                              .n_fields = stays_there ? 2 : 1,
                              .is_content = true,
                              .max_silence_ms = URL_SILENCE_MS};
    TRY(http_answer_open(t, &u->fetch, &u->answer));
    if (u->fetch.status < 200 || u->fetch.status > 299)
        return fail(u->fetch.status == 404 ? ERR_NOT_FOUND : ERR_REFUSED, "got non-2XX status code %d: %s",
                    u->fetch.status, url_show(url, shown));
    const char *coding = stays_there ? http_answer_field(u->answer, "Content-Encoding") : NULL;
    return !coding || !strcasecmp(coding, "identity")
               ? OK
               : fail(ERR_UNSUPPORTED, "%s comes compressed, and cannot be referred to: leave --nocopy out",
                      url_show(url, shown));
}

static err_t open_url(task_t *t, upload_t *u, const char *url)
{
    file_info_t info;
    TRY(ask_for_url(t, u, url));
    const char *length = http_answer_field(u->answer, "Content-Length");
    if (u->args.count == 1 && length && !http_answer_field(u->answer, "Content-Encoding"))
        u->progress.total = strtoull(length, NULL, 10);
    read_file_info(u->answer, &info);
    return begin_part(u, "application/octet-stream", &info);
}

/* ── named pipes ─────────────────────────────────────────────────────────────────────────────── */
static bool is_pipe(const char *path)
{
    struct stat st;
    return !lstat(path, &st) && S_ISFIFO(st.st_mode);
}

/* Waits for whoever writes into it. */
static err_t open_pipe(upload_t *u)
{
    do
        u->input = open(u->path, O_RDONLY | O_CLOEXEC);
    while (u->input < 0 && errno == EINTR);
    if (u->input < 0)
        return fail(error_from_errno(errno), "open %.200s: %s", u->path, strerror(errno));
    return begin_part(u, "application/octet-stream", NULL);
}

static void close_input(upload_t *u)
{
    if (u->input > STDIN_FILENO)
        close(u->input);
    u->input = -1;
}

/* ── the words, one after the other ──────────────────────────────────────────────────────────── */
static err_t open_next_arg(task_t *t, upload_t *u)
{
    if (u->next_arg == u->args.count) {
        u->is_done = true;
        return buf_printf(&u->head, "--%s--\r\n", u->boundary);
    }
    const add_arg_t *a = &u->args.args[u->next_arg++];
    bool fits = snprintf(u->path, sizeof u->path, "%s", a->path) < (int)sizeof u->path;
    if (!fits && a->kind == ADD_URL) /* it can be fetched, and not be referred to */
        u->path[0] = 0;
    if (snprintf(u->name, sizeof u->name, "%s", a->name) >= (int)sizeof u->name ||
        (!fits && a->kind != ADD_URL))
        return fail(ERR_LIMIT, "%.150s…: the path is too long", a->name);
    switch (a->kind) {
    case ADD_STDIN:
        u->input = STDIN_FILENO;
        return begin_part(u, "application/octet-stream", NULL);
    case ADD_URL:
        return open_url(t, u, a->path);
    case ADD_PATH:
        break;
    }
    return is_pipe(u->path) ? open_pipe(u)
                            : open_path(t, u, u->follows_links || cli_flag(u->c, "dereference-args", false));
}

/* ── walking ─────────────────────────────────────────────────────────────────────────────────── */

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

static err_t read_input(upload_t *u, uint8_t *out, size_t cap, size_t *ret_n)
{
    ssize_t n;
    do
        n = read(u->input, out, cap);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return fail(ERR_IO, "cannot read %.200s: %s", u->input == STDIN_FILENO ? "standard input" : u->path,
                    strerror(errno));
    *ret_n = (size_t)n;
    return OK;
}

static err_t read_content(task_t *t, upload_t *u, uint8_t *out, size_t cap, size_t *ret_n)
{
    size_t n = 0;
    TRY(u->input >= 0 ? read_input(u, out, cap, &n)
        : u->answer   ? http_answer_read(t, u->answer, out, cap, &n)
                      : file_read_at(t, u->file, out, cap, u->offset, &n));
    *ret_n = n;
    u->offset += n;
    u->sent += n;
    progress_update(&u->progress, u->sent, task_now_ms(t));
    if (n)
        return OK;
    file_close(u->file);
    u->file = NULL;
    http_answer_close(t, u->answer);
    u->answer = NULL;
    close_input(u);
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
        } else if (u->file || u->input >= 0 || u->answer) {
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
                  .input = -1,
                  .is_recursive = cli_flag(c, "recursive", c->is_mesh),
                  .wants_hidden = cli_flag(c, "hidden", false)};
    u.follows_links = cli_flag(c, "dereference-symlinks", false);
    u.wants_mode = cli_flag(c, "preserve-mode", false);
    u.wants_mtime = cli_flag(c, "preserve-mtime", false);
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
    progress_init(&u.progress, c, "sending", size_of_args(t, &files), task_now_ms(t));
    err_t e = cli_build_target(&without_args, command, &target);
    if (!e)
        e = add_args_read(&files, &u.args);
    if (!e)
        e = read_ignore_rules(t, c, &u.ignore);
    if (!e)
        e = buf_cstr(&target, &text);
    if (!e)
        e = cli_upload(t, c, text, content_type, read_upload, &u, print);
    progress_clear(&u.progress);
    while (u.depth)
        dir_list_deinit(&u.levels[--u.depth].list);
    file_close(u.file);
    close_input(&u);
    http_answer_close(t, u.answer);
    ignore_deinit(&u.ignore);
    buf_deinit(&u.head);
    free(u.levels);
    add_args_deinit(&u.args);
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

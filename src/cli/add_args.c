#include "cli/add_args.h"
#include "web/url.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

bool add_is_url(const char *word)
{
    return !strncasecmp(word, "http://", 7) || !strncasecmp(word, "https://", 8);
}

/* ── paths ───────────────────────────────────────────────────────────────────────────────────── */

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
    char *bare = strndup(arg, len);
    bool is_link = bare && !follow && !is_dots && name_len && !lstat(bare, &st);
    char *found = bare && !is_link ? realpath(bare, NULL) : NULL;
    free(bare);
    if (!is_link)
        return found;
    char *above = slash ? strndup(arg, (size_t)(slash - arg) + 1) : strdup(".");
    char *folder = realpath(above, NULL);
    free(above);
    char *full = NULL;
    if (folder && asprintf(&full, "%s/%.*s", strcmp(folder, "/") ? folder : "", (int)name_len, name) < 0)
        full = NULL;
    free(folder);
    return full;
}

/* The name is the last part of the path: "a/b/" gives "b", "." the folder's own name. */
static err_t read_path(add_arg_t *a, bool follow)
{
    a->path = absolute_path(a->word, follow);
    if (!a->path)
        return fail(error_from_errno(errno), "lstat %.150s: %s", a->word,
                    errno == ENOENT ? "no such file or directory" : strerror(errno));
    const char *slash = strrchr(a->path, '/');
    a->name = xstrdup(slash && slash[1] ? slash + 1 : "root");
    return OK;
}

/* ── URLs ────────────────────────────────────────────────────────────────────────────────────── */
static err_t read_url(add_arg_t *a)
{
    AUTO(buf_t) name = {0}, whole = {0};
    const char *text;
    url_t u;
    buf_init(&name, URL_MAX_BYTES + 1);
    buf_init(&whole, 4 * URL_MAX_BYTES);
    TRY(url_parse(a->word, &u));
    TRY(url_print(&u, &whole));
    TRY(url_name(&u, &name));
    if (memchr(name.data, 0, name.len))
        return fail(ERR_USAGE, "the name that the URL ends in has a NUL");
    TRY(buf_cstr(&name, &text));
    a->name = xstrdup(text);
    TRY(buf_cstr(&whole, &text));
    a->path = xstrdup(text);
    return OK;
}

/* ── all of them ─────────────────────────────────────────────────────────────────────────────── */
static err_t read_arg(const cli_t *c, const char *word, add_arg_t *a)
{
    const char *name = cli_option(c, "stdin-name", 0);
    *a = (add_arg_t){.word = word};
    if (!strcmp(word, "-")) {
        a->kind = ADD_STDIN;
        a->name = xstrdup(name ? name : "");
        a->path = xstrdup("/dev/stdin"); /* as the reference's client says */
        return OK;
    }
    if (add_is_url(word)) {
        a->kind = ADD_URL;
        return read_url(a);
    }
    return read_path(a, cli_flag(c, "dereference-symlinks", false) || cli_flag(c, "dereference-args", false));
}

static int compare_args(const void *x, const void *y)
{
    const add_arg_t *a = x, *b = y;
    int order = strcmp(a->name, b->name);
    return order ? order
                 : (a->word > b->word) - (a->word < b->word); /* words lie in memory as they were typed */
}

static void free_arg(add_arg_t *a)
{
    free(a->name);
    free(a->path);
}

/* Where the word says that the file is. */
static void folder_of(const char *word, char out[ERROR_TEXT_MAX])
{
    const char *slash = strrchr(word, '/');
    snprintf(out, ERROR_TEXT_MAX, "%.*s", slash ? slash > word ? (int)(slash - word) : 1 : 1,
             slash ? word : ".");
}

/* b is behind a, and has its name. *ret_again: it is the same file. */
static err_t check_pair(const add_arg_t *a, const add_arg_t *b, bool wraps, bool *ret_again)
{
    char first[ERROR_TEXT_MAX], second[ERROR_TEXT_MAX];
    bool are_files = a->kind == ADD_PATH && b->kind == ADD_PATH;
    *ret_again = are_files && !strcmp(a->path, b->path);
    folder_of(a->word, first);
    folder_of(b->word, second);
    if (are_files && !*ret_again)
        return fail(ERR_USAGE,
                    "file name %.100s repeated under different import directories: %.100s and %.100s",
                    a->name, second, first);
    if (a->kind == ADD_STDIN && b->kind == ADD_STDIN)
        return fail(ERR_USAGE, "standard input can be added once");
    return wraps && !*ret_again
               ? fail(ERR_EXISTS, "directory already has entry by that name: %.100s", a->name)
               : OK;
}

/* Sorted, so that those of one name stand beside each other. */
static err_t check_names(add_args_t *a, bool wraps)
{
    size_t to = 0;
    err_t e = OK;
    for (size_t i = 0; i < a->count; i++) {
        bool is_again = false;
        for (size_t k = to; !e && !is_again && k && !strcmp(a->args[k - 1].name, a->args[i].name); k--)
            e = check_pair(&a->args[k - 1], &a->args[i], wraps && *a->args[i].name, &is_again);
        if (is_again)
            free_arg(&a->args[i]);
        else
            a->args[to++] = a->args[i];
    }
    a->count = to;
    return e;
}

err_t add_args_read(const cli_t *c, add_args_t *ret)
{
    err_t e = OK;
    *ret = (add_args_t){.args = xcalloc(c->n_args + 1, sizeof *ret->args)};
    for (size_t i = 0; i < c->n_args && !e; i++)
        e = read_arg(c, c->args[i], &ret->args[ret->count++]);
    if (!c->n_args)
        e = read_arg(c, "-", &ret->args[ret->count++]);
    if (e)
        return e;
    qsort(ret->args, ret->count, sizeof *ret->args, compare_args);
    return check_names(ret, cli_flag(c, "wrap-with-directory", false));
}

void add_args_deinit(add_args_t *a)
{
    for (size_t i = 0; i < a->count; i++)
        free_arg(&a->args[i]);
    free(a->args);
    *a = (add_args_t){0};
}

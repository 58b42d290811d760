/* get: takes what the RPC streams and writes it below the chosen place (extract.h), or keeps the archive. */
#include "cli/commands_internal.h"
#include "cli/extract.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { OUT_MAX = 4096 };

typedef struct extraction {
    cli_t *c;
    tar_reader_t tar;
    extract_t extract;
    char out[OUT_MAX];                     /* where the root or the archive goes */
    bool is_archive, has_begun, has_slash; /* a slash was behind the chosen place */
    uint64_t bytes;
    progress_t progress;
    char peer[128];
    FILE *archive; /* the bytes as they are */
} extraction_t;

static err_t write_data(task_t *t, extraction_t *x, bytes_t data)
{
    x->bytes += data.len;
    progress_update(&x->progress, x->bytes, task_now_ms(t));
    return extract_data(&x->extract, data);
}

static err_t archive_error(const extraction_t *x)
{
    return fail(error_from_errno(errno), "cannot write %.200s: %s", print_escape(x->out), strerror(errno));
}

/* When the node has something to give, not before. */
static err_t begin(extraction_t *x)
{
    x->has_begun = true;
    if (x->is_archive && !(x->archive = fopen(x->out, "wb")))
        return archive_error(x);
    if (!x->c->is_kubo || x->c->wants_json)
        return OK;
    return cli_out("Saving %s to %s%s\n", x->is_archive ? "archive" : "file(s)", print_escape(x->out),
                   x->has_slash ? "/" : "");
}

static err_t write_archive(task_t *t, extraction_t *x, bytes_t data)
{
    x->bytes += data.len;
    progress_update(&x->progress, x->bytes, task_now_ms(t));
    return fwrite(data.data, 1, data.len, x->archive) == data.len ? OK : archive_error(x);
}

static err_t on_bytes(task_t *t, void *arg, bytes_t data)
{
    extraction_t *x = arg;
    if (!x->has_begun)
        TRY(begin(x));
    if (x->is_archive)
        return write_archive(t, x, data);
    while (data.len || x->tar.state != TAR_IN_HEADER) {
        tar_event_t event;
        bytes_t piece;
        size_t before = data.len;
        TRY(tar_reader_feed(&x->tar, &data, &event, &piece));
        if (event == TAR_ENTRY)
            TRY(extract_begin(&x->extract, &x->tar.entry));
        else if (event == TAR_DATA)
            TRY(write_data(t, x, piece));
        else if (event == TAR_ENTRY_END)
            TRY(extract_end(&x->extract));
        else if (event == TAR_END || (event == TAR_MORE && (!data.len || before == data.len)))
            break;
    }
    return OK;
}

/* NULL: none, or empty, which says no more. */
static const char *chosen_out(const cli_t *c)
{
    const char *out = cli_option(c, "output", 0);
    return out && *out ? out : NULL;
}

/* The file's own name, which its CID does not tell, unless the user has another one. */
static void take_name(extraction_t *x, const char *encoded)
{
    AUTO(buf_t) name = {0};
    const char *text;
    buf_init(&name, OUT_MAX - 1);
    if (chosen_out(x->c) || percent_decode(bytes_str(encoded), false, &name) || buf_cstr(&name, &text) ||
        !*text || strlen(text) != name.len || strchr(text, '/') || !strcmp(text, ".") || !strcmp(text, ".."))
        return;
    snprintf(x->out, sizeof x->out, "%s", text);
}

static void on_get_header(void *arg, const char *name, const char *value)
{
    extraction_t *x = arg;
    if (!strcasecmp(name, "X-Content-Length"))
        x->progress.total = strtoull(value, NULL, 10);
    if (!strcasecmp(name, "X-Distribute-Name") && !x->has_begun)
        take_name(x, value);
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
    if (!x->has_begun)
        TRY(begin(x));
    if (!x->is_archive && !tar_reader_is_whole(&x->tar))
        return fail(ERR_EOF, "the node's answer ended before the file was whole");
    TRY(extract_finish(&x->extract));
    progress_clear(&x->progress);
    double seconds = (double)(task_now_ms(t) - began) / 1000.0;
    if (c->wants_json)
        return cli_out("{\"Path\":\"%s\",\"Bytes\":%llu,\"Seconds\":%.3f}\n", print_escape(x->out),
                       (unsigned long long)x->bytes, seconds);
    if (c->is_mesh)
        return cli_out("\u2713 File retrieved, decrypted, and saved.\n");
    if (c->is_kubo)
        return OK;
    return cli_out("fetching from %s... done (%s in %.1fs)\n", x->peer[0] ? x->peer : "the local store",
                   print_size(x->bytes), seconds);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* The chosen place, else the path's last part; an archive's name says what it is. */
static err_t choose_out(const cli_t *c, extraction_t *x)
{
    const char *out = chosen_out(c), *tar = "", *gz = "";
    char name[OUT_MAX];
    bool is_tar = cli_flag(c, "archive", false), is_gz = cli_flag(c, "compress", false);
    snprintf(name, sizeof name, "%s", out ? out : c->n_args > 1 ? c->args[1] : default_out(c->args[0]));
    if (is_tar && !ends_with(name, ".tar") && !ends_with(name, ".tar.gz"))
        tar = ".tar";
    if (is_gz && (*tar || !ends_with(name, ".gz")))
        gz = ".gz";
    x->is_archive = is_tar || is_gz;
    for (size_t n = strlen(name); n > 1 && name[n - 1] == '/'; n--) {
        name[n - 1] = 0;
        x->has_slash = !x->is_archive;
    }
    return snprintf(x->out, sizeof x->out, "%s%s%s", name, tar, gz) < (int)sizeof x->out
               ? OK
               : fail(ERR_LIMIT, "%.200s: the path is too long", print_escape(name));
}

static err_t get(task_t *t, cli_t *c, const cli_command_t *command, extraction_t *x)
{
    AUTO(buf_t) target = {0};
    const char *text, *level = cli_option(c, "compression-level", 0);
    cli_t one = *c;
    one.n_args = 1;
    if (cli_flag(c, "compress", false) && level && (strlen(level) != 1 || level[0] < '1' || level[0] > '9'))
        return fail(ERR_USAGE, "compression level must be between 1 and 9");
    TRY(choose_out(c, x));
    TRY(cli_build_target(&one, command, &target));
    TRY(buf_cstr(&target, &text));
    return run_get(t, c, x, text);
}

err_t cli_get(task_t *t, cli_t *c, const cli_command_t *command)
{
    extraction_t *x = xcalloc(1, sizeof *x);
    x->c = c;
    extract_init(&x->extract, x->out);
    tar_reader_init(&x->tar);
    progress_init(&x->progress, c, "fetching", 0, task_now_ms(t));
    err_t e = get(t, c, command, x);
    progress_clear(&x->progress);
    if (x->archive && fclose(x->archive) && !e)
        e = archive_error(x);
    extract_deinit(&x->extract);
    tar_reader_deinit(&x->tar);
    free(x);
    return e;
}

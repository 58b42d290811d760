#include "main/fs.h"
#include "api/fs_face.h"
#include "cli/command.h"
#include "main/fs_admin.h"
#include <stdlib.h>
#include <unistd.h>

typedef struct fs_output {
    const cli_t *cli;
    const char *verb;
    progress_t progress;
    task_t *task;
} fs_output_t;

static const char *option(const void *arg, const char *name)
{
    return cli_option(((const fs_output_t *)arg)->cli, name, 0);
}

static void show_progress(void *arg, uint64_t done, uint64_t total)
{
    fs_output_t *o = arg;
    if (!o->progress.label)
        progress_init(&o->progress, o->cli, o->verb, total, task_now_ms(o->task));
    progress_update(&o->progress, done, task_now_ms(o->task));
}

static err_t read_stdin(void *arg, buf_t *out)
{
    return cli_read_fd(STDIN_FILENO, "standard input", out);
}

static err_t write_content(task_t *t, void *arg, bytes_t data)
{
    return cli_out_bytes(data);
}

/* ── answers as text ─────────────────────────────────────────────────────────────────────────── */

static err_t print_file_line(json_t *f)
{
    bool is_folder = !strcmp(json_text(f, "kind"), "folder");
    return cli_out("%12s  v%-3lld %s  %s%s\n", is_folder ? "-" : print_size((uint64_t)json_number(f, "size")),
                   (long long)json_number(f, "version"), print_escape_json(f, "modified_at"),
                   print_escape_json(f, "name"), is_folder ? "/" : "");
}

static err_t print_list(json_t *o)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(o, "folders"), i, item)
        TRY(cli_out("%12s       %20s  %s\n", "-", "", print_escape(json_string_value(item))));
    json_array_foreach(json_object_get(o, "files"), i, item) TRY(print_file_line(item));
    return OK;
}

static err_t print_nodes(json_t *o)
{
    size_t i;
    json_t *n;
    json_array_foreach(json_object_get(o, "nodes"), i, n)
        TRY(cli_out("%s  %-21s %-8s %-8s %10s of %10s  %6lld chunks  %s\n", print_escape_json(n, "id"),
                    print_escape_json(n, "address"), print_escape_json(n, "state"),
                    print_escape_json(n, "health"), print_size((uint64_t)json_number(n, "used_bytes")),
                    print_size((uint64_t)json_number(n, "capacity_bytes")),
                    (long long)json_number(n, "chunk_count"), print_escape_json(n, "zone")));
    return OK;
}

static err_t print_stat(json_t *f)
{
    return cli_out("Name:        %s\nId:          %s\nSize:        %lld\nVersion:     %lld\nChunks:      "
                   "%lld\nStored:      "
                   "%lld\nReplication: %lld\nModified:    %s\n",
                   print_escape_json(f, "name"), print_escape_json(f, "id"),
                   (long long)json_number(f, "size"), (long long)json_number(f, "version"),
                   (long long)json_number(f, "chunk_count"), (long long)json_number(f, "stored_bytes"),
                   (long long)json_number(f, "replication_factor"), print_escape_json(f, "modified_at"));
}

static err_t print_put(json_t *f)
{
    return cli_out("stored %s (version %lld, %s, %lld chunks sent, %lld kept%s)\n",
                   print_escape_json(f, "name"), (long long)json_number(f, "version"),
                   print_size((uint64_t)json_number(f, "size")), (long long)json_number(f, "sent_chunks"),
                   (long long)json_number(f, "kept_chunks"),
                   json_is_true(json_object_get(f, "was_resumed")) ? ", resumed" : "");
}

static err_t print_shares(json_t *o)
{
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(o, "shares"), i, s)
        TRY(cli_out("%s  %s\n", print_escape_json(s, "username"), print_escape_json(s, "access")));
    return OK;
}

static err_t print_one(fs_output_t *out, json_t *o)
{
    const char *verb = out->verb;
    if (!strcmp(verb, "ls"))
        return print_list(o);
    if (!strcmp(verb, "nodes"))
        return print_nodes(o);
    if (!strcmp(verb, "stat"))
        return print_stat(o);
    if (!strcmp(verb, "put"))
        return print_put(o);
    if (!strcmp(verb, "share"))
        return print_shares(o);
    if (!strcmp(verb, "get"))
        return cli_out("saved %s (%s)\n", print_escape_json(o, "path"),
                       print_size((uint64_t)json_number(o, "size")));
    if (!strcmp(verb, "rm"))
        return cli_out("removed %s\n", print_escape_json(o, "removed"));
    if (!strcmp(verb, "mv"))
        return cli_out("renamed to %s\n", print_escape_json(o, "name"));
    if (!strcmp(verb, "login") && *json_text(o, "username"))
        return cli_out("logged in as %s (%s)\n", print_escape_json(o, "username"),
                       print_escape_json(o, "role"));
    if (!strcmp(verb, "drain") || !strcmp(verb, "undrain") || !strcmp(verb, "approve"))
        return cli_out("%s is %s\n", print_escape_json(o, "id"), print_escape_json(o, "state"));
    err_t e = OK;
    (void)fs_admin_print(verb, o, &e);
    return e;
}

static err_t emit(task_t *t, void *arg, json_t *o)
{
    fs_output_t *out = arg;
    progress_clear(&out->progress);
    if (!out->cli->wants_json)
        return print_one(out, o);
    char *text = json_dumps(o, JSON_COMPACT);
    err_t e = cli_out("%s\n", text);
    free(text);
    return e;
}

err_t run_fs(task_t *t, const cli_t *c, const cli_command_t *command)
{
    fs_output_t out = {.cli = c, .verb = strchr(cli_command_name(command), ' ') + 1, .task = t};
    fs_request_t r = {.verb = out.verb,
                      .args = c->args,
                      .n_args = c->n_args,
                      .option = option,
                      .emit = emit,
                      .read_stdin = read_stdin,
                      .write = write_content,
                      .progress = show_progress,
                      .arg = &out};
    err_t e = fs_run(t, &r);
    progress_clear(&out.progress);
    return e;
}

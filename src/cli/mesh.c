/* mesh: commands of `dfs` that do more than one request: they gather files, passphrases and keys. Secrets go
 * in the body of a request, never in its target or in the words of a command line. */
#include "cli/commands_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SECRET_MAX_BYTES = 64 << 10, FORM_MAX_BYTES = 4 * SECRET_MAX_BYTES };
static const char BOUNDARY[] = "distribute-secrets-7b1f0c2e9d";

/* JSON for programs is the outcome alone. */
static err_t without_progress(cli_t *c)
{
    if (!c->wants_json || cli_option(c, "progress", 0))
        return OK;
    if (c->n_options == CLI_MAX_OPTIONS)
        return fail(ERR_USAGE, "too many options");
    c->options[c->n_options++] = (cli_option_t){"progress", "false"};
    return OK;
}

err_t cli_mesh_store(task_t *t, cli_t *c, const cli_command_t *command)
{
    for (size_t i = 0; i < c->n_args && c->is_in_shell; i++)
        if (!strcmp(c->args[i], "-"))
            return fail(ERR_USAGE, "standard input is the prompt's: name a file");
    TRY(without_progress(c));
    return cli_upload_files(t, c, command);
}

err_t cli_mesh_delete(task_t *t, cli_t *c, const cli_command_t *command)
{
    TRY(without_progress(c));
    return cli_run_generic(t, c, command);
}

/* ── secrets ─────────────────────────────────────────────────────────────────────────────────── */

static void wipe(buf_t *b)
{
    secret_wipe(b->data, b->len);
    buf_deinit(b);
}

static err_t secret_init(buf_t *b)
{
    buf_init(b, SECRET_MAX_BYTES);
    return buf_reserve(b, SECRET_MAX_BYTES); /* so that growing leaves no copies behind */
}

static void cut_at_newline(buf_t *b)
{
    const uint8_t *end = b->len ? memchr(b->data, '\n', b->len) : NULL;
    b->len = end ? (size_t)(end - b->data) : b->len;
    if (b->len && b->data[b->len - 1] == '\r')
        b->len--;
}

static err_t read_file(const char *path, buf_t *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(error_from_errno(errno), "%s: %s", path, strerror(errno));
    err_t e = cli_read_fd(fd, path, out);
    close(fd);
    return e;
}

/* From a person, by the prompt's terminal or by one of this call's own. */
static err_t ask(task_t *t, cli_t *c, const char *prompt, buf_t *out)
{
    terminal_t *x = c->terminal;
    if (!x)
        TRY(terminal_open(task_driver(t), &(terminal_config_t){0}, &x));
    err_t e = x->is_interactive || c->is_in_shell
                  ? terminal_line(t, x, prompt, TERMINAL_SECRET, out)
                  : fail(ERR_USAGE, "nobody can be asked here: name a file with --passphrase-file");
    if (e == ERR_EOF || e == ERR_AGAIN)
        e = fail(ERR_USAGE, "nothing was entered");
    if (x != c->terminal)
        terminal_close(t, x);
    return e;
}

static err_t ask_twice(task_t *t, cli_t *c, buf_t *out)
{
    buf_t again;
    TRY(secret_init(&again));
    err_t e = ask(t, c, "New passphrase: ", out);
    if (!e)
        e = ask(t, c, "Once more: ", &again);
    if (!e && !bytes_equal(buf_bytes(out), buf_bytes(&again)))
        e = fail(ERR_INVALID, "the two are not the same: nothing was changed");
    wipe(&again);
    return e;
}

err_t cli_passphrase_file(const cli_t *c, const char *option, buf_t *out)
{
    const char *path = cli_option(c, option, 0);
    if (!path)
        return ERR_NOT_FOUND;
    TRY(read_file(path, out));
    cut_at_newline(out);
    return out->len ? OK : fail(ERR_INVALID, "%s: its first line is empty", path);
}

/* ── forms of secrets ────────────────────────────────────────────────────────────────────────── */

static err_t add_part(buf_t *form, const char *name, bytes_t value)
{
    TRY(buf_printf(form,
                   "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\n"
                   "Content-Type: application/octet-stream\r\n\r\n",
                   BOUNDARY, name));
    TRY(buf_append(form, value));
    return buf_printf(form, "\r\n");
}

static err_t read_form(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    bytes_t *left = arg;
    *ret_n = left->len < cap ? left->len : cap;
    if (*ret_n)
        memcpy(out, left->data, *ret_n);
    *left = bytes_slice(*left, *ret_n, left->len);
    return OK;
}

typedef struct key_call {
    buf_t form, secret;
    bool has_parts;
} key_call_t;

static err_t key_call_init(key_call_t *k)
{
    *k = (key_call_t){0};
    buf_init(&k->form, FORM_MAX_BYTES);
    TRY(secret_init(&k->secret));
    return buf_reserve(&k->form, FORM_MAX_BYTES);
}

static void key_call_deinit(key_call_t *k)
{
    wipe(&k->form);
    wipe(&k->secret);
}

static err_t put_secret(key_call_t *k, const char *name)
{
    k->has_parts = true;
    err_t e = add_part(&k->form, name, buf_bytes(&k->secret));
    secret_wipe(k->secret.data, k->secret.len);
    k->secret.len = 0;
    return e;
}

/* The file's first line as this part of the form, when the option is there. */
static err_t put_file(const cli_t *c, key_call_t *k, const char *option, const char *part)
{
    err_t e = cli_passphrase_file(c, option, &k->secret);
    return e == ERR_NOT_FOUND ? OK : e ? e : put_secret(k, part);
}

static err_t note_info(print_t *p, json_t *o)
{
    cli_t *c = cli_of(p);
    c->key_has_passphrase = json_is_true(json_object_get(o, "has_passphrase"));
    c->key_is_unlocked = json_is_true(json_object_get(o, "is_unlocked"));
    return OK;
}

/* What opens the key, from a file, or from who sits there. is_always: also when it is open already. */
static err_t put_passphrase(task_t *t, cli_t *c, key_call_t *k, bool is_always)
{
    cli_t quiet = *c;
    quiet.wants_json = false;
    if (cli_option(c, "passphrase-file", 0))
        return put_file(c, k, "passphrase-file", "passphrase");
    TRY(cli_request(t, &quiet, "/api/v0/dfs/key/info", note_info));
    if (!quiet.key_has_passphrase || (quiet.key_is_unlocked && !is_always))
        return OK;
    TRY(ask(t, c, "Passphrase: ", &k->secret));
    return put_secret(k, "passphrase");
}

static err_t call(task_t *t, cli_t *c, const cli_command_t *command, key_call_t *k, const char *more,
                  cli_byte_sink_t *sink)
{
    AUTO(buf_t) target = {0};
    const char *text;
    char type[96];
    cli_t without_args = *c;
    without_args.n_args = 0;
    TRY(cli_build_target(&without_args, command, &target));
    if (more)
        TRY(cli_target_add(&target, more, "true"));
    TRY(buf_cstr(&target, &text));
    if (k->has_parts)
        TRY(buf_printf(&k->form, "--%s--\r\n", BOUNDARY));
    bytes_t left = buf_bytes(&k->form);
    snprintf(type, sizeof type, "multipart/form-data; boundary=%s", BOUNDARY);
    return cli_exchange(t, c, text,
                        (cli_exchange_t){.content_type = k->has_parts ? type : NULL,
                                         .read_body = k->has_parts ? read_form : NULL,
                                         .body_arg = &left,
                                         .print = sink ? NULL : cli_printer(command),
                                         .bytes = sink});
}

/* ── commands ────────────────────────────────────────────────────────────────────────────────── */

static err_t run_with_passphrase(task_t *t, cli_t *c, const cli_command_t *command, bool is_always)
{
    key_call_t k;
    err_t e = key_call_init(&k);
    if (!e)
        e = put_passphrase(t, c, &k, is_always);
    if (!e)
        e = call(t, c, command, &k, NULL, NULL);
    key_call_deinit(&k);
    return e;
}

err_t cli_mesh_key_rotate(task_t *t, cli_t *c, const cli_command_t *command)
{
    return run_with_passphrase(t, c, command, true);
}

err_t cli_mesh_key_unlock(task_t *t, cli_t *c, const cli_command_t *command)
{
    return run_with_passphrase(t, c, command, false);
}

static err_t put_new_passphrase(task_t *t, cli_t *c, key_call_t *k)
{
    if (cli_option(c, "new-passphrase-file", 0))
        return put_file(c, k, "new-passphrase-file", "new-passphrase");
    if (!cli_flag(c, "remove", false))
        TRY(ask_twice(t, c, &k->secret));
    return put_secret(k, "new-passphrase");
}

err_t cli_mesh_key_passphrase(task_t *t, cli_t *c, const cli_command_t *command)
{
    key_call_t k;
    err_t e = key_call_init(&k);
    if (!e)
        e = put_passphrase(t, c, &k, false);
    if (!e)
        e = put_new_passphrase(t, c, &k);
    if (!e)
        e = call(t, c, command, &k, NULL, NULL);
    key_call_deinit(&k);
    return e;
}

static err_t write_key(task_t *t, void *arg, bytes_t data)
{
    int fd = *(int *)arg;
    while (data.len) {
        ssize_t n = write(fd, data.data, data.len);
        if (n < 0)
            return fail(error_from_errno(errno), "cannot write the key: %s", strerror(errno));
        data = bytes_slice(data, (size_t)n, data.len);
    }
    return OK;
}

static err_t print_words(task_t *t, void *arg, bytes_t data)
{
    TRY(cli_out_bytes(data));
    return cli_out_bytes(BYTES_LIT("\n"));
}

static err_t export_to(task_t *t, cli_t *c, const cli_command_t *command, key_call_t *k, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(error_from_errno(errno), "%s: %s", path, strerror(errno));
    cli_byte_sink_t sink = {write_key, NULL, &fd};
    err_t e = put_file(c, k, "new-passphrase-file", "new-passphrase");
    if (!e)
        e = call(t, c, command, k, NULL, &sink);
    if (!e && fsync(fd))
        e = fail(error_from_errno(errno), "%s: %s", path, strerror(errno));
    close(fd);
    if (e)
        unlink(path);
    return e;
}

err_t cli_mesh_key_export(task_t *t, cli_t *c, const cli_command_t *command)
{
    key_call_t k;
    cli_byte_sink_t words = {print_words, NULL, NULL};
    err_t e = key_call_init(&k);
    if (!e)
        e = put_passphrase(t, c, &k, false);
    if (!e && c->n_args)
        e = export_to(t, c, command, &k, c->args[0]);
    else if (!e)
        e = call(t, c, command, &k, "words", &words);
    key_call_deinit(&k);
    if (!e && !c->n_args && c->is_terminal_out)
        fprintf(stderr, "Whoever has these words reads your files. Keep them where nobody else looks.\n");
    if (!e && c->n_args && !cli_option(c, "new-passphrase-file", 0))
        fprintf(stderr,
                "%s is under no passphrase (--new-passphrase-file): whoever has it reads your files.\n",
                print_escape(c->args[0]));
    return e;
}

/* A file; without one the words, from standard input or from who sits there. */
static err_t read_key(task_t *t, cli_t *c, buf_t *out)
{
    if (c->n_args && strcmp(c->args[0], "-"))
        return read_file(c->args[0], out);
    if (c->is_in_shell || isatty(STDIN_FILENO))
        return ask(t, c, "Words: ", out);
    return cli_read_fd(STDIN_FILENO, "standard input", out);
}

err_t cli_mesh_key_import(task_t *t, cli_t *c, const cli_command_t *command)
{
    key_call_t k;
    err_t e = key_call_init(&k);
    if (!e)
        e = read_key(t, c, &k.secret);
    if (!e)
        e = put_secret(&k, "key");
    if (!e)
        e = put_file(c, &k, "passphrase-file", "passphrase");
    if (!e)
        e = put_file(c, &k, "new-passphrase-file", "new-passphrase");
    if (!e)
        e = call(t, c, command, &k, NULL, NULL);
    key_call_deinit(&k);
    return e;
}

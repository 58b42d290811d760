/* run: commands whose requests are more than their words, or whose end is more than their answer. */
#include "base/version.h"
#include "cli/commands_internal.h"
#include "print/print_ls.h"
#include <stdio.h>
#include <stdlib.h>

err_t cli_block_rm(task_t *t, cli_t *c, const cli_command_t *command)
{
    TRY(cli_run_generic(t, c, command));
    return c->has_failed ? fail(ERR_IO, "some blocks not removed") : OK;
}

/* Needs neither a node nor a repository. */
err_t cli_version(task_t *t, cli_t *c, const cli_command_t *command)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s}", "Version", KUBO_RPC_VERSION, "Commit", "", "Repo",
                          KUBO_REPO_VERSION, "System", SYSTEM_NAME, "Golang", "none");
    if (!c->is_kubo)
        json_object_set_new(o, "Distribute", json_string(DISTRIBUTE_VERSION));
    char *line = json_dumps(o, JSON_COMPACT);
    print_t to = cli_print_to_stdout(c);
    print_fn encode = cli_encoder(c);
    to.command = "version";
    err_t e = encode ? encode(&to, o) : c->wants_json ? cli_out("%s\n", line) : print_find("version")(&to, o);
    free(line);
    json_decref(o);
    return e;
}

/* As an answer lists a command of the RPC. */
static json_t *row_json(const cli_command_t *row)
{
    json_t *options = json_array();
    for (const cli_spec_t *s = row->specs; s && s->name; s++) {
        char letter[2] = {s->letter, 0};
        json_t *names = json_pack("[s]", s->name);
        if (s->letter)
            json_array_append_new(names, json_string(letter));
        json_array_append_new(options, json_pack("{s:o}", "Names", names));
    }
    return json_pack("{s:s, s:[], s:o}", "Name", row->name, "Subcommands", "Options", options);
}

/* Kubo's list has what only its program can do, too, and nothing that it can't. */
static err_t print_all_commands(print_t *p, json_t *o)
{
    static const char *const own[] = {"daemon", "init"};
    const cli_t *c = cli_of(p);
    const cli_command_t *row;
    for (size_t i = 0; c->is_kubo && (row = cli_command_at(c, i)); i++)
        for (size_t k = 0; k < ARRAY_LEN(own); k++)
            if (!strcmp(row->name, own[k]))
                json_array_append_new(json_object_get(o, "Subcommands"), row_json(row));
    json_t *rows = json_object_get(o, "Subcommands");
    for (size_t i = json_array_size(rows); c->is_kubo && i--;)
        if (!cli_has_command(c, json_text(json_array_get(rows, i), "Name")))
            json_array_remove(rows, i);
    return print_find("commands")(p, o);
}

err_t cli_commands(task_t *t, cli_t *c, const cli_command_t *command)
{
    AUTO(buf_t) target = {0};
    const char *text;
    TRY(cli_build_target(c, command, &target));
    TRY(buf_cstr(&target, &text));
    return cli_request(t, c, text, print_all_commands);
}

static size_t n_queued;

static err_t count_queued(print_t *p, json_t *o)
{
    n_queued += *json_text(o, "Queued") != 0;
    return OK;
}

err_t cli_provide_once(task_t *t, cli_t *c, const cli_command_t *command)
{
    AUTO(buf_t) target = {0};
    const char *text;
    n_queued = 0;
    TRY(cli_build_target(c, command, &target));
    TRY(buf_cstr(&target, &text));
    TRY(cli_request(t, c, text, count_queued));
    return c->wants_json ? OK : cli_out("queued %zu CID(s) for immediate provide\n", n_queued);
}

/* With --json the answer is shown as it is, however long. */
static err_t take_json(task_t *t, void *arg, bytes_t data)
{
    return cli_out_bytes(data);
}

static err_t take_listing(task_t *t, void *arg, bytes_t data)
{
    return ls_text_feed(arg, data);
}

err_t cli_ls(task_t *t, cli_t *c, const cli_command_t *command)
{
    AUTO(buf_t) target = {0};
    const char *text;
    if (cli_flag(c, "stream", false) || c->encoding)
        return cli_run_generic(t, c, command);
    TRY(cli_build_target(c, command, &target));
    TRY(buf_cstr(&target, &text));
    print_t to = cli_print_to_stdout(c);
    ls_text_t *listing = ls_text_new(&to);
    err_t e =
        cli_download(t, c, text, (cli_byte_sink_t){c->wants_json ? take_json : take_listing, NULL, listing});
    ls_text_free(listing);
    return e;
}

err_t print_gateway(print_t *p, json_t *o)
{
    return print_out(p, "Gateway server listening on %s\n", field(o, "Address"));
}

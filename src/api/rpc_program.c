/* rpc_program: what is known of this program without a node: its commands, the libraries that it is made of.
 * Reference: ipfs/kubo core/commands commands.go, version.go. */
#include "api/api_internal.h"
#include "api/rpc_util.h"
#include "base/version.h"
#include <stdio.h>

/* The options of a command as Kubo prints them: the names of each. */
static json_t *options_json(const char *list)
{
    json_t *options = json_array();
    rpc_option_spec_t spec;
    while (rpc_signature_next_option(&list, &spec)) {
        json_t *names = json_array();
        bytes_t name;
        while (rpc_signature_next_name(&spec.names, &name))
            json_array_append_new(names, json_stringn((const char *)name.data, name.len));
        json_array_append_new(options, json_pack("{s:o}", "Names", names));
    }
    return options;
}

static json_t *child_of(json_t *parent, const char *name)
{
    json_t *below = json_object_get(parent, "Subcommands"), *entry;
    size_t i;
    json_array_foreach(below, i, entry)
    {
        if (!strcmp(json_string_value(json_object_get(entry, "Name")), name))
            return entry;
    }
    entry = json_pack("{s:s, s:[], s:[]}", "Name", name, "Subcommands", "Options");
    json_array_append_new(below, entry);
    return entry;
}

/* "pin/add" goes below "pin": the tree that Kubo prints. */
static void list_command(json_t *level, const char *path, const char *options)
{
    char name[64];
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        snprintf(name, sizeof name, "%.*s", (int)n, p);
        level = child_of(level, name);
        p += n + (p[n] == '/');
    }
    json_object_set_new(level, "Options", options_json(options));
}

static void add_command(void *arg, const char *path)
{
    const rpc_signature_t *signature = rpc_signature(path);
    list_command(arg, path, signature ? signature->options : "");
}

/* What is listed as well: commands of the command line alone, and options of groups. */
static const struct {
    const char *path, *options;
} also_listed[] = {
    {"commands/completion/bash", ""},
    {"commands/completion/fish", ""},
    {"commands/completion/zsh", ""},
    {"config/edit", ""},
    {"files", "flush,f:bool"},
    {"key/export", "output,o:string|format,f:string"},
    {"key/rotate", "oldkey,o:string|type,t:string|size,s:int"},
    {"object/patch", "allow-big-block:bool"},
    {"update/check", "pre:bool"},
    {"update/clean", ""},
    {"update/install", "pre:bool|allow-downgrade:bool"},
    {"update/revert", ""},
    {"update/versions", "count,n:int|pre:bool"},
};

static err_t rpc_commands(task_t *t, rpc_t *r)
{
    json_t *root = json_pack("{s:s, s:[], s:[]}", "Name", "ipfs", "Subcommands", "Options");
    rpc_each_command(add_command, root);
    for (size_t i = 0; i < ARRAY_LEN(also_listed); i++)
        list_command(root, also_listed[i].path, also_listed[i].options);
    return rpc_emit(t, r, root);
}

static err_t emit_dependency(task_t *t, rpc_t *r, const char *path, const char *version)
{
    return rpc_emit(
        t, r,
        json_pack("{s:s, s:s, s:s, s:s}", "Path", path, "Version", version, "ReplacedBy", "", "Sum", ""));
}

/* The shared libraries of this process, by the names of their files: "libsodium.so.23.3.0". */
static err_t rpc_version_deps(task_t *t, rpc_t *r)
{
    char line[512], last[256] = "";
    TRY(emit_dependency(t, r, "distribute", DISTRIBUTE_VERSION));
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        return fail(ERR_UNSUPPORTED, "no embedded dependency information");
    err_t e = OK;
    while (!e && fgets(line, sizeof line, maps)) {
        char *name = strrchr(line, '/'), *version = name ? strstr(name, ".so") : NULL;
        if (!version || !strcmp(name, last))
            continue;
        snprintf(last, sizeof last, "%s", name);
        line[strcspn(line, "\n")] = 0;
        *version = 0;
        e = emit_dependency(t, r, name + 1, version[3] == '.' ? version + 4 : "");
    }
    fclose(maps);
    return e;
}

const rpc_command_t rpc_program_commands[] = {
    {"commands", rpc_commands, 0, 0, NULL},
    {"version/deps", rpc_version_deps, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};

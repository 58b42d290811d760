#include "main/fs_admin.h"
#include "cli/command.h"
#include <string.h>

static const char *limit_text(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    return json_is_integer(v) ? print_size((uint64_t)json_integer_value(v)) : "no limit";
}

static err_t print_user(json_t *u)
{
    return cli_out("%-20s %-8s %10s of %-10s %6lld files%s\n", print_escape_json(u, "username"),
                   print_escape_json(u, "role"), print_size((uint64_t)json_number(u, "used_bytes")),
                   limit_text(u, "quota_bytes"), (long long)json_number(u, "used_files"),
                   json_is_true(json_object_get(u, "is_disabled")) ? "  disabled" : "");
}

static err_t print_key(json_t *k)
{
    size_t i;
    json_t *scope;
    TRY(cli_out("%s  %-20s", print_escape_json(k, "id"), print_escape_json(k, "name")));
    json_array_foreach(json_object_get(k, "scopes"), i, scope)
        TRY(cli_out("%s%s", i ? "," : " ", print_escape(json_string_value(scope))));
    const json_t *expires = json_object_get(k, "expires_at");
    return json_is_string(expires) ? cli_out("  until %s\n", print_escape(json_string_value(expires)))
                                   : cli_out("\n");
}

/* The secret comes once: alone on its line, so that a script can take it. */
static err_t print_new_key(json_t *o)
{
    return cli_out("%s\n", print_escape_json(o, "key"));
}

static err_t print_record(json_t *r)
{
    return cli_out("%8lld  %s  %-16s %-16s %-16s %s %s\n", (long long)json_number(r, "seq"),
                   print_escape_json(r, "at"), print_escape_json(r, "actor"), print_escape_json(r, "action"),
                   print_escape_json(r, "outcome"), print_escape_json(r, "target"),
                   print_escape_json(r, "detail"));
}

static err_t print_each(json_t *o, const char *name, err_t (*print)(json_t *one))
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(o, name), i, one) TRY(print(one));
    return OK;
}

static err_t print_master(json_t *o)
{
    char *text = json_dumps(o, JSON_INDENT(2));
    err_t e = cli_out("%s\n", text ? text : "");
    free(text);
    return e;
}

bool fs_admin_print(const char *verb, json_t *o, err_t *ret)
{
    if (!strcmp(verb, "user add") || !strcmp(verb, "user set") || !strcmp(verb, "passwd"))
        *ret = print_user(o);
    else if (!strcmp(verb, "user ls"))
        *ret = print_each(o, "users", print_user);
    else if (!strcmp(verb, "key ls"))
        *ret = print_each(o, "api_keys", print_key);
    else if (!strcmp(verb, "key add") || !strcmp(verb, "key rotate"))
        *ret = print_new_key(o);
    else if (!strcmp(verb, "audit"))
        *ret = print_each(o, "records", print_record);
    else if (!strncmp(verb, "master ", 7))
        *ret = print_master(o);
    else
        return false;
    return true;
}

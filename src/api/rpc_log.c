#include "api/rpc_log.h"
#include "api/api_internal.h"
#include <stdio.h>
#include <stdlib.h>

enum { ENDED_MAX = 256, VALUE_MAX = 256, ARGS_MAX = 16, OPTIONS_MAX = 64, KEEP_MS = 3600 * 1000 };

struct rpc_log_entry {
    list_t node;
    uint64_t id, started_ms, ended_ms; /* wall clock; ended_ms 0: it runs */
    char command[64];
    json_t *args, *options;
};

void rpc_log_init(rpc_log_t *l)
{
    *l = (rpc_log_t){.keep_ms = KEEP_MS};
    list_init(&l->entries);
}

static void entry_free(rpc_log_entry_t *e)
{
    list_remove(&e->node);
    json_decref(e->args);
    json_decref(e->options);
    free(e);
}

void rpc_log_deinit(rpc_log_t *l)
{
    LIST_EACH (e, &l->entries, rpc_log_entry_t, node)
        entry_free(e);
}

const char *rpc_time(uint64_t wall_ms, char out[RFC3339_MAX])
{
    return rfc3339_print(wall_ms ? (int64_t)(wall_ms / 1000) : RFC3339_NONE,
                         (uint32_t)(wall_ms % 1000) * 1000000, out);
}

static bool may_hold_secrets(const char *command)
{
    return !strncmp(command, "pin/remote/service", 18) || !strncmp(command, "config", 6) ||
           !strncmp(command, "key/", 4) || !strncmp(command, "dfs/", 4); /* links hold keys */
}

static json_t *short_text(bytes_t text)
{
    return rpc_bytes_json(bytes_slice(text, 0, VALUE_MAX));
}

static json_t *options_json(exchange_t *x)
{
    json_t *options = json_object();
    AUTO(buf_t) name = {0};
    AUTO(buf_t) value = {0};
    buf_init(&name, VALUE_MAX);
    buf_init(&value, 16 << 10);
    for (size_t at = 0;
         json_object_size(options) < OPTIONS_MAX && exchange_query_next(x, &at, &name, &value);) {
        const char *text;
        if (!bytes_equal(buf_bytes(&name), BYTES_LIT("arg")) && !buf_cstr(&name, &text))
            json_object_set_new(options, text, short_text(buf_bytes(&value)));
    }
    return options;
}

rpc_log_entry_t *rpc_log_begin(task_t *t, rpc_t *r)
{
    rpc_log_t *l = &r->api->log;
    rpc_log_entry_t *e = xcalloc(1, sizeof *e);
    bool is_secret = may_hold_secrets(r->command);
    e->id = l->next_id++;
    e->started_ms = driver_wall_ms(task_driver(t));
    snprintf(e->command, sizeof e->command, "%s", r->command);
    e->args = json_array();
    for (size_t i = 0; i < r->n_args && i < ARGS_MAX && !is_secret; i++)
        json_array_append_new(e->args, short_text(bytes_str(r->args[i])));
    e->options = is_secret ? json_object() : options_json(r->x);
    list_push_back(&l->entries, &e->node);
    return e;
}

static void drop_old(rpc_log_t *l, uint64_t now_ms)
{
    LIST_EACH (e, &l->entries, rpc_log_entry_t, node) {
        if (!e->ended_ms)
            continue;
        if (l->n_ended <= ENDED_MAX && e->ended_ms + l->keep_ms > now_ms)
            return; /* those behind it began later: they wait their turn, so that this stays short */
        entry_free(e);
        l->n_ended--;
    }
}

void rpc_log_end(task_t *t, api_t *api, rpc_log_entry_t *e)
{
    e->ended_ms = driver_wall_ms(task_driver(t));
    api->log.n_ended++;
    drop_old(&api->log, e->ended_ms);
}

json_t *rpc_log_json(rpc_log_t *l, uint64_t now_ms)
{
    json_t *list = json_array();
    drop_old(l, now_ms);
    LIST_EACH (e, &l->entries, rpc_log_entry_t, node) {
        char started[RFC3339_MAX], ended[RFC3339_MAX];
        json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:s, s:O, s:O, s:I}", "StartTime",
                                              rpc_time(e->started_ms, started), "EndTime",
                                              rpc_time(e->ended_ms, ended), "Active", !e->ended_ms, "Command",
                                              e->command, "Options", e->options, "Args", e->args, "ID",
                                              (json_int_t)e->id));
    }
    return list;
}

void rpc_log_clear(rpc_log_t *l)
{
    LIST_EACH (e, &l->entries, rpc_log_entry_t, node)
        if (e->ended_ms)
            entry_free(e);
    l->n_ended = 0;
}

void rpc_log_set_keep(rpc_log_t *l, uint64_t keep_ms)
{
    l->keep_ms = keep_ms;
}

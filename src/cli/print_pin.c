/* print_pin: answers about pins as text. */
#include "cli/commands_internal.h"
#include <inttypes.h>
#include <stdio.h>

err_t print_pin_added(task_t *t, cli_t *c, json_t *o)
{
    const char *step = json_text(o, "Step");
    if (*step) { /* replication reports what it does */
        if (!cli_flag(c, "quiet", false))
            fprintf(stderr, "%s\n", cli_escape(step));
        return OK;
    }
    if (json_object_get(o, "Progress") && !json_object_get(o, "Pins")) {
        fprintf(stderr, "Fetched/Processed %" PRId64 " nodes (%s)\r", json_number(o, "Progress"),
                cli_size((uint64_t)json_number(o, "Bytes")));
        return OK;
    }
    if (cli_flag(c, "progress", false))
        fprintf(stderr, "\n");
    size_t i;
    json_t *pin;
    json_array_foreach(json_object_get(o, "Pins"), i, pin)
        TRY(cli_out("pinned %s %s\n", cli_escape(json_string_value(pin)),
                    cli_flag(c, "recursive", true) ? "recursively" : "directly"));
    if (json_object_get(o, "Copies"))
        TRY(cli_out("replicas: %" PRId64 " of %" PRId64 "\n", json_number(o, "Copies"),
                    json_number(o, "Target")));
    cli_hint_replicas(o);
    return OK;
}

void cli_hint_replicas(json_t *o)
{
    if (json_number(o, "Copies") < json_number(o, "Target"))
        fprintf(stderr,
                "the node keeps trying; a peer takes copies when it is connected and names this node in its "
                "Replication.AllowFrom\n");
}

err_t print_pin_updated(task_t *t, cli_t *c, json_t *o)
{
    json_t *pins = json_object_get(o, "Pins");
    return cli_out("updated %s to %s\n", cli_escape(json_string_value(json_array_get(pins, 0))),
                   cli_escape(json_string_value(json_array_get(pins, 1))));
}

err_t print_pin_removed(task_t *t, cli_t *c, json_t *o)
{
    size_t i;
    json_t *pin;
    json_array_foreach(json_object_get(o, "Pins"), i, pin)
        TRY(cli_out("unpinned %s\n", cli_escape(json_string_value(pin))));
    return OK;
}

static err_t print_one_pin(cli_t *c, const char *cid, json_t *pin)
{
    if (cli_flag(c, "quiet", false))
        return cli_out("%s\n", cli_escape(cid));
    const char *name = json_text(pin, "Name");
    return cli_out("%s %s%s%s\n", cli_escape(cid), field(pin, "Type"), *name ? " " : "", cli_escape(name));
}

err_t print_pin_list(task_t *t, cli_t *c, json_t *o)
{
    json_t *keys = json_object_get(o, "Keys"), *pin;
    const char *cid;
    if (!keys) /* streamed: a pin an object */
        return *json_text(o, "Cid") ? print_one_pin(c, json_text(o, "Cid"), o) : OK;
    json_object_foreach(keys, cid, pin) TRY(print_one_pin(c, cid, pin));
    return OK;
}

err_t print_pin_verified(task_t *t, cli_t *c, json_t *o)
{
    if (json_is_true(json_object_get(o, "Ok")))
        return cli_flag(c, "verbose", false) ? cli_out("%s ok\n", field(o, "Cid")) : OK;
    if (cli_flag(c, "quiet", false))
        return cli_out("%s\n", field(o, "Cid"));
    TRY(cli_out("%s broken\n", field(o, "Cid")));
    size_t i;
    json_t *bad;
    json_array_foreach(json_object_get(o, "BadNodes"), i, bad)
        TRY(cli_out("  %s: %s\n", field(bad, "Cid"), field(bad, "Err")));
    return OK;
}

/* ── remote pinning services ─────────────────────────────────────────────────────────────────── */
err_t print_remote_pin(task_t *t, cli_t *c, json_t *o)
{
    return cli_out("CID:    %s\nName:   %s\nStatus: %s\n", field(o, "Cid"), field(o, "Name"),
                   field(o, "Status"));
}

err_t print_remote_pin_line(task_t *t, cli_t *c, json_t *o)
{
    return cli_out("%s\t%s\t%s\n", field(o, "Cid"), field(o, "Status"), field(o, "Name"));
}

static int width_of(json_t *list, const char *key)
{
    size_t i, width = 0;
    json_t *o;
    json_array_foreach(list, i, o) if (strlen(field(o, key)) > width) width = strlen(field(o, key));
    return (int)width;
}

err_t print_pin_services(task_t *t, cli_t *c, json_t *o)
{
    size_t i;
    json_t *list = json_object_get(o, "RemoteServices"), *service;
    int names = width_of(list, "Service"), urls = width_of(list, "ApiEndpoint");
    json_array_foreach(list, i, service)
    {
        json_t *stat = json_object_get(service, "Stat"), *n = json_object_get(stat, "PinCount");
        TRY(cli_out("%-*s ", names, field(service, "Service")));
        if (!stat)
            TRY(cli_out("%s\n", field(service, "ApiEndpoint")));
        else if (!n)
            TRY(cli_out("%-*s %s\n", urls, field(service, "ApiEndpoint"), field(stat, "Status")));
        else
            TRY(cli_out("%-*s %" PRId64 "/%" PRId64 "/%" PRId64 "/%" PRId64 "\n", urls,
                        field(service, "ApiEndpoint"), json_number(n, "Queued"), json_number(n, "Pinning"),
                        json_number(n, "Pinned"), json_number(n, "Failed")));
    }
    return OK;
}

/* print_pin: answers about pins as text. */
#include "print/printers.h"
#include <inttypes.h>
#include <stdio.h>

const char print_replicas_hint[] =
    "the node keeps trying; a peer takes copies when it is connected and names this node in its "
    "Replication.AllowFrom\n";

err_t print_pin_added(print_t *p, json_t *o)
{
    const char *step = json_text(o, "Step");
    if (*step) { /* replication reports what it does */
        if (!print_flag(p, "quiet", false))
            print_note(p, "%s\n", print_escape(step));
        return OK;
    }
    if (json_object_get(o, "Progress") && !json_object_get(o, "Pins")) {
        print_note(p, "Fetched/Processed %" PRId64 " nodes (%s)\r", json_number(o, "Progress"),
                   print_human_bytes((uint64_t)json_number(o, "Bytes")));
        return OK;
    }
    if (print_flag(p, "progress", false))
        print_note(p, "\n");
    size_t i;
    json_t *pin;
    json_array_foreach(json_object_get(o, "Pins"), i, pin)
        TRY(print_out(p, "pinned %s %s\n", print_escape(json_string_value(pin)),
                      print_flag(p, "recursive", true) ? "recursively" : "directly"));
    if (json_object_get(o, "Copies"))
        TRY(print_out(p, "replicas: %" PRId64 " of %" PRId64 "\n", json_number(o, "Copies"),
                      json_number(o, "Target")));
    if (json_number(o, "Copies") < json_number(o, "Target"))
        print_note(p, "%s", print_replicas_hint);
    return OK;
}

err_t print_pin_updated(print_t *p, json_t *o)
{
    json_t *pins = json_object_get(o, "Pins");
    return print_out(p, "updated %s to %s\n", print_escape(json_string_value(json_array_get(pins, 0))),
                     print_escape(json_string_value(json_array_get(pins, 1))));
}

err_t print_pin_removed(print_t *p, json_t *o)
{
    return print_texts(p, json_object_get(o, "Pins"), "unpinned ");
}

static err_t print_one_pin(print_t *p, const char *cid, json_t *pin)
{
    if (print_flag(p, "quiet", false))
        return print_out(p, "%s\n", print_escape(cid));
    const char *name = json_text(pin, "Name");
    return print_out(p, "%s %s%s%s\n", print_escape(cid), field(pin, "Type"), *name ? " " : "",
                     print_escape(name));
}

err_t print_pin_list(print_t *p, json_t *o)
{
    json_t *keys = json_object_get(o, "Keys"), *pin;
    const char *cid;
    if (!keys) /* streamed: a pin an object */
        return *json_text(o, "Cid") ? print_one_pin(p, json_text(o, "Cid"), o) : OK;
    json_object_foreach(keys, cid, pin) TRY(print_one_pin(p, cid, pin));
    return OK;
}

err_t print_pin_verified(print_t *p, json_t *o)
{
    if (json_is_true(json_object_get(o, "Ok")))
        return print_flag(p, "verbose", false) ? print_out(p, "%s ok\n", field(o, "Cid")) : OK;
    if (print_flag(p, "quiet", false))
        return print_out(p, "%s\n", field(o, "Cid"));
    TRY(print_out(p, "%s broken\n", field(o, "Cid")));
    size_t i;
    json_t *bad;
    json_array_foreach(json_object_get(o, "BadNodes"), i, bad)
        TRY(print_out(p, "  %s: %s\n", field(bad, "Cid"), field(bad, "Err")));
    return OK;
}

/* ── remote pinning services ─────────────────────────────────────────────────────────────────── */
err_t print_remote_pin(print_t *p, json_t *o)
{
    return print_out(p, "CID:    %s\nName:   %s\nStatus: %s\n", field(o, "Cid"), field(o, "Name"),
                     field(o, "Status"));
}

err_t print_remote_pin_line(print_t *p, json_t *o)
{
    return print_out(p, "%s\t%s\t%s\n", field(o, "Cid"), field(o, "Status"), field(o, "Name"));
}

static int width_of(json_t *list, const char *key)
{
    size_t i, width = 0;
    json_t *o;
    json_array_foreach(list, i, o) if (strlen(field(o, key)) > width) width = strlen(field(o, key));
    return (int)width;
}

err_t print_pin_services(print_t *p, json_t *o)
{
    size_t i;
    json_t *list = json_object_get(o, "RemoteServices"), *service;
    int names = width_of(list, "Service"), urls = width_of(list, "ApiEndpoint");
    json_array_foreach(list, i, service)
    {
        json_t *stat = json_object_get(service, "Stat"), *n = json_object_get(stat, "PinCount");
        TRY(print_out(p, "%-*s ", names, field(service, "Service")));
        if (!stat)
            TRY(print_out(p, "%s\n", field(service, "ApiEndpoint")));
        else if (!n)
            TRY(print_out(p, "%-*s %s\n", urls, field(service, "ApiEndpoint"), field(stat, "Status")));
        else
            TRY(print_out(p, "%-*s %" PRId64 "/%" PRId64 "/%" PRId64 "/%" PRId64 "\n", urls,
                          field(service, "ApiEndpoint"), json_number(n, "Queued"), json_number(n, "Pinning"),
                          json_number(n, "Pinned"), json_number(n, "Failed")));
    }
    return OK;
}

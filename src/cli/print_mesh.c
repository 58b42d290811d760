/* print_mesh: answers of the mesh as text. Files are named by their 64 hex digits. */
#include "cli/commands_internal.h"
#include <inttypes.h>
#include <stdio.h>

static bool is_true(json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

/* A line on standard error that the next one takes the place of. */
static void show_step(const cli_t *c, const char *what, json_t *o)
{
    if (c->is_terminal_err && json_number(o, "want"))
        fprintf(stderr, "\r\033[K%s %" PRId64 " of %" PRId64, what, json_number(o, "have"),
                json_number(o, "want"));
}

static void end_steps(const cli_t *c)
{
    if (c->is_terminal_err)
        fprintf(stderr, "\r\033[K");
}

err_t print_mesh_stored(print_t *p, json_t *o)
{
    const cli_t *c = cli_of(p);
    if (!json_object_get(o, "hash")) {
        show_step(c, "copies:", o);
        return OK;
    }
    end_steps(c);
    int64_t copies = json_number(o, "copies"), target = json_number(o, "target");
    TRY(cli_out("CID: %s\n", field(o, "hash")));
    fflush(stdout);
    fprintf(stderr, "%s, %s in %" PRId64 " chunk%s, on %" PRId64 " of %" PRId64 " nodes\n", field(o, "name"),
            print_size((uint64_t)json_number(o, "size")), json_number(o, "chunks"),
            json_number(o, "chunks") == 1 ? "" : "s", copies, target);
    if (copies < target)
        fprintf(stderr,
                "%s%smore copies are made as soon as there are members for them: see 'dfs status %s'\n",
                field(o, "why"), *field(o, "why") ? "; " : "", field(o, "hash"));
    if (is_true(o, "is_key_new"))
        fprintf(stderr,
                "A personal key was made. Without it nobody can read your files, not even you: keep a "
                "copy with 'dfs key export'.\n");
    return OK;
}

err_t print_mesh_deleted(print_t *p, json_t *o)
{
    const cli_t *c = cli_of(p);
    size_t i;
    json_t *r;
    if (!json_object_get(o, "receipts")) {
        show_step(c, "receipts:", o);
        return OK;
    }
    end_steps(c);
    TRY(cli_out("deleted on %" PRId64 " of %" PRId64 " holders\n", json_number(o, "deleted"),
                json_number(o, "holders")));
    json_array_foreach(json_object_get(o, "receipts"), i, r)
    {
        if (is_true(r, "is_deleted"))
            TRY(cli_out("  %s at %s\n", field(r, "peer"), field(r, "at")));
        else
            TRY(cli_out("  %s: %s\n", field(r, "peer"), field(r, "why")));
    }
    return OK;
}

err_t print_mesh_listed(print_t *p, json_t *o)
{
    bool is_deleted = json_is_string(json_object_get(o, "deleted_at"));
    return cli_out("%s %9s  %s%s%s\n", field(o, "hash"), print_size((uint64_t)json_number(o, "size")),
                   field(o, "name"), is_true(o, "is_folder") ? "/" : "", is_deleted ? " (deleted)" : "");
}

static err_t print_holders(json_t *o)
{
    size_t i;
    json_t *h;
    json_array_foreach(json_object_get(o, "holders"), i, h)
    {
        const char *zone = field(h, "zone");
        TRY(cli_out("  %s%s%s%s", field(h, "peer"), *zone ? " zone " : "", zone,
                    is_true(h, "is_self")        ? " (this node)"
                    : is_true(h, "is_connected") ? ""
                                                 : " (away)"));
        if (json_number(h, "latency_ms"))
            TRY(cli_out(" %" PRId64 " ms", json_number(h, "latency_ms")));
        TRY(is_true(h, "is_self")
                ? cli_out("\n")
                : cli_out(", verified %" PRId64 " s ago\n", json_number(h, "verified_ms_ago") / 1000));
    }
    return OK;
}

static err_t print_file(json_t *o)
{
    int64_t copies = json_number(o, "copies"), target = json_number(o, "target");
    TRY(cli_out("CID: %s\nSize: %s\nLocal: %s\nPinned: %s\nPeers: %" PRId64 " (replication factor: %" PRId64
                "/%" PRId64 ")\n",
                field(o, "hash"), print_size((uint64_t)json_number(o, "size")),
                is_true(o, "is_local") ? "yes" : "no", is_true(o, "is_owner") ? "yes" : "no", copies, copies,
                target));
    if (*field(o, "name"))
        TRY(cli_out("Name: %s\n", field(o, "name")));
    TRY(cli_out("State: %s\n", field(o, "state")));
    if (*field(o, "why"))
        TRY(cli_out("Reason: %s\n", field(o, "why")));
    if (json_number(o, "expected_receipts"))
        TRY(cli_out("Receipts: %" PRId64 " of %" PRId64 "\n", json_number(o, "receipts"),
                    json_number(o, "expected_receipts")));
    return print_holders(o);
}

static err_t print_node(json_t *o)
{
    TRY(cli_out("Node: %s\n", field(o, "peer")));
    if (*field(o, "zone"))
        TRY(cli_out("Zone: %s\n", field(o, "zone")));
    TRY(cli_out("Members: %" PRId64 " (%" PRId64 " connected)\nFiles: %" PRId64 " (%" PRId64
                " of this node, %" PRId64 " being healed)\n",
                json_number(o, "members"), json_number(o, "connected"), json_number(o, "files"),
                json_number(o, "files_owned"), json_number(o, "files_below")));
    TRY(cli_out("Held for others: %s of %s\nFree: %s\nTombstones: %" PRId64 "\n",
                print_size((uint64_t)json_number(o, "held_bytes")),
                print_size((uint64_t)json_number(o, "max_bytes")),
                print_size((uint64_t)json_number(o, "free_bytes")), json_number(o, "tombstones")));
    return is_true(o, "is_catching_up")
               ? cli_out("Catching up: serves nothing before it knows what was deleted meanwhile\n")
               : OK;
}

err_t print_mesh_status(print_t *p, json_t *o)
{
    const cli_t *c = cli_of(p);
    if (!json_object_get(o, "hash"))
        return print_node(o);
    if (!cli_flag(c, "all", false))
        return print_file(o);
    const char *why = field(o, "why");
    return cli_out("%s %" PRId64 "/%" PRId64 " %-8s %9s  %s%s%s%s\n", field(o, "hash"),
                   json_number(o, "copies"), json_number(o, "target"), field(o, "state"),
                   print_size((uint64_t)json_number(o, "size")), field(o, "name"), *why ? " (" : "", why,
                   *why ? ")" : "");
}

err_t print_mesh_peer(print_t *p, json_t *o)
{
    const char *zone = field(o, "zone"), *address = field(o, "address");
    TRY(cli_out("%s %s%s%s%s%s", field(o, "peer"),
                !is_true(o, "is_connected") ? "away"
                : is_true(o, "is_relayed")  ? "relayed"
                                            : "direct",
                *address ? " " : "", address, *zone ? " zone " : "", zone));
    if (json_number(o, "latency_ms"))
        TRY(cli_out(" %" PRId64 " ms", json_number(o, "latency_ms")));
    return cli_out(" free %s%s\n", print_size((uint64_t)json_number(o, "free_bytes")),
                   is_true(o, "is_relay") ? " relay" : "");
}

err_t print_mesh_link(print_t *p, json_t *o)
{
    fprintf(stderr, "Whoever has this link can read the file, and this alone:\n");
    return cli_out("%s\n", field(o, "link"));
}

err_t print_mesh_key(print_t *p, json_t *o)
{
    if (!is_true(o, "exists"))
        return cli_out("Key: none yet, the first 'dfs store' makes one\n");
    TRY(cli_out("Key: %s\nPassphrase: %s\n", is_true(o, "is_unlocked") ? field(o, "owner") : "locked",
                is_true(o, "has_passphrase") ? "yes" : "no"));
    return json_number(o, "epochs") ? cli_out("Epochs: %" PRId64 "\n", json_number(o, "epochs")) : OK;
}

err_t print_mesh_rotated(print_t *p, json_t *o)
{
    fprintf(stderr,
            "New files have a new key from now on; files and CIDs stay. Whoever stole the old key file can "
            "still open what was stored until now.\n");
    return cli_out("Epochs: %" PRId64 "\n", json_number(o, "epochs"));
}

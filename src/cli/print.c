/* print: answers of the RPC as text, one function for each shape. */
#include "base/version.h"
#include "cli/commands_internal.h"
#include "multi/multibase.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char *link_text(json_t *o)
{
    return cli_escape(json_text(o, "/"));
}

err_t print_json(task_t *t, cli_t *c, json_t *o)
{
    char *text = json_dumps(o, JSON_INDENT(2) | JSON_ENCODE_ANY);
    err_t e = cli_out("%s\n", text);
    free(text);
    return e;
}

/* A text, or a list of texts, each on its line. */
static err_t print_member(json_t *o, const char *name)
{
    size_t i;
    json_t *one, *value = json_object_get(o, name);
    if (!json_is_array(value))
        return cli_out("%s", field(o, name));
    json_array_foreach(value, i, one) TRY(cli_out("%s%s", i ? "\n" : "", cli_escape(json_string_value(one))));
    return OK;
}

err_t print_id(task_t *t, cli_t *c, json_t *o)
{
    const char *format = cli_option(c, "format", 0);
    if (!format) {
        char *text = json_dumps(o, JSON_INDENT(4));
        err_t e = cli_out("%s\n", text);
        free(text);
        return e;
    }
    static const struct {
        const char *token, *member;
    } tokens[] = {{"<id>", "ID"},
                  {"<aver>", "AgentVersion"},
                  {"<pver>", "ProtocolVersion"},
                  {"<pubkey>", "PublicKey"},
                  {"<addrs>", "Addresses"},
                  {"<protocols>", "Protocols"},
                  {"\\n", "\n"},
                  {"\\t", "\t"}};
    while (*format) {
        size_t i = 0;
        while (i < ARRAY_LEN(tokens) && strncmp(format, tokens[i].token, strlen(tokens[i].token)) != 0)
            i++;
        TRY(i == ARRAY_LEN(tokens)       ? cli_out("%c", *format)
            : tokens[i].token[0] == '\\' ? cli_out("%s", tokens[i].member)
                                         : print_member(o, tokens[i].member));
        format += i == ARRAY_LEN(tokens) ? 1 : strlen(tokens[i].token);
    }
    return OK;
}

err_t print_refs(task_t *t, cli_t *c, json_t *o)
{
    const char *why = json_text(o, "Err");
    if (*why)
        return fail(ERR_IO, "%s", why);
    return cli_out("%s\n", field(o, "Ref"));
}

err_t print_path(task_t *t, cli_t *c, json_t *o)
{
    return cli_out("%s\n", field(o, "Path"));
}

/* ── network ─────────────────────────────────────────────────────────────────────────────────── */

err_t print_peers(task_t *t, cli_t *c, json_t *o)
{
    size_t i, k;
    json_t *peer, *stream;
    bool verbose = cli_flag(c, "verbose", false);
    json_array_foreach(json_object_get(o, "Peers"), i, peer)
    {
        TRY(cli_out("%s/p2p/%s", field(peer, "Addr"), field(peer, "Peer")));
        if (*json_text(peer, "Latency"))
            TRY(cli_out(" %s", field(peer, "Latency")));
        if (verbose || cli_flag(c, "direction", false))
            TRY(cli_out(" %s", json_number(peer, "Direction") == 1 ? "inbound" : "outbound"));
        if (verbose)
            TRY(cli_out(" %s", cli_escape(json_text(json_object_get(peer, "Identify"), "AgentVersion"))));
        TRY(cli_out("\n"));
        json_array_foreach(json_object_get(peer, "Streams"), k, stream)
            TRY(cli_out("  %s\n", field(stream, "Protocol")));
    }
    return OK;
}

err_t print_strings(task_t *t, cli_t *c, json_t *o)
{
    size_t i;
    json_t *line;
    json_array_foreach(json_object_get(o, "Strings"), i, line)
        TRY(cli_out("%s\n", cli_escape(json_string_value(line))));
    return OK;
}

err_t print_peer_list(task_t *t, cli_t *c, json_t *o)
{
    size_t i;
    json_t *line;
    json_array_foreach(json_object_get(o, "Peers"), i, line)
        TRY(cli_out("%s\n", cli_escape(json_string_value(line))));
    return OK;
}

static err_t print_changed(json_t *o, const char *what)
{
    size_t i;
    json_t *line;
    json_array_foreach(json_object_get(o, "Peers"), i, line)
        TRY(cli_out("%s %s\n", what, cli_escape(json_string_value(line))));
    return OK;
}

err_t print_bootstrap_added(task_t *t, cli_t *c, json_t *o)
{
    return print_changed(o, "added");
}

err_t print_bootstrap_removed(task_t *t, cli_t *c, json_t *o)
{
    return print_changed(o, "removed");
}

err_t print_addrs(task_t *t, cli_t *c, json_t *o)
{
    const char *peer;
    json_t *addrs, *addr;
    size_t i;
    json_object_foreach(json_object_get(o, "Addrs"), peer, addrs)
    {
        TRY(cli_out("%s (%zu)\n", cli_escape(peer), json_array_size(addrs)));
        json_array_foreach(addrs, i, addr) TRY(cli_out("\t%s\n", cli_escape(json_string_value(addr))));
    }
    return OK;
}

err_t print_ping(task_t *t, cli_t *c, json_t *o)
{
    const char *text = json_text(o, "Text");
    if (*text)
        return cli_out("%s\n", cli_escape(text));
    TRY(cli_out("Pong received: time=%.2f ms\n", (double)json_number(o, "Time") / 1e6));
    fflush(stdout);
    return OK;
}

/* Events of a lookup: providers and peers are results; with --verbose the hops are shown as they happen. */
err_t print_lookup(task_t *t, cli_t *c, json_t *o)
{
    size_t i, k;
    json_t *response, *addr;
    bool verbose = cli_flag(c, "verbose", false);
    const char *extra = json_text(o, "Extra");
    switch (json_number(o, "Type")) {
    case 0:
        return verbose ? cli_out("* querying %s (%s)\n", field(o, "ID"), cli_escape(extra)) : OK;
    case 1:
        return verbose ? cli_out("* %s answered: %s\n", field(o, "ID"), cli_escape(extra)) : OK;
    case 3:
        return verbose ? cli_out("* error from %s: %s\n", field(o, "ID"), cli_escape(extra)) : OK;
    default:
        break;
    }
    json_t *responses = json_object_get(o, "Responses");
    bool is_provider = json_number(o, "Type") == 4;
    json_array_foreach(responses, i, response)
    {
        if (is_provider)
            TRY(cli_out(verbose ? "provider: %s\n" : "%s\n", field(response, "ID")));
        if (!is_provider || verbose)
            json_array_foreach(json_object_get(response, "Addrs"), k, addr)
                TRY(cli_out("%s%s\n", is_provider ? "\t" : "", cli_escape(json_string_value(addr))));
    }
    if (!json_array_size(responses) && *json_text(o, "ID"))
        return cli_out("%s\n", field(o, "ID"));
    if (!json_array_size(responses) && *extra)
        return cli_out("announced %s\n", cli_escape(extra));
    fflush(stdout);
    return OK;
}

err_t print_value(task_t *t, cli_t *c, json_t *o)
{
    const char *text = json_text(o, "Extra");
    AUTO(buf_t) value;
    buf_init(&value, strlen(text) + 1);
    if (multibase_decode_raw(MB_BASE64PAD, bytes_str(text), &value))
        return fail(ERR_PROTOCOL, "the node's answer holds a value that is no base64");
    return cli_out_bytes(buf_bytes(&value));
}

static const char *ago(int64_t ms)
{
    static char ring[4][32];
    static size_t next;
    char *out = ring[next++ % 4];
    if (ms < 1000)
        snprintf(out, sizeof ring[0], "%" PRId64 " ms", ms);
    else if (ms < 120000)
        snprintf(out, sizeof ring[0], "%" PRId64 " s", ms / 1000);
    else
        snprintf(out, sizeof ring[0], "%" PRId64 " min", ms / 60000);
    return out;
}

err_t print_dht(task_t *t, cli_t *c, json_t *o)
{
    json_t *peers = json_object_get(o, "Peers"), *peer;
    size_t i;
    char dht[16] = "";
    int64_t bucket = -1;
    json_array_foreach(peers, i, peer)
    {
        const char *name = json_text(peer, "DHT");
        if (strcmp(dht, name)) {
            snprintf(dht, sizeof dht, "%s", name);
            TRY(cli_out("DHT %s\n", cli_escape(name)));
            bucket = -1;
        }
        if (bucket != json_number(peer, "Bucket")) {
            bucket = json_number(peer, "Bucket");
            TRY(cli_out("  bucket %" PRId64 " (common prefix of %" PRId64 " bits)\n", bucket, bucket));
        }
        TRY(cli_out("    %s %s, useful %s ago, added %s ago, latency %" PRId64 " ms\n", field(peer, "Peer"),
                    json_is_true(json_object_get(peer, "Connected")) ? "connected" : "not connected",
                    ago(json_number(peer, "LastUsefulMs")), ago(json_number(peer, "AddedMs")),
                    json_number(peer, "LatencyMs")));
    }
    return cli_out("%zu peers in the tables, %s; %" PRId64 " announcements made, %" PRId64
                   " waiting, %" PRId64 " failed; %" PRId64 " records held; %" PRId64 " lookups\n",
                   json_array_size(peers),
                   json_is_true(json_object_get(o, "Bootstrapped")) ? "bootstrapped" : "not bootstrapped",
                   json_number(o, "Provided"), json_number(o, "ProvideQueue"),
                   json_number(o, "ProvideFailed"), json_number(o, "Records"), json_number(o, "Lookups"));
}

err_t print_wantlist(task_t *t, cli_t *c, json_t *o)
{
    size_t i;
    json_t *key;
    json_array_foreach(json_object_get(o, "Keys"), i, key) TRY(cli_out("%s\n", link_text(key)));
    return OK;
}

err_t print_ledger(task_t *t, cli_t *c, json_t *o)
{
    return cli_out("Ledger for %s\nDebt ratio:\t%f\nExchanges:\t%" PRId64 "\nBytes sent:\t%" PRId64
                   "\nBytes received:\t%" PRId64 "\n",
                   field(o, "Peer"), json_number_value(json_object_get(o, "Value")),
                   json_number(o, "Exchanged"), json_number(o, "Sent"), json_number(o, "Recv"));
}

/* ── content and store ───────────────────────────────────────────────────────────────────────── */

err_t print_status(task_t *t, cli_t *c, json_t *o)
{
    int64_t copies = json_number(o, "Copies"), target = json_number(o, "Target");
    return cli_out("CID: %s\nSize: %s\nLocal: %s\nPinned: %s\nPeers: %" PRId64
                   " (replication factor: %" PRId64 "/%" PRId64 ")\n",
                   field(o, "CID"), cli_size((uint64_t)json_number(o, "Size")),
                   json_is_true(json_object_get(o, "Local")) ? "yes" : "no",
                   json_is_true(json_object_get(o, "Pinned")) ? "yes" : "no", copies, copies, target);
}

err_t print_replicas(task_t *t, cli_t *c, json_t *o)
{
    return cli_out("%s %" PRId64 "/%" PRId64 " %s\n", field(o, "CID"), json_number(o, "Copies"),
                   json_number(o, "Target"), cli_size((uint64_t)json_number(o, "Size")));
}

err_t print_block_stat(task_t *t, cli_t *c, json_t *o)
{
    return cli_out("Key: %s\nSize: %" PRId64 "\n", field(o, "Key"), json_number(o, "Size"));
}

err_t print_block_key(task_t *t, cli_t *c, json_t *o)
{
    return cli_out("%s\n", field(o, "Key"));
}

static bool some_not_removed;

err_t print_block_removed(task_t *t, cli_t *c, json_t *o)
{
    const char *why = json_text(o, "Error");
    if (*why) {
        fprintf(stderr, "cannot remove %s: %s\n", field(o, "Hash"), cli_escape(why));
        some_not_removed = true;
        return OK;
    }
    return cli_flag(c, "quiet", false) ? OK : cli_out("removed %s\n", field(o, "Hash"));
}

err_t cli_block_rm(task_t *t, cli_t *c, const cli_command_t *command)
{
    some_not_removed = false;
    TRY(cli_run_generic(t, c, command));
    return some_not_removed ? fail(ERR_IO, "some blocks not removed") : OK;
}

err_t print_config(task_t *t, cli_t *c, json_t *o)
{
    json_t *value = json_object_get(o, "Value");
    if (c->n_args > 1)
        return OK; /* a change says nothing, as in Kubo */
    if (json_is_string(value))
        return cli_out("%s\n", cli_escape(json_string_value(value)));
    return print_json(t, c, value);
}

/* A line for each setting that differs: "- " as it was, "+ " as it is. */
static err_t print_side(char sign, const char *path, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    err_t e = text ? cli_out("%c %s: %s\n", sign, cli_escape(path), cli_escape(text)) : OK;
    free(text);
    return e;
}

enum { CONFIG_DEPTH_MAX = 8 };

static err_t print_differences(const char *above, json_t *before, json_t *after, int depth)
{
    const char *key;
    json_t *old_value, *new_value;
    char path[512];
    json_object_foreach(after, key, new_value)
    {
        old_value = json_object_get(before, key);
        snprintf(path, sizeof path, "%s%s%s", above, *above ? "." : "", key);
        if (json_equal(old_value, new_value))
            continue;
        if (json_is_object(old_value) && json_is_object(new_value) && depth < CONFIG_DEPTH_MAX) {
            TRY(print_differences(path, old_value, new_value, depth + 1));
            continue;
        }
        TRY(print_side('-', path, old_value));
        TRY(print_side('+', path, new_value));
    }
    return OK;
}

err_t print_config_change(task_t *t, cli_t *c, json_t *o)
{
    return print_differences("", json_object_get(o, "OldCfg"), json_object_get(o, "NewCfg"), 0);
}

err_t print_version_field(task_t *t, cli_t *c, json_t *o)
{
    if (cli_flag(c, "all", false) && c->is_kubo)
        return cli_out("Kubo version: %s\nRepo version: %s\nSystem version: %s\nGolang version: %s\n",
                       field(o, "Version"), field(o, "Repo"), field(o, "System"), field(o, "Golang"));
    if (cli_flag(c, "all", false))
        return cli_out("%s version: %s\nRPC of Kubo version: %s\nRepo version: %s\nSystem version: %s\n",
                       c->program, *json_text(o, "Distribute") ? field(o, "Distribute") : field(o, "Version"),
                       field(o, "Version"), field(o, "Repo"), field(o, "System"));
    const char *version =
        c->is_kubo || !*json_text(o, "Distribute") ? json_text(o, "Version") : json_text(o, "Distribute");
    if (cli_flag(c, "number", false))
        return cli_out("%s\n", cli_escape(version));
    if (cli_flag(c, "repo", false))
        return cli_out("%s\n", field(o, "Repo"));
    return cli_out("%s version %s\n", c->is_kubo ? "ipfs" : "distribute", cli_escape(version));
}

/* Needs neither a node nor a repository. */
err_t cli_version(task_t *t, cli_t *c, const cli_command_t *command)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "Version", KUBO_RPC_VERSION, "Commit", "", "Repo",
                          KUBO_REPO_VERSION, "System", SYSTEM_NAME, "Golang", "none", "Distribute",
                          DISTRIBUTE_VERSION);
    char *line = json_dumps(o, JSON_COMPACT);
    err_t e = c->wants_json ? cli_out("%s\n", line) : print_version_field(t, c, o);
    free(line);
    json_decref(o);
    return e;
}

err_t print_gateway(task_t *t, cli_t *c, json_t *o)
{
    return cli_out("Gateway server listening on %s\n", field(o, "Address"));
}

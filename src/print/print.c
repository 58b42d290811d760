/* print: answers of the RPC as text, one function for each shape. */
#include "base/version.h"
#include "multi/multibase.h"
#include "print/printers.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char *link_text(json_t *o)
{
    return print_escape(json_text(o, "/"));
}

err_t print_json(print_t *p, json_t *o)
{
    char *text = json_dumps(o, JSON_INDENT(2) | JSON_ENCODE_ANY);
    err_t e = print_out(p, "%s\n", text);
    free(text);
    return e;
}

/* A text, or a list of texts, each on its line. */
static err_t print_member(print_t *p, json_t *o, const char *name)
{
    size_t i;
    json_t *one, *value = json_object_get(o, name);
    if (!json_is_array(value))
        return print_out(p, "%s", field(o, name));
    json_array_foreach(value, i, one)
        TRY(print_out(p, "%s%s", i ? "\n" : "", print_escape(json_string_value(one))));
    return OK;
}

/* With a tab for each level. */
static err_t print_indented(print_t *p, json_t *o)
{
    char *text = json_dumps(o, JSON_INDENT(4) | JSON_ENCODE_ANY), *to = text;
    bool is_start = true;
    for (const char *from = text; *from; from++) {
        bool is_tab = is_start && !strncmp(from, "    ", 4);
        is_start = is_tab || *from == '\n';
        *to++ = is_tab ? '\t' : *from;
        from += is_tab ? 3 : 0;
    }
    *to = 0;
    err_t e = print_out(p, "%s\n", text);
    free(text);
    return e;
}

err_t print_id(print_t *p, json_t *o)
{
    const char *format = print_option(p, "format");
    if (!format)
        return print_indented(p, o);
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
        TRY(i == ARRAY_LEN(tokens)       ? print_out(p, "%c", *format)
            : tokens[i].token[0] == '\\' ? print_out(p, "%s", tokens[i].member)
                                         : print_member(p, o, tokens[i].member));
        format += i == ARRAY_LEN(tokens) ? 1 : strlen(tokens[i].token);
    }
    return OK;
}

err_t print_refs(print_t *p, json_t *o)
{
    const char *why = json_text(o, "Err");
    if (*why)
        return fail(ERR_IO, "%s", why);
    return print_out(p, "%s\n", field(o, "Ref"));
}

err_t print_path(print_t *p, json_t *o)
{
    return print_out(p, "%s\n", field(o, "Path"));
}

/* ── network ─────────────────────────────────────────────────────────────────────────────────── */

err_t print_peers(print_t *p, json_t *o)
{
    size_t i, k;
    json_t *peer, *stream;
    bool verbose = print_flag(p, "verbose", false);
    json_array_foreach(json_object_get(o, "Peers"), i, peer)
    {
        TRY(print_out(p, "%s/p2p/%s", field(peer, "Addr"), field(peer, "Peer")));
        if (*json_text(peer, "Latency"))
            TRY(print_out(p, " %s", field(peer, "Latency")));
        if (verbose || print_flag(p, "direction", false))
            TRY(print_out(p, " %s", json_number(peer, "Direction") == 1 ? "inbound" : "outbound"));
        if (verbose)
            TRY(print_out(p, " %s",
                          print_escape(json_text(json_object_get(peer, "Identify"), "AgentVersion"))));
        TRY(print_out(p, "\n"));
        json_array_foreach(json_object_get(peer, "Streams"), k, stream)
            TRY(print_out(p, "  %s\n", field(stream, "Protocol")));
    }
    return OK;
}

err_t print_strings(print_t *p, json_t *o)
{
    return print_texts(p, json_object_get(o, "Strings"), "");
}

err_t print_peer_list(print_t *p, json_t *o)
{
    return print_texts(p, json_object_get(o, "Peers"), "");
}

err_t print_bootstrap_added(print_t *p, json_t *o)
{
    return print_texts(p, json_object_get(o, "Peers"), "added ");
}

err_t print_bootstrap_removed(print_t *p, json_t *o)
{
    return print_texts(p, json_object_get(o, "Peers"), "removed ");
}

err_t print_addrs(print_t *p, json_t *o)
{
    const char *peer;
    json_t *addrs;
    json_object_foreach(json_object_get(o, "Addrs"), peer, addrs)
    {
        TRY(print_out(p, "%s (%zu)\n", print_escape(peer), json_array_size(addrs)));
        TRY(print_texts(p, addrs, "\t"));
    }
    return OK;
}

err_t print_ping(print_t *p, json_t *o)
{
    const char *text = json_text(o, "Text");
    if (*text)
        return print_out(p, "%s\n", print_escape(text));
    TRY(print_out(p, "Pong received: time=%.2f ms\n", (double)json_number(o, "Time") / 1e6));
    return OK;
}

/* Events of a lookup: providers and peers are results; with --verbose the hops are shown as they happen. */
err_t print_lookup(print_t *p, json_t *o)
{
    size_t i;
    json_t *response;
    bool verbose = print_flag(p, "verbose", false);
    const char *extra = json_text(o, "Extra");
    switch (json_number(o, "Type")) {
    case 0:
        return verbose ? print_out(p, "* querying %s (%s)\n", field(o, "ID"), print_escape(extra)) : OK;
    case 1:
        return verbose ? print_out(p, "* %s answered: %s\n", field(o, "ID"), print_escape(extra)) : OK;
    case 3:
        return verbose ? print_out(p, "* error from %s: %s\n", field(o, "ID"), print_escape(extra)) : OK;
    default:
        break;
    }
    json_t *responses = json_object_get(o, "Responses");
    bool is_provider = json_number(o, "Type") == 4;
    json_array_foreach(responses, i, response)
    {
        if (is_provider)
            TRY(print_out(p, verbose ? "provider: %s\n" : "%s\n", field(response, "ID")));
        if (!is_provider || verbose)
            TRY(print_texts(p, json_object_get(response, "Addrs"), is_provider ? "\t" : ""));
    }
    if (!json_array_size(responses) && *json_text(o, "ID"))
        return print_out(p, "%s\n", field(o, "ID"));
    if (!json_array_size(responses) && *extra)
        return print_out(p, "announced %s\n", print_escape(extra));
    return OK;
}

err_t print_value(print_t *p, json_t *o)
{
    const char *text = json_text(o, "Extra");
    AUTO(buf_t) value;
    buf_init(&value, strlen(text) + 1);
    if (multibase_decode_raw(MB_BASE64PAD, bytes_str(text), &value))
        return fail(ERR_PROTOCOL, "the node's answer holds a value that is no base64");
    return print_bytes(p, buf_bytes(&value));
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

err_t print_dht(print_t *p, json_t *o)
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
            TRY(print_out(p, "DHT %s\n", print_escape(name)));
            bucket = -1;
        }
        if (bucket != json_number(peer, "Bucket")) {
            bucket = json_number(peer, "Bucket");
            TRY(print_out(p, "  bucket %" PRId64 " (common prefix of %" PRId64 " bits)\n", bucket, bucket));
        }
        TRY(print_out(p, "    %s %s, useful %s ago, added %s ago, latency %" PRId64 " ms\n",
                      field(peer, "Peer"),
                      json_is_true(json_object_get(peer, "Connected")) ? "connected" : "not connected",
                      ago(json_number(peer, "LastUsefulMs")), ago(json_number(peer, "AddedMs")),
                      json_number(peer, "LatencyMs")));
    }
    return print_out(p,
                     "%zu peers in the tables, %s; %" PRId64 " announcements made, %" PRId64
                     " waiting, %" PRId64 " failed; %" PRId64 " records held; %" PRId64 " lookups\n",
                     json_array_size(peers),
                     json_is_true(json_object_get(o, "Bootstrapped")) ? "bootstrapped" : "not bootstrapped",
                     json_number(o, "Provided"), json_number(o, "ProvideQueue"),
                     json_number(o, "ProvideFailed"), json_number(o, "Records"), json_number(o, "Lookups"));
}

err_t print_wantlist(print_t *p, json_t *o)
{
    size_t i;
    json_t *key;
    json_array_foreach(json_object_get(o, "Keys"), i, key) TRY(print_out(p, "%s\n", link_text(key)));
    return OK;
}

err_t print_ledger(print_t *p, json_t *o)
{
    return print_out(p,
                     "Ledger for %s\nDebt ratio:\t%f\nExchanges:\t%" PRId64 "\nBytes sent:\t%" PRId64
                     "\nBytes received:\t%" PRId64 "\n\n",
                     field(o, "Peer"), json_number_value(json_object_get(o, "Value")),
                     json_number(o, "Exchanged"), json_number(o, "Sent"), json_number(o, "Recv"));
}

/* ── content and store ───────────────────────────────────────────────────────────────────────── */

err_t print_status(print_t *p, json_t *o)
{
    int64_t copies = json_number(o, "Copies"), target = json_number(o, "Target");
    return print_out(p,
                     "CID: %s\nSize: %s\nLocal: %s\nPinned: %s\nPeers: %" PRId64
                     " (replication factor: %" PRId64 "/%" PRId64 ")\n",
                     field(o, "CID"), print_size((uint64_t)json_number(o, "Size")),
                     json_is_true(json_object_get(o, "Local")) ? "yes" : "no",
                     json_is_true(json_object_get(o, "Pinned")) ? "yes" : "no", copies, copies, target);
}

err_t print_replicas(print_t *p, json_t *o)
{
    return print_out(p, "%s %" PRId64 "/%" PRId64 " %s\n", field(o, "CID"), json_number(o, "Copies"),
                     json_number(o, "Target"), print_size((uint64_t)json_number(o, "Size")));
}

err_t print_block_stat(print_t *p, json_t *o)
{
    return print_out(p, "Key: %s\nSize: %" PRId64 "\n", field(o, "Key"), json_number(o, "Size"));
}

err_t print_block_key(print_t *p, json_t *o)
{
    return print_out(p, "%s\n", field(o, "Key"));
}

err_t print_block_removed(print_t *p, json_t *o)
{
    const char *why = json_text(o, "Error");
    if (*why) {
        print_note(p, "cannot remove %s: %s\n", field(o, "Hash"), print_escape(why));
        p->has_failed = true;
        return OK;
    }
    return print_flag(p, "quiet", false) ? OK : print_out(p, "removed %s\n", field(o, "Hash"));
}

err_t print_config(print_t *p, json_t *o)
{
    json_t *value = json_object_get(o, "Value");
    const char *warning = field(o, "Warning");
    if (*warning)
        print_note(p, "%s: %s\n", field(o, "Key"), warning);
    if (p->n_args > 1)
        return OK; /* a change says nothing, as in Kubo */
    if (json_is_string(value))
        return print_out(p, "%s\n", print_escape(json_string_value(value)));
    return print_json(p, value);
}

/* A line for each setting that differs: "- " as it was, "+ " as it is. */
static err_t print_side(print_t *p, char sign, const char *path, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    err_t e = text ? print_out(p, "%c %s: %s\n", sign, print_escape(path), print_escape(text)) : OK;
    free(text);
    return e;
}

enum { CONFIG_DEPTH_MAX = 8 };

static err_t print_differences(print_t *p, const char *above, json_t *before, json_t *after, int depth)
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
            TRY(print_differences(p, path, old_value, new_value, depth + 1));
            continue;
        }
        TRY(print_side(p, '-', path, old_value));
        TRY(print_side(p, '+', path, new_value));
    }
    return OK;
}

err_t print_config_change(print_t *p, json_t *o)
{
    return print_differences(p, "", json_object_get(o, "OldCfg"), json_object_get(o, "NewCfg"), 0);
}

err_t print_version_field(print_t *p, json_t *o)
{
    if (print_flag(p, "all", false) && p->is_kubo)
        return print_out(p, "Kubo version: %s\nRepo version: %s\nSystem version: %s\nGolang version: %s\n",
                         field(o, "Version"), field(o, "Repo"), field(o, "System"), field(o, "Golang"));
    if (print_flag(p, "all", false))
        return print_out(p, "%s version: %s\nRPC of Kubo version: %s\nRepo version: %s\nSystem version: %s\n",
                         p->program,
                         *json_text(o, "Distribute") ? field(o, "Distribute") : field(o, "Version"),
                         field(o, "Version"), field(o, "Repo"), field(o, "System"));
    const char *version =
        p->is_kubo || !*json_text(o, "Distribute") ? json_text(o, "Version") : json_text(o, "Distribute");
    if (print_flag(p, "number", false))
        return print_out(p, "%s\n", print_escape(version));
    if (print_flag(p, "repo", false))
        return print_out(p, "%s\n", field(o, "Repo"));
    return print_out(p, "%s version %s\n", p->is_kubo ? "ipfs" : "distribute", print_escape(version));
}

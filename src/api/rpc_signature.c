/* rpc_signature: arguments and options of each command, with Kubo's names; what a request says is checked by
 * them before the command runs. Reference: ipfs/kubo core/commands, go-ipfs-cmds request.go and
 * http/parse.go. */
#include "api/rpc_signature.h"
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

/* a row a command */
/* clang-format off */
static const rpc_signature_t signatures[] = {
    {"add", "@path...<", "recursive,r:bool|dereference-args:bool|stdin-name:string|hidden,H:bool|ignore:array|ignore-rules-path:string|empty-dirs,E:bool|dereference-symlinks:bool|quiet,q:bool|quieter,Q:bool|silent:bool|progress,p:bool|only-hash,n:bool|wrap-with-directory,w:bool|pin:bool|pin-name:string|to-files:string|cid-version:int|hash:string|raw-leaves:bool|chunker,s:string|trickle,t:bool|max-file-links:int|max-directory-links:int|max-hamt-fanout:int|inline:bool|inline-limit:int|nocopy:bool|fscache:bool|preserve-mode:bool|preserve-mtime:bool|mode:uint|mtime:int64|mtime-nsecs:uint|fast-provide-root:bool|fast-provide-dag:bool|fast-provide-wait:bool"},
    {"bitswap/ledger", "peer", ""},
    {"bitswap/reprovide", "", ""},
    {"bitswap/stat", "", "verbose,v:bool|human:bool"},
    {"bitswap/wantlist", "", "peer,p:string"},
    {"block/get", "cid<", ""},
    {"block/put", "@data...<", "cid-codec:string|mhtype:string|mhlen:int|pin:bool|allow-big-block:bool|format,f:string"},
    {"block/rm", "cid...", "force,f:bool|quiet,q:bool"},
    {"block/stat", "cid<", ""},
    {"bootstrap", "", ""},
    {"bootstrap/add", "?peer...<", ""},
    {"bootstrap/list", "", "expand-auto:bool"},
    {"bootstrap/rm", "?peer...<", "all:bool"},
    {"bootstrap/rm/all", "", ""},
    {"cat", "ipfs-path...<", "offset,o:int64|length,l:int64|progress,p:bool"},
    {"cid/base32", "cid...<", ""},
    {"cid/bases", "", "prefix:bool|numeric:bool"},
    {"cid/codecs", "", "numeric,n:bool|supported,s:bool"},
    {"cid/format", "cid...<", "f:string|v:string|mc:string|b:string"},
    {"cid/hashes", "", "numeric,n:bool|supported,s:bool"},
    {"cid/inspect", "cid<", ""},
    {"commands", "", "flags,f:bool"},
    {"config", "key|?value", "bool:bool|json:bool|expand-auto:bool"},
    {"config/profile/apply", "profile", "dry-run:bool"},
    {"config/replace", "@file", ""},
    {"config/show", "", ""},
    {"dag/export", "root<", "progress,p:bool|local-only:bool"},
    {"dag/get", "ref<", "output-codec:string"},
    {"dag/import", "@path...<", "pin-roots:bool|local-only:bool|silent:bool|stats:bool|fast-provide-root:bool|fast-provide-dag:bool|fast-provide-wait:bool|allow-big-block:bool"},
    {"dag/put", "@object data...<", "store-codec:string|input-codec:string|pin:bool|hash:string|allow-big-block:bool"},
    {"dag/resolve", "ref<", ""},
    {"dag/stat", "root...<", "progress,p:bool"},
    {"dfs/cat", "cid", "offset:uint64|length:uint64"},
    {"dfs/delete", "cid", "wait:string|progress:bool"},
    {"dfs/get", "cid", ""},
    {"dfs/key/export", "", "words:bool"},
    {"dfs/key/import", "", "replace:bool"},
    {"dfs/key/info", "", ""},
    {"dfs/key/lock", "", ""},
    {"dfs/key/passphrase", "", ""},
    {"dfs/key/rotate", "", ""},
    {"dfs/key/unlock", "", ""},
    {"dfs/ls", "?cid", "deleted:bool|limit:uint64"},
    {"dfs/peers", "", ""},
    {"dfs/share", "cid", ""},
    {"dfs/status", "?cid", "all:bool"},
    {"dfs/store", "@path...", "replicas:uint64|name:string|type:string|progress:bool"},
    {"dht/findpeer", "", ""},
    {"dht/findprovs", "", ""},
    {"dht/get", "", ""},
    {"dht/inspect", "", ""},
    {"dht/provide", "", ""},
    {"dht/put", "", ""},
    {"dht/query", "peerID...", "verbose,v:bool"},
    {"diag/cmds", "", "verbose,v:bool"},
    {"diag/cmds/clear", "", ""},
    {"diag/cmds/set-time", "time", ""},
    {"diag/datastore/count", "prefix", ""},
    {"diag/datastore/get", "key", "hex:bool"},
    {"diag/datastore/put", "key|value", ""},
    {"diag/healthy", "", ""},
    {"diag/profile", "", "output,o:string|collectors:array|profile-time:string|mutex-profile-fraction:int|block-profile-rate:string"},
    {"diag/sys", "", ""},
    {"files/chcid", "path", "cid-version,cid-ver:int|hash:string"},
    {"files/chmod", "mode|path", ""},
    {"files/chroot", "?cid", "confirm:bool"},
    {"files/cp", "source|dest", "force:bool|parents,p:bool"},
    {"files/flush", "?path", ""},
    {"files/ls", "?path", "long,l:bool|U:bool"},
    {"files/mkdir", "path", "parents,p:bool|cid-version,cid-ver:int|hash:string"},
    {"files/mv", "source|dest", ""},
    {"files/read", "path", "offset,o:int64|count,n:int64"},
    {"files/rm", "path...", "recursive,r:bool|force:bool"},
    {"files/stat", "path", "format:string|hash:bool|size:bool|with-local:bool"},
    {"files/touch", "path", "mtime:int64|mtime-nsecs:uint"},
    {"files/write", "path|@data<", "offset,o:int64|create,e:bool|parents,p:bool|truncate,t:bool|count,n:int64|raw-leaves:bool|cid-version,cid-ver:int|hash:string"},
    {"filestore/dups", "", ""},
    {"filestore/ls", "?obj...", "file-order:bool"},
    {"filestore/verify", "?obj...", "file-order:bool|remove-bad-blocks:bool"},
    {"gateway/open", "port", ""},
    {"get", "ipfs-path<", "output,o:string|archive,a:bool|compress,C:bool|compression-level,l:int|progress,p:bool"},
    {"id", "?peerid", "format,f:string|peerid-base:string"},
    {"key/gen", "name", "type,t:string|size,s:int|ipns-base:string"},
    {"key/import", "name|@key", "ipns-base:string|format,f:string|allow-any-key-type:bool"},
    {"key/list", "", "l:bool|ipns-base:string"},
    {"key/ls", "", "l:bool|ipns-base:string"},
    {"key/rename", "name|newName", "force,f:bool|ipns-base:string"},
    {"key/rm", "name...<", "l:bool|ipns-base:string"},
    {"key/sign", "@data<", "key,k:string|ipns-base:string"},
    {"key/verify", "@data<", "key,k:string|signature,s:string|ipns-base:string"},
    {"log/level", "?subsystem|?level", ""},
    {"log/ls", "", ""},
    {"log/tail", "", "log-level:string"},
    {"ls", "ipfs-path...<", "headers,v:bool|resolve-type:bool|size:bool|stream,s:bool|long,l:bool"},
    {"mount", "", "ipfs-path,f:string|ipns-path,n:string|mfs-path,m:string"},
    {"multibase/decode", "@encoded_file<", ""},
    {"multibase/encode", "@file<", "b:string"},
    {"multibase/list", "", "prefix:bool|numeric:bool"},
    {"multibase/transcode", "@encoded_file<", "b:string"},
    {"name/get", "name", ""},
    {"name/inspect", "@record<", "verify:string|dump:bool"},
    {"name/publish", "ipfs-path<", "key,k:string|resolve:bool|lifetime,t:string|ttl:string|quieter,Q:bool|v1compat:bool|allow-offline:bool|allow-delegated:bool|sequence:uint64|ipns-base:string"},
    {"name/pubsub/cancel", "name", ""},
    {"name/pubsub/state", "", ""},
    {"name/pubsub/subs", "", "ipns-base:string"},
    {"name/put", "name|@record<", "force,f:bool|allow-offline:bool|allow-delegated:bool|quiet,q:bool"},
    {"name/resolve", "?name", "recursive,r:bool|nocache,n:bool|dht-record-count,dhtrc:uint|dht-timeout,dhtt:string|stream,s:bool"},
    {"object/data", "", ""},
    {"object/diff", "obj_a|obj_b", "verbose,v:bool"},
    {"object/get", "", ""},
    {"object/links", "", ""},
    {"object/new", "", ""},
    {"object/patch/add-link", "root|name|ref", "create,p:bool|allow-non-unixfs:bool"},
    {"object/patch/append-data", "", ""},
    {"object/patch/rm-link", "root|name", "allow-non-unixfs:bool"},
    {"object/patch/set-data", "", ""},
    {"object/put", "", ""},
    {"object/stat", "", ""},
    {"p2p/close", "", "all,a:bool|protocol,p:string|listen-address,l:string|target-address,t:string"},
    {"p2p/forward", "protocol|listen-address|target-address", "allow-custom-protocol:bool|foreground,f:bool"},
    {"p2p/listen", "protocol|target-address", "allow-custom-protocol:bool|report-peer-id,r:bool|foreground,f:bool"},
    {"p2p/ls", "", "headers,v:bool"},
    {"p2p/stream/close", "?id", "all,a:bool"},
    {"p2p/stream/ls", "", "headers,v:bool"},
    {"perf", "address", "upload:string|download:string|time:string"},
    {"pin/add", "ipfs-path...<", "recursive,r:bool|name,n:string|progress:bool|fast-provide-root:bool|fast-provide-dag:bool|fast-provide-wait:bool"},
    {"pin/ls", "?ipfs-path...", "type,t:string|quiet,q:bool|name,n:string|stream,s:bool|names:bool"},
    {"pin/remote/add", "ipfs-path", "service:string|name:string|background:bool"},
    {"pin/remote/ls", "", "service:string|name:string|cid:array|status:array"},
    {"pin/remote/rm", "", "service:string|name:string|cid:array|status:array|force:bool"},
    {"pin/remote/service/add", "service|endpoint|key", ""},
    {"pin/remote/service/ls", "", "stat:bool"},
    {"pin/remote/service/rm", "service", ""},
    {"pin/rm", "ipfs-path...<", "recursive,r:bool"},
    {"pin/update", "from-path|to-path", "unpin:bool|fast-provide-root:bool|fast-provide-dag:bool|fast-provide-wait:bool"},
    {"pin/verify", "", "verbose:bool|quiet,q:bool"},
    {"ping", "peer ID...<", "count,n:int"},
    {"provide/clear", "", "quiet,q:bool"},
    {"provide/once", "cid...<", "recursive,r:bool"},
    {"provide/stat", "", "lan:bool|all,a:bool|compact:bool|connectivity:bool|network:bool|schedule:bool|timings:bool|workers:bool|operations:bool|queues:bool"},
    {"pubsub/ls", "", ""},
    {"pubsub/peers", "?topic", ""},
    {"pubsub/pub", "topic|@data<", ""},
    {"pubsub/reset", "", "peer,p:string"},
    {"pubsub/sub", "topic", ""},
    {"refs", "ipfs-path...<", "format:string|edges,e:bool|unique,u:bool|recursive,r:bool|max-depth:int"},
    {"refs/local", "", ""},
    {"replica/ls", "", ""},
    {"repo/gc", "", "stream-errors:bool|quiet,q:bool|silent:bool"},
    {"repo/ls", "", ""},
    {"repo/stat", "", "size-only,s:bool|human,H:bool"},
    {"repo/verify", "", "drop:bool|heal:bool|heal-timeout:string"},
    {"repo/version", "", "quiet,q:bool"},
    {"resolve", "name<", "recursive,r:bool|dht-record-count,dhtrc:int|dht-timeout,dhtt:string"},
    {"routing/findpeer", "peerID...", "verbose,v:bool"},
    {"routing/findprovs", "key...", "verbose,v:bool|num-providers,n:int"},
    {"routing/get", "key...", ""},
    {"routing/provide", "key...<", "verbose,v:bool|recursive,r:bool"},
    {"routing/put", "key|@value-file<", "allow-offline:bool"},
    {"routing/reprovide", "", ""},
    {"shutdown", "", ""},
    {"stats/bitswap", "", "verbose,v:bool|human:bool"},
    {"stats/bw", "", "peer,p:string|proto,t:string|poll:bool|interval,i:string"},
    {"stats/dht", "?dht...", ""},
    {"stats/provide", "", "lan:bool|all,a:bool|compact:bool|connectivity:bool|network:bool|schedule:bool|timings:bool|workers:bool|operations:bool|queues:bool"},
    {"stats/repo", "", "size-only,s:bool|human,H:bool"},
    {"stats/reprovide", "", "lan:bool|all,a:bool|compact:bool|connectivity:bool|network:bool|schedule:bool|timings:bool|workers:bool|operations:bool|queues:bool"},
    {"status", "cid", ""},
    {"swarm/addrs", "", ""},
    {"swarm/addrs/autonat", "", ""},
    {"swarm/addrs/listen", "", ""},
    {"swarm/addrs/local", "", "id:bool"},
    {"swarm/connect", "address...<", ""},
    {"swarm/disconnect", "address...<", ""},
    {"swarm/filters", "", "allow:bool"},
    {"swarm/filters/add", "address...<", "allow:bool"},
    {"swarm/filters/rm", "address...<", "allow:bool"},
    {"swarm/peering/add", "address...", ""},
    {"swarm/peering/ls", "", ""},
    {"swarm/peering/rm", "ID...", ""},
    {"swarm/peers", "", "verbose,v:bool|streams:bool|latency:bool|direction:bool|identify:bool"},
    {"swarm/resources", "", ""},
    {"version", "", "number,n:bool|commit:bool|repo:bool|all:bool"},
    {"version/check", "", "min-percent,t:int"},
    {"version/deps", "", ""},
};
/* clang-format on */

const rpc_signature_t *rpc_signature(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(signatures); i++)
        if (!strcmp(signatures[i].path, path))
            return &signatures[i];
    return NULL;
}

/* ── arguments ───────────────────────────────────────────────────────────────────────────────── */

/* Takes the next "?name...<" off the list; false at its end. */
static bool next_argument(const char **list, rpc_argument_t *ret)
{
    const char *p = *list;
    if (!*p)
        return false;
    size_t n = strcspn(p, "|");
    *list = p + n + (p[n] == '|');
    *ret = (rpc_argument_t){.is_required = true};
    for (; n && (*p == '?' || *p == '@'); p++, n--) {
        ret->is_required &= *p != '?';
        ret->is_file |= *p == '@';
    }
    if (n && p[n - 1] == '<') {
        ret->takes_stdin = true;
        n--;
    }
    if (n > 3 && !memcmp(p + n - 3, "...", 3)) {
        ret->is_variadic = true;
        n -= 3;
    }
    ret->name = bytes_of(p, n);
    return true;
}

bool rpc_signature_argument(const rpc_signature_t *s, size_t n, bool is_file, rpc_argument_t *ret)
{
    const char *list = s ? s->arguments : "";
    rpc_argument_t a;
    while (next_argument(&list, &a)) {
        if (a.is_file != is_file || (n && n--))
            continue;
        *ret = a;
        return true;
    }
    return false;
}

bool rpc_signature_takes_stdin(const rpc_signature_t *s, bool *ret_variadic)
{
    const char *list = s ? s->arguments : "";
    rpc_argument_t a = {0};
    while (next_argument(&list, &a))
        continue;
    *ret_variadic = a.is_variadic;
    return a.takes_stdin && !a.is_file;
}

/* ── options ─────────────────────────────────────────────────────────────────────────────────── */

/* Those that every command takes. */
static const char global_options[] = "encoding,enc:string|stream-channels:bool|timeout:string|offline:bool|"
                                     "cid-base:string|upgrade-cidv0-in-output:bool";

bool rpc_signature_next_option(const char **list, rpc_option_spec_t *ret)
{
    const char *p = *list;
    if (!*p)
        return false;
    size_t n = strcspn(p, "|"), names = strcspn(p, ":");
    *list = p + n + (p[n] == '|');
    *ret = (rpc_option_spec_t){bytes_of(p, names), bytes_of(p + names + 1, n - names - 1)};
    return true;
}

bool rpc_signature_next_name(bytes_t *names, bytes_t *ret_name)
{
    if (!names->len)
        return false;
    const uint8_t *comma = memchr(names->data, ',', names->len);
    size_t n = comma ? (size_t)(comma - names->data) : names->len;
    *ret_name = bytes_slice(*names, 0, n);
    *names = bytes_slice(*names, n + (comma != NULL), names->len);
    return true;
}

bool rpc_signature_has_name(bytes_t names, bytes_t name)
{
    bytes_t one;
    while (rpc_signature_next_name(&names, &one))
        if (bytes_equal(one, name))
            return true;
    return false;
}

static bool find_in(const char *list, bytes_t name, rpc_option_spec_t *ret)
{
    while (rpc_signature_next_option(&list, ret))
        if (rpc_signature_has_name(ret->names, name))
            return true;
    return false;
}

/* What a command's group has for all of its commands. */
static const char *group_options(const rpc_signature_t *s)
{
    return strncmp(s->path, "files/", 6) ? "" : "flush,f:bool";
}

bool rpc_signature_option(const rpc_signature_t *s, bytes_t name, rpc_option_spec_t *ret)
{
    return (s && (find_in(s->options, name, ret) || find_in(group_options(s), name, ret))) ||
           find_in(global_options, name, ret);
}

static bool is_bool(const char *v)
{
    static const char *const words[] = {"", "1", "t", "true", "0", "f", "false"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (!strcasecmp(v, words[i]))
            return true;
    return false;
}

/* The base that a number's beginning tells; *at: behind it. */
static unsigned base_of(const char **at)
{
    const char *p = *at;
    char letter = *p == '0' ? (char)tolower((unsigned char)p[1]) : 0;
    if (*p != '0' || !letter)
        return 10;
    bool has_letter = letter == 'x' || letter == 'o' || letter == 'b';
    *at = p + 1 + has_letter;
    return letter == 'x' ? 16 : letter == 'b' ? 2 : 8;
}

bool rpc_number_read(const char *text, bool *ret_is_negative, uint64_t *ret)
{
    const char *p = text + (*text == '-' || *text == '+'), *begin = p;
    unsigned base = base_of(&p);
    bool was_digit = p > begin;
    size_t n = 0;
    uint64_t value = 0;
    for (; *p; p++) {
        unsigned char c = (unsigned char)tolower((unsigned char)*p);
        unsigned digit = isdigit(c) ? c - '0' : isalpha(c) ? c - 'a' + 10U : base;
        bool is_digit = digit < base;
        if (!is_digit && (c != '_' || !was_digit))
            return false;
        if (is_digit &&
            (__builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, digit, &value)))
            return false;
        was_digit = is_digit;
        n += is_digit;
    }
    *ret_is_negative = *text == '-';
    *ret = value;
    return n && was_digit;
}

static bool is_number(const char *v, bool is_signed, bool is_wide)
{
    bool is_negative;
    uint64_t value, most = is_signed ? is_wide ? INT64_MAX : INT32_MAX : is_wide ? UINT64_MAX : UINT32_MAX;
    if (!rpc_number_read(v, &is_negative, &value) || (!is_signed && (*v == '-' || *v == '+')))
        return false;
    return is_negative ? value <= most + 1 : value <= most;
}

bool rpc_option_accepts(const rpc_option_spec_t *o, const char *value)
{
    if (bytes_equal(o->type, BYTES_LIT("bool")))
        return is_bool(value);
    if (bytes_equal(o->type, BYTES_LIT("int")) || bytes_equal(o->type, BYTES_LIT("int64")))
        return is_number(value, true, o->type.len > 3);
    if (bytes_equal(o->type, BYTES_LIT("uint")) || bytes_equal(o->type, BYTES_LIT("uint64")))
        return is_number(value, false, o->type.len > 4);
    return true;
}

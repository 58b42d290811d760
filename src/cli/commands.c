/* commands: the table of the command line. */
#include "cli/commands_internal.h"

#define ANY CLI_ANY_ARGS

static const cli_spec_t add_specs[] = {
    {"recursive", 'r', false, NULL, "add folders with all below them"},
    {"quiet", 'q', false, "", "print CIDs alone"},
    {"quieter", 'Q', false, "", "print the last CID alone"},
    {"silent", 0, false, NULL, "print nothing"},
    {"progress", 'p', false, "", "show progress (default on a terminal)"},
    {"only-hash", 'n', false, NULL, "compute CIDs, store nothing"},
    {"wrap-with-directory", 'w', false, NULL, "put the files into a folder"},
    {"chunker", 's', true, NULL, "size-N, rabin[-MIN-AVG-MAX] or buzhash (default size-262144)"},
    {"raw-leaves", 0, false, NULL, "leaves without the protobuf frame"},
    {"cid-version", 0, true, NULL, "0 or 1 (default 0)"},
    {"hash", 0, true, NULL, "hash function (default sha2-256)"},
    {"pin", 0, false, NULL, "pin what is added (default true)"},
    {"pin-name", 0, true, NULL, "name of the pin"},
    {"trickle", 't', false, NULL, "trickle layout"},
    {"inline", 0, false, NULL, "put small blocks into their CIDs"},
    {"inline-limit", 0, true, NULL, "largest block to inline"},
    {"max-file-links", 0, true, NULL, "most links of a file's node"},
    {"max-directory-links", 0, true, NULL, "most links of a plain folder"},
    {"max-hamt-fanout", 0, true, NULL, "fanout of large folders"},
    {"nocopy", 0, false, NULL, "refer to the file instead of copying it"},
    {"fscache", 0, false, NULL, "leave out blocks that files have already"},
    {"hidden", 'H', false, "", "add files whose names begin with a dot"},
    {"ignore", 0, true, "", "a rule, as in .gitignore, of files to leave out"},
    {"ignore-rules-path", 0, true, "", "a file with such rules"},
    {"empty-dirs", 'E', false, NULL, "add folders that hold nothing (default true)"},
    {"dereference-args", 0, false, "", "follow the symbolic links that are named"},
    {"dereference-symlinks", 0, false, "", "follow all symbolic links"},
    {"stdin-name", 0, true, "", "name of standard input"},
    {"to-files", 0, true, NULL, "also put it into MFS at this path"},
    {"preserve-mode", 0, false, NULL, "keep permissions"},
    {"preserve-mtime", 0, false, NULL, "keep times"},
    {"mode", 0, true, NULL, "permissions of all that is added"},
    {"mtime", 0, true, NULL, "time of all that is added, in seconds"},
    {"mtime-nsecs", 0, true, NULL, "and nanoseconds"},
    {"fast-provide-root", 0, false, NULL, "announce the root at once (default true)"},
    {"fast-provide-dag", 0, false, NULL, "announce all blocks at once"},
    {"fast-provide-wait", 0, false, NULL, "return when a peer knows the root, fail when none does"},
    {"replicas", 0, true, NULL, "pin, and have so many nodes hold it"},
    {NULL, 0, false, NULL, NULL},
};

#define FAST_PROVIDE_SPECS                                                                                   \
    {"fast-provide-root", 0, false, NULL, "accepted for Kubo's sake: roots are announced at once"},          \
        {"fast-provide-dag", 0, false, NULL, "accepted for Kubo's sake"},                                    \
    {                                                                                                        \
        "fast-provide-wait", 0, false, NULL, "accepted for Kubo's sake"                                      \
    }
static const cli_spec_t pin_specs[] = {
    {"recursive", 'r', false, NULL, "with all below it (default true)"},
    {"progress", 0, false, NULL, "show progress"},
    {"name", 'n', true, NULL, "name of the pin"},
    {"replicas", 0, true, NULL, "have so many nodes hold it, this one included"},
    {"quiet", 'q', false, "", "do not show what replication does"},
    FAST_PROVIDE_SPECS,
    {NULL, 0, false, NULL, NULL},
};

static const cli_spec_t lookup_specs[] = {
    {"verbose", 'v', false, NULL, "show the lookup hop by hop"},
    {"num-providers", 'n', true, NULL, "stop after so many (default 20)"},
    {NULL, 0, false, NULL, NULL},
};

static const cli_spec_t peers_specs[] = {
    {"verbose", 'v', false, NULL, "show all of it"},
    {"streams", 0, false, NULL, "show open streams"},
    {"latency", 0, false, NULL, "show latency"},
    {"direction", 0, false, NULL, "show who dialed"},
    {"identify", 0, false, NULL, "show what identify told"},
    {NULL, 0, false, NULL, NULL},
};

static const cli_spec_t node_specs[] = {
    {"listen", 0, true, "", "where peers connect: :PORT, IP:PORT or a multiaddr; repeatable"},
    {"bootstrap", 0, true, "", "peer to join through (multiaddr with /p2p/ID), repeatable; none"},
    {"api-port", 0, true, "", "port of the RPC on 127.0.0.1 (default 5001)"},
    {"gateway-port", 0, true, "", "port of the gateway on 127.0.0.1 (default 8080)"},
    {"metrics-port", 0, true, "", "port of metrics and health on 127.0.0.1 (default 9090)"},
    {"init", 0, false, "", "make the repository when there is none (the default)"},
    {"init-profile", 0, true, "", "profiles for that"},
    {"migrate", 0, false, "", "accepted for Kubo's sake"},
    {"advertise", 0, true, "", "address that others are told to dial: IP:PORT or a multiaddr, repeatable"},
    {"enable-gc", 0, false, "", "collect garbage when the store is nearly full"},
    {"routing", 0, true, "", "in the place of the setting Routing.Type: auto, dhtclient, dhtserver, none, …"},
    {"agent-version-suffix", 0, true, "", "what the node's name among peers ends with"},
    {"manage-fdlimit", 0, false, "", "accepted for Kubo's sake"},
    {"unrestricted-api", 0, false, "", "accepted for Kubo's sake"},
    {"enable-pubsub-experiment", 0, false, "", "pubsub, in the place of the setting Pubsub.Enabled"},
    {"enable-namesys-pubsub", 0, false, "", "names over pubsub, in the place of Ipns.UsePubsub"},
    {"enable-mplex-experiment", 0, false, "", "accepted for Kubo's sake"},
    {"init-config", 0, true, "", "a file with the settings for that"},
    {"mount", 0, false, "", "mount /ipfs, /ipns and /mfs"},
    {"mount-ipfs", 0, true, "", "folder for --mount"},
    {"mount-ipns", 0, true, "", "folder for --mount"},
    {"mount-mfs", 0, true, "", "folder for --mount"},
    {"disable-transport-encryption", 0, false, "", "refused: peers are always reached encrypted"},
    {NULL, 0, false, NULL, NULL},
};

static const cli_spec_t quiet_specs[] = {{"quiet", 'q', false, "", "print less"},
                                         {NULL, 0, false, NULL, NULL}};
static const cli_spec_t pin_update_specs[] = {{"unpin", 0, false, NULL, "let the old one go (default true)"},
                                              FAST_PROVIDE_SPECS,
                                              {NULL, 0, false, NULL, NULL}};
static const cli_spec_t pin_rm_specs[] = {{"recursive", 'r', false, NULL, "with all below it (default true)"},
                                          {NULL, 0, false, NULL, NULL}};
static const cli_spec_t pin_verify_specs[] = {{"verbose", 'v', false, NULL, "show those that are sound, too"},
                                              {"quiet", 'q', false, NULL, "print broken CIDs alone"},
                                              {NULL, 0, false, NULL, NULL}};

static const cli_spec_t init_specs[] = {
    {"profile", 'p', true, "", "default, flatfs, test, server, lowpower, comma-separated"},
    {"empty-repo", 'e', false, "", "accepted for Kubo's sake"},
    {"algorithm", 'a', true, "", "ed25519"},
    {"bits", 'b', true, "", "accepted for Kubo's sake"},
    {NULL, 0, false, NULL, NULL},
};

static const cli_spec_t get_specs[] = {
    {"output", 'o', true, "", "where to write it"},
    {"archive", 'a', false, NULL, "write a tar archive"},
    {"compress", 'C', false, NULL, "compress the archive with gzip"},
    {"compression-level", 'l', true, NULL, "1 to 9"},
    {"progress", 'p', false, "", "show progress (default on a terminal)"},
    {NULL, 0, false, NULL, NULL},
};

static const cli_spec_t cat_specs[] = {{"offset", 'o', true, NULL, "first byte"},
                                       {"length", 'l', true, NULL, "how many bytes"},
                                       {"progress", 'p', false, "", "accepted for Kubo's sake"},
                                       {NULL, 0, false, NULL, NULL}};

static const cli_spec_t ls_specs[] = {
    {"headers", 'v', false, NULL, "print the names of the columns"},
    {"resolve-type", 0, false, NULL, "find out types of entries (default true)"},
    {"size", 0, false, NULL, "show sizes (default true)"},
    {"stream", 's', false, NULL, "print entries as they are found"},
    {"long", 'l', false, NULL, "show permissions and times"},
    {NULL, 0, false, NULL, NULL}};

static const cli_spec_t refs_specs[] = {{"recursive", 'r', false, NULL, "with all below"},
                                        {"unique", 'u', false, NULL, "each once"},
                                        {"format", 0, true, NULL, "tokens <src> <dst> <linkname>"},
                                        {"edges", 'e', false, NULL, "print src -> dst"},
                                        {"max-depth", 0, true, NULL, "how deep"},
                                        {NULL, 0, false, NULL, NULL}};

static const cli_spec_t dag_import_specs[] = {
    {"pin-roots", 0, false, NULL, "pin the roots of the archives (default true)"},
    {"local-only", 0, false, NULL, "archives of a part of a DAG: pin nothing"},
    {"silent", 0, false, NULL, "print nothing"},
    {"stats", 0, false, NULL, "print how much was imported"},
    {"fast-provide-root", 0, false, NULL, "announce the roots at once (default true)"},
    {"fast-provide-dag", 0, false, NULL, "announce all blocks at once"},
    {"fast-provide-wait", 0, false, NULL, "return when a peer knows the roots, fail when none does"},
    {"allow-big-block", 0, false, NULL, "over 2 MiB"},
    {NULL, 0, false, NULL, NULL}};

static const cli_spec_t cid_format_specs[] = {
    {"f", 'f', true, NULL,
     "%s the CID, %b %B base, %v %V version, %c %C codec, %h %H hash, %L its length, "
     "%m %M multihash, %d %D digest, %S CID without prefix, %P v-codec-hash-length"},
    {"v", 'v', true, NULL, "version to convert to: 0 or 1"},
    {"mc", 0, true, NULL, "codec to convert to"},
    {"b", 'b', true, NULL, "base to print in"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t bases_specs[] = {{"prefix", 0, false, NULL, "with the letters that texts begin with"},
                                         {"numeric", 0, false, NULL, "with their codes"},
                                         {NULL, 0, false, NULL, NULL}};
static const cli_spec_t codes_specs[] = {
    {"numeric", 'n', false, NULL, "with their codes"},
    {"supported", 's', false, NULL, "those that can be read and written here"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t multibase_specs[] = {{"b", 'b', true, NULL, "base (default base64url)"},
                                             {NULL, 0, false, NULL, NULL}};
static const cli_spec_t object_diff_specs[] = {{"verbose", 'v', false, NULL, "in words"},
                                               {NULL, 0, false, NULL, NULL}};
static const cli_spec_t object_patch_specs[] = {
    {"create", 'p', false, NULL, "make the folders on the way"},
    {"allow-non-unixfs", 0, false, NULL, "change nodes that are no folders, too"},
    {"allow-big-block", 0, false, NULL, "over 2 MiB"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t dag_put_specs[] = {
    {"store-codec", 0, true, NULL, "codec that it is stored in (default dag-cbor)"},
    {"input-codec", 0, true, NULL, "codec of the input (default dag-json)"},
    {"pin", 0, false, NULL, "pin it"},
    {"hash", 0, true, NULL, "hash function (default sha2-256)"},
    {"allow-big-block", 0, false, NULL, "over 2 MiB"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t dag_get_specs[] = {
    {"output-codec", 0, true, NULL, "codec to print it in (default dag-json)"}, {NULL, 0, false, NULL, NULL}};
static const cli_spec_t dag_stat_specs[] = {
    {"progress", 'p', false, "", "show progress (default on a terminal)"}, {NULL, 0, false, NULL, NULL}};
static const cli_spec_t dag_export_specs[] = {
    {"progress", 'p', false, "", "show progress (default on a terminal)"},
    {"local-only", 0, false, NULL, "what is here alone, though parts are missing"},
    {"car-version", 0, true, NULL, "1 (default), or 2: with an index at the end"},
    {NULL, 0, false, NULL, NULL}};

static const cli_spec_t block_put_specs[] = {
    {"cid-codec", 0, true, NULL, "raw, dag-pb … (default raw)"},
    {"mhtype", 0, true, NULL, "hash function"},
    {"mhlen", 0, true, NULL, "length of the hash"},
    {"pin", 0, false, NULL, "pin it"},
    {"format", 'f', true, NULL, "v0, protobuf … (old name of cid-codec)"},
    {"allow-big-block", 0, false, NULL, "over 2 MiB"},
    {NULL, 0, false, NULL, NULL}};

static const cli_spec_t block_rm_specs[] = {{"force", 'f', false, NULL, "absent ones are fine"},
                                            {"quiet", 'q', false, NULL, "print nothing"},
                                            {NULL, 0, false, NULL, NULL}};

static const cli_spec_t pin_ls_specs[] = {{"type", 't', true, NULL, "direct, indirect, recursive or all"},
                                          {"quiet", 'q', false, NULL, "print CIDs alone"},
                                          {"stream", 's', false, NULL, "print as they are found"},
                                          {"names", 0, false, NULL, "show names"},
                                          {"name", 'n', true, NULL, "those whose name contains this"},
                                          {NULL, 0, false, NULL, NULL}};

static const cli_spec_t version_specs[] = {{"number", 'n', false, "", "the number alone"},
                                           {"all", 0, false, "", "all versions"},
                                           {"commit", 0, false, "", "with the commit"},
                                           {"repo", 0, false, "", "version of the repository alone"},
                                           {NULL, 0, false, NULL, NULL}};

const cli_spec_t cli_config_specs[] = {{"bool", 0, false, NULL, "the value is true or false"},
                                       {"json", 0, false, NULL, "the value is JSON"},
                                       {"expand-auto", 0, false, NULL, "accepted for Kubo's sake"},
                                       {NULL, 0, false, NULL, NULL}};

static const cli_spec_t repo_stat_specs[] = {{"size-only", 's', false, NULL, "sizes alone"},
                                             {"human", 'H', false, "", "sizes for people"},
                                             {NULL, 0, false, NULL, NULL}};

static const cli_spec_t wantlist_specs[] = {{"peer", 'p', true, NULL, "what this peer waits for"},
                                            {NULL, 0, false, NULL, NULL}};
static const cli_spec_t expand_specs[] = {{"expand-auto", 0, false, NULL, "accepted for Kubo's sake"},
                                          {NULL, 0, false, NULL, NULL}};
static const cli_spec_t commands_specs[] = {{"flags", 'f', false, NULL, "with their options"},
                                            {NULL, 0, false, NULL, NULL}};
static const cli_spec_t provide_specs[] = {{"recursive", 'r', false, NULL, "with all below"},
                                           {"verbose", 'v', false, NULL, "show more"},
                                           {NULL, 0, false, NULL, NULL}};
static const cli_spec_t gc_specs[] = {{"quiet", 'q', false, NULL, "print CIDs alone"},
                                      {"silent", 0, false, NULL, "print nothing"},
                                      {"stream-errors", 0, false, NULL, "go on after errors"},
                                      {NULL, 0, false, NULL, NULL}};

static const cli_spec_t verify_specs[] = {
    {"drop", 0, false, NULL, "remove damaged blocks"},
    {"heal", 0, false, NULL, "remove damaged blocks and fetch them again"},
    {"heal-timeout", 0, true, NULL, "for each block (default 30s)"},
    {NULL, 0, false, NULL, NULL}};

static const cli_spec_t import_kubo_specs[] = {
    {"identity", 0, false, NULL,
     "take its identity, too: then never run both (a new repository has it anyway)"},
    {"config", 0, false, NULL, "take its settings, too (a new repository has them anyway)"},
    {"progress", 'p', false, "", "show progress (default on a terminal)"},
    {NULL, 0, false, NULL, NULL}};
#define REMOTE_QUERY_SPECS                                                                                   \
    {"service", 0, true, NULL, "name of the service"},                                                       \
        {"name", 0, true, NULL, "those of exactly this name"},                                               \
        {"cid", 0, true, NULL, "those of these CIDs, separated by commas"},                                  \
    {                                                                                                        \
        "status", 0, true, NULL, "queued, pinning, pinned, failed (default pinned)"                          \
    }
static const cli_spec_t remote_add_specs[] = {
    {"service", 0, true, NULL, "name of the service"},
    {"name", 0, true, NULL, "name of the pin"},
    {"background", 0, false, NULL, "do not wait until it is pinned"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t remote_ls_specs[] = {REMOTE_QUERY_SPECS, {NULL, 0, false, NULL, NULL}};
static const cli_spec_t remote_rm_specs[] = {
    REMOTE_QUERY_SPECS, {"force", 0, false, NULL, "also when several match"}, {NULL, 0, false, NULL, NULL}};
static const cli_spec_t remote_service_ls_specs[] = {{"stat", 0, false, NULL, "ask each how much it pins"},
                                                     {NULL, 0, false, NULL, NULL}};
static const cli_spec_t migrate_specs[] = {{"to", 0, true, NULL, "the version"},
                                           {"allow-downgrade", 0, false, "", "accepted for Kubo's sake"},
                                           {NULL, 0, false, NULL, NULL}};

static const cli_spec_t id_specs[] = {{"format", 'f', true, "", "tokens <id> <addrs> <aver>"},
                                      {"peerid-base", 0, true, NULL, "b58mh, or a multibase such as base36"},
                                      {NULL, 0, false, NULL, NULL}};
static const cli_spec_t ping_specs[] = {{"count", 'n', true, NULL, "how many (default 10)"},
                                        {NULL, 0, false, NULL, NULL}};
static const cli_spec_t perf_specs[] = {
    {"upload", 0, true, NULL, "how much to send, such as 1GiB"},
    {"download", 0, true, NULL, "how much to fetch"},
    {"time", 0, true, NULL, "at most so long each way (default 5s without sizes)"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t gateway_specs[] = {{"port", 0, true, "", "port on 127.0.0.1 (default 8080)"},
                                           {NULL, 0, false, NULL, NULL}};
static const cli_spec_t bitswap_stat_specs[] = {{"verbose", 'v', false, "", "list the partners"},
                                                {"human", 0, false, "", "sizes for people"},
                                                {NULL, 0, false, NULL, NULL}};
static const cli_spec_t rm_all_specs[] = {{"all", 0, false, NULL, "all of them"},
                                          {NULL, 0, false, NULL, NULL}};
static const cli_spec_t resolve_specs[] = {
    {"recursive", 'r', false, NULL, "until nothing is left to resolve (default true)"},
    {"dht-record-count", 0, true, NULL, "how many records to compare"},
    {"dht-timeout", 0, true, NULL, "how long to look for more"},
    {"dhtrc", 0, true, "dht-record-count", "the same as --dht-record-count"},
    {"dhtt", 0, true, "dht-timeout", "the same as --dht-timeout"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t filter_specs[] = {
    {"allow", 0, false, NULL, "those who alone are let in, in the place of those kept out"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t local_addr_specs[] = {{"id", 0, false, NULL, "with the peer ID"},
                                              {NULL, 0, false, NULL, NULL}};
static const cli_spec_t dry_run_specs[] = {{"dry-run", 0, false, NULL, "change nothing"},
                                           {NULL, 0, false, NULL, NULL}};

/* name, usage, help, kind, rpc, min, max, daemon, options, run, print, alias, stdin */
const cli_command_t cli_base_commands[] = {
    {"init", "[FILE]", "make a repository and an identity, with the settings of a file", CLI_INIT, NULL, 0, 1,
     false, init_specs, NULL, NULL, false},
    {"node", "", "run the node until SIGINT or SIGTERM", CLI_NODE, NULL, 0, 0, false, node_specs, NULL, NULL,
     false},
    {"daemon", "", "the same, as Kubo calls it", CLI_NODE, NULL, 0, 0, false, node_specs, NULL, NULL, false},
    {"gateway", "", "the gateway, in a running node or on its own", CLI_GATEWAY, NULL, 0, 0, false,
     gateway_specs, NULL, print_gateway, false},
    {"id", "[PEER]", "this node's identity and addresses, or a peer's", CLI_RPC, "id", 0, 1, false, id_specs,
     NULL, NULL, false},

    {"add", "PATH…", "add files and folders; prints their CIDs", CLI_RPC, "add", 0, ANY, false, add_specs,
     cli_add, NULL, false},
    {"get", "CID[/PATH] [OUT]", "write a file or folder to disk", CLI_RPC, "get", 1, 2, false, get_specs,
     cli_get, NULL, false, true},
    {"cat", "CID[/PATH]…", "print a file's bytes", CLI_RPC, "cat", 1, ANY, false, cat_specs, NULL, NULL,
     false, true},
    {"ls", "CID[/PATH]…", "list a folder", CLI_RPC, "ls", 1, ANY, false, ls_specs, cli_ls, NULL, false, true},
    {"refs", "CID…", "list what a node links to", CLI_RPC, "refs", 1, ANY, false, refs_specs, NULL, NULL,
     false, true},
    {"refs local", "", "list the blocks that are here", CLI_RPC, "refs/local", 0, 0, false, NULL, NULL, NULL,
     false},
    {"resolve", "PATH", "the CID that a path names", CLI_RPC, "resolve", 1, 1, false, resolve_specs, NULL,
     NULL, false, true},
    {"block put", "[FILE]…", "store a block", CLI_RPC, "block/put", 0, ANY, false, block_put_specs,
     cli_upload_files, NULL, false},
    {"block get", "CID", "print a block's bytes", CLI_RPC, "block/get", 1, 1, false, NULL, NULL, NULL, false,
     true},
    {"block stat", "CID", "a block's size", CLI_RPC, "block/stat", 1, 1, false, NULL, NULL, NULL, false,
     true},
    {"block rm", "CID…", "remove blocks", CLI_RPC, "block/rm", 1, ANY, false, block_rm_specs, cli_block_rm,
     NULL, false, true},

    {"cid format", "CID…", "print CIDs by a format, converted", CLI_NODELESS, "cid/format", 1, ANY, false,
     cid_format_specs, cli_cid_format, NULL, false, true},
    {"cid base32", "CID…", "print CIDs as version 1 in base32", CLI_NODELESS, "cid/base32", 1, ANY, false,
     NULL, cli_cid_format, NULL, false, true},
    {"cid inspect", "CID", "the parts of a CID", CLI_NODELESS, "cid/inspect", 1, 1, false, NULL, NULL, NULL,
     false, true},
    {"cid bases", "", "bases that texts are written in", CLI_NODELESS, "cid/bases", 0, 0, false, bases_specs,
     NULL, NULL, false},
    {"cid codecs", "", "codecs of blocks", CLI_NODELESS, "cid/codecs", 0, 0, false, codes_specs, NULL, NULL,
     false},
    {"cid hashes", "", "hash functions that blocks are addressed with", CLI_NODELESS, "cid/hashes", 0, 0,
     false, codes_specs, NULL, NULL, false},
    {"multibase encode", "[FILE]", "bytes as text in a base", CLI_NODELESS, "multibase/encode", 0, 1, false,
     multibase_specs, cli_upload_files, NULL, false},
    {"multibase decode", "[FILE]", "the bytes of such a text", CLI_NODELESS, "multibase/decode", 0, 1, false,
     NULL, cli_upload_files, NULL, false},
    {"multibase transcode", "[FILE]", "such a text in another base", CLI_NODELESS, "multibase/transcode", 0,
     1, false, multibase_specs, cli_upload_files, NULL, false},
    {"multibase list", "", "the same as cid bases", CLI_NODELESS, "multibase/list", 0, 0, false, bases_specs,
     NULL, NULL, false},

    {"object diff", "CID CID", "what changes one folder into another", CLI_RPC, "object/diff", 2, 2, false,
     object_diff_specs, NULL, NULL, false},
    {"object patch add-link", "CID NAME CID", "a folder with a link more", CLI_RPC, "object/patch/add-link",
     3, 3, false, object_patch_specs, NULL, NULL, false},
    {"object patch rm-link", "CID NAME", "a folder with a link less", CLI_RPC, "object/patch/rm-link", 2, 2,
     false, object_patch_specs, NULL, NULL, false},

    {"dag put", "[FILE]…", "store data, given in a codec, in a codec", CLI_RPC, "dag/put", 0, ANY, false,
     dag_put_specs, cli_upload_files, NULL, false},
    {"dag get", "CID[/PATH]", "print a block, or a value in it, in a codec", CLI_RPC, "dag/get", 1, 1, false,
     dag_get_specs, NULL, NULL, false, true},
    {"dag resolve", "CID/PATH", "the block that a path ends in, and what is left of the path", CLI_RPC,
     "dag/resolve", 1, 1, false, NULL, NULL, NULL, false, true},
    {"dag stat", "CID…", "blocks and bytes of DAGs", CLI_RPC, "dag/stat", 1, ANY, false, dag_stat_specs,
     cli_dag_stat, NULL, false, true},
    {"dag import", "[FILE]…", "store the blocks of CAR archives, and pin their roots", CLI_RPC, "dag/import",
     0, ANY, false, dag_import_specs, cli_upload_files, NULL, false},
    {"dag export", "CID[/PATH]", "write a DAG as a CAR archive", CLI_RPC, "dag/export", 1, 1, false,
     dag_export_specs, cli_dag_export, NULL, false, true},

    {"pin add", "CID…", "keep content here, and with --replicas on other nodes", CLI_RPC, "pin/add", 1, ANY,
     false, pin_specs, NULL, NULL, false, true},
    {"pin rm", "CID…", "let content go", CLI_RPC, "pin/rm", 1, ANY, false, pin_rm_specs, NULL, NULL, false,
     true},
    {"pin ls", "[CID…]", "list pins", CLI_RPC, "pin/ls", 0, ANY, false, pin_ls_specs, cli_pin_ls, NULL,
     false},
    {"pin update", "OLD NEW", "move a pin", CLI_RPC, "pin/update", 2, 2, false, pin_update_specs, NULL, NULL,
     false},
    {"pin verify", "", "check that all pinned blocks are here and sound", CLI_RPC, "pin/verify", 0, 0, false,
     pin_verify_specs, NULL, NULL, false},
    {"pin", "CID…", "the same as pin add", CLI_RPC, "pin/add", 1, ANY, false, pin_specs, NULL, NULL, true,
     true},
    {"pin remote add", "PATH", "have a remote service pin content", CLI_RPC, "pin/remote/add", 1, 1, false,
     remote_add_specs, NULL, NULL, false},
    {"pin remote ls", "", "list what a remote service pins", CLI_RPC, "pin/remote/ls", 0, 0, false,
     remote_ls_specs, NULL, NULL, false},
    {"pin remote rm", "", "let a remote service let go", CLI_RPC, "pin/remote/rm", 0, 0, false,
     remote_rm_specs, NULL, NULL, false},
    {"pin remote service add", "NAME URL KEY", "note a remote service and its key", CLI_RPC,
     "pin/remote/service/add", 3, 3, false, NULL, NULL, NULL, false},
    {"pin remote service ls", "", "list remote services", CLI_RPC, "pin/remote/service/ls", 0, 0, false,
     remote_service_ls_specs, NULL, NULL, false},
    {"pin remote service rm", "NAME", "forget a remote service", CLI_RPC, "pin/remote/service/rm", 1, 1,
     false, NULL, NULL, NULL, false},
    {"status", "CID", "size, pin, and who holds it", CLI_RPC, "status", 1, 1, false, NULL, NULL, NULL, false},
    {"replica ls", "", "what is replicated, and how many hold it", CLI_RPC, "replica/ls", 0, 0, true, NULL,
     NULL, NULL, false},

    {"peers", "", "whom this node is connected to", CLI_RPC, "swarm/peers", 0, 0, true, peers_specs, NULL,
     NULL, false},
    {"swarm peers", "", "whom this node is connected to", CLI_RPC, "swarm/peers", 0, 0, true, peers_specs,
     NULL, NULL, false},
    {"swarm connect", "ADDRESS…", "connect to a peer", CLI_RPC, "swarm/connect", 1, 64, true, NULL, NULL,
     NULL, false, true},
    {"swarm disconnect", "ADDRESS…", "close the connections to a peer", CLI_RPC, "swarm/disconnect", 1, 64,
     true, NULL, NULL, NULL, false, true},
    {"swarm addrs", "", "known addresses of peers", CLI_RPC, "swarm/addrs", 0, 0, true, NULL, NULL, NULL,
     false},
    {"swarm addrs local", "", "what others are told to dial", CLI_RPC, "swarm/addrs/local", 0, 0, true,
     local_addr_specs, NULL, NULL, false},
    {"swarm addrs listen", "", "where this node listens", CLI_RPC, "swarm/addrs/listen", 0, 0, true, NULL,
     NULL, NULL, false},
    {"swarm filters", "", "networks that this node keeps away from", CLI_RPC, "swarm/filters", 0, 0, false,
     filter_specs, NULL, NULL, false},
    {"swarm filters add", "NETWORK…", "add some: /ip4/10.0.0.0/ipcidr/8, /p2p/ID", CLI_RPC,
     "swarm/filters/add", 1, 64, true, filter_specs, NULL, NULL, false, true},
    {"swarm filters rm", "NETWORK…", "remove some, or all", CLI_RPC, "swarm/filters/rm", 1, 64, true,
     filter_specs, NULL, NULL, false, true},
    {"swarm resources", "", "limits of connections, and their use", CLI_RPC, "swarm/resources", 0, 0, true,
     NULL, NULL, NULL, false},
    {"ping", "PEER", "round trips to a peer", CLI_RPC, "ping", 1, 1, true, ping_specs, NULL, NULL, false,
     true},
    {"perf", "ADDRESS", "how fast a connection to a peer carries bytes", CLI_RPC, "perf", 1, 1, true,
     perf_specs, NULL, NULL, false},
    {"bootstrap", "", "peers that this node joins through", CLI_RPC, "bootstrap/list", 0, 0, false, NULL,
     NULL, NULL, false},
    {"bootstrap list", "", "the same", CLI_RPC, "bootstrap/list", 0, 0, false, expand_specs, NULL, NULL,
     true},
    {"bootstrap add", "ADDRESS…", "add some", CLI_RPC, "bootstrap/add", 1, 64, false, NULL, NULL, NULL, false,
     true},
    {"bootstrap rm", "ADDRESS…", "remove some, or --all", CLI_RPC, "bootstrap/rm", 0, 64, false, rm_all_specs,
     NULL, NULL, false, true},

    {"findprovs", "CID", "who has a CID", CLI_RPC, "routing/findprovs", 1, 1, true, lookup_specs, NULL, NULL,
     false},
    {"routing findprovs", "CID", "who has a CID", CLI_RPC, "routing/findprovs", 1, 1, true, lookup_specs,
     NULL, NULL, false},
    {"routing findpeer", "PEER", "a peer's addresses", CLI_RPC, "routing/findpeer", 1, 1, true, lookup_specs,
     NULL, NULL, false},
    {"routing provide", "CID…", "announce now that this node has it", CLI_RPC, "routing/provide", 1, 64, true,
     provide_specs, NULL, NULL, false},
    {"routing get", "KEY", "a record's value", CLI_RPC, "routing/get", 1, 1, true, NULL, NULL, NULL, false},
    {"dht query", "PEER", "the peers nearest to an ID", CLI_RPC, "dht/query", 1, 1, true, lookup_specs, NULL,
     NULL, false},
    {"dht inspect", "", "the routing tables, bucket by bucket", CLI_RPC, "dht/inspect", 0, 0, true, NULL,
     NULL, NULL, false},
    {"bitswap stat", "", "what was exchanged", CLI_RPC, "bitswap/stat", 0, 0, true, bitswap_stat_specs, NULL,
     NULL, false},
    {"bitswap wantlist", "", "what this node waits for", CLI_RPC, "bitswap/wantlist", 0, 0, true,
     wantlist_specs, NULL, NULL, false},
    {"bitswap ledger", "PEER", "what was exchanged with a peer", CLI_RPC, "bitswap/ledger", 1, 1, true, NULL,
     NULL, NULL, false},
    {"stats repo", "", "the same as repo stat", CLI_RPC, "repo/stat", 0, 0, false, repo_stat_specs, NULL,
     NULL, true},

    {"repo stat", "", "how much is stored", CLI_RPC, "repo/stat", 0, 0, false, repo_stat_specs, NULL, NULL,
     false},
    {"repo gc", "", "remove what no pin keeps", CLI_RPC, "repo/gc", 0, 0, false, gc_specs, NULL, NULL, false},
    {"repo verify", "", "read and check every block", CLI_RPC, "repo/verify", 0, 0, false, verify_specs, NULL,
     NULL, false},
    {"repo ls", "", "list the blocks that are here", CLI_RPC, "repo/ls", 0, 0, false, NULL, NULL, NULL,
     false},
    {"repo import-kubo", "PATH", "take over a repository of Kubo, which stays as it is", CLI_RPC,
     "repo/import-kubo", 1, 1, false, import_kubo_specs, cli_import_kubo, NULL, false},
    {"repo migrate", "", "bring the repository to another version", CLI_ALONE, "repo/migrate", 0, 0, false,
     migrate_specs, NULL, NULL, false},
    {"repo version", "", "version of the repository", CLI_RPC, "repo/version", 0, 0, false, quiet_specs, NULL,
     NULL, false},
    {"config", "KEY [VALUE]", "read or change a setting", CLI_RPC, "config", 1, 2, false, cli_config_specs,
     NULL, NULL, false},
    {"config show", "", "all settings but the private key", CLI_RPC, "config/show", 0, 0, false, NULL, NULL,
     NULL, false},
    {"config replace", "FILE", "take all settings from a file", CLI_RPC, "config/replace", 1, 1, false, NULL,
     cli_upload_files, NULL, false},
    {"config profile apply", "PROFILE", "change settings by a profile", CLI_RPC, "config/profile/apply", 1, 1,
     false, dry_run_specs, NULL, NULL, false},
    {"version", "", "versions of this program", CLI_LOCAL, NULL, 0, 0, false, version_specs, cli_version,
     NULL, false},
    {"commands", "", "all commands of the RPC", CLI_NODELESS, "commands", 0, 0, false, commands_specs,
     cli_commands, NULL, false},
    {"shutdown", "", "stop the running node", CLI_RPC, "shutdown", 0, 0, true, NULL, NULL, NULL, false},
    {.name = NULL},
};

/* a table a line; each is closed by a row without a name */
/* clang-format off */
static const cli_command_t *const node_tables[] = {
    cli_base_commands,
    cli_name_commands,
    cli_node_commands,
    cli_files_commands,
    cli_filestore_commands,
    cli_service_commands,
    NULL,
};
/* clang-format on */
static const cli_command_t *const mesh_tables[] = {cli_mesh_commands, NULL};

const cli_command_t *cli_command_at(const cli_t *c, size_t n)
{
    for (const cli_command_t *const *table = c->is_mesh ? mesh_tables : node_tables; *table; table++)
        for (const cli_command_t *row = *table; row->name; row++)
            if (!n--)
                return row;
    return NULL;
}

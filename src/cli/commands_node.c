/* commands_node: rows about the node itself: statistics, diagnosis, log, announcements, peerings, versions;
 * and what Kubo has that is removed or not enabled. */
#include "cli/commands_internal.h"

#define ANY CLI_ANY_ARGS

static const cli_spec_t bw_specs[] = {{"peer", 'p', true, NULL, "of this peer alone"},
                                      {"proto", 't', true, NULL, "of this protocol alone"},
                                      {"poll", 0, false, NULL, "print it again and again"},
                                      {"interval", 'i', true, NULL, "time between two lines (default 1s)"},
                                      {NULL, 0, false, NULL, NULL}};

static const cli_spec_t provide_stat_specs[] = {
    {"lan", 0, false, NULL, "of the LAN's DHT"},
    {"all", 'a', false, "", "everything"},
    {"compact", 0, false, "", "in two columns, with --all"},
    {"connectivity", 0, false, "", "are there peers"},
    {"network", 0, false, "", "peers that were told"},
    {"schedule", 0, false, "", "what is announced next, and when"},
    {"timings", 0, false, "", "the cycle, how late it is, its forecast"},
    {"workers", 0, false, "", "what works on it"},
    {"operations", 0, false, "", "what was announced"},
    {"queues", 0, false, "", "what waits to be announced"},
    {NULL, 0, false, NULL, NULL}};

static const cli_spec_t bitswap_specs[] = {{"verbose", 'v', false, "", "list the partners"},
                                           {"human", 0, false, "", "sizes for people"},
                                           {NULL, 0, false, NULL, NULL}};
static const cli_spec_t quiet_specs[] = {{"quiet", 'q', false, NULL, "print nothing"},
                                         {NULL, 0, false, NULL, NULL}};
static const cli_spec_t recursive_specs[] = {{"recursive", 'r', false, NULL, "with all below"},
                                             {NULL, 0, false, NULL, NULL}};
static const cli_spec_t cmds_specs[] = {{"verbose", 'v', false, "", "with words and options"},
                                        {NULL, 0, false, NULL, NULL}};
static const cli_spec_t datastore_specs[] = {{"hex", 0, false, NULL, "as a dump for people"},
                                             {NULL, 0, false, NULL, NULL}};
static const cli_spec_t profile_specs[] = {
    {"output", 'o', true, "", "the archive's file (default ipfs-profile-TIME.zip)"},
    {"collectors", 0, true, NULL, "accepted for Kubo's sake"},
    {"profile-time", 0, true, NULL, "accepted for Kubo's sake"},
    {"mutex-profile-fraction", 0, true, NULL, "accepted for Kubo's sake"},
    {"block-profile-rate", 0, true, NULL, "accepted for Kubo's sake"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t tail_specs[] = {{"log-level", 0, true, NULL, "error, warn, info or debug"},
                                        {NULL, 0, false, NULL, NULL}};
static const cli_spec_t check_specs[] = {
    {"min-percent", 't', true, NULL, "how many peers must be newer (default 5)"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t put_specs[] = {
    {"allow-offline", 0, false, NULL, "keep it here when there is no network"}, {NULL, 0, false, NULL, NULL}};
static const cli_spec_t update_specs[] = {{"pre", 0, false, "", "accepted for Kubo's sake"},
                                          {"allow-downgrade", 0, false, "", "accepted for Kubo's sake"},
                                          {"count", 'n', true, "", "accepted for Kubo's sake"},
                                          {NULL, 0, false, NULL, NULL}};
#define P2P_SPECS                                                                                            \
    {"allow-custom-protocol", 0, false, NULL, "names outside of /x/"},                                       \
    {                                                                                                        \
        "foreground", 'f', false, NULL, "until it is interrupted"                                            \
    }
static const cli_spec_t p2p_forward_specs[] = {P2P_SPECS, {NULL, 0, false, NULL, NULL}};
static const cli_spec_t p2p_listen_specs[] = {
    P2P_SPECS,
    {"report-peer-id", 'r', false, NULL, "tell the target who connects"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t p2p_all_specs[] = {{"all", 'a', false, NULL, "all of them"},
                                           {NULL, 0, false, NULL, NULL}};
static const cli_spec_t p2p_close_specs[] = {{"all", 'a', false, NULL, "all of them"},
                                             {"protocol", 'p', true, NULL, "with this protocol"},
                                             {"listen-address", 'l', true, NULL, "with this listener"},
                                             {"target-address", 't', true, NULL, "with this target"},
                                             {NULL, 0, false, NULL, NULL}};
static const cli_spec_t headers_specs[] = {{"headers", 'v', false, "", "print the names of the columns"},
                                           {NULL, 0, false, NULL, NULL}};
static const cli_spec_t reset_specs[] = {{"peer", 'p', true, NULL, "of this peer alone"},
                                         {NULL, 0, false, NULL, NULL}};
static const cli_spec_t mount_specs[] = {{"ipfs-path", 'f', true, NULL, "where /ipfs goes"},
                                         {"ipns-path", 'n', true, NULL, "where /ipns goes"},
                                         {"mfs-path", 'm', true, NULL, "where the mutable files go"},
                                         {NULL, 0, false, NULL, NULL}};
static const cli_spec_t query_specs[] = {{"verbose", 'v', false, NULL, "accepted for Kubo's sake"},
                                         {NULL, 0, false, NULL, NULL}};

#define ROW(...) ROW_OF(CLI_RPC, __VA_ARGS__)
#define ROW_OF(kind_, name_, usage_, help_, rpc_, min_, max_, daemon_, specs_, print_)                       \
    {                                                                                                        \
        .name = name_, .usage = usage_, .help = help_, .kind = kind_, .rpc = rpc_, .min_args = min_,         \
        .max_args = max_, .needs_daemon = daemon_, .specs = specs_, .print = print_                          \
    }

/* a row a line */
/* clang-format off */
const cli_command_t cli_node_commands[] = {
    ROW("swarm addrs autonat", "", "which addresses others reach", "swarm/addrs/autonat", 0, 0, true, NULL,
        NULL),
    ROW("swarm peering add", "ADDRESS…", "stay connected to a peer", "swarm/peering/add", 1, 64, true, NULL,
        NULL),
    ROW("swarm peering rm", "PEER…", "no longer", "swarm/peering/rm", 1, 64, true, NULL,
        NULL),
    ROW("swarm peering ls", "", "peers to stay connected to", "swarm/peering/ls", 0, 0, true, NULL,
        NULL),
    ROW("bootstrap rm all", "", "remove all of them", "bootstrap/rm/all", 0, 0, false, NULL,
        NULL),

    ROW("stats bw", "", "how much is sent and received", "stats/bw", 0, 0, true, bw_specs, NULL),
    ROW("stats bitswap", "", "the same as bitswap stat", "stats/bitswap", 0, 0, true, bitswap_specs,
        NULL),
    ROW("stats dht", "[DHT]…", "the routing tables: wan, lan", "stats/dht", 0, 4, true, NULL,
        NULL),
    ROW("stats provide", "", "the same as provide stat", "stats/provide", 0, 0, true, provide_stat_specs,
        NULL),
    ROW("stats reprovide", "", "the same as provide stat", "stats/reprovide", 0, 0, true, provide_stat_specs,
        NULL),
    ROW("provide stat", "", "what was announced, and what waits", "provide/stat", 0, 0, true,
        provide_stat_specs, NULL),
    ROW("provide clear", "", "announce nothing that waits", "provide/clear", 0, 0, false, quiet_specs,
        NULL),
    {.name = "provide once",
     .usage = "CID…",
     .help = "announce these soon",
     .kind = CLI_RPC,
     .rpc = "provide/once",
     .min_args = 1,
     .max_args = ANY,
     .needs_daemon = true,
     .specs = recursive_specs,
     .run = cli_provide_once,
     .reads_stdin = true},
    {.name = "routing put",
     .usage = "KEY FILE",
     .help = "store a record",
     .kind = CLI_RPC,
     .rpc = "routing/put",
     .min_args = 2,
     .max_args = 2,
     .specs = put_specs,
     .run = cli_upload_after_word,
     .print = NULL},
    ROW("routing reprovide", "", "announce all now (Kubo's former provider)", "routing/reprovide", 0, 0, true,
        NULL, NULL),
    ROW("bitswap reprovide", "", "the same", "bitswap/reprovide", 0, 0, true, NULL, NULL),

    ROW("diag cmds", "", "commands that run, and that ran", "diag/cmds", 0, 0, true, cmds_specs, NULL),
    ROW("diag cmds clear", "", "forget those that ran", "diag/cmds/clear", 0, 0, true, NULL, NULL),
    ROW("diag cmds set-time", "TIME", "how long they are remembered", "diag/cmds/set-time", 1, 1, true, NULL,
        NULL),
    ROW_OF(CLI_ALONE, "diag datastore get", "KEY", "a value of the state database: /SPACE/KEY", "diag/datastore/get", 1, 1, false,
        datastore_specs, NULL),
    ROW_OF(CLI_ALONE, "diag datastore count", "PREFIX", "entries of the state database: /SPACE/PREFIX", "diag/datastore/count", 1,
        1, false, NULL, NULL),
    ROW_OF(CLI_ALONE, "diag datastore put", "KEY VALUE", "change the state database, for tests alone", "diag/datastore/put", 2, 2,
        false, NULL, NULL),
    ROW("diag healthy", "", "does the node work", "diag/healthy", 0, 0, false, NULL, NULL),
    ROW("diag sys", "", "the machine that it runs on", "diag/sys", 0, 0, false, NULL, NULL),
    {.name = "diag profile",
     .usage = "",
     .help = "an archive for a report of what is wrong",
     .kind = CLI_RPC,
     .rpc = "diag/profile",
     .needs_daemon = true,
     .specs = profile_specs,
     .run = cli_profile},
    ROW("log level", "[SUBSYSTEM [LEVEL]]", "read or change the level of the running node's log", "log/level",
        0, 2, true, NULL, NULL),
    ROW("log ls", "", "its subsystems", "log/ls", 0, 0, false, NULL, NULL),
    ROW("log tail", "", "follow it", "log/tail", 0, 0, true, tail_specs, NULL),

    {.name = "config edit",
     .usage = "",
     .help = "open all settings in $EDITOR",
     .kind = CLI_LOCAL,
     .run = cli_config_edit},
    {.name = "version deps",
     .usage = "",
     .help = "libraries of this build",
     .kind = CLI_NODELESS,
     .rpc = "version/deps"},
    ROW("version check", "", "do peers run a newer one", "version/check", 0, 0, true, check_specs,
        NULL),
    {.name = "commands completion bash",
     .usage = "",
     .help = "completion for bash",
     .kind = CLI_LOCAL,
     .run = cli_completion},
    {.name = "commands completion zsh",
     .usage = "",
     .help = "completion for zsh",
     .kind = CLI_LOCAL,
     .run = cli_completion},
    {.name = "commands completion fish",
     .usage = "",
     .help = "completion for fish",
     .kind = CLI_LOCAL,
     .run = cli_completion},
    {.name = "update",
     .usage = "",
     .help = "how to update this program",
     .kind = CLI_LOCAL,
     .max_args = 2,
     .specs = update_specs,
     .run = cli_no_update},

    ROW("dht findprovs", "CID", "removed: routing findprovs", "dht/findprovs", 0, ANY, false, query_specs,
        NULL),
    ROW("dht findpeer", "PEER", "removed: routing findpeer", "dht/findpeer", 0, ANY, false, query_specs,
        NULL),
    ROW("dht get", "KEY", "removed: routing get", "dht/get", 0, ANY, false, query_specs, NULL),
    ROW("dht put", "KEY", "removed: routing put", "dht/put", 0, ANY, false, query_specs, NULL),
    ROW("dht provide", "CID", "removed: routing provide", "dht/provide", 0, ANY, false, query_specs, NULL),
    ROW("object data", "", "removed: dag and files", "object/data", 0, ANY, false, NULL, NULL),
    ROW("object get", "", "removed: dag and files", "object/get", 0, ANY, false, NULL, NULL),
    ROW("object links", "", "removed: dag and files", "object/links", 0, ANY, false, NULL, NULL),
    ROW("object new", "", "removed: dag and files", "object/new", 0, ANY, false, NULL, NULL),
    ROW("object put", "", "removed: dag and files", "object/put", 0, ANY, false, NULL, NULL),
    ROW("object stat", "", "removed: dag and files", "object/stat", 0, ANY, false, NULL, NULL),
    ROW("object patch append-data", "", "removed: dag and files", "object/patch/append-data", 0, ANY, false, NULL, NULL),
    ROW("object patch set-data", "", "removed: dag and files", "object/patch/set-data", 0, ANY, false, NULL, NULL),
    ROW("mount", "", "show /ipfs, /ipns and /mfs as folders of this machine; /mfs is also written to", "mount", 0, 0, true,
        mount_specs, NULL),
    ROW("p2p close", "", "stop listening for services, or for their users", "p2p/close", 0, 0, false, p2p_close_specs,
        NULL),
    ROW("p2p forward", "PROTOCOL ADDRESS PEER", "carry connections to ADDRESS to a peer's service", "p2p/forward", 3, 3,
        false, p2p_forward_specs, NULL),
    ROW("p2p listen", "PROTOCOL ADDRESS", "offer the service at ADDRESS to peers", "p2p/listen", 2, 2, false,
        p2p_listen_specs, NULL),
    ROW("p2p ls", "", "services that are offered or used", "p2p/ls", 0, 0, false, headers_specs, NULL),
    ROW("p2p stream close", "[ID]", "cut a connection to a service", "p2p/stream/close", 0, 1, false, p2p_all_specs,
        NULL),
    ROW("p2p stream ls", "", "connections to services", "p2p/stream/ls", 0, 0, false, headers_specs,
        NULL),
    ROW("pubsub ls", "", "topics", "pubsub/ls", 0, 0, true, NULL, NULL),
    {.name = "pubsub peers",
     .usage = "[TOPIC]",
     .help = "connected peers that are in a topic, or in any",
     .kind = CLI_RPC,
     .rpc = "pubsub/peers",
     .max_args = 1,
     .needs_daemon = true,
     .run = cli_pubsub,
     .print = NULL},
    {.name = "pubsub sub",
     .usage = "TOPIC",
     .help = "follow a topic",
     .kind = CLI_RPC,
     .rpc = "pubsub/sub",
     .min_args = 1,
     .max_args = 1,
     .needs_daemon = true,
     .run = cli_pubsub,
     .print = NULL},
    {.name = "pubsub pub",
     .usage = "TOPIC [FILE]",
     .help = "publish to a topic what a file holds, or standard input",
     .kind = CLI_RPC,
     .rpc = "pubsub/pub",
     .min_args = 1,
     .max_args = 2,
     .needs_daemon = true,
     .run = cli_pubsub_pub},
    ROW("pubsub reset", "", "forget what was seen of peers", "pubsub/reset", 0, 0, true, reset_specs,
        NULL),
    {.name = NULL},
};
/* clang-format on */

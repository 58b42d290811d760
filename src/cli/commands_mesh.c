/* commands_mesh: the vocabulary of `dfs`, the encrypted mesh. */
#include "cli/commands_internal.h"

static const cli_spec_t start_specs[] = {
    {"port", 0, true, "", "where peers connect, TCP and UDP: :PORT or IP:PORT (default :7000)"},
    {"relay", 0, false, "", "relay for members that others cannot reach"},
    {"advertise", 0, true, "", "address that others are told to dial: IP:PORT, repeatable"},
    {"bootstrap", 0, true, "",
     "a member to join through: IP:PORT (its ID is learnt, shown and kept) or a multiaddr"},
    {"api-port", 0, true, "",
     "control API and RPC: PORT on 127.0.0.1, or IP:PORT with a token (default 5001)"},
    {"metrics-port", 0, true, "", "port of metrics and health on 127.0.0.1 (default 9090)"},
    {"interactive", 'i', false, "", "a prompt for commands"},
    {NULL, 0, false, NULL, NULL},
};
static const cli_spec_t version_specs[] = {{"number", 'n', false, NULL, "the number alone"},
                                           {"all", 0, false, NULL, "all of them"},
                                           {NULL, 0, false, NULL, NULL}};

/* a row a command */
/* clang-format off */
const cli_command_t cli_mesh_commands[] = {
    {"node start", "", "run a node of the mesh until it is interrupted", CLI_NODE, NULL, 0, 0, false, start_specs, NULL, NULL, false},
    {"node stop", "", "stop the running node", CLI_RPC, "shutdown", 0, 0, true, NULL, NULL, NULL, false},
    {"id", "[PEER]", "this node's ID, keys and addresses, or another's", CLI_RPC, "id", 0, 1, false, NULL, NULL, print_id, false},
    {"version", "", "versions of this program", CLI_LOCAL, NULL, 0, 0, false, version_specs, cli_version, print_version_field, false},
    {"completion bash", "", "completion of commands for bash", CLI_LOCAL, NULL, 0, 0, false, NULL, cli_completion, NULL, false},
    {"completion zsh", "", "the same for zsh", CLI_LOCAL, NULL, 0, 0, false, NULL, cli_completion, NULL, false},
    {"completion fish", "", "the same for fish", CLI_LOCAL, NULL, 0, 0, false, NULL, cli_completion, NULL, false},
    {.name = NULL},
};

/* commands_mesh: the vocabulary of `dfs`, the encrypted mesh. */
#include "cli/commands_internal.h"

static const cli_spec_t start_specs[] = {
    {"port", 0, true, "", "where members connect, TCP and UDP: :PORT or IP:PORT (default :7000)"},
    {"bootstrap", 0, true, "",
     "a member to join through: IP:PORT (its ID is learnt, shown, kept) or a multiaddr"},
    {"relay", 0, false, "", "relay for members that others cannot reach"},
    {"advertise", 0, true, "", "address that others are told to dial: IP:PORT, repeatable"},
    {"api-port", 0, true, "",
     "control API and RPC: PORT on 127.0.0.1, or IP:PORT with a token (default 5001)"},
    {"metrics-port", 0, true, "", "port of metrics and health on 127.0.0.1 (default 9090)"},
    {"zone", 0, true, "", "failure domain of this node, such as a room or a city"},
    {"passphrase-file", 0, true, "", "file whose first line opens the key file"},
    {"interactive", 'i', false, "", "a prompt for commands"},
    {NULL, 0, false, NULL, NULL},
};
static const cli_spec_t store_specs[] = {
    {"replicas", 'n', true, NULL, "copies wanted, this node's included (default: the mesh's, 3)"},
    {"recursive", 'r', false, "", "folders with all below them (the default)"},
    {"hidden", 'H', false, "", "files in folders whose names begin with a dot, too"},
    {"stdin-name", 0, true, "name", "name of standard input"},
    {"type", 0, true, NULL, "media type (default: by the name's end)"},
    {"dereference-args", 0, false, "", "follow the symbolic links that are named"},
    {"dereference-symlinks", 0, false, "", "follow all symbolic links"},
    {"progress", 'p', false, NULL, "show progress (default on a terminal)"},
    {NULL, 0, false, NULL, NULL},
};
static const cli_spec_t get_specs[] = {
    {"output", 'o', true, "", "file or folder to write (default: under its own name)"},
    {"progress", 'p', false, "", "show progress (default on a terminal)"},
    {NULL, 0, false, NULL, NULL},
};
static const cli_spec_t cat_specs[] = {
    {"offset", 'o', true, NULL, "first byte to print"},
    {"length", 'l', true, NULL, "how many bytes"},
    {NULL, 0, false, NULL, NULL},
};
static const cli_spec_t delete_specs[] = {
    {"wait", 'w', true, NULL, "how long to wait for holders' receipts (default 10s)"},
    {"progress", 'p', false, NULL, "show receipts as they come (default on a terminal)"},
    {NULL, 0, false, NULL, NULL},
};
static const cli_spec_t ls_specs[] = {
    {"deleted", 'd', false, NULL, "deleted ones, too"},
    {"limit", 'n', true, NULL, "at most so many"},
    {NULL, 0, false, NULL, NULL},
};
static const cli_spec_t status_specs[] = {
    {"all", 'a', false, NULL, "each file that this node has a record of"},
    {NULL, 0, false, NULL, NULL},
};
static const cli_spec_t passphrase_specs[] = {
    {"passphrase-file", 0, true, "", "file whose first line is the passphrase (default: asked for)"},
    {NULL, 0, false, NULL, NULL},
};
static const cli_spec_t change_specs[] = {
    {"passphrase-file", 0, true, "", "file whose first line is the passphrase until now"},
    {"new-passphrase-file", 0, true, "", "file whose first line is the new one (default: asked for)"},
    {"remove", 0, false, "", "no passphrase from now on"},
    {NULL, 0, false, NULL, NULL},
};
static const cli_spec_t export_specs[] = {
    {"passphrase-file", 0, true, "", "file whose first line opens the key file"},
    {"new-passphrase-file", 0, true, "", "file whose first line the exported file is under (default: none)"},
    {NULL, 0, false, NULL, NULL},
};
static const cli_spec_t import_specs[] = {
    {"replace", 0, false, NULL, "in the place of the key that is here, which is kept beside it"},
    {"passphrase-file", 0, true, "", "file whose first line the exported file is under"},
    {"new-passphrase-file", 0, true, "", "file whose first line the key is under from now on"},
    {NULL, 0, false, NULL, NULL},
};
static const cli_spec_t version_specs[] = {
    {"number", 'n', false, NULL, "the number alone"},
    {"all", 0, false, NULL, "all of them"},
    {NULL, 0, false, NULL, NULL},
};

/* a row a command */
/* clang-format off */
const cli_command_t cli_mesh_commands[] = {
    {"node start", "", "run a node of the mesh until it is interrupted", CLI_NODE, NULL, 0, 0, false, start_specs, NULL, NULL, false},
    {"node stop", "", "stop the running node", CLI_RPC, "shutdown", 0, 0, true, NULL, NULL, NULL, false},
    {"store", "FILE…", "encrypt files or folders and keep them in the mesh", CLI_RPC, "dfs/store", 1, CLI_ANY_ARGS, true, store_specs, cli_mesh_store, print_mesh_stored, false},
    {"get", "CID", "fetch, decrypt and write a file or folder", CLI_RPC, "dfs/get", 1, 1, false, get_specs, cli_get, NULL, false},
    {"cat", "CID", "print a file", CLI_RPC, "dfs/cat", 1, 1, false, cat_specs, NULL, NULL, false},
    {"delete", "CID", "delete a file from all its holders", CLI_RPC, "dfs/delete", 1, 1, true, delete_specs, cli_mesh_delete, print_mesh_deleted, false},
    {"ls", "[CID]", "files that were stored here, or what is in a folder", CLI_RPC, "dfs/ls", 0, 1, false, ls_specs, NULL, print_mesh_listed, false},
    {"status", "[CID]", "who holds a file; without one, this node's state", CLI_RPC, "dfs/status", 0, 1, true, status_specs, NULL, print_mesh_status, false},
    {"peers", "", "members of the mesh", CLI_RPC, "dfs/peers", 0, 0, true, NULL, NULL, print_mesh_peer, false},
    {"share", "CID", "a link that lets whoever has it read one file or folder", CLI_RPC, "dfs/share", 1, 1, false, NULL, NULL, print_mesh_link, false},
    {"key info", "", "the personal key: is it there, is it open", CLI_RPC, "dfs/key/info", 0, 0, false, NULL, NULL, print_mesh_key, false},
    {"key export", "[FILE]", "the key as words, or into a file", CLI_RPC, "dfs/key/export", 0, 1, false, export_specs, cli_mesh_key_export, NULL, false},
    {"key import", "[FILE]", "take a key from a file, or from words that are asked for", CLI_RPC, "dfs/key/import", 0, 1, false, import_specs, cli_mesh_key_import, print_mesh_key, false},
    {"key rotate", "", "a new key for files that are stored from now on", CLI_RPC, "dfs/key/rotate", 0, 0, false, passphrase_specs, cli_mesh_key_rotate, print_mesh_rotated, false},
    {"key unlock", "", "open the key file for the running node", CLI_RPC, "dfs/key/unlock", 0, 0, true, passphrase_specs, cli_mesh_key_unlock, print_mesh_key, false},
    {"key lock", "", "forget the key until it is unlocked again", CLI_RPC, "dfs/key/lock", 0, 0, true, NULL, NULL, print_mesh_key, false},
    {"key passphrase", "", "set, change or remove the key file's passphrase", CLI_RPC, "dfs/key/passphrase", 0, 0, false, change_specs, cli_mesh_key_passphrase, print_mesh_key, false},
    {"id", "[PEER]", "this node's ID and addresses, or another's", CLI_RPC, "id", 0, 1, false, NULL, NULL, NULL, false},
    {"config", "KEY [VALUE]", "read or change a setting", CLI_RPC, "config", 1, 2, false, cli_config_specs, NULL, NULL, false},
    {"version", "", "versions of this program", CLI_LOCAL, NULL, 0, 0, false, version_specs, cli_version, NULL, false},
    {"completion bash", "", "completion of commands for bash", CLI_LOCAL, NULL, 0, 0, false, NULL, cli_completion, NULL, false},
    {"completion zsh", "", "the same for zsh", CLI_LOCAL, NULL, 0, 0, false, NULL, cli_completion, NULL, false},
    {"completion fish", "", "the same for fish", CLI_LOCAL, NULL, 0, 0, false, NULL, cli_completion, NULL, false},
    {.name = NULL},
};

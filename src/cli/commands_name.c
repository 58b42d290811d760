/* commands_name: rows about names and their keys. */
#include "cli/commands_internal.h"

#define ANY CLI_ANY_ARGS

#define IPNS_BASE_SPEC                                                                                       \
    {                                                                                                        \
        "ipns-base", 0, true, NULL, "base of the names: base36 (default), base32, b58mh …"                 \
    }
static const cli_spec_t name_publish_specs[] = {
    {"key", 'k', true, NULL, "name or peer ID of the key (default self)"},
    {"resolve", 0, false, NULL, "check first that the path leads somewhere (default true)"},
    {"lifetime", 't', true, NULL, "how long the record is valid (default 48h)"},
    {"ttl", 0, true, NULL, "how long others may keep it (default 5m)"},
    {"quieter", 'Q', false, NULL, "print the name alone"},
    {"v1compat", 0, false, NULL, "with the fields that old nodes read (default true)"},
    {"allow-offline", 0, false, NULL, "publish here alone when there is no network"},
    {"allow-delegated", 0, false, NULL, "publish through delegated publishers alone"},
    {"sequence", 0, true, NULL, "number of the record, above the last one"},
    IPNS_BASE_SPEC,
    {NULL, 0, false, NULL, NULL}};

static const cli_spec_t name_resolve_specs[] = {
    {"recursive", 'r', false, NULL, "until the result is content (default true)"},
    {"nocache", 'n', false, NULL, "ask anew"},
    {"dht-record-count", 0, true, NULL, "so many records are enough (default 16)"},
    {"dht-timeout", 0, true, NULL, "how long to look for records (default 1m)"},
    {"dhtrc", 0, true, "dht-record-count", "the same as --dht-record-count"},
    {"dhtt", 0, true, "dht-timeout", "the same as --dht-timeout"},
    {"stream", 's', false, NULL, "print results as they are found"},
    {NULL, 0, false, NULL, NULL}};

static const cli_spec_t name_inspect_specs[] = {
    {"verify", 0, true, NULL, "check it against this name"},
    {"dump", 0, false, NULL, "show its bytes, too (default true)"},
    {NULL, 0, false, NULL, NULL}};

static const cli_spec_t name_put_specs[] = {
    {"force", 'f', false, NULL, "without checks of this command"},
    {"allow-offline", 0, false, NULL, "keep it here alone"},
    {"allow-delegated", 0, false, NULL, "through delegated publishers alone"},
    {"quiet", 'q', false, NULL, "print nothing"},
    {NULL, 0, false, NULL, NULL}};

static const cli_spec_t key_gen_specs[] = {{"type", 't', true, NULL, "ed25519 (default) or rsa"},
                                           {"size", 's', true, NULL, "bits of an RSA key (default 2048)"},
                                           IPNS_BASE_SPEC,
                                           {NULL, 0, false, NULL, NULL}};
static const cli_spec_t key_list_specs[] = {
    {"l", 'l', false, NULL, "show the names' IDs, too"}, IPNS_BASE_SPEC, {NULL, 0, false, NULL, NULL}};
static const cli_spec_t key_rename_specs[] = {{"force", 'f', false, NULL, "replace a key of the new name"},
                                              IPNS_BASE_SPEC,
                                              {NULL, 0, false, NULL, NULL}};
static const cli_spec_t key_import_specs[] = {
    {"format", 'f', true, NULL, "libp2p-protobuf-cleartext (default) or pem-pkcs8-cleartext"},
    {"allow-any-key-type", 0, false, NULL, "ECDSA and secp256k1, too"},
    IPNS_BASE_SPEC,
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t key_export_specs[] = {
    {"output", 'o', true, "", "the file to write (default NAME.key or NAME.pem)"},
    {"format", 'f', true, "", "libp2p-protobuf-cleartext (default) or pem-pkcs8-cleartext"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t key_rotate_specs[] = {
    {"oldkey", 'o', true, "", "name under which the old key is kept"},
    {"type", 't', true, "", "ed25519 (default) or rsa"},
    {"size", 's', true, "", "bits of an RSA key (default 2048)"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t key_sign_specs[] = {
    {"key", 'k', true, NULL, "name of the key (default self)"}, IPNS_BASE_SPEC, {NULL, 0, false, NULL, NULL}};
static const cli_spec_t key_verify_specs[] = {{"key", 'k', true, NULL, "name of the key, or a peer ID"},
                                              {"signature", 's', true, NULL, "what key sign printed"},
                                              IPNS_BASE_SPEC,
                                              {NULL, 0, false, NULL, NULL}};
static const cli_spec_t ipns_base_specs[] = {IPNS_BASE_SPEC, {NULL, 0, false, NULL, NULL}};

/* name, usage, help, kind, rpc, min, max, daemon, options, run, print, alias, stdin */
const cli_command_t cli_name_commands[] = {
    {"name publish", "PATH", "let a name point to content", CLI_RPC, "name/publish", 1, 1, false,
     name_publish_specs, NULL, NULL, false, true},
    {"name resolve", "[NAME]", "what a name or domain points to", CLI_RPC, "name/resolve", 0, 1, false,
     name_resolve_specs, NULL, NULL, false},
    {"name inspect", "[FILE]", "what an IPNS record says", CLI_RPC, "name/inspect", 0, 1, false,
     name_inspect_specs, cli_upload_files, NULL, false},
    {"name get", "NAME", "the newest record of a name", CLI_RPC, "name/get", 1, 1, false, NULL, NULL, NULL,
     false},
    {"name put", "NAME [FILE]", "send out a record that is signed", CLI_RPC, "name/put", 1, 2, false,
     name_put_specs, cli_upload_after_word, NULL, false},
    {"name pubsub state", "", "are names followed by pubsub", CLI_RPC, "name/pubsub/state", 0, 0, false, NULL,
     NULL, NULL, false},
    {"name pubsub subs", "", "names that are followed", CLI_RPC, "name/pubsub/subs", 0, 0, false,
     ipns_base_specs, NULL, NULL, false},
    {"name pubsub cancel", "NAME", "follow a name no longer", CLI_RPC, "name/pubsub/cancel", 1, 1, false,
     NULL, NULL, NULL, false},
    {"key gen", "NAME", "make a key for names", CLI_RPC, "key/gen", 1, 1, false, key_gen_specs, NULL, NULL,
     false},
    {"key ls", "", "list keys", CLI_RPC, "key/ls", 0, 0, false, key_list_specs, NULL, NULL, false},
    {"key list", "", "the same", CLI_RPC, "key/list", 0, 0, false, key_list_specs, NULL, NULL, true},
    {"key rename", "NAME NEW", "call a key otherwise", CLI_RPC, "key/rename", 2, 2, false, key_rename_specs,
     NULL, NULL, false},
    {"key rm", "NAME…", "remove keys", CLI_RPC, "key/rm", 1, ANY, false, key_list_specs, NULL, NULL, false,
     true},
    {"key import", "NAME FILE", "take a key from a file", CLI_RPC, "key/import", 2, 2, false,
     key_import_specs, cli_upload_after_word, NULL, false},
    {"key export", "NAME", "write a key to a file", CLI_KEY_EXPORT, NULL, 1, 1, false, key_export_specs, NULL,
     NULL, false, true},
    {"key rotate", "", "give this node a new identity", CLI_KEY_ROTATE, NULL, 0, 0, false, key_rotate_specs,
     NULL, NULL, false},
    {"key sign", "[FILE]", "sign a file's bytes", CLI_RPC, "key/sign", 0, 1, false, key_sign_specs,
     cli_upload_files, NULL, false},
    {"key verify", "[FILE]", "check such a signature", CLI_RPC, "key/verify", 0, 1, false, key_verify_specs,
     cli_upload_files, NULL, false},
    {.name = NULL},
};

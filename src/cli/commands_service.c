/* commands_service: the rows of the file service that serve rather than ask. */
#include "cli/commands_internal.h"

static const cli_spec_t fileserver_specs[] = {
    {"listen-addr", 0, true, "", "where gRPC is spoken: IP:PORT or :PORT (default :3001)"},
    {"bootstrap-nodes", 0, true, "", "HOST:PORT,… of storage nodes that know the metadata service"},
    {"metadata", 0, true, "", "URL of the metadata service (default $METADATA_ADDR)"},
    {"node-key-file", 0, true, "", "file with the key of storage nodes (default $METADATA_NODE_KEY)"},
    {"advertise", 0, true, "", "HOST:PORT at which others reach this node"},
    {"zone", 0, true, "", "what fails together with this node: copies go to different zones"},
    {"capacity", 0, true, "", "bytes that it takes at most (10GB; default: what the disk has)"},
    {"tls-cert", 0, true, "", "certificate, PEM (default: one of its own)"},
    {"tls-key", 0, true, "", "its key, PEM"},
    {"tls-ca", 0, true, "", "authorities that all who connect must come from, PEM"},
    {"metrics-port", 0, true, "", "port of metrics and health on 127.0.0.1 (default 9090)"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t metadata_specs[] = {
    {"listen-addr", 0, true, "", "IP:PORT or :PORT (default 127.0.0.1:8080)"},
    {"database", 0, true, "", "a path, or postgres://… (default DATA/metadata.db)"},
    {"data-dir", 0, true, "", "folder of what the first start makes (default ~/.distribute-metadata)"},
    {"master-key", 0, true, "", "file:PATH, env:NAME or command:WORDS (default file:DATA/master.key)"},
    {"issuer", 0, true, "", "who issues the tokens (default: this service)"},
    {"jwks-file", 0, true, "", "the keys of that issuer"},
    {"audience", 0, true, "", "what tokens must be meant for"},
    {"token-ttl", 0, true, "", "seconds that tokens of ours are good for (default 3600)"},
    {"heartbeat-ms", 0, true, "", "how often storage nodes report (default 5000)"},
    {"heal-after-ms", 0, true, "", "silence of a node before its chunks are copied (default 600000)"},
    {"upload-ttl-ms", 0, true, "", "time to commit an upload in (default 86400000)"},
    {"rate", 0, true, "", "requests a second of each caller (default 10000)"},
    {"login-rate", 0, true, "", "logins a minute from each address (default 30)"},
    {"default-quota-bytes", 0, true, "", "of accounts that foreign tokens bring"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t database_specs[] = {
    {"database", 0, true, "", "a path, or postgres://… (default DATA/metadata.db)"},
    {"data-dir", 0, true, "", "folder of the service (default ~/.distribute-metadata)"},
    {NULL, 0, false, NULL, NULL}};

/* name, usage, help, kind, rpc, min, max, daemon, options, run, print, alias, stdin */
const cli_command_t cli_service_commands[] = {
    {"fileserver", "", "a storage node of the file service, until SIGINT or SIGTERM", CLI_FILESERVER, NULL, 0,
     0, false, fileserver_specs, NULL, NULL, false},
    {"metadata", "", "the metadata service of the file service, until SIGINT or SIGTERM", CLI_METADATA, NULL,
     0, 0, false, metadata_specs, NULL, NULL, false},
    {"metadata backup", "FILE", "copy its SQLite database, as of one moment, also while it runs",
     CLI_METADATA_BACKUP, NULL, 1, 1, false, database_specs, NULL, NULL, false},
    {"audit verify", "", "check the hash chain of the metadata service's audit log", CLI_AUDIT_VERIFY, NULL,
     0, 0, false, database_specs, NULL, NULL, false},
    {NULL, NULL, NULL, CLI_HELP, NULL, 0, 0, false, NULL, NULL, NULL, false},
};

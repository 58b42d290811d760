/* commands_service: the rows of the file service that serve rather than ask. */
#include "cli/commands_internal.h"

static const cli_spec_t fileserver_specs[] = {
    {"listen-addr", 0, true, "", "where gRPC is spoken: IP:PORT or :PORT (default :3001)"},
    {"bootstrap-nodes", 0, true, "", "HOST:PORT,… of storage nodes that know the metadata service"},
    {"metadata", 0, true, "", "URL of the metadata service (default $METADATA_ADDR)"},
    {"metadata-ca", 0, true, "",
     "authorities of its certificate, PEM (default $METADATA_CA, or the system's)"},
    {"node-key-file", 0, true, "", "file with the key of storage nodes (default $METADATA_NODE_KEY)"},
    {"advertise", 0, true, "", "HOST:PORT at which others reach this node"},
    {"zone", 0, true, "", "what fails together with this node: copies go to different zones"},
    {"capacity", 0, true, "", "bytes that it takes at most (10GB; default: what the disk has)"},
    {"tls-cert", 0, true, "", "certificate, PEM (default: one of its own)"},
    {"tls-key", 0, true, "", "its key, PEM"},
    {"tls-ca", 0, true, "", "authorities that all who connect must come from, PEM"},
    {"ipfs", 0, false, "", "be a node of IPFS besides: files are published, and content fetched, through it"},
    {"ipfs-listen", 0, true, "", "where peers of IPFS connect: :4001 or a multiaddr (default: the config's)"},
    {"ipfs-bootstrap", 0, true, "", "multiaddr of a first peer, or none (default: the config's)"},
    {"api-port", 0, true, "", "port of its RPC on 127.0.0.1 (default: none)"},
    {"orphan-grace", 0, true, "",
     "seconds that chunks are kept which the service does not know (default 172800)"},
    {"adopt", 0, true, "",
     "id of the metadata service that the chunks here, of another one, are to belong to"},
    {"metrics-port", 0, true, "", "port of metrics and health on 127.0.0.1, or IP:PORT (default 9090)"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t metadata_specs[] = {
    {"listen-addr", 0, true, "", "IP:PORT or :PORT (default 127.0.0.1:8080)"},
    {"tls-cert", 0, true, "", "PEM file of the certificate: HTTPS, TLS 1.3 alone"},
    {"tls-key", 0, true, "", "PEM file of its key"},
    {"database", 0, true, "", "a path, or postgres://… (default DATA/metadata.db)"},
    {"data-dir", 0, true, "", "folder of what the first start makes (default ~/.distribute-metadata)"},
    {"master-key", 0, true, "", "file:PATH, env:NAME or command:WORDS (default file:DATA/master.key)"},
    {"issuer", 0, true, "", "who issues the tokens (default: this service)"},
    {"jwks-file", 0, true, "", "the keys of that issuer"},
    {"audience", 0, true, "", "what tokens must be meant for"},
    {"token-ttl", 0, true, "", "seconds that tokens of ours are good for (default 3600)"},
    {"heartbeat-ms", 0, true, "", "how often storage nodes report (default 5000)"},
    {"heal-after-ms", 0, true, "", "silence of a node before its chunks are copied (default 600000)"},
    {"approve-nodes", 0, false, "", "new storage nodes wait for 'fs approve'"},
    {"upload-ttl-ms", 0, true, "", "time to commit an upload in (default 86400000)"},
    {"rebalance-percent", 0, true, "",
     "copies move when nodes' fillings differ by more (default 10; 100: never)"},
    {"keep-versions", 0, true, "", "older versions of a file than so many go (default: none goes)"},
    {"keep-versions-s", 0, true, "", "but not before they are so old, in seconds (default 0)"},
    {"rate", 0, true, "", "requests a second of each caller (default 10000)"},
    {"login-rate", 0, true, "", "logins a minute from each address (default 30)"},
    {"refusal-rate", 0, true, "", "refused requests a minute of each address that are logged (default 300)"},
    {"default-quota-bytes", 0, true, "", "of accounts that foreign tokens bring"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t database_specs[] = {
    {"database", 0, true, "", "a path, or postgres://… (default DATA/metadata.db)"},
    {"data-dir", 0, true, "", "folder of the service (default ~/.distribute-metadata)"},
    {NULL, 0, false, NULL, NULL}};

#define METADATA_SPEC                                                                                        \
    {                                                                                                        \
        "metadata", 0, true, "", "URL of the metadata service (default: the session's, $METADATA_ADDR)"      \
    }
static const cli_spec_t fs_specs[] = {METADATA_SPEC, {NULL, 0, false, NULL, NULL}};
static const cli_spec_t fs_login_specs[] = {
    METADATA_SPEC,
    {"username", 'u', true, "", "name of the account"},
    {"password-file", 0, true, "",
     "file with its password, - for standard input (default $DISTRIBUTE_PASSWORD)"},
    {"token-file", 0, true, "", "file with a token or an API key instead, - for standard input"},
    {"metadata-ca", 0, true, "",
     "authorities of the metadata service's certificate, PEM (default $METADATA_CA)"},
    {"tls-cert", 0, true, "", "certificate that storage nodes with --tls-ca ask for, PEM"},
    {"tls-key", 0, true, "", "its key, PEM"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t fs_put_specs[] = {
    METADATA_SPEC,
    {"replication", 0, true, "", "copies of each chunk (default 3)"},
    {"quorum", 0, true, "", "copies that are durable before it is done (default: most of them)"},
    {"chunk-size", 0, true, "", "4KiB to 7MiB (default 4MiB)"},
    {"chunker", 0, true, "", "size, or buzhash: cut by content, so that a delta finds what has moved"},
    {"delta", 0, false, "", "leave out chunks that the version before has"},
    {"media-type", 0, true, "", "what the file is"},
    {"publish", 0, false, "",
     "give it to IPFS besides, in the clear: a storage node started with --ipfs does"},
    {"from-ipfs", 0, false, "", "FILE is a CID or a path of IPFS, which such a node fetches"},
    {"progress", 'p', false, "", "show progress (default on a terminal)"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t fs_get_specs[] = {
    METADATA_SPEC,
    {"version", 0, true, "", "an older one"},
    {"no-cache", 0, false, "",
     "ask storage nodes for all of it ($DISTRIBUTE_FS_CACHE: bytes kept, 256MiB; 0: none)"},
    {"progress", 'p', false, "", "show progress (default on a terminal)"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t fs_ls_specs[] = {METADATA_SPEC,
                                         {"shared", 0, false, "", "what others share"},
                                         {"folders", 0, false, "", "folders instead of all below them"},
                                         {NULL, 0, false, NULL, NULL}};
static const cli_spec_t fs_share_specs[] = {
    METADATA_SPEC, {"remove", 0, false, "", "take it back"}, {NULL, 0, false, NULL, NULL}};
static const cli_spec_t fs_user_specs[] = {
    METADATA_SPEC,
    {"role", 0, true, "", "admin, user or readonly (default for a new account: user)"},
    {"password-file", 0, true, "", "file with the account's password, - for standard input"},
    {"quota-bytes", 0, true, "", "bytes that it may store (10GB), or none"},
    {"quota-files", 0, true, "", "files that it may have, or none"},
    {"disable", 0, false, "", "refuse it, and keep its files"},
    {"enable", 0, false, "", "let it in again"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t fs_passwd_specs[] = {
    METADATA_SPEC,
    {"password-file", 0, true, "", "file with the new password, - for standard input"},
    {"old-password-file", 0, true, "", "file with the old one (default $DISTRIBUTE_PASSWORD)"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t fs_key_specs[] = {
    METADATA_SPEC,
    {"scope", 0, true, "", "what it is for: read, write, node, admin (several: read,write)"},
    {"expires-in", 0, true, "", "seconds (default: never)"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t fs_key_rotate_specs[] = {
    METADATA_SPEC,
    {"grace", 0, true, "", "seconds that the old one stays good (default 0)"},
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t fs_audit_specs[] = {METADATA_SPEC,
                                            {"actor", 0, true, "", "of this account alone"},
                                            {"action", 0, true, "", "of this kind alone (file.delete)"},
                                            {NULL, 0, false, NULL, NULL}};
#define FS(name, usage, help, min, max, specs)                                                               \
    {                                                                                                        \
        "fs " name, usage, help, CLI_FS, NULL, min, max, false, specs, NULL, NULL, false                     \
    }

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
    FS("login", "", "an account of the file service, for the commands below", 0, 0, fs_login_specs),
    FS("logout", "", "revoke that token", 0, 0, fs_specs),
    FS("put", "FILE [NAME]",
       "encrypt a file and keep it on storage nodes; a put that was cut off is gone on with", 1, 2,
       fs_put_specs),
    FS("get", "NAME [OUT]", "get a file back, to OUT or - for standard output", 1, 2, fs_get_specs),
    FS("ls", "[PREFIX]", "list files", 0, 1, fs_ls_specs),
    FS("rm", "NAME…", "delete files, all versions and the key", 1, CLI_ANY_ARGS, fs_specs),
    FS("stat", "NAME", "what is known of a file", 1, 1, fs_specs),
    FS("mv", "NAME NEW", "rename a file", 2, 2, fs_specs),
    FS("share", "NAME [ACCOUNT]", "let an account read a file; without one: who may", 1, 2, fs_share_specs),
    FS("passwd", "", "change one's own password", 0, 0, fs_passwd_specs),
    FS("user add", "NAME", "make an account", 1, 1, fs_user_specs),
    FS("user ls", "", "list accounts", 0, 0, fs_specs),
    FS("user set", "NAME", "change an account's role, password or quotas; disable it", 1, 1, fs_user_specs),
    FS("user rm", "NAME", "delete an account that has no files", 1, 1, fs_specs),
    FS("key add", "NAME", "make an API key; it is shown this once", 1, 1, fs_key_specs),
    FS("key ls", "", "list API keys", 0, 0, fs_specs),
    FS("key rotate", "KEY", "a new secret for an API key", 1, 1, fs_key_rotate_specs),
    FS("key rm", "KEY", "delete an API key", 1, 1, fs_specs),
    FS("audit", "", "the log of the file service", 0, 0, fs_audit_specs),
    FS("master status", "", "which master key wraps, and whether a change is under way", 0, 0, fs_specs),
    FS("master rotate", "", "wrap by the newest master key of the source", 0, 0, fs_specs),
    FS("nodes", "", "storage nodes and their health", 0, 0, fs_specs),
    FS("approve", "NODE", "let a storage node in (metadata --approve-nodes)", 1, 1, fs_specs),
    FS("drain", "NODE", "move all chunks of a storage node elsewhere", 1, 1, fs_specs),
    FS("undrain", "NODE", "take it into service again", 1, 1, fs_specs),
    FS("forget", "NODE", "forget a storage node that is drained, or down for good", 1, 1, fs_specs),
    {NULL, NULL, NULL, CLI_HELP, NULL, 0, 0, false, NULL, NULL, NULL, false},
};

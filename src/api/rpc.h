/* rpc: what the handlers of /api/v0 share. A command is a row of a table; its handler gets the decoded
 * arguments and emits JSON objects or bytes. Errors: before the first output as Kubo's JSON error with its
 * status, after it in the trailer X-Stream-Error. Reference: ipfs/kubo core/commands, go-ipfs-cmds http. */
#ifndef API_RPC_H
#define API_RPC_H
#include "api/api.h"
#include "api/rpc_signature.h"
#include <jansson.h>

#define RPC_MAX_ARGS 4096
typedef struct rpc {
    api_t *api;
    node_t *node;
    exchange_t *x;
    const char *command;              /* "pin/add" */
    const rpc_signature_t *signature; /* NULL: the command has none */
    const char *path_arg;             /* "CID" of POST /api/v0/ls/CID; NULL: none */
    char **args;                      /* the values of arg=, decoded; then those that came in the upload */
    size_t n_args;
    bool is_streaming; /* output has begun */
    char *options[64]; /* owned: what rpc_option gave out */
    size_t n_options;
    bytes_t given[16];             /* names of the options that the client gave, as the signature has them */
    size_t n_given;                /* more than there is room for: not known */
    multibase_t cid_base;          /* of the CIDs in the answer; 0: each version's own */
    bool upgrades_cids;            /* CIDv0 are printed as CIDv1 */
    struct rpc_encoding *encoding; /* owned: makes another form of the answer; NULL: it is JSON */
} rpc_t;
typedef err_t (*rpc_fn)(task_t *t, rpc_t *r);
typedef struct rpc_command {
    const char *path; /* "pin/add" */
    rpc_fn run;
    size_t min_args, max_args; /* max RPC_MAX_ARGS: any number */
    const char *arg_name;      /* as Kubo names the argument in `argument "ipfs-path" is required` */
} rpc_command_t;
/* Tables, each closed by a row with path NULL; a new group of commands is a new table and a line in rpc.c. */
extern const rpc_command_t rpc_content_commands[];    /* add cat get ls refs resolve */
extern const rpc_command_t rpc_car_commands[];        /* dag/import dag/export */
extern const rpc_command_t rpc_cid_commands[];        /* cid/… multibase/…: rpc_t without api and node */
extern const rpc_command_t rpc_program_commands[];    /* commands version/deps: without api and node, too */
extern const rpc_command_t rpc_object_commands[];     /* object/… */
extern const rpc_command_t rpc_dag_commands[];        /* dag/put get resolve stat */
extern const rpc_command_t rpc_block_commands[];      /* block/… */
extern const rpc_command_t rpc_files_commands[];      /* files/… */
extern const rpc_command_t rpc_pin_commands[];        /* pin/… */
extern const rpc_command_t rpc_repo_commands[];       /* repo/… refs/local */
extern const rpc_command_t rpc_pin_remote_commands[]; /* pin/remote/… */
extern const rpc_command_t rpc_import_commands[];     /* repo/import-kubo */
extern const rpc_command_t rpc_network_commands[];    /* id ping bitswap/… */
extern const rpc_command_t rpc_perf_commands[];       /* perf */
extern const rpc_command_t rpc_limits_commands[];     /* swarm/filters…, swarm/resources */
extern const rpc_command_t rpc_swarm_commands[];      /* swarm/… */
extern const rpc_command_t rpc_node_commands[];       /* config/… status shutdown log stats diag … */
extern const rpc_command_t rpc_stats_commands[];      /* stats/… */
extern const rpc_command_t rpc_provide_commands[];    /* provide/… stats/provide */
extern const rpc_command_t rpc_filestore_commands[];  /* filestore/… */
extern const rpc_command_t rpc_dfs_commands[];        /* dfs/…: the mesh */
extern const rpc_command_t rpc_dfs_key_commands[];    /* dfs/key/… */
extern const rpc_command_t rpc_diag_commands[];       /* diag/… log/… */
extern const rpc_command_t rpc_datastore_commands[];  /* diag/datastore/… */
extern const rpc_command_t rpc_version_commands[];    /* version version/… */
extern const rpc_command_t rpc_key_commands[];        /* key/… */
extern const rpc_command_t rpc_name_commands[];       /* name/… */
extern const rpc_command_t rpc_pubsub_commands[];     /* pubsub/… */
extern const rpc_command_t rpc_p2p_commands[];        /* p2p/… */
extern const rpc_command_t rpc_mount_commands[];      /* mount */
extern const rpc_command_t rpc_absent_commands[];     /* what Kubo removed */

/* One JSON object and a newline; begins a chunked application/json answer at the first call. Takes `object`
 * (also on failure). */
MUST_CHECK err_t rpc_emit(task_t *t, rpc_t *r, json_t *object);
/* The same from text that is JSON already (hot paths). */
MUST_CHECK err_t rpc_emit_text(task_t *t, rpc_t *r, bytes_t json);
/* Begins a byte stream (cat, block/get, get): content_type, NULL: as the encoding has it, text/plain; then
 * exchange_write. */
MUST_CHECK err_t rpc_begin_bytes(task_t *t, rpc_t *r, const char *content_type, int64_t length);
/* Options by their first name, which stands for all their names; `rpc_option` gives NULL when absent, else
 * text valid until the handler ends. */
const char *rpc_option(rpc_t *r, const char *name);
bool rpc_bool(rpc_t *r, const char *name, bool otherwise);
MUST_CHECK err_t rpc_u64(rpc_t *r, const char *name, uint64_t otherwise, uint64_t *ret); /* ERR_USAGE */
/* Kubo durations: "300ms", "1m30s". ERR_USAGE. 0 when absent. */
MUST_CHECK err_t rpc_duration_ms(rpc_t *r, const char *name, uint64_t *ret_ms);
MUST_CHECK err_t rpc_parse_duration_ms(const char *what, const char *text, uint64_t *ret_ms);
MUST_CHECK err_t rpc_need_online(rpc_t *r); /* ERR_OFFLINE with Kubo's text */
MUST_CHECK err_t
rpc_refuse_offline(rpc_t *r); /* the same as ERR_USAGE, as the reference has it of some commands */
/* A CID as the options cid-base and upgrade-cidv0-in-output want it. */
const char *rpc_cid(const rpc_t *r, const cid_t *cid, char out[CID_TEXT_MAX]);
/* JSON string escaping for hand-made output, with the quotes; what is not UTF-8 becomes U+FFFD. */
MUST_CHECK err_t json_quote(bytes_t text, buf_t *out);
/* Appends JSON in which &, < and > stand as \u0026 and the like, as the reference writes it. */
MUST_CHECK err_t json_escape_markup(bytes_t json, buf_t *out);
#endif

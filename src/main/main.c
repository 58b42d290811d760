/* main: reads the words, picks the driver, and runs the command over it. */
#include "api/api.h"
#include "api/trace.h"
#include "base/log.h"
#include "cli/cli.h"
#include "loop/memory.h"
#include "loop/uv_driver.h"
#include "main/daemon.h"
#include "main/fileserver.h"
#include "main/fs.h"
#include "main/keys.h"
#include "main/mesh_node.h"
#include "main/metadata.h"
#include "node/setup.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

typedef struct invocation {
    cli_t cli;
    const cli_command_t *command;
} invocation_t;

/* A node inside this process, opened at the first call, for commands that need none that runs. */
typedef struct in_process {
    const char *repo_path;
    node_t *node;
    api_t *api;
} in_process_t;

static err_t call_in_process(task_t *t, void *arg, const char *target, const header_pair_t *headers,
                             size_t n_headers, memory_exchange_sink_t sink)
{
    in_process_t *p = arg;
    if (!p->node) {
        node_options_t o = {.repo_path = p->repo_path};
        TRY(node_open(t, &o, &p->node));
        p->api = api_new(p->node);
    }
    return exchange_run_in_memory(t, "POST", target, headers, n_headers, sink, api_rpc, p->api);
}

static err_t run_in_process(task_t *t, invocation_t *v, const char *path)
{
    in_process_t p = {.repo_path = path};
    err_t found = node_check_repo(t, path);
    if (found == ERR_NOT_FOUND && !strcmp(cli_command_name(v->command), "repo import-kubo"))
        found = node_init_repo_for_kubo(t, path, v->cli.args[0]);
    TRY(found);
    v->cli.call = call_in_process;
    v->cli.call_arg = &p;
    err_t e = cli_run(t, &v->cli, v->command);
    error_slot_t why = *error_slot();
    if (p.api)
        api_free(p.api);
    node_close(t, p.node);
    *error_slot() = why;
    return e;
}

/* A running node answers; without one, this process does what it can by itself. */
static err_t run_rpc(task_t *t, invocation_t *v)
{
    char path[NODE_PATH_MAX];
    face_addr_t at;
    TRY(node_find_repo(v->cli.repo_option, path));
    err_t found = node_find_api(t, path, v->cli.api_option, &at);
    if (!found) {
        v->cli.call = cli_call_http;
        v->cli.call_arg = &at;
        char token[API_TOKEN_MAX + 8] = "";
        if (v->cli.is_mesh && !v->cli.api_option && !v->cli.api_auth) {
            mesh_node_read_token(t, path, token);
            v->cli.api_auth = *token ? token : NULL;
        }
        err_t e = cli_run(t, &v->cli, v->command);
        if (v->cli.api_auth == token)
            v->cli.api_auth = NULL;
        secret_wipe(token, sizeof token);
        if (e != ERR_OFFLINE || v->cli.api_option)
            return e; /* else: a node that ended without tidying up left its address behind */
    } else if (v->cli.api_option) {
        return found;
    }
    if (cli_command_needs_daemon(v->command))
        return cli_fail_without_daemon(&v->cli, v->command);
    return run_in_process(t, v, path);
}

/* What must not change under a running node. */
static err_t run_alone(task_t *t, invocation_t *v)
{
    char path[NODE_PATH_MAX];
    TRY(node_find_repo(v->cli.repo_option, path));
    err_t e = run_in_process(t, v, path);
    return e == ERR_IN_USE ? fail_daemon_runs(&v->cli) : e;
}

static err_t run_local(task_t *t, invocation_t *v)
{
    char path[NODE_PATH_MAX] = "";
    if (!node_find_repo(v->cli.repo_option, path)) /* some commands need none */
        v->cli.repo_path = path;
    return cli_run(t, &v->cli, v->command);
}

static err_t call_without_node(task_t *t, void *arg, const char *target, const header_pair_t *headers,
                               size_t n_headers, memory_exchange_sink_t sink)
{
    return exchange_run_in_memory(t, "POST", target, headers, n_headers, sink, api_rpc_without_node, NULL);
}

static err_t run_command(task_t *t, invocation_t *v)
{
    switch (cli_command_kind(v->command)) {
    case CLI_INIT:
        return run_init(t, &v->cli);
    case CLI_NODE:
        return run_node(t, &v->cli);
    case CLI_GATEWAY:
        return run_gateway(t, &v->cli, v->command);
    case CLI_FILESERVER:
        return run_fileserver(t, &v->cli);
    case CLI_FS:
        return run_fs(t, &v->cli, v->command);
    case CLI_METADATA:
        return run_metadata(t, &v->cli);
    case CLI_METADATA_BACKUP:
        return run_metadata_backup(t, &v->cli);
    case CLI_AUDIT_VERIFY:
        return run_audit_verify(t, &v->cli);
    case CLI_KEY_EXPORT:
        TRY(cli_read_stdin_args(&v->cli, v->command));
        return run_key_export(t, &v->cli);
    case CLI_KEY_ROTATE:
        return run_key_rotate(t, &v->cli);
    case CLI_ALONE:
        return run_alone(t, v);
    case CLI_LOCAL:
        return run_local(t, v);
    case CLI_RPC:
        return run_rpc(t, v);
    case CLI_NODELESS:
        v->cli.call = call_without_node;
        return cli_run(t, &v->cli, v->command);
    case CLI_HELP:
        break;
    }
    return OK;
}

static err_t run(task_t *t, void *arg)
{
    invocation_t *v = arg;
    span_exporter_t *spans;
    char service[64];
    snprintf(service, sizeof service, "distribute-%.40s", cli_command_name(v->command));
    service[strcspn(service, " ")] = 0;
    TRY(api_export_spans(t, service, &spans));
    err_t e = run_command(t, v);
    error_slot_t why = *error_slot();
    span_exporter_stop(t, spans);
    *error_slot() = why;
    return e;
}

static uint64_t wall_clock(void *driver)
{
    return driver_wall_ms(driver);
}

static err_t set_up_log(const cli_t *c, bool is_node)
{
    bool has_prompt = cli_flag(c, "interactive", false) && c->is_terminal_err; /* lines would fall into it */
    log_threshold = is_node && !has_prompt ? LOG_INFO : LOG_WARN;
    const char *level = cli_option(c, "log-level", 0), *format = cli_option(c, "log-format", 0);
    if (cli_flag(c, "debug", false))
        log_threshold = LOG_DEBUG;
    if (level)
        TRY(log_level_parse(level, &log_threshold));
    if (format && strcmp(format, "json") && strcmp(format, "text"))
        return fail(ERR_USAGE, "--log-format takes json or text, not \"%s\"", format);
    log_set_text_format(format && !strcmp(format, "text"));
    return OK;
}

/* A core file would hold the private key, and any program of this user could read it from our memory. */
static void keep_secrets_in(void)
{
    if (!getenv("DISTRIBUTE_CORE_DUMPS"))
        prctl(PR_SET_DUMPABLE, 0);
}

/* What runs until it is stopped tells of itself. */
static bool is_service(cli_kind_t kind)
{
    return kind == CLI_NODE || kind == CLI_GATEWAY || kind == CLI_METADATA || kind == CLI_FILESERVER;
}

/* Each connection has a descriptor; shells begin with room for about a thousand, and would have select(2) in
 * mind, which nothing here uses. */
static void raise_descriptors(void)
{
    enum { ENOUGH = 1 << 17 };
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now))
        return;
    rlim_t wanted = now.rlim_max < ENOUGH ? now.rlim_max : ENOUGH;
    if (now.rlim_cur >= wanted)
        return;
    now.rlim_cur = wanted;
    if (setrlimit(RLIMIT_NOFILE, &now))
        log_debug("the limit of descriptors stays as it is");
}

int main(int argc, char **argv)
{
    keep_secrets_in();
    memory_set_up();
    raise_descriptors();
    invocation_t v = {0};
    err_t e = cli_parse(argc, argv, &v.cli, &v.command);
    if (!e)
        e = set_up_log(&v.cli, is_service(cli_command_kind(v.command)));
    if (!e && cli_command_kind(v.command) != CLI_HELP) {
        driver_t *driver = uv_driver_new(0);
        sched_t *sched = sched_new(driver);
        log_set_clock(wall_clock, driver);
        e = sched_run(sched, "main", run, &v);
        if (e && e != ERR_CLOSED) /* CLOSED: the reader of our output left, as `| head` does */
            cli_print_error(&v.cli, e);
        log_set_clock(NULL, NULL);
        sched_free(sched);
        uv_driver_free(driver);
    } else if (e) {
        cli_print_error(&v.cli, e);
    }
    cli_deinit(&v.cli);
    return cli_exit_code(&v.cli, e);
}

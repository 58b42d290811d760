/* rpc_diag: diag/… and log/…: what this node does and runs on. Reference: ipfs/kubo core/commands diag.go,
 * sysdiag.go, active.go, log.go. */
#include "api/api_internal.h"
#include "api/rpc_log.h"
#include "base/log.h"
#include "base/version.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* ── diag ────────────────────────────────────────────────────────────────────────────────────── */

/* The store answers for a block that it may or may not have, and the node is not on its way out. */
static err_t rpc_healthy(task_t *t, rpc_t *r)
{
    blockstore_stat_t s;
    if (r->api->is_shutting_down)
        return fail(ERR_CLOSED, "daemon is shutting down");
    TRY(blockstore_stat(t, repo_blockstore(node_repo(r->node)), &s));
    return rpc_emit(t, r, json_string("ok"));
}

static json_t *memory_json(void)
{
    unsigned long long total = 0, kib;
    char line[128];
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmSize: %llu", &kib) == 1)
            total = kib << 10;
    if (f)
        fclose(f);
    return json_pack("{s:i, s:I}", "swap", 0, "virt", (json_int_t)total);
}

static json_t *disk_json(const char *path)
{
    struct statvfs v;
    if (statvfs(path, &v))
        return json_object();
    char type[24];
    snprintf(type, sizeof type, "%lx", v.f_fsid);
    return json_pack("{s:I, s:s, s:I}", "free_space", (json_int_t)v.f_bavail * (json_int_t)v.f_frsize,
                     "fstype", type, "total_space", (json_int_t)v.f_blocks * (json_int_t)v.f_frsize);
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static err_t rpc_sys(task_t *t, rpc_t *r)
{
    enum { MAX_ADDRS = 64 };
    multiaddr_t *addrs = xcalloc(MAX_ADDRS, sizeof *addrs);
    host_t *host = node_host(r->node);
    size_t n = host ? host_listen_addrs(host, addrs, MAX_ADDRS) : 0;
    json_t *net = json_pack("{s:o, s:b}", "interface_addresses", rpc_addrs_json(addrs, n, NULL), "online",
                            node_is_online(r->node));
    free(addrs);
    const char *arch = SYSTEM_NAME;
    json_t *runtime = json_pack(
        "{s:s#, s:s, s:s, s:I, s:i, s:I, s:s}", "arch", arch, (int)strcspn(arch, "/"), "compiler",
        __VERSION__, "os", "linux", "numcpu", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "gomaxprocs", 1,
        "numgoroutines", (json_int_t)sched_task_count(node_sched(r->node)), "version", DISTRIBUTE_AGENT);
    return rpc_emit(t, r,
                    json_pack("{s:o, s:{s:s, s:s}, s:s, s:s, s:o, s:o, s:o}", "diskinfo",
                              disk_json(repo_path(node_repo(r->node))), "environment", "IPFS_PATH",
                              environment("IPFS_PATH"), "DISTRIBUTE_PATH", environment("DISTRIBUTE_PATH"),
                              "ipfs_commit", "", "ipfs_version", KUBO_RPC_VERSION, "memory", memory_json(),
                              "net", net, "runtime", runtime));
}

static err_t rpc_cmds(task_t *t, rpc_t *r)
{
    return rpc_emit(t, r, rpc_log_json(&r->api->log, driver_wall_ms(task_driver(t))));
}

static err_t rpc_cmds_clear(task_t *t, rpc_t *r)
{
    rpc_log_clear(&r->api->log);
    return OK;
}

static err_t rpc_cmds_set_time(task_t *t, rpc_t *r)
{
    uint64_t ms;
    TRY(rpc_parse_duration_ms("time", r->args[0], &ms));
    rpc_log_set_keep(&r->api->log, ms);
    return OK;
}

/* ── log ─────────────────────────────────────────────────────────────────────────────────────── */

/* Kubo's levels above error mean error here. */
static err_t parse_level(const char *text, log_level_t *ret)
{
    static const char *const above[] = {"dpanic", "panic", "fatal"};
    for (size_t i = 0; i < ARRAY_LEN(above); i++)
        if (!strcmp(text, above[i])) {
            *ret = LOG_ERROR;
            return OK;
        }
    if (!strcmp(text, "default")) {
        *ret = log_default_level();
        return OK;
    }
    return log_level_parse(text, ret) ? fail(ERR_INVALID, "unrecognized level: \"%.40s\"", text) : OK;
}

static bool means_all(const char *subsystem)
{
    return !strcmp(subsystem, "*") || !strcmp(subsystem, "all");
}

static err_t set_level(task_t *t, rpc_t *r, const char *subsystem, const char *text)
{
    log_level_t level;
    TRY(parse_level(text, &level));
    if (means_all(subsystem))
        log_set_level(level);
    else
        TRY(log_set_subsystem_level(subsystem, level));
    return rpc_emit(
        t, r,
        json_pack("{s:o}", "Message",
                  json_sprintf("Changed log level of '%s' to '%s'\n", means_all(subsystem) ? "*" : subsystem,
                               strcmp(text, "default") ? text : log_level_name(level))));
}

static err_t rpc_log_level(task_t *t, rpc_t *r)
{
    const char *subsystem = r->n_args ? r->args[0] : "";
    log_level_t level = log_default_level();
    if (r->n_args > 1 && *r->args[1])
        return set_level(t, r, subsystem, r->args[1]);
    if (*subsystem && !means_all(subsystem))
        TRY(log_subsystem_level(subsystem, &level));
    json_t *levels = json_object();
    if (means_all(subsystem)) {
        json_object_set_new(levels, "(default)", json_string(log_level_name(level)));
        for (size_t i = 0; log_subsystem(i); i++)
            if (!log_subsystem_level(log_subsystem(i), &level))
                json_object_set_new(levels, log_subsystem(i), json_string(log_level_name(level)));
    } else {
        json_object_set_new(levels, subsystem, json_string(log_level_name(level)));
    }
    return rpc_emit(t, r, json_pack("{s:o}", "Levels", levels));
}

static err_t rpc_log_ls(task_t *t, rpc_t *r)
{
    json_t *names = json_array();
    for (size_t i = 0; log_subsystem(i); i++)
        json_array_append_new(names, json_string(log_subsystem(i)));
    return rpc_emit(t, r, json_pack("{s:o}", "Strings", names));
}

/* A reader of the log that is slower than the log misses lines of it; the log waits for nobody. */
typedef struct log_tail {
    chan_t lines; /* of buf_t * */
    log_level_t level;
} log_tail_t;
enum { TAIL_LINES_MAX = 1024, TAIL_LINE_BYTES = 64 << 10 };

static void free_line(buf_t *line)
{
    buf_deinit(line);
    free(line);
}

static void on_line(void *arg, log_level_t level, bytes_t text)
{
    log_tail_t *tail = arg;
    if (level > tail->level)
        return;
    buf_t *line = xcalloc(1, sizeof *line);
    buf_init(line, TAIL_LINE_BYTES);
    if (buf_append(line, text) || chan_try_send(&tail->lines, line))
        free_line(line);
}

static err_t write_lines(task_t *t, rpc_t *r, log_tail_t *tail)
{
    void *item;
    for (;;) {
        TRY(chan_recv(t, &tail->lines, &item));
        buf_t *line = item;
        err_t e = exchange_write(t, r->x, buf_bytes(line));
        free_line(line);
        TRY(e);
    }
}

err_t rpc_tail_log(task_t *t, rpc_t *r, const char *level)
{
    log_tail_t tail = {.level = LOG_DEBUG};
    if (level && *level)
        TRY(parse_level(level, &tail.level));
    TRY(rpc_begin_bytes(t, r, NULL, -1));
    chan_init(&tail.lines, TAIL_LINES_MAX);
    err_t e = log_add_tap(on_line, &tail);
    if (!e) {
        e = write_lines(t, r, &tail);
        log_remove_tap(&tail);
    }
    void *left;
    while (!chan_try_recv(&tail.lines, &left))
        free_line(left);
    chan_deinit(&tail.lines);
    return e;
}

static err_t rpc_log_tail(task_t *t, rpc_t *r)
{
    return rpc_tail_log(t, r, rpc_option(r, "log-level"));
}

const rpc_command_t rpc_diag_commands[] = {
    {"diag/healthy", rpc_healthy, 0, 0, NULL},
    {"diag/sys", rpc_sys, 0, 0, NULL},
    {"diag/cmds", rpc_cmds, 0, 0, NULL},
    {"diag/cmds/clear", rpc_cmds_clear, 0, 0, NULL},
    {"diag/cmds/set-time", rpc_cmds_set_time, 1, 1, NULL},
    {"diag/profile", rpc_profile, 0, 0, NULL},
    {"log/level", rpc_log_level, 0, 2, NULL},
    {"log/ls", rpc_log_ls, 0, 0, NULL},
    {"log/tail", rpc_log_tail, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};

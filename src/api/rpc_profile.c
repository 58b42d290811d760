/* rpc_profile: diag/profile, an archive for a report of what is wrong: versions, tasks, metrics, commands. It
 * holds no keys, no content and nothing of the config. */
#include "api/api_internal.h"
#include "api/rpc_log.h"
#include "api/zip_writer.h"
#include "base/metrics.h"
#include "base/version.h"
#include <stdlib.h>

enum { ARCHIVE_MAX_BYTES = 16 << 20, PART_MAX_BYTES = 4 << 20 };

static err_t put_json(zip_writer_t *z, const char *name, json_t *value, buf_t *out)
{
    char *text = json_dumps(value, JSON_INDENT(2));
    json_decref(value);
    if (!text)
        return fail(ERR_NO_MEMORY, "no memory for %s", name);
    err_t e = zip_entry(z, name, bytes_str(text), out);
    free(text);
    return e;
}

static err_t put_tasks(zip_writer_t *z, sched_t *s, buf_t *out)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    if (!f)
        return fail(ERR_NO_MEMORY, "no memory for the list of tasks");
    sched_dump_to(s, f);
    fclose(f);
    err_t e = zip_entry(z, "tasks.txt", bytes_of(text, len), out);
    free(text);
    return e;
}

static err_t put_metrics(zip_writer_t *z, buf_t *out)
{
    AUTO(buf_t) text = {0};
    buf_init(&text, PART_MAX_BYTES);
    TRY(metrics_print(&text));
    return zip_entry(z, "metrics.txt", buf_bytes(&text), out);
}

err_t rpc_profile(task_t *t, rpc_t *r)
{
    AUTO(buf_t) out = {0};
    AUTO(zip_writer_t) z;
    buf_init(&out, ARCHIVE_MAX_BYTES);
    zip_init(&z);
    TRY(put_json(&z, "version.json",
                 json_pack("{s:s, s:s, s:s, s:s}", "Distribute", DISTRIBUTE_VERSION, "Version",
                           KUBO_RPC_VERSION, "System", SYSTEM_NAME, "Compiler", __VERSION__),
                 &out));
    TRY(put_tasks(&z, node_sched(r->node), &out));
    TRY(put_metrics(&z, &out));
    TRY(put_json(&z, "commands.json", rpc_log_json(&r->api->log, driver_wall_ms(task_driver(t))), &out));
    TRY(zip_end(&z, &out));
    TRY(rpc_begin_bytes(t, r, "application/zip", (int64_t)out.len));
    return exchange_write(t, r->x, buf_bytes(&out));
}

/* car: `dag import` and `dag export` as text. */
#include "cli/commands_internal.h"
#include <inttypes.h>

typedef struct export
{
    progress_t progress;
    uint64_t bytes;
}
export_t;

static err_t write_bytes_out(task_t *t, void *arg, bytes_t data)
{
    export_t *x = arg;
    x->bytes += data.len;
    TRY(cli_out_bytes(data));
    progress_update(&x->progress, x->bytes, task_now_ms(t));
    return OK;
}

err_t cli_dag_export(task_t *t, cli_t *c, const cli_command_t *command)
{
    AUTO(buf_t) target = {0};
    export_t x = {0};
    const char *text;
    TRY(cli_build_target(c, command, &target));
    TRY(buf_cstr(&target, &text));
    progress_init(&x.progress, c, "exporting", 0, task_now_ms(t));
    err_t e = cli_download(t, c, text, (cli_byte_sink_t){.write = write_bytes_out, .arg = &x});
    progress_clear(&x.progress);
    return e;
}

/* dag: `dag put`, `dag resolve`, `dag stat` and `object …` as text. `dag import` and `dag export`: car.c. */
#include "cli/commands_internal.h"
#include "multi/cid.h"
#include <inttypes.h>

/* The answer is one object unless progress is shown. */
err_t cli_dag_stat(task_t *t, cli_t *c, const cli_command_t *command)
{
    AUTO(buf_t) target = {0};
    const char *text;
    bool shows_progress = cli_flag(c, "progress", c->is_terminal_err) && !c->wants_json;
    TRY(cli_build_target(c, command, &target));
    TRY(cli_target_add(&target, "progress", shows_progress ? "true" : "false"));
    TRY(buf_cstr(&target, &text));
    return cli_request(t, c, text, cli_printer(command));
}

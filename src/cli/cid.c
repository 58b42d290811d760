/* cid: `cid …` and `multibase …` as text. */
#include "base/utf8.h"
#include "cli/commands_internal.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

/* ── cid format, cid base32 ──────────────────────────────────────────────────────────────────── */
err_t cli_cid_format(task_t *t, cli_t *c, const cli_command_t *command)
{
    TRY(cli_run_generic(t, c, command));
    return c->has_failed ? fail(ERR_INVALID, "errors while displaying some entries") : OK;
}

/* without_daemon: what is said of a command that a running node must answer when none runs. */
#include "cli/command.h"
#include <stdio.h>

static const char online_action[] = "this action must be run in online mode, try running 'ipfs daemon' first",
                  no_pubsub[] = "experimental pubsub feature not enabled, run daemon with "
                                "--enable-pubsub-experiment to use";

/* In the reference's words where they are not the usual ones. */
static const struct {
    const char *command, *said;
} otherwise[] = {
    {"bitswap stat",
     "unable to run offline: this command must be run in online mode. Try running 'ipfs daemon' first"},
    {"diag cmds", "command must be run on the daemon: [diag cmds]"},
    {"diag profile", "command must be run on the daemon: [diag profile]"},
    {"pubsub ls", no_pubsub},
    {"pubsub peers", no_pubsub},
    {"pubsub pub", no_pubsub},
    {"pubsub sub", no_pubsub},
    {"routing get", online_action},
    {"routing put", online_action},
    {"shutdown", "daemon not running"},
    {"stats bitswap",
     "unable to run offline: this command must be run in online mode. Try running 'ipfs daemon' first"},
    {"stats bw",
     "unable to run offline: this command must be run in online mode. Try running 'ipfs daemon' first"},
    {"swarm addrs", online_action},
    {"swarm addrs listen", online_action},
    {"swarm addrs local", online_action},
    {"swarm peers", online_action},
    {"swarm resources",
     "missing ResourceMgr: make sure the daemon is running with Swarm.ResourceMgr.Enabled"},
};

err_t cli_fail_without_daemon(const cli_t *c, const cli_command_t *command)
{
    const char *said = "this command must be run in online mode. Try running 'ipfs daemon' first";
    for (size_t i = 0; i < ARRAY_LEN(otherwise); i++)
        if (!strcmp(otherwise[i].command, command->name))
            said = otherwise[i].said;
    return c->is_kubo ? fail(ERR_OFFLINE, "%s", said)
                      : fail(ERR_OFFLINE, "%s needs a running node: start one with '%s node%s'",
                             command->name, c->program, c->is_mesh ? " start" : "");
}

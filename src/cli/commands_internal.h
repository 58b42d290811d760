/* commands_internal: what the table in commands.c names and other files of this folder implement. */
#ifndef CLI_COMMANDS_INTERNAL_H
#define CLI_COMMANDS_INTERNAL_H
#include "cli/command.h"

err_t cli_add(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_upload_files(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_upload_after_word(task_t *t, cli_t *c, const cli_command_t *command); /* WORD FILE… */
err_t cli_block_rm(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_import_kubo(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_pin_ls(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_version(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_dag_stat(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_dag_export(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_ls(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_get(task_t *t, cli_t *c, const cli_command_t *command);
/* Did standard input give more than a request's target holds? Then they go as an upload, in one request when
 * they fit, else in several, which end at the first failure. */
bool cli_has_many_words(const cli_t *c);
err_t cli_send_words(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_check_args(const cli_t *c, const cli_command_t *command);
err_t cli_cid_format(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_provide_once(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_profile(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_commands(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_completion(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_config_edit(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_no_update(task_t *t, cli_t *c, const cli_command_t *command);
err_t print_gateway(print_t *p, json_t *o);
extern const cli_command_t cli_base_commands[], cli_name_commands[], cli_node_commands[];
extern const cli_command_t cli_files_commands[], cli_service_commands[];
/* pubsub.c */
err_t cli_pubsub(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_pubsub_pub(task_t *t, cli_t *c, const cli_command_t *command);
/* files.c */
err_t cli_files_ls(task_t *t, cli_t *c, const cli_command_t *command);
extern const cli_command_t cli_filestore_commands[];
extern const cli_command_t cli_mesh_commands[]; /* of dfs */
extern const cli_spec_t cli_config_specs[];
err_t cli_mesh_store(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_mesh_delete(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_mesh_key_export(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_mesh_key_import(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_mesh_key_rotate(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_mesh_key_unlock(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_mesh_key_passphrase(task_t *t, cli_t *c, const cli_command_t *command);
err_t print_mesh_stored(print_t *p, json_t *o);
err_t print_mesh_deleted(print_t *p, json_t *o);
err_t print_mesh_listed(print_t *p, json_t *o);
err_t print_mesh_status(print_t *p, json_t *o);
err_t print_mesh_peer(print_t *p, json_t *o);
err_t print_mesh_link(print_t *p, json_t *o);
err_t print_mesh_key(print_t *p, json_t *o);
err_t print_mesh_rotated(print_t *p, json_t *o);
#endif

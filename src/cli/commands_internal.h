/* commands_internal: what the table in commands.c names and other files of this folder implement. */
#ifndef CLI_COMMANDS_INTERNAL_H
#define CLI_COMMANDS_INTERNAL_H
#include "cli/command.h"

/* A text of an answer, ready for the terminal. */
static inline const char *field(json_t *o, const char *key)
{
    return cli_escape_json(o, key);
}

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
/* Reads the arguments that are missing from standard input. ERR_USAGE when there are none either. */
err_t cli_read_stdin_args(cli_t *c, const cli_command_t *command);
err_t cli_check_args(const cli_t *c, const cli_command_t *command);
/* As Go prints durations: "5m0s", "1.5s", "300ms". Returns out. */
const char *cli_duration_text(int64_t ns, char out[64]);
/* print.c, print_pin.c, print_repo.c: one answer object as text */
err_t print_id(task_t *t, cli_t *c, json_t *o);
err_t print_ls(task_t *t, cli_t *c, json_t *o);
err_t print_refs(task_t *t, cli_t *c, json_t *o);
err_t print_pin_added(task_t *t, cli_t *c, json_t *o);
void cli_hint_replicas(json_t *o); /* on standard error, when fewer nodes hold it than were asked for */
err_t print_pin_updated(task_t *t, cli_t *c, json_t *o);
err_t print_pin_removed(task_t *t, cli_t *c, json_t *o);
err_t print_pin_list(task_t *t, cli_t *c, json_t *o);
err_t print_pin_verified(task_t *t, cli_t *c, json_t *o);
err_t print_peers(task_t *t, cli_t *c, json_t *o);
err_t print_strings(task_t *t, cli_t *c, json_t *o);
err_t print_resources(task_t *t, cli_t *c, json_t *o);
err_t print_addrs(task_t *t, cli_t *c, json_t *o);
err_t print_ping(task_t *t, cli_t *c, json_t *o);
err_t print_status(task_t *t, cli_t *c, json_t *o);
err_t print_lookup(task_t *t, cli_t *c, json_t *o);
err_t print_value(task_t *t, cli_t *c, json_t *o);
err_t print_dht(task_t *t, cli_t *c, json_t *o);
err_t cli_cid_format(task_t *t, cli_t *c, const cli_command_t *command);
err_t print_cid_formatted(task_t *t, cli_t *c, json_t *o);
err_t print_cid_inspected(task_t *t, cli_t *c, json_t *o);
err_t print_bases(task_t *t, cli_t *c, json_t *o);
err_t print_codes(task_t *t, cli_t *c, json_t *o);
err_t print_hash(task_t *t, cli_t *c, json_t *o);
err_t print_diff(task_t *t, cli_t *c, json_t *o);
err_t print_dag_put(task_t *t, cli_t *c, json_t *o);
err_t print_dag_resolved(task_t *t, cli_t *c, json_t *o);
err_t print_dag_stat(task_t *t, cli_t *c, json_t *o);
err_t print_dag_imported(task_t *t, cli_t *c, json_t *o);
err_t print_block_stat(task_t *t, cli_t *c, json_t *o);
err_t print_block_key(task_t *t, cli_t *c, json_t *o);
err_t print_block_removed(task_t *t, cli_t *c, json_t *o);
err_t print_repo_stat(task_t *t, cli_t *c, json_t *o);
err_t print_repo_version(task_t *t, cli_t *c, json_t *o);
err_t print_remote_pin(task_t *t, cli_t *c, json_t *o);
err_t print_remote_pin_line(task_t *t, cli_t *c, json_t *o);
err_t print_pin_services(task_t *t, cli_t *c, json_t *o);
err_t print_repo_migrated(task_t *t, cli_t *c, json_t *o);
err_t print_repo_gc(task_t *t, cli_t *c, json_t *o);
err_t print_repo_verify(task_t *t, cli_t *c, json_t *o);
err_t print_version_field(task_t *t, cli_t *c, json_t *o);
err_t print_config_change(task_t *t, cli_t *c, json_t *o);
err_t print_config(task_t *t, cli_t *c, json_t *o);
err_t print_json(task_t *t, cli_t *c, json_t *o);
err_t print_peer_list(task_t *t, cli_t *c, json_t *o);
err_t print_bootstrap_added(task_t *t, cli_t *c, json_t *o);
err_t print_bootstrap_removed(task_t *t, cli_t *c, json_t *o);
err_t print_bitswap_stat(task_t *t, cli_t *c, json_t *o);
err_t print_wantlist(task_t *t, cli_t *c, json_t *o);
err_t print_ledger(task_t *t, cli_t *c, json_t *o);
err_t print_path(task_t *t, cli_t *c, json_t *o);
/* print_name.c */
err_t print_published(task_t *t, cli_t *c, json_t *o);
err_t print_put_name(task_t *t, cli_t *c, json_t *o);
err_t print_inspected(task_t *t, cli_t *c, json_t *o);
err_t print_pubsub_state(task_t *t, cli_t *c, json_t *o);
err_t print_pubsub_canceled(task_t *t, cli_t *c, json_t *o);
err_t print_key_id(task_t *t, cli_t *c, json_t *o);
err_t print_keys(task_t *t, cli_t *c, json_t *o);
err_t print_key_renamed(task_t *t, cli_t *c, json_t *o);
err_t print_signature(task_t *t, cli_t *c, json_t *o);
err_t print_commands(task_t *t, cli_t *c, json_t *o);
err_t print_gateway(task_t *t, cli_t *c, json_t *o);
err_t print_replicas(task_t *t, cli_t *c, json_t *o);
/* print_node.c */
/* print_p2p.c */
err_t print_mounted(task_t *t, cli_t *c, json_t *o);
err_t print_p2p_ls(task_t *t, cli_t *c, json_t *o);
err_t print_p2p_streams(task_t *t, cli_t *c, json_t *o);
err_t print_p2p_closed(task_t *t, cli_t *c, json_t *o);
err_t print_p2p_listen(task_t *t, cli_t *c, json_t *o);
err_t print_p2p_forward(task_t *t, cli_t *c, json_t *o);
/* print_node.c */
err_t print_perf(task_t *t, cli_t *c, json_t *o);
err_t print_said(task_t *t, cli_t *c, json_t *o);
err_t print_log_levels(task_t *t, cli_t *c, json_t *o);
err_t print_bw(task_t *t, cli_t *c, json_t *o);
err_t print_dht_table(task_t *t, cli_t *c, json_t *o);
err_t print_provide_stat(task_t *t, cli_t *c, json_t *o);
err_t print_cleared(task_t *t, cli_t *c, json_t *o);
err_t print_cmds(task_t *t, cli_t *c, json_t *o);
err_t print_peering_added(task_t *t, cli_t *c, json_t *o);
err_t print_peering_removed(task_t *t, cli_t *c, json_t *o);
err_t print_peerings(task_t *t, cli_t *c, json_t *o);
err_t print_autonat(task_t *t, cli_t *c, json_t *o);
err_t print_dependency(task_t *t, cli_t *c, json_t *o);
err_t print_record_key(task_t *t, cli_t *c, json_t *o);
err_t print_one_line(task_t *t, cli_t *c, json_t *o);
err_t print_count(task_t *t, cli_t *c, json_t *o);
err_t cli_provide_once(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_profile(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_completion(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_config_edit(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_no_update(task_t *t, cli_t *c, const cli_command_t *command);
extern const cli_command_t cli_base_commands[], cli_name_commands[], cli_node_commands[];
extern const cli_command_t cli_files_commands[], cli_service_commands[];
/* pubsub.c */
err_t cli_pubsub(task_t *t, cli_t *c, const cli_command_t *command);
err_t cli_pubsub_pub(task_t *t, cli_t *c, const cli_command_t *command);
err_t print_pubsub_message(task_t *t, cli_t *c, json_t *o);
err_t print_pubsub_topics(task_t *t, cli_t *c, json_t *o);
err_t print_pubsub_reset(task_t *t, cli_t *c, json_t *o);
/* files.c */
err_t print_compact(task_t *t, cli_t *c, json_t *o);
err_t print_files_message(task_t *t, cli_t *c, json_t *o);
err_t print_files_stat(task_t *t, cli_t *c, json_t *o);
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
err_t print_mesh_stored(task_t *t, cli_t *c, json_t *o);
err_t print_mesh_deleted(task_t *t, cli_t *c, json_t *o);
err_t print_mesh_listed(task_t *t, cli_t *c, json_t *o);
err_t print_mesh_status(task_t *t, cli_t *c, json_t *o);
err_t print_mesh_peer(task_t *t, cli_t *c, json_t *o);
err_t print_mesh_link(task_t *t, cli_t *c, json_t *o);
err_t print_mesh_key(task_t *t, cli_t *c, json_t *o);
err_t print_mesh_rotated(task_t *t, cli_t *c, json_t *o);
#endif

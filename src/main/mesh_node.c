#include "main/mesh_node.h"
#include "base/log.h"
#include "node/setup.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TOKEN_RANDOM_BYTES = 32, PASSPHRASE_MAX_BYTES = 4096 };
#define DEFAULT_PORT ":7000"
#define TOKEN_FILE "api-token"

/* ── options ─────────────────────────────────────────────────────────────────────────────────── */

static void tell_met(void *arg, const mesh_contact_t *c)
{
    char peer[PEER_ID_TEXT_MAX];
    peer_id_print(&c->peer, peer);
    if (c->is_stranger) {
        log_warn("another peer answers at a bootstrap address than before, and is not trusted",
                 LOG_STR("address", c->address), LOG_STR("known", peer));
        return;
    }
    printf("Bootstrap peer at %s is %s%s\n", c->address, peer,
           c->is_new ? " (met for the first time, kept)" : "");
    fflush(stdout);
}

/* Beside TCP, where this build has QUIC and the mesh has no swarm key, which QUIC has no place for. */
static bool quic_beside(const char *port, const char *repo, char out[128])
{
    char key[NODE_PATH_MAX], ip[INET6_ADDRSTRLEN];
    net_addr_t at;
    snprintf(key, sizeof key, "%.4000s/swarm.key", repo);
    if (host_quic_missing() || !access(key, F_OK) || net_addr_parse(port, &at))
        return false;
    inet_ntop(at.family == 6 ? AF_INET6 : AF_INET, at.ip, ip, sizeof ip);
    snprintf(out, 128, "/ip%d/%s/udp/%u/quic-v1", at.family == 6 ? 6 : 4, ip, at.port);
    return true;
}

void mesh_node_options(const cli_t *c, mesh_words_t *w, node_options_t *o)
{
    const char *port = cli_option(c, "port", 0);
    w->listen[0] = port ? port : DEFAULT_PORT;
    w->listen[1] = w->quic;
    o->listen = w->listen;
    o->n_listen = quic_beside(w->listen[0], o->repo_path, w->quic) ? 2 : 1;
    o->mesh = NODE_ON;
    if (cli_option(c, "relay", 0))
        o->mesh_relay = cli_flag(c, "relay", false) ? NODE_ON : NODE_OFF;
    o->mesh_zone = cli_option(c, "zone", 0);
    o->mesh_met = tell_met;
}

/* ── the control API ─────────────────────────────────────────────────────────────────────────── */

static err_t token_path(const char *repo_path, char out[NODE_PATH_MAX])
{
    int n = snprintf(out, NODE_PATH_MAX, "%s/" TOKEN_FILE, repo_path);
    return n < NODE_PATH_MAX ? OK : fail(ERR_LIMIT, "%.100s…: the path is too long", repo_path);
}

static err_t read_token(task_t *t, const char *repo_path, char out[API_TOKEN_MAX])
{
    AUTO(buf_t) text = {0};
    char path[NODE_PATH_MAX];
    TRY(token_path(repo_path, path));
    buf_init(&text, API_TOKEN_MAX - 1);
    TRY(fs_read_file(t, path, API_TOKEN_MAX - 1, &text));
    while (text.len && text.data[text.len - 1] <= ' ')
        text.len--;
    if (!text.len)
        return fail(ERR_CORRUPT, "%s is empty: remove it, and a token is made", path);
    memcpy(out, text.data, text.len);
    out[text.len] = 0;
    secret_wipe(text.data, text.len);
    return OK;
}

static err_t make_token(task_t *t, const char *repo_path, char out[API_TOKEN_MAX])
{
    uint8_t random[TOKEN_RANDOM_BYTES];
    char path[NODE_PATH_MAX];
    TRY(token_path(repo_path, path));
    driver_random(task_driver(t), random, sizeof random);
    hex_text(bytes_of(random, sizeof random), out, API_TOKEN_MAX);
    secret_wipe(random, sizeof random);
    TRY(fs_write_file(t, path, 0600, bytes_str(out)));
    log_info("a token for the control API was made", LOG_STR("file", path));
    return OK;
}

void mesh_node_read_token(task_t *t, const char *repo_path, char out[API_TOKEN_MAX + 8])
{
    char token[API_TOKEN_MAX];
    out[0] = 0;
    if (!read_token(t, repo_path, token))
        snprintf(out, API_TOKEN_MAX + 8, "bearer:%s", token);
    secret_wipe(token, sizeof token);
}

err_t mesh_node_open_face(task_t *t, node_t *n, faces_t *f, const cli_t *c)
{
    char token[API_TOKEN_MAX];
    bool is_public;
    TRY(faces_open_control(f, cli_option(c, "api-port", 0), &is_public));
    if (!is_public || api_has_authorizations(f->api))
        return OK;
    const char *repo = repo_path(node_repo(n));
    err_t e = read_token(t, repo, token);
    if (e == ERR_NOT_FOUND)
        e = make_token(t, repo, token);
    if (!e)
        api_set_control_token(f->api, token);
    secret_wipe(token, sizeof token);
    return e;
}

/* ── the key ─────────────────────────────────────────────────────────────────────────────────── */

static err_t ask_passphrase(task_t *t, const cli_t *c, buf_t *out)
{
    terminal_t *x;
    if (!cli_flag(c, "interactive", false) || terminal_open(task_driver(t), &(terminal_config_t){0}, &x))
        return ERR_NOT_FOUND;
    err_t e = x->is_interactive ? terminal_line(t, x, "Passphrase of the key file: ", TERMINAL_SECRET, out)
                                : ERR_NOT_FOUND;
    terminal_close(t, x);
    return e == ERR_EOF || e == ERR_AGAIN || (!e && !out->len) ? ERR_NOT_FOUND : e;
}

err_t mesh_node_unlock(task_t *t, node_t *n, const cli_t *c)
{
    vault_key_info_t key;
    AUTO(buf_t) passphrase = {0};
    buf_init(&passphrase, PASSPHRASE_MAX_BYTES);
    TRY(buf_reserve(&passphrase, PASSPHRASE_MAX_BYTES));
    TRY(vault_key_info(t, node_vault(n), &key));
    if (!key.has_passphrase)
        return OK;
    err_t e = cli_passphrase_file(c, "passphrase-file", &passphrase);
    if (e == ERR_NOT_FOUND)
        e = ask_passphrase(t, c, &passphrase);
    if (e == ERR_NOT_FOUND)
        log_warn("the key file is locked: 'dfs key unlock' opens it");
    else if (!e)
        e = vault_unlock(t, node_vault(n), buf_bytes(&passphrase));
    secret_wipe(passphrase.data, passphrase.len);
    return e == ERR_NOT_FOUND ? OK : e;
}

/* ── the prompt ──────────────────────────────────────────────────────────────────────────────── */

struct mesh_prompt {
    api_t *api;
    shell_t *shell;
    char history[NODE_PATH_MAX], repo[NODE_PATH_MAX];
    bool wants_end;
};

static err_t call_api(task_t *t, void *arg, const char *target, const header_pair_t *headers,
                      size_t n_headers, memory_exchange_sink_t sink)
{
    return exchange_run_in_memory(t, "POST", target, headers, n_headers, sink, api_rpc, arg);
}

err_t mesh_prompt_open(task_t *t, node_t *n, api_t *api, const cli_t *c, mesh_prompt_t **ret)
{
    *ret = NULL;
    if (!cli_flag(c, "interactive", false))
        return OK;
    mesh_prompt_t *p = xcalloc(1, sizeof *p);
    p->api = api;
    const char *repo = repo_path(node_repo(n));
    snprintf(p->repo, sizeof p->repo, "%s", repo);
    snprintf(p->history, sizeof p->history, "%.4000s/shell_history", repo);
    err_t e = shell_open(t,
                         &(shell_config_t){.program = c->program,
                                           .call = call_api,
                                           .call_arg = api,
                                           .repo_path = p->repo,
                                           .history_path = p->history},
                         &p->shell);
    if (e) {
        free(p);
        return e;
    }
    *ret = p;
    return OK;
}

void mesh_prompt_close(task_t *t, mesh_prompt_t *p)
{
    if (!p)
        return;
    shell_close(t, p->shell);
    free(p);
}

err_t mesh_prompt_run(task_t *t, void *arg)
{
    mesh_prompt_t *p = arg;
    err_t e = shell_run(t, p->shell, &p->wants_end);
    if (p->wants_end)
        event_fire(api_shutdown_event(p->api));
    return e;
}

bool mesh_prompt_interrupt(mesh_prompt_t *p)
{
    if (!p || !shell_is_interactive(p->shell))
        return false;
    shell_interrupt(p->shell);
    return true;
}

bool mesh_prompt_wants_end(const mesh_prompt_t *p)
{
    return p && p->wants_end;
}

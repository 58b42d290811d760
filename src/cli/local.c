/* local: commands that this process runs without a node: completion for shells, the editor for the config,
 * where updates come from; and those that write what the node sends into a file. */
#include "cli/commands_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ── completion ──────────────────────────────────────────────────────────────────────────────── */

/* The n-th word of a command's name; NULL: it has fewer. */
static const char *word_at(const char *name, size_t n, size_t *ret_len)
{
    const char *p = name;
    while (n--) {
        p = strchr(p, ' ');
        if (!p)
            return NULL;
        p++;
    }
    *ret_len = strcspn(p, " ");
    return p;
}

/* Does a row before the n-th begin with these words, too? */
static bool was_before(const cli_t *c, size_t n, const char *words, size_t len)
{
    for (size_t i = 0; i < n; i++) {
        const char *name = cli_command_at(c, i)->name;
        if (!strncmp(name, words, len) && (!name[len] || name[len] == ' '))
            return true;
    }
    return false;
}

/* Calls fn for each word that may follow `above` ("" or "pin" or "swarm addrs"), once each. */
static err_t each_word_below(const cli_t *cli, const char *above,
                             err_t (*fn)(void *arg, const char *word, const char *help), void *arg)
{
    size_t depth = *above ? 1 : 0, above_len = strlen(above);
    for (const char *p = above; *p; p++)
        depth += *p == ' ';
    const cli_command_t *c;
    for (size_t i = 0; (c = cli_command_at(cli, i)); i++) {
        size_t len;
        if (above_len && (strncmp(c->name, above, above_len) != 0 || c->name[above_len] != ' '))
            continue;
        const char *word = word_at(c->name, depth, &len);
        char text[64];
        if (!word || was_before(cli, i, c->name, (size_t)(word + len - c->name)))
            continue;
        snprintf(text, sizeof text, "%.*s", (int)len, word);
        TRY(fn(arg, text, word[len] ? "" : c->help));
    }
    return OK;
}

static err_t put_word(void *arg, const char *word, const char *help)
{
    return cli_out(" %s", word);
}

/* A case for each command that has others below it: its name, and the words that may follow. */
static err_t print_cases(const cli_t *cli)
{
    char done[4096] = "\n";
    const cli_command_t *c;
    for (size_t i = 0; (c = cli_command_at(cli, i)); i++) {
        char group[64], mark[80];
        for (const char *space = strchr(c->name, ' '); space; space = strchr(space + 1, ' ')) {
            snprintf(group, sizeof group, "%.*s", (int)(space - c->name), c->name);
            snprintf(mark, sizeof mark, "\n%s\n", group);
            if (strstr(done, mark) || strlen(done) + strlen(mark) >= sizeof done)
                continue;
            strncat(done, mark + 1, sizeof done - strlen(done) - 1);
            TRY(cli_out("        \"%s\") words=\"", group));
            TRY(each_word_below(cli, group, put_word, NULL));
            TRY(cli_out("\" ;;\n"));
        }
    }
    return OK;
}

/* Options of each command, those of all commands not included. */
static err_t print_option_cases(const cli_t *cli)
{
    const cli_command_t *c;
    for (size_t i = 0; (c = cli_command_at(cli, i)); i++) {
        if (!c->specs || !c->specs->name)
            continue;
        TRY(cli_out("        \"%s\") options=\"", c->name));
        for (const cli_spec_t *s = c->specs; s->name; s++)
            TRY(cli_out("%s--%s", s == c->specs ? "" : " ", s->name));
        TRY(cli_out("\" ;;\n"));
    }
    return OK;
}

static err_t print_bash(const cli_t *cli)
{
    const char *program = cli->program;
    TRY(cli_out("_%s() {\n"
                "    local word=\"${COMP_WORDS[COMP_CWORD]}\" path=\"\" words=\"\" options=\"\" i\n"
                "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                "        [[ ${COMP_WORDS[i]} == -* ]] || path=\"${path:+$path }${COMP_WORDS[i]}\"\n"
                "    done\n"
                "    case \"$path\" in\n"
                "        \"\") words=\"",
                program));
    TRY(each_word_below(cli, "", put_word, NULL));
    TRY(cli_out("\" ;;\n"));
    TRY(print_cases(cli));
    TRY(cli_out("    esac\n    case \"$path\" in\n"));
    TRY(print_option_cases(cli));
    return cli_out(
        "    esac\n"
        "    if [[ $word == -* ]]; then\n"
        "        COMPREPLY=($(compgen -W \"$options --help --repo --api --enc --offline --timeout\" -- "
        "\"$word\"))\n"
        "    elif [[ $words ]]; then\n"
        "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
        "    else\n"
        "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
        "    fi\n"
        "}\n"
        "complete -o filenames -F _%s %s\n",
        program, program);
}

static err_t print_zsh(const cli_t *cli)
{
    TRY(cli_out("#compdef %s\nautoload -U +X bashcompinit && bashcompinit\n", cli->program));
    return print_bash(cli);
}

typedef struct fish {
    const char *program, *above;
} fish_t;

static err_t put_fish(void *arg, const char *word, const char *help)
{
    fish_t *f = arg;
    return cli_out("complete -c %s -n '__%s_at \"%s\"' -f -a '%s' -d '%s'\n", f->program, f->program,
                   f->above, word, help);
}

static err_t print_fish(const cli_t *cli)
{
    const char *program = cli->program;
    TRY(cli_out("function __%s_at\n"
                "    set -l path\n"
                "    for word in (commandline -opc)[2..]\n"
                "        string match -q -- '-*' $word; or set -a path $word\n"
                "    end\n"
                "    test \"$path\" = \"$argv[1]\"\n"
                "end\n",
                program));
    fish_t f = {program, ""};
    TRY(each_word_below(cli, "", put_fish, &f));
    const cli_command_t *c;
    char last[64] = "";
    for (size_t i = 0; (c = cli_command_at(cli, i)); i++) {
        const char *space = strrchr(c->name, ' ');
        char above[64];
        if (space) {
            snprintf(above, sizeof above, "%.*s", (int)(space - c->name), c->name);
            f.above = above;
            TRY(put_fish(&f, space + 1, c->help));
        }
        for (const cli_spec_t *s = c->specs; s && s->name && strcmp(last, c->name) != 0; s++)
            TRY(cli_out("complete -c %s -n '__%s_at \"%s\"' -l %s%s -d '%s'\n", program, program, c->name,
                        s->name, s->takes_value ? " -r" : "", strchr(s->help, '\'') ? "" : s->help));
        snprintf(last, sizeof last, "%s", c->name);
    }
    return OK;
}

err_t cli_completion(task_t *t, cli_t *c, const cli_command_t *command)
{
    const char *shell = strrchr(command->name, ' ') + 1;
    err_t (*print)(const cli_t *) = !strcmp(shell, "bash")  ? print_bash
                                    : !strcmp(shell, "zsh") ? print_zsh
                                                            : print_fish;
    return print(c);
}

/* ── config edit ─────────────────────────────────────────────────────────────────────────────── */

err_t cli_config_edit(task_t *t, cli_t *c, const cli_command_t *command)
{
    const char *editor = getenv("EDITOR");
    char file[4200];
    if (!editor || !*editor)
        return fail(ERR_NOT_FOUND, "ENV variable $EDITOR not set");
    if (!c->repo_path)
        return fail(ERR_NOT_FOUND, "no repository: name one with --repo");
    snprintf(file, sizeof file, "%s/config", c->repo_path);
    if (access(file, R_OK | W_OK))
        return fail(error_from_errno(errno), "%s: %s", file, strerror(errno));
    pid_t child = fork();
    if (child < 0)
        return fail(ERR_LIMIT, "cannot start %s: %s", editor, strerror(errno));
    if (!child) { /* the words of $EDITOR are the shell's to split, the file's name is not */
        execl("/bin/sh", "sh", "-c", "exec $EDITOR \"$1\"", "sh", file, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) && !WEXITSTATUS(status) ? OK : fail(ERR_IO, "the editor %s failed", editor);
}

err_t cli_no_update(task_t *t, cli_t *c, const cli_command_t *command)
{
    return fail(ERR_UNSUPPORTED,
                "this program does not replace itself: install the new release as you did this "
                "one, or run 'make install' in its sources");
}

/* ── diag profile ────────────────────────────────────────────────────────────────────────────── */

static err_t write_file(task_t *t, void *arg, bytes_t data)
{
    return fwrite(data.data, 1, data.len, arg) == data.len
               ? OK
               : fail(ERR_IO, "cannot write: %s", strerror(errno));
}

err_t cli_profile(task_t *t, cli_t *c, const cli_command_t *command)
{
    char name[64];
    const char *path = cli_option(c, "output", 0), *text;
    time_t now = time(NULL);
    struct tm tm;
    strftime(name, sizeof name, "ipfs-profile-%Y-%m-%dT%H_%M_%SZ.zip", gmtime_r(&now, &tm));
    if (!path)
        path = name;
    FILE *f = fopen(path, "wxe");
    if (!f)
        return fail(error_from_errno(errno), "%s: %s", path, strerror(errno));
    AUTO(buf_t) target = {0};
    cli_byte_sink_t sink = {write_file, NULL, f};
    err_t e = cli_build_target(c, command, &target);
    if (!e)
        e = buf_cstr(&target, &text);
    if (!e)
        e = cli_download(t, c, text, sink);
    if (fclose(f) && !e)
        e = fail(error_from_errno(errno), "%s: %s", path, strerror(errno));
    if (e) {
        unlink(path);
        return e;
    }
    return cli_out("Wrote profiles to: %s\n", print_escape(path));
}

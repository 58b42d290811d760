#include "cli/cli.h"
#include "base/version.h"
#include "cli/commands_internal.h"
#include "print/go_type.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Options that every command takes. */
static const cli_spec_t global_specs[] = {
    {"repo", 0, true, "", "use the repository at PATH"},
    {"repo-dir", 0, true, "", "the same, as Kubo spells it"},
    {"api", 0, true, "", "talk to the RPC at this multiaddr"},
    {"api-auth", 0, true, "", "secret for it, as AuthSecret of API.Authorizations"},
    {"json", 0, false, "", "print JSON"},
    {"config", 'c', true, "", "accepted for Kubo's sake: settings are the repository's"},
    {"config-file", 0, true, "", "the same"},
    {"debug", 'D', false, "", "log everything, as --log-level=debug"},
    {"stream-channels", 0, false, "", "accepted for Kubo's sake: answers always stream"},
    {"local", 'L', false, "", "the same as --offline"},
    {"enc", 0, true, "", "json, text, xml, textnl or octet-stream"},
    {"encoding", 0, true, "", "the same"},
    {"timeout", 0, true, NULL, "give up after this long (30s, 1m30s)"},
    {"offline", 0, false, NULL, "do not use the network"},
    {"help", 'h', false, "", "show help"},
    {"version", 0, false, "", "print the version"},
    {"log-level", 0, true, "", "error, warn, info or debug"},
    {"log-format", 0, true, "", "json or text"},
    {"cid-base", 0, true, NULL, "multibase of printed CIDs"},
    {"upgrade-cidv0-in-output", 0, false, NULL, "print CIDv0 as CIDv1"},
    {NULL, 0, false, NULL, NULL},
};

cli_kind_t cli_command_kind(const cli_command_t *c)
{
    return c->kind;
}

const char *cli_command_name(const cli_command_t *c)
{
    return c->name;
}

bool cli_command_needs_daemon(const cli_command_t *c)
{
    return c->needs_daemon;
}

const char *cli_option(const cli_t *c, const char *name, size_t n)
{
    for (size_t i = 0; i < c->n_options; i++)
        if (!strcmp(c->options[i].name, name) && !n--)
            return c->options[i].value;
    return NULL;
}

bool cli_flag(const cli_t *c, const char *name, bool otherwise)
{
    const char *value = cli_option(c, name, 0);
    return value ? strcmp(value, "false") != 0 : otherwise;
}

/* ── finding the command ─────────────────────────────────────────────────────────────────────── */

/* The row whose words are the first of argv, the longest such. */
static const cli_command_t *find_command(const cli_t *cli, char **words, size_t n_words, size_t *ret_used)
{
    const cli_command_t *best = NULL;
    const cli_command_t *c;
    for (size_t i = 0; (c = cli_command_at(cli, i)); i++) {
        size_t used = 0;
        const char *p = c->name;
        while (*p && used < n_words) {
            size_t len = strcspn(p, " ");
            if (strlen(words[used]) != len || memcmp(words[used], p, len))
                break;
            used++;
            p += len + (p[len] == ' ');
        }
        if (!*p && (!best || used > *ret_used)) {
            best = c;
            *ret_used = used;
        }
    }
    return best;
}

static const cli_spec_t *find_spec(const cli_spec_t *specs, const char *name, size_t len, char letter)
{
    for (const cli_spec_t *s = specs; s && s->name; s++)
        if (letter ? s->letter == letter : strlen(s->name) == len && !memcmp(s->name, name, len))
            return s;
    return NULL;
}

static const cli_spec_t *any_spec(const cli_command_t *command, const char *name, size_t len, char letter)
{
    const cli_spec_t *s = find_spec(command ? command->specs : NULL, name, len, letter);
    return s ? s : find_spec(global_specs, name, len, letter);
}

/* NULL: it is neither. The words that Go takes. */
static const char *bool_word(const char *text)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        if (!strcmp(text, yes[i]) || !strcmp(text, no[i]))
            return !strcmp(text, yes[i]) ? "true" : "false";
    return NULL;
}

static err_t add_option(cli_t *c, const char *name, const char *value)
{
    if (c->n_options == CLI_MAX_OPTIONS)
        return fail(ERR_USAGE, "too many options");
    c->options[c->n_options++] = (cli_option_t){name, value};
    return OK;
}

/* Of one that takes a value a command takes several only where they make a list. */
static err_t add_value(cli_t *c, const char *name, const char *value)
{
    static const char *const lists[] = {"advertise", "bootstrap", "cid",   "collectors",
                                        "ignore",    "listen",    "status"};
    bool is_encoding = !strcmp(name, "enc") || !strcmp(name, "encoding");
    bool is_list = false;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        is_list |= !strcmp(lists[i], name);
    bool is_there = is_encoding ? cli_option(c, "enc", 0) || cli_option(c, "encoding", 0)
                                : cli_option(c, name, 0) != NULL;
    if (c->is_kubo && is_there && !is_list)
        return fail(ERR_USAGE, "multiple values for option \"%s\"", is_encoding ? "encoding" : name);
    return add_option(c, name, value);
}

/* One that takes no value, or "true" or "false" behind "=". */
static err_t add_flag(cli_t *c, const char *name, const char *value)
{
    const char *word = bool_word(value);
    if (!word)
        return fail(ERR_USAGE, "strconv.ParseBool: parsing \"%s\": invalid syntax", value);
    if (c->is_kubo && cli_option(c, name, 0))
        return fail(ERR_USAGE, "multiple values for option \"%s\"", name);
    return add_option(c, name, word);
}

/* ── reading the words ───────────────────────────────────────────────────────────────────────── */

typedef struct words {
    char **argv;
    int argc, at;
} words_t;

static err_t read_long(cli_t *c, words_t *w, const cli_command_t *command, const char *word, bool is_before)
{
    const char *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    const cli_spec_t *s = is_before ? find_spec(global_specs, word, len, 0) : NULL;
    if (!s)
        s = any_spec(command, word, len, 0);
    if (!s)
        return c->is_kubo ? fail(ERR_USAGE, "unknown option \"%.*s\"", (int)len, word)
                          : fail(ERR_USAGE, "unknown option --%.*s: see '%s%s%s --help'", (int)len, word,
                                 c->program, command ? " " : "", command ? command->name : "");
    if (!s->takes_value)
        return add_flag(c, s->name, equals ? equals + 1 : "true");
    if (equals)
        return add_value(c, s->name, equals + 1);
    if (w->at + 1 >= w->argc)
        return c->is_kubo ? fail(ERR_USAGE, "missing argument for option \"%.*s\"", (int)len, word)
                          : fail(ERR_USAGE, "option --%s needs a value", s->name);
    return add_value(c, s->name, w->argv[++w->at]);
}

static err_t read_short(cli_t *c, words_t *w, const cli_command_t *command, const char *letters)
{
    const char *word = letters;
    for (; *letters; letters++) {
        const cli_spec_t *s = any_spec(command, NULL, 0, *letters);
        if (!s && c->is_kubo)
            return fail(ERR_USAGE, "unknown option \"%.*s\"", (int)strcspn(word, "="), word);
        if (!s)
            return fail(ERR_USAGE, "unknown option -%c: see '%s%s%s --help'", *letters, c->program,
                        command ? " " : "", command ? command->name : "");
        if (!s->takes_value && letters[1] == '=')
            return add_flag(c, s->name, letters + 2);
        if (!s->takes_value) {
            TRY(add_flag(c, s->name, "true"));
            continue;
        }
        const char *value = letters[1] == '=' ? letters + 2 : letters[1] ? letters + 1 : NULL;
        if (!value && w->at + 1 >= w->argc)
            return c->is_kubo ? fail(ERR_USAGE, "missing argument for option \"%s\"", word)
                              : fail(ERR_USAGE, "option -%c needs a value", *letters);
        return add_value(c, s->name, value ? value : w->argv[++w->at]);
    }
    return OK;
}

/* `fileserver -listen-addr=:3001`: the services of the file service take long options so, too. */
static bool takes_single_dash(const cli_command_t *command, const char *word)
{
    return command && (command->kind == CLI_FILESERVER || command->kind == CLI_METADATA) &&
           find_spec(command->specs, word, strcspn(word, "="), 0);
}

/* Options before the command ("--repo X add") are global ones. Returns where the command's words begin. */
static err_t read_words(cli_t *c, words_t *w, const cli_command_t *command, size_t skip)
{
    bool only_args = false;
    for (w->at = 1; w->at < w->argc; w->at++) {
        char *word = w->argv[w->at];
        if (!only_args && !strcmp(word, "--"))
            only_args = true;
        else if (!only_args && !strncmp(word, "--", 2))
            TRY(read_long(c, w, command, word + 2, skip > 0));
        else if (!only_args && word[0] == '-' && word[1] && takes_single_dash(command, word + 1))
            TRY(read_long(c, w, command, word + 1, skip > 0));
        else if (!only_args && word[0] == '-' && word[1])
            TRY(read_short(c, w, command, word + 1));
        else if (skip)
            skip--;
        else
            c->args[c->n_args++] = word;
    }
    return OK;
}

/* The words that are no options, to find the command by; values of options that take one are passed over. */
static size_t plain_words(int argc, char **argv, char **out)
{
    size_t n = 0;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *word = argv[i];
        if (word[0] != '-') {
            out[n++] = argv[i];
        } else if (word[1] && word[1] != '-' && !word[2]) {
            const cli_spec_t *s = n ? NULL : find_spec(global_specs, NULL, 0, word[1]);
            i += s && s->takes_value;
        } else if (!strncmp(word, "--", 2) && !strchr(word, '=') && word[2]) {
            const cli_spec_t *s = find_spec(global_specs, word + 2, strlen(word + 2), 0);
            i += s && s->takes_value;
        }
    }
    return n;
}

/* ── help ────────────────────────────────────────────────────────────────────────────────────── */

enum { HELP_WIDTH = 78 };

/* In characters, not bytes of UTF-8. */
static int width_of(const char *text, size_t len)
{
    int width = 0;
    for (size_t i = 0; i < len; i++)
        width += (text[i] & 0xc0) != 0x80;
    return width;
}

/* Two columns, the right one broken between words. */
static void print_row(const char *left, int width, const char *right)
{
    int at = 2 + width_of(left, strlen(left));
    printf("  %s", left);
    if (at > 2 + width) {
        printf("\n");
        at = 0;
    }
    printf("%*s", 2 + width - at, "");
    at = 2 + width;
    while (*right) {
        size_t len = strcspn(right, " ");
        int word = width_of(right, len);
        if (at + 1 + word > HELP_WIDTH && at > 2 + width) {
            printf("\n%*s", 2 + width, "");
            at = 2 + width;
        }
        printf(" %.*s", (int)len, right);
        at += 1 + word;
        right += len + strspn(right + len, " ");
    }
    printf("\n");
}

static void print_command_row(const cli_command_t *command)
{
    char left[64];
    snprintf(left, sizeof left, "%s %s", command->name, command->usage);
    print_row(left, 38, command->help);
}

static void print_specs(const cli_spec_t *specs)
{
    for (const cli_spec_t *s = specs; s && s->name; s++) {
        char left[64];
        snprintf(left, sizeof left, "%c%c%s --%s%s", s->letter ? '-' : ' ', s->letter ? s->letter : ' ',
                 s->letter ? "," : " ", s->name, s->takes_value ? "=VALUE" : "");
        print_row(left, 34, s->help);
    }
}

static bool is_below(const cli_command_t *command, const char *group)
{
    size_t len = strlen(group);
    return !strncmp(command->name, group, len) && command->name[len] == ' ';
}

static bool is_group(const cli_t *cli, const char *word)
{
    const cli_command_t *c;
    for (size_t i = 0; (c = cli_command_at(cli, i)); i++)
        if (is_below(c, word))
            return true;
    return false;
}

bool cli_has_command(const cli_t *c, const char *word)
{
    size_t used = 0;
    return is_group(c, word) || find_command(c, (char *[]){(char *)word}, 1, &used);
}

static void print_below(const cli_t *cli, const char *group)
{
    const cli_command_t *c;
    for (size_t i = 0; (c = cli_command_at(cli, i)); i++)
        if (is_below(c, group) && !c->is_alias)
            print_command_row(c);
}

static void print_group_help(const cli_t *c, const char *group)
{
    printf("usage: %s %s COMMAND [options] [arguments]\n\ncommands\n", c->program, group);
    print_below(c, group);
}

static void print_command_help(const cli_t *c, const cli_command_t *command)
{
    printf("usage: %s %s [options]%s%s\n\n%s\n", c->program, command->name, *command->usage ? " " : "",
           command->usage, command->help);
    print_below(c, command->name);
    if (command->specs && command->specs->name) {
        printf("\noptions\n");
        print_specs(command->specs);
    }
    printf("\noptions of every command\n");
    print_specs(global_specs);
}

static void print_help(const cli_t *c)
{
    printf("usage: %s COMMAND [options] [arguments]\n\n"
           "%s.\n\ncommands\n",
           c->program,
           c->is_mesh ? "A private, encrypted store over machines of your own"
                      : "A content-addressed, peer-to-peer storage node that speaks IPFS");
    const cli_command_t *row;
    for (size_t i = 0; (row = cli_command_at(c, i)); i++)
        if (!row->is_alias)
            print_command_row(row);
    printf("\noptions of every command\n");
    print_specs(global_specs);
    printf("\nThe repository is $DISTRIBUTE_PATH, else $IPFS_PATH, else ~/.distribute.\n");
}

/* ── the whole line ──────────────────────────────────────────────────────────────────────────── */

/* Some commands print in a form of their own, whatever the encoding is. */
static bool has_own_print(const cli_t *c, const cli_command_t *command)
{
    const go_answer_t *answer = command && command->rpc ? go_answer_of(command->rpc) : NULL;
    return c->is_kubo && command && ((answer && answer->has_own_print) || !strcmp(command->name, "get"));
}

static err_t read_encoding(cli_t *c, const cli_command_t *command, const char *name)
{
    static const struct {
        const char *name;
        bool wants_json;
        cli_encoding_t encoding;
    } encodings[] = {{"", false, CLI_AS_IT_IS},      {"text", false, CLI_AS_IT_IS},
                     {"json", true, CLI_AS_IT_IS},   {"xml", true, CLI_AS_XML},
                     {"textnl", true, CLI_AS_LINES}, {"octet-stream", true, CLI_AS_BYTES}};
    size_t i = 0;
    while (name && i < ARRAY_LEN(encodings) && strcmp(name, encodings[i].name) != 0)
        i++;
    if (i == ARRAY_LEN(encodings))
        return fail(ERR_USAGE, "invalid encoding: %s", name);
    if (name && !has_own_print(c, command)) {
        c->wants_json = encodings[i].wants_json;
        c->encoding = encodings[i].encoding;
    }
    return OK;
}

static err_t read_globals(cli_t *c, const cli_command_t *command)
{
    const char *enc = cli_option(c, "enc", 0);
    if (!enc)
        enc = cli_option(c, "encoding", 0);
    c->repo_option = cli_option(c, "repo", 0);
    if (!c->repo_option)
        c->repo_option = cli_option(c, "repo-dir", 0);
    c->api_option = cli_option(c, "api", 0);
    c->api_auth = cli_option(c, "api-auth", 0);
    if (command && cli_option(c, "config-file", 0) && !strncmp(command->name, "config ", 7))
        return fail(ERR_UNSUPPORTED, "--config-file: the settings are the repository's: name it with --repo");
    TRY(read_encoding(c, command, enc));
    bool has_own_json = command && find_spec(command->specs, "json", 4, 0); /* config --json KEY VALUE */
    c->wants_json |= !has_own_json && cli_flag(c, "json", false);
    c->is_terminal_out = isatty(STDOUT_FILENO);
    c->is_terminal_err = isatty(STDERR_FILENO);
    return OK;
}

err_t cli_check_args(const cli_t *c, const cli_command_t *command)
{
    if (c->n_args < command->min_args)
        return fail(ERR_USAGE, "%s needs %s: see '%s %s --help'", command->name, command->usage, c->program,
                    command->name);
    size_t most = c->is_kubo && !strcmp(command->name, "get") ? 1 : command->max_args;
    bool is_too_much = c->n_args > most && !(c->words && most == CLI_ANY_ARGS);
    if (is_too_much && c->is_kubo)
        return fail(ERR_USAGE, "expected %zu argument(s), got %zu", most, c->n_args);
    if (is_too_much)
        return fail(ERR_USAGE, "%s: unexpected argument \"%s\"", command->name, c->args[command->max_args]);
    return OK;
}

static const cli_command_t help_command = {.name = "help", .kind = CLI_HELP};

static const cli_command_t *version_command(const cli_t *c)
{
    size_t used = 0;
    char *words[] = {(char *)"version"};
    return find_command(c, words, 1, &used);
}

/* The longest beginning of the words that names a group of commands; how many words that are. */
static size_t join_group(const cli_t *c, char **words, size_t n, char out[128])
{
    char longer[128];
    size_t used = 0, len = 0;
    out[0] = 0;
    for (size_t i = 0; i < n; i++) {
        int more = snprintf(longer + len, sizeof longer - len, "%s%s", i ? " " : "", words[i]);
        if (more < 0 || (size_t)more >= sizeof longer - len || !is_group(c, longer))
            break;
        len += (size_t)more;
        used = i + 1;
        memcpy(out, longer, len + 1);
    }
    return used;
}

static err_t fail_unknown(const cli_t *c, const char *word)
{
    return c->is_kubo ? fail(ERR_USAGE, "Unknown Command \"%s\"", word)
                      : fail(ERR_USAGE, "unknown command \"%s\": see '%s --help'", word, c->program);
}

/* No command: help, of all commands or of the group that was named, or the version. */
static err_t without_command(cli_t *c, char **plain, size_t n_plain, bool asks_help,
                             const cli_command_t **ret_command)
{
    *ret_command = &help_command;
    char joined[128];
    size_t n_words = join_group(c, plain + asks_help, n_plain - asks_help, joined);
    const char *group = n_plain > asks_help ? plain[asks_help] : NULL;
    if (c->n_args > n_plain) /* behind "--" */
        return fail(ERR_USAGE, "expected 0 argument(s), got %zu", c->n_args - n_plain);
    if (n_words && n_words == n_plain - asks_help) {
        print_group_help(c, joined);
        return OK;
    }
    if (n_words)
        return fail(ERR_USAGE, "unknown command \"%s %s\": see '%s %s --help'", joined,
                    plain[asks_help + n_words], c->program, joined);
    if (group)
        return fail_unknown(c, group);
    if (cli_flag(c, "version", false)) {
        *ret_command = version_command(c);
        return OK;
    }
    if (!asks_help && !cli_flag(c, "help", false))
        return fail(ERR_USAGE, "no command given: see '%s --help'", c->program);
    print_help(c);
    return OK;
}

static err_t parse_command(cli_t *c, words_t *w, char **plain, size_t n_plain,
                           const cli_command_t **ret_command)
{
    size_t used = 0;
    bool asks_help = n_plain && !strcmp(plain[0], "help");
    char joined[128];
    const cli_command_t *command = find_command(c, plain + asks_help, n_plain - asks_help, &used);
    if (command && join_group(c, plain + asks_help, n_plain - asks_help, joined) > used)
        command = NULL; /* "pin remote" is no `pin` of something */
    used = command ? used : 0;
    if (!command && n_plain && !is_group(c, plain[asks_help && n_plain > 1]) && !asks_help)
        return fail_unknown(c, plain[0]);
    TRY(read_words(c, w, command, used + asks_help));
    TRY(read_globals(c, command));
    if (!command)
        return without_command(c, plain, n_plain, asks_help, ret_command);
    if (asks_help || cli_flag(c, "help", false)) {
        print_command_help(c, command);
        *ret_command = &help_command;
        return OK;
    }
    if (!command->reads_stdin || isatty(STDIN_FILENO) || c->n_args >= command->min_args)
        TRY(cli_check_args(c, command));
    *ret_command = command;
    return OK;
}

err_t cli_parse(int argc, char **argv, cli_t *ret_cli, const cli_command_t **ret_command)
{
    const char *slash = argc ? strrchr(argv[0], '/') : NULL;
    *ret_cli = (cli_t){.program = slash ? slash + 1 : argc ? argv[0] : "distribute"};
    cli_t *c = ret_cli;
    c->is_kubo = !strcmp(c->program, "ipfs");
    c->is_mesh = !strcmp(c->program, "dfs");
    c->args = xcalloc((size_t)argc + 1, sizeof *c->args);
    char **plain = xcalloc((size_t)argc + 1, sizeof *plain);
    size_t n_plain = plain_words(argc, argv, plain);
    err_t e = parse_command(c, &(words_t){argv, argc, 0}, plain, n_plain, ret_command);
    free(plain);
    return e;
}

void cli_deinit(cli_t *c)
{
    free(c->args);
    free(c->words);
    c->args = NULL;
    c->words = NULL;
}

void cli_print_error(const cli_t *c, err_t e)
{
    fprintf(stderr, "%s: %s\n", c->is_kubo ? "Error" : "error", print_escape(error_text(e)));
}

int cli_exit_code(const cli_t *c, err_t e)
{
    return c->is_kubo && e ? 1 : error_exit_code(e);
}

err_t cli_run(task_t *t, cli_t *c, const cli_command_t *command)
{
    TRY(cli_read_stdin_args(c, command));
    return command->run ? command->run(t, c, command) : cli_run_generic(t, c, command);
}

err_t cli_send(task_t *t, cli_t *c, const cli_command_t *command, const char *target)
{
    return cli_request(t, c, target, cli_printer(command));
}

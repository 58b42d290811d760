#include "loop/line_editor.h"
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

enum { READ_BYTES = 4096, PATHS_READ_MAX = 100000 };

/* What of libedit is used; its symbols are looked up when the first line is edited. */
typedef struct libedit {
    void *library;
    __typeof__(el_init) *init;
    __typeof__(el_end) *end;
    __typeof__(el_set) *set;
    __typeof__(el_wset) *wset;
    __typeof__(el_get) *get;
    __typeof__(el_gets) *read_line;
    __typeof__(el_line) *line;
    __typeof__(el_insertstr) *insertstr;
    __typeof__(el_resize) *resize;
    __typeof__(history) *history;
    __typeof__(history_init) *history_init;
    __typeof__(history_end) *history_end;
} libedit_t;
/* Of the thread that reads: libedit's callbacks get the editor alone, and asking it takes its functions. */
static __thread libedit_t *library;

struct line_editor {
    line_editor_config_t config;
    bool is_interactive, tried;
    libedit_t lib;
    EditLine *el;
    History *history;
    FILE *in, *out;
    const char *prompt;
    bool was_interrupted;
    uint8_t pending[READ_BYTES]; /* read from in_fd, not yet part of a line */
    size_t at, n_pending;
    bool has_ended;
};

/* ── bytes ───────────────────────────────────────────────────────────────────────────────────── */

static void take_wake(line_editor_t *e)
{
    uint64_t count;
    e->was_interrupted = true;
    ssize_t n = read(e->config.wake_fd, &count, sizeof count);
    (void)n;
}

/* ERR_AGAIN: interrupted. ERR_EOF. */
static err_t next_byte(line_editor_t *e, uint8_t *ret_byte)
{
    struct pollfd fds[] = {{e->config.wake_fd, POLLIN, 0}, {e->config.in_fd, POLLIN, 0}};
    while (e->at == e->n_pending) {
        if (e->has_ended)
            return ERR_EOF;
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return fail(ERR_IO, "cannot wait for standard input: %s", strerror(errno));
        if (fds[0].revents) {
            take_wake(e);
            return ERR_AGAIN;
        }
        if (!fds[1].revents)
            continue;
        ssize_t n = read(e->config.in_fd, e->pending, sizeof e->pending);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        e->at = 0;
        e->n_pending = n > 0 ? (size_t)n : 0;
        e->has_ended = n <= 0 && !e->is_interactive; /* at a terminal Ctrl-D ends a line's input alone */
        if (n <= 0)
            return ERR_EOF;
    }
    *ret_byte = e->pending[e->at++];
    return OK;
}

/* libedit's way to read a character: 1, 0 at the end, -1 when it cannot. */
static int next_char(EditLine *el, wchar_t *ret)
{
    void *data = NULL;
    uint8_t byte;
    mbstate_t state = {0};
    library->get(el, EL_CLIENTDATA, &data);
    line_editor_t *e = data;
    for (int i = 0; i < 8; i++) {
        err_t err = next_byte(e, &byte);
        if (err)
            return err == ERR_EOF ? 0 : -1;
        size_t n = mbrtowc(ret, (char *)&byte, 1, &state);
        if (n != (size_t)-2)
            return n == (size_t)-1 ? (*ret = (wchar_t)'?', 1) : 1;
    }
    return -1;
}

/* ── lines without editing ───────────────────────────────────────────────────────────────────── */

static err_t read_plain(line_editor_t *e, buf_t *out)
{
    bool is_too_long = false;
    uint8_t byte;
    for (;;) {
        err_t err = next_byte(e, &byte);
        if (err == ERR_EOF && out->len)
            break;
        if (err)
            return err;
        if (byte == '\n')
            break;
        if (!is_too_long && buf_append_u8(out, byte))
            is_too_long = true;
    }
    if (out->len && out->data[out->len - 1] == '\r')
        out->len--;
    return is_too_long ? fail(ERR_LIMIT, "a line has %d bytes at most", TERMINAL_LINE_MAX) : OK;
}

static void write_text(line_editor_t *e, const char *text)
{
    ssize_t n = write(e->config.out_fd, text, strlen(text));
    (void)n;
}

static err_t read_secret(line_editor_t *e, const char *prompt, buf_t *out)
{
    struct termios shown, hidden;
    bool is_tty = !tcgetattr(e->config.in_fd, &shown);
    write_text(e, prompt);
    if (is_tty) {
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(e->config.in_fd, TCSAFLUSH, &hidden);
    }
    err_t err = read_plain(e, out);
    if (is_tty) {
        tcsetattr(e->config.in_fd, TCSAFLUSH, &shown);
        write_text(e, "\n");
    }
    memset(e->pending, 0, sizeof e->pending);
    e->at = e->n_pending = 0;
    return err;
}

/* ── completion ──────────────────────────────────────────────────────────────────────────────── */

/* Names in the folder that the word is in. */
static void add_paths(const char *word, terminal_words_t *words)
{
    const char *slash = strrchr(word, '/'), *name = slash ? slash + 1 : word;
    char folder[2048], path[4096];
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - word + 1) : 0, word);
    DIR *dir = opendir(*folder ? folder : ".");
    struct dirent *entry;
    for (int i = 0; dir && i < PATHS_READ_MAX && (entry = readdir(dir)); i++) {
        struct stat st;
        if (strncmp(entry->d_name, name, strlen(name)) != 0 || (entry->d_name[0] == '.' && name[0] != '.'))
            continue;
        snprintf(path, sizeof path, "%s%s", folder, entry->d_name);
        if (!stat(path, &st) && S_ISDIR(st.st_mode))
            strncat(path, "/", sizeof path - strlen(path) - 1);
        terminal_words_add(words, path, word);
    }
    if (dir)
        closedir(dir);
}

static size_t common_length(const terminal_words_t *w)
{
    size_t n = strlen(w->list[0]);
    for (size_t i = 1; i < w->count; i++)
        for (size_t k = 0; k < n; k++)
            if (w->list[0][k] != w->list[i][k])
                n = k;
    while (n && ((unsigned char)w->list[0][n] & 0xc0) == 0x80)
        n--; /* not within a character */
    return n;
}

static void show_words(line_editor_t *e, const terminal_words_t *w)
{
    write_text(e, "\n");
    for (size_t i = 0; i < w->count; i++) {
        for (const char *p = w->list[i]; *p; p++) /* names of files may hold anything */
            write_text(e, (unsigned char)*p < 0x20 || *p == 0x7f ? "?" : (char[]){*p, 0});
        write_text(e, "  ");
    }
    write_text(e, "\n");
}

static unsigned char complete(EditLine *el, int key)
{
    libedit_t *lib = library;
    void *data = NULL;
    lib->get(el, EL_CLIENTDATA, &data);
    line_editor_t *e = data;
    const LineInfo *info = lib->line(el);
    char *line = strndup(info->buffer, (size_t)(info->cursor - info->buffer));
    if (!line)
        return CC_ERROR;
    char *space = strrchr(line, ' ');
    const char *word = space ? space + 1 : line;
    AUTO(terminal_words_t) words = {0};
    e->config.complete(e->config.arg, line, &words);
    if (words.has_paths)
        add_paths(word, &words);
    unsigned char result = CC_ERROR;
    size_t typed = strlen(word), common = words.count ? common_length(&words) : 0;
    if (common > typed) {
        char *more = strndup(words.list[0] + typed, common - typed);
        result = more && !lib->insertstr(el, more) ? CC_REFRESH : CC_ERROR;
        free(more);
    }
    if (words.count == 1 && common && words.list[0][common - 1] != '/') {
        lib->insertstr(el, " ");
        result = CC_REFRESH;
    } else if (words.count > 1 && common == typed) {
        show_words(e, &words);
        result = CC_REDISPLAY;
    }
    free(line);
    return result;
}

/* ── libedit ─────────────────────────────────────────────────────────────────────────────────── */

static bool load(libedit_t *lib)
{
    static const char *const names[] = {"libedit.so.2", "libedit.so.0", "libedit.so"};
    for (size_t i = 0; i < ARRAY_LEN(names) && !lib->library; i++)
        lib->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!lib->library)
        return false;
    const struct {
        const char *name;
        void **to;
    } symbols[] = {
        {"el_init", (void **)&lib->init},
        {"el_end", (void **)&lib->end},
        {"el_set", (void **)&lib->set},
        {"el_wset", (void **)&lib->wset},
        {"el_get", (void **)&lib->get},
        {"el_gets", (void **)&lib->read_line},
        {"el_line", (void **)&lib->line},
        {"el_insertstr", (void **)&lib->insertstr},
        {"el_resize", (void **)&lib->resize},
        {"history", (void **)&lib->history},
        {"history_init", (void **)&lib->history_init},
        {"history_end", (void **)&lib->history_end},
    };
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++)
        if (!(*symbols[i].to = dlsym(lib->library, symbols[i].name)))
            return false;
    return true;
}

static const char *current_prompt(EditLine *el)
{
    void *data = NULL;
    library->get(el, EL_CLIENTDATA, &data);
    return ((line_editor_t *)data)->prompt;
}

static void open_history(line_editor_t *e)
{
    HistEvent event;
    e->history = e->lib.history_init();
    if (!e->history)
        return;
    e->lib.history(e->history, &event, H_SETSIZE, TERMINAL_HISTORY_MAX);
    e->lib.history(e->history, &event, H_SETUNIQUE, 1);
    if (e->config.history_path)
        e->lib.history(e->history, &event, H_LOAD, e->config.history_path);
    e->lib.set(e->el, EL_HIST, e->lib.history, e->history);
}

/* Once, at the first line that is edited. False: lines are read as they come. */
static bool open_editor(line_editor_t *e)
{
    library = &e->lib;
    if (e->tried)
        return e->el != NULL;
    e->tried = true;
    if (!load(&e->lib))
        return false;
    e->in = fdopen(dup(e->config.in_fd), "r");
    e->out = fdopen(dup(e->config.out_fd), "w");
    e->el = e->in && e->out ? e->lib.init("dfs", e->in, e->out, e->out) : NULL;
    if (!e->el)
        return false;
    e->lib.set(e->el, EL_CLIENTDATA, e);
    e->lib.set(e->el, EL_PROMPT, current_prompt);
    e->lib.set(e->el, EL_EDITOR, "emacs");
    e->lib.set(e->el, EL_GETCFN, next_char);
    open_history(e);
    if (e->config.complete) {
        e->lib.wset(e->el, EL_ADDFN, L"complete", L"complete a word", complete); /* keeps the texts */
        e->lib.set(e->el, EL_BIND, "^I", "complete", NULL);
    }
    e->lib.set(e->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    return true;
}

static err_t read_edited(line_editor_t *e, const char *prompt, buf_t *out)
{
    int n = 0;
    e->prompt = prompt;
    e->was_interrupted = false;
    e->lib.resize(e->el);
    const char *line = e->lib.read_line(e->el, &n);
    if (!line || n <= 0) {
        write_text(e, "\n");
        return e->was_interrupted ? ERR_AGAIN : ERR_EOF;
    }
    while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
        n--;
    return buf_append(out, bytes_of((const uint8_t *)line, (size_t)n));
}

/* ── the interface ───────────────────────────────────────────────────────────────────────────── */

line_editor_t *line_editor_new(const line_editor_config_t *c)
{
    line_editor_t *e = xcalloc(1, sizeof *e);
    e->config = *c;
    const char *kind = getenv("TERM");
    e->is_interactive = isatty(c->in_fd) && isatty(c->out_fd);
    e->tried = !e->is_interactive || !kind || !strcmp(kind, "dumb");
    return e;
}

bool line_editor_is_interactive(const line_editor_t *e)
{
    return e->is_interactive;
}

err_t line_editor_read(line_editor_t *e, const char *prompt, terminal_mode_t mode, buf_t *out)
{
    if (mode == TERMINAL_SECRET)
        return read_secret(e, prompt, out);
    if (open_editor(e))
        return read_edited(e, prompt, out);
    if (e->is_interactive)
        write_text(e, prompt);
    return read_plain(e, out);
}

void line_editor_remember(line_editor_t *e, const char *line)
{
    HistEvent event;
    if (e->history)
        e->lib.history(e->history, &event, H_ENTER, line);
}

static void save_history(line_editor_t *e)
{
    HistEvent event;
    int fd = open(e->config.history_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (f) {
        e->lib.history(e->history, &event, H_SAVE_FP, f);
        fclose(f);
    }
}

void line_editor_free(line_editor_t *e)
{
    if (!e)
        return;
    if (e->history && e->config.history_path)
        save_history(e);
    if (e->el)
        e->lib.end(e->el);
    if (e->history)
        e->lib.history_end(e->history);
    if (e->in)
        fclose(e->in);
    if (e->out)
        fclose(e->out);
    free(e); /* the library stays: libtinfo below it keeps what it has read for ever */
}

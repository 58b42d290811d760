/* uv_terminal: standard input as task/terminal.h. Reading blocks (an editor waits for the rest of a key's
 * sequence), so it has a thread of its own, which asks the loop for completions and tells it of lines. */
#include "base/bytes.h"
#include "loop/line_editor.h"
#include "loop/uv_internal.h"
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef enum { READER_IDLE, READER_ASKED, READER_READS, READER_DONE } reader_state_t;
typedef struct uv_terminal {
    terminal_t base;
    uv_driver_t *d;
    terminal_config_t config;
    char *history_path;
    line_editor_t *editor;
    int wake_fd;
    pthread_t thread;
    bool has_thread;
    event_t changed; /* a line is there, or a post has run */
    size_t posts;    /* under lock: posted to the loop, and not run yet */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* under lock */
    reader_state_t state;
    bool is_closing;
    char *prompt, *remembered; /* owned */
    terminal_mode_t mode;
    buf_t line;
    err_t result;
    error_slot_t why;
    const char *to_complete; /* the thread waits for words */
    terminal_words_t words;
} uv_terminal_t;
static bool is_open;

/* ── on the thread ───────────────────────────────────────────────────────────────────────────── */

/* On the loop: what the thread has posted. */
static void on_post(void *arg)
{
    uv_terminal_t *x = arg;
    pthread_mutex_lock(&x->lock);
    x->posts--;
    const char *line = x->to_complete;
    pthread_mutex_unlock(&x->lock);
    if (line) { /* the thread waits, and touches neither */
        x->config.complete(x->config.arg, line, &x->words);
        pthread_mutex_lock(&x->lock);
        x->to_complete = NULL;
        pthread_cond_broadcast(&x->wake);
        pthread_mutex_unlock(&x->lock);
    }
    event_fire(&x->changed);
}

/* With the lock held. */
static void post_to_loop(uv_terminal_t *x)
{
    x->posts++;
    driver_post(&x->d->base, on_post, x);
}

static void complete_on_loop(void *arg, const char *line, terminal_words_t *ret)
{
    uv_terminal_t *x = arg;
    pthread_mutex_lock(&x->lock);
    if (!x->is_closing) {
        x->to_complete = line;
        post_to_loop(x);
        while (x->to_complete)
            pthread_cond_wait(&x->wake, &x->lock);
        *ret = x->words;
        x->words = (terminal_words_t){0};
    }
    pthread_mutex_unlock(&x->lock);
}

static void *read_lines(void *arg)
{
    uv_terminal_t *x = arg;
    pthread_mutex_lock(&x->lock);
    while (!x->is_closing) {
        if (x->state != READER_ASKED) {
            pthread_cond_wait(&x->wake, &x->lock);
            continue;
        }
        x->state = READER_READS;
        char *remembered = x->remembered;
        x->remembered = NULL;
        pthread_mutex_unlock(&x->lock);
        if (remembered)
            line_editor_remember(x->editor, remembered);
        free(remembered);
        err_t e = line_editor_read(x->editor, x->prompt, x->mode, &x->line);
        pthread_mutex_lock(&x->lock);
        x->result = e;
        x->why = *error_slot();
        x->state = READER_DONE;
        post_to_loop(x);
    }
    pthread_mutex_unlock(&x->lock);
    return NULL;
}

/* ── on the loop ─────────────────────────────────────────────────────────────────────────────── */

static void wake_reader(uv_terminal_t *x)
{
    uint64_t one = 1;
    ssize_t n = write(x->wake_fd, &one, sizeof one);
    (void)n;
}

static reader_state_t state_of(uv_terminal_t *x)
{
    pthread_mutex_lock(&x->lock);
    reader_state_t state = x->state;
    pthread_mutex_unlock(&x->lock);
    return state;
}

static err_t start_thread(uv_terminal_t *x)
{
    if (x->has_thread)
        return OK;
    int errnum = pthread_create(&x->thread, NULL, read_lines, x);
    x->has_thread = !errnum;
    return errnum ? fail(ERR_LIMIT, "no thread for the terminal: %s", strerror(errnum)) : OK;
}

static err_t wait_done(task_t *t, uv_terminal_t *x)
{
    while (state_of(x) != READER_DONE)
        TRY(event_wait(t, &x->changed));
    return OK;
}

static void drain_wake(uv_terminal_t *x)
{
    uint64_t count;
    ssize_t n = read(x->wake_fd, &count, sizeof count);
    (void)n;
}

static err_t read_line(task_t *t, terminal_t *base, const char *prompt, terminal_mode_t mode, buf_t *out)
{
    uv_terminal_t *x = (uv_terminal_t *)base;
    TRY(task_check(t));
    TRY(start_thread(x));
    drain_wake(x); /* an interruption that came when the last line was whole */
    free(x->prompt);
    x->prompt = xstrdup(prompt);
    x->mode = mode;
    buf_clear(&x->line);
    pthread_mutex_lock(&x->lock);
    x->state = READER_ASKED;
    pthread_cond_broadcast(&x->wake);
    pthread_mutex_unlock(&x->lock);
    err_t e = wait_done(t, x);
    if (e) {
        task_shield(t);
        wake_reader(x);
        if (wait_done(t, x))
            assert(!"a shielded wait ended");
        task_unshield(t);
    }
    pthread_mutex_lock(&x->lock); /* the thread waits */
    x->state = READER_IDLE;
    pthread_mutex_unlock(&x->lock);
    if (!e && x->result) {
        *error_slot() = x->why;
        e = x->result;
    }
    if (!e)
        e = buf_append(out, buf_bytes(&x->line));
    secret_wipe(x->line.data, x->line.len);
    return e;
}

static void remember(terminal_t *base, const char *line)
{
    uv_terminal_t *x = (uv_terminal_t *)base;
    pthread_mutex_lock(&x->lock);
    free(x->remembered);
    x->remembered = xstrdup(line);
    pthread_mutex_unlock(&x->lock);
}

static void interrupt(terminal_t *base)
{
    uv_terminal_t *x = (uv_terminal_t *)base;
    reader_state_t state = state_of(x);
    if (state == READER_ASKED || state == READER_READS)
        wake_reader(x);
}

static void wait_posts(task_t *t, uv_terminal_t *x)
{
    for (;;) {
        pthread_mutex_lock(&x->lock);
        size_t posts = x->posts;
        pthread_mutex_unlock(&x->lock);
        if (!posts || event_wait(t, &x->changed))
            return;
    }
}

static void close_terminal(task_t *t, terminal_t *base)
{
    uv_terminal_t *x = (uv_terminal_t *)base;
    task_shield(t);
    pthread_mutex_lock(&x->lock);
    x->is_closing = true;
    pthread_cond_broadcast(&x->wake);
    pthread_mutex_unlock(&x->lock);
    wait_posts(t, x);
    if (x->has_thread)
        pthread_join(x->thread, NULL);
    wait_posts(t, x);
    task_unshield(t);
    if (x->remembered)
        line_editor_remember(x->editor, x->remembered);
    line_editor_free(x->editor);
    close(x->wake_fd);
    pthread_mutex_destroy(&x->lock);
    pthread_cond_destroy(&x->wake);
    buf_deinit(&x->line);
    terminal_words_deinit(&x->words);
    free(x->prompt);
    free(x->remembered);
    free(x->history_path);
    x->d->open_count--;
    free(x);
    is_open = false;
}

static const terminal_ops_t terminal_ops = {read_line, remember, interrupt, close_terminal};

err_t uv_terminal_open(driver_t *d, const terminal_config_t *c, terminal_t **ret)
{
    if (is_open)
        return fail(ERR_IN_USE, "standard input is read already");
    int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0)
        return fail(error_from_errno(errno), "no descriptor for the terminal: %s", strerror(errno));
    setlocale(LC_CTYPE, "C.UTF-8"); /* what the editor takes for a character */
    uv_terminal_t *x = xcalloc(1, sizeof *x);
    x->base.ops = &terminal_ops;
    x->d = uv_driver_of(d);
    x->config = *c;
    x->history_path = c->history_path ? xstrdup(c->history_path) : NULL;
    x->wake_fd = wake_fd;
    event_init(&x->changed);
    pthread_mutex_init(&x->lock, NULL);
    pthread_cond_init(&x->wake, NULL);
    buf_init(&x->line, TERMINAL_LINE_MAX);
    x->editor = line_editor_new(&(line_editor_config_t){.in_fd = STDIN_FILENO,
                                                        .out_fd = STDOUT_FILENO,
                                                        .wake_fd = wake_fd,
                                                        .history_path = x->history_path,
                                                        .complete = c->complete ? complete_on_loop : NULL,
                                                        .arg = x});
    x->base.is_interactive = line_editor_is_interactive(x->editor);
    x->d->open_count++;
    is_open = true;
    *ret = &x->base;
    return OK;
}

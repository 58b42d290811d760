#include "task/fiber.h"
#include "base/bytes.h"
#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define HAS_ASAN 1
#else
#define HAS_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#include <sanitizer/tsan_interface.h>
#define HAS_TSAN 1
#else
#define HAS_TSAN 0
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define HAS_VALGRIND 1
#else
#define HAS_VALGRIND 0
#endif

/* With _FORTIFY_SOURCE, longjmp refuses to go to a "higher" frame; another stack is no frame. */
_Noreturn extern void longjmp_unchecked(jmp_buf, int) __asm__("_longjmp");

enum {
    STACK_BYTES = HAS_ASAN || HAS_TSAN ? 1 << 20 : 256 << 10,
    IDLE_MAX = 64,      /* stacks in the pool */
    IDLE_WARM_MAX = 16, /* of those, with their pages */
};

struct fiber {
    list_t node;
    jmp_buf here, back; /* where the fiber stopped; where its enterer waits */
    char *map;          /* guard page first */
    size_t map_len;
    void (*fn)(void *);
    void *arg;
    bool is_entered, is_done;
    bool is_running; /* its trampoline stands on the stack, for this function or the next */
    void *own_fake_stack, *enterer_fake_stack; /* ASan */
    const void *enterer_stack;
    size_t enterer_stack_len;
    void *tsan_fiber, *tsan_enterer;
    unsigned valgrind_id;
};

static size_t page_size(void)
{
    static size_t size;
    return size ? size : (size = (size_t)sysconf(_SC_PAGESIZE));
}

/* ── what the sanitizers want to know ────────────────────────────────────────────────────────── */
static void before_enter(fiber_t *f)
{
#if HAS_ASAN
    __sanitizer_start_switch_fiber(&f->enterer_fake_stack, f->map + page_size(), f->map_len - page_size());
#endif
#if HAS_TSAN
    f->tsan_enterer = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(f->tsan_fiber, 0);
#endif
    (void)f;
}

static void after_enter(fiber_t *f)
{
#if HAS_ASAN
    __sanitizer_finish_switch_fiber(f->enterer_fake_stack, NULL, NULL);
#endif
    (void)f;
}

/* An ending fiber saves no fake stack, so that ASan frees it. */
static void before_leave(fiber_t *f, bool is_ending)
{
#if HAS_ASAN
    __sanitizer_start_switch_fiber(is_ending ? NULL : &f->own_fake_stack, f->enterer_stack,
                                   f->enterer_stack_len);
#endif
#if HAS_TSAN
    __tsan_switch_to_fiber(f->tsan_enterer, 0);
#endif
    (void)f;
    (void)is_ending;
}

static void after_leave(fiber_t *f)
{
#if HAS_ASAN
    __sanitizer_finish_switch_fiber(f->own_fake_stack, &f->enterer_stack, &f->enterer_stack_len);
#endif
    (void)f;
}

/* ── memory ──────────────────────────────────────────────────────────────────────────────────── */
static void unmap(fiber_t *f)
{
#if HAS_VALGRIND
    VALGRIND_STACK_DEREGISTER(f->valgrind_id);
#endif
    munmap(f->map, f->map_len);
    free(f);
}

static fiber_t *map_new(void)
{
    fiber_t *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->map_len = STACK_BYTES + page_size();
    f->map = mmap(NULL, f->map_len, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (f->map == MAP_FAILED) {
        free(f);
        return NULL;
    }
#if HAS_VALGRIND
    f->valgrind_id = VALGRIND_STACK_REGISTER(f->map + page_size(), f->map + f->map_len);
#endif
    if (mprotect(f->map, page_size(), PROT_NONE)) {
        unmap(f);
        return NULL;
    }
    return f;
}

void fiber_pool_init(fiber_pool_t *p)
{
    list_init(&p->idle);
    p->idle_count = p->warm_count = 0;
}

void fiber_pool_deinit(fiber_pool_t *p)
{
    LIST_EACH (f, &p->idle, fiber_t, node) {
        list_remove(&f->node);
        unmap(f);
    }
    p->idle_count = p->warm_count = 0;
}

err_t fiber_new(fiber_pool_t *p, void (*fn)(void *arg), void *arg, fiber_t **ret_fiber)
{
    fiber_t *f = LIST_FIRST(&p->idle, fiber_t, node);
    if (f) {
        list_remove(&f->node);
        p->idle_count--;
        p->warm_count -= p->warm_count > 0;
    } else if (!(f = map_new()))
        return fail(ERR_NO_MEMORY, "no memory for the stack of a task: %s", strerror(errno));
    f->fn = fn;
    f->arg = arg;
    f->is_entered = f->is_done = false;
#if HAS_TSAN
    f->tsan_fiber = __tsan_create_fiber(0);
#endif
    *ret_fiber = f;
    return OK;
}

/* Without its pages a stack has no trampoline to go on with; TSan knows a fiber by its history. */
static void make_cold(fiber_t *f)
{
    f->is_running = false;
#if HAS_ASAN
    __asan_unpoison_memory_region(f->map + page_size(), f->map_len - page_size());
#endif
    madvise(f->map + page_size(), f->map_len - page_size(), MADV_DONTNEED);
}

void fiber_free(fiber_pool_t *p, fiber_t *f)
{
    assert(f->is_done || !f->is_entered);
#if HAS_TSAN
    __tsan_destroy_fiber(f->tsan_fiber);
    f->is_running = false;
#endif
    if (p->idle_count >= IDLE_MAX) {
        unmap(f);
        return;
    }
    p->idle_count++;
    if (p->warm_count < IDLE_WARM_MAX) {
        p->warm_count++;
        list_push_front(&p->idle, &f->node);
    } else {
        make_cold(f);
        list_push_back(&p->idle, &f->node);
    }
}

/* ── switching ───────────────────────────────────────────────────────────────────────────────── */
/* makecontext passes ints, so the pointer comes in halves. A warm stack runs the next function from
 * here: that saves making a context, which costs two system calls. */
static void trampoline(unsigned high, unsigned low)
{
    fiber_t *f = (fiber_t *)(((uintptr_t)high << 32) | low);
    for (;;) {
        f->own_fake_stack = NULL;
        after_leave(f);
        f->fn(f->arg);
        f->is_done = true;
        if (!_setjmp(f->here)) {
            before_leave(f, true);
            longjmp_unchecked(f->back, 1);
        }
    }
}

/* The context is not on the stack: this frame is left by a jump, which ASan would not see. */
static void start(fiber_t *f)
{
    static _Thread_local ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = f->map + page_size();
    context.uc_stack.ss_size = f->map_len - page_size();
    context.uc_link = NULL;
    makecontext(&context, (void (*)(void))trampoline, 2, (unsigned)((uint64_t)(uintptr_t)f >> 32),
                (unsigned)(uintptr_t)f);
    setcontext(&context);
    abort(); /* setcontext does not return */
}

void fiber_enter(fiber_t *f)
{
    assert(!f->is_done);
    if (!_setjmp(f->back)) {
        bool is_running = f->is_running;
        f->is_running = f->is_entered = true;
        before_enter(f);
        if (is_running)
            longjmp_unchecked(f->here, 1);
        start(f);
    }
    after_enter(f);
}

void fiber_leave(fiber_t *f)
{
    if (!_setjmp(f->here)) {
        before_leave(f, false);
        longjmp_unchecked(f->back, 1);
    }
    after_leave(f);
}

bool fiber_is_done(const fiber_t *f)
{
    return f->is_done;
}

size_t fiber_stack_used(const fiber_t *f)
{
    enum { PAGES_MAX = 1024 };
    unsigned char resident[PAGES_MAX];
    size_t pages = f->map_len / page_size(), first = 1;
    if (pages > PAGES_MAX || mincore(f->map, f->map_len, resident))
        return 0;
    while (first < pages && !(resident[first] & 1))
        first++;
    return (pages - first) * page_size();
}

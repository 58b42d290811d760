#include "loop/memory.h"
#include "loop/uv_direct.h"
#include <malloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

enum { HEAP_MAX_BUFFER = 4 << 20, HEAP_KEEPS = 24 << 20 };
enum { FIRST_MS = 1500, EVERY_MS = 1000, IDLE_CPU_MS = 20, BUSY_CPU_MS = 50 };

/* Only code, and files that are mapped read-only and shared, as the index of blocks is: they are never
 * written to, so that dropping a page loses nothing. Read-only data may have been relocated, and is left
 * alone. */
static void drop_file_pages(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        char permissions[8], path[256] = "";
        if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &from, &to, permissions, path) >= 3 &&
            (!memcmp(permissions, "r-xp", 4) || !memcmp(permissions, "r--s", 4)) && path[0] == '/')
            (void)madvise((void *)from, to - from, MADV_DONTNEED);
    }
    if (maps)
        fclose(maps);
}

void memory_set_up(void)
{
    mallopt(M_MMAP_THRESHOLD, HEAP_MAX_BUFFER);
    mallopt(M_TRIM_THRESHOLD, HEAP_KEEPS); /* memory_give_back takes the rest when the node is idle */
}

void memory_give_back(void)
{
    direct_give_back();
    malloc_trim(0);
    drop_file_pages();
}

static uint64_t cpu_ms(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

err_t memory_keeper(task_t *t, void *arg)
{
    TRY(task_sleep(t, FIRST_MS));
    memory_give_back();
    uint64_t before = cpu_ms(), given_back_at = before;
    for (;;) {
        TRY(task_sleep(t, EVERY_MS));
        uint64_t now = cpu_ms();
        /* Idle in this period, and there was work since the last time. */
        if (now - before < IDLE_CPU_MS && now - given_back_at > BUSY_CPU_MS) {
            memory_give_back();
            given_back_at = cpu_ms();
        }
        before = now;
    }
}

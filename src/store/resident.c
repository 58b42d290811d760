#include "store/resident.h"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

size_t resident_of_files(void)
{
    char text[128], *at = text;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    for (int i = 0; i < 2; i++) /* size and resident come before it */
        (void)strtoull(at, &at, 10);
    return (size_t)strtoull(at, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

void resident_init(resident_t *r, const void *inside)
{
    char line[512];
    uintptr_t place = (uintptr_t)inside;
    r->from = NULL;
    r->bytes = 0;
    atomic_init(&r->touches, 0);
    atomic_init(&r->counted, resident_of_files());
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && !r->from && fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        char permissions[8];
        if (sscanf(line, "%lx-%lx %7s", &from, &to, permissions) == 3 && !memcmp(permissions, "r--s", 4) &&
            place >= from && place < to) {
            r->from = (char *)inside - (place - from);
            r->bytes = to - from;
        }
    }
    if (maps)
        fclose(maps);
}

void resident_touch(resident_t *r)
{
    unsigned touches = atomic_fetch_add_explicit(&r->touches, 1, memory_order_relaxed) + 1;
    if (touches % RESIDENT_CHECK_EVERY || !r->from)
        return;
    size_t now = resident_of_files();
    size_t counted = atomic_load_explicit(&r->counted, memory_order_relaxed);
    if (now < counted)
        atomic_store_explicit(&r->counted, now, memory_order_relaxed);
    if (now <= counted + RESIDENT_MAX_BYTES)
        return;
    (void)madvise(r->from, r->bytes, MADV_DONTNEED);
    atomic_store_explicit(&r->counted, resident_of_files(), memory_order_relaxed);
}

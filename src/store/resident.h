/* resident: keeps what is resident of a file's read-only mapping within a bound. The pages stay in the page
 * cache; what is let go of is mapped anew when it is touched, for a microsecond. Without it a process that
 * looks up here and there ends up with the whole file in its resident memory, however large the file.
 *
 * Known by what the process has resident of all files (/proc/self/statm): where there is no /proc, nothing
 * is done. Any thread. */
#ifndef STORE_RESIDENT_H
#define STORE_RESIDENT_H
#include <stdatomic.h>
#include <stddef.h>

#define RESIDENT_MAX_BYTES ((size_t)8 << 20)
#define RESIDENT_CHECK_EVERY 32 /* touches; the kernel maps up to 64 KiB around each */

typedef struct resident {
    char *from;            /* NULL: nothing is done */
    size_t bytes;          /* of the mapping */
    atomic_uint touches;   /* wraps */
    atomic_size_t counted; /* bytes of files, when it was let go of the last time */
} resident_t;
/* The mapping that `inside` lies in; it must be read-only and shared, and must outlive r. */
void resident_init(resident_t *r, const void *inside);
/* For each look-up in it: one in RESIDENT_CHECK_EVERY checks the bound. */
void resident_touch(resident_t *r);
size_t resident_of_files(void); /* bytes, of the process; 0: not known */
#endif

/* folder: a folder of its own for a test on the real disk. */
#ifndef TESTS_CRASH_FOLDER_H
#define TESTS_CRASH_FOLDER_H
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_MAX 512

static inline void test_folder_make(char out[FOLDER_MAX])
{
    const char *parent = getenv("TMPDIR");
    snprintf(out, FOLDER_MAX, "%s/distribute-test-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(out))
        abort();
}

static inline int test_folder_remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    return remove(path);
}

static inline void test_folder_remove(const char *folder)
{
    nftw(folder, test_folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
#endif

#include "store/sqlite_shared.h"
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

enum { POPULATE_WRITE = 23 }; /* MADV_POPULATE_WRITE, which older headers lack */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const sqlite3_io_methods *whole; /* of SQLite; set once */
static sqlite3_io_methods ours;

/* Faults in what is mapped: where a write would be a bus error, that is an error here. A region stays mapped
 * by SQLite all the same, so that it is tried anew whoever asks for it, at the last checkpoint of a
 * connection that failed, too. */
static int map(sqlite3_file *file, int region, int size, int extend, void volatile **ret)
{
    int rc = whole->xShmMap(file, region, size, extend, ret);
    if (rc || !*ret || !madvise((void *)*ret, (size_t)size, POPULATE_WRITE) || errno != EFAULT)
        return rc;
    *ret = NULL;
    return SQLITE_FULL;
}

void sqlite_shared_reserve(sqlite3 *db)
{
    sqlite3_file *file = NULL;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) || !file || !file->pMethods ||
        file->pMethods->iVersion < 2)
        return;
    pthread_mutex_lock(&lock);
    if (!whole) {
        whole = file->pMethods;
        ours = *whole;
        ours.xShmMap = map;
    }
    if (file->pMethods == whole)
        file->pMethods = &ours;
    pthread_mutex_unlock(&lock);
}

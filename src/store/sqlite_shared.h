/* sqlite_shared: the memory that connections of SQLite share beside a write-ahead log, on a full disk.
 *
 * It is a mapped file. SQLite writes one byte of every 4 KiB, so that they have room on the disk; where the
 * blocks of the file system are smaller, the rest are holes, and writing to one of them on a full disk is a
 * bus error, which ends the process. */
#ifndef STORE_SQLITE_SHARED_H
#define STORE_SQLITE_SHARED_H
#include <sqlite3.h>

/* To be called of each new connection, before its first statement: from then on what is mapped has room on
 * the disk, and where there is none it is SQLITE_FULL. Where the system cannot tell (Linux before 5.14, a
 * file system of another kind), nothing changes. */
void sqlite_shared_reserve(sqlite3 *db);
#endif

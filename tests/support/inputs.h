/* inputs: the bytes and directories that vectors name, made again from their recipes (the vectors'
 * README). Unknown recipes abort the test.
 *
 *   zero:N  mod251:N  hex:H  ctr:SEED:N  cc20:SEED:N, also behind named:NAME= or stdin=
 *   dir:X   an entry of unixfs-dirs.json */
#ifndef TESTS_SUPPORT_INPUTS_H
#define TESTS_SUPPORT_INPUTS_H
#include "base/bytes.h"

typedef struct inputs inputs_t;
inputs_t *inputs_open(const char *spec); /* owned */
uint64_t inputs_size(const inputs_t *in);
/* The next bytes, at most cap; 0 at the end only. */
size_t inputs_read(inputs_t *in, uint8_t *out, size_t cap);
void inputs_close(inputs_t *in);
/* All of a small input, appended to out. */
void inputs_append(const char *spec, buf_t *out);
/* "hello.txt" of named:hello.txt=…; NULL when the recipe names none. Copied to out. */
const char *inputs_name(const char *spec, char *out, size_t cap);

typedef struct inputs_entry {
    enum { INPUTS_FILE, INPUTS_DIR, INPUTS_SYMLINK } kind;
    bytes_t path;       /* with slashes, below the directory; any bytes */
    const char *data;   /* file: a recipe for inputs_open */
    const char *target; /* symlink */
    uint32_t mode;      /* 0 when not given */
    bool has_mtime;
    int64_t mtime_s;
    uint32_t mtime_ns;
} inputs_entry_t;

typedef struct inputs_dir inputs_dir_t;
inputs_dir_t *inputs_dir_open(const char *spec); /* "dir:nested" or "nested"; owned */
/* Parents come before what they hold. The entry's pointers are valid until the next call. */
bool inputs_dir_next(inputs_dir_t *d, inputs_entry_t *ret_entry);
/* Of the directory itself: mode, mtime. */
void inputs_dir_root(const inputs_dir_t *d, inputs_entry_t *ret_entry);
void inputs_dir_close(inputs_dir_t *d);
#endif

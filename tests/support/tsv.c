#include "tests/support/tsv.h"
#include <stdio.h>
#include <stdlib.h>

enum { MAX_COLUMNS = 32 };
struct tsv {
    FILE *file;
    char *header, *line;
    size_t header_cap, line_cap;
    const char *columns[MAX_COLUMNS], *fields[MAX_COLUMNS];
    size_t n_columns, n_fields, row;
};

static size_t split(char *line, const char **ret_fields)
{
    size_t n = 0;
    line[strcspn(line, "\r\n")] = 0;
    for (char *p = line;; p++) {
        assert(n < MAX_COLUMNS);
        ret_fields[n++] = p;
        p = strchr(p, '\t');
        if (!p)
            return n;
        *p = 0;
    }
}

const char *vector_path(const char *name, char *out, size_t cap)
{
    const char *root = getenv("TEST_ROOT");
    snprintf(out, cap, "%s/tests/vectors/%s", root ? root : ".", name);
    return out;
}

void vector_read(const char *name, buf_t *out)
{
    char path[512];
    uint8_t chunk[4096];
    FILE *f = fopen(vector_path(name, path, sizeof path), "rb");
    buf_clear(out);
    err_t e = f ? OK : ERR_NOT_FOUND;
    for (size_t n; !e && (n = fread(chunk, 1, sizeof chunk, f));)
        e = buf_append(out, bytes_of(chunk, n));
    if (e) {
        fprintf(stderr, "cannot read %s\n", path);
        abort();
    }
    fclose(f);
}

tsv_t *tsv_open(const char *name)
{
    char path[512];
    tsv_t *v = xcalloc(1, sizeof *v);
    v->file = fopen(vector_path(name, path, sizeof path), "r");
    if (!v->file || getline(&v->header, &v->header_cap, v->file) <= 0) {
        fprintf(stderr, "cannot read %s\n", path);
        abort();
    }
    v->n_columns = split(v->header, v->columns);
    return v;
}

bool tsv_next(tsv_t *v)
{
    if (getline(&v->line, &v->line_cap, v->file) <= 0)
        return false;
    v->n_fields = split(v->line, v->fields);
    v->row++;
    return true;
}

const char *tsv_get(tsv_t *v, const char *column)
{
    for (size_t i = 0; i < v->n_columns; i++)
        if (!strcmp(v->columns[i], column))
            return i < v->n_fields ? v->fields[i] : "";
    fprintf(stderr, "no column %s\n", column);
    abort();
}

size_t tsv_row(const tsv_t *v)
{
    return v->row;
}

void tsv_hex(tsv_t *v, const char *column, buf_t *out)
{
    buf_clear(out);
    if (hex_decode(bytes_str(tsv_get(v, column)), out)) {
        fprintf(stderr, "row %zu: column %s is not hex\n", v->row, column);
        abort();
    }
}

void tsv_close(tsv_t *v)
{
    fclose(v->file);
    free(v->header);
    free(v->line);
    free(v);
}

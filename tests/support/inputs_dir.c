#include "tests/support/inputs.h"
#include "tests/support/tsv.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct inputs_dir {
    json_t *all, *dir; /* dir is borrowed from all */
    const char *generator;
    size_t at, count;
    buf_t path, text;
    inputs_t *names; /* ipip499 */
};

static json_t *member(const json_t *object, const char *key)
{
    json_t *v = json_object_get(object, key);
    if (!v) {
        fprintf(stderr, "unixfs-dirs.json: no %s\n", key);
        abort();
    }
    return v;
}

static size_t number(const json_t *object, const char *key)
{
    return (size_t)json_integer_value(member(object, key));
}

inputs_dir_t *inputs_dir_open(const char *spec)
{
    char path[512];
    inputs_dir_t *d = xcalloc(1, sizeof *d);
    d->all = json_load_file(vector_path("unixfs-dirs.json", path, sizeof path), 0, NULL);
    d->dir = member(d->all, strncmp(spec, "dir:", 4) ? spec : spec + 4);
    d->generator = json_string_value(member(d->dir, "generator"));
    buf_init(&d->path, 4096);
    buf_init(&d->text, 8192 + 8);
    if (!strcmp(d->generator, "list")) {
        d->count = json_array_size(member(d->dir, "entries"));
        return d;
    }
    d->count = number(d->dir, "count");
    if (!strcmp(d->generator, "ipip499")) {
        snprintf(path, sizeof path, "cc20:%s:1048576", json_string_value(member(d->dir, "seed")));
        d->names = inputs_open(path);
    }
    return d;
}

static void set_times(inputs_entry_t *e, const json_t *object, const char *mode, const char *mtime)
{
    json_t *m = json_object_get(object, mode), *t = json_object_get(object, mtime);
    e->mode = m ? (uint32_t)strtoul(json_string_value(m), NULL, 8) : 0;
    e->has_mtime = t;
    e->mtime_s = t ? json_integer_value(member(t, "seconds")) : 0;
    e->mtime_ns = t ? (uint32_t)number(t, "nanoseconds") : 0;
}

void inputs_dir_root(const inputs_dir_t *d, inputs_entry_t *ret_entry)
{
    *ret_entry = (inputs_entry_t){.kind = INPUTS_DIR};
    set_times(ret_entry, d->dir, "root_mode", "root_mtime");
}

static void listed(inputs_dir_t *d, inputs_entry_t *e)
{
    const json_t *entry = json_array_get(member(d->dir, "entries"), d->at);
    const char *type = json_string_value(member(entry, "type"));
    err_t bad = hex_decode(bytes_str(json_string_value(member(entry, "path_hex"))), &d->path);
    assert(!bad);
    set_times(e, entry, "mode", "mtime");
    if (!strcmp(type, "file")) {
        e->data = json_string_value(member(entry, "data"));
    } else if (!strcmp(type, "symlink")) {
        e->kind = INPUTS_SYMLINK;
        e->target = json_string_value(member(entry, "target"));
    } else {
        e->kind = INPUTS_DIR;
    }
}

static void numbered(inputs_dir_t *d, inputs_entry_t *e)
{
    bool is_last = d->at == d->count - 1;
    err_t bad = buf_printf(&d->path, "file-%05zu", d->at);
    for (size_t i = is_last ? number(d->dir, "extra_x_on_last_name") : 0; i--;)
        bad = bad ? bad : buf_append_u8(&d->path, 'x');
    bad = bad ? bad : buf_append(&d->text, BYTES_LIT("hex:"));
    bad = bad ? bad : hex_encode(buf_bytes(&d->path), &d->text);
    bad = bad ? bad : buf_cstr(&d->text, &e->data);
    assert(!bad);
}

static void from_ipip499(inputs_dir_t *d, inputs_entry_t *e)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz01234567890-_";
    uint8_t name[255];
    size_t len = number(d->dir, d->at == d->count - 1 ? "last_name_len" : "name_len");
    size_t got = inputs_read(d->names, name, len);
    assert(got == len);
    for (size_t i = 0; i < len; i++)
        name[i] = (uint8_t)letters[name[i] % 39];
    err_t bad = buf_append(&d->path, bytes_of(name, len));
    assert(!bad);
    e->data = "hex:78";
}

bool inputs_dir_next(inputs_dir_t *d, inputs_entry_t *ret_entry)
{
    if (d->at == d->count)
        return false;
    *ret_entry = (inputs_entry_t){.kind = INPUTS_FILE};
    buf_clear(&d->path);
    buf_clear(&d->text);
    if (!strcmp(d->generator, "list"))
        listed(d, ret_entry);
    else if (!strcmp(d->generator, "numbered"))
        numbered(d, ret_entry);
    else
        from_ipip499(d, ret_entry);
    ret_entry->path = buf_bytes(&d->path);
    d->at++;
    return true;
}

void inputs_dir_close(inputs_dir_t *d)
{
    if (d->names)
        inputs_close(d->names);
    buf_deinit(&d->path);
    buf_deinit(&d->text);
    json_decref(d->all);
    free(d);
}

#include "main/keys.h"
#include "node/keys.h"
#include "node/setup.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { EXPORTED_MAX_BYTES = 64 << 10, RSA_BITS = 2048 };

err_t fail_daemon_runs(const cli_t *c)
{
    return fail(ERR_IN_USE, "%s daemon is running. please stop it to run this command",
                c->is_kubo ? "ipfs" : "the");
}

/* A device or pipe stays one. */
static err_t write_out(task_t *t, const char *path, bytes_t content)
{
    struct stat st;
    if (stat(path, &st) || (!S_ISCHR(st.st_mode) && !S_ISFIFO(st.st_mode)))
        return fs_write_file(t, path, 0600, content);
    FILE *f = fopen(path, "we");
    if (f)
        setvbuf(f, NULL, _IONBF, 0); /* no copy of the key stays behind */
    bool is_written = f && fwrite(content.data, 1, content.len, f) == content.len;
    if (f)
        is_written &= !fclose(f);
    return is_written ? OK : fail(error_from_errno(errno), "%s: %s", path, strerror(errno));
}

err_t run_key_export(task_t *t, const cli_t *c)
{
    char path[NODE_PATH_MAX], file[NODE_PATH_MAX];
    const char *name = c->args[0], *out = cli_option(c, "output", 0), *last = strrchr(name, '/');
    key_format_t format;
    AUTO(buf_t) key;
    buf_init(&key, EXPORTED_MAX_BYTES);
    TRY(buf_reserve(&key, EXPORTED_MAX_BYTES)); /* so that growing leaves no copies behind */
    TRY(key_format_parse(cli_option(c, "format", 0), &format));
    TRY(node_find_repo(c->repo_option, path));
    snprintf(file, sizeof file, "%s.%s", last ? last + 1 : name, format == KEY_FORMAT_PEM ? "pem" : "key");
    err_t e = node_export_key(t, path, name, format, &key);
    if (!e)
        e = write_out(t, out ? out : file, buf_bytes(&key));
    secret_wipe(key.data, key.len);
    return e;
}

err_t run_key_rotate(task_t *t, const cli_t *c)
{
    char path[NODE_PATH_MAX], id[128];
    const char *old_name = cli_option(c, "oldkey", 0), *type = cli_option(c, "type", 0);
    const char *size = cli_option(c, "size", 0);
    if (!old_name)
        return fail(ERR_USAGE, "keystore name for backing up old key must be provided");
    type = type ? type : "ed25519";
    TRY(node_find_repo(c->repo_option, path));
    err_t e = node_rotate_key(t, path, old_name, type, size ? (int)strtol(size, NULL, 10) : RSA_BITS, id);
    if (e == ERR_IN_USE)
        return fail_daemon_runs(c);
    TRY(e);
    printf("generating %s keypair...done\npeer identity: %s\n",
           strcmp(type, "rsa") ? "ED25519" : "2048-bit RSA", id);
    return OK;
}

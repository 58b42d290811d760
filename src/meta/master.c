#include "meta/master.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/key.h"
#include "meta/json.h"
#include "task/driver.h"
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX_BYTES = 4096, NONCE_BYTES = 12 };

void master_keys_wipe(master_keys_t *k)
{
    secret_wipe(k, sizeof *k);
}

static void name_of(master_key_t *k)
{
    static const char label[] = "distribute master key";
    uint8_t text[sizeof label - 1 + MASTER_KEY_BYTES], hash[32];
    memcpy(text, label, sizeof label - 1);
    memcpy(text + sizeof label - 1, k->key, MASTER_KEY_BYTES);
    sha256_of(bytes_of(text, sizeof text), hash);
    secret_wipe(text, sizeof text);
    hex_text(bytes_of(hash, MASTER_NAME_CHARS / 2), k->name, sizeof k->name);
}

static err_t parse_hex(const char *line, uint8_t out[MASTER_KEY_BYTES])
{
    for (size_t i = 0; i < MASTER_KEY_BYTES; i++) {
        int v[2];
        for (int half = 0; half < 2; half++) {
            char c = line[2 * i + (size_t)half];
            v[half] = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
            if (v[half] < 0)
                return ERR_INVALID;
        }
        out[i] = (uint8_t)(v[0] << 4 | v[1]);
    }
    return OK;
}

static err_t add_line(const char *line, master_keys_t *k)
{
    if (!*line || *line == '#')
        return OK;
    if (k->count == MASTER_KEYS_MAX)
        return fail(ERR_LIMIT, "there may be %d master keys at most", MASTER_KEYS_MAX);
    master_key_t *key = &k->list[k->count];
    err_t e = strlen(line) == 2 * MASTER_KEY_BYTES ? parse_hex(line, key->key)
                                                   : base64_bytes(line, key->key, MASTER_KEY_BYTES);
    if (e)
        return fail(ERR_INVALID,
                    "a master key is 64 hexadecimal digits, or the base64 of 32 bytes, one a line");
    name_of(key);
    k->count++;
    return OK;
}

err_t master_keys_parse(bytes_t text, master_keys_t *ret)
{
    char line[2 * MASTER_KEY_BYTES + 2];
    size_t n = 0;
    err_t e = OK;
    *ret = (master_keys_t){0};
    for (size_t i = 0; i <= text.len && !e; i++) {
        char c = i < text.len ? (char)text.data[i] : '\n';
        if (c == '\n') {
            line[n] = 0;
            e = add_line(line, ret);
            n = 0;
        } else if (c != '\r' && c != ' ' && c != '\t' && n < sizeof line - 1) {
            line[n++] = c; /* what is too long is no key, whatever it holds */
        }
    }
    secret_wipe(line, sizeof line);
    if (!e && !ret->count)
        e = fail(ERR_INVALID, "there is no master key in it");
    if (e)
        master_keys_wipe(ret);
    return e;
}

typedef struct command_job {
    const char *command;
    char *text;
    size_t len;
    int status;
} command_job_t;

static void run_command(void *arg)
{
    command_job_t *job = arg;
    FILE *f = popen(job->command, "re");
    job->status = -1;
    if (!f)
        return;
    job->len = fread(job->text, 1, TEXT_MAX_BYTES, f);
    job->status = pclose(f);
}

static err_t read_command(task_t *t, const char *command, char *text, size_t *ret_len)
{
    command_job_t job = {.command = command, .text = text};
    work(t, run_command, &job);
    if (job.status)
        return fail(ERR_IO, "the command that gives the master key ended with status %d", job.status);
    *ret_len = job.len;
    return OK;
}

static err_t read_source(task_t *t, const char *source, char *text, size_t *ret_len)
{
    if (!strncmp(source, "env:", 4)) {
        const char *value = getenv(source + 4);
        if (!value || strlen(value) > TEXT_MAX_BYTES)
            return fail(ERR_NOT_FOUND, "the environment has no %s with the master key", source + 4);
        *ret_len = strlen(value);
        memcpy(text, value, *ret_len);
        return OK;
    }
    if (!strncmp(source, "command:", 8))
        return read_command(t, source + 8, text, ret_len);
    if (strncmp(source, "file:", 5))
        return fail(ERR_USAGE, "master keys come from file:PATH, env:NAME or command:WORDS");
    AUTO(buf_t) content = {0};
    buf_init(&content, TEXT_MAX_BYTES);
    err_t e = fs_read_file(t, source + 5, TEXT_MAX_BYTES, &content);
    if (e)
        return fail_also(e, "cannot read the master key");
    memcpy(text, content.data, content.len);
    *ret_len = content.len;
    if (content.data)
        secret_wipe(content.data, content.len);
    return OK;
}

err_t master_keys_load(task_t *t, const char *source, master_keys_t *ret)
{
    char text[TEXT_MAX_BYTES];
    size_t len = 0;
    err_t e = read_source(t, source, text, &len);
    if (!e)
        e = master_keys_parse(bytes_of(text, len), ret);
    secret_wipe(text, sizeof text);
    return e;
}

err_t master_keys_make_file(task_t *t, const char *path)
{
    file_info_t info;
    err_t e = fs_stat(t, path, true, &info);
    if (e != ERR_NOT_FOUND)
        return e;
    uint8_t key[MASTER_KEY_BYTES];
    char line[2 * MASTER_KEY_BYTES + 2];
    crypto_random(key, sizeof key);
    hex_text(bytes_of(key, sizeof key), line, sizeof line);
    line[2 * MASTER_KEY_BYTES] = '\n';
    e = fs_write_file(t, path, 0600, bytes_of(line, 2 * MASTER_KEY_BYTES + 1));
    secret_wipe(key, sizeof key);
    secret_wipe(line, sizeof line);
    return e;
}

static err_t cipher_for(const master_key_t *k, const char *what, aead_t **ret)
{
    char label[WRAP_WHAT_MAX + 8];
    uint8_t key[32];
    int len = snprintf(label, sizeof label, "wrap %s", what);
    assert(len > 0 && (size_t)len < sizeof label);
    hmac_sha256(bytes_of(k->key, sizeof k->key), bytes_str(label), key);
    err_t e = aead_new(AEAD_AES_256_GCM, key, ret);
    secret_wipe(key, sizeof key);
    return e;
}

static err_t find_key(const master_keys_t *k, const char *name, const master_key_t **ret)
{
    for (size_t i = 0; i < k->count; i++)
        if (!strcmp(k->list[i].name, name)) {
            *ret = &k->list[i];
            return OK;
        }
    return fail(ERR_NOT_FOUND, "the master key %.16s is not here: add it to the others", name);
}

bool master_keys_have(const master_keys_t *k, const char *name)
{
    for (size_t i = 0; i < k->count; i++)
        if (!strcmp(k->list[i].name, name))
            return true;
    return false;
}

err_t master_wrap_by(const master_keys_t *k, const char *key_name, const char *what, bytes_t plain,
                     uint8_t *out)
{
    const master_key_t *key;
    aead_t *a;
    TRY(find_key(k, key_name, &key));
    TRY(cipher_for(key, what, &a));
    crypto_random(out, NONCE_BYTES);
    err_t e = aead_seal(a, out, bytes_str(what), plain, out + NONCE_BYTES);
    aead_free(a);
    return e;
}

err_t master_wrap(const master_keys_t *k, const char *what, bytes_t plain, uint8_t *out)
{
    return master_wrap_by(k, k->list[0].name, what, plain, out);
}

err_t master_unwrap(const master_keys_t *k, const char *key_name, const char *what, bytes_t wrapped,
                    uint8_t *out)
{
    const master_key_t *key;
    aead_t *a;
    TRY(find_key(k, key_name, &key));
    if (wrapped.len < WRAP_EXTRA_BYTES)
        return fail(ERR_CORRUPT, "a wrapped key is too short");
    TRY(cipher_for(key, what, &a));
    err_t e =
        aead_open(a, wrapped.data, bytes_str(what), bytes_slice(wrapped, NONCE_BYTES, wrapped.len), out);
    aead_free(a);
    return e;
}

/* The config from any bytes: what is read prints, and what was printed reads and prints the same; typed
 * reading and changes of any path never fail hard. The first line is a path, the rest the file. */
#include "repo/config.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print(const config_t *c, buf_t *out)
{
    err_t e = config_print(c, out);
    assert(!e || e == ERR_LIMIT);
}

static void use_path(config_t *c, const char *path)
{
    AUTO(buf_t) text;
    buf_init(&text, CONFIG_MAX_BYTES);
    uint64_t number = 0;
    (void)config_str(c, path, "");
    (void)config_bool(c, path, true);
    (void)config_int(c, path, 0);
    (void)config_double(c, path, 0);
    (void)config_size(c, path, 0);
    (void)config_duration_ms(c, path, 0);
    (void)config_item(c, path, config_count(c, path));
    (void)!config_get(c, path, &text);
    (void)!parse_size(path, &number);
    (void)!parse_duration_ms(path, &number);
    (void)!config_apply_profile(c, path);
    if (!config_set(c, path, "[1]"))
        assert(config_count(c, path) == 1);
    (void)!config_unset(c, path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[300];
    size_t len = 0;
    while (len < size && len + 1 < sizeof path && data[len] != '\n' && data[len])
        len++;
    memcpy(path, data, len);
    path[len] = 0;
    size_t skip = len < size ? len + 1 : len;
    AUTO_PTR(config_t) c = NULL;
    if (config_parse(bytes_of(data + skip, size - skip), &c))
        return 0;
    AUTO_PTR(config_t) again = NULL;
    AUTO(buf_t) once;
    AUTO(buf_t) twice;
    buf_init(&once, 16u << 20);
    buf_init(&twice, 16u << 20);
    print(c, &once);
    if (!config_parse(buf_bytes(&once), &again)) {
        print(again, &twice);
        assert(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    }
    use_path(c, path);
    private_key_t *key = NULL;
    if (!config_identity(c, &key))
        private_key_free(key);
    return 0;
}

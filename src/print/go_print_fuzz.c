#include "print/go_format.h"
#include "print/go_type.h"
#include "print/go_xml.h"
#include "print/json_values.h"
#include "print/print.h"

/* Any JSON as the answer of any command, in each of the encodings: what comes as XML has as many ends of
 * elements as beginnings, and no byte that XML does not have. */
static const char *no_option(void *arg, const char *name)
{
    return NULL;
}

static err_t append(void *arg, bytes_t text)
{
    return buf_append(arg, text);
}

static err_t print(const char *command, bool is_decoded, bytes_t json, print_fn printer, buf_t *out)
{
    char one[] = "one", two[] = "two", *args[] = {one, two};
    print_t p = {.option = no_option,
                 .write = append,
                 .arg = out,
                 .program = "ipfs",
                 .command = command,
                 .args = args,
                 .n_args = 2,
                 .is_decoded = is_decoded,
                 .is_kubo = true};
    buf_clear(out);
    return json_value_print(&p, json, printer);
}

static void check_xml(bytes_t xml)
{
    long depth = 0;
    for (size_t i = 0; i < xml.len; i++) {
        assert(xml.data[i] >= 0x20);
        if (xml.data[i] == '<')
            depth += i + 1 < xml.len && xml.data[i + 1] == '/' ? -1 : 1;
        assert(depth >= 0);
    }
    assert(!depth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_t) out = {0};
    size_t count = 0;
    if (size < 2)
        return 0;
    while (go_answer_at(count))
        count++;
    const char *command = go_answer_at(data[0] % count)->command;
    bool is_decoded = data[1] & 1;
    bytes_t json = bytes_of(data + 2, size - 2);
    buf_init(&out, 64 << 20);
    if (!print(command, is_decoded, json, go_xml_print, &out))
        check_xml(buf_bytes(&out));
    err_t e = print(command, is_decoded, json, go_format_print, &out);
    size_t len = out.len;
    if (!print(command, is_decoded, json, go_format_print_line, &out))
        assert(!e && out.len == len + 1);
    print_fn own = print_find(command);
    if (own)
        (void)!print(command, is_decoded, json, own, &out);
    return 0;
}

#include "api/convert.h"
#include "task/driver.h"

enum { INLINE_BYTES = 8 << 10 }; /* costs less than the way to a worker and back */

typedef struct conversion {
    api_convert_fn fn;
    void *arg;
    bytes_t input;
    buf_t *out;
    err_t e;
} conversion_t;

static void run(void *arg)
{
    conversion_t *c = arg;
    c->e = c->fn(c->arg, c->input, c->out);
}

err_t api_convert(task_t *t, api_convert_fn fn, void *arg, bytes_t input, buf_t *out)
{
    conversion_t c = {fn, arg, input, out, OK};
    if (input.len <= INLINE_BYTES)
        run(&c);
    else
        work(t, run, &c);
    return c.e;
}

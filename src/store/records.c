#include "store/records.h"

records_one_t records_one_of(bytes_t key, buf_t *out)
{
    buf_clear(out);
    return (records_one_t){.key = key, .out = out};
}

err_t records_one_take(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    records_one_t *one = arg;
    one->is_found = bytes_equal(key, one->key);
    if (one->is_found)
        TRY(buf_append(one->out, value));
    return ERR_EXISTS; /* the key itself comes first of what starts with it */
}

err_t records_one_result(const records_one_t *one, err_t e)
{
    if (e && e != ERR_EXISTS)
        return e;
    return one->is_found ? OK : fail(ERR_NOT_FOUND, "the datastore has no such key");
}

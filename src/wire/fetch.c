#include "wire/fetch.h"

enum { REQUEST_IDENTIFIER = 1, ANSWER_STATUS = 1, ANSWER_DATA = 2 };

void fetch_put_request(writer_t *w, bytes_t key)
{
    pb_put_bytes(w, REQUEST_IDENTIFIER, key);
}

void fetch_put_answer(writer_t *w, fetch_status_t status, bytes_t value)
{
    pb_put_uint_nonzero(w, ANSWER_STATUS, status);
    if (status == FETCH_OK)
        pb_put_bytes(w, ANSWER_DATA, value);
}

err_t fetch_decode_request(bytes_t in, bytes_t *ret_key)
{
    bytes_t key = BYTES_NONE;
    reader_t r = reader_of(in);
    pb_field_t f;
    while (pb_next(&r, &f))
        if (f.number == REQUEST_IDENTIFIER)
            key = pb_bytes(&r, &f, FETCH_KEY_MAX_BYTES);
    if (r.err || !key.len)
        return fail(r.err ? r.err : ERR_INVALID, "malformed request to fetch a value");
    *ret_key = key;
    return OK;
}

err_t fetch_decode_answer(bytes_t in, bytes_t *ret_value)
{
    uint64_t status = FETCH_OK;
    bytes_t value = BYTES_NONE;
    reader_t r = reader_of(in);
    pb_field_t f;
    while (pb_next(&r, &f)) {
        if (f.number == ANSWER_STATUS)
            status = pb_uint(&r, &f);
        else if (f.number == ANSWER_DATA)
            value = pb_bytes(&r, &f, FETCH_VALUE_MAX_BYTES);
    }
    if (r.err)
        return fail(r.err, "malformed answer to a fetch of %zu bytes", in.len);
    if (status != FETCH_OK || !value.len)
        return fail(ERR_NOT_FOUND, "the peer has no value for this key");
    *ret_value = value;
    return OK;
}

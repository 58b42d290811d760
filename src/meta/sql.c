#include "meta/sql_impl.h"
#include <stdlib.h>

char *sql_replace(const char *text, const char *from, const char *to)
{
    size_t room = strlen(text) + 1, from_len = strlen(from), to_len = strlen(to);
    for (const char *p = text; (p = strstr(p, from)); p += from_len)
        room += to_len;
    char *out = xmalloc(room), *at = out;
    const char *p = text, *hit;
    for (; (hit = strstr(p, from)); p = hit + from_len) {
        memcpy(at, p, (size_t)(hit - p));
        at += hit - p;
        memcpy(at, to, to_len);
        at += to_len;
    }
    memcpy(at, p, strlen(p) + 1);
    return out;
}

static err_t statement_of(sql_t *c, const char *text, void **ret)
{
    size_t at = ((uintptr_t)text >> 3) * 0x9e3779b1u % SQL_STATEMENTS_MAX;
    for (; c->statements[at].text; at = (at + 1) % SQL_STATEMENTS_MAX)
        if (c->statements[at].text == text) {
            *ret = c->statements[at].statement;
            return OK;
        }
    assert(c->n_statements < SQL_STATEMENTS_MAX - 1);
    TRY(c->ops->prepare(c, text, ret));
    c->statements[at] = (sql_statement_t){text, *ret};
    c->n_statements++;
    return OK;
}

err_t sql_run(sql_t *c, const char *text, const sql_value_t *values, size_t n, uint64_t *ret_changed)
{
    void *statement;
    uint64_t changed = 0;
    TRY(statement_of(c, text, &statement));
    TRY(c->ops->run(c, statement, values, n, &changed));
    if (ret_changed)
        *ret_changed = changed;
    return OK;
}

err_t sql_open(sql_t *c, const char *text, const sql_value_t *values, size_t n, sql_rows_t *ret_rows)
{
    void *statement;
    *ret_rows = (sql_rows_t){.c = c, .at = -1};
    TRY(statement_of(c, text, &statement));
    return c->ops->open(c, statement, values, n, ret_rows);
}

bool sql_next(sql_rows_t *r)
{
    return r->answer && !r->err && r->c->ops->next(r);
}

int64_t sql_int(sql_rows_t *r, int column)
{
    return r->c->ops->number(r, column);
}

const char *sql_text(sql_rows_t *r, int column)
{
    const char *text = r->c->ops->text(r, column);
    return text ? text : "";
}

bytes_t sql_blob(sql_rows_t *r, int column)
{
    return r->c->ops->blob(r, column);
}

bool sql_is_null(sql_rows_t *r, int column)
{
    return r->c->ops->is_null(r, column);
}

err_t sql_close(sql_rows_t *r)
{
    if (!r->answer)
        return r->err;
    err_t e = r->c->ops->close(r);
    r->answer = NULL;
    if (!r->err)
        r->err = e;
    return r->err;
}

err_t sql_first(sql_t *c, const char *text, const sql_value_t *values, size_t n, sql_rows_t *ret_rows)
{
    TRY(sql_open(c, text, values, n, ret_rows));
    if (sql_next(ret_rows))
        return OK;
    TRY(sql_close(ret_rows));
    return ERR_NOT_FOUND;
}

err_t sql_number(sql_t *c, const char *text, const sql_value_t *values, size_t n, int64_t otherwise,
                 int64_t *ret)
{
    AUTO(sql_rows_t) r = {0};
    err_t e = sql_first(c, text, values, n, &r);
    if (e == ERR_NOT_FOUND) {
        *ret = otherwise;
        return OK;
    }
    TRY(e);
    *ret = sql_int(&r, 0);
    return sql_close(&r);
}

err_t sql_script(sql_t *c, const char *text)
{
    return c->ops->script(c, text);
}

size_t sql_log_pages(const sql_t *c)
{
    return c->log_pages;
}

err_t sql_checkpoint(sql_t *c, bool syncs, size_t *ret_moved)
{
    return c->ops->checkpoint(c, syncs, ret_moved);
}

bool sql_is_postgres(const sql_t *c)
{
    return c->is_postgres;
}

bool sql_is_lost(const sql_t *c)
{
    return c->is_lost;
}

void sql_free(sql_t *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < SQL_STATEMENTS_MAX; i++)
        if (c->statements[i].text)
            c->ops->forget(c, c->statements[i].statement);
    c->ops->free(c);
}

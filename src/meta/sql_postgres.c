#include "meta/sql_impl.h"
err_t sql_postgres_open(const char *url, sql_t **ret)
{
    return fail(ERR_UNSUPPORTED, "PostgreSQL is not part of this build");
}

/* The mutable tree of files, in the simulator: concurrent writers, crashes, collection, limits. */
#include "repo/mfs.h"
#include "repo/mfs_impl.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

int main(void)
{
    return 0;
}

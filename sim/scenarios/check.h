/* CHECK: what must be so in a scenario of engines; else it says where it was not and ends with 1. */
#ifndef SIM_SCENARIOS_CHECK_H
#define SIM_SCENARIOS_CHECK_H
#include <stdio.h>
#include <stdlib.h>

#define CHECK(what)                                                                                          \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                               \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)
#endif

/* memory: gives memory back to the machine while the process is idle. */
#ifndef LOOP_MEMORY_H
#define LOOP_MEMORY_H
#include "task/driver.h"

/* Sets the allocator up for buffers of blocks: they come from the heap and go back to it, instead of being
 * mapped or trimmed, and cleared again by the kernel, for each block. At the start of the process. */
void memory_set_up(void);
/* Frees what the allocator keeps, and lets go of code pages of the program and its libraries, and of pages of
 * files that are mapped to be read: most of the code was touched by starting alone, and what is needed comes
 * back from the page cache at the first use. */
void memory_give_back(void);
/* A task for the life of a node: gives memory back a moment after the start, then whenever the process has
 * been idle for a while after work. arg is not used. */
err_t memory_keeper(task_t *t, void *arg);
#endif

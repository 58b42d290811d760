/* fuse_mount: task/mount.h by the kernel's FUSE (linux/fuse.h, protocol 7.23 and later), spoken over its
 * device without a library: the questions are few, and come one by one as bytes.
 *
 * Each question is answered in a task of its own, so that one that waits for the network holds up nobody
 * else; a program that is killed cancels its question, but for one that changes something. Root mounts by
 * itself, others by the `fusermount3` of the system. */
#ifndef LOOP_FUSE_MOUNT_H
#define LOOP_FUSE_MOUNT_H
#include "task/mount.h"

#define FUSE_NODES_MAX (1u << 20) /* names that the kernel holds on to */
#define FUSE_OPENED_MAX 65536     /* files and folders */
#define FUSE_QUESTIONS_MAX 256    /* under way; more wait in the kernel */
/* A mount_open_fn. */
MUST_CHECK err_t fuse_mount_open(task_t *t, const mount_options_t *o, const mount_tree_t *tree,
                                 mount_t **ret);
#endif

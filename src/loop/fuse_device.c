#include "loop/fuse_device.h"
#include "base/log.h"
#include "loop/uv_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPTIONS_MAX = 256 };
#define SHARED ",allow_other,default_permissions"
extern char **environ;

static err_t fail_mount(int errnum, const char *folder)
{
    if (errnum == EPERM || errnum == EACCES)
        return fail(ERR_DENIED,
                    "mounting %s is not permitted here: a container needs /dev/fuse and CAP_SYS_ADMIN, "
                    "a user the program fusermount3",
                    folder);
    return fail_path(errnum, "mount", folder);
}

static err_t check_folder(const char *folder)
{
    struct stat st;
    int e = stat(folder, &st) ? errno : 0;
    if (e == ENOTCONN) { /* the process that served it is dead */
        fuse_device_unmount(folder);
        e = stat(folder, &st) ? errno : 0;
    }
    if (e == ENOENT)
        return fail(ERR_NOT_FOUND,
                    "mount: there is no folder %s: make it, or name another (--ipfs-path, Mounts.IPFS, …)",
                    folder);
    if (e)
        return fail_path(e, "mount", folder);
    return S_ISDIR(st.st_mode) ? OK : fail(ERR_INVALID, "%s is not a folder", folder);
}

static err_t mount_as_root(const char *folder, fuse_device_options_t o, int *ret_fd)
{
    char options[OPTIONS_MAX];
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ENODEV || errno == ENXIO
                   ? fail(ERR_UNSUPPORTED, "this system has no /dev/fuse: mounting needs it")
                   : fail_mount(errno, folder);
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u%s", fd, getuid(), getgid(),
             o.for_all_users ? SHARED : "");
    if (mount("distribute", folder, "fuse.distribute", MS_NOSUID | MS_NODEV | (o.is_writable ? 0 : MS_RDONLY),
              options)) {
        err_t e = fail_mount(errno, folder);
        close(fd);
        return e;
    }
    *ret_fd = fd;
    return OK;
}

static int run(const char *const argv[], int socket)
{
    char room[32];
    int status;
    pid_t pid;
    snprintf(room, sizeof room, "%d", socket);
    size_t n = 0;
    while (environ[n])
        n++;
    char **env = xcalloc(n + 2, sizeof *env), setting[64];
    memcpy(env, environ, n * sizeof *env);
    snprintf(setting, sizeof setting, "_FUSE_COMMFD=%s", room);
    env[n] = setting;
    int e = posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv, env);
    free(env);
    if (e)
        return -1;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int receive_fd(int socket)
{
    char byte, control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec piece = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int fd = -1;
    if (recvmsg(socket, &m, MSG_CMSG_CLOEXEC) <= 0)
        return -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

/* fusermount3 may mount for everyone; it sends the descriptor over a socket whose number it finds in its
 * environment. */
static err_t mount_as_user(const char *folder, fuse_device_options_t o, int *ret_fd)
{
    int pair[2], fd = -1;
    char options[OPTIONS_MAX];
    snprintf(options, sizeof options, "%s,nosuid,nodev,fsname=distribute,subtype=distribute%s",
             o.is_writable ? "rw" : "ro", o.for_all_users ? SHARED : "");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return fail_mount(errno, folder);
    fcntl(pair[0], F_SETFD, 0); /* the child's */
    const char *const argv[] = {"fusermount3", "-o", options, "--", folder, NULL};
    int status = run(argv, pair[0]);
    close(pair[0]);
    if (!status)
        fd = receive_fd(pair[1]);
    close(pair[1]);
    if (fd < 0)
        return fail(ERR_DENIED,
                    status == -1 || status == 127
                        ? "mounting %s needs the program fusermount3 (package fuse3) or root"
                        : "fusermount3 does not mount %s: its words are on standard error",
                    folder);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *ret_fd = fd;
    return OK;
}

err_t fuse_device_open(const char *folder, fuse_device_options_t o, int *ret_fd)
{
    TRY(check_folder(folder));
    return geteuid() ? mount_as_user(folder, o, ret_fd) : mount_as_root(folder, o, ret_fd);
}

void fuse_device_unmount(const char *folder)
{
    const char *const argv[] = {"fusermount3", "-u", "-z", "--", folder, NULL};
    if (geteuid() ? run(argv, -1) : umount2(folder, MNT_DETACH))
        log_warn("a folder could not be unmounted", LOG_STR("path", folder));
}

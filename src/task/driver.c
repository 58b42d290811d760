#include "task/driver.h"
#include <stdlib.h>

uint64_t driver_now_ms(driver_t *d)
{
    return d->ops->now_ms(d);
}

uint64_t driver_wall_ms(driver_t *d)
{
    return d->ops->wall_ms(d);
}

void driver_random(driver_t *d, uint8_t *out, size_t len)
{
    d->ops->random(d, out, len);
}

uint64_t driver_random_u64(driver_t *d)
{
    uint64_t v;
    d->ops->random(d, (uint8_t *)&v, sizeof v);
    return v;
}

void driver_post(driver_t *d, void (*fn)(void *), void *arg)
{
    d->ops->post(d, fn, arg);
}

void work(task_t *t, work_fn fn, void *arg)
{
    driver_t *d = task_driver(t);
    if (d->ops->work(t, d, fn, arg))
        fn(arg); /* no worker could take it */
}

size_t driver_interfaces(driver_t *d, net_addr_t *out, size_t cap)
{
    return d->ops->interfaces(d, out, cap);
}

bool driver_gateway(driver_t *d, net_addr_t *ret_gateway)
{
    return d->ops->gateway(d, ret_gateway);
}

size_t driver_multicast_interfaces(driver_t *d, uint32_t *out, size_t cap)
{
    return d->ops->multicast_interfaces(d, out, cap);
}

size_t driver_work_threads(driver_t *d)
{
    return d->ops->work_threads(d);
}

err_t net_dial(task_t *t, const net_addr_t *to, stream_t **ret_stream)
{
    driver_t *d = task_driver(t);
    return d->ops->dial(t, d, NULL, to, ret_stream);
}

err_t net_dial_from(task_t *t, const net_addr_t *from, const net_addr_t *to, stream_t **ret_stream)
{
    driver_t *d = task_driver(t);
    return d->ops->dial(t, d, from, to, ret_stream);
}

err_t net_dial_face(task_t *t, const face_addr_t *to, stream_t **ret_stream)
{
    driver_t *d = task_driver(t);
    if (!to->path[0])
        return net_dial(t, &to->ip, ret_stream);
    return d->ops->dial_path ? d->ops->dial_path(t, d, to->path, ret_stream)
                             : fail(ERR_UNSUPPORTED, "there are no sockets in the file system here");
}

err_t net_listen(driver_t *d, const net_addr_t *at, listener_t **ret)
{
    return d->ops->listen(d, at, ret);
}

err_t net_listen_face(driver_t *d, const face_addr_t *at, listener_t **ret)
{
    if (!at->path[0])
        return net_listen(d, &at->ip, ret);
    return d->ops->listen_path ? d->ops->listen_path(d, at->path, ret)
                               : fail(ERR_UNSUPPORTED, "there are no sockets in the file system here");
}

err_t listener_accept(task_t *t, listener_t *l, stream_t **ret_stream, net_addr_t *ret_from)
{
    return l->ops->accept(t, l, ret_stream, ret_from);
}

void listener_close(listener_t *l)
{
    if (l)
        l->ops->close(l);
}

err_t udp_open(driver_t *d, const net_addr_t *at, udp_t **ret)
{
    return d->ops->udp_open(d, at, ret);
}

err_t udp_send(udp_t *u, const net_addr_t *to, bytes_t datagram)
{
    return u->ops->send(u, to, datagram);
}

/* Others have their turn, and deadlines count, also while datagrams come faster than they are read. */
err_t udp_recv(task_t *t, udp_t *u, net_addr_t *ret_from, uint8_t *out, size_t cap, size_t *ret_n)
{
    TRY(task_yield(t));
    for (;;) {
        err_t e = u->ops->recv(u, ret_from, out, cap, ret_n);
        if (e != ERR_AGAIN)
            return e;
        TRY(event_wait(t, &u->readable));
    }
}

err_t udp_send_burst(udp_t *u, const udp_burst_t *b, bytes_t datagrams, size_t *ret_n)
{
    return u->ops->send_burst(u, b, datagrams, ret_n);
}

err_t udp_recv_burst(udp_t *u, udp_burst_t *ret_burst, uint8_t *out, size_t cap, size_t *ret_n)
{
    return u->ops->recv_burst(u, ret_burst, out, cap, ret_n);
}

err_t udp_join(udp_t *u, const net_addr_t *group)
{
    return u->ops->join(u, group);
}

void udp_close(udp_t *u)
{
    if (u)
        u->ops->close(u);
}

void dns_answer_deinit(dns_answer_t *a)
{
    for (size_t i = 0; i < a->count; i++)
        buf_deinit(&a->text[i]);
    a->count = 0;
}

void driver_set_resolver(driver_t *d, resolver_fn fn, void *arg)
{
    d->resolver = fn;
    d->resolver_arg = arg;
}

err_t dns_resolve_by_driver(task_t *t, const char *name, dns_type_t type, dns_answer_t *ret_answer)
{
    driver_t *d = task_driver(t);
    return d->ops->resolve(t, d, name, type, ret_answer);
}

err_t dns_resolve(task_t *t, const char *name, dns_type_t type, dns_answer_t *ret_answer)
{
    driver_t *d = task_driver(t);
    err_t e = d->resolver ? d->resolver(t, d->resolver_arg, name, type, ret_answer) : ERR_AGAIN;
    return e == ERR_AGAIN ? dns_resolve_by_driver(t, name, type, ret_answer) : e;
}

void dir_list_deinit(dir_list_t *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->names[i]);
    free(l->names);
    *l = (dir_list_t){0};
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts, and drops what does not fit on the page. */
void dir_list_end(dir_list_t *l, fs_page_t page)
{
    if (l->count)
        qsort(l->names, l->count, sizeof *l->names, compare_names);
    while (l->count > page.max)
        free(l->names[--l->count]);
}

/* Twice a page is gathered before it is sorted, so that a name costs little. */
void dir_list_take(dir_list_t *l, size_t *cap, fs_page_t page, const char *name)
{
    if (page.after && strcmp(name, page.after) <= 0)
        return;
    if (l->is_cut && strcmp(name, l->names[page.max - 1]) > 0)
        return;
    if (page.max <= SIZE_MAX / 2 && l->count == 2 * page.max) {
        dir_list_end(l, page);
        l->is_cut = page.max > 0;
    }
    if (l->count == *cap)
        l->names = xrealloc(l->names, (*cap = *cap ? 2 * *cap : 32) * sizeof *l->names);
    l->names[l->count++] = xstrdup(name);
}

err_t file_open(task_t *t, const char *path, int flags, uint32_t mode, file_t **ret_file)
{
    driver_t *d = task_driver(t);
    return d->ops->file_open(t, d, path, flags, mode, ret_file);
}

err_t file_read_at(task_t *t, file_t *f, uint8_t *out, size_t len, uint64_t offset, size_t *ret_n)
{
    return f->ops->read_at(t, f, out, len, offset, ret_n);
}

err_t file_read_exact(task_t *t, file_t *f, uint8_t *out, size_t len, uint64_t offset)
{
    for (size_t done = 0; done < len;) {
        size_t n = 0;
        TRY(file_read_at(t, f, out + done, len - done, offset + done, &n));
        if (!n)
            return fail(ERR_EOF, "the file ends %zu bytes before offset %llu + %zu", len - done,
                        (unsigned long long)offset, len);
        done += n;
    }
    return OK;
}

err_t file_read_pieces(task_t *t, file_t *f, const span_t *pieces, size_t n, uint64_t offset)
{
    return f->ops->read_pieces(t, f, pieces, n, offset);
}

err_t file_try_read_at(file_t *f, uint8_t *out, size_t len, uint64_t offset, size_t *ret_n)
{
    return f->ops->try_read_at(f, out, len, offset, ret_n);
}

err_t file_write_at(task_t *t, file_t *f, const bytes_t *pieces, size_t n, uint64_t offset)
{
    return f->ops->write_at(t, f, pieces, n, offset);
}

err_t file_sync(task_t *t, file_t *f)
{
    return f->ops->sync(t, f);
}

err_t file_write_synced(task_t *t, file_t *f, const bytes_t *pieces, size_t n, uint64_t offset)
{
    if (f->ops->write_synced)
        return f->ops->write_synced(t, f, pieces, n, offset);
    TRY(f->ops->write_at(t, f, pieces, n, offset));
    return f->ops->sync(t, f);
}

err_t file_truncate(task_t *t, file_t *f, uint64_t size)
{
    return f->ops->truncate(t, f, size);
}

err_t file_size(task_t *t, file_t *f, uint64_t *ret_size)
{
    return f->ops->size(t, f, ret_size);
}

err_t file_punch(task_t *t, file_t *f, uint64_t offset, uint64_t len)
{
    return f->ops->punch(t, f, offset, len);
}

err_t file_try_lock(file_t *f)
{
    return f->ops->try_lock(f);
}

void file_close(file_t *f)
{
    if (f)
        f->ops->close(f);
}

err_t fs_stat(task_t *t, const char *path, bool follow, file_info_t *ret)
{
    driver_t *d = task_driver(t);
    return d->ops->fs_stat(t, d, path, follow, ret);
}

err_t fs_rename(task_t *t, const char *from, const char *to)
{
    driver_t *d = task_driver(t);
    return d->ops->fs_rename(t, d, from, to);
}

err_t fs_unlink(task_t *t, const char *path)
{
    driver_t *d = task_driver(t);
    return d->ops->fs_unlink(t, d, path);
}

err_t fs_rmdir(task_t *t, const char *path)
{
    driver_t *d = task_driver(t);
    return d->ops->fs_rmdir(t, d, path);
}

err_t fs_mkdir(task_t *t, const char *path, uint32_t mode)
{
    driver_t *d = task_driver(t);
    return d->ops->fs_mkdir(t, d, path, mode);
}

err_t fs_list(task_t *t, const char *path, dir_list_t *ret)
{
    return fs_list_page(t, path, (fs_page_t){NULL, SIZE_MAX}, ret);
}

err_t fs_list_page(task_t *t, const char *path, fs_page_t page, dir_list_t *ret)
{
    driver_t *d = task_driver(t);
    return d->ops->fs_list(t, d, path, page, ret);
}

err_t fs_symlink(task_t *t, const char *target, const char *path)
{
    driver_t *d = task_driver(t);
    return d->ops->fs_symlink(t, d, target, path);
}

err_t fs_readlink(task_t *t, const char *path, buf_t *ret)
{
    driver_t *d = task_driver(t);
    return d->ops->fs_readlink(t, d, path, ret);
}

err_t fs_sync_dir(task_t *t, const char *path)
{
    driver_t *d = task_driver(t);
    return d->ops->fs_sync_dir(t, d, path);
}

err_t fs_free_bytes(task_t *t, const char *path, uint64_t *ret_bytes)
{
    uint64_t total;
    return fs_room(t, path, &total, ret_bytes);
}

err_t fs_room(task_t *t, const char *path, uint64_t *ret_total_bytes, uint64_t *ret_free_bytes)
{
    driver_t *d = task_driver(t);
    return d->ops->fs_room(t, d, path, ret_total_bytes, ret_free_bytes);
}

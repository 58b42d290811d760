/* sim_disk: the disk of one host: inodes with 4 KiB pages, and a journal of the changes of names.
 * A page that changed since the last sync keeps its synced content beside, for the power loss. */
#ifndef SIM_SIM_DISK_H
#define SIM_SIM_DISK_H
#include "sim/sim_impl.h"

enum { PAGE_BYTES = 4096, SECTOR_BYTES = 512, NAME_MAX_LEN = 255, PATH_MAX_LEN = 4095 };

typedef struct disk_page {
    uint8_t *data;   /* NULL: zeros */
    uint8_t *synced; /* while is_dirty: what the disk has */
    bool is_dirty;
} disk_page_t;

typedef struct inode {
    uint32_t refs; /* names, open files, the journal */
    int kind;      /* FILE_KIND_… */
    uint32_t mode;
    uint64_t number, mtime_ms;
    disk_page_t *pages;
    size_t page_count;
    uint64_t size, synced_size;
    map_t names;          /* of a folder: name -> inode */
    struct inode *parent; /* of a folder; itself at the root */
    char *target;         /* of a symlink */
    void *lock_holder;
    err_t read_error;
} inode_t;

/* One change of names since the last sync; a rename has two entries. */
typedef struct name_change {
    list_t node;
    size_t count;
    struct {
        inode_t *folder, *before, *after;
        char name[NAME_MAX_LEN + 1];
    } entries[2];
} name_change_t;

struct sim_disk {
    sim_host_t *host;
    inode_t *root;
    list_t journal;
    uint64_t next_number, capacity, used; /* used: bytes of pages */
    uint64_t changes, fail_at;
    err_t fail_error;
    bool is_fail_lasting;
};

void inode_unref(sim_disk_t *d, inode_t *i);
inode_t *inode_new(sim_disk_t *d, int kind, uint32_t mode);
/* What a path leads to. ret_folder and ret_name: where its last part is (or would be); the name "" at
 * the root. ret_inode: NULL when it is not there. */
MUST_CHECK err_t disk_resolve(sim_disk_t *d, const char *path, bool follow, inode_t **ret_folder,
                              char ret_name[NAME_MAX_LEN + 1], inode_t **ret_inode);
/* Each change of the disk passes here first: counts, and fails when a fault is due. */
MUST_CHECK err_t disk_change(sim_disk_t *d, const char *what);
name_change_t *disk_journal(sim_disk_t *d);
/* Sets a name (NULL: removes it) and records it in c. */
void disk_set_name(sim_disk_t *d, name_change_t *c, inode_t *folder, const char *name, inode_t *to);
void disk_sync_folder(sim_disk_t *d, inode_t *folder);

size_t inode_read(inode_t *i, uint8_t *out, size_t len, uint64_t offset);
MUST_CHECK err_t inode_write(sim_disk_t *d, inode_t *i, bytes_t data, uint64_t offset);
MUST_CHECK err_t inode_truncate(sim_disk_t *d, inode_t *i, uint64_t size);
void inode_punch(sim_disk_t *d, inode_t *i, uint64_t offset, uint64_t len);
void inode_sync(sim_disk_t *d, inode_t *i);
uint64_t inode_disk_bytes(const inode_t *i);
#endif

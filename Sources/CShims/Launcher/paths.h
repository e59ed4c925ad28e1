// Paths of a container, resolved in its root by the kernel: openat2 with RESOLVE_IN_ROOT, so that neither `..` nor a
// symlink (raced or not) leads out of it, and RESOLVE_NO_MAGICLINKS, so that no /proc/PID/fd does.
#ifndef BL_PATHS_H
#define BL_PATHS_H

#include "base.h"

struct bl_launch;

// The launch's root descriptor; the process's own root where no step opened one.
int bl_root(struct bl_launch *launch, struct bl_error *error);

int bl_open_in_root(int root, const char *path, int flags, struct bl_error *error);
// As above, and no component may be a symlink: for mounts that others rely on (proc, sysfs).
int bl_open_in_root_nofollow(int root, const char *path, int flags, struct bl_error *error);
// Opens the folder of `path` and gives its last component; missing parents are made (0755) where `make` says so.
int bl_open_parent(int root, const char *path, bool make, char name[256], struct bl_error *error);
// Makes a folder and its parents, or an empty file in such a folder; what is there is left. Returns it opened O_PATH.
int bl_make_in_root(int root, const char *path, bool directory, struct bl_error *error);

// "/proc/self/fd/N", for system calls that take no descriptor.
struct bl_fd_path {
    char text[32];
};
struct bl_fd_path bl_fd_path(int fd);

// Opens a descriptor again with other flags, through the host's procfs: works whatever the container mounted on /proc.
int bl_reopen(struct bl_launch *launch, int fd, int flags);
// Whether `fd` is on a filesystem of this magic number (statfs(2)).
bool bl_on_filesystem(int fd, long magic);

#endif

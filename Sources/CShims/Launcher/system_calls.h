// What musl 1.2.3 does not declare: the mount API and statx. glibc has them in <sys/mount.h> and <sys/stat.h>.
#ifndef BL_SYSTEM_CALLS_H
#define BL_SYSTEM_CALLS_H

#include <sys/mount.h>
#include <sys/stat.h>

#ifndef __GLIBC__
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static inline int open_tree(int directory, const char *path, unsigned flags)
{
    return (int)syscall(SYS_open_tree, directory, path, flags);
}

static inline int move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags)
{
    return (int)syscall(SYS_move_mount, from, from_path, to, to_path, flags);
}

static inline int fsopen(const char *type, unsigned flags)
{
    return (int)syscall(SYS_fsopen, type, flags);
}

static inline int fsconfig(int fd, unsigned command, const char *key, const void *value, int aux)
{
    return (int)syscall(SYS_fsconfig, fd, command, key, value, aux);
}

static inline int fsmount(int fd, unsigned flags, unsigned attributes)
{
    return (int)syscall(SYS_fsmount, fd, flags, attributes);
}

static inline int mount_setattr(int directory, const char *path, unsigned flags, struct mount_attr *attributes, size_t size)
{
    return (int)syscall(SYS_mount_setattr, directory, path, flags, attributes, size);
}

static inline int statx(int directory, const char *path, int flags, unsigned mask, struct statx *status)
{
    return (int)syscall(SYS_statx, directory, path, flags, mask, status);
}
#endif

#endif

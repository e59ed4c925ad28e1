#include "calls.h"

#include <fcntl.h>
#include <linux/fsverity.h>
#include <linux/loop.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

int berth_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    return (int)checked(syscall(SYS_openat2, directory, path, &how, sizeof how));
}

int berth_renameat2(int from, const char *from_path, int to, const char *to_path, unsigned flags) {
    return (int)checked(syscall(SYS_renameat2, from, from_path, to, to_path, flags));
}

int berth_mknodat(int directory, const char *path, unsigned mode, unsigned major, unsigned minor) {
    return (int)checked(mknodat(directory, path, mode, makedev(major, minor)));
}

int berth_filesystem_type(int descriptor, uint64_t *magic) {
    struct statfs status;
    if (fstatfs(descriptor, &status) < 0) return -errno;
    *magic = (uint64_t)status.f_type;
    return 0;
}

unsigned berth_device_major(uint64_t device) { return major(device); }
unsigned berth_device_minor(uint64_t device) { return minor(device); }
uint64_t berth_device(unsigned major, unsigned minor) { return makedev(major, minor); }

long berth_lgetxattr(const char *path, const char *name, void *value, size_t size) {
    return checked(lgetxattr(path, name, value, size));
}

int berth_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags) {
    return (int)checked(lsetxattr(path, name, value, size, flags));
}

long berth_llistxattr(const char *path, char *names, size_t size) { return checked(llistxattr(path, names, size)); }

int berth_lremovexattr(const char *path, const char *name) { return (int)checked(lremovexattr(path, name)); }

long berth_fgetxattr(int descriptor, const char *name, void *value, size_t size) {
    return checked(fgetxattr(descriptor, name, value, size));
}

int berth_fsetxattr(int descriptor, const char *name, const void *value, size_t size, int flags) {
    return (int)checked(fsetxattr(descriptor, name, value, size, flags));
}

int berth_flock(int descriptor, int operation) { return (int)checked(flock(descriptor, operation)); }

int berth_syncfs(int descriptor) { return (int)checked(syncfs(descriptor)); }

int berth_sync_file_range(int descriptor, int64_t offset, int64_t size, unsigned flags) {
    return (int)checked(sync_file_range(descriptor, offset, size, flags));
}

long berth_copy_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t size) {
    off64_t in = from_offset, out = to_offset;
    return checked(copy_file_range(from, &in, to, &out, size, 0));
}

int64_t berth_next_data(int descriptor, int64_t offset) { return checked(lseek64(descriptor, offset, SEEK_DATA)); }
int64_t berth_next_hole(int descriptor, int64_t offset) { return checked(lseek64(descriptor, offset, SEEK_HOLE)); }

int berth_enable_verity(int descriptor) {
    struct fsverity_enable_arg arguments = {.version = 1, .hash_algorithm = FS_VERITY_HASH_ALG_SHA256, .block_size = 4096};
    return (int)checked(ioctl(descriptor, FS_IOC_ENABLE_VERITY, &arguments));
}

int berth_loop_attach(int backing, int *number) {
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0) return -errno;
    int result = -EBUSY;
    // Another process may take the device between the two calls.
    for (int attempt = 0; attempt < 16 && result == -EBUSY; attempt++) {
        int free_one = ioctl(control, LOOP_CTL_GET_FREE);
        if (free_one < 0) {
            result = -errno;
            break;
        }
        char path[32];
        snprintf(path, sizeof path, "/dev/loop%d", free_one);
        int device = open(path, O_RDONLY | O_CLOEXEC);
        if (device < 0) {
            result = -errno;
            break;
        }
        struct loop_config config = {.fd = (unsigned)backing,
                                     .info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR};
        result = ioctl(device, LOOP_CONFIGURE, &config) < 0 ? -errno : device;
        if (result < 0)
            close(device);
        else
            *number = free_one;
    }
    close(control);
    return result;
}

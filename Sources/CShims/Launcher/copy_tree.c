// tmpcopyup: a tmpfs receives what the directory below it held.
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "mounts.h"

#define MAX_DEPTH 64

// Extended attributes are copied as far as the tmpfs takes them: it knows no "user." ones on older kernels.
static void copy_attributes(int from, int to)
{
    char names[4096], value[4096];
    ssize_t size = flistxattr(from, names, sizeof names);
    for (char *name = names; size > 0 && name < names + size; name += strlen(name) + 1) {
        ssize_t length = fgetxattr(from, name, value, sizeof value);
        if (length >= 0)
            (void)fsetxattr(to, name, value, (size_t)length, 0);
    }
}

static int copy_file(int from, int to, const char *name, const struct stat *status, struct bl_error *error)
{
    cleanup_close int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    cleanup_close int copy = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (source < 0 || copy < 0)
        return bl_fail(error, errno, name, "copy up");
    ssize_t moved;
    while ((moved = sendfile(copy, source, NULL, 1 << 20)) > 0) {
    }
    struct timespec times[2] = {status->st_atim, status->st_mtim};
    if (moved < 0 || fchown(copy, status->st_uid, status->st_gid) < 0 || fchmod(copy, status->st_mode & 07777) < 0 ||
        futimens(copy, times) < 0)
        return bl_fail(error, errno, name, "copy up");
    copy_attributes(source, copy);
    return 0;
}

static int copy_level(int from, int to, int depth, struct bl_error *error);

static int copy_entry(int from, int to, const char *name, int depth, struct bl_error *error)
{
    struct stat status;
    if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return bl_fail(error, errno, name, "copy up");
    struct timespec times[2] = {status.st_atim, status.st_mtim};
    switch (status.st_mode & S_IFMT) {
    case S_IFREG:
        return copy_file(from, to, name, &status, error);
    case S_IFDIR: {
        if (mkdirat(to, name, 0700) < 0)
            return bl_fail(error, errno, name, "copy up");
        cleanup_close int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        cleanup_close int copy = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (source < 0 || copy < 0)
            return bl_fail(error, errno, name, "copy up");
        return copy_level(source, copy, depth + 1, error);
    }
    case S_IFLNK: {
        char target[4096];
        ssize_t length = readlinkat(from, name, target, sizeof target - 1);
        if (length < 0)
            return bl_fail(error, errno, name, "copy up");
        target[length] = 0;
        if (symlinkat(target, to, name) < 0)
            return bl_fail(error, errno, name, "copy up");
        break;
    }
    default:
        if (mknodat(to, name, status.st_mode, status.st_rdev) < 0 || fchmodat(to, name, status.st_mode & 07777, 0) < 0)
            return bl_fail(error, errno, name, "copy up");
    }
    if (fchownat(to, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return bl_fail(error, errno, name, "copy up");
    return 0;
}

// The top is the mount itself: its mode is that of the mount's options, and so is an owner that they name.
static int copy_status(int from, int to, int depth, struct bl_error *error)
{
    struct stat status, mounted;
    if (fstat(from, &status) < 0 || fstat(to, &mounted) < 0)
        return bl_fail(error, errno, NULL, "copy up");
    bool owned = depth == 0 && (mounted.st_uid != 0 || mounted.st_gid != 0);
    mode_t mode = depth == 0 ? mounted.st_mode : status.st_mode;
    if ((!owned && fchown(to, status.st_uid, status.st_gid) < 0) || fchmod(to, mode & 07777) < 0)
        return bl_fail(error, errno, NULL, "copy up");
    copy_attributes(from, to);
    struct timespec times[2] = {status.st_atim, status.st_mtim};
    (void)futimens(to, times);
    return 0;
}

static void close_directory(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}

static int copy_level(int from, int to, int depth, struct bl_error *error)
{
    if (depth > MAX_DEPTH)
        return bl_fail(error, ELOOP, NULL, "copy up: deeper than %d directories", MAX_DEPTH);
    int own = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    __attribute__((cleanup(close_directory))) DIR *directory = own < 0 ? NULL : fdopendir(own);
    if (!directory) {
        bl_close(&own);
        return bl_fail(error, errno, NULL, "copy up");
    }
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (copy_entry(from, to, entry->d_name, depth, error) < 0)
            return -1;
    }
    return copy_status(from, to, depth, error);
}

int bl_copy_tree(int from, int to, struct bl_error *error) { return copy_level(from, to, 0, error); }

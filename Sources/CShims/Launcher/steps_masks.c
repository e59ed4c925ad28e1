// Masked and read-only paths. Each is opened once, in the root, and the mount goes on what was opened: a rename or a
// symlink planted between cannot move it.
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "launch.h"
#include "mounts.h"
#include "paths.h"

static bool is_null_device(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

// /dev/null of the host, while it is reachable, else the container's: what it really is, is looked at (a container
// whose /dev/null was made a symlink to /proc/sys/kernel/core_pattern got that mounted writable: CVE-2025-31133).
static int clone_null(struct bl_launch *launch, struct bl_error *error)
{
    cleanup_close int null = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (null < 0 || !is_null_device(null)) {
        bl_close(&null);
        int root = bl_root(launch, error);
        null = root < 0 ? -1 : bl_open_in_root(root, "/dev/null", O_PATH | O_NOFOLLOW, error);
        if (null < 0)
            return -1;
        if (!is_null_device(null))
            return bl_fail(error, ENODEV, "/dev/null", "is not the null device");
    }
    return bl_clone_tree(null, "", false, error);
}

// The first mask is made; the others are clones of it, which is quicker than a superblock for each.
static int next_mask(struct bl_launch *launch, bool directory, const char *data, struct bl_error *error)
{
    int *first = directory ? &launch->mask_tree : &launch->null_tree;
    if (*first >= 0)
        return bl_clone_tree(*first, "", false, error);
    const uint64_t flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    *first = directory ? bl_make_filesystem("tmpfs", "tmpfs", data, flags, error) : clone_null(launch, error);
    return *first < 0 ? -1 : fcntl(*first, F_DUPFD_CLOEXEC, 0);
}

int bl_step_mask_path(struct bl_launch *launch, const Berth__Launch__V1__MaskPath *action, struct bl_error *error)
{
    struct stat status;
    int root = bl_root(launch, error);
    if (root < 0)
        return -1;
    cleanup_close int target = bl_open_in_root(root, action->path, O_PATH, error);
    if (target < 0)
        return error->code == ENOENT || error->code == ENOTDIR ? 0 : -1;
    if (fstat(target, &status) < 0)
        return bl_fail(error, errno, action->path, NULL);
    cleanup_close int mask = next_mask(launch, S_ISDIR(status.st_mode), action->data, error);
    return mask < 0 ? -1 : bl_attach(mask, target, action->path, error);
}

int bl_step_readonly_path(struct bl_launch *launch, const Berth__Launch__V1__ReadonlyPath *action,
                          struct bl_error *error)
{
    int root = bl_root(launch, error);
    if (root < 0)
        return -1;
    cleanup_close int target = bl_open_in_root(root, action->path, O_PATH, error);
    if (target < 0)
        return error->code == ENOENT || error->code == ENOTDIR ? 0 : -1;
    cleanup_close int tree = bl_clone_tree(target, "", true, error);
    if (tree < 0 || bl_set_attributes(tree, action->path, MOUNT_ATTR_RDONLY, 0, 0, -1, true, error) < 0)
        return -1;
    return bl_attach(tree, target, action->path, error);
}

// Mount points, device nodes and symlinks inside the root.
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "launch.h"
#include "mounts.h"
#include "paths.h"

int bl_step_create_mountpoint(struct bl_launch *launch, const Berth__Launch__V1__CreateMountpoint *action,
                              struct bl_error *error)
{
    bool directory = action->kind == BERTH__LAUNCH__V1__CREATE_MOUNTPOINT__KIND__DIRECTORY;
    if (action->kind == BERTH__LAUNCH__V1__CREATE_MOUNTPOINT__KIND__AS_SOURCE) {
        struct stat status;
        if (stat(action->source, &status) < 0)
            return bl_fail(error, errno, action->source, NULL);
        directory = S_ISDIR(status.st_mode);
    }
    int root = bl_root(launch, error);
    if (root < 0)
        return -1;
    struct bl_error missing;
    cleanup_close int there = bl_open_in_root(root, action->target, O_PATH, &missing);
    launch->mountpoint_made = there < 0;
    cleanup_close int made = bl_make_in_root(root, action->target, directory, error);
    return made < 0 ? -1 : 0;
}

// Where mknod(2) is refused (user namespaces), the host's node of the same path is bound, if it is the same device.
static int bind_node(struct bl_launch *launch, const Berth__Launch__V1__MakeNode *action, struct bl_error *error)
{
    struct stat status;
    cleanup_close int source = open(action->path, O_PATH | O_CLOEXEC);
    if (source < 0 || fstat(source, &status) < 0)
        return bl_fail(error, errno, action->path, "the host's node");
    if ((status.st_mode & S_IFMT) != (action->mode & S_IFMT) ||
        status.st_rdev != makedev(action->major, action->minor))
        return bl_fail(error, ENODEV, action->path, "the host's node is another device than %u:%u", action->major,
                       action->minor);
    int root = bl_root(launch, error);
    cleanup_close int target = root < 0 ? -1 : bl_make_in_root(root, action->path, false, error);
    cleanup_close int tree = target < 0 ? -1 : bl_clone_tree(source, "", false, error);
    return tree < 0 ? -1 : bl_attach(tree, target, action->path, error);
}

int bl_step_make_node(struct bl_launch *launch, const Berth__Launch__V1__MakeNode *action, struct bl_error *error)
{
    if (action->bind)
        return bind_node(launch, action, error);
    char name[256];
    int root = bl_root(launch, error);
    cleanup_close int parent = root < 0 ? -1 : bl_open_parent(root, action->path, true, name, error);
    if (parent < 0)
        return -1;
    dev_t device = makedev(action->major, action->minor);
    if (mknodat(parent, name, action->mode, device) < 0) {
        if (errno == EPERM)
            return bind_node(launch, action, error);
        if (errno != EEXIST)
            return bl_fail(error, errno, action->path, NULL);
        struct stat status;
        if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            return bl_fail(error, errno, action->path, NULL);
        if ((status.st_mode & S_IFMT) != (action->mode & S_IFMT) || (!S_ISFIFO(status.st_mode) && status.st_rdev != device))
            return bl_fail(error, EEXIST, action->path, "something else than device %u:%u is there", action->major,
                           action->minor);
        return 0;
    }
    if ((action->uid || action->gid) &&
        fchownat(parent, name, action->uid, action->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return bl_fail(error, errno, action->path, NULL);
    return 0;
}

int bl_step_make_symlink(struct bl_launch *launch, const Berth__Launch__V1__MakeSymlink *action,
                         struct bl_error *error)
{
    char name[256];
    int root = bl_root(launch, error);
    cleanup_close int parent = root < 0 ? -1 : bl_open_parent(root, action->path, true, name, error);
    if (parent < 0)
        return -1;
    if (symlinkat(action->target, parent, name) < 0 && errno != EEXIST)
        return bl_fail(error, errno, action->path, NULL);
    return 0;
}

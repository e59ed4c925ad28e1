// New filesystems, and attributes of mounts that are there.
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "launch.h"
#include "mounts.h"
#include "paths.h"

#define DATA_LIMIT 4095 // of mount(2)

static int open_target(struct bl_launch *launch, const Berth__Launch__V1__Mount *action, struct bl_error *error)
{
    if (action->on_host) {
        int fd = open(action->target, O_PATH | O_CLOEXEC);
        return fd < 0 ? bl_fail(error, errno, action->target, NULL) : fd;
    }
    int root = bl_root(launch, error);
    if (root < 0)
        return -1;
    // Whoever plants a symlink at /proc gets a procfs elsewhere, and what is written to "/proc" goes to his files.
    if (strcmp(action->type, "proc") == 0 || strcmp(action->type, "sysfs") == 0)
        return bl_open_in_root_nofollow(root, action->target, O_PATH, error);
    return bl_open_in_root(root, action->target, O_PATH, error);
}

// fsconfig(2) takes values of up to 255 bytes; mount(2) takes one page of options and knows the same names.
static bool has_long_value(const char *data)
{
    for (const char *option = data; *option;) {
        size_t length = strcspn(option, ",");
        if (length > 255)
            return true;
        option += length + (option[length] == ',');
    }
    return false;
}

static int mount_by_path(const Berth__Launch__V1__Mount *action, int target, struct bl_error *error)
{
    struct bl_fd_path path = bl_fd_path(target);
    const char *source = action->source[0] ? action->source : action->type;
    if (mount(source, path.text, action->type, action->flags, action->data) < 0)
        return bl_fail(error, errno, action->target, NULL);
    return 0;
}

// tmpfs by itself is 1777; over a directory that was there it has that one's mode. The result is allocated.
static char *with_mode_of(int target, const char *data)
{
    struct stat status;
    char *longer = NULL;
    if (fstat(target, &status) < 0 ||
        asprintf(&longer, "%s%smode=%o", data, data[0] ? "," : "", (unsigned)status.st_mode & 07777) < 0)
        return NULL;
    return longer;
}

static int copy_up(int target, int mounted, struct bl_error *error)
{
    cleanup_close int from = openat(target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int to = openat(mounted, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (from < 0 || to < 0)
        return bl_fail(error, errno, NULL, "copy up");
    return bl_copy_tree(from, to, error);
}

int bl_step_mount(struct bl_launch *launch, const Berth__Launch__V1__Mount *action, struct bl_error *error)
{
    cleanup_close int target = open_target(launch, action, error);
    if (target < 0)
        return -1;
    bool by_path = action->flags & (MS_REMOUNT | MS_BIND | MS_MOVE) ||
                   (has_long_value(action->data) && strlen(action->data) <= DATA_LIMIT);
    bool keep_mode = action->inherit_mode && !launch->mountpoint_made;
    if (by_path && !action->copy_up && !keep_mode) {
        if (mount_by_path(action, target, error) < 0)
            return -1;
    } else {
        const char *source = action->source[0] ? action->source : action->type;
        cleanup_free char *kept = keep_mode ? with_mode_of(target, action->data) : NULL;
        if (keep_mode && !kept)
            return bl_fail(error, errno, action->target, "keep the directory's mode");
        const char *data = kept ? kept : action->data;
        cleanup_close int mounted = bl_make_filesystem(action->type, source, data, action->flags, error);
        if (mounted < 0 && error->code == ENOSYS && !action->copy_up && !keep_mode)
            return mount_by_path(action, target, error);
        if (mounted < 0)
            return -1;
        if (action->copy_up && copy_up(target, mounted, error) < 0)
            return -1;
        if (bl_attach(mounted, target, action->target, error) < 0)
            return -1;
    }
    // By the host, in its own mount namespace, it is undone; in the child's it goes with the namespace.
    if (action->on_host && !launch->is_child)
        bl_undo_push(launch, BL_UNDO_UNMOUNT, action->target);
    return 0;
}

int bl_step_set_mount_attributes(struct bl_launch *launch, const Berth__Launch__V1__SetMountAttributes *action,
                                 struct bl_error *error)
{
    int root = bl_root(launch, error);
    cleanup_close int target = root < 0 ? -1 : bl_open_in_root(root, action->target, O_PATH, error);
    if (target < 0)
        return -1;
    return bl_set_attributes(target, action->target, action->set_attributes, action->clear_attributes, 0, -1,
                             action->recursive, error);
}

int bl_step_set_propagation(struct bl_launch *launch, const Berth__Launch__V1__SetPropagation *action,
                            struct bl_error *error)
{
    int root = bl_root(launch, error);
    cleanup_close int target = root < 0 ? -1 : bl_open_in_root(root, action->target, O_PATH, error);
    if (target < 0)
        return -1;
    return bl_set_attributes(target, action->target, 0, 0, action->propagation, -1, action->propagation & MS_REC,
                             error);
}

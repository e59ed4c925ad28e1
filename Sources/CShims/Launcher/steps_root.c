// The container's root: opened, and later become this process's root.
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "launch.h"
#include "mounts.h"
#include "paths.h"

// Makes the mount private that `folder` is in. Its root is the next directory upwards, from there on, that is a mount's root
// (STATX_ATTR_MOUNT_ROOT, Linux 5.8).
static int make_mount_private(int folder)
{
    cleanup_close int place = openat(folder, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int depth = 0; place >= 0 && depth < 4096; depth++) {
        struct statx status;
        if (statx(place, "", AT_EMPTY_PATH, 0, &status) < 0)
            return -1;
        if (status.stx_attributes & STATX_ATTR_MOUNT_ROOT)
            return mount(NULL, bl_fd_path(place).text, NULL, MS_PRIVATE, NULL);
        int upper = openat(place, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        bl_close(&place);
        place = upper;
    }
    return -1;
}

// Attaches the root's mount, and takes it.
static int attach_root(struct bl_launch *launch, const Berth__Launch__V1__OpenRoot *action, int *tree, const char *place,
                       struct bl_error *error)
{
    cleanup_close int folder = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return bl_fail(error, errno, place, NULL);
    if (bl_attach(*tree, folder, action->path, error) < 0)
        return -1;
    if (action->readonly &&
        bl_set_attributes(*tree, action->path, MOUNT_ATTR_RDONLY, 0, 0, -1, false, error) < 0)
        return -1;
    bl_close(&launch->root);
    // The mount's own descriptor refers to its root, whatever is mounted over the path.
    launch->root = bl_take(tree);
    return 0;
}

// What later binds take from the host, which is out of reach when their turn comes.
static int open_bind_sources(struct bl_launch *launch, uint64_t propagation, struct bl_error *error)
{
    const uint32_t own = launch->step;
    for (uint32_t i = own + 1; i < launch->plan->n_steps; i++) {
        const bl_step *step = launch->plan->steps[i];
        if (step->action_case != BL_ACTION(BIND_MOUNT) ||
            step->bind_mount->opener != BERTH__LAUNCH__V1__BIND_MOUNT__OPENER__BY_CHILD)
            continue;
        launch->step = i; // the one that fails
        const Berth__Launch__V1__BindMount *bind = step->bind_mount;
        launch->prepared[i] = bl_clone_host_tree(bind->source, bind->recursive, propagation, error);
        if (launch->prepared[i] < 0 && !step->optional)
            return -1;
    }
    launch->step = own;
    return 0;
}

// From the host's mount namespace to one that began as a copy of `action->base_mounts`.
static int open_root_in_base(struct bl_launch *launch, const Berth__Launch__V1__OpenRoot *action, struct bl_error *error)
{
    const Berth__Launch__V1__Mount *made = action->filesystem;
    cleanup_close int tree = made ? bl_make_filesystem(made->type, made->source, made->data, made->flags, error)
                                  : bl_clone_host_tree(action->path, true, action->propagation, error);
    if (tree < 0 || open_bind_sources(launch, action->propagation, error) < 0)
        return -1;
    // A copy, in which what is mounted is this process's alone.
    cleanup_close int base = bl_take(&launch->prepared[launch->step]);
    if (setns(base, CLONE_NEWNS) < 0 || unshare(CLONE_NEWNS) < 0)
        return bl_fail(error, errno, action->base_mounts, "enter the mount namespace");
    return attach_root(launch, action, &tree, "/", error);
}

int bl_step_open_root(struct bl_launch *launch, const Berth__Launch__V1__OpenRoot *action, struct bl_error *error)
{
    if (action->base_mounts[0])
        return open_root_in_base(launch, action, error);
    if (action->plain) {
        int folder = open(action->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0)
            return bl_fail(error, errno, action->path, NULL);
        bl_close(&launch->root);
        launch->root = folder;
        return 0;
    }
    // First of all, so that no mount of the container reaches the host.
    if (action->propagation && mount(NULL, "/", NULL, action->propagation, NULL) < 0)
        return bl_fail(error, errno, "/", "propagation %#llx", (unsigned long long)action->propagation);
    // A shared root is of a peer group of its own: what is mounted on it and in it would be the host's, too.
    if (action->propagation & MS_SHARED) {
        cleanup_close int place = open(action->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (place < 0 || make_mount_private(place) < 0)
            return bl_fail(error, errno, action->path, "make its mount private");
    }
    // pivot_root(2) wants a mount point.
    cleanup_close int tree = bl_clone_tree(AT_FDCWD, action->path, true, error);
    if (tree < 0)
        return -1;
    return attach_root(launch, action, &tree, action->path, error);
}

// pivot_root(2) refuses to leave a shared mount.
static int make_parent_private(int root)
{
    cleanup_close int parent = openat(root, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return parent < 0 ? -1 : make_mount_private(parent);
}

static int pivot(int root, struct bl_error *error)
{
    cleanup_close int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (old < 0 || fchdir(root) < 0)
        return bl_fail(error, errno, NULL, "enter the root");
    if (syscall(SYS_pivot_root, ".", ".") < 0) {
        // Nor may the root itself be shared; it becomes what the plan says after this.
        if (errno != EINVAL || make_parent_private(root) < 0 ||
            bl_set_attributes(root, "/", 0, 0, MS_PRIVATE, -1, false, error) < 0)
            return bl_fail(error, errno, NULL, "pivot_root");
        if (syscall(SYS_pivot_root, ".", ".") < 0)
            return bl_fail(error, errno, NULL, "pivot_root");
    }
    // The old root lies on the new one now. Its unmounting must not reach the host, and the new root's mounts keep their
    // propagation: "." is still the new root for mount(2), so the old one is entered by its descriptor.
    if (fchdir(old) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0 || umount2(".", MNT_DETACH) < 0)
        return bl_fail(error, errno, NULL, "detach the old root");
    return 0;
}

// MS_MOVE leaves the old root's mounts where they are, below the new one. A procfs or sysfs among them that nothing covers
// would let a user namespace in the container mount a bare one of its own (mount_too_revealing() of the kernel).
static int hide_old_mounts(int host_proc, int root, struct bl_error *error)
{
    char line[8192], path[4096] = "";
    struct bl_fd_path link = bl_fd_path(root);
    ssize_t size = readlink(link.text, path, sizeof path - 1);
    int fd = openat(host_proc, "self/mountinfo", O_RDONLY | O_CLOEXEC);
    FILE *table = fd < 0 ? NULL : fdopen(fd, "r");
    if (size <= 0 || !table) {
        bl_close(&fd);
        return bl_fail(error, errno, "/proc/self/mountinfo", NULL);
    }
    path[size] = 0;
    while (fgets(line, sizeof line, table)) {
        char target[4096], *dash = strstr(line, " - ");
        if (!dash || sscanf(line, "%*d %*d %*s %*s %4095s", target) != 1)
            continue;
        bool reveals = strncmp(dash + 3, "proc ", 5) == 0 || strncmp(dash + 3, "sysfs ", 6) == 0;
        bool inside = strncmp(target, path, (size_t)size) == 0 && (target[size] == '/' || !target[size]);
        if (!reveals || inside)
            continue;
        // Nothing of this may reach the host. What is locked by a user namespace is covered instead.
        (void)mount(NULL, target, NULL, MS_SLAVE | MS_REC, NULL);
        if (umount2(target, MNT_DETACH) < 0 && errno != EINVAL && errno != EPERM && errno != ENOENT) {
            int code = errno;
            fclose(table);
            return bl_fail(error, code, target, "detach");
        }
    }
    fclose(table);
    return 0;
}

static int move(int host_proc, int root, struct bl_error *error)
{
    if (hide_old_mounts(host_proc, root, error) < 0)
        return -1;
    if (fchdir(root) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
        return bl_fail(error, errno, NULL, "move the root");
    return 0;
}

static int change_root(int root, struct bl_error *error)
{
    if (fchdir(root) < 0 || chroot(".") < 0)
        return bl_fail(error, errno, NULL, "chroot");
    return 0;
}

int bl_step_pivot_root(struct bl_launch *launch, const Berth__Launch__V1__PivotRoot *action, struct bl_error *error)
{
    if (launch->root < 0)
        return bl_fail(error, EINVAL, NULL, "no root was opened");
    int entered = action->chroot_only ? change_root(launch->root, error)
                  : action->no_pivot  ? move(launch->host_proc, launch->root, error)
                                      : pivot(launch->root, error);
    if (entered < 0)
        return -1;
    if (chdir("/") < 0)
        return bl_fail(error, errno, "/", NULL);
    bl_close(&launch->root);
    launch->entered = true;
    // The masks are made. Not until exec closes them: they are the host's as long as the process waits for its start.
    bl_close(&launch->null_tree);
    bl_close(&launch->mask_tree);
    int root = bl_root(launch, error);
    if (root < 0)
        return -1;
    if (action->propagation &&
        bl_set_attributes(root, "/", 0, 0, action->propagation, -1, action->propagation & MS_REC, error) < 0)
        return -1;
    return action->readonly ? bl_set_attributes(root, "/", MOUNT_ATTR_RDONLY, 0, 0, -1, false, error) : 0;
}

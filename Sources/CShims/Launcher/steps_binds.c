// Bind mounts, with attributes and id mappings set before they are attached: there is no moment without them.
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "launch.h"
#include "mounts.h"
#include "paths.h"

// A user namespace with these mappings, made by a process that lives only for it.
static int make_user_namespace(struct bl_launch *launch, const Berth__Launch__V1__BindMount *bind,
                               struct bl_error *error)
{
    cleanup_close int pidfd = -1;
    pid_t pid = bl_clone(CLONE_NEWUSER, SIGCHLD, -1, &pidfd);
    if (pid == 0)
        for (;;)
            pause();
    if (pid < 0)
        return bl_fail(error, errno, NULL, "make a user namespace");
    int namespace = -1;
    int mapped = bl_write_id_maps(launch->host_proc, pid, bind->uids, bind->n_uids, bind->gids, bind->n_gids, error);
    if (mapped == 0) {
        char path[32];
        snprintf(path, sizeof path, "%d/ns/user", pid);
        namespace = openat(launch->host_proc, path, O_RDONLY | O_CLOEXEC);
        if (namespace < 0)
            bl_fail(error, errno, NULL, "open the user namespace");
    }
    bl_pidfd_signal(pidfd, SIGKILL);
    bl_reap(pidfd, false, NULL);
    return namespace;
}

// The namespace whose mappings hold, or -1 with `error` left alone where the mount has none.
static int mapping_namespace(struct bl_launch *launch, const Berth__Launch__V1__BindMount *bind, struct bl_error *error)
{
    char path[32];
    if (bind->n_uids || bind->n_gids)
        return make_user_namespace(launch, bind, error);
    snprintf(path, sizeof path, "%d/ns/user", launch->child);
    int namespace = bind->mappings_path[0] ? open(bind->mappings_path, O_RDONLY | O_CLOEXEC)
                                           : openat(launch->host_proc, path, O_RDONLY | O_CLOEXEC);
    return namespace < 0 ? bl_fail(error, errno, bind->mappings_path, "open the user namespace") : namespace;
}

// A mount of `bind`'s source as the child's mount namespace has it. This process is in its own one again afterwards.
static int clone_in_child(struct bl_launch *launch, const Berth__Launch__V1__BindMount *bind, struct bl_error *error)
{
    char path[32];
    snprintf(path, sizeof path, "%d/ns/mnt", launch->child);
    cleanup_close int there = openat(launch->host_proc, path, O_RDONLY | O_CLOEXEC);
    cleanup_close int own = openat(launch->host_proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
    cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (there < 0 || own < 0 || root < 0 || folder < 0 || setns(there, CLONE_NEWNS) < 0)
        return bl_fail(error, errno, bind->source, "enter the container's mount namespace");
    int tree = bl_clone_tree(AT_FDCWD, bind->source, bind->recursive, error);
    // setns(2) sets the root and the working directory to those of the namespace.
    if (setns(own, CLONE_NEWNS) < 0 || fchdir(root) < 0 || chroot(".") < 0 || fchdir(folder) < 0) {
        int code = errno;
        bl_close(&tree);
        return bl_fail(error, code, bind->source, "leave the container's mount namespace");
    }
    return tree;
}

int bl_open_tree_for_child(struct bl_launch *launch, const Berth__Launch__V1__BindMount *bind, struct bl_error *error)
{
    bool in_child = bind->opener == BERTH__LAUNCH__V1__BIND_MOUNT__OPENER__BY_HOST_IN_CHILD;
    cleanup_close int tree = in_child ? clone_in_child(launch, bind, error)
                                      : bl_clone_host_tree(bind->source, bind->recursive, MS_SLAVE, error);
    if (tree < 0)
        return -1;
    if (!bind->n_uids && !bind->n_gids && !bind->mappings_path[0] && !bind->mapped_as_child)
        return bl_take(&tree);
    cleanup_close int namespace = mapping_namespace(launch, bind, error);
    if (namespace < 0 ||
        bl_set_attributes(tree, bind->source, 0, 0, 0, namespace, bind->recursive_mappings, error) < 0)
        return -1;
    return bl_take(&tree);
}

static int ask_host(struct bl_launch *launch, struct bl_error *error)
{
    int tree = -1;
    struct bl_sync message = {.type = BL_SYNC_TREE, .step = launch->step};
    if (bl_sync_send(launch->sync, &message, -1) < 0)
        return bl_fail(error, errno, NULL, "ask for the source");
    if (bl_sync_receive(launch->sync, &message, &tree) <= 0 || message.type != BL_SYNC_GO || tree < 0)
        _exit(128); // the launcher reports what failed
    return tree;
}

// MOUNT_ATTR_* that a mount has; 0 where that cannot be told.
static uint64_t attributes_of(int tree)
{
    static const struct {
        unsigned long flag;
        uint64_t attribute;
    } table[] = {
        {ST_RDONLY, MOUNT_ATTR_RDONLY}, {ST_NOSUID, MOUNT_ATTR_NOSUID}, {ST_NODEV, MOUNT_ATTR_NODEV},
        {ST_NOEXEC, MOUNT_ATTR_NOEXEC}, {ST_NOATIME, MOUNT_ATTR_NOATIME}, {ST_NODIRATIME, MOUNT_ATTR_NODIRATIME},
    };
    struct statvfs status;
    uint64_t found = 0;
    if (fstatvfs(tree, &status) < 0)
        return 0;
    for (size_t i = 0; i < BL_COUNT(table); i++)
        if (status.f_flag & table[i].flag)
            found |= table[i].attribute;
    // statfs(2) has no flag for it: it is what is neither of the others.
    if (!(status.f_flag & (ST_NOATIME | ST_RELATIME)))
        found |= MOUNT_ATTR_STRICTATIME;
    return found;
}

static int open_target(int root, const Berth__Launch__V1__BindMount *action, int tree, struct bl_error *error)
{
    struct stat status;
    if (!action->make_target)
        return bl_open_in_root(root, action->target, O_PATH, error);
    if (fstat(tree, &status) < 0)
        return bl_fail(error, errno, action->source, NULL);
    return bl_make_in_root(root, action->target, S_ISDIR(status.st_mode), error);
}

static int open_source(struct bl_launch *launch, const Berth__Launch__V1__BindMount *bind, struct bl_error *error)
{
    if (launch->prepared[launch->step] >= 0)
        return bl_take(&launch->prepared[launch->step]);
    if (bind->opener == BERTH__LAUNCH__V1__BIND_MOUNT__OPENER__BY_CHILD)
        return bl_clone_tree(AT_FDCWD, bind->source, bind->recursive, error);
    return ask_host(launch, error);
}

int bl_step_bind_mount(struct bl_launch *launch, const Berth__Launch__V1__BindMount *action, struct bl_error *error)
{
    cleanup_close int tree = open_source(launch, action, error);
    if (tree < 0)
        return -1;
    const uint64_t access_time = MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME;
    uint64_t has = action->locked_attributes || action->locked_access_time ? attributes_of(tree) : 0;
    if (action->locked_attributes & has ||
        (action->locked_access_time && (has & access_time) != (action->set_attributes & access_time)))
        return bl_fail(error, EPERM, action->target, "the options of \"%s\" cannot be undone in a user namespace",
                       action->source);
    if ((action->set_attributes || action->clear_attributes) &&
        bl_set_attributes(tree, action->target, action->set_attributes, action->clear_attributes, 0, -1,
                          action->attributes_recursive, error) < 0)
        return -1;
    int root = bl_root(launch, error);
    cleanup_close int target = root < 0 ? -1 : open_target(root, action, tree, error);
    if (target < 0 || bl_attach(tree, target, action->target, error) < 0)
        return -1;
    if (!action->propagation)
        return 0;
    // After it is attached, since it becomes a member of the target's peer group by that.
    return bl_set_attributes(tree, action->target, 0, 0, action->propagation, -1, action->propagation & MS_REC, error);
}

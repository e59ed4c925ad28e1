// Bind mounts, with attributes and id mappings set before they are attached: there is no moment without them.
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

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

int bl_prepare_idmapped(struct bl_launch *launch, const Berth__Launch__V1__BindMount *bind, struct bl_error *error)
{
    cleanup_close int tree = bl_clone_tree(AT_FDCWD, bind->source, bind->recursive, error);
    if (tree < 0)
        return -1;
    cleanup_close int namespace = make_user_namespace(launch, bind, error);
    if (namespace < 0)
        return -1;
    if (bl_set_attributes(tree, bind->source, 0, 0, 0, namespace, bind->recursive, error) < 0)
        return -1;
    return bl_take(&tree);
}

int bl_step_bind_mount(struct bl_launch *launch, const Berth__Launch__V1__BindMount *action, struct bl_error *error)
{
    int prepared = launch->prepared[launch->step];
    cleanup_close int cloned = prepared < 0 ? bl_clone_tree(AT_FDCWD, action->source, action->recursive, error) : -1;
    int tree = prepared < 0 ? cloned : prepared;
    if (tree < 0)
        return -1;
    if ((action->set_attributes || action->clear_attributes) &&
        bl_set_attributes(tree, action->target, action->set_attributes, action->clear_attributes, 0, -1,
                          action->attributes_recursive, error) < 0)
        return -1;
    int root = bl_root(launch, error);
    cleanup_close int target = root < 0 ? -1 : bl_open_in_root(root, action->target, O_PATH, error);
    if (target < 0 || bl_attach(tree, target, action->target, error) < 0)
        return -1;
    if (!action->propagation)
        return 0;
    // After it is attached, since it becomes a member of the target's peer group by that.
    return bl_set_attributes(tree, action->target, 0, 0, action->propagation, -1, action->propagation & MS_REC, error);
}

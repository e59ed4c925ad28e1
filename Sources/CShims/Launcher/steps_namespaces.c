// Joining, making, mapping and pinning of namespaces.
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "launch.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define MAX_MAPPINGS 340 // UID_GID_MAP_MAX_EXTENTS of the kernel

static const struct {
    uint32_t type;
    const char *name;
} namespaces[] = {
    {CLONE_NEWNS, "mnt"},  {CLONE_NEWPID, "pid"},       {CLONE_NEWNET, "net"},   {CLONE_NEWIPC, "ipc"},
    {CLONE_NEWUTS, "uts"}, {CLONE_NEWCGROUP, "cgroup"}, {CLONE_NEWUSER, "user"}, {CLONE_NEWTIME, "time"},
};

int bl_enter_namespace(int fd, const Berth__Launch__V1__JoinNamespace *action, struct bl_error *error)
{
    if (setns(fd, (int)action->type) < 0)
        return bl_fail(error, errno, action->path, action->path[0] ? NULL : "namespaces %#x of process %u",
                       action->type, action->target_pid);
    return 0;
}

int bl_step_join_namespace(struct bl_launch *launch, const Berth__Launch__V1__JoinNamespace *action,
                           struct bl_error *error)
{
    int prepared = launch->prepared[launch->step];
    cleanup_close int opened = prepared < 0 ? open(action->path, O_RDONLY | O_CLOEXEC) : -1;
    int fd = prepared < 0 ? opened : prepared;
    if (fd < 0)
        return bl_fail(error, errno, action->path, NULL);
    // Unlike a PID namespace this one takes its caller in, too.
    if (!launch->is_child && action->type & CLONE_NEWTIME && launch->own_time < 0)
        launch->own_time = openat(launch->host_proc, "self/ns/time", O_RDONLY | O_CLOEXEC);
    if (bl_enter_namespace(fd, action, error) < 0)
        return -1;
    if (!launch->is_child)
        return 0;
    if (action->type & CLONE_NEWNS)
        bl_close(&launch->root); // it was one of the namespace that was left
    return action->type & CLONE_NEWUSER ? bl_become_namespace_root(error) : 0;
}

int bl_step_unshare(struct bl_launch *launch, const Berth__Launch__V1__Unshare *action, struct bl_error *error)
{
    (void)launch;
    if (unshare((int)action->flags) < 0)
        return bl_fail(error, errno, NULL, "flags %#llx", (unsigned long long)action->flags);
    return 0;
}

int bl_become_namespace_root(struct bl_error *error)
{
    // Here and not only where the container's user is set: hooks and mounts come before that, and the caller's groups open
    // files of the host. EPERM: the namespace denies setgroups(2).
    if (setgroups(0, NULL) < 0 && errno != EPERM)
        return bl_fail(error, errno, NULL, "drop the groups in the user namespace");
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return bl_fail(error, errno, NULL, "become root of the user namespace");
    return 0;
}

static int write_id_map(int proc, pid_t pid, const char *file, Berth__Launch__V1__IDMap *const *maps, size_t count,
                        struct bl_error *error)
{
    if (count == 0)
        return 0;
    if (count > MAX_MAPPINGS)
        return bl_fail(error, E2BIG, NULL, "%zu id mappings; the kernel takes %d", count, MAX_MAPPINGS);
    char text[MAX_MAPPINGS * 36], path[32];
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%u %u %u\n", maps[i]->container, maps[i]->host,
                                 maps[i]->size);
    snprintf(path, sizeof path, "%d/%s", pid, file);
    if (bl_write_file(proc, path, text, used) < 0)
        return bl_fail(error, errno, NULL, "write %s", file);
    return 0;
}

int bl_write_id_maps(int proc, pid_t pid, Berth__Launch__V1__IDMap *const *uids, size_t n_uids,
                     Berth__Launch__V1__IDMap *const *gids, size_t n_gids, struct bl_error *error)
{
    if (write_id_map(proc, pid, "uid_map", uids, n_uids, error) < 0)
        return -1;
    return write_id_map(proc, pid, "gid_map", gids, n_gids, error);
}

static int run_map_helper(const char *helper, pid_t pid, Berth__Launch__V1__IDMap *const *maps, size_t count,
                          struct bl_error *error)
{
    char numbers[1 + 3 * 64][12];
    char *arguments[3 + 3 * 64] = {(char *)helper, numbers[0]};
    if (count > 64)
        return bl_fail(error, E2BIG, helper, "%zu id mappings; 64 are allowed", count);
    snprintf(numbers[0], sizeof numbers[0], "%d", pid);
    for (size_t i = 0; i < count; i++) {
        uint32_t values[] = {maps[i]->container, maps[i]->host, maps[i]->size};
        for (size_t k = 0; k < 3; k++) {
            snprintf(numbers[1 + 3 * i + k], sizeof numbers[0], "%u", values[k]);
            arguments[2 + 3 * i + k] = numbers[1 + 3 * i + k];
        }
    }
    char *environment[] = {NULL};
    struct bl_program program = {.path = helper, .arguments = arguments, .environment = environment, .timeout = 10,
                                 .folder = -1};
    return bl_run_program(&program, error);
}

int bl_step_map_ids(struct bl_launch *launch, const Berth__Launch__V1__MapIDs *action, struct bl_error *error)
{
    char path[32];
    snprintf(path, sizeof path, "%d/setgroups", launch->child);
    if (launch->is_child || launch->child <= 0)
        return bl_fail(error, EINVAL, NULL, "ids are mapped by the host, after clone");
    if (action->deny_setgroups && bl_write_file(launch->host_proc, path, "deny", 4) < 0)
        return bl_fail(error, errno, NULL, "write setgroups");
    bool by_helper = action->uid_helper[0] || action->gid_helper[0];
    if (action->uid_helper[0] && run_map_helper(action->uid_helper, launch->child, action->uids, action->n_uids, error) < 0)
        return -1;
    if (action->gid_helper[0] && run_map_helper(action->gid_helper, launch->child, action->gids, action->n_gids, error) < 0)
        return -1;
    if (!by_helper && bl_write_id_maps(launch->host_proc, launch->child, action->uids, action->n_uids, action->gids,
                                       action->n_gids, error) < 0)
        return -1;
    launch->mapped = true;
    return 0;
}

int bl_step_pin_namespace(struct bl_launch *launch, const Berth__Launch__V1__PinNamespace *action,
                          struct bl_error *error)
{
    const char *name = NULL;
    for (size_t i = 0; i < BL_COUNT(namespaces); i++)
        if (namespaces[i].type == action->type)
            name = namespaces[i].name;
    if (!name)
        return bl_fail(error, EINVAL, action->path, "namespace type %#x", action->type);
    cleanup_close int file = open(action->path, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0444);
    if (file < 0 && errno != EEXIST)
        return bl_fail(error, errno, action->path, NULL);
    if (file >= 0)
        bl_undo_push(launch, BL_UNDO_UNLINK, action->path);
    char source[48];
    snprintf(source, sizeof source, "/proc/%d/ns/%s", launch->child > 0 ? launch->child : getpid(), name);
    if (mount(source, action->path, NULL, MS_BIND, NULL) < 0)
        return bl_fail(error, errno, action->path, "bind %s", source);
    bl_undo_push(launch, BL_UNDO_UNMOUNT, action->path);
    return 0;
}

int bl_step_set_time_offsets(struct bl_launch *launch, const Berth__Launch__V1__SetTimeOffsets *action,
                             struct bl_error *error)
{
    char path[32], text[256];
    size_t used = 0;
    if (!launch->is_child && launch->child <= 0)
        return bl_fail(error, EINVAL, NULL, "offsets are set after clone");
    for (size_t i = 0; i < action->n_offsets && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s %lld %u\n", action->offsets[i]->clock,
                                 (long long)action->offsets[i]->seconds, action->offsets[i]->nanoseconds);
    if (used >= sizeof text)
        return bl_fail(error, E2BIG, NULL, "%zu offsets", action->n_offsets);
    // Of the namespace that the child unshared: what this file sets is that of its children to be. A child that is not
    // dumpable cannot open its own.
    if (launch->is_child)
        strcpy(path, "self/timens_offsets");
    else
        snprintf(path, sizeof path, "%d/timens_offsets", launch->child);
    return bl_write_file(launch->host_proc, path, text, used) < 0 ? bl_fail(error, errno, NULL, "write timens_offsets")
                                                                  : 0;
}

int bl_enter_time_namespace(struct bl_launch *launch, struct bl_error *error)
{
    cleanup_close int namespace = openat(launch->host_proc, "self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    if (namespace < 0 || setns(namespace, CLONE_NEWTIME) < 0)
        return bl_fail(error, errno, NULL, "enter the time namespace");
    return 0;
}

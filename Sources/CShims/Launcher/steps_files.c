// Host files: cgroup directories and their values.
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "launch.h"

int bl_step_make_directory(struct bl_launch *launch, const Berth__Launch__V1__MakeDirectory *action,
                           struct bl_error *error)
{
    mode_t mode = action->mode ? action->mode : 0755;
    // Mostly only the last component is missing.
    if (mkdir(action->path, mode) == 0)
        return bl_undo_push(launch, BL_UNDO_RMDIR, action->path) < 0 ? bl_fail(error, errno, action->path, NULL) : 0;
    if (errno == EEXIST)
        return 0;
    if (errno != ENOENT)
        return bl_fail(error, errno, action->path, NULL);
    cleanup_free char *path = strdup(action->path);
    if (!path)
        return bl_fail(error, errno, action->path, NULL);
    for (char *slash = path; slash;) {
        slash = strchr(slash + 1, '/');
        if (slash)
            *slash = 0;
        if (mkdir(path, mode) == 0) {
            if (bl_undo_push(launch, BL_UNDO_RMDIR, path) < 0)
                return bl_fail(error, errno, path, NULL);
        } else if (errno != EEXIST) {
            return bl_fail(error, errno, path, NULL);
        }
        if (slash)
            *slash = '/';
    }
    return 0;
}

int bl_step_write_file(struct bl_launch *launch, const Berth__Launch__V1__WriteFile *action, struct bl_error *error)
{
    (void)launch;
    const char *path = action->path;
    const ProtobufCBinaryData *value = &action->value;
    for (size_t next = 0;; next++) {
        if (bl_write_file(AT_FDCWD, path, value->data, value->len) == 0)
            return 0;
        // Another kernel's name for the same; the error of the last one counts.
        if (errno != ENOENT || next == action->n_alternatives)
            break;
        path = action->alternatives[next]->path;
        value = &action->alternatives[next]->value;
    }
    if (errno == ENOENT && action->if_present)
        return 0;
    return bl_fail(error, errno, path, "write \"%.*s\"", (int)(value->len < 128 ? value->len : 128),
                   (const char *)value->data);
}

int bl_step_delegate_cgroup(struct bl_launch *launch, const Berth__Launch__V1__DelegateCgroup *action,
                            struct bl_error *error)
{
    (void)launch;
    cleanup_close int directory = open(action->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 || fchown(directory, action->uid, (gid_t)-1) < 0)
        return bl_fail(error, errno, action->directory, NULL);
    for (size_t i = 0; i < action->n_files; i++) {
        // Which of them a kernel has depends on its version and on the controllers.
        if (fchownat(directory, action->files[i], action->uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
            return bl_fail(error, errno, action->directory, "%s", action->files[i]);
    }
    return 0;
}

int bl_step_join_resctrl(struct bl_launch *launch, const Berth__Launch__V1__JoinResctrl *action,
                         struct bl_error *error)
{
    char path[4096], text[16];
    if (launch->is_child || launch->child <= 0)
        return bl_fail(error, EINVAL, action->directory, "joined by the host, after clone");
    if (snprintf(path, sizeof path, "%s/tasks", action->directory) >= (int)sizeof path)
        return bl_fail(error, ENAMETOOLONG, action->directory, NULL);
    int length = snprintf(text, sizeof text, "%d", launch->child);
    return bl_write_file(AT_FDCWD, path, text, (size_t)length) < 0 ? bl_fail(error, errno, path, NULL) : 0;
}

int bl_step_join_cgroup(struct bl_launch *launch, const Berth__Launch__V1__JoinCgroup *action, struct bl_error *error)
{
    char path[4096], text[16] = "0";
    if (snprintf(path, sizeof path, "%s/tasks", action->directory) >= (int)sizeof path - 8)
        return bl_fail(error, ENAMETOOLONG, action->directory, NULL);
    // A single-threaded process that writes "0" to `tasks` of cgroup v1 moves without the kernel's lock over all
    // forks and exits, for which it else waits through an RCU grace period. cgroup2 has no such file.
    if (launch->is_child && bl_write_file(AT_FDCWD, path, text, 1) == 0)
        return 0;
    if (launch->is_child && errno != ENOENT)
        return bl_fail(error, errno, path, NULL);
    snprintf(path, sizeof path, "%s/cgroup.procs", action->directory);
    int length = snprintf(text, sizeof text, "%d", launch->is_child ? 0 : launch->child);
    if (!launch->is_child && launch->child <= 0)
        return bl_fail(error, EINVAL, path, "no process was cloned yet");
    if (bl_write_file(AT_FDCWD, path, text, (size_t)length) < 0)
        return bl_fail(error, errno, path, NULL);
    return 0;
}

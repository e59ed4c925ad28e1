// Kernel parameters, names, working directory, descriptors.
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "launch.h"
#include "paths.h"

#define PROC_SUPER_MAGIC 0x9fa0

int bl_step_sysctl(struct bl_launch *launch, const Berth__Launch__V1__Sysctl *action, struct bl_error *error)
{
    // The host's procfs shows the values of the namespaces of who asks; nothing that a container mounted over /proc
    // is passed, and no name leads out of it.
    struct open_how how = {
        .flags = O_WRONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    cleanup_close int sys = openat(launch->host_proc, "sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int file = sys < 0 ? -1 : (int)syscall(SYS_openat2, sys, action->name, &how, sizeof how);
    if (file < 0)
        return bl_fail(error, errno, action->name, NULL);
    if (!bl_on_filesystem(file, PROC_SUPER_MAGIC))
        return bl_fail(error, EXDEV, action->name, "is not on procfs");
    size_t size = strlen(action->value);
    if (write(file, action->value, size) != (ssize_t)size)
        return bl_fail(error, errno, action->name, "value \"%s\"", action->value);
    return 0;
}

int bl_step_set_hostname(struct bl_launch *launch, const Berth__Launch__V1__SetHostname *action,
                         struct bl_error *error)
{
    (void)launch;
    return sethostname(action->name, strlen(action->name)) < 0 ? bl_fail(error, errno, NULL, "\"%s\"", action->name) : 0;
}

int bl_step_set_domainname(struct bl_launch *launch, const Berth__Launch__V1__SetDomainname *action,
                           struct bl_error *error)
{
    (void)launch;
    return setdomainname(action->name, strlen(action->name)) < 0 ? bl_fail(error, errno, NULL, "\"%s\"", action->name) : 0;
}

// Into `path` as it is resolved within the root, where the call that tells the working directory is filtered.
static int enter_in_root(const char *path, struct bl_error *error)
{
    cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int fd = root < 0 ? -1 : bl_open_in_root(root, path, O_PATH | O_DIRECTORY, error);
    if (fd < 0)
        return root < 0 ? bl_fail(error, errno, "/", NULL) : -1;
    return fchdir(fd) < 0 ? bl_fail(error, errno, path, NULL) : 0;
}

int bl_step_change_directory(struct bl_launch *launch, const Berth__Launch__V1__ChangeDirectory *action,
                             struct bl_error *error)
{
    (void)launch;
    if (chdir(action->path) < 0)
        return bl_fail(error, errno, action->path, NULL);
    // A path by /proc/self/fd of a leaked descriptor leads out of the root (CVE-2024-21626); the kernel then says
    // "(unreachable)" for it. The system call, since libc's getcwd hides that.
    char now[4096];
    long length = syscall(SYS_getcwd, now, sizeof now);
    if (length < 0 && (errno == EPERM || errno == EACCES || errno == ENOSYS))
        return enter_in_root(action->path, error);
    if (length < 0 || now[0] != '/')
        return bl_fail(error, EXDEV, action->path, "is outside of the container's root");
    return 0;
}

// Linux before 5.11 has no CLOSE_RANGE_CLOEXEC.
static int mark_each(struct bl_launch *launch, unsigned first, struct bl_error *error)
{
    int fd = openat(launch->host_proc, "self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        bl_close(&fd);
        return bl_fail(error, errno, NULL, "list the open descriptors");
    }
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        char *end;
        unsigned long number = strtoul(entry->d_name, &end, 10);
        if (end != entry->d_name && !*end && number >= first)
            (void)fcntl((int)number, F_SETFD, FD_CLOEXEC);
    }
    closedir(directory);
    return 0;
}

int bl_step_close_descriptors(struct bl_launch *launch, const Berth__Launch__V1__CloseDescriptors *action,
                              struct bl_error *error)
{
    unsigned first = action->first < 3 ? 3 : action->first;
    if (bl_close_range(first, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
        return 0;
    // EPERM: an outer seccomp filter that is older than the call.
    if (errno != ENOSYS && errno != EINVAL && errno != EPERM)
        return bl_fail(error, errno, NULL, NULL);
    return mark_each(launch, first, error);
}

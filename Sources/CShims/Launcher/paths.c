#include "paths.h"

#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "launch.h"

// EAGAIN of RESOLVE_IN_ROOT means that a rename raced with the resolution; a hostile container can cause it for ever.
#define RACE_RETRIES 128
#define MAX_LINKS 40 // that the kernel follows too

int bl_root(struct bl_launch *launch, struct bl_error *error)
{
    if (launch->root < 0)
        launch->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (launch->root < 0)
        return bl_fail(error, errno, "/", NULL);
    return launch->root;
}

static int open_resolved(int root, const char *path, int flags, uint64_t resolve)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
        .resolve = resolve,
    };
    for (int i = 0; i < RACE_RETRIES; i++) {
        int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            return fd;
    }
    return -1;
}

int bl_open_in_root(int root, const char *path, int flags, struct bl_error *error)
{
    int fd = open_resolved(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    return fd < 0 ? bl_fail(error, errno, path, NULL) : fd;
}

int bl_open_in_root_nofollow(int root, const char *path, int flags, struct bl_error *error)
{
    int fd = open_resolved(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
    // runc's words, which engines and people look for.
    return fd < 0 ? bl_fail(error, errno, path, errno == ELOOP ? "must be mounted on ordinary directory" : NULL) : fd;
}

// Where a component of `path` is a symlink that leads nowhere yet: the path with the link's text in its place, or NULL
// where it is none. `length` is that of `path` up to the component's end.
static char *follow_dangling(int parent, const char *path, size_t length, const char *component)
{
    char link[4096], *longer = NULL;
    ssize_t size = readlinkat(parent, component, link, sizeof link - 1);
    if (size <= 0)
        return NULL;
    link[size] = 0;
    size_t prefix = link[0] == '/' ? 0 : length - strlen(component);
    if (asprintf(&longer, "%.*s%s%s", (int)prefix, path, link, path + length) < 0)
        return NULL;
    return longer;
}

// Makes the folder `path`, of which at least the last component is missing, from the first missing component on. The
// kernel resolves each prefix in the root again, since a component may be a symlink or `..`.
static int make_directories(int root, const char *wanted, int links, struct bl_error *error)
{
    cleanup_free char *path = strdup(wanted);
    cleanup_close int parent = path ? bl_open_in_root(root, "/", O_PATH | O_DIRECTORY, error) : -1;
    if (parent < 0)
        return path ? -1 : bl_fail(error, errno, wanted, NULL);
    for (char *component = path; *component;) {
        while (*component == '/')
            component++;
        if (!*component)
            break;
        char *end = strchrnul(component, '/');
        char saved = *end;
        *end = 0;
        int next = open_resolved(root, path, O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
        if (next < 0 && errno == ENOENT && strcmp(component, "..") != 0 && strcmp(component, ".") != 0) {
            cleanup_free char *name = strdup(component);
            *end = saved;
            cleanup_free char *longer = name ? follow_dangling(parent, path, (size_t)(end - path), name) : NULL;
            if (longer)
                return links > 0 ? make_directories(root, longer, links - 1, error)
                                 : bl_fail(error, ELOOP, wanted, NULL);
            *end = 0;
            if (mkdirat(parent, component, 0755) < 0 && errno != EEXIST)
                return bl_fail(error, errno, path, NULL);
            next = open_resolved(root, path, O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
        }
        if (next < 0)
            return bl_fail(error, errno, path, NULL);
        bl_close(&parent);
        parent = next;
        *end = saved;
        component = end;
    }
    return bl_take(&parent);
}

int bl_open_parent(int root, const char *path, bool make, char name[256], struct bl_error *error)
{
    cleanup_free char *copy = strdup(path);
    if (!copy)
        return bl_fail(error, errno, path, NULL);
    size_t length = strlen(copy);
    while (length > 0 && copy[length - 1] == '/')
        copy[--length] = 0;
    char *slash = strrchr(copy, '/');
    const char *last = slash ? slash + 1 : copy;
    if (!*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0 || strlen(last) > 255)
        return bl_fail(error, EINVAL, path, NULL);
    strcpy(name, last);
    if (slash)
        *slash = 0;
    const char *folder = slash && *copy ? copy : "/";
    int fd = open_resolved(root, folder, O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    if (fd >= 0 || errno != ENOENT || !make)
        return fd < 0 ? bl_fail(error, errno, path, NULL) : fd;
    return make_directories(root, copy, MAX_LINKS, error);
}

static int make_file(int root, const char *path, int links, struct bl_error *error)
{
    char name[256];
    cleanup_close int parent = bl_open_parent(root, path, true, name, error);
    if (parent < 0)
        return -1;
    cleanup_close int made = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (made < 0 && errno != EEXIST)
        return bl_fail(error, errno, path, NULL);
    int fd = open_resolved(root, path, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    if (fd >= 0 || errno != ENOENT)
        return fd < 0 ? bl_fail(error, errno, path, NULL) : fd;
    cleanup_free char *longer = follow_dangling(parent, path, strlen(path), name);
    if (!longer || links == 0)
        return bl_fail(error, longer ? ELOOP : ENOENT, path, NULL);
    return make_file(root, longer, links - 1, error);
}

int bl_make_in_root(int root, const char *path, bool directory, struct bl_error *error)
{
    int kind = directory ? O_DIRECTORY : 0;
    int fd = open_resolved(root, path, O_PATH | kind, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    if (fd >= 0) {
        struct stat status;
        if (!directory && fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) {
            close(fd);
            return bl_fail(error, EISDIR, path, NULL);
        }
        return fd;
    }
    if (errno != ENOENT)
        return bl_fail(error, errno, path, NULL);
    return directory ? make_directories(root, path, MAX_LINKS, error) : make_file(root, path, MAX_LINKS, error);
}

struct bl_fd_path bl_fd_path(int fd)
{
    struct bl_fd_path path;
    snprintf(path.text, sizeof path.text, "/proc/self/fd/%d", fd);
    return path;
}

int bl_reopen(struct bl_launch *launch, int fd, int flags)
{
    char path[32];
    snprintf(path, sizeof path, "self/fd/%d", fd);
    return openat(launch->host_proc, path, flags | O_CLOEXEC);
}

bool bl_on_filesystem(int fd, long magic)
{
    struct statfs status;
    return fstatfs(fd, &status) == 0 && (unsigned long)status.f_type == (unsigned long)magic;
}

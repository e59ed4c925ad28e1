#include "paths.h"

#include <limits.h>
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
#define IN_ROOT (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

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
    int fd = open_resolved(root, path, flags, IN_ROOT);
    return fd < 0 ? bl_fail(error, errno, path, NULL) : fd;
}

int bl_open_in_root_nofollow(int root, const char *path, int flags, struct bl_error *error)
{
    int fd = open_resolved(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
    // runc's words, which engines and people look for.
    return fd < 0 ? bl_fail(error, errno, path, errno == ELOOP ? "must be mounted on ordinary directory" : NULL) : fd;
}

// Copies of paths are on the stack: each malloc(3) of one costs a mapping of its own, which musl gives back with free(3).
static int copy_path(char copy[PATH_MAX], const char *path, struct bl_error *error)
{
    return snprintf(copy, PATH_MAX, "%s", path) < PATH_MAX ? 0 : bl_fail(error, ENAMETOOLONG, path, NULL);
}

// Whether `name`, in the folder `parent`, is a symlink that leads nowhere yet: 1 with `longer` as the path that has the
// link's text in its place, 0, or -1 with an error. `path` begins with `before` bytes up to the name; `rest` follows it.
static int follow_dangling(int parent, const char *path, size_t before, const char *name, const char *rest,
                           char longer[PATH_MAX], struct bl_error *error)
{
    char link[PATH_MAX];
    ssize_t size = readlinkat(parent, name, link, sizeof link - 1);
    if (size <= 0)
        return 0;
    link[size] = 0;
    int length = snprintf(longer, PATH_MAX, "%.*s%s%s%s", link[0] == '/' ? 0 : (int)before, path, link,
                          *rest ? "/" : "", rest);
    return length < PATH_MAX ? 1 : bl_fail(error, ENAMETOOLONG, link, NULL);
}

// Makes the folder `wanted`, of which at least the last component is missing, from the first missing component on. The
// kernel resolves each prefix in the root again, since a component may be a symlink or `..`.
static int make_directories(int root, const char *wanted, int links, struct bl_error *error)
{
    char path[PATH_MAX], longer[PATH_MAX];
    if (copy_path(path, wanted, error) < 0)
        return -1;
    cleanup_close int parent = -1;
    char *component = path + strlen(path);
    // As a rule all but the last component is there.
    do {
        while (component > path && component[-1] == '/')
            component--;
        while (component > path && component[-1] != '/')
            component--;
        char saved = *component;
        *component = 0;
        parent = open_resolved(root, *path ? path : "/", O_PATH | O_DIRECTORY, IN_ROOT);
        *component = saved;
    } while (parent < 0 && errno == ENOENT && component > path);
    if (parent < 0)
        return bl_fail(error, errno, wanted, NULL);
    while (*component) {
        char *end = strchrnul(component, '/');
        const char *rest = *end ? end + 1 : end;
        char saved = *end;
        *end = 0;
        int next = open_resolved(root, path, O_PATH | O_DIRECTORY, IN_ROOT);
        if (next < 0 && errno == ENOENT && strcmp(component, "..") != 0 && strcmp(component, ".") != 0) {
            int follow = follow_dangling(parent, path, (size_t)(component - path), component, rest, longer, error);
            if (follow != 0)
                return follow < 0 ? -1 : links > 0 ? make_directories(root, longer, links - 1, error)
                                                   : bl_fail(error, ELOOP, wanted, NULL);
            if (mkdirat(parent, component, 0755) < 0 && errno != EEXIST)
                return bl_fail(error, errno, path, NULL);
            next = open_resolved(root, path, O_PATH | O_DIRECTORY, IN_ROOT);
        }
        if (next < 0)
            return bl_fail(error, errno, path, NULL);
        bl_close(&parent);
        parent = next;
        *end = saved;
        for (component = end; *component == '/';)
            component++;
    }
    return bl_take(&parent);
}

int bl_open_parent(int root, const char *path, bool make, char name[256], struct bl_error *error)
{
    char copy[PATH_MAX];
    if (copy_path(copy, path, error) < 0)
        return -1;
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
    int fd = open_resolved(root, folder, O_PATH | O_DIRECTORY, IN_ROOT);
    if (fd >= 0 || errno != ENOENT || !make)
        return fd < 0 ? bl_fail(error, errno, path, NULL) : fd;
    return make_directories(root, copy, MAX_LINKS, error);
}

static int make_file(int root, const char *path, int links, struct bl_error *error)
{
    char name[256], longer[PATH_MAX];
    cleanup_close int parent = bl_open_parent(root, path, true, name, error);
    if (parent < 0)
        return -1;
    cleanup_close int made = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (made < 0 && errno != EEXIST)
        return bl_fail(error, errno, path, NULL);
    int fd = open_resolved(root, path, O_PATH, IN_ROOT);
    if (fd >= 0 || errno != ENOENT)
        return fd < 0 ? bl_fail(error, errno, path, NULL) : fd;
    int follow = follow_dangling(parent, path, strlen(path) - strlen(name), name, "", longer, error);
    if (follow <= 0)
        return follow < 0 ? -1 : bl_fail(error, ENOENT, path, NULL);
    return links > 0 ? make_file(root, longer, links - 1, error) : bl_fail(error, ELOOP, path, NULL);
}

int bl_make_in_root(int root, const char *path, bool directory, struct bl_error *error)
{
    int kind = directory ? O_DIRECTORY : 0;
    int fd = open_resolved(root, path, O_PATH | kind, IN_ROOT);
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

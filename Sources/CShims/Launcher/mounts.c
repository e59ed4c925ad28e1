#include "mounts.h"

#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "paths.h"

#define PROPAGATION (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)
#define FSCONFIG_VALUE_LIMIT 255

int bl_clone_tree(int directory, const char *path, bool recursive, struct bl_error *error)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (path[0] ? 0 : AT_EMPTY_PATH);
    int tree = open_tree(directory, path, flags | (recursive ? AT_RECURSIVE : 0));
    return tree < 0 ? bl_fail(error, errno, path, NULL) : tree;
}

int bl_clone_host_tree(const char *path, bool recursive, uint64_t propagation, struct bl_error *error)
{
    cleanup_close int tree = bl_clone_tree(AT_FDCWD, path, recursive, error);
    if (tree < 0 || (propagation && bl_set_attributes(tree, path, 0, 0, propagation, -1, recursive, error) < 0))
        return -1;
    return bl_take(&tree);
}

int bl_attach(int tree, int target, const char *path, struct bl_error *error)
{
    if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return bl_fail(error, errno, path, NULL);
    return 0;
}

uint64_t bl_mount_attributes(uint64_t flags)
{
    static const struct {
        uint64_t flag, attribute;
    } table[] = {
        {MS_RDONLY, MOUNT_ATTR_RDONLY},           {MS_NOSUID, MOUNT_ATTR_NOSUID},
        {MS_NODEV, MOUNT_ATTR_NODEV},             {MS_NOEXEC, MOUNT_ATTR_NOEXEC},
        {MS_NOATIME, MOUNT_ATTR_NOATIME},         {MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
        {MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},   {MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW},
    };
    uint64_t attributes = 0;
    for (size_t i = 0; i < BL_COUNT(table); i++)
        if (flags & table[i].flag)
            attributes |= table[i].attribute;
    // The access time is one of three values; noatime wins as it does in mount(2).
    if ((attributes & MOUNT_ATTR__ATIME) == MOUNT_ATTR__ATIME)
        attributes &= ~(uint64_t)MOUNT_ATTR_STRICTATIME;
    return attributes;
}

// Linux before 5.12: a bind remount sets all flags of one mount at once, so those of now are read first.
static int remount(int fd, const char *path, uint64_t set, uint64_t clear, struct bl_error *error)
{
    static const struct {
        uint64_t attribute, flag;
    } table[] = {
        {MOUNT_ATTR_RDONLY, MS_RDONLY},   {MOUNT_ATTR_NOSUID, MS_NOSUID},   {MOUNT_ATTR_NODEV, MS_NODEV},
        {MOUNT_ATTR_NOEXEC, MS_NOEXEC},   {MOUNT_ATTR_NOATIME, MS_NOATIME}, {MOUNT_ATTR_NODIRATIME, MS_NODIRATIME},
    };
    struct bl_fd_path target = bl_fd_path(fd);
    struct statfs now;
    if (fstatfs(fd, &now) < 0)
        return bl_fail(error, errno, path, NULL);
    // ST_RDONLY, ST_NOSUID, ST_NODEV and ST_NOEXEC have the values of their MS_ flags; the access times do not.
    uint64_t flags = (uint64_t)now.f_flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
    flags |= now.f_flags & 0x400 /* ST_NOATIME */ ? MS_NOATIME : 0;
    flags |= now.f_flags & 0x800 /* ST_NODIRATIME */ ? MS_NODIRATIME : 0;
    for (size_t i = 0; i < BL_COUNT(table); i++) {
        if (set & table[i].attribute)
            flags |= table[i].flag;
        if (clear & table[i].attribute)
            flags &= ~table[i].flag;
    }
    if (mount(NULL, target.text, NULL, MS_BIND | MS_REMOUNT | flags, NULL) < 0)
        return bl_fail(error, errno, path, "remount");
    return 0;
}

int bl_set_attributes(int fd, const char *path, uint64_t set, uint64_t clear, uint64_t propagation, int namespace,
                      bool recursive, struct bl_error *error)
{
    struct mount_attr attributes = {
        .attr_set = set, .attr_clr = clear, .propagation = propagation & PROPAGATION,
        .userns_fd = namespace < 0 ? 0 : (uint64_t)namespace,
    };
    if (namespace >= 0)
        attributes.attr_set |= MOUNT_ATTR_IDMAP;
    // An access time is set by clearing the old one.
    if (set & MOUNT_ATTR__ATIME)
        attributes.attr_clr |= MOUNT_ATTR__ATIME;
    if (mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attributes, sizeof attributes) == 0)
        return 0;
    if (errno != ENOSYS || namespace >= 0)
        return bl_fail(error, errno, path, namespace >= 0 ? "idmapped mount" : NULL);
    if ((set || clear) && remount(fd, path, set, clear, error) < 0)
        return -1;
    struct bl_fd_path target = bl_fd_path(fd);
    if (propagation && mount(NULL, target.text, NULL, propagation | (recursive ? MS_REC : 0), NULL) < 0)
        return bl_fail(error, errno, path, "propagation");
    return 0;
}

// What the filesystem itself said, first line: "overlay: workdir is in-use".
static int fail_with_log(int context, int code, const char *what, struct bl_error *error)
{
    char line[512];
    ssize_t size = read(context, line, sizeof line - 1);
    if (size <= 2)
        return bl_fail(error, code, NULL, "%s", what);
    line[size] = 0;
    line[strcspn(line, "\n")] = 0;
    // Each line begins with its kind: "e ", "w " or "i ".
    return bl_fail(error, code, NULL, "%s%s%s", what, what[0] ? ": " : "", line + 2);
}

// overlayfs takes each lower layer by itself (Linux 6.8), so that their number is not bound by a string's length.
static int set_lower_layers(int context, char *value, struct bl_error *error)
{
    for (char *layer = value, *next; layer; layer = next) {
        next = strchr(layer, ':');
        if (next)
            *next++ = 0;
        if (fsconfig(context, FSCONFIG_SET_STRING, "lowerdir+", layer, 0) < 0)
            return fail_with_log(context, errno, "lowerdir+", error);
    }
    return 0;
}

static int set_option(int context, char *option, struct bl_error *error)
{
    char *value = strchr(option, '=');
    if (value)
        *value++ = 0;
    size_t length = value ? strlen(value) : 0;
    if (value && length > 1 && value[0] == '"' && value[length - 1] == '"') {
        value[length - 1] = 0; // SELinux contexts are quoted for their commas
        value++;
    }
    if (value && length > FSCONFIG_VALUE_LIMIT && strcmp(option, "lowerdir") == 0)
        return set_lower_layers(context, value, error);
    int failed = value ? fsconfig(context, FSCONFIG_SET_STRING, option, value, 0)
                       : fsconfig(context, FSCONFIG_SET_FLAG, option, NULL, 0);
    return failed < 0 ? fail_with_log(context, errno, option, error) : 0;
}

static int set_options(int context, const char *data, struct bl_error *error)
{
    cleanup_free char *copy = data[0] ? strdup(data) : NULL;
    if (data[0] && !copy)
        return bl_fail(error, errno, NULL, NULL);
    for (char *option = copy; option && *option;) {
        char *end = option;
        for (bool quoted = false; *end && (quoted || *end != ','); end++)
            if (*end == '"')
                quoted = !quoted;
        char *next = *end ? end + 1 : NULL;
        *end = 0;
        if (*option && set_option(context, option, error) < 0)
            return -1;
        option = next;
    }
    return 0;
}

// A superblock of these is that of a namespace, whoever mounts it: read-only is a matter of each mount, or the first
// container of a pod would make /sys read-only for a privileged one after it.
static bool is_of_namespace(const char *type)
{
    static const char *const types[] = {"sysfs", "proc", "mqueue", "cgroup", "cgroup2"};
    for (size_t i = 0; i < BL_COUNT(types); i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

int bl_make_filesystem(const char *type, const char *source, const char *data, uint64_t flags,
                       struct bl_error *error)
{
    static const struct {
        uint64_t flag;
        const char *name;
    } superblock[] = {{MS_RDONLY, "ro"}, {MS_SYNCHRONOUS, "sync"}, {MS_DIRSYNC, "dirsync"}, {MS_LAZYTIME, "lazytime"}};
    cleanup_close int context = fsopen(type, FSOPEN_CLOEXEC);
    if (context < 0)
        return bl_fail(error, errno, NULL, errno == ENODEV ? "filesystem type \"%s\" is unknown to the kernel" : "%s", type);
    if (source && source[0] && fsconfig(context, FSCONFIG_SET_STRING, "source", source, 0) < 0)
        return fail_with_log(context, errno, "source", error);
    uint64_t wanted = is_of_namespace(type) ? flags & ~(uint64_t)MS_RDONLY : flags;
    for (size_t i = 0; i < BL_COUNT(superblock); i++)
        if (wanted & superblock[i].flag && fsconfig(context, FSCONFIG_SET_FLAG, superblock[i].name, NULL, 0) < 0)
            return fail_with_log(context, errno, superblock[i].name, error);
    if (set_options(context, data, error) < 0)
        return -1;
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return fail_with_log(context, errno, "", error);
    int mounted = fsmount(context, FSMOUNT_CLOEXEC, (unsigned)bl_mount_attributes(flags));
    return mounted < 0 ? fail_with_log(context, errno, "", error) : mounted;
}

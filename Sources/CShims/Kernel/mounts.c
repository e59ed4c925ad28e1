#include "calls.h"

#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

int berth_mount(const char *source, const char *target, const char *type, uint64_t flags, const char *data) {
    return (int)checked(mount(source, target, type, (unsigned long)flags, data));
}

int berth_umount2(const char *target, int flags) { return (int)checked(umount2(target, flags)); }

int berth_pivot_root(const char *root, const char *old) { return (int)checked(syscall(SYS_pivot_root, root, old)); }

int berth_open_tree(int directory, const char *path, unsigned flags) {
    return (int)checked(syscall(SYS_open_tree, directory, path, flags));
}

int berth_move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags) {
    return (int)checked(syscall(SYS_move_mount, from, from_path, to, to_path, flags));
}

struct berth_mount_attributes {
    uint64_t set;
    uint64_t clear;
    uint64_t propagation;
    uint64_t user_namespace;
};

int berth_mount_setattr(int directory, const char *path, unsigned flags, uint64_t set, uint64_t clear,
                        uint64_t propagation, int user_namespace) {
    struct berth_mount_attributes attributes = {
        .set = set,
        .clear = clear,
        .propagation = propagation,
        .user_namespace = user_namespace < 0 ? 0 : (uint64_t)user_namespace,
    };
    return (int)checked(syscall(SYS_mount_setattr, directory, path, flags, &attributes, sizeof attributes));
}

int berth_fsopen(const char *type, unsigned flags) { return (int)checked(syscall(SYS_fsopen, type, flags)); }

int berth_fsconfig(int context, unsigned command, const char *key, const char *value, int aux) {
    return (int)checked(syscall(SYS_fsconfig, context, command, key, value, aux));
}

int berth_fsmount(int context, unsigned flags, unsigned attributes) {
    return (int)checked(syscall(SYS_fsmount, context, flags, attributes));
}

// The new mount API (Linux 5.2 and later, mount_setattr 5.12), with what replaces it where an outer sandbox refuses it.
#ifndef BL_MOUNTS_H
#define BL_MOUNTS_H

#include <sys/mount.h>

#include "base.h"

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

// A mount of `path` (relative to `directory`; "" for the descriptor itself) that is attached nowhere yet.
int bl_clone_tree(int directory, const char *path, bool recursive, struct bl_error *error);
// The same of the host's mount namespace, with MS_* propagation (0 to leave it) for all of it: a clone is a peer of what it
// is cloned from, and what is mounted in a peer is mounted on the host as well.
int bl_clone_host_tree(const char *path, bool recursive, uint64_t propagation, struct bl_error *error);
// Attaches a detached mount on what `target` (O_PATH) refers to.
int bl_attach(int tree, int target, const char *path, struct bl_error *error);
// mount_setattr on the mount that `fd` refers to. `propagation` is MS_SHARED... or 0, `namespace` -1 or of an idmap.
int bl_set_attributes(int fd, const char *path, uint64_t set, uint64_t clear, uint64_t propagation, int namespace,
                      bool recursive, struct bl_error *error);
// MS_* flags of mount(2) that are attributes of a mount, as MOUNT_ATTR_*.
uint64_t bl_mount_attributes(uint64_t flags);
// A new filesystem that is attached nowhere yet; `source` and `data` as of mount(2).
int bl_make_filesystem(const char *type, const char *source, const char *data, uint64_t flags,
                       struct bl_error *error);
// Copies what is in `from` (a directory descriptor) into `to`, with owners, modes, times and extended attributes.
int bl_copy_tree(int from, int to, struct bl_error *error);

#endif

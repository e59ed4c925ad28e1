// System calls and C macros that Swift's Glibc module does not export.
//
// Contract of every function: the result is 0 or more on success and a negated errno on failure; `errno` is left
// unspecified. Pointers are borrowed for the call only.
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

// Paths.
int berth_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
int berth_renameat2(int from, const char *from_path, int to, const char *to_path, unsigned flags);
int berth_mknodat(int directory, const char *path, unsigned mode, unsigned major, unsigned minor);
int berth_filesystem_type(int descriptor, uint64_t *magic);
unsigned berth_device_major(uint64_t device);
unsigned berth_device_minor(uint64_t device);
uint64_t berth_device(unsigned major, unsigned minor);
long berth_lgetxattr(const char *path, const char *name, void *_Nullable value, size_t size);
int berth_lsetxattr(const char *path, const char *name, const void *_Nullable value, size_t size, int flags);
long berth_llistxattr(const char *path, char *_Nullable names, size_t size);
int berth_lremovexattr(const char *path, const char *name);
long berth_fgetxattr(int descriptor, const char *name, void *_Nullable value, size_t size);
int berth_fsetxattr(int descriptor, const char *name, const void *_Nullable value, size_t size, int flags);
int berth_flock(int descriptor, int operation);
int berth_syncfs(int descriptor);
int berth_sync_file_range(int descriptor, int64_t offset, int64_t size, unsigned flags);
/// copy_file_range(2) from and to the given offsets. @return bytes copied, 0 at the end.
long berth_copy_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t size);
/// The first offset from `offset` on that holds data (lseek(2) SEEK_DATA), -ENXIO where only a hole is left.
int64_t berth_next_data(int descriptor, int64_t offset);
/// The end of the data that begins at `offset` (SEEK_HOLE).
int64_t berth_next_hole(int descriptor, int64_t offset);
/// FS_IOC_ENABLE_VERITY, with SHA-256 and blocks of 4096 bytes. `descriptor` is open for reading, and no other for writing.
int berth_enable_verity(int descriptor);
/// Attaches the file `backing`, opened for reading, to a free loop device, read-only; the device goes with its last user.
/// `*number` is the device's, /dev/loopN. @return a descriptor of the device, which keeps it until it is mounted.
int berth_loop_attach(int backing, int *number);

// Mounts.
int berth_mount(const char *_Nullable source, const char *target, const char *_Nullable type, uint64_t flags,
                const char *_Nullable data);
int berth_umount2(const char *target, int flags);
int berth_pivot_root(const char *root, const char *old);
int berth_open_tree(int directory, const char *path, unsigned flags);
int berth_move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags);
int berth_mount_setattr(int directory, const char *path, unsigned flags, uint64_t set, uint64_t clear,
                        uint64_t propagation, int user_namespace);
int berth_fsopen(const char *type, unsigned flags);
int berth_fsconfig(int context, unsigned command, const char *_Nullable key, const char *_Nullable value, int aux);
int berth_fsmount(int context, unsigned flags, unsigned attributes);

// Namespaces and processes.
int berth_setns(int descriptor, int type);
int berth_unshare(int flags);
int berth_pidfd_open(pid_t pid, unsigned flags);
int berth_pidfd_send_signal(int pidfd, int number);
int berth_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int berth_capget(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable);
int berth_memfd_create(const char *name, unsigned flags);
int berth_close_range(unsigned first, unsigned last, unsigned flags);

/// Waits for the process of `pidfd` (waitid P_PIDFD, WEXITED). `*signal` is 0 where it exited by itself.
/// @return 1 where it ended, 0 where `no_hang` and it still runs.
int berth_wait_pidfd(int pidfd, bool no_hang, int *status, int *signal);

struct berth_descriptor_mapping {
    int source;
    int target;
};

enum {
    BERTH_SPAWN_NEW_SESSION = 1,
    BERTH_SPAWN_NEW_GROUP = 2,
    BERTH_SPAWN_DIE_WITH_PARENT = 4,
};

/// vfork and exec. The child has default signal actions, an empty signal mask, descriptors 0 to 2 of the caller unless
/// mapped, and of the others only those that are mapped.
/// @return the PID; `*pidfd` refers to it. An exec failure is returned as such.
int berth_spawn(const char *path, char *_Nullable const *_Nonnull arguments,
                char *_Nullable const *_Nonnull environment, const char *_Nullable directory,
                const struct berth_descriptor_mapping *_Nullable mappings, size_t mapping_count, int flags,
                int *pidfd);

// Events.
int berth_epoll_create(void);
int berth_epoll_add(int epoll, int descriptor, uint32_t events, uint64_t data);
int berth_epoll_remove(int epoll, int descriptor);
/// @return how many of `data` were filled (at most `capacity`, at most 64).
int berth_epoll_wait(int epoll, uint64_t *data, uint32_t *events, int capacity, int timeout_milliseconds);
int berth_eventfd(unsigned value, int flags);
int berth_signalfd(const int *signals, size_t count);
/// Blocks `signals` for the calling thread.
int berth_block_signals(const int *signals, size_t count);
/// Reads one signal number of a signalfd.
int berth_read_signal(int descriptor, int *number, int *pid);
/// poll(2): `events` are replaced by what happened.
int berth_poll(const int *descriptors, short *events, size_t count, int timeout_milliseconds);

// Sockets.
int berth_unix_connect(const char *path, int type);
int berth_unix_listen(const char *path, int type, unsigned mode, int backlog);
int berth_socketpair(int type, int *first, int *second);
/// sendmsg with SCM_RIGHTS; MSG_NOSIGNAL is always set.
long berth_send_descriptors(int socket, const void *_Nullable data, size_t size, const int *_Nullable descriptors,
                            size_t count, int flags);
/// recvmsg; descriptors arrive close-on-exec, `*count` is the room before and the number after.
/// @return bytes received; -EMSGSIZE where data or descriptors did not fit (none is leaked).
long berth_receive_descriptors(int socket, void *_Nullable data, size_t size, int *_Nullable descriptors,
                               size_t *count, int flags);
int berth_accept(int socket);
int berth_pipe(bool non_blocking, int *read_end, int *write_end);
int berth_peer_credentials(int socket, pid_t *pid, uid_t *uid, gid_t *gid);

// Terminals.
int berth_window_size(int descriptor, unsigned *columns, unsigned *rows);
int berth_set_window_size(int descriptor, unsigned columns, unsigned rows);
/// Raw mode; the earlier one is written to `saved` (BERTH_TERMIOS_SIZE bytes) for berth_terminal_restore.
enum { BERTH_TERMIOS_SIZE = 128 };
int berth_terminal_raw(int descriptor, void *saved);
int berth_terminal_restore(int descriptor, const void *saved);

// cgroup2 device programs (BPF_PROG_TYPE_CGROUP_DEVICE).
int berth_bpf_load_device_program(const void *instructions, size_t count, char *_Nullable log, size_t log_size);
int berth_bpf_attach_device_program(int cgroup, int program, unsigned flags);

// Constants that are macros or enumerations of headers outside the Glibc module.
uint64_t berth_clock_ticks_per_second(void);

#pragma clang assume_nonnull end

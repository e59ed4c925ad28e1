#define _GNU_SOURCE
#include "CKernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/loop.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <unistd.h>

static inline long checked(long result) { return result < 0 ? -errno : result; }

int berth_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    return (int)checked(syscall(SYS_openat2, directory, path, &how, sizeof how));
}

int berth_renameat2(int from, const char *from_path, int to, const char *to_path, unsigned flags) {
    return (int)checked(syscall(SYS_renameat2, from, from_path, to, to_path, flags));
}

int berth_mknodat(int directory, const char *path, unsigned mode, unsigned major, unsigned minor) {
    return (int)checked(mknodat(directory, path, mode, makedev(major, minor)));
}

int berth_filesystem_type(int descriptor, uint64_t *magic) {
    struct statfs status;
    if (fstatfs(descriptor, &status) < 0) return -errno;
    *magic = (uint64_t)status.f_type;
    return 0;
}

unsigned berth_device_major(uint64_t device) { return major(device); }
unsigned berth_device_minor(uint64_t device) { return minor(device); }
uint64_t berth_device(unsigned major, unsigned minor) { return makedev(major, minor); }

long berth_lgetxattr(const char *path, const char *name, void *value, size_t size) {
    return checked(lgetxattr(path, name, value, size));
}

int berth_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags) {
    return (int)checked(lsetxattr(path, name, value, size, flags));
}

long berth_llistxattr(const char *path, char *names, size_t size) { return checked(llistxattr(path, names, size)); }

int berth_lremovexattr(const char *path, const char *name) { return (int)checked(lremovexattr(path, name)); }

long berth_fgetxattr(int descriptor, const char *name, void *value, size_t size) {
    return checked(fgetxattr(descriptor, name, value, size));
}

int berth_fsetxattr(int descriptor, const char *name, const void *value, size_t size, int flags) {
    return (int)checked(fsetxattr(descriptor, name, value, size, flags));
}

int berth_flock(int descriptor, int operation) { return (int)checked(flock(descriptor, operation)); }

int berth_syncfs(int descriptor) { return (int)checked(syncfs(descriptor)); }

int berth_sync_file_range(int descriptor, int64_t offset, int64_t size, unsigned flags) {
    return (int)checked(sync_file_range(descriptor, offset, size, flags));
}

long berth_copy_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t size) {
    off64_t in = from_offset, out = to_offset;
    return checked(copy_file_range(from, &in, to, &out, size, 0));
}

int64_t berth_next_data(int descriptor, int64_t offset) { return checked(lseek64(descriptor, offset, SEEK_DATA)); }
int64_t berth_next_hole(int descriptor, int64_t offset) { return checked(lseek64(descriptor, offset, SEEK_HOLE)); }

int berth_loop_attach(int backing, int *number) {
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0) return -errno;
    int result = -EBUSY;
    // Another process may take the device between the two calls.
    for (int attempt = 0; attempt < 16 && result == -EBUSY; attempt++) {
        int free_one = ioctl(control, LOOP_CTL_GET_FREE);
        if (free_one < 0) {
            result = -errno;
            break;
        }
        char path[32];
        snprintf(path, sizeof path, "/dev/loop%d", free_one);
        int device = open(path, O_RDONLY | O_CLOEXEC);
        if (device < 0) {
            result = -errno;
            break;
        }
        struct loop_config config = {.fd = (unsigned)backing,
                                     .info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR};
        result = ioctl(device, LOOP_CONFIGURE, &config) < 0 ? -errno : device;
        if (result < 0)
            close(device);
        else
            *number = free_one;
    }
    close(control);
    return result;
}

int berth_mount(const char *source, const char *target, const char *type, uint64_t flags, const char *data) {
    return (int)checked(mount(source, target, type, (unsigned long)flags, data));
}

int berth_umount2(const char *target, int flags) { return (int)checked(umount2(target, flags)); }

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

int berth_setns(int descriptor, int type) { return (int)checked(setns(descriptor, type)); }

int berth_unshare(int flags) { return (int)checked(unshare(flags)); }

int berth_pidfd_open(pid_t pid, unsigned flags) { return (int)checked(syscall(SYS_pidfd_open, pid, flags)); }

int berth_pidfd_send_signal(int pidfd, int number) {
    return (int)checked(syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0));
}

int berth_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    return (int)checked(prctl(option, a, b, c, d));
}

int berth_capget(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0) return -errno;
    *effective = (uint64_t)data[1].effective << 32 | data[0].effective;
    *permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
    *inheritable = (uint64_t)data[1].inheritable << 32 | data[0].inheritable;
    return 0;
}

int berth_memfd_create(const char *name, unsigned flags) { return (int)checked(memfd_create(name, flags)); }

int berth_close_range(unsigned first, unsigned last, unsigned flags) {
    return (int)checked(syscall(SYS_close_range, first, last, flags));
}

int berth_wait_pidfd(int pidfd, bool no_hang, int *status, int *signal) {
    siginfo_t info = {0};
    int result;
    do {
        // __WALL: also a child that has no exit signal (CLONE_PARENT of a launcher).
        result = waitid((idtype_t)3 /* P_PIDFD */, (id_t)pidfd, &info, WEXITED | __WALL | (no_hang ? WNOHANG : 0));
    } while (result < 0 && errno == EINTR);
    if (result < 0) return -errno;
    if (info.si_pid == 0) return 0;
    bool exited = info.si_code == CLD_EXITED;
    *status = exited ? info.si_status : 0;
    *signal = exited ? 0 : info.si_status;
    return 1;
}

// Runs in the vforked child: it shares memory with the suspended caller, so it only makes system calls and writes
// nothing but its own locals and `*failure`.
static void spawn_child(const char *path, char *const *arguments, char *const *environment, const char *directory,
                        const struct berth_descriptor_mapping *mappings, const int *sources, size_t mapping_count,
                        int flags, pid_t parent, volatile int *failure) {
    for (int number = 1; number < NSIG; number++) {
        if (number == SIGKILL || number == SIGSTOP) continue;
        struct sigaction action = {.sa_handler = SIG_DFL};
        sigaction(number, &action, NULL);
    }
    if ((flags & BERTH_SPAWN_NEW_SESSION) && setsid() < 0) goto failed;
    if ((flags & BERTH_SPAWN_NEW_GROUP) && setpgid(0, 0) < 0) goto failed;
    if (flags & BERTH_SPAWN_DIE_WITH_PARENT) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) goto failed;
        if (getppid() != parent) _exit(127);
    }
    if (directory && chdir(directory) < 0) goto failed;
    if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0) goto failed;
    for (size_t i = 0; i < mapping_count; i++) {
        if (dup3(sources[i], mappings[i].target, 0) < 0) goto failed;
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(path, arguments, environment);
failed:
    *failure = errno;
    _exit(127);
}

int berth_spawn(const char *path, char *const *arguments, char *const *environment, const char *directory,
                const struct berth_descriptor_mapping *mappings, size_t mapping_count, int flags, int *pidfd) {
    // Sources are first duplicated above every target, so that no dup onto a target overwrites a later source.
    int sources[mapping_count + 1];
    int highest = 2;
    for (size_t i = 0; i < mapping_count; i++) {
        if (mappings[i].target > highest) highest = mappings[i].target;
    }
    int result = 0;
    size_t duplicated = 0;
    for (; duplicated < mapping_count; duplicated++) {
        int copy = fcntl(mappings[duplicated].source, F_DUPFD_CLOEXEC, highest + 1);
        if (copy < 0) {
            result = -errno;
            break;
        }
        sources[duplicated] = copy;
    }

    if (result == 0) {
        sigset_t all, before;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &before);
        volatile int failure = 0;
        pid_t parent = getpid();
        pid_t pid = vfork();
        if (pid == 0) {
            spawn_child(path, arguments, environment, directory, mappings, sources, mapping_count, flags, parent,
                        &failure);
        }
        int error = errno;
        sigprocmask(SIG_SETMASK, &before, NULL);
        if (pid < 0) {
            result = -error;
        } else if (failure != 0) {
            while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
            result = -failure;
        } else {
            int descriptor = (int)syscall(SYS_pidfd_open, pid, 0);
            if (descriptor < 0) {
                result = -errno;
                kill(pid, SIGKILL);
                while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
            } else {
                *pidfd = descriptor;
                result = pid;
            }
        }
    }
    for (size_t i = 0; i < duplicated; i++) close(sources[i]);
    return result;
}

int berth_epoll_create(void) { return (int)checked(epoll_create1(EPOLL_CLOEXEC)); }

int berth_epoll_add(int epoll, int descriptor, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    return (int)checked(epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event));
}

int berth_epoll_remove(int epoll, int descriptor) {
    return (int)checked(epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, NULL));
}

int berth_epoll_wait(int epoll, uint64_t *data, uint32_t *events, int capacity, int timeout_milliseconds) {
    struct epoll_event happened[64];
    if (capacity > 64) capacity = 64;
    int count = epoll_wait(epoll, happened, capacity, timeout_milliseconds);
    if (count < 0) return -errno;
    for (int i = 0; i < count; i++) {
        data[i] = happened[i].data.u64;
        events[i] = happened[i].events;
    }
    return count;
}

int berth_eventfd(unsigned value, int flags) { return (int)checked(eventfd(value, flags)); }

static sigset_t set_of(const int *signals, size_t count) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < count; i++) sigaddset(&set, signals[i]);
    return set;
}

int berth_signalfd(const int *signals, size_t count) {
    sigset_t set = set_of(signals, count);
    return (int)checked(signalfd(-1, &set, SFD_CLOEXEC));
}

int berth_block_signals(const int *signals, size_t count) {
    sigset_t set = set_of(signals, count);
    return (int)checked(sigprocmask(SIG_BLOCK, &set, NULL));
}

int berth_read_signal(int descriptor, int *number, int *pid) {
    struct signalfd_siginfo info;
    ssize_t size = read(descriptor, &info, sizeof info);
    if (size < 0) return -errno;
    if (size != sizeof info) return -EIO;
    *number = (int)info.ssi_signo;
    *pid = (int)info.ssi_pid;
    return 0;
}

int berth_poll(const int *descriptors, short *events, size_t count, int timeout_milliseconds) {
    struct pollfd polled[64];
    if (count > 64) return -EINVAL;
    for (size_t i = 0; i < count; i++) polled[i] = (struct pollfd){.fd = descriptors[i], .events = events[i]};
    int ready = poll(polled, count, timeout_milliseconds);
    if (ready < 0) return -errno;
    for (size_t i = 0; i < count; i++) events[i] = polled[i].revents;
    return ready;
}

// A path longer than sun_path is reached through a descriptor of its directory: /proc/self/fd/N/NAME.
static int unix_address(const char *path, struct sockaddr_un *address, int *directory) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    *directory = -1;
    size_t length = strlen(path);
    if (length < sizeof address->sun_path) {
        memcpy(address->sun_path, path, length + 1);
        return 0;
    }
    const char *slash = strrchr(path, '/');
    if (!slash || strlen(slash) > 64 || length >= 4096) return -ENAMETOOLONG;
    char parent[4096];
    memcpy(parent, path, (size_t)(slash - path) + 1);
    parent[slash - path + 1] = 0;
    *directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*directory < 0) return -errno;
    char number[16];
    int digits = 0;
    for (int rest = *directory; rest > 0 || digits == 0; rest /= 10) number[digits++] = (char)('0' + rest % 10);
    char *end = stpcpy(address->sun_path, "/proc/self/fd/");
    while (digits > 0) *end++ = number[--digits];
    strcpy(end, slash);
    return 0;
}

int berth_unix_connect(const char *path, int type) {
    struct sockaddr_un address;
    int directory;
    int result = unix_address(path, &address, &directory);
    if (result < 0) return result;
    int descriptor = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        result = -errno;
    } else if (connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0) {
        result = -errno;
        close(descriptor);
    } else {
        result = descriptor;
    }
    if (directory >= 0) close(directory);
    return result;
}

int berth_unix_listen(const char *path, int type, unsigned mode, int backlog) {
    struct sockaddr_un address;
    int directory;
    int result = unix_address(path, &address, &directory);
    if (result < 0) return result;
    int descriptor = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        result = -errno;
    } else if (fchmod(descriptor, mode) < 0 || bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0 ||
               chmod(address.sun_path, mode) < 0 || listen(descriptor, backlog) < 0) {
        result = -errno;
        close(descriptor);
    } else {
        result = descriptor;
    }
    if (directory >= 0) close(directory);
    return result;
}

int berth_socketpair(int type, int *first, int *second) {
    int pair[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
    *first = pair[0];
    *second = pair[1];
    return 0;
}

enum { MAX_DESCRIPTORS = 253 };

long berth_send_descriptors(int socket, const void *data, size_t size, const int *descriptors, size_t count,
                            int flags) {
    if (count > MAX_DESCRIPTORS) return -EINVAL;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * MAX_DESCRIPTORS)];
    } control;
    struct iovec vector = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
    }
    ssize_t sent;
    do {
        sent = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return checked(sent);
}

long berth_receive_descriptors(int socket, void *data, size_t size, int *descriptors, size_t *count, int flags) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * MAX_DESCRIPTORS)];
    } control;
    struct iovec vector = {.iov_base = data, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t received;
    do {
        received = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    } while (received < 0 && errno == EINTR);
    if (received < 0) return -errno;

    size_t room = *count, taken = 0;
    bool overflow = (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t number = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < number; i++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (taken < room) {
                descriptors[taken++] = descriptor;
            } else {
                close(descriptor);
                overflow = true;
            }
        }
    }
    if (overflow) {
        for (size_t i = 0; i < taken; i++) close(descriptors[i]);
        *count = 0;
        return -EMSGSIZE;
    }
    *count = taken;
    return received;
}

int berth_accept(int socket) { return (int)checked(accept4(socket, NULL, NULL, SOCK_CLOEXEC)); }

int berth_pipe(bool non_blocking, int *read_end, int *write_end) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | (non_blocking ? O_NONBLOCK : 0)) < 0) return -errno;
    *read_end = ends[0];
    *write_end = ends[1];
    return 0;
}

int berth_peer_credentials(int socket, pid_t *pid, uid_t *uid, gid_t *gid) {
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) return -errno;
    *pid = credentials.pid;
    *uid = credentials.uid;
    *gid = credentials.gid;
    return 0;
}

int berth_window_size(int descriptor, unsigned *columns, unsigned *rows) {
    struct winsize size;
    if (ioctl(descriptor, TIOCGWINSZ, &size) < 0) return -errno;
    *columns = size.ws_col;
    *rows = size.ws_row;
    return 0;
}

int berth_set_window_size(int descriptor, unsigned columns, unsigned rows) {
    struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
    return (int)checked(ioctl(descriptor, TIOCSWINSZ, &size));
}

_Static_assert(sizeof(struct termios) <= BERTH_TERMIOS_SIZE, "room for struct termios");

int berth_terminal_raw(int descriptor, void *saved) {
    struct termios settings;
    if (tcgetattr(descriptor, &settings) < 0) return -errno;
    memcpy(saved, &settings, sizeof settings);
    cfmakeraw(&settings);
    // What is printed to it still gets its line ends: the other terminal leaves them to this one.
    settings.c_oflag |= OPOST;
    return (int)checked(tcsetattr(descriptor, TCSANOW, &settings));
}

int berth_terminal_restore(int descriptor, const void *saved) {
    struct termios settings;
    memcpy(&settings, saved, sizeof settings);
    return (int)checked(tcsetattr(descriptor, TCSANOW, &settings));
}

int berth_bpf_load_device_program(const void *instructions, size_t count, char *log, size_t log_size) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attributes.insns = (uint64_t)(uintptr_t)instructions;
    attributes.insn_cnt = (uint32_t)count;
    attributes.license = (uint64_t)(uintptr_t) "Apache";
    if (log && log_size > 0) {
        attributes.log_buf = (uint64_t)(uintptr_t)log;
        attributes.log_size = (uint32_t)log_size;
        attributes.log_level = 1;
    }
    return (int)checked(syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes));
}

int berth_bpf_attach_device_program(int cgroup, int program, unsigned flags) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.target_fd = (uint32_t)cgroup;
    attributes.attach_bpf_fd = (uint32_t)program;
    attributes.attach_type = BPF_CGROUP_DEVICE;
    attributes.attach_flags = flags;
    return (int)checked(syscall(SYS_bpf, BPF_PROG_ATTACH, &attributes, sizeof attributes));
}

uint64_t berth_clock_ticks_per_second(void) { return (uint64_t)sysconf(_SC_CLK_TCK); }

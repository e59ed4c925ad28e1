#include "calls.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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

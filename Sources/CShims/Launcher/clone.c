// The step that makes the container's first process.
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "launch.h"

pid_t bl_clone(uint64_t flags, int exit_signal, int cgroup, int *pidfd)
{
    struct clone_args arguments = {
        .flags = flags | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        .exit_signal = (uint64_t)exit_signal,
    };
    if (cgroup >= 0) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = (uint64_t)cgroup;
    }
    pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    // Seccomp profiles of outer containers answer ENOSYS, since they cannot look at clone3's flags.
    if (pid < 0 && errno == ENOSYS && cgroup < 0)
        pid = (pid_t)syscall(SYS_clone, (flags | CLONE_PIDFD) | (unsigned)exit_signal, NULL, pidfd, NULL, NULL);
    return pid;
}

// The monitor's pipes. The child's ends go into child_streams.
static int make_streams(struct bl_launch *launch, struct bl_error *error)
{
    const Berth__Launch__V1__Stdio *stdio = launch->plan->stdio;
    if (!stdio || !launch->plan->monitor)
        return 0;
    launch->monitor_terminal = stdio->terminal;
    if (stdio->terminal)
        return 0;
    for (int i = 0; i < 3; i++) {
        int ends[2];
        if (i == 0 && !stdio->stdin) {
            launch->child_streams[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
            if (launch->child_streams[0] < 0)
                return bl_fail(error, errno, "/dev/null", NULL);
            continue;
        }
        if (pipe2(ends, O_CLOEXEC) < 0)
            return bl_fail(error, errno, NULL, "make a pipe");
        launch->child_streams[i] = ends[i == 0 ? 0 : 1];
        launch->streams[i] = ends[i == 0 ? 1 : 0];
        // Only the monitor's end: O_NONBLOCK belongs to the open file, and the container's end must block.
        if (fcntl(launch->streams[i], F_SETFL, O_NONBLOCK) < 0)
            return bl_fail(error, errno, NULL, "make a pipe");
    }
    return 0;
}

// A HOST join_namespace of a PID or time namespace is for this clone only: what the monitor forks later starts in its own,
// and the times that are read of /proc are the host's.
static int leave_joined_namespaces(struct bl_launch *launch, struct bl_error *error)
{
    // Who joined as an ordinary user may not go back.
    if (launch->own_time >= 0 && setns(launch->own_time, 0) < 0 && launch->plan->monitor)
        return bl_fail(error, errno, "/proc/self/ns/time", "return to the own time namespace");
    bl_close(&launch->own_time);
    // Without a monitor nothing is forked later.
    if (!launch->plan->monitor)
        return 0;
    for (uint32_t i = 0; i < launch->step; i++) {
        const bl_step *step = launch->plan->steps[i];
        if (step->action_case != BL_ACTION(JOIN_NAMESPACE) || !(step->join_namespace->type & CLONE_NEWPID))
            continue;
        cleanup_close int own = openat(launch->host_proc, "self/ns/pid", O_RDONLY | O_CLOEXEC);
        if (own < 0 || setns(own, CLONE_NEWPID) < 0)
            return bl_fail(error, errno, "/proc/self/ns/pid", "return to the own PID namespace");
        return 0;
    }
    return 0;
}

// What the process that clones shares with the launcher.
struct cloning {
    struct bl_launch *launch;
    const Berth__Launch__V1__Clone *action;
    struct bl_error *error;
    int exit_signal;
    int cgroup; // -1 for none; and where CLONE_INTO_CGROUP could not be used
    int *pair;  // the baton's socket
    pid_t child;
};

static int clone_child(struct cloning *cloning, uint64_t flags)
{
    struct bl_launch *launch = cloning->launch;
    int cgroup = cloning->cgroup, pidfd = -1;
    pid_t pid = bl_clone(flags, cloning->exit_signal, cgroup, &pidfd);
    if (pid < 0 && cgroup >= 0 && errno != EPERM && errno != EACCES && errno != EAGAIN && errno != ENOMEM) {
        // CLONE_INTO_CGROUP is not known before Linux 5.7, and takes cgroup2 directories only.
        cloning->cgroup = -1;
        pid = bl_clone(flags, cloning->exit_signal, -1, &pidfd);
    }
    if (pid == 0) {
        close(cloning->pair[0]);
        // Not until exec closes it: who looks at a created container sees no descriptor of the host's.
        bl_close(&cgroup);
        launch->sync = cloning->pair[1];
        bl_child_main(launch);
    }
    if (pid < 0)
        return bl_fail(cloning->error, errno, cloning->cgroup >= 0 ? cloning->action->cgroup : NULL, "flags %#llx",
                       (unsigned long long)flags);
    cloning->child = pid;
    launch->child_pidfd = pidfd;
    return 0;
}

// Everything is opened before the first is joined: a path need not lead there any more afterwards.
static int join_all(const Berth__Launch__V1__Clone *action, struct bl_error *error)
{
    int files[BL_MAX_JOINS];
    for (size_t i = 0; i < action->n_joins; i++) {
        const Berth__Launch__V1__JoinNamespace *join = action->joins[i];
        files[i] = join->path[0] ? open(join->path, O_RDONLY | O_CLOEXEC) : bl_pidfd_open((pid_t)join->target_pid);
        if (files[i] < 0)
            return bl_fail(error, errno, join->path, join->path[0] ? NULL : "process %u", join->target_pid);
    }
    for (size_t i = 0; i < action->n_joins; i++) {
        if (bl_enter_namespace(files[i], action->joins[i], error) < 0)
            return -1;
        close(files[i]);
    }
    return 0;
}

// What the process that clones leaves, in memory that both have.
struct outcome {
    pid_t child;
    int pidfd;
    int cgroup;
    struct bl_error error;
};

struct cloner {
    struct cloning *cloning;
    struct outcome *outcome;
};

static int clone_after_joins(void *argument)
{
    struct cloner *cloner = argument;
    struct cloning *cloning = cloner->cloning;
    if (join_all(cloning->action, cloning->error) == 0)
        clone_child(cloning, cloning->action->flags | CLONE_PARENT);
    *cloner->outcome = (struct outcome){
        .child = cloning->child, .pidfd = cloning->launch->child_pidfd, .cgroup = cloning->cgroup, .error = *cloning->error,
    };
    _exit(0);
}

// By a process of its own, which shares the descriptors: the launcher goes on when it has ended. Nor is its memory its own,
// but where it joins a time namespace, which is refused to who shares it (EUSERS).
static int clone_inside(struct cloning *cloning)
{
    static _Alignas(16) char stack[256 * 1024]; // the child's, too, up to its exec
    const Berth__Launch__V1__Clone *action = cloning->action;
    unsigned memory = CLONE_VM;
    for (size_t i = 0; i < action->n_joins; i++)
        if (action->joins[i]->type & CLONE_NEWTIME)
            memory = 0;
    struct outcome *outcome = mmap(NULL, sizeof *outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (outcome == MAP_FAILED)
        return bl_fail(cloning->error, errno, NULL, "make the process that clones");
    cloning->exit_signal = 0; // that of the cloner
    struct cloner cloner = {.cloning = cloning, .outcome = outcome};
    pid_t pid = clone(clone_after_joins, stack + sizeof stack,
                      (int)(memory | CLONE_VFORK | CLONE_FILES | (action->sibling ? CLONE_PARENT : 0) | SIGCHLD), &cloner);
    int code = errno;
    if (pid > 0 && action->sibling)
        bl_report_ended(cloning->launch, pid);
    while (pid > 0 && !action->sibling && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    if (pid > 0) {
        cloning->child = outcome->child;
        cloning->cgroup = outcome->cgroup;
        cloning->launch->child_pidfd = outcome->pidfd;
        *cloning->error = outcome->error;
    }
    munmap(outcome, sizeof *outcome);
    if (pid < 0)
        return bl_fail(cloning->error, code, NULL, "make the process that clones");
    return cloning->child > 0 ? 0 : -1;
}

int bl_step_clone(struct bl_launch *launch, const Berth__Launch__V1__Clone *action, struct bl_error *error)
{
    int pair[2];
    if (make_streams(launch, error) < 0)
        return -1;
    bl_give_stdio_ahead(launch);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return bl_fail(error, errno, NULL, "make the baton's socket");

    cleanup_close int cgroup = -1;
    if (action->cgroup[0]) {
        cgroup = open(action->cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (cgroup < 0) {
            int code = errno;
            close(pair[0]);
            close(pair[1]);
            return bl_fail(error, code, action->cgroup, NULL);
        }
    }
    launch->dumpable = action->dumpable;
    // A sibling is the caller's child, and takes its exit signal from this process's own.
    struct cloning cloning = {
        .launch = launch, .action = action, .error = error, .cgroup = cgroup, .pair = pair,
        .exit_signal = action->sibling ? 0 : SIGCHLD,
    };
    int made = action->n_joins > 0 ? clone_inside(&cloning)
                                   : clone_child(&cloning, action->flags | (action->sibling ? (uint64_t)CLONE_PARENT : 0));
    close(pair[1]);
    for (int i = 0; i < 3; i++)
        bl_close(&launch->child_streams[i]);
    if (made < 0) {
        close(pair[0]);
        return -1;
    }
    launch->sync = pair[0];
    launch->child = cloning.child;
    launch->sibling = action->sibling;
    if (cloning.cgroup < 0 && action->cgroup[0]) {
        char path[4096], text[16];
        int length = snprintf(text, sizeof text, "%d", launch->child);
        if (snprintf(path, sizeof path, "%s/cgroup.procs", action->cgroup) >= (int)sizeof path)
            return bl_fail(error, ENAMETOOLONG, action->cgroup, NULL);
        if (bl_write_file(AT_FDCWD, path, text, (size_t)length) < 0)
            return bl_fail(error, errno, path, NULL);
    }
    return leave_joined_namespaces(launch, error);
}

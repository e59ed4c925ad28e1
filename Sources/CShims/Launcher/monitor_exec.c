// Exec: a fork of the monitor carries the plan out as the launcher does, with the process as its sibling, so that the
// monitor is its parent.
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "monitor.h"

_Noreturn static void launch_exec(const Berth__Launch__V1__ExecProcess *request, int *descriptors, size_t count,
                                  int report)
{
    struct bl_arena arena;
    struct bl_launch launch;
    struct bl_error error = {0};
    bl_arena_init(&arena, BL_ARENA_LIMIT);
    bl_plan *plan = request->plan;
    if (request->plan_in_descriptor && count > 0) {
        plan = bl_plan_read(descriptors[0], &arena, &error);
        descriptors++;
        count--;
    } else if (!plan || bl_plan_check(plan, &error) < 0) {
        if (!plan)
            bl_fail(&error, EPROTO, NULL, "the request has no plan");
        plan = NULL;
    }
    if (plan && plan->monitor) {
        bl_fail(&error, EPROTO, NULL, "an exec's plan has no monitor of its own");
        plan = NULL;
    }
    bool terminal = plan && plan->stdio && plan->stdio->terminal;
    if (plan && !terminal && count != 3) {
        bl_fail(&error, EPROTO, NULL, "%zu descriptors came for stdin, stdout and stderr", count);
        plan = NULL;
    }
    if (!plan) {
        bl_report_failure(report, NULL, 0, &error, 0);
        _exit(1);
    }
    for (int i = 0; !terminal && i < 3; i++)
        dup2(descriptors[i], i);
    for (size_t i = 0; i < plan->n_steps; i++)
        if (plan->steps[i]->action_case == BL_ACTION(CLONE))
            plan->steps[i]->clone->sibling = true;
    bl_launch_init(&launch, plan, &arena, report);
    if (bl_launch_run(&launch, &error) < 0) {
        pid_t left = bl_launch_abort(&launch);
        bl_report_failure(report, plan, launch.step, &error, left);
        _exit(1);
    }
    bl_report_created(&launch, launch.terminal);
    _exit(0);
}

static void forget(struct bl_monitor *monitor, struct bl_exec *exec)
{
    if (exec->report.fd >= 0 || exec->launcher.fd >= 0 || exec->process.fd >= 0)
        return;
    if (exec->connection) {
        exec->connection->exec = NULL;
        bl_connection_close(monitor, exec->connection);
    }
    for (struct bl_exec **link = &monitor->execs; *link; link = &(*link)->next) {
        if (*link == exec) {
            *link = exec->next;
            break;
        }
    }
    free(exec);
}

#define EXEC_OF(source, member) \
    ((struct bl_exec *)((char *)(source) - offsetof(struct bl_exec, member)))

static void process_ready(struct bl_monitor *monitor, struct bl_source *source, uint32_t events)
{
    (void)events;
    struct bl_exec *exec = EXEC_OF(source, process);
    struct bl_exit exit = {0};
    if (bl_reap(source->fd, true, &exit) < 0 && errno == EAGAIN)
        return;
    if (exec->connection) {
        Berth__Launch__V1__ExecExited exited = BERTH__LAUNCH__V1__EXEC_EXITED__INIT;
        bl_reply reply = BERTH__LAUNCH__V1__REPLY__INIT;
        exited.exit_code = (uint32_t)exit.code;
        exited.signal = (uint32_t)exit.signal;
        reply.reply_case = BERTH__LAUNCH__V1__REPLY__REPLY_EXEC_EXITED;
        reply.exec_exited = &exited;
        bl_reply_send(exec->connection, &reply, -1);
    }
    bl_source_close(monitor, source);
    forget(monitor, exec);
}

static void launcher_ready(struct bl_monitor *monitor, struct bl_source *source, uint32_t events)
{
    (void)events;
    if (bl_reap(source->fd, true, NULL) < 0 && errno == EAGAIN)
        return;
    bl_source_close(monitor, source);
    forget(monitor, EXEC_OF(source, launcher));
}

static void created(struct bl_monitor *monitor, struct bl_exec *exec, const Berth__Launch__V1__Created *message,
                    int terminal)
{
    // The process is a child of ours that nobody else reaps: its PID cannot be another's.
    exec->process.fd = bl_pidfd_open(message->pid);
    if (exec->process.fd < 0)
        return;
    bl_watch(monitor, &exec->process, EPOLLIN);
    if (monitor->exiting || (!exec->connection && exec->kill_on_close))
        bl_pidfd_signal(exec->process.fd, SIGKILL);
    if (!exec->connection)
        return;
    Berth__Launch__V1__ExecStarted started = BERTH__LAUNCH__V1__EXEC_STARTED__INIT;
    bl_reply reply = BERTH__LAUNCH__V1__REPLY__INIT;
    started.pid = message->pid;
    reply.reply_case = BERTH__LAUNCH__V1__REPLY__REPLY_EXEC_STARTED;
    reply.exec_started = &started;
    bl_reply_send(exec->connection, &reply, terminal);
}

static void failed(struct bl_exec *exec, Berth__Launch__V1__Failure *failure)
{
    if (failure->pid > 0) {
        cleanup_close int pidfd = bl_pidfd_open(failure->pid);
        if (pidfd >= 0)
            bl_reap(pidfd, false, NULL); // it was killed already
    }
    if (!exec->connection)
        return;
    bl_reply reply = BERTH__LAUNCH__V1__REPLY__INIT;
    reply.reply_case = BERTH__LAUNCH__V1__REPLY__REPLY_FAILURE;
    reply.failure = failure;
    bl_reply_send(exec->connection, &reply, -1);
}

static void report_ready(struct bl_monitor *monitor, struct bl_source *source, uint32_t events)
{
    (void)events;
    struct bl_exec *exec = EXEC_OF(source, report);
    uint8_t frame[8192];
    cleanup_close int terminal = -1;
    size_t count = 1;
    ssize_t got = bl_receive(source->fd, frame, sizeof frame, &terminal, &count, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    Berth__Launch__V1__Report *report = got > 4 ? berth__launch__v1__report__unpack(NULL, (size_t)got - 4, frame + 4) : NULL;
    if (report && report->report_case == BERTH__LAUNCH__V1__REPORT__REPORT_CREATED) {
        created(monitor, exec, report->created, terminal);
        exec->told = true;
    } else if (report && report->report_case == BERTH__LAUNCH__V1__REPORT__REPORT_FAILURE) {
        failed(exec, report->failure);
        exec->told = true;
    }
    if (report)
        berth__launch__v1__report__free_unpacked(report, NULL);
    if (got > 0 && !exec->told)
        return;
    if (!exec->told && exec->connection) {
        struct bl_error error;
        bl_fail(&error, 0, NULL, "the launcher of the process ended without a report");
        bl_reply_failure(exec->connection, "exec", &error);
    }
    bl_source_close(monitor, source);
    forget(monitor, exec);
}

void bl_exec_begin(struct bl_monitor *monitor, struct bl_connection *connection,
                   Berth__Launch__V1__ExecProcess *request, int *descriptors, size_t count)
{
    struct bl_error error;
    int pair[2];
    struct bl_exec *exec = monitor->exiting ? NULL : calloc(1, sizeof *exec);
    if (!exec || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        bl_fail(&error, monitor->exiting ? ESRCH : errno, NULL, monitor->exiting ? "the container has ended" : NULL);
        bl_reply_failure(connection, "exec", &error);
        free(exec);
        return;
    }
    int pidfd = -1;
    pid_t pid = bl_clone(0, SIGCHLD, -1, &pidfd);
    if (pid == 0)
        launch_exec(request, descriptors, count, pair[1]);
    int code = errno;
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        free(exec);
        bl_fail(&error, code, NULL, "fork");
        bl_reply_failure(connection, "exec", &error);
        return;
    }
    *exec = (struct bl_exec){
        .report = {.fd = pair[0], .ready = report_ready},
        .launcher = {.fd = pidfd, .ready = launcher_ready},
        .process = {.fd = -1, .ready = process_ready},
        .next = monitor->execs,
        .connection = connection,
        .kill_on_close = request->kill_on_close,
    };
    monitor->execs = exec;
    connection->kind = BL_CONNECTION_EXEC;
    connection->exec = exec;
    bl_watch(monitor, &exec->report, EPOLLIN);
    bl_watch(monitor, &exec->launcher, EPOLLIN);
}

void bl_exec_disconnected(struct bl_monitor *monitor, struct bl_connection *connection)
{
    (void)monitor;
    struct bl_exec *exec = connection->exec;
    if (!exec)
        return;
    connection->exec = NULL;
    exec->connection = NULL;
    if (exec->kill_on_close && exec->process.fd >= 0)
        bl_pidfd_signal(exec->process.fd, SIGKILL);
}

void bl_exec_kill_all(struct bl_monitor *monitor)
{
    for (struct bl_exec *exec = monitor->execs; exec; exec = exec->next)
        if (exec->process.fd >= 0)
            bl_pidfd_signal(exec->process.fd, SIGKILL);
}

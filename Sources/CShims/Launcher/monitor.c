#include "monitor.h"

#include <link.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

int bl_watch(struct bl_monitor *monitor, struct bl_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    int operation = source->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (source->events == events || source->fd < 0)
        return 0;
    if (epoll_ctl(monitor->epoll, operation, source->fd, &event) < 0)
        return -1;
    source->events = events;
    return 0;
}

void bl_source_close(struct bl_monitor *monitor, struct bl_source *source)
{
    bl_watch(monitor, source, 0);
    bl_close(&source->fd);
}

static char *copy(const char *text) { return text && text[0] ? strdup(text) : NULL; }

// Where the container's processes are listed.
static const char *find_cgroup(const bl_plan *plan)
{
    if (plan->monitor->cgroup[0])
        return plan->monitor->cgroup;
    const char *joined = NULL;
    for (size_t i = 0; i < plan->n_steps; i++) {
        const bl_step *step = plan->steps[i];
        if (step->action_case == BL_ACTION(CLONE) && step->clone->cgroup[0])
            return step->clone->cgroup;
        if (step->action_case == BL_ACTION(JOIN_CGROUP) && !joined)
            joined = step->join_cgroup->directory;
    }
    return joined;
}

static int keep_words(struct bl_monitor *monitor, const bl_plan *plan)
{
    uint32_t first = 0;
    while (first < plan->n_steps && plan->steps[first]->action_case != BL_ACTION(WAIT_FOR_START))
        first++;
    monitor->first_word = first;
    monitor->steps = (uint32_t)plan->n_steps;
    if (first == plan->n_steps)
        return 0;
    monitor->words = calloc(plan->n_steps - first, sizeof *monitor->words);
    for (uint32_t i = first; monitor->words && i < plan->n_steps; i++) {
        monitor->words[i - first] = strdup(bl_step_words(plan->steps[i]));
        if (!monitor->words[i - first])
            return -1;
    }
    return monitor->words ? 0 : -1;
}

struct bl_monitor *bl_monitor_open(const bl_plan *plan, struct bl_error *error)
{
    struct bl_monitor *monitor = calloc(1, sizeof *monitor);
    if (!monitor) {
        bl_fail(error, errno, NULL, NULL);
        return NULL;
    }
    struct bl_source none = {.fd = -1};
    monitor->listener = monitor->process = monitor->sync = monitor->input = none;
    monitor->streams[0] = monitor->streams[1] = none;
    monitor->log.fd = -1;
    monitor->id = strdup(plan->id);
    monitor->socket = copy(plan->monitor->socket);
    monitor->exit_path = copy(plan->monitor->exit_path);
    monitor->oom_path = copy(plan->monitor->oom_path);
    monitor->cgroup = copy(find_cgroup(plan));
    monitor->epoll = epoll_create1(EPOLL_CLOEXEC);
    const Berth__Launch__V1__Stdio *stdio = plan->stdio;
    if (stdio) {
        monitor->terminal = stdio->terminal;
        monitor->stdin_once = stdio->stdin_once;
    }
    if (!monitor->id || !monitor->socket || !monitor->exit_path || monitor->epoll < 0 || keep_words(monitor, plan) < 0)
        bl_fail(error, errno, NULL, "make the monitor");
    else if (bl_log_open(&monitor->log, stdio ? stdio->log_path : NULL, stdio ? stdio->max_line : 0, error) == 0) {
        monitor->listener.fd = bl_listen(monitor->socket, SOCK_SEQPACKET, error);
        if (monitor->listener.fd >= 0) {
            bl_exit_record_reserve(monitor->exit_path);
            return monitor;
        }
    }
    bl_monitor_discard(monitor);
    return NULL;
}

void bl_monitor_discard(struct bl_monitor *monitor)
{
    if (monitor->listener.fd >= 0 && monitor->socket) {
        unlink(monitor->socket);
        bl_exit_record_discard(monitor->exit_path);
    }
    if (monitor->log.made && monitor->log.path)
        unlink(monitor->log.path);
    bl_close(&monitor->listener.fd);
    bl_log_close(&monitor->log);
    bl_close(&monitor->epoll);
}

// After a start: the socket's end tells that exec happened.
static void sync_ready(struct bl_monitor *monitor, struct bl_source *source, uint32_t events)
{
    (void)events;
    struct bl_sync message;
    int got = bl_sync_receive(source->fd, &message, NULL);
    if (got > 0 && message.type == BL_SYNC_EXECING)
        monitor->execing = true;
    if (got > 0 && message.type != BL_SYNC_FAILED)
        return;
    bl_source_close(monitor, source);
    if (got > 0) {
        bl_started(monitor, &message.error, message.step);
        return;
    }
    if (!monitor->start_sent)
        return; // killed before it was started: process_ready tells
    struct bl_error error = {0};
    struct pollfd ended = {.fd = monitor->process.fd, .events = POLLIN};
    // Ended before exec, without a word: killed. A seccomp program may have kept EXECING from coming, and one that
    // dies closes its descriptors a moment before its pidfd tells.
    bool dead = !monitor->execing && poll(&ended, 1, 50) > 0;
    if (dead)
        bl_fail(&error, 0, NULL, "the container's process ended before it was started");
    bl_started(monitor, dead ? &error : NULL, monitor->steps - 1);
}

static void process_ready(struct bl_monitor *monitor, struct bl_source *source, uint32_t events)
{
    (void)events;
    struct bl_exit exit = {0};
    if (bl_reap(source->fd, true, &exit) < 0 && errno == EAGAIN)
        return;
    // The start's outcome, if it lies in the socket still, goes first.
    while (monitor->sync.fd >= 0 && monitor->start_sent)
        sync_ready(monitor, &monitor->sync, 0);
    monitor->record.finished_at = bl_now(CLOCK_REALTIME);
    monitor->record.exit_code = (uint32_t)exit.code;
    monitor->record.signal = (uint32_t)exit.signal;
    monitor->record.oom_killed = bl_oom_kills(monitor->oom_path) > monitor->oom_before;
    monitor->exiting = true;
    monitor->drain_until = bl_now(CLOCK_MONOTONIC) + (int64_t)BL_DRAIN * 1000000;
    bl_source_close(monitor, source);
    bl_source_close(monitor, &monitor->sync);
    bl_exec_kill_all(monitor);
}

static void take_over(struct bl_monitor *monitor, struct bl_launch *launch)
{
    monitor->pid = launch->child;
    monitor->process = (struct bl_source){.fd = bl_take(&launch->child_pidfd), .ready = process_ready};
    monitor->sync = (struct bl_source){.fd = bl_take(&launch->sync), .ready = sync_ready};
    monitor->listener.ready = bl_connection_accept;
    for (int i = 0; i < 2; i++)
        monitor->streams[i] = (struct bl_source){.fd = bl_take(&launch->streams[i + 1]), .ready = bl_stream_ready};
    monitor->input = (struct bl_source){.fd = bl_take(&launch->streams[0]), .ready = bl_input_ready};
    if (launch->terminal >= 0) {
        // Output and input are the same open file, and the epoll wants them apart.
        (void)fcntl(launch->terminal, F_SETFL, O_RDWR | O_NONBLOCK);
        monitor->input.fd = fcntl(launch->terminal, F_DUPFD_CLOEXEC, 0);
        monitor->streams[0].fd = bl_take(&launch->terminal);
    }
    monitor->status = launch->waiting ? BERTH__LAUNCH__V1__STATE__STATUS__CREATED
                                      : BERTH__LAUNCH__V1__STATE__STATUS__RUNNING;
    monitor->record = (bl_exit_record)BERTH__LAUNCH__V1__EXIT_RECORD__INIT;
    monitor->record.version = 1;
    monitor->record.id = monitor->id;
    monitor->record.pid = monitor->pid;
    monitor->record.started_at = launch->waiting ? 0 : bl_now(CLOCK_REALTIME);
    monitor->oom_before = bl_oom_kills(monitor->oom_path);
    // A start by FIFO passes the monitor by; it sees its outcome only.
    const bl_plan *plan = launch->plan;
    for (size_t i = 0; launch->waiting && i < plan->n_steps; i++)
        if (plan->steps[i]->action_case == BL_ACTION(WAIT_FOR_START) && plan->steps[i]->wait_for_start->fifo[0])
            monitor->start_sent = true;
}

// Whoever started this process may go; its terminal, folder and signals are none of ours.
static void detach(void)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM,
                                  SIGTSTP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < BL_COUNT(ignored); i++)
        signal(ignored[i], SIG_IGN);
    setsid();
    prctl(PR_SET_NAME, "berth-monitor");
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd < 3; fd++)
        dup2(null, fd);
    bl_close(&null);
    (void)!chdir("/");
}

// Gives back the heap's free pages and the program's own pages, which the kernel reads again from its cache when they
// are needed: of a monitor that waits for months only a few stay mapped.
static int drop_pages(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    (void)data;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || part->p_flags & PF_W)
            continue; // what was written to is not in the file
        uintptr_t begin = (info->dlpi_addr + part->p_vaddr + 4095) & ~(uintptr_t)4095;
        uintptr_t end = (info->dlpi_addr + part->p_vaddr + part->p_memsz) & ~(uintptr_t)4095;
        if (end > begin)
            madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
    return 1; // the first one is the program
}

static void trim(struct bl_monitor *monitor)
{
    monitor->trimmed = true;
#ifdef __GLIBC__
    malloc_trim(0); // musl's gives free pages back by itself
#endif
    dl_iterate_phdr(drop_pages, NULL);
}

static bool output_is_open(const struct bl_monitor *monitor)
{
    return monitor->streams[0].fd >= 0 || monitor->streams[1].fd >= 0;
}

// The record first, then everyone hears of it: by the end of their connection.
static int finish(struct bl_monitor *monitor)
{
    struct bl_error error = {0};
    for (int i = 0; i < 2; i++) {
        bl_log_end(&monitor->log, (enum bl_stream_name)i);
        bl_source_close(monitor, &monitor->streams[i]);
    }
    int status = bl_exit_record_write(monitor->exit_path, &monitor->record, &error) < 0;
    monitor->status = BERTH__LAUNCH__V1__STATE__STATUS__STOPPED;
    unlink(monitor->socket);
    bl_source_close(monitor, &monitor->listener);
    for (struct bl_connection *connection = monitor->connections; connection; connection = connection->next)
        if (connection->kind != BL_CONNECTION_EXEC)
            bl_connection_close(monitor, connection);
    bl_connections_sweep(monitor);
    return status;
}

static int wait_time(const struct bl_monitor *monitor)
{
    int64_t until = monitor->exiting && output_is_open(monitor) ? monitor->drain_until : 0;
    int64_t slow = monitor->behind ? monitor->behind_since + (int64_t)BL_SLOW_CLIENT * 1000000 : 0;
    if (slow && (!until || slow < until))
        until = slow;
    if (!until)
        return -1;
    int64_t left = (until - bl_now(CLOCK_MONOTONIC)) / 1000000 + 1;
    return left < 0 ? 0 : (int)left;
}

static void handle_one(struct bl_monitor *monitor)
{
    // One event at a time: handling one may close what another is about.
    struct epoll_event event;
    int time = wait_time(monitor);
    bool idle = !monitor->trimmed && (time < 0 || time > BL_IDLE);
    int count = epoll_wait(monitor->epoll, &event, 1, idle ? BL_IDLE : time);
    if (count == 0 && idle)
        trim(monitor);
    if (count > 0) {
        struct bl_source *source = event.data.ptr;
        monitor->trimmed = false;
        source->ready(monitor, source, event.events);
    }
    bl_drop_slow_clients(monitor);
    bl_connections_sweep(monitor);
}

int bl_monitor_run(struct bl_monitor *monitor, struct bl_launch *launch)
{
    take_over(monitor, launch);
    detach();
    bl_watch(monitor, &monitor->process, EPOLLIN);
    bl_watch(monitor, &monitor->listener, EPOLLIN);
    bl_watch(monitor, &monitor->sync, EPOLLIN);
    bl_watch(monitor, &monitor->streams[0], EPOLLIN);
    bl_watch(monitor, &monitor->streams[1], EPOLLIN);
    bl_report_created(launch, -1);
    bl_launch_close(launch);
    bl_arena_free(launch->arena);

    for (;;) {
        bool drained = !output_is_open(monitor) || bl_now(CLOCK_MONOTONIC) >= monitor->drain_until;
        if (monitor->exiting && monitor->behind == 0 && drained)
            break;
        handle_one(monitor);
    }
    int status = finish(monitor);
    while (monitor->execs)
        handle_one(monitor);
    return status;
}

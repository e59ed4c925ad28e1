// Reports to whoever started the launch, and the baton's messages.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "launch.h"

typedef Berth__Launch__V1__Report report_message;

static size_t pack(const report_message *report, uint8_t *buffer, size_t size)
{
    size_t length = berth__launch__v1__report__get_packed_size(report);
    if (length + 4 > size)
        return 0;
    buffer[0] = (uint8_t)length;
    buffer[1] = (uint8_t)(length >> 8);
    buffer[2] = (uint8_t)(length >> 16);
    buffer[3] = (uint8_t)(length >> 24);
    return 4 + berth__launch__v1__report__pack(report, buffer + 4);
}

// One frame in one packet or write. A reader that has gone is no reason to stop.
static void put(int fd, const report_message *report, int descriptor)
{
    uint8_t buffer[8192];
    size_t size = pack(report, buffer, sizeof buffer);
    if (fd < 0 || size == 0)
        return;
    if (bl_send(fd, buffer, size, &descriptor, descriptor >= 0, 0) < 0 && errno == ENOTSOCK)
        (void)bl_write_full(fd, buffer, size);
}

uint64_t bl_start_time(int host_proc, pid_t pid)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "%d/stat", pid);
    if (bl_read_text(host_proc, path, text, sizeof text) < 0)
        return 0;
    // Fields are counted from the last parenthesis: the name (field 2) may hold anything.
    char *field = strrchr(text, ')');
    for (int i = 2; field && i < 22; i++)
        field = strchr(field + 1, ' ');
    return field ? strtoull(field + 1, NULL, 10) : 0;
}

void bl_report_created(struct bl_launch *launch, int terminal)
{
    Berth__Launch__V1__Created created = BERTH__LAUNCH__V1__CREATED__INIT;
    report_message report = BERTH__LAUNCH__V1__REPORT__INIT;
    created.pid = launch->child;
    created.start_time = launch->child > 0 ? bl_start_time(launch->host_proc, launch->child) : 0;
    created.monitor_pid = launch->plan->monitor ? getpid() : 0;
    report.report_case = BERTH__LAUNCH__V1__REPORT__REPORT_CREATED;
    report.created = &created;
    put(launch->report, &report, terminal);
}

static void fill_failure(Berth__Launch__V1__Failure *failure, const bl_plan *plan, uint32_t step,
                         const struct bl_error *error, pid_t pid)
{
    static char words[512];
    *failure = (Berth__Launch__V1__Failure)BERTH__LAUNCH__V1__FAILURE__INIT;
    failure->pid = pid;
    failure->error = error->code;
    failure->path = (char *)error->path;
    failure->detail = (char *)error->detail;
    if (!plan || step >= plan->n_steps)
        return;
    snprintf(words, sizeof words, "%s", bl_step_words(plan->steps[step]));
    failure->words = words;
    failure->step = step + 1;
    failure->steps = (uint32_t)plan->n_steps;
}

void bl_report_failure(int fd, const bl_plan *plan, uint32_t step, const struct bl_error *error, pid_t pid)
{
    Berth__Launch__V1__Failure failure;
    report_message report = BERTH__LAUNCH__V1__REPORT__INIT;
    fill_failure(&failure, plan, step, error, pid);
    report.report_case = BERTH__LAUNCH__V1__REPORT__REPORT_FAILURE;
    report.failure = &failure;
    put(fd, &report, -1);
}

size_t bl_pack_failure(const bl_plan *plan, uint32_t step, const struct bl_error *error, pid_t pid, uint8_t *buffer,
                       size_t size)
{
    Berth__Launch__V1__Failure failure;
    report_message report = BERTH__LAUNCH__V1__REPORT__INIT;
    fill_failure(&failure, plan, step, error, pid);
    report.report_case = BERTH__LAUNCH__V1__REPORT__REPORT_FAILURE;
    report.failure = &failure;
    return pack(&report, buffer, size);
}

void bl_report_warning(struct bl_launch *launch, uint32_t step, const struct bl_error *error)
{
    Berth__Launch__V1__Warning warning = BERTH__LAUNCH__V1__WARNING__INIT;
    report_message report = BERTH__LAUNCH__V1__REPORT__INIT;
    char words[512], detail[sizeof error->detail + sizeof error->path + 4];
    snprintf(words, sizeof words, "%s", step < launch->plan->n_steps ? bl_step_words(launch->plan->steps[step]) : "");
    snprintf(detail, sizeof detail, "%s%s%s", error->path, error->path[0] && error->detail[0] ? ": " : "",
             error->detail);
    warning.step = step + 1;
    warning.words = words;
    warning.error = error->code;
    warning.detail = detail;
    report.report_case = BERTH__LAUNCH__V1__REPORT__REPORT_WARNING;
    report.warning = &warning;
    put(launch->report, &report, -1);
}

void bl_report_ended(struct bl_launch *launch, pid_t pid)
{
    Berth__Launch__V1__Ended ended = BERTH__LAUNCH__V1__ENDED__INIT;
    report_message report = BERTH__LAUNCH__V1__REPORT__INIT;
    ended.pid = pid;
    report.report_case = BERTH__LAUNCH__V1__REPORT__REPORT_ENDED;
    report.ended = &ended;
    put(launch->report, &report, -1);
}

void bl_report_trace(struct bl_launch *launch, uint32_t step, uint64_t nanoseconds)
{
    Berth__Launch__V1__Trace trace = BERTH__LAUNCH__V1__TRACE__INIT;
    report_message report = BERTH__LAUNCH__V1__REPORT__INIT;
    trace.step = step + 1;
    trace.nanoseconds = nanoseconds;
    report.report_case = BERTH__LAUNCH__V1__REPORT__REPORT_TRACE;
    report.trace = &trace;
    put(launch->report, &report, -1);
}

int bl_sync_send(int socket, const struct bl_sync *message, int descriptor)
{
    bool whole = message->type == BL_SYNC_FAILED || message->type == BL_SYNC_WARNING;
    size_t size = whole ? sizeof *message : offsetof(struct bl_sync, error);
    if (descriptor >= 0)
        return bl_send(socket, message, size, &descriptor, 1, 0);
    // write(2) and not sendmsg(2): a seccomp program may be installed already, and write is what none can do without.
    ssize_t put;
    do
        put = write(socket, message, size);
    while (put < 0 && errno == EINTR);
    return put < 0 ? -1 : 0;
}

int bl_sync_receive(int socket, struct bl_sync *message, int *descriptor)
{
    size_t count = descriptor ? 1 : 0;
    int received = -1;
    memset(message, 0, sizeof *message);
    ssize_t got = bl_receive(socket, message, sizeof *message, &received, &count, 0);
    if (descriptor)
        *descriptor = count > 0 ? received : -1;
    if (got < 0)
        return errno == ECONNRESET ? 0 : -1;
    if (got == 0)
        return 0;
    if ((size_t)got < offsetof(struct bl_sync, error)) {
        errno = EPROTO;
        return -1;
    }
    message->error.path[sizeof message->error.path - 1] = 0;
    message->error.detail[sizeof message->error.detail - 1] = 0;
    return 1;
}

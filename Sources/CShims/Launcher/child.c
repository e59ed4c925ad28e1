// The container's process from clone to exec: runs CHILD steps when it has the baton.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "launch.h"

// What became of the process when its set-up failed: the field's code for "container could not start".
#define SETUP_FAILED 128

static void end_by_signal(int number)
{
    _exit(128 + number);
}

static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    // The first process of a PID namespace ignores what would end it by default. One that waits for its start shall not;
    // exec sets these back.
    static const int ending[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < BL_COUNT(ending); i++)
        signal(ending[i], end_by_signal);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int take_streams(struct bl_launch *launch)
{
    for (int i = 0; i < 3; i++)
        if (launch->child_streams[i] >= 0 && dup2(launch->child_streams[i], i) < 0)
            return -1;
    return 0;
}

// A failure after a start by FIFO: `start` reads a Report from it; stderr tells whoever reads the container's output.
static void fail_by_fifo(struct bl_launch *launch, const struct bl_error *error)
{
    uint8_t frame[4096];
    char line[2048];
    size_t size = bl_pack_failure(launch->plan, launch->step, error, 0, frame, sizeof frame);
    signal(SIGPIPE, SIG_IGN);
    if (size > 0)
        (void)bl_write_full(launch->start_fifo, frame, size);
    int length = snprintf(line, sizeof line, "berth-launch: %s%s%s%s%s: %s\n",
                          bl_step_words(launch->plan->steps[launch->step]), error->path[0] ? ": " : "", error->path,
                          error->detail[0] ? ": " : "", error->detail, strerror(error->code));
    if (length > 0)
        (void)bl_write_full(2, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

_Noreturn static void fail(struct bl_launch *launch, const struct bl_error *error)
{
    struct bl_sync message = {.type = BL_SYNC_FAILED, .step = launch->step, .error = *error};
    if (launch->start_fifo >= 0)
        fail_by_fifo(launch, error);
    if (launch->sync >= 0)
        bl_sync_send(launch->sync, &message, -1);
    _exit(SETUP_FAILED);
}

_Noreturn void bl_child_main(struct bl_launch *launch)
{
    struct bl_error error = {0};
    launch->is_child = true;
    // The host's ends: a reader of the reports, or of the container's output, must see their end while this one waits.
    bl_close(&launch->report);
    for (int i = 0; i < 3; i++)
        bl_close(&launch->streams[i]);
    reset_signals();
    // Modes of nodes and folders are exact; set_umask or exec set the container's.
    umask(0);
    if (take_streams(launch) < 0) {
        bl_fail(&error, errno, NULL, "take the stdio");
        fail(launch, &error);
    }
    bool traces = launch->plan->trace;
    for (;;) {
        struct bl_sync message;
        if (bl_sync_receive(launch->sync, &message, NULL) <= 0 || message.type != BL_SYNC_RUN)
            _exit(SETUP_FAILED); // the launcher is gone, and nobody is left to tell
        launch->host_pid = message.value;
        launch->step = message.step;
        if (message.flag && bl_become_namespace_root(&error) < 0)
            fail(launch, &error);
        // Until exec nobody in the container may look at this process's memory or descriptors (ptrace, /proc/PID).
        prctl(PR_SET_DUMPABLE, launch->dumpable);
        for (; launch->step < launch->plan->n_steps; launch->step++) {
            const bl_step *step = launch->plan->steps[launch->step];
            if (step->place == BL_PLACE_HOST)
                break;
            uint64_t begin = traces ? bl_trace_clock(launch) : 0;
            if (bl_step_run(launch, step, &error) < 0) {
                if (!step->optional)
                    fail(launch, &error);
                bl_step_warn(launch, &error);
            }
            // Who waited for the start has nobody to report to.
            traces = traces && step->action_case != BL_ACTION(WAIT_FOR_START);
            if (traces)
                bl_step_trace(launch, begin);
        }
        struct bl_sync ran = {.type = BL_SYNC_RAN, .step = launch->step};
        if (bl_sync_send(launch->sync, &ran, -1) < 0)
            _exit(SETUP_FAILED);
    }
}

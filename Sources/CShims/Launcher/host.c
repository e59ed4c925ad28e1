// The host's side of the baton: runs the HOST steps, and hands the child its runs of CHILD steps.
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "launch.h"
#include "paths.h"

void bl_launch_init(struct bl_launch *launch, const bl_plan *plan, struct bl_arena *arena, int report)
{
    *launch = (struct bl_launch){
        .plan = plan, .arena = arena, .host_proc = -1, .root = -1, .sync = -1, .report = report, .child_pidfd = -1,
        .streams = {-1, -1, -1}, .terminal = -1, .child_streams = {-1, -1, -1}, .slave = -1, .start_fifo = -1,
        .null_tree = -1, .mask_tree = -1, .own_time = -1,
    };
}

// Stage 1: what the child could not open any more where it needs it, since its PIDs or its root are other ones there.
static int prepare_step(const bl_step *step, int *fd, struct bl_error *error)
{
    const char *path = NULL;
    switch (step->action_case) {
    case BL_ACTION(JOIN_NAMESPACE):
        if (!step->join_namespace->path[0]) {
            *fd = bl_pidfd_open((pid_t)step->join_namespace->target_pid);
            return *fd < 0 ? bl_fail(error, errno, NULL, "process %u", step->join_namespace->target_pid) : 0;
        }
        if (step->place == BL_PLACE_CHILD) {
            path = step->join_namespace->path;
            *fd = open(path, O_RDONLY | O_CLOEXEC);
        }
        break;
    case BL_ACTION(OPEN_ROOT):
        path = step->open_root->base_mounts;
        if (!path[0])
            return 0;
        *fd = open(path, O_RDONLY | O_CLOEXEC);
        break;
    case BL_ACTION(WAIT_FOR_START):
        path = step->wait_for_start->fifo;
        if (!path[0])
            return 0;
        *fd = open(path, O_PATH | O_CLOEXEC);
        break;
    default:
        return 0;
    }
    return path && *fd < 0 ? bl_fail(error, errno, path, NULL) : 0;
}

static int prepare(struct bl_launch *launch, struct bl_error *error)
{
    launch->host_proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (launch->host_proc < 0 || !bl_on_filesystem(launch->host_proc, 0x9fa0 /* PROC_SUPER_MAGIC */))
        return bl_fail(error, launch->host_proc < 0 ? errno : ENOSYS, "/proc", "the host's procfs");
    launch->prepared = bl_arena_alloc(launch->arena, launch->plan->n_steps * sizeof(int));
    if (!launch->prepared)
        return bl_fail(error, ENOMEM, NULL, NULL);
    for (size_t i = 0; i < launch->plan->n_steps; i++)
        launch->prepared[i] = -1;
    for (size_t i = 0; i < launch->plan->n_steps; i++) {
        launch->step = (uint32_t)i;
        if (prepare_step(launch->plan->steps[i], &launch->prepared[i], error) < 0 && !launch->plan->steps[i]->optional)
            return -1;
    }
    launch->step = 0;
    return 0;
}

static int find_step(const struct bl_launch *launch, uint32_t index, uint32_t action)
{
    return index < launch->plan->n_steps && launch->plan->steps[index]->action_case == action;
}

int bl_host_service(struct bl_launch *launch, const struct bl_sync *message, int descriptor, struct bl_error *error)
{
    struct bl_sync go = {.type = BL_SYNC_GO};
    cleanup_close int tree = -1;
    int done = 0;
    switch (message->type) {
    case BL_SYNC_WARNING:
        bl_report_warning(launch, message->step, &message->error);
        return 1;
    case BL_SYNC_TRACE:
        bl_report_trace(launch, message->step, (uint64_t)(uint32_t)message->value << 32 | message->flag);
        return 1;
    case BL_SYNC_TERMINAL:
        launch->step = message->step;
        if (!find_step(launch, message->step, BL_ACTION(SETUP_TERMINAL)) || descriptor < 0)
            return 0;
        done = bl_forward_terminal(launch, launch->plan->steps[message->step]->setup_terminal, descriptor, error);
        break;
    case BL_SYNC_LISTENER:
        launch->step = message->step;
        if (!find_step(launch, message->step, BL_ACTION(INSTALL_SECCOMP)))
            return 0;
        done = bl_forward_listener(launch, launch->plan->steps[message->step]->install_seccomp, message->value, error);
        break;
    case BL_SYNC_TREE:
        launch->step = message->step;
        if (!find_step(launch, message->step, BL_ACTION(BIND_MOUNT)))
            return 0;
        done = tree = bl_open_tree_for_child(launch, launch->plan->steps[message->step]->bind_mount, error);
        break;
    default:
        return 0;
    }
    if (done < 0 || bl_sync_send(launch->sync, &go, tree) < 0)
        return done < 0 ? -1 : bl_fail(error, errno, NULL, "the container's process does not answer");
    return 1;
}

// The child closed its end: by exec (or hold), or because it died.
static int child_closed(struct bl_launch *launch, bool execing, struct bl_error *error)
{
    struct pollfd ended = {.fd = launch->child_pidfd, .events = POLLIN};
    // A seccomp program may have kept EXECING from coming; a process that runs on has exec'ed.
    // One that dies closes its descriptors a moment before its pidfd tells.
    if (execing || poll(&ended, 1, 50) == 0)
        return 0;
    struct bl_exit exit = {0};
    if (!launch->sibling && bl_reap(launch->child_pidfd, true, &exit) == 0 && exit.signal)
        return bl_fail(error, 0, NULL, "the container's process was killed by signal %d while it was set up",
                       exit.signal);
    return bl_fail(error, 0, NULL, "the container's process ended with status %d while it was set up", exit.code);
}

// Hands the baton to the child for the steps from `*index`; takes it back at the next HOST step (`*index` then), or
// for good: at wait_for_start, exec or hold.
static int run_child_steps(struct bl_launch *launch, uint32_t *index, struct bl_error *error)
{
    uint32_t next = *index;
    while (next < launch->plan->n_steps && launch->plan->steps[next]->place == BL_PLACE_CHILD)
        next++;
    struct bl_sync run = {.type = BL_SYNC_RUN, .step = *index, .value = launch->child, .flag = launch->mapped};
    launch->mapped = false;
    if (bl_sync_send(launch->sync, &run, -1) < 0)
        return child_closed(launch, false, error);
    bool execing = false;
    for (;;) {
        struct bl_sync message;
        cleanup_close int descriptor = -1;
        int got = bl_sync_receive(launch->sync, &message, &descriptor);
        if (got < 0)
            return bl_fail(error, errno, NULL, "read from the container's process");
        if (got == 0) {
            *index = (uint32_t)launch->plan->n_steps;
            bl_close(&launch->sync);
            return child_closed(launch, execing, error);
        }
        launch->step = message.step;
        switch (message.type) {
        case BL_SYNC_RAN:
            *index = next;
            return 0;
        case BL_SYNC_WAITING:
            launch->waiting = true;
            *index = (uint32_t)launch->plan->n_steps;
            return 0;
        case BL_SYNC_EXECING:
            execing = true;
            break;
        case BL_SYNC_FAILED:
            *error = message.error;
            return -1;
        default: {
            int served = bl_host_service(launch, &message, descriptor, error);
            if (served <= 0)
                return served < 0 ? -1 : bl_fail(error, EPROTO, NULL, "message %u of the child", message.type);
            if (message.type == BL_SYNC_TERMINAL)
                bl_take(&descriptor);
        }
        }
    }
}

int bl_launch_run(struct bl_launch *launch, struct bl_error *error)
{
    if (prepare(launch, error) < 0)
        return -1;
    for (uint32_t index = 0; index < launch->plan->n_steps;) {
        const bl_step *step = launch->plan->steps[index];
        launch->step = index;
        if (step->place == BL_PLACE_CHILD) {
            if (run_child_steps(launch, &index, error) < 0)
                return -1;
            continue;
        }
        uint64_t begin = bl_trace_clock(launch);
        if (bl_step_run(launch, step, error) < 0) {
            if (!step->optional)
                return -1;
            bl_step_warn(launch, error);
        }
        bl_step_trace(launch, begin);
        index++;
    }
    return 0;
}

pid_t bl_launch_abort(struct bl_launch *launch)
{
    pid_t left = 0;
    if (launch->child > 0 && launch->child_pidfd >= 0) {
        bl_pidfd_signal(launch->child_pidfd, SIGKILL);
        struct pollfd ended = {.fd = launch->child_pidfd, .events = POLLIN};
        while (poll(&ended, 1, 5000) < 0 && errno == EINTR) {
        }
        if (launch->sibling)
            left = launch->child;
        else
            bl_reap(launch->child_pidfd, false, NULL);
    }
    bl_undo_run(launch);
    return left;
}

void bl_launch_close(struct bl_launch *launch)
{
    for (size_t i = 0; launch->prepared && i < launch->plan->n_steps; i++)
        bl_close(&launch->prepared[i]);
    launch->prepared = NULL;
    bl_close(&launch->host_proc);
    bl_close(&launch->root);
    bl_close(&launch->own_time);
    bl_close(&launch->report);
    bl_undo_forget(launch);
}

// Programs that run to their end while the container is set up: hooks, and newuidmap.
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "launch.h"

#define BL_OUTPUT_KEPT 512 // bytes of stderr in an error

struct running {
    int pidfd, input, output;
    char text[BL_OUTPUT_KEPT];
    size_t used;
    size_t part, sent; // of the input
};

_Noreturn static void run(const struct bl_program *program, int input, int output)
{
    if (program->folder >= 0 && fchdir(program->folder) < 0)
        _exit(127);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (dup2(input, 0) < 0 || dup2(null < 0 ? output : null, 1) < 0 || dup2(output, 2) < 0)
        _exit(127);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    execve(program->path, program->arguments, program->environment);
    dprintf(2, "%s", strerror(errno));
    _exit(127);
}

// Writes what the pipe takes; closes it after the last part.
static void feed(struct running *running, const struct bl_program *program)
{
    while (running->part < BL_COUNT(program->input)) {
        size_t left = program->input_size[running->part] - running->sent;
        ssize_t put = left ? write(running->input, program->input[running->part] + running->sent, left) : 0;
        if (put < 0 && errno == EAGAIN)
            return;
        if (put < 0)
            break; // it does not read its state; that is its right
        running->sent += (size_t)put;
        if (running->sent == program->input_size[running->part]) {
            running->part++;
            running->sent = 0;
        }
    }
    bl_close(&running->input);
}

// What does not fit is read and dropped, so that the program is not held up.
static void collect(struct running *running)
{
    char rest[512];
    size_t room = sizeof running->text - running->used;
    ssize_t got = read(running->output, room ? running->text + running->used : rest, room ? room : sizeof rest);
    if (got > 0 && room)
        running->used += (size_t)got;
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        bl_close(&running->output);
}

// 0 when the program has ended, -1 at the deadline.
static int attend(struct running *running, const struct bl_program *program)
{
    int64_t deadline = program->timeout ? bl_now(CLOCK_MONOTONIC) + (int64_t)program->timeout * 1000000000 : 0;
    for (;;) {
        struct pollfd wanted[] = {
            {.fd = running->pidfd, .events = POLLIN},
            {.fd = running->output, .events = POLLIN},
            {.fd = running->input, .events = POLLOUT},
        };
        int64_t left = deadline ? (deadline - bl_now(CLOCK_MONOTONIC) + 999999) / 1000000 : -1;
        if (deadline && left <= 0)
            return -1;
        int ready = poll(wanted, BL_COUNT(wanted), (int)left);
        if (ready < 0 && errno != EINTR)
            return -1;
        if (ready <= 0)
            continue;
        if (wanted[2].revents)
            feed(running, program);
        if (wanted[1].revents)
            collect(running);
        if (wanted[0].revents) {
            // What it left in the pipe; a daemon that it left behind may hold the pipe open, so no waiting.
            for (size_t before = ~(size_t)0; running->output >= 0 && before != running->used;) {
                before = running->used;
                collect(running);
            }
            return 0;
        }
    }
}

// In lower case: "bad system call".
static const char *signal_name(int number)
{
    static char name[64];
    const char *text = strsignal(number);
    snprintf(name, sizeof name, "%s", text ? text : "unknown");
    if (name[0] >= 'A' && name[0] <= 'Z' && name[1] >= 'a' && name[1] <= 'z')
        name[0] = (char)(name[0] - 'A' + 'a');
    return name;
}

int bl_run_program(const struct bl_program *program, struct bl_error *error)
{
    int input[2], output[2];
    if (pipe2(input, O_CLOEXEC) < 0)
        return bl_fail(error, errno, program->path, NULL);
    if (pipe2(output, O_CLOEXEC) < 0) {
        close(input[0]);
        close(input[1]);
        return bl_fail(error, errno, program->path, NULL);
    }
    cleanup_close int pidfd = -1;
    pid_t pid = bl_clone(0, SIGCHLD, -1, &pidfd);
    int code = errno;
    if (pid == 0)
        run(program, input[0], output[1]);
    close(input[0]);
    close(output[1]);
    struct running running = {.pidfd = pidfd, .input = input[1], .output = output[0]};
    (void)fcntl(running.input, F_SETFL, O_NONBLOCK);
    (void)fcntl(running.output, F_SETFL, O_NONBLOCK);
    if (pid < 0) {
        bl_close(&running.input);
        bl_close(&running.output);
        return bl_fail(error, code, program->path, NULL);
    }
    void (*pipes)(int) = signal(SIGPIPE, SIG_IGN);
    int attended = attend(&running, program);
    signal(SIGPIPE, pipes);
    if (attended < 0)
        bl_pidfd_signal(pidfd, SIGKILL);
    struct bl_exit exit = {0};
    bl_reap(pidfd, false, &exit);
    bl_close(&running.input);
    bl_close(&running.output);
    if (attended < 0)
        return bl_fail(error, ETIMEDOUT, program->path, "killed after %u s", program->timeout);
    while (running.used > 0 && (running.text[running.used - 1] == '\n' || running.text[running.used - 1] == ' '))
        running.used--;
    if (exit.signal)
        return bl_fail(error, 0, program->path, "killed by signal %d (%s): %.*s", exit.signal, signal_name(exit.signal),
                       (int)running.used, running.text);
    if (exit.code)
        return bl_fail(error, 0, program->path, "exited with status %d: %.*s", exit.code, (int)running.used,
                       running.text);
    return 0;
}

int bl_step_run_hook(struct bl_launch *launch, const Berth__Launch__V1__RunHook *action, struct bl_error *error)
{
    char **arguments = bl_arena_strings(launch->arena, action->args, action->n_args);
    const bl_step *last = launch->plan->steps[launch->plan->n_steps - 1];
    bool inherit = action->inherit_environment && last->action_case == BL_ACTION(EXEC);
    char **environment = inherit ? bl_environment(launch, last->exec->env, last->exec->n_env)
                                 : bl_arena_strings(launch->arena, action->env, action->n_env);
    char *own_name[] = {action->path, NULL};
    char pid[16];
    if (!arguments || !environment)
        return bl_fail(error, ENOMEM, action->path, NULL);
    int digits = snprintf(pid, sizeof pid, "%d", launch->is_child ? launch->host_pid : launch->child);
    struct bl_program program = {
        .path = action->path,
        .arguments = action->n_args ? arguments : own_name,
        .environment = environment,
        .input = {action->state_before_pid.data, (const uint8_t *)pid, action->state_after_pid.data},
        .input_size = {action->state_before_pid.len, (size_t)digits, action->state_after_pid.len},
        .timeout = action->timeout,
        // createContainer: the container's root, which is not the process's own yet.
        .folder = launch->is_child && !launch->entered ? launch->root : -1,
    };
    return bl_run_program(&program, error);
}

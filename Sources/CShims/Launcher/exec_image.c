// The end of the plan: waiting for start, and becoming the container's program or its init.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "launch.h"
#include "paths.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// A seccomp filter may know an older call than this one (faccessat2 is of Linux 5.8). No file gives these errors: execve
// shall say what is there.
static bool is_filtered(int code)
{
    return code == EPERM || code == ENOSYS;
}

static bool is_program(const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return is_filtered(errno);
    if (!S_ISREG(status.st_mode)) {
        errno = EACCES;
        return false;
    }
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 || is_filtered(errno);
}

int bl_find_program(const char *name, char *const *environment, size_t count, char **found, struct bl_error *error)
{
    if (!name[0])
        return bl_fail(error, ENOENT, name, NULL);
    if (strchr(name, '/')) {
        if (!is_program(name))
            return bl_fail(error, errno, name, NULL);
        *found = strdup(name);
        return *found ? 0 : bl_fail(error, errno, name, NULL);
    }
    const char *path = DEFAULT_PATH;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environment[i], "PATH=", 5) == 0)
            path = environment[i] + 5;
    int code = ENOENT;
    for (const char *folder = path;; folder++) {
        size_t length = strcspn(folder, ":");
        cleanup_free char *candidate = NULL;
        if (asprintf(&candidate, "%.*s%s%s", (int)length, folder, length ? "/" : "./", name) < 0)
            return bl_fail(error, ENOMEM, name, NULL);
        if (is_program(candidate)) {
            *found = candidate;
            candidate = NULL;
            return 0;
        }
        if (errno == EACCES)
            code = EACCES; // as execvp: told if nothing better comes
        folder += length;
        if (!*folder)
            break;
    }
    return bl_fail(error, code, NULL, code == ENOENT ? "executable file not found in $PATH" : "in $PATH");
}

// Waits in open(2) until `start` opens the FIFO for reading, then tells it by one byte that the process goes on.
static int wait_for_reader(struct bl_launch *launch, struct bl_error *error)
{
    int fifo = bl_reopen(launch, launch->prepared[launch->step], O_WRONLY);
    if (fifo < 0)
        return bl_fail(error, errno, launch->plan->steps[launch->step]->wait_for_start->fifo, NULL);
    // Kept, close-on-exec: its end tells `start` that exec succeeded, a Report before it that it did not.
    launch->start_fifo = fifo;
    return bl_write_full(fifo, "0", 1) < 0 ? bl_fail(error, errno, NULL, "answer the start") : 0;
}

int bl_step_wait_for_start(struct bl_launch *launch, const Berth__Launch__V1__WaitForStart *action,
                           struct bl_error *error)
{
    // A program that is missing fails the create and not the start, where the plan does not want it otherwise.
    uint32_t last = (uint32_t)launch->plan->n_steps - 1;
    const bl_step *step = launch->plan->steps[last];
    if (step->action_case == BL_ACTION(EXEC) && !action->program_may_be_missing) {
        cleanup_free char *found = NULL;
        if (bl_find_program(step->exec->path, step->exec->env, step->exec->n_env, &found, error) < 0) {
            launch->step = last;
            return -1;
        }
    }
    // The change of user took it back, and an exec looks up the namespaces of who waits here.
    if (launch->dumpable)
        prctl(PR_SET_DUMPABLE, 1);
    struct bl_sync message = {.type = BL_SYNC_WAITING, .step = launch->step};
    if (bl_sync_send(launch->sync, &message, -1) < 0)
        _exit(128);
    if (action->fifo[0]) {
        // Without a monitor the launcher ends now.
        if (!launch->plan->monitor)
            bl_close(&launch->sync);
        return wait_for_reader(launch, error);
    }
    // read(2): seccomp is installed before.
    if (read(launch->sync, &message, sizeof message) <= 0 || message.type != BL_SYNC_START)
        _exit(128);
    return 0;
}

static void tell_execing(struct bl_launch *launch)
{
    struct bl_sync message = {.type = BL_SYNC_EXECING, .step = launch->step};
    if (launch->sync >= 0)
        bl_sync_send(launch->sync, &message, -1);
}

int bl_step_exec(struct bl_launch *launch, const Berth__Launch__V1__Exec *action, struct bl_error *error)
{
    char **arguments = bl_arena_strings(launch->arena, action->args, action->n_args);
    char **environment = bl_environment(launch, action->env, action->n_env);
    cleanup_free char *found = NULL;
    if (!arguments || !environment)
        return bl_fail(error, ENOMEM, action->path, NULL);
    if (bl_find_program(action->path, action->env, action->n_env, &found, error) < 0)
        return -1;
    if (!launch->umask_set)
        umask(022);
    tell_execing(launch);
    execve(found, arguments, environment);
    return bl_fail(error, errno, found, NULL);
}

// PID 1 of a pod's PID namespace: reaps whatever is left to it, and ends when it is asked to.
_Noreturn static void be_init(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    prctl(PR_SET_NAME, "berth-init");
    for (;;) {
        // The one place that waits for any child: an init has no list of those that it inherits.
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
        int number = sigwaitinfo(&signals, NULL);
        if (number == SIGTERM || number == SIGINT)
            _exit(0);
    }
}

int bl_step_hold(struct bl_launch *launch, const Berth__Launch__V1__Hold *action, struct bl_error *error)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd < 3; fd++)
        dup2(null, fd);
    if (chdir("/") < 0)
        return bl_fail(error, errno, "/", NULL);
    tell_execing(launch);
    if (action->exit)
        _exit(0);
    if (bl_close_range(3, ~0u, 0) < 0)
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
    bl_arena_free(launch->arena);
    be_init();
}

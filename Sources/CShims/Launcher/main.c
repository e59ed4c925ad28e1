// berth-launch: carries out a launch plan, then is the container's monitor. specs/launch/README.md is its contract.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "launch.h"
#include "monitor.h"

static int usage(void)
{
    fprintf(stderr, "usage: berth-launch run --plan-fd N --report-fd N [--id ID]\n"
                    "       berth-launch --version\n"
                    "Carries out the launch plan (berth.launch.v1.Plan) that it reads from one descriptor, and reports\n"
                    "on the other. Berth's daemon and berth-oci start it; it is no command for people.\n");
    return 2;
}

static int parse_descriptor(const char *text)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    return errno || end == text || *end || number < 0 || number > 1 << 20 ? -1 : (int)number;
}

static int run(int plan_fd, int report_fd)
{
    struct bl_arena arena;
    struct bl_launch launch;
    struct bl_error error = {0};
    bl_arena_init(&arena, BL_ARENA_LIMIT);
    const bl_plan *plan = bl_plan_read(plan_fd, &arena, &error);
    close(plan_fd);
    if (!plan) {
        bl_report_failure(report_fd, NULL, 0, &error, 0);
        return 1;
    }
    bl_launch_init(&launch, plan, &arena, report_fd);
    struct bl_monitor *monitor = NULL;
    if (plan->monitor) {
        monitor = bl_monitor_open(plan, &error);
        if (!monitor) {
            bl_report_failure(report_fd, NULL, 0, &error, 0);
            return 1;
        }
    }
    if (bl_launch_run(&launch, &error) < 0) {
        pid_t left = bl_launch_abort(&launch);
        if (monitor)
            bl_monitor_discard(monitor);
        bl_report_failure(report_fd, plan, launch.step, &error, left);
        return 1;
    }
    if (monitor)
        return bl_monitor_run(monitor, &launch);
    bl_report_created(&launch, launch.terminal);
    // A process that holds nothing ends at once; one that runs on is left to whoever collects orphans.
    const bl_step *last = plan->steps[plan->n_steps - 1];
    if (last->action_case == BL_ACTION(HOLD) && last->hold->exit && !launch.sibling && launch.child_pidfd >= 0)
        bl_reap(launch.child_pidfd, false, NULL);
    return 0;
}

int main(int count, char **arguments)
{
    int plan = -1, report = -1;
    if (count == 2 && strcmp(arguments[1], "--version") == 0) {
        printf("berth-launch plan version %d\n", BL_PLAN_VERSION);
        return 0;
    }
    if (count < 2 || strcmp(arguments[1], "run") != 0)
        return usage();
    for (int i = 2; i + 1 < count; i += 2) {
        if (strcmp(arguments[i], "--plan-fd") == 0)
            plan = parse_descriptor(arguments[i + 1]);
        else if (strcmp(arguments[i], "--report-fd") == 0)
            report = parse_descriptor(arguments[i + 1]);
        else if (strcmp(arguments[i], "--id") != 0) // for whoever reads ps(1)
            return usage();
    }
    if (plan < 0 || report < 0 || fcntl(plan, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(report, F_SETFD, FD_CLOEXEC) < 0)
        return usage();
    signal(SIGPIPE, SIG_IGN);
    // From its first moment in the container's PID namespace the child may not be looked into (ptrace, /proc/PID).
    // For an unprivileged launcher it must wait until the child's ids are mapped, since /proc/PID is root's by this.
    if (geteuid() == 0)
        prctl(PR_SET_DUMPABLE, 0);
    return run(plan, report);
}

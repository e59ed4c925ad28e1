// Whole launches in this process: baton, failures, rollback. As root also in namespaces of their own.
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "launch.h"

#define MAX_STEPS 12

struct scene {
    struct bl_arena arena;
    struct bl_launch launch;
    bl_plan plan;
    bl_step steps[MAX_STEPS];
    bl_step *pointers[MAX_STEPS];
    Berth__Launch__V1__Clone clone;
    Berth__Launch__V1__Exec exec;
    Berth__Launch__V1__MakeDirectory directory;
    Berth__Launch__V1__SetHostname hostname;
    Berth__Launch__V1__OpenRoot root;
    Berth__Launch__V1__MaskPath mask;
    Berth__Launch__V1__ReadonlyPath readonly;
    Berth__Launch__V1__Mount mount;
    Berth__Launch__V1__PivotRoot pivot;
    Berth__Launch__V1__ChangeDirectory cwd;
    char *arguments[4];
};

static bl_step *add(struct scene *s, int place, uint32_t action, void *message)
{
    bl_step *step = &s->steps[s->plan.n_steps];
    berth__launch__v1__step__init(step);
    s->pointers[s->plan.n_steps++] = step;
    step->place = (Berth__Launch__V1__Place)place;
    step->action_case = (Berth__Launch__V1__Step__ActionCase)action;
    step->make_directory = message; // the union's pointers have one size
    return step;
}

static void begin(struct scene *s, const char *script)
{
    memset(s, 0, sizeof *s);
    bl_arena_init(&s->arena, 1 << 20);
    berth__launch__v1__plan__init(&s->plan);
    berth__launch__v1__clone__init(&s->clone);
    berth__launch__v1__exec__init(&s->exec);
    berth__launch__v1__make_directory__init(&s->directory);
    berth__launch__v1__set_hostname__init(&s->hostname);
    berth__launch__v1__open_root__init(&s->root);
    berth__launch__v1__mask_path__init(&s->mask);
    berth__launch__v1__readonly_path__init(&s->readonly);
    berth__launch__v1__mount__init(&s->mount);
    berth__launch__v1__pivot_root__init(&s->pivot);
    berth__launch__v1__change_directory__init(&s->cwd);
    s->plan.version = 1;
    s->plan.id = "test";
    s->plan.steps = s->pointers;
    s->arguments[0] = "sh";
    s->arguments[1] = "-c";
    s->arguments[2] = (char *)script;
    s->exec.path = "/bin/sh";
    s->exec.args = s->arguments;
    s->exec.n_args = 3;
}

// Runs the scene; 0 and the program's exit status, or -1 and the failing step in launch.step.
static int play(struct scene *s, struct bl_exit *exit, struct bl_error *error)
{
    bl_launch_init(&s->launch, &s->plan, &s->arena, -1);
    int done = bl_plan_check(&s->plan, error) < 0 ? -1 : bl_launch_run(&s->launch, error);
    if (done < 0)
        CHECK(bl_launch_abort(&s->launch) == 0);
    else
        bl_reap(s->launch.child_pidfd, false, exit);
    bl_close(&s->launch.child_pidfd);
    bl_close(&s->launch.sync);
    bl_launch_close(&s->launch);
    bl_arena_free(&s->arena);
    return done;
}

// Whether this process, of the child's user and with no capability more than it, can read its memory while it is set up.
// -1 where it does not come so far.
static int can_look(bool dumpable)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    struct scene s;
    struct bl_error error = {0};
    Berth__Launch__V1__WaitForStart wait = BERTH__LAUNCH__V1__WAIT_FOR_START__INIT;
    begin(&s, "");
    s.clone.dumpable = dumpable;
    add(&s, BL_PLACE_HOST, BL_ACTION(CLONE), &s.clone);
    add(&s, BL_PLACE_CHILD, BL_ACTION(WAIT_FOR_START), &wait);
    add(&s, BL_PLACE_CHILD, BL_ACTION(EXEC), &s.exec);
    bl_launch_init(&s.launch, &s.plan, &s.arena, -1);
    if (syscall(SYS_capset, &header, none) < 0 || bl_launch_run(&s.launch, &error) < 0 || !s.launch.waiting)
        return -1;
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/mem", s.launch.child);
    int memory = open(path, O_RDONLY | O_CLOEXEC), code = errno;
    bl_launch_abort(&s.launch);
    return memory >= 0 ? 1 : code == EACCES ? 0 : -1;
}

static int can_look_into_child(void) { return can_look(false); }

static int cannot_look_into_child(void) { return can_look(true) != 1; }

// 0 where the caller's groups, by which files of the host open, are gone from a child in a user namespace of its own before
// anything runs as its root: createContainer hooks do so before set_user.
static int takes_groups_along(void)
{
    gid_t group = 4242;
    struct scene s;
    struct bl_exit exit = {.code = -1};
    struct bl_error error = {0};
    Berth__Launch__V1__MapIDs map = BERTH__LAUNCH__V1__MAP_IDS__INIT;
    Berth__Launch__V1__IDMap ids = BERTH__LAUNCH__V1__IDMAP__INIT, *all[] = {&ids};
    ids.size = 65536;
    map.uids = map.gids = all;
    map.n_uids = map.n_gids = 1;
    begin(&s, "! grep -q '^Groups:.*[0-9]' /proc/self/status");
    s.clone.flags = CLONE_NEWUSER;
    add(&s, BL_PLACE_HOST, BL_ACTION(CLONE), &s.clone);
    add(&s, BL_PLACE_HOST, BL_ACTION(MAP_IDS), &map);
    add(&s, BL_PLACE_CHILD, BL_ACTION(EXEC), &s.exec);
    return setgroups(1, &group) < 0 || play(&s, &exit, &error) < 0 ? -1 : exit.code;
}

// 0 where a launch whose /proc is something else ends before its first step: id maps and kernel parameters would go to files
// of whoever made it.
static int trusts_another_proc(void)
{
    struct scene s;
    struct bl_exit exit = {0};
    struct bl_error error = {0};
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/proc", "tmpfs", 0, NULL) < 0)
        return -1;
    begin(&s, "true");
    s.directory.path = (char *)test_path("no-procfs");
    add(&s, BL_PLACE_HOST, BL_ACTION(MAKE_DIRECTORY), &s.directory);
    add(&s, BL_PLACE_HOST, BL_ACTION(CLONE), &s.clone);
    add(&s, BL_PLACE_CHILD, BL_ACTION(EXEC), &s.exec);
    if (play(&s, &exit, &error) == 0)
        return 1;
    return error.code == ENOSYS && strcmp(error.path, "/proc") == 0 && access(s.directory.path, F_OK) < 0 ? 0 : 2;
}

static void in_a_process_of_its_own(int (*test)(void))
{
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        _exit(test());
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void as_root(void)
{
    test_group("launch: who has the child's user cannot look into it before its exec");
    in_a_process_of_its_own(can_look_into_child);

    test_group("launch: a child that joins nothing may stay open to its user");
    in_a_process_of_its_own(cannot_look_into_child);

    test_group("launch: the caller's groups stay outside of a user namespace");
    in_a_process_of_its_own(takes_groups_along);

    test_group("launch: a /proc that is no procfs is not written to");
    in_a_process_of_its_own(trusts_another_proc);

    struct scene s;
    struct bl_exit exit = {0};
    struct bl_error error = {0};
    test_group("launch: a new UTS namespace");
    begin(&s, "test \"$(uname -n)\" = boxed");
    s.clone.flags = CLONE_NEWUTS;
    s.hostname.name = "boxed";
    add(&s, BL_PLACE_HOST, BL_ACTION(CLONE), &s.clone);
    add(&s, BL_PLACE_CHILD, BL_ACTION(SET_HOSTNAME), &s.hostname);
    add(&s, BL_PLACE_CHILD, BL_ACTION(EXEC), &s.exec);
    CHECK(play(&s, &exit, &error) == 0 && exit.code == 0);

    test_group("launch: masks and read-only paths stay in the root whatever its symlinks say");
    mkdir(test_path("box"), 0755);
    mkdir(test_path("box/data"), 0755);
    mkdir(test_path("victim"), 0755);
    test_write(test_path("victim/secret"), "visible");
    test_write(test_path("box/data/masked"), "visible");
    CHECK(symlink(test_path("victim"), test_path("box/escape")) == 0);
    char script[1024];
    snprintf(script, sizeof script, "test -s %s && ! test -s %s && ! touch %s 2>/dev/null", test_path("victim/secret"),
             test_path("box/data/masked"), test_path("box/data/new"));
    begin(&s, script);
    Berth__Launch__V1__MaskPath escape = s.mask, missing = s.mask;
    s.clone.flags = CLONE_NEWNS;
    s.root.path = (char *)test_path("box");
    s.root.propagation = 0x80000 | 0x4000; // MS_SLAVE | MS_REC
    s.mask.path = "/data/masked";
    escape.path = "/escape/secret";
    missing.path = "/missing/file";
    s.readonly.path = "/data";
    add(&s, BL_PLACE_HOST, BL_ACTION(CLONE), &s.clone);
    add(&s, BL_PLACE_CHILD, BL_ACTION(OPEN_ROOT), &s.root);
    add(&s, BL_PLACE_CHILD, BL_ACTION(MASK_PATH), &escape);
    add(&s, BL_PLACE_CHILD, BL_ACTION(MASK_PATH), &missing);
    add(&s, BL_PLACE_CHILD, BL_ACTION(MASK_PATH), &s.mask);
    add(&s, BL_PLACE_CHILD, BL_ACTION(READONLY_PATH), &s.readonly);
    add(&s, BL_PLACE_CHILD, BL_ACTION(EXEC), &s.exec);
    CHECK(play(&s, &exit, &error) == 0 && exit.code == 0);
    CHECK(strcmp(test_read(test_path("box/data/masked")), "visible") == 0);

    test_group("launch: procfs is not mounted through a symlink");
    CHECK(symlink("data", test_path("box/proc")) == 0);
    begin(&s, "true");
    s.clone.flags = CLONE_NEWNS | CLONE_NEWPID;
    s.root.path = (char *)test_path("box");
    s.root.propagation = 0x80000 | 0x4000;
    s.mount.type = "proc";
    s.mount.target = "/proc";
    add(&s, BL_PLACE_HOST, BL_ACTION(CLONE), &s.clone);
    add(&s, BL_PLACE_CHILD, BL_ACTION(OPEN_ROOT), &s.root);
    add(&s, BL_PLACE_CHILD, BL_ACTION(MOUNT), &s.mount)->words = "mount proc at /proc";
    add(&s, BL_PLACE_CHILD, BL_ACTION(EXEC), &s.exec);
    CHECK(play(&s, &exit, &error) < 0 && error.code == ELOOP && s.launch.step == 2);

    test_group("launch: the working directory cannot be outside of the root");
    char outside[64];
    int leaked = open("/", O_RDONLY | O_DIRECTORY); // as CVE-2024-21626: an inherited descriptor of the host's root
    mkdir(test_path("box2"), 0755);
    mkdir(test_path("box2/proc"), 0755);
    snprintf(outside, sizeof outside, "/proc/self/fd/%d", leaked);
    begin(&s, "true");
    s.clone.flags = CLONE_NEWNS | CLONE_NEWPID;
    s.root.path = (char *)test_path("box2");
    s.root.propagation = 0x80000 | 0x4000;
    s.mount.type = "proc";
    s.mount.target = "/proc";
    s.cwd.path = outside;
    add(&s, BL_PLACE_HOST, BL_ACTION(CLONE), &s.clone);
    add(&s, BL_PLACE_CHILD, BL_ACTION(OPEN_ROOT), &s.root);
    add(&s, BL_PLACE_CHILD, BL_ACTION(MOUNT), &s.mount);
    add(&s, BL_PLACE_CHILD, BL_ACTION(PIVOT_ROOT), &s.pivot);
    add(&s, BL_PLACE_CHILD, BL_ACTION(CHANGE_DIRECTORY), &s.cwd);
    add(&s, BL_PLACE_CHILD, BL_ACTION(EXEC), &s.exec);
    CHECK(play(&s, &exit, &error) < 0 && error.code == EXDEV && s.launch.step == 4);
    close(leaked);
}

void test_launch(void)
{
    struct scene s;
    struct bl_exit exit = {0};
    struct bl_error error = {0};
    test_group("launch: a program runs and its status comes back");
    begin(&s, "exit 5");
    add(&s, BL_PLACE_HOST, BL_ACTION(CLONE), &s.clone);
    add(&s, BL_PLACE_CHILD, BL_ACTION(EXEC), &s.exec);
    CHECK(play(&s, &exit, &error) == 0 && exit.code == 5 && exit.signal == 0);

    test_group("launch: a program that ends by a signal");
    begin(&s, "kill -9 $$");
    add(&s, BL_PLACE_HOST, BL_ACTION(CLONE), &s.clone);
    add(&s, BL_PLACE_CHILD, BL_ACTION(EXEC), &s.exec);
    CHECK(play(&s, &exit, &error) == 0 && exit.code == 137 && exit.signal == 9);

    test_group("launch: a missing program is the exec step's failure, and what the host made is gone");
    begin(&s, "");
    s.exec.path = "/nonexistent/program";
    s.directory.path = (char *)test_path("made/by/step");
    add(&s, BL_PLACE_HOST, BL_ACTION(MAKE_DIRECTORY), &s.directory);
    add(&s, BL_PLACE_HOST, BL_ACTION(CLONE), &s.clone);
    add(&s, BL_PLACE_CHILD, BL_ACTION(EXEC), &s.exec);
    CHECK(play(&s, &exit, &error) < 0 && error.code == ENOENT && s.launch.step == 2);
    CHECK(access(test_path("made"), F_OK) < 0);

    test_group("launch: each step up to the exec tells its time where the plan asks for it");
    int report[2];
    CHECK(pipe2(report, O_CLOEXEC) == 0);
    begin(&s, "true");
    s.plan.trace = true;
    s.cwd.path = "/";
    s.directory.path = (char *)test_path("traced");
    add(&s, BL_PLACE_HOST, BL_ACTION(MAKE_DIRECTORY), &s.directory);
    add(&s, BL_PLACE_HOST, BL_ACTION(CLONE), &s.clone);
    add(&s, BL_PLACE_CHILD, BL_ACTION(NEW_SESSION), &s.cwd);
    add(&s, BL_PLACE_CHILD, BL_ACTION(EXEC), &s.exec);
    bl_launch_init(&s.launch, &s.plan, &s.arena, report[1]);
    CHECK(bl_launch_run(&s.launch, &error) == 0);
    bl_reap(s.launch.child_pidfd, false, &exit);
    bl_close(&s.launch.child_pidfd);
    bl_close(&s.launch.sync);
    bl_launch_close(&s.launch);
    bl_arena_free(&s.arena);
    uint8_t bytes[4096];
    ssize_t size = bl_read_full(report[0], bytes, sizeof bytes), at = 0;
    unsigned traced = 0;
    while (at + 4 <= size) {
        size_t length = bytes[at] | (size_t)bytes[at + 1] << 8;
        Berth__Launch__V1__Report *message = berth__launch__v1__report__unpack(NULL, length, bytes + at + 4);
        CHECK(message && message->report_case == BERTH__LAUNCH__V1__REPORT__REPORT_TRACE);
        if (message && message->report_case == BERTH__LAUNCH__V1__REPORT__REPORT_TRACE)
            CHECK(message->trace->step == ++traced && message->trace->nanoseconds > 0);
        if (message)
            berth__launch__v1__report__free_unpacked(message, NULL);
        at += 4 + (ssize_t)length;
    }
    CHECK(traced == 3);
    close(report[0]);

    test_group("launch: a host step after clone fails; the child is gone");
    begin(&s, "");
    s.directory.path = "/proc/nonexistent/x";
    add(&s, BL_PLACE_HOST, BL_ACTION(CLONE), &s.clone);
    add(&s, BL_PLACE_HOST, BL_ACTION(MAKE_DIRECTORY), &s.directory);
    add(&s, BL_PLACE_CHILD, BL_ACTION(EXEC), &s.exec);
    CHECK(play(&s, &exit, &error) < 0 && s.launch.step == 1);

    test_group("launch: the baton goes to and fro; an optional step may fail");
    begin(&s, "exit 0");
    Berth__Launch__V1__ChangeDirectory nowhere = s.cwd, tmp = s.cwd;
    nowhere.path = "/nonexistent";
    tmp.path = "/tmp";
    s.directory.path = (char *)test_path("between");
    add(&s, BL_PLACE_HOST, BL_ACTION(CLONE), &s.clone);
    add(&s, BL_PLACE_CHILD, BL_ACTION(CHANGE_DIRECTORY), &nowhere)->optional = true;
    add(&s, BL_PLACE_HOST, BL_ACTION(MAKE_DIRECTORY), &s.directory);
    add(&s, BL_PLACE_CHILD, BL_ACTION(CHANGE_DIRECTORY), &tmp);
    add(&s, BL_PLACE_CHILD, BL_ACTION(EXEC), &s.exec);
    CHECK(play(&s, &exit, &error) == 0 && exit.code == 0 && access(test_path("between"), F_OK) == 0);
    if (geteuid() == 0)
        as_root();
}

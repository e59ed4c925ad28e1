// Guards of steps that trust nothing of what they find: fake procfs files, FIFOs, long lines.
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "harness.h"
#include "launch.h"

static void put_file(int folder, const char *path, const char *text)
{
    int fd = openat(folder, path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static int make_folder(const char *name)
{
    const char *path = test_path(name);
    mkdir(path, 0755);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

// Where /dev/null is another device, in the root as well: 0 where neither a mask nor a node is made of it, else the number of
// what was.
static int trusts_another_device(void)
{
    struct bl_error error;
    struct bl_launch launch = {.root = make_folder("devices"), .host_proc = -1, .null_tree = -1, .mask_tree = -1};
    Berth__Launch__V1__MaskPath mask = BERTH__LAUNCH__V1__MASK_PATH__INIT;
    Berth__Launch__V1__MakeNode node = BERTH__LAUNCH__V1__MAKE_NODE__INIT;
    put_file(launch.root, "secret", "");
    mkdirat(launch.root, "dev", 0755);
    mknodat(launch.root, "dev/null", S_IFCHR | 0666, makedev(1, 5));
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("/dev/zero", "/dev/null", NULL, MS_BIND, NULL) < 0)
        return 9;
    mask.path = "/secret";
    if (bl_step_mask_path(&launch, &mask, &error) == 0 || error.code != ENODEV)
        return 1;
    node.path = "/dev/null";
    node.mode = S_IFCHR | 0666;
    node.major = 1;
    node.minor = 3;
    node.bind = true;
    if (bl_step_make_node(&launch, &node, &error) == 0 || error.code != ENODEV)
        return 2;
    return 0;
}

void test_safety(void)
{
    if (geteuid() == 0) {
        test_group("safety: what has a device's name and is another one is neither mask nor node");
        pid_t child = fork();
        if (child == 0)
            _exit(trusts_another_device());
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    struct bl_error error;
    struct bl_launch launch = {.root = -1, .host_proc = -1};

    // What was written to a file that only looks like a kernel's confines nothing (CVE-2019-16884).
    launch.host_proc = make_folder("fake-proc");
    mkdirat(launch.host_proc, "sys", 0755);
    mkdirat(launch.host_proc, "sys/kernel", 0755);
    put_file(launch.host_proc, "sys/kernel/domainname", "old\n");
    mkdirat(launch.host_proc, "thread-self", 0755);
    mkdirat(launch.host_proc, "thread-self/attr", 0755);
    put_file(launch.host_proc, "thread-self/attr/exec", "");

    test_group("safety: a terminal is of a devpts");
    struct bl_launch other = {.root = make_folder("terminals"), .host_proc = -1, .sync = -1};
    Berth__Launch__V1__SetupTerminal terminal = BERTH__LAUNCH__V1__SETUP_TERMINAL__INIT;
    mkdirat(other.root, "dev", 0755);
    mkdirat(other.root, "dev/pts", 0755);
    put_file(other.root, "dev/pts/ptmx", "");
    CHECK(bl_step_setup_terminal(&other, &terminal, &error) < 0 && error.code == ENODEV);
    close(other.root);

    test_group("safety: a kernel parameter goes to procfs or nowhere");
    Berth__Launch__V1__Sysctl sysctl = BERTH__LAUNCH__V1__SYSCTL__INIT;
    sysctl.name = "kernel/domainname";
    sysctl.value = "new";
    CHECK(bl_step_sysctl(&launch, &sysctl, &error) < 0 && error.code == EXDEV);
    char text[64];
    CHECK(bl_read_text(launch.host_proc, "sys/kernel/domainname", text, sizeof text) > 0 && strcmp(text, "old\n") == 0);

    test_group("safety: no name of a kernel parameter leads out of /proc/sys");
    put_file(launch.host_proc, "outside", "old\n");
    symlinkat("../outside", launch.host_proc, "sys/link");
    sysctl.name = "../outside";
    CHECK(bl_step_sysctl(&launch, &sysctl, &error) < 0 && error.code == EXDEV);
    sysctl.name = "link";
    CHECK(bl_step_sysctl(&launch, &sysctl, &error) < 0 && error.code == ELOOP);

    test_group("safety: a security label goes to procfs or nowhere");
    Berth__Launch__V1__SetSecurityLabel label = BERTH__LAUNCH__V1__SET_SECURITY_LABEL__INIT;
    label.file = "exec";
    label.label = "confined";
    CHECK(bl_step_set_security_label(&launch, &label, &error) < 0 && error.code == EXDEV);
    label.file = "../../outside";
    CHECK(bl_step_set_security_label(&launch, &label, &error) < 0 && error.code == EINVAL);
    close(launch.host_proc);

    struct bl_arena arena;
    bl_arena_init(&arena, 1 << 20);
    launch.arena = &arena;
    launch.root = make_folder("home-root");
    mkdirat(launch.root, "etc", 0755);
    Berth__Launch__V1__FindHome home = BERTH__LAUNCH__V1__FIND_HOME__INIT;

    test_group("home: by the passwd, else the root");
    put_file(launch.root, "etc/passwd", "broken\n:::::\nx:y:5z:1::/no:\nfive:x:5:1:a:/home/five:/bin/sh\nsix:x:5:1::/second:\n");
    home.uid = 5;
    CHECK(bl_step_find_home(&launch, &home, &error) == 0 && strcmp(launch.home, "HOME=/home/five") == 0);
    home.uid = 6;
    CHECK(bl_step_find_home(&launch, &home, &error) == 0 && strcmp(launch.home, "HOME=/") == 0);
    char *given[] = {"A=b"};
    char **all = bl_environment(&launch, given, 1);
    CHECK(all && strcmp(all[0], "A=b") == 0 && strcmp(all[1], "HOME=/") == 0 && !all[2]);

    test_group("home: a passwd that is a FIFO, a folder or a way out is none");
    unlinkat(launch.root, "etc/passwd", 0);
    CHECK(mkfifoat(launch.root, "etc/passwd", 0644) == 0);
    CHECK(bl_step_find_home(&launch, &home, &error) == 0 && strcmp(launch.home, "HOME=/") == 0);
    unlinkat(launch.root, "etc/passwd", 0);
    mkdirat(launch.root, "etc/passwd", 0755);
    CHECK(bl_step_find_home(&launch, &home, &error) == 0 && strcmp(launch.home, "HOME=/") == 0);
    unlinkat(launch.root, "etc/passwd", AT_REMOVEDIR);
    symlinkat("../../../../../../../../etc/passwd", launch.root, "etc/passwd");
    home.uid = 0;
    CHECK(bl_step_find_home(&launch, &home, &error) == 0 && strcmp(launch.home, "HOME=/") == 0);
    close(launch.root);
    bl_arena_free(&arena);
}

// Guards of steps that trust nothing of what they find: fake procfs files, FIFOs, long lines.
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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

void test_safety(void)
{
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

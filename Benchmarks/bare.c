/* The kernel's own share of starting a container: clones into new namespaces, makes a root, pivots and executes, with no
   configuration, cgroup, seccomp or state. hack/bench measures the runtimes beside it.
   usage: bare ROOTFS COMMAND [ARGUMENT...] */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        _exit(1);
    }
}

static void enter(const char *root)
{
    check(mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL), "propagation");
    check(mount(root, root, NULL, MS_BIND | MS_REC, NULL), "bind root");
    check(chdir(root), "chdir");
    check(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "proc");
    check(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=65536k"), "dev");
    check(mknod("dev/null", S_IFCHR | 0666, 0x103), "mknod null");
    check(mkdir("dev/pts", 0755), "mkdir pts");
    check(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666"), "pts");
    check(mount("sysfs", "sys", "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "sys");
    check((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
    check(umount2(".", MNT_DETACH), "umount");
    check(chdir("/"), "chdir /");
    check(sethostname("bare", 4), "hostname");
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: bare ROOTFS COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    long child = syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD, NULL,
                         NULL, NULL, NULL);
    check((int)child, "clone");
    if (child == 0) {
        enter(argv[1]);
        execv(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    int status = 0;
    check(waitpid((pid_t)child, &status, 0), "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Paths against symlink tricks, the exit record, rollback, copies, sockets, programs.
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "exit_record.h"
#include "harness.h"
#include "launch.h"
#include "mounts.h"
#include "paths.h"

static bool is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool exists(const char *path) { return access(path, F_OK) == 0; }

// Which file `fd` refers to, seen from outside.
static const char *where(int fd)
{
    static char path[4096];
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return path;
}

void test_paths(void)
{
    struct bl_error error = {0};
    char outside[512], name[256];
    snprintf(outside, sizeof outside, "%s", test_path("outside"));
    const char *root_path = test_path("root");
    mkdir(outside, 0755);
    mkdir(root_path, 0755);
    int root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char prefix[512];
    snprintf(prefix, sizeof prefix, "%s", root_path);

    test_group("paths: parents are made, below the root only");
    int made = bl_make_in_root(root, "/a/b/c", true, &error);
    CHECK(made >= 0 && is_directory(test_path("root/a/b/c")));
    bl_close(&made);
    made = bl_make_in_root(root, "a/b/../../../../x/y", true, &error);
    CHECK(made >= 0 && is_directory(test_path("root/x/y")));
    bl_close(&made);
    made = bl_make_in_root(root, "//a///file", false, &error);
    CHECK(made >= 0 && exists(test_path("root/a/file")));
    bl_close(&made);

    test_group("paths: an absolute symlink means the root's own path");
    symlinkat("/a", root, "abs");
    made = bl_make_in_root(root, "/abs/in", true, &error);
    CHECK(made >= 0 && is_directory(test_path("root/a/in")));
    bl_close(&made);

    test_group("paths: a symlink out of the root does not lead out");
    symlinkat(outside, root, "evil");
    symlinkat("../../../../../../../../etc", root, "climb");
    made = bl_make_in_root(root, "/evil/dir", true, &error);
    CHECK(made < 0 || strncmp(where(made), prefix, strlen(prefix)) == 0);
    bl_close(&made);
    CHECK(!exists(test_path("outside/dir")));
    made = bl_make_in_root(root, "/evil/file", false, &error);
    CHECK(made < 0 || strncmp(where(made), prefix, strlen(prefix)) == 0);
    bl_close(&made);
    CHECK(!exists(test_path("outside/file")));
    int opened = bl_open_in_root(root, "/climb/passwd", O_PATH, &error);
    CHECK(opened < 0 && error.code == ENOENT);

    test_group("paths: no magic link of procfs is followed");
    char magic[64];
    snprintf(magic, sizeof magic, "/proc/self/fd/%d", root);
    symlinkat(magic, root, "magic");
    opened = bl_open_in_root(root, "/magic", O_PATH, &error);
    CHECK(opened < 0);
    int slash = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    opened = bl_open_in_root(slash, magic, O_PATH, &error);
    CHECK(opened < 0 && error.code == ELOOP);
    close(slash);

    test_group("paths: where no symlink is allowed, none is");
    CHECK(bl_open_in_root_nofollow(root, "/abs", O_PATH, &error) < 0 && error.code == ELOOP);
    CHECK(bl_open_in_root_nofollow(root, "/abs/in", O_PATH, &error) < 0 && error.code == ELOOP);
    opened = bl_open_in_root_nofollow(root, "/a/in", O_PATH, &error);
    CHECK(opened >= 0);
    bl_close(&opened);

    test_group("paths: parent and last component");
    opened = bl_open_parent(root, "/new/deep/node/", true, name, &error);
    CHECK(opened >= 0 && strcmp(name, "node") == 0 && is_directory(test_path("root/new/deep")));
    bl_close(&opened);
    opened = bl_open_parent(root, "top", false, name, &error);
    CHECK(opened >= 0 && strcmp(name, "top") == 0);
    bl_close(&opened);
    CHECK(bl_open_parent(root, "/", true, name, &error) < 0 && error.code == EINVAL);
    CHECK(bl_open_parent(root, "/a/..", true, name, &error) < 0 && error.code == EINVAL);
    CHECK(bl_open_parent(root, "", true, name, &error) < 0);
    CHECK(bl_open_parent(root, "/missing/x", false, name, &error) < 0 && error.code == ENOENT);

    test_group("paths: a file is no folder, and a folder no file");
    CHECK(bl_make_in_root(root, "/a/file/x", true, &error) < 0 && error.code == ENOTDIR);
    CHECK(bl_make_in_root(root, "/a/b", false, &error) < 0 && error.code == EISDIR);

    test_group("paths: a link that leads nowhere yet is followed inside of the root; a loop is an error");
    symlinkat("nowhere", root, "dangling");
    made = bl_make_in_root(root, "/dangling", true, &error);
    CHECK(made >= 0 && exists(test_path("root/nowhere")));
    close(made);
    symlinkat("../../../../up/file", root, "upwards");
    made = bl_make_in_root(root, "/upwards", false, &error);
    CHECK(made >= 0 && exists(test_path("root/up/file")));
    close(made);
    symlinkat("/absolute", root, "rooted");
    made = bl_make_in_root(root, "/rooted/inner/deep", true, &error);
    CHECK(made >= 0 && exists(test_path("root/absolute/inner/deep")) && !exists("/absolute"));
    close(made);
    symlinkat("loop", root, "loop");
    CHECK(bl_make_in_root(root, "/loop/x", true, &error) < 0 && error.code == ELOOP);
    CHECK(bl_make_in_root(root, "/loop", false, &error) < 0 && error.code == ELOOP);

    // Longer than a path may be, as it is or with a link's text in it.
    char longest[PATH_MAX + 64] = "/";
    memset(longest + 1, 'x', PATH_MAX);
    CHECK(bl_make_in_root(root, longest, true, &error) < 0 && error.code == ENAMETOOLONG);
    char text[PATH_MAX] = "";
    for (int i = 0; i < 30; i++)
        strcat(text, "nowhere/");
    symlinkat(text, root, "long");
    strcpy(longest, "/long");
    while (strlen(longest) < PATH_MAX - 100)
        strcat(longest, "/y");
    CHECK(bl_make_in_root(root, longest, true, &error) < 0 && error.code == ENAMETOOLONG);
    close(root);
}

void test_write_file(void)
{
    struct bl_launch launch = {0};
    struct bl_error error = {0};
    char first[512], second[512];
    snprintf(first, sizeof first, "%s", test_path("io.bfq.weight"));
    snprintf(second, sizeof second, "%s", test_path("io.weight"));
    Berth__Launch__V1__WriteFile action = BERTH__LAUNCH__V1__WRITE_FILE__INIT;
    Berth__Launch__V1__FileValue other = BERTH__LAUNCH__V1__FILE_VALUE__INIT;
    Berth__Launch__V1__FileValue *others[] = {&other};
    action.path = first;
    action.value = (ProtobufCBinaryData){.data = (uint8_t *)"500", .len = 3};
    other.path = second;
    other.value = (ProtobufCBinaryData){.data = (uint8_t *)"5000", .len = 4};
    action.alternatives = others;
    action.n_alternatives = 1;

    test_group("write_file: a missing file gives way to its alternative, and the last one's error counts");
    CHECK(bl_step_write_file(&launch, &action, &error) < 0 && error.code == ENOENT && strcmp(error.path, second) == 0);
    test_write(second, "");
    CHECK(bl_step_write_file(&launch, &action, &error) == 0 && strcmp(test_read(second), "5000") == 0);
    test_write(first, "");
    test_write(second, "");
    CHECK(bl_step_write_file(&launch, &action, &error) == 0 && strcmp(test_read(first), "500") == 0);
    CHECK(strcmp(test_read(second), "") == 0);

    test_group("write_file: a file that need not be there is none of the plan's errors, a refusal is");
    action.n_alternatives = 0;
    action.if_present = true;
    action.path = (char *)test_path("nowhere/file");
    CHECK(bl_step_write_file(&launch, &action, &error) == 0);
    action.path = (char *)test_scratch();
    CHECK(bl_step_write_file(&launch, &action, &error) < 0 && error.code == EISDIR);
}

void test_exit_record(void)
{
    struct bl_error error = {0};
    bl_exit_record record = BERTH__LAUNCH__V1__EXIT_RECORD__INIT;
    record.version = 1;
    record.id = "abc";
    record.exit_code = 137;
    record.signal = 9;
    record.oom_killed = true;
    record.finished_at = 42;
    test_group("exit record: written whole, and replaced");
    const char *path = test_path("exit");
    CHECK(bl_exit_record_write(path, &record, &error) == 0);
    CHECK(bl_exit_record_write(path, &record, &error) == 0);
    uint8_t bytes[256];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = bl_read_full(fd, bytes, sizeof bytes);
    close(fd);
    bl_exit_record *read = berth__launch__v1__exit_record__unpack(NULL, (size_t)size, bytes);
    CHECK(read && strcmp(read->id, "abc") == 0 && read->exit_code == 137 && read->oom_killed);
    berth__launch__v1__exit_record__free_unpacked(read, NULL);
    CHECK(!exists(test_path("exit.tmp")));
    test_group("exit record: a folder that is missing is an error with its path");
    CHECK(bl_exit_record_write(test_path("none/exit"), &record, &error) < 0 && error.code == ENOENT && error.path[0]);
    test_group("exit record: OOM kills of both cgroup versions");
    test_write(test_path("events"), "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\noom_group_kill 7\n");
    CHECK(bl_oom_kills(test_path("events")) == 2);
    test_write(test_path("events"), "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
    CHECK(bl_oom_kills(test_path("events")) == 5);
    test_write(test_path("events"), "oom_kill");
    CHECK(bl_oom_kills(test_path("events")) == 0 && bl_oom_kills("") == 0 && bl_oom_kills("/none") == 0);
}

void test_rollback(void)
{
    struct bl_error error = {0};
    struct bl_arena arena;
    struct bl_launch launch;
    bl_plan plan = BERTH__LAUNCH__V1__PLAN__INIT;
    bl_arena_init(&arena, 1 << 20);
    bl_launch_init(&launch, &plan, &arena, -1);
    test_group("rollback: directories that a step made, and no others");
    mkdir(test_path("there"), 0755);
    Berth__Launch__V1__MakeDirectory step = BERTH__LAUNCH__V1__MAKE_DIRECTORY__INIT;
    step.path = (char *)test_path("there/x/y/z");
    CHECK(bl_step_make_directory(&launch, &step, &error) == 0 && is_directory(step.path));
    CHECK(bl_step_make_directory(&launch, &step, &error) == 0);
    bl_undo_run(&launch);
    CHECK(!exists(test_path("there/x")) && exists(test_path("there")));
    test_group("rollback: what is forgotten stays");
    CHECK(bl_step_make_directory(&launch, &step, &error) == 0);
    bl_undo_forget(&launch);
    bl_undo_run(&launch);
    CHECK(exists(test_path("there/x/y/z")));
    test_group("rollback: a file in the way is an error with its path");
    test_write(test_path("there/file"), "");
    step.path = (char *)test_path("there/file/sub");
    CHECK(bl_step_make_directory(&launch, &step, &error) < 0 && error.code == ENOTDIR && error.path[0]);
    bl_undo_run(&launch);
}

void test_copy_tree(void)
{
    struct bl_error error = {0};
    test_group("copy up: files, folders, links, modes and times");
    mkdir(test_path("from"), 0750);
    mkdir(test_path("from/d"), 0700);
    test_write(test_path("from/d/f"), "content");
    chmod(test_path("from/d/f"), 04640);
    CHECK(symlink("/etc/passwd", test_path("from/link")) == 0);
    mkfifo(test_path("from/fifo"), 0600);
    mkdir(test_path("to"), 0755);
    int from = open(test_path("from"), O_RDONLY | O_DIRECTORY), to = open(test_path("to"), O_RDONLY | O_DIRECTORY);
    CHECK(bl_copy_tree(from, to, &error) == 0);
    struct stat old, copy;
    CHECK(strcmp(test_read(test_path("to/d/f")), "content") == 0);
    CHECK(stat(test_path("from/d/f"), &old) == 0 && stat(test_path("to/d/f"), &copy) == 0);
    CHECK(copy.st_mode == old.st_mode && copy.st_mtim.tv_nsec == old.st_mtim.tv_nsec);
    CHECK(lstat(test_path("to/link"), &copy) == 0 && S_ISLNK(copy.st_mode));
    CHECK(stat(test_path("to/fifo"), &copy) == 0 && S_ISFIFO(copy.st_mode));
    test_group("copy up: the mount keeps the mode that its options gave it");
    CHECK(stat(test_path("to"), &copy) == 0 && (copy.st_mode & 07777) == 0755);
    test_group("copy up: what is there is not overwritten");
    CHECK(bl_copy_tree(from, to, &error) < 0 && error.code == EEXIST);
    close(from);
    close(to);
}

void test_base(void)
{
    struct bl_error error = {0};
    test_group("sockets: descriptors in packets; more than there is room for are closed");
    int pair[2], sent[3] = {0, 1, 2}, got[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    CHECK(bl_send(pair[0], "x", 1, sent, 3, 0) == 0);
    char byte;
    size_t count = 2;
    CHECK(bl_receive(pair[1], &byte, 1, got, &count, 0) == 1 && count == 2);
    CHECK(fcntl(got[0], F_GETFD) == FD_CLOEXEC);
    close(got[0]);
    close(got[1]);
    test_group("sockets: a packet that is too long is an error, and its descriptors are closed");
    CHECK(bl_send(pair[0], "long", 4, sent, 1, 0) == 0);
    count = 2;
    CHECK(bl_receive(pair[1], &byte, 1, got, &count, 0) < 0 && errno == EMSGSIZE && count == 0);
    close(pair[0]);
    CHECK(bl_receive(pair[1], &byte, 1, NULL, NULL, 0) == 0);
    close(pair[1]);
    test_group("sockets: a path longer than a sockaddr, mode 0600");
    char path[512];
    snprintf(path, sizeof path, "%s/%0*d", test_scratch(), 120, 7);
    mkdir(path, 0755);
    strcat(path, "/monitor.sock");
    int listener = bl_listen(path, SOCK_SEQPACKET, &error);
    struct stat status;
    CHECK(listener >= 0 && stat(path, &status) == 0 && (status.st_mode & 0777) == 0600);
    int client = bl_connect(path, SOCK_SEQPACKET, &error);
    CHECK(client >= 0);
    bl_close(&client);
    bl_close(&listener);
    CHECK(bl_connect(path, SOCK_SEQPACKET, &error) < 0 && error.code == ECONNREFUSED);
}

static int run_shell(const char *script, const char *input, uint32_t timeout, struct bl_error *error)
{
    char *arguments[] = {"sh", "-c", (char *)script, NULL}, *environment[] = {"PATH=/usr/bin:/bin", NULL};
    struct bl_program program = {
        .path = "/bin/sh", .arguments = arguments, .environment = environment, .timeout = timeout,
        .input = {(const uint8_t *)input, (const uint8_t *)"42", (const uint8_t *)"}"},
        .input_size = {strlen(input), 2, 1},
        .folder = -1,
    };
    return bl_run_program(&program, error);
}

void test_programs(void)
{
    struct bl_error error = {0};
    test_group("hooks: state on stdin, status and stderr in the error, a time limit");
    CHECK(run_shell("test \"$(cat)\" = '{\"pid\":42}'", "{\"pid\":", 5, &error) == 0);
    CHECK(run_shell("true", "unread", 5, &error) == 0);
    CHECK(run_shell("echo broken >&2; exit 3", "", 5, &error) < 0 && strcmp(error.detail, "exited with status 3: broken") == 0);
    CHECK(run_shell("kill -9 $$", "", 5, &error) < 0 && strstr(error.detail, "signal 9"));
    int64_t begin = bl_now(CLOCK_MONOTONIC);
    CHECK(run_shell("exec sleep 20", "", 1, &error) < 0 && error.code == ETIMEDOUT);
    CHECK(bl_now(CLOCK_MONOTONIC) - begin < 5000000000);
    test_group("hooks: a flood on stderr is cut, and holds nobody up");
    CHECK(run_shell("head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1", "", 10, &error) < 0);
    CHECK(strlen(error.detail) < 600);
    test_group("programs: by PATH, with execvp's errors");
    char *environment[] = {"PATH=/nonexistent:/bin", NULL};
    char *found = NULL;
    CHECK(bl_find_program("sh", environment, 1, &found, &error) == 0 && strcmp(found, "/bin/sh") == 0);
    free(found);
    CHECK(bl_find_program("no-such-program", environment, 1, &found, &error) < 0 && error.code == ENOENT);
    CHECK(bl_find_program("", environment, 1, &found, &error) < 0);
    CHECK(bl_find_program("/tmp", environment, 1, &found, &error) < 0 && error.code == EACCES);
    test_write(test_path("plain"), "");
    chmod(test_path("plain"), 0644);
    CHECK(bl_find_program(test_path("plain"), environment, 1, &found, &error) < 0 && error.code == EACCES);
}

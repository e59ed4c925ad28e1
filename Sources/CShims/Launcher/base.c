#include "base.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

int bl_fail(struct bl_error *error, int code, const char *path, const char *format, ...)
{
    error->code = code;
    snprintf(error->path, sizeof error->path, "%s", path ? path : "");
    error->detail[0] = 0;
    if (format) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->detail, sizeof error->detail, format, arguments);
        va_end(arguments);
    }
    return -1;
}

void bl_cleanup_close(int *fd) { bl_close(fd); }

void bl_cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

int bl_take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

void bl_close(int *fd)
{
    if (*fd < 0)
        return;
    int saved = errno;
    close(*fd);
    errno = saved;
    *fd = -1;
}

ssize_t bl_read_full(int fd, void *buffer, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(fd, (char *)buffer + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

int bl_write_full(int fd, const void *buffer, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t put = write(fd, (const char *)buffer + done, size - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        done += (size_t)put;
    }
    return 0;
}

ssize_t bl_read_text(int directory, const char *path, char *buffer, size_t size)
{
    cleanup_close int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t got = bl_read_full(fd, buffer, size - 1);
    if (got >= 0)
        buffer[got] = 0;
    return got;
}

int bl_write_file(int directory, const char *path, const void *value, size_t size)
{
    cleanup_close int fd = openat(directory, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -1;
    ssize_t put;
    do
        put = write(fd, value, size);
    while (put < 0 && errno == EINTR);
    if (put < 0)
        return -1;
    if ((size_t)put != size) {
        errno = EIO;
        return -1;
    }
    return 0;
}

int bl_send(int socket, const void *data, size_t size, const int *descriptors, size_t count, int flags)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * BL_MAX_DESCRIPTORS)];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > BL_MAX_DESCRIPTORS) {
        errno = EINVAL;
        return -1;
    }
    if (count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

ssize_t bl_receive(int socket, void *data, size_t size, int *descriptors, size_t *count, int flags)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * BL_MAX_DESCRIPTORS)];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    size_t room = count ? *count : 0;
    if (count)
        *count = 0;
    if (room > BL_MAX_DESCRIPTORS)
        room = BL_MAX_DESCRIPTORS;
    if (room > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * room);
    }
    ssize_t got;
    do
        got = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -1;
    // CMSG_SPACE pads, so that one descriptor more than the room may come; it is closed here.
    for (struct cmsghdr *header = room > 0 ? CMSG_FIRSTHDR(&message) : NULL; header;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < here; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
            if (*count < room)
                descriptors[(*count)++] = fd;
            else
                close(fd);
        }
    }
    if (message.msg_flags & MSG_TRUNC) {
        for (size_t i = 0; count && i < *count; i++)
            close(descriptors[i]);
        if (count)
            *count = 0;
        errno = EMSGSIZE;
        return -1;
    }
    return got;
}

// A sockaddr of `path`. A path that is too long goes by /proc/self/fd of its directory, opened into `*directory`.
static int socket_address(const char *path, struct sockaddr_un *address, int *directory, struct bl_error *error)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    *directory = -1;
    if (strlen(path) < sizeof address->sun_path) {
        strcpy(address->sun_path, path);
        return 0;
    }
    const char *slash = strrchr(path, '/');
    cleanup_free char *folder = slash ? strndup(path, (size_t)(slash - path)) : NULL;
    if (!folder)
        return bl_fail(error, ENAMETOOLONG, path, NULL);
    *directory = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*directory < 0)
        return bl_fail(error, errno, path, NULL);
    int length = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", *directory, slash + 1);
    if (length < 0 || (size_t)length >= sizeof address->sun_path)
        return bl_fail(error, ENAMETOOLONG, path, NULL);
    return 0;
}

int bl_connect(const char *path, int type, struct bl_error *error)
{
    struct sockaddr_un address;
    cleanup_close int directory = -1;
    if (socket_address(path, &address, &directory, error) < 0)
        return -1;
    cleanup_close int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return bl_fail(error, errno, path, NULL);
    return bl_take(&fd);
}

int bl_listen(const char *path, int type, struct bl_error *error)
{
    struct sockaddr_un address;
    cleanup_close int directory = -1;
    if (socket_address(path, &address, &directory, error) < 0)
        return -1;
    cleanup_close int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return bl_fail(error, errno, path, NULL);
    unlink(address.sun_path);
    mode_t mask = umask(0177);
    int bound = bind(fd, (struct sockaddr *)&address, sizeof address);
    int code = errno;
    umask(mask);
    if (bound < 0)
        return bl_fail(error, code, path, NULL);
    if (listen(fd, 64) < 0) {
        code = errno;
        unlink(address.sun_path);
        return bl_fail(error, code, path, NULL);
    }
    return bl_take(&fd);
}

int64_t bl_now(int clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int bl_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int bl_pidfd_signal(int pidfd, int signal)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int bl_close_range(unsigned first, unsigned last, unsigned flags)
{
    return (int)syscall(SYS_close_range, first, last, flags);
}

int bl_reap(int pidfd, bool no_wait, struct bl_exit *exit)
{
    siginfo_t info = {0};
    int got;
    // __WALL: a sibling clone has no exit signal, which plain waits pass over.
    do
        got = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | __WALL | (no_wait ? WNOHANG : 0));
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -1;
    if (info.si_pid == 0) {
        errno = EAGAIN;
        return -1;
    }
    if (exit) {
        bool signalled = info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED;
        exit->signal = signalled ? info.si_status : 0;
        exit->code = signalled ? 128 + info.si_status : info.si_status & 0xff;
    }
    return 0;
}

#include "calls.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// A path longer than sun_path is reached through a descriptor of its directory: /proc/self/fd/N/NAME.
static int unix_address(const char *path, struct sockaddr_un *address, int *directory) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    *directory = -1;
    size_t length = strlen(path);
    if (length < sizeof address->sun_path) {
        memcpy(address->sun_path, path, length + 1);
        return 0;
    }
    const char *slash = strrchr(path, '/');
    if (!slash || strlen(slash) > 64 || length >= 4096) return -ENAMETOOLONG;
    char parent[4096];
    memcpy(parent, path, (size_t)(slash - path) + 1);
    parent[slash - path + 1] = 0;
    *directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*directory < 0) return -errno;
    char number[16];
    int digits = 0;
    for (int rest = *directory; rest > 0 || digits == 0; rest /= 10) number[digits++] = (char)('0' + rest % 10);
    char *end = stpcpy(address->sun_path, "/proc/self/fd/");
    while (digits > 0) *end++ = number[--digits];
    strcpy(end, slash);
    return 0;
}

int berth_unix_connect(const char *path, int type) {
    struct sockaddr_un address;
    int directory;
    int result = unix_address(path, &address, &directory);
    if (result < 0) return result;
    int descriptor = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        result = -errno;
    } else if (connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0) {
        result = -errno;
        close(descriptor);
    } else {
        result = descriptor;
    }
    if (directory >= 0) close(directory);
    return result;
}

int berth_unix_listen(const char *path, int type, unsigned mode, int backlog) {
    struct sockaddr_un address;
    int directory;
    int result = unix_address(path, &address, &directory);
    if (result < 0) return result;
    int descriptor = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        result = -errno;
    } else if (fchmod(descriptor, mode) < 0 || bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0 ||
               chmod(address.sun_path, mode) < 0 || listen(descriptor, backlog) < 0) {
        result = -errno;
        close(descriptor);
    } else {
        result = descriptor;
    }
    if (directory >= 0) close(directory);
    return result;
}

int berth_socketpair(int type, int *first, int *second) {
    int pair[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
    *first = pair[0];
    *second = pair[1];
    return 0;
}

enum { MAX_DESCRIPTORS = 253 };

long berth_send_descriptors(int socket, const void *data, size_t size, const int *descriptors, size_t count,
                            int flags) {
    if (count > MAX_DESCRIPTORS) return -EINVAL;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * MAX_DESCRIPTORS)];
    } control;
    struct iovec vector = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
    }
    ssize_t sent;
    do {
        sent = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return checked(sent);
}

long berth_receive_descriptors(int socket, void *data, size_t size, int *descriptors, size_t *count, int flags) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * MAX_DESCRIPTORS)];
    } control;
    struct iovec vector = {.iov_base = data, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t received;
    do {
        received = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    } while (received < 0 && errno == EINTR);
    if (received < 0) return -errno;

    size_t room = *count, taken = 0;
    bool overflow = (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t number = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < number; i++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (taken < room) {
                descriptors[taken++] = descriptor;
            } else {
                close(descriptor);
                overflow = true;
            }
        }
    }
    if (overflow) {
        for (size_t i = 0; i < taken; i++) close(descriptors[i]);
        *count = 0;
        return -EMSGSIZE;
    }
    *count = taken;
    return received;
}

int berth_accept(int socket) { return (int)checked(accept4(socket, NULL, NULL, SOCK_CLOEXEC)); }

int berth_pipe(bool non_blocking, int *read_end, int *write_end) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | (non_blocking ? O_NONBLOCK : 0)) < 0) return -errno;
    *read_end = ends[0];
    *write_end = ends[1];
    return 0;
}

int berth_peer_credentials(int socket, pid_t *pid, uid_t *uid, gid_t *gid) {
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) return -errno;
    *pid = credentials.pid;
    *uid = credentials.uid;
    *gid = credentials.gid;
    return 0;
}

// What every file of berth-launch shares: errors, clean-up, descriptors and the system calls that libc does not wrap.
//
// The error convention: a function that can fail takes `struct bl_error *error` as its last parameter, fills it with
// bl_fail and returns -1; on success it returns 0 or the descriptor that it opened, and leaves the error alone. The
// caller owns returned descriptors, which are close-on-exec always.
#ifndef BL_BASE_H
#define BL_BASE_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "system_calls.h"

struct bl_error {
    int code; // errno; 0 where `detail` says it all
    char path[512];
    char detail[1024];
};

// Fills `error` and returns -1. `path` and `format` may be NULL.
__attribute__((format(printf, 4, 5)))
int bl_fail(struct bl_error *error, int code, const char *path, const char *format, ...);

void bl_cleanup_close(int *fd);
void bl_cleanup_free(void *pointer);
#define cleanup_close __attribute__((cleanup(bl_cleanup_close)))
#define cleanup_free __attribute__((cleanup(bl_cleanup_free)))

// Gives the descriptor away and leaves -1, so that clean-up does not close it.
int bl_take(int *fd);
// Closes and leaves -1; keeps errno.
void bl_close(int *fd);

#define BL_COUNT(array) (sizeof(array) / sizeof((array)[0]))

// Whole buffer or -1 with errno; reading stops early at the end of the file.
ssize_t bl_read_full(int fd, void *buffer, size_t size);
int bl_write_full(int fd, const void *buffer, size_t size);
// A file's first `size - 1` bytes as a string; -1 with errno.
ssize_t bl_read_text(int directory, const char *path, char *buffer, size_t size);
// One write(2) to an existing file, since kernel files take a value whole.
int bl_write_file(int directory, const char *path, const void *value, size_t size);

#define BL_MAX_DESCRIPTORS 8

// One packet with descriptors (SCM_RIGHTS); flags as of sendmsg(2). 0 or -1 with errno.
int bl_send(int socket, const void *data, size_t size, const int *descriptors, size_t count, int flags);
// Returns the packet's size (0 at the end) or -1 with errno (EMSGSIZE where it was cut). `*count` is the room in
// `descriptors` before and what came after; descriptors beyond the room are closed by the kernel.
ssize_t bl_receive(int socket, void *data, size_t size, int *descriptors, size_t *count, int flags);
// Connects to a unix socket by a path of any length.
int bl_connect(const char *path, int type, struct bl_error *error);
// Binds and listens, mode 0600, replacing a socket that is there.
int bl_listen(const char *path, int type, struct bl_error *error);

int64_t bl_now(int clock); // nanoseconds

int bl_pidfd_open(pid_t pid);
int bl_pidfd_signal(int pidfd, int signal);
int bl_close_range(unsigned first, unsigned last, unsigned flags);

struct bl_exit {
    int code;   // 128 + signal where a signal ended it
    int signal; // 0 where it ended by itself
};
// Reaps the process of `pidfd` (a child of ours, of whatever exit signal). Returns 0, or -1 with errno (EAGAIN where
// `no_wait` and it runs still).
int bl_reap(int pidfd, bool no_wait, struct bl_exit *exit);

#endif

#include "calls.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

int berth_epoll_create(void) { return (int)checked(epoll_create1(EPOLL_CLOEXEC)); }

int berth_epoll_add(int epoll, int descriptor, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    return (int)checked(epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event));
}

int berth_epoll_remove(int epoll, int descriptor) {
    return (int)checked(epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, NULL));
}

int berth_epoll_wait(int epoll, uint64_t *data, uint32_t *events, int capacity, int timeout_milliseconds) {
    struct epoll_event happened[64];
    if (capacity > 64) capacity = 64;
    int count = epoll_wait(epoll, happened, capacity, timeout_milliseconds);
    if (count < 0) return -errno;
    for (int i = 0; i < count; i++) {
        data[i] = happened[i].data.u64;
        events[i] = happened[i].events;
    }
    return count;
}

int berth_eventfd(unsigned value, int flags) { return (int)checked(eventfd(value, flags)); }

static sigset_t set_of(const int *signals, size_t count) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < count; i++) sigaddset(&set, signals[i]);
    return set;
}

int berth_signalfd(const int *signals, size_t count) {
    sigset_t set = set_of(signals, count);
    return (int)checked(signalfd(-1, &set, SFD_CLOEXEC));
}

int berth_block_signals(const int *signals, size_t count) {
    sigset_t set = set_of(signals, count);
    return (int)checked(sigprocmask(SIG_BLOCK, &set, NULL));
}

int berth_read_signal(int descriptor, int *number, int *pid) {
    struct signalfd_siginfo info;
    ssize_t size = read(descriptor, &info, sizeof info);
    if (size < 0) return -errno;
    if (size != sizeof info) return -EIO;
    *number = (int)info.ssi_signo;
    *pid = (int)info.ssi_pid;
    return 0;
}

int berth_poll(const int *descriptors, short *events, size_t count, int timeout_milliseconds) {
    struct pollfd polled[64];
    if (count > 64) return -EINVAL;
    for (size_t i = 0; i < count; i++) polled[i] = (struct pollfd){.fd = descriptors[i], .events = events[i]};
    int ready = poll(polled, count, timeout_milliseconds);
    if (ready < 0) return -errno;
    for (size_t i = 0; i < count; i++) events[i] = polled[i].revents;
    return ready;
}

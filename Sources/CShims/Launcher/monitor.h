// The container's monitor: what becomes of the launcher when the container was made. One thread, one epoll; it owns the
// container's stdio, serves its control socket and records its end.
#ifndef BL_MONITOR_H
#define BL_MONITOR_H

#include <sys/epoll.h>

#include "exit_record.h"
#include "launch.h"
#include "log.h"

#define BL_CHUNK (16 * 1024)          // bytes read from the container at once
#define BL_REQUEST_LIMIT (256 * 1024) // bytes of a request
#define BL_INPUT_LIMIT (32 * 1024)    // bytes of one packet for stdin
#define BL_CONNECTIONS_LIMIT 128
#define BL_SLOW_CLIENT 10000 // ms that an attached client may hold the container's output up
#define BL_IDLE 1000       // ms without an event after which memory is given back
#define BL_DRAIN 500         // ms that output is waited for when the process has ended and others hold its stdio

struct bl_monitor;

// A descriptor in the epoll.
struct bl_source {
    int fd;
    uint32_t events; // that are watched; 0: not in the epoll
    void (*ready)(struct bl_monitor *monitor, struct bl_source *source, uint32_t events);
};

enum bl_connection_kind {
    BL_CONNECTION_IDLE, // the next packet is a Request
    BL_CONNECTION_START,
    BL_CONNECTION_EXEC,
    BL_CONNECTION_ATTACH,
};

struct bl_connection {
    struct bl_source source; // first: cast from it
    struct bl_connection *next;
    enum bl_connection_kind kind;
    bool closed; // freed after the event that is handled
    // Attach.
    bool takes[2];  // stdout, stderr
    bool gives;     // stdin
    bool behind;    // has not taken the monitor's packet yet
    bool paused;    // stdin is full: not read from
    // Exec.
    struct bl_exec *exec;
};

struct bl_exec {
    struct bl_source report;   // of the process that carries the plan out
    struct bl_source launcher; // that process's pidfd
    struct bl_source process;  // pidfd of what was exec'ed
    struct bl_exec *next;
    struct bl_connection *connection; // NULL once it closed
    bool kill_on_close;
    bool told; // started or failed
};

struct bl_monitor {
    char *id, *socket, *exit_path, *oom_path, *cgroup;
    char **words; // of the steps from `first_word` on, for failures after the start
    uint32_t first_word, steps;
    int epoll;
    struct bl_log log;
    struct bl_source listener, process, sync, streams[2], input;
    bool terminal, stdin_once;
    pid_t pid;
    Berth__Launch__V1__State__Status status;
    bool start_sent, execing, exiting, trimmed;
    bl_exit_record record;
    uint64_t oom_before;
    int64_t drain_until; // CLOCK_MONOTONIC ns; 0 while the process runs
    struct bl_connection *connections;
    size_t connection_count;
    struct bl_exec *execs;
    // The packet that clients are behind with.
    uint8_t *packet;
    size_t packet_size;
    size_t behind;
    int64_t behind_since;
    // What stdin did not take yet.
    uint8_t *pending_input;
    size_t pending_size, pending_done;
    bool close_input; // when that is written
};

// Before the launch: socket and log, so that their failure is the launch's.
struct bl_monitor *bl_monitor_open(const bl_plan *plan, struct bl_error *error);
void bl_monitor_discard(struct bl_monitor *monitor);
// Reports Created and serves until the container has ended. Returns the exit status of the program.
int bl_monitor_run(struct bl_monitor *monitor, struct bl_launch *launch);

int bl_watch(struct bl_monitor *monitor, struct bl_source *source, uint32_t events); // 0: not any more
void bl_source_close(struct bl_monitor *monitor, struct bl_source *source);

// monitor_control.c
void bl_connection_accept(struct bl_monitor *monitor, struct bl_source *source, uint32_t events);
void bl_connection_close(struct bl_monitor *monitor, struct bl_connection *connection);
void bl_connections_sweep(struct bl_monitor *monitor);
typedef Berth__Launch__V1__Reply bl_reply;
int bl_reply_send(struct bl_connection *connection, const bl_reply *reply, int descriptor);
void bl_reply_done(struct bl_connection *connection);
void bl_reply_failure(struct bl_connection *connection, const char *words, const struct bl_error *error);
void bl_started(struct bl_monitor *monitor, const struct bl_error *failure, uint32_t step);

// monitor_stdio.c
void bl_stream_ready(struct bl_monitor *monitor, struct bl_source *source, uint32_t events);
void bl_input_ready(struct bl_monitor *monitor, struct bl_source *source, uint32_t events);
void bl_attach_begin(struct bl_monitor *monitor, struct bl_connection *connection,
                     const Berth__Launch__V1__Attach *request);
void bl_attach_ready(struct bl_monitor *monitor, struct bl_connection *connection, uint32_t events);
void bl_attach_end(struct bl_monitor *monitor, struct bl_connection *connection);
void bl_input_close(struct bl_monitor *monitor);
void bl_drop_slow_clients(struct bl_monitor *monitor);
int bl_resize(struct bl_monitor *monitor, uint32_t width, uint32_t height, struct bl_error *error);

// monitor_exec.c
void bl_exec_begin(struct bl_monitor *monitor, struct bl_connection *connection,
                   Berth__Launch__V1__ExecProcess *request, int *descriptors, size_t count);
void bl_exec_disconnected(struct bl_monitor *monitor, struct bl_connection *connection);
void bl_exec_kill_all(struct bl_monitor *monitor);

#endif

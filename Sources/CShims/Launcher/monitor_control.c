// The control socket: connections, requests, replies.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "monitor.h"

int bl_reply_send(struct bl_connection *connection, const bl_reply *reply, int descriptor)
{
    uint8_t bytes[8192];
    size_t size = berth__launch__v1__reply__get_packed_size(reply);
    if (size > sizeof bytes)
        return -1;
    berth__launch__v1__reply__pack(reply, bytes);
    // A client that does not take a short reply has lost it: nobody waits for it.
    return bl_send(connection->source.fd, bytes, size, &descriptor, descriptor >= 0, MSG_DONTWAIT);
}

void bl_reply_done(struct bl_connection *connection)
{
    Berth__Launch__V1__Done done = BERTH__LAUNCH__V1__DONE__INIT;
    bl_reply reply = BERTH__LAUNCH__V1__REPLY__INIT;
    reply.reply_case = BERTH__LAUNCH__V1__REPLY__REPLY_DONE;
    reply.done = &done;
    bl_reply_send(connection, &reply, -1);
}

static void send_failure(struct bl_connection *connection, const char *words, uint32_t step, uint32_t steps,
                         const struct bl_error *error)
{
    Berth__Launch__V1__Failure failure = BERTH__LAUNCH__V1__FAILURE__INIT;
    bl_reply reply = BERTH__LAUNCH__V1__REPLY__INIT;
    failure.step = step;
    failure.steps = steps;
    failure.words = (char *)words;
    failure.error = error->code;
    failure.path = (char *)error->path;
    failure.detail = (char *)error->detail;
    reply.reply_case = BERTH__LAUNCH__V1__REPLY__REPLY_FAILURE;
    reply.failure = &failure;
    bl_reply_send(connection, &reply, -1);
}

void bl_reply_failure(struct bl_connection *connection, const char *words, const struct bl_error *error)
{
    send_failure(connection, words, 0, 0, error);
}

// The outcome of a start, which came by the baton's socket.
void bl_started(struct bl_monitor *monitor, const struct bl_error *failure, uint32_t step)
{
    if (!failure && monitor->status == BERTH__LAUNCH__V1__STATE__STATUS__CREATED) {
        monitor->status = BERTH__LAUNCH__V1__STATE__STATUS__RUNNING;
        monitor->record.started_at = bl_now(CLOCK_REALTIME);
    }
    for (struct bl_connection *connection = monitor->connections; connection; connection = connection->next) {
        if (connection->kind != BL_CONNECTION_START || connection->closed)
            continue;
        connection->kind = BL_CONNECTION_IDLE;
        if (!failure) {
            bl_reply_done(connection);
            continue;
        }
        bool known = monitor->words && step >= monitor->first_word && step < monitor->steps;
        send_failure(connection, known ? monitor->words[step - monitor->first_word] : "start", step + 1,
                     monitor->steps, failure);
    }
}

static void handle_start(struct bl_monitor *monitor, struct bl_connection *connection)
{
    struct bl_error error;
    struct bl_sync message = {.type = BL_SYNC_START};
    if (monitor->status != BERTH__LAUNCH__V1__STATE__STATUS__CREATED || monitor->start_sent || monitor->exiting) {
        bl_fail(&error, EALREADY, NULL, "the container was started before, or has ended");
        bl_reply_failure(connection, "start", &error);
        return;
    }
    if (bl_sync_send(monitor->sync.fd, &message, -1) < 0) {
        bl_fail(&error, errno, NULL, "the container's process does not answer");
        bl_reply_failure(connection, "start", &error);
        return;
    }
    monitor->start_sent = true;
    connection->kind = BL_CONNECTION_START;
}

// Every process that the cgroup lists; those that fork meanwhile are found by the next pass.
static int signal_cgroup(const struct bl_monitor *monitor, int number, struct bl_error *error)
{
    char path[4096], text[8192];
    if (snprintf(path, sizeof path, "%s/cgroup.kill", monitor->cgroup) >= (int)sizeof path)
        return bl_fail(error, ENAMETOOLONG, monitor->cgroup, NULL);
    if (number == SIGKILL && bl_write_file(AT_FDCWD, path, "1", 1) == 0)
        return 0;
    snprintf(path, sizeof path, "%s/cgroup.procs", monitor->cgroup);
    for (int pass = 0; pass < 32; pass++) {
        if (bl_read_text(AT_FDCWD, path, text, sizeof text) < 0)
            return bl_fail(error, errno, path, NULL);
        bool found = false;
        char *end = text;
        for (char *line = text; *line; line = end) {
            long pid = strtol(line, &end, 10);
            if (end == line || *end != '\n')
                break;
            end++;
            if (pid > 1 && pid != getpid() && kill((pid_t)pid, number) == 0)
                found = true;
        }
        if (!found || number != SIGKILL)
            return 0;
    }
    return 0;
}

static void handle_signal(struct bl_monitor *monitor, struct bl_connection *connection,
                          const Berth__Launch__V1__Signal *request)
{
    struct bl_error error;
    int number = request->number > 64 ? -1 : (int)request->number;
    int done = 0;
    if (request->all && monitor->cgroup)
        done = signal_cgroup(monitor, number, &error);
    else if (bl_pidfd_signal(monitor->process.fd, number) < 0)
        done = bl_fail(&error, monitor->process.fd < 0 ? ESRCH : errno, NULL, "signal %u", request->number);
    if (done < 0)
        bl_reply_failure(connection, "signal the container", &error);
    else
        bl_reply_done(connection);
}

static void handle_state(struct bl_monitor *monitor, struct bl_connection *connection)
{
    Berth__Launch__V1__State state = BERTH__LAUNCH__V1__STATE__INIT;
    bl_reply reply = BERTH__LAUNCH__V1__REPLY__INIT;
    state.status = monitor->status;
    state.pid = monitor->pid;
    state.protocol = BL_MONITOR_PROTOCOL;
    reply.reply_case = BERTH__LAUNCH__V1__REPLY__REPLY_STATE;
    reply.state = &state;
    bl_reply_send(connection, &reply, -1);
}

static void handle_request(struct bl_monitor *monitor, struct bl_connection *connection,
                           Berth__Launch__V1__Request *request, int *descriptors, size_t count)
{
    struct bl_error error;
    switch (request->request_case) {
    case BERTH__LAUNCH__V1__REQUEST__REQUEST_START:
        handle_start(monitor, connection);
        return;
    case BERTH__LAUNCH__V1__REQUEST__REQUEST_SIGNAL:
        handle_signal(monitor, connection, request->signal);
        return;
    case BERTH__LAUNCH__V1__REQUEST__REQUEST_RESIZE:
        if (bl_resize(monitor, request->resize->width, request->resize->height, &error) < 0)
            bl_reply_failure(connection, "resize the terminal", &error);
        else
            bl_reply_done(connection);
        return;
    case BERTH__LAUNCH__V1__REQUEST__REQUEST_EXEC:
        bl_exec_begin(monitor, connection, request->exec, descriptors, count);
        return;
    case BERTH__LAUNCH__V1__REQUEST__REQUEST_ATTACH:
        bl_attach_begin(monitor, connection, request->attach);
        return;
    case BERTH__LAUNCH__V1__REQUEST__REQUEST_REOPEN_LOG:
        if (bl_log_reopen(&monitor->log, &error) < 0)
            bl_reply_failure(connection, "reopen the log", &error);
        else
            bl_reply_done(connection);
        return;
    case BERTH__LAUNCH__V1__REQUEST__REQUEST_GET_STATE:
        handle_state(monitor, connection);
        return;
    case BERTH__LAUNCH__V1__REQUEST__REQUEST_CLOSE_STDIN:
        bl_input_close(monitor);
        bl_reply_done(connection);
        return;
    default:
        bl_fail(&error, EPROTO, NULL, "this monitor does not know the request");
        bl_reply_failure(connection, "request", &error);
    }
}

// Reads one packet and handles it; its memory is given back whole.
static void receive_request(struct bl_monitor *monitor, struct bl_connection *connection)
{
    struct bl_error error;
    struct bl_arena arena;
    int descriptors[4];
    size_t count = BL_COUNT(descriptors);
    ssize_t size = recv(connection->source.fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0 || size > BL_REQUEST_LIMIT) {
        bl_connection_close(monitor, connection);
        return;
    }
    bl_arena_init(&arena, BL_ARENA_LIMIT);
    uint8_t *bytes = bl_arena_alloc(&arena, (size_t)size);
    ssize_t got = bytes ? bl_receive(connection->source.fd, bytes, (size_t)size, descriptors, &count, MSG_DONTWAIT) : -1;
    if (got != size) {
        bl_connection_close(monitor, connection);
        bl_arena_free(&arena);
        return;
    }
    ProtobufCAllocator allocator = bl_arena_allocator(&arena);
    Berth__Launch__V1__Request *request = berth__launch__v1__request__unpack(&allocator, (size_t)size, bytes);
    if (request) {
        handle_request(monitor, connection, request, descriptors, count);
    } else {
        bl_fail(&error, EPROTO, NULL, "%zd bytes are no request", size);
        bl_reply_failure(connection, "request", &error);
    }
    for (size_t i = 0; i < count; i++)
        bl_close(&descriptors[i]);
    bl_arena_free(&arena);
}

static void connection_ready(struct bl_monitor *monitor, struct bl_source *source, uint32_t events)
{
    struct bl_connection *connection = (struct bl_connection *)source;
    if (connection->kind == BL_CONNECTION_ATTACH) {
        bl_attach_ready(monitor, connection, events);
        return;
    }
    if (connection->kind == BL_CONNECTION_IDLE && events & EPOLLIN) {
        receive_request(monitor, connection);
        return;
    }
    // A connection that waits for its answer has nothing to say: this is its end, or a client that breaks the rules.
    bl_connection_close(monitor, connection);
}

void bl_connection_accept(struct bl_monitor *monitor, struct bl_source *source, uint32_t events)
{
    (void)events;
    cleanup_close int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (fd < 0 || monitor->connection_count >= BL_CONNECTIONS_LIMIT)
        return;
    // The socket's mode says so already, where folders are not looser than they should be.
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || (peer.uid != 0 && peer.uid != geteuid()))
        return;
    struct bl_connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return;
    connection->source = (struct bl_source){.fd = fd, .ready = connection_ready};
    if (bl_watch(monitor, &connection->source, EPOLLIN) < 0) {
        free(connection);
        return;
    }
    bl_take(&fd);
    connection->next = monitor->connections;
    monitor->connections = connection;
    monitor->connection_count++;
}

void bl_connection_close(struct bl_monitor *monitor, struct bl_connection *connection)
{
    if (connection->closed)
        return;
    connection->closed = true;
    if (connection->kind == BL_CONNECTION_ATTACH)
        bl_attach_end(monitor, connection);
    if (connection->kind == BL_CONNECTION_EXEC)
        bl_exec_disconnected(monitor, connection);
    bl_source_close(monitor, &connection->source);
}

void bl_connections_sweep(struct bl_monitor *monitor)
{
    for (struct bl_connection **link = &monitor->connections; *link;) {
        struct bl_connection *connection = *link;
        if (connection->closed) {
            *link = connection->next;
            monitor->connection_count--;
            free(connection);
        } else {
            link = &connection->next;
        }
    }
}

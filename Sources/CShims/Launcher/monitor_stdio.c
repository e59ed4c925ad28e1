// The container's stdio: read once, written to the log and to every attached client.
//
// There is one packet at a time. A client that cannot take it is "behind", and nothing is read from the container until
// it has caught up: the container then waits in write(2) as it would for a slow terminal. A client that stays behind
// for BL_SLOW_CLIENT is cut off, so that none holds a container up for good.
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "monitor.h"

static void watch_streams(struct bl_monitor *monitor)
{
    for (int i = 0; i < 2; i++)
        bl_watch(monitor, &monitor->streams[i], monitor->behind ? 0 : EPOLLIN);
}

static void set_behind(struct bl_monitor *monitor, struct bl_connection *connection, bool behind)
{
    if (connection->behind == behind)
        return;
    connection->behind = behind;
    if (behind && monitor->behind++ == 0)
        monitor->behind_since = bl_now(CLOCK_MONOTONIC);
    if (!behind)
        monitor->behind--;
    uint32_t reading = connection->paused ? 0 : EPOLLIN;
    if (!connection->closed)
        bl_watch(monitor, &connection->source, reading | (behind ? EPOLLOUT : EPOLLRDHUP));
    watch_streams(monitor);
}

static void deliver(struct bl_monitor *monitor, struct bl_connection *connection)
{
    if (bl_send(connection->source.fd, monitor->packet, monitor->packet_size, NULL, 0, MSG_DONTWAIT) == 0)
        set_behind(monitor, connection, false);
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
        set_behind(monitor, connection, true);
    else
        bl_connection_close(monitor, connection);
}

static void publish(struct bl_monitor *monitor, int stream, const uint8_t *data, size_t size)
{
    bool wanted = false;
    for (struct bl_connection *c = monitor->connections; c; c = c->next)
        wanted |= c->kind == BL_CONNECTION_ATTACH && !c->closed && c->takes[stream];
    if (!wanted)
        return;
    Berth__Launch__V1__StreamData content = BERTH__LAUNCH__V1__STREAM_DATA__INIT;
    bl_reply reply = BERTH__LAUNCH__V1__REPLY__INIT;
    content.stream = stream == BL_STDOUT ? BERTH__LAUNCH__V1__STREAM_DATA__STREAM__STDOUT
                                         : BERTH__LAUNCH__V1__STREAM_DATA__STREAM__STDERR;
    content.data = (ProtobufCBinaryData){.len = size, .data = (uint8_t *)data};
    reply.reply_case = BERTH__LAUNCH__V1__REPLY__REPLY_DATA;
    reply.data = &content;
    if (!monitor->packet)
        monitor->packet = malloc(BL_CHUNK + 256);
    if (!monitor->packet)
        return;
    monitor->packet_size = berth__launch__v1__reply__pack(&reply, monitor->packet);
    for (struct bl_connection *c = monitor->connections; c; c = c->next)
        if (c->kind == BL_CONNECTION_ATTACH && !c->closed && c->takes[stream])
            deliver(monitor, c);
}

void bl_stream_ready(struct bl_monitor *monitor, struct bl_source *source, uint32_t events)
{
    static uint8_t chunk[BL_CHUNK];
    (void)events;
    int stream = source == &monitor->streams[1];
    ssize_t got = read(source->fd, chunk, sizeof chunk);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) { // EIO: nobody has the terminal open any more
        bl_log_end(&monitor->log, (enum bl_stream_name)stream);
        bl_source_close(monitor, source);
        return;
    }
    bl_log_write(&monitor->log, (enum bl_stream_name)stream, (const char *)chunk, (size_t)got);
    publish(monitor, stream, chunk, (size_t)got);
}

void bl_attach_begin(struct bl_monitor *monitor, struct bl_connection *connection,
                     const Berth__Launch__V1__Attach *request)
{
    connection->kind = BL_CONNECTION_ATTACH;
    connection->gives = request->stdin;
    connection->takes[BL_STDOUT] = request->stdout;
    connection->takes[BL_STDERR] = request->stderr;
    bl_reply_done(connection);
    bl_watch(monitor, &connection->source, EPOLLIN | EPOLLRDHUP);
}

void bl_input_close(struct bl_monitor *monitor)
{
    monitor->close_input = monitor->pending_size > 0;
    if (monitor->close_input)
        return;
    // A terminal has no end but the character for it.
    if (monitor->terminal && monitor->input.fd >= 0)
        (void)!write(monitor->input.fd, "\x04", 1);
    else
        bl_source_close(monitor, &monitor->input);
}

static void resume_input(struct bl_monitor *monitor)
{
    monitor->pending_size = monitor->pending_done = 0;
    for (struct bl_connection *c = monitor->connections; c; c = c->next) {
        if (!c->paused || c->closed)
            continue;
        c->paused = false;
        bl_watch(monitor, &c->source, EPOLLIN | (c->behind ? EPOLLOUT : EPOLLRDHUP));
    }
}

// Writes what is pending; what stdin does not take waits for EPOLLOUT.
void bl_input_ready(struct bl_monitor *monitor, struct bl_source *source, uint32_t events)
{
    (void)events;
    while (monitor->pending_done < monitor->pending_size && source->fd >= 0) {
        ssize_t put = write(source->fd, monitor->pending_input + monitor->pending_done,
                            monitor->pending_size - monitor->pending_done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN) {
            bl_watch(monitor, source, EPOLLOUT);
            return;
        }
        if (put < 0) {
            bl_source_close(monitor, source); // the container closed its stdin
            break;
        }
        monitor->pending_done += (size_t)put;
    }
    bl_watch(monitor, source, 0);
    resume_input(monitor);
    if (monitor->close_input)
        bl_input_close(monitor);
}

static void pause_input(struct bl_monitor *monitor, struct bl_connection *connection)
{
    connection->paused = true;
    bl_watch(monitor, &connection->source, connection->behind ? EPOLLOUT : EPOLLRDHUP);
}

static void receive_input(struct bl_monitor *monitor, struct bl_connection *connection)
{
    if (monitor->pending_size > 0) {
        pause_input(monitor, connection);
        return;
    }
    struct bl_arena arena;
    bl_arena_init(&arena, 4 * BL_INPUT_LIMIT);
    uint8_t *bytes = bl_arena_alloc(&arena, BL_INPUT_LIMIT + 64);
    ssize_t got = bytes ? bl_receive(connection->source.fd, bytes, BL_INPUT_LIMIT + 64, NULL, NULL, MSG_DONTWAIT) : -1;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        bl_arena_free(&arena);
        return;
    }
    ProtobufCAllocator allocator = bl_arena_allocator(&arena);
    Berth__Launch__V1__StreamData *data =
        got > 0 ? berth__launch__v1__stream_data__unpack(&allocator, (size_t)got, bytes) : NULL;
    if (!data || data->data.len > BL_INPUT_LIMIT) {
        bl_connection_close(monitor, connection);
    } else if (connection->gives && data->stream == BERTH__LAUNCH__V1__STREAM_DATA__STREAM__STDIN) {
        if (data->end) {
            if (monitor->stdin_once)
                bl_input_close(monitor);
        } else if (monitor->input.fd >= 0) {
            if (!monitor->pending_input)
                monitor->pending_input = malloc(BL_INPUT_LIMIT);
            if (monitor->pending_input) {
                memcpy(monitor->pending_input, data->data.data, data->data.len);
                monitor->pending_size = data->data.len;
                monitor->pending_done = 0;
                bl_input_ready(monitor, &monitor->input, EPOLLOUT);
            }
        }
    }
    bl_arena_free(&arena);
}

void bl_attach_ready(struct bl_monitor *monitor, struct bl_connection *connection, uint32_t events)
{
    if (events & EPOLLOUT && connection->behind)
        deliver(monitor, connection);
    if (connection->closed)
        return;
    if (events & EPOLLIN && !connection->paused)
        receive_input(monitor, connection);
    else if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        bl_connection_close(monitor, connection);
}

void bl_attach_end(struct bl_monitor *monitor, struct bl_connection *connection)
{
    set_behind(monitor, connection, false);
    if (connection->gives && monitor->stdin_once && !monitor->terminal)
        bl_input_close(monitor);
}

void bl_drop_slow_clients(struct bl_monitor *monitor)
{
    if (!monitor->behind || bl_now(CLOCK_MONOTONIC) < monitor->behind_since + (int64_t)BL_SLOW_CLIENT * 1000000)
        return;
    for (struct bl_connection *c = monitor->connections; c; c = c->next)
        if (c->behind)
            bl_connection_close(monitor, c);
}

int bl_resize(struct bl_monitor *monitor, uint32_t width, uint32_t height, struct bl_error *error)
{
    struct winsize size = {.ws_col = (unsigned short)width, .ws_row = (unsigned short)height};
    if (!monitor->terminal || monitor->streams[0].fd < 0)
        return bl_fail(error, ENOTTY, NULL, "the container has no terminal");
    if (width > 65535 || height > 65535)
        return bl_fail(error, EINVAL, NULL, "%u by %u characters", width, height);
    return ioctl(monitor->streams[0].fd, TIOCSWINSZ, &size) < 0 ? bl_fail(error, errno, NULL, NULL) : 0;
}

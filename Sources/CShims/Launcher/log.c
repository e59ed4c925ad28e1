#include "log.h"

#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#define BATCH 64 // lines of one writev(2)

static int open_log(const char *path, bool *made, struct bl_error *error)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0640);
    if (made)
        *made = fd >= 0;
    if (fd < 0 && errno == EEXIST)
        fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return fd < 0 ? bl_fail(error, errno, path, "open the log") : fd;
}

int bl_log_open(struct bl_log *log, const char *path, size_t max_line, struct bl_error *error)
{
    *log = (struct bl_log){.fd = -1, .max_line = max_line ? max_line : BL_LOG_DEFAULT_LINE};
    if (!path || !path[0])
        return 0;
    log->path = strdup(path);
    if (!log->path)
        return bl_fail(error, errno, path, NULL);
    log->fd = open_log(path, &log->made, error);
    return log->fd < 0 ? -1 : 0;
}

int bl_log_reopen(struct bl_log *log, struct bl_error *error)
{
    if (!log->path)
        return 0;
    int fd = open_log(log->path, NULL, error);
    if (fd < 0)
        return -1;
    bl_close(&log->fd);
    log->fd = fd;
    log->torn = false;
    return 0;
}

void bl_log_close(struct bl_log *log)
{
    bl_close(&log->fd);
    free(log->path);
    log->path = NULL;
    for (size_t i = 0; i < BL_COUNT(log->pending); i++) {
        free(log->pending[i].text);
        log->pending[i].text = NULL;
        log->pending[i].used = 0;
    }
}

// The prefixes of one moment, and the lines that were gathered and not written yet.
struct batch {
    struct bl_log *log;
    char prefix[2][64]; // of P, of F
    size_t prefix_size[2];
    struct iovec parts[BATCH * 4];
    int count;
};

static void begin(struct batch *batch, struct bl_log *log, enum bl_stream_name stream)
{
    struct timespec now;
    struct tm date;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &date);
    batch->log = log;
    batch->count = 0;
    for (int full = 0; full < 2; full++)
        batch->prefix_size[full] = (size_t)snprintf(
            batch->prefix[full], sizeof batch->prefix[full], "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ %s %s ",
            date.tm_year + 1900, date.tm_mon + 1, date.tm_mday, date.tm_hour, date.tm_min, date.tm_sec, now.tv_nsec,
            stream == BL_STDOUT ? "stdout" : "stderr", full ? "F" : "P");
}

static void flush(struct batch *batch)
{
    struct bl_log *log = batch->log;
    struct iovec *part = batch->parts;
    int left = batch->count;
    batch->count = 0;
    if (log->fd < 0)
        return;
    if (left > 0 && log->torn && bl_write_full(log->fd, "\n", 1) == 0)
        log->torn = false;
    while (left > 0) {
        ssize_t put = writev(log->fd, part, left);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return; // a full disk: these lines are lost, and the container is not held up
        while (left > 0 && (size_t)put >= part->iov_len) {
            put -= (ssize_t)part->iov_len;
            part++;
            left--;
        }
        log->torn = left > 0;
        if (left > 0) {
            part->iov_base = (char *)part->iov_base + put;
            part->iov_len -= (size_t)put;
        }
    }
}

static void add(struct batch *batch, const void *data, size_t size)
{
    if (size > 0)
        batch->parts[batch->count++] = (struct iovec){.iov_base = (void *)data, .iov_len = size};
}

// One line or piece: what was pending, then `size` bytes of `data`.
static void put_line(struct batch *batch, enum bl_stream_name stream, const char *data, size_t size, bool full)
{
    struct bl_log *log = batch->log;
    add(batch, batch->prefix[full], batch->prefix_size[full]);
    add(batch, log->pending[stream].text, log->pending[stream].used);
    add(batch, data, size);
    add(batch, "\n", 1);
    log->pending[stream].used = 0;
    if (batch->count > (int)BL_COUNT(batch->parts) - 4)
        flush(batch);
}

void bl_log_write(struct bl_log *log, enum bl_stream_name stream, const char *data, size_t size)
{
    struct batch batch;
    if (log->fd < 0)
        return;
    begin(&batch, log, stream);
    while (size > 0) {
        const char *end = memchr(data, '\n', size);
        size_t length = end ? (size_t)(end - data) : size;
        // A piece is written when more than the limit is there, so that a line of just the limit stays whole.
        while (log->pending[stream].used + length > log->max_line) {
            size_t taken = log->max_line - log->pending[stream].used;
            put_line(&batch, stream, data, taken, false);
            data += taken;
            size -= taken;
            length -= taken;
        }
        if (end) {
            put_line(&batch, stream, data, length, true);
            data += length + 1;
            size -= length + 1;
            continue;
        }
        flush(&batch); // its parts may be in `pending`
        if (!log->pending[stream].text)
            log->pending[stream].text = malloc(log->max_line);
        if (log->pending[stream].text) {
            memcpy(log->pending[stream].text + log->pending[stream].used, data, length);
            log->pending[stream].used += length;
        }
        return;
    }
    flush(&batch);
}

void bl_log_end(struct bl_log *log, enum bl_stream_name stream)
{
    struct batch batch;
    if (log->fd < 0 || log->pending[stream].used == 0)
        return;
    begin(&batch, log, stream);
    put_line(&batch, stream, NULL, 0, false);
    flush(&batch);
}

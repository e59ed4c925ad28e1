// The CRI's log format: "2006-01-02T15:04:05.000000000Z stdout F the line\n", and P instead of F for each piece but the
// last of a line that is longer than the limit, and for a last line without an end: readers add none to a P.
#ifndef BL_LOG_H
#define BL_LOG_H

#include "base.h"

enum bl_stream_name { BL_STDOUT = 0, BL_STDERR = 1 };

struct bl_log {
    int fd; // -1: nothing is written
    char *path;
    bool made; // by us, and to be removed if the launch fails
    bool torn; // a write stopped within a line (full disk): the next one begins a new line
    size_t max_line;
    struct {
        char *text; // of a line that has no end yet; allocated when first needed
        size_t used;
    } pending[2];
};

#define BL_LOG_DEFAULT_LINE 16384

// `path` may be empty.
int bl_log_open(struct bl_log *log, const char *path, size_t max_line, struct bl_error *error);
void bl_log_write(struct bl_log *log, enum bl_stream_name stream, const char *data, size_t size);
// The stream has ended: what has no line end is written as a piece.
void bl_log_end(struct bl_log *log, enum bl_stream_name stream);
// The path again, which names another file now. Lines are written in one piece, so none is lost or split.
int bl_log_reopen(struct bl_log *log, struct bl_error *error);
void bl_log_close(struct bl_log *log);

#endif

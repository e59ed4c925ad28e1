// How a container ended, on disk before anyone is told.
#ifndef BL_EXIT_RECORD_H
#define BL_EXIT_RECORD_H

#include "Generated/launch.pb-c.h"
#include "base.h"

typedef Berth__Launch__V1__ExitRecord bl_exit_record;

// Takes the space of a record now, so that the end of a container can be written down when the disk is full. A filesystem
// without reservation is no error.
void bl_exit_record_reserve(const char *path);
void bl_exit_record_discard(const char *path);
// Writes a temporary file, fsyncs and renames it, and fsyncs the folder: after a power loss the record is there whole
// or not at all.
int bl_exit_record_write(const char *path, const bl_exit_record *record, struct bl_error *error);
// "oom_kill N" of memory.events (v2) or memory.oom_control (v1); 0 where there is none.
uint64_t bl_oom_kills(const char *path);

#endif

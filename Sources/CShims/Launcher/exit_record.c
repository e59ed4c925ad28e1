#include "exit_record.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

// Room for any record.
#define RECORD_SIZE 4096

struct place {
    char *folder_path;
    char name[256];
    char temporary[264];
};

static void cleanup_place(struct place *place) { free(place->folder_path); }

static int find_place(const char *path, struct place *place, struct bl_error *error)
{
    const char *slash = strrchr(path, '/');
    place->folder_path = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    if (!place->folder_path)
        return bl_fail(error, errno, path, NULL);
    if (snprintf(place->name, sizeof place->name, "%s", slash ? slash + 1 : path) >= (int)sizeof place->name)
        return bl_fail(error, ENAMETOOLONG, path, NULL);
    snprintf(place->temporary, sizeof place->temporary, "%s.tmp", place->name);
    return 0;
}

// Not truncated: the space that was reserved would be given back.
static int open_temporary(int folder, const struct place *place)
{
    return openat(folder, place->temporary, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

void bl_exit_record_reserve(const char *path)
{
    __attribute__((cleanup(cleanup_place))) struct place place = {0};
    struct bl_error error;
    if (find_place(path, &place, &error) < 0)
        return;
    cleanup_close int folder = open(place.folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int fd = folder < 0 ? -1 : open_temporary(folder, &place);
    if (fd >= 0)
        (void)fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, RECORD_SIZE);
}

void bl_exit_record_discard(const char *path)
{
    __attribute__((cleanup(cleanup_place))) struct place place = {0};
    struct bl_error error;
    if (find_place(path, &place, &error) < 0)
        return;
    cleanup_close int folder = open(place.folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0)
        unlinkat(folder, place.temporary, 0);
}

static int write_file(int folder, const struct place *place, const uint8_t *bytes, size_t size)
{
    cleanup_close int fd = open_temporary(folder, place);
    return fd < 0 || bl_write_full(fd, bytes, size) < 0 || ftruncate(fd, (off_t)size) < 0 || fsync(fd) < 0 ? -1 : 0;
}

int bl_exit_record_write(const char *path, const bl_exit_record *record, struct bl_error *error)
{
    uint8_t bytes[RECORD_SIZE];
    __attribute__((cleanup(cleanup_place))) struct place place = {0};
    if (find_place(path, &place, error) < 0)
        return -1;
    if (berth__launch__v1__exit_record__get_packed_size(record) > sizeof bytes)
        return bl_fail(error, ENAMETOOLONG, path, NULL);
    size_t size = berth__launch__v1__exit_record__pack(record, bytes);
    cleanup_close int folder = open(place.folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return bl_fail(error, errno, path, NULL);
    if (write_file(folder, &place, bytes, size) < 0 || renameat(folder, place.temporary, folder, place.name) < 0) {
        int code = errno;
        unlinkat(folder, place.temporary, 0);
        return bl_fail(error, code, path, NULL);
    }
    return fsync(folder) < 0 ? bl_fail(error, errno, path, NULL) : 0;
}

uint64_t bl_oom_kills(const char *path)
{
    char text[1024];
    if (!path || !path[0] || bl_read_text(AT_FDCWD, path, text, sizeof text) < 0)
        return 0;
    for (char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, "oom_kill ", 9) == 0)
            return strtoull(line + 9, NULL, 10);
    }
    return 0;
}

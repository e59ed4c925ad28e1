#include "exit_record.h"

#include <stdio.h>
#include <string.h>

static int write_file(int folder, const char *name, const uint8_t *bytes, size_t size)
{
    cleanup_close int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 || bl_write_full(fd, bytes, size) < 0 || fsync(fd) < 0 ? -1 : 0;
}

int bl_exit_record_write(const char *path, const bl_exit_record *record, struct bl_error *error)
{
    uint8_t bytes[4096];
    char name[256], temporary[264];
    const char *slash = strrchr(path, '/');
    cleanup_free char *folder_path = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    if (!folder_path)
        return bl_fail(error, errno, path, NULL);
    if (snprintf(name, sizeof name, "%s", slash ? slash + 1 : path) >= (int)sizeof name ||
        berth__launch__v1__exit_record__get_packed_size(record) > sizeof bytes)
        return bl_fail(error, ENAMETOOLONG, path, NULL);
    snprintf(temporary, sizeof temporary, "%s.tmp", name);
    size_t size = berth__launch__v1__exit_record__pack(record, bytes);
    cleanup_close int folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return bl_fail(error, errno, path, NULL);
    if (write_file(folder, temporary, bytes, size) < 0 || renameat(folder, temporary, folder, name) < 0) {
        int code = errno;
        unlinkat(folder, temporary, 0);
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

// HOME of the container's user, where its configuration gives none: what programs have come to expect of a runtime.
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "launch.h"
#include "paths.h"

#define PASSWD_LIMIT (1u << 20) // bytes that are looked at: the file is the container's
#define LINE_LIMIT 4096

// The sixth field of the first line whose third is `uid`; its length, 0 for none.
static size_t home_field(const char *line, uint32_t uid, const char **home)
{
    const char *fields[6] = {line};
    for (size_t i = 1; i < BL_COUNT(fields); i++) {
        const char *colon = strchr(fields[i - 1], ':');
        if (!colon)
            return 0;
        fields[i] = colon + 1;
    }
    char *end;
    unsigned long number = strtoul(fields[2], &end, 10);
    if (end == fields[2] || *end != ':' || number != uid)
        return 0;
    *home = fields[5];
    return strcspn(fields[5], ":\n");
}

int bl_step_find_home(struct bl_launch *launch, const Berth__Launch__V1__FindHome *action, struct bl_error *error)
{
    char line[LINE_LIMIT];
    const char *home = "/";
    size_t length = 1;
    struct stat status;
    int root = bl_root(launch, error);
    if (root < 0)
        return -1;
    // Not blocking: it may be a FIFO.
    struct bl_error missing;
    cleanup_close int fd = bl_open_in_root(root, "/etc/passwd", O_RDONLY | O_NONBLOCK, &missing);
    bool readable = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    FILE *file = readable ? fdopen(fd, "r") : NULL;
    if (file) {
        bl_take(&fd);
        for (size_t seen = 0; seen < PASSWD_LIMIT && fgets(line, sizeof line, file); seen += strlen(line)) {
            const char *found;
            size_t size = home_field(line, action->uid, &found);
            if (size > 0) {
                home = found;
                length = size;
                break;
            }
        }
        fclose(file);
    }
    launch->home = bl_arena_alloc(launch->arena, length + 6);
    if (!launch->home)
        return bl_fail(error, ENOMEM, NULL, NULL);
    snprintf(launch->home, length + 6, "HOME=%.*s", (int)length, home);
    return 0;
}

char **bl_environment(struct bl_launch *launch, char *const *environment, size_t count)
{
    char **all = bl_arena_alloc(launch->arena, (count + 2) * sizeof *all);
    if (!all)
        return NULL;
    if (count > 0)
        memcpy(all, environment, count * sizeof *all);
    all[count] = launch->home;
    return all;
}

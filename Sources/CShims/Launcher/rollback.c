// What HOST steps made, taken away again when a later step fails.
#include <string.h>
#include <sys/mount.h>
#include <time.h>

#include "launch.h"

int bl_undo_push(struct bl_launch *launch, enum bl_undo_kind kind, const char *path)
{
    size_t size = strlen(path) + 1;
    struct bl_undo *undo = malloc(sizeof *undo + size);
    if (!undo)
        return -1;
    undo->next = launch->undo;
    undo->kind = kind;
    memcpy(undo->path, path, size);
    launch->undo = undo;
    return 0;
}

// A cgroup stays busy for a moment after its last process was reaped.
static void remove_directory(const char *path)
{
    for (int i = 0; i < 100 && rmdir(path) < 0 && errno == EBUSY; i++)
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

void bl_undo_run(struct bl_launch *launch)
{
    for (struct bl_undo *undo = launch->undo; undo; undo = undo->next) {
        switch (undo->kind) {
        case BL_UNDO_RMDIR: remove_directory(undo->path); break;
        case BL_UNDO_UNLINK: unlink(undo->path); break;
        case BL_UNDO_UNMOUNT: umount2(undo->path, MNT_DETACH | UMOUNT_NOFOLLOW); break;
        }
    }
    bl_undo_forget(launch);
}

void bl_undo_forget(struct bl_launch *launch)
{
    while (launch->undo) {
        struct bl_undo *undo = launch->undo;
        launch->undo = undo->next;
        free(undo);
    }
}

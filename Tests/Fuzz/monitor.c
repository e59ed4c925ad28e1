// sources: CShims/Launcher
// What comes to a monitor's control socket, and what a launcher reads as its plan: never more memory than the bounds say, and
// a plan that is taken keeps to its rules.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plan.h"

static void finding(const char *problem)
{
    printf("finding: %s\n", problem);
    fflush(NULL);
    abort();
}

// Reads everything that a step holds, as carrying it out would.
static size_t read_all(const bl_plan *plan)
{
    size_t sum = strlen(plan->id);
    if (plan->n_steps > BL_STEPS_LIMIT)
        finding("more steps than the limit");
    for (size_t i = 0; i < plan->n_steps; i++) {
        if (!plan->steps[i] || plan->steps[i]->action_case == 0)
            finding("a step that does nothing");
        sum += strlen(bl_step_words(plan->steps[i]));
    }
    uint8_t *packed = malloc(berth__launch__v1__plan__get_packed_size(plan));
    if (packed)
        sum += berth__launch__v1__plan__pack(plan, packed);
    free(packed);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bl_arena arena;
    struct bl_error error = {0};
    bl_arena_init(&arena, BL_ARENA_LIMIT);
    ProtobufCAllocator allocator = bl_arena_allocator(&arena);
    Berth__Launch__V1__Request *request = berth__launch__v1__request__unpack(&allocator, size, data);
    if (request && request->request_case == BERTH__LAUNCH__V1__REQUEST__REQUEST_EXEC && request->exec->plan &&
        bl_plan_check(request->exec->plan, &error) == 0)
        read_all(request->exec->plan);
    bl_arena_free(&arena);

    bl_arena_init(&arena, BL_ARENA_LIMIT);
    int fd = memfd_create("plan", 0);
    if (fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0) {
        bl_plan *plan = bl_plan_read(fd, &arena, &error);
        if (plan)
            read_all(plan);
        else if (!error.code && !error.detail[0])
            finding("a plan was refused without a reason");
    }
    if (fd >= 0)
        close(fd);
    if (arena.total > arena.limit)
        finding("more memory than the limit");
    bl_arena_free(&arena);
    return 0;
}

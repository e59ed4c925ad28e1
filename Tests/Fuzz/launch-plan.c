// sources: CShims/Launcher
// The bytes of a launch plan, as a broken or hostile writer may give them: what is taken keeps the rules that the launcher
// builds on, and nothing is read outside of it.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "launch.h"

#define HOLDS(condition, what) \
    do { \
        if (!(condition)) { \
            printf("finding: %s\n", what); \
            fflush(stdout); \
            abort(); \
        } \
    } while (0)

static void check(const bl_plan *plan)
{
    unsigned clones = 0, waits = 0;
    HOLDS(plan->n_steps > 0 && plan->n_steps <= BL_STEPS_LIMIT, "a plan with too few or too many steps was taken");
    for (size_t i = 0; i < plan->n_steps; i++) {
        const bl_step *step = plan->steps[i];
        HOLDS(step->action_case != BL_ACTION(_NOT_SET) && step->make_directory, "a step without an action was taken");
        HOLDS(strlen(bl_step_words(step)) < BL_PLAN_LIMIT, "a step has no words");
        HOLDS(step->place == BL_PLACE_HOST || clones == 1, "a step of the child stands before its clone");
        HOLDS(step->place == BL_PLACE_CHILD || waits == 0, "a step of the host stands after the wait");
        clones += step->action_case == BL_ACTION(CLONE);
        waits += step->action_case == BL_ACTION(WAIT_FOR_START);
    }
    uint32_t last = plan->steps[plan->n_steps - 1]->action_case;
    HOLDS(clones <= 1 && waits <= 1, "a plan clones or waits twice");
    HOLDS(clones == 0 || last == BL_ACTION(EXEC) || last == BL_ACTION(HOLD), "a process is left without an end");
    HOLDS(!plan->monitor || (plan->monitor->socket[0] && plan->monitor->exit_path[0]), "a monitor without its paths");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    if (file < 0)
        file = memfd_create("plan", MFD_CLOEXEC);
    if (ftruncate(file, 0) < 0 || pwrite(file, data, size, 0) != (ssize_t)size)
        abort();
    struct bl_arena arena;
    struct bl_error error = {0};
    bl_arena_init(&arena, BL_ARENA_LIMIT);
    const bl_plan *plan = bl_plan_read(file, &arena, &error);
    if (plan)
        check(plan);
    else
        HOLDS(error.detail[0] || error.code, "a refusal without a reason");
    bl_arena_free(&arena);
    return 0;
}

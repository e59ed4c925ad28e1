// Reading the plan, and memory for protobuf messages.
#ifndef BL_PLAN_H
#define BL_PLAN_H

#include <stdio.h>

#include "Generated/launch.pb-c.h"
#include "base.h"

// Messages have fields of these names, and musl's macros stand in parentheses. The variables are meant without them too.
#undef stdin
#undef stdout
#undef stderr

// Short names of the generated types.
typedef Berth__Launch__V1__Plan bl_plan;
typedef Berth__Launch__V1__Step bl_step;

#define BL_ACTION(name) BERTH__LAUNCH__V1__STEP__ACTION_##name
#define BL_PLACE_HOST BERTH__LAUNCH__V1__PLACE__HOST
#define BL_PLACE_CHILD BERTH__LAUNCH__V1__PLACE__CHILD

#define BL_PLAN_VERSION 1
#define BL_MONITOR_PROTOCOL 2
#define BL_PLAN_LIMIT (4u << 20)   // bytes of an encoded plan
#define BL_ARENA_LIMIT (64u << 20) // bytes of a decoded one: small messages grow when decoded
#define BL_MAX_JOINS 8             // one of each type
#define BL_STEPS_LIMIT 16384u

// Memory that is given back all at once, by munmap, so that a monitor which lives for months keeps nothing of its plan.
struct bl_arena {
    struct bl_chunk *chunks;
    size_t total;
    size_t limit;
};

void bl_arena_init(struct bl_arena *arena, size_t limit);
void *bl_arena_alloc(struct bl_arena *arena, size_t size); // zeroed; NULL past the limit
void bl_arena_free(struct bl_arena *arena);
ProtobufCAllocator bl_arena_allocator(struct bl_arena *arena);
// A NULL-terminated copy of a message's repeated strings, for exec.
char **bl_arena_strings(struct bl_arena *arena, char *const *strings, size_t count);

// The plan in `fd` (a file, memfd or pipe, read to its end), checked by bl_plan_check.
bl_plan *bl_plan_read(int fd, struct bl_arena *arena, struct bl_error *error);
// What holds for every plan whatever its steps mean: version, bounds, order of places. specs/launch/README.md lists it.
int bl_plan_check(const bl_plan *plan, struct bl_error *error);
// The step's words, or its action's name where it has none.
const char *bl_step_words(const bl_step *step);

#endif

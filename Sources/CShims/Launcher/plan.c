#include "plan.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define CHUNK_SIZE (64u * 1024)

struct bl_chunk {
    struct bl_chunk *next;
    size_t size;
    size_t used;
};

void bl_arena_init(struct bl_arena *arena, size_t limit)
{
    *arena = (struct bl_arena){.limit = limit};
}

void *bl_arena_alloc(struct bl_arena *arena, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    if (size > arena->limit)
        return NULL;
    size = (size + align - 1) & ~(align - 1);
    struct bl_chunk *chunk = arena->chunks;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t header = (sizeof *chunk + align - 1) & ~(align - 1);
        size_t wanted = size + header > CHUNK_SIZE ? size + header : CHUNK_SIZE;
        wanted = (wanted + 4095) & ~(size_t)4095;
        if (wanted > arena->limit - arena->total)
            return NULL;
        chunk = mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (chunk == MAP_FAILED)
            return NULL;
        *chunk = (struct bl_chunk){.next = arena->chunks, .size = wanted, .used = header};
        arena->chunks = chunk;
        arena->total += wanted;
    }
    void *memory = (char *)chunk + chunk->used;
    chunk->used += size;
    return memory;
}

void bl_arena_free(struct bl_arena *arena)
{
    while (arena->chunks) {
        struct bl_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        munmap(chunk, chunk->size);
    }
    arena->total = 0;
}

static void *allocate(void *data, size_t size) { return bl_arena_alloc(data, size); }

static void release(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

ProtobufCAllocator bl_arena_allocator(struct bl_arena *arena)
{
    return (ProtobufCAllocator){.alloc = allocate, .free = release, .allocator_data = arena};
}

char **bl_arena_strings(struct bl_arena *arena, char *const *strings, size_t count)
{
    char **copy = bl_arena_alloc(arena, (count + 1) * sizeof *copy);
    if (copy) {
        if (count > 0)
            memcpy(copy, strings, count * sizeof *copy);
        copy[count] = NULL;
    }
    return copy;
}

const char *bl_step_words(const bl_step *step)
{
    if (step->words && step->words[0])
        return step->words;
    const ProtobufCMessageDescriptor *descriptor = step->base.descriptor;
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(descriptor, step->action_case);
    return field ? field->name : "unknown step";
}

static int check_step(const bl_plan *plan, size_t index, bool *cloned, bool *waits, struct bl_error *error)
{
    const bl_step *step = plan->steps[index];
    bool last = index + 1 == plan->n_steps;
    unsigned number = (unsigned)index + 1;

    // A oneof's message may be missing where bytes are hostile or a newer writer used an action that is unknown here.
    if (step->action_case == BL_ACTION(_NOT_SET) || !step->make_directory)
        return bl_fail(error, EPROTO, NULL, "step %u (%s) has no action that is known", number, bl_step_words(step));
    if (step->place != BL_PLACE_HOST && step->place != BL_PLACE_CHILD)
        return bl_fail(error, EPROTO, NULL, "step %u is in an unknown place", number);
    if (step->place == BL_PLACE_CHILD && !*cloned)
        return bl_fail(error, EPROTO, NULL, "step %u (%s) is the child's and stands before clone", number,
                       bl_step_words(step));
    if (step->place == BL_PLACE_HOST && *waits)
        return bl_fail(error, EPROTO, NULL, "step %u (%s) is the host's and stands after wait_for_start", number,
                       bl_step_words(step));
    switch (step->action_case) {
    case BL_ACTION(CLONE):
        if (*cloned || step->place != BL_PLACE_HOST)
            return bl_fail(error, EPROTO, NULL, "step %u: a plan has one clone, by the host", number);
        if (step->clone->sibling && plan->monitor)
            return bl_fail(error, EPROTO, NULL, "step %u: a monitor cannot own a sibling", number);
        if (step->clone->n_joins > BL_MAX_JOINS)
            return bl_fail(error, E2BIG, NULL, "step %u: %zu joins of a clone; %d are allowed", number,
                           step->clone->n_joins, BL_MAX_JOINS);
        *cloned = true;
        break;
    case BL_ACTION(WAIT_FOR_START):
        if (step->place != BL_PLACE_CHILD || *waits)
            return bl_fail(error, EPROTO, NULL, "step %u: a plan waits once, in the child", number);
        if (!plan->monitor && !step->wait_for_start->fifo[0])
            return bl_fail(error, EPROTO, NULL, "step %u waits for a monitor, and the plan has none", number);
        *waits = true;
        break;
    case BL_ACTION(OPEN_ROOT):
        if (step->open_root->base_mounts[0] && step->place != BL_PLACE_CHILD)
            return bl_fail(error, EPROTO, NULL, "step %u: the launcher stays in the host's mount namespace", number);
        break;
    case BL_ACTION(EXEC):
    case BL_ACTION(HOLD):
        if (step->place != BL_PLACE_CHILD || !last || step->optional)
            return bl_fail(error, EPROTO, NULL, "step %u (%s) must be the plan's last, in the child", number,
                           bl_step_words(step));
        break;
    case BL_ACTION(INSTALL_SECCOMP): {
        size_t size = step->install_seccomp->program.len;
        // BPF_MAXINSNS of 8 bytes each.
        if (size == 0 || size % 8 != 0 || size / 8 > 4096)
            return bl_fail(error, EPROTO, NULL, "step %u: a seccomp program has 1 to 4096 instructions, not %zu bytes",
                           number, size);
        if (*waits && step->install_seccomp->listener[0])
            return bl_fail(error, EPROTO, NULL, "step %u: a seccomp listener stands after wait_for_start", number);
        break;
    }
    default:
        break;
    }
    return 0;
}

int bl_plan_check(const bl_plan *plan, struct bl_error *error)
{
    if (plan->version != BL_PLAN_VERSION)
        return bl_fail(error, EPROTO, NULL, "the plan has version %u; this launcher knows %d", plan->version,
                       BL_PLAN_VERSION);
    if (plan->n_steps == 0 || plan->n_steps > BL_STEPS_LIMIT)
        return bl_fail(error, EPROTO, NULL, "the plan has %zu steps; 1 to %u are allowed", plan->n_steps,
                       BL_STEPS_LIMIT);
    if (plan->monitor && (!plan->monitor->socket[0] || !plan->monitor->exit_path[0]))
        return bl_fail(error, EPROTO, NULL, "the plan's monitor has no socket or no exit path");
    if (plan->stdio && plan->stdio->max_line > 1u << 20)
        return bl_fail(error, EPROTO, NULL, "the plan's log lines may have 1 MiB, not %u bytes", plan->stdio->max_line);
    bool cloned = false, waits = false;
    for (size_t i = 0; i < plan->n_steps; i++)
        if (check_step(plan, i, &cloned, &waits, error) < 0)
            return -1;
    uint32_t last = plan->steps[plan->n_steps - 1]->action_case;
    if (cloned && last != BL_ACTION(EXEC) && last != BL_ACTION(HOLD))
        return bl_fail(error, EPROTO, NULL, "the plan clones a process and does not end in exec or hold");
    if (plan->monitor && !cloned)
        return bl_fail(error, EPROTO, NULL, "the plan has a monitor and makes no process");
    return 0;
}

static bl_plan *unpack(const uint8_t *bytes, size_t size, struct bl_arena *arena, struct bl_error *error)
{
    ProtobufCAllocator allocator = bl_arena_allocator(arena);
    bl_plan *plan = berth__launch__v1__plan__unpack(&allocator, size, bytes);
    if (!plan) {
        bl_fail(error, EPROTO, NULL, "%zu bytes are no plan, or one that needs over %u MiB", size,
                BL_ARENA_LIMIT >> 20);
        return NULL;
    }
    return bl_plan_check(plan, error) < 0 ? NULL : plan;
}

bl_plan *bl_plan_read(int fd, struct bl_arena *arena, struct bl_error *error)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        bl_fail(error, errno, NULL, "read the plan");
        return NULL;
    }
    if (S_ISREG(status.st_mode)) {
        if (status.st_size <= 0 || status.st_size > (off_t)BL_PLAN_LIMIT) {
            bl_fail(error, EFBIG, NULL, "a plan has 1 byte to %u MiB, not %lld bytes", BL_PLAN_LIMIT >> 20,
                    (long long)status.st_size);
            return NULL;
        }
        size_t size = (size_t)status.st_size;
        // Copied, not mapped: the file may shrink under a map.
        uint8_t *bytes = bl_arena_alloc(arena, size);
        if (!bytes || pread(fd, bytes, size, 0) != (ssize_t)size) {
            bl_fail(error, errno, NULL, "read the plan");
            return NULL;
        }
        return unpack(bytes, size, arena, error);
    }
    cleanup_free uint8_t *bytes = malloc(BL_PLAN_LIMIT + 1);
    ssize_t size = bytes ? bl_read_full(fd, bytes, BL_PLAN_LIMIT + 1) : -1;
    if (size < 0) {
        bl_fail(error, errno, NULL, "read the plan");
        return NULL;
    }
    if (size > (ssize_t)BL_PLAN_LIMIT) {
        bl_fail(error, EFBIG, NULL, "a plan has at most %u MiB", BL_PLAN_LIMIT >> 20);
        return NULL;
    }
    return unpack(bytes, (size_t)size, arena, error);
}

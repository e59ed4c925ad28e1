// Plans: hostile bytes, bounds, the order of places.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "plan.h"

typedef Berth__Launch__V1__Step step_message;

struct builder {
    bl_plan plan;
    step_message steps[16];
    step_message *pointers[16];
    Berth__Launch__V1__Clone clone;
    Berth__Launch__V1__Exec exec;
    Berth__Launch__V1__SetHostname hostname;
    Berth__Launch__V1__WaitForStart wait;
    Berth__Launch__V1__InstallSeccomp seccomp;
};

static void begin(struct builder *b)
{
    memset(b, 0, sizeof *b);
    berth__launch__v1__plan__init(&b->plan);
    berth__launch__v1__clone__init(&b->clone);
    berth__launch__v1__exec__init(&b->exec);
    berth__launch__v1__set_hostname__init(&b->hostname);
    berth__launch__v1__wait_for_start__init(&b->wait);
    berth__launch__v1__install_seccomp__init(&b->seccomp);
    b->plan.version = 1;
    b->plan.id = "test";
    b->plan.steps = b->pointers;
    b->exec.path = "/bin/true";
}

static step_message *add(struct builder *b, int place, uint32_t action)
{
    step_message *step = &b->steps[b->plan.n_steps];
    berth__launch__v1__step__init(step);
    b->pointers[b->plan.n_steps++] = step;
    step->place = (Berth__Launch__V1__Place)place;
    step->action_case = (Berth__Launch__V1__Step__ActionCase)action;
    if (action == BL_ACTION(CLONE))
        step->clone = &b->clone;
    if (action == BL_ACTION(EXEC))
        step->exec = &b->exec;
    if (action == BL_ACTION(SET_HOSTNAME))
        step->set_hostname = &b->hostname;
    if (action == BL_ACTION(WAIT_FOR_START))
        step->wait_for_start = &b->wait;
    if (action == BL_ACTION(INSTALL_SECCOMP))
        step->install_seccomp = &b->seccomp;
    return step;
}

static void minimal(struct builder *b)
{
    begin(b);
    add(b, BL_PLACE_HOST, BL_ACTION(CLONE));
    add(b, BL_PLACE_CHILD, BL_ACTION(EXEC));
}

static bool refused(struct builder *b, const char *reason)
{
    struct bl_error error = {0};
    bool no = bl_plan_check(&b->plan, &error) < 0 && strstr(error.detail, reason);
    if (!no)
        fprintf(stderr, "  not refused for \"%s\" but: %s\n", reason, error.detail);
    return no;
}

static bl_plan *read_bytes(const void *bytes, size_t size, struct bl_arena *arena, struct bl_error *error)
{
    const char *path = test_path("plan");
    FILE *file = fopen(path, "w");
    fwrite(bytes, 1, size, file);
    fclose(file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bl_arena_init(arena, BL_ARENA_LIMIT);
    bl_plan *plan = bl_plan_read(fd, arena, error);
    close(fd);
    return plan;
}

static void hostile_bytes(void)
{
    struct builder b;
    struct bl_arena arena;
    struct bl_error error = {0};
    test_group("plan: each truncation and each flipped byte is refused or is a plan that passes the checks");
    minimal(&b);
    uint8_t good[512];
    size_t size = berth__launch__v1__plan__pack(&b.plan, good);
    bl_plan *plan = read_bytes(good, size, &arena, &error);
    CHECK(plan && plan->n_steps == 2 && strcmp(plan->steps[1]->exec->path, "/bin/true") == 0);
    bl_arena_free(&arena);
    for (size_t length = 0; length < size; length++) {
        plan = read_bytes(good, length, &arena, &error);
        CHECK(!plan || bl_plan_check(plan, &error) == 0);
        bl_arena_free(&arena);
    }
    for (size_t at = 0; at < size; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t bad[512];
            memcpy(bad, good, size);
            bad[at] ^= (uint8_t)(1u << bit);
            plan = read_bytes(bad, size, &arena, &error);
            CHECK(!plan || bl_plan_check(plan, &error) == 0);
            bl_arena_free(&arena);
        }
    }
    test_group("plan: random bytes");
    srand(1);
    for (int round = 0; round < 500; round++) {
        uint8_t noise[256];
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (uint8_t)rand();
        CHECK(!read_bytes(noise, sizeof noise, &arena, &error));
        bl_arena_free(&arena);
    }
    test_group("plan: a file that grows a hundredfold when decoded stops at the memory's bound");
    size_t large = BL_PLAN_LIMIT - 16;
    uint8_t *empty_steps = malloc(large);
    for (size_t i = 0; i + 1 < large; i += 2) {
        empty_steps[i] = 0x1a; // field 3, length-delimited: a step ...
        empty_steps[i + 1] = 0; // ... of no bytes
    }
    CHECK(!read_bytes(empty_steps, large & ~(size_t)1, &arena, &error) && arena.total <= BL_ARENA_LIMIT);
    bl_arena_free(&arena);
    free(empty_steps);
    test_group("plan: too large, empty, a pipe");
    CHECK(!read_bytes("", 0, &arena, &error) && error.code == EFBIG);
    int ends[2];
    CHECK(pipe(ends) == 0 && write(ends[1], good, size) == (ssize_t)size);
    close(ends[1]);
    bl_arena_init(&arena, BL_ARENA_LIMIT);
    CHECK(bl_plan_read(ends[0], &arena, &error) != NULL);
    close(ends[0]);
    bl_arena_free(&arena);
}

void test_plan(void)
{
    struct builder b;
    struct bl_error error = {0};
    hostile_bytes();
    test_group("plan: what is checked");
    minimal(&b);
    CHECK(bl_plan_check(&b.plan, &error) == 0);
    b.plan.version = 2;
    CHECK(refused(&b, "version 2"));
    begin(&b);
    CHECK(refused(&b, "0 steps"));
    begin(&b);
    add(&b, BL_PLACE_CHILD, BL_ACTION(SET_HOSTNAME));
    CHECK(refused(&b, "stands before clone"));
    minimal(&b);
    add(&b, BL_PLACE_CHILD, BL_ACTION(SET_HOSTNAME));
    CHECK(refused(&b, "must be the plan's last"));
    begin(&b);
    add(&b, BL_PLACE_HOST, BL_ACTION(CLONE));
    add(&b, BL_PLACE_HOST, BL_ACTION(CLONE));
    CHECK(refused(&b, "one clone"));
    begin(&b);
    add(&b, BL_PLACE_HOST, BL_ACTION(CLONE));
    add(&b, BL_PLACE_CHILD, BL_ACTION(SET_HOSTNAME));
    CHECK(refused(&b, "does not end in exec or hold"));
    begin(&b);
    add(&b, BL_PLACE_HOST, 0);
    CHECK(refused(&b, "no action"));
    minimal(&b);
    b.steps[1].place = (Berth__Launch__V1__Place)7;
    CHECK(refused(&b, "unknown place"));

    begin(&b);
    add(&b, BL_PLACE_HOST, BL_ACTION(CLONE));
    add(&b, BL_PLACE_CHILD, BL_ACTION(WAIT_FOR_START));
    add(&b, BL_PLACE_CHILD, BL_ACTION(EXEC));
    CHECK(refused(&b, "waits for a monitor"));
    b.wait.fifo = "/run/x";
    CHECK(bl_plan_check(&b.plan, &error) == 0);
    b.pointers[2]->place = BL_PLACE_HOST;
    CHECK(refused(&b, "stands after wait_for_start"));

    begin(&b);
    add(&b, BL_PLACE_HOST, BL_ACTION(CLONE));
    add(&b, BL_PLACE_CHILD, BL_ACTION(INSTALL_SECCOMP));
    add(&b, BL_PLACE_CHILD, BL_ACTION(EXEC));
    uint8_t program[12] = {0};
    b.seccomp.program = (ProtobufCBinaryData){.len = 12, .data = program};
    CHECK(refused(&b, "not 12 bytes"));
    b.seccomp.program.len = 8;
    CHECK(bl_plan_check(&b.plan, &error) == 0);

    Berth__Launch__V1__Monitor monitor = BERTH__LAUNCH__V1__MONITOR__INIT;
    minimal(&b);
    b.plan.monitor = &monitor;
    CHECK(refused(&b, "no socket"));
    monitor.socket = monitor.exit_path = "/run/x";
    CHECK(bl_plan_check(&b.plan, &error) == 0);
    b.clone.sibling = true;
    CHECK(refused(&b, "sibling"));

    minimal(&b);
    Berth__Launch__V1__JoinNamespace join = BERTH__LAUNCH__V1__JOIN_NAMESPACE__INIT;
    Berth__Launch__V1__JoinNamespace *joins[BL_MAX_JOINS + 1];
    for (size_t i = 0; i <= BL_MAX_JOINS; i++)
        joins[i] = &join;
    b.clone.joins = joins;
    b.clone.n_joins = BL_MAX_JOINS + 1;
    CHECK(refused(&b, "joins of a clone"));
    b.clone.n_joins = BL_MAX_JOINS;
    CHECK(bl_plan_check(&b.plan, &error) == 0);
}

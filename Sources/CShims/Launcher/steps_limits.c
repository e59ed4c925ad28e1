// Resource limits, OOM score, scheduling: values that the launcher may not be allowed to raise.
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "launch.h"

#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_CLASS_SHIFT 13

int bl_step_set_rlimit(struct bl_launch *launch, const Berth__Launch__V1__SetRlimit *action, struct bl_error *error)
{
    int resource = (int)action->resource;
    struct rlimit wanted = {.rlim_cur = action->soft, .rlim_max = action->hard}, now;
    if (setrlimit(resource, &wanted) == 0)
        return 0;
    if (errno != EPERM || getrlimit(resource, &now) < 0)
        return bl_fail(error, errno, NULL, "soft %llu, hard %llu", (unsigned long long)action->soft,
                       (unsigned long long)action->hard);
    // Without CAP_SYS_RESOURCE the hard limit cannot rise.
    if (wanted.rlim_max > now.rlim_max)
        wanted.rlim_max = now.rlim_max;
    if (wanted.rlim_cur > wanted.rlim_max)
        wanted.rlim_cur = wanted.rlim_max;
    if (setrlimit(resource, &wanted) < 0)
        return bl_fail(error, errno, NULL, "soft %llu, hard %llu", (unsigned long long)wanted.rlim_cur,
                       (unsigned long long)wanted.rlim_max);
    struct bl_error warning;
    bl_fail(&warning, EPERM, NULL, "clamped to soft %llu, hard %llu", (unsigned long long)wanted.rlim_cur,
            (unsigned long long)wanted.rlim_max);
    bl_step_warn(launch, &warning);
    return 0;
}

int bl_step_set_oom_score(struct bl_launch *launch, const Berth__Launch__V1__SetOomScore *action,
                          struct bl_error *error)
{
    char path[48], text[16];
    if (!launch->is_child && launch->child <= 0)
        return bl_fail(error, EINVAL, NULL, "no process was cloned yet");
    if (launch->is_child)
        snprintf(path, sizeof path, "self/oom_score_adj");
    else
        snprintf(path, sizeof path, "%d/oom_score_adj", launch->child);
    int length = snprintf(text, sizeof text, "%d", action->score);
    if (bl_write_file(launch->host_proc, path, text, (size_t)length) == 0)
        return 0;
    if (errno != EACCES && errno != EPERM)
        return bl_fail(error, errno, NULL, "score %d", action->score);
    struct bl_error warning;
    int code = errno;
    if (bl_read_text(launch->host_proc, path, text, sizeof text) < 0)
        text[0] = 0;
    text[strcspn(text, "\n")] = 0;
    bl_fail(&warning, code, NULL, "the OOM score stays at %s, since %d is lower", text, action->score);
    bl_step_warn(launch, &warning);
    return 0;
}

int bl_step_set_scheduler(struct bl_launch *launch, const Berth__Launch__V1__SetScheduler *action,
                          struct bl_error *error)
{
    // struct sched_attr of the kernel; libc's headers have none.
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attributes = {
        .size = sizeof attributes, .policy = action->policy, .flags = action->flags, .nice = action->nice,
        .priority = action->priority, .runtime = action->runtime, .deadline = action->deadline,
        .period = action->period,
    };
    (void)launch;
    if (syscall(SYS_sched_setattr, 0, &attributes, 0) < 0)
        return bl_fail(error, errno, NULL, "policy %u, nice %d, priority %u", action->policy, action->nice,
                       action->priority);
    return 0;
}

int bl_step_set_io_priority(struct bl_launch *launch, const Berth__Launch__V1__SetIOPriority *action,
                            struct bl_error *error)
{
    (void)launch;
    if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, action->class_ << IOPRIO_CLASS_SHIFT | action->priority) < 0)
        return bl_fail(error, errno, NULL, "class %u, priority %u", action->class_, action->priority);
    return 0;
}

int bl_step_set_personality(struct bl_launch *launch, const Berth__Launch__V1__SetPersonality *action,
                            struct bl_error *error)
{
    (void)launch;
    return personality(action->domain) < 0 ? bl_fail(error, errno, NULL, "domain %#llx",
                                                     (unsigned long long)action->domain) : 0;
}

#define MASK_LIMIT 1024 // bytes: 8192 CPUs or nodes, the most that a kernel is built for

int bl_step_set_cpu_affinity(struct bl_launch *launch, const Berth__Launch__V1__SetCPUAffinity *action,
                             struct bl_error *error)
{
    // In whole words, as the kernel takes them; what no CPU has a bit for is ignored.
    union {
        uint8_t bytes[MASK_LIMIT];
        unsigned long words[MASK_LIMIT / sizeof(unsigned long)];
    } mask;
    (void)launch;
    if (action->mask.len > sizeof mask.bytes)
        return bl_fail(error, E2BIG, NULL, "a mask of %zu bytes; %zu are allowed", action->mask.len, sizeof mask.bytes);
    memset(mask.bytes, action->mask.len ? 0 : 0xff, sizeof mask.bytes);
    if (action->mask.len)
        memcpy(mask.bytes, action->mask.data, action->mask.len);
    if (syscall(SYS_sched_setaffinity, 0, sizeof mask, mask.words) < 0)
        return bl_fail(error, errno, NULL, NULL);
    return 0;
}

int bl_step_set_memory_policy(struct bl_launch *launch, const Berth__Launch__V1__SetMemoryPolicy *action,
                              struct bl_error *error)
{
    union {
        uint8_t bytes[MASK_LIMIT / 8];
        unsigned long words[MASK_LIMIT / 8 / sizeof(unsigned long)];
    } nodes = {{0}};
    (void)launch;
    if (action->nodes.len > sizeof nodes.bytes)
        return bl_fail(error, E2BIG, NULL, "a mask of %zu bytes; %zu are allowed", action->nodes.len,
                       sizeof nodes.bytes);
    if (action->nodes.len)
        memcpy(nodes.bytes, action->nodes.data, action->nodes.len);
    // The kernel counts one bit more than it looks at (set_mempolicy(2), bugs).
    unsigned long bits = action->nodes.len ? action->nodes.len * 8 + 1 : 0;
    if (syscall(SYS_set_mempolicy, (int)action->mode, bits ? nodes.words : NULL, bits) < 0)
        return bl_fail(error, errno, NULL, "mode %#x", action->mode);
    return 0;
}

int bl_step_limit_devices(struct bl_launch *launch, const Berth__Launch__V1__LimitDevices *action,
                          struct bl_error *error)
{
    (void)launch;
    cleanup_close int directory = open(action->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return bl_fail(error, errno, action->directory, NULL);
    union bpf_attr load, attach;
    memset(&load, 0, sizeof load);
    memset(&attach, 0, sizeof attach);
    load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    load.insns = (uint64_t)(uintptr_t)action->instructions.data;
    load.insn_cnt = (uint32_t)(action->instructions.len / sizeof(struct bpf_insn));
    load.license = (uint64_t)(uintptr_t) "Apache";
    cleanup_close int program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
    if (program < 0)
        return bl_fail(error, errno, action->directory, "load the program of its devices");
    attach.target_fd = (uint32_t)directory;
    attach.attach_bpf_fd = (uint32_t)program;
    attach.attach_type = BPF_CGROUP_DEVICE;
    attach.attach_flags = BPF_F_ALLOW_MULTI;
    if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach) < 0)
        return bl_fail(error, errno, action->directory, "attach the program of its devices");
    return 0;
}

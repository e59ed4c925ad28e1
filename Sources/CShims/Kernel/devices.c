#include "calls.h"

#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int berth_bpf_load_device_program(const void *instructions, size_t count, char *log, size_t log_size) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attributes.insns = (uint64_t)(uintptr_t)instructions;
    attributes.insn_cnt = (uint32_t)count;
    attributes.license = (uint64_t)(uintptr_t) "Apache";
    if (log && log_size > 0) {
        attributes.log_buf = (uint64_t)(uintptr_t)log;
        attributes.log_size = (uint32_t)log_size;
        attributes.log_level = 1;
    }
    return (int)checked(syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes));
}

int berth_bpf_attach_device_program(int cgroup, int program, unsigned flags) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.target_fd = (uint32_t)cgroup;
    attributes.attach_bpf_fd = (uint32_t)program;
    attributes.attach_type = BPF_CGROUP_DEVICE;
    attributes.attach_flags = flags;
    return (int)checked(syscall(SYS_bpf, BPF_PROG_ATTACH, &attributes, sizeof attributes));
}

uint64_t berth_clock_ticks_per_second(void) { return (uint64_t)sysconf(_SC_CLK_TCK); }

// From a step's action to the function that carries it out.
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "launch.h"

#define RUN(CASE, field, function) \
    case BL_ACTION(CASE): return function(launch, step->field, error)

int bl_step_run(struct bl_launch *launch, const bl_step *step, struct bl_error *error)
{
    switch (step->action_case) {
    RUN(MAKE_DIRECTORY, make_directory, bl_step_make_directory);
    RUN(WRITE_FILE, write_file, bl_step_write_file);
    RUN(JOIN_NAMESPACE, join_namespace, bl_step_join_namespace);
    RUN(CLONE, clone, bl_step_clone);
    RUN(UNSHARE, unshare, bl_step_unshare);
    RUN(MAP_IDS, map_ids, bl_step_map_ids);
    RUN(JOIN_CGROUP, join_cgroup, bl_step_join_cgroup);
    RUN(PIN_NAMESPACE, pin_namespace, bl_step_pin_namespace);
    RUN(MOUNT, mount, bl_step_mount);
    RUN(BIND_MOUNT, bind_mount, bl_step_bind_mount);
    RUN(SET_MOUNT_ATTRIBUTES, set_mount_attributes, bl_step_set_mount_attributes);
    RUN(SET_PROPAGATION, set_propagation, bl_step_set_propagation);
    RUN(MAKE_NODE, make_node, bl_step_make_node);
    RUN(MAKE_SYMLINK, make_symlink, bl_step_make_symlink);
    RUN(MASK_PATH, mask_path, bl_step_mask_path);
    RUN(READONLY_PATH, readonly_path, bl_step_readonly_path);
    RUN(PIVOT_ROOT, pivot_root, bl_step_pivot_root);
    RUN(SYSCTL, sysctl, bl_step_sysctl);
    RUN(SET_HOSTNAME, set_hostname, bl_step_set_hostname);
    RUN(SET_DOMAINNAME, set_domainname, bl_step_set_domainname);
    RUN(SET_RLIMIT, set_rlimit, bl_step_set_rlimit);
    RUN(SET_CAPABILITIES, set_capabilities, bl_step_set_capabilities);
    RUN(SET_USER, set_user, bl_step_set_user);
    RUN(INSTALL_SECCOMP, install_seccomp, bl_step_install_seccomp);
    RUN(SET_OOM_SCORE, set_oom_score, bl_step_set_oom_score);
    RUN(SETUP_TERMINAL, setup_terminal, bl_step_setup_terminal);
    RUN(CHANGE_DIRECTORY, change_directory, bl_step_change_directory);
    RUN(RUN_HOOK, run_hook, bl_step_run_hook);
    RUN(WAIT_FOR_START, wait_for_start, bl_step_wait_for_start);
    RUN(CLOSE_DESCRIPTORS, close_descriptors, bl_step_close_descriptors);
    RUN(EXEC, exec, bl_step_exec);
    RUN(HOLD, hold, bl_step_hold);
    RUN(CREATE_MOUNTPOINT, create_mountpoint, bl_step_create_mountpoint);
    RUN(SET_SECURITY_LABEL, set_security_label, bl_step_set_security_label);
    RUN(SET_SCHEDULER, set_scheduler, bl_step_set_scheduler);
    RUN(SET_IO_PRIORITY, set_io_priority, bl_step_set_io_priority);
    RUN(SET_PERSONALITY, set_personality, bl_step_set_personality);
    RUN(NEW_KEYRING, new_keyring, bl_step_new_keyring);
    RUN(OPEN_ROOT, open_root, bl_step_open_root);
    RUN(MOVE_LINKS, move_links, bl_step_move_links);
    RUN(SET_TIME_OFFSETS, set_time_offsets, bl_step_set_time_offsets);
    RUN(SET_CPU_AFFINITY, set_cpu_affinity, bl_step_set_cpu_affinity);
    RUN(SET_MEMORY_POLICY, set_memory_policy, bl_step_set_memory_policy);
    RUN(FIND_HOME, find_home, bl_step_find_home);
    RUN(LIMIT_DEVICES, limit_devices, bl_step_limit_devices);
    RUN(DELEGATE_CGROUP, delegate_cgroup, bl_step_delegate_cgroup);
    RUN(JOIN_RESCTRL, join_resctrl, bl_step_join_resctrl);
    case BL_ACTION(ENTER_TIME_NAMESPACE): return bl_enter_time_namespace(launch, error);
    case BL_ACTION(SET_NO_NEW_PRIVILEGES): return bl_set_no_new_privileges(error);
    case BL_ACTION(BIND_CONSOLE): return bl_bind_console(launch, error);
    case BL_ACTION(BRING_UP_LOOPBACK): return bl_bring_up_loopback(error);
    case BL_ACTION(SET_UMASK):
        umask(step->set_umask->mask & 0777);
        launch->umask_set = true;
        return 0;
    case BL_ACTION(NEW_SESSION):
        // EPERM: this process leads its group, as the launcher of a session of its own does already.
        return setsid() < 0 && errno != EPERM ? bl_fail(error, errno, NULL, NULL) : 0;
    default: return bl_fail(error, EPROTO, NULL, "action %d is unknown here", (int)step->action_case);
    }
}

void bl_step_warn(struct bl_launch *launch, const struct bl_error *error)
{
    if (!launch->is_child) {
        bl_report_warning(launch, launch->step, error);
        return;
    }
    struct bl_sync message = {.type = BL_SYNC_WARNING, .step = launch->step, .error = *error};
    if (launch->sync >= 0)
        bl_sync_send(launch->sync, &message, -1);
}

uint64_t bl_trace_clock(const struct bl_launch *launch)
{
    struct timespec now;
    if (!launch->plan->trace || clock_gettime(CLOCK_MONOTONIC, &now) < 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bl_step_trace(struct bl_launch *launch, uint64_t begin)
{
    if (!launch->plan->trace)
        return;
    // A step that enters a time namespace has another clock at its end.
    uint64_t end = bl_trace_clock(launch), spent = end > begin ? end - begin : 0;
    if (!launch->is_child) {
        bl_report_trace(launch, launch->step, spent);
        return;
    }
    struct bl_sync message = {.type = BL_SYNC_TRACE, .step = launch->step, .value = (int32_t)(spent >> 32),
                              .flag = (uint32_t)spent};
    if (launch->sync >= 0)
        bl_sync_send(launch->sync, &message, -1);
}

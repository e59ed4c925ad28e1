// One launch: the plan, what its steps share, and the step functions.
#ifndef BL_LAUNCH_H
#define BL_LAUNCH_H

#include "base.h"
#include "plan.h"

// What a HOST step made and a failure takes away again, newest first.
enum bl_undo_kind { BL_UNDO_RMDIR, BL_UNDO_UNLINK, BL_UNDO_UNMOUNT };

struct bl_undo {
    struct bl_undo *next;
    enum bl_undo_kind kind;
    char path[];
};

struct bl_launch {
    const bl_plan *plan;
    struct bl_arena *arena;
    uint32_t step; // index of the step that runs
    bool is_child;

    // Descriptors of steps that are opened by the host before anything runs, or before its mounts are left; -1 where there
    // is none.
    int *prepared;
    int host_proc; // the host's /proc, O_PATH: reachable whatever is mounted, joined or pivoted later
    int root;      // the container's root, O_PATH; -1 until it is opened
    int sync;      // this side's end of the baton socket
    int report;    // host: where reports go; -1 for none

    // Host.
    pid_t child;
    int child_pidfd;
    bool sibling;
    bool dumpable;        // the child stays open to its own user
    int own_time;         // the launcher's time namespace, while it is in the container's; -1 otherwise
    bool mapped;          // map_ids ran, and the child does not know it yet
    bool waiting;         // the child is in wait_for_start
    int streams[3];       // monitor's ends of the container's stdio
    int terminal;         // the pty's master
    bool monitor_terminal; // the plan's monitor takes the master
    struct bl_undo *undo;

    // Child.
    pid_t host_pid;       // this process's PID as the host sees it
    int child_streams[3]; // made by the host, become 0, 1, 2; -1 to leave one as it is
    int slave;            // the pty's other end
    int start_fifo;       // after a start by FIFO: where failures go
    bool umask_set;
    bool entered;         // the root is this process's own
    bool mountpoint_made; // by the last create_mountpoint
    char *home;           // "HOME=..." of find_home; NULL where the environment has one
    int null_tree;        // a mount of /dev/null, and of an empty tmpfs, for masks
    int mask_tree;
};

// Report descriptor: frames of a u32 length (little endian) and a Report.
void bl_report_created(struct bl_launch *launch, int terminal);
void bl_report_failure(int report, const bl_plan *plan, uint32_t step, const struct bl_error *error, pid_t pid);
void bl_report_warning(struct bl_launch *launch, uint32_t step, const struct bl_error *error);
void bl_report_trace(struct bl_launch *launch, uint32_t step, uint64_t nanoseconds);
void bl_report_ended(struct bl_launch *launch, pid_t pid);
// The same Failure as one frame of a Report, for a FIFO. Returns its size, 0 where it does not fit.
size_t bl_pack_failure(const bl_plan *plan, uint32_t step, const struct bl_error *error, pid_t pid, uint8_t *buffer,
                       size_t size);
uint64_t bl_start_time(int host_proc, pid_t pid);

// The baton, one packet a message. Only the side that has the baton sends, but for the monitor's START.
enum bl_sync_type {
    BL_SYNC_RUN = 1,  // host -> child: run from `step`; `value`: your PID; `flag`: your ids are mapped, become 0:0
    BL_SYNC_RAN,      // child -> host: my steps ran up to `step`, which is yours
    BL_SYNC_WAITING,  // child -> host: `step` is wait_for_start, and the program to exec was found
    BL_SYNC_START,    // host -> child: go on after wait_for_start
    BL_SYNC_EXECING,  // child -> host: the next call is execve, or hold begins; the socket's end means success
    BL_SYNC_FAILED,   // child -> host: `step` failed; `error` says how. The child exits
    BL_SYNC_WARNING,  // child -> host: `step` was clamped or was optional
    BL_SYNC_TRACE,    // child -> host: `step` took `flag` and `value` (low and high half) nanoseconds
    BL_SYNC_TERMINAL, // child -> host: the pty's master comes with it (SCM_RIGHTS)
    BL_SYNC_LISTENER, // child -> host: seccomp's notify descriptor is number `value` of mine
    BL_SYNC_TREE,     // child -> host: open the source of the bind mount `step`
    BL_SYNC_GO,       // host -> child: answer to TERMINAL, LISTENER and TREE (with the mount), which the child waits for
};

struct bl_sync {
    uint32_t type;
    uint32_t step;
    int32_t value;
    uint32_t flag;
    struct bl_error error; // FAILED and WARNING only; not sent otherwise
};

int bl_sync_send(int socket, const struct bl_sync *message, int descriptor);
// 1 for a message, 0 at the end, -1 with errno. `descriptor` may be NULL.
int bl_sync_receive(int socket, struct bl_sync *message, int *descriptor);

// host.c: opens what must be opened on the host beforehand; then runs the plan up to wait_for_start or its end.
void bl_launch_init(struct bl_launch *launch, const bl_plan *plan, struct bl_arena *arena, int report);
int bl_launch_run(struct bl_launch *launch, struct bl_error *error);
// After a failure: kills and reaps the child (a sibling is the caller's to reap), undoes what steps made.
// Returns the PID that the caller must reap, or 0.
pid_t bl_launch_abort(struct bl_launch *launch);
void bl_launch_close(struct bl_launch *launch);
// Handles one message of the child that is not about the order of steps. 1 where it was such a message.
int bl_host_service(struct bl_launch *launch, const struct bl_sync *message, int descriptor, struct bl_error *error);

// child.c
_Noreturn void bl_child_main(struct bl_launch *launch);

// rollback.c
int bl_undo_push(struct bl_launch *launch, enum bl_undo_kind kind, const char *path);
void bl_undo_run(struct bl_launch *launch);
void bl_undo_forget(struct bl_launch *launch);

// steps.c: runs launch->step's action in this process.
int bl_step_run(struct bl_launch *launch, const bl_step *step, struct bl_error *error);
// A clamp or an optional failure: to the report, or by the baton.
void bl_step_warn(struct bl_launch *launch, const struct bl_error *error);
// The time since `begin` as that of the step that runs, likewise, where the plan asks for traces.
void bl_step_trace(struct bl_launch *launch, uint64_t begin);
// Nanoseconds of the monotonic clock where the plan asks for traces; else 0.
uint64_t bl_trace_clock(const struct bl_launch *launch);

#define BL_STEP(function, type) \
    int function(struct bl_launch *launch, const Berth__Launch__V1__##type *action, struct bl_error *error)

// steps_files.c
BL_STEP(bl_step_make_directory, MakeDirectory);
BL_STEP(bl_step_write_file, WriteFile);
BL_STEP(bl_step_join_cgroup, JoinCgroup);
BL_STEP(bl_step_join_resctrl, JoinResctrl);
// steps_namespaces.c
// setns(2) with the action's types.
int bl_enter_namespace(int fd, const Berth__Launch__V1__JoinNamespace *action, struct bl_error *error);
BL_STEP(bl_step_join_namespace, JoinNamespace);
BL_STEP(bl_step_unshare, Unshare);
BL_STEP(bl_step_map_ids, MapIDs);
BL_STEP(bl_step_pin_namespace, PinNamespace);
BL_STEP(bl_step_set_time_offsets, SetTimeOffsets);
int bl_enter_time_namespace(struct bl_launch *launch, struct bl_error *error);
int bl_write_id_maps(int proc, pid_t pid, Berth__Launch__V1__IDMap *const *uids, size_t n_uids,
                     Berth__Launch__V1__IDMap *const *gids, size_t n_gids, struct bl_error *error);
int bl_become_namespace_root(struct bl_error *error);

// Pipes of the child's stdio get the owner that its set_user step wants in another user namespace. Before the clone.
void bl_give_stdio_ahead(const struct bl_launch *launch);
// clone.c
BL_STEP(bl_step_clone, Clone);
// clone3 with a fallback to clone; 0 in the child.
pid_t bl_clone(uint64_t flags, int exit_signal, int cgroup, int *pidfd);
// steps_root.c
BL_STEP(bl_step_open_root, OpenRoot);
BL_STEP(bl_step_pivot_root, PivotRoot);
// steps_mounts.c, steps_binds.c, steps_masks.c
BL_STEP(bl_step_mount, Mount);
BL_STEP(bl_step_set_mount_attributes, SetMountAttributes);
BL_STEP(bl_step_set_propagation, SetPropagation);
BL_STEP(bl_step_bind_mount, BindMount);
// Host: the mount of a bind's source, attached nowhere yet, with its id mappings.
int bl_open_tree_for_child(struct bl_launch *launch, const Berth__Launch__V1__BindMount *bind, struct bl_error *error);
BL_STEP(bl_step_mask_path, MaskPath);
BL_STEP(bl_step_readonly_path, ReadonlyPath);
// steps_nodes.c
BL_STEP(bl_step_create_mountpoint, CreateMountpoint);
BL_STEP(bl_step_make_node, MakeNode);
BL_STEP(bl_step_make_symlink, MakeSymlink);
// steps_identity.c
BL_STEP(bl_step_set_user, SetUser);
BL_STEP(bl_step_set_capabilities, SetCapabilities);
int bl_set_no_new_privileges(struct bl_error *error);
BL_STEP(bl_step_set_security_label, SetSecurityLabel);
BL_STEP(bl_step_new_keyring, NewKeyring);
BL_STEP(bl_step_install_seccomp, InstallSeccomp);
int bl_forward_listener(struct bl_launch *launch, const Berth__Launch__V1__InstallSeccomp *action, int number,
                        struct bl_error *error);
// steps_limits.c
BL_STEP(bl_step_limit_devices, LimitDevices);
BL_STEP(bl_step_delegate_cgroup, DelegateCgroup);
BL_STEP(bl_step_set_rlimit, SetRlimit);
BL_STEP(bl_step_set_oom_score, SetOomScore);
BL_STEP(bl_step_set_scheduler, SetScheduler);
BL_STEP(bl_step_set_io_priority, SetIOPriority);
BL_STEP(bl_step_set_personality, SetPersonality);
BL_STEP(bl_step_set_cpu_affinity, SetCPUAffinity);
BL_STEP(bl_step_set_memory_policy, SetMemoryPolicy);
// steps_system.c
BL_STEP(bl_step_sysctl, Sysctl);
BL_STEP(bl_step_set_hostname, SetHostname);
BL_STEP(bl_step_set_domainname, SetDomainname);
BL_STEP(bl_step_change_directory, ChangeDirectory);
BL_STEP(bl_step_close_descriptors, CloseDescriptors);
// steps_network.c
int bl_bring_up_loopback(struct bl_error *error);
BL_STEP(bl_step_move_links, MoveLinks);
// console.c
BL_STEP(bl_step_setup_terminal, SetupTerminal);
int bl_bind_console(struct bl_launch *launch, struct bl_error *error);
int bl_forward_terminal(struct bl_launch *launch, const Berth__Launch__V1__SetupTerminal *action, int master,
                        struct bl_error *error);
// hooks.c
BL_STEP(bl_step_run_hook, RunHook);
struct bl_program {
    const char *path;
    char *const *arguments;
    char *const *environment;
    const uint8_t *input[3];
    size_t input_size[3];
    uint32_t timeout; // seconds; 0 for none
    int folder;       // where it runs; -1: where this process is
};
// Runs a program to its end; fails with its stderr where it exits with another status than 0.
int bl_run_program(const struct bl_program *program, struct bl_error *error);
// home.c
BL_STEP(bl_step_find_home, FindHome);
// `environment` and what find_home found, NULL-terminated; NULL where memory is out.
char **bl_environment(struct bl_launch *launch, char *const *environment, size_t count);
// exec_image.c
BL_STEP(bl_step_wait_for_start, WaitForStart);
BL_STEP(bl_step_exec, Exec);
BL_STEP(bl_step_hold, Hold);
// Finds `name` as execvp does, by PATH of `environment`, in this process's root. The result is allocated.
int bl_find_program(const char *name, char *const *environment, size_t count, char **found, struct bl_error *error);

#endif

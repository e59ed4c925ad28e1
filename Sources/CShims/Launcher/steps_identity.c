// Who the process is and what it may do: user, groups, capabilities, seccomp, security label.
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <linux/filter.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "launch.h"
#include "paths.h"

#define PROC_SUPER_MAGIC 0x9fa0

struct capabilities {
    uint64_t effective, permitted, inheritable;
};

static int get_capabilities(struct capabilities *got)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0)
        return -1;
    got->effective = data[0].effective | (uint64_t)data[1].effective << 32;
    got->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    got->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return 0;
}

static int put_capabilities(const struct capabilities *wanted)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)wanted->effective, (uint32_t)wanted->permitted, (uint32_t)wanted->inheritable},
        {(uint32_t)(wanted->effective >> 32), (uint32_t)(wanted->permitted >> 32),
         (uint32_t)(wanted->inheritable >> 32)},
    };
    return (int)syscall(SYS_capset, &header, data);
}

// The container's user must be able to open /dev/stdout: pipes and terminals are given to it. Files and sockets of the
// caller, and /dev/null, stay whose they are.
static void give(int fd, uint32_t uid, bool terminals)
{
    struct stat status;
    if (fstat(fd, &status) < 0 || status.st_uid == uid)
        return;
    if (S_ISFIFO(status.st_mode) || (terminals && S_ISCHR(status.st_mode) && isatty(fd)))
        (void)!fchown(fd, uid, (gid_t)-1); // what cannot be given stays as it is
}

void bl_give_stdio_ahead(const struct bl_launch *launch)
{
    for (size_t i = launch->step; i < launch->plan->n_steps; i++) {
        const bl_step *step = launch->plan->steps[i];
        if (step->action_case != BL_ACTION(SET_USER) || !step->set_user->host_uid)
            continue;
        for (int fd = 0; fd < 3; fd++)
            give(launch->child_streams[fd] >= 0 ? launch->child_streams[fd] : fd, step->set_user->host_uid, false);
        return;
    }
}

// user_namespaces(7): nobody in this user namespace may change his groups, so that nobody loses one that denies him a file.
static bool denies_setgroups(const struct bl_launch *launch)
{
    char text[8];
    return bl_read_text(launch->host_proc, "self/setgroups", text, sizeof text) > 0 && strncmp(text, "deny", 4) == 0;
}

int bl_step_set_user(struct bl_launch *launch, const Berth__Launch__V1__SetUser *action, struct bl_error *error)
{
    gid_t groups[1024];
    if (action->n_additional_gids > BL_COUNT(groups))
        return bl_fail(error, E2BIG, NULL, "%zu additional groups; %zu are allowed", action->n_additional_gids,
                       BL_COUNT(groups));
    for (int fd = 0; fd < 3; fd++)
        give(fd, action->uid, true);
    // Capabilities outlive the change of user until set_capabilities says which ones stay; exec ends this.
    if (prctl(PR_SET_KEEPCAPS, 1) < 0)
        return bl_fail(error, errno, NULL, "keep capabilities");
    for (size_t i = 0; i < action->n_additional_gids; i++)
        groups[i] = action->additional_gids[i];
    if (!action->skip_groups && setgroups(action->n_additional_gids, groups) < 0 &&
        (errno != EPERM || action->n_additional_gids > 0 || !denies_setgroups(launch)))
        return bl_fail(error, errno, NULL, "setgroups");
    if (setresgid(action->gid, action->gid, action->gid) < 0)
        return bl_fail(error, errno, NULL, "gid %u", action->gid);
    if (setresuid(action->uid, action->uid, action->uid) < 0)
        return bl_fail(error, errno, NULL, "uid %u", action->uid);
    struct capabilities now;
    if (get_capabilities(&now) < 0)
        return bl_fail(error, errno, NULL, "read the capabilities");
    now.effective = now.permitted; // the change from root cleared them
    if (put_capabilities(&now) < 0)
        return bl_fail(error, errno, NULL, "keep capabilities");
    return 0;
}

static int drop_bounding(uint64_t kept, uint64_t *bounding, struct bl_error *error)
{
    *bounding = 0;
    for (unsigned number = 0; number < 64; number++) {
        int held = prctl(PR_CAPBSET_READ, number);
        if (held < 0)
            break; // past the kernel's last capability
        if (held && kept >> number & 1)
            *bounding |= UINT64_C(1) << number;
        else if (held && prctl(PR_CAPBSET_DROP, number) < 0)
            return bl_fail(error, errno, NULL, "drop capability %u from the bounding set", number);
    }
    return 0;
}

int bl_step_set_capabilities(struct bl_launch *launch, const Berth__Launch__V1__SetCapabilities *action,
                             struct bl_error *error)
{
    struct capabilities now, wanted;
    uint64_t bounding;
    if (get_capabilities(&now) < 0)
        return bl_fail(error, errno, NULL, "read the capabilities");
    if (drop_bounding(action->bounding, &bounding, error) < 0)
        return -1;
    // Nobody can have more than the launcher has; what is missing is told, not a reason to fail.
    wanted.permitted = action->permitted & now.permitted;
    wanted.effective = action->effective & wanted.permitted;
    wanted.inheritable = action->inheritable & (now.inheritable | (now.permitted & bounding));
    uint64_t missing = (action->permitted & ~wanted.permitted) | (action->effective & ~wanted.effective) |
                       (action->inheritable & ~wanted.inheritable);
    if (put_capabilities(&wanted) < 0)
        return bl_fail(error, errno, NULL, "capset");
    (void)prctl(PR_SET_KEEPCAPS, 0);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && action->ambient)
        return bl_fail(error, errno, NULL, "clear the ambient capabilities");
    uint64_t ambient = action->ambient & wanted.permitted & wanted.inheritable;
    missing |= action->ambient & ~ambient;
    for (unsigned number = 0; number < 64; number++)
        if (ambient >> number & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) < 0)
            return bl_fail(error, errno, NULL, "raise ambient capability %u", number);
    if (missing) {
        struct bl_error warning;
        bl_fail(&warning, 0, NULL, "the launcher itself lacks capabilities %#llx of those that were asked for",
                (unsigned long long)missing);
        bl_step_warn(launch, &warning);
    }
    return 0;
}

int bl_set_no_new_privileges(struct bl_error *error)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? bl_fail(error, errno, NULL, NULL) : 0;
}

int bl_step_set_security_label(struct bl_launch *launch, const Berth__Launch__V1__SetSecurityLabel *action,
                               struct bl_error *error)
{
    char path[128];
    if (snprintf(path, sizeof path, "thread-self/attr/%s", action->file) >= (int)sizeof path ||
        strstr(action->file, ".."))
        return bl_fail(error, EINVAL, action->file, NULL);
    // Through the host's procfs: a fake file in the container would take the label and confine nothing (CVE-2019-16884).
    cleanup_close int file = openat(launch->host_proc, path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return bl_fail(error, errno, action->file, NULL);
    if (!bl_on_filesystem(file, PROC_SUPER_MAGIC))
        return bl_fail(error, EXDEV, action->file, "is not on procfs");
    size_t size = strlen(action->label);
    return write(file, action->label, size) != (ssize_t)size ? bl_fail(error, errno, action->file, "%s", action->label) : 0;
}

int bl_step_new_keyring(struct bl_launch *launch, const Berth__Launch__V1__NewKeyring *action, struct bl_error *error)
{
    (void)launch;
    const char *name = action->name[0] ? action->name : NULL;
    return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) < 0 ? bl_fail(error, errno, NULL, NULL) : 0;
}

int bl_step_install_seccomp(struct bl_launch *launch, const Berth__Launch__V1__InstallSeccomp *action,
                            struct bl_error *error)
{
    struct sock_fprog program = {
        .len = (unsigned short)(action->program.len / sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)action->program.data,
    };
    bool listens = action->listener[0];
    unsigned flags = action->flags | (listens ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0);
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (result < 0)
        return bl_fail(error, errno, NULL, "%u instructions, flags %#x", program.len, flags);
    if (!listens)
        return 0;
    // From here on only read and write are sure not to wait for an agent that has no descriptor yet.
    struct bl_sync message = {.type = BL_SYNC_LISTENER, .step = launch->step, .value = (int32_t)result};
    int descriptor = (int)result;
    if (bl_sync_send(launch->sync, &message, -1) < 0 || read(launch->sync, &message, sizeof message) <= 0)
        _exit(128);
    close(descriptor);
    return 0;
}

// Host: takes the notify descriptor out of the child and hands it to the agent with the process's state.
int bl_forward_listener(struct bl_launch *launch, const Berth__Launch__V1__InstallSeccomp *action, int number,
                        struct bl_error *error)
{
    cleanup_close int notify = (int)syscall(SYS_pidfd_getfd, launch->child_pidfd, number, 0);
    if (notify < 0)
        return bl_fail(error, errno, NULL, "take the notify descriptor");
    cleanup_close int agent = bl_connect(action->listener, SOCK_STREAM, error);
    if (agent < 0)
        return bl_fail(error, error->code, action->listener, "failed to connect with seccomp agent");
    char document[32 * 1024];
    size_t used = 0;
    for (size_t i = 0; i < action->n_listener_document; i++) {
        const ProtobufCBinaryData *piece = &action->listener_document[i];
        char pid[16] = "";
        if (i > 0)
            snprintf(pid, sizeof pid, "%d", launch->child);
        if (used + strlen(pid) + piece->len > sizeof document)
            return bl_fail(error, EMSGSIZE, action->listener, "the state is larger than %zu bytes", sizeof document);
        memcpy(document + used, pid, strlen(pid));
        used += strlen(pid);
        if (piece->len > 0)
            memcpy(document + used, piece->data, piece->len);
        used += piece->len;
    }
    const void *data = action->n_listener_document ? document : (const void *)action->listener_metadata.data;
    size_t size = action->n_listener_document ? used : action->listener_metadata.len;
    // A stream takes descriptors with data only.
    if (bl_send(agent, size > 0 ? data : "", size > 0 ? size : 1, &notify, 1, 0) < 0)
        return bl_fail(error, errno, action->listener, NULL);
    return 0;
}

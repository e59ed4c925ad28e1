// The container's terminal: a pty of its own devpts, so that nothing of the host's /dev/pts is in its reach.
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

#include "launch.h"
#include "mounts.h"
#include "paths.h"

#ifndef DEVPTS_SUPER_MAGIC
#define DEVPTS_SUPER_MAGIC 0x1cd1
#endif
#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

int bl_step_setup_terminal(struct bl_launch *launch, const Berth__Launch__V1__SetupTerminal *action,
                           struct bl_error *error)
{
    int root = bl_root(launch, error);
    cleanup_close int master = root < 0 ? -1 : bl_open_in_root(root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY, error);
    if (master < 0)
        return -1;
    if (!bl_on_filesystem(master, DEVPTS_SUPER_MAGIC))
        return bl_fail(error, ENODEV, "/dev/pts/ptmx", "is not on a devpts");
    int unlock = 0;
    if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
        return bl_fail(error, errno, "/dev/pts/ptmx", "unlock");
    // By the master and not by the path /dev/pts/N, which the container may have covered.
    cleanup_close int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return bl_fail(error, errno, "/dev/pts/ptmx", "open the other end");
    struct winsize size = {.ws_col = (unsigned short)action->width, .ws_row = (unsigned short)action->height};
    if ((action->width || action->height) && ioctl(master, TIOCSWINSZ, &size) < 0)
        return bl_fail(error, errno, NULL, "set the size");
    struct termios settings;
    if (action->plain_line_ends && tcgetattr(slave, &settings) == 0) {
        settings.c_oflag &= ~(tcflag_t)ONLCR;
        if (tcsetattr(slave, TCSANOW, &settings) < 0)
            return bl_fail(error, errno, NULL, "set plain line ends");
    }
    if (ioctl(slave, TIOCSCTTY, 0) < 0)
        return bl_fail(error, errno, NULL, "make it the controlling terminal");
    for (int fd = 0; fd < 3; fd++)
        if (dup2(slave, fd) < 0)
            return bl_fail(error, errno, NULL, NULL);
    launch->slave = bl_take(&slave);
    // The host must have the master before it is closed here, or the terminal hangs up.
    struct bl_sync message = {.type = BL_SYNC_TERMINAL, .step = launch->step};
    if (bl_sync_send(launch->sync, &message, master) < 0)
        return bl_fail(error, errno, NULL, "hand over the master");
    if (bl_sync_receive(launch->sync, &message, NULL) <= 0 || message.type != BL_SYNC_GO)
        _exit(128);
    return 0;
}

int bl_bind_console(struct bl_launch *launch, struct bl_error *error)
{
    if (launch->slave < 0)
        return bl_fail(error, EINVAL, "/dev/console", "no terminal was set up");
    int root = bl_root(launch, error);
    cleanup_close int target = root < 0 ? -1 : bl_make_in_root(root, "/dev/console", false, error);
    cleanup_close int tree = target < 0 ? -1 : bl_clone_tree(launch->slave, "", false, error);
    return tree < 0 ? -1 : bl_attach(tree, target, "/dev/console", error);
}

// Takes the master over: it goes to the console socket, or stays for the monitor or for the caller.
int bl_forward_terminal(struct bl_launch *launch, const Berth__Launch__V1__SetupTerminal *action, int master,
                        struct bl_error *error)
{
    if (!action->console_socket[0]) {
        launch->terminal = master;
        return 0;
    }
    cleanup_close int receiver = bl_connect(action->console_socket, SOCK_STREAM, error);
    if (receiver < 0)
        return -1;
    // The name is what runc's receivers show; they use the descriptor.
    static const char name[] = "/dev/ptmx";
    if (bl_send(receiver, name, sizeof name - 1, &master, 1, 0) < 0)
        return bl_fail(error, errno, action->console_socket, NULL);
    close(master);
    return 0;
}

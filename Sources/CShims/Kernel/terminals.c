#include "calls.h"

#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

int berth_window_size(int descriptor, unsigned *columns, unsigned *rows) {
    struct winsize size;
    if (ioctl(descriptor, TIOCGWINSZ, &size) < 0) return -errno;
    *columns = size.ws_col;
    *rows = size.ws_row;
    return 0;
}

int berth_set_window_size(int descriptor, unsigned columns, unsigned rows) {
    struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
    return (int)checked(ioctl(descriptor, TIOCSWINSZ, &size));
}

_Static_assert(sizeof(struct termios) <= BERTH_TERMIOS_SIZE, "room for struct termios");

int berth_terminal_raw(int descriptor, void *saved) {
    struct termios settings;
    if (tcgetattr(descriptor, &settings) < 0) return -errno;
    memcpy(saved, &settings, sizeof settings);
    cfmakeraw(&settings);
    // What is printed to it still gets its line ends: the other terminal leaves them to this one.
    settings.c_oflag |= OPOST;
    return (int)checked(tcsetattr(descriptor, TCSANOW, &settings));
}

int berth_terminal_restore(int descriptor, const void *saved) {
    struct termios settings;
    memcpy(&settings, saved, sizeof settings);
    return (int)checked(tcsetattr(descriptor, TCSANOW, &settings));
}

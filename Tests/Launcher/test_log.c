// The CRI log writer.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "log.h"

// The log without its timestamps (each is checked for its shape), lines joined by '|'.
static const char *lines_of(const char *path)
{
    static char joined[1 << 20];
    char *out = joined;
    *out = 0;
    for (const char *line = test_read(path); *line;) {
        const char *end = strchr(line, '\n');
        int year, month, day, hour, minute, second, shape = 0;
        long nanoseconds;
        sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%9ldZ %n", &year, &month, &day, &hour, &minute, &second, &nanoseconds,
               &shape);
        CHECK(end && shape == 31);
        if (!end || shape != 31)
            break;
        out += sprintf(out, "%.*s|", (int)(end - line - shape), line + shape);
        line = end + 1;
    }
    return joined;
}

static void put(struct bl_log *log, enum bl_stream_name stream, const char *text)
{
    bl_log_write(log, stream, text, strlen(text));
}

void test_log(void)
{
    struct bl_error error = {0};
    struct bl_log log;
    test_group("log: whole lines, and lines in several writes");
    const char *path = test_path("log");
    CHECK(bl_log_open(&log, path, 8, &error) == 0 && log.made);
    put(&log, BL_STDOUT, "one\ntw");
    put(&log, BL_STDERR, "err\n");
    put(&log, BL_STDOUT, "o\n\n");
    CHECK(strcmp(lines_of(path), "stdout F one|stderr F err|stdout F two|stdout F |") == 0);

    test_group("log: a line of just the limit is whole, a longer one is in pieces");
    CHECK(bl_log_reopen(&log, &error) == 0);
    truncate(path, 0);
    put(&log, BL_STDOUT, "12345678\n");
    put(&log, BL_STDOUT, "123456789\n");
    put(&log, BL_STDOUT, "12345678");
    put(&log, BL_STDOUT, "abcdefgh");
    put(&log, BL_STDOUT, "xy\n");
    CHECK(strcmp(lines_of(path), "stdout F 12345678|stdout P 12345678|stdout F 9|stdout P 12345678|stdout P abcdefgh|"
                                 "stdout F xy|") == 0);

    test_group("log: what has no line end at the end of the stream is a piece");
    truncate(path, 0);
    put(&log, BL_STDERR, "tail");
    bl_log_end(&log, BL_STDERR);
    bl_log_end(&log, BL_STDERR);
    CHECK(strcmp(lines_of(path), "stderr P tail|") == 0);

    test_group("log: no line is lost or split by a rotation");
    const char *old = test_path("log.1");
    truncate(path, 0);
    put(&log, BL_STDOUT, "a\nhal");
    CHECK(rename(path, old) == 0);
    put(&log, BL_STDOUT, "");
    CHECK(bl_log_reopen(&log, &error) == 0);
    put(&log, BL_STDOUT, "f\nb\n");
    CHECK(strcmp(lines_of(old), "stdout F a|") == 0);
    CHECK(strcmp(lines_of(path), "stdout F half|stdout F b|") == 0);

    test_group("log: a rotation that fails leaves the old file in use");
    char *folder = strdup(log.path);
    free(log.path);
    log.path = strdup("/nonexistent/berth/log");
    CHECK(bl_log_reopen(&log, &error) < 0 && error.code != 0);
    free(log.path);
    log.path = folder;
    put(&log, BL_STDOUT, "c\n");
    CHECK(strcmp(lines_of(path), "stdout F half|stdout F b|stdout F c|") == 0);
    bl_log_close(&log);

    test_group("log: many short lines in one write");
    const char *many = test_path("many");
    CHECK(bl_log_open(&log, many, 0, &error) == 0);
    static char text[4000];
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, "x\n", 2);
    bl_log_write(&log, BL_STDOUT, text, sizeof text);
    unsigned count = 0;
    for (const char *line = lines_of(many); (line = strchr(line, '|')); line++)
        count++;
    CHECK(count == sizeof text / 2);
    bl_log_close(&log);

    test_group("log: a full disk tears no later line");
    CHECK(bl_log_open(&log, "/dev/full", 0, &error) == 0 && !log.made);
    put(&log, BL_STDOUT, "lost\n");
    bl_log_close(&log);
    CHECK(bl_log_open(&log, test_path("torn"), 0, &error) == 0);
    log.torn = true;
    put(&log, BL_STDOUT, "next\n");
    CHECK(test_read(test_path("torn"))[0] == '\n');
    bl_log_close(&log);

    test_group("log: no path, no file");
    CHECK(bl_log_open(&log, "", 0, &error) == 0 && log.fd < 0);
    put(&log, BL_STDOUT, "nowhere\n");
    bl_log_end(&log, BL_STDOUT);
    bl_log_close(&log);
}
